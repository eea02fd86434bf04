"""Periods: what the words denote, on 22 November 2026, a Sunday."""

import itertools
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiermesh_classifier.reading.calendar import Calendar
from tiermesh_classifier.reading.periods import find_periods

TODAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    ("words", "start", "end"),
    [
        ("this year", "2026-01-01", "2027-01-01"),
        ("last year", "2025-01-01", "2026-01-01"),
        ("last month", "2026-10-01", "2026-11-01"),
        ("next month", "2026-12-01", "2027-01-01"),
        ("last quarter", "2026-07-01", "2026-10-01"),
        ("in Q3", "2026-07-01", "2026-10-01"),
        ("Q4 2024", "2024-10-01", "2025-01-01"),
        ("H1", "2026-01-01", "2026-07-01"),
        ("the first half of 2025", "2025-01-01", "2025-07-01"),
        ("in March", "2026-03-01", "2026-04-01"),
        ("in December", "2025-12-01", "2026-01-01"),
        ("since January", "2026-01-01", "2026-11-23"),
        ("the past 12 months", "2025-11-23", "2026-11-23"),
        ("last 90 days", "2026-08-25", "2026-11-23"),
        ("2024", "2024-01-01", "2025-01-01"),
        ("2021 to 2024", "2021-01-01", "2025-01-01"),
        ("since 2019", "2019-01-01", "2026-11-23"),
        ("yesterday", "2026-11-21", "2026-11-22"),
        ("last Friday", "2026-11-20", "2026-11-21"),
        ("next Tuesday", "2026-11-24", "2026-11-25"),
        ("two months ago", "2026-09-01", "2026-10-01"),
        ("so far this year", "2026-01-01", "2026-11-23"),
        ("from 3 until 21 of July", "2026-07-03", "2026-07-22"),
        ("between January and June", "2026-01-01", "2026-07-01"),
        ("over Easter", "2026-04-03", "2026-04-07"),
        ("next two weeks", "2026-11-22", "2026-12-06"),
    ],
)
def test_a_period_in_words_becomes_half_open_dates(words: str, start: str, end: str) -> None:
    found = find_periods(f"who was away {words.lower()}?", Calendar(TODAY))

    assert [(str(period.start), str(period.end)) for period in found] == [(start, end)]


def test_quarters_and_fiscal_years_follow_the_fiscal_calendar() -> None:
    calendar = Calendar(TODAY, fiscal_start_month=4)

    assert [(p.start, p.end) for p in find_periods("spend in q2", calendar)] == [(date(2026, 7, 1), date(2026, 10, 1))]
    assert [(p.start, p.end) for p in find_periods("this financial year", calendar)] == [
        (date(2026, 4, 1), date(2027, 4, 1))
    ]
    assert [(p.start, p.end) for p in find_periods("this year", calendar)] == [(date(2026, 1, 1), date(2027, 1, 1))]


def test_a_period_of_an_event_is_found_and_left_unresolved() -> None:
    (period,) = find_periods("sick days since the re-org", Calendar(TODAY))

    assert period.unresolved
    assert period.start is None


def test_the_unbounded_past_has_no_start_and_ends_today() -> None:
    (period,) = find_periods("since i joined", Calendar(TODAY))

    assert (period.start, period.end, period.unresolved) == (None, date(2026, 11, 23), False)


def test_two_periods_of_a_comparison_are_both_found() -> None:
    found = find_periods("q3 against q2", Calendar(TODAY))

    assert [str(period.start) for period in found] == ["2026-07-01", "2026-04-01"]


@pytest.mark.parametrize("words", ["31 june is no day, may i go", "may i take it", "room 4711", "version 1999a"])
def test_words_that_only_look_like_a_period_name_no_day(words: str) -> None:
    assert all(period.days != 1 for period in find_periods(words, Calendar(TODAY)))


def test_a_bare_weekday_that_has_passed_is_the_next_one_where_the_question_looks_ahead() -> None:
    (period,) = find_periods("off on friday", Calendar(TODAY))

    assert period.start == date(2026, 11, 20)
    assert period.upcoming(TODAY).start == date(2026, 11, 27)


@given(st.text(max_size=300), st.dates(date(1990, 1, 1), date(2090, 1, 1)), st.integers(1, 12))
def test_any_text_on_any_day_gives_ordered_periods_that_do_not_overlap(text: str, today: date, month: int) -> None:
    found = find_periods(text.lower(), Calendar(today, month))

    assert all(left.end_at <= right.start_at for left, right in itertools.pairwise(found))
    assert all(p.start < p.end for p in found if p.start is not None and p.end is not None)
