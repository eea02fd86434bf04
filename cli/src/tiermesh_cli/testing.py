"""What tests and measurements need of the command: a whole suite of processes, started as people start it.

Only they import this module. A suite whose processes are stopped and replaced one by one is another thing: what
there is to start is in `stack`, and how one is asked for its health in `supervisor`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tiermesh_cli.home import Home
from tiermesh_cli.running import RunningSuite
from tiermesh_cli.supervisor import StartFailedError

START_SECONDS = 120.0
STOP_SECONDS = 40.0
COMMAND = (sys.executable, "-m", "tiermesh_cli")


@contextmanager
def running(home: Home, environment: Mapping[str, str]) -> Iterator[tuple[subprocess.Popen[str], RunningSuite]]:
    """Run `tiermesh up` on free ports while the block runs, on the simulator; yield its process and its note.

    `environment` adds to this process's own. StartFailedError with the end of its output when it does not come up.
    """
    variables = {**os.environ, **environment}
    variables.pop("ANTHROPIC_API_KEY", None)
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*COMMAND, "up", "--any-ports", "--state", str(home.state)],
        cwd=home.project,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process, _until_up(home, process)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _until_up(home: Home, process: subprocess.Popen[str]) -> RunningSuite:
    give_up = time.monotonic() + START_SECONDS
    while (found := RunningSuite.read(home.running)) is None:
        if process.poll() is not None or time.monotonic() > give_up:
            process.kill()
            raise StartFailedError(f"the suite did not come up:\n{process.communicate()[0][-4000:]}")
        time.sleep(0.1)  # the note's appearance is the event; nothing else announces it
    return found
