"""Events of the merged stream as the client's messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO

from google.protobuf import proto
from tiermesh.common.v1 import answer_pb2
from tiermesh.gateway.v1 import gateway_service_pb2 as pb

from tiermesh_gateway.adapters.translate import ROUTES, TIERS, answer_done, decision_message, receipt_message
from tiermesh_gateway.events import AnswerEnd, DecisionMade, Event, Kind, Receipt, RouteChanged, Voided

# Forwarded as they came: kind and field of the message.
_FIELDS = {
    Kind.TEXT: "text",
    Kind.TABLE: "table",
    Kind.TOOL: "tool",
    Kind.CLARIFICATION: "clarification",
    Kind.PROPOSAL: "proposal",
    Kind.PILL: "pill",
}


def packed(events: Sequence[Event]) -> bytes:
    """A whole stream, to be said again."""
    stream = BytesIO()
    for sequence, event in enumerate(events, start=1):
        proto.serialize_length_prefixed(ask_response(sequence, event), stream)
    return stream.getvalue()


def unpacked(stream: bytes) -> Iterator[pb.AskResponse]:
    """What `packed` kept."""
    said = BytesIO(stream)
    while (response := proto.parse_length_prefixed(pb.AskResponse, said)) is not None:
        yield response


def ask_response(sequence: int, event: Event) -> pb.AskResponse:
    """One event with its sequence number."""
    field = _FIELDS.get(event.kind)
    if field is not None:
        return pb.AskResponse(sequence=sequence, **{field: event.payload})
    message = pb.AskResponse(sequence=sequence)
    match event.payload:
        case DecisionMade() as made:
            message.decision.CopyFrom(_decision_made(made))
        case AnswerEnd() as end:
            message.answer_done.CopyFrom(answer_done(end))
        case Voided(cause, detail):
            message.superseded.CopyFrom(answer_pb2.Superseded(cause=cause, detail=detail))
        case RouteChanged(route, cause, detail):
            changed = pb.RouteChanged(route=ROUTES[route], tier=TIERS[route.tier], cause=cause, detail=detail)
            message.route_changed.CopyFrom(changed)
        case Receipt() as receipt:
            message.receipt.CopyFrom(receipt_message(receipt))
        case _:
            message.heartbeat.SetInParent()
    return message


def _decision_made(made: DecisionMade) -> pb.DecisionMade:
    return pb.DecisionMade(
        decision=decision_message(made),
        request_id=made.request_id,
        conversation_id=made.conversation_id,
        turn=made.turn,
        trace_id=made.trace_id,
    )
