"""Connections between services that can be slowed, cut, reset and swallowed: a TCP forwarder per caller and callee.

The kernels that tests run on have no netem; what a broken network does to a connection is acted out here.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_PIECE = 65536


@dataclass
class Link:
    """One forwarder. What is set holds for connections that are open, too."""

    target: tuple[str, int]
    address: str = ""
    # Seconds by which each piece is late, in each direction.
    delay: float = 0.0
    # Bytes per second in the direction of the caller; 0 is no limit.
    rate: float = 0.0
    # Nothing passes, and nothing is refused: packets go into a black hole.
    swallowing: bool = False
    # New connections are reset at once.
    refusing: bool = False
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)

    def swallow(self, on: bool) -> None:
        """Let nothing through, or everything again. What was under way is delivered late, as TCP does."""
        self.swallowing = on
        self._flowing.clear() if on else self._flowing.set()

    def reset(self) -> int:
        """Reset every connection (RST); return how many there were."""
        writers = list(self._open)
        for writer in writers:
            _reset(writer)
        return len(writers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection."""
        if self.refusing:
            _reset(writer)
            return
        try:
            there, back = await asyncio.open_connection(*self.target)
        except OSError:
            _reset(writer)
            return
        for each in (writer, back):
            each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = {writer, back}
        self._open |= pair
        try:
            ways = [
                asyncio.create_task(self._forward(reader, back, 0.0)),
                asyncio.create_task(self._forward(there, writer, 1.0)),
            ]
            _, left = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in left:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        finally:
            self._open -= pair
            for each in pair:
                each.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limited: float) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(_PIECE):
                await self._flowing.wait()
                wait = self.delay + (limited * len(piece) / self.rate if self.rate else 0.0)
                if wait:
                    await asyncio.sleep(wait)
                writer.write(piece)
                await writer.drain()


class Links:
    """The forwarders of a deployment, by caller and callee."""

    def __init__(self) -> None:
        self._links: dict[tuple[str, str], Link] = {}
        self._servers: list[asyncio.Server] = []

    def __getitem__(self, edge: tuple[str, str]) -> Link:
        return self._links[edge]

    async def add(self, caller: str, callee: str, port: int, host: str = "127.0.0.1") -> Link:
        """Forward for `caller`, who reaches `host`, to the callee's port on loopback."""
        link = Link(("127.0.0.1", port))
        link.swallow(False)
        server = await asyncio.start_server(link.serve, host, 0)
        self._servers.append(server)
        link.address = f"{host}:{server.sockets[0].getsockname()[1]}"
        self._links[caller, callee] = link
        return link

    def to(self, callee: str) -> list[Link]:
        """Return every caller's link to one callee."""
        return [link for (_, name), link in self._links.items() if name == callee]

    def address(self, caller: str, callee: str, otherwise: str) -> str:
        """Return under which address `caller` knows `callee`."""
        link = self._links.get((caller, callee))
        return otherwise if link is None else link.address

    def close(self) -> None:
        """Stop listening and drop every connection."""
        for server in self._servers:
            server.close()
        for link in self._links.values():
            link.swallow(False)
            link.reset()


@asynccontextmanager
async def linked(edges: Iterable[tuple[str, str, int]]) -> AsyncIterator[Links]:
    """Forward for each (caller, callee, port) while the block runs."""
    links = Links()
    try:
        for caller, callee, port in edges:
            await links.add(caller, callee, port)
        yield links
    finally:
        links.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
