"""Files that people write and hand to a service or to the command: their readers say what is wrong, and nothing breaks.

As in `parsers`, a target raises nothing but what its reader is there to raise.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from tiermesh_cli.evaluation.pill_trial import DataNotUsableError as PillDataNotUsableError
from tiermesh_cli.evaluation.pill_trial import read_conversations
from tiermesh_cli.evaluation.route_trial import DataNotUsableError, read_labelled
from tiermesh_cli.labelling.files import PromptsNotUsableError, read_prompts
from tiermesh_cli.replay import replay_log
from tiermesh_executor.bounce.calibration import load_calibration
from tiermesh_executor.configuration import ConfigurationError
from tiermesh_executor.models.endpoints import load_endpoints
from tiermesh_executor.prices import load_prices
from tiermesh_executor.tags import load_tags
from tiermesh_gateway.certificates import CallersUnusableError, read_callers
from tiermesh_gateway.keysets import KeysUnusableError, parse_keys
from tiermesh_gateway.tenants import load_tenant
from tiermesh_insights import querylog
from tiermesh_insights.redeciding import SettingsError, decide_again
from tiermesh_insights.settings import load_tuning
from tiermesh_pack.documents import load_document
from tiermesh_pack.examples import load_examples
from tiermesh_pack.handbook import load_handbook
from tiermesh_pack.manifest import load_manifest
from tiermesh_pack.personas import load_personas
from tiermesh_pack.problems import Problems
from tiermesh_pack.schema import load_schema
from tiermesh_pack.semantic import load_semantic
from tiermesh_pack.vocabulary import load_axes, load_intents, load_rules
from tiermesh_policy import TenantPolicy, Vocabulary
from tiermesh_policy.record import Inputs
from tiermesh_runtime.startup import StartupError

from tests.fuzzing.parsers import PROJECT
from tests.fuzzing.target import Target


def pack(text: str) -> None:
    """Each kind of file of a domain pack: whatever is wrong with it is among the problems."""
    path = _written("pack.yaml", text)
    problems = Problems(path.parent)
    if load_document(path, problems) is None:
        assert list(problems), "a file that cannot be read has no problem"
    schema = load_schema(path, problems)
    load_semantic([path], schema, problems)
    intents, _ = load_intents(path, problems)
    axes = load_axes(path, intents, problems)
    load_rules(path, axes, problems)
    load_personas(path, problems)
    load_manifest(path.parent, problems)


def examples(text: str) -> None:
    """A pack's labelled questions, and its handbook."""
    path = _written("examples.jsonl", text)
    problems = Problems(path.parent)
    load_examples((path,), {}, problems)
    load_handbook((path,), problems)


def tenants(text: str) -> None:
    """What an operator writes for the gateway: tenants, callers by certificate, keys of an identity provider."""
    path = _written("tenant.yaml", text)
    tenant, problems = load_tenant(path, lambda _: Vocabulary())
    assert (tenant is None) == bool(problems), "a tenant's file is refused for no reason, or taken with problems"
    with suppress(CallersUnusableError):
        read_callers(path)
    with suppress(KeysUnusableError):
        parse_keys(text, "the provider")


def settings(text: str) -> None:
    """Models of the executor, tuning of insights, and the settings under which a decision is taken again."""
    path = _written("models.yaml", text)
    readers: Sequence[Callable[[], Any]] = (
        lambda: load_endpoints(path),
        lambda: load_prices(path),
        lambda: load_tags(path, tier=1, providers=None, prompts=frozenset()),
        lambda: load_calibration(path, models=(), prompt_version="answer-simple@1"),
    )
    for read in readers:
        with suppress(ConfigurationError):
            read()
    with suppress(StartupError):
        load_tuning(path)
    with suppress(SettingsError):
        decide_again(_record(), text)


