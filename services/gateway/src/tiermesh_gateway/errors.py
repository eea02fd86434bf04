"""What can go wrong with a question, in the gateway's own words.

    GatewayError
    ├── IdentityError           no, wrong or expired credentials
    ├── UnknownTenant           the token's tenant has no policy
    ├── InvalidInput            a field breaks a bound that the contract cannot state
    ├── UnknownConversation     none of that id for this person
    ├── ConversationBusy        another turn of it is being answered
    ├── RequestIdReused         the same request id came with another question
    ├── NoRouteAvailable        nothing is up that may answer
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


class UnknownRequest(GatewayError):  # noqa: N818
    """No such request for this person."""
