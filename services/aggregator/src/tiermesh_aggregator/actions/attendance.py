"""To correct one's own punches of a day, within the days that the handbook gives for it."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from tiermesh_aggregator.actions.action import Ask, Draft, Setting, calendar_day, schema
from tiermesh_aggregator.failures import BadFieldError

working_days = 10
longest_hours = Decimal(16)
late_after_minutes = 5
shift_starts: Mapping[str, int] = {"early": 6, "late": 14, "night": 22}
clock = {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}


class RegularizeAttendance:
    """Sets a missing or wrong punch of the caller's own day."""

    name = "attendance.regularize"
    tool = "attendance_regularize"
    description = (
        "Drafts the correction of the caller's own punches of one day. Nothing is changed before the user confirms."
    )
    schema: Mapping[str, Any] = {
        **schema(
            {
                "day": {"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
                "clock_in": {**clock, "description": "Local time such as 08:55; absent keeps what is recorded."},
                "clock_out": {**clock, "description": "Local time; before clock_in it is on the next day."},
                "reason": {"type": "string", "minLength": 1, "maxLength": 200},
            },
            ["day", "reason"],
        ),
        "anyOf": [{"required": ["clock_in"]}, {"required": ["clock_out"]}],
    }
    tables = frozenset({"attendance_days", "employees"})

    async def draft(self, arguments: Mapping[str, Any], setting: Setting, ask: Ask) -> Draft:
        day = _day(str(arguments["day"]), setting.today)
        status, _, clock_in, clock_out = await self._recorded(day, setting, ask)
        if status not in ("present", "remote", "absent"):
            raise BadFieldError("day", f"The day is recorded as {status}; only days at work have punches.")
        first = _moment(day, arguments.get("clock_in"), clock_in)
        last = _moment(day, arguments.get("clock_out"), clock_out)
        if first is None or last is None:
            raise BadFieldError("clock_in" if first is None else "clock_out", "This punch is missing too; give both.")
        if "clock_out" in arguments and last <= first:
            last += timedelta(days=1)
        hours = _hours(first, last)
        if not Decimal(0) < hours <= longest_hours:
            raise BadFieldError("clock_out", f"That makes {hours} hours; a day has up to {longest_hours}.")
        fields = (
            ("day", str(day)),
            ("clock_in", f"{_shown(clock_in)} → {_shown(first)}"),
            ("clock_out", f"{_shown(clock_out)} → {_shown(last)}"),
            ("hours_worked", str(hours)),
            ("reason", str(arguments["reason"])),
        )
        kept = {name: str(arguments[name]) for name in ("day", "clock_in", "clock_out", "reason") if name in arguments}
        return Draft(kept, f"Correct {day}: {_shown(first)} to {_shown(last)}, {hours} hours", fields)

    async def _recorded(self, day: date, setting: Setting, ask: Ask) -> tuple[Any, ...]:
        table = setting.catalog.table("attendance_days")
        columns = (table.c.status, table.c.shift, table.c.clock_in, table.c.clock_out)
        rows = await ask(sa.select(*columns).where(table.c.employee_id == setting.person, table.c.day == day))
        if not rows:
            raise BadFieldError("day", "There is no record of yours for that day.")
        return tuple(rows[0])

    async def perform(self, draft: Draft, setting: Setting, ask: Ask) -> str:
        table, people = setting.catalog.table("attendance_days"), setting.catalog.table("employees")
        day = date.fromisoformat(str(draft.arguments["day"]))
        status, shift, clock_in, clock_out = await self._recorded(day, setting, ask)
        first = _moment(day, draft.arguments.get("clock_in"), clock_in)
        last = _moment(day, draft.arguments.get("clock_out"), clock_out)
        if first is None or last is None:
            raise BadFieldError("clock_in", "A punch is missing.")
        if "clock_out" in draft.arguments and last <= first:
            last += timedelta(days=1)
        hours = _hours(first, last)
        weekly = (await ask(sa.select(people.c.weekly_hours).where(people.c.employee_id == setting.person)))[0][0]
        changed: dict[str, Any] = {
            "status": "present" if status == "absent" else status,
            "clock_in": first,
            "clock_out": last,
            "hours_worked": hours,
            "overtime_hours": max(hours - (Decimal(weekly) / 5).quantize(Decimal("0.01")), Decimal(0)),
            "missing_punch": False,
        }
        if "clock_in" in draft.arguments and shift in shift_starts:
            begins = datetime.combine(day, time(shift_starts[shift]))
            late = int((first - begins).total_seconds() // 60)
            changed["late_minutes"] = late if late > late_after_minutes else 0
        await ask(sa.update(table).where(table.c.employee_id == setting.person, table.c.day == day).values(**changed))
        return f"{setting.person} {day}"


def _day(text: str, today: date) -> date:
    day = calendar_day(text, "day")
    if day > today:
        raise BadFieldError("day", "The day lies in the future.")
    passed = sum(1 for number in range((today - day).days) if (today - timedelta(days=number)).weekday() < 5)
    if passed > working_days:
        raise BadFieldError("day", f"Punches are corrected within {working_days} working days; ask HR for older ones.")
    return day


def _moment(day: date, given: Any, recorded: datetime | None) -> datetime | None:
    return recorded if given is None else datetime.combine(day, time.fromisoformat(str(given)))


def _hours(first: datetime, last: datetime) -> Decimal:
    """Less the break that the handbook takes off: half an hour from six hours on, three quarters from nine on."""
    minutes = int((last - first).total_seconds() // 60)
    minutes -= 45 if minutes >= 9 * 60 else 30 if minutes >= 6 * 60 else 0
    return (Decimal(minutes) / 60).quantize(Decimal("0.01"))


def _shown(moment: datetime | None) -> str:
    return "missing" if moment is None else f"{moment:%H:%M}"
