"""What a question costs as one thing grows: conversation, tenants of a gateway, employees of the company."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bench.scale.load import Asked, Asker, Ending
from bench.stack import Stack
from bench.suite import cpu_seconds, memory_mb

TURNS = (1, 2, 4, 8, 16, 24)
_CONVERSATIONS = 3
_QUESTIONS = 12


async def conversation(asker: Asker) -> tuple[list[dict[str, Any]], list[Asked]]:
    """One question again and again in one conversation: prompt, cost and time of the turn."""
    talks: list[list[Asked]] = []
    for talk in range(_CONVERSATIONS):
        found: list[Asked] = []
        for turn in range(max(TURNS)):
            known = found[-1].conversation if found else ""
            text = f"How many leave days do I have left as of today, note {talk * 100 + turn + 5000}?"
            found.append(await asker.ask("look-up", pills=False, text=text, conversation=known))
        talks.append(found)
    rows = []
    for turn in TURNS:
        at = [talk[turn - 1] for talk in talks]
        rows.append(
            {
                "turns": turn,
                "prompt_tokens": round(statistics.mean(each.prompt_tokens for each in at)),
                "cost_micros": round(statistics.mean(each.cost_micros for each in at)),
                "p50_ms": round(1000 * statistics.median(each.seconds for each in at), 1),
            }
        )
    return rows, [each for talk in talks for each in talk]


async def each_question(
    stack: Stack, asker: Asker, kind: str, gateway: str, size: Mapping[str, int]
) -> tuple[dict[str, Any], list[Asked]]:
    """A few questions one after the other: CPU of all services together, time, and the gateway's memory."""
    pids = [pid for name, pid in stack.pids().items() if name != "simulator"]
    await asker.ask(kind, pills=False)
    before = sum(map(cpu_seconds, pids))
    asked = [await asker.ask(kind, pills=False) for _ in range(_QUESTIONS)]
    cpu = (sum(map(cpu_seconds, pids)) - before) * 1000 / _QUESTIONS
    row = {
        **size,
        "kind": kind,
        "cpu_ms": round(cpu, 1),
        "p50_ms": round(1000 * statistics.median(each.seconds for each in asked), 1),
        "gateway_mb": memory_mb(stack.pids()[gateway]),
        "aggregator_mb": memory_mb(stack.pids()["aggregator"]),
        "complete": sum(each.ending is Ending.COMPLETE for each in asked),
    }
    return row, asked


def memory(stack: Stack) -> dict[str, float]:
    """Resident memory of every service, in MiB."""
    return {name: memory_mb(pid) for name, pid in stack.pids().items()}


def growth(samples: Sequence[Mapping[str, float]], seconds: float) -> dict[str, dict[str, float]]:
    """First, last, and MiB a minute by least squares over the second half, in which nothing warms up any more."""
    found = {}
    half = samples[len(samples) // 2 :]
    step = seconds / 60 / max(1, len(samples) - 1)
    for name in samples[0]:
        values = [each[name] for each in half]
        times = [place * step for place in range(len(values))]
        slope = statistics.linear_regression(times, values).slope if len(values) > 1 and step > 0 else 0.0
        found[name] = {
            "first_mb": samples[0][name],
            "last_mb": samples[-1][name],
            "mb_per_minute": round(slope, 2),
        }
    return found
