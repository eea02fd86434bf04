"""The question that a call belongs to, as the executor needs it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class CallContext:
    """Which question, whose, when. `source` is the caller's own message, handed on untouched to inner calls."""

    request_id: str
    tenant: str
    pack_version: str
    conversation_id: str
    reservation_id: str
    # Moment of the question in the asker's time zone.
    asked_at: datetime
    locale: str
    roles: frozenset[str]
    source: object
