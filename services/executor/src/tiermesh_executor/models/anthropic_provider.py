"""The Messages API through the `anthropic` SDK: any base URL that speaks it, Bedrock, Vertex.

The SDK's own retries are off, because the executor's failover is the one layer that
retries; its own tracing is on, content off. A stream without its final event is an
error, though the SDK does not call it one.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import anthropic
from anthropic.types import RawMessageStreamEvent

from tiermesh_executor.models.anthropic_errors import to_provider_error
from tiermesh_executor.models.anthropic_wire import EventTranslator, request_body
from tiermesh_executor.models.events import ModelEvent
from tiermesh_executor.models.http_client import new_http_client
from tiermesh_executor.models.provider import ErrorKind, ProviderError
from tiermesh_executor.models.request import ModelRequest
from tiermesh_executor.models.watch import Watch

_FIRST_TOKENS = frozenset({"content_block_start", "content_block_delta"})
# Given as an option, so that no environment variable can switch content on.
_TRACES: anthropic.OpenTelemetryTraces = {"enabled": True, "content_mode": "metadata_only"}
RawStream = anthropic.AsyncStream[RawMessageStreamEvent]
Client = anthropic.AsyncAnthropic | anthropic.AsyncAnthropicBedrock | anthropic.AsyncAnthropicVertex


class AnthropicProvider:
    """One client with its connection pool."""

    def __init__(self, client: Client, *, name: str = "anthropic") -> None:
        """See the functions below for clients."""
        self.name = name
        self._client = client

    async def close(self) -> None:
        """Closes the pool."""
        await self._client.close()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """See `Provider.stream`."""
        watch = Watch(request)
        maker = f"{self.name}/{request.model}"
        raw = await self._open(request, maker, watch)
        request_id = raw.response.headers.get("request-id", "")
        translator = EventTranslator(maker)
        try:
            while not translator.finished:
                event = await _next(raw, watch)
                if event is None:
                    raise ProviderError(ErrorKind.TRUNCATED, "the provider's stream ended without its final event")
                for translated in _translated(translator, event, request_id):
                    yield translated
                # Thinking counts as a sign of life, though none of it is shown.
                watch.heard(speech=event.type in _FIRST_TOKENS)
        finally:
            await raw.close()

    async def _open(self, request: ModelRequest, maker: str, watch: Watch) -> RawStream:
        client: Any = self._client
        if request.conversation_id:
            client = client.with_options(open_telemetry={"traces": _TRACES, "conversation_id": request.conversation_id})
        try:
            async with asyncio.timeout_at(watch.until):
                raw: RawStream = await client.messages.create(**request_body(request, maker), stream=True)
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
        open_telemetry={"traces": _TRACES},
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
        open_telemetry={"traces": _TRACES},
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
        open_telemetry={"traces": _TRACES},
    )


async def _next(raw: RawStream, watch: Watch) -> RawMessageStreamEvent | None:
    try:
        async with asyncio.timeout_at(watch.until):
            return await anext(raw, None)
    except TimeoutError:
        raise watch.timed_out() from None
    except Exception as error:
        raise to_provider_error(error, started=True) from error


def _translated(translator: EventTranslator, event: RawMessageStreamEvent, request_id: str) -> list[ModelEvent]:
    try:
        return list(translator.translate(event, request_id))
    except Exception as error:
        raise to_provider_error(error, started=True) from error
