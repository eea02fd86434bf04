"""JSON Schemas that others wrote: read, bounded to themselves, and held against values.

A schema comes from a caller of `Generate` or from a tool's server. It may refer to its own parts and to nothing else:
a validator would fetch anything else from wherever it is said to lie.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

# Knows nothing and fetches nothing.
_NOTHING: Registry[Any] = Registry()
_REFERENCES = ("$ref", "$dynamicRef")


def read_schema(text: str) -> Mapping[str, Any]:
    """The schema in `text`; ValueError that says what is wrong with it."""
    try:
        schema = json.loads(text)
        if not isinstance(schema, dict):
            raise ValueError("it is not a JSON object")
        Draft202012Validator.check_schema(schema)
        resolver = _NOTHING.resolver_with_root(DRAFT202012.create_resource(schema))
        for reference in _references(schema):
            if not reference.startswith("#"):
                raise ValueError("it refers outside of itself")
            resolver.lookup(reference)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except SchemaError as error:
        raise ValueError(f"it is no JSON Schema: {error.message[:200]}") from error
    except Unresolvable as error:
        raise ValueError("it refers to a part that it does not have") from error
    return schema


def problem_with(value: object, schema: Mapping[str, Any]) -> str:
    """What breaks the schema, with its place, in words for a model; empty when nothing does."""
    try:
        problem = best_match(Draft202012Validator(schema, registry=_NOTHING).iter_errors(value))
    except RecursionError:
        return "It is nested too deeply."
    except Unresolvable:
        return "It cannot be checked: its schema refers to a part that it does not have."
    if problem is None:
        return ""
    place = ".".join(str(part) for part in problem.absolute_path)
    return f"{place}: {problem.message[:500]}" if place else problem.message[:500]


def _references(value: object) -> Iterable[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key in _REFERENCES and isinstance(item, str):
                yield item
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)
