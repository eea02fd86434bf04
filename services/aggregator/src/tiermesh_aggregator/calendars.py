"""Days, grains and relative periods, in the asker's calendar. Makes no SQL."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tiermesh_aggregator.failures import BadFieldError, BadPeriodError
from tiermesh_aggregator.query import Moment, Period

earliest = date(1900, 1, 1)
latest = date(2200, 1, 1)
longest_look_back_years = 10
"""How far states are looked back when a development has no first day."""

months_of: Mapping[str, int] = {"month": 1, "quarter": 3, "year": 12, "fiscal_quarter": 3, "fiscal_year": 12}


@dataclass(frozen=True)
class Bucket:
    """One step of a calendar grain."""

    start: date
    end: date
    """Day after the last."""
    looked_at: date
    """Day on which states are looked at."""


def time_zone(name: str) -> ZoneInfo:
    """The zone of that IANA name; empty is UTC."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadFieldError(
            "context.time_zone", 'No such time zone; use an IANA name such as "Europe/Berlin".'
        ) from error


def check(period: Period) -> Period:
    """The period itself when it is in order; BadPeriodError otherwise."""
    if period.start is not None and period.end is not None and period.start >= period.end:
        raise BadPeriodError(f"The period is reversed or empty: {period.start} is not before {period.end}.")
    for day in (period.start, period.end):
        if day is not None and not earliest <= day <= latest:
            raise BadPeriodError(f"The period is out of bounds: days lie between {earliest} and {latest}.")
    return period


def relative(name: str, moment: Moment) -> Period:
    """A period of the semantic model, such as "this_year"; "all" is unbounded."""
    today = moment.today
    tomorrow = today + timedelta(days=1)
    if name == "all":
        return Period()
    if name == "today":
        return Period(today, tomorrow)
    if name == "from_today":
        return Period(today, None)
    if name == "last_30_days":
        return Period(today - timedelta(days=29), tomorrow)
    if name == "last_12_months":
        return Period(_months_later(today.replace(day=1), -11), tomorrow)
    grain = name.removeprefix("this_")
    start = floor(today, grain, moment)
    return Period(start, following(start, grain))


def floor(day: date, grain: str, moment: Moment) -> date:
    """The first day of the step of a grain that holds `day`."""
    if grain == "day":
        return day
    if grain == "week":
        shift = 1 if moment.week_start == "sunday" else 0
        return day - timedelta(days=(day.weekday() + shift) % 7)
    length = months_of[grain]
    offset = moment.fiscal_year_start - 1 if grain.startswith("fiscal") else 0
    months = day.year * 12 + day.month - 1 - offset
    return _month(months - months % length + offset)


def following(start: date, grain: str) -> date:
    """The first day of the step after the one that begins with `start`."""
    if grain in ("day", "week"):
        return start + timedelta(days=1 if grain == "day" else 7)
    return _months_later(start, months_of[grain])


def buckets(period: Period, grain: str, moment: Moment, limit: int = 1000) -> list[Bucket]:
    """The steps of a grain in a period, those that have begun by today. BadPeriodError when there are too many."""
    end = min(period.end or latest, max(moment.today, period.start or earliest) + timedelta(days=1))
    years = timedelta(days=365 * longest_look_back_years)
    start = floor(period.start or (end - years), grain, moment)
    found = []
    while start < end:
        after = following(start, grain)
        last = after - timedelta(days=1)
        found.append(Bucket(start, after, moment.today if start <= moment.today < last else last))
        start = after
        if len(found) > limit:
            raise BadPeriodError(f"More than {limit} steps: take a coarser grain than {grain}, or a shorter period.")
    return found


def _month(months: int) -> date:
    return date(months // 12, months % 12 + 1, 1)


def _months_later(day: date, months: int) -> date:
    return _month(day.year * 12 + day.month - 1 + months)
