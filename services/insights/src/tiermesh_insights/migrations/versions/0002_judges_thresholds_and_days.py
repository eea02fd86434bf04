"""Judges, samples, thresholds and audits; the logs carry their day in the key, partitioned by it on PostgreSQL."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_MOMENT = sa.DateTime(timezone=True)
_OLD_INDEXES = {
    "decisions": ("decisions_by_tenant_and_time", "decisions_by_subject"),
    "usage": ("usage_by_tenant_and_time", "usage_by_request"),
    "outcomes": ("outcomes_by_decision",),
}
# What rows from before get in the columns that are new.
_FILLED = {
    "decisions": {
        "base_threshold": "threshold",
        "settled_by": "''",
        "high_scope": "false",
        "estimated_cost_micros": "0",
        "other_cost_micros": "NULL",
        "received_at": "decided_at",
    },
    "usage": {"conversation_id": "''", "prompt_version": "''", "attempt": "1", "received_at": "started_at"},
    "outcomes": {"judged_here": "false", "received_at": '"at"'},
}


def upgrade() -> None:
    """Make the new tables and bring the old rows over."""
    for table, indexes in _OLD_INDEXES.items():
        for index in indexes:
            op.drop_index(index, table)
        if op.get_bind().dialect.name == "postgresql":
            # The key keeps its name, which the new table wants.
            op.execute(f"ALTER TABLE {table} RENAME CONSTRAINT {table}_pkey TO old_{table}_pkey")
        op.rename_table(table, f"old_{table}")
    _make_logs()
    _make_the_rest()
    if op.get_bind().dialect.name == "postgresql":
        for table in ("decisions", "usage", "outcomes", "endings"):
            op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
    for table, filled in _FILLED.items():
        old = [column["name"] for column in sa.inspect(op.get_bind()).get_columns(f"old_{table}")]
        names = ", ".join(f'"{name}"' for name in (*old, *filled))
        values = ", ".join((*(f'"{name}"' for name in old), *filled.values()))
        op.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM old_{table}")  # noqa: S608 - our own names
        op.drop_table(f"old_{table}")


def _make_logs() -> None:
    op.create_table(
        "decisions",
        sa.Column("decision_id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("decided_at", _MOMENT, primary_key=True),
        sa.Column("subject_hash", sa.String(64), nullable=False),
        sa.Column("route", sa.String(20), nullable=False),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("intent", sa.String(80), nullable=False),
        sa.Column("family", sa.String(80), nullable=False),
        sa.Column("stage", sa.String(20), nullable=False),
        sa.Column("position", sa.String(20), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("threshold", sa.Float(), nullable=False),
        sa.Column("threshold_version", sa.String(64), nullable=False),
        sa.Column("base_threshold", sa.Float(), nullable=False),
        sa.Column("settled_by", sa.String(80), nullable=False),
        sa.Column("high_scope", sa.Boolean(), nullable=False),
        sa.Column("estimated_cost_micros", sa.BigInteger(), nullable=False),
        sa.Column("other_cost_micros", sa.BigInteger(), nullable=True),
        sa.Column("policy_version", sa.String(64), nullable=False),
        sa.Column("pack_version", sa.String(81), nullable=False),
        sa.Column("received_at", _MOMENT, nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        postgresql_partition_by="RANGE (decided_at)",
    )
    op.create_index("decisions_by_request", "decisions", ["tenant", "request_id"])
    op.create_index("decisions_by_subject", "decisions", ["tenant", "subject_hash"])
    op.create_index("decisions_by_tenant_and_time", "decisions", ["tenant", "decided_at"])
    op.create_table(
        "usage",
        sa.Column("entry_id", sa.String(64), primary_key=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.Column("tag", sa.String(40), nullable=False),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("provider", sa.String(40), nullable=False),
        sa.Column("model", sa.String(120), nullable=False),
        sa.Column("prompt_version", sa.String(64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cache_write_5m_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cache_write_1h_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cache_read_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_micros", sa.BigInteger(), nullable=False),
        sa.Column("at_least", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.String(30), nullable=False),
        sa.Column("started_at", _MOMENT, primary_key=True),
        sa.Column("received_at", _MOMENT, nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        postgresql_partition_by="RANGE (started_at)",
    )
    op.create_index("usage_by_request", "usage", ["tenant", "request_id"])
    op.create_index("usage_by_tenant_and_time", "usage", ["tenant", "started_at"])
    op.create_table(
        "outcomes",
        sa.Column("outcome_id", sa.String(64), primary_key=True),
        sa.Column("decision_id", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("source", sa.String(30), nullable=False),
        sa.Column("success", sa.Float(), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("at", _MOMENT, primary_key=True),
        sa.Column("judged_here", sa.Boolean(), nullable=False),
        sa.Column("received_at", _MOMENT, nullable=False),
        postgresql_partition_by='RANGE ("at")',
    )
    op.create_index("outcomes_by_decision", "outcomes", ["tenant", "decision_id"])
    op.create_index("outcomes_by_tenant_and_time", "outcomes", ["tenant", "at"])
    op.create_table(
        "endings",
        sa.Column("decision_id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("at", _MOMENT, primary_key=True),
        sa.Column("route", sa.String(20), nullable=False),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("bounce_cause", sa.String(40), nullable=False),
        sa.Column("first_ms", sa.Float(), nullable=True),
        sa.Column("total_ms", sa.Float(), nullable=True),
        sa.Column("pills", sa.Integer(), nullable=False),
        postgresql_partition_by='RANGE ("at")',
    )
    op.create_index("endings_by_decision", "endings", ["tenant", "decision_id"])


def _make_the_rest() -> None:
    # Pills were kept before there were migrations.
    op.create_table(
        "pills",
        sa.Column("label_id", sa.String(80), primary_key=True),
        sa.Column("pill_id", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("decision_id", sa.String(64), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("source", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("tier", sa.Integer(), nullable=False),
        if_not_exists=True,
    )
    op.create_index("pills_by_tenant_and_time", "pills", ["tenant", "at"], if_not_exists=True)
    op.create_index("pills_by_pill", "pills", ["tenant", "pill_id"], if_not_exists=True)
    op.create_index("pills_by_decision", "pills", ["tenant", "decision_id"], if_not_exists=True)
    op.create_table(
        "samples",
        sa.Column("sample_id", sa.String(64), primary_key=True),
        sa.Column("decision_id", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("subject_hash", sa.String(64), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("intent", sa.String(80), nullable=False),
        sa.Column("route", sa.String(20), nullable=False),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(120), nullable=False),
        sa.Column("tag", sa.String(40), nullable=False),
        sa.Column("prompt_version", sa.String(64), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("context_json", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("tables_json", sa.Text(), nullable=False),
        sa.Column("drawn_with", sa.Float(), nullable=False),
        sa.Column("received_at", _MOMENT, nullable=False),
    )
    op.create_index("samples_by_decision", "samples", ["tenant", "decision_id"])
    op.create_index("samples_by_subject", "samples", ["tenant", "subject_hash"])
    op.create_index("samples_by_tenant_and_time", "samples", ["tenant", "at"])
    op.create_table(
        "verdicts",
        sa.Column("sample_id", sa.String(64), primary_key=True),
        sa.Column("purpose", sa.String(20), primary_key=True),
        sa.Column("decision_id", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("tag", sa.String(40), nullable=False),
        sa.Column("prompt_version", sa.String(64), nullable=False),
        sa.Column("rubric", sa.String(40), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("flipped", sa.Boolean(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("judge_model", sa.String(120), nullable=False),
        sa.Column("cost_micros", sa.BigInteger(), nullable=False),
    )
    op.create_index("verdicts_by_tenant_and_time", "verdicts", ["tenant", "at"])
    op.create_table(
        "preferences",
        sa.Column("comparison_id", sa.String(129), primary_key=True),
        sa.Column("person", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("first_tier", sa.Integer(), nullable=False),
        sa.Column("second_tier", sa.Integer(), nullable=False),
        sa.Column("preference", sa.String(10), nullable=False),
    )
    op.create_index("preferences_by_tenant", "preferences", ["tenant", "at"])
    op.create_table(
        "policies",
        sa.Column("tenant", sa.String(63), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("threshold", sa.Float(), nullable=False),
        sa.Column("applied", sa.Boolean(), nullable=False),
        sa.Column("set_at", _MOMENT, nullable=False),
        sa.Column("set_by", sa.String(120), nullable=False),
        sa.Column("proposal_id", sa.String(64), nullable=False),
        sa.Column("undoes", sa.String(64), nullable=False),
    )
    op.create_table(
        "proposals",
        sa.Column("proposal_id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("proposed_at", _MOMENT, nullable=False),
        sa.Column("current", sa.Float(), nullable=False),
        sa.Column("proposed", sa.Float(), nullable=False),
        sa.Column("based_on", sa.String(64), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
    )
    op.create_index("proposals_by_tenant", "proposals", ["tenant", "proposed_at"])
    op.create_table(
        "audits",
        sa.Column("audit_id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("misroute", sa.Float(), nullable=False),
        sa.Column("misroute_low", sa.Float(), nullable=False),
        sa.Column("misroute_high", sa.Float(), nullable=False),
        sa.Column("judged", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Boolean(), nullable=False),
    )
    op.create_index("audits_by_tenant", "audits", ["tenant", "at"])
    op.create_table(
        "erasures",
        sa.Column("tenant", sa.String(63), primary_key=True),
        sa.Column("subject_hash", sa.String(64), primary_key=True),
        sa.Column("at", _MOMENT, nullable=False),
    )
