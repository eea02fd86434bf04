"""Groups that are left out of a wide answer, so that no few people can be read out of it, also not by subtraction.

Every group says how many unseen people stand behind it (`size`) and, where the question has a filter, how many stand
only in the same group without the filter (`beside`): each must be none or enough, else the group is one of `few`.
A line (all groups that differ in one dimension) with a secret in it loses more groups, because its total may be known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tiermesh_aggregator.compiling.source import Expression, raw

few, size, beside = "few", "size", "beside"
one, zero = raw("1"), raw("0")


def too_few(counts: Sequence[Expression], minimum: int) -> tuple[Expression, Expression]:
    """Whether one of the counts is some, but not enough; and the least of them."""
    if not counts:
        return zero, sa.cast(sa.null(), sa.BigInteger())
    small = [_some(count, minimum) for count in counts]
    return sa.case((sa.or_(*small), one), else_=zero), sa.func.least(*counts) if len(counts) > 1 else counts[0]


def _some(count: Expression, minimum: int) -> Expression:
    return sa.and_(count > zero, count < raw(str(minimum)))


@dataclass(frozen=True)
class Lines:
    """How the groups of one answer lie beside each other."""

    keys: tuple[str, ...]
    """Columns of the groups' keys."""
    sided: bool
    """Whether the groups belong to sides of a comparison, each with lines of its own."""
    disjoint: bool
    """Whether nobody stands in two groups of a line."""
    minimum: int
    counts: tuple[str, ...]
    """`size`, and `beside` where there is a filter: secrets of either kind hide behind others of their kind."""

    def of(self, groups: sa.CTE, moving: str) -> list[Any]:
        """What the groups of one line share: all keys but the one that moves."""
        sides = [groups.c.side_number] if self.sided else []
        return [*sides, *(groups.c[key] for key in self.keys if key != moving)]


def complemented(groups: sa.CTE, lines: Lines) -> sa.CTE:
    """The same groups with `few` set on all that must go."""
    if not lines.keys:
        return groups
    current = groups
    rounds = 1 if len(lines.keys) == 1 else 2
    passes = [(moving, count) for moving in lines.keys for count in lines.counts] * rounds
    for number, (moving, count) in enumerate(passes):
        current = _pass(current, moving, count, lines, f"{groups.name}{number}")
    return current if len(passes) == 1 else _all_or_none(current, lines, groups.name)


def _all_or_none(groups: sa.CTE, lines: Lines, name: str) -> sa.CTE:
    """What the passes could not mend is not shown at all."""
    unsafe = sa.or_(*(_unsafe(groups, moving, count, lines) for moving in lines.keys for count in lines.counts))
    marked = sa.select(*groups.c, sa.case((unsafe, one), else_=zero).label("unsafe")).cte(f"{name}m")
    rest = [column for column in marked.c if column.name not in (few, "unsafe")]
    side = [marked.c.side_number] if lines.sided else None
    anywhere = sa.func.max(marked.c.unsafe).over(partition_by=side)
    hidden = sa.case((sa.or_(marked.c[few] > zero, anywhere > zero), one), else_=zero)
    return sa.select(*rest, hidden.label(few)).cte(f"{name}n")


def _candidate(groups: sa.CTE, count: str) -> Expression:
    return sa.and_(groups.c[few] == zero, groups.c[count] > zero)


def _short(groups: sa.CTE, moving: str, count: str, lines: Lines) -> Expression:
    """Whether a line has secrets, but too few people behind all that is left out of it."""
    line = lines.of(groups, moving) or None
    hidden = groups.c[few] > zero
    secret = sa.and_(hidden, _some(groups.c[count], lines.minimum))
    secrets = sa.func.count(sa.case((secret, one))).over(partition_by=line)
    number = sa.func.count(sa.case((hidden, one))).over(partition_by=line)
    counts = sa.case((hidden, groups.c[count]))
    behind = (sa.func.sum(counts) if lines.disjoint else sa.func.max(counts)).over(partition_by=line)
    enough = sa.and_(number >= raw("2"), sa.func.coalesce(behind, zero) >= raw(str(lines.minimum)))
    return sa.and_(secrets > zero, sa.not_(enough))


def _unsafe(groups: sa.CTE, moving: str, count: str, lines: Lines) -> Expression:
    """Short, although there are groups left that could have gone too. Where there are none, the total tells nothing."""
    left = sa.func.count(sa.case((_candidate(groups, count), one))).over(partition_by=lines.of(groups, moving) or None)
    return sa.and_(_short(groups, moving, count, lines), left > zero)


def _pass(groups: sa.CTE, moving: str, count: str, lines: Lines, name: str) -> sa.CTE:
    """Takes the smallest group that is left out of every line that is short."""
    place = sa.func.row_number().over(
        partition_by=[*lines.of(groups, moving), sa.case((_candidate(groups, count), one), else_=zero)],
        order_by=[groups.c[count], *(groups.c[key] for key in lines.keys)],
    )
    short = sa.case((_short(groups, moving, count, lines), one), else_=zero)
    looked = sa.select(*groups.c, place.label("place"), short.label("short")).cte(f"{name}l")
    gone = sa.and_(looked.c.short > zero, looked.c.place == one, _candidate(looked, count))
    rest = [column for column in looked.c if column.name not in (few, "place", "short")]
    hidden = sa.case((sa.or_(looked.c[few] > zero, gone), one), else_=zero)
    return sa.select(*rest, hidden.label(few)).cte(name)
