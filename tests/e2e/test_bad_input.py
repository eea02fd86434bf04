"""Bad input at the front door: canonical code, one reason, nothing internal, nothing hangs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tiermesh.gateway.v1 import gateway_service_pb2 as pb
from tiermesh.gateway.v1 import gateway_service_pb2_grpc
from tiermesh_cli.keys import SIGN_IN_AUDIENCE, SIGN_IN_ISSUER, SIGN_IN_KEY_ID, sign_in_token

CODE = grpc.StatusCode


@pytest.fixture
def gateway(suite: Any) -> Iterator[Any]:
    with grpc.insecure_channel(suite.gateway) as channel:
        yield gateway_service_pb2_grpc.GatewayServiceStub(channel)


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


@pytest.fixture
def signed_in(suite: Any) -> tuple[tuple[str, str], ...]:
    return bearer(sign_in_token(suite.state / "keys", tenant="acme", subject="E00001", roles=["manager"]))


def refused(call: Any) -> tuple[grpc.StatusCode, str, Any]:
    """Run a stream that must be refused; return code, reason and the decoded status."""
    with pytest.raises(grpc.RpcError) as error:
        list(call)
    status = rpc_status.from_call(error.value)
    infos = []
    for detail in status.details if status else []:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
            infos.append(info)
    assert len(infos) == 1, f"{len(infos)} ErrorInfo in: {error.value}"
    assert infos[0].domain == "tiermesh"
    assert "Traceback" not in error.value.details()
    assert ".py" not in error.value.details()
    return error.value.code(), infos[0].reason, status


@pytest.mark.parametrize("text", ["", "x" * 8001])
def test_empty_and_over_long_text_is_refused_with_the_field_named(gateway: Any, signed_in: Any, text: str) -> None:
    code, reason, status = refused(gateway.Ask(pb.AskRequest(text=text), metadata=signed_in, timeout=10))
    assert (code, reason) == (CODE.INVALID_ARGUMENT, "INVALID_FIELD")
    bad = error_details_pb2.BadRequest()
    assert any(detail.Unpack(bad) for detail in status.details)
    assert [violation.field for violation in bad.field_violations] == ["text"]


def test_a_call_without_a_token_is_unauthenticated(gateway: Any) -> None:
    answer = refused(gateway.Ask(pb.AskRequest(text="hello"), timeout=10))
    assert answer[:2] == (CODE.UNAUTHENTICATED, "CREDENTIALS_MISSING")


def test_a_forged_token_is_unauthenticated(gateway: Any) -> None:
    claims = {
        "iss": SIGN_IN_ISSUER,
        "aud": SIGN_IN_AUDIENCE,
        "sub": "E00001",
        "tenant": "acme",
        "exp": time.time() + 60,
    }
    forged = jwt.encode(claims, Ed25519PrivateKey.generate(), algorithm="EdDSA", headers={"kid": SIGN_IN_KEY_ID})
    unsigned = jwt.encode(claims, None, algorithm="none")
    for token in (forged, unsigned, "garbage", ""):
        code, reason, _ = refused(gateway.Ask(pb.AskRequest(text="hello"), metadata=bearer(token), timeout=10))
        assert code is CODE.UNAUTHENTICATED
        assert reason in {"CREDENTIALS_INVALID", "CREDENTIALS_MISSING"}


def test_an_expired_token_says_so(gateway: Any, suite: Any) -> None:
    token = sign_in_token(
        suite.state / "keys", tenant="acme", subject="E00001", roles=["manager"], lifetime_seconds=-3600
    )
    answer = refused(gateway.Ask(pb.AskRequest(text="hello"), metadata=bearer(token), timeout=10))
    assert answer[:2] == (CODE.UNAUTHENTICATED, "CREDENTIALS_EXPIRED")


def test_an_unknown_tenant_is_denied(gateway: Any, suite: Any) -> None:
    token = sign_in_token(suite.state / "keys", tenant="nobody", subject="E00001", roles=["manager"])
    answer = refused(gateway.Ask(pb.AskRequest(text="hello"), metadata=bearer(token), timeout=10))
    assert answer[:2] == (CODE.PERMISSION_DENIED, "UNKNOWN_TENANT")


def test_an_unknown_and_a_foreign_conversation_are_not_told_apart(gateway: Any, suite: Any, signed_in: Any) -> None:
    opened = list(gateway.Ask(pb.AskRequest(text="hello", no_pills=True), metadata=signed_in, timeout=30))
    theirs = opened[0].decision.conversation_id
    other = bearer(sign_in_token(suite.state / "keys", tenant="acme", subject="E00002", roles=["employee"]))
    foreign = refused(gateway.Ask(pb.AskRequest(text="and?", conversation_id=theirs), metadata=other, timeout=10))
    unknown = refused(gateway.Ask(pb.AskRequest(text="and?", conversation_id="c-none"), metadata=other, timeout=10))
    assert foreign[:2] == unknown[:2] == (CODE.PERMISSION_DENIED, "UNKNOWN_CONVERSATION")
    assert foreign[2].message == unknown[2].message


@pytest.mark.parametrize("field", ["conversation_id", "request_id"])
def test_a_malformed_id_is_refused_with_the_field_named(gateway: Any, signed_in: Any, field: str) -> None:
    request = pb.AskRequest(text="hello", **{field: "a/../b c"})
    code, reason, status = refused(gateway.Ask(request, metadata=signed_in, timeout=10))
    assert (code, reason) == (CODE.INVALID_ARGUMENT, "INVALID_FIELD")
    assert field in status.message


def test_a_message_over_the_size_limit_is_refused(gateway: Any, signed_in: Any) -> None:
    with pytest.raises(grpc.RpcError) as error:
        list(gateway.Ask(pb.AskRequest(text="x" * 5_000_000), metadata=signed_in, timeout=10))
    assert error.value.code() is CODE.RESOURCE_EXHAUSTED


def test_a_deadline_that_is_too_short_is_refused_at_once(gateway: Any, signed_in: Any) -> None:
    started = time.monotonic()
    with pytest.raises(grpc.RpcError) as error:
        list(gateway.Ask(pb.AskRequest(text="hello"), metadata=signed_in, timeout=0.004))
    assert error.value.code() is CODE.DEADLINE_EXCEEDED
    assert time.monotonic() - started < 5


def test_the_same_request_id_with_another_question_is_refused(gateway: Any, signed_in: Any) -> None:
    request_id = f"r-{time.time_ns()}"
    list(gateway.Ask(pb.AskRequest(text="hello", request_id=request_id), metadata=signed_in, timeout=30))
    answer = refused(gateway.Ask(pb.AskRequest(text="bye", request_id=request_id), metadata=signed_in, timeout=10))
    assert answer[:2] == (CODE.ALREADY_EXISTS, "REQUEST_ID_REUSED")


def test_the_inner_services_refuse_calls_without_a_principal(suite: Any) -> None:
    from tiermesh.classifier.v1 import classifier_service_pb2, classifier_service_pb2_grpc

    with grpc.insecure_channel(suite.addresses["classifier"]) as channel:
        stub = classifier_service_pb2_grpc.ClassifierServiceStub(channel)
        with pytest.raises(grpc.RpcError) as error:
            stub.Classify(classifier_service_pb2.ClassifyRequest(text="hello"), timeout=5)
    assert error.value.code() is CODE.UNAUTHENTICATED


def test_a_wrong_gateway_address_is_one_clear_line(suite: Any) -> None:
    done = suite.run("ask", "hello", "--gateway", "127.0.0.1:9", "--timeout", "3")
    assert done.returncode == 1
    assert done.stderr.startswith("tiermesh: ")
    assert "Traceback" not in done.stderr


def test_an_unknown_person_is_told_who_there_is(suite: Any) -> None:
    done = suite.run("ask", "hello", "--as", "somebody")
    assert done.returncode == 2
    assert "manager" in done.stderr


def test_a_state_folder_that_is_a_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    command = [sys.executable, "-m", "tiermesh_cli", "up", "--state", str(tmp_path / "state")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr == f"tiermesh: {tmp_path / 'state'}: File exists\n"
