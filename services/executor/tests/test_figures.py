"""Verified figures: what may be said of rows, and the hostile ways of saying what may not."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiermesh_executor.figure_facts import Facts
from tiermesh_executor.figure_reading import FigureKind, read_figures
from tiermesh_executor.figures import FigureGuard
from tiermesh_executor.tables import Cell, CellType, Column, Table

TODAY = date(2026, 11, 22)
LEAVE = Table(
    [
        Column("employee", "Employee", "string"),
        Column("leave_days", "Leave days", "decimal", unit="days", measure=True),
    ],
    [["Anna Schmidt", "24.50"], ["Ben Ode", "12.00"], ["Carla Diaz", "7.00"]],
    caption="Leave days by employee, 2026-01-01 to 2026-11-22",
)
MONEY = Table(
    [
        Column("department", "Department", "string"),
        Column("amount", "Amount", "decimal", currency="EUR", measure=True),
        Column("claims", "Claims", "integer", measure=True),
    ],
    [["Sales", "1234567.89", 1042], ["Research", "-987.50", 12], ["B2B", "40250.00", 77]],
)
RATES = Table(
    [Column("month", "Month", "date"), Column("late_share", "Late share", "double", unit="share", measure=True)],
    [["2026-07-01", 0.1234], ["2026-08-01", 0.25]],
)


def guard(
    *tables: Table, question: str = "Who took the most leave this year? Top 5", locale: str = "en"
) -> FigureGuard:
    return FigureGuard(lambda: Facts(tables, [question], today=TODAY, locale=locale), locale=locale)


@pytest.mark.parametrize(
    "sentence",
    [
        "Anna Schmidt took the most leave with 24.5 days.",
        "Anna took 24.50 days, followed by Ben with 12.",
        "Anna, Ben and Carla took 24.5, 12 and 7 days respectively.",
        "Anna took about 25 days.",
        "Anna took more than 20 days.",
        "Carla took seven days.",
        "Ben took a dozen days.",
        "Together they took 43.5 days.",
        "Anna took 12.5 days more than Ben.",
        "Ben took 12.5 fewer days than Anna.",
        "Anna took roughly twice as many days as Ben.",
        "Anna took 56.3 % of the days.",
        "Three people took leave.",
        "The top 3 are Anna, Ben and Carla.",
        "These are the top 5.",
        "Carla is the 3rd.",
        "1. Anna",
        "From 1 January 2026 to 21 November 2026.",
        "Between 2026-01-01 and 2026-11-22 it was so.",
        "So far in 2026 nobody took more.",
        "Today, November 22, 2026, it is so.",
        "No figure at all.",
        "She works from B2 upstairs.",
    ],
)
def test_what_follows_from_the_rows_is_released(sentence: str) -> None:
    assert guard(LEAVE).unverified(sentence) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "Anna Schmidt took 25.5 days.",
        "Anna took 12 days.",  # Ben's
        "Anna took 24.5 hours.",
        "They took 43.5 days.",  # a sum that is not called one
        "In total they took 44.5 days.",
        "Anna took 13.5 days more than Ben.",
        "Anna took three times as many days as Ben.",
        "Anna took 57.3% of the days.",
        "Four people took leave.",
        "Forty-two people took leave.",
        "Ben took -12 days.",
        "Ben took minus 12 days.",
        "Anna spent $24.50 on it.",
        "Carla took 7% of the days.",
        "In 2025 it was less.",
        "On 3 March 2026 she was away.",
        "In Q4 2024 it was so.",
        "E00007 took the most.",
        "The range is 7-13 days.",
        "She came at 09:15.",
        "Anna took 2\u200b4.5\u200b9 days.",  # invisible characters between the digits
        "Anna took ２６ days.",  # full-width digits
        "Anna took ٢٦ days.",
        "Half of the days were Carla's.",
        "About 30 days for Anna.",
        "Anna took 24,5,9 days.",
        "The 44th colleague took none.",
    ],
)
def test_what_does_not_follow_is_held(sentence: str) -> None:
    assert guard(LEAVE).unverified(sentence) != []


@pytest.mark.parametrize(
    ("locale", "sentence", "released"),
    [
        ("en-GB", "Sales claimed EUR 1,234,567.89.", True),
        ("en-GB", "Sales claimed €1.2 million.", True),
        ("en-GB", "Sales claimed €1,234.6k.", True),
        ("en-GB", "Sales claimed €1.3 million.", False),
        ("en-GB", "Sales claimed 1.234.567,89 EUR.", True),
        ("de-DE", "Sales: 1.234.567,89 €.", True),
        ("de-DE", "Sales: 1.042 claims.", True),
        ("en-GB", "Sales: 1.042 claims.", False),
        ("en-GB", "Sales: 1,042 claims.", True),
        ("de-DE", "Sales: 1,042 claims.", False),
        ("fr-FR", "Sales : 1\u202f234\u202f567,89 €.", True),
        ("fr-CH", "Sales: 1'234'567.89 EUR.", True),
        ("en-IN", "Sales claimed 12,34,567.89.", True),
        ("en-GB", "Sales claimed $1,234,567.89.", False),
        ("en-GB", "Research stands at -987.50 EUR.", True),
        ("en-GB", "Research stands at −987.50 EUR.", True),
        ("en-GB", "Research stands at 987.50 EUR.", False),
        ("en-GB", "Research fell by 987.50 EUR.", True),
        ("en-GB", "B2B claimed 40,250 EUR in 77 claims.", True),
        ("en-GB", "B2B claimed 40,250 EUR in 78 claims.", False),
    ],
)
def test_separators_signs_scales_and_currencies_are_read_as_the_locale_does(
    locale: str, sentence: str, released: bool
) -> None:
    assert (guard(MONEY, locale=locale).unverified(sentence) == []) is released


@pytest.mark.parametrize(
    ("sentence", "released"),
    [
        ("In July 12.3% were late.", True),
        ("In July 12.34 percent were late.", True),
        ("In July 25% were late.", False),
        ("In August a quarter of them were late.", True),
        ("In August two thirds of them were late.", False),
        ("In July 2026 it was 12.3%, in August 25%.", True),
        ("In September 2026 it was 25%.", False),
        ("In Q3 it rose.", True),
        ("In Q1 it rose.", False),
    ],
)
def test_shares_and_months_belong_to_their_rows(sentence: str, released: bool) -> None:
    assert (guard(RATES).unverified(sentence) == []) is released


def test_no_total_is_true_of_rows_that_were_cut() -> None:
    cut = Table(LEAVE.columns, LEAVE.rows, truncated=True)
    assert guard(cut).unverified("In total they took 43.5 days.") == ["43.5 days"]
    assert guard(cut).unverified("Three people took leave.") == ["Three"]


def test_rows_that_share_a_value_can_be_counted() -> None:
    columns = [Column("request", "Request", "string"), Column("status", "Status", "string")]
    table = Table(columns, [["a", "pending"], ["b", "approved"], ["c", "pending"]])
    assert guard(table).unverified("Two requests are pending.") == []
    assert guard(table).unverified("Six requests are pending.") == ["Six"]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Q3 and B2 on 2026-01-02 at 10:30", ["name", "name", "date", "time"]),
        ("5 of 10, i.e. 50%", ["number", "number", "percent"]),
        ("the 2nd of May, twice", ["date", "ratio"]),
        ("2019–2021", ["number", "number"]),
        ("one of them", []),
        ("a 5-day week", ["number"]),
        ("12h and 30min", ["number", "number"]),
    ],
)
def test_figures_are_told_apart(text: str, kinds: list[str]) -> None:
    assert [figure.kind for figure in read_figures(text)] == [FigureKind(kind) for kind in kinds]


@given(st.text(max_size=300))
def test_any_text_can_be_read(text: str) -> None:
    guard(LEAVE).unverified(text)


@given(st.decimals(min_value=0, max_value=10_000_000, places=2), st.integers(0, 2))
def test_every_rounding_of_a_cell_may_be_said(value: object, places: int) -> None:
    kind: CellType = "decimal"
    cell: Cell = str(value)
    table = Table([Column("x", "X", kind, measure=True)], [[cell]])
    assert guard(table).unverified(f"It is {value:,.{places}f} now.") == []


@given(st.integers(10_000, 99_999), st.integers(1, 9_000))
def test_no_other_number_may_be_said(value: int, off: int) -> None:
    table = Table([Column("x", "X", "integer", measure=True)], [[value]])
    assert guard(table, question="How many?").unverified(f"It is {value + off} now.") != []


GOALS = Table(
    [Column("title", "Goal", "string"), Column("phone", "Phone", "string"), Column("progress", "Progress", "integer")],
    [["Cut build time by a third", "+49 30 555 52610", 40], ["Ship 2 releases", "+49 30 555 52611", 75]],
)


@pytest.mark.parametrize(
    ("sentence", "released"),
    [
        ("Your goal “Cut build time by a third” stands at 40.", True),
        ("Call +49 30 555 52610.", True),
        ("A quarter of your goals is done.", False),
        ("Call +49 30 555 52619.", False),
        ("Your goal “Cut build time by a third” stands at 44.", False),
    ],
)
def test_a_text_cell_may_be_quoted_to_the_letter_and_nothing_beside_it(sentence: str, released: bool) -> None:
    assert (guard(GOALS).unverified(sentence) == []) is released
