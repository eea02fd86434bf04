"""What goes wrong, as people read it: a title, what happened, what to do. Pages and scripts get the same words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import grpc
from tiermesh_runtime.errors import RpcError

_STATUS: Mapping[grpc.StatusCode, int] = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.FAILED_PRECONDITION: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
_TITLES: Mapping[int, str] = {
    400: "That was not understood",
    401: "Please sign in",
    403: "Not for this sign-in",
    404: "Nothing there",
    409: "That cannot be done now",
    413: "That was too long",
    429: "Too much at once",
    501: "Not served here",
    503: "A service is away",
    504: "That took too long",
}
_MENDS: Mapping[int, str] = {
    401: "Your sign-in is missing, has expired or is not accepted. Sign in again.",
    403: "Reports and thresholds are for people with the role router_admin, each for their own tenant.",
    429: "Wait a moment, then try again.",
    501: "The deployment runs a version that lacks this part. The other pages work.",
    503: "Nothing is lost. Try again in a moment; the other pages may still work.",
    504: "Try again, or choose a shorter period.",
}


@dataclass(frozen=True)
class Trouble:
    """One thing that went wrong."""

    status: int
    title: str
    detail: str
    mend: str = ""
    # A name of tiermesh.errors.v1.Reason; empty for what HTTP itself refuses.
    reason: str = ""

    @property
    def values(self) -> dict[str, object]:
        """Return what scripts get."""
        return {"status": self.status, "title": self.title, "message": self.detail, "mend": self.mend}


def trouble_of(error: RpcError) -> Trouble:
    """Return what a service's refusal means to the person who looks."""
    status = _STATUS.get(error.code, 500)
    mend = _MENDS.get(status, "")
    if error.retry_after is not None:
        mend = f"Try again in {max(error.retry_after, 1):.0f} s."
    return Trouble(status, _TITLES.get(status, "Something went wrong"), error.message, mend, error.reason)


def http_trouble(status: int, detail: str) -> Trouble:
    """Return what the console itself refuses."""
    return Trouble(status, _TITLES.get(status, "Something went wrong"), detail, _MENDS.get(status, ""))
