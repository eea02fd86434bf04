"""What two sums over people beyond the visible ones would tell together that neither tells alone.

Inside one statement `suppressing` leaves groups out. Here: whether two questions of one answer (or two sides of one
comparison) may both go beyond the visible people, or whether their difference could single somebody out.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from tiermesh_aggregator.query import Period, Population, Query

most_answers = 4096
Choice = tuple[str, frozenset[str]]


@dataclass(frozen=True)
class Summed:
    """What is summed up by one side of a question: when, and which records."""

    parts: frozenset[str]
    period: Period
    grains: frozenset[str]
    choices: Mapping[str, Choice]
    """Field (or "departments", "population") to operator and values."""


def summed(query: Query, parts: Iterable[str], grains: Iterable[str]) -> list[Summed]:
    """One entry per side; `query` is resolved."""
    names, steps = frozenset(parts), frozenset(grains)
    filters = {one.field: (one.operator, frozenset(one.values)) for one in query.filters}
    found = []
    for side in query.sides or (None,):
        narrowed = side is not None and bool(side.departments or side.population)
        departments = side.departments if side and narrowed else query.departments
        population = (side.population if side else None) or query.population
        choices: dict[str, Choice] = dict(filters)
        if departments:
            choices["departments"] = ("in", frozenset(departments))
        elif population is Population.DEPARTMENT:
            choices["population"] = ("in", frozenset({population.value}))
        period = (side.period if side else None) or query.period or Period()
        found.append(Summed(names, period, steps, choices))
    return found


def compatible(one: Summed, other: Summed) -> bool:
    """Whether neither of the two can be taken from the other to leave a few people over.

    Periods are the same or apart, a choice is the same, apart, or made by one of the two alone: what that one leaves
    out is looked at when it is compiled (`parts` counts the people outside of each choice, and of all together).
    """
    if not one.parts & other.parts or apart(one.period, other.period):
        return True
    if one.period != other.period or (one.grains and other.grains and one.grains != other.grains):
        return False
    shared = one.choices.keys() & other.choices.keys()
    pairs = [(one.choices[name], other.choices[name]) for name in shared]
    if any(_disjoint(mine, yours) for mine, yours in pairs):
        return True
    if not one.choices or not other.choices:
        return True
    differing = one.choices.keys() ^ other.choices.keys()
    return len(differing) <= 1 and all(mine == yours for mine, yours in pairs)


def apart(one: Period, other: Period) -> bool:
    """Whether two periods share no day."""

    def before(first: Period, second: Period) -> bool:
        return first.end is not None and second.start is not None and first.end <= second.start

    return before(one, other) or before(other, one)


def _disjoint(mine: Choice, yours: Choice) -> bool:
    return mine[0] == "in" == yours[0] and not mine[1] & yours[1]


def all_compatible(sides: Iterable[Summed]) -> bool:
    """Whether the sides of one question may be shown beside each other."""
    return all(compatible(one, other) for one, other in combinations(list(sides), 2))


class Disclosed:
    """Remembers, per answer, what has been summed up beyond the visible people. Bounded; lives in this process."""

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[str, str], list[Summed]] = OrderedDict()
        self._lock = threading.Lock()

    def admits(self, answer: tuple[str, str], sides: list[Summed]) -> bool:
        """Whether `sides` may be shown after all else of this answer; then they are remembered."""
        with self._lock:
            known = self._answers.setdefault(answer, [])
            self._answers.move_to_end(answer)
            if any(not compatible(one, other) for one in known for other in sides):
                return False
            known += sides
            while len(self._answers) > most_answers:
                self._answers.popitem(last=False)
            return True
