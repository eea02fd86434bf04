"""What became of pills: stored once, and counted as shown, clicked and ignored; on both engines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tiermesh_insights.records import DecisionRow, PillLine, PillRow, Selection, Stored
from tiermesh_insights.store import Store
from tiermesh_insights.testing import NOW
from tiermesh_insights.testing import decision as made

EVERYTHING = Selection("acme")


def decision(name: str, conversation: str, turn: int) -> DecisionRow:
    return made(1, decision_id=name, request_id=name, conversation_id=conversation, turn=turn, decided_at=NOW)


def shown(pill: str, decision_id: str) -> PillRow:
    return PillRow(f"{pill}.shown", pill, "acme", "shown", decision_id, NOW, kind=1, source=1, place=1, tier=1)


def clicked(pill: str) -> PillRow:
    row = shown(pill, "")
    return replace(row, label_id=f"{pill}.clicked", state="clicked", kind=0, source=0, place=0, tier=0)


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "sqlite":
        database = f"sqlite:///{tmp_path / 'insights.sqlite'}"
    else:
        database = request.getfixturevalue("postgres_database")
    opened = await Store.open(database)
    yield opened
    await opened.close()


async def test_a_pill_is_ignored_when_its_conversation_went_on_without_it(store: Store) -> None:
    await store.log.record_decisions([decision("d1", "c1", 1), decision("d2", "c1", 2), decision("d3", "c2", 1)])
    await store.log.record_pills([shown("a", "d1"), shown("b", "d1"), shown("c", "d3"), clicked("a")])
    # `a` was clicked, `b` was passed over; nothing was asked after `c` yet.
    assert await store.pills.lines(EVERYTHING) == [PillLine(tier=1, kind=1, source=1, shown=3, clicked=1, ignored=1)]


async def test_a_label_delivered_again_counts_once_and_a_click_may_come_before_its_pill(store: Store) -> None:
    await store.log.record_decisions([decision("d1", "c1", 1)])
    assert await store.log.record_pills([clicked("a")]) == Stored(new=1, known=0)
    assert await store.log.record_pills([shown("a", "d1"), clicked("a")]) == Stored(new=1, known=1)
    assert await store.pills.lines(EVERYTHING) == [PillLine(tier=1, kind=1, source=1, shown=1, clicked=1, ignored=0)]


async def test_another_tenant_s_click_on_the_same_id_is_not_a_click(store: Store) -> None:
    await store.log.record_decisions([decision("d1", "c1", 1)])
    await store.log.record_pills([shown("a", "d1"), replace(clicked("a"), label_id="other.clicked", tenant="globex")])
    assert [line.clicked for line in await store.pills.lines(EVERYTHING)] == [0]
    assert await store.pills.lines(Selection("acme", start=NOW + timedelta(hours=1))) == []
