"""To file an expense claim: lines checked against categories, limits, dates and currencies."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import sqlalchemy as sa

from tiermesh_aggregator.actions.action import Ask, Draft, Setting, calendar_day, fresh_id, schema
from tiermesh_aggregator.failures import BadFieldError, UnknownNameError

file_within_days = 60
most_lines = 30


@dataclass(frozen=True)
class _Line:
    category: str
    spent_on: date
    merchant: str
    amount: Decimal
    currency: str
    amount_eur: Decimal
    over_limit: bool


class SubmitExpenses:
    """Files a claim with its lines."""

    name = "expenses.submit"
    tool = "expense_submit"
    description = "Drafts the caller's expense claim with its lines. Nothing is filed before the user confirms."
    schema: Mapping[str, Any] = schema(
        {
            "purpose": {"type": "string", "minLength": 1, "maxLength": 200},
            "lines": {
                "type": "array",
                "minItems": 1,
                "maxItems": most_lines,
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["category", "spent_on", "amount"],
                    "properties": {
                        "category": {"type": "string", "maxLength": 60},
                        "spent_on": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
                        "merchant": {"type": "string", "maxLength": 120},
                        "amount": {"type": ["number", "string"], "description": "In the line's currency."},
                        "currency": {"type": "string", "pattern": "^[A-Z]{3}$", "default": "EUR"},
                    },
                },
            },
        },
        ["purpose", "lines"],
    )
    tables = frozenset({"expense_claims", "expense_lines", "expense_limits", "exchange_rates"})

    async def draft(self, arguments: Mapping[str, Any], setting: Setting, ask: Ask) -> Draft:
        limits = await _limits(setting, ask)
        lines = [
            await _line(one, f"lines[{index}]", limits, setting, ask) for index, one in enumerate(arguments["lines"])
        ]
        total = sum((line.amount_eur for line in lines), Decimal(0))
        over = [line for line in lines if line.over_limit]
        fields = [("purpose", str(arguments["purpose"])), ("total_eur", str(total)), ("lines", str(len(lines)))]
        fields += [
            (f"line {number}", f"{line.category}, {line.spent_on}, {line.amount} {line.currency}")
            for number, line in enumerate(lines, 1)
        ]
        noun = "line" if len(lines) == 1 else "lines"
        summary = f"Expense claim for {arguments['purpose']}: {len(lines)} {noun}, {total} EUR"
        if over:
            summary += f"; {len(over)} over the limit of the category"
        kept = {
            "purpose": str(arguments["purpose"]),
            "lines": [
                {
                    "category": line.category,
                    "spent_on": str(line.spent_on),
                    "merchant": line.merchant,
                    "amount": str(line.amount),
                    "currency": line.currency,
                }
                for line in lines
            ],
        }
        return Draft(kept, summary, tuple(fields))

    async def perform(self, draft: Draft, setting: Setting, ask: Ask) -> str:
        claims, table = setting.catalog.table("expense_claims"), setting.catalog.table("expense_lines")
        limits = await _limits(setting, ask)
        lines = [await _line(one, "lines", limits, setting, ask) for one in draft.arguments["lines"]]
        key = fresh_id("EC")
        currencies = {line.currency for line in lines}
        await ask(
            sa.insert(claims).values(
                claim_id=key,
                employee_id=setting.person,
                submitted_on=setting.today,
                status="submitted",
                purpose=draft.arguments["purpose"],
                currency=currencies.pop() if len(currencies) == 1 else "EUR",
                decided_by=None,
                decided_on=None,
                paid_on=None,
            )
        )
        for line in lines:
            line_id = fresh_id("EL")
            values = {name: getattr(line, name) for name in line.__dataclass_fields__}
            await ask(sa.insert(table).values(line_id=line_id, claim_id=key, employee_id=setting.person, **values))
        return key


async def _limits(setting: Setting, ask: Ask) -> dict[str, Decimal]:
    table = setting.catalog.table("expense_limits")
    rows = await ask(sa.select(table.c.category, table.c.limit_eur).order_by(table.c.category))
    return {str(category): Decimal(limit) for category, limit in rows}


async def _line(
    given: Mapping[str, Any], place: str, limits: Mapping[str, Decimal], setting: Setting, ask: Ask
) -> _Line:
    category = str(given["category"]).strip().lower()
    if category not in limits:
        raise UnknownNameError(f"{place}.category", str(given["category"]), "expense category", list(limits))
    spent_on = _spent_on(str(given["spent_on"]), place, setting.today)
    amount = _amount(given["amount"], place)
    currency = str(given.get("currency", "EUR"))
    in_euros = (amount * await _rate(currency, spent_on, place, setting, ask)).quantize(Decimal("0.01"))
    merchant = str(given.get("merchant", "")).strip() or "not given"
    return _Line(category, spent_on, merchant, amount, currency, in_euros, in_euros > limits[category])


def _spent_on(text: str, place: str, today: date) -> date:
    day = calendar_day(text, f"{place}.spent_on")
    if day > today:
        raise BadFieldError(f"{place}.spent_on", "The day lies in the future.")
    if day < today - timedelta(days=file_within_days):
        raise BadFieldError(f"{place}.spent_on", f"Expenses are filed within {file_within_days} days of spending.")
    return day


def _amount(given: Any, place: str) -> Decimal:
    try:
        amount = Decimal(str(given)).quantize(Decimal("0.01"))
    except InvalidOperation:
        raise BadFieldError(f"{place}.amount", "This is no amount.") from None
    if not Decimal(0) < amount < Decimal(1_000_000):
        raise BadFieldError(f"{place}.amount", "Give an amount above zero and below a million.")
    return amount


async def _rate(currency: str, day: date, place: str, setting: Setting, ask: Ask) -> Decimal:
    """Euros for one unit, by the month of spending or the last one known."""
    if currency == "EUR":
        return Decimal(1)
    table = setting.catalog.table("exchange_rates")
    rows = await ask(
        sa.select(table.c.rate_to_eur)
        .where(table.c.currency == currency, table.c.month <= day)
        .order_by(table.c.month.desc())
        .limit(1)
    )
    if not rows:
        known = await ask(sa.select(table.c.currency).distinct().order_by(table.c.currency))
        raise UnknownNameError(f"{place}.currency", currency, "currency", [str(row[0]) for row in known])
    return Decimal(rows[0][0])
