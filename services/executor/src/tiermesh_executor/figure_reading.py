"""Finds every figure in a piece of prose and says how it can be read.

Digits with separators of several locales, signs, currencies, scales, percentages,
dates, times, ordinals, ranges, number words, fractions and ratios, and tokens that only
look like figures ("Q3", "B2"). What is true of a figure is not decided here.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from tiermesh_executor.number_words import NUMBER_WORDS, value_of_words


class FigureKind(StrEnum):
    """How a figure is meant."""

    NUMBER = "number"
    PERCENT = "percent"
    FRACTION = "fraction"
    RATIO = "ratio"
    ORDINAL = "ordinal"
    DATE = "date"
    TIME = "time"
    NAME = "name"


class Hedge(StrEnum):
    """What the words before a figure promise of its exactness."""

    EXACT = "exact"
    ABOUT = "about"
    OVER = "over"
    UNDER = "under"


@dataclass(frozen=True, slots=True)
class Day:
    """A date as far as it is written: year and day may be missing."""

    year: int | None
    month: int
    day: int | None


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure; `values` are its possible readings in the locale."""

    kind: FigureKind
    text: str
    start: int
    end: int
    values: tuple[Decimal, ...] = ()
    # Smallest step that the writing shows: 0.1 for "1.2", 100,000 for "1.2 million".
    step: Decimal = Decimal(1)
    negative: bool = False
    currency: str = ""
    unit: str = ""
    hedge: Hedge = Hedge.EXACT
    days: tuple[Day, ...] = ()


_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar jänner", "february feb februar", "march mar märz", "april apr", "may mai",
            "june jun juni", "july jul juli", "august aug", "september sep sept", "october oct oktober okt",
            "november nov", "december dec dezember dez",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
MONTH_NAMES = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
               "November", "December")  # fmt: skip
_MONTH = "(?:" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\.?"
CURRENCIES = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY", "₹": "INR", "zł": "PLN", "chf": "CHF"}
_CURRENCY = (
    r"€|\$|£|¥|₹|zł|\b(?:EUR|USD|GBP|JPY|INR|PLN|CHF|SEK|NOK|DKK|CZK|HUF|CAD|AUD|SGD|BRL|AED|euros?|dollars?|pounds?)\b"
)
_UNITS = {
    "day": "day", "days": "day", "d": "day", "hour": "hour", "hours": "hour", "hrs": "hour", "hr": "hour", "h": "hour",
    "minute": "minute", "minutes": "minute", "min": "minute", "mins": "minute", "week": "week", "weeks": "week",
    "month": "month", "months": "month", "year": "year", "years": "year", "tage": "day", "tag": "day",
    "stunden": "hour", "stunde": "hour", "minuten": "minute",
}  # fmt: skip
_SCALES = {"k": 3, "thousand": 3, "tsd": 3, "m": 6, "million": 6, "millions": 6, "mio": 6, "bn": 9, "billion": 9}

_SPACES = "\u00a0\u2009\u202f "
_GROUPED = rf"\d{{1,3}}(?:[,.'’{_SPACES}]\d{{3}})+(?!\d)(?:[.,]\d+)?|\d{{1,2}}(?:,\d{{2}})+,\d{{3}}(?!\d)(?:\.\d+)?"
_DIGITS = rf"(?:{_GROUPED}|\d+(?:[.,]\d+)?)"
_SCALE = r"(?:[ \u00a0-]?(?:thousand|millions?|billion|Tsd|Mio|bn)\b\.?|[kKmM](?![\w]))"
_PERCENT = r"\s?%|[ \u00a0-]?(?:percent(?:age points?)?|per cent|pp|Prozent)\b"
_WORDS = "|".join(sorted(NUMBER_WORDS, key=len, reverse=True))

