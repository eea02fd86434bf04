"""A signed-in person's way to insights: a principal that the gateway signs."""

from __future__ import annotations

import time
from typing import Any

import grpc
import pytest
from tiermesh.gateway.v1 import gateway_service_pb2 as pb
from tiermesh_runtime.errors import RpcError, from_call
from tiermesh_runtime.principal import PrincipalVerifier


def verifier(suite: Any, audience: str) -> PrincipalVerifier:
    return PrincipalVerifier((suite.folder / "principal_public.pem").read_bytes(), audience)


async def test_a_signed_in_person_gets_a_principal_that_insights_takes_and_no_other_service(suite: Any) -> None:
    metadata = suite.metadata("E00007", roles=["employee", "router_admin"])
    issued = await suite.stub.IssuePrincipal(pb.IssuePrincipalRequest(), metadata=metadata, timeout=10)

    assert (issued.tenant, issued.subject, list(issued.roles)) == ("acme", "E00007", ["employee", "router_admin"])
    principal = verifier(suite, "insights").verify(issued.principal)
    assert (principal.tenant, principal.subject) == ("acme", "E00007")
    assert principal.roles == {"employee", "router_admin"}
    # Purposes that open more than roles do ("report", "record") are for jobs.
    assert principal.purpose == "console"
    assert principal.expires_at == pytest.approx(issued.expires_at.seconds, abs=2)
    assert issued.expires_at.seconds < time.time() + 301
    with pytest.raises(RpcError) as refused:
        verifier(suite, "aggregator").verify(issued.principal)
    assert refused.value.reason == "WRONG_AUDIENCE"


async def test_who_does_not_sign_in_gets_no_principal(suite: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await suite.stub.IssuePrincipal(pb.IssuePrincipalRequest(), timeout=10)
    assert from_call(refused.value).reason == "CREDENTIALS_MISSING"


async def test_a_person_of_an_unknown_tenant_gets_no_principal(suite: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await suite.stub.IssuePrincipal(
            pb.IssuePrincipalRequest(), metadata=suite.metadata(tenant="elsewhere"), timeout=10
        )
    assert from_call(refused.value).reason == "UNKNOWN_TENANT"
