"""The gateway's own tables, in words that both engines share (`database` translates the types)."""

from __future__ import annotations

SCHEMA = """
CREATE TABLE IF NOT EXISTS conversations (
    tenant TEXT NOT NULL, subject TEXT NOT NULL, id TEXT NOT NULL,
    total_turns INTEGER NOT NULL, slots BLOB NOT NULL, vocabulary_version TEXT NOT NULL, shown_pills TEXT NOT NULL,
    expires_at REAL NOT NULL, PRIMARY KEY (tenant, subject, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS conversations_by_expiry ON conversations (expires_at);
CREATE TABLE IF NOT EXISTS turns (
    tenant TEXT NOT NULL, subject TEXT NOT NULL, conversation_id TEXT NOT NULL, turn INTEGER NOT NULL,
    request_id TEXT NOT NULL, question TEXT NOT NULL, reply TEXT NOT NULL, summary TEXT NOT NULL,
    PRIMARY KEY (tenant, subject, conversation_id, turn)
) WITHOUT ROWID;
-- What was said up to a turn, in short.
CREATE TABLE IF NOT EXISTS transcripts (
    tenant TEXT NOT NULL, subject TEXT NOT NULL, conversation_id TEXT NOT NULL, turns INTEGER NOT NULL,
    summary TEXT NOT NULL, PRIMARY KEY (tenant, subject, conversation_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answers (
    tenant TEXT NOT NULL, subject TEXT NOT NULL, request_id TEXT NOT NULL,
    decision_id TEXT NOT NULL, route TEXT NOT NULL, tier INTEGER NOT NULL,
    receipt BLOB NOT NULL, decision BLOB NOT NULL, expires_at REAL NOT NULL, PRIMARY KEY (tenant, subject, request_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_by_expiry ON answers (expires_at);
CREATE TABLE IF NOT EXISTS feedback (
    tenant TEXT NOT NULL, subject TEXT NOT NULL, request_id TEXT NOT NULL, topic TEXT NOT NULL,
    verdict TEXT NOT NULL, revision INTEGER NOT NULL, PRIMARY KEY (tenant, subject, request_id, topic)
) WITHOUT ROWID;
-- Processes that are alive; what one that is not alive held is free.
CREATE TABLE IF NOT EXISTS holders (
    holder TEXT NOT NULL, alive_until REAL NOT NULL, PRIMARY KEY (holder)
) WITHOUT ROWID;
-- Conversations in which a turn is being answered.
CREATE TABLE IF NOT EXISTS turns_held (
    tenant TEXT NOT NULL, subject TEXT NOT NULL, conversation_id TEXT NOT NULL,
    holder TEXT NOT NULL, token TEXT NOT NULL, PRIMARY KEY (tenant, subject, conversation_id)
) WITHOUT ROWID;
-- Request ids and, once a run is over, what it said. `events` is NULL while it runs.
CREATE TABLE IF NOT EXISTS requests (
    tenant TEXT NOT NULL, subject TEXT NOT NULL, request_id TEXT NOT NULL,
    asked BLOB NOT NULL, holder TEXT NOT NULL, token TEXT NOT NULL, events BLOB, expires_at REAL NOT NULL,
    PRIMARY KEY (tenant, subject, request_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS requests_by_expiry ON requests (expires_at);
-- What replicas count together, as JSON: rate and concurrency, speculation.
CREATE TABLE IF NOT EXISTS accounts (
    tenant TEXT NOT NULL, topic TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (tenant, topic)
) WITHOUT ROWID;
-- Thresholds that insights set; applied is 0 where the tenant's file stands again.
CREATE TABLE IF NOT EXISTS live_thresholds (
    tenant TEXT NOT NULL, threshold REAL NOT NULL, version TEXT NOT NULL, applied INTEGER NOT NULL,
    set_at REAL NOT NULL, PRIMARY KEY (tenant)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS budgets (
    tenant TEXT NOT NULL, day TEXT NOT NULL, spent INTEGER NOT NULL, reserved INTEGER NOT NULL,
    PRIMARY KEY (tenant, day)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reservations (
    id TEXT NOT NULL, tenant TEXT NOT NULL, day TEXT NOT NULL, micros INTEGER NOT NULL, holder TEXT NOT NULL,
    PRIMARY KEY (id)
) WITHOUT ROWID;
"""
