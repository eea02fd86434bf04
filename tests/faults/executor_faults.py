"""The executor's part of the matrix: every fault of a provider, over both protocols.

Each case has two candidates. "retry": the first would be well again at the next request.
"failover": it stays broken, and only the second can answer. The outcome, who was asked
in which order, the text, the waiting times and the bookings are held against what is
to come of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import grpc
from tiermesh.common.v1 import answer_pb2, usage_pb2
from tiermesh.executor.v1 import executor_service_pb2_grpc as rpc
from tiermesh.tools.v1 import tools_service_pb2_grpc as tools_rpc
from tiermesh_executor.__main__ import build
from tiermesh_executor.settings import ExecutorSettings
from tiermesh_executor.testing import Answer, Backend, Client
from tiermesh_runtime.errors import from_call
from tiermesh_runtime.server import Registration, ServiceParts, serving
from tiermesh_runtime.settings import ServiceSettings
from tiermesh_runtime.testing import Keys, new_keys, signed_metadata

from tests.faults.matrix import Outcome, Row, Title
from tests.faults.misbehaving import CUT_AT, RETRY_AFTER, WHOLE, Misbehaving, Protocol, misbehaving

# Where a model is silent: the healthy one has to begin within it too, on a busy machine.
SILENCE_SECONDS = 5.0
# Elsewhere nobody is to be taken for silent.
PATIENT_SECONDS = 55.0
# The tag's deadline, and the shortest back-off before a candidate is asked again: jitter halves a quarter of a second.
DEADLINE_SECONDS = 60.0
LEAST_BACKOFF_SECONDS = 0.125
_CLOCK_SECONDS = 0.01
_SILENT = ("silent", "slow", "stall")
A, B = "model-a", "model-b"
TAG = """
  {tag}:
    candidates: [{{provider: here, model: model-a}}, {{provider: here, model: model-b}}]
    max_tokens: 100
    deadline_ms: 60000
    first_token_ms: {silence}
    stall_ms: {silence}
    prompt_version: {prompt}
    judge_rubric: none
    caught_by: the matrix
"""
PROMPTS = {
    "answer-simple": "answer-1",
    "answer-complex": "answer-1",
    "plan-aggregate": "plan-1",
    "narrate": "narrate-1",
}
MODELS = """
models:
  model-a: {context_window: 1000}
  model-b: {context_window: 2000, prefill: PREFILL}
tags:"""
PRICES = """
models:
  model-a: {input: 1, output: 1, date: 2026-01-01}
  model-b: {input: 1, output: 1, date: 2026-01-01}
