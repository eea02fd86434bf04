"""The tools of all servers together, as one caller may use them; lists are remembered for a short while."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from tiermesh_executor.context import CallContext
from tiermesh_executor.deadline import Deadline
from tiermesh_executor.failures import ToolsUnavailableError
from tiermesh_executor.tools.catalogue import Tool, ToolServer, ToolServerError

LIST_SECONDS = 3.0
REMEMBER_SECONDS = 30.0
_REMEMBERED = 512


@dataclass(frozen=True, slots=True)
class _Remembered:
    tools: Sequence[Tool]
    until: float


class ToolSource:
    """All tool servers of a deployment."""

    def __init__(self, servers: Sequence[ToolServer], *, remember_seconds: float = REMEMBER_SECONDS) -> None:
        """Where two servers have a tool of the same name, the first one's counts."""
        self._servers = servers
        self._remember_seconds = remember_seconds
        self._lists: OrderedDict[tuple[str, str, str, frozenset[str]], _Remembered] = OrderedDict()
        self._log = structlog.get_logger("tiermesh_executor.tools")

    async def list(self, context: CallContext, deadline: Deadline) -> list[Tool]:
        """Raises ToolsUnavailableError when no server answers; one that is down only lacks its own tools."""
        if not self._servers:
            return []
        timeout = min(LIST_SECONDS, deadline.remaining())
        lists = await asyncio.gather(*(self._of(server, context, timeout) for server in self._servers))
        if all(found is None for found in lists):
            raise ToolsUnavailableError("No tool server answers, so nothing can be looked up; try again in a moment.")
        tools: dict[str, Tool] = {}
        for found in lists:
            for tool in found or ():
                if tools.setdefault(tool.name, tool) is not tool:
                    self._log.warning("tool_name_taken", tool=tool.name, server=tool.server.name)
        return list(tools.values())

    async def _of(self, server: ToolServer, context: CallContext, timeout: float) -> Sequence[Tool] | None:
        key = (server.name, context.tenant, context.pack_version, context.roles)
        known = self._lists.get(key)
        if known is not None and known.until > time.monotonic():
            return known.tools
        try:
            tools = await server.list_tools(context, timeout)
        except ToolServerError as error:
            self._log.warning("tool_server_down", server=server.name, reason=error.reason)
            # An old list is better than none: its calls will say themselves what fails.
            return known.tools if known is not None else None
        self._lists[key] = _Remembered(tools, time.monotonic() + self._remember_seconds)
        self._lists.move_to_end(key)
        if len(self._lists) > _REMEMBERED:
            self._lists.popitem(last=False)
        return tools
