"""An MCP server (streamable HTTP) as a `ToolServer`, through the official SDK.

The caller's principal goes along in a header, never in the arguments. MCP says little of
what a tool touches: a server that knows our kinds names them in the tool's `_meta`
("tiermesh/kind" and so on); of the others only tools that are declared read-only are
offered, as nothing writes without the user, and they count as look-ups.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import structlog
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, TextContent
from mcp_types import Tool as McpTool
from tiermesh_runtime import principal

from tiermesh_executor.context import CallContext
from tiermesh_executor.models.http_client import is_loopback
from tiermesh_executor.tools.catalogue import (
    JsonResult,
    RefusalResult,
    Tool,
    ToolKind,
    ToolResult,
    ToolServerError,
    readable_schema,
)

MAX_RESPONSE_BYTES = 4 * 1024 * 1024
_MAX_TOOLS = 200
_MAX_PAGES = 10
_META = "tiermesh/"
_UNFIT = re.compile(r"[^A-Za-z0-9_-]")
_DOWN = "The tool cannot be reached or failed; do without it."


class McpToolServer:
    """One address. A session lasts for one call, as each call has its caller's principal."""

    def __init__(self, url: str, *, token_file: Path | None = None) -> None:
        """`token_file` holds the bearer token of this service at that server; it is read anew for each call."""
        self.name = url
        self._token_file = token_file
        self._pool = httpx2.AsyncHTTPTransport(trust_env=not is_loopback(url))
        # As a model may name it, and as the server does.
        self._names: dict[str, str] = {}
        self._log = structlog.get_logger("tiermesh_executor.tools")

    async def close(self) -> None:
        """Gives up the connections."""
        await self._pool.aclose()

    async def list_tools(self, context: CallContext, timeout: float) -> Sequence[Tool]:
        """See `ToolServer`."""
        listed: list[McpTool] = []
        async with self._session(timeout) as session:
            cursor: str | None = None
            for _ in range(_MAX_PAGES):
                page = await session.list_tools(cursor=cursor)
                listed += page.tools
                cursor = page.next_cursor
                if not cursor or len(listed) >= _MAX_TOOLS:
                    break
        found = [tool for each in listed[:_MAX_TOOLS] if (tool := self._tool(each)) is not None]
        return list({tool.name: tool for tool in found}.values())

    async def call(self, context: CallContext, name: str, arguments: str, call_id: str, timeout: float) -> ToolResult:
        """See `ToolServer`."""
        async with self._session(timeout) as session:
            return _result(await session.call_tool(self._names.get(name, name), json.loads(arguments)))

    @asynccontextmanager
    async def _session(self, timeout: float) -> AsyncIterator[Client]:
        """Raises ToolServerError for whatever goes wrong inside."""
        http = httpx2.AsyncClient(
            headers=self._headers(), timeout=timeout, transport=_Bounded(self._pool, MAX_RESPONSE_BYTES)
        )
        transport = streamable_http_client(self.name, http_client=http, max_sse_event_size=MAX_RESPONSE_BYTES)
        try:
            async with http, Client(transport, read_timeout_seconds=timeout) as session:
                yield session
        except Exception as error:
            raise _failed(error) from error

    def _headers(self) -> Mapping[str, str]:
        headers = {principal.METADATA_KEY: principal.current().token}
        if self._token_file is not None:
            headers["authorization"] = f"Bearer {self._token_file.read_text(encoding='utf-8').strip()}"
        return headers

    def _tool(self, tool: McpTool) -> Tool | None:
        meta = {key.removeprefix(_META): value for key, value in (tool.meta or {}).items() if key.startswith(_META)}
        kind = _kind(meta.get("kind"))
        read_only = tool.annotations is not None and bool(tool.annotations.read_only_hint)
        if kind is ToolKind.OTHER and not read_only:
            self._log.warning("tool_left_out", tool=tool.name, reason="it is not declared read-only")
            return None
        schema = readable_schema(tool.name, json.dumps(tool.input_schema))
        if schema is None:
            return None
        name = _UNFIT.sub("_", tool.name)[:64]
        self._names[name] = tool.name
        intents = meta.get("intents")
        return Tool(
            name=name,
            description=(tool.description or tool.title or name)[:4_000],
            input_schema=schema,
            kind=kind,
            server=self,
            entity_argument=str(meta.get("entity_argument") or ""),
            intents=frozenset(map(str, intents)) if isinstance(intents, list) else frozenset(),
            domain=str(meta.get("domain") or ""),
            bulk_alternative=str(meta.get("bulk_alternative") or ""),
        )


def _kind(named: object) -> ToolKind:
    try:
        return ToolKind(str(named))
    except ValueError:
        return ToolKind.OTHER


def _result(result: CallToolResult) -> ToolResult:
    texts = [block.text for block in result.content if isinstance(block, TextContent)]
    if result.is_error:
        # Errors of a tool are meant for the model, which may mend its call once.
        return RefusalResult("\n".join(texts)[:2_000] or "The tool refused the call.")
    if result.structured_content is not None:
        return JsonResult(json.dumps(result.structured_content, ensure_ascii=False))
    left_out = len(result.content) - len(texts)
    note = [f"[{left_out} parts that are no text were left out]"] if left_out else []
    return JsonResult("\n".join([*texts, *note]))


def _failed(error: Exception) -> ToolServerError:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ToolServerError):
            return cause
        if isinstance(cause, TooLargeError):
            return ToolServerError("The tool's result is too large to be read; ask for less.", "TOO_LARGE")
    throttled = next((cause for cause in causes if isinstance(cause, ThrottledError)), None)
    if throttled is not None:
        return ToolServerError(_DOWN, "OVERLOADED", in_trouble=True, passing=True, retry_after=throttled.retry_after)
    # An error of the protocol is an answer; anything else says that the server is not well.
    answered = any(isinstance(cause, MCPError) for cause in causes)
    return ToolServerError(_DOWN, "TOOLS_UNAVAILABLE", in_trouble=not answered)


def _causes(error: BaseException) -> Sequence[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [cause for part in error.exceptions for cause in _causes(part)]
    return [error, *(_causes(error.__cause__) if error.__cause__ is not None else ())]


class TooLargeError(httpx2.ReadError):
    """More came than may come."""


class ThrottledError(httpx2.ReadError):
    """The server asks for patience."""

    def __init__(self, retry_after: float | None) -> None:
        super().__init__("the server answered 429 or 503")
        self.retry_after = retry_after


class _Bounded(httpx2.AsyncBaseTransport):
    """Lets no response grow beyond a limit; leaves the pool that it uses open."""

    def __init__(self, pool: httpx2.AsyncBaseTransport, limit: int) -> None:
        self._pool = pool
        self._limit = limit

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._pool.handle_async_request(request)
        if response.status_code in (429, 503):
            await response.aclose()
            value = response.headers.get("retry-after", "")
            raise ThrottledError(float(value) if value.isdigit() else None)
        body = response.stream
        if not isinstance(body, httpx2.AsyncByteStream):
            return response
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_BoundedStream(body, self._limit),
            extensions=response.extensions,
        )


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, body: httpx2.AsyncByteStream, limit: int) -> None:
        self._body = body
        self._left = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._body:
            self._left -= len(piece)
            if self._left < 0:
                raise TooLargeError("the response is too large")
            yield piece

    async def aclose(self) -> None:
        await self._body.aclose()
