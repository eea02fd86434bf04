"""Which code and reason each of the gateway's errors travels with."""

from __future__ import annotations

import grpc
from tiermesh_runtime.errors import RpcError, invalid_field

from tiermesh_gateway.errors import (
    BudgetExhausted,
    ConversationBusy,
    GatewayError,
    IdentityError,
    InvalidInput,
    NoRouteAvailable,
    Overloaded,
    RateLimited,
    RequestIdReused,
    StoreUnavailable,
    UnknownConversation,
    UnknownRequest,
    UnknownTenant,
)

_Code = grpc.StatusCode
_IDENTITY = {
    "missing": (_Code.UNAUTHENTICATED, "CREDENTIALS_MISSING"),
    "invalid": (_Code.UNAUTHENTICATED, "CREDENTIALS_INVALID"),
    "expired": (_Code.UNAUTHENTICATED, "CREDENTIALS_EXPIRED"),
    "audience": (_Code.PERMISSION_DENIED, "WRONG_AUDIENCE"),
}
_OTHERS: dict[type[GatewayError], tuple[grpc.StatusCode, str, str, float | None]] = {
    UnknownTenant: (
        _Code.PERMISSION_DENIED,
        "UNKNOWN_TENANT",
        "No policy is configured for the token's tenant; add its file to the gateway's tenants folder.",
        None,
    ),
    UnknownConversation: (
        _Code.PERMISSION_DENIED,
        "UNKNOWN_CONVERSATION",
        "You have no conversation of this id; leave it empty to open one.",
        None,
    ),
    ConversationBusy: (
        _Code.ABORTED,
        "CONVERSATION_BUSY",
        "Another turn of this conversation is being answered; try again when it is done.",
        1.0,
    ),
    RequestIdReused: (
        _Code.ALREADY_EXISTS,
        "REQUEST_ID_REUSED",
        "This request id came with another question less than a minute ago; choose a new one.",
        None,
    ),
    NoRouteAvailable: (
        _Code.UNAVAILABLE,
        "NO_ROUTE_AVAILABLE",
        "Nothing is up that may answer under the tenant's failure policy; try again shortly.",
        1.0,
    ),
    BudgetExhausted: (
        _Code.RESOURCE_EXHAUSTED,
        "BUDGET_EXHAUSTED",
        "The tenant's budget for today is used up or reserved by questions that are being answered.",
        None,
    ),
    RateLimited: (
        _Code.RESOURCE_EXHAUSTED,
        "RATE_LIMITED",
        "The tenant asks too often or has too many questions running; ask again after the delay.",
        None,
    ),
    Overloaded: (
        _Code.RESOURCE_EXHAUSTED,
        "OVERLOADED",
        "The gateway answers as many questions as it can; ask again after the delay.",
        1.0,
    ),
    StoreUnavailable: (
        _Code.UNAVAILABLE,
        "DATABASE_UNAVAILABLE",
        "Conversations cannot be read or written just now; nothing was answered, ask again shortly.",
        1.0,
    ),
    UnknownRequest: (_Code.NOT_FOUND, "UNKNOWN_REQUEST", "You have no answer of this request id.", None),
}


def refusal(error: GatewayError) -> RpcError:
    """The error as it travels."""
    if isinstance(error, IdentityError):
        code, reason = _IDENTITY[error.kind]
        return RpcError(code, reason, str(error))
    if isinstance(error, InvalidInput):
        return invalid_field(error.field, error.description)
    code, reason, message, retry_after = _OTHERS[type(error)]
    if isinstance(error, BudgetExhausted | RateLimited):
        retry_after = error.retry_after
    return RpcError(code, reason, message, retry_after=retry_after)
