"""To decide on what others have asked for: leave requests and expense claims of the people below the decider."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from tiermesh_aggregator.actions.action import Ask, Draft, Setting, schema
from tiermesh_aggregator.failures import BadFieldError, UnknownNameError

most_at_once = 50
head_decides_above = Decimal(1000)
"""Euros of a claim above which the handbook wants the head of the department."""
verdicts = {"approve": "approved", "reject": "rejected"}


def _schema(ids: str, example: str) -> Mapping[str, Any]:
    return schema(
        {
            ids: {
                "type": "array",
                "minItems": 1,
                "maxItems": most_at_once,
                "uniqueItems": True,
                "items": {"type": "string", "maxLength": 40},
                "description": f"Numbers such as {example}.",
            },
            "decision": {"enum": list(verdicts)},
        },
        [ids, "decision"],
    )


class DecideLeave:
    """Approves or rejects pending requests of the caller's reports."""

    name = "leave.approve"
    tool = "leave_decide"
    description = (
        "Drafts the decision on pending leave requests of the caller's reports. "
        "Nothing is decided before the user confirms."
    )
    schema: Mapping[str, Any] = _schema("leave_request_ids", "LR0000123")
    tables = frozenset({"leave_requests", "leave_balances", "leave_types", "employees", "reporting_lines"})

    async def draft(self, arguments: Mapping[str, Any], setting: Setting, ask: Ask) -> Draft:
        rows = await self._pending(setting, ask)
        chosen = _chosen(arguments["leave_request_ids"], rows, "leave_request_ids", "pending request of your reports")
        verdict = str(arguments["decision"])
        if verdict == "approve":
            await self._check_balances(chosen, setting, ask)
        lines = [
            f"{name}: {label.lower()}, {start} to {end}, {days.normalize():f} days"
            for _, _, name, _, label, start, end, days in chosen
        ]
        return _draft(verdict, "leave_request_ids", chosen, lines, "request")

    async def _pending(self, setting: Setting, ask: Ask) -> Sequence[Sequence[Any]]:
        requests, types = setting.catalog.table("leave_requests"), setting.catalog.table("leave_types")
        people = setting.catalog.table("employees")
        return await ask(
            sa.select(
                requests.c.leave_request_id,
                requests.c.employee_id,
                people.c.full_name,
                requests.c.leave_type,
                types.c.name,
                requests.c.start_date,
                requests.c.end_date,
                requests.c.days,
            )
            .select_from(
                requests.join(types, requests.c.leave_type == types.c.leave_type).join(
                    people, people.c.employee_id == requests.c.employee_id
                )
            )
            .where(requests.c.status == "pending", requests.c.employee_id.in_(_below(setting)))
            .order_by(requests.c.start_date, requests.c.leave_request_id)
        )

    async def _check_balances(self, chosen: Sequence[Sequence[Any]], setting: Setting, ask: Ask) -> None:
        """Days that are left for all that is approved at once; leave without a balance has no bound."""
        wanted: dict[tuple[str, str, int], Decimal] = {}
        for _, person, _, kind, _, start, _, days in chosen:
            key = (str(person), str(kind), int(start.year))
            wanted[key] = wanted.get(key, Decimal(0)) + Decimal(days)
        balances = setting.catalog.table("leave_balances")
        for (person, kind, year), days in wanted.items():
            rows = await ask(
                sa.select(balances.c.remaining_days).where(
                    balances.c.employee_id == person, balances.c.leave_type == kind, balances.c.year == year
                )
            )
            if rows and Decimal(rows[0][0]) < days:
                name = next(row[2] for row in chosen if row[1] == person)
                left = Decimal(rows[0][0]).normalize()
                message = f"{name} has {left:f} days of {kind} leave left, not {days:f}."
                raise BadFieldError("leave_request_ids", message)

    async def perform(self, draft: Draft, setting: Setting, ask: Ask) -> str:
        requests, balances = setting.catalog.table("leave_requests"), setting.catalog.table("leave_balances")
        verdict, keys = str(draft.arguments["decision"]), list(draft.arguments["leave_request_ids"])
        rows = [row for row in await self._pending(setting, ask) if row[0] in keys]
        for key, person, _, kind, _, start, _, days in rows:
            decided = {"status": verdicts[verdict], "decided_on": setting.today, "decided_by": setting.person}
            await ask(sa.update(requests).where(requests.c.leave_request_id == key).values(**decided))
            changed: dict[str, Any] = {"pending_days": balances.c.pending_days - days}
            if verdict == "approve":
                changed |= {
                    "taken_days": balances.c.taken_days + days,
                    "remaining_days": balances.c.remaining_days - days,
                }
            mine = (balances.c.employee_id == person, balances.c.leave_type == kind, balances.c.year == start.year)
            await ask(sa.update(balances).where(*mine).values(**changed))
        return ", ".join(keys)


