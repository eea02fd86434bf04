"""What a model is told of a tool's arguments: what it can go by, and nothing that only the check needs."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator
from tiermesh_executor.tools.telling import for_a_model

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "required": ["from_date"],
    "properties": {
        "from_date": {"type": "string", "format": "date", "pattern": "^[0-9]{4}", "description": "First day."},
        "code": {"type": "string", "pattern": "^E[0-9]+$", "maxLength": 8},
        # An argument may be called like a keyword.
        "maxItems": {"type": "integer", "minimum": 1},
        "names": {
            "type": "array",
            "minItems": 2,
            "maxItems": 50,
            "items": {"type": "object", "additionalProperties": False, "properties": {"additionalProperties": {}}},
        },
        "kind": {"enum": ["a", "b"], "default": {"additionalProperties": 1}},
        "either": {"anyOf": [{"type": "string", "minLength": 1}, {"type": "null"}]},
    },
}


def test_bounds_of_the_check_are_left_out_and_everything_to_go_by_stays() -> None:
    assert for_a_model(SCHEMA) == {
        "type": "object",
        "required": ["from_date"],
        "properties": {
            "from_date": {"type": "string", "format": "date", "description": "First day."},
            "code": {"type": "string", "pattern": "^E[0-9]+$", "maxLength": 8},
            "maxItems": {"type": "integer", "minimum": 1},
            "names": {
                "type": "array",
                "minItems": 2,
                "items": {"type": "object", "properties": {"additionalProperties": {}}},
            },
            "kind": {"enum": ["a", "b"], "default": {"additionalProperties": 1}},
            "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
    }


def test_what_is_told_is_a_schema_that_takes_whatever_the_tool_takes() -> None:
    told = for_a_model(SCHEMA)
    Draft202012Validator.check_schema(told)
    good = {"from_date": "2026-01-01", "names": [{}, {}], "either": "x"}
    for schema in (SCHEMA, told):
        assert Draft202012Validator(schema).is_valid(good)
        assert not Draft202012Validator(schema).is_valid({"names": [{}, {}]})
