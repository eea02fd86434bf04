"""The rules in their order: structured output, results, small talk, hand-over, a tool, or words alone."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from tiermesh_simulator.faults import Fault
from tiermesh_simulator.models import ModelClass
from tiermesh_simulator.reply import Part, Reply, TextPart, ToolPart
from tiermesh_simulator.request import MessagesRequest
from tiermesh_simulator.rules import talk
from tiermesh_simulator.rules.arguments import fill
from tiermesh_simulator.rules.choice import (
    ESCALATE,
    ToolDoc,
    asks_rules,
    asks_what_if,
    asks_write,
    clauses_of,
    describe,
    is_about_many,
    least,
    pick,
    rank_tools,
)
from tiermesh_simulator.rules.clues import clues_of
from tiermesh_simulator.rules.dialogue import Call, Dialogue, read_dialogue
from tiermesh_simulator.rules.entities import people_in
from tiermesh_simulator.rules.fitting import fitting, missing
from tiermesh_simulator.rules.lexicon import content_words, words
from tiermesh_simulator.rules.mending import mended_arguments
from tiermesh_simulator.rules.quoting import NOTHING_SAID, word_passages
from tiermesh_simulator.rules.results import Refusal, Table, read_result, read_value
from tiermesh_simulator.rules.structured import StructuredWriter
from tiermesh_simulator.rules.wording import word_results

# A real model stops planning at some point, too.
MOST_CALLS: Final = 50
_MOST_PARTS: Final = 3
_TOLD: Final = re.compile(r"\balways call (?:the|a|this) tool\b|\byou must call\b", re.IGNORECASE)
_FIGURE: Final = re.compile(r"\d+")
_NO_RECORDS: Final = "missing: no tool here has records of that"
_CONFIDENCE: Final = "<confidence>"


class RuleEngine:
    """Answers requests by rules; the same request gets the same answer."""

    def __init__(self, *, escalate: bool = True) -> None:
        self._escalate = escalate

    def reply(self, request: MessagesRequest, model_class: ModelClass, fault: Fault | None = None) -> Reply:
        """Return the whole answer."""
        kind = fault.kind if fault is not None else ""
        if kind == "empty":
            return Reply(())
        if kind == "cannot":
            return Reply((TextPart("I'm sorry, but I cannot help with that."),))
        reply = self._reply(request, model_class)
        return _with_wrong_figure(reply) if kind == "wrong_figure" else reply

    def _reply(self, request: MessagesRequest, model_class: ModelClass) -> Reply:
        dialogue = read_dialogue(request)
        tools = [describe(tool) for tool in request.tools if "input_schema" in tool]
        choice = str(request.tool_choice["type"])
        # Some models cannot be forced and are only told.
        forced = choice in ("any", "tool") or (choice == "auto" and bool(_TOLD.search(dialogue.system)))
        calls: list[tuple[ToolDoc, Mapping[str, Any]]] = []
        if tools and choice != "none":
            calls = self._calls(request, dialogue, tools, model_class, forced=forced)
        if calls:
            if request.tool_choice.get("disable_parallel_tool_use"):
                calls = calls[:1]
            return _tool_reply(request, calls)
        text = self._words(dialogue, tools if choice != "none" else ())
        if request.schema is not None:
            value = StructuredWriter(request.schema, dialogue, text).write()
            return Reply((TextPart(json.dumps(value, ensure_ascii=False)),))
        return Reply((TextPart(_stated(request, dialogue) + _continued(text, dialogue.prefill)),))

    def _calls(  # noqa: PLR0911 - a list of cases
        self,
        request: MessagesRequest,
        dialogue: Dialogue,
        tools: Sequence[ToolDoc],
        model_class: ModelClass,
        *,
        forced: bool,
    ) -> list[tuple[ToolDoc, Mapping[str, Any]]]:
        """Return the tool calls that come next; none when it is time to answer."""
        by_name = {tool.name: tool for tool in tools}
        usable = [tool for tool in tools if tool.name != ESCALATE]
        if request.tool_choice["type"] == "tool":
            tool = by_name[str(request.tool_choice["name"])]
            return [(tool, _mended_last(tool, dialogue) or self._arguments(tool, dialogue))]
        hands_over = model_class == "haiku" and self._escalate and ESCALATE in by_name
        if dialogue.calls and not forced:
            if _found_nothing(dialogue, usable):
                if hands_over:
                    return [(by_name[ESCALATE], _reasoned(by_name[ESCALATE], _NO_RECORDS, dialogue))]
                # A smaller model with fewer tools may have asked the documents for it.
                return _first_calls(dialogue, [tool for tool in usable if not tool.search])
            return _next_calls(dialogue, usable)
        if not forced and talk.small_talk(dialogue.question) is not None and not asks_write(dialogue.question):
            return []
        reason = talk.looks_hard(dialogue.question, has_history=bool(dialogue.earlier))
        if hands_over and reason is not None:
            return [(by_name[ESCALATE], _reasoned(by_name[ESCALATE], reason, dialogue))]
        if (dialogue.embedded or talk.asks_draft(dialogue.question)) and not forced:
            return []
        picked = _first_calls(dialogue, usable)
        if picked or not forced:
            return picked
        best = rank_tools(usable or tools, dialogue.context)[0][1]
        return [(best, self._arguments(best, dialogue))]

    @staticmethod
    def _arguments(tool: ToolDoc, dialogue: Dialogue) -> Mapping[str, Any]:
        if tool.name == ESCALATE:
            return _reasoned(tool, "multi_step: the question needs a stronger model", dialogue)
        found = _filled(tool, dialogue)
        fit = fitting(tool.schema, found)
        return found if fit is None else fit

    @staticmethod
    def _words(dialogue: Dialogue, tools: Sequence[ToolDoc]) -> str:
        told = [(read_result(call.result, failed=call.failed), _asked(call, dialogue)) for call in dialogue.calls]
        told += [(found, dialogue.context) for value in dialogue.embedded if (found := read_value(value)) is not None]
        if told:
            return word_results(told, dialogue.today)
        unfilled = _unfilled(dialogue, tools)
        if unfilled:
            return f"Which {' and '.join(name.replace('_', ' ') for name in unfilled)} should I take?"
        return talk.small_talk(dialogue.question) or talk.without_tools(dialogue.question)


def _asked(call: Call, dialogue: Dialogue) -> str:
    """Return what a call was to answer: a search says it itself."""
    query = call.arguments.get("query")
    # The words in brackets only lend the search the topic of the question's first half.
    return query.partition(" (")[0] if isinstance(query, str) and query else dialogue.context


def _unfilled(dialogue: Dialogue, tools: Sequence[ToolDoc]) -> list[str]:
    """Return what a write still has to be told before its tool can be called."""
    if not asks_write(dialogue.question):
        return []
    ranked = [tool for score, tool in rank_tools(tools, dialogue.context) if score >= least(tools) and tool.write]
    return missing(ranked[0].schema, _filled(ranked[0], dialogue)) if ranked else []


def _first_calls(  # noqa: PLR0911 - a list of cases
    dialogue: Dialogue, tools: Sequence[ToolDoc]
) -> list[tuple[ToolDoc, Mapping[str, Any]]]:
    """Pick the tool, or one per part of a double question, or one call per named person."""
    clauses = clauses_of(dialogue.question)
    search = next((tool for tool in tools if tool.search and not tool.keyed), None)
    if search is not None and (asks_rules(dialogue.question) or _documents_alone(tools)):
        return _searches(search, tools, dialogue, clauses)
    if len(clauses) > 1:
        picked = [(clause, pick(tools, clause)) for clause in clauses]
        if all(tool is not None for _, tool in picked) and len({tool.name for _, tool in picked if tool}) > 1:
            made = [
                (tool, fitting(tool.schema, _filled(tool, dialogue, question=clause)))
                for clause, tool in picked
                if tool
            ]
            return [(tool, arguments) for tool, arguments in made if arguments is not None]
    for score, tool in rank_tools(tools, dialogue.context):
        if score < least(tools):
            break
        people = people_in(dialogue.question)
        if tool.entity and len(people) > 1:
            each = [fitting(tool.schema, _filled(tool, dialogue, person=name)) for name in people]
            return [(tool, arguments) for arguments in each[:MOST_CALLS] if arguments is not None]
        arguments = fitting(tool.schema, _filled(tool, dialogue))
        if arguments is not None:
            return [(tool, arguments)]
        if tool.write:
            # What is missing has to be asked for, not looked up elsewhere.
            return []
    if search is not None and (_documents_alone(tools) or talk.in_domain(dialogue.question)):
        # Of what no record tells the documents may.
        arguments = fitting(search.schema, _filled(search, dialogue))
        return [] if arguments is None else [(search, arguments)]
    return []


def _found_nothing(dialogue: Dialogue, tools: Sequence[ToolDoc]) -> bool:
    """Whether the documents were all there was to look in, for what is no question of rules, and they are silent."""
    if asks_rules(dialogue.question) or _documents_alone(tools):
        return False
    told = [(read_result(call.result, failed=call.failed), _asked(call, dialogue)) for call in dialogue.calls]
    return all(
        isinstance(result, tuple) and word_passages(result, question) == NOTHING_SAID for result, question in told
    )


def _documents_alone(tools: Sequence[ToolDoc]) -> bool:
    return all(tool.search for tool in tools)


def _searches(
    search: ToolDoc, tools: Sequence[ToolDoc], dialogue: Dialogue, clauses: Sequence[str]
) -> list[tuple[ToolDoc, Mapping[str, Any]]]:
    """Search once, or for each part that is about rules, with the first part's topic; look up one thing at most."""
    if len(clauses) < 2:
        clauses = [dialogue.question]
    found: list[tuple[ToolDoc, Mapping[str, Any]]] = []
    for position, clause in enumerate(clauses[:_MOST_PARTS]):
        if asks_rules(clause) or _documents_alone(tools):
            topic = f" ({' '.join(content_words(clauses[0])[:4])})" if position else ""
            arguments = fitting(search.schema, _filled(search, dialogue, question=f"{clause}{topic}"))
            found += [] if arguments is None else [(search, arguments)]
        elif all(tool is search for tool, _ in found) and (tool := pick(tools, clause)) is not None:
            arguments = fitting(tool.schema, _filled(tool, dialogue, question=clause))
            found += [] if arguments is None else [(tool, arguments)]
    return found


