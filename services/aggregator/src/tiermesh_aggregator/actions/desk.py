"""What the HR and the IT desk are asked for: a ticket, a letter, a change of personal data. The desk does it."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

import sqlalchemy as sa

from tiermesh_aggregator.actions.action import Ask, Draft, Setting, calendar_day, dated, fresh_id, schema
from tiermesh_aggregator.failures import BadFieldError

desks: Mapping[str, str] = {"it": "IT", "hr": "HR"}
letters: Mapping[str, str] = {
    "employment": "Certificate of employment",
    "salary": "Salary letter",
    "visa": "Visa letter",
    "address": "Address letter",
    "experience": "Experience and relieving letter",
    "reference": "Reference letter",
    "interim_reference": "Interim reference letter",
}
working_days = {"reference": 10, "interim_reference": 10}
"""Until a letter is issued, by the handbook; two for all others."""
changes: Mapping[str, str] = {
    "name": "name",
    "home_address": "address",
    "phone": "phone number",
    "private_email": "private e-mail address",
    "bank_account": "bank details",
    "emergency_contact": "emergency contact",
    "family": "family details",
}
most_days_ahead = 366
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")


class OpenTicket:
    """Opens a ticket of the caller's own."""

    name = "support.ticket"
    tool = "ticket_open"
    description = (
        "Drafts a ticket of the caller's to the IT or the HR desk: something is broken, lost, missing or to be "
        "reported. Nothing is sent before the user confirms."
    )
    schema: Mapping[str, Any] = schema(
        {
            "desk": {"enum": list(desks), "description": "it for devices, access and accounts; hr for the rest."},
            "title": {"type": "string", "minLength": 1, "maxLength": 200, "description": "What it is about."},
            "details": {"type": "string", "maxLength": 1000, "description": "What the desk has to know beyond that."},
        },
        ["desk", "title"],
    )
    tables = frozenset({"support_tickets"})

    async def draft(self, arguments: Mapping[str, Any], setting: Setting, ask: Ask) -> Draft:
        title, details = _line(arguments, "title"), _line(arguments, "details")
        fields = [("desk", desks[arguments["desk"]]), ("title", title), *([("details", details)] if details else [])]
        kept = {"desk": arguments["desk"], "title": title, "details": details}
        return Draft(kept, f"{desks[arguments['desk']]} ticket: {title}", tuple(fields))

    async def perform(self, draft: Draft, setting: Setting, ask: Ask) -> str:
        return await _file(draft.arguments["desk"], draft.arguments["title"], draft.arguments["details"], setting, ask)


class RequestLetter:
    """Asks HR for a letter or certificate about the caller."""

    name = "people.letters"
    tool = "letter_request"
    description = (
        "Drafts the request for a letter or certificate about the caller, which HR issues: proof of employment, "
        "salary, visa, address, experience, reference. Nothing is sent before the user confirms."
    )
    schema: Mapping[str, Any] = schema(
        {
            "letter": {"enum": list(letters), "description": "Kind of letter."},
            "addressed_to": {"type": "string", "maxLength": 120, "description": "Whom it is for, such as a landlord."},
            "details": {"type": "string", "maxLength": 1000, "description": "What it has to say, or its language."},
        },
        ["letter"],
    )
    tables = frozenset({"support_tickets"})

    async def draft(self, arguments: Mapping[str, Any], setting: Setting, ask: Ask) -> Draft:
        letter, details = str(arguments["letter"]), _line(arguments, "details")
        addressed_to = _line(arguments, "addressed_to")
        within = working_days.get(letter, 2)
        fields = [("letter", letters[letter])]
        fields += [(name, value) for name, value in (("addressed_to", addressed_to), ("details", details)) if value]
        fields.append(("issued_within", f"{within} working days"))
        summary = letters[letter] + (f" for {addressed_to}" if addressed_to else "")
        kept = {"letter": letter, "addressed_to": addressed_to, "details": details}
        return Draft(kept, f"{summary}, issued within {within} working days", tuple(fields))

    async def perform(self, draft: Draft, setting: Setting, ask: Ask) -> str:
        kept = draft.arguments
        told = [f"For {kept['addressed_to']}." if kept["addressed_to"] else "", kept["details"]]
        return await _file("hr", letters[kept["letter"]], " ".join(filter(None, told)), setting, ask)


class UpdateProfile:
    """Asks HR for a change of the caller's personal data.

    The data itself goes into the ticket's details, which no list shows: a manager sees that something changes, and
    not to what.
    """

    name = "people.update_profile"
    tool = "profile_update"
    description = (
        "Drafts a change of the caller's own personal data, which HR carries out: name, home address, phone, private "
        "e-mail, bank account (IBAN), emergency contact, family. Nothing is sent before the user confirms."
    )
    schema: Mapping[str, Any] = schema(
        {
            "field": {"enum": list(changes), "description": "What changes."},
            "new_value": {"type": "string", "minLength": 1, "maxLength": 500, "description": "What it is from now on."},
            "valid_from": {**dated, "description": "First day on which it holds; absent is today."},
        },
        ["field", "new_value"],
    )
    tables = frozenset({"support_tickets"})

    async def draft(self, arguments: Mapping[str, Any], setting: Setting, ask: Ask) -> Draft:
        field, value = str(arguments["field"]), _line(arguments, "new_value")
        if field == "bank_account":
            value = _account(value)
        day = _valid_from(arguments.get("valid_from"), setting.today)
        kept = {"field": field, "new_value": value, "valid_from": str(day)}
        fields = (("field", changes[field]), ("new_value", value), ("valid_from", str(day)))
        return Draft(kept, f"Change of {changes[field]} from {day} on", fields)

    async def perform(self, draft: Draft, setting: Setting, ask: Ask) -> str:
        kept = draft.arguments
        details = f"New {changes[kept['field']]} from {kept['valid_from']} on: {kept['new_value']}"
        return await _file("hr", f"Change of {changes[kept['field']]}", details, setting, ask)


def _line(arguments: Mapping[str, Any], name: str) -> str:
    """A text on one line, without control characters; a field that must be there must say something."""
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in str(arguments.get(name, ""))).split())
    if not text and name in ("title", "new_value"):
        raise BadFieldError(name, "It says nothing.")
    return text


def _account(value: str) -> str:
    """An IBAN without its spaces, its check digits seen to; what is no IBAN is HR's to read."""
    bare = value.replace(" ", "").upper()
    if not _IBAN.fullmatch(bare):
        return value
    # ISO 13616: the first four characters go last, letters count from 10, and 1 is left of a division by 97.
    number = "".join(str(int(letter, 36)) for letter in bare[4:] + bare[:4])
    if int(number) % 97 != 1:
        raise BadFieldError("new_value", "The check digits of this IBAN are wrong; look at the number again.")
    return bare


def _valid_from(given: Any, today: date) -> date:
    if given is None:
        return today
    day = calendar_day(given, "valid_from")
    if abs((day - today).days) > most_days_ahead:
        raise BadFieldError("valid_from", "The day is more than a year away.")
    return day


async def _file(desk: str, title: str, details: str, setting: Setting, ask: Ask) -> str:
    tickets = setting.catalog.table("support_tickets")
    key = fresh_id("TK")
    await ask(
        sa.insert(tickets).values(
            ticket_id=key,
            employee_id=setting.person,
            kind=desk,
            title=title,
            status="open",
            opened_on=setting.today,
            closed_on=None,
            details=details or None,
        )
    )
    return key
