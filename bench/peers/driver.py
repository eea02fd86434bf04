"""Asks one peer and prints what it measured as JSON. Runs in the peer's own environment: nothing of ours is imported,
but for the suite's own row. `driver.py KIND URL MODEL SECONDS` with TOKEN in the environment for the suite.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ASKERS = 16
ALONE, WARM_UP = 80, 20
numbers = itertools.count(11)
# Yields the pieces of one answer.
Ask = Callable[[str], AsyncIterator[str]]


@asynccontextmanager
async def bare(url: str, model: str) -> AsyncIterator[Ask]:
    """The upstream over plain sockets: what no client or gateway can be faster than."""
    host = urlsplit(url)
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(question: str) -> AsyncIterator[str]:
        reader, writer = idle.pop() if idle else await asyncio.open_connection(host.hostname, host.port)
        body = json.dumps(_body(model, question)).encode()
        head = f"POST /v1/messages HTTP/1.1\r\nhost: {host.netloc}\r\nx-api-key: bench\r\n"
        head += "anthropic-version: 2023-06-01\r\n"
        writer.write(head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body)
        await reader.readuntil(b"\r\n\r\n")
        while size := int(await reader.readline(), 16):
            event = (await reader.readexactly(size + 2)).decode()
            if '"text_delta"' in event:
                yield json.loads(event.partition("data: ")[2])["delta"]["text"]
        await reader.readline()
        idle.append((reader, writer))

    yield ask
    for _, writer in idle:
        writer.close()


@asynccontextmanager
async def sdk(url: str, model: str) -> AsyncIterator[Ask]:
    """The provider's own client, its tracing off."""
    from anthropic import AsyncAnthropic

    async with AsyncAnthropic(base_url=url, api_key="bench", max_retries=0, open_telemetry=False) as client:

        async def ask(question: str) -> AsyncIterator[str]:
            async for event in await client.messages.create(**_body(model, question)):
                if event.type == "content_block_delta" and event.delta.type == "text_delta":
                    yield event.delta.text

        yield ask


@asynccontextmanager
async def tensorzero(url: str, model: str) -> AsyncIterator[Ask]:
    """TensorZero's gateway inside this process."""
    from tensorzero import AsyncTensorZeroGateway

    os.environ["ANTHROPIC_API_KEY"] = "bench"
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "tensorzero.toml"
        config.write_text(
            f'[gateway]\nobservability.enabled = false\n[models.sim]\nrouting = ["sim"]\n[models.sim.providers.sim]\n'
            f'type = "anthropic"\nmodel_name = "{model}"\napi_base = "{url}/v1/"\n'
        )
        gateway = await AsyncTensorZeroGateway.build_embedded(config_file=str(config), async_setup=True)

        async def ask(question: str) -> AsyncIterator[str]:
            said = await gateway.inference(
                model_name="sim",
                input={"messages": [{"role": "user", "content": question}]},
                params={"chat_completion": {"max_tokens": 500}},
                stream=True,
            )
            async for chunk in said:
                for block in chunk.content:
                    if getattr(block, "text", None):
                        yield block.text

        yield ask


@asynccontextmanager
async def suite(url: str, _model: str) -> AsyncIterator[Ask]:
    """Tiermesh, by its own client: the whole stream from the decision to the receipt."""
    from tiermesh_client import TiermeshClient

    pills = os.environ.get("PILLS") == "1"
    async with TiermeshClient(url, token=os.environ["TOKEN"]) as client:

        async def ask(question: str) -> AsyncIterator[str]:
            async for event in client.ask(question, no_pills=not pills):
                if event.WhichOneof("event") == "text":
                    yield event.text.text

        yield ask


def _body(model: str, question: str) -> dict[str, Any]:
    return {"model": model, "max_tokens": 500, "stream": True, "messages": [{"role": "user", "content": question}]}


async def _timed(ask: Ask) -> tuple[float, float, int, str]:
    began, first, pieces = time.perf_counter(), 0.0, []
    async for piece in ask(f"Hello, what can you do for me on day {next(numbers)}?"):
        first = first or time.perf_counter() - began
        pieces.append(piece)
    return first * 1000, (time.perf_counter() - began) * 1000, len(pieces), "".join(pieces)


async def main(kind: str, url: str, model: str, seconds: float) -> None:
    """One asker for latencies, then sixteen for what a core holds."""
    opened = {"bare": bare, "sdk": sdk, "litellm": sdk, "tensorzero": tensorzero, "suite": suite}[kind]
    async with opened(url, model) as ask:
        for _ in range(WARM_UP):
            await _timed(ask)
        began = _cpu()
        alone = [await _timed(ask) for _ in range(ALONE)]
        alone_cpu, began, started, asked = _cpu() - began, _cpu(), time.perf_counter(), []

        async def asker() -> None:
            while time.perf_counter() < started + seconds:
                asked.append(await _timed(ask))

        await asyncio.gather(*(asker() for _ in range(ASKERS)))
        wall = time.perf_counter() - started
    answers = {each[3] for each in (*alone, *asked)}
    print(
        json.dumps(
            {
                "first_ms": [each[0] for each in alone],
                "latency_ms": [each[1] for each in alone],
                "pieces": alone[0][2],
                "answers": sorted(answers),
                "questions": WARM_UP + len(alone) + len(asked),
                "per_second": len(asked) / wall,
                "cpu_ms": (_cpu() - began + alone_cpu) * 1000 / (len(asked) + len(alone)),
                "memory_mb": _resident_mb(),
            }
        )
    )


def _resident_mb() -> float:
    # The kernel's peak would hold what the parent had when it forked.
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _cpu() -> float:
    times = os.times()
    return times.user + times.system


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])))
