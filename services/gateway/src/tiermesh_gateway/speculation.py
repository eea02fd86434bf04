"""Two tiers at once: which of them is kept, and the governor that decides whether a second one is worth its cost.

The first whose first sentence is verified wins; where tier 1 gives up, tier 2 is on its way already. How a branch is
run is `answer`'s.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Generic, TypeVar

from tiermesh_policy import Route, TenantPolicy

from tiermesh_gateway.errors import StoreUnavailable
from tiermesh_gateway.events import Committed, Saying, Speculated
from tiermesh_gateway.ports import Accounts, Present

E = TypeVar("E")
T = TypeVar("T")

TOPIC = "speculation"

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
class Account:
    """What speculating has brought one tenant so far, at all replicas; what is long ago fades."""

    questions: float = 0.0
    speculated: float = 0.0
    needed: float = _FIRST_GUESS_NEEDED * _FIRST_GUESS_WEIGHT
    not_needed: float = (1 - _FIRST_GUESS_NEEDED) * _FIRST_GUESS_WEIGHT
    seconds_saved: float = _FIRST_GUESS_SECONDS * _FIRST_GUESS_NEEDED * _FIRST_GUESS_WEIGHT
    # Of losers at tier 2; None until one was seen.
    loser_micros: float | None = None

    def count(self, questions: int) -> None:
        """Questions of a tenant that speculates, whatever became of them."""
        self.questions += questions
        if self.questions > _MEMORY:
            self.questions /= 2
            self.speculated /= 2

    def permit(self, policy: TenantPolicy) -> str:
        """Count one speculation against the share; why it may not be, or empty where it may."""
        if self.speculated + 1 > policy.speculation.share * self.questions:
            return "share"
        needed = self.needed / (self.needed + self.not_needed)
        worth = needed * (self.seconds_saved / self.needed) * policy.speculation.second_micros
        loser = first_call_micros(policy, Route.TIER2) if self.loser_micros is None else self.loser_micros
        if worth < (1 - needed) * loser:
            return "cost"
        self.speculated += 1
        return ""

    def learn(self, speculated: Speculated) -> None:
        """Take in how one went."""
        if speculated.winner > Route.TIER1.tier:
            self.needed += 1
            self.seconds_saved += speculated.seconds_saved
            return
        self.not_needed += 1
        micros = float(speculated.loser_micros)
        self.loser_micros = micros if self.loser_micros is None else (4 * self.loser_micros + micros) / 5


_ACCOUNT_FIELDS = frozenset(each.name for each in fields(Account))


class Governor:
    """Holds speculation to what it is worth and to each tenant's share, over all replicas.

    Only a turn that would speculate asks the shared account. What other replicas have not told yet, for a second, are
    questions, never speculations: the share is kept to the letter and may only be used a little late.
    """

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._untold: dict[str, int] = {}

    def count(self, tenant: str) -> None:
        """A question of a tenant that speculates."""
        self._untold[tenant] = self._untold.get(tenant, 0) + 1

    async def held_back(self, tenant: str, policy: TenantPolicy) -> str:
        """Why the second tier of this tenant's turn may not be started; empty where it may, and then it is counted."""
        try:
            return await self._step(tenant, lambda account: account.permit(policy))
        except StoreUnavailable:
            return "store"

    async def went(self, tenant: str, speculated: Speculated) -> None:
        """Learn from one that was run. StoreUnavailable."""
        await self._step(tenant, lambda account: account.learn(speculated))

    async def tell(self) -> None:
        """Tell the other replicas of this one's questions. StoreUnavailable."""
        for tenant in list(self._untold):
            await self._step(tenant, lambda account: None)

    async def _step(self, tenant: str, change: Callable[[Account], T]) -> T:
        told = self._untold.pop(tenant, 0)

        def step(state: Mapping[str, Any], _present: Present) -> tuple[Mapping[str, Any], T]:
            # A replica of another version may have written what this one does not know.
            account = Account(**{name: value for name, value in state.items() if name in _ACCOUNT_FIELDS})
            account.count(told)
            result = change(account)
            return asdict(account), result

        try:
            return await self._accounts.change(tenant, TOPIC, step)
        except BaseException:
            self._untold[tenant] = self._untold.get(tenant, 0) + told
            raise


def first_call_micros(policy: TenantPolicy, route: Route) -> int:
    """What a branch that is cancelled in its first model call is likely to have cost: the prompt, and some words."""
    usage = policy.costs.for_tier(route.tier)
    return policy.costs.of_route(route) // max(usage.model_calls, 1)
