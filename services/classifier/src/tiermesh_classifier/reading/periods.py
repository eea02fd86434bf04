"""Finds the periods that a question names. Whose data is meant is not read here.

A small grammar of its own: general date parsers take milliseconds and read single days, not "the past four quarters".
Every pattern is tried at every place; the longest reading wins. Dates are half-open and in the asker's time zone.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date

from dateutil.relativedelta import relativedelta

from tiermesh_classifier.reading import period_readings as say
from tiermesh_classifier.reading.calendar import Calendar
from tiermesh_classifier.reading.period_words import LAST, MONTH, NEXT, NUMBER, THIS, UNIT, WEEKDAY, YEAR


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

    def upcoming(self, today: date) -> "Period":
        """The next such period, where the words leave open which: a bare weekday or month that lies behind."""
        if self.kind not in ("weekday", "month") or self.start is None or self.end is None or self.end > today:
            return self
        step = relativedelta(weeks=1) if self.kind == "weekday" else relativedelta(years=1)
        return replace(self, start=self.start + step, end=self.end + step)


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


_NTH = r"(?:st|nd|rd|th)?"
_SPAN = r"\s*(?:-|to|until|till|through|thru|and)\s*(?:the\s+)?"
_GRAMMAR: tuple[tuple[re.Pattern[str], _Read], ...] = tuple(
    (re.compile(pattern), read)
    for pattern, read in (
        (
            rf"\b(?P<rel>{LAST}|{NEXT}|{THIS})\s+(?P<fiscal>fiscal\s+|financial\s+|tax\s+|"
            rf"calendar\s+)?(?P<unit>{UNIT})\b(?:'s)?",
            say.read_relative,
        ),
        (
            rf"\b(?:over\s+|in\s+|for\s+|during\s+|within\s+)?(?:the\s+)?(?P<rel>{LAST}|"
            rf"{NEXT})\s+(?P<count>{NUMBER})\s+(?P<unit>{UNIT})s?\b",
            say.read_rolling,
        ),
        (rf"\b(?P<rel>rolling|trailing)\s+(?P<count>{NUMBER})[\s-]+(?P<unit>{UNIT})s?\b", say.read_rolling),
        (rf"\b(?P<count>{NUMBER}|an?)\s+(?P<unit>{UNIT})s?\s+(?:ago|back|before)\b", say.read_ago),
        (
            r"\b(?:year|month|quarter)[\s-]to[\s-]date\b|\b(?:ytd|mtd|qtd)\b|\bso far this (?:year|"
            r"month|quarter)\b|\bthis (?:year|month|quarter) so far\b",
            say.read_to_date,
        ),
        (
            rf"\b(?:(?P<letter>[qh])\s?(?P<number>[1-4])\b(?:\s*(?:-|to|"
            rf"through)\s*[qh]?(?P<until>[1-4])\b)?|(?P<ordinal>first|second|third|fourth|last|1st|"
            rf"2nd|3rd|4th)\s+(?P<word>quarter|half(?:[\s-]year)?))(?:\s*(?:of\s+|/\s*|-\s*)?"
            rf"(?P<year>{YEAR}|last year|this year|fy\s?\d\d))?",
            say.read_quarter,
        ),
        (
            rf"\b(?:(?P<rel>since|in|during|for|of|{LAST}|{NEXT}|{THIS})\s+)?"
            rf"(?P<month>{MONTH})(?:\s*(?:-|to|until|through|and)\s*(?P<to_month>{MONTH}))?"
            rf"(?:\s+(?:of\s+)?(?P<year>{YEAR}))?(?!\s*\d)",
            say.read_month,
        ),
        (
            rf"\b(?P<since>since\s+|from\s+)?(?P<fiscal>fy\s?|fiscal year\s+|financial year\s+)?"
            rf"(?P<year>{YEAR})\b(?:{_SPAN}(?P<to_year>{YEAR})\b)?(?P<to_date>\s+(?:to date|"
            rf"onwards?|till now|until now|on\b))?",
            say.read_year,
        ),
        (
            rf"\b(?:since\s+)?(?:the\s+)?"
            rf"(?P<day>\d{{1,2}}){_NTH}(?:{_SPAN}(?P<to_day>\d{{1,2}}){_NTH})?\s+(?:of\s+)?"
            rf"(?P<month>{MONTH})(?:\s+(?P<year>{YEAR}))?",
            say.read_day,
        ),
        (
            rf"\b(?:since\s+)?(?P<month>{MONTH})\s+(?:the\s+)?"
            rf"(?P<day>\d{{1,2}}){_NTH}\b(?:{_SPAN}(?P<to_day>\d{{1,2}}){_NTH}\b)?"
            rf"(?:,?\s+(?P<year>{YEAR}))?",
            say.read_day,
        ),
        (r"\b\d{4}-\d{2}-\d{2}\b", say.read_iso),
        (
            r"\b(?:today|tday|tonight|yesterday|yestrday|ystrday|last night|tomorrow|tomorow|tmrw|"
            r"tmr|right now|this (?:morning|afternoon|evening))\b",
            say.read_near_day,
        ),
        (rf"\b(?:(?P<rel>since|on|{LAST}|{NEXT}|{THIS})\s+)?(?P<weekday>{WEEKDAY})", say.read_weekday),
        (
            rf"\b(?:on|from|for|off|by)?\s*the\s+(?P<day>\d{{1,2}})(?:st|nd|rd|"
            rf"th)(?:{_SPAN}(?P<to_day>\d{{1,2}}){_NTH})?\b(?!\s+(?:of\s+)?{MONTH})",
            say.read_month_day,
        ),
        (
            rf"\b(?:(?P<rel>{LAST}|{NEXT}|{THIS})\s+)?(?:the\s+)?(?P<season>spring|summer|autumn|fall|winter)\b",
            say.read_season,
        ),
        (r"\b(?:over |at |around |during |between )?(?:easter|christmas(?: and new year)?|xmas)\b", say.read_feast),
        (rf"\b(?:(?P<rel>{LAST}|{NEXT}|{THIS})\s+)?week-?end\b", say.read_weekend),
        (
            r"\b(?:ever|all[\s-]time|of all times?|always|never|historically|throughout the years|"
            r"over the years|since (?:i|he|she|they|we|[a-z]+) (?:\w+ )?(?:joined|started|"
            r"took over|became|came|began)|since (?:the beginning|day one|joining|hiring|"
            r"the start)|to this day)\b",
            say.read_always,
        ),
        (
            rf"\b(?:since|over|for|in)\s+(?P<count>{NUMBER})\s+(?P<unit>{UNIT})s?\b(?!\s+(?:ago|old))",
            say.read_since_rolling,
        ),
        (rf"\bsince\s+(?P<rel>yesterday|(?:{LAST}|{THIS}|the start of the)\s+{UNIT})\b", say.read_since_relative),
        (
            r"\bsince\s+(?:the\s+|our\s+|my\s+|they\s+|we\s+|it\s+)(?!start\b|beginning\b)[\w-]+(?:\s+[\w-]+){0,4}",
            say.read_unresolved,
        ),
        (
            r"\b(?:before|after|during|until|till)\s+(?:the|our)\s+(?:[\w-]+\s+)?(?:re-?org\w*|"
            r"merger|move|launch|lockdown|pandemic|migration|acquisition|corona|covid|"
            r"reorganisation|reorganization|strike|flu season)\b",
            say.read_unresolved,
        ),
        (r"\b(?:lately|recently|these days|of late|in recent (?:weeks|months)|nowadays)\b", say.read_lately),
    )
)
# One cheap look before thirty patterns: most words that a period needs.
_ANY = re.compile(
    r"\d|day|week|month|quarter|year|\byrs?\b|\bwks?\b|mnth|\bmth|night|since|ever|never|always|all[\s-]time|of all|"
    r"morrow|tmr|morning|evening|noon|now|\b[myq]td\b|half|late|recent|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|"
    r"\bmon\b|\btue|\bwed\b|\bthu|\bfri\b|\bsat\b|\bsun\b|spring|summer|autumn|fall|winter|easter|xmas|before|after|during|"
    r"until|till|histor|decade|fortnight|begin|over the"
)
