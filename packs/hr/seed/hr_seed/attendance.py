"""Attendance: one row a person and weekday, consistent with leave, holidays and employment. Decides on no leave."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from .columns import CHUNK_ROWS, NO_DAY, Bools, Chunk, Columns, Floats, Ints, dates, gather, moments, texts
from .draws import stream, weighted
from .leave import APPROVED, Requests
from .leave_wishes import SICK
from .options import Options
from .people import People
from .places import DEPARTMENTS
from .workdays import Workdays, weekday

_STATUSES = ("present", "remote", "leave", "sick", "absent", "holiday")
_PRESENT, _REMOTE, _LEAVE, _SICK, _ABSENT, _HOLIDAY = range(6)
_SHIFTS = ("day", "early", "late", "night")
_SHIFT_START = np.array([9, 6, 14, 22]) * 60
"""Minutes after midnight."""
_GRACE = 5
_BREAK = 30
_NO_LEAVE, _WHOLE_LEAVE, _WHOLE_SICK, _HALF_LEAVE = range(4)


@dataclass(frozen=True)
class _Habits:
    """What each person is like at work."""

    remote: Floats
    late: Floats
    overtime: Floats
    shifts: Bools


@dataclass(frozen=True)
class _Rows:
    """The person-days of one block."""

    person: Ints
    day: Ints
    status: Ints
    shift: Ints
    half: Bools

    @property
    def worked(self) -> Bools:
        """Whether there was any work on the day."""
        return (self.status <= _REMOTE) | self.half


def attendance_table(
    options: Options,
    people: People,
    workdays: Workdays,
    requests: Requests,
    progress: Callable[[float], None],
) -> Iterator[Chunk]:
    """The table `attendance_days`, in blocks of people that make about one chunk each."""
    days = _window(options)
    block = max(1, CHUNK_ROWS // len(days))
    approved = requests.pick(requests.status == APPROVED)
    by_person = approved.pick(np.argsort(approved.person, kind="stable"))
    habits = _habits(options, people)

    def blocks() -> Iterator[Columns]:
        for first in range(0, len(people), block):
            last = min(first + block, len(people))
            draws = stream(options.seed, "attendance", first)
            leave = _leave_codes(by_person, first, last, days)
            rows = _rows(
                draws=draws,
                people=people,
                workdays=workdays,
                habits=habits,
                leave=leave,
                first=first,
                days=days,
            )
            if len(rows.person):
                yield _columns(draws, people, habits, rows)
            progress(last / len(people))

    yield from gather("attendance_days", blocks())


def _window(options: Options) -> Ints:
    """The weekdays that attendance covers, oldest first."""
    days = np.arange(options.start, options.today + 1)
    days = days[weekday(days) < 5]
    return days if options.attendance_window is None else days[-options.attendance_window :]


def _habits(options: Options, people: People) -> _Habits:
    draws = stream(options.seed, "habits")
    count = len(people)
    remote = np.array([department.remote for department in DEPARTMENTS])[people.department]
    return _Habits(
        remote=np.clip(remote * 2 * draws.beta(2, 2, count), 0, 0.95),
        # Most are seldom late, a few often.
        late=np.clip(draws.gamma(0.8, 0.10, count), 0.002, 0.6),
        overtime=np.clip(draws.gamma(1.2, 0.07, count), 0, 0.5),
        shifts=np.array([department.shifts for department in DEPARTMENTS])[people.department] & (people.grade <= 5),
    )


def _leave_codes(requests: Requests, first: int, last: int, days: Ints) -> Ints:
    """[person of the block, day]: what approved leave makes of the day."""
    codes = np.zeros((last - first, len(days)), dtype=np.int64)
    begin, end = np.searchsorted(requests.person, (first, last))
    block = requests.pick(np.arange(begin, end))
    from_day = np.searchsorted(days, block.start)
    lengths = np.searchsorted(days, block.end, side="right") - from_day
    which = np.repeat(np.arange(len(lengths)), lengths)
    position = np.arange(len(which)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    code = np.where(block.leave_type == SICK, _WHOLE_SICK, np.where(block.days == 0.5, _HALF_LEAVE, _WHOLE_LEAVE))
    codes[block.person[which] - first, from_day[which] + position] = code[which]
    return codes


def _rows(
    *,
    draws: np.random.Generator,
    people: People,
    workdays: Workdays,
    habits: _Habits,
    leave: Ints,
    first: int,
    days: Ints,
) -> _Rows:
    """The days on which the people of the block were employed, and how each was spent."""
    block = np.arange(first, first + len(leave))
    employed = (people.hired[block, None] <= days) & (days <= people.last_day[block, None])
    offset, column = np.nonzero(employed)
    person, day = block[offset], days[column]
    code = leave[offset, column]
    holiday = workdays.holiday[people.office[person], day - workdays.first]
    edge_of_week = np.where(np.isin(weekday(day), (0, 4)), 1.25, 0.85)
    at_home = draws.random(len(person)) < habits.remote[person] * edge_of_week
    missing = draws.random(len(person)) < 0.002
    away = np.array([_ABSENT, _LEAVE, _SICK, _LEAVE])[code]
    status = np.select([holiday, code != _NO_LEAVE, missing], [_HOLIDAY, away, _ABSENT], np.where(at_home, _REMOTE, 0))
    return _Rows(person, day, status, _shift(draws, habits, person, day), ~holiday & (code == _HALF_LEAVE))


def _shift(draws: np.random.Generator, habits: _Habits, person: Ints, day: Ints) -> Ints:
    """Day shift, or a roster that turns every week: two early, then late, then every second time night."""
    turn = (person * 7 + (day + 3) // 7) % 8
    roster = np.array([1, 1, 2, 1, 1, 2, 3, 0])[turn]
    swapped = np.where(draws.random(len(person)) < 0.03, weighted(draws, (0.2, 0.4, 0.3, 0.1), len(person)), roster)
    return np.where(habits.shifts[person], swapped, 0)


def _columns(draws: np.random.Generator, people: People, habits: _Habits, rows: _Rows) -> Columns:
    count = len(rows.person)
    worked, full = rows.worked, rows.status <= _REMOTE
    planned = (people.weekly_hours[rows.person] * 12 * np.where(rows.half, 0.5, 1.0)).astype(np.int64)
    late = full & (draws.random(count) < habits.late[rows.person])
    minutes_late = np.where(late, _GRACE + 1 + draws.exponential(13, count).astype(np.int64), 0)
    extra = full & (draws.random(count) < habits.overtime[rows.person])
    overtime = np.where(extra, 30 + 15 * draws.geometric(0.3, count), 0)
    overtime = np.minimum(overtime, 240)
    start = rows.day * 1440 + _SHIFT_START[rows.shift]
    clock_in = start + np.where(late, minutes_late, draws.integers(-12, _GRACE, count))
    pause = np.where(planned > 360, _BREAK, 0)
    clock_out = start + planned + pause + overtime + draws.integers(0, 8, count)
    lost = full & (draws.random(count) < 0.008)
    lost_in = lost & (draws.random(count) < 0.35)
    lost_out = lost & ~lost_in
    hours = np.where(lost, planned, clock_out - clock_in - pause) / 60
    return {
        "employee_id": people.ids[rows.person],
        "day": dates(rows.day),
        "status": texts(_STATUSES, rows.status),
        "shift": texts(_SHIFTS, rows.shift),
        "clock_in": moments(np.where(worked & ~lost_in, clock_in, NO_DAY)),
        "clock_out": moments(np.where(worked & ~lost_out, clock_out, NO_DAY)),
        "hours_worked": np.round(np.where(worked, hours, 0.0), 2),
        "late_minutes": np.where(lost_in, 0, minutes_late),
        "overtime_hours": np.where(lost, 0, overtime) / 60,
        "missing_punch": lost,
    }
