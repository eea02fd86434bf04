"""Every call is booked once, with the right tokens, cost and outcome, however it ends."""

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import grpc
import pytest
from anthropic.types import CacheCreation, MessageDeltaUsage
from anthropic.types import Usage as ApiUsage
from tiermesh.common.v1 import usage_pb2
from tiermesh.insights.v1 import insights_service_pb2 as insights_pb
from tiermesh.insights.v1 import insights_service_pb2_grpc as insights_rpc
from tiermesh_executor.adapters.usage import KIND, SpooledUsage, UsageDelivery
from tiermesh_executor.context import CallContext
from tiermesh_executor.ledger import Book, Line, Outcome
from tiermesh_executor.models.anthropic_wire import _first_usage, _last_usage
from tiermesh_executor.models.events import Usage
from tiermesh_executor.prices import LongPrompt, Price, PriceList
from tiermesh_runtime import principal
from tiermesh_runtime.server import Registration, ServiceParts, serving
from tiermesh_runtime.settings import ServiceSettings
from tiermesh_runtime.spool import Spool
from tiermesh_runtime.testing import Keys

CONTEXT = CallContext("r-1", "acme", "hr@1.0.0", "c-1", "res-1", datetime.now(UTC), "en", frozenset(), None)
PRICES = PriceList(
    models={
        "small": Price(input=Decimal("0.10"), output=Decimal("0.50"), date=date(2026, 11, 22)),
        "large": Price(
            input=Decimal(4),
            output=Decimal(20),
            long_prompt=LongPrompt(over_tokens=1000, input=Decimal(8), output=Decimal(40)),
            date=date(2026, 11, 1),
        ),
    }
)


class Sink:
    def __init__(self) -> None:
        self.lines: list[Line] = []

    async def record(self, line: Line) -> None:
        self.lines.append(line)

    def record_soon(self, line: Line) -> None:
        self.lines.append(line)


@pytest.mark.parametrize(
    ("model", "usage", "micros"),
    [
        ("small", Usage(input=1_000_000), 100_000),
        ("small", Usage(output=1_000_000), 500_000),
        ("small", Usage(cache_write_5m=1_000_000), 125_000),
        ("small", Usage(cache_write_1h=1_000_000), 200_000),
        ("small", Usage(cache_read=1_000_000), 10_000),
        ("small", Usage(100, 100, 100, 100, 100), 94),  # 10 + 12.5 + 20 + 1 + 50 = 93.5
        ("large", Usage(input=1000, output=10), 4_200),
        ("large", Usage(input=500, cache_read=501, output=10), 4_801),  # 4000 + 400.8 + 400
        ("large-20261001", Usage(input=1000), 4_000),
    ],
)
def test_the_buckets_are_priced_apart(model: str, usage: Usage, micros: int) -> None:
    cost = PRICES.cost(model, usage, complete=True)
    assert cost.micros == micros
    assert not cost.at_least


def test_a_model_without_a_price_is_booked_at_least_and_never_as_nothing() -> None:
    cost = PRICES.cost("unheard-of", Usage(input=1000, output=100), complete=True)
    assert cost == (150, "", True)
    assert PRICES.cost("unheard-of", Usage(), complete=True).micros > 0


def test_what_the_provider_reports_is_never_counted_twice() -> None:
    cached = CacheCreation(ephemeral_5m_input_tokens=30, ephemeral_1h_input_tokens=70)
    first = _first_usage(
        ApiUsage(
            input_tokens=5,
            output_tokens=1,
            cache_creation=cached,
            cache_creation_input_tokens=100,
            cache_read_input_tokens=9,
        ).to_dict()
    )
    assert first == Usage(input=5, cache_write_5m=30, cache_write_1h=70, cache_read=9, output=1)
    last = _last_usage(
        first,
        MessageDeltaUsage(
            input_tokens=5, output_tokens=42, cache_creation_input_tokens=100, cache_read_input_tokens=9
        ).to_dict(),
    )
    assert last == Usage(input=5, cache_write_5m=30, cache_write_1h=70, cache_read=9, output=42)


async def test_the_intent_is_written_before_and_the_settlement_after() -> None:
    sink = Sink()
    book = Book(CONTEXT, 1, PRICES, sink, speculative=False)
    call = await book.begin(tag="narrate", provider="anthropic", model="small", prompt_version="narrate-1", attempt=1)
    assert [(line.revision, line.outcome) for line in sink.lines] == [(0, Outcome.INTENDED)]
    assert book.lines == []
    call.usage = Usage(input=100, output=100)
    call.first_token()
    book.settle(call, Outcome.SERVED, complete=True)
    intent, settled = sink.lines
    assert intent.entry_id == settled.entry_id
    assert (settled.revision, settled.cost_micros, settled.at_least) == (1, 60, False)
    assert settled.price_version == "2026-11-22"
    assert settled.time_to_first_token is not None
    book.supersede()
    assert (sink.lines[-1].revision, sink.lines[-1].outcome) == (2, Outcome.SUPERSEDED)
    assert book.cost_micros == 60


