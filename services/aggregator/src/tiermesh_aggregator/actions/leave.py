"""To apply for leave, and to withdraw a request: checked against dates, holidays, overlaps and the balance."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from tiermesh_aggregator.actions.action import Ask, Draft, Setting, calendar_day, dated, fresh_id, schema
from tiermesh_aggregator.failures import BadFieldError, UnknownNameError

longest_days = 366


class ApplyForLeave:
    """Books a request that waits for the manager's decision."""

    name = "leave.apply"
    tool = "leave_apply"
    description = "Drafts the caller's request for leave. Nothing is booked before the user confirms the proposal."
    schema: Mapping[str, Any] = schema(
        {
            "leave_type": {"type": "string", "maxLength": 40, "description": "Such as annual or sick."},
            "start_date": {**dated, "description": "First day off."},
            "end_date": {**dated, "description": "Last day off, included."},
            "half_day": {"type": "boolean", "description": "True for half of a single day."},
        },
        ["leave_type", "start_date", "end_date"],
    )
    tables = frozenset({"leave_requests", "leave_balances", "leave_types", "holidays", "employees", "locations"})

    async def draft(self, arguments: Mapping[str, Any], setting: Setting, ask: Ask) -> Draft:
        start, end = _day(arguments, "start_date"), _day(arguments, "end_date")
        _check_dates(start, end)
        kind, label = await _leave_type(str(arguments["leave_type"]), setting, ask)
        days = await _working_days(start, end, setting, ask)
        if arguments.get("half_day"):
            if start != end:
                raise BadFieldError("half_day", "Half a day is on one day only.")
            days /= 2
        if not days:
            raise BadFieldError("start_date", "There is no working day between the two dates.")
        await _check_overlap(start, end, setting, ask)
        left = await _left(kind, start.year, setting, ask)
        if left is not None and left < days:
            raise BadFieldError("end_date", f"{_shown(days)} days are asked for and {_shown(left)} are left.")
        fields = [("leave_type", label), ("start_date", str(start)), ("end_date", str(end)), ("days", _shown(days))]
        if left is not None:
            fields.append(("days_left_afterwards", _shown(left - days)))
        summary = (
            f"{label}: {start} to {end}, {_shown(days)} working days"
            if start != end
            else (f"{label} on {start}, {_shown(days)} working days")
        )
        kept: dict[str, Any] = {"leave_type": kind, "start_date": str(start), "end_date": str(end), "days": str(days)}
        if arguments.get("half_day"):
            kept["half_day"] = True
        return Draft(kept, summary, tuple(fields))

    async def perform(self, draft: Draft, setting: Setting, ask: Ask) -> str:
        requests, balances = setting.catalog.table("leave_requests"), setting.catalog.table("leave_balances")
        days, start = Decimal(draft.arguments["days"]), date.fromisoformat(draft.arguments["start_date"])
        key = fresh_id("LR")
        await ask(
            sa.insert(requests).values(
                leave_request_id=key,
                employee_id=setting.person,
                leave_type=draft.arguments["leave_type"],
                start_date=start,
                end_date=date.fromisoformat(draft.arguments["end_date"]),
                days=days,
                status="pending",
                applied_on=setting.today,
                decided_on=None,
                decided_by=None,
            )
        )
        await ask(
            sa.update(balances)
            .where(
                balances.c.employee_id == setting.person,
                balances.c.leave_type == draft.arguments["leave_type"],
                balances.c.year == start.year,
            )
            .values(pending_days=balances.c.pending_days + days)
        )
        return key


