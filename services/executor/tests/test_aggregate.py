"""Mode AGGREGATE over real gRPC: one bulk call, the rows, and only words that the rows bear out."""

from collections.abc import Awaitable, Callable

import grpc
import pytest
from tiermesh.aggregator.v1 import aggregator_service_pb2 as aggregator_pb
from tiermesh.common.v1 import answer_pb2
from tiermesh.executor.v1 import executor_service_pb2 as pb
from tiermesh.tools.v1 import tools_service_pb2 as tools_pb
from tiermesh_executor.models.events import StopReason
from tiermesh_executor.models.provider import ErrorKind, ProviderError
from tiermesh_executor.models.request import ToolResultPart
from tiermesh_executor.testing import (
    Backend,
    Client,
    ScriptedProvider,
    calls,
    days_table,
    nobody,
    says,
    scores,
    slots_incomplete,
)
from tiermesh_runtime.errors import RpcError

Deploy = Callable[..., Awaitable[Client]]
PLAN = calls(("leave_team_aggregate", {"measure": "leave_days", "group_by": ["employee"]}))


async def test_slots_make_one_call_and_the_rows_are_narrated(deploy: Deploy, backend: Backend) -> None:
    provider = ScriptedProvider(says("Anna Schmidt took the most leave ", "with 24.5 days. ", "Ben followed with 12."))
    answer = await (await deploy(provider)).aggregate()
    assert list(dict.fromkeys(answer.kinds)) == ["tool", "committed", "table", "text", "done"]
    assert answer.text == "Anna Schmidt took the most leave with 24.5 days. Ben followed with 12."
    assert answer.done.answer.complete
    assert (answer.done.statements, answer.done.tool_calls) == (1, 1)
    (request,) = backend.aggregated
    assert request.scores.intent == "leave.history"
    assert request.scores.scope.slots.domain.value == "leave"
    assert backend.called == []
    assert [entry.tag for entry in answer.done.ledger] == ["narrate"]


async def test_a_sentence_with_a_wrong_figure_gives_way_to_the_rows(deploy: Deploy) -> None:
    provider = ScriptedProvider(says("Anna leads. ", "She took 31.5 days. ", "The mean was 14.5 days. ", "Well done."))
    answer = await (await deploy(provider)).aggregate()
    assert "31.5" not in answer.text
    assert "14.5" not in answer.text
    assert (
        answer.text
        == ("Anna leads. Anna Schmidt: leave days 24.5; Ben Ode: leave days 12; Carla Diaz: leave days 7. Well done.")
        or answer.text == "Anna leads. Anna Schmidt: 24.5 days; Ben Ode: 12 days; Carla Diaz: 7 days. Well done."
    )
    assert answer.done.answer.complete


async def test_a_sentence_with_a_wrong_figure_is_written_again_once(deploy: Deploy) -> None:
    provider = ScriptedProvider(says("Anna leads. ", "She took 31.5 days. ", "Well done."), says("She took 24.5 days."))
    answer = await (await deploy(provider)).aggregate()
    assert answer.text == "Anna leads. She took 24.5 days. Well done."
    assert [entry.tag for entry in answer.done.ledger] == ["narrate", "rewrite"]
    assert "She took 31.5 days." in str(provider.requests[1].prompt.messages)


@pytest.mark.parametrize("again", ["She took 99 days.", "", "   "])
async def test_what_does_not_hold_when_written_again_gives_way_to_the_rows(deploy: Deploy, again: str) -> None:
    provider = ScriptedProvider(says("She took 31.5 days. ", "Well done."), says(again))
    answer = await (await deploy(provider)).aggregate()
    assert "31.5" not in answer.text
    assert "99" not in answer.text
    assert answer.text.startswith("Anna Schmidt")
    assert answer.done.answer.complete


async def test_only_so_many_sentences_are_written_again(deploy: Deploy) -> None:
    wrong = says("Anna took 31.5 days. ", "Ben took 44 days. ", "Carla took 55 days. ", "Done.")
    provider = ScriptedProvider(wrong, says("Anna Schmidt took 24.5 days."), says("Ben Ode took 12 days."))
    answer = await (await deploy(provider)).aggregate()
    assert answer.text.startswith("Anna Schmidt took 24.5 days. Ben Ode took 12 days. Anna Schmidt")
    assert len(provider.requests) == 3


