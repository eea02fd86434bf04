"""What can go wrong with a question, in the gateway's own words.

    GatewayError
    ├── IdentityError           no, wrong or expired credentials
    ├── UnknownTenant           the token's tenant has no policy
    ├── InvalidInput            a field breaks a bound that the contract cannot state
    ├── UnknownConversation     none of that id for this person
    ├── ConversationBusy        another turn of it is being answered
    ├── RequestIdReused         the same request id came with another question
    ├── NoRouteAvailable        nothing is up that may answer
    ├── BudgetExhausted         the tenant's day has no money left, and its policy refuses then
    ├── RateLimited             the tenant asks too often, or too much at once
    ├── Overloaded              this process answers as much as it can
    ├── StoreUnavailable        conversations cannot be read or written
    ├── UnknownRequest          none of that id for this person
    └── NotAvailable            a service that the call cannot do without refused or is away

Which code and reason each travels with is said in `refusals`.
"""

from __future__ import annotations


class GatewayError(Exception):
    """A question that cannot be answered as it came."""


class IdentityError(GatewayError):
    """Credentials that do not let the caller in; `kind` is missing, invalid, expired or audience."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class UnknownTenant(GatewayError):  # noqa: N818 - named as the reason that callers branch on, like those below
    """No policy is configured for the tenant."""


class InvalidInput(GatewayError):  # noqa: N818
    """A field that breaks a bound."""

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field}: {description}")
        self.field = field
        self.description = description


class UnknownConversation(GatewayError):  # noqa: N818
    """No such conversation for this person."""


class ConversationBusy(GatewayError):  # noqa: N818
    """Another turn of the conversation took too long to end."""


class RequestIdReused(GatewayError):  # noqa: N818
    """The request id belongs to another question."""


class NoRouteAvailable(GatewayError):  # noqa: N818
    """Nothing is up that may answer under the tenant's failure policy."""


class BudgetExhausted(GatewayError):  # noqa: N818
    """The question does not fit into what is left of the tenant's day."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


class RateLimited(GatewayError):  # noqa: N818
    """The tenant is beyond its rate, or has too many questions running."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


class Overloaded(GatewayError):  # noqa: N818
    """This process has as many answers under way as it can finish in time."""


class StoreUnavailable(GatewayError):  # noqa: N818
    """The store of conversations is away. Nothing was answered."""


class UnknownRequest(GatewayError):  # noqa: N818
    """No such request for this person."""
