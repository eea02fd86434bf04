"""Asks the gateway and gives the events back as plain values."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tiermesh_client import TiermeshClient
from tiermesh_client.events import event_values


@dataclass(frozen=True)
class Asker:
    """One signed-in person at one gateway."""

    client: TiermeshClient

    async def ask(
        self,
        text: str,
        *,
        conversation_id: str = "",
        request_id: str = "",
        pill_token: str = "",
        timeout: float = 60.0,
    ) -> AsyncIterator[dict[str, Any]]:
        """Ask one question and yield its events as plain values."""
        async for response in self.client.ask(
            text, conversation_id=conversation_id, request_id=request_id, pill_token=pill_token, timeout=timeout
        ):
            yield event_values(response)


@asynccontextmanager
async def signed_in(address: str, token: str) -> AsyncIterator[Asker]:
    """Open a client for the block."""
    async with TiermeshClient(address, token=token) as client:
        yield Asker(client)
