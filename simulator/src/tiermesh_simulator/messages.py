"""`POST /v1/messages` and `/v1/messages/count_tokens`: key, limits, cache, faults, rules, and the answer's way out."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Final

from aiohttp import web

from tiermesh_simulator.cache import PromptCache, segments_of
from tiermesh_simulator.checks import PREFILL_MESSAGE, check_for_model, too_long
from tiermesh_simulator.faults import Fault, Faults, parse_fault
from tiermesh_simulator.journal import Entry, Journal
from tiermesh_simulator.models import ModelTraits, traits_of
from tiermesh_simulator.problems import ApiProblem, invalid
from tiermesh_simulator.reply import Reply, TextPart, Usage, limited
from tiermesh_simulator.request import MessagesRequest, read_request
from tiermesh_simulator.rules.engine import RuleEngine
from tiermesh_simulator.settings import SimulatorSettings
from tiermesh_simulator.stream import Ended, EventStream, abort_connection, message_body, stay_silent

FAULT_HEADER: Final = "x-simulator-fault"
_SECRET_HEADERS: Final = frozenset({"x-api-key", "authorization", "proxy-authorization", "cookie"})


class MessagesApi:
    """The endpoints of the Messages API."""

    def __init__(
        self,
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

    async def create(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        entry = self._journal.open("/v1/messages")
        entry.request_id = str(request["request_id"])
        try:
            response = await self._create(request, entry)
            self._journal.close(entry, "failed" if entry.fault and entry.status >= 400 else "served")
        except ApiProblem as problem:
            entry.status = problem.status
            self._journal.close(entry, "failed")
            raise
        except (asyncio.CancelledError, ConnectionError):
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
        segments = segments_of(checked)
        return web.json_response({"input_tokens": segments[-1].total if segments else 0})

    async def _create(self, request: web.Request, entry: Entry) -> web.StreamResponse:
        key = _api_key(request)
        raw = await request.read()
        entry.headers = {k.lower(): v for k, v in request.headers.items() if k.lower() not in _SECRET_HEADERS}
        checked = read_request(raw)
        entry.model, entry.stream, entry.body = checked.model, checked.stream, json.loads(raw)
        fault = self._fault(request, checked.model)
        entry.fault = fault.kind if fault is not None else ""
        traits = _known(checked.model)
        segments = segments_of(checked)
        prompt_tokens = segments[-1].total if segments else 0
        if fault is not None:
            await self._before_headers(request, fault, traits, prompt_tokens, entry)
        check_for_model(checked, traits, prompt_tokens, strict=self._settings.strict)
        minimum = self._settings.cache_minimum or traits.cache_minimum
        usage = self._cache.book(key, checked.model, segments, minimum)
        reply = limited(
            self._engine.reply(checked, traits.model_class, fault), checked.max_tokens, checked.stop_sequences
        )
        if fault is not None and fault.kind == "refusal":
            reply = _refused(reply, fault)
        if checked.max_tokens == 0:
            reply = Reply((), "max_tokens")
        entry.usage = {**usage.body(), "output_tokens": reply.output_tokens}
        entry.stop_reason = reply.stop_reason
        entry.status = 200
        if checked.stream:
            return await self._stream(request, checked, reply, usage, traits, fault, entry)
        return await self._whole(request, checked, reply, usage, traits, fault, entry)

    def _fault(self, request: web.Request, model: str) -> Fault | None:
        spec = request.headers.get(FAULT_HEADER)
        return parse_fault(spec) if spec else self._faults.take(model)

    async def _before_headers(
        self, request: web.Request, fault: Fault, traits: ModelTraits, prompt_tokens: int, entry: Entry
    ) -> None:
        """Act out the faults that leave no answer."""
        if fault.kind == "status":
            headers = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after:g}"}
            raise ApiProblem(fault.code, headers=headers)
        if fault.kind == "prompt_too_long":
            raise too_long(max(prompt_tokens, traits.window + 1), traits.window)
        if fault.kind == "prefill":
            raise invalid(PREFILL_MESSAGE)
        if fault.kind == "hang":
            await stay_silent(fault.seconds)
        if fault.kind == "reset":
            self._journal.close(entry, "failed")
            abort_connection(request, reset=True)
            raise ConnectionResetError("reset by the simulator on request")

    async def _stream(
        self,
        request: web.Request,
        checked: MessagesRequest,
        reply: Reply,
        usage: Usage,
        traits: ModelTraits,
        fault: Fault | None,
        entry: Entry,
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
        )
        await response.prepare(request)
        events = EventStream(
            request,
            response,
            message_id=self._message_id(entry),
            model=checked.model,
            timing=self._settings.timing(traits.model_class),
            ping_seconds=self._settings.ping_seconds,
            fault=fault,
            on_first=lambda: _note_first(entry),
        )
        try:
            await events.write(reply, usage, entry.request_id)
            self._journal.close(entry, "served")
        except Ended:
            self._journal.close(entry, "failed")
        await response.write_eof()
        return response

    async def _whole(
        self,
        request: web.Request,
        checked: MessagesRequest,
        reply: Reply,
        usage: Usage,
        traits: ModelTraits,
        fault: Fault | None,
        entry: Entry,
    ) -> web.Response:
        """Answer in one piece; faults of a stream become their nearest equal."""
        timing = self._settings.timing(traits.model_class)
        wait = timing.first_token_ms + timing.chunk_ms * sum(len(p.wire) for p in reply.parts) / timing.chunk_chars
        kind = fault.kind if fault is not None else ""
        if fault is not None and kind in ("slow_first_token", "slow"):
            wait += 1000 * (fault.seconds if fault.seconds is not None else 5.0)
        if fault is not None and kind == "stall":
            await stay_silent(fault.seconds)
        if kind in ("cut", "reset_mid"):
            self._journal.close(entry, "failed")
            abort_connection(request, reset=kind == "reset_mid")
            raise ConnectionResetError("cut by the simulator on request")
        if kind == "error_event":
            raise ApiProblem(529 if fault is not None and fault.type == "overloaded_error" else 500)
        if wait:
            await asyncio.sleep(wait / 1000)
        _note_first(entry)
        if kind in ("malformed", "invalid_utf8", "no_stop", "wrong_order"):
            return web.Response(body=b'{"type":"message","con', content_type="application/json")
        body = message_body(
            self._message_id(entry),
            checked.model,
            tuple(reply.parts),
            reply,
            reply.stop_sequence,
            usage,
            output_tokens=reply.output_tokens,
        )
        return web.json_response(body)

    def _message_id(self, entry: Entry) -> str:
        return self._new_id("msg_")


def _refused(reply: Reply, fault: Fault) -> Reply:
    """Keep the beginning of the text, as a refusal that comes mid-answer does."""
    if fault.after == 0 or not reply.parts or not isinstance(reply.parts[0], TextPart):
        return Reply((), "refusal")
    words = reply.parts[0].text.split(" ")
    return Reply((TextPart(" ".join(words[: fault.after * 3])),), "refusal")


def _note_first(entry: Entry) -> None:
    import time

    if entry.first_token_ms is None:
        entry.first_token_ms = round((time.time() - entry.started) * 1000, 3)


def _known(model: str) -> ModelTraits:
    traits = traits_of(model)
    if traits is None:
        raise ApiProblem(404, f"model: {model}")
    return traits


def _api_key(request: web.Request) -> str:
    """Return a hash of the key; any key but none will do. ApiProblem (401, 400) else."""
    key = request.headers.get("x-api-key", "").strip()
    if not key:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        key = token.strip() if scheme.lower() == "bearer" else ""
    if not key:
        raise ApiProblem(401, "x-api-key header is required")
    if not request.headers.get("anthropic-version"):
        raise invalid("anthropic-version: header is required")
    return hashlib.sha256(key.encode()).hexdigest()
