"""What each pattern of the period grammar denotes: dates, by the asker's calendar. Finds nothing itself.

Every reading takes a match and gives start, end and kind; nothing when the words name no period after all.
"""

import re
from datetime import date, timedelta

from dateutil.easter import easter
from dateutil.relativedelta import relativedelta

from tiermesh_classifier.reading.calendar import Calendar
from tiermesh_classifier.reading.period_words import LAST, MONTHS, NEXT, NUMBERS, ORDINALS, SEASONS, WEEKDAYS


def number_of(words: str) -> int | None:
    """Value of a number written in digits or as a small word."""
    words = words.strip()
    if words.isdigit():
        return int(words)
    return NUMBERS.get(words)


def _unit(word: str) -> str:
    word = word.rstrip("s")
    return {"yr": "year", "wk": "week", "mth": "month", "mnth": "month"}.get(word, word)


def read_relative(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str] | None:
    """ "this month", "last year", "next week", "financial year"."""
    word, fiscal, unit = match["rel"], match["fiscal"], _unit(match["unit"])
    shift = -1 if re.fullmatch(LAST, word) else 1 if re.fullmatch(NEXT, word) else 0
    if fiscal and unit == "year":
        unit = "fiscal_year"
    if unit in ("day", "decade", "fortnight"):
        return (*calendar.rolling(unit, 1, ahead=shift > 0), "relative")
    return (*calendar.unit_at(unit, shift), "relative")


def read_rolling(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str] | None:
    """ "the past 12 months", "last 90 days", "next two weeks"."""
    count = number_of(match["count"])
    if not count:
        return None
    unit = _unit(match["unit"])
    return (*calendar.rolling(unit, count, ahead=bool(re.fullmatch(NEXT, match["rel"]))), "rolling")


def read_ago(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str] | None:
    """ "two months ago": the whole unit that lies there."""
    count = 1 if match["count"] in ("a", "an") else number_of(match["count"])
    if not count:
        return None
    return (*calendar.unit_at(_unit(match["unit"]), -count), "relative")


def read_to_date(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str]:
    """ "year to date", "so far this year", "YTD"."""
    words = match.group()
    unit = (
        "month" if "month" in words or "mtd" in words else "quarter" if "quarter" in words or "qtd" in words else "year"
    )
    return calendar.floor(unit, calendar.today), calendar.today + timedelta(days=1), "relative"


def read_quarter(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str] | None:
    """ "Q3", "third quarter", "H1", "first half of 2025", also "Q1 to Q4"."""
    number = int(match["number"]) if match["number"] else ORDINALS[match["ordinal"]]
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


def read_month(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str] | None:
    """ "in March", "last May", "June 2025", "January to March": the latest such month unless the words look ahead."""
    words = match.group()
    first = MONTHS[match["month"].rstrip(".")]
    start = date(_month_year(match, first, calendar), first, 1)
    last = MONTHS[match["to_month"].rstrip(".")] if match["to_month"] else first
    end = date(start.year + (last < first), last, 1) + relativedelta(months=1)
    if first == 5 and not (match["rel"] or match["year"] or match["to_month"]):
        return None  # "may" is a verb unless something says month
    if words.startswith("since") and not match["to_month"]:
        return start, calendar.today + timedelta(days=1), "since"
    return (
        start,
        end,
        "named" if (match["rel"] and match["rel"] not in ("in", "for", "of")) or match["year"] else "month",
    )


def _month_year(match: re.Match[str], month: int, calendar: Calendar) -> int:
    if match["year"]:
        return int(match["year"])
    today = calendar.today
    if match["rel"] and re.fullmatch(NEXT, match["rel"]):
        return today.year + (month <= today.month)
    if match["rel"] and re.fullmatch(LAST, match["rel"]):
        return today.year - (month >= today.month)
    return today.year if month <= today.month else today.year - 1


def read_year(match: re.Match[str], calendar: Calendar) -> tuple[date | None, date | None, str] | None:
    """ "2024", "FY2024", "2021 to 2024", "since 2019", "from 2021", "2022 to date"."""
    first = int(match["year"])
    last = int(match["to_year"]) if match["to_year"] else first
    if last < first:
        return None
    if (match["since"] and not match["to_year"]) or match["to_date"]:
        return date(first, 1, 1), calendar.today + timedelta(days=1), "since"
    if match["fiscal"]:
        return calendar.fiscal_year(first)[0], calendar.fiscal_year(last)[1], "named"
    return date(first, 1, 1), date(last + 1, 1, 1), "named"


