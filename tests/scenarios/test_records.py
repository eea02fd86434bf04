"""What was decided and spent reaches insights, off the path, once."""

from __future__ import annotations

import time
from typing import Any

import grpc
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh.insights.v1 import insights_service_pb2_grpc
from tiermesh_runtime.principal import METADATA_KEY, PrincipalSigner

ARRIVES_WITHIN_SECONDS = 20.0


def reports(suite: Any) -> tuple[pb.ReportConfidenceResponse, pb.ReportCostResponse]:
    signer = PrincipalSigner((suite.state / "keys" / "principal.pem").read_bytes())
    token = signer.mint(
        tenant="acme",
        subject="test",
        roles=("router_admin",),
        audience=("insights",),
        purpose="report",
        pack_version="hr@1.0.0",
        request_id="report",
    )
    selection = pb.Selection(tenant="acme")
    with grpc.insecure_channel(suite.addresses["insights"]) as channel:
        stub = insights_service_pb2_grpc.InsightsServiceStub(channel)
        metadata = ((METADATA_KEY, token),)
        confidence = stub.ReportConfidence(
            pb.ReportConfidenceRequest(selection=selection), metadata=metadata, timeout=5
        )
        return confidence, stub.ReportCost(pb.ReportCostRequest(selection=selection), metadata=metadata, timeout=5)


def test_every_question_is_in_the_decision_log_and_every_cent_in_the_ledger(own_suite: Any) -> None:
    receipts = [
        own_suite.ask(question)[-1]
        for question in ("Who applied for the most leave this year?", "How many leave days do I have left?")
    ]
    spent = sum(receipt["cost"]["total_micros"] for receipt in receipts)
    calls = sum(receipt["cost"]["model_calls"] for receipt in receipts)
    give_up = time.monotonic() + ARRIVES_WITHIN_SECONDS
    while True:
        confidence, cost = reports(own_suite)
        settled = cost.total.total_micros == spent and cost.total.model_calls == calls
        if (confidence.decisions, cost.questions) == (2, 2) and settled and confidence.with_outcome >= 1:
            break
        assert time.monotonic() < give_up, (confidence, cost, spent, calls)
        time.sleep(0.2)  # delivery is off the path; its effect at insights is the only sign
