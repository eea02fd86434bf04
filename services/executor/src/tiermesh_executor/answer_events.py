"""What an execution says on its way: the domain's own words for the events of `Execute`."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tiermesh_executor.failures import Redirect
from tiermesh_executor.tables import Table


class ToolState(StrEnum):
    """What a tool call is doing."""

    STARTED = "STARTED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    REFUSED = "REFUSED"


class AnswerStop(StrEnum):
    """How the answer ended; the words of the contract's StopReason."""

    COMPLETE = "COMPLETE"
    MAX_TOKENS = "MAX_TOKENS"
    REFUSED = "REFUSED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    DEADLINE = "DEADLINE"
    CLARIFICATION = "CLARIFICATION"


@dataclass(frozen=True, slots=True)
class Text:
    """Prose for the user."""

    text: str


@dataclass(frozen=True, slots=True)
class TableShown:
    """Rows for the user."""

    table: Table


@dataclass(frozen=True, slots=True)
class ProposalShown:
    """A write that waits for the user's word; `source` is the message as it came."""

    source: object


@dataclass(frozen=True, slots=True)
class ClarificationAsked:
    """A question back."""

    question: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ToolProgress:
    """For people; holds no arguments."""

    call_id: str
    tool: str
    state: ToolState
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CommittedTo:
    """From here on a switch of model is no longer silent."""

    model: str


@dataclass(frozen=True, slots=True)
class LookUp:
    """A call of a tool that only reads, as another tier may make it again. `arguments` is JSON, `found` cut short."""

    tool: str
    arguments: str
    found: str

    @property
    def told(self) -> str:
        """For whoever does not make it again."""
        return f"{self.tool}({self.arguments}): {self.found}"


@dataclass(frozen=True, slots=True)
class Bounced:
    """This tier hands over."""

    cause: str
    detail: str
    findings: str
    redirect: Redirect
    look_ups: Sequence[LookUp] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """The last event."""

    stop: AnswerStop
    model: str = ""
    error_reason: str = ""
    error_message: str = ""

    @property
    def complete(self) -> bool:
        """Only a whole answer, or a question back, is one."""
        return self.stop in (AnswerStop.COMPLETE, AnswerStop.CLARIFICATION)


AnswerEvent = Text | TableShown | ProposalShown | ClarificationAsked | ToolProgress | CommittedTo | Bounced | Ended
