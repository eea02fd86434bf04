"""`POST /v1/messages` and `/v1/messages/count_tokens`: key, limits, cache, faults, rules, and the answer's way out."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from tiermesh_simulator.cache import PromptCache, segments_of
from tiermesh_simulator.checks import PREFILL_MESSAGE, check_for_model, too_long
from tiermesh_simulator.faults import Fault, Faults, parse_fault
from tiermesh_simulator.journal import Entry, Journal
from tiermesh_simulator.models import ModelTraits, traits_of
from tiermesh_simulator.problems import ApiError, invalid
from tiermesh_simulator.reply import Reply, TextPart, Usage, limited
from tiermesh_simulator.request import read_request
from tiermesh_simulator.rules.engine import RuleEngine
from tiermesh_simulator.settings import SimulatorSettings, Timing
from tiermesh_simulator.stream import EventStream, StreamEndedError, abort_connection, message_body, stay_silent

REQUEST_ID: Final[web.RequestKey[str]] = web.RequestKey("request_id", str)
LARGEST_BODY_KEPT: Final = 512 * 1024
FAULT_HEADER: Final = "x-simulator-fault"
_SECRET_HEADERS: Final = frozenset({"x-api-key", "authorization", "proxy-authorization", "cookie"})
_NO_FAULT: Final = Fault("")


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One request on its way to its answer."""

    http: web.Request
    entry: Entry
    model: str
    timing: Timing
    fault: Fault
    reply: Reply
    usage: Usage