_DATE_PATTERNS = (
    (r"\b(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})\b(?!-)", "iso"),
    (r"\b(?P<y>\d{4})-(?P<m>0[1-9]|1[0-2])\b(?!-)", "iso"),
    (rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th|\.)?\s+(?:of\s+)?(?P<n>{_MONTH})(?:,?\s+(?P<y>\d{{4}}))?\b", "named"),
    (rf"\b(?P<n>{_MONTH})\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(?P<y>\d{{4}}))?(?![\d%]|[.,]\d)", "named"),
    (rf"\b(?P<n>{_MONTH})\s+(?P<y>\d{{4}})\b", "named"),
    (r"\b(?P<a>\d{1,2})[./](?P<b>\d{1,2})[./](?P<y>\d{4})\b", "slashed"),
)
_DATES = [(re.compile(pattern, re.IGNORECASE), style) for pattern, style in _DATE_PATTERNS]
_TIME = re.compile(r"\b(?:[01]?\d|2[0-4]):[0-5]\d(?::[0-5]\d)?\b")
_ORDINAL = re.compile(r"\b(\d+)(?:st|nd|rd|th)\b", re.IGNORECASE)
_LIST_MARK = re.compile(r"(?m)^\s*(\d{1,3})[.)](?=\s)")
_FRACTION = re.compile(
    r"\b(?:(?P<n>a|one|two|three|four)[ -](?P<d>third|quarter|fifth)s?\b(?:[ -]of\b)?"
    r"|(?<!first )(?<!second )(?P<h>half)\b)",
    re.IGNORECASE,
)
_RATIO = re.compile(
    rf"\b(?:twice|(?:doubled?|tripled?)\b|(?P<w>{_WORDS}|\d+(?:[.,]\d+)?)(?: times\b|x\b|-fold\b))", re.IGNORECASE
)
_NUMBER = re.compile(
    rf"(?P<sign>(?<![\w)])[-−–](?=[€$£¥₹]?\s?\d)|\bminus\s)?(?P<before>(?:{_CURRENCY})\s?)?(?P<inner>[-−](?=\d))?"
    rf"(?P<digits>(?<![\w]){_DIGITS})(?P<scale>{_SCALE})?(?:(?P<percent>{_PERCENT})|(?P<after>\s?(?:{_CURRENCY})))?"
    r"(?:[ \u00a0-]?(?P<unit>days?|hours?|hrs?|minutes?|mins?|weeks?|months?|years?|Tage?n?|Stunden?|Minuten|[dh])\b)?",
    re.IGNORECASE,
)
_WORD_NUMBER = re.compile(
    rf"\b(?P<digits>(?:{_WORDS})(?:(?:[ -]| and )(?:{_WORDS}))*)\b(?P<percent>{_PERCENT})?"
    r"(?:[ -](?P<unit>days?|hours?|minutes?|weeks?|months?|years?)\b)?",
    re.IGNORECASE,
)
# Letters and digits in one token; units and scales are numbers, and so are ordinals, read before this.
_NAME = re.compile(r"(?<![\w.,])(?=[\w-]*[^\W\d_])(?=[\w-]*\d)[^\W_][\w]*(?:-[\w]+)*")
_NUMBER_LIKE = re.compile(
    r"\d[\d.,]*(?:k|m|bn|h|d|min|hrs?|x|[A-Z]{3})|\d[\d.,]*-[^\W\d_]+(?:-[^\W\d_]+)*", re.IGNORECASE
)
_HEDGES = (
    (
        Hedge.ABOUT,
        re.compile(r"(?:about|around|approximately|approx\.?|roughly|some|circa|ca\.|~|≈|close to)\s*$", re.I),
    ),
    (Hedge.OVER, re.compile(r"(?:over|more than|above|at least|exceeding|upwards of|>)\s*$", re.I)),
    (Hedge.UNDER, re.compile(r"(?:under|less than|fewer than|below|nearly|almost|up to|just short of|<)\s*$", re.I)),
)


def normalized(text: str) -> str:
    """Compatibility forms resolved and invisible characters gone: "1\u200b2" must not pass as 1 and 2."""
    folded = unicodedata.normalize("NFKC", text)
    return "".join(character for character in folded if unicodedata.category(character) != "Cf")


def read_figures(text: str, locale: str = "en") -> list[Figure]:
    """Every figure of `text`, which is `normalized`, in order."""
    masked = text
    found: list[Figure] = []

    def take(figure: Figure) -> None:
        nonlocal masked
        found.append(figure)
        masked = masked[: figure.start] + " " * (figure.end - figure.start) + masked[figure.end :]

    for pattern, style in _DATES:
        for match in pattern.finditer(masked):
            if days := _days(match, style):
                take(Figure(FigureKind.DATE, match.group(), *match.span(), days=days))
    for kind, pattern in ((FigureKind.TIME, _TIME), (FigureKind.ORDINAL, _ORDINAL), (FigureKind.ORDINAL, _LIST_MARK)):
        for match in pattern.finditer(masked):
            values = (Decimal(match.group(1)),) if match.re.groups else ()
            take(Figure(kind, match.group().strip(), *match.span(), values=values))
    for match in _RATIO.finditer(masked):
        take(Figure(FigureKind.RATIO, match.group(), *match.span(), values=(_ratio(match),)))
    for match in _FRACTION.finditer(masked):
        take(Figure(FigureKind.FRACTION, match.group(), *match.span(), values=(_fraction(match),)))
    for match in _NAME.finditer(masked):
        if not _NUMBER_LIKE.fullmatch(match.group()):
            take(Figure(FigureKind.NAME, match.group(), *match.span()))
    for match in _NUMBER.finditer(masked):
        take(_number(match, text, locale))
    for match in _WORD_NUMBER.finditer(masked):
        value = value_of_words(match["digits"])
        if value is not None and (value != 1 or match["percent"]):
            take(_in_words(match, text, value))
    return sorted(found, key=lambda figure: figure.start)


