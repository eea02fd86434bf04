"""Tables and settings: what ships is valid, and every problem is told at once with its file and place."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tiermesh_executor.configuration import ConfigurationError
from tiermesh_executor.models.endpoints import VertexEndpoint, load_endpoints, open_provider
from tiermesh_executor.prices import load_prices
from tiermesh_executor.prompts import SYSTEM_TEXTS
from tiermesh_executor.settings import ExecutorSettings
from tiermesh_executor.tags import TagTable, load_tags

CONFIG = Path(__file__).parents[1] / "config"
Write = Callable[[str, str], Path]
ROW = """
  {tag}:
    candidates: [{{provider: anthropic, model: m}}]
    max_tokens: 100
    deadline_ms: 1000
    first_token_ms: 500
    stall_ms: 500
    prompt_version: {prompt}
    judge_rubric: r
    caught_by: somebody
"""
PROMPTS = {
    "answer-simple": "answer-1",
    "answer-complex": "answer-1",
    "plan-aggregate": "plan-1",
    "narrate": "narrate-1",
}


def load(path: Path, tier: int = 1) -> TagTable:
    return load_tags(path, tier=tier, providers=frozenset({"anthropic"}), prompts=frozenset(SYSTEM_TEXTS))


@pytest.mark.parametrize("tier", [1, 2, 3])
def test_the_shipped_tables_serve_every_tier_and_every_model_has_a_price(tier: int) -> None:
    tags, prices = load(CONFIG / "tags.yaml", tier), load_prices(CONFIG / "prices.yaml")
    assert set(tags.tags) == {
        "classify", "answer-simple", "answer-complex", "plan-aggregate", "narrate", "rewrite", "suggest", "judge",
        "summarize",
    }  # fmt: skip
    models = {candidate.model for row in tags.tags.values() for candidate in row.candidates}
    assert all(prices.knows(model) for model in models)
    assert models == set(tags.models)


def test_every_problem_of_a_tag_table_is_told_with_its_place(write_settings: Write) -> None:
    text = (CONFIG / "tags.yaml").read_text()
    text = text.replace("max_tokens: 512", "max_tokens: many", 1).replace("effort: medium", "effort: heroic", 1)
    text = text.replace("    caught_by: the last turns", "    caught_bye: the last turns")
    path = write_settings("tags.yaml", text)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    problems = "\n".join(caught.value.problems)
    assert all(problem.startswith(str(path)) for problem in caught.value.problems)
    assert "tags.narrate.max_tokens" in problems
    assert "tags.answer-complex.candidates[0].effort" in problems
    assert "tags.summarize.caught_by: Field required" in problems
    assert "tags.summarize.caught_bye: Extra inputs" in problems


def test_rows_that_are_missing_or_cannot_work_here_are_told(write_settings: Write) -> None:
    rows = "".join(ROW.format(tag=tag, prompt=prompt) for tag, prompt in PROMPTS.items() if tag != "narrate")
    rows = rows.replace("provider: anthropic", "provider: nobody", 1).replace("plan-1", "plan-9")
    rows = rows.replace("model: m}", "model: m, tiers: [3]}", 2).replace("stall_ms: 500", "stall_ms: 400")
    with pytest.raises(ConfigurationError) as caught:
        load(write_settings("tags.yaml", "tags:" + rows))
    problems = "\n".join(caught.value.problems)
    assert "tags.narrate: the row is missing" in problems
    assert "tags.answer-simple.candidates[0].provider: 'nobody' is none of anthropic" in problems
    assert "tags.answer-complex.candidates: none is for tier 1" in problems
    assert "tags.plan-aggregate.prompt_version: 'plan-9' is none of" in problems


def test_limits_that_contradict_each_other_are_told(write_settings: Write) -> None:
    rows = "".join(ROW.format(tag=tag, prompt=prompt) for tag, prompt in PROMPTS.items())
    with pytest.raises(ConfigurationError, match="first_token_ms is longer than deadline_ms"):
        load(write_settings("tags.yaml", "tags:" + rows.replace("first_token_ms: 500", "first_token_ms: 5000")))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("models: {m: {input: -1, output: 1, date: 2026-11-22}}", "models.m.input"),
        ("models: {m: {input: 1, output: 1}}", "models.m.date"),
        ("models: {}", "models"),
        ("a: [", "is not valid YAML"),
        ("", "the file"),
    ],
)
def test_a_broken_price_file_is_told_with_its_place(write_settings: Write, text: str, problem: str) -> None:
    path = write_settings("prices.yaml", text)
    with pytest.raises(ConfigurationError) as caught:
        load_prices(path)
    assert caught.value.problems[0].startswith(f"{path}: {problem}")


def test_a_missing_file_is_told() -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_prices(Path("/nowhere/prices.yaml"))


def test_the_key_comes_from_a_file_and_a_local_server_needs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    file = tmp_path / "key"
    file.write_text("secret\n")
    settings = ExecutorSettings(port=0, api_key_file=file)
    assert settings.endpoints()["anthropic"].api_key_file == file
    assert "secret" not in settings.model_dump_json()
    assert ExecutorSettings(port=0, base_url="http://127.0.0.1:1").endpoints()["anthropic"].api_key_file is None
    with pytest.raises(ValueError, match="no key for the provider"):
        ExecutorSettings(port=0)


def test_the_aggregators_tools_are_the_default_and_a_list_replaces_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERMESH_EXECUTOR_BASE_URL", "http://127.0.0.1:1")
    assert ExecutorSettings(port=0).all_tool_addresses == ("127.0.0.1:50053",)
    monkeypatch.setenv("TIERMESH_EXECUTOR_TOOL_ADDRESSES", "a:1, b:2")
    assert ExecutorSettings(port=0).all_tool_addresses == ("a:1", "b:2")


def test_a_start_with_broken_tables_says_so_and_ends(tmp_path: Path) -> None:
    (tmp_path / "tags.yaml").write_text("tags: {}")
    (tmp_path / "prices.yaml").write_text("models: {}")
    environment = {
        "TIERMESH_EXECUTOR_PORT": "0",
        "TIERMESH_EXECUTOR_BASE_URL": "http://127.0.0.1:1",
        "TIERMESH_EXECUTOR_TAGS": str(tmp_path / "tags.yaml"),
        "TIERMESH_EXECUTOR_PRICES": str(tmp_path / "prices.yaml"),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "tiermesh_executor"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert "tags.yaml: tags" in ended.stderr
    assert "prices.yaml: models" in ended.stderr
    assert "Traceback" not in ended.stderr


PROVIDERS = """
providers:
  anthropic: {{protocol: messages, base_url: "http://127.0.0.1:1"}}
  local: {{protocol: chat-completions, base_url: "http://127.0.0.1:2/v1"}}
  openai: {{protocol: chat-completions, api_key_file: {key}}}
  bedrock: {{protocol: bedrock, region: eu-central-1, api_key_file: {key}}}