class MessagesApi:
    """The endpoints of the Messages API."""

    def __init__(
        self,
        *,
        settings: SimulatorSettings,
        engine: RuleEngine,
        cache: PromptCache,
        faults: Faults,
        journal: Journal,
        new_id: Callable[[str], str],
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._cache = cache
        self._faults = faults
        self._journal = journal
        self._new_id = new_id

    def pace(self, changes: Mapping[str, object]) -> None:
        """Change how fast all classes speak from here on. ValidationError when a value is out of bounds."""
        self._settings = SimulatorSettings.model_validate({**self._settings.model_dump(), **changes})

    async def create(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        entry = self._journal.open("/v1/messages")
        entry.request_id = request[REQUEST_ID]
        try:
            response = await self._create(request, entry)
            self._journal.close(entry, "served")
        except ApiError as problem:
            entry.status = problem.status
            raise
        except ConnectionError:
            self._journal.close(entry, "disconnected")
            return web.Response(status=499)
        except asyncio.CancelledError:
            self._journal.close(entry, "disconnected")
            raise
        finally:
            self._journal.close(entry, "failed")
        return response

    async def count_tokens(self, request: web.Request) -> web.Response:
        """Count the tokens of a prompt."""
        _api_key(request)
        checked = read_request(await request.read(), counting=True)
        _known(checked.model)
        return web.json_response({"input_tokens": segments_of(checked)[-1].total})

    async def _create(self, request: web.Request, entry: Entry) -> web.StreamResponse:
        key = _api_key(request)
        raw = await request.read()
        entry.headers = {k.lower(): v for k, v in request.headers.items() if k.lower() not in _SECRET_HEADERS}
        checked = read_request(raw)
        entry.model, entry.stream = checked.model, checked.stream
        entry.body = json.loads(raw) if len(raw) <= LARGEST_BODY_KEPT else {"omitted_bytes": len(raw)}
        spec = request.headers.get(FAULT_HEADER)
        fault = parse_fault(spec) if spec else self._faults.take(checked.model) or _NO_FAULT
        entry.fault = fault.kind
        traits = _known(checked.model)
        segments = segments_of(checked)
        if fault.kind == "reset":
            return self._dropped(request, entry, reset=True)
        await _refuse_before(fault, traits, segments[-1].total)
        check_for_model(checked, traits, segments[-1].total, strict=self._settings.strict)
        minimum = self._settings.cache_minimum or traits.cache_minimum
        usage = self._cache.book(key, checked.model, segments, minimum)
        whole = self._engine.reply(checked, traits.model_class, fault)
        reply = limited(whole, checked.max_tokens, checked.stop_sequences)
        if fault.kind == "refusal":
            reply = _refused(reply, fault)
        if checked.max_tokens == 0:
            reply = Reply((), "max_tokens")
        entry.usage = {**usage.body(), "output_tokens": reply.output_tokens}
        entry.stop_reason = reply.stop_reason
        entry.status = 200
        timing = self._settings.timing(traits.model_class)
        exchange = _Exchange(request, entry, checked.model, timing, fault, reply, usage)
        return await (self._streamed(exchange) if checked.stream else self._whole(exchange))

    def _dropped(self, request: web.Request, entry: Entry, *, reset: bool) -> web.Response:
        """Drop the connection; the response that is returned goes nowhere."""
        self._journal.close(entry, "failed")
        abort_connection(request, reset=reset)
        return web.Response(status=500)

    async def _streamed(self, exchange: _Exchange) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
        )
        await response.prepare(exchange.http)
        events = EventStream(
            exchange.http,
            response,
            message_id=self._new_id("msg_"),
            model=exchange.model,
            timing=exchange.timing,
            ping_seconds=self._settings.ping_seconds,
            fault=exchange.fault,
            on_first=lambda: _note_first(exchange.entry),
        )
        try:
            await events.write(exchange.reply, exchange.usage, exchange.entry.request_id)
        except StreamEndedError:
            self._journal.close(exchange.entry, "failed")
        return response

    async def _whole(self, exchange: _Exchange) -> web.Response:
        """Answer in one piece; faults of a stream become their nearest equal."""
        fault, timing, reply = exchange.fault, exchange.timing, exchange.reply
        wait = timing.first_token_ms + timing.chunk_ms * sum(len(p.wire) for p in reply.parts) / timing.chunk_chars
        if fault.kind in ("slow_first_token", "slow"):
            wait += 1000 * (fault.seconds if fault.seconds is not None else 5.0)
        if fault.kind == "stall":
            await stay_silent(fault.seconds)
        if fault.kind in ("cut", "reset_mid"):
            return self._dropped(exchange.http, exchange.entry, reset=fault.kind == "reset_mid")
        if fault.kind == "error_event":
            raise ApiError(529 if fault.type == "overloaded_error" else 500)
        if wait:
            await asyncio.sleep(wait / 1000)
        _note_first(exchange.entry)
        if fault.kind in ("malformed", "invalid_utf8", "no_stop", "wrong_order"):
            self._journal.close(exchange.entry, "failed")
            return web.Response(body=b'{"type":"message","con', content_type="application/json")
        return web.json_response(message_body(self._new_id("msg_"), exchange.model, exchange.usage, reply))


async def _refuse_before(fault: Fault, traits: ModelTraits, prompt_tokens: int) -> None:
    """Act out the faults that leave no answer, or a late one. ApiError is the fault."""
    if fault.kind == "status":
        headers = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after:g}"}
        raise ApiError(fault.code, headers=headers)
    if fault.kind == "prompt_too_long":
        raise too_long(max(prompt_tokens, traits.window + 1), traits.window)
    if fault.kind == "prefill":
        raise invalid(PREFILL_MESSAGE)
    if fault.kind == "hang":
        await stay_silent(fault.seconds)


def _refused(reply: Reply, fault: Fault) -> Reply:
    """Keep the beginning of the text, as a refusal that comes mid-answer does."""
    if fault.after == 0 or not reply.parts or not isinstance(reply.parts[0], TextPart):
        return Reply((), "refusal")
    words = reply.parts[0].text.split(" ")
    return Reply((TextPart(" ".join(words[: fault.after * 3])),), "refusal")


def _note_first(entry: Entry) -> None:
    if entry.first_token_ms is None:
        entry.first_token_ms = round((time.time() - entry.started) * 1000, 3)


def _known(model: str) -> ModelTraits:
    traits = traits_of(model)
    if traits is None:
        raise ApiError(404, f"model: {model}")
    return traits


def _api_key(request: web.Request) -> str:
    """Return a hash of the key; any key but none will do. ApiError (401, 400) else."""
    key = request.headers.get("x-api-key", "").strip()
    if not key:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        key = token.strip() if scheme.lower() == "bearer" else ""
    if not key:
        raise ApiError(401, "x-api-key header is required")
    if not request.headers.get("anthropic-version"):
        raise invalid("anthropic-version: header is required")
    return hashlib.sha256(key.encode()).hexdigest()
