"""The arguments of a tool call: read from what the model wrote, checked against the tool's schema."""

import json
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match


def arguments_of(text: str) -> dict[str, Any] | None:
    """The JSON object of a tool call, or None when it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def problem_with(value: object, schema: Mapping[str, Any]) -> str:
    """What breaks the schema, with its place, in words for a model; empty when nothing does."""
    try:
        problem = best_match(Draft202012Validator(schema).iter_errors(value))
    except RecursionError:
        return "It is nested too deeply."
    if problem is None:
        return ""
    place = ".".join(str(part) for part in problem.absolute_path)
    return f"{place}: {problem.message[:500]}" if place else problem.message[:500]
