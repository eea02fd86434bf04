"""The suite with two replicas of each service, every one in a network namespace of its own, under load."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from tiermesh_cli.stack import DEFAULT_PORTS
from tiermesh_runtime.testing import OtlpReceiver

from tests.faults.suite import namespaces
from tests.faults.suite.acting import Act, Fault
from tests.faults.suite.deployment import SERVICES, Instance, Plan, deployed, prepared_home
from tests.faults.suite.links import Links
from tests.faults.suite.namespaces import Network
from tests.faults.suite.postgres import Postgres
from tests.faults.suite.stage import Stage, settings_of

GRACE_SECONDS = 20.0
# A frozen or cut-off peer is given up after keepalive and ping timeout; what it had under way goes on elsewhere.
_GIVEN_UP_SECONDS = 14.0
# minReadySeconds of the manifests.
_KNOWN_SECONDS = 35.0


class ReplicatedStage(Stage):
    """A stage that knows its network."""

    network: Network


@asynccontextmanager
async def replicated_stage(folder: Path, database: Postgres) -> AsyncIterator[Stage]:
    """Run the suite over namespaces while the block runs."""
    home = prepared_home(folder / "state")
    async with AsyncExitStack() as stack:
        network = stack.enter_context(namespaces.network((*SERVICES, "simulator")))
        receiver = await stack.enter_async_context(OtlpReceiver.running())
        links = Links()
        stack.callback(links.close)
        port = int(receiver.endpoint.rpartition(":")[2])
        collector = await links.add("everybody", "collector", port, host=namespaces.ROOT)
        spools = home.spool

        def settings(name: str) -> dict[str, str]:
            told = settings_of(name, database, f"http://{collector.address}")
            if name.startswith("gateway"):
                told["TIERMESH_GATEWAY_STORE"] = database.url("conversations")
                told["TIERMESH_GATEWAY_SPOOL"] = str(spools / f"{name}.sqlite")
            if name.startswith("executor"):
                told["TIERMESH_EXECUTOR_SPOOL"] = str(spools / f"{name}.sqlite")
            return told

        plan = Plan(
            address=lambda _, callee: f"{callee}.test:{DEFAULT_PORTS[callee]}",
            settings=settings,
            instances=namespaces.replicas,
            prefix=network.prefix,
            host=network.address,
        )
        deployment = await stack.enter_async_context(deployed(home, DEFAULT_PORTS, plan))
        at = ReplicatedStage(deployment, links, collector, receiver, database, folder)
        at.front = f"gateway.test:{DEFAULT_PORTS['gateway']}"
        at.client_prefix, at.told_by, at.network = network.prefix("client"), "gateway-a", network
        yield at


def rolling() -> Iterator[Fault]:
    """Restart every service in turn, one replica after the other."""
    for service in SERVICES:
        must = "zero failed questions; each replica drains and is back before the next"
        yield Fault("2", f"rolling restart of {service}", must, partial(_rolled, service), 0.0, whole=True)


def faults() -> Iterator[Fault]:
    """Rolling restarts, and one of two replicas killed, frozen and cut off."""
    yield from rolling()
    for service in ("executor-tier1", "executor-tier2", "classifier", "aggregator"):
        name = f"{service}-b"
        killed, frozen, cut = (_one(service, each) for each in (_killed, _frozen, _cut_off))
        yield Fault("1", f"kill -9 {name} of two", "all whole, one booking per call", killed, 2.0, whole=True)
        must = "given up by keepalive; all whole or a clear error; rejoins"
        yield Fault("3", f"SIGSTOP {name} of two", must, frozen, 5.0, recovered_within=_GIVEN_UP_SECONDS)
        yield Fault("4", f"{name} of two cut off the network", must, cut, 5.0, recovered_within=_GIVEN_UP_SECONDS)


@asynccontextmanager
async def _rolled(service: str, stage: Stage) -> AsyncIterator[None]:
    for name in namespaces.replicas(service):
        callers = stage.deployment[name].connected()
        assert callers, f"nobody is connected to {name}"
        seconds = await stage.deployment[name].restart()
        assert seconds < GRACE_SECONDS, f"{name} took {seconds:.1f} s to drain"
        await _known_again(stage.deployment[name], callers)
    yield


async def _known_again(instance: Instance, callers: set[str]) -> None:
    """The next one goes when this one has its share again: a roll-out's minReadySeconds, as an event."""
    give_up = time.monotonic() + _KNOWN_SECONDS
    while missing := callers - instance.connected():
        assert time.monotonic() < give_up, f"{len(missing)} callers have not come back to {instance.name}"
        await asyncio.sleep(0.05)  # the kernel tells nobody
    await asyncio.sleep(1.0)  # and are told that it serves


def _one(service: str, act: Callable[[str, Stage], AbstractAsyncContextManager[None]]) -> Act:
    return partial(act, f"{service}-b")


@asynccontextmanager
async def _killed(name: str, stage: Stage) -> AsyncIterator[None]:
    await stage.kill(name)
    yield
    stage.deployment[name].start()
    await stage.deployment[name].serving()


@asynccontextmanager
async def _frozen(name: str, stage: Stage) -> AsyncIterator[None]:
    stage.deployment[name].signal(signal.SIGSTOP)
    try:
        yield
    finally:
        stage.deployment[name].signal(signal.SIGCONT)


@asynccontextmanager
async def _cut_off(name: str, stage: Stage) -> AsyncIterator[None]:
    assert isinstance(stage, ReplicatedStage)
    stage.network.partition(name, on=True)
    try:
        yield
    finally:
        stage.network.partition(name, on=False)
