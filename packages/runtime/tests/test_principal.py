"""Who a call is made for."""

from __future__ import annotations

import time
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from tiermesh_runtime import principal, testing
from tiermesh_runtime.errors import RpcError
from tiermesh_runtime.principal import PrincipalSigner, PrincipalVerifier

CLAIMS: dict[str, Any] = {
    "tenant": "acme",
    "subject": "E00001",
    "roles": ["manager"],
    "audience": ["executor", "classifier"],
    "pack_version": "hr@1.0.0",
    "request_id": "q-1",
}


def _refused(keys: testing.Keys, token: str) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(RpcError) as caught:
        PrincipalVerifier(keys.public_pem, "classifier").verify(token)
    return caught.value.code, caught.value.reason


def test_what_was_minted_is_what_is_verified(keys: testing.Keys) -> None:
    token = keys.signer().mint(**CLAIMS, purpose="record", ttl=60)
    got = PrincipalVerifier(keys.public_pem, "classifier").verify(token)
    assert (got.tenant, got.subject, got.roles, got.purpose) == ("acme", "E00001", frozenset({"manager"}), "record")
    assert (got.audience, got.pack_version, got.request_id) == (
        frozenset({"executor", "classifier"}),
        "hr@1.0.0",
        "q-1",
    )
    assert got.token == token
    assert 55 < got.expires_at - time.time() <= 60


def test_a_token_is_verified_once_and_then_known(keys: testing.Keys) -> None:
    verifier = PrincipalVerifier(keys.public_pem, "classifier")
    token = keys.signer().mint(**CLAIMS)
    assert verifier.verify(token) is verifier.verify(token)


def test_a_known_token_expires_all_the_same(keys: testing.Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = PrincipalVerifier(keys.public_pem, "classifier")
    token = keys.signer().mint(**CLAIMS, ttl=60)
    verifier.verify(token)
    now = time.time()
    monkeypatch.setattr(principal.time, "time", lambda: now + 120)
    with pytest.raises(RpcError) as caught:
        verifier.verify(token)
    assert caught.value.reason == "CREDENTIALS_EXPIRED"


def test_no_token_is_missing(keys: testing.Keys) -> None:
    assert _refused(keys, "") == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING")


def test_an_expired_token_says_so(keys: testing.Keys) -> None:
    token = keys.signer().mint(**CLAIMS, ttl=-60)
    assert _refused(keys, token) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_EXPIRED")


@pytest.mark.parametrize(("ahead", "accepted"), [(3, True), (-3, True), (60, False), (-400, False)])
def test_clocks_may_differ_by_the_leeway_and_by_no_more(
    keys: testing.Keys, monkeypatch: pytest.MonkeyPatch, ahead: float, accepted: bool
) -> None:
    now = time.time()
    with monkeypatch.context() as clock:
        clock.setattr(principal.time, "time", lambda: now + ahead)
        token = keys.signer().mint(**CLAIMS)
    if accepted:
        assert PrincipalVerifier(keys.public_pem, "classifier").verify(token).subject == "E00001"
    else:
        code, reason = _refused(keys, token)
        assert (code, reason.partition("_")[0]) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS")


def test_a_token_for_others_is_denied(keys: testing.Keys) -> None:
    token = keys.signer().mint(**{**CLAIMS, "audience": ["executor"]})
    assert _refused(keys, token) == (grpc.StatusCode.PERMISSION_DENIED, "WRONG_AUDIENCE")


def test_a_token_of_another_key_or_issuer_does_not_verify(keys: testing.Keys) -> None:
    invalid = (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")
    assert _refused(keys, testing.new_keys().signer().mint(**CLAIMS)) == invalid
    assert _refused(keys, PrincipalSigner(keys.private_pem, issuer="someone").mint(**CLAIMS)) == invalid
    assert _refused(keys, "not.a.token") == invalid


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_only_eddsa_is_accepted(keys: testing.Keys, algorithm: str) -> None:
    claims = jwt.decode(keys.signer().mint(**CLAIMS), options={"verify_signature": False})
    token = jwt.encode(claims, "x" * 32 if algorithm == "HS256" else None, algorithm=algorithm)
    assert _refused(keys, token) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")


@pytest.mark.parametrize("claim", ["tenant", "sub", "purpose", "exp", "aud"])
def test_a_token_that_lacks_a_claim_does_not_verify(keys: testing.Keys, claim: str) -> None:
    claims = jwt.decode(keys.signer().mint(**CLAIMS), options={"verify_signature": False})
    del claims[claim]
    token = jwt.encode(claims, load_pem_private_key(keys.private_pem, None), algorithm="EdDSA")
    assert _refused(keys, token) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")


def test_a_key_of_another_kind_is_refused_at_once() -> None:
    other = rsa.generate_private_key(65537, 2048).public_key()
    with pytest.raises(ValueError, match="Ed25519"):
        PrincipalVerifier(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "classifier")


def test_outside_of_a_call_there_is_no_principal() -> None:
    with pytest.raises(RpcError) as caught:
        principal.current()
    assert caught.value.reason == "CREDENTIALS_MISSING"
