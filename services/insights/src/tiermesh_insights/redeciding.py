"""One decision taken again from its record, under other settings of its tenant's policy. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import yaml
from tiermesh_policy import Decision, PolicyProblems, load_inputs
from tiermesh_policy.record import RecordUnreadableError


class SettingsError(ValueError):
    """Settings that are no policy, with what is wrong in words."""


class NoRecordError(ValueError):
    """The decision was logged without what it was decided on."""


def decide_again(record: bytes, settings: str) -> Decision:
    """Decide with these settings laid over the policy of then; raises SettingsError and NoRecordError."""
    changes = _read(settings)
    try:
        return load_inputs(record).with_settings(changes).decide()
    except RecordUnreadableError as error:
        raise NoRecordError(str(error)) from error
    except PolicyProblems as problems:
        raise SettingsError(str(problems)) from problems


def _read(settings: str) -> Mapping[str, object]:
    try:
        changes = yaml.safe_load(settings)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise SettingsError(f"this is no YAML{where}") from error
    if not isinstance(changes, Mapping) or not all(isinstance(name, str) for name in changes):
        raise SettingsError("settings are written as `name: value`, such as `thresholds: {tier1: 0.8}`")
    return changes
