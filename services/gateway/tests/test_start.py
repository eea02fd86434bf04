"""Starting and stopping."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiermesh_gateway.build import build
from tiermesh_gateway.settings import GatewaySettings
from tiermesh_runtime.startup import StartupError


async def broken(suite: Any, **changes: Any) -> str:
    folder: Path = suite.folder
    values = {
        "jwks": folder / "jwks.json",
        "principal_key": folder / "principal.pem",
        "tenants": folder / "tenants",
        "packs": folder / "packs",
        "store": str(folder / "other.sqlite"),
        "spool": folder / "other-spool.sqlite",
    }
    with pytest.raises(StartupError) as caught:
        async with build(GatewaySettings(**(values | changes))):
            pass
    return str(caught.value)


async def test_what_cannot_be_used_is_named_with_its_setting_and_the_mend(suite: Any) -> None:
    folder: Path = suite.folder
    (folder / "bad").write_text("nonsense")
    assert "TIERMESH_GATEWAY_JWKS" in await broken(suite, jwks=folder / "bad")
    assert "TIERMESH_GATEWAY_PRINCIPAL_KEY" in await broken(suite, principal_key=folder / "bad")
    assert "TIERMESH_GATEWAY_SUBJECT_KEY" in await broken(suite, subject_key=folder / "bad"), "8 bytes are guessed"
    assert "TIERMESH_GATEWAY_STORE" in await broken(suite, store=str(folder))
    assert "TIERMESH_GATEWAY_SPOOL" in await broken(suite, spool=folder)
    (folder / "empty").mkdir()
    assert "no tenant file" in await broken(suite, tenants=folder / "empty")
    assert "pin the version" in await broken(suite, packs=_other_version(folder))


def _other_version(folder: Path) -> Path:
    packs = folder / "other-packs"
    (packs / "hr/vocabulary").mkdir(parents=True)
    head = (folder / "packs/hr/pack.yaml").read_text()
    (packs / "hr/pack.yaml").write_text(head.replace("1.0.0", "2.0.0"))
    intents = (folder / "packs/hr/vocabulary/intents.yaml").read_text()
    (packs / "hr/vocabulary/intents.yaml").write_text(intents)
    return packs


def test_bad_settings_are_all_told_at_once(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tiermesh_gateway", "--check-config"],
        cwd=tmp_path,
        env={
            "PATH": "",
            "PYTHONPATH": ":".join(sys.path),
            "TIERMESH_GATEWAY_PORT": "x",
            "TIERMESH_GATEWAY_CLASSIFIER_ADDRESS": "nowhere",
            "TIERMESH_GATEWAY_JWKS": "missing.json",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    for words in ("TIERMESH_GATEWAY_PORT", "TIERMESH_GATEWAY_CLASSIFIER_ADDRESS", "TIERMESH_GATEWAY_JWKS"):
        assert words in result.stderr
