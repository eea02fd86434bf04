"""The people: who they are, when they came and went, what they do. What happens to them is made elsewhere."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .columns import NO_DAY, Bools, Chunk, Columns, Floats, Ints, Texts, dates, numbered, split, texts, with_null
from .draws import stream, weighted
from .names import FIRST_NAMES, LAST_NAMES
from .options import Options
from .places import DEPARTMENT_IDS, DEPARTMENTS, LOCATION_IDS, OFFICES, titles
from .tree import CHIEF, CORE, CORE_LEAVER, CORE_MANAGER, HEADS, core_department_of, grow_tree, has_reports
from .workdays import weekday

ATTRITION = 0.11
"""Leavers a year, as a share of those who are active today."""
PERMANENT, PART_TIME, FIXED_TERM, CONTRACTOR, INTERN = range(5)
EMPLOYMENT_TYPES = ("permanent", "part_time", "fixed_term", "contractor", "intern")


@dataclass(frozen=True)
class People:
    """One array entry a person; position 0 is E00001. Positions stand for people everywhere in the generator."""

    ids: Texts
    """One longer than the others and None at the end, so that position -1 reads as NULL."""
    department: Ints
    office: Ints
    """Also the country: there is one office in each."""
    active: Bools
    hired: Ints
    left: Ints
    """NO_DAY for active people."""
    last_day: Ints
    """The last day that anything can have happened on: left, or today."""
    manager: Ints
    leads: Bools
    """Has active direct reports."""
    grade: Ints
    """1 … 10"""
    employment: Ints
    weekly_hours: Floats

    def __len__(self) -> int:
        """How many, leavers included."""
        return len(self.hired)

    def in_charge(self, person: Ints, day: Ints) -> Ints:
        """Who decided for each person on that day: the manager, or the next one above who was here already.

        The chief's own matters go to the head of People.
        """
        decider = np.where(self.manager[person] >= 0, self.manager[person], HEADS[5])
        while (late := (self.hired[decider] > day) & (decider != CHIEF)).any():
            decider = np.where(late, self.manager[decider], decider)
        return decider


def make_people(options: Options) -> People:
    """Invents everybody. Places, names and ids depend on size and seed; days count back from `as_of`."""
    active = _who_is_active(options)
    count = len(active)
    department = weighted(
        stream(options.seed, "department"), tuple(department.weight for department in DEPARTMENTS), count
    )
    department[:CORE] = core_department_of()
    office = weighted(stream(options.seed, "office"), tuple(office.weight for office in OFFICES), count)
    office[[CHIEF, CORE_MANAGER]] = 0
    manager = grow_tree(options.seed, department, active)
    leads = has_reports(manager, active)
    hired, left = _employment(options, active, leads)
    employment = _contracts(options, leads)
    return People(
        ids=with_null(numbered("E", 1, count, max(5, len(str(count))))),
        department=department,
        office=office,
        active=active,
        hired=hired,
        left=left,
        last_day=np.where(active, options.today, left),
        manager=manager,
        leads=leads,
        grade=_grades(options, manager, leads, employment),
        employment=employment,
        weekly_hours=_hours(options, employment),
    )


def _who_is_active(options: Options) -> Bools:
    """Leavers are strewn among the others, as many as the attrition of the period makes, until the company is full."""
    leavers = ATTRITION * (options.years + 1)
    share = leavers / (1 + leavers)
    size = int(options.employees / (1 - share) * 1.1) + 300
    active = stream(options.seed, "leavers").random(size) >= share
    active[:CORE] = True
    active[CORE_LEAVER] = False
    full = int(np.searchsorted(np.cumsum(active), options.employees))
    return active[: full + 1]


def _employment(options: Options, active: Bools, leads: Bools) -> tuple[Ints, Ints]:
    """First and last days: on weekdays, leavers gone before today."""
    count = len(active)
    draws = stream(options.seed, "tenure")
    tenure = (20 + draws.exponential(1500, count)).astype(np.int64)
    gone = (2 + stream(options.seed, "gone").random(count) * (365 * (options.years + 1) - 2)).astype(np.int64)
    # Those who lead have been here for a while.
    tenure = np.where(leads, tenure + 500, tenure)
    # The company is not older than its chief's tenure.
    longest = 365 * (options.years + 9)
    tenure = np.where(tenure > longest, longest - tenure % longest, tenure)
    served = options.years * 365
    tenure[:CORE] = served + 400 + tenure[:CORE] % 900
    tenure[HEADS] += 700
    tenure[CHIEF] = served + 365 * 10
    gone[CORE_LEAVER] = 150
    days_ago = np.where(active, 0, gone) + tenure
    hired = _weekday_before(options.today - days_ago)
    left = np.where(active, NO_DAY, _weekday_before(options.today - gone))
    return hired, left


def _weekday_before(days: Ints) -> Ints:
    """The day itself, or the Friday before a weekend."""
    return days - np.maximum(weekday(days) - 4, 0)


def _contracts(options: Options, leads: Bools) -> Ints:
    employment = weighted(stream(options.seed, "contract"), (0.80, 0.09, 0.05, 0.04, 0.02), len(leads))
    employment[leads] = PERMANENT
    employment[:CORE] = PERMANENT
    return employment


def _hours(options: Options, employment: Ints) -> Floats:
    choice = stream(options.seed, "hours").integers(0, 4, len(employment))
    part_time = np.array([20.0, 24.0, 28.0, 32.0])[choice]
    return np.where(employment == PART_TIME, part_time, 40.0)


def _grades(options: Options, manager: Ints, leads: Bools, employment: Ints) -> Ints:
    """Chief 10, heads 9, managers of managers 8, team leads 6 or 7, everybody else 1 to 6."""
    draws = stream(options.seed, "grade")
    grade = 1 + weighted(draws, (0.08, 0.19, 0.31, 0.25, 0.12, 0.05), len(manager))
    grade = np.where(leads, 6 + stream(options.seed, "lead grade").integers(0, 2, len(manager)), grade)
    grade[employment == INTERN] = 1
    above_leads = np.zeros(len(manager), dtype=np.bool_)
    above_leads[manager[leads & (manager >= 0)]] = True
    grade[above_leads] = 8
    grade[HEADS] = 9
    grade[CHIEF] = 10
    return grade


def employee_table(options: Options, people: People) -> Iterator[Chunk]:
    """The table `employees`."""
    count = len(people)
    first, last = _names(options, people.office)
    title = people.department * 6 + np.array([0, 0, 0, 1, 1, 2, 2, 4, 4, 5, 5])[people.grade]
    title = np.where(people.leads & (people.grade < 8), people.department * 6 + 3, title)
    title = np.where(people.employment == INTERN, len(DEPARTMENTS) * 6, title)
    title[CHIEF] = len(DEPARTMENTS) * 6 + 1
    born = stream(options.seed, "born").random(count)
    age = np.where(people.grade >= 6, 34, 20) + born * np.where(people.grade >= 6, 28, 38)
    age = np.where(people.employment == INTERN, 19 + born * 6, age)
    columns: Columns = {
        "employee_id": people.ids[:-1],
        "full_name": texts([f"{one} {other}" for one, other in zip(first, last, strict=True)]),
        "email": _emails(first, last),
        "phone": _phones(options, people.office),
        # Nobody works here beyond 66.
        "date_of_birth": dates(
            np.maximum(people.hired - (age * 365.25).astype(np.int64), options.today - int(66 * 365.25))
        ),
        "hired_on": dates(people.hired),
        "left_on": dates(people.left),
        "employment_type": texts(EMPLOYMENT_TYPES, people.employment),
        "job_title": texts(titles(), title),
        "grade": texts([f"G{grade}" for grade in range(11)], people.grade),
        "department_id": texts(DEPARTMENT_IDS, people.department),
        "location_id": texts(LOCATION_IDS, people.office),
        "manager_id": people.ids[people.manager],
        "status": texts(("left", "active"), people.active.astype(np.int64)),
        "weekly_hours": people.weekly_hours,
    }
    yield from split("employees", columns)


def _names(options: Options, office: Ints) -> tuple[list[str], list[str]]:
    """First and last names by country. Common first names come up more often, so that a first name alone is unclear."""
    draws = stream(options.seed, "names")
    pairs = draws.random((len(office), 2))
    first = (pairs[:, 0] ** 1.5 * len(FIRST_NAMES[0])).astype(np.int64)
    last = (pairs[:, 1] ** 1.3 * len(LAST_NAMES[0])).astype(np.int64)
    firsts = np.array(FIRST_NAMES, dtype=object)[office, first]
    lasts = np.array(LAST_NAMES, dtype=object)[office, last]
    return firsts.tolist(), lasts.tolist()


def _emails(first: list[str], last: list[str]) -> Texts:
    """Unique addresses: first.last, and a number from the second of that name on."""
    plain: dict[str, str] = {}
    used: dict[str, int] = {}
    found: list[str] = []
    for one, other in zip(first, last, strict=True):
        name = plain.setdefault(f"{one} {other}", _ascii(f"{one}.{other}"))
        number = used[name] = used.get(name, 0) + 1
        found.append(f"{name}@acme.example" if number == 1 else f"{name}{number}@acme.example")
    return texts(found)


def _ascii(name: str) -> str:
    name = name.lower()
    for letter, plain in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss"), ("ı", "i")):
        name = name.replace(letter, plain)
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()


def _phones(options: Options, office: Ints) -> Texts:
    codes = texts([place.dialling for place in OFFICES], office).tolist()
    numbers = stream(options.seed, "phones").integers(0, 100_000, len(office)).tolist()
    return texts([f"{code}{number:05d}" for code, number in zip(codes, numbers, strict=True)])
