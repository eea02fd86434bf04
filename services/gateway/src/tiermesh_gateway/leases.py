"""Rate and concurrency of a tenant over all replicas: each process takes from the tenant's account what it hands out.

Taken in blocks of what a tenth of a second brings, or a thirty-second of the concurrency: a busy tenant costs ten
transactions a second and process, and one of ten questions a second (thirty-two at once) is counted one by one. What is
not handed out goes back after a second. So never more run at once than allowed, and in no span of time are more let in
than its rate and burst bring plus one block for each process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from math import floor
from typing import Any

import structlog
from tiermesh_policy.tenant import Limits

from tiermesh_gateway.background import Background
from tiermesh_gateway.errors import RateLimited, StoreUnavailable
from tiermesh_gateway.ports import Accounts, Present

TOPIC = "limits"
_BLOCK_SECONDS = 0.1
_SLOT_BLOCKS = 32
_BUSY_RETRY_SECONDS = 1.0
# A slot may come free at any replica at any time.
_BUSY_ASK_SECONDS = 0.05


@dataclass(slots=True)
class _Stock:
    """What this process holds of one tenant's limits."""

    limits: Limits
    tokens: int = 0
    # Questions that may run here at once, and those that do.
    slots: int = 0
    running: int = 0
    waiting: int = 0
    # Until then the account is not asked again, and this much is told at the least.
    refused_until: float = 0.0
    refusal: float = 0.0
    # True when something was taken since it was last looked at.
    used: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def lacks_slot(self) -> bool:
        return bool(self.limits.concurrent) and self.running >= self.slots

    @property
    def lacks_token(self) -> bool:
        return bool(self.limits.per_second) and self.tokens < 1

    @property
    def lacks(self) -> bool:
        return self.lacks_slot or self.lacks_token

    @property
    def idle(self) -> int:
        return max(self.slots - self.running, 0)


@dataclass(frozen=True, slots=True)
class Grant:
    """What an account gave; without `slots` and `tokens` the seconds until it is worth asking again."""

    tokens: int = 0
    slots: int = 0
    wait: float = 0.0


class Leases:
    """What this process has taken of the tenants' limits. For one event loop."""

    def __init__(self, accounts: Accounts, background: Background) -> None:
        self._accounts = accounts
        self._background = background
        self._stocks: dict[str, _Stock] = {}
        self._filling: set[asyncio.Future[Grant]] = set()

    async def take(self, tenant: str, limits: Limits) -> None:
        """Let one question in; every one ends with `release`. RateLimited, StoreUnavailable."""
        if not _limited(limits):
            return
        stock = self._stocks.setdefault(tenant, _Stock(limits))
        stock.limits = limits
        stock.waiting += 1
        try:
            while stock.lacks:
                self._refuse_again(stock)
                wait = await self._refilled(tenant, stock)
                if wait:
                    raise RateLimited(wait)
        finally:
            stock.waiting -= 1
        stock.used = True
        stock.running += 1
        if limits.per_second:
            stock.tokens -= 1

    def release(self, tenant: str, limits: Limits) -> None:
        """A question that was let in is over."""
        if not _limited(limits):
            return
        stock = self._stocks[tenant]
        stock.running -= 1
        if stock.refusal:
            stock.refused_until = 0.0
        if stock.idle >= _slot_block(limits):
            self._background.start(self._return(tenant, stock, tokens=0))

    async def give_back_idle(self) -> None:
        """Give back what was not used since the last time."""
        for tenant, stock in list(self._stocks.items()):
            if not stock.used and (stock.idle or stock.tokens):
                await self._return(tenant, stock, tokens=stock.tokens)
            elif not stock.used and not stock.running and not stock.waiting:
                del self._stocks[tenant]
            stock.used = False

    def _refuse_again(self, stock: _Stock) -> None:
        """Do not ask the account for what it has just said it has not: whoever asks too often must not keep it busy."""
        left = stock.refused_until - asyncio.get_running_loop().time()
        if left > 0:
            raise RateLimited(max(left, stock.refusal))

    async def _refilled(self, tenant: str, stock: _Stock) -> float:
        """Ask the account; the seconds until it is worth asking again where it gave nothing."""
        # Shielded: what the account gives must arrive, also when who asked for it is gone.
        filling = asyncio.ensure_future(self._refill(tenant, stock))
        self._filling.add(filling)
        filling.add_done_callback(self._filling.discard)
        grant = await asyncio.shield(filling)
        return grant.wait

    async def _refill(self, tenant: str, stock: _Stock) -> Grant:
        async with stock.lock:
            if not stock.lacks:
                return Grant()
            limits = stock.limits
            slots = stock.running + max(_slot_block(limits), stock.waiting) - stock.slots if stock.lacks_slot else 0
            tokens = max(_token_block(limits), stock.waiting) if stock.lacks_token else 0
            wanted = Wanted(limits, stock.slots, slots, tokens)
            grant = await self._accounts.change(tenant, TOPIC, partial(lease, wanted=wanted))
            stock.tokens += grant.tokens
            stock.slots += grant.slots
            if grant.wait:
                known_for = _BUSY_ASK_SECONDS if stock.lacks_slot else grant.wait
                stock.refused_until = asyncio.get_running_loop().time() + known_for
                stock.refusal = _BUSY_RETRY_SECONDS if stock.lacks_slot else 0.0
            return grant

    async def _return(self, tenant: str, stock: _Stock, *, tokens: int) -> None:
        async with stock.lock:
            slots, tokens = stock.idle, min(tokens, stock.tokens)
            if not slots and not tokens:
                return
            # First, so that nobody takes meanwhile what is about to be another's.
            stock.slots -= slots
            stock.tokens -= tokens
            try:
                returned = Wanted(stock.limits, stock.slots, 0, tokens)
                await self._accounts.change(tenant, TOPIC, partial(give_back, returned=returned))
            except StoreUnavailable as error:
                stock.slots += slots
                stock.tokens += tokens
                structlog.get_logger().warning("store_unavailable", problem=str(error))


State = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a process asks of an account: 0 of what it has enough of. `held` are the slots that it holds already."""

    limits: Limits
    held: int
    slots: int
    tokens: int


def lease(state: State, present: Present, wanted: Wanted) -> tuple[State, Grant]:
    """Take as much as there is of what is wanted; nothing of either where one of them is used up."""
    limits, filled = wanted.limits, _filled(state, present, wanted.limits)
    others = _others(state, present)
    free = max(limits.concurrent - sum(others.values()) - wanted.held, 0)
    slots, tokens = min(wanted.slots, free), min(wanted.tokens, floor(filled))
    if wanted.slots and not slots:
        return _state(filled, present, state, {**others, present.holder: wanted.held}), Grant(wait=_BUSY_RETRY_SECONDS)
    if wanted.tokens and not tokens:
        wait = (1.0 - filled) / limits.per_second
        return _state(filled, present, state, {**others, present.holder: wanted.held}), Grant(wait=wait)
    held = {**others, present.holder: wanted.held + slots}
    return _state(filled - tokens, present, state, held), Grant(tokens, slots)


def give_back(state: State, present: Present, returned: Wanted) -> tuple[State, None]:
    """Return tokens, and say that only `held` slots are still held."""
    filled = min(_filled(state, present, returned.limits) + returned.tokens, float(returned.limits.burst))
    return _state(filled, present, state, {**_others(state, present), present.holder: returned.held}), None


def _filled(state: State, present: Present, limits: Limits) -> float:
    """Tokens by now. Clocks of replicas differ: time that another has counted already is not counted again."""
    burst = float(limits.burst)
    elapsed = max(present.now - float(state.get("at", present.now)), 0.0)
    return min(burst, float(state.get("tokens", burst)) + elapsed * limits.per_second)


def _others(state: State, present: Present) -> dict[str, int]:
    """What the other processes hold; what a dead one held is free."""
    held = state.get("slots", {})
    return {holder: count for holder, count in held.items() if holder in present.alive and holder != present.holder}


def _state(tokens: float, present: Present, before: State, slots: Mapping[str, int]) -> State:
    at = max(present.now, before.get("at", present.now))
    return {"tokens": tokens, "at": at, "slots": {holder: count for holder, count in slots.items() if count}}


def _limited(limits: Limits) -> bool:
    return bool(limits.per_second or limits.concurrent)


def _token_block(limits: Limits) -> int:
    return max(1, min(floor(limits.per_second * _BLOCK_SECONDS), limits.burst))


def _slot_block(limits: Limits) -> int:
    return max(1, limits.concurrent // _SLOT_BLOCKS)
