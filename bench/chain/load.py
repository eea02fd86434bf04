"""Askers: many questions at once, each timed and held to what every stream promises."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from tiermesh_client import TiermeshClient
from tiermesh_runtime.errors import RpcError


@dataclass(slots=True)
class Asked:
    """One question's course; times in seconds from its sending, None for what never came."""

    first_text: float | None = None
    done: float = 0.0
    # Text events that came, and characters of the first one: nothing could be said before the model had written them.
    writes: int = 0
    first_characters: int = 0
    pills: int = 0
    # Which promise was broken; empty when none was.
    broken: str = ""


async def ask(client: TiermeshClient, text: str, expected: str, *, pills: bool) -> Asked:
    """Ask once; `expected` is the whole answer as it was recorded."""
    asked = Asked()
    began = time.perf_counter()
    said: list[str] = []
    kinds: Counter[str] = Counter()
    complete = False
    try:
        # The client itself holds the sequence numbers, and that a receipt ends the stream.
        async with aclosing(client.ask(text, no_pills=not pills)) as events:
            async for event in events:
                kind = event.WhichOneof("event") or ""
                kinds[kind] += 1
                if kind == "text":
                    if asked.first_text is None:
                        asked.first_text = time.perf_counter() - began
                        asked.first_characters = len(event.text.text)
                    said.append(event.text.text)
                elif kind == "answer_done":
                    complete = event.answer_done.complete
    except RpcError as error:
        asked.broken = f"failed with {error.code.name} ({error.reason})"
    asked.done = time.perf_counter() - began
    asked.writes, asked.pills = kinds["text"], kinds["pill"]
    asked.broken = asked.broken or _broken(kinds, "".join(said), expected, complete=complete)
    return asked


def _broken(kinds: Counter[str], said: str, expected: str, *, complete: bool) -> str:
    if kinds["answer_done"] != 1 or kinds["receipt"] != 1:
        return f"{kinds['answer_done']} ends of the answer, {kinds['receipt']} receipts"
    if not complete:
        return "the answer is not complete"
    if said != expected:
        return "the answer is called complete and is not what was recorded"
    return ""


async def closed_loop(once: Callable[[], Awaitable[Asked]], questions: int, askers: int) -> list[Asked]:
    """So many questions; each asker asks its next one when the one before is answered."""
    found: list[Asked] = []
    left = iter(range(questions))

    async def asker() -> None:
        for _ in left:
            found.append(await once())

    await asyncio.gather(*(asker() for _ in range(askers)))
    return found


async def open_loop(
    once: Callable[[], Awaitable[Asked]], per_second: float, seconds: float, seed: int = 7
) -> list[Asked]:
    """Questions at random moments (a Poisson process), whether or not those before were answered."""
    chance = random.Random(seed)
    loop = asyncio.get_running_loop()
    began = loop.time()
    due, tasks = 0.0, []
    while (due := due + chance.expovariate(per_second)) < seconds:
        await asyncio.sleep(max(0.0, began + due - loop.time()))
        tasks.append(asyncio.ensure_future(once()))
    return list(await asyncio.gather(*tasks))
