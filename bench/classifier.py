"""What one classification costs: in process and over gRPC, one core, batches of 1 to 64, memory. No quality here.

Times are wall-clock; CPU is of the serving process alone and tells what one core holds, also on a busy machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import numpy as np
import psutil
from tiermesh.classifier.v1 import classifier_service_pb2 as pb
from tiermesh.classifier.v1.classifier_service_pb2_grpc import ClassifierServiceStub
from tiermesh.common.v1.context_pb2 import RequestContext
from tiermesh_classifier.assembly import assemble
from tiermesh_classifier.classifier import Classifier, Question
from tiermesh_classifier.history import NO_HISTORY
from tiermesh_classifier.reading.calendar import Calendar
from tiermesh_pack import Pack, load_pack
from tiermesh_runtime.testing import new_keys, signed_metadata

from bench.machine import facts

PROJECT = Path(__file__).resolve().parents[1]
BATCHES = (1, 4, 16, 64)
TURNS, WARM_UP = 512, 50


def main() -> int:
    """Measures, prints a table, writes JSON."""
    parser = argparse.ArgumentParser(description="Measure what one classification costs.")
    parser.add_argument("--json", type=Path, default=PROJECT / "bench/results/classifier.json")
    parser.add_argument("--pack", type=Path, default=PROJECT / "packs/hr")
    parser.add_argument("--artefact", type=Path, default=PROJECT / ".tiermesh/models/classifier")
    options = parser.parse_args()
    measured_on = facts("make bench-classifier", ("numpy", "onnxruntime", "grpcio"))
    # Arrays this small gain nothing from threads; this is what one core holds.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    pack = load_pack(options.pack)
    before = psutil.Process().memory_info().rss
    classifier = assemble(pack, options.artefact)
    loaded = psutil.Process().memory_info().rss
    texts = _texts(pack)
    report: dict[str, Any] = {
        **measured_on,
        "turns": len(texts),
        "artefact_version": classifier.artefact.version,
        "in_process": _in_process(classifier, texts),
        "memory_mb": {"classifier_loaded": round((loaded - before) / 2**20, 1)},
    }
    report |= asyncio.run(_scored(texts, pack, options.artefact))
    report["grpc_seen_before"], report["memory_mb"]["service"] = asyncio.run(_remembered(texts, pack, options.artefact))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(_table(report))
    return 0


def _texts(pack: Pack) -> list[str]:
    """Questions of the pack with a word that none has, so that no known question is answered from memory."""
    openings = [example.text for example in pack.vocabulary.examples if example.position == "opening"]
    step = max(1, len(openings) // TURNS)
    return [f"{text} today again" for text in openings[::step]][:TURNS]


def _in_process(classifier: Classifier, texts: list[str]) -> dict[str, float]:
    calendar = Calendar(date(2026, 11, 22))

    def score(text: str) -> None:
        classifier.score(Question(text, NO_HISTORY, calendar))

    for text in texts[:WARM_UP]:
        score(text)
    walls, cpu = [], time.process_time()
    for text in texts:
        walls.append(_timed(score, text))
    return _figures(walls, time.process_time() - cpu, len(texts))


def _timed(work: Callable[[str], None], text: str) -> float:
    began = time.perf_counter()
    work(text)
    return time.perf_counter() - began


def _figures(walls: list[float], cpu: float, turns: int) -> dict[str, float]:
    return {
        "p50_ms": round(float(np.percentile(walls, 50)) * 1e3, 3),
        "p99_ms": round(float(np.percentile(walls, 99)) * 1e3, 3),
        "cpu_ms_per_turn": round(cpu * 1e3 / turns, 3),
        "turns_per_second_of_one_core": round(turns / cpu, 1),
    }


async def _scored(texts: list[str], pack: Pack, artefact: Path) -> dict[str, Any]:
    """One call a turn and batches, by a service that remembers nothing: every turn is scored."""
    async with _served(pack, artefact, {"TIERMESH_CLASSIFIER_REMEMBERED_CANDIDATES": "0"}) as calls:
        return {
            "grpc": await calls.singles(texts),
            "grpc_batches": {str(size): await calls.batches(texts, size) for size in BATCHES},
        }


async def _remembered(texts: list[str], pack: Pack, artefact: Path) -> tuple[dict[str, float], float]:
    """A batch of 16 candidates that came before, and the service's memory in MB with all of them in it."""
    async with _served(pack, artefact, {}) as calls:
        await calls.batches(texts, 16)
        return await calls.batches(texts, 16), round(calls.process.memory_info().rss / 2**20, 1)


