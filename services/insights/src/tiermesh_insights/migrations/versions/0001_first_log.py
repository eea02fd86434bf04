"""The log as it was first: decisions, usage, outcomes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first three tables."""
    op.create_table(
        "decisions",
        sa.Column("decision_id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.Column("turn", sa.Integer, nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("subject_hash", sa.String(64), nullable=False),
        sa.Column("route", sa.String(20), nullable=False),
        sa.Column("tier", sa.Integer, nullable=False),
        sa.Column("intent", sa.String(80), nullable=False),
        sa.Column("family", sa.String(80), nullable=False),
        sa.Column("stage", sa.String(20), nullable=False),
        sa.Column("position", sa.String(20), nullable=False),
        sa.Column("confidence", sa.Float, nullable=True),
        sa.Column("threshold", sa.Float, nullable=False),
        sa.Column("threshold_version", sa.String(64), nullable=False),
        sa.Column("policy_version", sa.String(64), nullable=False),
        sa.Column("pack_version", sa.String(81), nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    op.create_index("decisions_by_tenant_and_time", "decisions", ["tenant", "decided_at"])
    op.create_index("decisions_by_subject", "decisions", ["tenant", "subject_hash"])
    op.create_table(
        "usage",
        sa.Column("entry_id", sa.String(64), primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("tag", sa.String(40), nullable=False),
        sa.Column("tier", sa.Integer, nullable=False),
        sa.Column("provider", sa.String(40), nullable=False),
        sa.Column("model", sa.String(120), nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_write_5m_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_write_1h_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_read_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("cost_micros", sa.BigInteger, nullable=False),
        sa.Column("at_least", sa.Boolean, nullable=False),
        sa.Column("outcome", sa.String(30), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    op.create_index("usage_by_tenant_and_time", "usage", ["tenant", "started_at"])
    op.create_index("usage_by_request", "usage", ["tenant", "request_id"])
    op.create_table(
        "outcomes",
        sa.Column("outcome_id", sa.String(64), primary_key=True),
        sa.Column("decision_id", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("source", sa.String(30), nullable=False),
        sa.Column("success", sa.Float, nullable=False),
        sa.Column("weight", sa.Float, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("outcomes_by_decision", "outcomes", ["tenant", "decision_id"])
