"""Rounds of both sides in turn, and what they come to: medians of rounds with their spread."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.chain.load import Asked, closed_loop
from bench.chain.shape import Shape
from bench.chain.sides import Side

# Long enough for a tick of 10 ms to be a few percent of what the cheapest service uses.
ROUND_SECONDS = 2.0
_WARM_UP_SECONDS = 0.5


@dataclass
class Round:
    """One side under one shape, once."""

    questions: int
    seconds: float
    # CPU milliseconds per question, by process.
    cpu_ms: dict[str, float]
    client_cpu_ms: float
    latency_ms: list[float]
    first_ms: list[float]
    writes: float
    broken: Counter[str]


@dataclass
class Cell:
    """All rounds of one side under one shape."""

    side: str
    services: Sequence[str]
    rounds: list[Round] = field(default_factory=list)

    def cpu(self, name: str) -> float:
        """Median over the rounds of one process."""
        return statistics.median(each.cpu_ms.get(name, 0.0) for each in self.rounds)

    def totals(self) -> list[float]:
        """CPU per question of the whole side, each round."""
        return [sum(each.cpu_ms[name] for name in self.services) for each in self.rounds]

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        latency = [each for one in self.rounds for each in one.latency_ms]
        first = [each for one in self.rounds for each in one.first_ms]
        return {
            "questions": sum(each.questions for each in self.rounds),
            "cpu_ms": round(statistics.median(self.totals()), 3),
            "cpu_ms_rounds": [round(each, 3) for each in self.totals()],
            "cpu_ms_by_process": {name: round(self.cpu(name), 3) for name in self.rounds[0].cpu_ms},
            "client_cpu_ms": round(statistics.median(each.client_cpu_ms for each in self.rounds), 3),
            "latency_ms": percentiles(latency),
            "first_text_ms": percentiles(first),
            "text_events": round(statistics.mean(each.writes for each in self.rounds), 2),
            "questions_per_second": round(statistics.median(each.questions / each.seconds for each in self.rounds), 1),
            "broken": dict(sum((each.broken for each in self.rounds), Counter())),
        }


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50 and p99 (nearest rank)."""
    if not values:
        return {}
    ordered = sorted(values)
    return {
        f"p{share}": round(ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))], 2) for share in (50, 99)
    }


async def compare(shape: Shape, sides: Sequence[Side], rounds: int) -> list[Cell]:
    """Every side in turn, so many times."""
    cells = [Cell(side.name, list(side.pids)) for side in sides]
    for _ in range(rounds):
        for side, cell in zip(sides, cells, strict=True):
            cell.rounds.append(await _round(side, shape))
    return cells


async def _round(side: Side, shape: Shape) -> Round:
    await side.prepare(shape)
    began = time.perf_counter()
    warm = await _for(side, shape, _WARM_UP_SECONDS)
    rate = len(warm) / (time.perf_counter() - began)
    questions = max(shape.askers, round(rate * ROUND_SECONDS))
    before, own, began = side.cpu(), _own_cpu(), time.perf_counter()
    asked = await closed_loop(lambda: side.once(shape), questions, shape.askers)
    seconds = time.perf_counter() - began
    # What is done off the path (deliveries, spans) belongs to these questions too; exporters send every few seconds.
    await asyncio.sleep(0.3)
    after = side.cpu()
    return Round(
        questions,
        seconds,
        {name: (after[name] - before[name]) * 1000 / questions for name in before},
        (_own_cpu() - own) * 1000 / questions,
        [each.done * 1000 for each in asked],
        [each.first_text * 1000 for each in asked if each.first_text is not None],
        statistics.mean(each.writes for each in asked),
        sum((Counter([each.broken]) for each in asked if each.broken), Counter()),
    )


async def _for(side: Side, shape: Shape, seconds: float) -> list[Asked]:
    """Ask for so long."""
    found: list[Asked] = []
    ends = time.perf_counter() + seconds

    async def asker() -> None:
        while time.perf_counter() < ends:
            found.append(await side.once(shape))

    await asyncio.gather(*(asker() for _ in range(shape.askers)))
    return found


def _own_cpu() -> float:
    times = os.times()
    return times.user + times.system
