"""The compact memory of a conversation as the classifier's domain sees it. No transcript is ever in here."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tiermesh_classifier.scores import Slots


@dataclass(frozen=True, slots=True)
class PastTurn:
    """One turn as it was scored and routed."""

    intent: str
    cardinality: str = ""
    temporal: str = ""
    aggregation: str = ""
    # "aggregate", "tier1", "tier2" or "tier3".
    route: str = ""
    ambiguous: bool = False
    multi_step: bool = False
    high_stakes: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """What the conversation has established; empty for an opening question."""

    turns: Sequence[PastTurn] = ()
    slots: Slots = field(default_factory=Slots)
    total_turns: int = 0
    # False when the turns were scored with another vocabulary: then only their number counts.
    same_vocabulary: bool = True

    @property
    def running(self) -> bool:
        """Whether anything was said before."""
        return bool(self.turns) or self.total_turns > 0

    @property
    def last(self) -> PastTurn | None:
        """The turn before this one."""
        return self.turns[-1] if self.turns and self.same_vocabulary else None

    @property
    def topic(self) -> PastTurn | None:
        """The latest turn that was about something: small talk does not change the topic."""
        if not self.same_vocabulary:
            return None
        return next((turn for turn in reversed(self.turns) if not turn.intent.startswith("chat.")), self.last)


NO_HISTORY = History()
