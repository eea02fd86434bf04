"""What reads text that others wrote: each parser with what it may raise.

A target takes any text and returns, or raises one of its own errors; anything else is a crash. Property tests and the
coverage-guided fuzzer feed the same targets.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import jwt
import openai
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tiermesh_aggregator.actions.tokens import Tokens
from tiermesh_aggregator.failures import GraphRefusedError, ProposalInvalidError
from tiermesh_aggregator.graph.gates import Limits, admitted
from tiermesh_aggregator.graph.schema import Schemas
from tiermesh_aggregator.query import Viewer
from tiermesh_classifier.assembly import assemble
from tiermesh_classifier.classifier import Classifier, Question
from tiermesh_classifier.history import History
from tiermesh_classifier.reading.calendar import Calendar
from tiermesh_classifier.reading.periods import find_periods
from tiermesh_classifier.reading.steering import steered
from tiermesh_classifier.reading.text import read_text
from tiermesh_console.words import markdown
from tiermesh_executor.figure_reading import read_figures
from tiermesh_executor.models import anthropic_provider, openai_provider
from tiermesh_executor.models.provider import ProviderError
from tiermesh_executor.models.request import Message, ModelRequest, Prompt, TextPart
from tiermesh_executor.number_words import value_of_words
from tiermesh_executor.sentences import take_sentences
from tiermesh_gateway.errors import IdentityError
from tiermesh_gateway.identity import TokenVerifier
from tiermesh_pack import load_pack
from tiermesh_runtime.errors import RpcError
from tiermesh_runtime.principal import PrincipalVerifier
from tiermesh_suggester.candidates import Dropped
from tiermesh_suggester.reading import CandidateReader

from tests.fuzzing.seeds import CHUNKS, DOCUMENTS, QUESTIONS, STREAM
from tests.fuzzing.target import Target

PROJECT = Path(__file__).parents[2]
TODAY = date(2026, 11, 27)
_CALENDAR = Calendar(TODAY, 4)


def reading(text: str) -> None:
    """A question's words, periods, slots, rules and scores, as the classifier reads them."""
    folded = read_text(text)
    for period in find_periods(folded.folded, _CALENDAR):
        assert period.start is None or period.end is None or period.start < period.end, (
            "a period that ends before it starts"
        )
        assert 0 <= period.start_at < period.end_at <= len(folded.folded), "a period outside of the text"
    assert steered(text).rest is not None
    scores = _classifier().score(Question(text, History(), _CALENDAR))
    assert 0.0 <= scores.confidence.value <= 1.0


def figures(text: str) -> None:
    """An answer's sentences and the figures in them, as the executor holds them against rows."""
    whole, rest = take_sentences(text)
    assert "".join(whole) + rest == text, "sentences lose or invent characters"
    for locale in ("en", "de"):
        for figure in read_figures(text, locale):
            assert figure is not None
    value_of_words(text[:200])


def graphql(text: str) -> None:
    """A GraphQL document, up to where it would be asked."""
    with suppress(GraphRefusedError):
        admitted(text, _schema(), Limits())


def markdown_of_a_report(text: str) -> None:
    """Markdown of a service, shown by the console: no element but those that Markdown has."""
    html = str(markdown(text))
    assert not re.search(r"<\s*(script|iframe|object|embed|style|img[^>]+onerror)", html, re.IGNORECASE), html[:300]
    assert not re.search(r"href=.?\s*(javascript|vbscript|data):", html, re.IGNORECASE), html[:300]


def pills(text: str) -> None:
    """Pills in a model's JSON, in pieces of several sizes: the same ones whatever the pieces."""
    found = []
    for size in (1, 7, len(text) + 1):
        reader = CandidateReader(Dropped())
        read = [each for start in range(0, len(text), size) for each in reader.feed(text[start : start + size])]
        reader.close()
        found.append(read)
    if len(text) < 2000:
        assert found[0] == found[1] == found[2], "how it is cut changes what is read"


def tokens(text: str) -> None:
    """Bearer tokens, principals and proposals: raw, and as a JWT whose parts are the text's lines."""
    parts = [
        jwt.utils.base64url_encode(line.encode("utf-8", "surrogatepass")).decode() for line in text.split("\n")[:4]
    ]
    verifier, principals, proposals = _verifiers()
    for token in (text, ".".join(parts)):
        with suppress(IdentityError):
            verifier._verify(f"Bearer {token}")
            raise AssertionError(f"somebody got in by {token[:80]!r}")
        with suppress(RpcError):
            principals.verify(token)
            raise AssertionError(f"a principal was taken: {token[:80]!r}")
        with suppress(ProposalInvalidError):
            proposals.open(token, tenant="acme", person="E1")
            raise AssertionError(f"a proposal was taken: {token[:80]!r}")


