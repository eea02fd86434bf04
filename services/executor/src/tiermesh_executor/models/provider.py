"""What a provider of models is to the executor, and the one tree of its errors.

ProviderError(kind)   everything that a provider can do wrong, told apart by `kind`
"""

from collections.abc import AsyncGenerator
from enum import StrEnum
from typing import Protocol

from tiermesh_executor.models.events import ModelEvent
from tiermesh_executor.models.request import ModelRequest


class ErrorKind(StrEnum):
    """What went wrong, as far as the next step depends on it."""

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER = "server_error"
    CONNECTION = "connection"
    SLOW_FIRST_TOKEN = "slow_first_token"  # noqa: S105 - a token of text, no secret
    STALLED = "stalled"
    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    CONTEXT_TOO_LONG = "context_too_long"
    REFUSED = "refused"
    INVALID_REQUEST = "invalid_request"
    PREFILL_REFUSED = "prefill_refused"
    NOT_AVAILABLE = "not_available"
    DEADLINE = "deadline"


# Worth another try at the same model at once; the other kinds go to the next candidate or end.
RETRYABLE = frozenset({ErrorKind.RATE_LIMITED, ErrorKind.OVERLOADED, ErrorKind.SERVER, ErrorKind.CONNECTION})
# Worth another try at the same model when the others have failed too.
ONCE_MORE = frozenset({ErrorKind.TRUNCATED, ErrorKind.MALFORMED})
FINAL = frozenset({ErrorKind.REFUSED, ErrorKind.DEADLINE})
# Speaks against the model or its route, whoever asks: counts towards its circuit breaker.
ILL = RETRYABLE | ONCE_MORE | frozenset({ErrorKind.SLOW_FIRST_TOKEN, ErrorKind.STALLED, ErrorKind.NOT_AVAILABLE})
# The provider turned the call away before it did any work that it bills.
UNBILLED = frozenset(
    {
        ErrorKind.RATE_LIMITED,
        ErrorKind.OVERLOADED,
        ErrorKind.CONTEXT_TOO_LONG,
        ErrorKind.INVALID_REQUEST,
        ErrorKind.PREFILL_REFUSED,
        ErrorKind.NOT_AVAILABLE,
    }
)


class ProviderError(Exception):
    """One call failed. The message is ours, without the provider's or the user's words."""

    def __init__(
        self, kind: ErrorKind, message: str, *, retry_after: float | None = None, request_id: str = ""
    ) -> None:
        """`retry_after` in seconds, when the provider said so."""
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after
        self.request_id = request_id


class Provider(Protocol):
    """A door to models of one make."""

    @property
    def name(self) -> str:
        """As in the tag table."""
        ...

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """One call. Ends after `Stop`, or raises ProviderError. Closing it closes the connection."""
        ...

    async def close(self) -> None:
        """Gives up the connections."""
        ...
