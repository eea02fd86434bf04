"""Captions, labels of sides and notes: what a reader should know of a statement before reading its rows."""

from collections.abc import Mapping, Sequence

from tiermesh_pack.semantic import ListView

from tiermesh_aggregator.compiling.plan import Plan
from tiermesh_aggregator.compiling.scope import RowScope
from tiermesh_aggregator.query import Filter, Moment, Population, Query, Side

population_words: Mapping[Population, str] = {
    Population.SELF: "you",
    Population.DIRECT_REPORTS: "your direct reports",
    Population.ALL_REPORTS: "your team (reports at any level)",
    Population.DEPARTMENT: "your department",
    Population.COMPANY: "the company",
}
operator_words: Mapping[str, str] = {"in": "", "not_in": "not ", "at_least": "at least ", "at_most": "at most "}


def caption(plan: Plan, labels: Mapping[str, str], moment: Moment) -> str:
    """Such as "Leave days taken by employee, 2026-01-01 to 2026-11-22"."""
    names = ", ".join(measure.label for measure in plan.measures)
    groups = " and ".join(dimension.label.lower() for dimension in plan.dimensions)
    head = f"{names} by {groups}" if groups else names
    return _joined(head, plan.query, labels, states(plan, moment))


def list_caption(view: ListView, query: Query, labels: Mapping[str, str], *, timed: bool) -> str:
    """The same for a list."""
    return _joined(view.label, query, labels, str(query.period) if timed else "")


def states(plan: Plan, moment: Moment) -> str:
    """The period in words; for states the day on which they are looked at."""
    period = plan.query.period
    if period is None:
        return ""
    kinds = {part.entity.times[part.measure.time].kind for part in plan.parts.values() if part.measure.time}
    if kinds <= {"snapshot", "effective", "yearly"} and not plan.grains:
        return f"as of {period.last_day(moment.today)}" if kinds else ""
    return str(period)


def _joined(head: str, query: Query, labels: Mapping[str, str], period: str) -> str:
    parts = [head, *(_filter(one, labels) for one in query.filters)]
    if query.people:
        parts.append(_names(query.people, labels))
    if query.teams:
        parts.append(f"team of {_names(query.teams, labels)}")
    if query.departments:
        parts.append(_names(query.departments, labels))
    if query.population in population_words:
        parts.append(population_words[query.population])
    if period and not any(side.period for side in query.sides):
        parts.append(period)
    return ", ".join(part for part in parts if part)


def _filter(one: Filter, labels: Mapping[str, str]) -> str:
    return f"{one.field.replace('_', ' ')} {operator_words[one.operator]}{_names(one.values, labels)}"


def _names(keys: Sequence[str], labels: Mapping[str, str]) -> str:
    shown = [labels.get(key, key)[:60] for key in keys[:3]]
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(shown) + more


def side_label(side: Side, labels: Mapping[str, str]) -> str:
    """The side's own words, or what it stands for."""
    if side.label:
        return side.label
    words = [_names(side.people, labels), _names(side.departments, labels)]
    words += [f"team of {_names(side.teams, labels)}"] if side.teams else []
    if side.population is not None and side.population in population_words:
        words.append(population_words[side.population])
    if side.period is not None:
        words.append(str(side.period))
    return ", ".join(word for word in words if word) or "all"


def scope_notes(scope: RowScope, query: Query) -> tuple[str, ...]:
    """What the row scope means for the reader."""
    if scope.wide:
        least = scope.minimum_group
        return (f"Groups with fewer than {least} people whose single records you may not see are left out.",)
    wider = query.population in (Population.VISIBLE, Population.COMPANY, Population.DEPARTMENT)
    if scope.restricted and wider and not (query.people or query.teams):
        return ("Counts only people whose records you may see.",)
    return ()
