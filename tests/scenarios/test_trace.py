"""One question is one trace, with the right parent for every span across processes."""

from __future__ import annotations

import json
from typing import Any

CALLS = {  # callee and method → caller
    ("classifier", "Classify"): "gateway",
    ("executor", "Execute"): "gateway",
    ("suggester", "Suggest"): "gateway",
    ("executor", "Generate"): "suggester",
    ("classifier", "ClassifyBatch"): "suggester",
    ("aggregator", "Aggregate"): "executor",
}


def _whole(spans: Any) -> bool:
    """Whether every service's spans are there and none waits for its parent: each process exports in its own time."""
    known = {span.span_id for _, span in spans}
    served = {(service, span.name.rpartition("/")[2]) for service, span in spans if span.kind == span.SPAN_KIND_SERVER}
    wanted = {("tiermesh-gateway", "Ask"), *((f"tiermesh-{callee}", method) for callee, method in CALLS)}
    return served >= wanted and all(span.parent_span_id in known for _, span in spans if span.parent_span_id)


def test_one_question_is_one_trace_over_all_services_with_right_parents(suite: Any, collector: Any) -> None:
    events = suite.ask("Who applied for the most leave this year?")
    trace_id = events[0]["trace_id"]
    assert len(trace_id) == 32

    collector.wait_for(trace_id, _whole)
    spans = collector.trace(trace_id)
    by_id = {span.span_id: (service, span) for service, span in spans}
    servers = {
        (service, span.name.rpartition("/")[2]): span for service, span in spans if span.kind == span.SPAN_KIND_SERVER
    }
    roots = [(service, span.name) for service, span in spans if not span.parent_span_id]
    assert roots == [("tiermesh-gateway", "tiermesh.gateway.v1.GatewayService/Ask")]
    for callee, caller in CALLS.items():
        service, method = callee
        span = servers[f"tiermesh-{service}", method]
        parent_service, parent = by_id[span.parent_span_id]
        assert parent_service == f"tiermesh-{caller}", f"{callee} hangs under {parent_service}"
        assert parent.kind == parent.SPAN_KIND_CLIENT
        assert parent.name == span.name


def test_the_trace_holds_the_decision_the_model_call_and_the_statement_but_no_words_of_the_question(
    suite: Any, collector: Any
) -> None:
    events = suite.ask("Who applied for the most leave this year?", "--as", "head")
    trace_id = events[0]["trace_id"]
    collector.wait_for(trace_id, _whole)
    spans = collector.trace(trace_id)
    attributes = [(attribute.key, attribute.value.string_value) for _, span in spans for attribute in span.attributes]
    keys = {key for key, _ in attributes}
    assert any(key.startswith("gen_ai.") for key in keys)
    assert any(key.startswith("db.") for key in keys)
    assert ("tiermesh.route", "aggregate") in attributes
    assert not [value for _, value in attributes if "applied for the most" in value]


def test_every_inner_span_says_whose_conversation_it_was_and_no_more_about_who_asked(
    suite: Any, collector: Any
) -> None:
    events = suite.ask("Who applied for the most leave this year?", "--as", "head")
    collector.wait_for(events[0]["trace_id"], _whole)
    spans = collector.trace(events[0]["trace_id"])
    served = [span for _, span in spans if span.kind == span.SPAN_KIND_SERVER]
    assert len(served) >= len(CALLS)
    for span in served:
        said = {attribute.key: attribute.value.string_value for attribute in span.attributes}
        assert (said.get("tiermesh.tenant"), said.get("gen_ai.conversation.id")) == (
            "acme",
            events[0]["conversation_id"],
        ), span.name
    people = json.loads((suite.state / "keys" / "people.json").read_text())["people"]
    subject = next(each["subject"] for each in people if each["key"] == "head")
    assert not [span.name for _, span in spans for each in span.attributes if each.value.string_value == subject]


def test_histograms_name_the_traces_that_filled_their_buckets(suite: Any, collector: Any) -> None:
    events = suite.ask("Who applied for the most leave this year?")
    collector.wait_for_exemplars(
        {"rpc.server.call.duration", "rpc.client.call.duration", "tiermesh.answer.first_event"}, events[0]["trace_id"]
    )


def test_logs_carry_the_trace_and_no_question(suite: Any) -> None:
    events = suite.ask("How many leave days do I have left?")
    trace_id = events[0]["trace_id"]
    logs = {name: suite.log(name) for name in ("gateway", "classifier", "aggregator", "executor-tier1")}
    assert trace_id in logs["gateway"]
    assert not [name for name, text in logs.items() if "leave days do I have" in text]
