"""The Messages API through the `anthropic` SDK: any base URL that speaks it, Bedrock, Vertex.

The SDK's own retries are off, because the executor's failover is the one layer that
retries. Its reading of streams and its tracing are left aside too: both make objects of every
event, which cost as much as the rest of the executor. A stream without its final event is an
error, though the SDK does not call it one.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import Any

import anthropic
import httpx2
from anthropic.types import RawMessageStreamEvent

from tiermesh_executor.models.anthropic_errors import of_error_event, to_provider_error
from tiermesh_executor.models.anthropic_wire import EventTranslator, RawEvent, merged, request_body
from tiermesh_executor.models.events import ModelEvent
from tiermesh_executor.models.http_client import new_http_client
from tiermesh_executor.models.provider import ErrorKind, ProviderError
from tiermesh_executor.models.request import ModelRequest
from tiermesh_executor.models.server_sent import ServerSentEvents
from tiermesh_executor.models.span import ChatSpan
from tiermesh_executor.models.watch import Watch

_FIRST_TOKENS = frozenset({"content_block_start", "content_block_delta"})
# After the final event only the end of the response is missing: with it the connection serves the next call, too.
_REUSE_SECONDS = 0.02
RawStream = anthropic.AsyncStream[RawMessageStreamEvent]
Client = anthropic.AsyncAnthropic | anthropic.AsyncAnthropicBedrock | anthropic.AsyncAnthropicVertex


class AnthropicProvider:
    """One client with its connection pool."""

    def __init__(self, client: Client, *, name: str = "anthropic") -> None:
        """See the functions below for clients."""
        self.name = name
        self._client = client
        # Bedrock wraps events in frames of its own, which the SDK reads.
        self._framed = isinstance(client, anthropic.AsyncAnthropicBedrock)

    async def close(self) -> None:
        """Closes the pool."""
        await self._client.close()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """See `Provider.stream`."""
        watch = Watch(request)
        maker = f"{self.name}/{request.model}"
        with ChatSpan(self.name, request) as span:
            raw = await self._open(request, maker, watch, span.headers())
            request_id = raw.response.headers.get("request-id", "")
            translator = EventTranslator(maker)
            reads = _framed(raw) if self._framed else _plain(raw.response, request_id)
            try:
                while not translator.finished:
                    events = await _next(reads, watch)
                    if events is None:
                        raise ProviderError(ErrorKind.TRUNCATED, "the provider's stream ended without its final event")
                    translated, broken = _translated(translator, events, request_id)
                    for event in translated:
                        span.observe(event)
                        yield event
                    if broken is not None:
                        raise to_provider_error(broken, started=True) from broken
                    # Thinking counts as a sign of life, though none of it is shown.
                    watch.heard(speech=any(each["type"] in _FIRST_TOKENS for each in events))
                await _read_to_the_end(reads)
            finally:
                await raw.close()

    async def _open(self, request: ModelRequest, maker: str, watch: Watch, headers: dict[str, str]) -> RawStream:
        client: Any = self._client
        try:
            async with asyncio.timeout_at(watch.until):
                raw: RawStream = await client.messages.create(
                    **request_body(request, maker), stream=True, extra_headers=headers
                )
                return raw
        except TimeoutError:
            raise watch.timed_out() from None
        except Exception as error:
            raise to_provider_error(error, started=False) from error


def messages_api(api_key: str, base_url: str | None = None) -> Client:
    """`base_url` None is the provider's own."""
    http, timeout = new_http_client(base_url)
    return anthropic.AsyncAnthropic(
        api_key=api_key,
        base_url=base_url,
        max_retries=0,
        timeout=timeout,
        http_client=http,
        open_telemetry=False,
    )


def bedrock(region: str, *, api_key: str | None = None, base_url: str | None = None) -> Client:
    """Without a key, the credentials of the environment sign the calls."""
    http, timeout = new_http_client(base_url)
    return anthropic.AsyncAnthropicBedrock(
        aws_region=region,
        api_key=api_key,
        base_url=base_url,
        max_retries=0,
        timeout=timeout,
        http_client=http,
        open_telemetry=False,
    )


def vertex(region: str, project: str, *, base_url: str | None = None) -> Client:
    """The credentials of the environment sign the calls."""
    http, timeout = new_http_client(base_url)
    return anthropic.AsyncAnthropicVertex(
        region=region,
        project_id=project,
        base_url=base_url,
        max_retries=0,
        timeout=timeout,
        http_client=http,
        open_telemetry=False,
    )


Reads = AsyncIterator[list[RawEvent]]


async def _plain(response: httpx2.Response, request_id: str) -> Reads:
    """What each read from the network has made whole; what came before a broken event first."""
    events = ServerSentEvents()
    async for data in response.aiter_bytes():
        found: list[RawEvent] = []
        broken: Exception | None = None
        try:
            for name, text in events.feed(data):
                if name == "error":
                    raise of_error_event(text, request_id)
                if name not in ("", "ping"):
                    found.append(json.loads(text))
        except (ProviderError, ValueError) as error:
            broken = error
        if found:
            yield found
        if broken is not None:
            raise broken


async def _framed(raw: RawStream) -> Reads:
    async for event in raw:
        yield [event.to_dict()]


async def _next(reads: Reads, watch: Watch) -> list[RawEvent] | None:
    try:
        async with asyncio.timeout_at(watch.until):
            return await anext(reads, None)
    except TimeoutError:
        raise watch.timed_out() from None
    except Exception as error:
        raise to_provider_error(error, started=True) from error


def _translated(
    translator: EventTranslator, events: Iterable[RawEvent], request_id: str
) -> tuple[list[ModelEvent], Exception | None]:
    """What the events say, up to one that makes no sense."""
    found: list[ModelEvent] = []
    try:
        for event in events:
            found.extend(translator.translate(event, request_id))
    except Exception as error:
        return merged(found), error
    return merged(found), None


async def _read_to_the_end(reads: Reads) -> None:
    try:
        async with asyncio.timeout(_REUSE_SECONDS):
            async for _ in reads:
                pass
    except (TimeoutError, ProviderError, httpx2.HTTPError, ValueError):
        # The answer is whole; the connection is closed instead.
        return
