"""Mode ANSWER: the tool loop."""

from collections.abc import Sequence
from dataclasses import replace

from tiermesh_executor.answer_events import AnswerStop, Ended, LookUp, ProposalShown
from tiermesh_executor.bounce.calibration import Calibration
from tiermesh_executor.bounce.judge import check_by_judge
from tiermesh_executor.bounce.validators import Limits, Validators
from tiermesh_executor.execution import Execution
from tiermesh_executor.failures import ContentRefusedError, HandOverError, ModelsUnavailableError, ToolsUnavailableError
from tiermesh_executor.model_turn import ModelTurn, take_turn
from tiermesh_executor.models.calls import ModelCalls
from tiermesh_executor.models.events import StopReason, ToolCall
from tiermesh_executor.models.provider import ErrorKind
from tiermesh_executor.models.request import Message, Prompt, ToolCallPart, ToolDefinition, ToolResultPart
from tiermesh_executor.prompts import SYSTEM_TEXTS, answer
from tiermesh_executor.rewriting import Rewriter
from tiermesh_executor.telemetry import ExecutorTelemetry
from tiermesh_executor.tools.arguments import arguments_of
from tiermesh_executor.tools.calling import Called, ToolRunner
from tiermesh_executor.tools.catalogue import (
    ESCALATE,
    ESCALATE_DEFINITION,
    HAND_OVER_REASONS,
    NO_REASON,
    NOTHING_THERE,
    ClarificationResult,
    JsonResult,
    PassagesResult,
    ProposalResult,
    TableResult,
    offered,
)
from tiermesh_executor.tools.fanout import FanOutGuard
from tiermesh_executor.tools.rendering import cut, render
from tiermesh_executor.tools.source import ToolSource

MAX_ROUNDS = 6
_MAX_BAD_CALLS = 2
_PARTLY = "Part of what the answer needs could not be looked up; ask again in a moment for the whole."


