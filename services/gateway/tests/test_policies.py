"""Thresholds that insights sets while the gateway runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tiermesh.common.v1 import routing_pb2
from tiermesh.insights.v1 import insights_service_pb2 as insights_pb
from tiermesh_gateway.adapters.database import open_database
from tiermesh_gateway.adapters.tables import SCHEMA
from tiermesh_gateway.adapters.thresholds import KeptThresholds
from tiermesh_gateway.tenants import LiveThreshold


def snapshot(threshold: float, version: str, *, applied: bool = True) -> insights_pb.PolicySnapshot:
    return insights_pb.PolicySnapshot(tenant="acme", threshold=threshold, version=version, applied=applied)


async def version_becomes(suite: Any, version: str) -> Any:
    """Ask until a decision was made under this version."""
    async with asyncio.timeout(60):
        while True:
            decision = (await suite.ask(no_pills=True)).decision.decision
            if decision.threshold.version == version:
                return decision


async def test_an_applied_threshold_routes_the_next_question_and_an_undone_one_no_more(suite: Any, scores: Any) -> None:
    suite.classifier.scores = scores(confidence=0.75)
    before = (await suite.ask()).decision.decision
    assert (before.route, before.threshold.version) == (routing_pb2.ROUTE_TIER1, "default")
    suite.insights.policies.put_nowait(snapshot(0.9, "insights-1"))
    assert (await version_becomes(suite, "insights-1")).route == routing_pb2.ROUTE_TIER2
    suite.insights.policies.put_nowait(snapshot(0.6, "default", applied=False))
    assert (await version_becomes(suite, "default")).route == routing_pb2.ROUTE_TIER1
    watcher = suite.insights.principals[0]
    assert (watcher.tenant, watcher.purpose) == ("*", "record")


async def test_a_stream_that_ends_is_opened_again(suite: Any) -> None:
    suite.insights.policies.put_nowait(None)
    suite.insights.policies.put_nowait(snapshot(0.9, "insights-2"))
    assert (await version_becomes(suite, "insights-2")).threshold.value == 0.9


async def test_without_insights_the_last_threshold_stands(suite: Any) -> None:
    suite.insights.policies.put_nowait(snapshot(0.9, "insights-3"))
    await version_becomes(suite, "insights-3")
    await suite.stop("insights")
    assert (await suite.ask()).decision.decision.threshold.version == "insights-3"


async def test_after_a_restart_without_insights_the_last_threshold_stands(suite: Any) -> None:
    suite.insights.policies.put_nowait(snapshot(0.9, "insights-4"))
    await version_becomes(suite, "insights-4")
    await suite.stop("insights")
    await suite.stop("gateway")
    restarted = await suite.replica("restarted")
    assert (await restarted.ask()).decision.decision.threshold.version == "insights-4"


async def test_a_threshold_that_was_undone_does_not_come_back_by_a_restart(suite: Any) -> None:
    suite.insights.policies.put_nowait(snapshot(0.9, "insights-5"))
    await version_becomes(suite, "insights-5")
    suite.insights.policies.put_nowait(snapshot(0.6, "default", applied=False))
    await version_becomes(suite, "default")
    await suite.stop("insights")
    await suite.stop("gateway")
    restarted = await suite.replica("restarted")
    assert (await restarted.ask()).decision.decision.threshold.version == "default"


async def test_a_word_that_comes_late_does_not_take_the_place_of_a_newer_one(tmp_path: Path) -> None:
    database = await open_database(str(tmp_path / "store.sqlite"), SCHEMA)
    kept = KeptThresholds(database)
    await kept.keep("acme", LiveThreshold(0.8, "second"), 200.0)
    await kept.keep("acme", LiveThreshold(0.7, "first"), 100.0)
    assert await kept.load() == {"acme": LiveThreshold(0.8, "second")}
    await kept.keep("acme", None, 300.0)
    await kept.keep("acme", LiveThreshold(0.8, "second"), 200.0)
    assert await kept.load() == {}
    await database.close()
