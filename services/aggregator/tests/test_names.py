"""Names of people and departments: found, ambiguous, unknown, unseen."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pandas as pd
import pytest
from tiermesh_aggregator.failures import AmbiguousNameError, UnknownNameError
from tiermesh_aggregator.names import plain
from tiermesh_aggregator.query import Aggregation, Filter, Period, Population, Query

year = Period(date(2026, 1, 1), date(2027, 1, 1))


def of(*people: str, **more: Any) -> Query:
    return Query("leave", Aggregation.SUM, ("leave_days",), period=year, people=people, **more)


async def test_a_name_costs_one_statement_more_and_this_is_counted(
    asking: Any, frames: dict[str, pd.DataFrame]
) -> None:
    name = frames["employees"].set_index("employee_id").full_name["E00016"]
    answer = await asking(of(name))
    assert answer.resolved.people == ("E00016",)
    assert answer.table.statements == 2
    assert name in answer.table.caption


async def test_case_accents_and_a_typo_do_not_hide_a_person(asking: Any, frames: dict[str, pd.DataFrame]) -> None:
    name = frames["employees"].set_index("employee_id").full_name["E00016"]
    first, last = name.split(" ", 1)
    for written in (name.upper(), f"{first} {last[:-1]}{last[-2]}", plain(name), "e00016"):
        assert (await asking(of(written))).resolved.people == ("E00016",), written


async def test_a_name_that_fits_several_is_a_question_back(asking: Any) -> None:
    with pytest.raises(AmbiguousNameError) as asked:
        await asking(of("Anna"))
    assert "Anna" in asked.value.question
    assert 2 <= len(asked.value.options) <= 10


async def test_somebody_unseen_is_as_unknown_as_nobody(asking: Any, frames: dict[str, pd.DataFrame]) -> None:
    people = frames["employees"].set_index("employee_id")
    for written in (people.full_name["E00002"], "E00002", "Nobody Atall"):
        with pytest.raises(UnknownNameError, match="no person whose records you may see"):
            await asking(of(written), "E00016", "employee")


async def test_me_needs_no_look_up(asking: Any) -> None:
    answer = await asking(of("me"))
    assert answer.resolved.people == ("E00014",)
    assert answer.table.statements == 1


async def test_departments_are_found_by_part_of_their_name(asking: Any) -> None:
    query = Query("leave", Aggregation.SUM, departments=("engineerin",), population=Population.COMPANY, period=year)
    answer = await asking(query, "E00007", "hr_admin")
    assert answer.labels[answer.resolved.departments[0]] == "Engineering"


async def test_a_place_named_like_a_department_becomes_a_filter(asking: Any) -> None:
    query = Query("people", Aggregation.COUNT, departments=("Germany",))
    answer = await asking(query)
    assert answer.resolved.filters == (Filter("country", "in", ("DE",)),)
    assert answer.resolved.departments == ()


async def test_filters_by_person_take_names(asking: Any, frames: dict[str, pd.DataFrame]) -> None:
    name = frames["employees"].set_index("employee_id").full_name["E00014"]
    answer = await asking(Query("people", Aggregation.COUNT, filters=(Filter("manager", "in", (name,)),)))
    people = frames["employees"]
    expected = ((people.manager_id == "E00014") & people.left_on.isna()).sum()
    assert answer.table.rows == [[expected]]


async def test_a_word_of_unknown_kind_may_be_a_place_or_a_person(asking: Any) -> None:
    place = await asking(Query("people", Aggregation.COUNT, named=("Berlin",)))
    assert place.resolved.filters
    assert place.resolved.people == ()
    person = await asking(Query("leave", Aggregation.SUM, named=("E00016",), period=year))
    assert person.resolved.people == ("E00016",)


async def test_the_team_of_a_person_are_the_reports_of_that_person(
    asking: Any, frames: dict[str, pd.DataFrame], visible: Callable[[str], set[str]]
) -> None:
    """A slot names Priya where the question says "Priya's team"."""
    people = frames["employees"].set_index("employee_id")
    manager = next(one for one in people.index if 2 < len(visible(one)) < 20 and people.left_on.isna()[one])
    query = Query("leave", Aggregation.LIST, ("requests",), period=Period(), limit=1000)
    answer = await asking(replace(query, departments=(people.full_name[manager],)), "E00007", "hr_admin")
    assert answer.resolved.teams == (manager,)
    expected = (visible(manager) - {manager}) & set(frames["leave_requests"].employee_id)
    assert {row[0] for row in answer.table.rows} == expected
    assert f"team of {people.full_name[manager]}" in answer.table.caption
    again = await asking(answer.resolved, "E00007", "hr_admin")
    assert again.table.rows == answer.table.rows
    outsider = await asking(answer.resolved, "E00007", "hr_admin")
    assert outsider.table.rows, "the role sees them"
    with pytest.raises(UnknownNameError, match="department or place"):
        await asking(replace(query, departments=(people.full_name["E00002"],)), "E00060", "employee")


async def test_two_departments_named_in_a_comparison_are_its_sides(asking: Any) -> None:
    query = Query("leave", Aggregation.COMPARE, ("leave_days",), period=year, departments=("Engineering", "Sales"))
    answer = await asking(query, "E00007", "hr_admin")
    assert [row[0] for row in answer.table.rows] == ["Engineering", "Sales"]
    assert answer.table.statements == 2
    people = await asking(replace(query, departments=(), people=("E00014", "E00016")), "E00007", "hr_admin")
    assert len(people.table.rows) == 2
