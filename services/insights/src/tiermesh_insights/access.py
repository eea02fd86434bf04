"""Who may call what, and how failures of the store reach a caller."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import TypeVar

import grpc
from tiermesh_runtime.errors import RpcError
from tiermesh_runtime.principal import Principal, current

from tiermesh_insights.store import StoreUnavailableError, UnstorableError

# Purpose of the service principals that deliver records; ANY_TENANT in one is good for every tenant's records.
RECORD_PURPOSE = "record"
ANY_TENANT = "*"
# What reads reports: a job's purpose or a person's role, each for its own tenant.
REPORT_PURPOSE = "report"
REPORT_ROLE = "router_admin"
# The job that may apply what it proposed, where the tenant allows it.
TUNE_PURPOSE = "tune"
ERASE_PURPOSE = "erase"

T = TypeVar("T")
Context = grpc.aio.ServicerContext[object, object]


def require_recorder(tenants: Iterable[str]) -> None:
    """Raise RpcError unless the caller may deliver records of these tenants."""
    principal = current()
    if principal.purpose != RECORD_PURPOSE:
        raise not_allowed(f"records are delivered by service principals of purpose {RECORD_PURPOSE!r}")
    if principal.tenant != ANY_TENANT and any(tenant != principal.tenant for tenant in tenants):
        raise not_allowed("the principal may deliver the records of its own tenant only")


def require_reader(tenant: str) -> Principal:
    """Return the caller; raise RpcError unless it may read this tenant's reports."""
    principal = current()
    allowed = principal.purpose in (REPORT_PURPOSE, TUNE_PURPOSE) or REPORT_ROLE in principal.roles
    if principal.tenant != tenant or not allowed:
        raise not_allowed(f"reports are for people of the tenant with the role {REPORT_ROLE!r}")
    return principal


def require_chooser(tenant: str, *, job_allowed: bool) -> Principal:
    """Return the caller; raise RpcError unless it may set this tenant's threshold: a person, or the tuning job."""
    principal = current()
    if principal.tenant == tenant and REPORT_ROLE in principal.roles:
        return principal
    if principal.tenant == tenant and principal.purpose == TUNE_PURPOSE and job_allowed:
        return principal
    raise not_allowed(
        f"thresholds are set by people of the tenant with the role {REPORT_ROLE!r}, "
        "or by the tuning job where the tenant's `tuned_by_job` says so"
    )


def require_eraser(tenant: str) -> None:
    """Raise RpcError unless the caller may erase persons of this tenant."""
    principal = current()
    if principal.tenant not in (tenant, ANY_TENANT) or not (
        principal.purpose == ERASE_PURPOSE or (REPORT_ROLE in principal.roles and principal.tenant == tenant)
    ):
        raise not_allowed(
            f"erasing is for people of the tenant with the role {REPORT_ROLE!r} and for jobs of purpose "
            f"{ERASE_PURPOSE!r}"
        )


def watched_tenants(wanted: Iterable[str]) -> list[str] | None:
    """Return whose policies the caller gets, None for all; raise RpcError when it may not have those it wants."""
    principal = current()
    names = list(wanted)
    if principal.purpose == RECORD_PURPOSE and principal.tenant == ANY_TENANT:
        return names or None
    for name in names or [principal.tenant]:
        if principal.purpose != RECORD_PURPOSE or name != principal.tenant:
            require_reader(name)
    return names or [principal.tenant]


async def stored(work: Awaitable[T]) -> T:
    """Await what the store does; its failures become the contract's."""
    try:
        return await work
    except StoreUnavailableError as error:
        raise RpcError(
            grpc.StatusCode.UNAVAILABLE,
            "DATABASE_UNAVAILABLE",
            "the database cannot be reached; deliver the batch again",
        ) from error
    except UnstorableError as error:
        raise RpcError(
            grpc.StatusCode.INVALID_ARGUMENT,
            "INVALID_FIELD",
            "the database will not take a record of this batch as it is; deliver them one by one to find it",
        ) from error


def not_allowed(message: str) -> RpcError:
    """Return PERMISSION_DENIED."""
    return RpcError(grpc.StatusCode.PERMISSION_DENIED, "NOT_ALLOWED", message)


def unknown_request(message: str) -> RpcError:
    """Return NOT_FOUND for something that this caller does not have."""
    return RpcError(grpc.StatusCode.NOT_FOUND, "UNKNOWN_REQUEST", message)


def sample_too_small(message: str) -> RpcError:
    """Return FAILED_PRECONDITION for what too little data cannot answer."""
    return RpcError(grpc.StatusCode.FAILED_PRECONDITION, "SAMPLE_TOO_SMALL", message)
