"""Development keys and sign-in tokens. In production both come from your identity provider and your secret store."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tiermesh_pack.personas import Persona
from tiermesh_runtime.principal import PrincipalSigner

SIGN_IN_AUDIENCE = "tiermesh-gateway"
SIGN_IN_ISSUER = "tiermesh-dev"
SIGN_IN_KEY_ID = "dev-1"
SERVICE_TOKEN_SECONDS = 30 * 24 * 3600.0


def ensure_keys(folder: Path) -> None:
    """Make the keys that are not there yet; keep those that are.

    sign-in.pem and jwks.json: who signs in (the gateway reads the second).
    principal.pem and principal.pub.pem: the gateway's word to the inner services.
    action.key: the aggregator's seal on proposals.
    console.key: the console's seal on sign-in cookies.
    """
    if not (folder / "sign-in.pem").exists():
        key = Ed25519PrivateKey.generate()
        _write_private(folder / "sign-in.pem", key)
        public = jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
        jwks = {"keys": [{**public, "kid": SIGN_IN_KEY_ID, "use": "sig", "alg": "EdDSA"}]}
        (folder / "jwks.json").write_text(json.dumps(jwks, indent=2))
    if not (folder / "principal.pem").exists():
        key = Ed25519PrivateKey.generate()
        _write_private(folder / "principal.pem", key)
        (folder / "principal.pub.pem").write_bytes(
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
    for seal in ("action.key", "console.key"):
        if not (folder / seal).exists():
            write_secret(folder / seal, secrets.token_hex(32).encode())


def write_service_token(folder: Path, service: str, *, purpose: str = "record", audience: str = "insights") -> Path:
    """Write the service principal with which `service` calls `audience` for one purpose; return its file.

    Made anew at each start: it is good for 30 days.
    """
    signer = PrincipalSigner((folder / "principal.pem").read_bytes())
    token = signer.mint(
        tenant="*",
        subject=service,
        roles=(),
        audience=(audience,),
        purpose=purpose,
        pack_version="",
        request_id="",
        ttl=SERVICE_TOKEN_SECONDS,
    )
    path = folder / f"{service}.token"
    write_secret(path, token.encode())
    return path


def sign_in_token(
    folder: Path, *, tenant: str, subject: str, roles: Sequence[str], lifetime_seconds: int = 3600
) -> str:
    """Return a bearer token for the gateway, as the development identity provider would issue it."""
    now = int(time.time())
    claims = {
        "iss": SIGN_IN_ISSUER,
        "aud": SIGN_IN_AUDIENCE,
        "sub": subject,
        "tenant": tenant,
        "roles": list(roles),
        "iat": now,
        "exp": now + lifetime_seconds,
    }
    key = (folder / "sign-in.pem").read_bytes()
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": SIGN_IN_KEY_ID})


def write_people(path: Path, personas: Sequence[Persona], tenant: str) -> None:
    """Write whom the console's development page signs in, and as which identity provider."""
    people = [
        {
            "key": persona.key,
            "name": persona.name,
            "tenant": tenant,
            "subject": persona.employee_id,
            "roles": persona.roles or ("employee",),
            "description": persona.description,
        }
        for persona in personas
    ]
    values = {"issuer": SIGN_IN_ISSUER, "key_id": SIGN_IN_KEY_ID, "people": people}
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False), encoding="utf-8")


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _write_private(path: Path, key: Ed25519PrivateKey) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_secret(path, pem)