"""
COMPLETE, REFUSED = "complete", "refused"


@dataclass(frozen=True)
class Fault:
    """What one candidate does, and who is asked because of it."""

    name: str
    step: str
    when: str
    # With the first candidate well again at the next request, and with the first broken for good.
    retry: Sequence[str]
    failover: Sequence[str]
    ended: str = COMPLETE
    # What the second candidate does before it answers.
    second: Sequence[str] = ()
    # Between two requests to the same candidate; without a word of the server's the shortest that jitter leaves.
    least_wait: float = LEAST_BACKOFF_SECONDS

    @property
    def silence(self) -> float:
        """How long a model may be silent."""
        return SILENCE_SECONDS if self.step.startswith(_SILENT) else PATIENT_SECONDS

    @property
    def prefill(self) -> bool:
        """Whether the second candidate is said to take the beginning of its answer."""
        return bool(self.second)


_AGAIN = {"retry": (A, A), "failover": (A, A, B)}
_ELSEWHERE = {"retry": (A, B), "failover": (A, B)}
_NOWHERE = {"retry": (A,), "failover": (A,), "ended": REFUSED}
BEFORE, MID = "before the first token", "mid-answer"
FAULTS = (
    Fault("429 with Retry-After", "429-patient:first", BEFORE, **_AGAIN, least_wait=RETRY_AFTER),
    Fault("429 without", "429:first", BEFORE, **_AGAIN),
    Fault("500", "500:first", BEFORE, **_AGAIN),
    Fault("503", "503:first", BEFORE, **_AGAIN),
    Fault("529", "529:first", BEFORE, **_AGAIN),
    Fault("connection reset", "reset:first", BEFORE, **_AGAIN),
    Fault("no response", "silent:first", BEFORE, **_ELSEWHERE),
    Fault("slow first token", "slow:first", BEFORE, **_ELSEWHERE),
    Fault("cut", "cut:first", BEFORE, **_ELSEWHERE),
    Fault("malformed event", "malformed:first", BEFORE, **_ELSEWHERE),
    Fault("end without the final event", "no_final:first", BEFORE, **_ELSEWHERE),
    Fault("context length exceeded", "context:first", BEFORE, **_ELSEWHERE),
    Fault("content refusal", "refusal:first", BEFORE, **_NOWHERE),
    Fault("invalid prefill", "prefill:first", BEFORE, **_ELSEWHERE),
    Fault("rate limit event", "429:mid", MID, **_AGAIN),
    Fault("error event", "500:mid", MID, **_AGAIN),
    Fault("overloaded event", "529:mid", MID, **_AGAIN),
    Fault("connection reset", "reset:mid", MID, **_ELSEWHERE),
    Fault("cut", "cut:mid", MID, **_ELSEWHERE),
    Fault("stall", "stall:mid", MID, **_ELSEWHERE),
    Fault("malformed event", "malformed:mid", MID, **_ELSEWHERE),
    Fault("end without the final event", "no_final:mid", MID, **_ELSEWHERE),
    Fault("context length exceeded", "context:mid", MID, **_ELSEWHERE),
    Fault("content refusal", "refusal:mid", MID, **_NOWHERE),
    # Asked anew at once, without the beginning that it refused.
    Fault("invalid prefill", "cut:mid", MID, (A, B, B), (A, B, B), second=("prefill:first",), least_wait=0.0),
)


def cases() -> Iterator[ProviderCase | FlappingCase]:
    """Every fault in both protocols and both situations, and a model that flaps."""
    keys = new_keys()
    protocols: tuple[Protocol, ...] = ("messages", "chat")
    for protocol in protocols:
        for fault in FAULTS:
            for possible in ("retry", "failover"):
                yield ProviderCase(protocol, fault, possible, keys)
        yield FlappingCase(protocol, keys)


@dataclass(frozen=True)
class ProviderCase:
    """One question while one candidate fails."""

    protocol: Protocol
    fault: Fault
    possible: str
    keys: Keys

    @property
    def title(self) -> Title:
        return Title(f"executor/{self.protocol}", self.fault.name, self.fault.when, self.possible)

    async def run(self) -> Row:
        fault = self.fault
        plans = {
            A: [fault.step, "ok"] if self.possible == "retry" else [fault.step],
            B: [*fault.second, "ok"],
        }
        async with (
            misbehaving(self.protocol, plans) as provider,
            executor_at(provider, self.keys, fault.prefill, fault.silence) as client,
        ):
            answer = await ask(client)
            expected = Outcome(fault.ended, fault.retry if self.possible == "retry" else fault.failover)
            got = Outcome(_ended(answer), provider.asked)
            return Row(self.title, expected, got, list(self._problems(provider, answer, expected, got)))

    def _problems(
        self, provider: Misbehaving, answer: Answer | grpc.aio.AioRpcError, expected: Outcome, got: Outcome
    ) -> Iterator[str]:
        fault = self.fault
        if got.ended != expected.ended:
            yield f"ended {got.ended}, not {expected.ended}"
        if list(got.attempts) != list(expected.attempts):
            yield f"asked {' '.join(got.attempts)}, not {' '.join(expected.attempts)}"
        for earlier, later in pairwise(provider.seen):
            waited = later.at - earlier.at
            if earlier.model == later.model and waited < fault.least_wait:
                yield f"asked again after {waited:.2f} s, not {fault.least_wait:g}"
        if provider.seen and provider.seen[-1].at - provider.seen[0].at > DEADLINE_SECONDS:
            yield "was asked after the deadline"
        if isinstance(answer, grpc.aio.AioRpcError):
            return
        shown = WHOLE if expected.ended == COMPLETE else WHOLE[:CUT_AT]
        if not shown.startswith(answer.text) or (expected.ended == COMPLETE and answer.text != WHOLE):
            yield f"the text is {answer.text!r}"
        if answer.kinds.count("committed") > 1 or answer.of("superseded"):
            yield "the switch was not silent"
        if [entry.model for entry in answer.done.ledger] != list(expected.attempts):
            yield "not every attempt is in the ledger"
        elif fault.silence == SILENCE_SECONDS:
            # By the executor's own clock: the server sees a request later than the executor begins to wait.
            waited = answer.done.ledger[0].duration.ToTimedelta().total_seconds()
            if waited < SILENCE_SECONDS - _CLOCK_SECONDS:
                yield f"gave a silent model up after {waited:.2f} s, not {SILENCE_SECONDS:g}"
        if answer.done.answer.complete and answer.done.answer.model != expected.attempts[-1]:
            yield f"said that {answer.done.answer.model} answered"


@dataclass(frozen=True)
class FlappingCase:
    """Many questions to a model that fails every other time, and then heals."""

    protocol: Protocol
    keys: Keys

    @property
    def title(self) -> Title:
        return Title(f"executor/{self.protocol}", "a model that flaps", "every other request", "both")

    async def run(self) -> Row:
        plans = {A: ["ok", "500:first"] * 8 + ["ok"], B: ["ok"]}
        problems = []
        async with misbehaving(self.protocol, plans) as provider, executor_at(provider, self.keys) as client:
            answers = []
            while not provider.asked.count(B):
                answers.append(await ask(client))
            opened_after = provider.asked.count(A)
            # The circuit is open now; the probe comes by itself when its time is up.
            while provider.asked.count(A) == opened_after:
                answers.append(await ask(client))
            while provider.asked[-1] != A:
                answers.append(await ask(client))
            got = Outcome(_all_ended(answers), ["A…A", "B…B", "A"])
            if opened_after > 12:
                problems.append(f"the circuit opened only after {opened_after} requests")
        expected = Outcome(COMPLETE, ["A…A", "B…B", "A"])
        if got.ended != COMPLETE:
            problems.append(f"ended {got.ended}")
        return Row(self.title, expected, got, problems)


def _all_ended(answers: Sequence[Answer | grpc.aio.AioRpcError]) -> str:
    endings = {_ended(answer) for answer in answers}
    return endings.pop() if len(endings) == 1 else " and ".join(sorted(endings))


def _ended(answer: Answer | grpc.aio.AioRpcError) -> str:
    if isinstance(answer, grpc.aio.AioRpcError):
        reason = from_call(answer).reason
        return REFUSED if reason == "CONTENT_REFUSED" else reason
    if answer.done.answer.stop_reason == answer_pb2.AnswerDone.STOP_REASON_REFUSED:
        return REFUSED
    served = [entry for entry in answer.done.ledger if entry.outcome == usage_pb2.CALL_OUTCOME_SERVED]
    whole = answer.done.answer.complete and len(served) == 1
    return COMPLETE if whole else f"incomplete ({answer.done.answer.error_reason})"


async def ask(client: Client) -> Answer | grpc.aio.AioRpcError:
    """One question; an error before the first event is an answer too."""
    try:
        return await client.execute(scores=None)
    except grpc.aio.AioRpcError as error:
        return error


@asynccontextmanager
async def executor_at(
    provider: Misbehaving, keys: Keys, prefill: bool = False, silence: float = PATIENT_SECONDS
) -> AsyncIterator[Client]:
    """Run an executor in front of the provider, over real gRPC, without tools."""
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as running:
            tools = await running.enter_async_context(serving(_no_tools(), _plain(Path(folder), keys)))
            settings = _settings(Path(folder), provider, keys, prefill, tools.address, silence)
            parts = await running.enter_async_context(build(settings))
            server = await running.enter_async_context(serving(parts, settings))
            channel = await running.enter_async_context(grpc.aio.insecure_channel(server.address))
            yield Client(rpc.ExecutorServiceStub(channel), signed_metadata(keys.signer()), 2)


def _no_tools() -> ServiceParts:
    backend = Backend(tools=[])
    return ServiceParts(
        "tools",
        [Registration(tools_rpc.add_ToolsServiceServicer_to_server, backend, "tiermesh.tools.v1.ToolsService")],
        audience="aggregator",
    )


def _plain(folder: Path, keys: Keys) -> ServiceSettings:
    return ServiceSettings(port=0, principal_public_key=keys.write_public(folder))


def _settings(
    folder: Path, provider: Misbehaving, keys: Keys, prefill: bool, tools: str, silence: float
) -> ExecutorSettings:
    protocol = "messages" if provider.protocol == "messages" else "chat-completions"
    rows = "".join(TAG.format(tag=tag, prompt=prompt, silence=int(silence * 1000)) for tag, prompt in PROMPTS.items())
    files = {
        "tags.yaml": MODELS.replace("PREFILL", str(prefill).lower()) + rows,
        "prices.yaml": PRICES,
        "providers.yaml": f"providers: {{here: {{protocol: {protocol}, base_url: '{provider.url}'}}}}",
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return ExecutorSettings(
        port=0,
        # Its answers may say "I cannot" or be held: what is looked at here is the provider alone.
        tier=2,
        tags=folder / "tags.yaml",
        prices=folder / "prices.yaml",
        providers=folder / "providers.yaml",
        aggregator_address=tools,
        circuit_open_seconds=0.5,
        principal_public_key=keys.write_public(folder),
        spool=folder / "spool.sqlite",
    )
