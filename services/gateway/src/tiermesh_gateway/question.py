"""A question with everything that is known when it comes in. Checks nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from tiermesh_policy import Scores, TenantPolicy, Tier, Vocabulary


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the token or the certificate says."""

    tenant: str
    subject: str
    roles: frozenset[str]


class Owner(NamedTuple):
    """Whose a conversation or a request is."""

    tenant: str
    subject: str


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant as configured."""

    name: str
    # Such as "hr@1.0.0".
    pack: str
    time_zone: str
    locale: str
    policy: TenantPolicy
    vocabulary: Vocabulary


@dataclass(frozen=True, slots=True)
class Question:
    """One turn, asked."""

    text: str
    request_id: str
    # Empty opens a conversation.
    conversation_id: str
    caller: Caller
    tenant: Tenant
    time_zone: str
    locale: str
    asked_at: datetime
    # The event loop's time at which everything must have been said.
    ends_at: float
    min_tier: Tier = Tier.ONE
    # False where the gateway chose the request id: nobody can ask for it again.
    names_request: bool = True
    wants_pills: bool = True
    # Of the pill that was clicked; empty for words of one's own.
    pill_token: str = ""

    @property
    def owner(self) -> Owner:
        """Whose question it is."""
        return Owner(self.caller.tenant, self.caller.subject)


@dataclass(frozen=True, slots=True)
class Turn:
    """A question with its place in a conversation: what inner calls are made for."""

    question: Question
    conversation_id: str
    number: int
    # What the costs of its calls are booked against; empty without a budget.
    reservation_id: str = ""


@dataclass(frozen=True, slots=True)
class Scored:
    """What the classifier said: for the decision, and as it came, for those it is passed on to."""

    scores: Scores
    raw: Any
    # Slots as stored between turns.
    slots: bytes = b""
    vocabulary_version: str = ""
