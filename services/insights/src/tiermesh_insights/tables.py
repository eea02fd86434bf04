"""The tables of insights, for SQLite and PostgreSQL alike. Nobody else reads or writes them."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, DateTime, Float, Index, Integer, LargeBinary, MetaData, String, Table
from sqlalchemy.types import BigInteger

METADATA = MetaData()

DECISIONS = Table(
    "decisions",
    METADATA,
    Column("decision_id", String(64), primary_key=True),
    Column("tenant", String(63), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("conversation_id", String(64), nullable=False),
    Column("turn", Integer, nullable=False),
    Column("decided_at", DateTime(timezone=True), nullable=False),
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
    Column("policy_version", String(64), nullable=False),
    Column("pack_version", String(81), nullable=False),
    Column("record", LargeBinary, nullable=False),
    Index("decisions_by_tenant_and_time", "tenant", "decided_at"),
    Index("decisions_by_subject", "tenant", "subject_hash"),
)

USAGE = Table(
    "usage",
    METADATA,
    Column("entry_id", String(64), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("tenant", String(63), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("tag", String(40), nullable=False),
    Column("tier", Integer, nullable=False),
    Column("provider", String(40), nullable=False),
    Column("model", String(120), nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cache_write_5m_tokens", BigInteger, nullable=False),
    Column("cache_write_1h_tokens", BigInteger, nullable=False),
    Column("cache_read_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cost_micros", BigInteger, nullable=False),
    Column("at_least", Boolean, nullable=False),
    Column("outcome", String(30), nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
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
    Column("at", DateTime(timezone=True), nullable=False),
    Index("outcomes_by_decision", "tenant", "decision_id"),
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
    Column("at", DateTime(timezone=True), nullable=False),
    Column("kind", Integer, nullable=False),
    Column("source", Integer, nullable=False),
    Column("place", Integer, nullable=False),
    Column("tier", Integer, nullable=False),
    Index("pills_by_tenant_and_time", "tenant", "at"),
    Index("pills_by_pill", "tenant", "pill_id"),
    Index("pills_by_decision", "tenant", "decision_id"),
)
