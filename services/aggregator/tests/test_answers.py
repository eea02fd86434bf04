"""What answers say beyond their figures: ties, cuts, gaps, sides, outliers, suppressed groups, captions."""

from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from tiermesh_aggregator.failures import BadFieldError, BadPeriodError, UnknownNameError
from tiermesh_aggregator.query import Aggregation, Filter, Ordering, OutlierRule, Period, Population, Query, Side

year = Period(date(2026, 1, 1), date(2027, 1, 1))
hr = ("employee", "hr_admin")


def column(answer: Any, name: str) -> list[Any]:
    index = [one.name for one in answer.table.columns].index(name)
    return [row[index] for row in answer.table.rows]


async def test_who_applied_for_the_most_leave_is_one_statement_and_the_plain_answer(
    asking: Any, frames: dict[str, pd.DataFrame], visible: Any
) -> None:
    answer = await asking(Query("leave", Aggregation.RANK, ("leave_days_applied",), period=year, limit=5))
    requests = frames["leave_requests"]
    mine = requests[requests.employee_id.isin(visible("E00014")) & (requests.status != "cancelled")]
    mine = mine[(mine.applied_on >= "2026-01-01") & (mine.applied_on < "2027-01-01")]
    plain = mine.groupby("employee_id").days.sum().sort_values(ascending=False)
    assert [Decimal(one) for one in column(answer, "leave_days_applied")[:5]] == [
        Decimal(str(one)) for one in plain[:5]
    ]
    assert answer.table.statements == 1
    assert answer.table.caption == "Leave days applied for by employee, 2026-01-01 to 2026-12-31"
    assert len(answer.table.fingerprint) == 16


async def test_the_least_counts_people_without_any_record_as_zero(asking: Any, visible: Any) -> None:
    order = (Ordering("leave_cancelled", descending=False),)
    day = Period(date(2026, 11, 19), date(2026, 11, 20))
    query = Query("leave", Aggregation.RANK, ("leave_cancelled",), period=day, order_by=order, limit=50)
    answer = await asking(query)
    assert set(column(answer, "employee_id")) <= visible("E00014")
    assert len(answer.table.rows) > 5
    assert column(answer, "leave_cancelled")[0] == 0


async def test_ties_at_the_end_of_a_ranking_are_kept_and_told(asking: Any, frames: dict[str, pd.DataFrame]) -> None:
    query = Query(
        "people", Aggregation.RANK, ("headcount",), ("grade",), limit=1, order_by=(Ordering("headcount", False),)
    )
    answer = await asking(query, "E00007", *hr)
    people = frames["employees"]
    counts = people[people.left_on.isna() & (people.hired_on <= "2026-11-20")].groupby("grade").size()
    smallest = int((counts == counts.min()).sum())
    assert len(answer.table.rows) == smallest
    if smallest > 1:
        assert any("tie" in note for note in answer.table.notes)


async def test_a_development_shows_empty_months_as_zero(asking: Any) -> None:
    query = Query("leave", Aggregation.TREND, ("leave_rejected",), ("month",), period=year)
    answer = await asking(query, "E00016", "employee")
    assert column(answer, "month") == [f"2026-{month:02d}-01" for month in range(1, 12)]
    assert all(isinstance(value, int) for value in column(answer, "leave_rejected"))


async def test_two_periods_side_by_side_are_one_statement_with_the_difference(asking: Any) -> None:
    last = Period(date(2025, 1, 1), date(2026, 1, 1))
    sides = (Side(label="last year", period=last), Side(label="this year", period=year))
    answer = await asking(Query("leave", Aggregation.COMPARE, ("leave_days",), sides=sides))
    alone = [await asking(Query("leave", Aggregation.SUM, ("leave_days",), period=one)) for one in (last, year)]
    values = column(answer, "leave_days")
    assert values == [one.table.rows[0][0] for one in alone]
    assert column(answer, "side") == ["last year", "this year"]
    assert Decimal(column(answer, "leave_days_difference")[1]) == Decimal(values[1]) - Decimal(values[0])
    assert answer.table.statements == 1


async def test_places_can_be_compared_by_their_names(asking: Any) -> None:
    sides = (Side(named="Berlin"), Side(named="London"))
    answer = await asking(Query("people", Aggregation.COMPARE, ("headcount",), sides=sides), "E00007", *hr)
    assert len(answer.table.rows) == 2
    assert answer.resolved.group_by[0] in ("location", "city")


