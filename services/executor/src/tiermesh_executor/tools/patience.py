"""How a tool server is treated that is slow, throttled or down: limits and back-off, never a storm.

One around each server of a process. Which tools there are and what they return is the server's.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

import structlog

from tiermesh_executor.context import CallContext
from tiermesh_executor.models.breaker import Breaker, State
from tiermesh_executor.tools.catalogue import Tool, ToolResult, ToolServer, ToolServerError

# Of all questions together: what more would come waits here, not at a server in trouble.
AT_ONCE = 32
TRIES = 2
_BACKOFF_SECONDS = 0.2
_BUSY = "The tool's server is overloaded or down; do without it."


class PatientToolServer:
    """A `ToolServer` with limits."""

    def __init__(self, server: ToolServer, *, at_once: int = AT_ONCE) -> None:
        """`server` stays the caller's to close."""
        self.name = server.name
        self._server = server
        self._clock = asyncio.get_running_loop().time
        self._room = asyncio.Semaphore(at_once)
        self._changed = asyncio.Event()
        self._breaker = Breaker(self._clock, on_change=lambda _: self._changed.set())
        self._log = structlog.get_logger("tiermesh_executor.tools")

    async def list_tools(self, context: CallContext, timeout: float) -> Sequence[Tool]:
        """Not held back: it is what shows that the server is there again."""
        try:
            tools = await self._server.list_tools(context, timeout)
        except ToolServerError:
            raise
        except Exception as error:
            raise self._puzzling(error) from error
        return [replace(tool, server=self) for tool in tools]

    async def call(self, context: CallContext, name: str, arguments: str, call_id: str, timeout: float) -> ToolResult:
        """See `ToolServer`. Tries again once where the server asks for patience or has only lost a connection."""
        until = self._clock() + timeout
        tries = 0
        try:
            async with asyncio.timeout_at(until), self._room:
                while True:
                    tries += 1
                    try:
                        return await self._once(context, name, arguments, call_id, until - self._clock())
                    except ToolServerError as error:
                        pause = _pause(error, tries)
                        if pause is None or pause >= until - self._clock():
                            raise
                        await asyncio.sleep(pause)
        except TimeoutError:
            raise ToolServerError("The tool took too long; do without it.", "DEADLINE_EXCEEDED") from None

    async def _once(self, context: CallContext, name: str, arguments: str, call_id: str, timeout: float) -> ToolResult:
        await self._let_through()
        ticket = self._breaker.enter()
        answered = False
        try:
            result = await self._server.call(context, name, arguments, call_id, timeout)
            answered = True
            return result
        except ToolServerError as error:
            if error.in_trouble:
                self._breaker.failed(ticket, error)
            # What a server says no to, it is well enough to say.
            answered = not error.in_trouble
            raise
        except Exception as error:
            # Bytes that are no message, say: a fault of that server is none of this answer.
            failure = self._puzzling(error)
            self._breaker.failed(ticket, failure)
            raise failure from error
        finally:
            if answered:
                self._breaker.succeeded(ticket)
            else:
                self._breaker.abandoned(ticket)

    async def _let_through(self) -> None:
        """Raises ToolServerError while the circuit is open. A probe under way is waited for: refused beside it, one
        of an answer's two calls would come to nothing while the other is answered."""
        while self._breaker.wait():
            if self._breaker.state is not State.HALF_OPEN:
                raise ToolServerError(_BUSY, "TOOLS_UNAVAILABLE")
            self._changed.clear()
            await self._changed.wait()

    def _puzzling(self, error: Exception) -> ToolServerError:
        self._log.warning("tool_server_makes_no_sense", server=self.name, error=type(error).__name__)
        return ToolServerError("The tool's answer makes no sense; do without it.", "INTERNAL", in_trouble=True)


def _pause(error: ToolServerError, tries: int) -> float | None:
    """Before the next try; None for none."""
    if not error.passing or tries >= TRIES:
        return None
    jitter = random.uniform(0.5, 1.5)  # noqa: S311 - jitter
    return _BACKOFF_SECONDS * jitter if error.retry_after is None else error.retry_after
