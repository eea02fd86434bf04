"""Reads a request as a dialogue: the question, what went before, today, and what the tools have said."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from tiermesh_simulator.request import Block, MessagesRequest, Turn
from tiermesh_simulator.rules.courtesy import bare
from tiermesh_simulator.rules.dates import today_in
from tiermesh_simulator.rules.lexicon import content_words

_FOLLOW_UP: Final = re.compile(
    r"^\s*(?:and\b|but\b|what about|how about|same (?:for|thing)|no,"
    r"|only\b|just\b|now\b|then\b|also\b|by \w+\W*$|what if)",
    re.IGNORECASE,
)
_TAGGED: Final = re.compile(r"<(?:user_)?question>\s*(.*?)\s*</(?:user_)?question>", re.IGNORECASE | re.DOTALL)
_SO_FAR: Final = re.compile(r"<answer_so_far>\s*(.*?)\s*</answer_so_far>", re.IGNORECASE | re.DOTALL)
# What another model found is no result of a tool.
_HEARSAY: Final = re.compile(r"<unverified_findings>.*?</unverified_findings>", re.IGNORECASE | re.DOTALL)
_LABELLED: Final = re.compile(r"^(?:the )?(?:user'?s? )?question(?: is)?\s*:\s*(.+)$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call of the running turn with its result."""

    id: str
    tool: str
    arguments: Mapping[str, Any]
    result: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What the rules see."""

    question: str
    earlier: Sequence[str]
    today: date
    system: str
    calls: Sequence[Call]
    # JSON values found in the user's own message, such as rows to narrate.
    embedded: Sequence[Any]
    whole_text: str
    prefill: str

    @property
    def context(self) -> str:
        """The question, and for a follow-up the last question that says what it is about."""
        if not self.earlier or not is_follow_up(self.question):
            return self.question
        telling = [text for text in self.earlier if not is_follow_up(text)]
        return f"{self.question}\n{(telling or self.earlier)[-1]}"


def is_follow_up(text: str) -> bool:
    """Return whether a text cannot be understood alone."""
    return bool(_FOLLOW_UP.search(text)) or len(content_words(text)) <= 1


def read_dialogue(request: MessagesRequest) -> Dialogue:
    """Read a request."""
    turns = [turn for turn in request.turns if turn.role != "system"]
    notes = "\n".join(turn.text for turn in request.turns if turn.role == "system")
    system = f"{request.system_text}\n{notes}"
    asked = [position for position, turn in enumerate(turns) if turn.role == "user" and turn.text.strip()]
    at = asked[-1] if asked else 0
    text = turns[at].text
    so_far = _SO_FAR.search(text)
    prefill = turns[-1].text if turns[-1].role == "assistant" else so_far.group(1) if so_far else ""
    embedded, rest = cut_json(_HEARSAY.sub(" ", text))
    return Dialogue(
        question=_question(text, rest),
        earlier=tuple(_question(turns[position].text, cut_json(turns[position].text)[1]) for position in asked[:-1]),
        today=today_in(f"{system}\n{text}") or datetime.now(UTC).date(),
        system=system,
        calls=_calls(turns[at:]),
        embedded=embedded,
        whole_text=text,
        prefill=prefill,
    )


def _question(text: str, rest: str) -> str:
    for pattern in (_TAGGED, _LABELLED):
        found = pattern.findall(text)
        if found:
            return bare(str(found[-1]).strip())
    return bare(rest.strip()) or text.strip()


def _calls(turns: Sequence[Turn]) -> Sequence[Call]:
    asked: dict[str, Block] = {}
    calls: list[Call] = []
    for turn in turns:
        for block in turn.blocks:
            if block["type"] == "tool_use":
                asked[str(block.get("id"))] = block
            elif block["type"] == "tool_result":
                use = asked.get(str(block.get("tool_use_id")), {})
                calls.append(
                    Call(
                        id=str(block.get("tool_use_id")),
                        tool=str(use.get("name", "")),
                        arguments=use.get("input") or {},
                        result=_result_text(block.get("content")),
                        failed=block.get("is_error") is True,
                    )
                )
    return tuple(calls)


def _result_text(content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return ""


def cut_json(text: str) -> tuple[Sequence[Any], str]:
    """Return the JSON objects and arrays that stand in a text, and the text without them."""
    decoder = json.JSONDecoder()
    values: list[Any] = []
    rest: list[str] = []
    position = 0
    tries = 0
    while position < len(text):
        opening = re.compile(r"[{\[]").search(text, position)
        if opening is None or tries > 200:
            break
        tries += 1
        try:
            value, end = decoder.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            rest.append(text[position : opening.end()])
            position = opening.end()
            continue
        if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict) for item in value)):
            values.append(value)
            rest.append(text[position : opening.start()])
        else:
            rest.append(text[position:end])
        position = end
    rest.append(text[position:])
    return tuple(values), "".join(rest)
