"""The one map from what the `openai` SDK and its HTTP client raise to `ProviderError`."""

import httpx2
import openai

from tiermesh_executor.models import http_errors
from tiermesh_executor.models.provider import ErrorKind, ProviderError

# An error inside a stream comes with status 200: only its type or code tells.
_BY_WORD = {
    "rate_limit_exceeded": ErrorKind.RATE_LIMITED,
    "rate_limit_error": ErrorKind.RATE_LIMITED,
    "overloaded_error": ErrorKind.OVERLOADED,
    "server_overloaded": ErrorKind.OVERLOADED,
    "invalid_request_error": ErrorKind.INVALID_REQUEST,
    "authentication_error": ErrorKind.NOT_AVAILABLE,
}
# Money is not there: no waiting helps.
_NO_QUOTA = "insufficient_quota"
_REFUSALS = frozenset({"content_filter", "content_policy_violation"})


def to_provider_error(error: Exception, *, started: bool) -> ProviderError:  # noqa: PLR0911 - a list of cases
    """`started`: the response's headers had come."""
    match error:
        case ProviderError():
            return error
        case openai.APIStatusError():
            return _of_status(error)
        case openai.APITimeoutError() if not started:
            return http_errors.no_answer()
        case openai.APIConnectionError() | httpx2.TransportError():
            return http_errors.broken(error, started=started)
        case openai.APIResponseValidationError():
            return http_errors.nonsense(error)
        case openai.APIError():
            return _of_event(error)
    return http_errors.nonsense(error) if isinstance(error, http_errors.MALFORMED) else http_errors.unexplained(error)


def _of_event(error: openai.APIError) -> ProviderError:
    word = error.code or error.type or ""
    kind = _BY_WORD.get(word) or _BY_WORD.get(error.type or "") or ErrorKind.SERVER
    return ProviderError(
        ErrorKind.REFUSED if word in _REFUSALS else kind, f"the provider ended the stream with {_word(word)}"
    )


def _of_status(error: openai.APIStatusError) -> ProviderError:
    code = error.code or error.type or ""
    kind = http_errors.kind_of(error.status_code, f"{error.code or ''} {error.message}")
    if code in _REFUSALS:
        kind = ErrorKind.REFUSED
    elif code == _NO_QUOTA:
        kind = ErrorKind.NOT_AVAILABLE
    return ProviderError(
        kind,
        f"the provider answered {error.status_code} ({_word(code)})",
        retry_after=http_errors.retry_after(error.response.headers),
        request_id=error.request_id or "",
    )


def _word(code: str) -> str:
    """A provider's code is a word of its documentation; anything longer may quote the user."""
    return code if code and len(code) <= 40 and code.replace("_", "").isalnum() else "an error"
