"""Request ids over all replicas: one of them runs the question, the others wait for it and say the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from hashlib import blake2b
from uuid import uuid4

from tiermesh_gateway.background import Background
from tiermesh_gateway.errors import ConversationBusy, RequestIdReused
from tiermesh_gateway.events import Event
from tiermesh_gateway.ports import ClaimState, Requests
from tiermesh_gateway.question import Question
from tiermesh_gateway.runs import Run, RunKey, Runs, Work

_FIRST_LOOK_SECONDS = 0.02
_LONGEST_LOOK_SECONDS = 0.5


class SharedRuns:
    """The runs of this process, with the word of the others."""

    def __init__(
        self,
        requests: Requests,
        background: Background,
        pack: Callable[[Sequence[Event]], bytes],
        *,
        keep_seconds: float,
        heartbeat: float,
    ) -> None:
        """`pack` turns the events of a run that is over into what is kept of them."""
        self._pack = pack
        self._requests = requests
        self._background = background
        self._tokens: dict[RunKey, str] = {}
        self._runs = Runs(keep_seconds=keep_seconds, heartbeat=heartbeat, ended=self._ended)

    @asynccontextmanager
    async def answered(self, question: Question, asked: str, work: Work) -> AsyncIterator[Run | bytes]:
        """The run of this question, or what a run of it said at another replica."""
        key = RunKey(question.owner, question.request_id)
        if question.names_request and not self._runs.holds(key):
            said = await self._claimed(key, asked, question.ends_at)
            if said is not None:
                yield said
                return
        async with self._runs.joined(key, asked, work) as run:
            yield run

    async def close(self) -> None:
        """End every run."""
        await self._runs.close()

    async def _claimed(self, key: RunKey, asked: str, ends_at: float) -> bytes | None:
        """None when the run is ours to make."""
        digest, token, pause = blake2b(asked.encode(), digest_size=16).digest(), uuid4().hex, _FIRST_LOOK_SECONDS
        while True:
            try:
                claim = await self._requests.claim(key.owner, key.request_id, digest, token)
            except BaseException:
                # Whether it was taken is not known; nobody may hold it in the name of a question that is gone.
                self._background.start(self._requests.give_up(key.owner, key.request_id, token))
                raise
            match claim.state:
                case ClaimState.MINE:
                    self._tokens[key] = token
                    return None
                case ClaimState.DONE:
                    return claim.events
                case ClaimState.ANOTHER_QUESTION:
                    raise RequestIdReused
            if self._runs.holds(key):
                # Asked twice here at once: the other one has made the run meanwhile.
                return None
            if asyncio.get_running_loop().time() + pause >= ends_at:
                raise ConversationBusy
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_LOOK_SECONDS)

    def _ended(self, key: RunKey, run: Run) -> None:
        token = self._tokens.pop(key, None)
        if token is None:
            return
        owner, request_id = key
        if run.done and run.reusable:
            work = self._requests.finish(owner, request_id, token, self._pack(run.log))
        else:
            work = self._requests.give_up(owner, request_id, token)
        self._background.start(work)
