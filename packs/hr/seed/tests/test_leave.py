"""Requests, balances and attendance agree with each other, with the calendar and with employment."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

Frames = Mapping[str, pd.DataFrame]


def test_days_are_working_days_between_the_dates(company: Frames, day_off: Callable[..., np.ndarray]) -> None:
    requests = company["leave_requests"]
    spans = (requests["end_date"] - requests["start_date"]).dt.days + 1
    rows = requests.loc[requests.index.repeat(spans)]
    days = rows["start_date"] + pd.to_timedelta(rows.groupby(level=0).cumcount(), unit="D")
    worked = pd.Series(~day_off(rows["employee_id"], days), index=rows.index).groupby(level=0).sum()
    half = requests["days"] == 0.5
    assert (requests["days"][~half] == worked[~half]).all()
    assert (worked[half] == 1).all()
    assert half.any()


def test_requests_lie_inside_employment_and_one_year(company: Frames) -> None:
    joined = company["leave_requests"].merge(company["employees"], on="employee_id")
    assert (joined["start_date"] >= joined["hired_on"]).all()
    assert (joined["applied_on"] >= joined["hired_on"]).all()
    assert ~(joined["end_date"] > joined["left_on"]).any()
    assert (joined["start_date"].dt.year == joined["end_date"].dt.year).all()


def test_nothing_was_applied_for_or_decided_after_today(company: Frames, today: pd.Timestamp) -> None:
    requests = company["leave_requests"]
    assert (requests["applied_on"] <= today).all()
    assert not (requests["decided_on"] > today).any()
    assert not (requests["decided_on"] < requests["applied_on"]).any()
    decided = requests["status"].isin(["approved", "rejected"])
    assert (requests["decided_on"].notna() == decided).all()
    assert (requests["decided_by"].notna() == decided).all()


def test_there_is_leave_to_come_and_something_to_decide(company: Frames, today: pd.Timestamp) -> None:
    requests = company["leave_requests"]
    ahead = requests[requests["start_date"] > today]
    assert (ahead["status"] == "approved").sum() > 20
    pending = requests[requests["status"] == "pending"]
    assert len(pending) > 20
    assert (pending["start_date"] > today).all()
    assert set(requests.loc[requests["leave_type"] == "sick", "status"]) == {"approved"}
    assert not (requests.loc[requests["leave_type"] == "sick", "start_date"] > today).any()


@pytest.mark.parametrize("as_of", [date(2025, 1, 2), date(2025, 6, 14), date(2025, 12, 31)])
def test_the_managers_team_always_has_requests_waiting(
    make: Callable[..., Frames], personas: dict[str, Any], as_of: date
) -> None:
    tables = make(only={"leave_requests", "reporting_lines"}, employees=80, as_of=as_of)
    lines = tables["reporting_lines"]
    team = lines[lines["manager_id"] == personas["manager"]["employee_id"]]["employee_id"]
    pending = tables["leave_requests"].query("status == 'pending'")["employee_id"]
    assert pending.isin(team).sum() >= 2
    assert personas["employee"]["employee_id"] in set(pending)


def test_live_requests_of_one_person_never_overlap(company: Frames) -> None:
    live = company["leave_requests"].query("status in ('approved', 'pending')")
    live = live.sort_values(["employee_id", "start_date"])
    same = live["employee_id"].eq(live["employee_id"].shift())
    assert not (same & (live["start_date"] <= live["end_date"].shift())).any()


def test_balances_are_the_sums_of_the_requests(company: Frames) -> None:
    requests = company["leave_requests"].assign(year=lambda rows: rows["start_date"].dt.year)
    sums = requests.pivot_table(
        index=["employee_id", "leave_type", "year"], columns="status", values="days", aggfunc="sum", fill_value=0
    )
    balances = company["leave_balances"].set_index(["employee_id", "leave_type", "year"])
    sums = sums.reindex(balances.index, fill_value=0)
    assert (balances["taken_days"] == sums["approved"]).all()
    assert (balances["pending_days"] == sums["pending"]).all()
    total = balances["entitled_days"] + balances["carried_days"] - balances["taken_days"]
    assert (balances["remaining_days"] == total).all()
    assert (balances["remaining_days"] - balances["pending_days"] >= 0).all()


def test_carried_days_come_from_the_year_before(company: Frames) -> None:
    annual = company["leave_balances"].query("leave_type == 'annual'").sort_values(["employee_id", "year"])
    follows = annual["employee_id"].eq(annual["employee_id"].shift())
    expected = annual["remaining_days"].shift().clip(0, 5)
    assert (annual["carried_days"][follows] == expected[follows]).all()


def test_summer_and_christmas_are_the_seasons_and_sickness_is_uneven(company: Frames) -> None:
    requests = company["leave_requests"].query("status == 'approved'")
    annual = requests.query("leave_type == 'annual'")
    by_month = annual.groupby(annual["start_date"].dt.month)["days"].sum()
    assert by_month[7] + by_month[8] > 0.3 * by_month.sum()
    assert by_month[12] > 1.5 * by_month[[1, 2, 11]].max()
    sick = requests.query("leave_type == 'sick'").groupby("employee_id")["days"].sum().sort_values()
    assert sick.tail(30).sum() > 0.35 * sick.sum()
    assert set(requests["leave_type"]) == {"annual", "sick", "parental", "unpaid", "study", "compassionate"}


def test_attendance_follows_leave_holidays_and_employment(
    company: Frames, day_off: Callable[..., np.ndarray], today: pd.Timestamp
) -> None:
    days = company["attendance_days"]
    assert days["day"].max() == today
    assert (days["day"].dt.day_of_week < 5).all()
    assert ((days["status"] == "holiday").to_numpy() == day_off(days["employee_id"], days["day"])).all()
    joined = days.merge(company["employees"], on="employee_id", suffixes=("", "_of_employee"))
    assert (joined["day"] >= joined["hired_on"]).all()
    assert ~(joined["day"] > joined["left_on"]).any()

    approved = company["leave_requests"].query("status == 'approved'")
    spans = (approved["end_date"] - approved["start_date"]).dt.days + 1
    rows = approved.loc[approved.index.repeat(spans)]
    off = pd.DataFrame(
        {
            "employee_id": rows["employee_id"],
            "day": rows["start_date"] + pd.to_timedelta(rows.groupby(level=0).cumcount(), unit="D"),
            "expected": np.where(rows["leave_type"] == "sick", "sick", "leave"),
        }
    )
    both = days.query("status != 'holiday'").merge(off, on=["employee_id", "day"], how="left")
    away = both["status"].isin(["leave", "sick"])
    assert (away == both["expected"].notna()).all()
    assert (both.loc[away, "status"] == both.loc[away, "expected"]).all()


def test_everybody_has_a_row_for_each_weekday_of_employment(company: Frames, today: pd.Timestamp) -> None:
    employees = company["employees"].set_index("employee_id")
    start = employees["hired_on"].clip(lower=pd.Timestamp(today.year - 3, 1, 1))
    end = employees["left_on"].fillna(today) + pd.Timedelta(days=1)
    expected = np.busday_count(
        start.to_numpy().astype("datetime64[D]"), np.maximum(start, end).to_numpy().astype("datetime64[D]")
    )
    counted = company["attendance_days"].groupby("employee_id").size().reindex(employees.index, fill_value=0)
    assert (counted.to_numpy() == expected).all()


def test_punches_hours_and_lateness_agree(company: Frames) -> None:
    days = company["attendance_days"]
    worked = days["status"].isin(["present", "remote"])
    half = (days["status"] == "leave") & (days["hours_worked"] > 0)
    assert half.any()
    away = days[~worked & ~half]
    assert away[["clock_in", "clock_out"]].isna().all(axis=None)
    assert (away[["hours_worked", "late_minutes", "overtime_hours"]] == 0).all(axis=None)
    assert (days.loc[worked, "hours_worked"] > 0).all()
    gap = days["clock_in"].isna() ^ days["clock_out"].isna()
    assert (gap == days["missing_punch"]).all()
    complete = days[worked & ~days["missing_punch"]]
    span = (complete["clock_out"] - complete["clock_in"]).dt.total_seconds() / 3600
    assert (span - complete["hours_worked"]).between(-0.01, 0.51).all()
    assert days["hours_worked"].max() < 14
    late = days.loc[worked, "late_minutes"] > 0
    assert 0.03 < late.mean() < 0.15
    assert days.loc[days["late_minutes"] > 0, "late_minutes"].min() > 5
    assert 0 < (days["status"] == "absent").mean() < 0.01
    assert 0.2 < (days.loc[worked, "status"] == "remote").mean() < 0.5
