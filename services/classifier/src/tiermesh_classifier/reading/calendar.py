"""Arithmetic on calendar and fiscal units. Reads no words."""

from dataclasses import dataclass
from datetime import date, timedelta

from dateutil.relativedelta import relativedelta

UNITS = ("day", "week", "fortnight", "month", "quarter", "half", "year")


@dataclass(frozen=True, slots=True)
class Calendar:
    """The asker's day, and the month with which the fiscal year starts.

    Quarters, halves and fiscal years follow the fiscal year; plain years are calendar years.
    """

    today: date
    fiscal_start_month: int = 1

    def floor(self, unit: str, day: date) -> date:
        """First day of the unit that holds the day."""
        if unit == "week":
            return day - timedelta(days=day.weekday())
        if unit == "month":
            return day.replace(day=1)
        if unit == "year":
            return day.replace(month=1, day=1)
        if unit in ("quarter", "half", "fiscal_year"):
            fiscal = self.fiscal_year_start(day)
            months = {"quarter": 3, "half": 6, "fiscal_year": 12}[unit]
            passed = (day.year - fiscal.year) * 12 + day.month - fiscal.month
            return fiscal + relativedelta(months=passed // months * months)
        return day

    def fiscal_year_start(self, day: date) -> date:
        """First day of the fiscal year that holds the day."""
        year = day.year if day.month >= self.fiscal_start_month else day.year - 1
        return date(year, self.fiscal_start_month, 1)

    def fiscal_year(self, number: int) -> tuple[date, date]:
        """Fiscal year by the calendar year in which it ends (in which it starts when it starts in January)."""
        start = date(number if self.fiscal_start_month == 1 else number - 1, self.fiscal_start_month, 1)
        return start, start + relativedelta(years=1)

    def unit_at(self, unit: str, shift: int) -> tuple[date, date]:
        """The whole unit that lies `shift` units after the current one."""
        step = step_of(unit)
        start = self.floor(unit, self.today) + step * shift
        return start, start + step

    def rolling(self, unit: str, count: int, *, ahead: bool = False) -> tuple[date, date]:
        """The last (or next) `count` units, ending with today (or starting with it)."""
        if ahead:
            return self.today, self.today + step_of(unit) * count
        end = self.today + timedelta(days=1)
        return end - step_of(unit) * count, end


def step_of(unit: str) -> relativedelta:
    """Length of a unit."""
    steps = {
        "day": relativedelta(days=1),
        "week": relativedelta(weeks=1),
        "fortnight": relativedelta(weeks=2),
        "month": relativedelta(months=1),
        "quarter": relativedelta(months=3),
        "half": relativedelta(months=6),
        "year": relativedelta(years=1),
        "fiscal_year": relativedelta(years=1),
        "decade": relativedelta(years=10),
    }
    return steps[unit]
