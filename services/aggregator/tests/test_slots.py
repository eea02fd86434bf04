"""The classifier's slots become a question when they are complete and sure, and say what lacks otherwise."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from tiermesh_aggregator.failures import SlotsIncompleteError
from tiermesh_aggregator.query import Aggregation, Filter, Moment, Ordering, Period, Population, Query, Side, Viewer
from tiermesh_aggregator.slots import Said, SaidPeriod, Slots, question
from tiermesh_pack.pack import Pack

this_year = Period(date(2026, 1, 1), date(2027, 1, 1))
most_leave = Slots(
    intent="leave.history",
    aggregation=Said("rank", 0.9),
    cardinality=Said("team", 0.9),
    temporal=Said("window", 0.9),
    domain=Said("leave", 0.9),
    measures=[Said("leave_days_applied", 0.9)],
    group_by=[Said("employee", 0.7, inherited=True)],
    descending=True,
    limit=10,
    period=SaidPeriod(this_year, "this year"),
    population=Said("team", 0.6, inherited=True),
)


@pytest.fixture
def compiled(pack: Pack, moment: Moment) -> Any:
    def compile_slots(slots: Slots, *roles: str) -> Query:
        viewer = Viewer("E00014", frozenset(roles or ("employee", "manager")))
        return question(pack.semantic, slots, moment, viewer, sure=0.5)

    return compile_slots


def test_complete_slots_are_the_question(compiled: Any) -> None:
    query = compiled(most_leave)
    assert query.measures == ("leave_days_applied",)
    assert query.group_by == ("employee",)
    assert query.order_by == (Ordering("leave_days_applied", descending=True),)
    assert query.period == this_year
    assert query.population is Population.ALL_REPORTS


def test_a_team_without_reports_is_the_department(compiled: Any) -> None:
    assert compiled(most_leave, "employee").population is Population.DEPARTMENT


def test_a_missing_measure_is_the_default_of_intent_and_aggregation(compiled: Any) -> None:
    assert compiled(replace(most_leave, measures=[])).measures == ("leave_days",)


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"measures": [Said("leave_days", 0.2)]}, "measures"),
        ({"measures": [Said("nonsense", 0.9)]}, "measures"),
        ({"aggregation": Said("no_signal", 0.9)}, "aggregation"),
        ({"aggregation": Said("rank", 0.3)}, "aggregation"),
        ({"domain": None, "intent": "chat.greeting"}, "domain"),
        ({"filters": [Said("shape=round", 0.9)]}, "filters"),
        ({"period": SaidPeriod(Period(), "since the re-org", unresolved=True)}, "date_range"),
        ({"departments": [Said("Somewhere", 0.4)]}, "departments"),
        ({"aggregation": Said("compare", 0.9), "group_by": []}, "comparison_sides"),
    ],
)
def test_what_lacks_is_named(compiled: Any, changes: dict[str, Any], missing: str) -> None:
    with pytest.raises(SlotsIncompleteError) as refused:
        compiled(replace(most_leave, **changes))
    assert missing in refused.value.missing


@pytest.mark.parametrize(
    ("measure", "said", "kept"),
    [
        ("late_arrivals", "attendance_status=present", ("present",)),
        ("remote_days", "attendance_status=remote", ()),
        ("remote_rate", "attendance_status=remote", ()),
    ],
)
def test_a_filter_that_repeats_its_measure_is_let_go(
    compiled: Any, measure: str, said: str, kept: tuple[str, ...]
) -> None:
    slots = Slots(
        "attendance.summary", Said("sum"), Said("team"), Said("window"), measures=[Said(measure)], filters=[Said(said)]
    )
    assert tuple(value for one in compiled(slots).filters for value in one.values) == kept


def test_a_filter_against_its_measure_is_not_guessed_at(compiled: Any) -> None:
    with pytest.raises(SlotsIncompleteError, match="filters"):
        compiled(replace(most_leave, measures=[Said("leave_days")], filters=[Said("leave_status=pending")]))


def test_a_filter_read_from_the_measures_own_words_is_let_go(compiled: Any) -> None:
    left = Said("leavers", start=9, end=13)
    slots = Slots("people.lifecycle", Said("count"), Said("org"), Said("window"), measures=[left])
    same = replace(slots, filters=[Said("event=left", start=9, end=13)])
    assert compiled(same).filters == ()
    with pytest.raises(SlotsIncompleteError, match="filters"):
        compiled(replace(slots, filters=[Said("event=left", start=20, end=24)]))


def test_two_periods_are_two_sides(compiled: Any) -> None:
    last_year = SaidPeriod(Period(date(2025, 1, 1), date(2026, 1, 1)), "last year")
    query = compiled(replace(most_leave, aggregation=Said("compare"), compared=last_year, group_by=[]))
    assert query.sides == (Side("this year", period=this_year), Side("last year", period=last_year.period))


def test_two_people_are_two_sides(compiled: Any) -> None:
    people = [Said("Farhan"), Said("Jia Hui")]
    query = compiled(replace(most_leave, aggregation=Said("compare"), people=people, sides=people, group_by=[]))
    assert query.sides == (Side(people=("Farhan",)), Side(people=("Jia Hui",)))
    assert query.people == ()


def test_a_measures_own_ranking_beats_the_domains_default(compiled: Any) -> None:
    slots = Slots(
        "people.org", Said("rank"), Said("team"), Said("now"), group_by=[Said("department", 0.7, inherited=True)]
    )
    assert compiled(slots).group_by == ("reports_to",)
    named = replace(slots, group_by=[Said("department", 0.9)])
    assert compiled(named).group_by == ("department",)


def test_none_over_several_people_is_the_intents_list(compiled: Any) -> None:
    query = compiled(Slots("leave.calendar", Said("none"), Said("team"), Said("now")))
    assert query.aggregation is Aggregation.LIST
    assert query.measures == ("away",)


def test_an_unbounded_past_is_all_time_by_year(compiled: Any) -> None:
    query = compiled(Slots("leave.history", Said("trend"), Said("org"), Said("multi_year")))
    assert query.period == Period()
    assert query.group_by == ("year",)
    assert query.population is Population.COMPANY


def test_people_in_a_question_about_leavers_is_no_word_for_the_headcount(compiled: Any) -> None:
    left = replace(
        most_leave,
        intent="people.lifecycle",
        domain=Said("people", 0.9),
        aggregation=Said("count", 0.9),
        measures=[Said("headcount", 0.75)],
        group_by=[],
    )
    with pytest.raises(SlotsIncompleteError) as incomplete:
        compiled(left)
    assert incomplete.value.missing == ("measures",)
    assert compiled(replace(left, measures=[Said("leavers", 0.75)])).measures == ("leavers",)
    assert compiled(replace(left, intent="people.org")).measures == ("headcount",)


def test_the_people_below_somebody_named_are_those_whose_manager_that_is(compiled: Any) -> None:
    below = replace(most_leave, people=[Said("Priya", 0.8)], population=Said("named_reports", 0.8))
    query = compiled(below)

    assert query.filters == (Filter("manager", "in", ("Priya",)),)
    assert (query.named, query.people, query.population) == ((), (), Population.VISIBLE)


def test_the_people_below_two_are_not_guessed_at(compiled: Any) -> None:
    two = [Said("Priya", 0.8), Said("Omar", 0.8)]
    with pytest.raises(SlotsIncompleteError, match="population"):
        compiled(replace(most_leave, people=two, population=Said("named_reports", 0.8)))
