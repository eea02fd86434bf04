"""Who is let in."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import os
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
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
from tiermesh_gateway.identity import TokenVerifier
from tiermesh_gateway.keysets import JwksFile, JwksUrl, KeysUnusableError, fetch_text
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


def spoil(path: Path) -> None:
    path.write_text("{broken")


async def kind_of(verifier: TokenVerifier, authorization: str) -> str:
    with pytest.raises(IdentityError) as caught:
        await verifier.verify(authorization)
    return caught.value.kind


async def test_a_good_token_names_tenant_person_and_roles(verifier: TokenVerifier, key: Any) -> None:
    assert await verifier.verify(bearer(key)) == Caller("acme", "E1", frozenset({"manager"}))


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Basic abc", "token"])
async def test_no_bearer_token_is_missing_credentials(verifier: TokenVerifier, authorization: str) -> None:
    assert await kind_of(verifier, authorization) == "missing"


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
async def test_a_token_with_wrong_claims_lets_nobody_in(
    verifier: TokenVerifier, key: Any, claims: dict[str, Any], kind: str
) -> None:
    assert await kind_of(verifier, bearer(key, **claims)) == kind


async def test_forged_tokens_let_nobody_in(verifier: TokenVerifier, key: Any, jwks: Path) -> None:
    public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    none = jwt.encode({**CLAIMS, "exp": int(time.time()) + 60}, None, algorithm="none", headers={"kid": "k1"})
    shared = jwt.encode({**CLAIMS, "exp": int(time.time()) + 60}, public, algorithm="HS256", headers={"kid": "k1"})
    head, body, signature = bearer(key).removeprefix("Bearer ").split(".")
    raised = base64.urlsafe_b64encode(
        json.dumps({**CLAIMS, "roles": ["hr_admin"], "exp": int(time.time()) + 60}).encode()
    ).rstrip(b"=")
    for token in (none, shared, f"{head}.{raised.decode()}.{signature}", f"{head}.{body}.", "a.b.c", "\x00"):
        assert await kind_of(verifier, f"Bearer {token}") == "invalid"
    assert await kind_of(verifier, bearer(Ed25519PrivateKey.generate())) == "invalid"
    assert await kind_of(verifier, bearer(key, kid="unknown")) == "invalid"


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_other_asymmetric_keys_are_taken_but_only_with_their_own_algorithm(
    tmp_path: Path, algorithm: str
) -> None:
    rsa_key = rsa.generate_private_key(65537, 2048)
    keys = {"RS256": rsa_key, "ES256": ec.generate_private_key(ec.SECP256R1())}
    write(tmp_path / "jwks.json", *(jwk(each, name, name) for name, each in keys.items()))
    verifier = TokenVerifier(JwksFile(tmp_path / "jwks.json"))
    assert (await verifier.verify(bearer(keys[algorithm], algorithm=algorithm, kid=algorithm))).subject == "E1"
    assert await kind_of(verifier, bearer(rsa_key, algorithm="RS512", kid="RS256")) == "invalid"
    assert await kind_of(verifier, bearer(keys["ES256"], algorithm="ES256", kid="RS256")) == "invalid"


async def test_keys_rotate_without_a_restart_and_a_withdrawn_key_is_forgotten(
    verifier: TokenVerifier, jwks: Path, key: Any
) -> None:
    old = bearer(key)
    await verifier.verify(old)
    new = Ed25519PrivateKey.generate()
    write(jwks, jwk(new, "k2", "EdDSA"))
    assert (await verifier.verify(bearer(new, kid="k2"))).subject == "E1"
    assert await kind_of(verifier, old) == "invalid"


async def test_a_broken_key_file_keeps_the_last_good_keys(verifier: TokenVerifier, jwks: Path, key: Any) -> None:
    spoil(jwks)
    assert (await verifier.verify(bearer(key))).subject == "E1"


async def test_a_verified_token_still_expires(
    verifier: TokenVerifier, key: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = bearer(key)
    await verifier.verify(token)
    later = time.time() + 120
    monkeypatch.setattr(time, "time", lambda: later)
    assert await kind_of(verifier, token) == "expired"


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"keys": []}', '{"keys": [{"kty": "oct", "k": "AA", "kid": "s"}]}']
)
def test_a_key_file_that_cannot_be_used_says_so_at_start(tmp_path: Path, content: str) -> None:
    (tmp_path / "jwks.json").write_text(content)
    with pytest.raises(KeysUnusableError, match=r"jwks\.json"):
        JwksFile(tmp_path / "jwks.json")


class Provider:
    """An identity provider's JWK set, as it is fetched."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.says = json.dumps({"keys": keys})
        self.fetched = 0

    def rotate(self, *keys: dict[str, Any]) -> None:
        self.says = json.dumps({"keys": keys})

    def __call__(self, url: str) -> str:
        self.fetched += 1
        if not self.says:
            raise ConnectionRefusedError
        return self.says