async def test_missing_slots_are_filled_by_a_model_that_must_call_the_one_tool(
    deploy: Deploy, backend: Backend
) -> None:
    backend.aggregate = slots_incomplete
    provider = ScriptedProvider(PLAN, says("Anna Schmidt took 24.5 days."))
    answer = await (await deploy(provider)).aggregate()
    plan = provider.requests[0]
    assert [tool.name for tool in plan.prompt.tools] == ["leave_team_aggregate"]
    assert plan.prompt.tool_choice == "leave_team_aggregate"
    assert len(backend.called) == 1
    assert [entry.tag for entry in answer.done.ledger] == ["plan-aggregate", "narrate"]
    assert answer.done.answer.complete


async def test_an_invalid_plan_is_mended_once(deploy: Deploy, backend: Backend) -> None:
    backend.aggregate = slots_incomplete
    bad = calls(("leave_team_aggregate", {"measure": "hours"}))
    provider = ScriptedProvider(bad, PLAN, says("Anna Schmidt took 24.5 days."))
    answer = await (await deploy(provider)).aggregate()
    (result,) = provider.requests[1].prompt.messages[-1].parts
    assert isinstance(result, ToolResultPart)
    assert result.is_error
    assert answer.done.answer.complete


async def test_a_plan_that_stays_wrong_is_handed_over(deploy: Deploy, backend: Backend) -> None:
    backend.aggregate = slots_incomplete
    bad = calls(("leave_team_aggregate", {"measure": "hours"}))
    answer = await (await deploy(ScriptedProvider(bad, bad))).aggregate()
    assert answer.bounce.cause == "slots_incomplete"
    assert answer.bounce.redirect == pb.Bounce.REDIRECT_NEXT_TIER
    assert not answer.done.answer.complete
    assert backend.called == []


async def test_of_a_name_that_nobody_has_the_user_is_asked_back_and_no_other_tier(
    deploy: Deploy, backend: Backend
) -> None:
    backend.aggregate = slots_incomplete
    backend.answer = nobody("Leeds", nearest=["Sales"])
    answer = await (await deploy(ScriptedProvider(PLAN, PLAN))).aggregate("Who in Leeds took the most leave?")
    assert not answer.of("bounce")
    (asked,) = answer.of("clarification")
    assert "“Leeds”" in asked.question
    assert list(asked.options) == ["Sales"]
    assert answer.done.answer.complete


async def test_a_name_that_the_model_made_up_is_handed_over(deploy: Deploy, backend: Backend) -> None:
    backend.aggregate = slots_incomplete
    backend.answer = nobody("Leeds")
    answer = await (await deploy(ScriptedProvider(PLAN, PLAN))).aggregate("Who in Berlin took the most leave?")
    assert answer.bounce.cause == "slots_incomplete"


async def test_a_name_that_the_model_mends_is_not_asked_for(deploy: Deploy, backend: Backend) -> None:
    backend.aggregate = slots_incomplete
    refuse = nobody("Leeds")

    async def once(request: tools_pb.CallToolRequest) -> tools_pb.CallToolResponse:
        backend.answer = None
        return await refuse(request)

    backend.answer = once
    provider = ScriptedProvider(PLAN, PLAN, says("Anna Schmidt took 24.5 days."))
    answer = await (await deploy(provider)).aggregate("Who in Leeds took the most leave?")
    assert not answer.of("clarification")
    assert answer.text == "Anna Schmidt took 24.5 days."


async def test_a_plan_of_words_alone_is_handed_over_and_never_shown(deploy: Deploy, backend: Backend) -> None:
    backend.aggregate = slots_incomplete
    answer = await (await deploy(ScriptedProvider(says("I think Anna did.")))).aggregate()
    assert answer.bounce.cause == "slots_incomplete"
    assert answer.text == ""


async def test_tier_2_plans_with_its_own_model(deploy: Deploy, backend: Backend) -> None:
    backend.aggregate = slots_incomplete
    provider = ScriptedProvider(PLAN, says("Anna Schmidt took 24.5 days."))
    await (await deploy(provider, tier=2)).aggregate()
    assert provider.requests[0].model == "claude-sonnet-5-5"
    assert not provider.requests[0].forced_tools


