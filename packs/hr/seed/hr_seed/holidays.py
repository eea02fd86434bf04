"""Public holidays of the six countries, computed for any year. National ones only; regional ones are left out."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from math import radians, sin

COUNTRIES = ("DE", "GB", "IN", "US", "FR", "ES")

_FIXED: dict[str, tuple[tuple[int, int, str], ...]] = {
    "DE": (
        (1, 1, "New Year's Day"),
        (5, 1, "Labour Day"),
        (10, 3, "German Unity Day"),
        (12, 25, "Christmas Day"),
        (12, 26, "Second Day of Christmas"),
    ),
    "GB": ((1, 1, "New Year's Day"), (12, 25, "Christmas Day"), (12, 26, "Boxing Day")),
    "IN": (
        (1, 1, "New Year's Day"),
        (1, 26, "Republic Day"),
        (5, 1, "Labour Day"),
        (8, 15, "Independence Day"),
        (10, 2, "Gandhi Jayanti"),
        (12, 25, "Christmas Day"),
    ),
    "US": ((1, 1, "New Year's Day"), (6, 19, "Juneteenth"), (7, 4, "Independence Day"), (12, 25, "Christmas Day")),
    "FR": (
        (1, 1, "New Year's Day"),
        (5, 1, "Labour Day"),
        (5, 8, "Victory Day"),
        (7, 14, "Bastille Day"),
        (8, 15, "Assumption Day"),
        (11, 1, "All Saints' Day"),
        (11, 11, "Armistice Day"),
        (12, 25, "Christmas Day"),
    ),
    "ES": (
        (1, 1, "New Year's Day"),
        (1, 6, "Epiphany"),
        (5, 1, "Labour Day"),
        (8, 15, "Assumption Day"),
        (10, 12, "National Day"),
        (11, 1, "All Saints' Day"),
        (12, 6, "Constitution Day"),
        (12, 8, "Immaculate Conception"),
        (12, 25, "Christmas Day"),
    ),
}
_FROM_EASTER: dict[str, tuple[tuple[int, str], ...]] = {
    "DE": ((-2, "Good Friday"), (1, "Easter Monday"), (39, "Ascension Day"), (50, "Whit Monday")),
    "GB": ((-2, "Good Friday"), (1, "Easter Monday")),
    "IN": ((-2, "Good Friday"),),
    "US": (),
    "FR": ((1, "Easter Monday"), (39, "Ascension Day"), (50, "Whit Monday")),
    "ES": ((-2, "Good Friday"),),
}
_BY_WEEKDAY: dict[str, tuple[tuple[int, int, int, str], ...]] = {
    # month, weekday (Monday 0), which one (-1: the last), name
    "GB": ((5, 0, 1, "Early May Bank Holiday"), (5, 0, -1, "Spring Bank Holiday"), (8, 0, -1, "Summer Bank Holiday")),
    "US": (
        (1, 0, 3, "Martin Luther King Jr. Day"),
        (2, 0, 3, "Presidents' Day"),
        (5, 0, -1, "Memorial Day"),
        (9, 0, 1, "Labor Day"),
        (11, 3, 4, "Thanksgiving Day"),
    ),
}


def holidays(country: str, year: int) -> dict[date, str]:
    """Days off of one country and year, by day. Two on one day share the row, their names joined."""
    found: dict[date, str] = {}
    for day, name in _all(country, year):
        found[day] = f"{found[day]} / {name}" if day in found else name
    return dict(sorted(found.items()))


def _all(country: str, year: int) -> Iterator[tuple[date, str]]:
    yield from _observed(country, year)
    easter = easter_sunday(year)
    for offset, name in _FROM_EASTER[country]:
        yield easter + timedelta(days=offset), name
    for month, weekday, which, name in _BY_WEEKDAY.get(country, ()):
        yield _weekday_of_month(year, month, weekday, which), name
    if country == "IN":
        yield diwali(year), "Diwali"


def _observed(country: str, year: int) -> Iterator[tuple[date, str]]:
    """Fixed days. Britain moves them off a weekend to the next free weekday, the United States to the nearest one."""
    taken: set[date] = set()
    for month, day_of_month, name in _FIXED[country]:
        day = date(year, month, day_of_month)
        moved = day
        if country == "GB":
            while moved.weekday() >= 5 or moved in taken:
                moved += timedelta(days=1)
        elif country == "US" and day.weekday() >= 5:
            moved = day + timedelta(days=-1 if day.weekday() == 5 else 1)
        taken.add(moved)
        yield moved, name if moved == day else f"{name} (observed)"


def easter_sunday(year: int) -> date:
    """Gregorian Easter, by the anonymous (Meeus) computus."""
    golden, century, of_century = year % 19, year // 100, year % 100
    leaps, rest = divmod(century, 4)
    correction = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leaps - correction + 15) % 30
    weekday = (32 + 2 * rest + 2 * (of_century // 4) - epact - of_century % 4) % 7
    shift = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * shift + 114, 31)
    return date(year, month, day + 1)


def diwali(year: int) -> date:
    """The main day in India: the evening of the new moon of Kartik.

    A new moon up to about an hour after sunset still belongs to the evening before, hence 18:40 India time.
    """
    earliest = datetime(year, 10, 17, 12)
    lunation = round((year + 0.75 - 2000) * 12.3685) - 2
    while (moment := _new_moon_in_india(lunation)) < earliest:
        lunation += 1
    return (moment - timedelta(hours=18, minutes=40)).date()


def _new_moon_in_india(lunation: int) -> datetime:
    """New moon number `lunation` since January 2000, good to a few minutes (Meeus, Astronomical Algorithms, ch. 49)."""
    sun = radians(2.5534 + 29.10535670 * lunation)
    moon = radians(201.5643 + 385.81693528 * lunation)
    latitude = radians(160.7108 + 390.67050284 * lunation)
    days = (
        2451550.09766
        + 29.530588861 * lunation
        - 0.40720 * sin(moon)
        + 0.17241 * sin(sun)
        + 0.01608 * sin(2 * moon)
        + 0.01039 * sin(2 * latitude)
        + 0.00739 * sin(moon - sun)
        - 0.00514 * sin(moon + sun)
        + 0.00208 * sin(2 * sun)
    )
    return datetime(2000, 1, 1, 12) + timedelta(days=days - 2451545.0) + timedelta(hours=5, minutes=29)


def _weekday_of_month(year: int, month: int, weekday: int, which: int) -> date:
    if which < 0:
        last = date(year, month + 1, 1) - timedelta(days=1)
        return last - timedelta(days=(last.weekday() - weekday) % 7)
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (which - 1))
