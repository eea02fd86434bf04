"""Errors as they travel: `RpcError` knows code, reason and metadata; here it becomes google.rpc.Status and back.

Every Status carries exactly one ErrorInfo whose reason is a name of
`tiermesh.errors.v1.Reason` without prefix. Not here: deciding which exception
becomes which error (servicers), catching what nobody translated (`interceptors`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import grpc
from google.protobuf import any_pb2, message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from tiermesh.errors.v1 import errors_pb2

DOMAIN = "tiermesh"
INTERNAL_MESSAGE = "Something went wrong on our side; the request id finds it in the logs."

_REASONS = errors_pb2.Reason.DESCRIPTOR.values_by_name

# What a status without ErrorInfo says of itself: it came from grpc, not from one of our handlers.
_BARE: Mapping[grpc.StatusCode, tuple[str, str]] = {
    grpc.StatusCode.UNAVAILABLE: ("NOT_READY", "A service that is needed cannot be reached."),
    # Whoever cancels a call by oneself hears no status: this is a server that ended before it took the call.
    grpc.StatusCode.CANCELLED: ("NOT_READY", "A service that is needed cannot be reached."),
    grpc.StatusCode.DEADLINE_EXCEEDED: ("DEADLINE_EXCEEDED", "The deadline passed while working."),
    grpc.StatusCode.RESOURCE_EXHAUSTED: ("OVERLOADED", "A limit of the server was reached."),
    grpc.StatusCode.UNIMPLEMENTED: ("NOT_SERVED", "The server does not serve this call."),
}


class FieldViolation(NamedTuple):
    """One field that breaks a bound, as a path from the request's root."""

    field: str
    description: str


class RpcError(Exception):
    """A refusal that the caller can act on."""

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[FieldViolation] = (),
        retry_after: float | None = None,
    ) -> None:
        """`reason` is a name of `tiermesh.errors.v1.Reason` without prefix; `retry_after` is in seconds."""
        if f"REASON_{reason}" not in _REASONS:
            raise ValueError(f"{reason!r} is no name of tiermesh.errors.v1.Reason; add it there first")
        super().__init__(code, reason, message)
        self.code = code
        self.reason = reason
        self.message = message
        self.metadata: dict[str, str] = dict(metadata or {})
        self.violations: tuple[FieldViolation, ...] = tuple(violations)
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.code.name} {self.reason}: {self.message}"


def invalid_field(field: str, description: str) -> RpcError:
    """Return INVALID_FIELD for one field."""
    return invalid_fields([FieldViolation(field, description)])


def invalid_fields(violations: Sequence[FieldViolation]) -> RpcError:
    """Return INVALID_FIELD that lists each field; the message names them too."""
    words = "; ".join(f"{each.field}: {each.description}" for each in violations)
    return RpcError(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", words, violations=violations)


def internal(request_id: str) -> RpcError:
    """Return the only thing that a caller learns of a fault of ours."""
    return RpcError(grpc.StatusCode.INTERNAL, "INTERNAL", INTERNAL_MESSAGE, metadata={"request_id": request_id})


def to_status(error: RpcError) -> grpc.Status:
    """Return `error` as grpc sends it, with its details."""
    info = error_details_pb2.ErrorInfo(domain=DOMAIN, reason=error.reason, metadata=error.metadata)
    details: list[message.Message] = [info]
    if error.violations:
        bad = error_details_pb2.BadRequest()
        for each in error.violations:
            bad.field_violations.add(field=each.field, description=each.description)
        details.append(bad)
    if error.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(int(error.retry_after * 1e9))
        details.append(retry)
    status = status_pb2.Status(code=code_pb2.Code.Value(error.code.name), message=error.message)
    for each_detail in details:
        packed = any_pb2.Any()
        packed.Pack(each_detail)
        status.details.append(packed)
    converted: grpc.Status = rpc_status.to_status(status)  # type: ignore[no-untyped-call] # published untyped
    return converted


def from_call(error: grpc.aio.AioRpcError) -> RpcError:
    """Return what a server said. A status without ErrorInfo gets a fixed sentence: its text may be internal."""
    status = _rich_status(error)
    found: dict[type[message.Message], message.Message] = {}
    for packed in status.details if status is not None else ():
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo):
            detail = kind()
            if packed.Unpack(detail):
                found[kind] = detail
    info = found.get(error_details_pb2.ErrorInfo)
    if status is None or not isinstance(info, error_details_pb2.ErrorInfo) or info.domain != DOMAIN:
        reason, words = _BARE.get(error.code(), ("INTERNAL", INTERNAL_MESSAGE))
        code = grpc.StatusCode.UNAVAILABLE if error.code() is grpc.StatusCode.CANCELLED else error.code()
        return RpcError(code, reason, words)
    # A newer server may know more reasons than this build does.
    known = info.reason if f"REASON_{info.reason}" in _REASONS else "INTERNAL"
    bad = found.get(error_details_pb2.BadRequest)
    retry = found.get(error_details_pb2.RetryInfo)
    decoded = RpcError(
        error.code(),
        known,
        status.message,
        metadata=info.metadata,
        violations=[FieldViolation(each.field, each.description) for each in bad.field_violations]
        if isinstance(bad, error_details_pb2.BadRequest)
        else (),
        retry_after=retry.retry_delay.ToNanoseconds() / 1e9 if isinstance(retry, error_details_pb2.RetryInfo) else None,
    )
    decoded.reason = info.reason
    return decoded


def _rich_status(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    try:
        status: status_pb2.Status | None = rpc_status.from_call(error)  # type: ignore[no-untyped-call] # published untyped
    except (ValueError, message.DecodeError):  # trailers that contradict the status line, or are no Status
        return None
    return status
