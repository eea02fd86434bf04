"""What a data set is made for: size, period, day and seed. No data is made here."""

from dataclasses import dataclass
from datetime import date

import numpy as np

FEWEST_EMPLOYEES = 50
SMALL_COMPANY = 5_000
"""Up to this many employees attendance covers the whole period."""
LARGE_COMPANY_ATTENDANCE_DAYS = 60


@dataclass(frozen=True)
class Options:
    """One order for data. Everything is derived from these values and nothing else."""

    employees: int
    """How many are active on `as_of`; leavers come on top."""
    years: int
    """Full calendar years before the one of `as_of`."""
    as_of: date
    """The last day that anything has happened on."""
    seed: int
    attendance_days: int | None
    """How many weekdays of attendance, counted back from `as_of`; None for the default."""

    def __post_init__(self) -> None:
        """Refuses what no company can be made from."""
        if self.employees < FEWEST_EMPLOYEES:
            raise ValueError(f"employees must be at least {FEWEST_EMPLOYEES}, not {self.employees}")
        if not 1 <= self.years <= 20:
            raise ValueError(f"years must be between 1 and 20, not {self.years}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative: {self.seed}")
        if self.attendance_days is not None and self.attendance_days < 1:
            raise ValueError(f"attendance_days must be at least 1, or None for the default: {self.attendance_days}")

    @property
    def today(self) -> int:
        """`as_of` in days since 1970."""
        return int(np.datetime64(self.as_of, "D").astype(np.int64))

    @property
    def start_year(self) -> int:
        """The first year of the period."""
        return self.as_of.year - self.years

    @property
    def start(self) -> int:
        """The first day of the period, 1 January of `start_year`, in days since 1970."""
        return int(np.datetime64(date(self.start_year, 1, 1), "D").astype(np.int64))

    @property
    def attendance_window(self) -> int | None:
        """Weekdays of attendance; None for the whole period."""
        if self.attendance_days is not None:
            return self.attendance_days
        return None if self.employees <= SMALL_COMPANY else LARGE_COMPANY_ATTENDANCE_DAYS
