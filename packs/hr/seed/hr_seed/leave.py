"""Leave: requests and balances, consistent with each other. What the days looked like is made in `attendance`."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .columns import (
    NO_DAY,
    Bools,
    Chunk,
    Columns,
    Floats,
    Ints,
    dates,
    gather,
    numbered,
    split,
    texts,
    year_of,
    year_start,
)
from .draws import stream
from .leave_wishes import ANNUAL, COMPASSIONATE, LEAVE_TYPES, SICK, STUDY, Wishes, make_wishes
from .options import Options
from .people import People
from .workdays import Workdays

PENDING, APPROVED, REJECTED, CANCELLED = range(4)
_STATUSES = ("pending", "approved", "rejected", "cancelled")
_NAMES = (
    "Annual leave",
    "Sick leave",
    "Parental leave",
    "Unpaid leave",
    "Study leave",
    "Compassionate leave",
)
_ALLOWANCE = np.array([25.0, 0.0, 0.0, 0.0, 5.0, 5.0])
_CARRY_OVER = np.array([5.0, 0.0, 0.0, 0.0, 0.0, 0.0])
_LIMITED = (ANNUAL, STUDY, COMPASSIONATE)
"""The types with an allowance, and so with balances."""


@dataclass(frozen=True)
class Requests:
    """One entry a request, in the order of application, which is the order of the ids."""

    person: Ints
    leave_type: Ints
    start: Ints
    end: Ints
    days: Floats
    status: Ints
    applied: Ints
    decided: Ints
    """NO_DAY while pending or when cancelled."""

    def pick(self, which: Ints | Bools) -> "Requests":
        """Some of them, in the given order."""
        return Requests(*(getattr(self, field)[which] for field in Requests.__dataclass_fields__))


def make_requests(options: Options, people: People, workdays: Workdays) -> Requests:
    """Turns wishes into requests that could have been made, and decides them as of `as_of`."""
    wishes = make_wishes(options, people)
    requests = _placed(options, people, workdays, wishes)
    requests = requests.pick(_free_of_overlap(requests))
    requests = requests.pick(_within_allowance(people, requests))
    requests = _decided(options, requests)
    return requests.pick(np.lexsort((requests.start, requests.person, requests.applied)))


def _placed(options: Options, people: People, workdays: Workdays, wishes: Wishes) -> Requests:
    """Moves wishes onto working days inside employment and year; drops those that nobody could have asked for yet.

    Upcoming ones carry PENDING from here on, all others APPROVED until they are decided.
    """
    country = people.office[wishes.person]
    table_end = workdays.first + workdays.working.shape[1] - 1
    earliest = np.maximum(people.hired[wishes.person], options.start)
    in_range = (wishes.start >= earliest) & (wishes.start <= table_end)
    start = workdays.later(country, np.where(in_range, wishes.start, options.start), np.zeros_like(wishes.start))
    end = workdays.later(country, np.where(start > NO_DAY, start, options.start), wishes.length - 1)
    year_end = year_start(year_of(np.where(in_range, wishes.start, options.start)) + 1) - 1
    latest = np.where(people.active[wishes.person], year_end, np.minimum(year_end, people.left[wishes.person]))
    end = np.where(end > NO_DAY, np.minimum(end, latest), latest)
    applied = np.maximum(start - wishes.lead, people.hired[wishes.person])
    applied = np.where(wishes.upcoming, np.minimum(applied, options.today), applied)
    possible = in_range & (start > NO_DAY) & (start <= end) & (applied <= options.today)
    placed = Requests(
        person=wishes.person,
        leave_type=wishes.leave_type,
        start=start,
        end=end,
        days=np.where(wishes.half, 0.5, 1.0),
        status=np.where(wishes.upcoming, PENDING, APPROVED),
        applied=applied,
        decided=np.full(len(start), NO_DAY),
    ).pick(possible)
    last = workdays.later(people.office[placed.person], placed.start, _steps(people, workdays, placed))
    counted = workdays.count(people.office[placed.person], placed.start, last)
    return Requests(**{**vars(placed), "end": last, "days": placed.days * counted})


def _steps(people: People, workdays: Workdays, requests: Requests) -> Ints:
    """Working days after the first one, so that a request ends on a working day too."""
    return workdays.count(people.office[requests.person], requests.start, requests.end) - 1


def _free_of_overlap(requests: Requests) -> Bools:
    """Keeps upcoming requests, drops what touches them, and of any others that overlap keeps the first."""
    upcoming = requests.status == PENDING
    people = int(requests.person.max()) + 1
    taken_from, taken_to = np.full(people, np.iinfo(np.int64).max), np.full(people, NO_DAY)
    taken_from[requests.person[upcoming]] = requests.start[upcoming]
    taken_to[requests.person[upcoming]] = requests.end[upcoming]
    person = requests.person
    keep: Bools = upcoming | (requests.end < taken_from[person]) | (requests.start > taken_to[person])
    order = np.lexsort((requests.start, person))
    order = order[keep[order]]
    # A running maximum of the ends, person by person: the person's number outweighs any day.
    weight = 1 << 32
    ends = np.maximum.accumulate(person[order] * weight + requests.end[order])
    begins = person[order] * weight + requests.start[order]
    keep[order[1:]] &= begins[1:] > ends[:-1]
    return keep


def _within_allowance(people: People, requests: Requests) -> Bools:
    """Drops requests that the year's own allowance does not cover; carried days are a reserve and stay unused here."""
    year = year_of(requests.start)
    upcoming = requests.status == PENDING
    order = np.lexsort((requests.start, ~upcoming, year, requests.leave_type, requests.person))
    group = (requests.person * 8 + requests.leave_type) * 4096 + year
    first = np.r_[True, group[order][1:] != group[order][:-1]]
    running = np.cumsum(requests.days[order])
    before = np.maximum.accumulate(np.where(first, running - requests.days[order], 0.0))
    allowed = entitled(people, requests.person, requests.leave_type, year)
    fits = np.ones(len(order), dtype=np.bool_)
    fits[order] = running - before <= allowed[order]
    kept: Bools = fits | ~np.isin(requests.leave_type, _LIMITED)
    return kept


