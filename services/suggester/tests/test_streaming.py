"""When pills come: each as soon as it is ready, and never too late for the caller."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from tiermesh.common.v1 import history_pb2, pill_pb2, routing_pb2, scores_pb2, table_pb2
from tiermesh.suggester.v1 import suggester_service_pb2 as pb
from tiermesh_pack import Pack
from tiermesh_runtime.errors import RpcError
from tiermesh_suggester.candidates import Candidate
from tiermesh_suggester.fallback import Asked
from tiermesh_suggester.leading import Classified, Labels, Leading
from tiermesh_suggester.track import Answer, Checks, Track, Turn
from tiermesh_suggester.words import PackWords

BY_DEPARTMENT, WITH_LAST_YEAR = "Show it by department", "Compare it with last year"
MODEL, FALLBACK = pill_pb2.PILL_SOURCE_MODEL, pill_pb2.PILL_SOURCE_FALLBACK


def entry(text: str, kind: str = "drill_down") -> str:
    return json.dumps(f"{kind}: {text}")


class Telling:
    """What the caller says of the answer, when the test wants it said."""

    def __init__(self, begin: pb.SuggestRequest) -> None:
        self._queue: asyncio.Queue[pb.SuggestRequest | None] = asyncio.Queue()
        self._queue.put_nowait(begin)

    def text(self, words: str) -> None:
        self._queue.put_nowait(pb.SuggestRequest(answer_text=words))

    def table(self, label: str) -> None:
        column = table_pb2.Column(name="c", label=label)
        self._queue.put_nowait(pb.SuggestRequest(table=pb.TableShape(columns=[column], rows=1)))

    def restarted(self) -> None:
        self._queue.put_nowait(pb.SuggestRequest(answer_restarted=pb.AnswerRestarted(cause="bounce")))

    def completed(self, *, complete: bool = True) -> None:
        self._queue.put_nowait(pb.SuggestRequest(answer_completed=pb.AnswerCompleted(complete=complete)))
        self._queue.put_nowait(None)

    async def requests(self) -> AsyncIterator[pb.SuggestRequest]:
        while (request := await self._queue.get()) is not None:
            yield request


async def rest_of(call: Any) -> list[pb.SuggestResponse]:
    events = []
    while (event := await call.read()) is not grpc.aio.EOF:
        events.append(event)
    return events


def after_answer(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMilliseconds(round(seconds * 1000))
    return duration


async def test_a_pill_goes_out_while_the_model_still_writes_the_next(stage: Any) -> None:
    go_on = asyncio.Event()
    stage.executor.pieces = [f'{{"pills": [{entry(BY_DEPARTMENT)},', go_on, f"{entry(WITH_LAST_YEAR, 'compare')}]}}"]
    stage.executor.go.set()
    telling = Telling(stage.begin(count=2))
    call = stage.suggest(telling.requests())
    first = await asyncio.wait_for(call.read(), 10)
    assert (first.pill.text, first.pill.source) == (BY_DEPARTMENT, MODEL)
    # Only now may the model write on.
    go_on.set()
    *pills, done = await rest_of(call)
    assert [event.pill.text for event in pills] == [WITH_LAST_YEAR]
    assert stage.classifier.batches == [[BY_DEPARTMENT], [WITH_LAST_YEAR]]
    assert done.done.HasField("time_to_first_pill")
    telling.completed()


async def test_a_pill_that_went_out_stays_when_the_model_breaks_off_after_it(stage: Any) -> None:
    broken = RpcError(grpc.StatusCode.FAILED_PRECONDITION, "OUTPUT_NOT_VALID", "cut")
    stage.executor.pieces = [f'{{"pills": [{entry(BY_DEPARTMENT)}, "act: And', broken]
    stage.executor.go.set()
    *pills, done = await rest_of(stage.suggest(Telling(stage.begin()).requests()))
    assert [event.pill.source for event in pills] == [MODEL, FALLBACK, FALLBACK]
    assert done.done.fallback_cause == "output_not_valid"
    # What the broken call cost is not known here.
    assert done.done.at_least


async def test_candidates_are_classified_as_questions_of_the_turn_after_this_one(stage: Any) -> None:
    stage.executor.go.set()
    earlier = history_pb2.RoutingHistory(total_turns=1, vocabulary_version="hr@1.0.0")
    earlier.turns.add(turn=1, intent="leave.balance", route=routing_pb2.ROUTE_TIER1, tier=routing_pb2.TIER_1)
    scores = scores_pb2.Scores(
        intent=scores_pb2.AxisScore(label="leave.history", probability=0.9),
        scope=scores_pb2.ScopeScores(
            aggregation=scores_pb2.AxisScore(label="rank"),
            slots=scores_pb2.Slots(domain=scores_pb2.Slot(value="leave")),
        ),
        vocabulary_version="hr@1.0.0",
    )
    begin = stage.begin(history=earlier, scores=scores)
    begin.begin.route = routing_pb2.ROUTE_AGGREGATE
    events = await rest_of(stage.suggest(Telling(begin).requests()))
    history = stage.classifier.histories[0]
    assert [turn.intent for turn in history.turns] == ["leave.balance", "leave.history"]
    assert (history.turns[1].turn, history.total_turns) == (2, 2)
    assert history.turns[1].route == routing_pb2.ROUTE_AGGREGATE
    assert history.slots.domain.value == "leave"
    # And this is what the pill brings along for its click.
    assert all(event.scores.intent.label for event in events if event.HasField("pill"))


async def test_the_history_keeps_to_the_contract_s_bound(stage: Any) -> None:
    stage.executor.go.set()
    full = history_pb2.RoutingHistory(total_turns=40)
    for number in range(25, 41):
        full.turns.add(turn=number, intent="leave.balance")
    await rest_of(stage.suggest(Telling(stage.begin(history=full)).requests()))
    history = stage.classifier.histories[0]
    assert (len(history.turns), history.turns[-1].turn, history.total_turns) == (16, 41, 41)


async def test_a_model_that_is_late_after_the_answer_is_stopped_and_the_pack_s_pills_come_in_time(stage: Any) -> None:
    telling = Telling(stage.begin(after_answer=after_answer(0.5)))
    call = stage.suggest(telling.requests())
    await asyncio.wait_for(stage.executor.started.wait(), 10)
    telling.completed()
    *pills, done = await asyncio.wait_for(rest_of(call), 20)
    assert [event.pill.source for event in pills] == [FALLBACK] * 3
    assert done.done.fallback_cause == "late"
    assert done.done.at_least
    await asyncio.wait_for(stage.executor.cancelled.wait(), 10)


async def test_a_model_is_not_late_while_the_answer_still_streams(stage: Any) -> None:
    telling = Telling(stage.begin(after_answer=after_answer(0.01)))
    call = stage.suggest(telling.requests())
    await asyncio.wait_for(stage.executor.started.wait(), 10)
    telling.text("The answer goes on.")
    stage.executor.go.set()
    *pills, done = await rest_of(call)
    assert {event.pill.source for event in pills} == {MODEL}
    assert done.done.fallback_cause == ""
    telling.completed()


async def test_informed_mode_takes_enough_prose_for_enough_of_an_answer(stage: Any) -> None:
    stage.executor.go.set()
    telling = Telling(stage.begin(mode=pb.SUGGEST_MODE_INFORMED))
    telling.text("Asha leads. " * 50)
    await rest_of(stage.suggest(telling.requests()))
    assert "Asha leads." in stage.executor.requests[0].messages[0].text


async def test_informed_mode_tells_the_model_nothing_of_an_answer_that_was_withdrawn(stage: Any) -> None:
    stage.executor.go.set()
    telling = Telling(stage.begin(mode=pb.SUGGEST_MODE_INFORMED))
    telling.text("Wrong.")
    telling.restarted()
    telling.table("Employee")
    await rest_of(stage.suggest(telling.requests()))
    asked = stage.executor.requests[0].messages[0].text
    assert "Employee" in asked
    assert "Wrong." not in asked


@pytest.mark.parametrize("mode", [pb.SUGGEST_MODE_EARLY, pb.SUGGEST_MODE_INFORMED])
async def test_an_empty_answer_still_has_follow_ups(stage: Any, mode: int) -> None:
    stage.executor.go.set()
    telling = Telling(stage.begin(mode=mode))
    telling.completed()
    *pills, done = await rest_of(stage.suggest(telling.requests()))
    assert {event.pill.source for event in pills} == {MODEL}
    assert "<answer>" not in stage.executor.requests[0].messages[0].text
    assert done.done.fallback_cause == ""


async def test_after_a_failed_answer_informed_mode_spends_nothing_on_guesses(stage: Any) -> None:
    telling = Telling(stage.begin(mode=pb.SUGGEST_MODE_INFORMED))
    telling.completed(complete=False)
    *pills, done = await rest_of(stage.suggest(telling.requests()))
    assert stage.executor.requests == []
    assert [event.pill.source for event in pills] == [FALLBACK] * 3
    assert done.done.fallback_cause == "answer_failed"


async def test_pills_are_the_same_whichever_tier_answers(stage: Any) -> None:
    stage.executor.go.set()
    reports = []
    for route in (routing_pb2.ROUTE_AGGREGATE, routing_pb2.ROUTE_TIER1, routing_pb2.ROUTE_TIER2):
        begin = stage.begin(count=4)
        begin.begin.route = route
        telling = Telling(begin)
        telling.text(f"Worded by {route}.")
        telling.completed()
        *pills, done = await rest_of(stage.suggest(telling.requests()))
        shown = [(event.pill.text, event.pill.kind, event.pill.source) for event in pills]
        reports.append((shown, dict(done.done.dropped), done.done.fallback_cause))
    assert reports[0][0]
    assert reports[0] == reports[1] == reports[2]
    # And the model that words them is asked for in the same way.
    assert {request.tag for request in stage.executor.requests} == {"suggest"}
    assert len({request.messages[0].text for request in stage.executor.requests}) == 1


class FaultyModel:
    """Writes one candidate and then shows a fault of ours."""

    async def pieces(self, _instructions: str, _message: str) -> AsyncGenerator[str, None]:
        yield f'{{"pills": [{entry(BY_DEPARTMENT)},'
        raise ZeroDivisionError


class Agreeing:
    """Takes everything for leave history."""

    async def classify(self, candidates: Sequence[Candidate]) -> list[Classified]:
        labels = Labels(intent="leave.history", probability=0.9)
        return [Classified(each, replace(labels, intent=each.intent or labels.intent)) for each in candidates]


async def test_a_fault_of_ours_costs_the_model_s_pills_and_not_the_pack_s(pack: Pack) -> None:
    checks = Checks(pack, PackWords(pack), Leading(pack, frozenset(), min_probability=0.6))
    track = Track(checks, FaultyModel(), Agreeing())
    asked = Asked("leave.history", "rank", many=True)
    turn = Turn("Who took the most leave?", asked, {}, ("manager",), 3, (), informed=False, classified=True)
    pills = [pill async for pill in track.pills(turn, Answer())]
    assert [pill.from_model for pill in pills] == [True, False, False]
    assert track.fallback_cause == "failed"
