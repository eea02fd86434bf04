"""Report pages: full, empty, partly refused, of one tenant alone; thresholds proposed, applied, undone."""

from __future__ import annotations

import json
import re
from typing import Any

import grpc
import pytest
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh_runtime.errors import RpcError

HOSTILE = '<script>alert(1)</script>"onload="alert(2)'
REPORTS = ("/thresholds", "/routing", "/cost", "/quality")
DATA = re.compile(r'data-chart="(\w+)".*?<script type="application/json">(.*?)</script>', re.DOTALL)


def drawn(text: str) -> dict[str, Any]:
    """The numbers of the page's charts."""
    return {name: json.loads(values) for name, values in DATA.findall(text)}


async def test_thresholds_show_what_stands_and_what_every_other_would_have_meant(world: Any) -> None:
    browser = await world.browser("operator-token")
    response, text = await browser.get("/thresholds")
    assert response.status == 200
    for words in ("the tenant&#39;s default, never moved", "a proposal needs 200", "No proposals yet", "Never moved"):
        assert words in text
    charts = drawn(text)
    assert len(charts["curve"]["points"]) == 51
    assert charts["curve"]["current"] == pytest.approx(0.6)
    assert charts["confidence"]["bands"][0]["decisions"] == 10
    assert charts["reliability"]["bins"][0]["success"]["count"] == 20


async def test_a_threshold_is_proposed_applied_and_undone(world: Any) -> None:
    browser = await world.browser("operator-token")
    await browser.get("/thresholds")
    response, text = await browser.post("/thresholds/propose", {"wanted": "0.72", "days": "90"})
    assert response.status == 200
    assert response.url.query["days"] == "90"
    (request,) = world.insights.requests("ProposeThreshold")
    assert request.wanted == pytest.approx(0.72)
    assert request.selection.tenant == "acme"
    assert "0.60 → 0.72" in text
    assert "<strong>400</strong>" in text

    _, text = await browser.post("/thresholds/apply", {"proposal_id": "p1"})
    assert world.insights.current.threshold == pytest.approx(0.72)
    assert "The threshold is in force" in text
    assert '<button class="undo">' in text

    _, text = await browser.post("/thresholds/undo", {"version": world.insights.current.version})
    assert world.insights.current.threshold == pytest.approx(0.6)
    assert "in force again" in text


async def test_the_best_threshold_is_asked_for_without_naming_one(world: Any) -> None:
    browser = await world.browser("operator-token")
    await browser.get("/thresholds")
    await browser.post("/thresholds/propose", {"weight": "0.5", "loss": "2", "alpha": "10", "wanted": ""})
    (request,) = world.insights.requests("ProposeThreshold")
    assert not request.HasField("wanted")
    assert request.quality_weight_micros == 500_000
    assert (request.max_quality_loss, request.alpha) == (pytest.approx(0.02), pytest.approx(0.1))


async def test_a_proposal_that_changes_nothing_is_told_and_offers_nothing_to_apply(world: Any) -> None:
    browser = await world.browser("operator-token")
    await browser.get("/thresholds")
    response, text = await browser.post("/thresholds/propose", {"wanted": "0.60"})
    assert response.status == 200
    assert "Nothing to change" in text
    assert "<strong>Stay.</strong>" in text
    assert 'button class="primary apply"' not in text


async def test_one_family_of_intents_is_looked_at_but_gets_no_threshold_of_its_own(world: Any) -> None:
    browser = await world.browser("operator-token")
    _, text = await browser.get("/thresholds?family=leave")
    assert world.insights.requests("ReportThreshold")[0].selection.intent_family == "leave"
    assert "/thresholds/propose" not in text


@pytest.mark.parametrize("nonsense", ["nan", "inf", "-3", "abc", "1e999", "٣٫٥", "²"])
async def test_weights_that_are_no_numbers_take_the_deployments_own(world: Any, nonsense: str) -> None:
    browser = await world.browser("operator-token")
    response, _ = await browser.get("/thresholds", params={"weight": nonsense, "loss": nonsense, "days": nonsense})
    assert response.status == 200
    (request,) = world.insights.requests("ReportThreshold")
    assert (request.quality_weight_micros, request.max_quality_loss) == (0, 0)


