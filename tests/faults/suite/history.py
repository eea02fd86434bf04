"""What clients saw: one question each, from the asking to its end, as they wrote it down themselves.

A history is a file of JSON lines, written by `asker`, so that what was seen survives whatever happens to the asker.
Not here: whether it is as it should be (`checker`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import grpc

# complete: the answer was whole. incomplete: the stream ended well and said that the answer is not whole.
# refused: a clear error before the first event. failed: a clear error after it. unclear: an error that says nothing.
# cancelled: the client left. hung: the client's patience ended beyond the deadline. open: no end was written down.
Ended = Literal["complete", "incomplete", "refused", "failed", "unclear", "cancelled", "hung", "open"]
CLEAR: frozenset[Ended] = frozenset({"incomplete", "refused", "failed"})
# Codes that a client can act on. What is not here, UNKNOWN above all, tells nobody anything.
CANONICAL = frozenset(code.name for code in grpc.StatusCode) - {"OK", "UNKNOWN"}


@dataclass(frozen=True)
class Question:
    """One question as its client saw it. Times are Unix seconds."""

    request_id: str
    text: str
    asked_at: float
    # Employee id of whoever asked.
    person: str = ""
    # As `tiermesh_client.events` gives them, without rows and scores.
    events: Sequence[Mapping[str, Any]] = field(default=())
    # Lines that told an end; there has to be one.
    ends: Sequence[Mapping[str, Any]] = field(default=())

    @property
    def accepted(self) -> bool:
        """True when the decision arrived: from then on it may not be lost."""
        return any(event["event"] == "decision" for event in self.events)

    @property
    def decision(self) -> Mapping[str, Any]:
        """The first event, empty when none came."""
        return next((event for event in self.events if event["event"] == "decision"), {})

    @property
    def receipt(self) -> Mapping[str, Any] | None:
        """The last event of a stream that ended well."""
        return next((event for event in self.events if event["event"] == "receipt"), None)

    @property
    def answer(self) -> str:
        """The text that stands in the end: what was superseded is gone."""
        text = ""
        for event in self.events:
            if event["event"] == "superseded":
                text = ""
            elif event["event"] == "text":
                text += event.get("text", "")
        return text

    @property
    def ended_at(self) -> float:
        """When its end was written down; infinity without one."""
        return float(self.ends[0]["at"]) if self.ends else float("inf")

    @property
    def ended(self) -> Ended:
        """How it ended."""
        if not self.ends:
            return "open"
        how = self.ends[0]["how"]
        if how in ("cancelled", "hung"):
            return "cancelled" if how == "cancelled" else "hung"
        if how == "error":
            if self.ends[0]["code"] not in CANONICAL or not self.ends[0]["reason"]:
                return "unclear"
            return "failed" if self.accepted else "refused"
        done = [event for event in self.events if event["event"] == "answer_done"]
        return "complete" if done and done[-1].get("complete") else "incomplete"


class History:
    """A file that is still being written. A last line that was cut is not taken before it is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._lines: list[Mapping[str, Any]] = []

    def questions(self, *, ended_since: float = 0.0) -> list[Question]:
        """Return the questions in the order of their asking, without those that had ended by `ended_since`."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._offset)
                whole = file.read().rpartition(b"\n")[0]
            self._offset += len(whole) + 1 if whole else 0
            self._lines += [line for text in whole.splitlines() if (line := _line(text)) is not None]
        old = {line["request_id"] for line in self._lines if line["line"] == "ended" and line["at"] < ended_since}
        return assemble(line for line in self._lines if line["request_id"] not in old)


def _line(text: bytes) -> Mapping[str, Any] | None:
    """Return a line; None for one that a kill cut."""
    try:
        line: Mapping[str, Any] = json.loads(text)
    except ValueError:
        return None
    return line


def assemble(lines: Iterable[Mapping[str, Any]]) -> list[Question]:
    """Return the questions that lines are about."""
    asked: dict[str, Mapping[str, Any]] = {}
    events: dict[str, list[Mapping[str, Any]]] = {}
    ends: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        request_id = line["request_id"]
        match line["line"]:
            case "asked":
                asked[request_id] = line
            case "event":
                events.setdefault(request_id, []).append(line["event"])
            case "ended":
                ends.setdefault(request_id, []).append(line)
    return [
        Question(each, line["text"], line["at"], line.get("person", ""), events.get(each, ()), ends.get(each, ()))
        for each, line in asked.items()
    ]
