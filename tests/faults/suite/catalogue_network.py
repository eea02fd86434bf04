"""Faults of connections, of the provider and of the collector."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from tests.faults.suite.acting import Act, Fault
from tests.faults.suite.stage import Stage

_CUT_EVERY_SECONDS = 0.7
_CUT = (
    ("client", "gateway"),
    ("gateway", "executor-tier1"),
    ("gateway", "executor-tier2"),
    ("gateway", "suggester"),
    ("gateway", "classifier"),
    ("executor-tier1", "aggregator"),
    ("executor-tier1", "simulator"),
)
_SWALLOWED = (
    ("gateway", "classifier"),
    ("gateway", "executor-tier1"),
    ("executor-tier2", "aggregator"),
    ("gateway", "insights"),
    ("suggester", "executor-tier2"),
)
_EVERY_SECOND = (
    "hang",
    "slow_first_token;seconds=2",
    "cut;after=1",
    "stall;after=1",
    "malformed;after=1",
    "no_stop",
    "error_event;after=1",
    "invalid_utf8;after=1",
)
# Without these every answer is whole all the same.
_DISPENSABLE = ("classifier", "suggester", "insights")
# After a failing model is well again, its circuit may stay open for as long as the longest pause between two probes.
_CIRCUIT_SECONDS = 30.0
# In the second half of an outage: no more calls than this for each question, and these for looking whether it is over.
_CALLS_PER_QUESTION = 1.1
_PROBES = 6


def faults() -> Iterator[Fault]:
    """Connections reset, swallowed and slowed; a provider that fails in every way; a collector that is no help."""
    for caller, callee in _CUT:
        whole = callee in _DISPENSABLE
        must = "whole, or a clear error; never half an answer as a whole one"
        short = callee == "simulator"
        yield Fault("5", f"resets {caller} → {callee}", must, _reset(caller, callee), 3.0, whole, short=short)
    for caller, callee in _SWALLOWED:
        whole = callee in _DISPENSABLE or caller == "suggester"
        name, must = f"packets swallowed {caller} → {callee}", "given up within the budget; the rest answers"
        yield Fault("4", name, must, _swallowed(caller, callee), 5.0, whole, 14.0)
    must = "within deadlines: all whole"
    yield Fault("6", "200 ms more to the aggregator", must, _slowed("aggregator", 0.1), whole=True)
    must = "the failure policy answers at its budget: all whole"
    yield Fault("6", "3 s more to the classifier", must, _slowed("classifier", 1.5), whole=True)
    must = "clear errors; few calls once circuits are open; well again by probes"
    for spec in ("429;retry_after=1", "529", "500", "reset"):
        name = f"provider: all calls {spec.partition(';')[0]}"
        yield Fault("8, 9", name, must, _provider(spec), 8.0, False, _CIRCUIT_SECONDS)
    must = "retried, continued elsewhere, or a clear error"
    for spec in _EVERY_SECOND:
        kind = spec.partition(";")[0]
        name = f"provider: every second call {kind.replace('_', ' ')}"
        yield Fault("8", name, must, _provider(spec, 2), 4.0, False, _CIRCUIT_SECONDS, short=kind == "cut")
    must = "answers as before; spans dropped; exit in time"
    yield Fault("23", "collector refuses", must, _collector_refuses, 4.0, whole=True)
    yield Fault("23", "collector in a black hole", must, _collector_swallowed, 4.0, whole=True)


def _reset(caller: str, callee: str) -> Act:
    @asynccontextmanager
    async def act(stage: Stage) -> AsyncIterator[None]:
        link, cut = stage.links[caller, callee], 0

        async def again_and_again() -> None:
            nonlocal cut
            while True:
                cut += link.reset()
                await asyncio.sleep(_CUT_EVERY_SECONDS)

        task = asyncio.create_task(again_and_again())
        try:
            yield
        finally:
            task.cancel()
        assert cut, f"no connection {caller} → {callee} was open to be cut"

    return act


def _swallowed(caller: str, callee: str) -> Act:
    @asynccontextmanager
    async def act(stage: Stage) -> AsyncIterator[None]:
        link = stage.links[caller, callee]
        link.swallow(True)
        try:
            yield
        finally:
            link.swallow(False)

    return act


def _slowed(callee: str, seconds: float) -> Act:
    @asynccontextmanager
    async def act(stage: Stage) -> AsyncIterator[None]:
        links = stage.links.to(callee)
        for link in links:
            link.delay = seconds
        try:
            yield
        finally:
            for link in links:
                link.delay = 0.0

    return act


def _provider(spec: str, every: int = 1) -> Act:
    @asynccontextmanager
    async def act(stage: Stage) -> AsyncIterator[None]:
        since = time.time()
        await stage.administer("POST", "faults", {"fault": spec, "count": None, "every": every})
        try:
            yield
            if every == 1:
                await _no_storm(stage, (since + time.time()) / 2)
        finally:
            await stage.administer("DELETE", "faults")

    return act


async def _no_storm(stage: Stage, since: float) -> None:
    """With circuits open, a question costs the provider hardly a call, whatever its retries."""
    report = await stage.administer("GET", "requests")
    calls = sum(each["started"] >= since for each in report["requests"])
    asked = sum(each.asked_at >= since for each in stage.questions(ended_since=since))
    most = _CALLS_PER_QUESTION * asked + _PROBES
    assert calls <= most, f"{calls} calls of a provider that fails for {asked} questions, at most {most:.0f}"


@asynccontextmanager
async def _collector_refuses(stage: Stage) -> AsyncIterator[None]:
    since, stage.collector.refusing = time.time(), True
    stage.collector.reset()
    try:
        yield
        await _drains_in_time(stage)
    finally:
        stage.collector.refusing = False
        # An exporter backs off; spans that found its queue full are gone.
        stage.excuse("trace", since - 2.0, "the collector was away", until=time.time() + 12.0)


@asynccontextmanager
async def _collector_swallowed(stage: Stage) -> AsyncIterator[None]:
    since = time.time()
    stage.collector.swallow(True)
    try:
        yield
        await _drains_in_time(stage)
    finally:
        stage.collector.swallow(False)
        stage.excuse("trace", since - 2.0, "the collector was away", until=time.time() + 12.0)


async def _drains_in_time(stage: Stage) -> None:
    """A dead collector may hold up the end of a process by three seconds and no more."""
    seconds = await stage.deployment["suggester"].restart()
    assert seconds < 10.0 + 3.0, f"with a dead collector the suggester took {seconds:.1f} s to end"
