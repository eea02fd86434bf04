"""The HTTP application: routes, the headers of every response, errors as bodies, and the admin endpoints.

Not here: what the endpoints of the API do (`messages.py`).
"""

from __future__ import annotations

import itertools
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web
from pydantic import ValidationError

from tiermesh_simulator.cache import PromptCache
from tiermesh_simulator.faults import Faults
from tiermesh_simulator.journal import Journal
from tiermesh_simulator.messages import REQUEST_ID, MessagesApi
from tiermesh_simulator.problems import ApiError, error_body, invalid
from tiermesh_simulator.rules.engine import RuleEngine
from tiermesh_simulator.settings import SimulatorSettings, Timing

MAX_BODY: Final = 32 * 1024 * 1024
HEADER: Final = "x-tiermesh-simulator"
NEW_ID: Final[web.AppKey[Callable[[str], str]]] = web.AppKey("new_id")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Clock:
    """The cache's time: real, plus what tests have advanced it by."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        """Return seconds."""
        return time.monotonic() + self._ahead

    def advance(self, seconds: float) -> None:
        """Go forward."""
        self._ahead += seconds


class Admin:
    """The endpoints under `/simulator`, which the real API does not have."""

    def __init__(self, api: MessagesApi, cache: PromptCache, faults: Faults, journal: Journal, clock: Clock) -> None:
        self._api = api
        self._cache = cache
        self._faults = faults
        self._journal = journal
        self._clock = clock

    async def requests(self, request: web.Request) -> web.Response:
        """List what was seen; `?bodies=1` with bodies and headers."""
        return web.json_response(self._journal.report(bodies=request.query.get("bodies") == "1"))

    async def reset(self, request: web.Request) -> web.Response:
        """Forget requests, faults and the prompt cache."""
        self._journal.clear()
        self._faults.clear()
        self._cache.clear()
        return web.json_response({"reset": True})

    async def list_faults(self, request: web.Request) -> web.Response:
        """List what is armed."""
        return web.json_response({"faults": self._faults.listing()})

    async def arm(self, request: web.Request) -> web.Response:
        """Arm a fault: `{"fault": spec, "model": substring, "count": n or null, "skip": n, "every": n}`."""
        body = await _json(request)
        numbers = {"skip": 0, "every": 1}
        for name in body:
            if name not in ("fault", "model", "count", "skip", "every"):
                raise invalid(f"{name}: not known; use fault, model, count, skip, every")
        for name, default in numbers.items():
            value = body.get(name, default)
            if not isinstance(value, int) or value < 0:
                raise invalid(f"{name}: must be a number, not negative")
            numbers[name] = value
        count = body.get("count", 1)
        if count is not None and (not isinstance(count, int) or count < 1):
            raise invalid("count: must be a number of at least 1, or null for all")
        self._faults.arm(str(body.get("fault", "")), model=str(body.get("model", "")), count=count, **numbers)
        return web.json_response({"faults": self._faults.listing()})

    async def disarm(self, request: web.Request) -> web.Response:
        """Disarm all."""
        self._faults.clear()
        return web.json_response({"faults": []})

    async def pace(self, request: web.Request) -> web.Response:
        """Change how fast all classes speak from here on: any of first_token_ms, chunk_ms, chunk_chars, chunks."""
        body = await _json(request)
        for name in body:
            if name not in Timing.model_fields:
                raise invalid(f"{name}: not known; use {', '.join(Timing.model_fields)}")
        try:
            self._api.pace(body)
        except ValidationError as error:
            problem = error.errors()[0]
            raise invalid(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}") from error
        return web.json_response({"pace": body})

    async def advance(self, request: web.Request) -> web.Response:
        """Move the cache's clock forward: `{"advance_seconds": n}`."""
        seconds = (await _json(request)).get("advance_seconds")
        if not isinstance(seconds, (int, float)) or seconds < 0:
            raise invalid("advance_seconds: must be a number, not negative")
        self._clock.advance(seconds)
        return web.json_response({"advanced": seconds})


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        raise invalid("The request body is not valid JSON") from error
    if not isinstance(body, dict):
        raise invalid("The request body must be a JSON object")
    return body


@web.middleware
async def _outermost(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Give every request an id, and every problem the API's error body."""
    new_id: Callable[[str], str] = request.app[NEW_ID]
    request[REQUEST_ID] = new_id("req_")
    try:
        return await handler(request)
    except ApiError as problem:
        return web.json_response(problem.body(request[REQUEST_ID]), status=problem.status, headers=problem.headers)
    except web.HTTPRequestEntityTooLarge:
        too_large = ApiError(413)
        return web.json_response(too_large.body(request[REQUEST_ID]), status=413)
    except web.HTTPException as error:
        kind = "not_found_error" if error.status == 404 else "invalid_request_error"
        return web.json_response(error_body(kind, error.reason, request[REQUEST_ID]), status=error.status)
    except Exception:
        # A fault of the rules: told in the log, and to the caller as the real API tells its own.
        logging.getLogger("tiermesh_simulator").exception("a request failed")
        return web.json_response(ApiError(500).body(request[REQUEST_ID]), status=500)


async def _mark(request: web.Request, response: web.StreamResponse) -> None:
    """Say on every response that no model is behind it."""
    response.headers[HEADER] = "no-model"
    response.headers["request-id"] = request.get(REQUEST_ID, "")
    response.headers["anthropic-organization-id"] = "tiermesh-simulator"


async def _health(request: web.Request) -> web.Response:
    return web.json_response({"status": "ok", "simulator": "no-model"})


def build_app(settings: SimulatorSettings) -> web.Application:
    """Build the application."""
    numbers = itertools.count(1)

    def new_id(prefix: str) -> str:
        return f"{prefix}simulator{next(numbers):012d}"

    clock, faults, journal = Clock(), Faults(), Journal(settings.journal_size)
    cache = PromptCache(clock)
    api = MessagesApi(
        settings=settings,
        engine=RuleEngine(escalate=settings.escalate),
        cache=cache,
        faults=faults,
        journal=journal,
        new_id=new_id,
    )
    admin = Admin(api, cache, faults, journal, clock)
    app = web.Application(middlewares=[_outermost], client_max_size=MAX_BODY)
    app[NEW_ID] = new_id
    app.on_response_prepare.append(_mark)
    app.add_routes(
        [
            web.post("/v1/messages", api.create),
            web.post("/v1/messages/count_tokens", api.count_tokens),
            web.get("/healthz", _health),
            web.get("/simulator/requests", admin.requests),
            web.post("/simulator/reset", admin.reset),
            web.get("/simulator/faults", admin.list_faults),
            web.post("/simulator/faults", admin.arm),
            web.delete("/simulator/faults", admin.disarm),
            web.post("/simulator/clock", admin.advance),
            web.post("/simulator/pace", admin.pace),
        ]
    )
    return app