def _filled(
    tool: ToolDoc, dialogue: Dialogue, *, question: str | None = None, person: str | None = None
) -> dict[str, Any]:
    """Fill a tool's arguments; what is only supposed has no records, so a look-up for it is one of now."""
    clues = clues_of(dialogue, question, person)
    if asks_what_if(dialogue.question) and not tool.what_if:
        clues = replace(clues, period=None, ahead=False)
    return fill(tool.schema, clues)


def _next_calls(  # noqa: PLR0911 - a list of cases
    dialogue: Dialogue, tools: Sequence[ToolDoc]
) -> list[tuple[ToolDoc, Mapping[str, Any]]]:
    """Mend a refused call once, write with a key that was looked up, or look up each person of a list."""
    by_name = {tool.name: tool for tool in tools}
    last = dialogue.calls[-1]
    result = read_result(last.result, failed=last.failed)
    if isinstance(result, Refusal):
        tries = sum(call.tool == last.tool for call in dialogue.calls)
        mended = mended_arguments(last.arguments, result)
        if tries == 1 and mended is not None and last.tool in by_name:
            fit = fitting(by_name[last.tool].schema, mended)
            return [] if fit is None else [(by_name[last.tool], fit)]
        return []
    if isinstance(result, Table) and asks_write(dialogue.question):
        return _write_to(result, last, tools)
    if not isinstance(result, Table) or len(dialogue.calls) > 1 or not is_about_many(dialogue.question):
        return []
    if any(column.measure for column in result.columns):
        return []
    tool = pick([tool for tool in tools if tool.name != last.tool and tool.entity], dialogue.context)
    names = _names_of(result)
    if tool is None or not names:
        return []
    return [(tool, _filled(tool, dialogue, person=name)) for name in names[:MOST_CALLS]]


