"""Receipts: one's own, others' from the log, replays, and hostile words in them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import grpc
from tiermesh_runtime.errors import RpcError

HOSTILE = "<script>alert(1)</script>"


async def test_an_employee_reads_the_receipt_of_an_own_question_without_insights(world: Any) -> None:
    browser = await world.browser("employee-token")
    response, text = await browser.get("/receipts/own-1")
    assert response.status == 200
    for words in ("Sure enough takes tier1", "small-model", "$0.00051", "420 ms", "0af7651916cd43dd8448eb211c80319c"):
        assert words in text
    assert "Replaying is for people with the role router_admin" in text
    assert world.insights.calls == []


async def test_an_employee_does_not_reach_others_receipts(world: Any) -> None:
    browser = await world.browser("employee-token")
    response, text = await browser.get("/receipts/r-logged")
    assert response.status == 404
    assert "No answer of yours has this id." in text


async def test_an_operator_reads_any_decision_of_the_tenant_from_the_log(world: Any) -> None:
    browser = await world.browser("operator-token")
    response, text = await browser.get("/receipts/r-logged")
    assert response.status == 200
    assert "What became of it" in text
    assert "Thumb" in text
    assert all(request.tenant == "acme" for _, request, _ in world.insights.calls)


async def test_a_decision_is_replayed_under_another_threshold(world: Any) -> None:
    browser = await world.browser("operator-token")
    _, text = await browser.get("/receipts/r-logged?threshold=0.95")
    assert "instead of Tier 1" in text
    _, text = await browser.get("/receipts/r-logged?threshold=0.7")
    assert "as before" in text
    assert [request.threshold for request in world.insights.requests("ReplayDecision")] == [0.95, 0.7]
    for nonsense in ("nan", "high", "", "1e999"):
        response, _ = await browser.get(f"/receipts/r-logged?threshold={nonsense}")
        assert response.status == 200
    assert len(world.insights.requests("ReplayDecision")) == 2


async def test_a_decision_is_replayed_under_other_settings_and_their_words_are_escaped(world: Any) -> None:
    browser = await world.browser("operator-token")
    settings = "failure_policy: cost_first\n# </textarea><script>"
    _, text = await browser.get(f"/receipts/r-logged?settings={quote(settings)}")
    (request,) = world.insights.requests("ReplayDecision")
    assert request.settings == settings
    assert "Cost first" in text
    assert "<script>" not in text.replace("<script ", "")
    assert "&lt;/textarea&gt;&lt;script&gt;" in text


async def test_a_replay_that_is_refused_leaves_the_receipt_readable(world: Any) -> None:
    world.insights.refuse["ReplayDecision"] = RpcError(grpc.StatusCode.UNIMPLEMENTED, "NOT_SERVED", "Not served here.")
    browser = await world.browser("operator-token")
    response, text = await browser.get("/receipts/r-logged?threshold=0.95")
    assert response.status == 200
    assert "Not served here." in text
    assert "How it was decided" in text


async def test_words_of_a_decision_are_shown_as_words(world: Any) -> None:
    world.gateway.decision.reasons[0].detail = HOSTILE
    world.gateway.decision.scores.intent.label = HOSTILE
    browser = await world.browser("employee-token")
    _, text = await browser.get("/receipts/own-1")
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text


async def test_an_id_is_looked_for_where_it_has_the_form_of_one(world: Any) -> None:
    browser = await world.browser("employee-token")
    response, _ = await browser.get("/receipts?id=own-1", allow_redirects=False)
    assert response.headers["Location"] == "/receipts/own-1"
    response, text = await browser.get("/receipts?id=%3Cscript%3E")
    assert response.status == 200
    assert "That is no id" in text
    assert "<script>" not in text.split("<main")[1]
    response, _ = await browser.get("/receipts/..%2F..%2Fetc")
    assert response.status == 404