def read_day(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str] | None:
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
    """The year that brings a day without a year nearest to today."""
    year = calendar.today.year
    candidate = date(year, month, min(day, 28))
    if (calendar.today - candidate).days > 183:
        return year + 1
    return year - 1 if (candidate - calendar.today).days > 183 else year


def read_iso(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str]:
    """ "2026-05-03"."""
    day = date.fromisoformat(match.group())
    return day, day + timedelta(days=1), "named"


def read_near_day(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str]:
    """ "today", "yesterday", "tomorrow"."""
    word = match.group()
    shift = -1 if word.startswith(("y", "last")) else 1 if word.startswith(("tomo", "tmr", "tmrw")) else 0
    day = calendar.today + timedelta(days=shift)
    return day, day + timedelta(days=1), "day"


def read_weekday(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str]:
    """ "on Monday", "last Friday", "next Tuesday", "since Monday"."""
    target = WEEKDAYS[match["weekday"]]
    today = calendar.today
    rel = match["rel"] or ""
    if rel and re.fullmatch(LAST, rel):
        day = today - timedelta(days=(today.weekday() - target - 1) % 7 + 1)
    elif rel and re.fullmatch(NEXT, rel):
        day = today + timedelta(days=(target - today.weekday() - 1) % 7 + 1)
    else:
        day = today - timedelta(days=today.weekday()) + timedelta(days=target)
    if rel == "since":
        day = today - timedelta(days=(today.weekday() - target) % 7)
        return day, today + timedelta(days=1), "since"
    return day, day + timedelta(days=1), "day" if rel and rel != "on" else "weekday"


def read_month_day(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str] | None:
    """ "on the 22nd", "the 14th to the 15th": days of this month."""
    first = int(match["day"])
    last = int(match["to_day"]) if match["to_day"] else first
    month = calendar.today.replace(day=1)
    start = month.replace(day=first)
    end = (month if last >= first else month + relativedelta(months=1)).replace(day=last)
    return start, end + timedelta(days=1), "named" if last != first else "day"


def read_season(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str]:
    """ "last summer", "in the spring"."""
    first, beyond = SEASONS[match["season"]]
    year = calendar.today.year
    rel = match["rel"] or ""
    start = date(year, first, 1)
    if re.fullmatch(LAST, rel) and start + relativedelta(months=beyond - first) > calendar.today:
        start -= relativedelta(years=1)
    if re.fullmatch(NEXT, rel) and start <= calendar.today:
        start += relativedelta(years=1)
    if not rel and start > calendar.today:
        start -= relativedelta(years=1)
    return start, start + relativedelta(months=beyond - first), "named"


def read_feast(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str]:
    """ "over Easter", "at Christmas", "between Christmas and New Year"."""
    year = calendar.today.year
    if "easter" in match.group():
        sunday = easter(year)
        return sunday - timedelta(days=2), sunday + timedelta(days=2), "named"
    return date(year, 12, 24), date(year + 1, 1, 2), "named"


def read_weekend(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str]:
    rel = match["rel"] or ""
    shift = -1 if re.fullmatch(LAST, rel) else 1 if re.fullmatch(NEXT, rel) else 0
    start = calendar.unit_at("week", shift)[0] + timedelta(days=5)
    return start, start + timedelta(days=2), "named"


def read_always(match: re.Match[str], calendar: Calendar) -> tuple[None, date, str]:
    """ "ever", "all time", "since I joined": everything up to today."""
    return None, calendar.today + timedelta(days=1), "always"


def read_since_rolling(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str] | None:
    """ "since three weeks", "over six months", "over the years" is not one."""
    count = number_of(match["count"])
    return (*calendar.rolling(_unit(match["unit"]), count), "rolling") if count else None


def read_since_relative(match: re.Match[str], calendar: Calendar) -> tuple[date, date, str]:
    """ "since last year", "since yesterday"."""
    word = match["rel"]
    if word == "yesterday":
        return calendar.today - timedelta(days=1), calendar.today + timedelta(days=1), "since"
    shift = -1 if re.fullmatch(LAST, word.split()[0]) else 0
    start = calendar.unit_at(_unit(word.split()[-1]), shift)[0]
    return start, calendar.today + timedelta(days=1), "since"


def read_unresolved(match: re.Match[str], calendar: Calendar) -> tuple[None, None, str]:
    """ "since the re-org": a period, but of an event whose date nobody told."""
    return None, None, "unresolved"


def read_lately(match: re.Match[str], calendar: Calendar) -> tuple[None, None, str]:
    """ "lately", "these days": a recent stretch without dates."""
    return None, None, "unresolved"