def entitled(people: People, person: Ints, leave_type: Ints, year: Ints) -> Floats:
    """The allowance of a year in proportion to the part of it that the person is employed, in half days."""
    first, after = year_start(year), year_start(year + 1)
    begin = np.maximum(people.hired[person], first)
    end = np.where(people.active[person], after - 1, np.minimum(people.left[person], after - 1))
    share = np.clip(end - begin + 1, 0, None) / (after - first)
    days: Floats = np.floor(_ALLOWANCE[leave_type] * share * 2) / 2
    return days


def _decided(options: Options, requests: Requests) -> Requests:
    """Decides what had to be decided by today. Sickness and bereavement are noted on the day, never refused."""
    draws = stream(options.seed, "leave", "decisions")
    count = len(requests.person)
    upcoming = requests.status == PENDING
    at_once = np.isin(requests.leave_type, (SICK, COMPASSIONATE))
    takes = 1 + draws.geometric(0.22, count)
    decided = np.maximum(np.minimum(requests.applied + takes, requests.start - 1), requests.applied)
    decided = np.where(at_once, requests.applied, decided)
    fate = draws.random(count)
    status = np.select([fate < 0.05, fate < 0.10], [REJECTED, CANCELLED], APPROVED)
    status = np.where(at_once, APPROVED, status)
    status = np.where(upcoming | (decided > options.today), PENDING, status)
    undecided = np.isin(status, (PENDING, CANCELLED))
    return Requests(**{**vars(requests), "status": status, "decided": np.where(undecided, NO_DAY, decided)})


def leave_type_table() -> Iterator[Chunk]:
    """The table `leave_types`."""
    columns: Columns = {
        "leave_type": texts(LEAVE_TYPES),
        "name": texts(_NAMES),
        "paid": np.array([name != "unpaid" for name in LEAVE_TYPES]),
        "annual_days": _ALLOWANCE,
        "carry_over_days": _CARRY_OVER,
    }
    yield from split("leave_types", columns)


def request_table(people: People, requests: Requests) -> Iterator[Chunk]:
    """The table `leave_requests`."""
    decider = people.in_charge(requests.person, np.where(requests.decided > NO_DAY, requests.decided, requests.applied))
    decider = np.where(requests.decided > NO_DAY, decider, -1)
    columns: Columns = {
        "leave_request_id": numbered("LR", 1, len(requests.person)),
        "employee_id": people.ids[requests.person],
        "leave_type": texts(LEAVE_TYPES, requests.leave_type),
        "start_date": dates(requests.start),
        "end_date": dates(requests.end),
        "days": requests.days,
        "status": texts(_STATUSES, requests.status),
        "applied_on": dates(requests.applied),
        "decided_on": dates(requests.decided),
        "decided_by": people.ids[decider],
    }
    yield from split("leave_requests", columns)


def balance_table(options: Options, people: People, requests: Requests) -> Iterator[Chunk]:
    """The table `leave_balances`: the sums of the requests by person, type and year, up to the year of `as_of`."""
    yield from gather("leave_balances", _balances(options, people, requests))


def _balances(options: Options, people: People, requests: Requests) -> Iterator[Columns]:
    carried = np.zeros((len(LEAVE_TYPES), len(people)))
    carried[ANNUAL] = stream(options.seed, "leave", "carried").integers(0, 11, len(people)) / 2
    carried[ANNUAL, people.hired >= options.start] = 0
    year_of_request = year_of(requests.start)
    for year in range(options.start_year, options.as_of.year + 1):
        years = np.full(len(people), year)
        employed = (people.hired < year_start(years + 1)) & (people.active | (people.left >= year_start(years)))
        for leave_type in _LIMITED:
            own = (year_of_request == year) & (requests.leave_type == leave_type)
            taken = _sum_of_days(requests, own & (requests.status == APPROVED), len(people))
            pending = _sum_of_days(requests, own & (requests.status == PENDING), len(people))
            allowance = entitled(people, np.arange(len(people)), np.full(len(people), leave_type), years)
            remaining = allowance + carried[leave_type] - taken
            yield {
                "employee_id": people.ids[:-1][employed],
                "leave_type": texts(LEAVE_TYPES, np.full(int(employed.sum()), leave_type)),
                "year": years[employed],
                "entitled_days": allowance[employed],
                "carried_days": carried[leave_type][employed],
                "taken_days": taken[employed],
                "pending_days": pending[employed],
                "remaining_days": remaining[employed],
            }
            carried[leave_type] = np.where(employed, np.clip(remaining, 0, _CARRY_OVER[leave_type]), 0)


def _sum_of_days(requests: Requests, which: Bools, people: int) -> Floats:
    sums = np.bincount(requests.person[which], weights=requests.days[which], minlength=people)
    return sums.astype(np.float64)
