"""`make bench-cost`: the HR workload routed, all at tier 2 and all at tier 1, block by block in turn, on one suite.

Exit code 1 when a promise was broken: a question of high scope that ran a per-entity loop, an aggregate whose figures
are not SQL's, a question without receipt, a model call that is not booked. A target that is missed is said and breaks
nothing. With `--real` and ANTHROPIC_API_KEY the same runs on real models (and costs what it says).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import uvloop
from tiermesh_cli.home import Home
from tiermesh_client import TiermeshClient
from tiermesh_executor.prices import load_prices
from tiermesh_simulator.testing import SimulatorAdmin, administering

from bench.cost import beyond, ledger, loop, outcomes, report, summary
from bench.cost.asking import Asked, Side, sides
from bench.cost.checked import Checked, contradicts, exact, read_checked
from bench.cost.workload import Talk, Turn, blocks, read_examples, sample
from bench.machine import facts
from bench.stack import Gateway, Stack, running_stack
from bench.suite import PROJECT

_UNSAMPLED = {"judged_share": 0, "shadowed_share": 0}
_GATEWAYS = (
    Gateway("routed", {}, {}),
    Gateway("all-tier-2", {"strategy": {"kind": "off", "fixed_tier": 2}, "sampling": _UNSAMPLED}, {}),
    Gateway("all-tier-1", {"strategy": {"kind": "off", "fixed_tier": 1}, "sampling": _UNSAMPLED}, {}),
)
# Somebody at the top has more than 500 below; somebody else has about 50.
_EMPLOYEES = 560
# Longer than any prompt stays in the provider's cache.
_COLD_SECONDS = 2 * 3600.0
_PILL_QUESTIONS = 60
# Asked once more of both sides in turn, by few at once: in the workload the slower side asks less in the same time.
_ESCALATED_QUESTIONS, _ESCALATED_ROUNDS, _ESCALATED_ASKERS = 40, 2, 4
_WARMING = tuple(
    Talk((Turn(f"warming-{number}", text, route, "", "one", ""),))
    for number, (route, text) in enumerate(
        [
            ("tier2", "How do I split parental leave with my partner, and what does that do to my bonus?"),
            ("tier2", "Compare my team's overtime with last year's, explain why it differs and draft a note about it."),
            ("tier1", "How many leave days do I have left?"),
            ("tier1", "Hello, what can you do for me?"),
            ("aggregate", "Who applied for the most leave this year?"),
        ]
    )
)
_VERSIONS = ("grpcio", "anthropic", "duckdb")


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="make bench-cost", description=__doc__)
    parser.add_argument("--questions", type=int, default=1000, help="questions of the workload")
    parser.add_argument("--askers", type=int, default=12, help="conversations at once")
    parser.add_argument("--seed", type=int, default=7, help="of the draw")
    parser.add_argument(
        "--outcomes", type=Path, help="folder of RouteLLM's outcome files, for the curve of real models"
    )
    parser.add_argument("--cold", action="store_true", help="begin each block with an empty prompt cache")
    parser.add_argument("--detail", type=Path, help="file for each question's course, one JSON object a line")
    parser.add_argument("--real", action="store_true", help="ask the provider, with ANTHROPIC_API_KEY")
    options = parser.parse_args()
    key = os.environ.pop("ANTHROPIC_API_KEY", "").strip()
    if options.real and not key:
        parser.error("--real needs ANTHROPIC_API_KEY")
    began = time.monotonic()
    told = facts("make bench-cost", _VERSIONS)
    if options.outcomes:
        outcomes.measure(options.outcomes)
    found, problems = uvloop.run(_measure(options, key if options.real else ""))
    found["outcomes"] = outcomes.kept()
    report.write(told, found, problems)
    print(report.table(found))
    print("\n".join(["", *report.verdicts(found)]))
    print(f"{time.monotonic() - began:.0f} s; bench/results/cost.json, cost.png")
    for problem in problems:
        print(f"BROKEN PROMISE: {problem}", file=sys.stderr)
    return 1 if problems else 0


async def _measure(options: argparse.Namespace, key: str) -> tuple[dict[str, Any], list[str]]:
    known: list[Checked] = []
    reports: dict[str, list[str]] = {}

    def seeded(home: Home) -> None:
        database = home.data / "hr.duckdb"
        known.extend(read_checked(Path(__file__).with_name("checked.yaml"), database, date.today()))
        reports.update(_managers(database))

    talks = sample(*read_examples(PROJECT / "packs/hr/examples"), options.questions, options.seed)
    async with (
        running_stack(_GATEWAYS, employees=_EMPLOYEES, model_key=key, seeded=seeded) as stack,
        _admin(stack) as simulator,
    ):
        run = _Run(stack, simulator, options)
        await run.workload(talks)
        await run.escalated(talks)
        await run.known(known)
        await run.pills(talks)
        entries, seen = await ledger.settled(stack.home.data / "insights.sqlite", run.calls)
        if options.detail:
            run.write(options.detail, entries)
        ways, problems = await _ways(stack, reports) if stack.simulated else ([], [])
        look_ups = await _look_ups(stack, next(iter(reports)))
    return run.found(entries, ways), problems + run.broken(entries, seen, look_ups)


class _Run:
    """The questions of one run, and what came of them."""

    def __init__(self, stack: Stack, simulator: SimulatorAdmin | None, options: argparse.Namespace) -> None:
        self._stack = stack
        self._simulator = simulator
        self._askers = options.askers
        self._cold = options.cold
        self._warming: list[Asked] = []
        self.asked: dict[str, list[Asked]] = {gateway.name: [] for gateway in _GATEWAYS}
        self._known: dict[str, list[tuple[Checked, Asked]]] = {}
        self._pills: list[Asked] = []
        self._escalated: dict[str, list[Asked]] = {"routed": [], "all-tier-2": []}

    async def calls(self) -> int:
        """Model calls that the provider has seen; of a real one, what the receipts say."""
        if self._simulator is not None:
            return int((await self._simulator.seen())["total"])
        return sum(each.model_calls for each in self._everything())

    async def workload(self, talks: Sequence[Talk]) -> None:
        """Every block on every side in turn."""
        count = max(2, min(5, sum(len(talk.turns) for talk in talks) // 100))
        async with sides(self._stack, list(self.asked)) as opened:
            for number, block in enumerate(blocks(talks, count)):
                for name, side in opened.items():
                    self.asked[name] += await self._block(side, number, block)
                    print(f"block {number + 1} of {count}, {name}: done", file=sys.stderr, flush=True)

    async def escalated(self, talks: Sequence[Talk]) -> None:
        """Talks of which tier 2 answered something in the end, on both sides in turn."""
        ended = {each.turn.id: each.decided != "tier2" for each in self.asked["routed"] if each.route == "tier2"}
        some: list[Talk] = []
        # Those that were handed over first: they wait longest, and are few.
        for talk in sorted(talks, key=lambda each: not any(ended.get(turn.id) for turn in each.turns)):
            if sum(len(each.turns) for each in some) < _ESCALATED_QUESTIONS and any(t.id in ended for t in talk.turns):
                some.append(talk)
        async with sides(self._stack, list(self._escalated)) as opened:
            for number in range(_ESCALATED_ROUNDS):
                for name, side in opened.items():
                    self._escalated[name] += await side.block(number, some, _ESCALATED_ASKERS, kind="e")

    async def known(self, known: Sequence[Checked]) -> None:
        """The questions whose answer plain SQL knows, on every side."""
        talks = [each.talk(number) for number, each in enumerate(known)]
        async with sides(self._stack, list(self.asked)) as opened:
            for name, side in opened.items():
                asked = {each.turn.id: each for each in await side.block(0, talks, self._askers, kind="k")}
                self._known[name] = [(each, asked[talk.turns[0].id]) for each, talk in zip(known, talks, strict=True)]

    async def pills(self, talks: Sequence[Talk]) -> None:
        """Some of the questions with pills, which are the same on every side."""
        some = [talk for talk in talks if len(talk.turns) == 1][:_PILL_QUESTIONS]
        async with sides(self._stack, ["routed"]) as opened:
            self._pills = await opened["routed"].block(0, some, self._askers, pills=True, kind="p")

    async def _block(self, side: Side, number: int, block: Sequence[Talk]) -> list[Asked]:
        if self._cold and self._simulator is not None:
            await self._simulator.advance(_COLD_SECONDS)
        else:
            # One at a time and not counted: in steady traffic the prompts' common beginnings are in the cache.
            self._warming += await side.block(number, _WARMING, 1, kind="w")
        return await side.block(number, block, self._askers)

    def _everything(self) -> list[Asked]:
        known = [asked for pairs in self._known.values() for _, asked in pairs]
        asked = [each for group in (self.asked, self._escalated) for rows in group.values() for each in rows]
        return [*asked, *known, *self._pills, *self._warming]

    def found(self, entries: Sequence[ledger.Entry], ways: Sequence[loop.Way]) -> dict[str, Any]:
        """Everything that is told."""
        booked = summary.costs(entries)
        routed = self.asked["routed"]
        judges = [entry for entry in entries if entry.tag == "judge"]
        pilled = {each.request_id for each in self._pills}
        pills = sum(entry.cost_micros for entry in entries if entry.tag == "suggest" and entry.request_id in pilled)
        return {
            "simulated": self._stack.simulated,
            "sides": {name: summary.of_side(asked, booked, entries) for name, asked in self.asked.items()},
            "exact": {name: _exact(pairs) for name, pairs in self._known.items()},
            "by_route": summary.by_route(routed, booked),
            "labels": summary.shares(each.turn.route for each in routed),
            "as_labelled": sum(each.route == each.turn.route for each in routed) / len(routed),
            "ideal": beyond.ideal(routed, self.asked["all-tier-2"], booked),
            "beyond_labels": beyond.beyond_labels(routed),
            "escalated": summary.escalated(self._escalated["routed"], self._escalated["all-tier-2"]),
            "pills": {"questions": len(self._pills), "cost_micros": round(pills / max(1, len(self._pills)), 1)},
            "judge": {
                "calls": len(judges),
                "cost_micros": round(sum(entry.cost_micros for entry in judges) / len(routed), 1),
            },
            "loop_question": loop.QUESTION,
            "ways": [asdict(way) for way in ways],
        }

    def write(self, path: Path, entries: Sequence[ledger.Entry]) -> None:
        """Each question of the workload with its course and its cost, one JSON object a line."""
        booked = summary.costs(entries)
        with path.open("w", encoding="utf-8") as file:
            for each in (asked for side in self.asked.values() for asked in side):
                captions = [table.get("caption", "") for table in each.tables]
                row = {**vars(each), "turn": vars(each.turn), "tables": captions}
                file.write(json.dumps({**row, "cost_micros": booked.get(each.request_id, 0)}) + "\n")

    def broken(self, entries: Sequence[ledger.Entry], seen: int, look_ups: Sequence[str]) -> list[str]:
        """Promises that did not hold."""
        everything = self._everything()
        found = summary.broken(everything) + summary.loops(everything, look_ups)
        for checked, asked in self._known["routed"]:
            if asked.route == "aggregate" and contradicts(checked, asked.tables, asked.text):
                found.append(f"{asked.request_id}: the aggregate of {checked.text!r} is not what SQL says")
        found += ledger.unbooked(Counter({each.request_id: each.model_calls for each in everything}), entries)
        if len(entries) < seen:
            found.append(f"{seen} model calls were made and {len(entries)} are booked")
        return found


def _exact(pairs: Sequence[tuple[Checked, Asked]]) -> dict[str, Any]:
    missed = [
        {
            "question": checked.text,
            "expected": [f"{name} {figure}".strip() for name, figure in checked.expected[:3]],
            "route": asked.route,
            "told": [table.get("caption", "") for table in asked.tables] or [asked.text[:200]],
        }
        for checked, asked in pairs
        if not exact(checked, asked.tables, asked.text)
    ]
    return {"exact": len(pairs) - len(missed), "of": len(pairs), "missed": missed}


def _managers(database: Path) -> Mapping[str, list[str]]:
    """The manager with the fewest reports, at least 500 and at least 50, each with as many of them."""
    found = {}
    with duckdb.connect(str(database), read_only=True) as connection:
        for least in (50, 500):
            rows = connection.execute(
                "SELECT employee_id FROM reporting_lines WHERE manager_id = (SELECT manager_id FROM reporting_lines "
                "GROUP BY 1 HAVING count(*) >= ? ORDER BY count(*), 1 LIMIT 1) ORDER BY 1 LIMIT ?",
                [least, least],
            ).fetchall()
            who = connection.execute(
                "SELECT manager_id FROM reporting_lines GROUP BY 1 HAVING count(*) >= ? ORDER BY count(*), 1 LIMIT 1",
                [least],
            ).fetchall()
            found[str(who[0][0])] = [str(row[0]) for row in rows]
    return found


async def _ways(stack: Stack, reports: Mapping[str, list[str]]) -> tuple[list[loop.Way], list[str]]:
    """What the bulk call and the loops came to, and what was broken about the former."""
    prices = load_prices(PROJECT / "services/executor/config/prices.yaml")
    found: list[loop.Way] = []
    problems: list[str] = []
    for manager, people in reports.items():
        async with (
            TiermeshClient(stack.addresses["routed"], token=stack.token(manager)) as client,
            loop.opened(stack, manager, prices) as looped,
        ):
            try:
                found.append(await loop.bulk(client, len(people)))
            except loop.NoBulkCallError as error:
                problems.append(str(error))
            found += await looped.run(people, 10)
            if len(people) <= 50:
                found += await looped.run(people, 1)
    return found, problems


async def _look_ups(stack: Stack, manager: str) -> list[str]:
    prices = load_prices(PROJECT / "services/executor/config/prices.yaml")
    async with loop.opened(stack, manager, prices) as looped:
        return await looped.look_ups()


@asynccontextmanager
async def _admin(stack: Stack) -> Any:
    async with AsyncExitStack() as exits:
        yield await exits.enter_async_context(administering(stack.simulator)) if stack.simulated else None


if __name__ == "__main__":
    sys.exit(main())