async def test_too_little_data_is_said_where_the_person_asked(world: Any) -> None:
    words = "37 outcomes speak of tier 1; a proposal needs 200."
    world.insights.refuse["ProposeThreshold"] = RpcError(grpc.StatusCode.FAILED_PRECONDITION, "SAMPLE_TOO_SMALL", words)
    browser = await world.browser("operator-token")
    await browser.get("/thresholds")
    response, text = await browser.post("/thresholds/propose", {"wanted": "0.7"})
    assert response.status == 409
    assert words in text
    assert "What every other threshold would have cost" in text


async def test_a_proposal_that_is_gone_is_not_applied(world: Any) -> None:
    browser = await world.browser("operator-token")
    await browser.get("/thresholds")
    response, text = await browser.post("/thresholds/apply", {"proposal_id": "another tenant's"})
    assert response.status == 404
    assert "There is no such proposal." in text
    assert world.insights.versions == []


async def test_evidence_is_read_as_markdown_and_never_as_html(world: Any) -> None:
    world.insights.evidence = f"{HOSTILE}\n\n[x](javascript:alert(1)) ![x](https://evil.example/x.png)"
    browser = await world.browser("operator-token")
    await browser.get("/thresholds")
    _, text = await browser.post("/thresholds/propose", {"wanted": "0.7"})
    body = text.split("<main")[1]
    assert "<script>alert" not in body
    assert 'href="javascript:' not in body
    assert "<img" not in body


async def test_names_from_reports_are_shown_as_words_also_inside_chart_data(world: Any) -> None:
    world.insights.families = [HOSTILE, "</script>"]
    browser = await world.browser("operator-token")
    _, text = await browser.get("/thresholds")
    assert HOSTILE not in text
    assert '<option value="</script>' not in text


async def test_routing_shows_shares_against_the_wanted_mix(start_world: Any) -> None:
    world = await start_world(target_mix="tier1=50,aggregate=40,tier2=10")
    browser = await world.browser("operator-token")
    _, text = await browser.get("/routing?days=7")
    shares = drawn(text)["shares"]
    assert {"name", "label", "values"} <= set(shares["series"][0])
    assert "50 % Tier 1, 40 % Aggregate, 10 % Tier 2" in text
    assert "+5.0" in text
    for words in ("Traps refused", "Trained model", "Follow-up", "High scope takes aggregate", "310 ms"):
        assert words in text
    whole, steps = sorted(world.insights.requests("ReportRouting"), key=lambda request: request.HasField("step"))
    assert not whole.HasField("step")
    assert steps.step.seconds == 5 * 3600


async def test_cost_is_shown_per_session_and_per_tag(world: Any) -> None:
    browser = await world.browser("operator-token")
    _, text = await browser.get("/cost")
    for words in (
        "$1.23",
        "$0.00617",
        "$4.00",
        "$3.50 to $4.60",
        "answer-simple",
        "c-1",
        "$0.090",
        "0.03 % of the saving",
    ):
        assert words in text
    assert drawn(text)["spend"]["questions"] == [40] * 5


async def test_quality_shows_the_judge_and_why_it_is_not_trusted(world: Any) -> None:
    browser = await world.browser("operator-token")
    _, text = await browser.get("/quality")
    for words in (
        "not trusted",
        "Only 12 verdicts",
        "Helpful and grounded",
        "90.0 %",
        "60.0 %",
        "2026-11-01",
        "Drill down",
        "15.0 %",
    ):
        assert words in text


@pytest.mark.parametrize("path", REPORTS)
async def test_a_tenant_without_data_is_told_so(world: Any, path: str) -> None:
    world.insights.empty = True
    browser = await world.browser("operator-token")
    response, text = await browser.get(path)
    assert response.status == 200
    assert 'class="empty"' in text


@pytest.mark.parametrize("path", [*REPORTS, "/quality/compare"])
async def test_reports_are_not_for_people_without_the_role(world: Any, path: str) -> None:
    browser = await world.browser("employee-token")
    response, text = await browser.get(path)
    assert response.status == 403
    assert "router_admin" in text


