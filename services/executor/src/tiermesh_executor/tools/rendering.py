"""Tool results as text for a model: compact, bounded, the cut announced."""

import json

from tiermesh_executor.tables import MODEL_CHARACTERS, for_model
from tiermesh_executor.tools.catalogue import (
    ClarificationResult,
    JsonResult,
    PassagesResult,
    ProposalResult,
    RefusalResult,
    TableResult,
    ToolResult,
)

_PASSAGE_CHARACTERS = 4_000


def render(result: ToolResult) -> str:
    """What the model reads."""
    match result:
        case TableResult(table):
            return for_model(table)
        case PassagesResult(passages):
            shown = [
                {"source": passage.source, "title": passage.title, "text": cut(passage.text, _PASSAGE_CHARACTERS)}
                for passage in passages
            ]
            return cut(_compact({"passages": shown}), MODEL_CHARACTERS)
        case ProposalResult(action, summary, _):
            note = "Nothing is done yet: the user sees this proposal and has to confirm it."
            return _compact({"proposal": action, "summary": cut(summary, 2_000), "notes": [note]})
        case ClarificationResult(question, options):
            return _compact({"question_to_user": question, "options": list(options)})
        case RefusalResult(message, argument, nearest, _):
            return _compact({"error": message, "argument": argument, "nearest": list(nearest)})
        case JsonResult(text):
            return cut(text, MODEL_CHARACTERS)


def cut(text: str, limit: int) -> str:
    """At most `limit` characters and a word about what is missing."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]} … [cut: {len(text) - limit} of {len(text)} characters are not shown]"


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