def exports(text: str) -> None:
    """What the command reads: exports, prompts, conversations, logs of queries."""
    path = _written("log.jsonl", text)
    readers: Sequence[tuple[Callable[[], Any], type[Exception]]] = (
        (lambda: replay_log(text.split("\n"), 0.5), ValueError),
        (lambda: read_prompts(path), PromptsNotUsableError),
        (lambda: read_labelled(path), DataNotUsableError),
        (lambda: read_conversations(path), PillDataNotUsableError),
    )
    for read, refusal in readers:
        try:
            read()
        except refusal as error:
            # A subclass is no refusal: it comes from within.
            if type(error) is not refusal:
                raise AssertionError(f"not its own error: {error!r}") from error
    lines, unreadable = querylog.read(text.split("\n"))
    querylog.analyse(lines, unreadable)


@cache
def _folder() -> Path:
    # In memory where there is such a place: every text is written.
    place = Path("/dev/shm")
    folder = tempfile.TemporaryDirectory(prefix="tiermesh-fuzz-", dir=place if place.is_dir() else None)
    _KEPT.append(folder)
    return Path(folder.name)


_KEPT: list[Any] = []


def _written(name: str, text: str) -> Path:
    path = _folder() / name
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return path


def _head(name: str, characters: int = 1_500) -> str:
    return (PROJECT / name).read_text("utf-8")[:characters].rpartition("\n")[0] + "\n"


@cache
def _record() -> bytes:
    return Inputs(None, TenantPolicy()).dump()


# What YAML and JSON are read as by whoever does not look.
_TRAPS = (
    "a: 2024-13-45\n",
    "a: &a [*a]\n",
    "[" * 3_000 + "\n",
    "{a: " * 2_000 + "\n",
    "? {a: b}\n: c\n",
    "n: 1e999\n",
    "n: .nan\n",
    "n: " + "9" * 5_000 + "\n",
    "!!python/name:os.system x\n",
    "x: 0o7_7:3\n",
)
_JSON_TRAPS = (
    "[" * 3_000 + "\n",
    '{"text": ' * 2_000 + "\n",
    '{"text": "\\ud800", "prompt": "\\udfff"}\n',
    '{"text": "a", "input_tokens": 1e999, "cost_usd": NaN, "rating": Infinity}\n',
    '{"text": "a", "input_tokens": ' + "9" * 5_000 + "}\n",
    '{"text": "a", "cost": ' + "9" * 400 + ', "output_tokens": -1}\n',
    '{"decided_at": "0001-01-01T00:00:00+23:59", "inputs": "eJw="}\n',
    '{"id": [1], "text": "Who?", "route": "tier2", "conversation": {"a": []}}\n',
)
_CALLERS = "callers:\n- {identity: spiffe://a/b, tenant: acme, kind: service, subject: s, roles: [employee]}\n"
_KEY_SET = '{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "AAAA", "alg": "EdDSA", "use": "sig"}]}\n'
_ENDPOINTS = "providers:\n  one: {protocol: messages, base_url: 'http://[::1'}\n  two: {protocol: chat, base_url: x}\n"
_EXAMPLE = _head("packs/hr/examples/hard.jsonl")
FILES: Sequence[Target] = (
    Target(
        "pack",
        pack,
        (
            *(_head(f"packs/hr/{name}.yaml") for name in ("pack", "schema", "vocabulary/axes", "vocabulary/intents")),
            *(_head(f"packs/hr/{name}.yaml") for name in ("vocabulary/rules", "seed/personas", "semantic/model")),
            *_TRAPS,
        ),
    ),
    Target("examples", examples, (_EXAMPLE, _head("packs/hr/handbook/general.md"), *_JSON_TRAPS)),
    Target("tenants", tenants, (_head("services/gateway/config/tenants/acme.yaml"), _CALLERS, _KEY_SET, *_TRAPS)),
    Target(
        "settings",
        settings,
        (
            _head("services/executor/config/prices.yaml"),
            _head("services/executor/config/tags.yaml"),
            _ENDPOINTS,
            "defaults: {alpha: 0.1}\ntenants: {acme: {lowest: 0.9, highest: 0.1}}\n",
            "thresholds: {tier1: 0.8, tier3: .inf}\n",
            *_TRAPS,
        ),
    ),
    Target("exports", exports, (_EXAMPLE, '{"text": "Who?", "route": "tier1", "model": "m"}\n', *_JSON_TRAPS)),
)
