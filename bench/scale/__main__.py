"""`make bench-scale`: load up to three times capacity, a day, two gateways, memory, and what grows with what.

Exit code 1 when an accepted question hung, was truncated and called complete, or was shed after it began.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import Any

import uvloop
from tiermesh_runtime.testing import embedded_postgres

from bench.machine import facts
from bench.scale import report, sweeps, vocabulary
from bench.scale.arrivals import DAY, EVEN, Phase, draw, scaled
from bench.scale.load import Asked, Asker, broken, closed, offered, summary
from bench.stack import Gateway, Stack, running_stack
from bench.suite import cpu_seconds

# Small enough for two cores to be asked more than a gateway holds: then shedding can be seen.
_MOST_QUESTIONS = {"TIERMESH_GATEWAY_MOST_QUESTIONS": "24"}
# Every look-up is within the band, so that there is speculation to leave out.
_POLICY = {"speculation": {"band": 0.5, "share": 1.0, "second_micros": 100_000_000}}
_ENVIRONMENT = {"TIERMESH_SIMULATOR_TIME_SCALE": "0.2", "TIERMESH_SUGGESTER_CLASSIFY_SECONDS": "10"}
_LEVELS = (0.1, 0.3, 0.6, 1.0, 1.5, 2.0, 3.0)
_TENANTS = (1, 100, 1000)
_ASKERS = 12
_VERSIONS = ("grpcio", "protobuf", "uvloop", "duckdb", "asyncpg")


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="make bench-scale", description=__doc__)
    parser.add_argument("--soak-seconds", type=float, default=60.0, help="how long memory is watched at half load")
    parser.add_argument("--level-seconds", type=float, default=8.0, help="how long each level of load is offered")
    parser.add_argument("--employees", type=int, default=3000, help="of the larger company")
    parser.add_argument("--full", action="store_true", help="levels of 30 s, a day of four minutes, a soak of 600 s")
    options = parser.parse_args()
    if options.full:
        options.soak_seconds, options.level_seconds = 600.0, 30.0
    began = time.monotonic()
    told = facts("make bench-scale", _VERSIONS)
    found, problems = uvloop.run(_measure(options))
    report.write(told, found, problems)
    print(report.table(found))
    print(f"{time.monotonic() - began:.0f} s; bench/results/scale.json, scale.png")
    for problem in problems:
        print(f"BROKEN PROMISE: {problem}", file=sys.stderr)
    return 1 if problems else 0


async def _measure(options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    with embedded_postgres() as postgres:
        shared = {"TIERMESH_GATEWAY_STORE": postgres.new_database(), **_MOST_QUESTIONS}
        gateways = [Gateway("gateway", _POLICY, _MOST_QUESTIONS)]
        gateways += [Gateway(name, {}, shared) for name in ("replica-a", "replica-b")]
        gateways += [Gateway(f"tenants-{count}", {}, {}, tenants=count) for count in _TENANTS]
        async with running_stack(gateways, environment=_ENVIRONMENT) as stack:
            bench = _Bench(stack, options)
            await bench.run()
    async with running_stack(
        [Gateway("gateway", {}, {})], employees=options.employees, environment=_ENVIRONMENT
    ) as stack:
        await bench.employees(stack, options.employees, "gateway")
    await bench.vocabulary()
    return bench.found, bench.problems


class _Bench:
    """What was found so far."""

    def __init__(self, stack: Stack, options: argparse.Namespace) -> None:
        self.found: dict[str, Any] = {}
        self.problems: list[str] = []
        self._stack = stack
        self._options = options

    async def run(self) -> None:
        """Everything that the smaller company can show."""
        async with _asker(self._stack, "gateway") as asker:
            await asker.record()
            self._say("answers recorded")
            await self._load(asker)
            await self._soak(asker)
        async with _asker(self._stack, "tenants-1") as asker:
            self.found["conversation"], asked = await sweeps.conversation(asker)
            self._hold("conversation", asked)
        await self.employees(self._stack, 500, "tenants-1")
        await self._replicas()
        await self._tenants()

    async def _load(self, asker: Asker) -> None:
        mixed = _mixed(asker)
        await closed(mixed, _ASKERS, 3)
        asked, capacity = await closed(mixed, _ASKERS, 8)
        self._hold("capacity", asked)
        self.found["capacity"] = round(capacity, 2)
        self._say(f"capacity {capacity:.1f} a second")
        seconds = self._options.level_seconds
        levels = [Phase("level", seconds, load, EVEN) for load in _LEVELS]
        self.found["levels"] = [await self._phase(asker, phase, capacity) for phase in levels]
        self.found["day"] = [await self._phase(asker, phase, capacity) for phase in scaled(DAY, seconds / 8)]

    async def _phase(self, asker: Asker, phase: Phase, capacity: float) -> dict[str, Any]:
        asked = await offered(asker, phase, capacity, seed=7)
        self._hold(f"{phase.name} at {phase.load:g}", asked)
        row = {"name": phase.name, "load": phase.load, **summary(asked, phase.seconds)}
        self._say(f"{phase.name} at {phase.load:g}: {row['endings']}")
        return row

    async def _soak(self, asker: Asker) -> None:
        seconds = self._options.soak_seconds
        samples = [sweeps.memory(self._stack)]

        async def watch() -> None:
            for _ in range(24):
                await asyncio.sleep(seconds / 24)
                samples.append(sweeps.memory(self._stack))

        phase = Phase("soak", seconds, 0.5, EVEN)
        asked, _ = await asyncio.gather(offered(asker, phase, self.found["capacity"], seed=9), watch())
        self._hold("soak", asked)
        self.found["soak"] = {
            "seconds": seconds,
            "questions": len(asked),
            "services": sweeps.growth(samples, seconds),
            "samples": samples,
        }
        self._say("soak done")

    async def _replicas(self) -> None:
        sides = {1: ["replica-a"], 2: ["replica-a", "replica-b"]}
        rates: dict[int, list[float]] = {count: [] for count in sides}
        pids = {name: pid for name, pid in self._stack.pids().items() if name != "simulator"}
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        for _ in range(3):
            for count, names in sides.items():
                async with _asker(self._stack, *names) as asker:
                    asked, rate = await closed(_mixed(asker), _ASKERS, self._options.level_seconds * 0.6)
                self._hold(f"{count} gateways", asked)
                rates[count].append(round(rate, 2))
        used = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
        self.found["replicas"] = [
            {"replicas": count, "rounds": values, "median": statistics.median(values)}
            for count, values in rates.items()
        ]
        gateways = sum(each for name, each in used.items() if name.startswith("replica"))
        self.found["gateway_share"] = round(gateways / sum(used.values()), 3)
        self._say(f"replicas {rates}")

    async def _tenants(self) -> None:
        rows = []
        for count in _TENANTS:
            async with _asker(self._stack, f"tenants-{count}") as asker:
                row, asked = await sweeps.each_question(
                    self._stack, asker, "words", f"tenants-{count}", {"tenants": count}
                )
            self._hold(f"{count} tenants", asked)
            rows.append(row)
        self.found["tenants"] = rows

    async def employees(self, stack: Stack, count: int, gateway: str) -> None:
        """Questions to a company of so many people."""
        async with _asker(stack, gateway, who="people_admin") as asker:
            for kind in ("look-up", "aggregate"):
                row, asked = await sweeps.each_question(stack, asker, kind, gateway, {"employees": count})
                self._hold(f"{count} employees", asked)
                self.found.setdefault("employees", []).append(row)
        self._say(f"{count} employees done")

    async def vocabulary(self) -> None:
        """Packs of more intents."""
        self.found["vocabulary"] = await vocabulary.growth()
        self._say("vocabulary done")

    def _hold(self, where: str, asked: Sequence[Asked]) -> None:
        self.problems += broken(where, asked)

    def _say(self, words: str) -> None:
        print(words, file=sys.stderr, flush=True)


def _mixed(asker: Asker) -> Any:
    chance = random.Random(5)
    return lambda: asker.ask(draw(EVEN, chance))


@asynccontextmanager
async def _asker(stack: Stack, *gateways: str, who: str = "manager") -> Any:
    asker = Asker([stack.addresses[name] for name in gateways], stack.token(who))
    try:
        yield asker
    finally:
        await asker.close()


if __name__ == "__main__":
    sys.exit(main())
