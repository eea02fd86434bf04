"""Asks blocks of the workload at one gateway and notes what each question came to."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tiermesh_client import TiermeshClient
from tiermesh_client.events import event_values
from tiermesh_runtime.errors import RpcError

from bench.cost.workload import Talk, Turn
from bench.stack import Stack

_FIRST = ("text", "table", "clarification", "proposal")


@dataclass
class Asked:
    """One question's course. Times are in seconds from its sending."""

    side: str
    block: int
    request_id: str
    turn: Turn
    decided: str = ""
    # The rule that settled the decision, with what it saw.
    rule: str = ""
    rule_saw: str = ""
    # Why the answering route is not the decided one: cause and words of each change.
    changes: list[str] = field(default_factory=list)
    # Scope as the classifier saw it; False where there was no classification.
    seen_high_scope: bool = False
    route: str = ""
    complete: bool = False
    first: float | None = None
    done: float | None = None
    receipt: dict[str, Any] = field(default_factory=dict)
    # Successful calls by tool; route changes and refusals by their cause.
    tools: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    tables: list[dict[str, Any]] = field(default_factory=list)
    text: str = ""
    error: str = ""

    @property
    def model_calls(self) -> int:
        """As the receipt says."""
        return int(self.receipt.get("cost", {}).get("model_calls", 0))

    @property
    def data_calls(self) -> int:
        """Calls of tools and bulk calls that were served."""
        return sum(self.tools.values())

    def take(self, event: Mapping[str, Any], seconds: float) -> None:
        """Note one event."""
        kind = event["event"]
        if kind in _FIRST and self.first is None:
            self.first = seconds
        match kind:
            case "decision":
                self.decided = self.route = event["route"]
                last = event.get("reasons", [{}])[-1]
                self.rule, self.rule_saw = last.get("rule", ""), last.get("detail", "")
                scores = event.get("scores", {})
                labels = {axis: scores.get(axis, {}).get("label", "") for axis in ("cardinality", "aggregation")}
                self.seen_high_scope = event["route"] == "aggregate" or labels["cardinality"] in ("team", "org")
            case "route_changed":
                self.causes[event.get("cause", "")] += 1
                self.changes.append(f"{event.get('cause', '')}: {event.get('detail', '')}")
            case "superseded":
                self.text, self.tables = "", []
                self.causes[f"superseded: {event.get('cause', '')}"] += 1
            case "tool" if event.get("state") == "succeeded":
                self.tools[event["tool"]] += 1
            case "tool" if event.get("state") == "refused":
                self.causes[f"refused: {event['tool']}"] += 1
            case "text":
                self.text += event.get("text", "")
            case "table":
                self.tables.append(dict(event))
            case "answer_done":
                self.complete, self.done = bool(event["complete"]), seconds
            case "receipt":
                self.receipt, self.route = dict(event), event["route"]


class Side:
    """One gateway with a client for each persona."""

    def __init__(self, name: str, clients: Mapping[str, TiermeshClient]) -> None:
        self.name = name
        self._clients = clients

    async def block(
        self, number: int, talks: Sequence[Talk], askers: int, *, pills: bool = False, kind: str = "b"
    ) -> list[Asked]:
        """Ask a block's talks, each in its order; so many talks at once."""
        found: list[Asked] = []
        left = iter(talks)

        async def asker() -> None:
            for talk in left:
                conversation = ""
                for turn in talk.turns:
                    request_id = f"{self.name}.{kind}{number}.{turn.id}"
                    asked = Asked(self.name, number, request_id, turn)
                    found.append(asked)
                    conversation = await self._ask(asked, talk.persona, conversation, pills=pills)

        await asyncio.gather(*(asker() for _ in range(askers)))
        return found

    async def _ask(self, asked: Asked, persona: str, conversation: str, *, pills: bool) -> str:
        began = time.perf_counter()
        try:
            stream = self._clients[persona].ask(
                asked.turn.text, conversation_id=conversation, request_id=asked.request_id, no_pills=not pills
            )
            async for event in stream:
                values = event_values(event)
                asked.take(values, time.perf_counter() - began)
                conversation = values.get("conversation_id", conversation)
        except RpcError as error:
            asked.error = f"{error.code.name} ({error.reason})"
        return conversation


@asynccontextmanager
async def sides(stack: Stack, names: Sequence[str]) -> AsyncIterator[dict[str, Side]]:
    """Open the clients of each gateway."""
    async with AsyncExitStack() as exits:
        found = {}
        for name in names:
            clients = {
                persona: await exits.enter_async_context(
                    TiermeshClient(stack.addresses[name], token=stack.token(persona))
                )
                for persona in ("manager", "head", "people_admin")
            }
            found[name] = Side(name, clients)
        yield found