async def test_a_list_is_bounded_ordered_and_says_when_it_is_cut(asking: Any) -> None:
    answer = await asking(Query("leave", Aggregation.LIST, ("requests",), period=year, limit=3))
    assert len(answer.table.rows) == 3
    assert answer.table.truncated
    assert column(answer, "start_date") == sorted(column(answer, "start_date"), reverse=True)


async def test_lines_over_the_limit_are_those_above_the_models_limit(
    asking: Any, frames: dict[str, pd.DataFrame]
) -> None:
    rule = OutlierRule(over_limit=True)
    answer = await asking(
        Query("expenses", Aggregation.OUTLIERS, period=year, outliers=rule, limit=1000), "E00007", *hr
    )
    lines = frames["expense_lines"].merge(frames["expense_limits"], on="category")
    lines = lines[(lines.spent_on >= "2026-01-01") & (lines.amount_eur > lines.limit_eur)]
    # Expenses are not the people administrator's to see, only their own tree's.
    finance = await asking(
        Query("expenses", Aggregation.OUTLIERS, period=year, outliers=rule, limit=1000), "E00006", "finance"
    )
    assert len(finance.table.rows) == len(lines)
    assert len(answer.table.rows) <= len(finance.table.rows)


async def test_duplicates_agree_in_everything_that_the_model_names(
    asking: Any, frames: dict[str, pd.DataFrame]
) -> None:
    query = Query("expenses", Aggregation.OUTLIERS, period=Period(), outliers=OutlierRule(duplicates=True), limit=1000)
    answer = await asking(query, "E00006", "finance")
    same = ["employee_id", "spent_on", "amount", "currency", "category"]
    expected = frames["expense_lines"].duplicated(same, keep=False).sum()
    assert len(answer.table.rows) == expected


async def test_deviations_are_measured_within_the_group(asking: Any, frames: dict[str, pd.DataFrame]) -> None:
    query = Query("expenses", Aggregation.OUTLIERS, period=Period(), outliers=OutlierRule(deviations=2.5), limit=1000)
    answer = await asking(query, "E00006", "finance")
    lines = frames["expense_lines"]
    spread = lines.groupby("category").amount_eur
    distance = (lines.amount_eur - spread.transform("mean")) / spread.transform("std")
    assert len(answer.table.rows) == (distance.abs() > 2.5).sum()


async def test_all_years_are_shown_when_a_balance_is_asked_by_year(
    asking: Any, frames: dict[str, pd.DataFrame]
) -> None:
    query = Query("leave", Aggregation.SUM, ("remaining_days",), ("balance_year",), period=Period())
    answer = await asking(query, "E00007", *hr)
    plain = frames["leave_balances"].groupby("year").remaining_days.sum()
    got = dict(zip(column(answer, "balance_year"), column(answer, "remaining_days"), strict=True))
    assert {int(key): float(value) for key, value in got.items()} == pytest.approx(plain.to_dict())


async def test_zero_rows_say_so(asking: Any) -> None:
    future = Period(date(2100, 1, 1), date(2100, 2, 1))
    total = await asking(Query("leave", Aggregation.SUM, ("leave_days",), period=future))
    assert total.table.rows == [["0"]]
    assert "No records match: the figure is zero." in total.table.notes
    listed = await asking(Query("leave", Aggregation.LIST, period=future))
    assert listed.table.rows == []
    assert "No records match." in listed.table.notes


async def test_groups_that_hold_few_unseen_people_are_suppressed(
    asking: Any, frames: dict[str, pd.DataFrame], visible: Any
) -> None:
    query = Query(
        "performance",
        Aggregation.AVERAGE,
        ("rating",),
        ("department",),
        period=year,
        population=Population.COMPANY,
        limit=1000,
    )
    answer = await asking(query, "E00016", "employee")
    reviews = frames["reviews"].merge(frames["review_cycles"][["cycle_id", "start_date"]], on="cycle_id")
    reviews = reviews[reviews.rating.notna() & (reviews.start_date >= "2026-01-01")]
    reviews = reviews.merge(frames["employees"][["employee_id", "department_id"]], on="employee_id")
    unseen = reviews[~reviews.employee_id.isin(visible("E00016"))].groupby("department_id").employee_id.nunique()
    small = set(unseen[unseen < 5].index)
    names = frames["departments"].set_index("department_id").name
    assert small
    assert not set(column(answer, "department")) & set(names[list(small)])
    assert answer.table.suppressed_groups == len(small)
    assert len(answer.table.rows) == reviews.department_id.nunique() - len(small)


