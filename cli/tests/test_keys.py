"""Development keys: made once, private, and good for signing in."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import jwt
from tiermesh_cli.keys import SIGN_IN_AUDIENCE, ensure_keys, sign_in_token
from tiermesh_runtime.principal import PrincipalSigner, PrincipalVerifier


def test_keys_are_kept_when_they_are_there(tmp_path: Path) -> None:
    ensure_keys(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    ensure_keys(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_private_keys_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    ensure_keys(tmp_path)
    for name in ("sign-in.pem", "principal.pem", "action.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_a_sign_in_token_verifies_against_the_published_keys(tmp_path: Path) -> None:
    ensure_keys(tmp_path)
    token = sign_in_token(tmp_path, tenant="acme", subject="E00007", roles=["manager"])
    keys = jwt.PyJWKSet.from_dict(json.loads((tmp_path / "jwks.json").read_text()))
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["EdDSA"], audience=SIGN_IN_AUDIENCE)
    assert (claims["sub"], claims["tenant"], claims["roles"]) == ("E00007", "acme", ["manager"])


def test_the_principal_keys_belong_together(tmp_path: Path) -> None:
    ensure_keys(tmp_path)
    signer = PrincipalSigner((tmp_path / "principal.pem").read_bytes())
    verifier = PrincipalVerifier((tmp_path / "principal.pub.pem").read_bytes(), "classifier")
    token = signer.mint(
        tenant="acme",
        subject="E1",
        roles=[],
        audience=["classifier"],
        pack_version="hr@1.0.0",
        request_id="r1",
    )
    assert verifier.verify(token).subject == "E1"
