"""Any server of OpenAI-compatible chat completions, through the `openai` SDK.

The SDK's own retries are off, because the executor's failover is the one layer that
retries. It has no tracing of its own, so the span of a call is made here. A stream
without a reason to stop is an error, though the SDK does not call it one.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import openai
from openai.types.chat import ChatCompletionChunk

from tiermesh_executor.models.events import ModelEvent, Usage, UsageSeen
from tiermesh_executor.models.http_client import new_http_client
from tiermesh_executor.models.openai_errors import to_provider_error
from tiermesh_executor.models.openai_wire import ChunkTranslator, request_body
from tiermesh_executor.models.provider import ProviderError
from tiermesh_executor.models.request import ModelRequest
from tiermesh_executor.models.span import ChatSpan
from tiermesh_executor.models.watch import Watch

# The figures come after the final event; a server that has none is not waited for longer.
_USAGE_SECONDS = 2.0
Chunks = openai.AsyncStream[ChatCompletionChunk]


class OpenAIProvider:
    """One client with its connection pool."""

    def __init__(self, *, api_key: str, base_url: str | None = None, name: str = "openai", max_tokens_as: str) -> None:
        """`base_url` None is the provider's own; `max_tokens_as` is the field's name there."""
        self.name = name
        self._max_tokens_as = max_tokens_as
        http, timeout = new_http_client(base_url)
        self._client = openai.AsyncOpenAI(
            api_key=api_key, base_url=base_url, max_retries=0, timeout=timeout, http_client=http
        )

    async def close(self) -> None:
        """Closes the pool."""
        await self._client.close()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """See `Provider.stream`."""
        watch = Watch(request)
        with ChatSpan(self.name, request) as span:
            raw = await self._open(request, watch, span.headers())
            translator = ChunkTranslator()
            try:
                async for event in _events(raw, translator, watch):
                    span.observe(event)
                    yield event
                end = translator.end()
                span.observe(end)
                yield end
            finally:
                await raw.close()

    async def _open(self, request: ModelRequest, watch: Watch, headers: dict[str, str]) -> Chunks:
        body: dict[str, Any] = request_body(request, f"{self.name}/{request.model}", max_tokens_as=self._max_tokens_as)
        try:
            async with asyncio.timeout_at(watch.until):
                raw: Chunks = await self._client.chat.completions.create(**body, stream=True, extra_headers=headers)
                return raw
        except TimeoutError:
            raise watch.timed_out() from None
        except Exception as error:
            raise to_provider_error(error, started=False) from error


async def _events(raw: Chunks, translator: ChunkTranslator, watch: Watch) -> AsyncGenerator[ModelEvent, None]:
    """Until the server's end; after the final event only the figures are waited for."""
    request_id = raw.response.headers.get("x-request-id", "")
    usage = Usage()
    while (chunk := await _next(raw, watch)) is not None:
        for event in _translated(translator, chunk, request_id, watch):
            usage = event.usage if isinstance(event, UsageSeen) else usage
            yield event
        if translator.stop is not None:
            break
    if translator.stop is None or usage != Usage():
        return
    try:
        async with asyncio.timeout(_USAGE_SECONDS):
            async for chunk in raw:
                for event in _translated(translator, chunk, request_id, watch):
                    # What else a server says after its end is no part of the answer.
                    if isinstance(event, UsageSeen):
                        yield event
    except (TimeoutError, ProviderError, openai.OpenAIError, httpx2.HTTPError, ValueError):
        # The answer is whole; what it cost is booked as "at least".
        return


async def _next(raw: Chunks, watch: Watch) -> ChatCompletionChunk | None:
    try:
        async with asyncio.timeout_at(watch.until):
            return await anext(raw, None)
    except TimeoutError:
        raise watch.timed_out() from None
    except Exception as error:
        raise to_provider_error(error, started=True) from error


def _translated(
    translator: ChunkTranslator, chunk: ChatCompletionChunk, request_id: str, watch: Watch
) -> list[ModelEvent]:
    try:
        watch.heard(speech=translator.speaks(chunk))
        return list(translator.translate(chunk, request_id))
    except Exception as error:
        raise to_provider_error(error, started=True) from error
