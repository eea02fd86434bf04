"""Errors to the wire and back."""

from __future__ import annotations

import grpc
import pytest
from tiermesh_runtime import errors
from tiermesh_runtime.errors import FieldViolation, RpcError


def _over_the_wire(error: RpcError) -> grpc.aio.AioRpcError:
    status = errors.to_status(error)
    return grpc.aio.AioRpcError(
        status.code, grpc.aio.Metadata(), grpc.aio.Metadata(*status.trailing_metadata), status.details
    )


def test_a_reason_that_is_not_in_the_enum_cannot_be_raised() -> None:
    with pytest.raises(ValueError, match="NO_SUCH_THING"):
        RpcError(grpc.StatusCode.INTERNAL, "NO_SUCH_THING", "…")


def test_an_error_survives_the_wire() -> None:
    sent = RpcError(
        grpc.StatusCode.INVALID_ARGUMENT,
        "UNKNOWN_NAME",
        "No measure 'leav'.",
        metadata={"nearest": "leave_days"},
        violations=[FieldViolation("plan.measures[0]", "unknown")],
        retry_after=0.25,
    )
    got = errors.from_call(_over_the_wire(sent))
    assert vars(got) == vars(sent)
    assert str(got) == "INVALID_ARGUMENT UNKNOWN_NAME: No measure 'leav'."


def test_a_bare_status_gets_a_fixed_sentence_instead_of_its_own() -> None:
    bare = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "connect to 10.1.2.3:5432 failed"
    )
    got = errors.from_call(bare)
    assert (got.code, got.reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_READY")
    assert "10.1.2.3" not in str(got)


def test_a_call_that_a_server_dropped_as_it_ended_counts_as_a_service_that_is_away() -> None:
    dropped = grpc.aio.AioRpcError(
        grpc.StatusCode.CANCELLED, grpc.aio.Metadata(), grpc.aio.Metadata(), "Received RST_STREAM with error code 8"
    )
    got = errors.from_call(dropped)
    assert (got.code, got.reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_READY")


def test_a_reason_of_a_newer_server_is_passed_on() -> None:
    newer = RpcError(grpc.StatusCode.ABORTED, "INTERNAL", "later")
    newer.reason = "INVENTED_LATER"
    assert errors.from_call(_over_the_wire(newer)).reason == "INVENTED_LATER"


def test_broken_details_do_not_break_the_decoding() -> None:
    broken = grpc.aio.AioRpcError(
        grpc.StatusCode.NOT_FOUND,
        grpc.aio.Metadata(),
        grpc.aio.Metadata(("grpc-status-details-bin", b"\xff\xff")),
        "x",
    )
    assert errors.from_call(broken).reason == "INTERNAL"
