"""Asks the questions of a file through a gateway, watches when pills come, and clicks some to see where they lead."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from tiermesh.common.v1 import answer_pb2, pill_pb2, routing_pb2, scores_pb2
from tiermesh.gateway.v1 import gateway_service_pb2
from tiermesh_client import TiermeshClient
from tiermesh_runtime.errors import RpcError

# Most that one question may take.
QUESTION_SECONDS = 60.0
_ANSWER_EVENTS = frozenset({"text", "table", "clarification", "proposal"})
_UNKNOWN = frozenset({"", "no_signal", "out_of_scope"})


class DataNotUsableError(Exception):
    """A file that holds no questions; the message says where and what to do."""


@dataclass(frozen=True)
class Conversation:
    """Questions that are asked one after the other."""

    name: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Click:
    """Where a clicked pill led. `dead_end` is why it led nowhere; empty when it led to an answer."""

    text: str
    kind: str
    dead_end: str
    # The answer was a table without a row, or was refused for want of rights.
    invisible: bool
    # The gateway took the classification that the pill carried.
    by_token: bool


@dataclass(frozen=True)
class ShownPill:
    """A pill, and when it came in seconds after the first answer event and after the answer's end."""

    text: str
    kind: str
    fallback: bool
    token: str
    after_first: float | None = None
    after_end: float | None = None


@dataclass
class AskedTurn:
    """One question with its pills."""

    conversation: str
    turn: int
    text: str
    # "routed" or "tier2": whether the question was left to the routing.
    mode: str
    tier: str = ""
    route: str = ""
    complete: bool = False
    error: str = ""
    pills_missing_cause: str = ""
    pills: list[ShownPill] = field(default_factory=list)
    # What was asked and shown before in the conversation, this question included.
    before: list[str] = field(default_factory=list)
    clicks: list[Click] = field(default_factory=list)


