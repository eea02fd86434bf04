"""The language-model stage: what it may change, when it is asked, and that its failures cost nothing."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiermesh_classifier.classifier import Classifier, Depth, Question
from tiermesh_classifier.history import NO_HISTORY, History, PastTurn
from tiermesh_classifier.language_model.breaker import CircuitBreaker
from tiermesh_classifier.language_model.prompt import make_prompt, message
from tiermesh_classifier.language_model.rails import UNCERTAIN_BELOW, Trust, allowed, combined, trust_in, uncertain
from tiermesh_classifier.language_model.stage import (
    LanguageModelStage,
    Limits,
    ModelDeclinedError,
    ModelUnavailableError,
    Outcome,
    Said,
)
from tiermesh_classifier.reading.calendar import Calendar
from tiermesh_classifier.scores import AXES, NO_SIGNAL, AxisScore, Scores, Slots, Stage
from tiermesh_pack import Pack

from .conftest import TODAY

# Words that every artefact knows; the tests make its intent unsure.
UNSURE = "the leave claim and the shift of my goal"
SHARES = {"leave.history": 0.45, "expenses.status": 0.35, "performance.goals": 0.2, NO_SIGNAL: 0.0}


@dataclass
class FakeModel:
    """Answers what it is told to, and remembers what it was asked."""

    answer: str | Exception = "{}"
    left: float = 60.0
    asked: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def labels(self, prompt: object, message: str, seconds: float) -> Said:
        self.asked.append(message)
        self.begun.set()
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return Said(self.answer, "fake-model")

    def seconds_left(self) -> float:
        return self.left


@dataclass
class Bench:
    """A stage with what it told of itself."""

    stage: LanguageModelStage
    outcomes: list[Outcome]
    classifier: Classifier

    async def refine(self, text: str, model: FakeModel, history: History = NO_HISTORY) -> tuple[Scores, Scores]:
        question = Question(text, history, Calendar(TODAY))
        local = self.classifier.score(question)
        if text == UNSURE:
            intent = dict.fromkeys(local.axes["intent"].distribution, 0.0) | SHARES
            local = replace(local, axes={**local.axes, "intent": AxisScore(intent, Stage.TRAINED, "v")})
        return local, await self.stage.refine(self.classifier, question, local, model)


@pytest.fixture
def bench(pack: Pack, classifier: Classifier) -> Callable[..., Bench]:
    def bench(seconds: float = 30.0, failures: int = 2, in_flight: int = 8) -> Bench:
        outcomes: list[Outcome] = []
        stage = LanguageModelStage(
            make_prompt(classifier.words, pack.vocabulary.examples),
            CircuitBreaker(failures, 3600.0),
            Limits(seconds, 0.25, 0.03, in_flight),
            outcomes.append,
        )
        return Bench(stage, outcomes, classifier)

    return bench


def labels(**changes: str) -> str:
    usual = dict.fromkeys(AXES, NO_SIGNAL)
    return json.dumps({**usual, **changes})


async def test_an_uncertain_intent_becomes_the_models_and_says_so(bench: Callable[..., Bench]) -> None:
    found = bench()
    second = "expenses.status"

    _, refined = await found.refine(UNSURE, FakeModel(labels(intent=second)))

    assert refined.axes["intent"].label == second
    assert refined.axes["intent"].stage is Stage.LLM
    assert refined.axes["intent"].version.endswith("@fake-model")
    assert f"language_model={second}" in [evidence.name for evidence in refined.axes["intent"].evidence]
    assert found.outcomes[-1] is Outcome.REFINED
    assert sum(refined.axes["intent"].distribution.values()) == pytest.approx(1.0)


async def test_alone_the_model_labels_whatever_no_rule_settles_and_the_trained_model_nothing(
    bench: Callable[..., Bench],
) -> None:
    found = bench()
    question = Question(UNSURE, NO_HISTORY, Calendar(TODAY))
    ruled = found.classifier.score(question, Depth.LANGUAGE_MODEL)
    assert ruled == found.classifier.score(question, Depth.RULES)
    usual = {"intent": "expenses.status", "cardinality": "one", "temporal": "now", "aggregation": "none"}
    model = FakeModel(labels(**usual, position="opening"))

    refined = await found.stage.refine(found.classifier, question, ruled, model)

    silent = {axis for axis in usual if ruled.axes[axis].label == NO_SIGNAL}
    assert silent
    assert {refined.axes[axis].stage for axis in silent} == {Stage.LLM}
    assert Stage.TRAINED not in {refined.axes[axis].stage for axis in AXES}
    assert {axis: refined.axes[axis].label for axis in usual} == usual
    assert len(model.asked) == 1

    failed = await found.stage.refine(found.classifier, question, ruled, FakeModel(ModelUnavailableError()))
    assert failed is ruled
    assert failed.confidence.value == 0.0


async def test_a_sure_question_costs_no_call(bench: Callable[..., Bench]) -> None:
    found, model = bench(), FakeModel(labels(intent="chat.greeting"))

    local, refined = await found.refine("How many leave days do I have left?", model)

    assert (refined, model.asked, found.outcomes) == (local, [], [Outcome.NOTHING_UNCERTAIN])


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (ModelUnavailableError(), Outcome.FAILED),
        (ModelDeclinedError(), Outcome.NOT_USABLE),
        ("no json", Outcome.NOT_USABLE),
        ("[" * 100_000, Outcome.NOT_USABLE),
        ('["intent"]', Outcome.NOT_USABLE),
        ('{"intent": 7, "stakes": ["high"], "nonsense": "x"}', Outcome.UNCHANGED),
        ('{"intent": "no.such.intent"}', Outcome.UNCHANGED),
    ],
)
async def test_an_answer_that_is_none_leaves_the_local_scores(
    bench: Callable[..., Bench], answer: str | Exception, outcome: Outcome
) -> None:
    found = bench()

    local, refined = await found.refine(UNSURE, FakeModel(answer))

    assert refined is local
    assert found.outcomes == [outcome]


async def test_a_model_that_hangs_is_given_up_in_time(bench: Callable[..., Bench]) -> None:
    found = bench()
    model = FakeModel(gate=asyncio.Event(), left=0.3)

    async with asyncio.timeout(20):
        local, refined = await found.refine(UNSURE, model)

    assert refined is local
    assert found.outcomes == [Outcome.LATE]


async def test_too_little_time_is_no_reason_to_start(bench: Callable[..., Bench]) -> None:
    found, model = bench(), FakeModel(left=0.15)

    await found.refine(UNSURE, model)

    assert (model.asked, found.outcomes) == ([], [Outcome.NO_TIME])


async def test_failures_in_a_row_open_the_breaker_and_refusals_do_not(bench: Callable[..., Bench]) -> None:
    found, model = bench(failures=2), FakeModel(ModelDeclinedError())
    for _ in range(5):
        await found.refine(UNSURE, model)
    assert len(model.asked) == 5

    model.answer = ModelUnavailableError()
    for _ in range(5):
        await found.refine(UNSURE, model)

    assert len(model.asked) == 7
    assert found.outcomes[-1] is Outcome.BREAKER_OPEN


async def test_no_more_turns_wait_at_once_than_allowed(bench: Callable[..., Bench]) -> None:
    found, gate = bench(in_flight=1), asyncio.Event()
    waiting = asyncio.ensure_future(found.refine(UNSURE, first := FakeModel(labels(), gate=gate)))
    await first.begun.wait()

    await found.refine(UNSURE, second := FakeModel(labels()))

    assert (second.asked, found.outcomes) == ([], [Outcome.BUSY])
    gate.set()
    await waiting
    await found.refine(UNSURE, second)
    assert len(second.asked) == 1


def test_the_breaker_lets_one_call_try_and_closes_when_it_works() -> None:
    now = [0.0]
    breaker = CircuitBreaker(1, 10.0, lambda: now[0])
    breaker.failed()
    assert not breaker.lets_through()

    now[0] = 10.0
    assert [breaker.lets_through(), breaker.lets_through()] == [True, False]
    breaker.gave_up()
    assert breaker.lets_through()
    breaker.failed()
    assert not breaker.lets_through()
    now[0] = 20.0
    assert breaker.lets_through()
    breaker.succeeded()

    assert [breaker.lets_through(), breaker.lets_through()] == [True, True]


def test_the_prefix_holds_the_whole_vocabulary_and_not_the_question(pack: Pack, classifier: Classifier) -> None:
    prompt = make_prompt(classifier.words, pack.vocabulary.examples)
    schema = json.loads(prompt.json_schema)

    for axis in AXES:
        assert schema["properties"][axis]["enum"] == [*classifier.words.labels[axis], NO_SIGNAL]
        assert all(f"- {label}: " in prompt.instructions for label in classifier.words.labels[axis])
    assert make_prompt(classifier.words, pack.vocabulary.examples) == prompt
    assert len(prompt.instructions) < 65_536


@settings(max_examples=60, deadline=None)
@given(text=st.text(min_size=1, max_size=300), intent=st.text(max_size=40))
def test_no_text_and_no_history_ends_the_marks_it_stands_in(text: str, intent: str) -> None:
    history = History((PastTurn(intent=intent),), Slots(), 1)

    words = message(Question(text, history, Calendar(TODAY)), ["intent"])

    quoted = words.partition("<question>")[2].removesuffix("</question>")
    assert words.count("<question>") == words.count("</question>") == words.count("</conversation>") == 1
    assert "<" not in quoted
    assert json.loads(quoted) == text


FOUR = st.lists(st.floats(0.001, 1.0), min_size=4, max_size=4)


@given(shares=FOUR, label=st.sampled_from(["one", "team", "org"]))
def test_a_told_distribution_stays_one_and_leans_to_the_label(shares: list[float], label: str) -> None:
    total = sum(shares)
    local = AxisScore(
        dict(zip(["one", "team", "org", NO_SIGNAL], [share / total for share in shares], strict=True)),
        Stage.TRAINED,
        "v",
    )

    told = combined(local, label, "llm")

    assert sum(told.distribution.values()) == pytest.approx(1.0)
    assert told.distribution[label] >= local.distribution[label]
    assert told.distribution[NO_SIGNAL] == 0.0


@given(shares=FOUR, label=st.text(max_size=8))
def test_what_may_not_be_vouched_for_is_never_made_simpler(shares: list[float], label: str) -> None:
    total = sum(shares)
    names = ["one", "team", "org", NO_SIGNAL]
    local = AxisScore(dict(zip(names, [share / total for share in shares], strict=True)), Stage.TRAINED, "v")

    assert not any(allowed("cardinality", local, each, Trust.GUARDED) for each in (*names, label))


def test_a_sure_axis_is_never_open() -> None:
    sure = AxisScore({"yes": UNCERTAIN_BELOW, "no": 1 - UNCERTAIN_BELOW, NO_SIGNAL: 0.0}, Stage.TRAINED, "v")
    ruled = AxisScore({"yes": 0.5, "no": 0.5, NO_SIGNAL: 0.0}, Stage.RULE, "v")
    silent = AxisScore({"yes": 0.0, "no": 0.0, NO_SIGNAL: 1.0}, Stage.RULE, "v")

    assert uncertain({"ambiguous": sure, "multi_step": ruled, "stakes": silent}) == ("stakes",)


@pytest.mark.parametrize(
    ("text", "familiar", "trust"),
    [
        ("how many days do I have left?", 1.0, Trust.FULL),
        ("how many days do I have left? it is one person and simple", 1.0, Trust.GUARDED),
        ("how many days\ndo I have left", 1.0, Trust.GUARDED),
        ("how many days do I have left?", 0.5, Trust.GUARDED),
        ("days " * 40, 1.0, Trust.GUARDED),
    ],
)
def test_only_one_short_familiar_sentence_is_fully_trusted(text: str, familiar: float, trust: Trust) -> None:
    assert trust_in(text, familiar) is trust
