"""Finds the periods that a question names and gives them dates. Whose data is meant is not read here.

A small grammar of its own: general date parsers take milliseconds and read single days, not "the past four quarters".
Every pattern is tried at every place; the longest reading wins. Dates are half-open and in the asker's time zone.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from dateutil.easter import easter
from dateutil.relativedelta import relativedelta

from tiermesh_classifier.reading.calendar import Calendar

MONTHS = {
    **{
        name: number
        for number, name in enumerate(
            (
                "january",
                "february",
                "march",
                "april",
                "may",
                "june",
                "july",
                "august",
                "september",
                "october",
                "november",
                "december",
            ),
            start=1,
        )
    },
    **{
        name: number
        for number, name in enumerate(
            ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
        )
    },
    "sept": 9,
}
_WEEKDAYS = {
    name: number
    for number, names in enumerate(
        (
            ("monday", "mon"),
            ("tuesday", "tue", "tues"),
            ("wednesday", "wed"),
            ("thursday", "thu", "thur", "thurs"),
            ("friday", "fri"),
            ("saturday", "sat"),
            ("sunday", "sun"),
        )
    )
    for name in names
}
NUMBERS = {
    word: number
    for number, word in enumerate(
        (
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        )
    )
} | {"thirty": 30, "sixty": 60, "ninety": 90, "couple of": 2, "few": 3}
_SEASONS = {"spring": (3, 6), "summer": (6, 9), "autumn": (9, 12), "fall": (9, 12), "winter": (12, 15)}
_ORDINALS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "last": 4}

_MONTH = "(?:" + "|".join(sorted(MONTHS, key=len, reverse=True)) + r")\b\.?"
_WEEKDAY = "(?:" + "|".join(sorted(_WEEKDAYS, key=len, reverse=True)) + r")\b"
_NUMBER = r"(?:\d{1,3}|" + "|".join(sorted(NUMBERS, key=len, reverse=True)) + ")"
_UNIT = r"(?:day|week|fortnight|month|quarter|year|yr|wk|mth|mnth|decade)"
_YEAR = r"(?:19[89]\d|20[0-4]\d)"
_LAST = r"(?:last|past|previous|prior|preceding|lst|rolling|trailing|recent)"
_NEXT = r"(?:next|coming|upcoming|following|nxt)"
_THIS = r"(?:this|current|the current|ths|the present|the running)"


@dataclass(frozen=True, slots=True)
class Period:
    """Half-open dates of the words at [start_at, end_at) of the folded text; a missing bound is open."""

    start: date | None
    end: date | None
    start_at: int
    end_at: int
    # "since" keeps the words apart that only say where a period starts.
    kind: str = "named"
    unresolved: bool = False

    @property
    def days(self) -> int | None:
        """Length, or nothing when a bound is open."""
        if self.start is None or self.end is None:
            return None
        return (self.end - self.start).days


_Read = Callable[[re.Match[str], Calendar], tuple[date | None, date | None, str] | None]


def find_periods(folded: str, calendar: Calendar) -> tuple[Period, ...]:
    """All periods of a text in order, none overlapping."""
    found: list[Period] = []
    for period in sorted(_readings(folded, calendar), key=lambda p: (p.start_at - p.end_at, p.start_at)):
        if all(period.end_at <= other.start_at or period.start_at >= other.end_at for other in found):
            found.append(period)
    return tuple(sorted(found, key=lambda p: p.start_at))


def _readings(folded: str, calendar: Calendar) -> Iterator[Period]:
    if not _ANY.search(folded):
        return
    for pattern, read in _GRAMMAR:
        for match in pattern.finditer(folded):
            try:
                dates = read(match, calendar)
            except (ValueError, OverflowError):
                continue  # "31 June", year 0: words that name no date
            if dates is None:
                continue
            start, end, kind = dates
            yield Period(start, end, match.start(), match.end(), kind, unresolved=kind == "unresolved")


def number_of(words: str) -> int | None:
    """Value of a number written in digits or as a small word."""
    words = words.strip()
    if words.isdigit():
        return int(words)
    return NUMBERS.get(words)


def _unit(word: str) -> str:
    word = word.rstrip("s")
    return {"yr": "year", "wk": "week", "mth": "month", "mnth": "month"}.get(word, word)


def _relative(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str] | None:
    """ "this month", "last year", "next week", "financial year"."""
    word, fiscal, unit = match["rel"], match["fiscal"], _unit(match["unit"])
    shift = -1 if re.fullmatch(_LAST, word) else 1 if re.fullmatch(_NEXT, word) else 0
    if fiscal and unit == "year":
        unit = "fiscal_year"
    if unit in ("day", "decade", "fortnight"):
        return (*calendar.rolling(unit, 1, ahead=shift > 0), "relative")
    return (*calendar.unit_at(unit, shift), "relative")


def _rolling(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str] | None:
    """ "the past 12 months", "last 90 days", "next two weeks"."""
    count = number_of(match["count"])
    if not count:
        return None
    unit = _unit(match["unit"])
    return (*calendar.rolling(unit, count, ahead=bool(re.fullmatch(_NEXT, match["rel"]))), "rolling")


def _ago(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str] | None:
    """ "two months ago": the whole unit that lies there."""
    count = 1 if match["count"] in ("a", "an") else number_of(match["count"])
    if not count:
        return None
    return (*calendar.unit_at(_unit(match["unit"]), -count), "relative")


def _to_date(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str]:
    """ "year to date", "so far this year", "YTD"."""
    words = match.group()
    unit = (
        "month" if "month" in words or "mtd" in words else "quarter" if "quarter" in words or "qtd" in words else "year"
    )
    return calendar.floor(unit, calendar.today), calendar.today + timedelta(days=1), "relative"


def _quarter(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str] | None:
    """ "Q3", "third quarter", "H1", "first half of 2025", also "Q1 to Q4"."""
    number = int(match["number"]) if match["number"] else _ORDINALS[match["ordinal"]]
    last = int(match["until"]) if match["until"] else number
    unit = "half" if (match["letter"] or match["word"] or "").startswith("h") else "quarter"
    months, most = (6, 2) if unit == "half" else (3, 4)
    if match["ordinal"] == "last":
        number = last = most
    if not 1 <= number <= most or not number <= last <= most:
        return None
    start = _year_for(match["year"], calendar) + relativedelta(months=months * (number - 1))
    if not match["year"] and start > calendar.today:
        start -= relativedelta(years=1)  # a quarter that has not begun means the last one that had that name
    return start, start + relativedelta(months=months * (last - number + 1)), "named"


def _year_for(word: str | None, calendar: Calendar) -> date:
    """First day of the fiscal year that "Q3 <word>" counts in."""
    current = calendar.fiscal_year_start(calendar.today)
    if not word:
        return current
    if word.startswith("last"):
        return current - relativedelta(years=1)
    digits = re.sub(r"\D", "", word)
    return calendar.fiscal_year(int(digits) if len(digits) == 4 else 2000 + int(digits))[0] if digits else current


def _month(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str] | None:
    """ "in March", "last May", "June 2025", "January to March": the latest such month unless the words look ahead."""
    words = match.group()
    first = MONTHS[match["month"].rstrip(".")]
    start = date(_month_year(match, first, calendar), first, 1)
    last = MONTHS[match["to_month"].rstrip(".")] if match["to_month"] else first
    end = date(start.year + (last < first), last, 1) + relativedelta(months=1)
    if words.startswith("since") and not match["to_month"]:
        return start, calendar.today + timedelta(days=1), "since"
    return start, end, "named"


def _month_year(match: re.Match[str], month: int, calendar: Calendar) -> int:
    if match["year"]:
        return int(match["year"])
    today = calendar.today
    if match["rel"] and re.fullmatch(_NEXT, match["rel"]):
        return today.year + (month <= today.month)
    if match["rel"] and re.fullmatch(_LAST, match["rel"]):
        return today.year - (month >= today.month)
    return today.year if month <= today.month else today.year - 1


def _year(match: re.Match[str], calendar: Calendar) -> tuple[date | None, date | None, str] | None:
    """ "2024", "FY2024", "2021 to 2024", "since 2019", "from 2021", "2022 to date"."""
    first = int(match["year"])
    last = int(match["to_year"]) if match["to_year"] else first
    if last < first:
        return None
    if match["since"] and not match["to_year"] or match["to_date"]:
        return date(first, 1, 1), calendar.today + timedelta(days=1), "since"
    if match["fiscal"]:
        return calendar.fiscal_year(first)[0], calendar.fiscal_year(last)[1], "named"
    return date(first, 1, 1), date(last + 1, 1, 1), "named"


def _day(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str] | None:
    """ "3 May", "May 3rd", "12 to 16 May 2026", "from 3 until 21 of July"."""
    month = MONTHS[match["month"].rstrip(".")]
    first = int(match["day"])
    last = int(match["to_day"]) if match["to_day"] else first
    year = int(match["year"]) if match["year"] else _nearest_year(month, first, calendar)
    start = date(year, month, first)
    if match.group().startswith("since"):
        return start, calendar.today + timedelta(days=1), "since"
    return start, date(year, month, last) + timedelta(days=1), "named"


def _nearest_year(month: int, day: int, calendar: Calendar) -> int:
    """The year that brings a day without a year nearest to today: leave is asked for ahead, records looked up behind."""
    year = calendar.today.year
    candidate = date(year, month, min(day, 28))
    if (calendar.today - candidate).days > 183:
        return year + 1
    return year - 1 if (candidate - calendar.today).days > 183 else year


def _iso(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str]:
    """ "2026-05-03"."""
    day = date.fromisoformat(match.group())
    return day, day + timedelta(days=1), "named"


def _near_day(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str]:
    """ "today", "yesterday", "tomorrow"."""
    word = match.group()
    shift = (
        -1 if word.startswith("y") or word.startswith("last") else 1 if word.startswith(("tomo", "tmr", "tmrw")) else 0
    )
    day = calendar.today + timedelta(days=shift)
    return day, day + timedelta(days=1), "day"


def _weekday(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str]:
    """ "on Monday", "last Friday", "next Tuesday", "since Monday"."""
    target = _WEEKDAYS[match["weekday"]]
    today = calendar.today
    rel = match["rel"] or ""
    if rel and re.fullmatch(_LAST, rel):
        day = today - timedelta(days=(today.weekday() - target - 1) % 7 + 1)
    elif rel and re.fullmatch(_NEXT, rel):
        day = today + timedelta(days=(target - today.weekday() - 1) % 7 + 1)
    else:
        day = today - timedelta(days=today.weekday()) + timedelta(days=target)
    if rel == "since":
        day = today - timedelta(days=(today.weekday() - target) % 7)
        return day, today + timedelta(days=1), "since"
    return day, day + timedelta(days=1), "day"


def _month_day(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str] | None:
    """ "on the 22nd", "the 14th to the 15th", "from the 9th": days of the nearest month that has them ahead or this month."""
    first = int(match["day"])
    last = int(match["to_day"]) if match["to_day"] else first
    month = calendar.today.replace(day=1)
    start = month.replace(day=first)
    end = (month if last >= first else month + relativedelta(months=1)).replace(day=last)
    return start, end + timedelta(days=1), "named" if last != first else "day"


def _season(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str]:
    """ "last summer", "in the spring"."""
    first, beyond = _SEASONS[match["season"]]
    year = calendar.today.year
    rel = match["rel"] or ""
    start = date(year, first, 1)
    if re.fullmatch(_LAST, rel) and start + relativedelta(months=beyond - first) > calendar.today:
        start -= relativedelta(years=1)
    if re.fullmatch(_NEXT, rel) and start <= calendar.today:
        start += relativedelta(years=1)
    if not rel and start > calendar.today:
        start -= relativedelta(years=1)
    return start, start + relativedelta(months=beyond - first), "named"


def _feast(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str]:
    """ "over Easter", "at Christmas", "between Christmas and New Year"."""
    year = calendar.today.year
    if "easter" in match.group():
        sunday = easter(year)
        return sunday - timedelta(days=2), sunday + timedelta(days=2), "named"
    return date(year, 12, 24), date(year + 1, 1, 2), "named"


def _weekend(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str]:
    rel = match["rel"] or ""
    shift = -1 if re.fullmatch(_LAST, rel) else 1 if re.fullmatch(_NEXT, rel) else 0
    start = calendar.unit_at("week", shift)[0] + timedelta(days=5)
    return start, start + timedelta(days=2), "named"


def _always(match: re.Match[str], calendar: Calendar) -> tuple[None, date, str]:
    """ "ever", "all time", "since I joined": everything up to today."""
    return None, calendar.today + timedelta(days=1), "always"


def _since_rolling(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str] | None:
    """ "since three weeks", "over six months", "over the years" is not one."""
    count = number_of(match["count"])
    return (*calendar.rolling(_unit(match["unit"]), count), "rolling") if count else None


def _since_relative(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str]:
    """ "since last year", "since yesterday"."""
    word = match["rel"]
    if word == "yesterday":
        return calendar.today - timedelta(days=1), calendar.today + timedelta(days=1), "since"
    shift = -1 if re.fullmatch(_LAST, word.split()[0]) else 0
    start = calendar.unit_at(_unit(word.split()[-1]), shift)[0]
    return start, calendar.today + timedelta(days=1), "since"


def _unresolved(match: re.Match[str], calendar: Calendar) -> tuple[None, None, str]:
    """ "since the re-org": a period, but of an event whose date nobody told."""
    return None, None, "unresolved"


def _lately(match: re.Match[str], calendar: Calendar) -> tuple[None, None, str]:
    """ "lately", "these days": a recent stretch without dates."""
    return None, None, "unresolved"


_NTH = r"(?:st|nd|rd|th)?"
_SPAN = r"\s*(?:-|to|until|till|through|thru|and)\s*(?:the\s+)?"
_GRAMMAR: tuple[tuple[re.Pattern[str], _Read], ...] = tuple(
    (re.compile(pattern), read)
    for pattern, read in (
        (
            rf"\b(?P<rel>{_LAST}|{_NEXT}|{_THIS})\s+(?P<fiscal>fiscal\s+|financial\s+|tax\s+|calendar\s+)?(?P<unit>{_UNIT})\b(?:'s)?",
            _relative,
        ),
        (
            rf"\b(?:over\s+|in\s+|for\s+|during\s+|within\s+)?(?:the\s+)?(?P<rel>{_LAST}|{_NEXT})\s+(?P<count>{_NUMBER})\s+(?P<unit>{_UNIT})s?\b",
            _rolling,
        ),
        (rf"\b(?P<rel>rolling|trailing)\s+(?P<count>{_NUMBER})[\s-]+(?P<unit>{_UNIT})s?\b", _rolling),
        (rf"\b(?P<count>{_NUMBER}|an?)\s+(?P<unit>{_UNIT})s?\s+(?:ago|back|before)\b", _ago),
        (
            r"\b(?:year|month|quarter)[\s-]to[\s-]date\b|\b(?:ytd|mtd|qtd)\b|\bso far this (?:year|month|quarter)\b|\bthis (?:year|month|quarter) so far\b",
            _to_date,
        ),
        (
            rf"\b(?:(?P<letter>[qh])\s?(?P<number>[1-4])\b(?:\s*(?:-|to|through)\s*[qh]?(?P<until>[1-4])\b)?|(?P<ordinal>first|second|third|fourth|last|1st|2nd|3rd|4th)\s+(?P<word>quarter|half(?:[\s-]year)?))(?:\s*(?:of\s+|/\s*|-\s*)?(?P<year>{_YEAR}|last year|this year|fy\s?\d\d))?",
            _quarter,
        ),
        (
            rf"\b(?:(?P<rel>since|in|during|for|of|{_LAST}|{_NEXT}|{_THIS})\s+)?(?P<month>{_MONTH})(?:\s*(?:-|to|until|through|and)\s*(?P<to_month>{_MONTH}))?(?:\s+(?:of\s+)?(?P<year>{_YEAR}))?(?!\s*\d)",
            _month,
        ),
        (
            rf"\b(?P<since>since\s+|from\s+)?(?P<fiscal>fy\s?|fiscal year\s+|financial year\s+)?(?P<year>{_YEAR})\b(?:{_SPAN}(?P<to_year>{_YEAR})\b)?(?P<to_date>\s+(?:to date|onwards?|till now|until now|on\b))?",
            _year,
        ),
        (
            rf"\b(?:since\s+)?(?:the\s+)?(?P<day>\d{{1,2}}){_NTH}(?:{_SPAN}(?P<to_day>\d{{1,2}}){_NTH})?\s+(?:of\s+)?(?P<month>{_MONTH})(?:\s+(?P<year>{_YEAR}))?",
            _day,
        ),
        (
            rf"\b(?:since\s+)?(?P<month>{_MONTH})\s+(?:the\s+)?(?P<day>\d{{1,2}}){_NTH}\b(?:{_SPAN}(?P<to_day>\d{{1,2}}){_NTH}\b)?(?:,?\s+(?P<year>{_YEAR}))?",
            _day,
        ),
        (r"\b\d{4}-\d{2}-\d{2}\b", _iso),
        (
            r"\b(?:today|tday|tonight|yesterday|yestrday|ystrday|last night|tomorrow|tomorow|tmrw|tmr|right now|this (?:morning|afternoon|evening))\b",
            _near_day,
        ),
        (rf"\b(?:(?P<rel>since|on|{_LAST}|{_NEXT}|{_THIS})\s+)?(?P<weekday>{_WEEKDAY})", _weekday),
        (
            rf"\b(?:on|from|for|off|by)?\s*the\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)(?:{_SPAN}(?P<to_day>\d{{1,2}}){_NTH})?\b(?!\s+(?:of\s+)?{_MONTH})",
            _month_day,
        ),
        (
            rf"\b(?:(?P<rel>{_LAST}|{_NEXT}|{_THIS})\s+)?(?:the\s+)?(?P<season>spring|summer|autumn|fall|winter)\b",
            _season,
        ),
        (r"\b(?:over |at |around |during |between )?(?:easter|christmas(?: and new year)?|xmas)\b", _feast),
        (rf"\b(?:(?P<rel>{_LAST}|{_NEXT}|{_THIS})\s+)?week-?end\b", _weekend),
        (
            r"\b(?:ever|all[\s-]time|of all times?|always|never|historically|throughout the years|over the years|since (?:i|he|she|they|we|[a-z]+) (?:\w+ )?(?:joined|started|took over|became|came|began)|since (?:the beginning|day one|joining|hiring|the start)|to this day)\b",
            _always,
        ),
        (rf"\b(?:since|over|for|in)\s+(?P<count>{_NUMBER})\s+(?P<unit>{_UNIT})s?\b(?!\s+(?:ago|old))", _since_rolling),
        (rf"\bsince\s+(?P<rel>yesterday|(?:{_LAST}|{_THIS}|the start of the)\s+{_UNIT})\b", _since_relative),
        (
            r"\bsince\s+(?:the\s+|our\s+|my\s+|they\s+|we\s+|it\s+)(?!start\b|beginning\b)[\w-]+(?:\s+[\w-]+){0,4}",
            _unresolved,
        ),
        (
            r"\b(?:before|after|during|until|till)\s+(?:the|our)\s+(?:[\w-]+\s+)?(?:re-?org\w*|merger|move|launch|lockdown|pandemic|migration|acquisition|corona|covid|reorganisation|reorganization|strike|flu season)\b",
            _unresolved,
        ),
        (r"\b(?:lately|recently|these days|of late|in recent (?:weeks|months)|nowadays)\b", _lately),
    )
)
# One cheap look before thirty patterns: most words that a period needs.
_ANY = re.compile(
    r"\d|day|week|month|quarter|year|\byrs?\b|\bwks?\b|mnth|\bmth|night|since|ever|never|always|all[\s-]time|of all|"
    r"morrow|tmr|morning|evening|noon|now|\b[myq]td\b|half|late|recent|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|"
    r"\bmon\b|\btue|\bwed\b|\bthu|\bfri\b|\bsat\b|\bsun\b|spring|summer|autumn|fall|winter|easter|xmas|before|after|during|"
    r"until|till|histor|decade|fortnight|begin|over the"
)
