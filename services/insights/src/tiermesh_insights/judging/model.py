"""The judge's model, over `executor.Generate` under the tag `judge`. The executor books what it costs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
from tiermesh.common.v1 import answer_pb2, context_pb2
from tiermesh.executor.v1 import executor_service_pb2 as pb
from tiermesh.executor.v1 import executor_service_pb2_grpc as rpc
from tiermesh_runtime.channels import abandoning
from tiermesh_runtime.errors import from_call
from tiermesh_runtime.principal import METADATA_KEY

from tiermesh_insights.judging.judge import ModelFailedError, Said

TAG = "judge"
_SECONDS = 60.0
# The content is no pack's; the executor asks for a version in every context.
_PACK_VERSION = "judge@1"
# Answers that no other try will make readable: the model's verdict is missing, which is a finding about the judge.
_NO_VERDICT = frozenset({"CONTENT_REFUSED", "OUTPUT_NOT_VALID", "ANSWER_TRUNCATED"})


class ExecutorJudge:
    """A `Model` one tier up."""

    def __init__(self, channel: grpc.aio.Channel, token_file: Path | None) -> None:
        """`token_file` holds a service principal of purpose "judge"; it is read anew for each call."""
        self._stub = rpc.ExecutorServiceStub(channel)
        self._token_file = token_file

    async def ask(
        self, *, tenant: str, request_id: str, instructions: str, message: str, schema: str, most_micros: int
    ) -> Said:
        """Return the model's words; an empty text is a verdict that was not given."""
        request = pb.GenerateRequest(
            context=context_pb2.RequestContext(request_id=request_id, tenant=tenant, pack_version=_PACK_VERSION),
            tag=TAG,
            instructions=instructions,
            json_schema=schema,
            max_cost_micros=most_micros,
        )
        request.messages.add(role=answer_pb2.ConversationTurn.ROLE_USER, text=message)
        pieces: list[str] = []
        try:
            call = self._stub.Generate(request, timeout=_SECONDS, metadata=await self._metadata())
            async with abandoning(call):
                async for response in call:
                    pieces.append(response.text.text)
                    if response.HasField("done"):
                        cost = sum(entry.cost_micros for entry in response.done.ledger)
                        return Said("".join(pieces), response.done.model, cost)
        except grpc.aio.AioRpcError as error:
            reason = from_call(error).reason
            if reason in _NO_VERDICT:
                return Said("", "", 0)
            raise ModelFailedError(reason.lower()) from error
        except OSError as error:
            raise ModelFailedError("no_token") from error
        raise ModelFailedError("cut")

    async def _metadata(self) -> tuple[tuple[str, str], ...]:
        if self._token_file is None:
            return ()
        token = await asyncio.to_thread(self._token_file.read_text, "utf-8")
        return ((METADATA_KEY, token.strip()),)
