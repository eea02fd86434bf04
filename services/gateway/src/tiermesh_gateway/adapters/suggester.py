"""The suggester: what it is told of the answer, without ever holding the answer up, and the pills it gives."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from tiermesh.common.v1 import pill_pb2, scores_pb2
from tiermesh.suggester.v1 import suggester_service_pb2 as pb
from tiermesh.suggester.v1 import suggester_service_pb2_grpc as rpc
from tiermesh_policy import Route
from tiermesh_runtime.channels import abandoning

from tiermesh_gateway.adapters.pill_tokens import PillTokens
from tiermesh_gateway.adapters.translate import ROUTES, call_costs, duration, request_context, routing_history
from tiermesh_gateway.conversations import MOST_SHOWN_PILLS, Conversation
from tiermesh_gateway.events import PillsDone
from tiermesh_gateway.ports import OnePill, PillsMissingError, PillTrack
from tiermesh_gateway.question import Scored, Turn

_MODES = {"early": pb.SUGGEST_MODE_EARLY, "informed": pb.SUGGEST_MODE_INFORMED}
_MOST_TEXT = 65_536
_MOST_WAITING = 64
# Characters of prose that make a message of their own, where nothing else follows yet.
_TEXT_RUN = 400
_MOST_COLUMNS = 64
_SAMPLE_ROWS = 5
_MOST_SHOWN_CHARACTERS = 200
_MOST_ASKED = 32
_Code = grpc.StatusCode
_CAUSES = {_Code.UNAVAILABLE: "suggester_unavailable", _Code.DEADLINE_EXCEEDED: "late"}


class GrpcSuggester:
    """Pill tracks over gRPC."""

    def __init__(self, channel: grpc.aio.Channel, tokens: PillTokens) -> None:
        self._stub = rpc.SuggesterServiceStub(channel)
        self._tokens = tokens

    @asynccontextmanager
    async def begin(
        self, turn: Turn, scored: Scored | None, conversation: Conversation, route: Route, *, with_model: bool
    ) -> AsyncIterator[PillTrack]:
        """Open a track; leaving the block cancels it."""
        telling = _Telling(_begin(turn, scored, conversation, route, with_model))
        left = max(turn.question.ends_at - asyncio.get_running_loop().time(), 0.0)
        async with abandoning(self._stub.Suggest(telling.requests(), timeout=left)) as call:
            yield _GrpcTrack(
                telling, call, lambda pill, scores: self._tokens.issue(turn, pill.pill_id, pill.text, scores)
            )


class _Telling:
    """What the suggester is still to be told. Takes everything at once; prose that waits becomes one message."""

    def __init__(self, begin: pb.SuggestRequest) -> None:
        self._waiting: deque[pb.SuggestRequest | list[str]] = deque([begin])
        self._characters = 0
        self._over = False
        self._more = asyncio.Event()

    def text(self, text: str) -> None:
        """More prose; what exceeds the bound of a message is of no use for pills."""
        text = text[: _MOST_TEXT - self._characters]
        self._characters += len(text)
        if not text:
            return
        last = self._waiting[-1] if self._waiting else None
        if isinstance(last, list):
            last.append(text)
        else:
            self._waiting.append([text])
        self._more.set()

    def add(self, request: pb.SuggestRequest) -> None:
        """Anything else; dropped when too much waits already."""
        if len(self._waiting) < _MOST_WAITING:
            self._waiting.append(request)
            self._more.set()

    def restart(self, request: pb.SuggestRequest) -> None:
        """The prose so far is void."""
        self._characters = 0
        self.add(request)

    def end(self, request: pb.SuggestRequest) -> None:
        """The last word."""
        self._waiting.append(request)
        self._over = True
        self._more.set()

    def _worth_sending(self) -> bool:
        """Prose goes in runs: a message for each chunk would cost as much as the answer itself."""
        if not self._waiting:
            return False
        first = self._waiting[0]
        return len(self._waiting) > 1 or not isinstance(first, list) or sum(map(len, first)) >= _TEXT_RUN

    async def requests(self) -> AsyncIterator[pb.SuggestRequest]:
        """What the call sends, as it comes."""
        while True:
            while self._worth_sending():
                each = self._waiting.popleft()
                yield pb.SuggestRequest(answer_text="".join(each)) if isinstance(each, list) else each
            if self._over:
                return
            self._more.clear()
            await self._more.wait()


class _GrpcTrack:
    """One open call."""

    def __init__(
        self,
        telling: _Telling,
        call: grpc.aio.StreamStreamCall[pb.SuggestRequest, pb.SuggestResponse],
        sign: Callable[[pill_pb2.Pill, scores_pb2.Scores], str],
    ) -> None:
        self._telling = telling
        self._call = call
        self._sign = sign

    def said(self, text: str) -> None:
        """Prose."""
        self._telling.text(text)

    def showed(self, table: Any) -> None:
        """The shape of a table, with a few rows."""
        shape = pb.TableShape(
            columns=table.columns[:_MOST_COLUMNS], rows=len(table.rows), sample=table.rows[:_SAMPLE_ROWS]
        )
        self._telling.add(pb.SuggestRequest(table=shape))

    def restarted(self, cause: str) -> None:
        """The answer so far is void."""
        self._telling.restart(pb.SuggestRequest(answer_restarted=pb.AnswerRestarted(cause=cause[:80])))

    def completed(self, complete: bool) -> None:
        """The answer is done."""
        self._telling.end(pb.SuggestRequest(answer_completed=pb.AnswerCompleted(complete=complete)))

    async def pills(self) -> AsyncIterator[OnePill | PillsDone]:
        """Pills, then how it ended."""
        told = False
        try:
            async for response in self._call:
                if response.HasField("pill"):
                    pill = response.pill
                    # Only what is signed here counts; a pill that was not classified is, when it is clicked.
                    pill.token = self._sign(pill, response.scores) if response.HasField("scores") else ""
                    yield OnePill(pill.text, pill)
                elif response.HasField("done"):
                    done, told = response.done, True
                    yield PillsDone(call_costs(done.ledger), done.fallback_cause, dict(done.dropped), done.at_least)
        except grpc.aio.AioRpcError as error:
            if told:
                # It ended before it had heard the whole answer: the stream then breaks off under what is still sent.
                return
            raise PillsMissingError(_CAUSES.get(error.code(), "suggester_failed")) from error


def _begin(
    turn: Turn, scored: Scored | None, conversation: Conversation, route: Route, with_model: bool
) -> pb.SuggestRequest:
    policy = turn.question.tenant.policy
    begin = pb.SuggestBegin(
        context=request_context(turn),
        question=turn.question.text,
        scores=None if scored is None else scored.raw,
        history=routing_history(conversation),
        route=ROUTES[route],
        mode=_MODES[policy.pills.mode],
        count=policy.pills.count,
        shown=[text[:_MOST_SHOWN_CHARACTERS] for text in conversation.shown_pills[-MOST_SHOWN_PILLS:]],
        max_cost_micros=policy.budgets.pills_per_question_micros,
        max_cost_per_day_micros=policy.budgets.pills_per_day_micros,
        asked=[each.question[:_MOST_SHOWN_CHARACTERS] for each in conversation.exchanges[-_MOST_ASKED:]],
        after_answer=duration(policy.pills.deadline_seconds),
        without_model=not with_model,
    )
    return pb.SuggestRequest(begin=begin)
