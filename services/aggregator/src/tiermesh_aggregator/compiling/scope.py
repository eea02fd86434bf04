"""Row scope: which people's records a statement may touch. It comes from the viewer alone.

A viewer's visible people are a subquery over the closure of the reporting lines. A *wide* scope also sums up people
whose single records the viewer may not see; then every group that holds a few of them is suppressed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from tiermesh_pack.semantic import PersonModel, Visibility

from tiermesh_aggregator.compiling.catalog import Catalog
from tiermesh_aggregator.compiling.portable import one_of
from tiermesh_aggregator.compiling.source import Expression, Source, raw
from tiermesh_aggregator.query import Population, Viewer

People = sa.Select[Any] | sa.CompoundSelect[Any]


@dataclass(frozen=True)
class Members:
    """Whose records are asked for, within what may be seen: keys, already resolved."""

    population: Population = Population.VISIBLE
    people: tuple[str, ...] = ()
    departments: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    """People whose reports at any depth are meant."""


class RowScope:
    """Conditions for one viewer and one question."""

    def __init__(
        self, catalog: Catalog, person: PersonModel, viewer: Viewer, rules: Sequence[Visibility], *, wide: bool
    ) -> None:
        """`rules` are the visibilities of everything that is asked for; the viewer must be let in by each."""
        self._people = catalog.table(person.table)
        self._lines = catalog.table(person.lines.table)
        self._departments = catalog.table(person.departments[0])
        self._person = person
        self._viewer = viewer
        self._rules = restricting(rules, viewer)
        self.wide = wide and bool(self._rules)

    @property
    def restricted(self) -> bool:
        """Whether the viewer sees only some people."""
        return bool(self._rules)

    @property
    def minimum_group(self) -> int:
        """Fewest unseen people in a group of a wide scope."""
        return max((rule.minimum_group for rule in self._rules), default=0)

    def rows(self, source: Source) -> list[Expression]:
        """What keeps a source to the records that may be touched."""
        if not self._rules or self.wide:
            return []
        if not source.has_person:
            return [sa.false()]
        return [source.person.in_(self._visible(rule)) for rule in self._rules]

    def hidden(self, source: Source, rules: Sequence[Expression]) -> Expression:
        """The people with a record that fits `rules` and whose single records the viewer may not see, counted."""
        seen = sa.and_(*(source.person.in_(self._visible(rule)) for rule in self._rules))
        return sa.func.count(sa.distinct(sa.case((sa.and_(sa.not_(seen), *rules), source.person))))

    def visible_people(self) -> list[Expression]:
        """The same as `rows`, on the people's own table."""
        key = self._people.c[self._person.key]
        return [key.in_(self._visible(rule)) for rule in self._rules]

    def members(self, source: Source, members: Members) -> list[Expression]:
        """What keeps a source to the people who are asked for."""
        if not source.has_person:
            return self._matched(source, members)
        found: list[Expression] = []
        asked = self._population(members.population)
        if asked is not None:
            found.append(source.person.in_(asked))
        if members.people:
            found.append(one_of(source.person, members.people, sa.Text()))
        if members.teams:
            lines = self._person.lines
            theirs = one_of(self._lines.c[lines.manager], members.teams, sa.Text())
            found.append(source.person.in_(sa.select(self._lines.c[lines.report]).where(theirs)))
        if members.departments:
            found.append(one_of(source.person_column(self._person.department), members.departments, sa.Text()))
        return found

    def _matched(self, source: Source, members: Members) -> list[Expression]:
        """Public records that concern people, such as the holidays of somebody's country."""
        column, dimension = source.entity.person_match
        people = members.people or ((self._viewer.person,) if members.population is Population.SELF else ())
        if not column or not people:
            return []
        owner, _, name = self._person.columns[dimension].rpartition(".")
        base = self._people.alias("m")
        target, joined = base, sa.select(base.c[self._person.key]).select_from(base)
        if owner:
            join = self._person.joins[owner]
            other = self._people.metadata.tables[join.table].alias("mj")
            on = sa.and_(*(base.c[left] == other.c[right] for left, right in join.on.items()))
            target, joined = other, sa.select(base.c[self._person.key]).select_from(base.join(other, on))
        theirs = joined.with_only_columns(target.c[name]).where(one_of(base.c[self._person.key], people, sa.Text()))
        return [source.base.c[column].in_(theirs)]

    def _reports(self, *, direct: bool) -> sa.Select[Any]:
        lines = self._person.lines
        chosen = sa.select(self._lines.c[lines.report]).where(self._lines.c[lines.manager] == self._viewer.person)
        return chosen.where(self._lines.c[lines.depth] == raw("1")) if direct else chosen

    def _own_department(self) -> sa.Select[Any]:
        mine = self._people.alias("me")
        own = sa.select(mine.c[self._person.department]).where(mine.c[self._person.key] == self._viewer.person)
        column = self._people.c[self._person.department]
        return sa.select(self._people.c[self._person.key]).where(column.in_(own))

    def _headed_departments(self) -> sa.Select[Any]:
        _, key, _, head = self._person.departments
        headed = sa.select(self._departments.c[key]).where(self._departments.c[head] == self._viewer.person)
        column = self._people.c[self._person.department]
        return sa.select(self._people.c[self._person.key]).where(column.in_(headed))

    def _visible(self, rule: Visibility) -> People:
        """Oneself, and whom the rule adds."""
        me = sa.select(sa.cast(sa.literal(self._viewer.person, sa.Text), sa.Text))
        more: list[sa.Select[Any]] = []
        if rule.reports:
            more.append(self._reports(direct=False))
        if rule.department:
            more.append(self._own_department())
            if self._person.departments[3]:
                more.append(self._headed_departments())
        return sa.union_all(me, *more) if more else me

    def _population(self, population: Population) -> People | None:
        if population is Population.SELF:
            return sa.select(sa.cast(sa.literal(self._viewer.person, sa.Text), sa.Text))
        if population is Population.DIRECT_REPORTS:
            return self._reports(direct=True)
        if population is Population.ALL_REPORTS:
            return self._reports(direct=False)
        return self._own_department() if population is Population.DEPARTMENT else None


def restricting(rules: Sequence[Visibility], viewer: Viewer) -> tuple[Visibility, ...]:
    """The rules that let this viewer see some people only, each once."""
    found = {rule.name: rule for rule in rules if not rule.everyone and not rule.roles & viewer.roles}
    return tuple(found.values())
