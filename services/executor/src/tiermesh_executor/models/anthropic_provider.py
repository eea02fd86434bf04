"""The Messages API through the `anthropic` SDK: any base URL that speaks it.

The SDK's own retries are off, because the executor's failover is the one layer that
retries; its own tracing is on, content off. A stream without its final event is an
error, though the SDK does not call it one.
"""

import asyncio
import ipaddress
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import urlsplit

import anthropic
import httpx2
from anthropic.types import RawMessageStreamEvent

from tiermesh_executor.models.anthropic_errors import to_provider_error
from tiermesh_executor.models.anthropic_wire import EventTranslator, request_body
from tiermesh_executor.models.events import ModelEvent
from tiermesh_executor.models.provider import ErrorKind, ProviderError
from tiermesh_executor.models.request import ModelRequest

_CONNECT_SECONDS = 5.0
_MAX_CONNECTIONS = 500
_FIRST_TOKENS = frozenset({"content_block_start", "content_block_delta"})
# Given as an option, so that no environment variable can switch content on.
_TRACES: anthropic.OpenTelemetryTraces = {"enabled": True, "content_mode": "metadata_only"}
RawStream = anthropic.AsyncStream[RawMessageStreamEvent]


class AnthropicProvider:
    """One client with its connection pool."""

    def __init__(self, *, api_key: str, base_url: str | None = None, name: str = "anthropic") -> None:
        """`base_url` None is the provider's own."""
        self.name = name
        # Reads have no timeout of the HTTP client's: first token and stall are watched here.
        timeout = httpx2.Timeout(None, connect=_CONNECT_SECONDS, pool=_CONNECT_SECONDS)
        http = httpx2.AsyncClient(
            timeout=timeout,
            limits=httpx2.Limits(max_connections=_MAX_CONNECTIONS, max_keepalive_connections=100),
            # A proxy of the environment would catch a server on this machine.
            trust_env=not is_loopback(base_url),
        )
        self._client = anthropic.AsyncAnthropic(
            api_key=api_key,
            base_url=base_url,
            max_retries=0,
            timeout=timeout,
            http_client=http,
            open_telemetry={"traces": _TRACES},
        )

    async def close(self) -> None:
        """Closes the pool."""
        await self._client.close()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """See `Provider.stream`."""
        clock = asyncio.get_running_loop().time
        first_token_by = clock() + request.first_token_seconds
        raw = await self._open(request, first_token_by)
        request_id = raw.response.headers.get("request-id", "")
        translator = EventTranslator(request.model)
        waiting = ErrorKind.SLOW_FIRST_TOKEN
        wait_until = first_token_by
        try:
            while not translator.finished:
                event = await _next(raw, min(wait_until, request.expires_at), waiting, request)
                if event is None:
                    raise ProviderError(ErrorKind.TRUNCATED, "the provider's stream ended without its final event")
                for translated in _translated(translator, event, request_id):
                    yield translated
                if waiting is ErrorKind.STALLED or event.type in _FIRST_TOKENS:
                    # Thinking counts as a sign of life, though none of it is shown.
                    waiting, wait_until = ErrorKind.STALLED, clock() + request.stall_seconds
        finally:
            await raw.close()

    async def _open(self, request: ModelRequest, first_token_by: float) -> RawStream:
        client: Any = self._client
        if request.conversation_id:
            client = self._client.with_options(
                open_telemetry={"traces": _TRACES, "conversation_id": request.conversation_id}
            )
        try:
            async with asyncio.timeout_at(min(first_token_by, request.expires_at)):
                raw: RawStream = await client.messages.create(**request_body(request), stream=True)
                return raw
        except TimeoutError:
            raise _timed_out(ErrorKind.SLOW_FIRST_TOKEN, request) from None
        except Exception as error:
            raise to_provider_error(error, started=False) from error


async def _next(
    raw: RawStream, until: float, waiting: ErrorKind, request: ModelRequest
) -> RawMessageStreamEvent | None:
    try:
        async with asyncio.timeout_at(until):
            return await anext(raw, None)
    except TimeoutError:
        raise _timed_out(waiting, request) from None
    except Exception as error:
        raise to_provider_error(error, started=True) from error


def _translated(translator: EventTranslator, event: RawMessageStreamEvent, request_id: str) -> list[ModelEvent]:
    try:
        return list(translator.translate(event, request_id))
    except Exception as error:
        raise to_provider_error(error, started=True) from error


def _timed_out(waiting: ErrorKind, request: ModelRequest) -> ProviderError:
    if asyncio.get_running_loop().time() >= request.expires_at:
        return ProviderError(ErrorKind.DEADLINE, "the time for this call ran out")
    if waiting is ErrorKind.STALLED:
        return ProviderError(waiting, f"the model said nothing for {request.stall_seconds:g} s")
    return ProviderError(waiting, f"the model's first token took longer than {request.first_token_seconds:g} s")


def is_loopback(base_url: str | None) -> bool:
    """True for a server on this machine."""
    host = urlsplit(base_url or "").hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