class AnswerMode:
    """Answers with the tools of the tier."""

    def __init__(
        self,
        models: ModelCalls,
        tools: ToolSource,
        telemetry: ExecutorTelemetry,
        *,
        fan_out: int,
        calibration: Calibration | None = None,
    ) -> None:
        """`fan_out` is how many entities one look-up may be asked for."""
        self._models = models
        self._tools = tools
        self._telemetry = telemetry
        self._fan_out = fan_out
        self._calibration = calibration or Calibration()

    async def run(self, execution: Execution) -> Ended:
        """Raises HandOverError or ExecutionError."""
        task = execution.task
        row = self._models.row(_tag(task.tier))
        if task.tier == 1 and task.least_confidence is None and task.least_right is None:
            task = execution.task = replace(task, least_confidence=row.least_confidence)
        if task.states_confidence:
            execution.prose.read_stated = lambda stated, model: self._calibration.read(
                stated, model, row.prompt_version
            )
        if task.tier == 1 and task.intent != "out_of_scope":
            limits = Limits(task.least_confidence, task.least_right)
            execution.prose.validators = Validators(
                task.question,
                limits=limits,
                evidence=execution.evidence,
                unknown_names=lambda: execution.unknown_names,
            )
        execution.prose.rewrite = Rewriter(self._models, execution.scope, lambda: execution.tables[-1])
        tools = offered(
            await self._tools.list(task.context, execution.scope.deadline),
            tier=task.tier,
            intent=task.intent,
            bulk_only=task.bulk_only,
            speculative=task.speculative,
        )
        runner = ToolRunner(execution, tools, FanOutGuard(self._fan_out), self._telemetry)
        definitions = [tool.definition for tool in tools]
        if task.tier == 1:
            definitions.append(ESCALATE_DEFINITION)
        try:
            return await self._loop(execution, runner, definitions)
        except ModelsUnavailableError as error:
            if task.tier == 1 and not execution.prose.committed and error.first_cause == ErrorKind.SLOW_FIRST_TOKEN:
                raise HandOverError("slow_first_token", "no model of this tier began to answer in time") from error
            raise

    async def _loop(self, execution: Execution, runner: ToolRunner, tools: Sequence[ToolDefinition]) -> Ended:
        tag = _tag(execution.task.tier)
        system = SYSTEM_TEXTS[self._models.row(tag).prompt_version]
        again = await self._looked_up_again(execution, runner) if execution.task.look_ups else []
        messages = answer.messages(execution.task)
        history = len(messages) - 1
        if again:
            asked = [ToolCallPart(one.call.call_id, one.call.name, one.arguments) for one in again]
            messages += [Message("assistant", asked), Message("user", [_for_model(one) for one in again])]
        bad_calls = 0
        turn = ModelTurn()
        for number in range(MAX_ROUNDS):
            tools_end = number == MAX_ROUNDS - 1 or bad_calls >= _MAX_BAD_CALLS
            prompt = Prompt(system, messages, tools, tool_choice="none" if tools_end else "auto", history=history)
            turn = await take_turn(self._models, execution, tag, prompt, say=execution.prose.feed)
            if not turn.calls or turn.stop is not StopReason.TOOL_CALLS:
                break
            execution.prose.drop_preamble()
            self._hand_over_if_asked(execution, turn.calls)
            called = await runner.run(turn.calls)
            for one in called:
                if isinstance(one.result, ClarificationResult):
                    await execution.ask_back(one.result.question, one.result.options)
                    return Ended(AnswerStop.CLARIFICATION, turn.model)
                await self._take(execution, one, runner)
            execution.unknown_names += [one.unknown_name for one in called if one.unknown_name]
            reached = [one for one in called if one.unreachable or one.result is not None]
            execution.note_reach((one.call.name, one.unreachable) for one in reached)
            bad_calls += sum(one.mendable and bool(one.error) for one in called)
            self._hand_over_if_stuck(execution, called, bad_calls)
            messages = [*messages, turn.message, Message("user", [_for_model(one) for one in called])]
            execution.ground()
        return await self._end(execution, turn)

    async def _end(self, execution: Execution, turn: ModelTurn) -> Ended:
        if turn.stop is StopReason.REFUSED:
            raise ContentRefusedError("The provider refused this content; it is not asked elsewhere.")
        await execution.prose.end_round()
        if not execution.prose.said_anything:
            if execution.task.tier == 1:
                raise HandOverError("empty", "the model ended without an answer")
            raise ModelsUnavailableError("answer-complex", None, ())
        if execution.task.judged and execution.task.tier == 1:
            await check_by_judge(
                self._models,
                execution.scope,
                question=execution.task.question,
                evidence=execution.all_found,
                answer=execution.prose.held_text,
            )
        await execution.show_held_tables()
        await execution.prose.finish()
        if turn.stop is StopReason.MAX_TOKENS:
            return Ended(AnswerStop.MAX_TOKENS, turn.model)
        if execution.out_of_reach:
            # The model did without, and may not have said so: what it wrote is no whole answer.
            return Ended(AnswerStop.FAILED, turn.model, ToolsUnavailableError.reason, _PARTLY)
        return Ended(AnswerStop.COMPLETE, turn.model)

    async def _looked_up_again(self, execution: Execution, runner: ToolRunner) -> list[Called]:
        """What the tier before this one had looked up, as if this model had asked for it; the rest stays hearsay."""
        task = execution.task
        mine = [one for one in task.look_ups if runner.reads(one.tool)]
        try:
            called = await runner.run([ToolCall(f"again_{at}", one.tool, one.arguments) for at, one in enumerate(mine)])
        except HandOverError:
            # This tier's guard is narrower than the other's; its model has not asked for anything yet.
            return []
        good = [one for one in called if not (one.error or isinstance(one.result, ClarificationResult))]
        made = [look_up for look_up, one in zip(mine, called, strict=True) if one in good]
        execution.task = replace(task, look_ups=[one for one in task.look_ups if one not in made])
        for one in good:
            await self._take(execution, one, runner, show=False)
        execution.ground()
        return good

    async def _take(self, execution: Execution, one: Called, runner: ToolRunner, *, show: bool = True) -> None:
        """What a result means for the user and for what may be said."""
        if one.repeated:
            return
        match one.result:
            case TableResult(table) if show:
                await execution.show_table(table)
            case TableResult(table):
                execution.hold_table(table)
            case ProposalResult(_, summary, source):
                await execution.prose.show(ProposalShown(source))
                execution.texts.append(summary)
            case PassagesResult(passages):
                execution.texts.extend(f"{passage.title} {passage.text}" for passage in passages)
            case JsonResult(text):
                execution.texts.append(text)
            case _:
                return
        look_up = LookUp(one.call.name, one.call.arguments, cut(render(one.result), 3_000))
        execution.looked_up(look_up, again=runner.reads(one.call.name))

    @staticmethod
    def _hand_over_if_asked(execution: Execution, calls: Sequence[ToolCall]) -> None:
        for call in calls:
            if call.name == ESCALATE and execution.task.tier == 1:
                arguments = arguments_of(call.arguments) or {}
                reason = str(arguments.get("reason"))
                if reason == NOTHING_THERE:
                    execution.looked_up_in_vain()
                if findings := str(arguments.get("findings") or ""):
                    execution.found(cut(findings, 3_000))
                raise HandOverError("escalate_tool", HAND_OVER_REASONS.get(reason, NO_REASON))

    @staticmethod
    def _hand_over_if_stuck(execution: Execution, called: Sequence[Called], bad_calls: int) -> None:
        """A tool that fails at tier 1 is the next tier's: it has other tools and more patience."""
        if execution.task.tier != 1:
            return
        failed = next((one for one in called if one.error and not one.mendable), None)
        if failed is not None:
            raise HandOverError("tool_error", f"{failed.call.name}: {cut(failed.error, 200)}")
        # A call for somebody who cannot be found was a good one.
        if bad_calls - len(execution.unknown_names) >= _MAX_BAD_CALLS:
            raise HandOverError("tool_error", "the model could not make a valid call")


def _tag(tier: int) -> str:
    return "answer-simple" if tier == 1 else "answer-complex"


def _for_model(one: Called) -> ToolResultPart:
    if one.error:
        content = render(one.result) if one.result is not None else one.error
        return ToolResultPart(one.call.call_id, content, is_error=True)
    if one.result is None:
        return ToolResultPart(one.call.call_id, "no result", is_error=True)
    again = "You have made this very call before; its result again:\n" if one.repeated else ""
    return ToolResultPart(one.call.call_id, again + render(one.result))
