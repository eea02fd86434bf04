"""What an answer's end, or a person's word on it, says about tier 1: which outcomes there are, how they weigh."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b

from tiermesh_policy import Route

from tiermesh_gateway.events import Receipt
from tiermesh_gateway.ports import Outcome, OutcomeSource

# A stream that ended well says little about whether the answer was right.
_COMPLETION_WEIGHT = 0.2
_ABANDONED_WEIGHT = 0.1
_PILL_WEIGHT = 0.1


def of_end(receipt: Receipt, tenant: str, decided: Route, *, bounces: Sequence[str], at: datetime) -> list[Outcome]:
    """Outcomes of a turn that ran to its end. Only what tier 1 tried is evidence about tier 1."""
    weight = 1.0 if decided is Route.TIER1 else 0.0
    decision_id, cause = receipt.decision_id, bounces[0] if bounces else ""
    outcomes = [
        Outcome(
            f"{decision_id}.completion",
            decision_id,
            tenant,
            OutcomeSource.COMPLETION,
            1.0 if receipt.complete else 0.0,
            _COMPLETION_WEIGHT * weight,
            at,
            receipt,
            cause,
        )
    ]
    if bounces:
        outcomes.append(Outcome(f"{decision_id}.bounce", decision_id, tenant, OutcomeSource.BOUNCE, 0.0, weight, at))
    return outcomes


def of_abandonment(receipt: Receipt, tenant: str, decided: Route, at: datetime) -> Outcome:
    """The client went away before the answer was done."""
    weight = _ABANDONED_WEIGHT if decided is Route.TIER1 else 0.0
    decision_id = receipt.decision_id
    return Outcome(f"{decision_id}.abandoned", decision_id, tenant, OutcomeSource.ABANDONED, 0.0, weight, at, receipt)


def of_feedback(
    decision_id: str,
    tenant: str,
    answered: Route,
    source: OutcomeSource,
    *,
    good: bool,
    revision: int,
    pill_id: str,
    at: datetime,
) -> Outcome:
    """A person's word. Another word on the same answer has a higher revision, and the last one counts."""
    about_tier1 = answered is Route.TIER1
    weight = (_PILL_WEIGHT if source is OutcomeSource.PILL_CLICK else 1.0) if about_tier1 else 0.0
    # An outcome's id has a narrow alphabet; a pill's id is whatever the client sends back.
    pill = blake2b(pill_id.encode(), digest_size=8).hexdigest()
    suffix = f"pill-{pill}" if source is OutcomeSource.PILL_CLICK else f"{source.name.lower()}-{revision}"
    return Outcome(f"{decision_id}.{suffix}", decision_id, tenant, source, 1.0 if good else 0.0, weight, at)
