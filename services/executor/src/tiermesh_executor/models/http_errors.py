"""What the error maps of all providers share: statuses, waiting times, transports that break."""

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from time import time

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
_TOO_LONG = (
    "prompt is too long",
    "exceed context limit",
    "exceeds the context",
    "context window",
    "context length",
    "context_length_exceeded",
    "too many tokens",
)
_PREFILL = ("prefill", "must end with a user message")
# What a translator trips over when an event is not what it says.
MALFORMED = (json.JSONDecodeError, UnicodeDecodeError, AttributeError, KeyError, IndexError, TypeError, ValueError)


def kind_of(status: int, words: str) -> ErrorKind:
    """`words` are the provider's own; only 400 is told apart by them."""
    said = words.lower()
    if status == 400 and any(sign in said for sign in _TOO_LONG):
        return ErrorKind.CONTEXT_TOO_LONG
    if status == 400 and any(sign in said for sign in _PREFILL):
        return ErrorKind.PREFILL_REFUSED
    return _BY_STATUS.get(status, ErrorKind.SERVER if status >= 500 else ErrorKind.INVALID_REQUEST)


def no_answer() -> ProviderError:
    """Nobody answers there: asking again would only wait again."""
    return ProviderError(ErrorKind.SLOW_FIRST_TOKEN, "the provider did not answer the connection in time")


def broken(error: Exception, *, started: bool) -> ProviderError:
    """`started`: the response's headers had come, so that a lost connection means a cut answer."""
    kind = ErrorKind.TRUNCATED if started else ErrorKind.CONNECTION
    what = "the provider's stream was cut" if started else "the provider could not be reached"
    return ProviderError(kind, f"{what} ({type(error).__name__})")


def nonsense(error: Exception) -> ProviderError:
    """An event that is none."""
    return ProviderError(
        ErrorKind.MALFORMED, f"the provider sent an event that makes no sense ({type(error).__name__})"
    )


def unexplained(error: Exception) -> ProviderError:
    """What no map knows."""
    return ProviderError(ErrorKind.SERVER, f"the provider failed ({type(error).__name__})")


def retry_after(headers: httpx2.Headers | Mapping[str, str]) -> float | None:
    """In seconds, from either form of the header."""
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
