"""Who is let in."""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tiermesh.gateway.v1 import gateway_service_pb2 as pb
from tiermesh_gateway.errors import IdentityError
from tiermesh_gateway.identity import JwksFile, KeysUnusableError, TokenVerifier
from tiermesh_gateway.question import Caller
from tiermesh_runtime.errors import from_call

CLAIMS = {"aud": "tiermesh-gateway", "sub": "E1", "tenant": "acme", "roles": ["manager"]}


def jwk(key: Any, kid: str, algorithm: str) -> dict[str, Any]:
    public = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    return {**public, "kid": kid, "use": "sig", "alg": algorithm}


def write(path: Path, *keys: dict[str, Any]) -> None:
    path.write_text(json.dumps({"keys": keys}))
    os.utime(path, ns=(time.time_ns(), time.time_ns()))


def bearer(key: Any, *, algorithm: str = "EdDSA", kid: str | None = "k1", **claims: Any) -> str:
    values = {**CLAIMS, "exp": int(time.time()) + 60, **claims}
    values = {name: value for name, value in values.items() if value is not None}
    return "Bearer " + jwt.encode(values, key, algorithm=algorithm, headers={"kid": kid} if kid else None)


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def jwks(tmp_path: Path, key: Ed25519PrivateKey) -> Path:
    write(tmp_path / "jwks.json", jwk(key, "k1", "EdDSA"))
    return tmp_path / "jwks.json"


@pytest.fixture
def verifier(jwks: Path) -> TokenVerifier:
    return TokenVerifier(JwksFile(jwks, look_every=0.0))


def kind_of(verifier: TokenVerifier, authorization: str) -> str:
    with pytest.raises(IdentityError) as caught:
        verifier.verify(authorization)
    return caught.value.kind


def test_a_good_token_names_tenant_person_and_roles(verifier: TokenVerifier, key: Any) -> None:
    assert verifier.verify(bearer(key)) == Caller("acme", "E1", frozenset({"manager"}))


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Basic abc", "token"])
def test_no_bearer_token_is_missing_credentials(verifier: TokenVerifier, authorization: str) -> None:
    assert kind_of(verifier, authorization) == "missing"


@pytest.mark.parametrize(
    ("claims", "kind"),
    [
        ({"exp": int(time.time()) - 60}, "expired"),
        ({"aud": "another-service"}, "audience"),
        ({"exp": None}, "invalid"),
        ({"tenant": None}, "invalid"),
        ({"sub": None}, "invalid"),
        ({"tenant": "../etc"}, "invalid"),
        ({"tenant": 7}, "invalid"),
        ({"sub": "x" * 200}, "invalid"),
        ({"roles": "admin"}, "invalid"),
        ({"roles": [1]}, "invalid"),
        ({"nbf": int(time.time()) + 600}, "invalid"),
        ({"pad": "x" * 9000}, "invalid"),
    ],
)
def test_a_token_with_wrong_claims_lets_nobody_in(
    verifier: TokenVerifier, key: Any, claims: dict[str, Any], kind: str
) -> None:
    assert kind_of(verifier, bearer(key, **claims)) == kind


