"""The manager tree, joiners and leavers, names, holidays, personas."""

from collections.abc import Callable, Mapping
from datetime import date
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

Frames = Mapping[str, pd.DataFrame]


def test_there_is_one_root_and_managers_come_before_their_reports(company: Frames) -> None:
    employees = company["employees"]
    assert list(employees.loc[employees["manager_id"].isna(), "employee_id"]) == ["E00001"]
    below = employees.dropna(subset=["manager_id"])
    assert (below["manager_id"] < below["employee_id"]).all()


def test_exactly_the_employees_asked_for_are_active_and_nobody_reports_to_a_leaver(company: Frames) -> None:
    employees = company["employees"]
    active = employees[employees["status"] == "active"]
    assert len(active) == 300
    assert active["left_on"].isna().all()
    assert employees.loc[employees["status"] == "left", "left_on"].notna().all()
    assert set(employees["manager_id"].dropna()) <= set(active["employee_id"])


def test_spans_are_four_to_twelve(company: Frames) -> None:
    employees = company["employees"]
    spans = employees[employees["status"] == "active"].groupby("manager_id").size()
    assert spans.between(4, 12).all()


def test_reporting_lines_are_the_closure_of_the_tree(company: Frames) -> None:
    manager = company["employees"].set_index("employee_id")["manager_id"].dropna().to_dict()
    expected = set()
    for employee in manager:
        above, depth = manager[employee], 1
        while above is not None:
            expected.add((above, employee, depth))
            above, depth = manager.get(above), depth + 1
    found = set(company["reporting_lines"].itertuples(index=False, name=None))
    assert found == expected


def test_a_large_tree_stays_flat(make: Callable[..., Frames]) -> None:
    lines = make(only={"reporting_lines"}, employees=20_000, years=3, as_of=date(2025, 11, 21))["reporting_lines"]
    assert lines["depth"].max() <= 12
    assert lines["manager_id"].eq("E00001").sum() > 20_000


def test_every_department_is_led_by_its_head(company: Frames) -> None:
    heads = company["departments"].merge(
        company["employees"], left_on="head_employee_id", right_on="employee_id", suffixes=("", "_of_head")
    )
    assert len(heads) == 12
    assert (heads["department_id"] == heads["department_id_of_head"]).all()
    assert (heads["status"] == "active").all()
    assert (heads["manager_id"] == "E00001").all()


def test_attrition_is_about_a_tenth_a_year_and_people_join(company: Frames, today: pd.Timestamp) -> None:
    employees = company["employees"]
    year_ago = today - pd.Timedelta(days=365)
    assert 0.06 < (employees["left_on"] > year_ago).sum() / 300 < 0.17
    assert 0.08 < (employees["hired_on"] > year_ago).sum() / 300 < 0.3


def test_employment_dates_make_sense(company: Frames, today: pd.Timestamp) -> None:
    employees = company["employees"]
    assert (employees["hired_on"] <= today).all()
    left = employees.dropna(subset=["left_on"])
    assert (left["left_on"] < today).all()
    assert (left["hired_on"] < left["left_on"]).all()
    age = (today - employees["date_of_birth"]).dt.days / 365.25
    assert age.max() < 67
    assert ((employees["hired_on"] - employees["date_of_birth"]).dt.days / 365.25).min() > 17


def test_first_names_are_ambiguous_and_addresses_are_not(company: Frames) -> None:
    employees = company["employees"]
    first = employees["full_name"].str.split().str[0].value_counts()
    assert (first >= 4).sum() >= 20
    assert employees["full_name"].duplicated().any()
    assert employees["email"].is_unique
    assert employees["email"].str.fullmatch(r"[a-z.'-]+\d*@acme\.example").all()


def test_moving_holidays_fall_on_their_known_days(generate: ModuleType) -> None:
    holidays = generate._module("holidays")
    for day in ("2020-11-14", "2021-11-04", "2022-10-24", "2023-11-12", "2024-10-31", "2025-10-20", "2026-11-08"):
        assert holidays.diwali(int(day[:4])) == date.fromisoformat(day)
    for day in ("2022-04-17", "2024-03-31", "2025-04-20", "2038-04-25"):
        assert holidays.easter_sunday(int(day[:4])) == date.fromisoformat(day)
    assert holidays.holidays("US", 2025)[date(2025, 11, 27)] == "Thanksgiving Day"
    assert holidays.holidays("US", 2026)[date(2026, 7, 3)] == "Independence Day (observed)"
    assert date(2022, 1, 3) in holidays.holidays("GB", 2022)
    assert holidays.holidays("DE", 2025)[date(2025, 5, 29)] == "Ascension Day"


@pytest.mark.parametrize("as_of", [date(2024, 2, 29), date(2025, 1, 1), date(2025, 11, 22), date(2027, 7, 4)])
@pytest.mark.parametrize(("employees", "years"), [(50, 3), (51, 1), (500, 3), (3_000, 5)])
def test_personas_hold_for_any_day_and_size(
    make: Callable[..., Frames], personas: dict[str, Any], as_of: date, employees: int, years: int
) -> None:
    tables = make(only={"employees", "reporting_lines"}, employees=employees, years=years, as_of=as_of)
    people = tables["employees"].set_index("employee_id")
    lines = tables["reporting_lines"].merge(people["status"], left_on="employee_id", right_index=True)
    lines = lines[lines["status"] == "active"]

    def reports(key: str) -> pd.Series:
        own = lines[lines["manager_id"] == personas[key]["employee_id"]]
        return own["depth"].value_counts()

    status = {key: people.loc[persona["employee_id"], "status"] for key, persona in personas.items()}
    assert status == dict.fromkeys(personas, "active") | {"leaver": "left"}
    assert 6 <= reports("manager")[1] <= 12
    assert reports("manager")[2] >= 4
    assert list(reports("lead").index) == [1]
    assert reports("employee").empty
    assert reports("ceo").sum() == employees - 1
    assert reports("head")[1] >= 1
    assert people.loc[personas["employee"]["employee_id"], "manager_id"] == personas["manager"]["employee_id"]
    assert people.loc[personas["people_admin"]["employee_id"], "job_title"] == "Head of People"
    assert people.loc[personas["head"]["employee_id"], "job_title"].startswith("Head of")
    # They have been here for the whole period, so that questions about earlier years have answers.
    active = [persona["employee_id"] for key, persona in personas.items() if key != "leaver"]
    assert (people.loc[active, "hired_on"] < pd.Timestamp(as_of.year - years, 1, 1)).all()


def test_persona_names_and_roles_are_those_of_the_default_company(
    make: Callable[..., Frames], personas: dict[str, Any]
) -> None:
    people = make(only={"employees"}, as_of=date(2025, 11, 21))["employees"].set_index("employee_id")["full_name"]
    assert {key: people[persona["employee_id"]] for key, persona in personas.items()} == {
        key: persona["name"] for key, persona in personas.items()
    }
    assert "hr_admin" in personas["people_admin"]["roles"]
    assert all("employee" in persona["roles"] for persona in personas.values())
