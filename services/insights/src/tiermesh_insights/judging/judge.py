"""One sample, one verdict: asks the model, reads what it says, asks again the other way round where that is wanted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Protocol

from tiermesh_insights.evidence import Source
from tiermesh_insights.judging import rubrics
from tiermesh_insights.records import OutcomeRow, SampleRow, VerdictRow

# One sample in this many is judged twice, the second time with the order turned round.
TURN_ONE_IN = 4
_READ_AT_MOST = 500


class ModelFailedError(Exception):
    """The model gave nothing; the argument is a stable word. Says nothing of the answer that was to be judged."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the model said, and what that cost."""

    text: str
    model: str
    cost_micros: int


class Model(Protocol):
    """A model one tier up."""

    async def ask(
        self, *, tenant: str, request_id: str, instructions: str, message: str, schema: str, most_micros: int
    ) -> Said:
        """Return its words; raises ModelFailedError."""
        ...


@dataclass(frozen=True, slots=True)
class _Reading:
    """A verdict as read: None for one that was not given or cannot be read."""

    score: float | None
    reason: str


async def judge(
    model: Model, sample: SampleRow, reference: SampleRow | None, *, purpose: str, at: datetime, most_micros: int
) -> VerdictRow:
    """Judge one sample. Raises ModelFailedError when the model cannot be reached: that is no verdict, not even none."""
    criteria = rubrics.criteria_of(sample.tag)
    cost = 0

    async def once(*, turned: bool) -> tuple[_Reading, str]:
        nonlocal cost
        said = await model.ask(
            tenant=sample.tenant,
            request_id=f"judge-{sample.sample_id}"[:64],
            instructions=rubrics.instructions(criteria, turned=turned),
            message=rubrics.message(sample, reference, turned=turned),
            schema=rubrics.schema(criteria),
            most_micros=most_micros,
        )
        cost += said.cost_micros
        return read_verdict(said.text, criteria), said.model

    first, by = await once(turned=False)
    flipped: bool | None = None
    if is_turned(sample.sample_id):
        second, _ = await once(turned=True)
        if first.score is not None and second.score is not None:
            flipped = first.score != second.score
        # A judge that says both says nothing.
        first = _Reading(None, "the verdict changed with the order") if flipped else first
    return VerdictRow(
        sample_id=sample.sample_id,
        purpose=purpose,
        decision_id=sample.decision_id,
        tenant=sample.tenant,
        at=at,
        tag=sample.tag,
        prompt_version=sample.prompt_version,
        rubric=rubrics.rubric_of(sample.tag),
        score=first.score,
        flipped=flipped,
        reason=first.reason,
        judge_model=by,
        cost_micros=cost,
    )


def read_verdict(text: str, criteria: Mapping[str, str]) -> _Reading:
    """Read the model's JSON. A "good" that contradicts its own criteria cannot be read."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return _Reading(None, "not readable")
    if not isinstance(said, dict):
        return _Reading(None, "not readable")
    reason = str(said.get("reason", ""))[:_READ_AT_MOST]
    met = [said.get(name) == "yes" for name in criteria]
    match said.get("verdict"):
        case "good" if all(met):
            return _Reading(1.0, reason)
        case "bad" if not all(met):
            return _Reading(0.0, reason)
        case "cannot_tell":
            return _Reading(None, reason)
        case _:
            return _Reading(None, "the verdict contradicts its criteria")


def is_turned(sample_id: str) -> bool:
    """Say whether a sample is judged both ways: by its id, so that judging again does the same."""
    return int.from_bytes(blake2b(sample_id.encode(), digest_size=4).digest()) % TURN_ONE_IN == 0


def outcome_of(verdict: VerdictRow, sample: SampleRow) -> OutcomeRow | None:
    """Return what a verdict says of tier 1; None when it says nothing of it."""
    about_tier1 = sample.kind == "shadow" or sample.route == "tier1"
    if verdict.score is None or not about_tier1:
        return None
    source = Source.SHADOW if sample.kind == "shadow" else Source.JUDGE
    # The moment of the answer, so that judging it late does not make the word too late.
    return OutcomeRow(
        f"{source}-{blake2b(sample.sample_id.encode(), digest_size=16).hexdigest()}",
        sample.decision_id,
        sample.tenant,
        source,
        verdict.score,
        1.0,
        sample.at,
        judged_here=True,
    )
