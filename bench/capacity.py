"""What one question costs each service in CPU, and what memory a service holds: what docs/capacity.md computes with.

A whole suite on the simulator, exporting telemetry, asked a mix of questions of each kind at once. No latency here
(`bench.chain` has it): CPU time counts, so a busy machine changes the figures little.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import machine
from bench.chain.load import closed_loop
from bench.chain.shape import Shape
from bench.chain.sides import Side, record, suite_side
from bench.suite import memory_mb, running_suite

SHAPES = (
    Shape("words", chunks=40, askers=8),
    Shape("words", chunks=40, askers=8, pills=True),
    Shape("look-up", chunks=40, askers=8, pills=True),
    Shape("aggregate", chunks=40, askers=8, pills=True),
)
# After the last answer records are still delivered to insights; they belong to the questions that made them.
_REST_SECONDS = 3.0
_PRICED = 5
# On a busy machine the failure policy would answer in place of the classifier, at another tier's cost.
_PATIENT = {"TIERMESH_GATEWAY_CLASSIFY_SECONDS": "5", "TIERMESH_SUGGESTER_CLASSIFY_SECONDS": "10"}


async def measure(shapes: Sequence[Shape], questions: int, pids: Mapping[str, int], side: Side) -> list[dict[str, Any]]:
    """Ask `questions` of each shape after a tenth of them to warm up; CPU in ms a question, memory in MiB."""
    rows = []
    for shape in shapes:
        await side.prepare(shape)
        await closed_loop(lambda shape=shape: side.once(shape), max(questions // 10, 1), shape.askers)  # type: ignore[misc]  # mypy infers no lambda with a default
        before = side.cpu()
        asked = await closed_loop(lambda shape=shape: side.once(shape), questions, shape.askers)  # type: ignore[misc]  # mypy infers no lambda with a default
        await asyncio.sleep(_REST_SECONDS)
        spent = {name: seconds - before[name] for name, seconds in side.cpu().items()}
        rows.append(
            {
                "shape": shape.name,
                "questions": questions,
                "broken": sorted({each.broken for each in asked if each.broken}),
                "pills": sum(each.pills for each in asked),
                "cpu_ms_by_process": {name: round(seconds * 1000 / questions, 2) for name, seconds in spent.items()},
                "memory_mb": {name: memory_mb(pid) for name, pid in pids.items()},
                "model_cost_micros": await _model_cost(side, shape),
            }
        )
    return rows


async def _model_cost(side: Side, shape: Shape) -> float:
    """Micro-dollars of a question's model calls by its receipt: the price list over the simulator's count of tokens."""
    found = []
    for _ in range(_PRICED):
        async for event in side.client.ask(shape.question(), no_pills=not shape.pills):
            if event.WhichOneof("event") == "receipt":
                found.append(event.receipt.cost.total_micros)
    return sum(found) / len(found)


async def _run(questions: int) -> dict[str, Any]:
    with running_suite(environment=_PATIENT) as suite, tempfile.TemporaryDirectory() as folder:
        idle = {name: memory_mb(pid) for name, pid in suite.pids.items()}
        async with suite_side(suite) as side:
            side.answers = await record(side, Path(folder))
            return {"memory_mb_idle": idle, "rows": await measure(SHAPES, questions, suite.pids, side)}


def main() -> int:
    """Measure, write bench/results/capacity.json, print it; 1 when an answer was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=200, help="of each shape")
    arguments = parser.parse_args()
    report = machine.facts("make bench-capacity", ["grpcio", "protobuf", "opentelemetry-sdk"])
    report |= asyncio.run(_run(arguments.questions))
    text = json.dumps(report, indent=1)
    (machine.RESULTS / "capacity.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    return int(any(row["broken"] for row in report["rows"]))


if __name__ == "__main__":
    sys.exit(main())
