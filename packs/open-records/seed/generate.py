"""Turns the two public files into the pack's tables. Needs the folder that they lie in: `--source`."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Columns = Mapping[str, Any]
Row = Mapping[str, str]
absences_pattern, expenses_pattern = "*absenteeism*.csv", "*expenses*.csv"
weekdays = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
seasons = ("summer", "autumn", "winter", "spring")
reasons = (
    "None given",
    "Infectious and parasitic diseases",
    "Neoplasms",
    "Diseases of the blood",
    "Endocrine, nutritional and metabolic diseases",
    "Mental and behavioural disorders",
    "Diseases of the nervous system",
    "Diseases of the eye",
    "Diseases of the ear",
    "Diseases of the circulatory system",
    "Diseases of the respiratory system",
    "Diseases of the digestive system",
    "Diseases of the skin",
    "Diseases of the musculoskeletal system",
    "Diseases of the genitourinary system",
    "Pregnancy, childbirth and the puerperium",
    "Conditions of the perinatal period",
    "Congenital malformations",
    "Symptoms not elsewhere classified",
    "Injury and poisoning",
    "External causes of morbidity",
    "Factors influencing health status",
    "Patient follow-up",
    "Medical consultation",
    "Blood donation",
    "Laboratory examination",
    "Unjustified absence",
    "Physiotherapy",
    "Dental consultation",
)
no_progress: Callable[[str, float], None] = lambda table, share: None  # noqa: E731 - a default


def tables(
    *,
    source: Path | None = None,
    progress: Callable[[str, float], None] = no_progress,
    **_: Any,
) -> Iterator[tuple[str, Columns]]:
    """The tables in an order in which they can be filled. ValueError when the files are not there or not these."""
    if source is None:
        raise ValueError("this pack brings no data: name the folder with the two files by --source")
    absences, expenses = _read(source, absences_pattern), _read(source, expenses_pattern)
    parties = sorted({row["Party"] for row in expenses})
    units = {name: f"U{number:02d}" for number, name in enumerate(["Courier company", *parties], 1)}
    members = {row["Name"]: row for row in expenses}
    ids = {name: f"P{number:04d}" for number, name in enumerate(sorted(members), 1)}
    couriers = sorted({int(row["ID"]) for row in absences})
    made: list[tuple[str, Columns]] = [
        ("units", {"unit_id": _texts(units.values()), "name": _texts(units)}),
        ("people", _people(couriers, members, ids, units)),
        ("expense_lines", _lines(expenses, ids)),
        ("absence_reasons", {"reason": np.arange(len(reasons)), "name": _texts(reasons)}),
        ("absences", _absences(absences)),
    ]
    for name, columns in made:
        yield name, columns
        progress(name, 1.0)


def _read(source: Path, pattern: str) -> list[Row]:
    found = sorted(source.glob(pattern))
    if len(found) != 1:
        raise ValueError(f"{source} has {len(found)} files like {pattern}; exactly one is needed")
    with found[0].open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def _people(
    couriers: Sequence[int], members: Mapping[str, Row], ids: Mapping[str, str], units: Mapping[str, str]
) -> Columns:
    names = sorted(members)
    return {
        "person_id": _texts([*(f"W{one:02d}" for one in couriers), *(ids[name] for name in names)]),
        "full_name": _texts([*(f"Courier {one}" for one in couriers), *names]),
        "unit_id": _texts([*("U01" for _ in couriers), *(units[members[name]["Party"]] for name in names)]),
        "member_type": _texts([*("Courier" for _ in couriers), *(members[name]["MemberType"] for name in names)]),
        "state": _texts([*(None for _ in couriers), *(members[name]["State"] for name in names)]),
        "joined_on": _days([*("2007-07-01" for _ in couriers), *("2013-01-01" for _ in names)]),
        "left_on": _days([None] * (len(couriers) + len(names))),
    }


def _lines(rows: Sequence[Row], ids: Mapping[str, str]) -> Columns:
    return {
        "line_id": _texts(f"X{number:06d}" for number in range(1, len(rows) + 1)),
        "person_id": _texts(ids[row["Name"]] for row in rows),
        "category": _texts(row["Category"] for row in rows),
        "sub_category": _texts(row["SubCategory"] for row in rows),
        "spent_on": _days([row["date_iso"] for row in rows]),
        "location": _texts(row["Location"] or None for row in rows),
        "nights": np.array([float(row["Nights"]) if row["Nights"] else np.nan for row in rows]),
        "amount": np.round(np.array([float(row["amount_num"]) for row in rows]), 2),
        "details": _texts(row["Details"] or None for row in rows),
    }


def _absences(rows: Sequence[Row]) -> Columns:
    def numbers(name: str) -> Any:
        return np.array([int(row[name]) for row in rows])

    return {
        "absence_id": _texts(f"A{number:04d}" for number in range(1, len(rows) + 1)),
        "person_id": _texts(f"W{one:02d}" for one in numbers("ID")),
        "reason": numbers("Reason for absence"),
        "month": numbers("Month of absence"),
        "weekday": _texts(weekdays[one - 2] for one in numbers("Day of the week")),
        "season": _texts(seasons[one - 1] for one in numbers("Seasons")),
        "hours": numbers("Absenteeism_time_in_hours"),
        "service_years": numbers("Service time"),
        "age": numbers("Age"),
        "distance_km": numbers("Distance from Residence to Work"),
        "disciplinary_failure": numbers("Disciplinary_failure") == 1,
    }


def _texts(values: Any) -> Any:
    return np.array(list(values), dtype=object)


def _days(values: Sequence[str | None]) -> Any:
    return np.array([one or "NaT" for one in values], dtype="datetime64[s]")
