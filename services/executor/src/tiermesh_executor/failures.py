"""How an execution can fail, in the executor's own words; the servicer gives them their codes.

ExecutionError(reason)      carries a name of tiermesh.errors.v1.Reason
├── UnknownTagError         the tag is not in the table
├── ModelsUnavailableError  every candidate failed; `first` is how it began
├── ContentRefusedError     the provider refused the content; final
├── ContextTooLongError     no candidate's window is large enough
├── OutOfTimeError          the deadline passed while working
├── TruncatedError          the answer was cut after a part of it had been shown
├── OutputNotValidError     structured output does not match its schema
├── CostLimitError          the execution may not cost more
├── ToolsUnavailableError   no tool server answers
└── DataError               the aggregator refused or failed; keeps its reason
HandOverError(cause)        this tier will not answer: a bounce, not a failure
"""

from collections.abc import Sequence
from typing import Literal, Protocol

from tiermesh_executor.models.provider import ErrorKind, ProviderError

Redirect = Literal["next_tier", "aggregate"]


class _Asked(Protocol):
    """The candidate of an attempt."""

    @property
    def model(self) -> str: ...


# Attempts that failed, in their order.
Failures = Sequence[tuple[_Asked, ProviderError]]


class ExecutionError(Exception):
    """Ends an execution; `message` is for people and holds nothing internal."""

    reason = "INTERNAL"

    def __init__(self, message: str) -> None:
        """`message` says what happened and what to do."""
        super().__init__(message)
        self.message = message


class UnknownTagError(ExecutionError):
    """No such row."""

    reason = "UNKNOWN_TAG"


class ModelsUnavailableError(ExecutionError):
    """The first cause is what is reported: what followed was only the attempt to survive it."""

    reason = "MODELS_UNAVAILABLE"

    def __init__(self, tag: str, first: ProviderError | None, failures: Failures) -> None:
        """`first` is None when no candidate was allowed or fits."""
        cause = "no model candidate is allowed for it" if first is None else f"first cause: {first}"
        count = "1 attempt" if len(failures) == 1 else f"{len(failures)} attempts"
        super().__init__(f"No model answered under the tag {tag!r} in {count}; {cause}.")
        self.attempts = ", ".join(f"{candidate.model}: {error.kind.value}" for candidate, error in failures)
        self.first_cause = "none_allowed" if first is None else first.kind.value
        self.retry_after = None if first is None else first.retry_after


class ContentRefusedError(ExecutionError):
    """Not routed around."""

    reason = "CONTENT_REFUSED"


class ContextTooLongError(ExecutionError):
    """Larger than every window."""

    reason = "CONTEXT_TOO_LONG"


class OutOfTimeError(ExecutionError):
    """The deadline."""

    reason = "DEADLINE_EXCEEDED"


class TruncatedError(ExecutionError):
    """Cut after the commit point."""

    reason = "ANSWER_TRUNCATED"


class OutputNotValidError(ExecutionError):
    """Not the JSON that was asked for."""

    reason = "OUTPUT_NOT_VALID"


class CostLimitError(ExecutionError):
    """The execution's own limit."""

    reason = "BUDGET_EXHAUSTED"


class ToolsUnavailableError(ExecutionError):
    """No tool server answers."""

    reason = "TOOLS_UNAVAILABLE"


class DataError(ExecutionError):
    """The aggregator said no; its reason and words are for the caller."""

    def __init__(self, reason: str, message: str, *, missing: str = "") -> None:
        """`missing` names the slots that lack, when that is the reason."""
        super().__init__(message)
        self.reason = reason
        self.missing = missing


class HandOverError(Exception):
    """The turn belongs elsewhere; `cause` is one of the stable words of the contract."""

    def __init__(self, cause: str, detail: str, redirect: Redirect = "next_tier") -> None:
        """`detail` is for people and holds no personal data."""
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail
        self.redirect: Redirect = redirect


def from_provider(error: ProviderError, tag: str, failures: Failures, *, shown: bool) -> ExecutionError:
    """The execution's end; `error` is its first cause, `shown`: text had reached the user."""
    if error.kind is ErrorKind.REFUSED:
        return ContentRefusedError("The provider refused this content; it is not asked elsewhere.")
    if error.kind is ErrorKind.CONTEXT_TOO_LONG:
        return ContextTooLongError("The conversation is larger than any candidate's context window; shorten it.")
    if error.kind is ErrorKind.DEADLINE:
        return OutOfTimeError("The time for the answer ran out while a model was working.")
    if shown:
        return TruncatedError(f"The answer was cut and could not be continued: {error}.")
    return ModelsUnavailableError(tag, error, failures)
