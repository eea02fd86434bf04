"""`tiermesh eval intents` and `tiers`: what is handed over, and what comes back."""

import subprocess

import pytest
from tiermesh_cli.app import app
from typer.testing import CliRunner


@pytest.mark.parametrize("verb", ["intents", "tiers"])
def test_options_help_and_exit_code_are_handed_over_as_they_are(monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    seen: list[list[str]] = []

    def run(command: list[str], *, check: bool) -> subprocess.CompletedProcess[str]:
        seen.append(command[1:])
        return subprocess.CompletedProcess(command, 2)

    monkeypatch.setattr(subprocess, "run", run)

    result = CliRunner().invoke(app, ["eval", verb, "--train", "A.jsonl", "--help"])

    assert seen == [["-m", f"tiermesh_classifier.evaluate_{verb}", "--train", "A.jsonl", "--help"]]
    assert result.exit_code == 2
