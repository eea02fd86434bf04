"""Mode AGGREGATE: one bulk call, then its rows in words. SQL does the work; a model at most fills the call."""

import textwrap
from typing import Protocol

from tiermesh_executor.answer_events import AnswerStop, Ended, ToolProgress, ToolState
from tiermesh_executor.context import CallContext
from tiermesh_executor.execution import Execution, Task
from tiermesh_executor.failures import (
    ContentRefusedError,
    CostLimitError,
    DataError,
    HandOverError,
    ModelsUnavailableError,
    OutOfTimeError,
    TruncatedError,
)
from tiermesh_executor.model_turn import take_turn
from tiermesh_executor.models.calls import ModelCalls
from tiermesh_executor.models.events import StopReason
from tiermesh_executor.models.request import Message, Prompt, ToolResultPart
from tiermesh_executor.prompts import SYSTEM_TEXTS, narrate, plan
from tiermesh_executor.prose import CommitPoint
from tiermesh_executor.rewriting import Rewriter
from tiermesh_executor.tables import Table, in_plain_words
from tiermesh_executor.telemetry import ExecutorTelemetry
from tiermesh_executor.tools.calling import Called, ToolRunner
from tiermesh_executor.tools.catalogue import ClarificationResult, RefusalResult, TableResult, bulk_tools
from tiermesh_executor.tools.fanout import FanOutGuard
from tiermesh_executor.tools.rendering import cut, render
from tiermesh_executor.tools.source import ToolSource

DATA_SECONDS = 20.0
_PLAN_TRIES = 2
# A model may know what the slots do not say.
_TAKE_A_MODEL = frozenset({"SLOTS_INCOMPLETE", "UNKNOWN_NAME", "BAD_DATE_RANGE"})
_CALL_ID = "aggregate"
_NAME_CHARACTERS = 60


class BulkData(Protocol):
    """The aggregator, as far as the classifier's slots go."""

    async def aggregate(
        self, context: CallContext, intent: str, scope: object, timeout: float
    ) -> TableResult | ClarificationResult:
        """One bulk call. Raises DataError."""
        ...