@pytest.mark.parametrize(("speculative", "outcome"), [(False, Outcome.CANCELLED), (True, Outcome.LOST_SPECULATION)])
async def test_a_call_that_ended_early_is_at_least(speculative: bool, outcome: Outcome) -> None:
    book = Book(CONTEXT, 1, PRICES, Sink(), speculative=speculative)
    call = await book.begin(tag="narrate", provider="anthropic", model="small", prompt_version="x", attempt=1)
    call.usage = Usage(input=100, output=1)
    line = book.settle(call, Outcome.CANCELLED, complete=False)
    assert (line.outcome, line.at_least) == (outcome, True)
    assert line.cost_micros > 0


async def test_a_call_that_was_turned_away_costs_nothing_for_sure() -> None:
    book = Book(CONTEXT, 1, PRICES, Sink(), speculative=False)
    call = await book.begin(tag="narrate", provider="anthropic", model="small", prompt_version="x", attempt=1)
    line = book.settle(call, Outcome.FAILED, complete=True)
    assert (line.cost_micros, line.at_least) == (0, False)


async def test_a_model_that_answers_under_another_name_keeps_its_price() -> None:
    book = Book(CONTEXT, 1, PRICES, Sink(), speculative=False)
    call = await book.begin(tag="narrate", provider="anthropic", model="small", prompt_version="x", attempt=1)
    call.model, call.usage = "some-deployment-7", Usage(input=100)
    line = book.settle(call, Outcome.SERVED, complete=True)
    assert (line.model, line.cost_micros, line.at_least) == ("some-deployment-7", 10, False)


class Insights(insights_rpc.InsightsServiceServicer):
    """Takes usage once it is up; remembers who delivered it."""

    def __init__(self, wanted: int) -> None:
        self.entries: list[usage_pb2.LedgerEntry] = []
        self.purposes: set[str] = set()
        self.wanted = wanted
        self.complete = asyncio.Event()

    async def RecordUsage(
        self, request: insights_pb.RecordUsageRequest, context: object
    ) -> insights_pb.RecordUsageResponse:
        self.purposes.add(principal.current().purpose)
        self.entries.extend(request.entries)
        if len(self.entries) >= self.wanted:
            self.complete.set()
        return insights_pb.RecordUsageResponse(stored=len(request.entries))


async def test_spooled_lines_reach_insights_with_a_principal_for_records(keys: Keys, tmp_path: Path) -> None:
    token_file = tmp_path / "record.token"
    token_file.write_text(
        keys.signer().mint(
            tenant="*",
            subject="executor",
            roles=(),
            audience=("insights",),
            purpose="record",
            pack_version="",
            request_id="",
        )
    )
    insights = Insights(wanted=2)
    registration = Registration(
        insights_rpc.add_InsightsServiceServicer_to_server, insights, "tiermesh.insights.v1.InsightsService"
    )
    settings = ServiceSettings(port=0, principal_public_key=keys.write_public(tmp_path))
    spool = Spool.open(tmp_path / "spool.sqlite")
    sink = SpooledUsage(spool)
    book = Book(CONTEXT, 1, PRICES, sink, speculative=False)
    call = await book.begin(tag="narrate", provider="anthropic", model="small", prompt_version="x", attempt=1)
    book.settle(call, Outcome.SERVED, complete=True)
    await sink.close()
    async with (
        serving(ServiceParts("insights", [registration], audience="insights"), settings) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        stop = asyncio.Event()
        delivering = asyncio.create_task(spool.deliver(KIND, UsageDelivery(channel, token_file), stop))
        await asyncio.wait_for(insights.complete.wait(), 10)
        stop.set()
        await delivering
    await spool.close()
    assert insights.purposes == {"record"}
    assert [entry.revision for entry in insights.entries] == [0, 1]
    assert insights.entries[1].reservation_id == "res-1"


@pytest.mark.parametrize(
    ("speculative", "outcomes"),
    [(True, [Outcome.LOST_SPECULATION, Outcome.LOST_SPECULATION]), (False, [Outcome.SERVED, Outcome.CANCELLED])],
)
async def test_of_a_branch_that_lost_every_call_is_booked_as_lost(speculative: bool, outcomes: list[Outcome]) -> None:
    book = Book(CONTEXT, 1, PRICES, Sink(), speculative=speculative)
    for outcome in (Outcome.SERVED, Outcome.CANCELLED):
        call = await book.begin(tag="answer-simple", provider="p", model="small", prompt_version="v", attempt=1)
        call.usage = Usage(input=10)
        book.settle(call, outcome, complete=outcome is Outcome.SERVED)
    book.given_up()
    assert [line.outcome for line in book.lines] == outcomes
    assert all(line.cost_micros for line in book.lines)
