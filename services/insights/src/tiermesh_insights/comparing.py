"""The blind comparison: which two answers a person sees, in which order, and what their word says of tier 1. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from tiermesh_insights.evidence import Source
from tiermesh_insights.records import OutcomeRow, SampleRow

_SEPARATOR = "~"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two answers to one question, in the order in which this person sees them."""

    comparison_id: str
    first: SampleRow
    second: SampleRow


def comparison(served: SampleRow, shadow: SampleRow, person: str) -> Comparison:
    """Put a pair in this person's order: by chance between people, the same for one however often it is shown."""
    comparison_id = f"{served.sample_id}{_SEPARATOR}{shadow.sample_id}"
    turned = blake2b(f"{comparison_id}\0{person}".encode(), digest_size=1).digest()[0] & 1
    return Comparison(comparison_id, shadow, served) if turned else Comparison(comparison_id, served, shadow)


def samples_of(comparison_id: str) -> tuple[str, str] | None:
    """Return the ids of (served, shadow); None for what is no comparison's id."""
    served, separator, shadow = comparison_id.partition(_SEPARATOR)
    return (served, shadow) if separator and served and shadow else None


def person_hash(tenant: str, subject: str) -> str:
    """Return how a comparing person is kept."""
    return blake2b(f"{tenant}\0{subject}".encode(), digest_size=32).hexdigest()


def outcome_of(shown: Comparison, preference: str, person: str, at: datetime) -> OutcomeRow | None:
    """Return what a preference says of tier 1: would it have done as well as what was served?"""
    shadow_is = "first" if shown.first.kind == "shadow" else "second"
    shadow = shown.first if shadow_is == "first" else shown.second
    if shadow.tier != 1:
        return None
    success = {"equal": 1.0, "both_bad": 0.0, shadow_is: 1.0}.get(preference, 0.0)
    identity = blake2b(f"{shown.comparison_id}\0{person}".encode(), digest_size=16).hexdigest()
    return OutcomeRow(f"preference-{identity}", shadow.decision_id, shadow.tenant, Source.PREFERENCE, success, 1.0, at)
