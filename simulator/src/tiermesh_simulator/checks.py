"""The checks that depend on the model: limits, prefill, forced tools, thinking, and what a schema may say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tiermesh_simulator.models import ModelTraits
from tiermesh_simulator.problems import ApiError, invalid
from tiermesh_simulator.request import MessagesRequest

PREFILL_MESSAGE: Final = (
    "This model does not support assistant message prefill. The conversation must end with a user message."
)
_UNSUPPORTED: Final[Mapping[str, frozenset[str]]] = {
    "integer": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
    "string": frozenset({"minLength", "maxLength"}),
    "array": frozenset({"maxItems", "uniqueItems", "contains"}),
}


def too_long(tokens: int, window: int) -> ApiError:
    """Return the problem of a prompt that does not fit."""
    return invalid(f"prompt is too long: {tokens} tokens > {window} maximum")


def check_for_model(request: MessagesRequest, traits: ModelTraits, prompt_tokens: int, *, strict: bool) -> None:
    """Refuse what the named model refuses. ApiError (400) says what is wrong."""
    if prompt_tokens > traits.window:
        raise too_long(prompt_tokens, traits.window)
    if request.max_tokens > traits.max_output:
        raise invalid(
            f"max_tokens: {request.max_tokens} > {traits.max_output}, which is the maximum allowed number of output "
            f"tokens for {request.model}"
        )
    if not strict:
        return
    if request.turns[-1].role == "assistant" and not traits.prefill:
        raise invalid(PREFILL_MESSAGE)
    if request.tool_choice["type"] in ("any", "tool") and not traits.forced_tools:
        raise invalid(
            f"tool_choice: forced tool use (type '{request.tool_choice['type']}') is not supported for this model. "
            "Use type 'auto' or 'none'."
        )
    kind = (request.thinking or {}).get("type")
    if kind is not None and kind not in traits.thinking:
        raise invalid(f'"thinking.type.{kind}" is not supported for this model.')
    if request.schema is not None:
        _check_schema(request.schema)


def _check_schema(schema: Mapping[str, Any]) -> None:
    kind = schema.get("type")
    where = "output_config.format.schema"
    if kind == "object" and schema.get("additionalProperties") is not False:
        raise invalid(f"{where}: For 'object' type, 'additionalProperties' must be explicitly set to false")
    if isinstance(kind, str):
        found = sorted(_UNSUPPORTED.get(kind, frozenset()) & schema.keys())
        if found:
            raise invalid(f"{where}: For '{kind}' type, properties {', '.join(found)} are not supported")
    if schema.get("minItems", 0) not in (0, 1):
        raise invalid(f"{where}: For 'array' type, 'minItems' values other than 0 or 1 are not supported")
    for child in _children(schema):
        _check_schema(child)


def _children(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found: list[Any] = [schema.get("items")]
    for name in ("properties", "$defs", "definitions"):
        found.extend((schema.get(name) or {}).values())
    for name in ("anyOf", "allOf", "oneOf"):
        found.extend(schema.get(name) or [])
    return [child for child in found if isinstance(child, dict)]
