"""What figures were measured on: machine, versions, date, command. Every results file begins with it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

RESULTS = Path(__file__).resolve().parent / "results"
# Share of the cores that others may take just before. The load average still tells of a run that has ended.
_QUIET_SHARE = 0.1
_LOOK_SECONDS = 1.0


def facts(command: str, distributions: Sequence[str]) -> dict[str, Any]:
    """Return them, as they are now, before anything is measured; `distributions` are those whose versions matter."""
    busy = psutil.cpu_percent(interval=_LOOK_SECONDS) / 100
    return {
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": f"{_processor()}, {os.cpu_count()} cores, Linux {platform.release().split('-')[0]}",
        "load_before": round(os.getloadavg()[0], 2),
        "busy_before": round(busy, 2),
        "quiet": busy < _QUIET_SHARE,
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in distributions},
        "arguments": sys.argv[1:],
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def told(facts: Mapping[str, Any]) -> str:
    """One line of them for a plot's title."""
    quiet = (
        "quiet" if facts["quiet"] else f"cores {facts['busy_before']:.0%} busy before, load {facts['load_before']:g}"
    )
    return f"{facts['machine']}; {quiet}; {facts['date'][:10]}, commit {facts['commit'] or 'unknown'}"


def _commit() -> str:
    """The commit, marked where code was changed since; results and documentation do not count."""
    commit = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!bench/results", ":!docs")
    return f"{commit}, changed" if changed else commit


def _git(*words: str) -> str:
    command = ["git", "-C", str(RESULTS.parents[1]), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
