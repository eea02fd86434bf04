"""The note that a running suite leaves for the other commands: where it listens and which keys sign people in."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunningSuite:
    """What `tiermesh up` wrote when it came up."""

    pid: int
    gateway: str
    simulated: bool
    addresses: Mapping[str, str]
    pids: Mapping[str, int]

    def write(self, path: Path) -> None:
        """Write the note, whole or not at all."""
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(asdict(self), indent=2))
        draft.replace(path)

    @classmethod
    def read(cls, path: Path) -> RunningSuite | None:
        """Return the suite that runs now, or None when none does."""
        try:
            suite = cls(**json.loads(path.read_text()))
            os.kill(suite.pid, 0)
        except (OSError, ValueError, TypeError):
            return None
        return suite