def _days(match: re.Match[str], style: str) -> tuple[Day, ...]:
    part = match.groupdict()
    year = int(part["y"]) if part.get("y") else None
    day = int(part["d"]) if part.get("d") else None
    if style == "slashed":
        first, second = int(part["a"]), int(part["b"])
        readings = {(first, second), (second, first)}
        return tuple(Day(year, month, day) for day, month in sorted(readings) if _exists(Day(year, month, day)))
    month = _MONTHS[part["n"].lower().rstrip(".")] if style == "named" else int(part["m"])
    reading = Day(year, month, day)
    return (reading,) if _exists(reading) else ()


def _exists(reading: Day) -> bool:
    try:
        date(reading.year or 2024, reading.month, reading.day or 1)
    except ValueError:
        return False
    return True


def _ratio(match: re.Match[str]) -> Decimal:
    word = (match["w"] or "").lower()
    if not word:
        return Decimal(3 if match.group().lower().startswith("trip") else 2)
    return value_of_words(word) or Decimal(word.replace(",", "."))


def _fraction(match: re.Match[str]) -> Decimal:
    if match["h"]:
        return Decimal("0.5")
    numerator = {"a": 1, "one": 1, "two": 2, "three": 3, "four": 4}[match["n"].lower()]
    return Decimal(numerator) / {"third": 3, "quarter": 4, "fifth": 5}[match["d"].lower()]


def _number(match: re.Match[str], text: str, locale: str) -> Figure:
    digits, scale_word = match["digits"], (match["scale"] or "").strip(" \u00a0-.").lower()
    scale = Decimal(10) ** _SCALES.get(scale_word, 0)
    readings = _readings(digits, locale)
    decimals = max(-int(reading.as_tuple().exponent) for reading in readings)
    currency = (match["before"] or match["after"] or "").strip().lower()
    return Figure(
        FigureKind.PERCENT if match["percent"] else FigureKind.NUMBER,
        match.group().strip(),
        *match.span(),
        values=tuple(reading * scale for reading in readings),
        step=scale * Decimal(10) ** -decimals,
        negative=bool(match["sign"] or match["inner"]),
        currency=_currency(currency),
        unit=_UNITS.get((match["unit"] or "").lower(), ""),
        hedge=_hedge(text, match.start()),
    )


def _in_words(match: re.Match[str], text: str, value: Decimal) -> Figure:
    return Figure(
        FigureKind.PERCENT if match["percent"] else FigureKind.NUMBER,
        match.group(),
        *match.span(),
        values=(value,),
        unit=_UNITS.get((match["unit"] or "").lower(), ""),
        hedge=_hedge(text, match.start()),
    )


def _readings(digits: str, locale: str) -> tuple[Decimal, ...]:
    """Most writings are clear; one separator before exactly three digits is read as the locale does."""
    plain = re.sub(rf"['’{_SPACES}]", "", digits)
    separators = re.findall(r"[.,]", plain)
    if not separators:
        return (Decimal(plain),)
    last = separators[-1]
    if len(set(separators)) == 2:
        whole, _, fraction = plain.rpartition(last)
        return (Decimal(f"{re.sub('[.,]', '', whole)}.{fraction}"),)
    if len(separators) > 1:
        return (Decimal(plain.replace(last, "")),)
    whole, _, fraction = plain.rpartition(last)
    # Digits that were already grouped another way leave only the decimal sign.
    decimal_sign = "," if locale.partition("-")[0] in _COMMA_LOCALES else "."
    if len(fraction) == 3 and len(whole) <= 3 and whole.lstrip("0") and plain == digits and last != decimal_sign:
        return (Decimal(whole + fraction),)
    return (Decimal(f"{whole}.{fraction}"),)


_COMMA_LOCALES = frozenset(
    {"de", "fr", "es", "it", "pt", "nl", "pl", "cs", "da", "sv", "nb", "no", "fi", "ru", "tr", "ro", "hu", "bg", "hr"}
)


def _currency(written: str) -> str:
    if written in CURRENCIES:
        return CURRENCIES[written]
    named = {"euro": "EUR", "dollar": "USD", "pound": "GBP"}.get(written.rstrip("s"))
    return named or written.upper()


def _hedge(text: str, start: int) -> Hedge:
    before = text[max(0, start - 24) : start]
    return next((hedge for hedge, pattern in _HEDGES if pattern.search(before)), Hedge.EXACT)