def messages_stream(text: str) -> None:
    """A provider's Messages stream: an answer with its final event, or a ProviderError."""
    asyncio.run(_streamed(anthropic_provider.AnthropicProvider(_anthropic(text))))


def chat_stream(text: str) -> None:
    """A provider's chat completions stream."""
    asyncio.run(_streamed(_openai(text)))


async def _streamed(provider: Any) -> None:
    now = asyncio.get_running_loop().time()
    request = ModelRequest(
        model="m",
        prompt=Prompt("s", [Message("user", [TextPart("q")])]),
        max_tokens=10,
        effort=None,
        thinking=None,
        forced_tools=True,
        cache=None,
        first_token_seconds=5.0,
        stall_seconds=5.0,
        expires_at=now + 5.0,
    )
    kinds = []
    try:
        async for event in provider.stream(request):
            kinds.append(type(event).__name__)
    except ProviderError:
        return
    finally:
        await provider.close()
    assert kinds[-1] == "Stop", "a stream without its end was taken for a whole one"


def _transport(text: str) -> httpx2.AsyncClient:
    body = text.encode("utf-8", "surrogatepass")
    headers = {"content-type": "text/event-stream"}
    return httpx2.AsyncClient(
        transport=httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, content=body))
    )


def _anthropic(text: str) -> Any:
    return anthropic.AsyncAnthropic(
        api_key="k", base_url="http://127.0.0.1:1", max_retries=0, http_client=_transport(text)
    )


def _openai(text: str) -> openai_provider.OpenAIProvider:
    provider = openai_provider.OpenAIProvider(api_key="k", base_url="http://127.0.0.1:1", max_tokens_as="max_tokens")
    provider._client = openai.AsyncOpenAI(
        api_key="k", base_url="http://127.0.0.1:1", max_retries=0, http_client=_transport(text)
    )
    return provider


@cache
def _classifier() -> Classifier:
    return assemble(load_pack(PROJECT / "packs" / "hr"), PROJECT / ".tiermesh" / "models" / "classifier")


@cache
def _schema() -> Any:
    pack = load_pack(PROJECT / "packs" / "hr")
    return Schemas(pack.semantic).of(Viewer("E00014", frozenset({"employee"})), is_person=True)


@cache
def _verifiers() -> tuple[TokenVerifier, PrincipalVerifier, Tokens]:
    key = Ed25519PrivateKey.generate().public_key()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return TokenVerifier(_OneKey(key)), PrincipalVerifier(pem, "classifier"), Tokens(b"k" * 32)


class _OneKey:
    """A key source with one key, whose private half nobody has."""

    version = 1

    def __init__(self, key: Any) -> None:
        public = jwt.algorithms.OKPAlgorithm.to_jwk(key, as_dict=True)
        self._key = jwt.PyJWK({**public, "kid": "k", "alg": "EdDSA"})

    def key(self, _key_id: str | None) -> jwt.PyJWK:
        return self._key

    def refresh(self) -> None:
        pass

    async def look_for(self, _key_id: str | None) -> bool:
        return False


PARSERS: Sequence[Target] = (
    Target("reading", reading, QUESTIONS),
    Target("figures", figures, ("It was 1.234,5 € (twelve and a half %), up 3/4 since 29 Feb.", "1e5 ½ -−3")),
    Target("graphql", graphql, DOCUMENTS),
    Target("markdown", markdown_of_a_report, ("[a](javascript:x) <b onx=1> `c` | t |\n|---|", "![x](data:y)")),
    Target("pills", pills, ('{"pills": ["drill_down: What?", "act: Wh', '["explain: a", null, {}]')),
    Target(
        "tokens", tokens, ('{"alg":"EdDSA","kid":"k"}\n{"sub":"E1","aud":"x","exp":1}\nsig', '{"alg":"none"}\n{}\n')
    ),
    Target("messages_stream", messages_stream, STREAM),
    Target("chat_stream", chat_stream, CHUNKS),
)
