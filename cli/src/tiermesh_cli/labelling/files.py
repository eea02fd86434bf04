"""Prompts in, labels out: both JSON Lines. What is written stays, so that a run can go on where another ended."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LONGEST_PROMPT = 8_000


class PromptsNotUsableError(Exception):
    """The file of prompts, or of labels so far, cannot be used; the message says where and what to do."""


@dataclass(frozen=True)
class Prompt:
    """One question, with the right answer where somebody knows it."""

    id: str
    text: str
    answer: str = ""


def read_prompts(path: Path) -> Sequence[Prompt]:
    """Every line's `prompt` (or `text`), each once. Raises PromptsNotUsableError, naming the line."""
    found: dict[str, Prompt] = {}
    for number, row in _rows(path):
        text = row.get("prompt", row.get("text"))
        if not isinstance(text, str) or not text.strip():
            raise PromptsNotUsableError(f'{path}:{number}: has no "prompt" (or "text") with words in it')
        if len(text) > _LONGEST_PROMPT:
            raise PromptsNotUsableError(f"{path}:{number}: is longer than {_LONGEST_PROMPT} characters")
        answer = row.get("answer", "")
        if not isinstance(answer, str):
            raise PromptsNotUsableError(f'{path}:{number}: "answer" is no text')
        prompt = Prompt(hashlib.sha256(text.encode()).hexdigest()[:16], text, answer)
        found.setdefault(prompt.id, prompt)
    if not found:
        raise PromptsNotUsableError(f"{path}: holds no prompt")
    return list(found.values())


class LabelFile:
    """The labels, and beside them what could not be decided: a row is on disk before its prompt counts as done."""

    def __init__(self, path: Path) -> None:
        """Raises PromptsNotUsableError when what is there is no file of labels."""
        self.path = path
        self.undecided = path.with_name(f"{path.stem}.undecided{path.suffix}")
        self.done = {str(row["id"]) for file in (path, self.undecided) for row in _kept(file)}
        path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, row: Mapping[str, Any], *, decided: bool) -> None:
        """One prompt's row, at the end of its file."""
        with (self.path if decided else self.undecided).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self.done.add(str(row["id"]))

    def rows(self) -> Sequence[Mapping[str, Any]]:
        """What is decided so far."""
        return [row for _, row in _rows(self.path)] if self.path.exists() else []


def _kept(path: Path) -> Sequence[Mapping[str, Any]]:
    """The whole rows of a file; a last line that was cut off when a run was killed is taken away."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole, _, cut = text.rpartition("\n")
    if cut:
        path.write_text(f"{whole}\n" if whole else "", encoding="utf-8")
    rows = [row for _, row in _rows(path)]
    if any("id" not in row for row in rows):
        raise PromptsNotUsableError(f"{path}: was not written by `tiermesh label`; name another file with --out")
    return rows


def _rows(path: Path) -> Sequence[tuple[int, Mapping[str, Any]]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptsNotUsableError(f"{path}: cannot be read as UTF-8 text ({type(error).__name__})") from error
    found = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise PromptsNotUsableError(f"{path}:{number}: is no JSON object on one line") from error
            if not isinstance(row, dict):
                raise PromptsNotUsableError(f"{path}:{number}: is no JSON object on one line")
            try:
                json.dumps(row, ensure_ascii=False).encode()
            except UnicodeEncodeError as error:
                raise PromptsNotUsableError(f"{path}:{number}: holds half a character") from error
            found.append((number, row))
    return found
