"""Reads candidates out of the model's JSON while it is still being written. Whatever it writes, nothing is raised."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from tiermesh_suggester.candidates import KINDS, Candidate, Dropped

# A model that writes more than this is not read to the end.
MAX_CANDIDATES = 12
# A text that has not ended by then is no candidate.
MAX_OPEN_CHARACTERS = 4096

_DECODER = json.JSONDecoder()
_OPENING = re.compile(r'\s*(?:\{\s*"pills"\s*:\s*)?\[')
_BETWEEN = re.compile(r"[\s,]*")


@dataclass
class CandidateReader:
    """Takes `{"pills": ["kind: text", …]}` in pieces; gives each candidate when its text is whole."""

    dropped: Dropped
    _rest: str = ""
    _opened: bool = False
    _ended: bool = False
    _read: int = field(default=0)

    def feed(self, piece: str) -> list[Candidate]:
        """Return the candidates that this piece made whole."""
        if self._ended:
            return []
        self._rest += piece
        if not self._opened and not self._open():
            return []
        found = []
        while (entry := self._next()) is not None:
            self._read += 1
            if self._read > MAX_CANDIDATES:
                self.dropped.note("too_many")
            elif (candidate := _candidate(entry)) is None:
                self.dropped.note("not_json")
            else:
                found.append(candidate)
        return found

    def close(self) -> None:
        """Say that no more comes: what is not whole by now is lost."""
        if not self._ended and (self._rest.strip() or not self._opened):
            self.dropped.note("not_json")
        self._ended = True

    def _open(self) -> bool:
        match = _OPENING.match(self._rest)
        if match is not None:
            self._rest, self._opened = self._rest[match.end() :], True
        elif len(self._rest) > MAX_OPEN_CHARACTERS:
            self.close()
        return self._opened

    def _next(self) -> Any | None:
        """Return the next whole entry; None when there is none yet, or none any more."""
        self._rest = self._rest[_BETWEEN.match(self._rest).end() :]  # type: ignore[union-attr] # it matches nothing, too
        if self._rest.startswith("]"):
            self._ended = True
            return None
        try:
            entry, end = _DECODER.raw_decode(self._rest)
        except (ValueError, RecursionError):
            if len(self._rest) > MAX_OPEN_CHARACTERS:
                self.close()
            return None
        # A number or a word may go on in the next piece; texts, the only entries that count, end by themselves.
        if not isinstance(entry, dict | list | str) and end == len(self._rest):
            return None
        self._rest = self._rest[end:]
        return entry if entry is not None else {}


def _candidate(entry: Any) -> Candidate | None:
    if not isinstance(entry, str):
        return None
    kind, colon, text = entry.partition(":")
    known = next((each for each in KINDS if each == kind.strip().lower()), None)
    return Candidate(" ".join(text.split()), known) if colon and known is not None else None
