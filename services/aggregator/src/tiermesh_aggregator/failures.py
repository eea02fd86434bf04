"""What can go wrong with a question, as the domain sees it. Servicers turn these into codes and reasons.

AggregatorError
├── UnknownNameError       a name that is not in the model
│   └── NobodyCalledError  a name of nobody and no place that the viewer can see
├── BadPeriodError         reversed, absurd, or not understood
├── BadFieldError          any other value that cannot be served
├── RateMissingError       money that has no exchange rate on its day
├── GraphRefusedError      a GraphQL document that a gate refuses
├── SlotsIncompleteError   the classifier's slots do not make a complete query
├── AmbiguousNameError     a name fits several people: a question back
├── DatabaseDownError      the database is down or its pool is full
├── StatementTimeoutError  the statement ran too long and was cancelled
└── ProposalInvalidError   a proposal that expired, is of another person, or no longer holds
"""

from collections.abc import Sequence


class AggregatorError(Exception):
    """Base of what a caller can act on; the message is for people and names no internals."""


class UnknownNameError(AggregatorError):
    """`field` is the place in the query, `nearest` the closest names that exist."""

    def __init__(self, field: str, name: str, noun: str, nearest: Sequence[str] = ()) -> None:
        shown = name if len(name) <= 60 else f"{name[:57]}…"
        hint = f" Nearest: {', '.join(nearest)}." if nearest else ""
        super().__init__(f'"{shown}" is no {noun}.{hint}')
        self.field = field
        self.nearest = tuple(nearest)


class NobodyCalledError(UnknownNameError):
    """`called` is the name: other words for the same question do not help, the user has to say who is meant."""

    def __init__(self, field: str, name: str, noun: str, nearest: Sequence[str] = ()) -> None:
        super().__init__(field, name, noun, nearest)
        self.called = name


class BadPeriodError(AggregatorError):
    """The period is reversed or out of bounds."""


class BadFieldError(AggregatorError):
    """`field` cannot be served as given."""

    def __init__(self, field: str, message: str, nearest: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.field = field
        self.nearest = tuple(nearest)


class RateMissingError(AggregatorError):
    """`count` amounts have no rate; `currency` is one of theirs, or empty where naming it would tell too much."""

    def __init__(self, count: int, currency: str, reporting: str) -> None:
        noun = "1 amount has" if count == 1 else f"{count} amounts have"
        named = f" ({currency})" if currency else ""
        super().__init__(
            f"{noun} no exchange rate{named} on or before their day, so there is no sum in {reporting}. "
            "Ask for a period that has rates, or for the amounts of one currency in that currency."
        )
        self.count = count
        self.currency = currency


class GraphRefusedError(AggregatorError):
    """`gate` refused the document; `found` and `limit` say by how much, where it is a number."""

    def __init__(self, gate: str, message: str, *, found: float | None = None, limit: float | None = None) -> None:
        super().__init__(message)
        self.gate = gate
        self.found = found
        self.limit = limit


class SlotsIncompleteError(AggregatorError):
    """`missing` names what lacks or is not sure enough."""

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__("The question's slots do not make a complete query: " + ", ".join(missing) + ".")
        self.missing = tuple(missing)


class AmbiguousNameError(AggregatorError):
    """A question back with its options."""

    def __init__(self, question: str, options: Sequence[str]) -> None:
        super().__init__(question)
        self.question = question
        self.options = tuple(options)


class DatabaseDownError(AggregatorError):
    """The database cannot be reached, or its pool is full."""


class StatementTimeoutError(AggregatorError):
    """The statement ran into its timeout and was cancelled."""


class ProposalInvalidError(AggregatorError):
    """The proposal has expired, is of another person, or no longer holds."""
