"""The judge's job: a principal that is good for every tenant's samples and for its own tag alone."""

import grpc
import pytest
from tiermesh_executor.testing import context
from tiermesh_executor.wire.requests import context_of_call
from tiermesh_runtime.errors import RpcError
from tiermesh_runtime.principal import Principal


def principal(purpose: str, tenant: str) -> Principal:
    return Principal(tenant, "insights", frozenset(), frozenset({"executor"}), purpose, "", "", 0.0, "")


def test_the_judge_reads_samples_of_any_tenant_under_its_own_tag() -> None:
    assert context_of_call(context(), principal("judge", "*"), "judge").tenant == "acme"


@pytest.mark.parametrize(
    ("purpose", "tenant", "tag"), [("judge", "*", "suggest"), ("judge", "globex", "judge"), ("record", "*", "judge")]
)
def test_nobody_else_speaks_for_a_tenant_that_is_not_theirs(purpose: str, tenant: str, tag: str) -> None:
    with pytest.raises(RpcError) as refused:
        context_of_call(context(), principal(purpose, tenant), tag)
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.PERMISSION_DENIED, "NOT_ALLOWED")
