"""The errors of the Messages API: HTTP status, error type and body, as the SDK's types have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_TYPES: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_MESSAGES: Final[Mapping[int, str]] = {
    400: "invalid request",
    401: "invalid x-api-key",
    403: "Your API key does not have permission to use the specified resource.",
    404: "Not found",
    413: "Request exceeds the maximum size",
    429: "This request would exceed your organization's rate limit. Please try again later.",
    500: "Internal server error",
    503: "Service unavailable",
    504: "Request timed out",
    529: "Overloaded",
}


class ApiError(Exception):
    """A request that the API answers with an error."""

    def __init__(self, status: int, message: str | None = None, *, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.message = message if message is not None else _MESSAGES.get(status, "error")
        self.headers = dict(headers or {})
        super().__init__(self.message)

    def body(self, request_id: str) -> dict[str, Any]:
        """Return the error body."""
        return error_body(error_type(self.status), self.message, request_id)


def invalid(message: str) -> ApiError:
    """Return a 400 with this message."""
    return ApiError(400, message)


def error_type(status: int) -> str:
    """Return the error type that goes with a status."""
    return _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")


def error_body(kind: str, message: str, request_id: str) -> dict[str, Any]:
    """Return the body of an error, the same in a response and in a stream."""
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}
