"""What is stored: plain rows, each with the id that makes storing it twice harmless. No text of any question."""

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
    tag: str
    tier: int
    provider: str
    model: str
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
class Judged:
    """A decision's confidence with the weighted evidence on tier 1, if any source gave some."""

    confidence: float
    success: float | None
    weight: float


@dataclass(frozen=True)
class CostLine:
    """Spend of one tag on one tier."""

    tag: str
    tier: int
    calls: int
    cost_micros: int
    at_least: bool
    input_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    cache_read_tokens: int
    output_tokens: int
