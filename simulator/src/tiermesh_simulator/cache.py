"""The prompt cache: which beginning of a prompt is known, for whom and how long.

The rules are those of the real one: breakpoints by `cache_control` (at most four) or one at the end, prefixes in
the order tools, system, messages; the longest known prefix at or up to twenty blocks before a breakpoint is read;
the rest up to the last breakpoint is written; a read renews the time to live; nothing below the minimum is kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tiermesh_simulator.problems import invalid
from tiermesh_simulator.reply import Usage
from tiermesh_simulator.request import MessagesRequest
from tiermesh_simulator.tokens import MESSAGE_OVERHEAD, block_tokens, tool_tokens

LOOKBACK: Final = 20
MAX_BREAKPOINTS: Final = 4
SECONDS: Final[Mapping[str, float]] = {"5m": 300.0, "1h": 3600.0}
_MAX_ENTRIES: Final = 20_000


@dataclass(frozen=True, slots=True)
class Segment:
    """One block of the prompt: its own tokens, the tokens and the hash up to and with it, and its breakpoint."""

    total: int
    digest: str
    ttl: str | None


def segments_of(request: MessagesRequest) -> list[Segment]:
    """Cut a prompt into segments. ApiError (400) for wrong breakpoints."""
    running = hashlib.sha256()
    total = 0
    segments: list[Segment] = []
    for tokens, content, control in _pieces(request):
        running.update(content.encode("utf-8", "surrogatepass"))
        running.update(b"\0")
        total += tokens
        segments.append(Segment(total, running.hexdigest(), _ttl(control)))
    if request.auto_cache is not None and segments and segments[-1].ttl is None:
        last = segments[-1]
        segments[-1] = Segment(last.total, last.digest, _ttl(request.auto_cache))
    _check([segment.ttl for segment in segments if segment.ttl])
    return segments


def _pieces(request: MessagesRequest) -> Iterator[tuple[int, str, Any]]:
    for tool in request.tools:
        yield tool_tokens(tool), "tool" + _canonical(tool), tool.get("cache_control")
    # A changed output format changes the system prompt; a changed tool choice, the messages.
    lead = _canonical(request.schema) if request.schema is not None else ""
    for block in request.system:
        yield block_tokens(block), lead + "system" + _canonical(block), block.get("cache_control")
        lead = ""
    lead += _canonical(request.tool_choice) + _canonical(request.thinking)
    for turn in request.turns:
        overhead = MESSAGE_OVERHEAD
        for block in turn.blocks:
            yield overhead + block_tokens(block), lead + turn.role + _canonical(block), block.get("cache_control")
            overhead, lead = 0, ""


def _canonical(value: object) -> str:
    if isinstance(value, Mapping):
        value = {key: item for key, item in value.items() if key != "cache_control"}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _ttl(control: object) -> str | None:
    if control is None:
        return None
    if not isinstance(control, Mapping) or control.get("type") != "ephemeral":
        raise invalid("cache_control.type: Input should be 'ephemeral'")
    ttl = control.get("ttl", "5m")
    if ttl not in SECONDS:
        raise invalid("cache_control.ephemeral.ttl: Input should be '5m' or '1h'")
    return str(ttl)


def _check(ttls: list[str]) -> None:
    if len(ttls) > MAX_BREAKPOINTS:
        raise invalid(f"A maximum of 4 blocks with cache_control may be provided. Found {len(ttls)}.")
    if "5m" in ttls and "1h" in ttls[ttls.index("5m") :]:
        raise invalid(
            "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. Note that blocks are "
            "processed in the following order: `tools`, `system`, `messages`."
        )


@dataclass(slots=True)
class _Entry:
    expires: float
    seconds: float


class PromptCache:
    """Remembers prefixes by API key and model."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: dict[tuple[str, str, str], _Entry] = {}

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()

    def book(self, owner: str, model: str, segments: list[Segment], minimum: int) -> Usage:
        """Read and write the cache for one prompt, and say what that makes of its tokens."""
        total = segments[-1].total if segments else 0
        marks = [position for position, segment in enumerate(segments) if segment.ttl]
        marks = [position for position in marks if segments[position].total >= minimum]
        if not marks:
            return Usage(input_tokens=total)
        read_at = self._longest_known(owner, model, segments, marks, minimum)
        read = segments[read_at].total if read_at is not None else 0
        hours = [segments[at].total for at in marks if segments[at].ttl == "1h"]
        end = segments[marks[-1]].total
        hour_end = max([read, *hours])
        for position in marks:
            self._keep(owner, model, segments[position])
        return Usage(
            input_tokens=total - max(end, read),
            cache_read=read,
            cache_write_1h=hour_end - read,
            cache_write_5m=max(0, end - hour_end),
        )

    def _longest_known(
        self, owner: str, model: str, segments: list[Segment], marks: list[int], minimum: int
    ) -> int | None:
        for mark in reversed(marks):
            for position in range(mark, max(-1, mark - LOOKBACK - 1), -1):
                if segments[position].total < minimum:
                    break
                entry = self._entries.get((owner, model, segments[position].digest))
                if entry is not None and entry.expires > self._clock():
                    entry.expires = self._clock() + entry.seconds
                    return position
        return None

    def _keep(self, owner: str, model: str, segment: Segment) -> None:
        key = (owner, model, segment.digest)
        now = self._clock()
        seconds = SECONDS[segment.ttl or "5m"]
        entry = self._entries.get(key)
        if entry is not None and entry.expires > now:
            entry.seconds = max(entry.seconds, seconds)
            entry.expires = now + entry.seconds
            return
        if len(self._entries) >= _MAX_ENTRIES:
            self._entries = {known: value for known, value in self._entries.items() if value.expires > now}
            while len(self._entries) >= _MAX_ENTRIES:
                self._entries.pop(next(iter(self._entries)))
        self._entries[key] = _Entry(now + seconds, seconds)
