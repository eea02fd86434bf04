"""Asks labelled conversations, turn after turn in one conversation, and notes where each turn was sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress
from tiermesh.common.v1 import routing_pb2
from tiermesh.gateway.v1 import gateway_service_pb2
from tiermesh_client import TiermeshClient
from tiermesh_runtime.errors import RpcError

from tiermesh_cli.evaluation.pill_trial import DataNotUsableError
from tiermesh_cli.evaluation.route_report import RoutedTurn
from tiermesh_cli.evaluation.speculation_report import Spent, spent_in_band

QUESTION_SECONDS = 60.0
_ROUTES = ("aggregate", "tier1", "tier2")


@dataclass(frozen=True)
class LabelledTurn:
    """A question with the route that it should take."""

    id: str
    text: str
    route: str


LabelledConversation = tuple[LabelledTurn, ...]


def read_labelled(path: Path) -> list[LabelledConversation]:
    """Conversations in file order; a turn without one is a conversation of its own. DataNotUsableError."""
    conversations: dict[str, list[LabelledTurn]] = {}
    try:
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
            if not line.strip():
                continue
            record = json.loads(line)
            turn = LabelledTurn(str(record.get("id", number)), record["text"], record["route"])
            if turn.route not in _ROUTES or not isinstance(turn.text, str):
                raise DataNotUsableError(f"{path}:{number}: route must be one of {', '.join(_ROUTES)}, text a string")
            conversations.setdefault(record.get("conversation") or f"line {number}", []).append(turn)
    except (OSError, UnicodeDecodeError) as error:
        raise DataNotUsableError(f"{path}: cannot be read ({type(error).__name__})") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DataNotUsableError(
            f"{path}:{number}: not an object with text and route; see the labelling guide"
        ) from None
    if not conversations:
        raise DataNotUsableError(f"{path}: holds no turn")
    return [tuple(turns) for turns in conversations.values()]


async def run_trial(
    client: TiermeshClient, conversations: Sequence[LabelledConversation], *, at_once: int, progress: Progress
) -> list[RoutedTurn]:
    """Ask everything, several conversations at once, each in its order; the turns in file order."""
    free = asyncio.Semaphore(at_once)
    task = progress.add_task("conversations", total=len(conversations))

    async def one(turns: LabelledConversation) -> list[RoutedTurn]:
        async with free:
            routed = await _converse(client, turns)
        progress.advance(task)
        return routed

    return [turn for each in await asyncio.gather(*map(one, conversations)) for turn in each]


async def _converse(client: TiermeshClient, turns: LabelledConversation) -> list[RoutedTurn]:
    conversation_id, routed = "", []
    for place, turn in enumerate(turns, start=1):
        asked, conversation_id = await _ask(client, turn, place, conversation_id)
        routed.append(asked)
    return routed


async def _ask(client: TiermeshClient, turn: LabelledTurn, place: int, conversation_id: str) -> tuple[RoutedTurn, str]:
    chosen, ended, complete, refusal = "", "", False, ""
    reasons: tuple[tuple[str, str], ...] = ()
    receipt = gateway_service_pb2.Receipt()
    try:
        async for event in client.ask(
            turn.text, conversation_id=conversation_id, no_pills=True, timeout=QUESTION_SECONDS
        ):
            kind = event.WhichOneof("event")
            if kind == "decision":
                decision = event.decision.decision
                conversation_id = event.decision.conversation_id
                chosen, reasons = _word(decision.route), tuple((each.rule, each.detail) for each in decision.reasons)
            elif kind == "receipt":
                receipt = event.receipt
                ended, complete = _word(receipt.route), receipt.complete
    except RpcError as error:
        refusal = error.reason or error.code.name
    rules = tuple(rule for rule, _ in reasons)
    spent = _spent(reasons, receipt)
    return RoutedTurn(turn.id, place, turn.route, chosen, ended, complete, rules, refusal, spent), conversation_id


def _spent(reasons: Sequence[tuple[str, str]], receipt: gateway_service_pb2.Receipt) -> Spent:
    in_band, held_back = spent_in_band(reasons)
    first = receipt.timings.first_answer_event
    return Spent(
        micros=receipt.cost.total_micros,
        first_event=first.ToNanoseconds() / 1e9 if receipt.timings.HasField("first_answer_event") else None,
        in_band=in_band,
        held_back=held_back,
        kept=int(receipt.speculation.winner) if receipt.HasField("speculation") else 0,
        loser_micros=receipt.speculation.loser_cost_micros,
    )


def _word(route: routing_pb2.Route.ValueType) -> str:
    return routing_pb2.Route.Name(route).removeprefix("ROUTE_").lower()