async def test_a_wide_question_never_names_single_people(asking: Any, visible: Any) -> None:
    query = Query(
        "performance",
        Aggregation.RANK,
        ("rating",),
        ("employee",),
        period=year,
        population=Population.COMPANY,
        limit=1000,
    )
    answer = await asking(query, "E00016", "employee")
    assert set(column(answer, "employee_id")) <= visible("E00016")


async def test_salaries_are_never_summed_up_beyond_the_visible_people(asking: Any) -> None:
    query = Query("payroll", Aggregation.AVERAGE, ("annual_salary",), population=Population.COMPANY)
    everybody = await asking(query, "E00007", *hr)
    alone = await asking(query, "E00016", "employee")
    own = await asking(
        Query("payroll", Aggregation.AVERAGE, ("annual_salary",), population=Population.SELF), "E00016", "employee"
    )
    assert alone.table.rows == own.table.rows != everybody.table.rows


@pytest.mark.parametrize(
    ("query", "error", "part"),
    [
        (Query("leafe", Aggregation.SUM), UnknownNameError, "leave"),
        (Query("leave", Aggregation.SUM, ("leave_dayz",)), UnknownNameError, "leave_days"),
        (Query("leave", Aggregation.SUM, group_by=("departement",)), UnknownNameError, "department"),
        (Query("leave", Aggregation.SUM, filters=(Filter("leave_type", "in", ("sikc",)),)), UnknownNameError, "sick"),
        (Query("leave", Aggregation.SUM, ("remaining_days",), ("leave_status",)), UnknownNameError, "leave_status"),
        (
            Query("leave", Aggregation.SUM, period=Period(date(2026, 2, 1), date(2026, 1, 1))),
            BadPeriodError,
            "reversed",
        ),
        (Query("leave", Aggregation.SUM, period=Period(date(2026, 1, 1), date(2026, 1, 1))), BadPeriodError, "empty"),
        (Query("leave", Aggregation.SUM, period=Period(date(2, 1, 1), date(9999, 1, 1))), BadPeriodError, "bounds"),
        (Query("leave", Aggregation.SUM, limit=0), BadFieldError, "1 to 1000"),
        (Query("leave", Aggregation.SUM, limit=10**9), BadFieldError, "1 to 1000"),
        (Query("leave", Aggregation.COMPARE), BadFieldError, "sides"),
        (
            Query("leave", Aggregation.SUM, order_by=(Ordering("days; drop table employees"),)),
            UnknownNameError,
            "measure",
        ),
        (Query("leave", Aggregation.SUM, filters=(Filter("month", "in", ("2026",)),)), BadFieldError, "date_range"),
        (Query("people", Aggregation.SUM, filters=(Filter("tenure", "at_least", ("nan",)),)), BadFieldError, "number"),
    ],
)
async def test_what_cannot_be_served_is_refused_with_the_mend(
    asking: Any, query: Query, error: type[Exception], part: str
) -> None:
    with pytest.raises(error, match=part):
        await asking(query)


hostile = [
    "'; DROP TABLE employees; --",
    'x" OR "1"="1',
    "\x00",
    "a" * 10_000,
    "%",
    "_",
    "\\",
    "{{7*7}}",
    "$1",
    "’ OR 1=1",
    "",
    "🙂",
]


@pytest.mark.parametrize("text", hostile)
async def test_hostile_names_find_nobody_and_break_nothing(asking: Any, text: str) -> None:
    for query in (
        Query("leave", Aggregation.SUM, people=(text,)),
        Query("leave", Aggregation.SUM, departments=(text,)),
        Query("leave", Aggregation.SUM, group_by=(text,)),
        Query("leave", Aggregation.SUM, (text,)),
        Query("leave", Aggregation.SUM, filters=(Filter("employee", "in", (text,)),)),
    ):
        with pytest.raises((UnknownNameError, BadFieldError)):
            await asking(query)
    open_value = Query("leave", Aggregation.SUM, filters=(Filter("job_title", "in", (text,)),))
    if "\x00" in text:
        with pytest.raises(BadFieldError):
            await asking(open_value)
    else:
        assert (await asking(open_value)).table.rows == [["0"]]
    left = await asking(Query("people", Aggregation.COUNT))
    assert int(left.table.rows[0][0]) >= 60
