"""Starts the console: settings, serve."""

from __future__ import annotations

import sys

from tiermesh_runtime.settings import load_settings

from tiermesh_console.server import run
from tiermesh_console.settings import ConsoleSettings

if __name__ == "__main__":
    sys.exit(run(load_settings(ConsoleSettings)))