class DecideExpenses:
    """Approves or rejects submitted claims of the caller's reports."""

    name = "expenses.approve"
    tool = "expense_decide"
    description = (
        "Drafts the decision on submitted expense claims of the caller's reports. "
        "Nothing is decided before the user confirms."
    )
    schema: Mapping[str, Any] = _schema("claim_ids", "EC0000123")
    tables = frozenset({"expense_claims", "expense_lines", "employees", "departments", "reporting_lines"})

    async def draft(self, arguments: Mapping[str, Any], setting: Setting, ask: Ask) -> Draft:
        rows = await self._submitted(setting, ask)
        chosen = _chosen(arguments["claim_ids"], rows, "claim_ids", "submitted claim of your reports")
        verdict = str(arguments["decision"])
        for key, _, name, _, head, total, _ in chosen if verdict == "approve" else ():
            if total > head_decides_above and not await self._is_or_is_above(str(head), setting, ask):
                message = f"{key} of {name} is over {head_decides_above:f} EUR: the head of the department decides."
                raise BadFieldError("claim_ids", message)
        lines = [
            f"{name}: {purpose}, {total:f} EUR" + (f", {over} over the limit" if over else "")
            for _, _, name, purpose, _, total, over in chosen
        ]
        return _draft(verdict, "claim_ids", chosen, lines, "claim")

    async def _submitted(self, setting: Setting, ask: Ask) -> Sequence[Sequence[Any]]:
        claims, lines = setting.catalog.table("expense_claims"), setting.catalog.table("expense_lines")
        people, departments = setting.catalog.table("employees"), setting.catalog.table("departments")
        over = sa.func.count(sa.case((lines.c.over_limit, 1)))
        shown = (
            claims.c.claim_id,
            claims.c.employee_id,
            people.c.full_name,
            claims.c.purpose,
            departments.c.head_employee_id,
        )
        return await ask(
            sa.select(*shown, sa.func.coalesce(sa.func.sum(lines.c.amount_eur), 0), over)
            .select_from(
                claims.join(people, people.c.employee_id == claims.c.employee_id)
                .join(departments, departments.c.department_id == people.c.department_id)
                .outerjoin(lines, lines.c.claim_id == claims.c.claim_id)
            )
            .where(claims.c.status == "submitted", claims.c.employee_id.in_(_below(setting)))
            .group_by(*shown)
            .order_by(claims.c.claim_id)
        )

    async def _is_or_is_above(self, head: str, setting: Setting, ask: Ask) -> bool:
        if head == setting.person:
            return True
        lines = setting.catalog.table("reporting_lines")
        mine = (lines.c.manager_id == setting.person, lines.c.employee_id == head)
        return bool(await ask(sa.select(lines.c.depth).where(*mine)))

    async def perform(self, draft: Draft, setting: Setting, ask: Ask) -> str:
        claims = setting.catalog.table("expense_claims")
        keys = list(draft.arguments["claim_ids"])
        status = verdicts[str(draft.arguments["decision"])]
        decided = {"status": status, "decided_on": setting.today, "decided_by": setting.person}
        for key in keys:
            await ask(sa.update(claims).where(claims.c.claim_id == key).values(**decided))
        return ", ".join(keys)


def _below(setting: Setting) -> sa.Select[Any]:
    """Everybody below the decider; nobody decides on what is their own or their superiors'."""
    lines = setting.catalog.table("reporting_lines")
    return sa.select(lines.c.employee_id).where(lines.c.manager_id == setting.person)


def _chosen(wanted: Sequence[Any], rows: Sequence[Sequence[Any]], field: str, noun: str) -> list[Sequence[Any]]:
    known = {str(row[0]): row for row in rows}
    found = []
    for index, one in enumerate(wanted):
        key = str(one).strip().upper()
        if key not in known:
            raise UnknownNameError(f"{field}[{index}]", key, noun, list(known)[:5])
        found.append(known[key])
    return found


def _draft(verdict: str, field: str, chosen: Sequence[Sequence[Any]], lines: Sequence[str], noun: str) -> Draft:
    keys = [str(row[0]) for row in chosen]
    counted = f"{len(keys)} {noun}s" if len(keys) > 1 else f"{noun} {keys[0]} of {lines[0]}"
    fields = (("decision", verdict), *zip(keys, lines, strict=True))
    return Draft({field: keys, "decision": verdict}, f"{verdict.capitalize()} {counted}", fields)
