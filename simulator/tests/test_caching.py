"""Prompt caching by the rules of the real one."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Usage
from tiermesh_simulator.testing import SimulatorAdmin

LONG = "The handbook says many things about leave. " * 200
FIVE = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}


async def ask(
    client: AsyncAnthropic, text: str = "hello", *, system: Any = None, model: str = "claude-sonnet-5", **more: Any
) -> Usage:
    blocks = system or [{"type": "text", "text": LONG, "cache_control": FIVE}]
    message = await client.messages.create(
        model=model, max_tokens=20, system=blocks, messages=[{"role": "user", "content": text}], **more
    )
    return message.usage


def buckets(usage: Usage) -> tuple[int, int, int, int]:
    assert usage.cache_creation is not None
    return (
        usage.input_tokens,
        usage.cache_read_input_tokens or 0,
        usage.cache_creation.ephemeral_5m_input_tokens,
        usage.cache_creation.ephemeral_1h_input_tokens,
    )


async def test_the_first_call_writes_and_the_second_reads(client: AsyncAnthropic) -> None:
    first, second = buckets(await ask(client)), buckets(await ask(client, "hello you"))
    assert first[1] == 0
    assert first[2] > 2000
    assert first[3] == 0
    assert second[1] == first[2]
    assert second[2] == 0
    assert second[0] < 20


async def test_each_token_is_booked_in_one_bucket_only(client: AsyncAnthropic) -> None:
    total = await client.messages.count_tokens(
        model="claude-sonnet-5",
        system=[{"type": "text", "text": LONG}],
        messages=[{"role": "user", "content": "hello"}],
    )
    for _ in range(2):
        assert sum(buckets(await ask(client))) == total.input_tokens


async def test_a_prefix_below_the_minimum_is_not_kept(client: AsyncAnthropic) -> None:
    short = [{"type": "text", "text": "Short.", "cache_control": FIVE}]
    for _ in range(2):
        assert buckets(await ask(client, system=short))[1:] == (0, 0, 0)


async def test_the_minimum_goes_by_the_model(client: AsyncAnthropic) -> None:
    assert buckets(await ask(client, model="claude-haiku-4-5"))[2] == 0
    assert buckets(await ask(client, model="claude-opus-4-8"))[2] > 2000


async def test_a_changed_prefix_is_written_again(client: AsyncAnthropic) -> None:
    await ask(client)
    changed = [{"type": "text", "text": "!" + LONG, "cache_control": FIVE}]
    assert buckets(await ask(client, system=changed))[1] == 0


async def test_five_minutes_pass_and_the_entry_is_gone(client: AsyncAnthropic, admin: SimulatorAdmin) -> None:
    await ask(client)
    await admin.advance(299)
    assert buckets(await ask(client))[1] > 0
    await admin.advance(299)
    assert buckets(await ask(client))[1] > 0  # the read has renewed it
    await admin.advance(301)
    assert buckets(await ask(client))[1] == 0


async def test_an_hour_entry_outlives_five_minutes(client: AsyncAnthropic, admin: SimulatorAdmin) -> None:
    system = [{"type": "text", "text": LONG, "cache_control": HOUR}]
    assert buckets(await ask(client, system=system))[3] > 2000
    await admin.advance(3000)
    assert buckets(await ask(client, system=system))[1] > 2000
    await admin.advance(3601)
    assert buckets(await ask(client, system=system))[1] == 0


async def test_hour_and_five_minute_writes_are_booked_apart(client: AsyncAnthropic) -> None:
    system = [
        {"type": "text", "text": LONG, "cache_control": HOUR},
        {"type": "text", "text": "And more. " * 100, "cache_control": FIVE},
    ]
    usage = buckets(await ask(client, system=system))
    assert usage[3] > 2000
    assert 200 < usage[2] < 300


async def test_five_minutes_before_an_hour_is_refused(client: AsyncAnthropic) -> None:
    system = [
        {"type": "text", "text": LONG, "cache_control": FIVE},
        {"type": "text", "text": "more", "cache_control": HOUR},
    ]
    with pytest.raises(anthropic.BadRequestError, match="must not come after"):
        await ask(client, system=system)


async def test_five_breakpoints_are_refused(client: AsyncAnthropic) -> None:
    system = [{"type": "text", "text": f"part {n}", "cache_control": FIVE} for n in range(5)]
    with pytest.raises(anthropic.BadRequestError, match="maximum of 4 blocks"):
        await ask(client, system=system)


async def test_keys_and_models_share_nothing(client: AsyncAnthropic, base_url: str) -> None:
    await ask(client)
    assert buckets(await ask(client, model="claude-opus-4-8"))[1] == 0
    async with AsyncAnthropic(base_url=base_url, api_key="another", max_retries=0) as other:
        assert buckets(await ask(other))[1] == 0


async def test_a_longer_conversation_reads_the_prefix_before_its_new_turns(client: AsyncAnthropic) -> None:
    def turns(count: int) -> list[Any]:
        said = [{"role": ("user", "assistant")[n % 2], "content": f"turn {n} " + "x" * 200} for n in range(count)]
        said[-1]["content"] = [{"type": "text", "text": said[-1]["content"], "cache_control": FIVE}]
        return said

    system = [{"type": "text", "text": LONG}]
    first = await client.messages.create(model="claude-sonnet-5", max_tokens=9, system=system, messages=turns(3))
    second = await client.messages.create(model="claude-sonnet-5", max_tokens=9, system=system, messages=turns(5))
    assert buckets(second.usage)[1] == buckets(first.usage)[2]
    assert 90 < buckets(second.usage)[2] < 140


async def test_tools_stand_before_the_system_prompt(client: AsyncAnthropic, tools: list[dict[str, Any]]) -> None:
    marked = [*tools[:-1], {**tools[-1], "cache_control": FIVE}]
    long_tools = [{**marked[0], "description": LONG}, *marked[1:]]
    await ask(client, system=[{"type": "text", "text": "one"}], tools=long_tools)
    usage = buckets(await ask(client, system=[{"type": "text", "text": "two"}], tools=long_tools))
    assert usage[1] > 2000


async def test_automatic_caching_marks_the_last_block(client: AsyncAnthropic) -> None:
    for expected in (0, 2000):
        message = await client.messages.create(
            model="claude-sonnet-5",
            max_tokens=9,
            cache_control={"type": "ephemeral"},
            messages=[{"role": "user", "content": LONG}],
        )
        assert (message.usage.cache_read_input_tokens or 0) >= expected
    assert message.usage.input_tokens == 0
