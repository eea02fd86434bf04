"""A service in this process: health, reflection, what it does not start without."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tiermesh_runtime import server
from tiermesh_runtime.settings import ServiceSettings
from tiermesh_runtime.startup import StartupError

from .toy_calls import NOT_SERVING, SERVING, status
from .toy_service import SERVICE


async def test_health_tells_the_truth_over_the_whole_life(parts: Any) -> None:
    async with contextlib.AsyncExitStack() as stack:
        running = await stack.enter_async_context(server.serving(parts()))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(running.address))
        assert [await status(channel, each) for each in ("", SERVICE)] == [SERVING, SERVING]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await status(channel, "no.such.Service")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        running.health.not_serving()
        assert [await status(channel, each) for each in ("", SERVICE)] == [NOT_SERVING, NOT_SERVING]


async def test_every_watcher_learns_of_the_end_also_after_another_has_left(parts: Any) -> None:
    async with contextlib.AsyncExitStack() as stack:
        serving = server.serving(parts())
        running = await serving.__aenter__()
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(running.address))
        stub = health_pb2_grpc.HealthStub(channel)
        leaver = stub.Watch(health_pb2.HealthCheckRequest(), timeout=30)
        stayer = aiter(stub.Watch(health_pb2.HealthCheckRequest(), timeout=30))
        assert (await leaver.read()).status == (await anext(stayer)).status == SERVING
        leaver.cancel()
        await status(channel)  # on the same connection, so the cancellation arrived before it
        started = time.monotonic()
        await serving.__aexit__(None, None, None)
        assert time.monotonic() - started < 0.9, "an open watch must not hold up the drain"
        assert [each.status async for each in stayer] == [NOT_SERVING]


async def test_reflection_names_the_services_unless_switched_off(parts: Any) -> None:
    async def names(settings: ServiceSettings) -> list[str]:
        async with server.serving(parts(), settings) as running, grpc.aio.insecure_channel(running.address) as channel:
            stub = reflection_pb2_grpc.ServerReflectionStub(channel)
            call = stub.ServerReflectionInfo([reflection_pb2.ServerReflectionRequest(list_services="")], timeout=5)
            return [each.name for answer in [a async for a in call] for each in answer.list_services_response.service]

    assert set(await names(ServiceSettings(port=0))) >= {SERVICE, "grpc.health.v1.Health"}
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await names(ServiceSettings(port=0, reflection=False))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_service_that_checks_principals_does_not_start_without_key(parts: Any, tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="TIERMESH_SERVICE_PRINCIPAL_PUBLIC_KEY is not set"):
        async with server.serving(parts(audience="classifier")):
            pass
    (tmp_path / "key.pem").write_text("no key")
    settings = ServiceSettings(port=0, principal_public_key=tmp_path / "key.pem")
    with pytest.raises(StartupError, match="no readable Ed25519 public key"):
        async with server.serving(parts(audience="classifier"), settings):
            pass
