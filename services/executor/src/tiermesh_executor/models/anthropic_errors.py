"""The one map from what the `anthropic` SDK and its HTTP client raise to `ProviderError`."""

import json

import anthropic
import httpx2

from tiermesh_executor.models import http_errors
from tiermesh_executor.models.provider import ErrorKind, ProviderError

# An error event inside a stream comes with status 200: only its type tells.
_BY_TYPE = {
    "overloaded_error": ErrorKind.OVERLOADED,
    "rate_limit_error": ErrorKind.RATE_LIMITED,
    "invalid_request_error": ErrorKind.INVALID_REQUEST,
    "authentication_error": ErrorKind.NOT_AVAILABLE,
    "permission_error": ErrorKind.NOT_AVAILABLE,
    "not_found_error": ErrorKind.NOT_AVAILABLE,
    "billing_error": ErrorKind.NOT_AVAILABLE,
    "timeout_error": ErrorKind.STALLED,
}


def to_provider_error(error: Exception, *, started: bool) -> ProviderError:
    """`started`: the response's headers had come."""
    match error:
        case ProviderError():
            return error
        case anthropic.APIStatusError():
            return _of_status(error)
        case anthropic.APITimeoutError() if not started:
            return http_errors.no_answer()
        case anthropic.APIConnectionError() | httpx2.TransportError():
            return http_errors.broken(error, started=started)
        case anthropic.APIResponseValidationError():
            return http_errors.nonsense(error)
    return http_errors.nonsense(error) if isinstance(error, http_errors.MALFORMED) else http_errors.unexplained(error)


def of_error_event(data: str, request_id: str) -> ProviderError:
    """An error that came as an event of the stream."""
    try:
        kind = str(json.loads(data)["error"]["type"])
    except (ValueError, TypeError, KeyError):
        kind = ""
    return _of_stream(kind, request_id)


def _of_stream(kind: str, request_id: str) -> ProviderError:
    message = f"the provider ended the stream with {kind or 'an error'}"
    return ProviderError(_BY_TYPE.get(kind, ErrorKind.SERVER), message, request_id=request_id)


def _of_status(error: anthropic.APIStatusError) -> ProviderError:
    status, request_id = error.status_code, error.request_id or ""
    if status < 400:
        return _of_stream(error.type or "", request_id)
    kind = http_errors.kind_of(status, error.api_message or error.message)
    if error.type == "overloaded_error":
        kind = ErrorKind.OVERLOADED
    message = f"the provider answered {status} ({error.type or 'no type'})"
    wait = http_errors.retry_after(error.response.headers)
    return ProviderError(kind, message, retry_after=wait, request_id=request_id)
