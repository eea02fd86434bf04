"""A client of its own process: asks steadily and writes down all that it sees, until SIGTERM.

`python -m tests.faults.suite.asker --address HOST:PORT --keys FOLDER --out FILE --rate 3`. After SIGTERM nothing new
is asked, what is under way is seen to its end, and the process ends with 0.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import time
import uuid
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import structlog
from tiermesh_cli.keys import sign_in_token
from tiermesh_client import TiermeshClient
from tiermesh_client.events import event_values
from tiermesh_runtime.errors import RpcError

# Beyond the question's own deadline: whoever waits longer waits for ever.
PATIENCE_SECONDS = 8.0
# Text, person, roles. One per route, a question of words, and one whose rows are the caller's alone.
QUESTIONS = (
    ("How many leave days do I have left?", "E00014", ("employee", "manager")),
    ("Who applied for the most leave this year?", "E00002", ("employee", "manager")),
    ("How do I split parental leave with my partner, and what does that do to my bonus?", "E00016", ("employee",)),
    ("What is the travel expense policy?", "E00016", ("employee",)),
    ("How many leave days do I have left?", "E00015", ("employee", "manager")),
)
_KEPT = ("rows", "scores", "reasons", "otherwise", "columns")


class Book:
    """The file that everything is written into, line by line, at once."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, line: str, request_id: str, **values: Any) -> None:
        """Write one line."""
        text = json.dumps({"line": line, "request_id": request_id, "at": time.time(), **values}, ensure_ascii=False)
        os.write(self._file, text.encode() + b"\n")


def _short(event: Mapping[str, Any]) -> dict[str, Any]:
    rows = {"row_count": len(event["rows"])} if "rows" in event else {}
    return {key: value for key, value in event.items() if key not in _KEPT} | rows


async def ask(
    client: TiermeshClient, book: Book, words: tuple[str, str], options: argparse.Namespace, leave: str
) -> None:
    """Ask one question; `words` are its text and who asks. `leave` is "" (stay to the end), "cancel" or "break"."""
    request_id, (text, person) = str(uuid.uuid4()), words
    book.write("asked", request_id, text=text, person=person)
    how: dict[str, Any] = {"how": "ok"}
    try:
        async with asyncio.timeout(options.timeout + PATIENCE_SECONDS):
            stream = client.ask(text, request_id=request_id, timeout=options.timeout, no_pills=options.no_pills)
            async with aclosing(stream):
                async for response in stream:
                    event = _short(event_values(response))
                    book.write("event", request_id, event=event)
                    if options.read_pause:
                        await asyncio.sleep(options.read_pause)
                    if leave == "break" and event["event"] != "decision":
                        how = {"how": "cancelled"}
                        break
                    if leave == "cancel" and event["event"] != "decision":
                        current = asyncio.current_task()
                        assert current is not None
                        current.cancel()
    except RpcError as error:
        how = {"how": "error", "code": error.code.name, "reason": error.reason, "words": error.message}
    except TimeoutError:
        how = {"how": "hung"}
    except asyncio.CancelledError:
        how = {"how": "cancelled"}
    book.write("ended", request_id, **how)


async def ask_steadily(options: argparse.Namespace) -> None:
    """Ask at the rate until SIGTERM, whatever becomes of the answers."""
    chance, book, stop = random.Random(options.seed), Book(options.out), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    people = {person: roles for _, person, roles in QUESTIONS}
    tokens = {
        person: sign_in_token(options.keys, tenant="acme", subject=person, roles=roles, lifetime_seconds=7200)
        for person, roles in people.items()
    }
    clients = {person: TiermeshClient(options.address, token=token) for person, token in tokens.items()}
    under_way: set[asyncio.Task[None]] = set()
    next_at, turn = time.monotonic(), 0
    while not stop.is_set():
        text, person, _ = QUESTIONS[turn % len(QUESTIONS)]
        leave = chance.choice(("cancel", "break")) if chance.random() < options.leave_share else ""
        task = asyncio.create_task(ask(clients[person], book, (text, person), options, leave))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        turn, next_at = turn + 1, next_at + 1.0 / options.rate
        try:
            async with asyncio.timeout(max(0.0, next_at - time.monotonic())):
                await stop.wait()
        except TimeoutError:
            continue
    while under_way:
        await asyncio.wait(set(under_way))
    for client in clients.values():
        await client.close()


def main() -> int:
    """Read the options and ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--keys", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rate", type=float, default=3.0, help="questions per second")
    parser.add_argument("--timeout", type=float, default=20.0, help="deadline of each question in seconds")
    parser.add_argument("--read-pause", type=float, default=0.0, help="seconds between two events that are read")
    parser.add_argument("--leave-share", type=float, default=0.0, help="share of questions that are left half-way")
    parser.add_argument("--no-pills", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    asyncio.run(ask_steadily(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
