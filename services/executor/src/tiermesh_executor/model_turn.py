"""One model call of a loop, gathered: what was said, what is to be called, what goes back into the history."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from tiermesh_executor.execution import Execution
from tiermesh_executor.models.calls import ModelCalls
from tiermesh_executor.models.events import (
    Opaque,
    Restarted,
    Resumed,
    Started,
    Stop,
    StopReason,
    TextDelta,
    ToolCall,
    ToolCallStarted,
)
from tiermesh_executor.models.request import Message, OpaquePart, Part, Prompt, TextPart, ToolCallPart
from tiermesh_executor.tools.arguments import arguments_of


@dataclass(slots=True)
class ModelTurn:
    """What one call gave."""

    calls: list[ToolCall] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    stop: StopReason = StopReason.COMPLETE
    model: str = ""

    @property
    def message(self) -> Message:
        """As it goes back into the history."""
        return Message("assistant", self.parts)

    def add_text(self, text: str) -> None:
        """Neighbouring pieces are one part."""
        if self.parts and isinstance(self.parts[-1], TextPart):
            self.parts[-1] = TextPart(self.parts[-1].text + text)
        elif text.strip():
            self.parts.append(TextPart(text))


async def take_turn(
    models: ModelCalls,
    execution: Execution,
    tag: str,
    prompt: Prompt,
    *,
    say: Callable[[str], Awaitable[None]] | None = None,
) -> ModelTurn:
    """Streams one call; `say` gets its prose as it comes. Raises ExecutionError."""
    turn = ModelTurn()
    prose = execution.prose
    clock_start = execution.scope.deadline.remaining()
    prose.next_round()
    stream = models.stream(tag, prompt, execution.scope, shown=lambda: prose.shown_in_round if say is not None else "")
    async with aclosing(stream) as events:
        async for event in events:
            if isinstance(event, TextDelta | ToolCallStarted) and execution.time_to_first_token is None:
                execution.time_to_first_token = clock_start - execution.scope.deadline.remaining()
            match event:
                case Started(model, _):
                    turn.model = model
                    prose.model = model if say is not None else prose.model
                case TextDelta(text):
                    turn.add_text(text)
                    if say is not None:
                        await say(text)
                case ToolCall():
                    turn.calls.append(event)
                    turn.parts.append(ToolCallPart(event.call_id, event.name, arguments_of(event.arguments) or {}))
                case Opaque(maker, block):
                    turn.parts.append(OpaquePart(maker, block))
                case Restarted():
                    turn = ModelTurn()
                    prose.restart()
                case Resumed(_, shown):
                    turn = ModelTurn()
                    turn.add_text(shown)
                    prose.restart()
                case Stop(reason):
                    turn.stop = reason
                case _:
                    pass
    return turn
