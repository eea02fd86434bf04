"""Asking the gateway: one stream per question, retried only while nothing of the answer has come.

Lives here: deadlines, retries, checking that a stream is whole. Not here: how events
look to people (the command line, the console), the channel itself (`tiermesh_runtime.channels`).
"""

from __future__ import annotations

import asyncio
import random
import re
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

import grpc
from tiermesh.common.v1 import routing_pb2
from tiermesh.gateway.v1 import gateway_service_pb2, gateway_service_pb2_grpc
from tiermesh_runtime.call_context import REQUEST_ID_KEY
from tiermesh_runtime.channels import abandoning, open_channel
from tiermesh_runtime.errors import RpcError, from_call

ATTEMPTS = 3
ASK_SECONDS = 60.0
UNARY_SECONDS = 10.0
_SERVICE = "/tiermesh.gateway.v1.GatewayService/"
# Each may be called again with the same effect as once. `Ask` is tried again here, not by the channel.
_IDEMPOTENT = [_SERVICE + method for method in ("ConfirmAction", "RecordFeedback", "GetReceipt", "IssuePrincipal")]
_FIRST_BACKOFF_SECONDS = 0.1
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

Verdict = gateway_service_pb2.RecordFeedbackRequest.Verdict
R = TypeVar("R")


class TiermeshClient:
    """One signed-in person at one gateway; safe for many questions at once. Every failure is an `RpcError`."""

    def __init__(
        self,
        address: str,
        *,
        token: str | Callable[[], str] = "",
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        """`address` is "host:port" (ValueError else); a callable `token` is asked anew before each call."""
        self._token = token
        self._channel = open_channel(address, idempotent=_IDEMPOTENT, credentials=credentials)
        self._stub = gateway_service_pb2_grpc.GatewayServiceStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls that still run are cancelled."""
        await self._channel.close()

    async def ask(
        self,
        text: str,
        *,
        conversation_id: str = "",
        request_id: str = "",
        min_tier: routing_pb2.Tier.ValueType = routing_pb2.TIER_UNSPECIFIED,
        pill_token: str = "",
        time_zone: str = "",
        locale: str = "",
        no_pills: bool = False,
        timeout: float = ASK_SECONDS,
    ) -> AsyncGenerator[gateway_service_pb2.AskResponse, None]:
        """Ask one question; yield its events from the decision to the receipt.

        Tries again on UNAVAILABLE, and on RESOURCE_EXHAUSTED when the gateway says when,
        but only before the first event and within `timeout` seconds; the request id stays
        the same, so that no question runs twice. Leaving the loop cancels the question.
        A stream that has a gap or ends without receipt is ANSWER_TRUNCATED.
        """
        request = gateway_service_pb2.AskRequest(
            text=text,
            conversation_id=conversation_id,
            request_id=request_id or str(uuid.uuid4()),
            min_tier=min_tier,
            pill_token=pill_token,
            time_zone=time_zone,
            locale=locale,
            no_pills=no_pills,
        )
        ends_at = time.monotonic() + timeout
        for attempt in range(1, ATTEMPTS + 1):
            checked = _Whole()
            try:
                call = self._stub.Ask(
                    request,
                    timeout=max(ends_at - time.monotonic(), 0.0),
                    metadata=self._metadata(request.request_id),
                )
                async with abandoning(call):
                    async for event in call:
                        checked.add(event)
                        yield event
                checked.end()
            except grpc.aio.AioRpcError as error:
                refusal = from_call(error)
                pause = _pause_before(attempt + 1, refusal)
                if checked.events or pause is None or time.monotonic() + pause >= ends_at:
                    raise refusal from error
                await asyncio.sleep(pause)
            else:
                return

    async def confirm(self, token: str, *, timeout: float = UNARY_SECONDS) -> gateway_service_pb2.ConfirmActionResponse:
        """Perform a proposal; it happens once however often this is called."""
        request = gateway_service_pb2.ConfirmActionRequest(token=token)
        return await _decoded(self._stub.ConfirmAction(request, timeout=timeout, metadata=self._metadata()))

    async def feedback(
        self,
        request_id: str,
        verdict: Verdict.ValueType,
        *,
        comment: str = "",
        pill_id: str = "",
        timeout: float = UNARY_SECONDS,
    ) -> None:
        """Say what the answer to one's own question was worth; the last word counts."""
        request = gateway_service_pb2.RecordFeedbackRequest(
            request_id=request_id, verdict=verdict, comment=comment, pill_id=pill_id
        )
        await _decoded(self._stub.RecordFeedback(request, timeout=timeout, metadata=self._metadata()))

    async def receipt(
        self, request_id: str, *, timeout: float = UNARY_SECONDS
    ) -> gateway_service_pb2.GetReceiptResponse:
        """Return what one's own answer was made of: decision, calls, cost."""
        request = gateway_service_pb2.GetReceiptRequest(request_id=request_id)
        return await _decoded(self._stub.GetReceipt(request, timeout=timeout, metadata=self._metadata()))

    async def issue_principal(self, *, timeout: float = UNARY_SECONDS) -> gateway_service_pb2.IssuePrincipalResponse:
        """Return who the token speaks for, with a principal for insights that is good for some minutes."""
        request = gateway_service_pb2.IssuePrincipalRequest()
        return await _decoded(self._stub.IssuePrincipal(request, timeout=timeout, metadata=self._metadata()))

    def _metadata(self, request_id: str = "") -> tuple[tuple[str, str], ...]:
        token = self._token if isinstance(self._token, str) else self._token()
        # One that no header can hold is refused by its field, with the reason.
        request_id = request_id if _ID.fullmatch(request_id) else ""
        entries = {"authorization": f"Bearer {token}" if token else "", REQUEST_ID_KEY: request_id}
        return tuple((key, value) for key, value in entries.items() if value)


class _Whole:
    """Checks that nothing of a stream is missing."""

    def __init__(self) -> None:
        self.events = 0
        self._last = ""

    def add(self, event: gateway_service_pb2.AskResponse) -> None:
        self.events += 1
        self._last = event.WhichOneof("event") or ""
        if event.sequence != self.events:
            raise _truncated(f"Event {self.events} of the answer is missing.")

    def end(self) -> None:
        if self._last != "receipt":
            raise _truncated("The answer ended without its receipt.")


def _truncated(message: str) -> RpcError:
    return RpcError(grpc.StatusCode.DATA_LOSS, "ANSWER_TRUNCATED", message)


def _pause_before(attempt: int, refusal: RpcError) -> float | None:
    """Return the seconds to wait before `attempt`, None when trying again is of no use."""
    if attempt > ATTEMPTS:
        return None
    if refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return refusal.retry_after
    if refusal.code is not grpc.StatusCode.UNAVAILABLE:
        return None
    backoff = _FIRST_BACKOFF_SECONDS * 4.0 ** (attempt - 2)
    jittered = backoff * random.uniform(0.5, 1.5)  # noqa: S311 - spreads retries, guards nothing
    return max(jittered, refusal.retry_after or 0.0)


async def _decoded(call: Awaitable[R]) -> R:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise from_call(error) from error
