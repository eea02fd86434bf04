"""To give a colleague feedback. Who receives it is found by name among all who work here."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from tiermesh_aggregator import names
from tiermesh_aggregator.actions.action import Ask, Draft, Setting, fresh_id, schema
from tiermesh_aggregator.failures import BadFieldError
from tiermesh_aggregator.query import Viewer

kinds: Mapping[str, str] = {"praise": "Praise", "thanks": "Thanks", "constructive": "Constructive feedback"}


class GiveFeedback:
    """Sends a colleague a few words, which their managers can read too."""

    name = "performance.feedback_give"
    tool = "feedback_give"
    description = (
        "Drafts feedback or kudos from the caller to one colleague, in the words given. The colleague and their "
        "managers read it. Nothing is sent before the user confirms."
    )
    schema: Mapping[str, Any] = schema(
        {
            "employee": {
                "type": "string",
                "minLength": 1,
                "maxLength": 200,
                "description": "Name or id of the colleague.",
            },
            "kind": {"enum": list(kinds), "description": "praise, thanks or constructive."},
            "text": {
                "type": "string",
                "minLength": 1,
                "maxLength": 2000,
                "description": "The words, as they are sent.",
            },
        },
        ["employee", "kind", "text"],
    )
    tables = frozenset({"feedback", "employees", "departments"})

    async def draft(self, arguments: Mapping[str, Any], setting: Setting, ask: Ask) -> Draft:
        text = str(arguments["text"]).strip()
        if not text:
            raise BadFieldError("text", "It says nothing.")
        colleague = await _colleague(str(arguments["employee"]), setting, ask)
        if colleague.key == setting.person:
            raise BadFieldError("employee", "Feedback goes to somebody else.")
        kind = str(arguments["kind"])
        fields = (("employee", colleague.name), ("kind", kinds[kind]), ("text", text))
        kept = {"employee": colleague.key, "kind": kind, "text": text}
        return Draft(kept, f"{kinds[kind]} for {colleague.name}", fields)

    async def perform(self, draft: Draft, setting: Setting, ask: Ask) -> str:
        feedback = setting.catalog.table("feedback")
        key = fresh_id("FB")
        await ask(
            sa.insert(feedback).values(
                feedback_id=key,
                from_employee_id=setting.person,
                to_employee_id=draft.arguments["employee"],
                given_on=setting.today,
                kind=draft.arguments["kind"],
                text=draft.arguments["text"],
            )
        )
        return key


async def _colleague(name: str, setting: Setting, ask: Ask) -> names.Candidate:
    people, departments = setting.catalog.table("employees"), setting.catalog.table("departments")
    rows = await ask(
        sa.select(people.c.employee_id, people.c.full_name, departments.c.name)
        .select_from(people.join(departments, people.c.department_id == departments.c.department_id))
        .where(people.c.status == "active", names.could_be(people.c.employee_id, people.c.full_name, [name]))
        .order_by(people.c.employee_id)
        .limit(names.most_candidates)
    )
    candidates = [names.Candidate("person", str(key), str(full), str(unit)) for key, full, unit in rows]
    return names.closest(name, "employee", "colleague", Viewer(setting.person, frozenset()), candidates)
