"""The domain's failures as errors that travel: code, reason, what to do. Nothing internal gets out."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from tiermesh_runtime.errors import FieldViolation, RpcError

from tiermesh_aggregator.failures import (
    BadFieldError,
    BadPeriodError,
    DatabaseDownError,
    GraphRefusedError,
    ProposalInvalidError,
    RateMissingError,
    SlotsIncompleteError,
    StatementTimeoutError,
    UnknownNameError,
)

retry_seconds = 1.0


@contextmanager
def translated(prefix: str = "query") -> Iterator[None]:
    """Wraps a domain call. `prefix` leads to the fields of the request."""
    code = grpc.StatusCode
    try:
        yield
    except UnknownNameError as error:
        violations = [FieldViolation(f"{prefix}.{error.field}", str(error))]
        metadata = {"nearest": ", ".join(error.nearest), "field": error.field}
        raise RpcError(
            code.INVALID_ARGUMENT, "UNKNOWN_NAME", str(error), metadata=metadata, violations=violations
        ) from error
    except BadPeriodError as error:
        violations = [FieldViolation(f"{prefix}.date_range", str(error))]
        raise RpcError(code.INVALID_ARGUMENT, "BAD_DATE_RANGE", str(error), violations=violations) from error
    except BadFieldError as error:
        violations = [FieldViolation(f"{prefix}.{error.field}", str(error))]
        raise RpcError(code.INVALID_ARGUMENT, "INVALID_FIELD", str(error), violations=violations) from error
    except GraphRefusedError as error:
        numbers = {"found": error.found, "limit": error.limit}
        metadata = {"gate": error.gate, **{name: f"{one:.0f}" for name, one in numbers.items() if one is not None}}
        raise RpcError(code.INVALID_ARGUMENT, "GRAPH_REFUSED", str(error), metadata=metadata) from error
    except SlotsIncompleteError as error:
        metadata = {"missing": ", ".join(error.missing)}
        raise RpcError(code.FAILED_PRECONDITION, "SLOTS_INCOMPLETE", str(error), metadata=metadata) from error
    except RateMissingError as error:
        metadata = {"currency": error.currency}
        raise RpcError(code.FAILED_PRECONDITION, "RATE_MISSING", str(error), metadata=metadata) from error
    except ProposalInvalidError as error:
        raise RpcError(code.FAILED_PRECONDITION, "PROPOSAL_INVALID", str(error)) from error
    except StatementTimeoutError as error:
        raise RpcError(code.DEADLINE_EXCEEDED, "STATEMENT_TIMEOUT", str(error)) from error
    except DatabaseDownError as error:
        raise RpcError(
            code.UNAVAILABLE, "DATABASE_UNAVAILABLE", "The database cannot be reached.", retry_after=retry_seconds
        ) from error