def test_forged_tokens_let_nobody_in(verifier: TokenVerifier, key: Any, jwks: Path) -> None:
    public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    none = jwt.encode({**CLAIMS, "exp": int(time.time()) + 60}, None, algorithm="none", headers={"kid": "k1"})
    shared = jwt.encode({**CLAIMS, "exp": int(time.time()) + 60}, public, algorithm="HS256", headers={"kid": "k1"})
    head, body, signature = bearer(key).removeprefix("Bearer ").split(".")
    raised = base64.urlsafe_b64encode(
        json.dumps({**CLAIMS, "roles": ["hr_admin"], "exp": int(time.time()) + 60}).encode()
    ).rstrip(b"=")
    for token in (none, shared, f"{head}.{raised.decode()}.{signature}", f"{head}.{body}.", "a.b.c", "\x00"):
        assert kind_of(verifier, f"Bearer {token}") == "invalid"
    assert kind_of(verifier, bearer(Ed25519PrivateKey.generate())) == "invalid"
    assert kind_of(verifier, bearer(key, kid="unknown")) == "invalid"


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_other_asymmetric_keys_are_taken_but_only_with_their_own_algorithm(tmp_path: Path, algorithm: str) -> None:
    rsa_key = rsa.generate_private_key(65537, 2048)
    keys = {"RS256": rsa_key, "ES256": ec.generate_private_key(ec.SECP256R1())}
    write(tmp_path / "jwks.json", *(jwk(each, name, name) for name, each in keys.items()))
    verifier = TokenVerifier(JwksFile(tmp_path / "jwks.json"))
    assert verifier.verify(bearer(keys[algorithm], algorithm=algorithm, kid=algorithm)).subject == "E1"
    assert kind_of(verifier, bearer(rsa_key, algorithm="RS512", kid="RS256")) == "invalid"
    assert kind_of(verifier, bearer(keys["ES256"], algorithm="ES256", kid="RS256")) == "invalid"


def test_keys_rotate_without_a_restart_and_a_withdrawn_key_is_forgotten(
    verifier: TokenVerifier, jwks: Path, key: Any
) -> None:
    old = bearer(key)
    verifier.verify(old)
    new = Ed25519PrivateKey.generate()
    write(jwks, jwk(new, "k2", "EdDSA"))
    assert verifier.verify(bearer(new, kid="k2")).subject == "E1"
    assert kind_of(verifier, old) == "invalid"


def test_a_broken_key_file_keeps_the_last_good_keys(verifier: TokenVerifier, jwks: Path, key: Any) -> None:
    jwks.write_text("{broken")
    assert verifier.verify(bearer(key)).subject == "E1"


def test_a_verified_token_still_expires(verifier: TokenVerifier, key: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    token = bearer(key)
    verifier.verify(token)
    later = time.time() + 120
    monkeypatch.setattr(time, "time", lambda: later)
    assert kind_of(verifier, token) == "expired"


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"keys": []}', '{"keys": [{"kty": "oct", "k": "AA", "kid": "s"}]}']
)
def test_a_key_file_that_cannot_be_used_says_so_at_start(tmp_path: Path, content: str) -> None:
    (tmp_path / "jwks.json").write_text(content)
    with pytest.raises(KeysUnusableError, match=r"jwks\.json"):
        JwksFile(tmp_path / "jwks.json")


@pytest.mark.parametrize("method", ["Ask", "ConfirmAction", "RecordFeedback", "GetReceipt"])
async def test_every_rpc_asks_who_is_there(suite: Any, method: str) -> None:
    requests = {
        "Ask": pb.AskRequest(text="x"),
        "ConfirmAction": pb.ConfirmActionRequest(token="t"),
        "RecordFeedback": pb.RecordFeedbackRequest(request_id="r", verdict=1),
        "GetReceipt": pb.GetReceiptRequest(request_id="r"),
    }

    async def reason(metadata: Any) -> tuple[Any, str]:
        call = getattr(suite.stub, method)(requests[method], metadata=metadata, timeout=10)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await (suite.rest(call) if method == "Ask" else call)
        return caught.value.code(), from_call(caught.value).reason

    code = grpc.StatusCode
    assert await reason(()) == (code.UNAUTHENTICATED, "CREDENTIALS_MISSING")
    assert await reason((("authorization", "Bearer x"),)) == (code.UNAUTHENTICATED, "CREDENTIALS_INVALID")
    assert await reason(suite.metadata(exp=1)) == (code.UNAUTHENTICATED, "CREDENTIALS_EXPIRED")
    assert await reason(suite.metadata(aud="x")) == (code.PERMISSION_DENIED, "WRONG_AUDIENCE")
    assert await reason(suite.metadata(tenant="globex")) == (code.PERMISSION_DENIED, "UNKNOWN_TENANT")
    # A client cannot bring its own principal.
    assert await reason((("tiermesh-principal", "forged"),)) == (code.UNAUTHENTICATED, "CREDENTIALS_MISSING")
