"""What grows with the number of intents: CPU of a classification, and the prompts that hold the whole vocabulary.

Larger packs are made from the HR pack: each of its intents again for another subject (parking, lockers …), with its
examples about that subject. Each size trains a small classifier of its own, sentence encoder included: small enough for
minutes, so nothing is said here about how well it classifies. The semantic model stays as it is.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from anthropic import AsyncAnthropic
from threadpoolctl import threadpool_limits
from tiermesh_classifier.assembly import assemble
from tiermesh_classifier.classifier import Classifier, Question
from tiermesh_classifier.history import NO_HISTORY
from tiermesh_classifier.language_model.prompt import make_prompt, message
from tiermesh_classifier.reading.calendar import Calendar
from tiermesh_classifier.scores import AXES
from tiermesh_classifier.training.train import Options, train
from tiermesh_classifier.vocabulary import words_of
from tiermesh_executor.models.anthropic_wire import request_body
from tiermesh_executor.models.events import Usage
from tiermesh_executor.models.request import Message, ModelRequest, Prompt, TextPart
from tiermesh_executor.prices import PriceList, load_prices
from tiermesh_pack import Example, Intent, Pack, load_pack
from tiermesh_simulator.testing import running
from tiermesh_simulator.tokens import text_tokens
from tiermesh_suggester import prompt as pills

from bench.suite import PROJECT

SIZES = (38, 100, 300)
_ROUNDS = 5
_TEXTS = 160
_EXAMPLES_PER_INTENT = 12
_TRAINING = Options(folds=2, pattern_samples=1, noise=False, most_steps=25)
_SUBJECTS = (
    "parking", "locker", "bicycle", "canteen", "badge", "laptop", "phone", "desk", "uniform", "shuttle",
    "library", "visitor", "printer", "warehouse", "vehicle", "safety", "gym", "nursery", "garden", "workshop",
)  # fmt: skip
_QUESTION = "How many days of parking do I have left as of today, and who decides on it?"
_ANSWER = "You have 3 days left; your manager decides on it."


@dataclass(frozen=True)
class Sized:
    """A pack of so many intents and its classifier."""

    pack: Pack
    classifier: Classifier
    examples: int
    seconds_to_train: float


def enlarged(pack: Pack, size: int, folder: Path) -> Pack:
    """The pack with so many intents, each with a few examples; ValueError when there are not subjects enough.

    `folder` becomes its path: without pattern files, so that all sizes learn alike.
    """
    vocabulary = pack.vocabulary
    own = list(vocabulary.intents.values())
    few = _few(vocabulary.examples)
    if size > len(own) * (len(_SUBJECTS) + 1):
        raise ValueError(f"at most {len(own) * (len(_SUBJECTS) + 1)} intents can be made, not {size}")
    intents, examples = {}, []
    for number in range(size):
        subject = "" if number < len(own) else _SUBJECTS[number // len(own) - 1]
        intent = own[number % len(own)]
        made = _about(intent, subject)
        intents[made.name] = made
        examples += [_said_about(each, made.name, subject) for each in few.get(intent.name, ())]
    axes = {
        **vocabulary.axes,
        "intent": replace(
            vocabulary.axes["intent"], labels={name: intent.description for name, intent in intents.items()}
        ),
    }
    (folder / "examples").mkdir(parents=True)
    # What a rule says of a small vocabulary's intents holds for it in a larger one.
    return replace(
        pack, path=folder, vocabulary=replace(vocabulary, intents=intents, axes=axes, examples=tuple(examples))
    )


def _few(examples: Sequence[Example]) -> Mapping[str, Sequence[Example]]:
    found: dict[str, list[Example]] = {}
    for example in examples:
        kept = found.setdefault(example.intent, [])
        if not example.conversation and len(kept) < _EXAMPLES_PER_INTENT:
            kept.append(example)
    return found


def _about(intent: Intent, subject: str) -> Intent:
    if not subject:
        return intent
    return replace(
        intent,
        name=f"{subject}-{intent.name}",
        family=f"{subject}-{intent.family}",
        description=f"About {subject}: {intent.description}",
        neighbours={},
    )


def _said_about(example: Example, intent: str, subject: str) -> Example:
    if not subject:
        return example
    return replace(example, id=f"{subject}-{example.id}", text=f"{subject}: {example.text}", intent=intent)


async def growth() -> list[dict[str, Any]]:
    """A row for each size; CPU is of this process, in turn over the sizes."""
    with _trained() as sized:
        rounds = _in_turn(sized)
        rows = []
        async with running() as url, AsyncAnthropic(base_url=url, api_key="bench", max_retries=0) as client:
            for size, one in sized.items():
                cpu = rounds[size]
                rows.append(
                    {
                        "intents": size,
                        "examples": one.examples,
                        "trained_seconds": round(one.seconds_to_train, 1),
                        "cpu_ms": round(statistics.median(cpu), 2),
                        "cpu_ms_rounds": [round(each, 2) for each in cpu],
                        "language_model": await _label(client, one.pack),
                        "pills": await _suggest(client, one.pack),
                    }
                )
        return rows


@contextmanager
def _trained() -> Iterator[dict[int, Sized]]:
    pack = load_pack(PROJECT / "packs/hr")
    with TemporaryDirectory(prefix="tiermesh-vocabulary-") as root:
        found = {}
        for size in SIZES:
            folder = Path(root) / str(size)
            larger = enlarged(pack, size, folder)
            began = time.monotonic()
            train(larger, [], folder / "artefact", _TRAINING, tell=lambda words: None)
            seconds = time.monotonic() - began
            found[size] = Sized(larger, assemble(larger, folder / "artefact"), len(larger.vocabulary.examples), seconds)
        yield found


def _in_turn(sized: Mapping[int, Sized]) -> dict[int, list[float]]:
    """CPU milliseconds of a classification; the same texts to every size, round by round, all sizes in each."""
    calendar = Calendar(date(2026, 11, 22))
    openings = [each.text for each in next(iter(sized.values())).pack.vocabulary.examples]
    # A word that no example has: nothing is answered from the memory of known questions.
    texts = [f"{text} today again" for text in openings[:: max(1, len(openings) // _TEXTS)]][:_TEXTS]
    found: dict[int, list[float]] = {size: [] for size in sized}
    with threadpool_limits(1):  # type: ignore[no-untyped-call]  # published without annotations
        for number in range(_ROUNDS + 1):
            for size, one in sized.items():
                began = time.process_time()
                for text in texts:
                    one.classifier.score(Question(text, NO_HISTORY, calendar))
                # The first round warms up.
                if number:
                    found[size].append((time.process_time() - began) * 1000 / len(texts))
    return found


async def _label(client: AsyncAnthropic, pack: Pack) -> dict[str, int]:
    """The language-model stage's prompt for one question of which every axis is open."""
    words = words_of(pack)
    prompt = make_prompt(words, pack.vocabulary.examples)
    schema = json.loads(prompt.json_schema)
    said = message(Question(_QUESTION, NO_HISTORY, Calendar(date(2026, 11, 22))), list(AXES))
    return await _twice(client, "claude-haiku-5-5", Prompt(prompt.instructions, [_user(said)], json_schema=schema))


