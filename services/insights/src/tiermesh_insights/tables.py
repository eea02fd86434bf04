"""The tables of insights, for SQLite and PostgreSQL alike. Nobody else reads or writes them.

How a database gets them, and how it gets from one version to the next, is in `migrations`: what is written here is
what the last of them leaves behind (a test compares the two).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.types import BigInteger

METADATA = MetaData()


class Moment(TypeDecorator[datetime]):
    """A moment in UTC: SQLite keeps no time zone, so none but UTC goes in and UTC comes out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Bring any zone to UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Say that it is UTC."""
        return None if value is None else value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


# The four logs carry their day in the primary key: PostgreSQL partitions them by it (`store.partitions`), and a
# unique key of a partitioned table holds the partition's column. A record that is delivered again carries the
# same moment, so that it still counts once.
DECISIONS = Table(
    "decisions",
    METADATA,
    Column("decision_id", String(64), primary_key=True),
    Column("tenant", String(63), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("conversation_id", String(64), nullable=False),
    Column("turn", Integer, nullable=False),
    Column("decided_at", Moment, primary_key=True),
    Column("subject_hash", String(64), nullable=False),
    Column("route", String(20), nullable=False),
    Column("tier", Integer, nullable=False),
    Column("intent", String(80), nullable=False),
    Column("family", String(80), nullable=False),
    Column("stage", String(20), nullable=False),
    Column("position", String(20), nullable=False),
    Column("confidence", Float, nullable=True),
    Column("threshold", Float, nullable=False),
    Column("threshold_version", String(64), nullable=False),
    Column("base_threshold", Float, nullable=False),
    Column("settled_by", String(80), nullable=False),
    Column("high_scope", Boolean, nullable=False),
    Column("estimated_cost_micros", BigInteger, nullable=False),
    Column("other_cost_micros", BigInteger, nullable=True),
    Column("policy_version", String(64), nullable=False),
    Column("pack_version", String(81), nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Index("decisions_by_tenant_and_time", "tenant", "decided_at"),
    Index("decisions_by_subject", "tenant", "subject_hash"),
    Index("decisions_by_request", "tenant", "request_id"),
)

USAGE = Table(
    "usage",
    METADATA,
    Column("entry_id", String(64), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("tenant", String(63), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("conversation_id", String(64), nullable=False),
    Column("tag", String(40), nullable=False),
    Column("tier", Integer, nullable=False),
    Column("provider", String(40), nullable=False),
    Column("model", String(120), nullable=False),
    Column("prompt_version", String(64), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cache_write_5m_tokens", BigInteger, nullable=False),
    Column("cache_write_1h_tokens", BigInteger, nullable=False),
    Column("cache_read_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cost_micros", BigInteger, nullable=False),
    Column("at_least", Boolean, nullable=False),
    Column("outcome", String(30), nullable=False),
    Column("started_at", Moment, primary_key=True),
    Column("received_at", Moment, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Index("usage_by_tenant_and_time", "tenant", "started_at"),
    Index("usage_by_request", "tenant", "request_id"),
)

OUTCOMES = Table(
    "outcomes",
    METADATA,
    Column("outcome_id", String(64), primary_key=True),
    # No foreign key: an outcome may come before its decision.
    Column("decision_id", String(64), nullable=False),
    Column("tenant", String(63), nullable=False),
    Column("source", String(30), nullable=False),
    Column("success", Float, nullable=False),
    Column("weight", Float, nullable=False),
    Column("at", Moment, primary_key=True),
    # True for what the judge of this service said: its health gates these.
    Column("judged_here", Boolean, nullable=False),
    Column("received_at", Moment, nullable=False),
    Index("outcomes_by_decision", "tenant", "decision_id"),
    Index("outcomes_by_tenant_and_time", "tenant", "at"),
)

ENDINGS = Table(
    "endings",
    METADATA,
    Column("decision_id", String(64), primary_key=True),
    Column("tenant", String(63), nullable=False),
    Column("at", Moment, primary_key=True),
    Column("route", String(20), nullable=False),
    Column("tier", Integer, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("bounce_cause", String(40), nullable=False),
    Column("first_ms", Float, nullable=True),
    Column("total_ms", Float, nullable=True),
    Column("pills", Integer, nullable=False),
    Index("endings_by_decision", "tenant", "decision_id"),
)

SAMPLES = Table(
    "samples",
    METADATA,
    Column("sample_id", String(64), primary_key=True),
    Column("decision_id", String(64), nullable=False),
    Column("tenant", String(63), nullable=False),
    Column("subject_hash", String(64), nullable=False),
    Column("at", Moment, nullable=False),
    Column("kind", String(10), nullable=False),
    Column("intent", String(80), nullable=False),
    Column("route", String(20), nullable=False),
    Column("tier", Integer, nullable=False),
    Column("model", String(120), nullable=False),
    Column("tag", String(40), nullable=False),
    Column("prompt_version", String(64), nullable=False),
    Column("question", Text, nullable=False),
    Column("context_json", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("tables_json", Text, nullable=False),
    Column("drawn_with", Float, nullable=False),
    Column("received_at", Moment, nullable=False),
    Index("samples_by_tenant_and_time", "tenant", "at"),
    Index("samples_by_decision", "tenant", "decision_id"),
    Index("samples_by_subject", "tenant", "subject_hash"),
)

# One row per label: that a pill was shown, or that it was clicked.
PILLS = Table(
    "pills",
    METADATA,
    Column("label_id", String(80), primary_key=True),
    Column("pill_id", String(64), nullable=False),
    Column("tenant", String(63), nullable=False),
    Column("state", String(10), nullable=False),
    Column("decision_id", String(64), nullable=False),
    Column("at", Moment, nullable=False),
    Column("kind", Integer, nullable=False),
    Column("source", Integer, nullable=False),
    Column("place", Integer, nullable=False),
    Column("tier", Integer, nullable=False),
    Index("pills_by_tenant_and_time", "tenant", "at"),
    Index("pills_by_pill", "tenant", "pill_id"),
    Index("pills_by_decision", "tenant", "decision_id"),
)

VERDICTS = Table(
    "verdicts",
    METADATA,
    # One per sample and purpose: judging again replaces nothing.
    Column("sample_id", String(64), primary_key=True),
    Column("purpose", String(20), primary_key=True),
    Column("decision_id", String(64), nullable=False),
    Column("tenant", String(63), nullable=False),
    Column("at", Moment, nullable=False),
    Column("tag", String(40), nullable=False),
    Column("prompt_version", String(64), nullable=False),
    Column("rubric", String(40), nullable=False),
    # None when the judge gave no readable verdict.
    Column("score", Float, nullable=True),
    # None when the order was not turned round.
    Column("flipped", Boolean, nullable=True),
    # In the judge's words; text about an answer, so it goes when the sample goes.
    Column("reason", Text, nullable=False),
    Column("judge_model", String(120), nullable=False),
    Column("cost_micros", BigInteger, nullable=False),
    Index("verdicts_by_tenant_and_time", "tenant", "at"),
)

PREFERENCES = Table(
    "preferences",
    METADATA,
    Column("comparison_id", String(129), primary_key=True),
    # Person who compared, as a hash.
    Column("person", String(64), primary_key=True),
    Column("tenant", String(63), nullable=False),
    Column("at", Moment, nullable=False),
    Column("first_tier", Integer, nullable=False),
    Column("second_tier", Integer, nullable=False),
    Column("preference", String(10), nullable=False),
    Index("preferences_by_tenant", "tenant", "at"),
)

POLICIES = Table(
    "policies",
    METADATA,
    Column("tenant", String(63), primary_key=True),
    # Counts up per tenant; the highest is in force.
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("version", String(64), nullable=False),
    Column("threshold", Float, nullable=False),
    # False when an undo went back to what the tenant's file says.
    Column("applied", Boolean, nullable=False),
    Column("set_at", Moment, nullable=False),
    Column("set_by", String(120), nullable=False),
    Column("proposal_id", String(64), nullable=False),
    Column("undoes", String(64), nullable=False),
)

PROPOSALS = Table(
    "proposals",
    METADATA,
    Column("proposal_id", String(64), primary_key=True),
    Column("tenant", String(63), nullable=False),
    Column("proposed_at", Moment, nullable=False),
    Column("current", Float, nullable=False),
    Column("proposed", Float, nullable=False),
    # Version that was in force when it was made; applying needs it to be in force still.
    Column("based_on", String(64), nullable=False),
    # Version that applying it made; empty before.
    Column("version", String(64), nullable=False),
    # Serialized tiermesh.insights.v1.ThresholdProposal.
    Column("record", LargeBinary, nullable=False),
    Index("proposals_by_tenant", "tenant", "proposed_at"),
)

AUDITS = Table(
    "audits",
    METADATA,
    Column("audit_id", String(64), primary_key=True),
    Column("tenant", String(63), nullable=False),
    Column("at", Moment, nullable=False),
    Column("misroute", Float, nullable=False),
    Column("misroute_low", Float, nullable=False),
    Column("misroute_high", Float, nullable=False),
    Column("judged", Integer, nullable=False),
    Column("failed", Boolean, nullable=False),
    Index("audits_by_tenant", "tenant", "at"),
)

ERASURES = Table(
    "erasures",
    METADATA,
    # Records of the person that are still on their way are stripped when they come.
    Column("tenant", String(63), primary_key=True),
    Column("subject_hash", String(64), primary_key=True),
    Column("at", Moment, nullable=False),
)

# Partitioned by day on PostgreSQL, with the column that says the day.
PARTITIONED = {"decisions": "decided_at", "usage": "started_at", "outcomes": "at", "endings": "at"}
