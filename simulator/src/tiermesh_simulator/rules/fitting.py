"""Holds arguments against a tool's schema before they are sent: what does not fit and is optional goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import jsonschema

# Each round drops at least one argument.
_ROUNDS: Final = 40


def fitting(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the arguments that fit; None when a required one does not, so that the call would be refused."""
    kept = dict(arguments)
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError:
        # The caller's own mistake shows where the tool is run.
        return kept
    validator = jsonschema.Draft202012Validator(schema)
    required = set(schema.get("required") or ())
    for _ in range(_ROUNDS):
        offenders = {_offender(error) for error in validator.iter_errors(kept)}
        if not offenders:
            return kept
        droppable = (offenders & kept.keys()) - required
        if not droppable:
            return None
        kept = {key: value for key, value in kept.items() if key not in droppable}
    return None


def missing(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[str]:
    """Return the required arguments that are not there or do not fit, in the schema's order."""
    errors = jsonschema.Draft202012Validator(schema).iter_errors(dict(arguments))
    offenders = {_offender(error) for error in errors}
    return [key for key in schema.get("required") or () if key not in arguments or key in offenders]


def _offender(error: jsonschema.ValidationError) -> str:
    """Return the top-level argument that an error is about; "" when it is about the whole."""
    if error.absolute_path:
        return str(error.absolute_path[0])
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        known = (error.schema.get("properties") or {}) if isinstance(error.schema, Mapping) else {}
        return next((str(key) for key in error.instance if key not in known), "")
    return ""
