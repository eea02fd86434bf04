"""Finds the period that a text speaks of, as ISO days, relative to the day that the prompt names."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

_MONTHS: Final = {name.lower(): number for number, name in enumerate(calendar.month_name) if name} | {
    name.lower(): number for number, name in enumerate(calendar.month_abbr) if name and name != "May"
}
_MONTH_WORDS: Final = "|".join(sorted(_MONTHS, key=len, reverse=True))
_WEEKDAYS: Final = [name.lower() for name in calendar.day_name]
_NUMBERS: Final = {
    word: number
    for number, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    )
}
_TODAY: Final = re.compile(
    r"(?:today(?: is|'s date is|:)?|current date(?: is|:)?|date:)\s*(\d{4}-\d{2}-\d{2})", re.IGNORECASE
)
_ISO: Final = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")


@dataclass(frozen=True, slots=True)
class Period:
    """A period, both days included; `words` is what was said."""

    start: date
    end: date
    words: str


def today_in(text: str) -> date | None:
    """Return the day that a prompt says is today."""
    match = _TODAY.search(text)
    return date.fromisoformat(match.group(1)) if match else None


def number_of(word: str) -> int | None:
    """Return what a number word or digits say."""
    return int(word) if word.isdigit() else _NUMBERS.get(word.lower())


def _month(year: int, month: int) -> tuple[date, date]:
    return date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])


def _shift_month(today: date, months: int) -> tuple[date, date]:
    index = today.year * 12 + today.month - 1 + months
    return _month(index // 12, index % 12 + 1)


def _quarter(year: int, quarter: int) -> tuple[date, date]:
    return date(year, quarter * 3 - 2, 1), _month(year, quarter * 3)[1]


def _shift_quarter(today: date, quarters: int) -> tuple[date, date]:
    index = today.year * 4 + (today.month - 1) // 3 + quarters
    return _quarter(index // 4, index % 4 + 1)


def _week(today: date, weeks: int) -> tuple[date, date]:
    monday = today - timedelta(days=today.weekday()) + timedelta(weeks=weeks)
    return monday, monday + timedelta(days=6)


def _year(year: int) -> tuple[date, date]:
    return date(year, 1, 1), date(year, 12, 31)


_NAMED: Final[tuple[tuple[str, Callable[[date], tuple[date, date]]], ...]] = (
    (r"year to date|ytd|so far this year", lambda day: (date(day.year, 1, 1), day)),
    (r"this year|current year", lambda day: _year(day.year)),
    (r"last year|previous year", lambda day: _year(day.year - 1)),
    (r"next year", lambda day: _year(day.year + 1)),
    (r"this quarter|current quarter", lambda day: _shift_quarter(day, 0)),
    (r"last quarter|previous quarter", lambda day: _shift_quarter(day, -1)),
    (r"next quarter", lambda day: _shift_quarter(day, 1)),
    (r"this month|current month", lambda day: _shift_month(day, 0)),
    (r"last month|previous month", lambda day: _shift_month(day, -1)),
    (r"next month", lambda day: _shift_month(day, 1)),
    (r"this week|current week", lambda day: _week(day, 0)),
    (r"last week|previous week", lambda day: _week(day, -1)),
    (r"next week", lambda day: _week(day, 1)),
    (r"the day before yesterday", lambda day: (day - timedelta(days=2),) * 2),
    (r"yesterday", lambda day: (day - timedelta(days=1),) * 2),
    (r"tomorrow", lambda day: (day + timedelta(days=1),) * 2),
    (r"today|right now", lambda day: (day, day)),
)


def find_period(text: str, today: date) -> Period | None:
    """Return the first period that a text names; None when it names none."""
    for finder in (_iso, _rolling, _quarter_named, _days_of_month, _named, _month_named, _weekday, _year_named):
        period = finder(text, today)
        if period is not None:
            return period
    return None


def _iso(text: str, today: date) -> Period | None:
    days: list[date] = []
    for match in _ISO.finditer(text):
        try:
            days.append(date.fromisoformat(match.group()))
        except ValueError:
            continue
    return Period(min(days), max(days), "") if days else None


def _rolling(text: str, today: date) -> Period | None:
    match = re.search(r"\b(?:last|past|previous)\s+(\w+)\s+(day|week|month|year)s?\b", text, re.IGNORECASE)
    number = number_of(match.group(1)) if match else None
    if match is None or number is None:
        return None
    unit = match.group(2).lower()
    if unit in ("day", "week"):
        start = today - timedelta(days=number * (7 if unit == "week" else 1))
    else:
        first = _shift_month(today, -number * (12 if unit == "year" else 1))
        start = first[0].replace(day=min(today.day, first[1].day))
    return Period(start, today, match.group())


def _quarter_named(text: str, today: date) -> Period | None:
    match = re.search(r"\bq([1-4])\b(?:\s+(?:of\s+)?(\d{4}))?", text, re.IGNORECASE)
    if match is None:
        return None
    return Period(*_quarter(int(match.group(2) or today.year), int(match.group(1))), match.group())


def _named(text: str, today: date) -> Period | None:
    for pattern, build in _NAMED:
        match = re.search(rf"\b(?:{pattern})\b", text, re.IGNORECASE)
        if match is not None:
            start, end = build(today)
            return Period(start, end, match.group())
    return None


def _month_named(text: str, today: date) -> Period | None:
    match = re.search(rf"\b(?:(\d{{1,2}})(?:st|nd|rd|th)?\s+)?({_MONTH_WORDS})\b"
        r"(?:\s+(\d{1,2})(?!\d))?(?:,?\s+(\d{4}))?",
                      text, re.IGNORECASE)  # fmt: skip
    if match is None or (match.group(2) == "may" and not (match.group(1) or match.group(4))):
        return None
    month = _MONTHS[match.group(2).lower()]
    year = int(match.group(4) or today.year)
    first, last = _month(year, month)
    day = int(match.group(1) or match.group(3) or 0)
    if 1 <= day <= last.day:
        return Period(first.replace(day=day), first.replace(day=day), match.group())
    return Period(first, last, match.group())


def _weekday(text: str, today: date) -> Period | None:
    names = "|".join(_WEEKDAYS)
    match = re.search(
        rf"\b(?:(last|next|on|this)\s+)?({names})\b(?:\s*(?:and|to|till|until|through|-|–)\s*({names})\b)?",
        text,
        re.IGNORECASE,
    )
    if match is None:
        return None
    ahead = (_WEEKDAYS.index(match.group(2).lower()) - today.weekday()) % 7
    day = today + timedelta(days=ahead or 7)
    if (match.group(1) or "").lower() == "last":
        day -= timedelta(days=7)
    further = (_WEEKDAYS.index(match.group(3).lower()) - day.weekday()) % 7 if match.group(3) else 0
    return Period(day, day + timedelta(days=further), match.group().strip())


def _days_of_month(text: str, today: date) -> Period | None:
    """Several days of a month, as in "21 to 23 December" or "March 3-7"."""
    through = r"(\d{1,2})(?:st|nd|rd|th)?\s*(?:-|–|to|till|until|through|and)\s*(?:the\s+)?(\d{1,2})(?:st|nd|rd|th)?"
    year = r"(?:,?\s+(\d{4}))?"
    for pattern in (
        rf"\b{through}\s+(?:of\s+)?(?P<month>{_MONTH_WORDS})\b{year}",
        rf"\b(?P<month>{_MONTH_WORDS})\s+{through}\b(?!\d){year}",
    ):
        match = re.search(pattern, text, re.IGNORECASE)
        if match is None:
            continue
        days = [int(group) for group in match.groups() if group and group.isdigit()]
        first, last = _month(days[2] if len(days) > 2 else today.year, _MONTHS[match["month"].lower()])
        if 1 <= days[0] <= days[1] <= last.day:
            return Period(first.replace(day=days[0]), first.replace(day=days[1]), match.group())
    return None


def periods_in(text: str, today: date) -> list[Period]:
    """Return every period that a text names, in its order: the sides of a comparison."""
    found: list[Period] = []
    for piece in re.split(r"\b(?:and|with|to|versus|vs\.?|than|against|or|from)\b", text, flags=re.IGNORECASE):
        period = find_period(piece, today)
        if period is not None and (period.start, period.end) not in [(one.start, one.end) for one in found]:
            found.append(period)
    return found


def _year_named(text: str, today: date) -> Period | None:
    years = [int(year) for year in re.findall(r"\b(20\d{2}|19\d{2})\b", text)]
    if not years:
        return None
    return Period(_year(min(years))[0], _year(max(years))[1], str(years[0]))