@pytest.mark.parametrize("path", REPORTS)
async def test_a_tenant_in_the_address_or_form_is_not_read(world: Any, path: str) -> None:
    browser = await world.browser("other-token")
    await browser.get(path, params={"tenant": "acme"})
    assert world.insights.calls
    for _, request, who in world.insights.calls:
        assert request.selection.tenant == who.tenant == "globex"


async def test_one_tenants_operator_sets_no_others_threshold(world: Any) -> None:
    browser = await world.browser("other-token")
    await browser.get("/thresholds")
    await browser.post("/thresholds/apply", {"proposal_id": "p1", "tenant": "acme"})
    (request,) = world.insights.requests("ApplyThreshold")
    assert request.tenant == "globex"


@pytest.mark.parametrize("path", REPORTS)
async def test_a_report_that_is_not_served_is_named_in_its_place(world: Any, path: str) -> None:
    for method in ("ReportThreshold", "ReportConfidence", "ReportRouting", "ReportCost", "ReportQuality"):
        world.insights.refuse[method] = RpcError(grpc.StatusCode.UNIMPLEMENTED, "NOT_SERVED", f"{method} is not served")
    browser = await world.browser("operator-token")
    response, text = await browser.get(path)
    assert response.status == 200
    assert "is not served" in text
    assert "Not served here" in text


@pytest.mark.parametrize("path", REPORTS)
async def test_insights_that_is_away_is_said_on_the_page_and_asking_goes_on(world: Any, path: str) -> None:
    browser = await world.browser("operator-token")
    await world.stop("insights")
    response, text = await browser.get(path)
    assert response.status == 200
    assert "A service is away" in text
    response, lines = await browser.script("/ask/stream", {"text": "?"})
    assert lines[-1]["event"] == "receipt"


async def test_half_a_page_is_shown_when_half_is_there(world: Any) -> None:
    world.insights.refuse["ReportConfidence"] = RpcError(grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE", "no base")
    browser = await world.browser("operator-token")
    _, text = await browser.get("/thresholds")
    assert "no base" in text
    assert "curve" in drawn(text)


def make_pair(**tables: str) -> pb.NextComparisonResponse:
    answer = pb.NextComparisonResponse.Answer
    return pb.NextComparisonResponse(
        comparison_id="x",
        question="How many?",
        first=answer(text="Twelve.", tables_json=tables.get("first", "")),
        second=answer(text=HOSTILE, tables_json=tables.get("second", "")),
    )


async def test_answers_are_compared_blind_and_revealed_after_the_word(world: Any) -> None:
    world.insights.pair = make_pair(first=json.dumps([{"columns": ["Days"], "rows": [["12"], [None]]}]))
    browser = await world.browser("operator-token")
    _, text = await browser.get("/quality/compare")
    assert "Twelve." in text
    assert "Tier" not in text.split("<main")[1]
    assert HOSTILE not in text
    assert "<td>12</td>" in text
    _, text = await browser.post("/quality/compare", {"comparison_id": "x", "preference": "first"})
    assert "A was Tier 2, B was Tier 1." in text
    assert "Nothing left to compare" in text
    (request,) = world.insights.requests("RecordPreference")
    assert request.preference == pb.RecordPreferenceRequest.PREFERENCE_FIRST


@pytest.mark.parametrize("words", ["{", "[1, 2]", '[{"rows": 3}]', '[{"rows": [1], "columns": [null]}]'])
async def test_tables_that_cannot_be_read_are_left_out(world: Any, words: str) -> None:
    world.insights.pair = make_pair(second=words)
    browser = await world.browser("operator-token")
    response, _ = await browser.get("/quality/compare")
    assert response.status == 200


async def test_a_word_that_is_none_is_refused(world: Any) -> None:
    browser = await world.browser("operator-token")
    response, _ = await browser.post("/quality/compare", {"comparison_id": "x", "preference": "third"})
    assert response.status == 400
    assert world.insights.requests("RecordPreference") == []
