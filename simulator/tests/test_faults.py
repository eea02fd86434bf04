"""Every fault, as the real SDK meets it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import AsyncAnthropic
from tiermesh_simulator.settings import SimulatorSettings
from tiermesh_simulator.testing import SimulatorAdmin, administering, running

ASK: dict[str, Any] = {
    "model": "claude-sonnet-5",
    "max_tokens": 300,
    "messages": [{"role": "user", "content": "What can you do?"}],
}


async def text_of(client: AsyncAnthropic, **more: Any) -> tuple[list[str], str | None]:
    """Stream an answer; return its pieces and stop reason, None when the stream just ended."""
    pieces: list[str] = []
    stop: str | None = None
    async for event in await client.messages.create(**ASK, stream=True, **more):
        if event.type == "content_block_delta" and event.delta.type == "text_delta":
            pieces.append(event.delta.text)
        elif event.type == "message_delta":
            stop = event.delta.stop_reason
    return pieces, stop


@pytest.mark.parametrize(
    ("code", "kind", "error"),
    [
        (403, "permission_error", anthropic.PermissionDeniedError),
        (429, "rate_limit_error", anthropic.RateLimitError),
        (500, "api_error", anthropic.InternalServerError),
        (503, "api_error", anthropic.InternalServerError),
        (529, "overloaded_error", anthropic.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_an_armed_status_hits_once(
    client: AsyncAnthropic, admin: SimulatorAdmin, code: int, kind: str, error: type[Exception], stream: bool
) -> None:
    await admin.arm(str(code))
    with pytest.raises(error) as caught:
        await client.messages.create(**ASK, stream=stream)
    assert caught.value.status_code == code
    assert caught.value.type == kind
    assert "retry-after" not in caught.value.response.headers
    assert (await text_of(client))[1] == "end_turn"


async def test_429_carries_retry_after_when_asked_to(client: AsyncAnthropic, admin: SimulatorAdmin) -> None:
    await admin.arm("429;retry_after=2")
    with pytest.raises(anthropic.RateLimitError) as caught:
        await client.messages.create(**ASK)
    assert caught.value.response.headers["retry-after"] == "2"


async def test_the_sdk_itself_retries_as_retry_after_says(base_url: str, admin: SimulatorAdmin) -> None:
    await admin.arm("429;retry_after=0.2")
    async with AsyncAnthropic(base_url=base_url, api_key="k", max_retries=1) as sdk:
        assert (await sdk.messages.create(**ASK)).stop_reason == "end_turn"
    seen = await admin.seen()
    assert seen["by_outcome"] == {"failed": 1, "served": 1}
    first, second = seen["requests"]
    assert second["started"] - first["started"] >= 0.2


async def test_a_fault_can_be_sent_with_one_request(client: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.InternalServerError):
        await client.messages.create(**ASK, extra_headers={"x-simulator-fault": "529"})
    assert (await client.messages.create(**ASK)).stop_reason == "end_turn"


async def test_a_fault_hits_its_model_only_after_skip_and_each_nth(
    client: AsyncAnthropic, admin: SimulatorAdmin
) -> None:
    await admin.arm("500", model="sonnet", count=2, skip=1, every=2)
    haiku = await client.messages.create(**{**ASK, "model": "claude-haiku-4-5"})
    assert haiku.stop_reason == "end_turn"
    outcomes = []
    for _ in range(6):
        try:
            await client.messages.create(**ASK)
            outcomes.append("ok")
        except anthropic.InternalServerError:
            outcomes.append("500")
    assert outcomes == ["ok", "500", "ok", "500", "ok", "ok"]


async def test_an_unknown_fault_is_refused_with_the_known_ones(client: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="not known; use a status code or one of"):
        await client.messages.create(**ASK, extra_headers={"x-simulator-fault": "earthquake"})


@pytest.mark.parametrize("stream", [True, False])
async def test_a_reset_comes_before_any_header(client: AsyncAnthropic, admin: SimulatorAdmin, stream: bool) -> None:
    await admin.arm("reset")
    with pytest.raises(anthropic.APIConnectionError):
        await client.messages.create(**ASK, stream=stream)
    assert (await admin.seen())["requests"][0]["outcome"] == "failed"


async def test_a_hang_gives_nothing_until_the_client_goes(client: AsyncAnthropic, admin: SimulatorAdmin) -> None:
    await admin.arm("hang")
    with pytest.raises(anthropic.APITimeoutError):
        await client.messages.create(**ASK, stream=True, timeout=0.2)
    await admin.wait_until(lambda seen: seen["requests"][0]["client_disconnected"])


async def test_a_slow_first_token_comes_after_the_headers(client: AsyncAnthropic, admin: SimulatorAdmin) -> None:
    await admin.arm("slow_first_token;seconds=0.4")
    started = time.monotonic()
    stream = await client.messages.create(**ASK, stream=True)
    headers = time.monotonic() - started
    async for event in stream:
        if event.type == "content_block_delta":
            break
    assert time.monotonic() - started >= 0.4
    assert headers < 0.4
    await stream.close()


async def test_a_cut_leaves_the_chunks_before_it(client: AsyncAnthropic, admin: SimulatorAdmin) -> None:
    await admin.arm("cut;after=2")
    pieces: list[str] = []
    with pytest.raises(httpx2.RemoteProtocolError):  # noqa: PT012 - what came before the cut is looked at
        async for event in await client.messages.create(**ASK, stream=True):
            if event.type == "content_block_delta":
                pieces.append(event.delta.text)
    assert len(pieces) == 2
    assert (await admin.seen())["requests"][0]["outcome"] == "failed"


async def test_a_reset_can_come_mid_answer(client: AsyncAnthropic, admin: SimulatorAdmin) -> None:
    await admin.arm("reset_mid;after=1")
    with pytest.raises(httpx2.TransportError):
        await text_of(client)


@pytest.mark.parametrize("after", [0, 2])
async def test_a_stall_keeps_the_connection_and_says_nothing(
    client: AsyncAnthropic, admin: SimulatorAdmin, after: int
) -> None:
    await admin.arm(f"stall;after={after}")
    pieces: list[str] = []
    with pytest.raises(TimeoutError):  # noqa: PT012 - what came before the stall is looked at
        async with asyncio.timeout(0.3):
            async for event in await client.messages.create(**ASK, stream=True):
                if event.type == "content_block_delta":
                    pieces.append(event.delta.text)
    assert len(pieces) == after
    await admin.wait_until(lambda seen: seen["requests"][0]["client_disconnected"])


async def test_a_short_stall_goes_on(client: AsyncAnthropic, admin: SimulatorAdmin) -> None:
    await admin.arm("stall;after=1;seconds=0.2")
    started = time.monotonic()
    assert (await text_of(client))[1] == "end_turn"
    assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize(("fault", "error"), [("malformed;after=1", ValueError), ("invalid_utf8;after=1", ValueError)])
async def test_a_broken_event_breaks_the_reader(
    client: AsyncAnthropic, admin: SimulatorAdmin, fault: str, error: type[Exception]
) -> None:
    await admin.arm(fault)
    with pytest.raises(error):
        await text_of(client)


async def test_an_end_without_message_stop_gives_no_error(client: AsyncAnthropic, admin: SimulatorAdmin) -> None:
    await admin.arm("no_stop")
    pieces, stop = await text_of(client)
    assert pieces
    assert stop is None


async def test_an_error_event_comes_mid_stream(client: AsyncAnthropic, admin: SimulatorAdmin) -> None:
    await admin.arm("error_event;after=1;type=overloaded_error")
    with pytest.raises(anthropic.APIStatusError) as caught:
        await text_of(client)
    assert caught.value.status_code == 200
    assert caught.value.type == "overloaded_error"


async def test_events_can_come_in_the_wrong_order_or_twice(client: AsyncAnthropic, admin: SimulatorAdmin) -> None:
    await admin.arm("wrong_order")
    await admin.arm("duplicate_start")
    wrong = [event.type async for event in await client.messages.create(**ASK, stream=True)]
    twice = [event.type async for event in await client.messages.create(**ASK, stream=True)]
    assert wrong[1] == "content_block_delta"
    assert twice.count("message_start") == 2


@pytest.mark.parametrize(("after", "has_text"), [(0, False), (1, True)])
async def test_a_refusal_has_its_stop_reason_and_details(
    client: AsyncAnthropic, admin: SimulatorAdmin, after: int, has_text: bool
) -> None:
    await admin.arm(f"refusal;after={after}")
    async with client.messages.stream(**ASK) as stream:
        message = await stream.get_final_message()
    assert message.stop_reason == "refusal"
    assert message.stop_details is not None
    assert message.stop_details.type == "refusal"
    assert bool(message.content) == has_text


@pytest.mark.parametrize(
    ("fault", "words"),
    [("prompt_too_long", "prompt is too long"), ("prefill", "does not support assistant message prefill")],
)
async def test_the_api_can_refuse_the_prompt(
    client: AsyncAnthropic, admin: SimulatorAdmin, fault: str, words: str
) -> None:
    await admin.arm(fault)
    with pytest.raises(anthropic.BadRequestError, match=words):
        await client.messages.create(**ASK)


async def test_a_wrong_figure_stands_where_the_right_one_was(client: AsyncAnthropic, admin: SimulatorAdmin) -> None:
    rows = '{"columns": ["employee", "leave_days"], "rows": [["Asha Rao", 34], ["Ben Li", 31]]}'
    asked = {**ASK, "messages": [{"role": "user", "content": f"Question: Who took the most leave?\n{rows}"}]}
    right = await client.messages.create(**asked)
    await admin.arm("wrong_figure")
    wrong = await client.messages.create(**asked)
    assert "34 days" in right.content[0].text
    assert "34" not in wrong.content[0].text
    assert "41 days" in wrong.content[0].text
    assert "(31)" in wrong.content[0].text


async def test_an_answer_can_be_empty_or_a_cannot(client: AsyncAnthropic, admin: SimulatorAdmin) -> None:
    await admin.arm("empty")
    await admin.arm("cannot")
    assert (await client.messages.create(**ASK)).content == []
    assert "cannot help" in (await client.messages.create(**ASK)).content[0].text


async def test_a_client_that_goes_is_noticed_within_a_second() -> None:
    slow = SimulatorSettings(port=0, first_token_ms=0, chunk_ms=200, chunk_chars=4)
    async with running(slow) as url, administering(url) as admin, AsyncAnthropic(base_url=url, api_key="k") as sdk:
        stream = await sdk.messages.create(**ASK, stream=True)
        async for event in stream:
            if event.type == "content_block_delta":
                break
        await stream.close()
        seen = await admin.wait_until(lambda found: found["requests"][0]["client_disconnected"], seconds=1)
        assert seen["running"] == 0


async def test_bodies_are_kept_but_never_the_key(client: AsyncAnthropic, admin: SimulatorAdmin) -> None:
    await client.messages.create(**ASK, extra_headers={"traceparent": "00-1-2-01"})
    seen = await admin.seen(bodies=True)
    entry = seen["requests"][0]
    assert entry["body"]["messages"] == ASK["messages"]
    assert entry["headers"]["traceparent"] == "00-1-2-01"
    assert "any-key" not in str(seen)
    await admin.reset()
    assert (await admin.seen())["total"] == 0
