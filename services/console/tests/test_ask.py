"""Asking: the stream as it comes, refusals, hostile text, and who goes away in the middle."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import grpc
import pytest
from tiermesh.common.v1 import answer_pb2
from tiermesh.gateway.v1 import gateway_service_pb2 as pb
from tiermesh_runtime.errors import RpcError


async def test_an_answer_comes_as_lines_of_json_from_decision_to_receipt(world: Any) -> None:
    browser = await world.browser("employee-token")
    response, lines = await browser.script("/ask/stream", {"text": "How many days?", "min_tier": "2"})
    assert response.status == 200
    assert response.content_type == "application/x-ndjson"
    assert [line["event"] for line in lines] == ["decision", "tool", "table", "text", "answer_done", "pill", "receipt"]
    assert lines[0]["scores"]["confidence"]["value"] == pytest.approx(0.91)
    ((subject, request),) = world.gateway.asked
    assert (subject, request.text, request.min_tier) == ("E00016", "How many days?", 2)


async def test_each_event_is_sent_as_it_comes_and_not_with_the_next(world: Any) -> None:
    hold = asyncio.Event()
    world.gateway.script = lambda request: [
        pb.AskResponse(decision=pb.DecisionMade(request_id="r", conversation_id="c")),
        pb.AskResponse(text=answer_pb2.TextChunk(text="first")),
        hold,
    ]
    browser = await world.browser("employee-token")
    headers = {"X-CSRF-Token": browser.csrf}
    async with browser.session.post(world.root + "/ask/stream", json={"text": "?"}, headers=headers) as response:
        assert json.loads(await response.content.readline())["event"] == "decision"
        assert json.loads(await response.content.readline())["text"] == "first"
        assert not world.gateway.left.is_set()
    # The browser has gone: so has the question.
    async with asyncio.timeout(30):
        await world.gateway.left.wait()


async def test_the_page_offers_the_deployments_own_questions_and_none_of_ours(start_world: Any) -> None:
    browser = await (await start_world()).browser("employee-token")
    _, text = await browser.get("/ask")
    assert "example" not in text
    asked = await start_world(example_questions=("Is <b>this</b> a question?",))
    browser = await asked.browser("employee-token")
    _, text = await browser.get("/ask")
    assert "Is &lt;b&gt;this&lt;/b&gt; a question?" in text


async def test_a_refusal_before_the_first_event_has_a_status_and_words(world: Any) -> None:
    world.gateway.script = lambda request: [
        RpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, "BUDGET_EXHAUSTED", "Today's budget is spent.")
    ]
    browser = await world.browser("employee-token")
    response, lines = await browser.script("/ask/stream", {"text": "?"})
    assert response.status == 429
    assert lines[0]["error"]["message"] == "Today's budget is spent."


async def test_a_stream_that_breaks_says_so_in_its_last_line(world: Any) -> None:
    world.gateway.script = lambda request: [
        pb.AskResponse(decision=pb.DecisionMade(request_id="r", conversation_id="c")),
        pb.AskResponse(text=answer_pb2.TextChunk(text="half an ans")),
        RpcError(grpc.StatusCode.INTERNAL, "INTERNAL", "Something broke."),
    ]
    browser = await world.browser("employee-token")
    _, lines = await browser.script("/ask/stream", {"text": "?"})
    assert [line["event"] for line in lines] == ["decision", "text", "trouble"]
    assert lines[-1]["message"] == "Something broke."


async def test_an_answer_without_its_receipt_is_no_success(world: Any) -> None:
    world.gateway.script = lambda request: [
        pb.AskResponse(decision=pb.DecisionMade(request_id="r", conversation_id="c"))
    ]
    browser = await world.browser("employee-token")
    _, lines = await browser.script("/ask/stream", {"text": "?"})
    assert [line["event"] for line in lines] == ["decision", "trouble"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("no json", "no JSON object"),
        ("[1]", "no JSON object"),
        ('{"text": 7}', "text is no text"),
        ('{"text": "\\ud800"}', "half a character"),
        ('{"text": "?", "min_tier": "9"}', "min_tier is none of"),
    ],
)
async def test_what_is_no_question_is_told_so(world: Any, body: str, said: str) -> None:
    browser = await world.browser("employee-token")
    headers = {"X-CSRF-Token": browser.csrf}
    async with browser.session.post(world.root + "/ask/stream", data=body, headers=headers) as response:
        assert response.status == 400
        assert said in (await response.json())["error"]["message"]
    assert world.gateway.asked == []


async def test_a_blank_question_is_refused_by_its_bounds(world: Any) -> None:
    browser = await world.browser("employee-token")
    response, lines = await browser.script("/ask/stream", {"text": ""})
    assert response.status == 400
    assert "text" in lines[0]["error"]["message"]


async def test_what_is_far_too_long_is_refused_before_the_gateway(world: Any) -> None:
    browser = await world.browser("employee-token")
    response, _ = await browser.script("/ask/stream", {"text": "x" * 300_000})
    assert response.status == 413
    assert world.gateway.asked == []


async def test_feedback_pills_and_proposals_reach_the_gateway(world: Any) -> None:
    browser = await world.browser("employee-token")
    await browser.script("/ask/feedback", {"request_id": "r-1", "verdict": "bad"})
    await browser.script("/ask/feedback", {"request_id": "r-1", "verdict": "pill", "pill_id": "p-1"})
    _, lines = await browser.script("/ask/confirm", {"token": "signed"})
    verdicts = [each.verdict for each in world.gateway.feedback]
    assert verdicts == [pb.RecordFeedbackRequest.VERDICT_BAD, pb.RecordFeedbackRequest.VERDICT_PILL_CLICKED]
    assert world.gateway.confirmed == ["signed"]
    assert lines == [{"summary": "Booked.", "record_id": "L1", "repeated": False}]


async def test_an_expired_sign_in_is_told_to_a_script_and_sends_a_page_to_sign_in(world: Any) -> None:
    browser = await world.browser("employee-token")

    def nobody(context: Any) -> Any:
        raise RpcError(grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_EXPIRED", "The token has expired; sign in again.")

    world.gateway._who = nobody
    response, lines = await browser.script("/ask/stream", {"text": "?"})
    assert response.status == 401
    assert "expired" in lines[0]["error"]["message"]
    response, _ = await browser.get("/receipts/own-1", allow_redirects=False)
    assert response.status == 303
    assert response.headers["Location"].startswith("/sign-in")


async def test_a_gateway_that_is_away_is_named_and_nothing_else_breaks(world: Any) -> None:
    browser = await world.browser("employee-token")
    await world.stop("gateway")
    response, lines = await browser.script("/ask/stream", {"text": "?"})
    assert response.status == 503
    assert lines[0]["error"]["title"] == "A service is away"
    response, _ = await browser.get("/ask")
    assert response.status == 200
    response, text = await browser.get("/receipts/own-1")
    assert response.status == 503
    assert "Try again" in text
    stranger = await world.browser()
    await stranger.get("/sign-in")
    response, text = await stranger.post("/sign-in", {"token": "operator-token"})
    assert response.status == 503
