"""Mode ANSWER over real gRPC: tools, commit point, bounce, clarification, proposals."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from tiermesh.common.v1 import answer_pb2, usage_pb2
from tiermesh.executor.v1 import executor_service_pb2 as pb
from tiermesh.tools.v1 import tools_service_pb2 as tools_pb
from tiermesh_executor.models.events import StopReason
from tiermesh_executor.models.request import ToolResultPart
from tiermesh_executor.testing import Backend, Client, ScriptedProvider, calls, context, days_table, says, scores
from tiermesh_runtime.errors import from_call

Deploy = Callable[..., Awaitable[Client]]
BALANCE = ("leave_balance", {})


async def test_an_answer_looks_up_commits_and_ends_complete(deploy: Deploy, backend: Backend) -> None:
    provider = ScriptedProvider(calls(BALANCE, preamble="Let me look. "), says("You have 24.5 days. ", "Enjoy them."))
    answer = await (await deploy(provider)).execute()
    assert list(dict.fromkeys(answer.kinds)) == ["tool", "committed", "table", "text", "done"]
    assert answer.text == "You have 24.5 days. Enjoy them."
    assert answer.done.answer.complete
    assert answer.done.answer.stop_reason == answer_pb2.AnswerDone.STOP_REASON_COMPLETE
    assert (answer.done.tool_calls, answer.done.statements) == (1, 1)
    assert answer.of("committed")[0].model == "claude-haiku-5-5"
    assert [activity.state for activity in answer.of("tool")] == [1, 2]
    assert answer.of("table")[0].rows[0].values[0].text == "Anna Schmidt"


async def test_the_callers_principal_reaches_the_tool_beside_its_arguments(deploy: Deploy, backend: Backend) -> None:
    provider = ScriptedProvider(calls(BALANCE), says("It is 24.5 days."))
    await (await deploy(provider)).execute()
    assert backend.callers == ["E00001"]
    assert backend.called[0].arguments == "{}"


async def test_tier_1_gets_the_tools_of_its_intent_the_search_and_escalate(deploy: Deploy) -> None:
    provider = ScriptedProvider(says("Hello there."))
    await (await deploy(provider)).execute()
    assert [tool.name for tool in provider.requests[0].prompt.tools] == ["leave_balance", "search_handbook", "escalate"]


async def test_tier_1_searches_for_rules(deploy: Deploy) -> None:
    provider = ScriptedProvider(says("Hello there."))
    await (await deploy(provider)).execute(scores=scores("leave.policy"))
    assert [tool.name for tool in provider.requests[0].prompt.tools] == ["search_handbook", "escalate"]


async def test_tier_2_gets_every_tool_and_cannot_escalate(deploy: Deploy) -> None:
    provider = ScriptedProvider(says("Hello there."))
    await (await deploy(provider, tier=2)).execute()
    names = [tool.name for tool in provider.requests[0].prompt.tools]
    assert names == ["leave_apply", "leave_balance", "leave_team_aggregate", "search_handbook"]


async def test_tier_3_answers_with_its_own_first_candidate_and_every_tool(deploy: Deploy) -> None:
    provider = ScriptedProvider(says("Hello there."))
    answer = await (await deploy(provider, tier=3)).execute()
    assert answer.done.answer.complete
    assert (provider.requests[0].model, answer.done.answer.tier) == ("claude-opus-5-5", 3)
    assert len(provider.requests[0].prompt.tools) == 4


async def test_a_high_scope_question_is_offered_no_look_up(deploy: Deploy) -> None:
    provider = ScriptedProvider(says("Hello there."))
    await (await deploy(provider, tier=2)).execute(bulk_tools_only=True)
    assert "leave_balance" not in [tool.name for tool in provider.requests[0].prompt.tools]


async def test_a_branch_that_may_lose_can_propose_nothing(deploy: Deploy) -> None:
    provider = ScriptedProvider(says("Hello there."))
    await (await deploy(provider, tier=2)).execute(speculative=True)
    assert "leave_apply" not in [tool.name for tool in provider.requests[0].prompt.tools]


async def test_the_tool_list_is_fetched_once_for_a_while(deploy: Deploy, backend: Backend) -> None:
    provider = ScriptedProvider(says("Hello there."), says("Hello again."))
    client = await deploy(provider)
    await client.execute()
    await client.execute()
    assert backend.listed == 1


async def test_look_ups_over_many_people_are_refused_before_any_runs(deploy: Deploy, backend: Backend) -> None:
    fifty = [("leave_balance", {"employee": f"E{number:05}"}) for number in range(50)]
    answer = await (await deploy(ScriptedProvider(calls(*fifty)), tier=2)).execute(scores=scores("leave.history"))
    assert backend.called == []
    assert answer.of("tool")[0].state == answer_pb2.ToolActivity.STATE_REFUSED
    assert answer.bounce.cause == "fan_out"
    assert answer.bounce.redirect == pb.Bounce.REDIRECT_AGGREGATE
    assert not answer.done.answer.complete
    assert "committed" not in answer.kinds


async def test_look_ups_one_by_one_are_stopped_too(deploy: Deploy, backend: Backend) -> None:
    turns = [calls(("leave_balance", {"employee": f"E{number:05}"})) for number in range(6)]
    answer = await (await deploy(ScriptedProvider(*turns), tier=2)).execute()
    assert len(backend.called) == 3
    assert answer.bounce.cause == "fan_out"
    assert ["24.50" in one.found for one in answer.bounce.look_ups] == [True] * 3


async def test_many_look_ups_of_the_same_person_are_no_loop(deploy: Deploy, backend: Backend) -> None:
    years = [("leave_balance", {"employee": "E00001", "year": year}) for year in range(2020, 2026)]
    provider = ScriptedProvider(calls(*years), says("It was 24.5 days each year."))
    answer = await (await deploy(provider, tier=2)).execute()
    assert len(backend.called) == 6
    assert answer.done.answer.complete


async def test_the_calls_of_one_turn_run_side_by_side(deploy: Deploy, backend: Backend) -> None:
    together = asyncio.Barrier(3)

    async def answer_when_all_are_here(_: tools_pb.CallToolRequest) -> tools_pb.CallToolResponse:
        async with asyncio.timeout(5):
            await together.wait()
        return tools_pb.CallToolResponse(json='{"days": 3}')

    backend.answer = answer_when_all_are_here
    provider = ScriptedProvider(calls(BALANCE, ("search_handbook", {"query": "x"}), BALANCE), says("Done."))
    answer = await (await deploy(provider, tier=2)).execute()
    assert answer.done.answer.complete


@pytest.mark.parametrize(
    ("reason", "detail"),
    [
        ("judgement", "it takes judgement"),
        # What a model makes up may hold anything, and goes into records.
        ("Imani Adebayo is on sick leave", "no reason given"),
        (["judgement"], "no reason given"),
    ],
)
async def test_the_escalate_tool_hands_over_with_its_reason_and_findings(
    deploy: Deploy, reason: object, detail: str
) -> None:
    script = calls(("escalate", {"reason": reason, "findings": "the policy has changed"}))
    answer = await (await deploy(ScriptedProvider(script))).execute()
    assert answer.kinds == ["bounce", "done"]
    assert (answer.bounce.cause, answer.bounce.detail) == ("escalate_tool", detail)
    assert answer.bounce.findings == "the policy has changed"
    assert answer.bounce.redirect == pb.Bounce.REDIRECT_NEXT_TIER
    assert [entry.outcome for entry in answer.done.ledger] == [usage_pb2.CALL_OUTCOME_SUPERSEDED]


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("I'm sorry, but I cannot help with that. Ask HR.", "cannot"),
        ("I do not have the data to answer that here. Sorry.", "cannot"),
        ("", "empty"),
        ("   \n ", "empty"),
    ],
)
async def test_a_tier_1_answer_that_is_none_bounces_invisibly(deploy: Deploy, said: str, cause: str) -> None:
    answer = await (await deploy(ScriptedProvider(says(said)))).execute()
    assert answer.kinds == ["bounce", "done"]
    assert answer.bounce.cause == cause


async def test_declining_what_is_out_of_scope_is_an_answer(deploy: Deploy) -> None:
    provider = ScriptedProvider(says("I cannot help with the weather. Ask me about leave."))
    answer = await (await deploy(provider)).execute(scores=scores("out_of_scope"))
    assert answer.done.answer.complete


async def test_what_tier_2_cannot_do_is_its_answer(deploy: Deploy) -> None:
    provider = ScriptedProvider(says("I cannot see that. Ask HR."))
    answer = await (await deploy(provider, tier=2)).execute()
    assert answer.text == "I cannot see that. Ask HR."


async def test_a_wrong_figure_of_tier_1_bounces_before_anything_is_shown(deploy: Deploy) -> None:
    provider = ScriptedProvider(calls(BALANCE), says("You have 31.5 days. ", "Enjoy them."))
    answer = await (await deploy(provider)).execute()
    assert answer.bounce.cause == "ungrounded"
    assert "text" not in answer.kinds
    assert "table" not in answer.kinds


async def test_a_wrong_figure_of_tier_2_gives_way_to_the_rows(deploy: Deploy) -> None:
    provider = ScriptedProvider(
        calls(BALANCE), says("Here it is. ", "You have 31.5 days. ", "It was 99 before. Enjoy!")
    )
    answer = await (await deploy(provider, tier=2)).execute()
    assert "31.5" not in answer.text
    assert "99" not in answer.text
    assert answer.text.count("Anna Schmidt: 24.5 days") + answer.text.count("leave days 24.5") == 1
    assert answer.text.startswith("Here it is. ")
    assert answer.text.endswith("Enjoy!")


async def test_a_bad_call_goes_back_once_with_its_reason(deploy: Deploy, backend: Backend) -> None:
    bad = calls(("leave_team_aggregate", {"measure": "leaf_days"}))
    good = calls(("leave_team_aggregate", {"measure": "leave_days"}))
    provider = ScriptedProvider(bad, good, says("It is 24.5 days."))
    answer = await (await deploy(provider, tier=2)).execute()
    (result,) = provider.requests[1].prompt.messages[-1].parts
    assert isinstance(result, ToolResultPart)
    assert result.is_error
    assert "leaf_days" in result.content
    assert len(backend.called) == 1
    assert answer.done.answer.complete


@pytest.mark.parametrize("arguments", ["not json", "[1]", '{"employee": 7}', "{" + '"a":{' * 3000])
async def test_calls_that_stay_bad_hand_tier_1_over(deploy: Deploy, backend: Backend, arguments: str) -> None:
    bad = calls(("leave_balance", arguments))
    answer = await (await deploy(ScriptedProvider(bad, bad))).execute()
    assert answer.bounce.cause == "tool_error"
    assert backend.called == []


async def test_a_refusal_of_the_tool_is_told_to_the_model_with_what_is_nearest(
    deploy: Deploy, backend: Backend
) -> None:
    async def refuse_once(request: tools_pb.CallToolRequest) -> tools_pb.CallToolResponse:
        if len(backend.called) > 1:
            return tools_pb.CallToolResponse(table=days_table(("Anna Schmidt", "24.50")))
        refusal = tools_pb.CallToolResponse.Refusal(message="No such person.", argument="employee", nearest=["Anna"])
        return tools_pb.CallToolResponse(refusal=refusal)

    backend.answer = refuse_once
    provider = ScriptedProvider(calls(("leave_balance", {"employee": "Ana"})), calls(BALANCE), says("24.5 days."))
    answer = await (await deploy(provider)).execute()
    (result,) = provider.requests[1].prompt.messages[-1].parts
    assert isinstance(result, ToolResultPart)
    assert json.loads(result.content)["nearest"] == ["Anna"]
    assert answer.done.answer.complete


async def test_a_tool_that_fails_hands_tier_1_over_and_lets_tier_2_go_on(deploy: Deploy, backend: Backend) -> None:
    async def fail(_: tools_pb.CallToolRequest) -> tools_pb.CallToolResponse:
        raise ValueError("a secret of the tool server")

    backend.answer = fail
    first = await (await deploy(ScriptedProvider(calls(BALANCE)))).execute()
    assert first.bounce.cause == "tool_error"
    provider = ScriptedProvider(calls(BALANCE), says("The balance cannot be read now."))
    second = await (await deploy(provider, tier=2)).execute()
    # It says what it can, and is not called whole.
    assert second.text == "The balance cannot be read now."
    assert (second.done.answer.complete, second.done.answer.error_reason) == (False, "TOOLS_UNAVAILABLE")
    assert "secret" not in str(first.events) + str(second.events) + str(provider.requests[1].prompt.messages)


async def test_what_was_out_of_reach_and_is_looked_up_again_makes_the_answer_whole(
    deploy: Deploy, backend: Backend
) -> None:
    failures = [ValueError("away")]

    async def away_once(_: tools_pb.CallToolRequest) -> tools_pb.CallToolResponse:
        if failures:
            raise failures.pop()
        return tools_pb.CallToolResponse(json="{}")

    backend.answer = away_once
    provider = ScriptedProvider(calls(BALANCE), calls(BALANCE), says("You have some days left."))
    answer = await (await deploy(provider, tier=2)).execute()
    assert answer.done.answer.complete, answer.done


async def test_a_question_back_of_a_tool_ends_the_answer(deploy: Deploy, backend: Backend) -> None:
    async def ask_back(_: tools_pb.CallToolRequest) -> tools_pb.CallToolResponse:
        return tools_pb.CallToolResponse(
            clarification=answer_pb2.Clarification(question="Which Anna?", options=["A", "B"])
        )

    backend.answer = ask_back
    answer = await (await deploy(ScriptedProvider(calls(BALANCE)))).execute()
    assert answer.kinds[-3:] == ["committed", "clarification", "done"]
    assert answer.done.answer.complete
    assert answer.done.answer.stop_reason == answer_pb2.AnswerDone.STOP_REASON_CLARIFICATION


async def test_a_proposal_is_shown_with_its_words(deploy: Deploy) -> None:
    provider = ScriptedProvider(calls(("leave_apply", {"start": "2026-12-01"})), says("Please confirm it."))
    answer = await (await deploy(provider)).execute(scores=scores("leave.apply"))
    assert answer.of("proposal")[0].proposal_id == "p1"
    assert answer.kinds.index("committed") < answer.kinds.index("proposal") < answer.kinds.index("text")


async def test_the_whole_answer_can_be_held_back(deploy: Deploy) -> None:
    provider = ScriptedProvider(calls(BALANCE), says("You have 24.5 days. ", "You had 31 before."))
    request = {"commit_point": pb.COMMIT_POINT_WHOLE_ANSWER}
    answer = await (await deploy(provider)).execute(**request)
    assert answer.kinds == ["tool", "tool", "bounce", "done"]


async def test_an_answer_cut_at_the_token_limit_is_not_complete(deploy: Deploy) -> None:
    answer = await (await deploy(ScriptedProvider(says("It is so. And the", stop=StopReason.MAX_TOKENS)))).execute()
    assert not answer.done.answer.complete
    assert answer.done.answer.stop_reason == answer_pb2.AnswerDone.STOP_REASON_MAX_TOKENS


async def test_a_refusal_of_the_provider_is_reported_and_not_asked_elsewhere(deploy: Deploy) -> None:
    provider = ScriptedProvider(calls(BALANCE), says("", stop=StopReason.REFUSED))
    answer = await (await deploy(provider)).execute()
    assert answer.done.answer.stop_reason == answer_pb2.AnswerDone.STOP_REASON_REFUSED
    assert answer.done.answer.error_reason == "CONTENT_REFUSED"
    assert len(provider.requests) == 2


async def test_the_loop_ends_after_six_rounds_with_words(deploy: Deploy) -> None:
    provider = ScriptedProvider(*[calls(BALANCE)] * 5, says("Enough: 24.5 days."))
    answer = await (await deploy(provider, tier=2)).execute()
    assert provider.requests[-1].prompt.tool_choice == "none"
    assert answer.done.answer.complete


async def test_history_findings_and_today_are_told_after_the_stable_prefix(deploy: Deploy) -> None:
    provider = ScriptedProvider(says("Yes."), says("Yes."))
    client = await deploy(provider, tier=2)
    role = answer_pb2.ConversationTurn
    turns = [
        role(role=role.ROLE_SUMMARY, text="They spoke of leave."),
        role(role=role.ROLE_USER, text="How many days?"),
        role(role=role.ROLE_ASSISTANT, text="24.5 days."),
    ]
    await client.execute("And next year?", turns=turns, prior_findings="maybe 30", continue_from="Next year")
    await client.execute("Something else?", context=context(request_id="r-2", locale="de-DE"))
    one, other = (request.prompt for request in provider.requests)
    assert (one.system, one.tools) == (other.system, other.tools)
    assert "2026" not in one.system
    assert [message.role for message in one.messages] == ["user", "assistant", "user"]
    last = str(one.messages[-1])
    assert "Today is 2026-11-22" in last
    assert "maybe 30" in last
    assert "<answer_so_far>\\nNext year" in last


async def test_another_tier_is_refused_by_name(deploy: Deploy) -> None:
    client = await deploy(ScriptedProvider())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.execute(tier=2)
    error = from_call(caught.value)
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert error.violations[0].field == "tier"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"context": context(tenant="other")}, "NOT_ALLOWED"),
        ({"context": context(time_zone="Mars/Olympus")}, "INVALID_FIELD"),
        ({"question": ""}, "INVALID_FIELD"),
    ],
)
async def test_bad_input_is_told_apart(deploy: Deploy, fields: dict[str, Any], reason: str) -> None:
    client = await deploy(ScriptedProvider())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.execute(**fields)
    assert from_call(caught.value).reason == reason


async def test_no_tool_server_is_said_before_the_first_event(deploy: Deploy) -> None:
    client = await deploy(ScriptedProvider(), aggregator_address="127.0.0.1:9")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.execute()
    error = from_call(caught.value)
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "TOOLS_UNAVAILABLE")


async def test_a_tool_with_a_lying_schema_is_not_offered(deploy: Deploy, backend: Backend) -> None:
    backend.tools = [
        tools_pb.Tool(name="broken", input_schema="{not json", kind=tools_pb.TOOL_KIND_BULK),
        tools_pb.Tool(name="array", input_schema='{"type": "array"}', kind=tools_pb.TOOL_KIND_BULK),
        tools_pb.Tool(
            name="remote", input_schema='{"type": "object", "$ref": "http://x/"}', kind=tools_pb.TOOL_KIND_BULK
        ),
        tools_pb.Tool(
            name="no_schema", input_schema='{"type": "object", "properties": 7}', kind=tools_pb.TOOL_KIND_BULK
        ),
        tools_pb.Tool(name="fine", input_schema='{"type": "object"}', kind=tools_pb.TOOL_KIND_BULK),
    ]
    provider = ScriptedProvider(says("Hello there."))
    await (await deploy(provider, tier=2)).execute()
    assert [tool.name for tool in provider.requests[0].prompt.tools] == ["fine"]


async def test_a_huge_result_is_cut_and_the_cut_is_announced(deploy: Deploy, backend: Backend) -> None:
    async def answer_hugely(_: tools_pb.CallToolRequest) -> tools_pb.CallToolResponse:
        return tools_pb.CallToolResponse(table=days_table(*[(f"Person {number}", "1.00") for number in range(2_000)]))

    backend.answer = answer_hugely
    provider = ScriptedProvider(calls(BALANCE), says("See the table."))
    answer = await (await deploy(provider, tier=2)).execute()
    (result,) = provider.requests[1].prompt.messages[-1].parts
    assert isinstance(result, ToolResultPart)
    assert len(result.content) < 30_000
    assert "of 2000 rows are shown" in result.content
    assert len(answer.of("table")[0].rows) == 2_000