async def _suggest(client: AsyncAnthropic, pack: Pack) -> dict[str, int]:
    """The pills' prompt for one answered question."""
    answer = pills.AnswerSoFar(_ANSWER)
    said = pills.message(_QUESTION, answer, [], ["act", "explain"])
    schema = json.loads(pills.SCHEMA)
    return await _twice(
        client, "claude-sonnet-5-5", Prompt(pills.instructions(pack), [_user(said)], json_schema=schema)
    )


def _user(text: str) -> Message:
    return Message("user", [TextPart(text)])


async def _twice(client: AsyncAnthropic, model: str, prompt: Prompt) -> dict[str, int]:
    """The executor's own request, made twice: the first writes the prefix to the cache, the second reads it."""
    request = ModelRequest(
        model=model,
        prompt=prompt,
        max_tokens=1024,
        effort=None,
        thinking=None,
        forced_tools=True,
        cache="1h",
        first_token_seconds=30,
        stall_seconds=30,
        expires_at=0,
    )
    prices = load_prices(PROJECT / "services/executor/config/prices.yaml")
    body = request_body(request, f"anthropic/{model}")
    first, then = [await _asked(client, body, prices) for _ in range(2)]
    return {
        "prompt_tokens": then["prompt_tokens"],
        # The provider counts a schema with the prompt; the simulator does not.
        "schema_tokens": text_tokens(json.dumps(prompt.json_schema)),
        "first_micros": first["micros"],
        "micros": then["micros"],
        "cached_tokens": then["cached_tokens"],
    }


async def _asked(client: AsyncAnthropic, body: Mapping[str, Any], prices: PriceList) -> dict[str, int]:
    usage = (await client.messages.create(**body)).usage
    written = usage.cache_creation
    seen = Usage(
        usage.input_tokens,
        written.ephemeral_5m_input_tokens if written else 0,
        written.ephemeral_1h_input_tokens if written else 0,
        usage.cache_read_input_tokens or 0,
        usage.output_tokens,
    )
    prompt = seen.input + seen.cache_write_5m + seen.cache_write_1h + seen.cache_read
    cost = prices.cost(str(body["model"]), seen, complete=True).micros
    return {"prompt_tokens": prompt, "cached_tokens": seen.cache_read, "micros": cost}