async def by_url(provider: Provider, **settings: Any) -> tuple[JwksUrl, TokenVerifier]:
    keys = JwksUrl("https://id.example/jwks", provider, **settings)
    await keys.start()
    return keys, TokenVerifier(keys)


async def test_a_key_that_is_new_at_the_url_is_fetched_when_a_token_names_it(
    key: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, new = Provider(jwk(key, "k1", "EdDSA")), Ed25519PrivateKey.generate()
    keys, verifier = await by_url(provider)
    assert (await verifier.verify(bearer(key))).subject == "E1"
    provider.rotate(jwk(key, "k1", "EdDSA"), jwk(new, "k2", "EdDSA"))
    later = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert (await verifier.verify(bearer(new, kid="k2"))).subject == "E1"
    # Whoever sends unknown keys makes us fetch once, and no more for a while.
    for number in range(50):
        assert await kind_of(verifier, bearer(new, kid=f"unknown-{number}")) == "invalid"
    assert provider.fetched == 2
    assert keys.version == 2


async def test_a_key_that_was_withdrawn_at_the_url_lets_nobody_in_after_the_next_look(key: Any) -> None:
    provider, new = Provider(jwk(key, "k1", "EdDSA")), Ed25519PrivateKey.generate()
    keys, verifier = await by_url(provider, every=0.001)
    old = bearer(key)
    await verifier.verify(old)
    provider.rotate(jwk(new, "k2", "EdDSA"))
    fresh = asyncio.create_task(keys.keep_fresh())
    async with asyncio.timeout(60):
        while keys.version == 1:  # noqa: ASYNC110 - nothing announces a version
            await asyncio.sleep(0.001)
    fresh.cancel()
    assert await kind_of(verifier, old) == "invalid"
    assert (await verifier.verify(bearer(new, kid="k2"))).subject == "E1"


@pytest.mark.parametrize("says", ["", "{broken", '{"keys": []}'])
async def test_an_address_that_is_away_or_says_nonsense_keeps_the_last_good_keys(key: Any, says: str) -> None:
    provider = Provider(jwk(key, "k1", "EdDSA"))
    keys, verifier = await by_url(provider, every=0.001)
    provider.says = says
    fresh = asyncio.create_task(keys.keep_fresh())
    async with asyncio.timeout(60):
        while provider.fetched < 3:  # noqa: ASYNC110 - counted in a thread
            await asyncio.sleep(0.001)
    fresh.cancel()
    assert (await verifier.verify(bearer(key))).subject == "E1"


async def test_an_address_without_keys_is_a_start_up_error() -> None:
    provider = Provider()
    provider.says = ""
    with pytest.raises(KeysUnusableError, match=r"id\.example"):
        await by_url(provider)


async def test_a_gateway_takes_its_keys_from_an_address(start_suite: Any, tmp_path: Path) -> None:
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        suite = await start_suite(jwks_url=f"http://127.0.0.1:{server.server_port}/jwks.json")
        assert (await suite.ask()).done.complete
        with pytest.raises(OSError, match="404"):
            await asyncio.to_thread(fetch_text, f"http://127.0.0.1:{server.server_port}/none.json")
    finally:
        server.shutdown()
        server.server_close()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


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
