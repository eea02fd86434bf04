"""A status as a client in another language decodes it."""

from __future__ import annotations

from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status


def details(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    """Decode a status the way a foreign client does; fails when there is more or less than one ErrorInfo."""
    status = rpc_status.from_call(error)
    assert status is not None
    found: dict[str, Any] = {}
    for packed in status.details:
        kind = getattr(error_details_pb2, packed.TypeName().rsplit(".", 1)[-1])
        message = kind()
        assert packed.Unpack(message)
        assert kind.__name__ not in found
        found[kind.__name__] = message
    assert found["ErrorInfo"].domain == "tiermesh"
    return found
