"""What pills have cost each tenant today, and whether they may cost more. Per process: a restart begins anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

# Assumed of a call until the first one's cost is known: a few thousand cached tokens and a few hundred written.
FIRST_ESTIMATE_MICROS = 10_000


def _today() -> date:
    return datetime.now(UTC).date()


@dataclass
class Reservation:
    """Money set aside for one call."""

    tenant: str
    day: date
    micros: int


@dataclass
class TenantSpend:
    """Reserves before a call and settles after it, so that calls at the same time do not all see room."""

    today: Callable[[], date] = _today
    _day: date = date.min
    _spent: dict[str, int] = field(default_factory=dict)
    _usual: int = FIRST_ESTIMATE_MICROS

    def reserve(self, tenant: str, *, most_per_call: int, most_per_day: int) -> Reservation | None:
        """Set money aside; None when the tenant's day has no room for it. 0 is no limit."""
        day = self.today()
        if day != self._day:
            self._day, self._spent = day, {}
        micros = min(most_per_call, self._usual) if most_per_call else self._usual
        spent = self._spent.get(tenant, 0)
        if most_per_day and spent + micros > most_per_day:
            return None
        self._spent[tenant] = spent + micros
        return Reservation(tenant, day, micros)

    def spent(self, tenant: str) -> int:
        """Return what a tenant's pills have cost today, reservations included."""
        return self._spent.get(tenant, 0) if self._day == self.today() else 0

    def settle(self, reservation: Reservation, micros: int | None) -> None:
        """Book what a call came to; None when that is not known: then what was set aside stays booked."""
        if micros is None or reservation.day != self._day:
            return
        self._spent[reservation.tenant] += micros - reservation.micros
        if micros:
            self._usual = (self._usual * 7 + micros) // 8
        reservation.micros = micros
