"""Words for what tools have answered; tables and passages have their own modules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Final

from tiermesh_simulator.rules.quoting import first_sentences, word_passages
from tiermesh_simulator.rules.results import Clarification, Other, Proposal, Refusal, Result, Table
from tiermesh_simulator.rules.table_words import NO_RESULT, word_table

NOT_LOOKED_UP: Final = "I could not look that up."
# A sentence about the matter ("There is a request for that day already"), not about an argument's form.
_FOR_PEOPLE: Final = re.compile(r"^(?:There (?:is|are|was)|You |Nobody |\d|The (?:request|last day|day|claim|period))")
_FOR_MACHINES: Final = re.compile(
    r"[{}\[\]_`]|\bargument|\bschema|\bfit\b|too (?:short|long|many)|\bproperty|\bknown here"
)


def word_results(results: Sequence[tuple[Result, str]], today: date | None = None) -> str:
    """Return the answer for the results of one turn, each with the question that it answers."""
    useful = [pair for pair in results if not isinstance(pair[0], Refusal)]
    # What was looked up for a write is in its summary.
    useful = [pair for pair in useful if isinstance(pair[0], Proposal)] or useful
    # What holds nothing is only said when nothing else is.
    told = [pair for pair in useful if not (isinstance(pair[0], Table) and not pair[0].rows)] or useful
    pieces = [word_result(result, question, today) for result, question in told or results]
    return " ".join(dict.fromkeys(piece for piece in pieces if piece)) or NO_RESULT


def word_result(result: Result, question: str, today: date | None = None) -> str:
    """Return the words for one result."""
    if isinstance(result, Table):
        return word_table(result, question, today)
    if isinstance(result, tuple):
        return word_passages(result, question)
    if isinstance(result, Refusal):
        return _refused(result)
    if isinstance(result, Proposal):
        return f"I have prepared this for you: {result.summary.rstrip('.')}. Nothing is changed until you confirm it."
    if isinstance(result, Clarification):
        options = f" ({', '.join(result.options)})" if result.options else ""
        return f"{result.question.rstrip('?')}{options}?"
    return _other(result)


def _refused(refusal: Refusal) -> str:
    """A refusal in plain words: what a tool says about its arguments is not for people."""
    if refusal.stranger:
        near = f" Did you mean {_either(refusal.nearest[:3])}?" if refusal.nearest else ""
        return f"I could not find “{refusal.stranger}” among the records that you may see.{near}"
    message = refusal.message.strip().rstrip(".")
    if refusal.nearest and not any("_" in name for name in refusal.nearest):
        return f"{NOT_LOOKED_UP} Did you mean {_either(refusal.nearest[:3])}?"
    if _FOR_PEOPLE.match(message) and not _FOR_MACHINES.search(message):
        return f"I could not do that: {message}."
    return NOT_LOOKED_UP


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _other(result: Other) -> str:
    text = result.text.strip()
    return first_sentences(text, 3) if text and text not in ("null", "[]", "{}") else NO_RESULT
