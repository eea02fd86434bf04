"""Settings: all problems at once, each with the mend."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict
from tiermesh_runtime.settings import ServiceSettings, load_settings, with_password


class ToySettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="TIERMESH_TOY_", frozen=True)
    port: int = Field(default=50099, ge=0, le=65535, description="port to listen on")
    classifier_address: str = Field(description="address of the classifier as host:port")
    tiers: list[int] = Field(default=[1, 2], description="tiers as a JSON list, such as [1, 2]")
    pepper: SecretStr | None = Field(default=None, min_length=20, description="at least 20 characters")


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("TIERMESH_TOY_CLASSIFIER_ADDRESS", "127.0.0.1:50051")
    return monkeypatch


def _problems(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        load_settings(ToySettings, [])
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_settings_come_from_the_environment(env: pytest.MonkeyPatch) -> None:
    env.setenv("TIERMESH_TOY_PORT", "1234")
    env.setenv("TIERMESH_TOY_TIERS", "[3]")
    settings = load_settings(ToySettings, [])
    assert (settings.port, settings.tiers, settings.classifier_address) == (1234, [3], "127.0.0.1:50051")
    assert settings.service_name == "toy"


def test_all_problems_are_reported_at_once(env: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    env.delenv("TIERMESH_TOY_CLASSIFIER_ADDRESS")
    env.setenv("TIERMESH_TOY_PORT", "70000")
    env.setenv("TIERMESH_TOY_WORKERS", "many")
    env.setenv("TIERMESH_TOY_TIERS", "[1,")
    env.setenv("TIERMESH_TOY_LOG_LEVEL", "loud")
    env.setenv("TIERMESH_TOY_PRINCIPAL_PUBLIC_KEY", "/nowhere/key.pem")
    env.setenv("TIERMESH_TOY_DRAIN_SECOND", "3")
    said = _problems(capsys)
    assert "7 problems" in said
    for line in (
        "TIERMESH_TOY_PORT=70000: Input should be less than or equal to 65535; set port to listen on (default 50099)",
        "TIERMESH_TOY_CLASSIFIER_ADDRESS: is not set; set address of the classifier as host:port",
        "TIERMESH_TOY_PRINCIPAL_PUBLIC_KEY=/nowhere/key.pem: there is no file '/nowhere/key.pem'",
        "TIERMESH_TOY_DRAIN_SECOND: no such setting; did you mean TIERMESH_TOY_DRAIN_SECONDS?",
        "TIERMESH_TOY_WORKERS=many",
        "TIERMESH_TOY_TIERS=[1,",
        "TIERMESH_TOY_LOG_LEVEL=loud",
    ):
        assert line in said


def test_a_secret_is_never_printed(env: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    env.setenv("TIERMESH_TOY_PEPPER", "hunter2")
    assert "TIERMESH_TOY_PEPPER=***" in (said := _problems(capsys))
    assert "hunter2" not in said


def test_a_certificate_without_key_is_refused(
    env: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "cert.pem").write_text("x")
    env.setenv("TIERMESH_TOY_TLS_CERTIFICATE", str(tmp_path / "cert.pem"))
    assert "TIERMESH_TOY_TLS_CERTIFICATE and TIERMESH_TOY_TLS_KEY come together" in _problems(capsys)


def test_check_config_prints_what_is_in_effect_and_exits(
    env: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    env.setenv("TIERMESH_TOY_PEPPER", "x" * 20)
    with pytest.raises(SystemExit) as caught:
        load_settings(ToySettings, ["--check-config"])
    assert caught.value.code == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["port"] == 50099
    assert "x" * 20 not in str(printed)


def test_settings_are_frozen(env: pytest.MonkeyPatch) -> None:
    settings = load_settings(ToySettings, [])
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1


@pytest.mark.parametrize(
    ("url", "opened"),
    [
        ("postgresql://app@db:5432/hr?sslmode=require", "postgresql://app:p%40ss%2Fword@db:5432/hr?sslmode=require"),
        ("postgresql://app:old@db/hr", "postgresql://app:p%40ss%2Fword@db/hr"),
        ("sqlite:///data/x.sqlite", "sqlite:///data/x.sqlite"),
        ("data/x.sqlite", "data/x.sqlite"),
    ],
)
def test_a_password_in_a_file_goes_into_the_url_of_a_postgresql_alone(url: str, opened: str, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p@ss/word\n")
    assert with_password(url, tmp_path / "password") == opened
    assert with_password(url, None) == url
