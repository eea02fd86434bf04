"""The loop that the bulk call replaces: one look-up of leave requests per report, its results read by a model.

The look-ups are the aggregator's own tool under a manager's principal; the model's turns are real requests of the
growing conversation to the simulator, which counts and caches their prompts as the provider does. What a model would
write (the calls of each turn) is counted in the simulator's way and not waited for: the loop's time is understated.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import aiohttp
import grpc
from google.protobuf.json_format import MessageToDict
from tiermesh.common.v1.context_pb2 import RequestContext
from tiermesh.tools.v1 import tools_service_pb2, tools_service_pb2_grpc
from tiermesh_cli.up import DEVELOPMENT_TENANT
from tiermesh_client import TiermeshClient
from tiermesh_client.events import event_values
from tiermesh_executor.models.events import Usage
from tiermesh_executor.prices import PriceList
from tiermesh_simulator.tokens import block_tokens

from bench.stack import PACK_VERSION, Stack

QUESTION = "Who of all my reports, direct and below, took the most leave this year?"
# What the last of them counts holds for the others: their caches begin below the length of the tools.
_MODELS = ("claude-haiku-5-5", "claude-sonnet-5-5")
_ANSWER_TOKENS = 40
_TOOL = "leave_requests"
_CACHE = {"cache_control": {"type": "ephemeral"}}


class NoBulkCallError(Exception):
    """The bulk question was not answered by the bulk call; the message says what became of it."""


@dataclass(frozen=True)
class Way:
    """What one way to the answer came to."""

    name: str
    reports: int
    model_calls: int
    data_calls: int
    prompt_tokens: int
    cost_micros: int
    seconds: float


class Loop:
    """One manager's loop."""

    def __init__(self, stack: Stack, tools: Any, session: aiohttp.ClientSession, manager: str, prices: PriceList):
        self._stack = stack
        self._tools = tools
        self._session = session
        self._metadata = (("tiermesh-principal", stack.principal(manager)),)
        self._prices = prices

    async def look_ups(self) -> list[str]:
        """Names of the tools that look one entity up."""
        listed = await self._listed()
        return [each.name for each in listed if each.kind == tools_service_pb2.TOOL_KIND_ENTITY_LOOKUP]

    async def _listed(self) -> Any:
        request = tools_service_pb2.ListToolsRequest(context=_context())
        return (await self._tools.ListTools(request, metadata=self._metadata, timeout=10)).tools

    async def run(self, people: Sequence[str], calls_each_turn: int) -> list[Way]:
        """Look every person up, so many in one turn of the model; priced for each class of model that could do it."""
        tools = [
            {"name": each.name, "description": each.description, "input_schema": json.loads(each.input_schema)}
            for each in await self._listed()
        ]
        messages: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]
        began, cost, prompt, turns = time.perf_counter(), dict.fromkeys(_MODELS, 0), 0, 0
        for start in range(0, len(people) + calls_each_turn, calls_each_turn):
            calls = [_call(each) for each in people[start : start + calls_each_turn]]
            usage = await self._turn(tools, messages)
            written = sum(map(block_tokens, calls)) or _ANSWER_TOKENS
            usage = Usage(usage.input, usage.cache_write_5m, usage.cache_write_1h, usage.cache_read, written)
            for model in _MODELS:
                cost[model] += self._prices.cost(model, usage, complete=True).micros
            prompt += usage.input + usage.cache_write_5m + usage.cache_read
            turns += 1
            if not calls:
                break
            messages.append({"role": "assistant", "content": calls})
            messages.append({"role": "user", "content": [await self._result(call) for call in calls]})
        seconds, how = time.perf_counter() - began, f"{calls_each_turn} look-up{'s' * (calls_each_turn > 1)} a turn"
        return [
            Way(
                f"per-entity loop, {model.split('-')[1]}, {how}",
                len(people),
                turns,
                len(people),
                prompt,
                cost[model],
                seconds,
            )
            for model in _MODELS
        ]

    async def _turn(self, tools: list[dict[str, Any]], messages: list[dict[str, Any]]) -> Usage:
        last = messages[-1]["content"]
        marked = [*messages[:-1], {**messages[-1], "content": [*last[:-1], {**last[-1], **_CACHE}]}]
        body = {
            "model": _MODELS[-1],
            "max_tokens": 1,
            "tools": [*tools[:-1], {**tools[-1], **_CACHE}],
            "messages": marked,
        }
        headers = {"x-api-key": "loop", "anthropic-version": "2023-06-01"}
        async with self._session.post(f"{self._stack.simulator}/v1/messages", json=body, headers=headers) as answer:
            found = await answer.json()
            if answer.status != 200:
                raise RuntimeError(f"the simulator refused a turn of the loop: {found}")
        usage = found["usage"]
        return Usage(
            usage["input_tokens"], usage["cache_creation_input_tokens"], 0, usage["cache_read_input_tokens"], 0
        )

    async def _result(self, call: dict[str, Any]) -> dict[str, Any]:
        request = tools_service_pb2.CallToolRequest(
            context=_context(), name=_TOOL, arguments=json.dumps(call["input"]), call_id=call["id"]
        )
        found = await self._tools.CallTool(request, metadata=self._metadata, timeout=30)
        if found.WhichOneof("result") != "table":
            raise RuntimeError(f"the look-up of {call['input']} brought no table: {MessageToDict(found)}")
        content = json.dumps([[_cell(value) for value in row.values] for row in found.table.rows])
        return {"type": "tool_result", "tool_use_id": call["id"], "content": content}


async def bulk(client: TiermeshClient, reports: int) -> Way:
    """The same question, asked at the gateway. Raises NoBulkCallError."""
    began = time.perf_counter()
    async for event in client.ask(QUESTION, no_pills=True):
        values = event_values(event)
        if values["event"] == "receipt":
            cost, calls = values["cost"], values.get("statements", 0) or values.get("tool_calls", 0)
            if values["route"] != "aggregate":
                raise NoBulkCallError(f"{QUESTION!r} took the route {values['route']} instead of the bulk call")
            tokens = cost["usage"]
            prompt = tokens["input"] + tokens["cache_write_5m"] + tokens["cache_read"]
            seconds = time.perf_counter() - began
            return Way("one bulk call", reports, cost["model_calls"], calls, prompt, cost["total_micros"], seconds)
    raise NoBulkCallError(f"{QUESTION!r} brought no receipt")


@asynccontextmanager
async def opened(stack: Stack, manager: str, prices: PriceList) -> AsyncIterator[Loop]:
    """Open the channels of a manager's loop."""
    async with grpc.aio.insecure_channel(stack.addresses["aggregator"]) as channel, aiohttp.ClientSession() as session:
        yield Loop(stack, tools_service_pb2_grpc.ToolsServiceStub(channel), session, manager, prices)


def _call(person: str) -> dict[str, Any]:
    today = date.today()
    arguments = {"employee": person, "from_date": f"{today.year}-01-01", "to_date": f"{today.year}-12-31"}
    return {"type": "tool_use", "id": f"toolu_{person}", "name": _TOOL, "input": arguments}


def _context() -> RequestContext:
    return RequestContext(request_id="loop", tenant=DEVELOPMENT_TENANT, pack_version=PACK_VERSION)


def _cell(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    return getattr(value, kind) if kind else None
