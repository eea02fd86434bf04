"""Tools as the suite lists them: bulk tools with sides and filters, look-ups, a handbook, drafts of writes."""

from __future__ import annotations

from typing import Any

TODAY = "Today is 2026-11-22."
DAY = {"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
NAMES = {"type": "array", "maxItems": 50, "items": {"type": "string", "minLength": 1}}
POPULATION = {"enum": ["self", "direct_reports", "all_reports", "department", "company"]}


def closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        **({"required": list(required)} if required else {}),
    }


BULK = closed(
    {
        "aggregation": {"enum": ["list", "count", "sum", "average", "rank", "compare", "trend", "outliers"]},
        "measures": {
            "type": "array",
            "items": {"enum": ["leave_days", "leave_requests", "remaining_days", "requests"]},
            "description": "Absent takes the default. leave_days: Leave days taken (days); leave_requests: Requests "
            "(requests). For aggregation list, one of: requests: Leave requests.",
        },
        "group_by": {"type": "array", "items": {"enum": ["leave_type", "employee", "manager", "department", "month"]}},
        "filters": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["field", "values"],
                "properties": {
                    "field": {"enum": ["leave_type", "leave_status", "employee", "manager", "country"]},
                    "values": {**NAMES, "minItems": 1},
                },
            },
            "description": "Values: leave_type: annual, sick, parental; country: DE, IN; leave_status: pending, "
            "approved.",
        },
        "from_date": DAY,
        "to_date": DAY,
        "population": POPULATION,
        "people": NAMES,
        "departments": NAMES,
        "order_by": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field"],
                "properties": {"field": {"type": "string"}, "descending": {"type": "boolean", "default": False}},
            },
        },
        "sides": {
            "type": "array",
            "minItems": 2,
            "items": {
                "type": "object",
                "minProperties": 1,
                "properties": {
                    "label": {"type": "string"},
                    "from_date": DAY,
                    "to_date": DAY,
                    "population": POPULATION,
                    "people": NAMES,
                    "departments": NAMES,
                },
            },
        },
        "outliers": {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "properties": {"over_limit": {"const": True}, "duplicates": {"const": True}},
        },
    },
    "aggregation",
)
PERSON = {"employee": {"type": "string", "description": "Name or id of one person; absent is the caller."}}
LIMIT = {"limit": {"type": "integer", "minimum": 1, "maximum": 200}}


def tool(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "description": description, "input_schema": schema}


def listed_tools() -> list[dict[str, Any]]:
    kind = {"leave_type": {"enum": ["annual", "sick", "parental"], "description": "Leave type"}}
    period = {"from_date": DAY, "to_date": DAY}
    return [
        tool("leave_team_aggregate", "One bulk call over the leave of many people: totals, rankings, lists.", BULK),
        tool(
            "attendance_days",
            "The attendance of one person day by day: status, punches, hours, lateness, overtime, shift.",
            closed({**PERSON, **period, "shift": {"enum": ["day shift", "late shift"]}, **LIMIT}),
        ),
        tool(
            "leave_balance",
            "The leave balance of one person, by leave type, with days entitled, taken, pending and left.",
            closed({**PERSON, **period, **kind, **LIMIT}),
        ),
        tool(
            "leave_requests",
            "The leave requests of one person with their numbers, dates, days and status.",
            closed({**PERSON, **period, "leave_status": {"enum": ["pending", "approved", "cancelled"]}, **LIMIT}),
        ),
        tool(
            "public_holidays",
            "The public holidays that apply to one person.",
            closed({**PERSON, **period, **LIMIT}),
        ),
        tool(
            "handbook_read",
            "One section of the handbook by its source.",
            closed({"source": {"type": "string", "maxLength": 1000}}, "source"),
        ),
        tool(
            "handbook_search",
            "Full-text search of the company's handbook: rules of leave, expenses, pay.",
            closed({"query": {"type": "string"}, "limit": {"type": "integer"}}, "query"),
        ),
        tool(
            "leave_apply",
            "Drafts the caller's request for leave.",
            closed(
                {
                    "leave_type": {"type": "string", "maxLength": 40, "description": "Such as annual or sick."},
                    "start_date": {**DAY, "description": "First day off."},
                    "end_date": {**DAY, "description": "Last day off, included."},
                    "half_day": {"type": "boolean", "description": "True for half of a single day."},
                },
                "leave_type",
                "start_date",
                "end_date",
            ),
        ),
    ]