async def test_a_domain_without_a_bulk_tool_is_handed_over(deploy: Deploy, backend: Backend) -> None:
    backend.aggregate = slots_incomplete
    answer = await (await deploy(ScriptedProvider())).aggregate(scores=scores("payroll.tax", domain="payroll"))
    assert answer.bounce.cause == "slots_incomplete"


async def test_of_a_question_without_scores_the_planner_chooses_among_all_bulk_tools(
    deploy: Deploy, backend: Backend
) -> None:
    other = type(backend.tools[0])()
    other.CopyFrom(next(tool for tool in backend.tools if tool.name == "leave_team_aggregate"))
    other.name, other.domain = "expenses_team_aggregate", "expenses"
    backend.tools.append(other)
    provider = ScriptedProvider(PLAN, says("Anna Schmidt took 24.5 days."))
    client = await deploy(provider)
    request = client.request(mode=pb.EXECUTE_MODE_AGGREGATE)
    request.ClearField("scores")
    events = [event async for event in client.stub.Execute(request, metadata=client.metadata, timeout=10)]
    assert [event.done.answer.complete for event in events if event.HasField("done")] == [True]
    planned = provider.requests[0].prompt
    assert [tool.name for tool in planned.tools] == ["expenses_team_aggregate", "leave_team_aggregate"]
    assert planned.tool_choice == "any"
    assert [call.name for call in backend.called] == ["leave_team_aggregate"]


async def test_no_model_leaves_the_rows_in_plain_words(deploy: Deploy) -> None:
    down = [ProviderError(ErrorKind.NOT_AVAILABLE, "no key")]
    answer = await (await deploy(ScriptedProvider(down, down))).aggregate()
    assert "Anna Schmidt" in answer.text
    assert "24.5" in answer.text
    assert answer.done.answer.complete


async def test_a_narration_cut_in_the_middle_keeps_its_whole_sentences(deploy: Deploy) -> None:
    cut = [*says("Anna leads. ", "She took")[:-1], ProviderError(ErrorKind.TRUNCATED, "cut")]
    answer = await (await deploy(ScriptedProvider(cut))).aggregate()
    assert answer.text.startswith("Anna leads. Anna Schmidt")
    assert "She took" not in answer.text


async def test_a_narration_at_its_token_limit_is_not_complete(deploy: Deploy) -> None:
    provider = ScriptedProvider(says("Anna leads. ", "She took 24", stop=StopReason.MAX_TOKENS))
    answer = await (await deploy(provider)).aggregate()
    assert answer.text == "Anna leads. "
    assert not answer.done.answer.complete


async def test_no_rows_are_said_to_be_none(deploy: Deploy, backend: Backend) -> None:
    backend.aggregate = lambda _: aggregator_pb.AggregateResponse(table=days_table())
    answer = await (await deploy(ScriptedProvider(says("")))).aggregate()
    assert answer.text == "No records match."


async def test_an_ambiguous_name_is_asked_back_without_a_model(deploy: Deploy, backend: Backend) -> None:
    question = answer_pb2.Clarification(question="Which Anna?", options=["Anna A.", "Anna B."])
    backend.aggregate = lambda _: aggregator_pb.AggregateResponse(clarification=question)
    answer = await (await deploy(ScriptedProvider())).aggregate()
    assert answer.of("clarification")[0].options == ["Anna A.", "Anna B."]
    assert answer.done.answer.stop_reason == answer_pb2.AnswerDone.STOP_REASON_CLARIFICATION
    assert list(answer.done.ledger) == []


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE"),
        (grpc.StatusCode.PERMISSION_DENIED, "NOT_ALLOWED"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "STATEMENT_TIMEOUT"),
    ],
)
async def test_what_the_data_service_refuses_ends_the_answer_with_its_reason(
    deploy: Deploy, backend: Backend, code: grpc.StatusCode, reason: str
) -> None:
    def refuse(_: aggregator_pb.AggregateRequest) -> aggregator_pb.AggregateResponse:
        raise RpcError(code, reason, "The data is not to be had.")

    backend.aggregate = refuse
    answer = await (await deploy(ScriptedProvider())).aggregate()
    assert answer.done.answer.error_reason == reason
    assert answer.done.answer.stop_reason == answer_pb2.AnswerDone.STOP_REASON_FAILED
