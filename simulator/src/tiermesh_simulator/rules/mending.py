"""Mends the arguments of a refused call: the nearest value, or without the part that cannot be served."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import Any, Final

from tiermesh_simulator.rules.results import Refusal

# Two names so alike are one, written wrong.
_ALIKE: Final = 0.8


def mended_arguments(arguments: Mapping[str, Any], refusal: Refusal) -> Mapping[str, Any] | None:
    """Return the arguments mended; None where the refusal shows no way."""
    return _mended(arguments, refusal) or _without(arguments, refusal)


def _mended(arguments: Mapping[str, Any], refusal: Refusal) -> Mapping[str, Any] | None:
    """Put the nearest valid value where the tool said that a wrong one stands.

    Of somebody whom nobody knows only a slip of the pen is mended; another name would be another person.
    """
    if not refusal.nearest or (refusal.stranger and not _slip(refusal.stranger, refusal.nearest[0])):
        return None
    path = [step for step in re.split(r"[.\[\]]+", refusal.argument) if step]
    if not path:
        path = [key for key, value in arguments.items() if isinstance(value, str)][:1]
    if not path:
        return None
    copy: Any = json.loads(json.dumps(arguments))
    target: Any = copy
    for step in path[:-1]:
        known = target.get(step) if isinstance(target, dict) else None
        if isinstance(target, list) and step.isdigit() and int(step) < len(target):
            known = target[int(step)]
        if not isinstance(known, (dict, list)):
            return None
        target = known
    last = path[-1]
    if isinstance(target, list):
        if not last.isdigit() or int(last) >= len(target):
            return None
        target[int(last)] = refusal.nearest[0]
    else:
        target[last] = [refusal.nearest[0]] if isinstance(target.get(last), list) else refusal.nearest[0]
    return copy if isinstance(copy, dict) else None


def _slip(written: str, meant: str) -> bool:
    return SequenceMatcher(None, written.lower(), meant.lower()).ratio() >= _ALIKE


def _without(arguments: Mapping[str, Any], refusal: Refusal) -> Mapping[str, Any] | None:
    """Leave out the part of a list that the tool cannot serve, such as a filter; never a person or a place."""
    found = re.match(r"(\w+)\[(\d+)\]", refusal.argument)
    if found is None or refusal.stranger:
        return None
    key, at = found.group(1), int(found.group(2))
    values = arguments.get(key)
    if not isinstance(values, list) or at >= len(values):
        return None
    left = [*values[:at], *values[at + 1 :]]
    return {name: left if name == key else value for name, value in arguments.items() if name != key or left}
