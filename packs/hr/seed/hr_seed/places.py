"""The company's fixed shape: departments, offices, job titles. No people."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .columns import Chunk, Columns, split, texts


@dataclass(frozen=True)
class Department:
    """One department and what its work is like."""

    name: str
    division: str
    weight: float
    """Share of the company's people."""
    remote: float
    """Share of days worked from home."""
    shifts: bool
    pay: float
    """Salary factor."""
    claims: float
    """Expense claims a person and year."""
    junior: str
    middle: str
    senior: str


DEPARTMENTS = (
    Department(
        "Engineering",
        "Technology",
        0.20,
        0.50,
        False,
        1.10,
        2.0,
        "Junior Software Engineer",
        "Software Engineer",
        "Senior Software Engineer",
    ),
    Department(
        "Sales",
        "Commercial",
        0.13,
        0.30,
        False,
        1.05,
        9.0,
        "Sales Representative",
        "Account Executive",
        "Senior Account Executive",
    ),
    Department(
        "Customer Success",
        "Commercial",
        0.08,
        0.40,
        False,
        0.92,
        5.0,
        "Customer Success Associate",
        "Customer Success Specialist",
        "Senior Customer Success Specialist",
    ),
    Department(
        "Marketing",
        "Commercial",
        0.07,
        0.40,
        False,
        0.95,
        4.5,
        "Marketing Assistant",
        "Marketing Specialist",
        "Senior Marketing Specialist",
    ),
    Department(
        "Finance",
        "Corporate",
        0.06,
        0.30,
        False,
        1.00,
        2.0,
        "Junior Accountant",
        "Financial Analyst",
        "Senior Financial Analyst",
    ),
    Department(
        "People", "Corporate", 0.045, 0.35, False, 0.95, 2.5, "HR Assistant", "HR Specialist", "HR Business Partner"
    ),
    Department(
        "Operations",
        "Operations",
        0.10,
        0.15,
        True,
        0.90,
        2.5,
        "Operations Assistant",
        "Operations Analyst",
        "Senior Operations Analyst",
    ),
    Department(
        "Legal", "Corporate", 0.025, 0.35, False, 1.15, 3.0, "Paralegal", "Legal Counsel", "Senior Legal Counsel"
    ),
    Department(
        "IT",
        "Technology",
        0.06,
        0.40,
        False,
        1.00,
        1.5,
        "IT Technician",
        "Systems Administrator",
        "Senior Systems Administrator",
    ),
    Department(
        "Product",
        "Technology",
        0.07,
        0.45,
        False,
        1.08,
        3.5,
        "Associate Product Analyst",
        "Product Specialist",
        "Senior Product Specialist",
    ),
    Department(
        "Support",
        "Operations",
        0.10,
        0.35,
        True,
        0.82,
        1.0,
        "Support Agent",
        "Support Specialist",
        "Senior Support Specialist",
    ),
    Department(
        "Logistics",
        "Operations",
        0.06,
        0.04,
        True,
        0.78,
        1.5,
        "Warehouse Associate",
        "Logistics Coordinator",
        "Senior Logistics Coordinator",
    ),
)
ENGINEERING, SALES, PEOPLE, OPERATIONS = 0, 1, 5, 6

CURRENCIES = ("EUR", "GBP", "INR", "USD", "CHF", "JPY")
"""The first four are paid in, the last two only travelled in."""


@dataclass(frozen=True)
class Office:
    """One location. There is one a country, in the order of `holidays.COUNTRIES`."""

    name: str
    city: str
    country: str
    time_zone: str
    currency: int
    weight: float
    pay: float
    dialling: str


OFFICES = (
    Office("Berlin Hub", "Berlin", "DE", "Europe/Berlin", 0, 0.30, 1.00, "+49 30 555 "),
    Office("London Office", "London", "GB", "Europe/London", 1, 0.18, 1.05, "+44 20 5550 "),
    Office("Bengaluru Campus", "Bengaluru", "IN", "Asia/Kolkata", 2, 0.20, 0.34, "+91 80 5550 "),
    Office("Austin Office", "Austin", "US", "America/Chicago", 3, 0.15, 1.35, "+1 512 555 "),
    Office("Paris Office", "Paris", "FR", "Europe/Paris", 0, 0.09, 0.96, "+33 1 55 50 "),
    Office("Madrid Office", "Madrid", "ES", "Europe/Madrid", 0, 0.08, 0.80, "+34 91 555 "),
)
OFFICE_CURRENCY = np.array([office.currency for office in OFFICES])

DEPARTMENT_IDS = tuple(f"D{number:02d}" for number in range(1, len(DEPARTMENTS) + 1))
LOCATION_IDS = tuple(f"L{number:02d}" for number in range(1, len(OFFICES) + 1))


def titles() -> list[str]:
    """Job titles, six a department: junior, middle, senior, lead, manager, head. Ends with intern and chief."""
    found: list[str] = []
    for department in DEPARTMENTS:
        name = department.name
        found += [department.junior, department.middle, department.senior]
        found += [f"{name} Team Lead", f"{name} Manager", f"Head of {name}"]
    return [*found, "Intern", "Chief Executive Officer"]


def place_tables() -> Iterator[Chunk]:
    """The tables `departments` and `locations`. Department heads are E00002 onwards, one each in order."""
    count = len(DEPARTMENTS)
    departments: Columns = {
        "department_id": texts(DEPARTMENT_IDS),
        "name": texts([department.name for department in DEPARTMENTS]),
        "division": texts([department.division for department in DEPARTMENTS]),
        "cost_centre": texts([f"CC{1000 + 100 * number}" for number in range(1, count + 1)]),
        "head_employee_id": texts([f"E{number:05d}" for number in range(2, count + 2)]),
    }
    locations: Columns = {
        "location_id": texts(LOCATION_IDS),
        "name": texts([office.name for office in OFFICES]),
        "city": texts([office.city for office in OFFICES]),
        "country": texts([office.country for office in OFFICES]),
        "time_zone": texts([office.time_zone for office in OFFICES]),
        "currency": texts([CURRENCIES[office.currency] for office in OFFICES]),
    }
    yield from split("departments", departments)
    yield from split("locations", locations)
