"""Many streamed answers through one executor, some cancelled in the middle: what is left behind?

Memory, tasks and sockets of the executor's process are looked at; the provider and the
tools run in it too, so that whatever leaks is seen. `python -m tests.faults.soak --answers 10000`,
`make soak`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import random
import resource
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from tiermesh.executor.v1 import executor_service_pb2 as pb
from tiermesh_executor.testing import Client
from tiermesh_runtime.testing import new_keys, signed_metadata

from tests.faults.executor_faults import A, B, executor_at
from tests.faults.misbehaving import Misbehaving, misbehaving

CANCEL = "This one is cancelled."
HANG_SECONDS = 60.0
AT_ONCE = 16
# A cancelled gRPC call leaves this much behind in its client's process (grpc/grpc #43360): up to 14 kB measured.
KNOWN_LEAK_KB_PER_CANCEL = 14.0
# Of everything else: a slope that a day of a busy deployment could live with.
LEAK_KB_PER_1000 = 1024.0


@dataclass
class Soaked:
    """What was measured."""

    answers: int = 0
    cancelled: int = 0
    incomplete: int = 0
    rss_kb: list[int] = field(default_factory=list)
    tasks: tuple[int, int] = (0, 0)
    sockets: tuple[int, int] = (0, 0)
    # Cancelled answers whose connection at the provider was still open when it should have been closed.
    still_open: int = 0

    @property
    def slope_kb_per_1000(self) -> float:
        """Of the second half: what start-up and the first calls take is no leak."""
        half = self.rss_kb[len(self.rss_kb) // 2 :]
        return (half[-1] - half[0]) / max(1, self.answers / 2) * 1000

    @property
    def allowed_kb_per_1000(self) -> float:
        """The known leak and a margin."""
        return LEAK_KB_PER_1000 + KNOWN_LEAK_KB_PER_CANCEL * 1000 * self.cancelled / max(1, self.answers)

    def problems(self) -> list[str]:
        """What is not as it should be, without the slope: that needs many answers."""
        found = []
        if self.incomplete:
            found.append(f"{self.incomplete} answers were not complete")
        if self.tasks[1] > self.tasks[0]:
            found.append(f"{self.tasks[1] - self.tasks[0]} tasks are left")
        if self.sockets[1] > self.sockets[0]:
            found.append(f"{self.sockets[1] - self.sockets[0]} sockets are left")
        if self.still_open:
            found.append(f"{self.still_open} cancelled answers still had a connection at the provider")
        return found


async def soak(answers: int, *, share_cancelled: float = 0.05, seed: int = 1, within: float = 1.0) -> Soaked:
    """Ask so many questions, AT_ONCE at a time. A cancellation has to reach the provider `within` seconds."""
    chance = random.Random(seed)
    soaked = Soaked()
    # What is cancelled meets a model that stalls, so that it is cancelled in the middle for sure.
    keys = new_keys()
    running = misbehaving("messages", {A: ["ok"], B: ["ok"]}, {CANCEL: "stall:mid"})
    async with running as provider, executor_at(provider, keys, silence=HANG_SECONDS) as client:
        # The pool grows to its size, and what is imported late is imported.
        await asyncio.gather(*(_ask(client, Soaked(), cancel=False) for _ in range(AT_ONCE)))
        before = await _left(provider)
        for start in range(0, answers, AT_ONCE):
            # A principal is short-lived.
            client.metadata = signed_metadata(keys.signer())
            cancels = [chance.random() < share_cancelled for _ in range(min(AT_ONCE, answers - start))]
            await asyncio.gather(*(_ask(client, soaked, cancel=cancel) for cancel in cancels))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within):
                    await provider.calm()
            soaked.still_open += provider.answering
            provider.seen.clear()
            soaked.rss_kb.append(_rss_kb())
        after = await _left(provider)
        soaked.tasks, soaked.sockets = (before[0], after[0]), (before[1], after[1])
    return soaked


async def _ask(client: Client, soaked: Soaked, *, cancel: bool) -> None:
    soaked.answers += 1
    request = client.request(
        CANCEL if cancel else "Hello?", commit_point=pb.COMMIT_POINT_IMMEDIATE, scores=None, allowed_models=[A]
    )
    call: Any = client.stub.Execute(request, metadata=client.metadata, timeout=HANG_SECONDS)
    last: Any = None
    async for event in call:
        last = event
        if cancel and event.WhichOneof("event") == "text":
            soaked.cancelled += 1
            call.cancel()
            return
    soaked.incomplete += last is None or not last.done.answer.complete


async def _left(provider: Misbehaving) -> tuple[int, int]:
    """Tasks and sockets, once what is ending has ended, without the connections that wait for a next request."""
    await provider.calm()
    await provider.hang_up()
    gc.collect()
    # The client's ends close in the next turns of the loop.
    for _ in range(100):
        await asyncio.sleep(0.01)
    return len(asyncio.all_tasks()), _sockets()


def _sockets() -> int:
    return sum(_points_to_a_socket(path) for path in Path("/proc/self/fd").iterdir())


def _points_to_a_socket(path: Path) -> bool:
    try:
        return str(path.readlink()).startswith("socket:")
    except OSError:  # closed since it was listed
        return False


def _rss_kb() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() // 1024


def main() -> int:
    """Print what was measured; 1 when something leaks."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--answers", type=int, default=10_000)
    answers = arguments.parse_args().answers
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    started = time.perf_counter()
    soaked = asyncio.run(soak(answers))
    problems = soaked.problems()
    if soaked.slope_kb_per_1000 > soaked.allowed_kb_per_1000:
        problems.append("memory grows faster than the known leak and its margin")
    minutes, memory = (time.perf_counter() - started) / 60, [kb / 1024 for kb in (soaked.rss_kb[0], soaked.rss_kb[-1])]
    slope, allowed = soaked.slope_kb_per_1000, soaked.allowed_kb_per_1000
    print(
        f"{soaked.answers} answers, {soaked.cancelled} cancelled in the middle, {minutes:.1f} minutes\n"
        f"memory  {memory[0]:.1f} MB after the first round, {memory[1]:.1f} MB at the end; "
        f"second half {slope:.0f} kB per 1,000 answers, allowed {allowed:.0f}\n"
        f"tasks   {soaked.tasks[0]} before, {soaked.tasks[1]} after\n"
        f"sockets {soaked.sockets[0]} before, {soaked.sockets[1]} after\n"
        f"cancelled answers whose connection was open a second later: {soaked.still_open}"
    )
    print("\n".join(problems) or "nothing is left behind")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
