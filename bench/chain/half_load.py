"""Time to the first chunk at half of what the machine holds: the suite's, less what the model itself takes.

The request that the executor sent is sent to the simulator directly, through the SDK, at the same rate. What the suite
adds is the difference; told apart is what the commit point and verified figures hold back: the time that the model
takes from its first token to the last character of the first piece that was shown.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from anthropic import AsyncAnthropic

from bench.chain.load import Asked, open_loop
from bench.chain.measuring import percentiles
from bench.chain.shape import Shape
from bench.chain.sides import Side

SECONDS = 8.0


@dataclass
class Spoken:
    """One direct stream: seconds until so many characters had come."""

    arrivals: list[tuple[float, int]]

    def until(self, characters: int) -> float:
        """Seconds until at least so many had come."""
        return next((at for at, count in self.arrivals if count >= characters), self.arrivals[-1][0])


async def measure(side: Side, url: str, shape: Shape, per_second: float) -> dict[str, Any]:
    """The suite and the model alone, one after the other, at the same rate."""
    assert side.simulator is not None
    await side.prepare(shape)
    asked = await open_loop(lambda: side.once(shape), per_second, SECONDS)
    seen = await side.simulator.seen(bodies=True)
    bodies = [each["body"] for each in seen["requests"] if each.get("body") and "haiku" in each["model"]]
    spoken = await _directly(url, bodies[-1], per_second)
    return {**_compared(asked, spoken, shape), "per_second": round(per_second, 1), "shape": shape.name}


async def _directly(url: str, body: dict[str, Any], per_second: float) -> list[Spoken]:
    async with AsyncAnthropic(base_url=url, api_key="bench", max_retries=0) as client:

        async def once() -> Spoken:
            began, count, arrivals = time.perf_counter(), 0, []
            async for event in await client.messages.create(**{**body, "stream": True}):
                if event.type == "content_block_delta" and event.delta.type == "text_delta":
                    count += len(event.delta.text)
                    arrivals.append((time.perf_counter() - began, count))
            return Spoken(arrivals)

        return await open_loop(once, per_second, SECONDS)


def _compared(asked: Sequence[Asked], spoken: Sequence[Spoken], shape: Shape) -> dict[str, Any]:
    first = [each.first_text * 1000 for each in asked if each.first_text is not None]
    characters = max(each.first_characters for each in asked)
    own = [each.arrivals[0][0] * 1000 for each in spoken]
    enough = [each.until(characters) * 1000 for each in spoken]
    suite, model, ready = percentiles(first), percentiles(own), percentiles(enough)
    return {
        "questions": len(asked),
        "suite_first_ms": suite,
        "model_first_ms": model,
        # Of the model's text up to the end of the first piece that may be shown.
        "held_back_ms": {name: round(ready[name] - model[name], 2) for name in ready},
        "added_ms": {name: round(suite[name] - ready[name], 2) for name in suite},
        "broken": [each.broken for each in asked if each.broken],
    }
