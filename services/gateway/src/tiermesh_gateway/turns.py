"""Turns of one conversation, one after the other: by a lock in this process, by a hold in the store among all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from uuid import uuid4

from tiermesh_gateway.background import Background
from tiermesh_gateway.conversations import Conversation, TurnRecord
from tiermesh_gateway.errors import ConversationBusy, UnknownConversation
from tiermesh_gateway.ports import Conversations, HeldElsewhereError
from tiermesh_gateway.question import Owner, Question

_FIRST_LOOK_SECONDS = 0.005
_LONGEST_LOOK_SECONDS = 0.25


class TurnOrder:
    """One lock per conversation that is being talked in: within a process, turns come in the order of their asking."""

    def __init__(self, *, wait_seconds: float) -> None:
        self.wait_seconds = wait_seconds
        self._locks: dict[Hashable, asyncio.Lock] = {}
        self._users: dict[Hashable, int] = {}

    @asynccontextmanager
    async def turn(self, conversation: Hashable) -> AsyncIterator[None]:
        """Hold the conversation for the block; ConversationBusy when it stays taken for too long."""
        lock = self._locks.setdefault(conversation, asyncio.Lock())
        self._users[conversation] = self._users.get(conversation, 0) + 1
        try:
            try:
                async with asyncio.timeout(self.wait_seconds):
                    await lock.acquire()
            except TimeoutError:
                raise ConversationBusy from None
            try:
                yield
            finally:
                lock.release()
        finally:
            self._users[conversation] -= 1
            if not self._users[conversation]:
                del self._users[conversation], self._locks[conversation]


class Hold:
    """One turn's hold on its conversation, in the store."""

    def __init__(self, conversation: Conversation, opening: asyncio.Task[None] | None) -> None:
        self.conversation = conversation
        # What the turn adds when it lets go; None adds nothing.
        self.record: TurnRecord | None = None
        self._opening = opening

    async def ready(self) -> None:
        """Wait until the conversation is in the store: before its id is told to anyone."""
        if self._opening is not None:
            await asyncio.shield(self._opening)


class Holding:
    """Takes conversations for turns and lets them go, whatever becomes of the turn."""

    def __init__(self, order: TurnOrder, conversations: Conversations, background: Background) -> None:
        self._order = order
        self._conversations = conversations
        self._background = background

    @asynccontextmanager
    async def held(self, question: Question, conversation_id: str) -> AsyncIterator[Hold]:
        """Hold the conversation for the block. ConversationBusy, UnknownConversation, StoreUnavailable."""
        owner, token = question.owner, uuid4().hex
        opening: asyncio.Task[None] | None = None
        async with self._order.turn((owner, conversation_id)):
            hold: Hold | None = None
            try:
                if question.conversation_id:
                    hold = Hold(await self._known(owner, conversation_id, token), None)
                else:
                    # Beside the classification, which takes longer.
                    opening = asyncio.create_task(self._conversations.open_turn(owner, conversation_id, token))
                    hold = Hold(Conversation(conversation_id), opening)
                yield hold
            finally:
                record = None if hold is None else hold.record
                self._background.start(self._let_go(owner, conversation_id, token, record, opening))

    async def _known(self, owner: Owner, conversation_id: str, token: str) -> Conversation:
        """Look again and again while another process has it: there is no queue between processes."""
        pause = _FIRST_LOOK_SECONDS
        try:
            async with asyncio.timeout(self._order.wait_seconds):
                while True:
                    try:
                        known = await self._conversations.begin_turn(owner, conversation_id, token)
                    except HeldElsewhereError:
                        await asyncio.sleep(pause)
                        pause = min(pause * 2, _LONGEST_LOOK_SECONDS)
                        continue
                    if known is None:
                        raise UnknownConversation
                    return known
        except TimeoutError:
            raise ConversationBusy from None

    async def _let_go(
        self,
        owner: Owner,
        conversation_id: str,
        token: str,
        record: TurnRecord | None,
        opening: asyncio.Task[None] | None,
    ) -> None:
        if opening is not None:
            await asyncio.wait([opening])
            if opening.exception() is not None:
                return
        await self._conversations.end_turn(owner, conversation_id, token, record)