def _mended_last(tool: ToolDoc, dialogue: Dialogue) -> Mapping[str, Any] | None:
    """The last call of a tool that must be called, mended by what it was refused for."""
    last = dialogue.calls[-1] if dialogue.calls else None
    result = None if last is None else read_result(last.result, failed=last.failed)
    if last is None or last.tool != tool.name or not isinstance(result, Refusal):
        return None
    mended = mended_arguments(last.arguments, result)
    return None if mended is None else fitting(tool.schema, mended)


def _write_to(table: Table, last: Call, tools: Sequence[ToolDoc]) -> list[tuple[ToolDoc, Mapping[str, Any]]]:
    """Write to the one record that a look-up found; several are shown, so that the user can say which."""
    if len(table.rows) != 1:
        return []
    names = [column.name for column in table.columns]
    for tool in tools:
        required = [str(key) for key in tool.schema.get("required") or ()]
        if (
            tool.write
            and tool.keyed
            and tool.name != last.tool
            and set(required) <= set(names)
            and len(table.rows) == 1
        ):
            arguments = {key: table.rows[0][names.index(key)] for key in required}
            return [(tool, arguments)] if fitting(tool.schema, arguments) is not None else []
    return []


def _names_of(table: Table) -> list[str]:
    wanted = [at for at, column in enumerate(table.columns) if set(words(column.name)) & {"employee", "name", "person"}]
    if not wanted:
        return []
    return list(dict.fromkeys(value for row in table.rows if (value := row[wanted[0]]) is not None))


