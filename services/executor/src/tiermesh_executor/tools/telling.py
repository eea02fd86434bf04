"""What a model is told of a tool's arguments: all that it can go by, without bounds that only their check needs.

The prompt's cached prefix consists of tool schemas for the most part, and is paid for with every call. Arguments are
held against the whole schema afterwards; what does not fit goes back to the model, which may mend it.
"""

from collections.abc import Mapping
from typing import Any

_FOR_THE_CHECK = frozenset(
    {"$schema", "$id", "$comment", "additionalProperties", "minLength", "maxItems", "maxProperties"}
)
_NAMED = frozenset({"properties", "$defs", "definitions"})
_VALUES = frozenset({"enum", "required", "examples", "default", "const"})


def for_a_model(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema without them; the same for the same schema, key by key in its order."""
    found = {key: _told(key, value) for key, value in schema.items() if key not in _FOR_THE_CHECK}
    if "format" in found:
        # It says the same in one word.
        found.pop("pattern", None)
    return found


def _told(key: str, value: Any) -> Any:
    if key in _VALUES:
        return value
    if isinstance(value, Mapping):
        # Below these stand names of the tool's own, whatever they are called.
        return {name: _told("", one) for name, one in value.items()} if key in _NAMED else for_a_model(value)
    if isinstance(value, list):
        return [for_a_model(one) if isinstance(one, Mapping) else one for one in value]
    return value
