"""The store: once by id, the highest revision stands, all of a batch or nothing; on both engines."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, text
from tiermesh_insights.evidence import cases
from tiermesh_insights.records import Selection, Stored
from tiermesh_insights.store import Store, StoreUnavailableError
from tiermesh_insights.store.upkeep import Retention
from tiermesh_insights.tables import METADATA
from tiermesh_insights.testing import NOW, decision, outcome, sample, usage

ACME = Selection("acme")
YEAR = Retention(timedelta(days=365), timedelta(days=90))


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    database = f"sqlite:///{tmp_path / 'insights.sqlite'}"
    if request.param == "postgresql":
        database = request.getfixturevalue("postgres_database")
    opened = await Store.open(database)
    yield opened
    await opened.close()


async def ids(store: Store, selection: Selection = ACME) -> list[str]:
    return [turn.decision_id for turn in await store.reading.turns(selection)]


async def successes(store: Store) -> list[float | None]:
    found = cases(await store.reading.turns(ACME), await store.reading.outcomes(ACME))
    return [case.success for case in found]


async def test_a_record_delivered_again_is_stored_once(store: Store) -> None:
    assert await store.log.record_decisions([decision(1), decision(2)]) == Stored(2, 0)
    assert await store.log.record_decisions([decision(2), decision(3), decision(3)]) == Stored(1, 2)
    assert await ids(store) == ["d1", "d2", "d3"]


async def test_the_same_batch_from_many_senders_at_once_is_stored_once(store: Store) -> None:
    today = datetime.now(UTC)  # so that the senders also race for the day's partition
    batch = [decision(number, decided_at=today) for number in range(20)]
    stored = await asyncio.gather(*(store.log.record_decisions(batch) for _ in range(5)))
    assert sum(each.new for each in stored) == 20
    assert len(await ids(store)) == 20


async def test_the_settlement_replaces_the_intent_and_never_the_other_way_round(store: Store) -> None:
    await store.log.record_usage([usage(1, cost_micros=700)])
    await store.log.record_usage([usage(0, cost_micros=0, outcome="intended")])
    (line,) = await store.reports.cost(ACME)
    assert (line.calls, line.cost_micros) == (1, 700)


async def test_a_higher_revision_counts_also_within_one_batch(store: Store) -> None:
    await store.log.record_usage([usage(1, cost_micros=700), usage(0, cost_micros=0)])
    (line,) = await store.reports.cost(ACME)
    assert line.cost_micros == 700


async def test_an_outcome_may_come_before_its_decision(store: Store) -> None:
    await store.log.record_outcomes([outcome(1, 1.0)])
    await store.log.record_decisions([decision(1)])
    assert await successes(store) == [1.0]


async def test_a_tenant_sees_its_own_records_only(store: Store) -> None:
    await store.log.record_decisions([decision(1), decision(2, tenant="other")])
    await store.log.record_outcomes([outcome(1, 0.0, tenant="other")])
    assert await successes(store) == [None]
    assert await ids(store, Selection("other")) == ["d2"]


async def test_time_and_family_narrow_the_selection(store: Store) -> None:
    await store.log.record_decisions([decision(1), decision(2), decision(3, family="expenses")])
    later = Selection("acme", start=NOW + timedelta(minutes=2))
    assert await ids(store, later) == ["d2", "d3"]
    assert await ids(store, replace(later, family="leave")) == ["d2"]
    assert await ids(store, Selection("acme", end=NOW + timedelta(minutes=2))) == ["d1"]


async def test_a_turn_costs_what_was_booked_for_answering_it(store: Store) -> None:
    await store.log.record_decisions([decision(1), decision(2)])
    await store.log.record_usage(
        [usage(1, cost_micros=700), usage(1, entry_id="e2", cost_micros=40), usage(1, entry_id="e3", tag="suggest")]
    )
    assert [turn.cost_micros for turn in await store.reading.turns(ACME)] == [740, 0]


async def test_odd_texts_are_cut_to_their_columns_and_do_not_stop_a_batch(store: Store) -> None:
    odd = decision(1, intent="x" * 500, position="a\0b", stage="\ud800")
    assert await store.log.record_decisions([odd, decision(2)]) == Stored(2, 0)
    turns = await store.reading.turns(ACME)
    assert (len(turns[0].intent), turns[0].position) == (80, "ab")


async def test_moments_come_back_in_utc(store: Store) -> None:
    await store.log.record_decisions([decision(1)])
    (turn,) = await store.reading.turns(ACME)
    assert turn.at == NOW + timedelta(minutes=1)
    assert turn.at.utcoffset() == timedelta(0)


async def test_what_is_past_its_retention_goes_and_the_rest_stays(store: Store) -> None:
    now = datetime.now(UTC)
    old, recent = now - timedelta(days=400), now - timedelta(days=100)
    await store.log.record_decisions(
        [decision(1, decided_at=old), decision(2, decided_at=recent), decision(3, decided_at=now)]
    )
    await store.log.record_outcomes([outcome(1, 1.0, at=old), outcome(3, 1.0, at=now)])
    await store.log.record_usage([usage(1, started_at=old), usage(1, entry_id="e2", started_at=now)])
    await store.log.record_samples([sample(2, at=recent), sample(3, at=now)])
    await store.upkeep.forget(YEAR, now)
    assert await ids(store) == ["d2", "d3"]
    assert sum(line.calls for line in await store.reports.cost(ACME)) == 1
    assert await store.judged.sample("acme", "s2") is None
    assert await store.judged.sample("acme", "s3") is not None


async def test_erasing_a_person_takes_their_texts_and_their_name_out_and_keeps_the_money(store: Store) -> None:
    await store.log.record_decisions([decision(1), decision(2, subject_hash="else")])
    await store.log.record_samples([sample(1), sample(2, subject_hash="else")])
    await store.log.record_usage([usage(1)])
    assert await store.upkeep.erase("acme", "abc", NOW) == 2
    assert await store.judged.sample("acme", "s1") is None
    assert await store.judged.sample("acme", "s2") is not None
    assert await store.upkeep.erase("acme", "abc", NOW) == 0
    assert len(await ids(store)) == 2
    assert (await store.reports.cost(ACME))[0].calls == 1


async def test_records_of_an_erased_person_that_were_on_their_way_are_stripped(store: Store) -> None:
    await store.upkeep.erase("acme", "abc", NOW)
    assert await store.log.record_samples([sample(1)]) == Stored(0, 1)
    await store.log.record_decisions([decision(1)])
    assert await store.upkeep.erase("acme", "abc", NOW) == 0
    assert await ids(store) == ["d1"]


async def test_records_survive_a_restart(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'insights.sqlite'}"
    first = await Store.open(database)
    await first.log.record_decisions([decision(1)])
    await first.close()
    second = await Store.open(database)
    assert await ids(second) == ["d1"]
    await second.close()


async def test_a_database_that_cannot_be_opened_is_named_as_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match=r"no/such does not exist; make it"):
        await Store.open(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.sqlite'}")


async def test_the_migrations_leave_what_the_tables_say(store: Store) -> None:
    def columns(connection: Any) -> dict[str, dict[str, bool]]:
        found = inspect(connection)
        return {
            table: {column["name"]: column["nullable"] for column in found.get_columns(table)}
            for table in METADATA.tables
        }

    async with store._database.transaction() as connection:
        made = await connection.run_sync(columns)
        indexes = await connection.run_sync(
            lambda c: {name: {each["name"] for each in inspect(c).get_indexes(name)} for name in METADATA.tables}
        )
    assert made == {
        name: {column.name: bool(column.nullable) for column in table.columns}
        for name, table in METADATA.tables.items()
    }
    for name, table in METADATA.tables.items():
        assert {index.name for index in table.indexes} <= indexes[name]


async def test_a_database_from_before_the_migrations_is_brought_along(tmp_path: Path) -> None:
    path = tmp_path / "insights.sqlite"
    old = sqlite3.connect(path)
    old.executescript(
        """
        CREATE TABLE decisions (decision_id VARCHAR(64) PRIMARY KEY, tenant VARCHAR(63) NOT NULL,
            request_id VARCHAR(64) NOT NULL, conversation_id VARCHAR(64) NOT NULL, turn INTEGER NOT NULL,
            decided_at DATETIME NOT NULL, subject_hash VARCHAR(64) NOT NULL, route VARCHAR(20) NOT NULL,
            tier INTEGER NOT NULL, intent VARCHAR(80) NOT NULL, family VARCHAR(80) NOT NULL, stage VARCHAR(20) NOT NULL,
            position VARCHAR(20) NOT NULL, confidence FLOAT, threshold FLOAT NOT NULL,
            threshold_version VARCHAR(64) NOT NULL, policy_version VARCHAR(64) NOT NULL,
            pack_version VARCHAR(81) NOT NULL, record BLOB NOT NULL);
        CREATE INDEX decisions_by_tenant_and_time ON decisions (tenant, decided_at);
        CREATE INDEX decisions_by_subject ON decisions (tenant, subject_hash);
        INSERT INTO decisions VALUES ('d1', 'acme', 'r1', 'c1', 1, '2026-11-20 12:00:00.000000', 'abc', 'tier1', 1,
            'leave.balance', 'leave', 'trained', 'opening', 0.9, 0.8, 'v1', 'v1', 'hr@1.0.0', x'00');
        CREATE TABLE usage (entry_id VARCHAR(64) PRIMARY KEY, revision INTEGER NOT NULL, tenant VARCHAR(63) NOT NULL,
            request_id VARCHAR(64) NOT NULL, tag VARCHAR(40) NOT NULL, tier INTEGER NOT NULL,
            provider VARCHAR(40) NOT NULL, model VARCHAR(120) NOT NULL, input_tokens BIGINT NOT NULL,
            cache_write_5m_tokens BIGINT NOT NULL, cache_write_1h_tokens BIGINT NOT NULL,
            cache_read_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL, cost_micros BIGINT NOT NULL,
            at_least BOOLEAN NOT NULL, outcome VARCHAR(30) NOT NULL, started_at DATETIME NOT NULL,
            record BLOB NOT NULL);
        CREATE INDEX usage_by_tenant_and_time ON usage (tenant, started_at);
        CREATE INDEX usage_by_request ON usage (tenant, request_id);
        CREATE TABLE outcomes (outcome_id VARCHAR(64) PRIMARY KEY, decision_id VARCHAR(64) NOT NULL,
            tenant VARCHAR(63) NOT NULL, source VARCHAR(30) NOT NULL, success FLOAT NOT NULL, weight FLOAT NOT NULL,
            at DATETIME NOT NULL);
        CREATE INDEX outcomes_by_decision ON outcomes (tenant, decision_id);
        INSERT INTO outcomes VALUES ('o1', 'd1', 'acme', 'thumb', 1.0, 1.0, '2026-11-20 12:05:00.000000');
        """
    )
    old.close()
    store = await Store.open(f"sqlite:///{path}")
    assert await successes(store) == [1.0]
    (turn,) = await store.reading.turns(ACME)
    assert (turn.base_threshold, turn.at) == (0.8, NOW)
    await store.close()


async def test_a_schema_of_another_version_is_refused_where_a_job_migrates(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'insights.sqlite'}"
    with pytest.raises(StoreUnavailableError, match=r"tiermesh_insights\.migrate"):
        await Store.open(database, migrate=False)
    await (await Store.open(database, migrate=True)).close()
    await (await Store.open(database, migrate=False)).close()


async def test_each_day_is_a_partition_of_its_own_and_days_far_off_share_one(postgres_database: str) -> None:
    store = await Store.open(postgres_database)
    now = datetime.now(UTC)
    far = [now - timedelta(days=200), now + timedelta(days=300)]
    near = [now, now - timedelta(days=1)]
    rows = [decision(number, decided_at=at) for number, at in enumerate([*far, *near])]
    await store.log.record_decisions(rows)
    async with store._database.transaction() as connection:
        query = "SELECT tableoid::regclass::text, count(*) FROM decisions GROUP BY 1"
        found = dict((await connection.execute(text(query))).all())  # type: ignore[arg-type] # pairs
    assert found == {
        "decisions_default": 2,
        f"decisions_{near[0]:%Y%m%d}": 1,
        f"decisions_{near[1]:%Y%m%d}": 1,
    }
    await store.close()


async def test_days_past_their_retention_are_dropped_whole(postgres_database: str) -> None:
    store = await Store.open(postgres_database)
    now = datetime.now(UTC)
    await store.log.record_decisions([decision(1, decided_at=now), decision(2, decided_at=now - timedelta(days=2))])
    gone = await store.upkeep.forget(Retention(timedelta(days=1), timedelta(days=1)), now)
    assert gone == 1
    assert await ids(store) == ["d1"]
    async with store._database.transaction() as connection:
        name = f"decisions_{now - timedelta(days=2):%Y%m%d}"
        assert (await connection.execute(text("SELECT to_regclass(:name)"), {"name": name})).scalar_one() is None
    await store.close()