def _reasoned(tool: ToolDoc, reason: str, dialogue: Dialogue) -> Mapping[str, Any]:
    """Fill `escalate`: an enum by the reason's first word, texts by the reason."""
    arguments = _filled(tool, dialogue)
    code = reason.partition(":")[0]
    for key, sub in (tool.schema.get("properties") or {}).items():
        if not isinstance(sub, Mapping):
            continue
        if sub.get("enum"):
            arguments[key] = code if code in sub["enum"] else sub["enum"][0]
        elif sub.get("type") == "string" and set(words(key)) & {"reason", "why", "explanation", "detail", "message"}:
            arguments[key] = reason
    return arguments


def _tool_reply(request: MessagesRequest, calls: Sequence[tuple[ToolDoc, Mapping[str, Any]]]) -> Reply:
    """Make tool_use blocks, their ids fixed by the request."""
    said = json.dumps([dict(block) for turn in request.turns for block in turn.blocks], sort_keys=True, default=str)
    parts: list[Part] = []
    for position, (tool, arguments) in enumerate(calls):
        digest = hashlib.sha256(f"{position}\0{tool.name}\0{said}".encode("utf-8", "surrogatepass")).hexdigest()
        parts.append(ToolPart(f"toolu_sim{digest[:21]}", tool.name, arguments))
    return Reply(tuple(parts), "tool_use")


def _stated(request: MessagesRequest, dialogue: Dialogue) -> str:
    """State a confidence where the prompt asks for one: high with a tool's result, low for what looks hard."""
    if not any(_CONFIDENCE in turn.text for turn in request.turns):
        return ""
    hard = talk.looks_hard(dialogue.question, has_history=bool(dialogue.earlier)) is not None
    return f"<confidence>{'0.3' if hard else '0.9' if dialogue.calls else '0.7'}</confidence> "


def _continued(text: str, prefill: str) -> str:
    """Go on where a prefilled answer ended."""
    start = prefill.strip()
    if not start:
        return text
    if text.startswith(start):
        return text[len(start) :]
    unsaid = [piece for piece in re.split(r"(?<=[.!?])\s+", text) if piece not in start]
    return " " + " ".join(unsaid) if unsaid else " That is all."


def _with_wrong_figure(reply: Reply) -> Reply:
    """Alter the first figure of the text, as a model that adds up wrongly would."""
    parts: list[Part] = []
    altered = False
    for part in reply.parts:
        if isinstance(part, TextPart) and not altered and _FIGURE.search(part.text):
            stated, end, said = part.text.rpartition("</confidence>")
            wrong = _FIGURE.sub(lambda match: str(int(match.group()) + 7), said, count=1)
            parts.append(TextPart(f"{stated}{end}{wrong}"))
            altered = True
        else:
            parts.append(part)
    return Reply(tuple(parts), reply.stop_reason, reply.stop_sequence)
