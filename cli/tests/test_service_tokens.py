"""Tokens for jobs and services."""

from __future__ import annotations

from pathlib import Path

from tiermesh_cli.app import app
from tiermesh_cli.keys import ensure_keys
from tiermesh_runtime.principal import PrincipalVerifier
from typer.testing import CliRunner


def test_a_service_token_is_good_for_one_purpose_at_one_service(tmp_path: Path) -> None:
    ensure_keys(tmp_path)
    options = ["--purpose", "judge", "--audience", "executor", "--key", str(tmp_path / "principal.pem")]
    done = CliRunner().invoke(app, ["service-token", "insights", *options])
    assert done.exit_code == 0, done.output
    public = (tmp_path / "principal.pub.pem").read_bytes()
    principal = PrincipalVerifier(public, "executor").verify(done.output.strip())
    assert (principal.subject, principal.purpose, principal.tenant) == ("insights", "judge", "*")


def test_a_file_that_is_no_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("no key")
    options = ["--purpose", "judge", "--audience", "executor", "--key", str(tmp_path / "no.pem")]
    done = CliRunner().invoke(app, ["service-token", "insights", *options])
    assert done.exit_code == 2
    assert "no.pem" in done.output
