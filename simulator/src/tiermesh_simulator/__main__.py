"""`python -m tiermesh_simulator`: flags and environment → server → signals → end."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from tiermesh_simulator.server import base_url, start
from tiermesh_simulator.settings import SimulatorSettings

_FLAGS = ("host", "port", "first_token_ms", "chunk_ms", "chunk_chars", "chunks", "time_scale", "cache_minimum")


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit code is 2 when it cannot start."""
    parser = argparse.ArgumentParser(prog="tiermesh_simulator", description="A Messages API server. It is no model.")
    for flag in _FLAGS:
        parser.add_argument(f"--{flag.replace('_', '-')}")
    parser.add_argument("--port-file", type=Path, help="write the port here once it listens")
    given = {name: value for name, value in vars(parser.parse_args(argv)).items() if value is not None}
    port_file: Path | None = given.pop("port_file", None)
    try:
        settings = SimulatorSettings(**given)
    except ValidationError as error:
        for problem in error.errors():
            where = ".".join(str(part) for part in problem["loc"])
            print(f"simulator: setting '{where}': {problem['msg']}", file=sys.stderr)
        return 2
    return asyncio.run(_serve(settings, port_file))


async def _serve(settings: SimulatorSettings, port_file: Path | None) -> int:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ended.set)
    try:
        runner = await start(settings)
    except OSError as error:
        reason = error.strerror or str(error)
        print(
            f"simulator: cannot listen on {settings.host}:{settings.port}: {reason}; "
            "choose another port by --port or TIERMESH_SIMULATOR_PORT",
            file=sys.stderr,
        )
        return 2
    try:
        url = base_url(runner)
        if port_file is not None:
            await asyncio.to_thread(_write_whole, port_file, url.rpartition(":")[2])
        print(f"simulator (no model) on {url}", flush=True)
        await ended.wait()
    finally:
        await runner.cleanup()
    return 0


def _write_whole(path: Path, text: str) -> None:
    """Write so that whoever waits for the file never reads half of it."""
    begun = path.with_name(f".{path.name}.begun")
    begun.write_text(text)
    begun.replace(path)


if __name__ == "__main__":
    sys.exit(main())
