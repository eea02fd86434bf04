"""Slots: what a bulk call gets, from words, the pack's defaults and the conversation."""

from collections.abc import Callable

import pytest
from tiermesh_classifier.history import History, PastTurn
from tiermesh_classifier.scores import Scores, Slot, Stage

Score = Callable[..., Scores]
RANKED = PastTurn("leave.history", "team", "window", "rank", "aggregate")


def values(slots: tuple[Slot, ...]) -> list[str]:
    return [slot.value for slot in slots]


def test_the_managers_question_is_complete_without_a_model(score: Score) -> None:
    slots = score("Who applied for the most leave this year?").slots

    assert slots.domain is not None
    assert slots.domain.value == "leave"
    assert values(slots.measures) == ["leave_days_applied"]
    assert values(slots.group_by) == ["employee"]
    assert slots.order_by is not None
    assert (slots.order_by.value, slots.descending, slots.limit) == ("leave_days_applied", True, 10)
    assert slots.date_range is not None
    assert (slots.date_range.start, slots.date_range.end) == ("2026-01-01", "2027-01-01")
    assert slots.population is not None
    assert slots.population.value in ("reports", "team")


@pytest.mark.parametrize(
    ("text", "people"),
    [
        ("Who applied for the most leave this year? This is note 12.", []),
        ("How many leave days did she take? With kind regards, Imani Adebayo", ["Imani Adebayo"]),
        ("Who was late most often this month! Add up Imani's hours", ["Imani"]),
        ("How many claims did Imani file this year? Imani's team as well", ["Imani", "Imani"]),
    ],
)
def test_the_first_word_after_a_question_or_a_call_is_no_name(score: Score, text: str, people: list[str]) -> None:
    assert values(score(text).slots.people) == people


def test_a_slot_marks_the_words_it_was_read_from(score: Score) -> None:
    text = "Wer? 🙂 Who applied for the most leave this year?"
    (measure,) = score(text).slots.measures

    assert text[measure.start : measure.end] == "applied for"


@pytest.mark.parametrize(
    ("text", "group_by"),
    [
        ("total overtime by department last month", ["department"]),
        ("sick days per month in the company this year", ["month"]),
        ("headcount by location", ["location"]),
    ],
)
def test_by_and_per_name_what_to_group_by(score: Score, text: str, group_by: list[str]) -> None:
    assert values(score(text).slots.group_by) == group_by


def test_top_five_limits_and_least_turns_the_order(score: Score) -> None:
    assert score("top 5 people by overtime last month").slots.limit == 5
    assert score("who took the least leave last year").slots.descending is False


def test_kinds_of_leave_become_filters_and_stray_words_do_not(score: Score) -> None:
    assert "leave_type=sick" in values(score("who had the most sick leave this year").slots.filters)
    assert values(score("How many leave days do I have left?").slots.filters) == []


def test_a_comparison_names_its_sides_and_both_periods(score: Score) -> None:
    slots = score("compare the overtime of Sales and Marketing last month").slots
    assert values(slots.comparison_sides) == ["Sales", "Marketing"]

    slots = score("did my team take more sick leave this year than last year?").slots
    assert slots.date_range is not None
    assert slots.compared_range is not None
    assert {slots.date_range.start, slots.compared_range.start} == {"2026-01-01", "2025-01-01"}


def test_an_average_asks_for_the_measure_that_averages(score: Score) -> None:
    assert values(score("average leave days taken per person in my team last year").slots.measures) == [
        "leave_days_per_person"
    ]


def test_whom_a_question_is_about_follows_its_scope(score: Score) -> None:
    mine = score("how many hours did I work last month").slots.population
    everyone = score("total overtime in the whole company last month").slots.population
    reports = score("sick days of my direct reports last year").slots.population

    assert mine is not None
    assert everyone is not None
    assert reports is not None
    assert (mine.value, everyone.value, reports.value) == ("self", "company", "reports")


def test_a_follow_up_keeps_the_slots_it_does_not_change(score: Score) -> None:
    first = score("Who applied for the most leave this year?")

    slots = score("what about last month?", History((RANKED,), first.slots, 1)).slots

    assert values(slots.measures) == ["leave_days_applied"]
    assert slots.measures[0].stage is Stage.INHERITED
    assert slots.date_range is not None
    assert slots.date_range.start == "2026-10-01"


def test_a_correction_replaces_one_slot(score: Score) -> None:
    first = score("Who applied for the most sick leave this year?")
    history = History((RANKED,), first.slots, 1)

    slots = score("no, I meant parental leave", history).slots

    assert values(slots.filters) == ["leave_type=parental"]
    assert slots.date_range is not None
    assert slots.date_range.start == "2026-01-01"


def test_another_domain_lets_go_of_measures_and_filters(score: Score) -> None:
    first = score("Who applied for the most sick leave this year?")
    history = History((RANKED,), first.slots, 1)

    slots = score("and who spent the most on hotels?", history).slots

    assert slots.domain is not None
    assert slots.domain.value == "expenses"
    assert "leave_type=sick" not in values(slots.filters)


def test_an_event_without_a_date_stays_unresolved(score: Score) -> None:
    slots = score("total sick days in my team since the re-org").slots

    assert slots.date_range is not None
    assert slots.date_range.unresolved
    assert (slots.date_range.start, slots.date_range.phrase) == ("", "since the re-org")


def test_a_booking_for_friday_means_the_next_one(score: Score) -> None:
    slots = score("book me Friday off").slots

    assert slots.date_range is not None
    assert slots.date_range.start == "2026-11-27"


def test_the_last_twelve_months_are_a_period_and_no_number_of_rows(score: Score) -> None:
    slots = score("How did overtime develop over the last 12 months in my team?").slots
    assert slots.limit is None
    assert slots.date_range.start < slots.date_range.end
    assert score("top 5 late arrivals in the last 3 months").slots.limit == 5


def test_a_word_of_the_domain_that_names_a_measure_of_its_own_is_that_measure(score: Score) -> None:
    slots = score("How did overtime develop over the last 12 months in my team?").slots
    assert [measure.value for measure in slots.measures] == ["overtime_hours"]


@pytest.mark.parametrize(
    ("text", "person", "words"),
    [
        ("who in Priya's team took the most leave this year", "Priya", "Priya's team"),
        ("sick days of Mr Schneider's direct reports last year", "Schneider", "Mr Schneider's direct reports"),
        ("how much overtime did the team of Priya do last month", "Priya", "Priya"),
    ],
)
def test_somebodys_team_is_the_people_below_them(score: Score, text: str, person: str, words: str) -> None:
    slots = score(text).slots

    assert (values(slots.people), slots.departments) == ([person], ())
    assert slots.population is not None
    assert slots.population.value == "named_reports"
    assert text[slots.population.start : slots.population.end] == words


def test_a_departments_people_are_no_persons_reports(score: Score) -> None:
    slots = score("how many sick days did the Sales team have last month").slots

    assert values(slots.departments) == ["Sales"]
    assert slots.people == ()