@asynccontextmanager
async def _served(pack: Pack, artefact: Path, settings: Mapping[str, str]) -> AsyncIterator[_Calls]:
    """The real service in a process of its own, pinned to the same core as this client."""
    keys = new_keys()
    with TemporaryDirectory() as folder:
        port = _free_port()
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "TIERMESH_CLASSIFIER_PORT": str(port),
            "TIERMESH_CLASSIFIER_PACK": str(pack.path),
            "TIERMESH_CLASSIFIER_ARTEFACT": str(artefact),
            "TIERMESH_CLASSIFIER_PRINCIPAL_PUBLIC_KEY": str(keys.write_public(Path(folder))),
            "TIERMESH_CLASSIFIER_LOG_LEVEL": "WARNING",
            **settings,
        }
        service = subprocess.Popen([sys.executable, "-m", "tiermesh_classifier"], env=environment)  # noqa: ASYNC220 - it is started once
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                context = RequestContext(request_id="bench", tenant="acme", pack_version=pack.identity)
                stub, metadata = ClassifierServiceStub(channel), signed_metadata(keys.signer())
                calls = _Calls(stub, context, metadata, psutil.Process(service.pid))
                await calls.until_serving()
                yield calls
        finally:
            service.terminate()
            service.wait()


@dataclass(frozen=True)
class _Calls:
    """One client of the service, and the process behind it."""

    stub: Any
    context: RequestContext
    metadata: Any
    process: psutil.Process

    async def until_serving(self) -> None:
        deadline = time.monotonic() + 120
        while True:
            try:
                await self.one("hello")
                return
            except grpc.aio.AioRpcError as error:
                if time.monotonic() > deadline:
                    raise RuntimeError("the service did not come up") from error
                await asyncio.sleep(0.2)

    async def one(self, text: str) -> None:
        request = pb.ClassifyRequest(context=self.context, text=text)
        await self.stub.Classify(request, metadata=self.metadata, timeout=30, wait_for_ready=True)

    async def many(self, texts: Sequence[str]) -> None:
        items = [pb.ClassifyBatchRequest.Item(text=text) for text in texts]
        request = pb.ClassifyBatchRequest(context=self.context, items=items)
        await self.stub.ClassifyBatch(request, metadata=self.metadata, timeout=60)

    async def singles(self, texts: Sequence[str]) -> dict[str, float]:
        walls, cpu = [], _cpu(self.process)
        for text in texts:
            began = time.perf_counter()
            await self.one(text)
            walls.append(time.perf_counter() - began)
        return _figures(walls, _cpu(self.process) - cpu, len(texts))

    async def batches(self, texts: Sequence[str], size: int) -> dict[str, float]:
        walls, cpu = [], _cpu(self.process)
        for start in range(0, len(texts), size):
            began = time.perf_counter()
            await self.many(texts[start : start + size])
            walls.append(time.perf_counter() - began)
        return _figures(walls, _cpu(self.process) - cpu, len(texts))


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _table(report: dict[str, Any]) -> str:
    rows = {"in process": report["in_process"], "Classify": report["grpc"]}
    rows |= {f"ClassifyBatch of {size}": row for size, row in report["grpc_batches"].items()}
    rows["16 that came before"] = report["grpc_seen_before"]
    lines = [f"{'':22}{'p50 ms':>10}{'p99 ms':>10}{'CPU ms/turn':>13}{'turns/s/core':>14}"]
    for name, row in rows.items():
        lines.append(
            f"{name:22}{row['p50_ms']:>10.2f}{row['p99_ms']:>10.2f}{row['cpu_ms_per_turn']:>13.2f}"
            f"{row['turns_per_second_of_one_core']:>14.0f}"
        )
    memory = report["memory_mb"]
    lines.append(
        f"memory: {memory['classifier_loaded']} MB for the classifier, {memory['service']} MB the whole service"
    )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
