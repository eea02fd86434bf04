"""`make bench-chain`: the suite against a floor of the same hops without work, in turn, in one run on the same cores.

Exit code 1 when a promise was broken (an answer incomplete or not the model's, a receipt missing, more than one end);
a target that is missed is said and breaks nothing.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvloop
from tiermesh_client import TiermeshClient

from bench.chain import half_load, report
from bench.chain.measuring import compare
from bench.chain.shape import QUESTIONS, Shape
from bench.chain.sides import Side, floor_processes, record, recording_folder, suite_side
from bench.machine import RESULTS, facts
from bench.suite import running_suite

# On a busy machine a classification takes longer than 150 ms; the failure policy is not what is measured here.
# The classifier's language-model stage is left out: "classifier local".
_ENVIRONMENT = {
    "TIERMESH_GATEWAY_CLASSIFY_SECONDS": "5",
    "TIERMESH_SUGGESTER_CLASSIFY_SECONDS": "10",
    "TIERMESH_CLASSIFIER_MODEL_LEAST_SECONDS": "60",
}
_USUAL = (
    Shape("words"),
    Shape("words", pills=True),
    Shape("look-up"),
    Shape("aggregate"),
    Shape("words", chunks=1),
    Shape("words", chunks=10),
    Shape("words", chunks=200),
    Shape("words", pause_ms=5),
    Shape("words", pause_ms=15),
    Shape("words", askers=1),
    Shape("words", askers=64),
)
_VERSIONS = ("grpcio", "protobuf", "anthropic", "aiohttp", "httpx2", "uvloop", "opentelemetry-sdk")


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="make bench-chain", description=__doc__)
    parser.add_argument("--full", action="store_true", help="every variant of chunks, pauses and askers (30 minutes)")
    parser.add_argument("--rounds", type=int, default=2, help="rounds of each side, in turn")
    parser.add_argument("--only", default="", help="only shapes whose name contains this")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for chain.json and chain.png")
    options = parser.parse_args()
    shapes = [shape for shape in (_all() if options.full else _USUAL) if options.only in shape.name]
    began = time.monotonic()
    told = facts("make bench-chain", _VERSIONS)
    rows, half = uvloop.run(_measure(shapes, options.rounds))
    report.write(options.results, told, rows, half)
    print(report.table(rows, half))
    print("\n".join(["", *report.verdicts(rows, half)]))
    print(f"{time.monotonic() - began:.0f} s; {options.results}/chain.json, chain.png")
    problems = report.broken(rows, half)
    for problem in problems:
        print(f"BROKEN PROMISE: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _all() -> Sequence[Shape]:
    return [
        Shape(kind, chunks, pause, askers, pills)
        for kind in QUESTIONS
        for pills in (False, True)
        for chunks in (1, 10, 40, 200)
        for pause in (0, 5, 15)
        for askers in (1, 16, 64)
        # An answer of few characters has no 200 pieces.
        if kind == "words" or chunks < 200
    ]


async def _measure(shapes: Sequence[Shape], rounds: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    with running_suite(environment=_ENVIRONMENT) as suite, recording_folder() as folder:
        async with suite_side(suite) as side:
            side.answers = answers = await record(side, folder)
            with (
                floor_processes(folder, loop="asyncio") as (address, pids),
                floor_processes(folder, loop="uvloop") as (
                    second,
                    second_pids,
                ),
            ):
                async with TiermeshClient(address) as client, TiermeshClient(second) as other:
                    floors = [
                        Side("floor", client, pids, answers),
                        Side("floor on uvloop", other, second_pids, answers),
                    ]
                    rows = [await _row(shape, [side, *floors], rounds) for shape in shapes]
            half = []
            if rows:
                usual = next((row for row in rows if row["shape"] == Shape().name), rows[0])
                rate = usual["suite"]["questions_per_second"] / 2
                for pause in (0, 5):
                    shape = replace(shapes[0], pause_ms=pause)
                    half.append(await half_load.measure(side, suite.simulator, shape, rate))
    return rows, half


async def _row(shape: Shape, sides: Sequence[Side], rounds: int) -> dict[str, Any]:
    cells = await compare(shape, sides, rounds)
    row: dict[str, Any] = {
        "shape": shape.name,
        "chunks": shape.chunks,
        "pause_ms": shape.pause_ms,
        "askers": shape.askers,
        **{cell.side: cell.facts() for cell in cells},
    }
    row["ratio"] = round(row["suite"]["cpu_ms"] / row["floor"]["cpu_ms"], 2)
    ratios = [ours / floors for ours, floors in zip(cells[0].totals(), cells[1].totals(), strict=True)]
    row["ratio_rounds"] = [round(each, 2) for each in ratios]
    print(f"{row['shape']}: {row['suite']['cpu_ms']} against {row['floor']['cpu_ms']} ms", file=sys.stderr, flush=True)
    return row


if __name__ == "__main__":
    sys.exit(main())