class AggregateMode:
    """Answers with one bulk call."""

    def __init__(self, models: ModelCalls, data: BulkData, tools: ToolSource, telemetry: ExecutorTelemetry) -> None:
        """`tools` are needed only when the slots do not suffice."""
        self._models = models
        self._data = data
        self._tools = tools
        self._telemetry = telemetry

    async def run(self, execution: Execution) -> Ended:
        """Raises HandOverError or ExecutionError."""
        result = await self._rows(execution)
        if isinstance(result, ClarificationResult):
            await execution.ask_back(result.question, result.options)
            return Ended(AnswerStop.CLARIFICATION)
        await execution.show_table(result.table)
        execution.found(cut(render(result), 6_000))
        if execution.task.commit_point is not CommitPoint.WHOLE_ANSWER:
            # The rows are the answer; words only go with them.
            await execution.prose.commit()
        return await self._narrate(execution, result.table)

    async def _rows(self, execution: Execution) -> TableResult | ClarificationResult:
        task = execution.task
        if task.scope is None:
            return await self._plan(execution, "the question was not classified")
        await self._progress(execution, ToolState.STARTED)
        execution.tool_calls += 1
        execution.waiting_for = "aggregate"
        timeout = min(DATA_SECONDS, execution.scope.deadline.remaining())
        try:
            result = await self._data.aggregate(task.context, task.intent, task.scope, timeout)
        except DataError as error:
            await self._progress(execution, ToolState.FAILED, "more has to be known first")
            if error.reason not in _TAKE_A_MODEL:
                raise
            return await self._plan(execution, error.message)
        finally:
            execution.waiting_for = ""
        count = len(result.table.rows) if isinstance(result, TableResult) else 0
        await self._progress(execution, ToolState.SUCCEEDED, f"{count} {'row' if count == 1 else 'rows'}")
        return result

    async def _plan(self, execution: Execution, why: str) -> TableResult | ClarificationResult:
        """A model fills the one bulk tool of the domain; of a question that was not classified it also says which."""
        task = execution.task
        tools = await self._tools.list(task.context, execution.scope.deadline)
        bulk = bulk_tools(tools, domain=task.domain, intent=task.intent)
        if not bulk:
            raise HandOverError(
                "slots_incomplete", f"{why}; no bulk tool is for {task.domain or task.intent or 'this'}"
            )
        runner = ToolRunner(execution, bulk, FanOutGuard(), self._telemetry)
        definitions, choice = [tool.definition for tool in bulk], bulk[0].name if len(bulk) == 1 else "any"
        system = SYSTEM_TEXTS[self._models.row("plan-aggregate").prompt_version]
        messages = plan.messages(task)
        problem, unknown = "the model made no call", None
        for _ in range(_PLAN_TRIES):
            prompt = Prompt(system, messages, definitions, tool_choice=choice)
            turn = await take_turn(self._models, execution, "plan-aggregate", prompt)
            if turn.stop is StopReason.REFUSED:
                raise ContentRefusedError("The provider refused this content; it is not asked elsewhere.")
            if not turn.calls:
                break
            one: Called = (await runner.run(turn.calls[:1]))[0]
            if isinstance(one.result, TableResult | ClarificationResult):
                return one.result
            problem, unknown = one.error or "the tool gave no rows", one
            if not one.mendable:
                raise HandOverError("tool_error", f"{turn.calls[0].name}: {cut(problem, 200)}")
            told = problem if one.result is None else render(one.result)
            results = [ToolResultPart(call.call_id, told, is_error=True) for call in turn.calls]
            messages = [*messages, turn.message, Message("user", results)]
        if unknown is not None and unknown.unknown_name and _stands_in(task, unknown.unknown_name):
            return _who_is_meant(unknown)
        raise HandOverError("slots_incomplete", cut(problem, 300))

    async def _narrate(self, execution: Execution, table: Table) -> Ended:
        prose = execution.prose
        prose.rewrite = Rewriter(self._models, execution.scope, lambda: table)
        system = SYSTEM_TEXTS[self._models.row("narrate").prompt_version]
        prompt = Prompt(system, narrate.messages(execution.task, table))
        model, stop = "", AnswerStop.COMPLETE
        try:
            turn = await take_turn(self._models, execution, "narrate", prompt, say=prose.feed)
            model = turn.model
            if turn.stop is StopReason.REFUSED:
                raise ContentRefusedError("The provider refused this content; it is not asked elsewhere.")
            if turn.stop is StopReason.MAX_TOKENS:
                prose.drop_preamble()
                stop = AnswerStop.MAX_TOKENS
            await prose.end_round()
        except (ModelsUnavailableError, TruncatedError, OutOfTimeError, CostLimitError):
            prose.rewrite = None
            # The rows are right and whole without a model; plain words take the place of its.
            prose.drop_preamble()
            await prose.feed(in_plain_words(table))
            await prose.end_round()
        if not prose.said_anything:
            await prose.feed(in_plain_words(table))
            await prose.end_round()
        await prose.finish()
        return Ended(stop, model)

    @staticmethod
    async def _progress(execution: Execution, state: ToolState, detail: str = "") -> None:
        await execution.outlet.put(ToolProgress(_CALL_ID, "aggregate", state, detail))


def _stands_in(task: Task, name: str) -> bool:
    """Whether the user said a name; one that a model made up is another model's to do better."""
    said = "\n".join([task.question, *(turn.text for turn in task.turns)])
    return name.casefold() in said.casefold()


def _who_is_meant(unknown: Called) -> ClarificationResult:
    """Nobody is called so: no tier has other records, and only the user knows better."""
    nearest = unknown.result.nearest if isinstance(unknown.result, RefusalResult) else ()
    name = textwrap.shorten(unknown.unknown_name, _NAME_CHARACTERS, placeholder="…")
    question = f"I find no “{name}” among the records that you may see. Who or what is meant?"
    return ClarificationResult(question, nearest)
