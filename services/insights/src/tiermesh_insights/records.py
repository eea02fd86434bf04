"""What is stored: plain rows, each with the id that makes storing it twice harmless. Text of
questions is in samples alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class DecisionRow:
    """One decision, flattened for reports; `record` is the whole of it for replay."""

    decision_id: str
    tenant: str
    request_id: str
    conversation_id: str
    turn: int
    decided_at: datetime
    subject_hash: str
    route: str
    tier: int
    intent: str
    family: str
    stage: str
    position: str
    # Calibrated probability that tier 1 is right; None when the classifier was down.
    confidence: float | None
    threshold: float
    threshold_version: str
    # Before the conversation raised it for this turn.
    base_threshold: float
    # Rule that settled the route.
    settled_by: str
    # Kept off the per-entity path.
    high_scope: bool
    estimated_cost_micros: int
    # Of the runner-up; None without one.
    other_cost_micros: int | None
    policy_version: str
    pack_version: str
    # Serialized tiermesh.insights.v1.DecisionRecord.
    record: bytes


@dataclass(frozen=True)
class UsageRow:
    """One model call; the highest revision of an entry id stands. Money in micro-dollars, tokens in pieces."""

    entry_id: str
    revision: int
    tenant: str
    request_id: str
    conversation_id: str
    tag: str
    tier: int
    provider: str
    model: str
    prompt_version: str
    attempt: int
    input_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    cache_read_tokens: int
    output_tokens: int
    cost_micros: int
    at_least: bool
    outcome: str
    started_at: datetime
    record: bytes


@dataclass(frozen=True)
class OutcomeRow:
    """What one source says of one decision: was (or would) tier 1 have been right, from 0 to 1."""

    outcome_id: str
    decision_id: str
    tenant: str
    source: str
    success: float
    weight: float
    at: datetime
    judged_here: bool = False


@dataclass(frozen=True)
class EndingRow:
    """How one turn ended. Milliseconds since the question came in, None for what did not happen."""

    decision_id: str
    tenant: str
    at: datetime
    route: str
    tier: int
    complete: bool
    bounce_cause: str
    first_ms: float | None
    total_ms: float | None
    pills: int


@dataclass(frozen=True)
class SampleRow:
    """Question and answer of a sampled turn. `kind` is "served" or "shadow"."""

    sample_id: str
    decision_id: str
    tenant: str
    subject_hash: str
    at: datetime
    kind: str
    intent: str
    route: str
    tier: int
    model: str
    tag: str
    prompt_version: str
    question: str
    # List of [role, text], oldest first.
    context_json: str
    answer: str
    tables_json: str
    # Probability with which the turn was drawn.
    drawn_with: float


@dataclass(frozen=True)
class VerdictRow:
    """What the judge said of one sample. `purpose` is "live" or the audit's."""

    sample_id: str
    purpose: str
    decision_id: str
    tenant: str
    at: datetime
    tag: str
    prompt_version: str
    rubric: str
    score: float | None
    flipped: bool | None
    reason: str
    judge_model: str
    cost_micros: int


@dataclass(frozen=True)
class PreferenceRow:
    """Which of two answers a person preferred: "first", "second", "equal" or "both_bad"."""

    comparison_id: str
    person: str
    tenant: str
    at: datetime
    first_tier: int
    second_tier: int
    preference: str


@dataclass(frozen=True)
class PolicyRow:
    """One version of a tenant's threshold; the highest number is in force."""

    tenant: str
    number: int
    version: str
    threshold: float
    applied: bool
    set_at: datetime
    set_by: str
    proposal_id: str
    undoes: str


@dataclass(frozen=True)
class ProposalRow:
    """A proposal as it was made; `version` is empty until it is applied."""

    proposal_id: str
    tenant: str
    proposed_at: datetime
    current: float
    proposed: float
    based_on: str
    version: str
    # Serialized tiermesh.insights.v1.ThresholdProposal.
    record: bytes


@dataclass(frozen=True)
class AuditRow:
    """What an audit found."""

    audit_id: str
    tenant: str
    at: datetime
    misroute: float
    misroute_low: float
    misroute_high: float
    judged: int
    failed: bool


@dataclass(frozen=True)
class PillRow:
    """One label of a pill; kind, source, place and tier only where it says that the pill was shown."""

    label_id: str
    pill_id: str
    tenant: str
    # "shown" or "clicked".
    state: str
    decision_id: str
    at: datetime
    kind: int
    source: int
    place: int
    tier: int


@dataclass(frozen=True)
class PillLine:
    """What became of the pills of one tier, kind and source."""

    tier: int
    kind: int
    source: int
    shown: int
    clicked: int
    ignored: int


@dataclass(frozen=True)
class Stored:
    """How many records of a batch were new."""

    new: int
    known: int


@dataclass(frozen=True)
class Selection:
    """Which decisions a report is about; open bounds are None, every family is ""."""

    tenant: str
    start: datetime | None = None
    end: datetime | None = None
    family: str = ""


@dataclass(frozen=True)
class CostLine:
    """Spend of one tag on one tier with one model."""

    tag: str
    tier: int
    model: str
    calls: int
    cost_micros: int
    at_least: bool
    input_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    cache_read_tokens: int
    output_tokens: int
