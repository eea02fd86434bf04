"""The arguments of a tool call, read from what the model wrote. `schemas` checks them against the tool's schema."""

import json
from typing import Any


def arguments_of(text: str) -> dict[str, Any] | None:
    """The JSON object of a tool call, or None when it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
