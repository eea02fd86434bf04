"""Faults and abuse by clients: too many, gone, slow, hostile, repeating themselves."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

from tests.faults.suite import hostile, repeating
from tests.faults.suite.acting import Act, Fault
from tests.faults.suite.stage import MOST_QUESTIONS, Stage

# Of what is answered when nobody is too many: the share that has to be answered under ten times as much.
_GOODPUT = 0.8
_LEAVING_RATE = 4.0
_PROVIDER_SECONDS = 1.0
_MEMORY_MB = 150.0


def faults() -> Iterator[Fault]:
    """Every way in which clients are trouble."""
    must = f"≥ {_GOODPUT:.0%} of peak answered, the rest refused quickly with RetryInfo, health stays SERVING"
    yield Fault("10", "ten times the load", must, _overload, 6.0, recovered_within=12.0)
    must = f"every hop stops; no model goes on for more than {_PROVIDER_SECONDS:g} s"
    yield Fault("11, 12", "clients cancel and break out", must, _leaving, 5.0, whole=False, short=True)
    yield Fault("11", "clients killed", must, _killed_clients, 3.0)
    yield Fault("7", "a client that reads slowly", "others are unaffected, memory flat", _slow_reader, 4.0, whole=True)
    checks: list[tuple[str, str, str, Callable[[Stage], Awaitable[None]]]] = [
        ("15", "garbage instead of messages", "INVALID_ARGUMENT, nothing in the log", hostile.garbage),
        ("16", "5 MB, a gzip bomb, a length of 2 GiB", "RESOURCE_EXHAUSTED, memory returns", hostile.bombs),
        ("17", "metadata: 40 kB, control characters, bad values", "refused or ignored", hostile.metadata),
        ("18", "20,000 streams opened and reset", "others go on, the process survives", hostile.rapid_reset),
        ("18", "500 half-open connections", "others go on", hostile.half_open),
        ("19", "a ping every millisecond", "GOAWAY for the abuser alone", hostile.ping_flood),
        ("20", "the same request id: at once, again, with other words", "one run, one bill", repeating.replays),
        ("20", "the same request id after kill -9 of the gateway", "answered, billed once", repeating.after_a_crash),
        ("21", "SQL and prompt injection", "answered or refused; nothing but one's own rows", repeating.injections),
    ]
    for number, name, must, check in checks:
        whole = check is not repeating.after_a_crash
        short = number in ("15", "20") and whole
        yield Fault(number, name, must, _checked(check, grows=whole), 0.0, whole=whole, short=short)


def _checked(check: Callable[[Stage], Awaitable[None]], *, grows: bool) -> Act:
    @asynccontextmanager
    async def act(stage: Stage) -> AsyncIterator[None]:
        before = stage.deployment["gateway"].memory_mb()
        await check(stage)
        yield
        grown = stage.deployment["gateway"].memory_mb() - before if grows else 0.0
        assert grown < _MEMORY_MB, f"the gateway grew by {grown:.0f} MB"

    return act


@asynccontextmanager
async def _overload(stage: Stage) -> AsyncIterator[None]:
    """What the gateway takes is set low (MOST_QUESTIONS at once), so that this machine can offer ten times as much."""
    began = time.time()
    async with stage.asking("crowd", rate=stage.rate * 10 + 20, no_pills=True):
        await asyncio.sleep(0.5)
        yield
        serving = await hostile.healthy(stage.deployment["gateway"].process.address)
    seconds = time.time() - began
    crowd = stage.histories["crowd"].questions()
    ends = Counter(each.ended for each in crowd)
    refused = [each for each in crowd if each.ended == "refused"]
    assert serving, "the gateway's health was not SERVING under load"
    assert refused, f"nothing was refused of {len(crowd)} questions: {dict(ends)}"
    wrong = [each.ends[0] for each in refused if each.ends[0]["code"] != "RESOURCE_EXHAUSTED"]
    assert not wrong, f"refused otherwise than by RESOURCE_EXHAUSTED: {wrong[:3]}"
    assert ends["complete"] >= MOST_QUESTIONS * _GOODPUT, f"{dict(ends)} within {seconds:.0f} s"


@asynccontextmanager
async def _leaving(stage: Stage) -> AsyncIterator[None]:
    async with stage.asking("leaving", rate=_LEAVING_RATE, leave_share=1.0, no_pills=True):
        yield
    await _models_stop(stage, "leaving")


@asynccontextmanager
async def _killed_clients(stage: Stage) -> AsyncIterator[None]:
    async with stage.asking("killed", rate=_LEAVING_RATE, no_pills=True) as process:
        yield
        await stage.forsake("killed", process)
    await _models_stop(stage, "killed")


async def _models_stop(stage: Stage, name: str) -> None:
    """Every call of a model that began for somebody who has left ends soon after."""
    left = time.time()
    assert stage.histories[name].questions(), f"nobody of {name!r} asked anything"
    await asyncio.sleep(_PROVIDER_SECONDS)  # what is promised is a time
    report = await stage.administer("GET", "requests")
    longest = max((left - each["started"] for each in report["requests"] if each["outcome"] == "running"), default=0.0)
    assert longest < 20.0, f"a model has been speaking for {longest:.1f} s"
    stopped = sum(each["outcome"] == "disconnected" and each["started"] > left - 30 for each in report["requests"])
    assert stopped, "no call of a model was stopped"


@asynccontextmanager
async def _slow_reader(stage: Stage) -> AsyncIterator[None]:
    before = stage.deployment["gateway"].memory_mb()
    async with stage.asking("slow", rate=1.0, read_pause=0.15):
        yield
        grown = stage.deployment["gateway"].memory_mb() - before
    assert grown < _MEMORY_MB, f"the gateway grew by {grown:.0f} MB"
