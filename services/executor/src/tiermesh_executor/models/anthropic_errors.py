"""The one map from what the `anthropic` SDK and its HTTP client raise to `ProviderError`."""

import json
from email.utils import parsedate_to_datetime
from time import time

import anthropic
import httpx2

from tiermesh_executor.models.provider import ErrorKind, ProviderError

_BY_STATUS = {
    400: ErrorKind.INVALID_REQUEST,
    401: ErrorKind.NOT_AVAILABLE,
    402: ErrorKind.NOT_AVAILABLE,
    403: ErrorKind.NOT_AVAILABLE,
    404: ErrorKind.NOT_AVAILABLE,
    408: ErrorKind.CONNECTION,
    413: ErrorKind.CONTEXT_TOO_LONG,
    422: ErrorKind.INVALID_REQUEST,
    429: ErrorKind.RATE_LIMITED,
    503: ErrorKind.OVERLOADED,
    529: ErrorKind.OVERLOADED,
}
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
_PREFILL = ("prefill", "must end with a user message")
_TOO_LONG = ("prompt is too long", "exceed context limit", "exceeds the context", "context window", "too many tokens")


def to_provider_error(error: Exception, *, started: bool) -> ProviderError:
    """`started`: the response's headers had come, so that a lost connection means a cut answer."""
    match error:
        case ProviderError():
            return error
        case anthropic.APIStatusError():
            return _of_status(error)
        case anthropic.APITimeoutError() if not started:
            # Nobody answers there: asking again would only wait again.
            return ProviderError(ErrorKind.SLOW_FIRST_TOKEN, "the provider did not answer the connection in time")
        case anthropic.APIConnectionError() | httpx2.TransportError():
            kind = ErrorKind.TRUNCATED if started else ErrorKind.CONNECTION
            what = "the provider's stream was cut" if started else "the provider could not be reached"
            return ProviderError(kind, f"{what} ({type(error).__name__})")
        case (
            json.JSONDecodeError()
            | UnicodeDecodeError()
            | anthropic.APIResponseValidationError()
            | AttributeError()
            | KeyError()
            | TypeError()
            | ValueError()
        ):
            return ProviderError(
                ErrorKind.MALFORMED, f"the provider sent an event that makes no sense ({type(error).__name__})"
            )
        case _:
            return ProviderError(ErrorKind.SERVER, f"the provider failed ({type(error).__name__})")


def _of_status(error: anthropic.APIStatusError) -> ProviderError:
    status, request_id = error.status_code, error.request_id or ""
    if status < 400:
        kind = _BY_TYPE.get(error.type or "", ErrorKind.SERVER)
        return ProviderError(
            kind, f"the provider ended the stream with {error.type or 'an error'}", request_id=request_id
        )
    kind = _BY_STATUS.get(status, ErrorKind.SERVER if status >= 500 else ErrorKind.INVALID_REQUEST)
    said = (error.api_message or error.message).lower()
    if status == 400 and any(words in said for words in _TOO_LONG):
        kind = ErrorKind.CONTEXT_TOO_LONG
    elif status == 400 and any(words in said for words in _PREFILL):
        kind = ErrorKind.PREFILL_REFUSED
    if error.type == "overloaded_error":
        kind = ErrorKind.OVERLOADED
    message = f"the provider answered {status} ({error.type or 'no type'})"
    return ProviderError(kind, message, retry_after=_retry_after(error.response.headers), request_id=request_id)


def _retry_after(headers: httpx2.Headers) -> float | None:
    try:
        if (milliseconds := headers.get("retry-after-ms")) is not None:
            return max(0.0, float(milliseconds) / 1000)
        if (value := headers.get("retry-after")) is None:
            return None
        try:
            return max(0.0, float(value))
        except ValueError:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except (TypeError, ValueError):
        return None
