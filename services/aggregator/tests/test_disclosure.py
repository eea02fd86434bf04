"""Sums beyond the visible people tell nothing about a few, not by their groups and not by subtraction."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from tiermesh_aggregator.compiling.disclosure import Disclosed, Summed, compatible
from tiermesh_aggregator.query import Aggregation, Filter, Period, Population, Query, Side

year = Period(date(2026, 1, 1), date(2027, 1, 1))
minimum = 5
People = dict[tuple[Any, ...], set[str]]


def wide(*dimensions: str, domain: str = "leave", measure: str = "leave_days_applied", **more: Any) -> Query:
    known = {"period": year, "population": Population.COMPANY, "limit": 1000, **more}
    return Query(domain, Aggregation.SUM, (measure,), dimensions, **known)


async def people_of(asking: Any, query: Query) -> People:
    """Who stands behind each group: asked as somebody who sees everybody."""
    every = replace(query, group_by=(*query.group_by, "employee"), population=Population.VISIBLE, departments=())
    if query.departments:
        every = replace(every, departments=query.departments)
    answer = await asking(every, "E00007", "employee", "hr_admin")
    assert not answer.table.truncated
    names = [column.name for column in answer.table.columns]
    keys = [names.index(name) for name in query.group_by]
    who = names.index("employee_id")
    found: People = {}
    for row in answer.table.rows:
        found.setdefault(tuple(row[key] for key in keys), set()).add(row[who])
    return found


async def shown(asking: Any, query: Query, person: str, **more: Any) -> set[tuple[Any, ...]]:
    answer = await asking(query, person, "employee", "manager", **more)
    assert answer.table.statements <= 2
    names = [column.name for column in answer.table.columns]
    keys = [names.index(name) for name in query.group_by]
    return {tuple(row[key] for key in keys) for row in answer.table.rows}


def safe(people: set[str]) -> bool:
    return not people or len(people) >= minimum


groupings = [
    (),
    ("department",),
    ("division",),
    ("city",),
    ("employment_type",),
    ("leave_type",),
    ("month",),
    ("department", "leave_type"),
    ("city", "month"),
]
choices = [
    (),
    (Filter("leave_type", "in", ("annual",)),),
    (Filter("leave_type", "not_in", ("parental",)),),
    (Filter("city", "not_in", ("Berlin",)), Filter("leave_type", "in", ("annual", "sick"))),
]


@pytest.mark.parametrize("dimensions", groupings)
async def test_neither_a_group_nor_what_is_left_of_its_line_holds_a_few(
    asking: Any, visible: Callable[[str], set[str]], dimensions: tuple[str, ...]
) -> None:
    some = hidden = 0
    for filters, person in itertools.product(choices, ("E00060", "E00014")):
        query = wide(*dimensions, filters=filters)
        behind = {key: people - visible(person) for key, people in (await people_of(asking, query)).items()}
        free = {key: people - visible(person) for key, people in (await people_of(asking, wide(*dimensions))).items()}
        groups = await shown(asking, query, person)
        assert groups <= behind.keys()
        some, hidden = some + len(groups), hidden + len(behind.keys() - groups)
        assert all(safe(behind[key]) for key in groups)
        for moving in range(len(dimensions)):
            lines: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
            for key in behind:
                lines.setdefault((*key[:moving], *key[moving + 1 :]), []).append(key)
            for line in lines.values():
                left = set().union(*(behind[key] for key in line if key not in groups))
                seen = set().union(*(behind[key] for key in line if key in groups))
                assert safe(left) or not seen, "the line's total, less what is shown, would be a few"
        if len(filters) == 1 and "leave_type" not in dimensions:
            field = filters[0].field
            apart = await people_of(asking, wide(*dimensions, field))
            for key in groups:
                named, kept = _labels(filters[0]), filters[0].operator == "in"
                outside = {kind for *head, kind in apart if tuple(head) == key and (kind in named) != kept}
                people = set().union(*(apart[(*key, kind)] for kind in outside)) - visible(person)
                assert safe(people), "the group without the filter, less the group, would be a few"
        assert free
    assert some, "something is shown"
    if dimensions in (("city", "month"), ("department", "leave_type")):
        assert hidden, "something is hidden"


def _labels(one: Filter) -> set[str]:
    return {"annual": {"Annual leave"}, "parental": {"Parental leave"}}[one.values[0]]


async def test_sides_that_differ_by_a_few_days_stay_with_the_visible_people(asking: Any) -> None:
    """The difference of two overlapping periods would be what a few people did on the days between."""
    month = Period(date(2026, 3, 1), date(2026, 4, 1))
    longer = Period(date(2026, 3, 1), date(2026, 4, 2))
    before = Period(date(2026, 2, 1), date(2026, 3, 1))
    overlapping = await asking(_comparison(month, longer), "E00060", "employee")
    assert any("may see" in note and "Counts only" in note for note in overlapping.table.notes)
    following = await asking(_comparison(before, month), "E00060", "employee")
    assert not any("Counts only" in note for note in following.table.notes)


def _comparison(*periods: Period) -> Query:
    sides = tuple(Side(label=str(period), period=period) for period in periods)
    return Query(
        "leave", Aggregation.COMPARE, ("leave_days_applied",), population=Population.COMPANY, sides=sides, period=year
    )


async def test_a_second_question_of_the_same_answer_cannot_be_subtracted_from_the_first(
    pack: Any, engine: Any, moment: Any, asking: Any
) -> None:
    from tiermesh_aggregator.query import Viewer

    viewer = Viewer("E00060", frozenset({"employee"}))

    async def ask(query: Query, answer: str) -> Any:
        return (await asking.answering.answer(query, moment, viewer, 20, answer_id=answer)).table

    shorter = Period(date(2026, 1, 1), date(2026, 12, 31))
    first = await ask(wide(), "r1")
    second = await ask(wide(period=shorter), "r1")
    elsewhere = await ask(wide(period=shorter), "r2")
    assert float(first.rows[0][0]) > 100
    assert float(elsewhere.rows[0][0]) > 100
    assert float(second.rows[0][0] or 0) < 100
    assert any("Counts only" in note for note in second.notes)
    again = await ask(wide(), "r1")
    assert again.rows == first.rows, "the same question may be asked again"


def asked(start: int, end: int, grains: str = "", **choices: set[str]) -> Summed:
    period = Period(date(2026, start, 1), date(2026, end, 1))
    words = {name: ("in", frozenset(values)) for name, values in choices.items()}
    return Summed(frozenset({"m"}), period, frozenset(grains.split()), words)


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        (asked(1, 3), asked(1, 3), True),
        (asked(1, 3), asked(3, 5), True),
        (asked(1, 3), asked(1, 4), False),
        (asked(1, 3, "week"), asked(1, 3, "month"), False),
        (asked(1, 3, "month"), asked(1, 3), True),
        (asked(1, 3, city={"A", "B"}), asked(1, 3, city={"A"}), False),
        (asked(1, 3, city={"A"}), asked(1, 3, city={"B"}), True),
        (asked(1, 3, city={"A"}), asked(1, 3), True),
        (asked(1, 3, city={"A"}, kind={"x"}), asked(1, 3, city={"A"}), True),
        (asked(1, 3, city={"A"}, kind={"x"}), asked(1, 3), True),
        (asked(1, 3, city={"A"}, kind={"x"}), asked(1, 3, place={"A"}), False),
        (replace(asked(1, 3), parts=frozenset({"n"})), asked(1, 4), True),
    ],
)
def test_two_sums_go_together_when_their_difference_is_guarded(one: Summed, other: Summed, together: bool) -> None:
    assert compatible(one, other) is together
    assert compatible(other, one) is together


def test_what_was_refused_is_not_remembered() -> None:
    disclosed = Disclosed()
    assert disclosed.admits(("a", "p"), [asked(1, 3)])
    assert not disclosed.admits(("a", "p"), [asked(1, 4)])
    assert disclosed.admits(("a", "p"), [asked(3, 4)])
    assert disclosed.admits(("b", "p"), [asked(1, 4)])
