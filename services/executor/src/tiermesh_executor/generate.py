"""`Generate`: one tagged call, streamed; structured output is checked against its schema."""

import functools
import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from tiermesh_executor.answer_events import AnswerStop
from tiermesh_executor.failures import ContentRefusedError, OutputNotValidError
from tiermesh_executor.models.calls import CallScope, ModelCalls
from tiermesh_executor.models.events import Started, Stop, StopReason, TextDelta
from tiermesh_executor.models.request import Message, Prompt
from tiermesh_executor.outlet import Outlet
from tiermesh_executor.schemas import problem_with, read_schema


@dataclass(frozen=True, slots=True)
class GenerateTask:
    """What `Generate` asks for."""

    tag: str
    instructions: str
    messages: Sequence[Message]
    json_schema: Mapping[str, object] | None = None
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Generated:
    """How it ended."""

    model: str
    stop: AnswerStop


@functools.lru_cache(maxsize=64)
def schema_of(text: str) -> Mapping[str, object]:
    """Raises ValueError that says what is wrong with a caller's schema. Callers have a few and send them each time."""
    return read_schema(text)


async def generate(models: ModelCalls, task: GenerateTask, scope: CallScope, outlet: Outlet[str]) -> Generated:
    """Streams the text into `outlet`. Raises ExecutionError."""
    prompt = Prompt(task.instructions, task.messages, json_schema=task.json_schema, max_tokens=task.max_tokens)
    text: list[str] = []
    model, stop = "", StopReason.COMPLETE
    # Once something is out, another model can only go on from there.
    stream = models.stream(task.tag, prompt, scope, shown=lambda: "".join(text))
    async with aclosing(stream) as events:
        async for event in events:
            match event:
                case Started(answering, _):
                    model = answering
                case TextDelta(piece) if piece:
                    text.append(piece)
                    await outlet.put(piece)
                case Stop(reason):
                    stop = reason
                case _:
                    pass
    if stop is StopReason.REFUSED:
        raise ContentRefusedError("The provider refused this content; it is not asked elsewhere.")
    if task.json_schema is not None:
        _check("".join(text), task.json_schema, stop)
    return Generated(model, AnswerStop.MAX_TOKENS if stop is StopReason.MAX_TOKENS else AnswerStop.COMPLETE)


def _check(text: str, schema: Mapping[str, object], stop: StopReason) -> None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        cause = "it was cut at the token limit" if stop is StopReason.MAX_TOKENS else "it is not JSON"
        raise OutputNotValidError(f"The model's output does not match the schema: {cause}.") from None
    if problem := problem_with(value, schema):
        # The problem quotes the output, which may be personal; its place may not.
        place = problem.partition(":")[0] if ":" in problem else "the whole"
        raise OutputNotValidError(f"The model's output does not match the schema at {place[:200]}.")