"""


async def test_every_protocol_is_opened_by_its_row(tmp_path: Path, write_settings: Write) -> None:
    key = write_settings("key", "secret")
    endpoints = ExecutorSettings(
        port=0, providers=write_settings("providers.yaml", PROVIDERS.format(key=key))
    ).endpoints()
    endpoints = {**endpoints, "vertex": VertexEndpoint(protocol="vertex", region="europe-west1", project="p")}
    opened = {name: open_provider(name, endpoint) for name, endpoint in endpoints.items()}
    assert {name: provider.name for name, provider in opened.items()} == {name: name for name in endpoints}
    assert {name: type(provider).__name__ for name, provider in opened.items()} == {
        "anthropic": "AnthropicProvider",
        "local": "OpenAIProvider",
        "openai": "OpenAIProvider",
        "bedrock": "AnthropicProvider",
        "vertex": "AnthropicProvider",
    }
    for provider in opened.values():
        await provider.close()


def test_every_problem_of_the_providers_is_told(write_settings: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    text = """
providers:
  a: {protocol: smoke-signals}
  b: {protocol: chat-completions, base_url: "ftp://x"}
  c: {protocol: bedrock}
  d: {protocol: messages, api_key_file: /nowhere/key}
  E: {protocol: messages}
"""
    with pytest.raises(ConfigurationError) as caught:
        load_endpoints(write_settings("providers.yaml", text))
    problems = "\n".join(caught.value.problems)
    assert "providers.a" in problems
    assert "'ftp://x' is no http(s) URL" in problems
    assert "providers.c.bedrock.region: Field required" in problems
    assert "there is no file '/nowhere/key'" in problems
    assert "providers.E" in problems
    with pytest.raises(ConfigurationError, match="no key; set api_key_file"):
        load_endpoints(write_settings("providers.yaml", "providers: {openai: {protocol: chat-completions}}"))


def test_a_start_without_what_signs_a_cloud_s_calls_says_what_to_install(
    write_settings: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    rows = "providers: {b: {protocol: bedrock, region: r}, v: {protocol: vertex, region: r, project: p}}"
    with pytest.raises(ConfigurationError) as caught:
        load_endpoints(write_settings("providers.yaml", rows))
    assert "install anthropic[bedrock]" in caught.value.problems[0]
    assert "install anthropic[vertex]" in caught.value.problems[1]


def test_the_readme_shows_the_table_that_ships() -> None:
    readme = (CONFIG.parent / "README.md").read_text(encoding="utf-8")
    shown = {line.split("|")[1].strip(): line for line in readme.splitlines() if line.startswith("| ")}
    for tag, row in load(CONFIG / "tags.yaml").tags.items():
        line = shown[tag]
        assert f"| {row.max_tokens:,} |" in line, tag
        assert f"| {row.deadline_ms / 1000:g} s |" in line, tag
        assert f"| {row.first_token_ms / 1000:g} / {row.stall_ms / 1000:g} s |" in line, tag
        assert f"| {row.prompt_version} |" in line, tag
        assert {None: "–", "5m": "5 min", "1h": "1 h"}[row.cache] in line, tag