class CancelLeave:
    """Withdraws one of the caller's own requests."""

    name = "leave.cancel"
    tool = "leave_cancel"
    description = "Drafts the withdrawal of one of the caller's leave requests that has not begun yet."
    schema: Mapping[str, Any] = schema(
        {"leave_request_id": {"type": "string", "maxLength": 40, "description": "Number of the request, LR…"}},
        ["leave_request_id"],
    )
    tables = frozenset({"leave_requests", "leave_balances", "leave_types"})

    async def draft(self, arguments: Mapping[str, Any], setting: Setting, ask: Ask) -> Draft:
        requests, types = setting.catalog.table("leave_requests"), setting.catalog.table("leave_types")
        rows = await ask(
            sa.select(
                requests.c.leave_request_id,
                types.c.name,
                requests.c.start_date,
                requests.c.end_date,
                requests.c.days,
                requests.c.status,
            )
            .select_from(requests.join(types, requests.c.leave_type == types.c.leave_type))
            .where(requests.c.employee_id == setting.person)
            .where(requests.c.status.in_(["pending", "approved"]), requests.c.start_date > setting.today)
            .order_by(requests.c.start_date)
        )
        wanted = str(arguments["leave_request_id"]).strip().upper()
        found = next((row for row in rows if row[0] == wanted), None)
        if found is None:
            noun = "request of yours that can still be cancelled"
            raise UnknownNameError("leave_request_id", wanted, noun, [str(row[0]) for row in rows[:5]])
        key, label, start, end, days, status = found
        summary = f"Cancel {label.lower()}, {start} to {end} ({_shown(days)} days, {status})"
        fields = (("leave_request_id", key), ("start_date", str(start)), ("end_date", str(end)), ("status", status))
        return Draft({"leave_request_id": key}, summary, fields)

    async def perform(self, draft: Draft, setting: Setting, ask: Ask) -> str:
        requests, balances = setting.catalog.table("leave_requests"), setting.catalog.table("leave_balances")
        key = str(draft.arguments["leave_request_id"])
        columns = (requests.c.leave_type, requests.c.start_date, requests.c.days, requests.c.status)
        rows = await ask(sa.select(*columns).where(requests.c.leave_request_id == key))
        kind, start, days, status = rows[0]
        await ask(sa.update(requests).where(requests.c.leave_request_id == key).values(status="cancelled"))
        back: dict[str, Any] = {"pending_days": balances.c.pending_days - days}
        if status == "approved":
            back = {
                "taken_days": balances.c.taken_days - days,
                "remaining_days": balances.c.remaining_days + days,
            }
        await ask(
            sa.update(balances)
            .where(
                balances.c.employee_id == setting.person,
                balances.c.leave_type == kind,
                balances.c.year == start.year,
            )
            .values(**back)
        )
        return key


def _day(arguments: Mapping[str, Any], name: str) -> date:
    return calendar_day(arguments[name], name)


def _check_dates(start: date, end: date) -> None:
    if end < start:
        raise BadFieldError("end_date", "The last day is before the first.")
    if start.year != end.year:
        raise BadFieldError("end_date", "A request stays within one calendar year; make two of it.")
    if (end - start).days >= longest_days:
        raise BadFieldError("end_date", "The request is longer than a year.")


async def _leave_type(word: str, setting: Setting, ask: Ask) -> tuple[str, str]:
    types = setting.catalog.table("leave_types")
    rows = await ask(sa.select(types.c.leave_type, types.c.name).order_by(types.c.leave_type))
    lowered = word.strip().lower()
    for key, label in rows:
        if lowered in (key.lower(), label.lower()):
            return str(key), str(label)
    raise UnknownNameError("leave_type", word, "leave type", [str(key) for key, _ in rows])


async def _working_days(start: date, end: date, setting: Setting, ask: Ask) -> Decimal:
    people, locations = setting.catalog.table("employees"), setting.catalog.table("locations")
    holidays = setting.catalog.table("holidays")
    country = (
        sa.select(locations.c.country)
        .select_from(people.join(locations, people.c.location_id == locations.c.location_id))
        .where(people.c.employee_id == setting.person)
    )
    rows = await ask(
        sa.select(holidays.c.day).where(holidays.c.country.in_(country), holidays.c.day >= start, holidays.c.day <= end)
    )
    free = {row[0] for row in rows}
    days = (start + timedelta(days=number) for number in range((end - start).days + 1))
    return Decimal(sum(1 for day in days if day.weekday() < 5 and day not in free))


async def _check_overlap(start: date, end: date, setting: Setting, ask: Ask) -> None:
    requests = setting.catalog.table("leave_requests")
    rows = await ask(
        sa.select(requests.c.leave_request_id, requests.c.start_date, requests.c.end_date)
        .where(requests.c.employee_id == setting.person, requests.c.status.in_(["pending", "approved"]))
        .where(requests.c.start_date <= end, requests.c.end_date >= start)
        .order_by(requests.c.start_date)
    )
    if rows:
        key, first, last = rows[0]
        raise BadFieldError("start_date", f"There is a request for {first} to {last} already ({key}).")


async def _left(kind: str, year: int, setting: Setting, ask: Ask) -> Decimal | None:
    """Days left once all pending requests are granted; None when leave of this kind has no allowance."""
    balances, types = setting.catalog.table("leave_balances"), setting.catalog.table("leave_types")
    rows = await ask(
        sa.select(balances.c.remaining_days - balances.c.pending_days).where(
            balances.c.employee_id == setting.person, balances.c.leave_type == kind, balances.c.year == year
        )
    )
    if rows:
        return Decimal(rows[0][0])
    # A balance of a year to come is not kept yet: the allowance itself is the bound.
    rows = await ask(sa.select(types.c.annual_days).where(types.c.leave_type == kind, types.c.annual_days > 0))
    return Decimal(rows[0][0]) if rows else None


def _shown(days: Decimal) -> str:
    return format(Decimal(days).normalize(), "f")
