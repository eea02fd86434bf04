"""The stable JSON of `ask --json`."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from tiermesh.common.v1 import answer_pb2, pill_pb2, routing_pb2, scores_pb2, table_pb2
from tiermesh.gateway.v1 import gateway_service_pb2 as pb
from tiermesh_client.events import event_values


def test_a_decision_stands_at_the_top_with_words_for_enums() -> None:
    decision = routing_pb2.Decision(
        decision_id="d1",
        route=routing_pb2.ROUTE_AGGREGATE,
        tier=routing_pb2.TIER_1,
        reasons=[routing_pb2.DecisionReason(rule="high_scope_takes_aggregate", detail="team")],
        scores=scores_pb2.Scores(intent=scores_pb2.AxisScore(label="leave.history", stage=scores_pb2.STAGE_TRAINED)),
    )
    made = pb.DecisionMade(decision=decision, request_id="r1", conversation_id="c1", turn=1)
    values = event_values(pb.AskResponse(sequence=1, decision=made))
    assert values["event"] == "decision"
    assert values["sequence"] == 1
    assert (values["route"], values["tier"]) == ("aggregate", "1")
    assert values["reasons"] == [{"rule": "high_scope_takes_aggregate", "detail": "team"}]
    assert values["scores"]["intent"]["stage"] == "trained"
    assert values["conversation_id"] == "c1"
    assert values["speculate"] is False


def test_a_table_s_cells_are_json_values_and_null_is_null() -> None:
    table = table_pb2.Table(
        columns=[
            table_pb2.Column(name="employee", type=table_pb2.COLUMN_TYPE_STRING),
            table_pb2.Column(name="days", type=table_pb2.COLUMN_TYPE_DOUBLE, unit="days", measure=True),
        ],
        rows=[
            table_pb2.Row(values=[table_pb2.Value(text="Asha"), table_pb2.Value(number=12.5)]),
            table_pb2.Row(values=[table_pb2.Value(text="Ben"), table_pb2.Value()]),
        ],
        statements=1,
    )
    values = event_values(pb.AskResponse(sequence=2, table=table))
    assert values["rows"] == [["Asha", 12.5], ["Ben", None]]
    assert values["columns"][1]["type"] == "double"
    assert values["columns"][1]["measure"] is True
    assert values["statements"] == 1
    assert values["truncated"] is False


def test_durations_are_milliseconds() -> None:
    receipt = pb.Receipt(timings=pb.Receipt.Timings(total=Duration(seconds=1, nanos=500_000_000)))
    assert event_values(pb.AskResponse(receipt=receipt))["timings"] == {"total": 1500.0}


def test_an_incomplete_answer_says_false_and_not_nothing() -> None:
    done = answer_pb2.AnswerDone(stop_reason=answer_pb2.AnswerDone.STOP_REASON_FAILED)
    values = event_values(pb.AskResponse(sequence=3, answer_done=done))
    assert values["complete"] is False
    assert values["stop_reason"] == "failed"


def test_a_pill_keeps_its_kind_and_source() -> None:
    pill = pill_pb2.Pill(text="By month?", kind=pill_pb2.PILL_KIND_DRILL_DOWN, source=pill_pb2.PILL_SOURCE_FALLBACK)
    values = event_values(pb.AskResponse(sequence=4, pill=pill))
    assert (values["text"], values["kind"], values["source"]) == ("By month?", "drill_down", "fallback")


def test_an_event_of_a_newer_gateway_is_unknown_and_no_error() -> None:
    assert event_values(pb.AskResponse(sequence=5)) == {"event": "unknown", "sequence": 5}
