"""Two tiers at once: which of them is kept, and the governor that decides whether a second one is worth its cost.

The first whose first sentence is verified wins; where tier 1 gives up, tier 2 is on its way already. How a branch is
run is `answer`'s.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from tiermesh_policy import Route, TenantPolicy

from tiermesh_gateway.events import Committed, Saying, Speculated

E = TypeVar("E")

_MOST_WAITING = 64
_MEMORY = 1_000.0
# Before anything was measured: how often tier 2 is needed in the band, and what a serial hand-over would lose.
_FIRST_GUESS_NEEDED = 0.3
_FIRST_GUESS_SECONDS = 1.5
_FIRST_GUESS_WEIGHT = 5.0


class Branch(Generic[E]):
    """One of two executions: what it says waits, bounded, until it is chosen or stopped."""

    def __init__(self, run: Callable[[Callable[[Saying], Awaitable[None]]], Awaitable[E]]) -> None:
        """Starts at once. `run` passes each saying on and returns how it ended; it must not raise."""
        self.committed = False
        self.ended: E | None = None
        self.ended_at: float | None = None
        self._waiting: deque[Saying] = deque()
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._task = asyncio.create_task(self._drive(run))

    async def change(self) -> None:
        """Wait until there is something new to know of this branch."""
        await self._changed.wait()
        self._changed.clear()

    async def drain(self, pass_on: Callable[[Saying], Awaitable[None]]) -> E:
        """Pass on everything that was and is said, to its end."""
        while True:
            while self._waiting:
                saying = self._waiting.popleft()
                self._room.set()
                await pass_on(saying)
            if self.ended is not None:
                return self.ended
            await self.change()

    def cancel(self) -> None:
        """Stop it now; `gone` says when it has let go."""
        self._task.cancel()

    async def gone(self) -> None:
        """Wait until nothing of it runs any more."""
        await asyncio.wait([self._task])

    async def _drive(self, run: Callable[[Callable[[Saying], Awaitable[None]]], Awaitable[E]]) -> None:
        self.ended = await run(self._take)
        self.ended_at = asyncio.get_running_loop().time()
        self._changed.set()

    async def _take(self, saying: Saying) -> None:
        while len(self._waiting) >= _MOST_WAITING:
            self._room.clear()
            await self._room.wait()
        self._waiting.append(saying)
        self.committed = self.committed or isinstance(saying, Committed)
        self._changed.set()


async def first_to_commit(cheap: Branch[E], dear: Branch[E]) -> Branch[E]:
    """The branch to keep: the first to commit, the cheap one if both have; the dear one if the cheap one gives up."""
    while True:
        if cheap.committed:
            return cheap
        if dear.committed or cheap.ended is not None:
            return dear
        changes = [asyncio.create_task(branch.change()) for branch in (cheap, dear)]
        try:
            await asyncio.wait(changes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for change in changes:
                change.cancel()


@dataclass(slots=True)
class _Account:
    """What speculating has brought one tenant so far; what is long ago fades."""

    questions: float = 0.0
    speculated: float = 0.0
    needed: float = _FIRST_GUESS_NEEDED * _FIRST_GUESS_WEIGHT
    not_needed: float = (1 - _FIRST_GUESS_NEEDED) * _FIRST_GUESS_WEIGHT
    seconds_saved: float = _FIRST_GUESS_SECONDS * _FIRST_GUESS_NEEDED * _FIRST_GUESS_WEIGHT
    # Of losers at tier 2; None until one was seen.
    loser_micros: float | None = None

    def fade(self) -> None:
        if self.questions > _MEMORY:
            self.questions /= 2
            self.speculated /= 2


class Governor:
    """Holds speculation to what it is worth and to each tenant's share. Counted per process."""

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}

    def held_back(self, tenant: str, policy: TenantPolicy) -> str:
        """Why no second tier may be started for this tenant's next question; empty where it may."""
        account = self._accounts.setdefault(tenant, _Account())
        account.questions += 1
        account.fade()
        if account.speculated + 1 > policy.speculation.share * account.questions:
            return "share"
        needed = account.needed / (account.needed + account.not_needed)
        worth = needed * (account.seconds_saved / account.needed) * policy.speculation.second_micros
        loser = first_call_micros(policy, Route.TIER2) if account.loser_micros is None else account.loser_micros
        return "cost" if worth < (1 - needed) * loser else ""

    def started(self, tenant: str) -> None:
        """Count one against the share, from its beginning."""
        self._accounts.setdefault(tenant, _Account()).speculated += 1

    def went(self, tenant: str, speculated: Speculated) -> None:
        """Learn from one that was run."""
        account = self._accounts.setdefault(tenant, _Account())
        if speculated.winner > Route.TIER1.tier:
            account.needed += 1
            account.seconds_saved += speculated.seconds_saved
            return
        account.not_needed += 1
        micros = float(speculated.loser_micros)
        account.loser_micros = micros if account.loser_micros is None else (4 * account.loser_micros + micros) / 5


def first_call_micros(policy: TenantPolicy, route: Route) -> int:
    """What a branch that is cancelled in its first model call is likely to have cost: the prompt, and some words."""
    usage = policy.costs.for_tier(route.tier)
    return policy.costs.of_route(route) // max(usage.model_calls, 1)
