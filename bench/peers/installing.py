"""An environment per peer under .tiermesh/bench, made once by pip with pinned versions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bench.suite import PROJECT

# Of 2026-11.
PINS: Final[Mapping[str, str]] = {
    "sdk": "anthropic==2.12.0",
    "litellm": "litellm[proxy]==1.108.7",
    "tensorzero": "tensorzero==2026.6.0",
}


class NotInstalledError(Exception):
    """The peer cannot be installed here; the message is the end of what pip said."""


def environment(peer: str) -> Path:
    """Return the folder with the environment's commands, made when it is not there. Raises NotInstalledError."""
    folder = PROJECT / ".tiermesh/bench" / peer
    pin = PINS[peer]
    mark = folder / ".installed"
    if not mark.exists() or mark.read_text() != pin:
        print(f"installing {pin} …", file=sys.stderr, flush=True)
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
        _run(str(folder / "bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", pin)
        mark.write_text(pin)
    return folder / "bin"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode:
        raise NotInstalledError((done.stderr or done.stdout).strip()[-300:])