def read_conversations(path: Path) -> list[Conversation]:
    """Read JSON Lines with `text` and perhaps `conversation`. Raises DataNotUsableError."""
    found: dict[str, list[str]] = {}
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataNotUsableError(f"{path}: cannot be read ({error}); name a file of JSON Lines") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            text = record["text"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise DataNotUsableError(f"{path}:{number}: write one JSON object a line with a `text`") from None
        if not isinstance(text, str) or not text.strip():
            raise DataNotUsableError(f"{path}:{number}: `text` must be words")
        found.setdefault(str(record.get("conversation") or f"line {number}"), []).append(text)
    if not found:
        raise DataNotUsableError(f"{path}: no question in it")
    return [Conversation(name, tuple(texts)) for name, texts in found.items()]


class PillTrial:
    """Runs conversations, one after the other: what comes when is measured."""

    def __init__(self, client: TiermeshClient, *, clicks: int, seed: int) -> None:
        self._client = client
        self._clicks = clicks
        self._seed = seed

    async def run(
        self, conversations: Sequence[Conversation], *, both_tiers: bool, console: Console
    ) -> list[AskedTurn]:
        """Ask everything as routed, then, if wanted, everything again at tier 2."""
        modes = ("routed", "tier2") if both_tiers else ("routed",)
        turns: list[AskedTurn] = []
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("asking", total=len(conversations) * len(modes))
            for mode in modes:
                for conversation in conversations:
                    turns += await self._converse(conversation, mode)
                    progress.advance(task)
        return turns

    async def _converse(self, conversation: Conversation, mode: str) -> list[AskedTurn]:
        turns: list[AskedTurn] = []
        conversation_id, said = "", []
        for number, text in enumerate(conversation.texts, start=1):
            said.append(text)
            turn = AskedTurn(conversation.name, number, text, mode, before=list(said))
            conversation_id = await self._ask(turn, conversation_id)
            turns.append(turn)
            said += [pill.text for pill in turn.pills]
            if turn.error:
                return turns
        await self._click_some(conversation, turns[-1], conversation_id)
        return turns

    async def _ask(self, turn: AskedTurn, conversation_id: str) -> str:
        """Fill in what comes of a question; return its conversation."""
        watch = _Watch()
        min_tier = routing_pb2.TIER_2 if turn.mode == "tier2" else routing_pb2.TIER_UNSPECIFIED
        try:
            async for event in self._client.ask(
                turn.text, conversation_id=conversation_id, min_tier=min_tier, timeout=QUESTION_SECONDS
            ):
                watch.take(event)
        except RpcError as error:
            turn.error = error.reason or error.code.name
        turn.pills = watch.shown()
        turn.tier, turn.route = watch.tier, watch.route
        turn.complete, turn.pills_missing_cause = watch.complete, watch.pills_missing_cause
        return watch.conversation_id or conversation_id

    async def _click_some(self, conversation: Conversation, turn: AskedTurn, conversation_id: str) -> None:
        """Click pills of the last turn: the first with its token in place, each other after the same questions anew."""
        choice = random.Random(f"{self._seed} {conversation.name}")  # noqa: S311 - chooses a sample, guards nothing
        for index, pill in enumerate(choice.sample(turn.pills, min(self._clicks, len(turn.pills)))):
            place, token = conversation_id, pill.token
            if index > 0:
                place, token = await self._again(conversation), ""
            turn.clicks.append(await self._click(pill, place, token))

    async def _again(self, conversation: Conversation) -> str:
        place = ""
        for text in conversation.texts:
            async for event in self._client.ask(text, conversation_id=place, no_pills=True, timeout=QUESTION_SECONDS):
                if event.HasField("decision"):
                    place = event.decision.conversation_id
        return place

    async def _click(self, pill: ShownPill, conversation_id: str, token: str) -> Click:
        watch = _Watch()
        error = ""
        try:
            async for event in self._client.ask(
                pill.text, conversation_id=conversation_id, pill_token=token, no_pills=True, timeout=QUESTION_SECONDS
            ):
                watch.take(event)
        except RpcError as refused:
            error = refused.reason or refused.code.name
        dead_end = error or watch.dead_end(pill.kind)
        invisible = watch.empty_table or "NOT_ALLOWED" in (error, watch.error_reason)
        return Click(pill.text, pill.kind, dead_end, invisible, watch.by_token)


class _Watch:
    """Reads one stream and remembers what the report needs."""

    def __init__(self) -> None:
        self.conversation_id = ""
        self.intent = ""
        self.by_token = False
        self.tier = ""
        self.route = ""
        self.complete = False
        self.error_reason = ""
        self.pills_missing_cause = ""
        self._clarified = False
        self._proposed = False
        self._rows: list[int] = []
        self._first: float | None = None
        self._end: float | None = None
        self._pills: list[tuple[float, pill_pb2.Pill]] = []

    def take(self, event: gateway_service_pb2.AskResponse) -> None:
        """Note one event."""
        now, kind = time.monotonic(), event.WhichOneof("event") or ""
        if kind in _ANSWER_EVENTS and self._first is None:
            self._first = now
        match kind:
            case "decision":
                scores = event.decision.decision.scores
                self.conversation_id, self.intent = event.decision.conversation_id, scores.intent.label
                self.by_token = scores.intent.stage == scores_pb2.STAGE_PILL
            case "table":
                self._rows.append(len(event.table.rows))
            case "superseded":
                self._rows.clear()
            case "proposal":
                self._proposed = True
            case "pill":
                self._pills.append((now, event.pill))
            case "answer_done":
                self._end, self.complete = now, event.answer_done.complete
                self.error_reason = event.answer_done.error_reason
                stop = answer_pb2.AnswerDone.STOP_REASON_CLARIFICATION
                self._clarified = event.answer_done.stop_reason == stop
            case "receipt":
                self.tier = _word(routing_pb2.Tier.Name(event.receipt.tier), "TIER_")
                self.route = _word(routing_pb2.Route.Name(event.receipt.route), "ROUTE_")
                self.pills_missing_cause = event.receipt.pills_missing_cause

    @property
    def empty_table(self) -> bool:
        """True when tables came, and none had a row."""
        return bool(self._rows) and not any(self._rows)

    def dead_end(self, kind: str) -> str:
        """Return why this answer leads nowhere for one who clicked a pill of this kind; empty when it does."""
        if self.intent in _UNKNOWN:
            return "unknown_intent"
        if not self.complete:
            return self.error_reason or "incomplete"
        if self._clarified:
            return "asked_back"
        return "no_proposal" if kind == "act" and not self._proposed else ""

    def shown(self) -> list[ShownPill]:
        """Return the pills with their times."""
        return [
            ShownPill(
                text=pill.text,
                kind=_word(pill_pb2.PillKind.Name(pill.kind), "PILL_KIND_"),
                fallback=pill.source == pill_pb2.PILL_SOURCE_FALLBACK,
                token=pill.token,
                after_first=None if self._first is None else at - self._first,
                after_end=None if self._end is None else at - self._end,
            )
            for at, pill in self._pills
        ]


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()
