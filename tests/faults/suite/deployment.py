"""The suite's processes for tests that break them: each can be killed, frozen and started again alone.

Which processes there are and how they are set comes from `tiermesh_cli.stack`, as for `tiermesh up`. Not here: the
network between them (`links`, `namespaces`), the load (`asker`).
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tiermesh_cli.home import Home
from tiermesh_cli.keys import write_secret
from tiermesh_cli.stack import Process, build_stack
from tiermesh_cli.supervisor import answers
from tiermesh_cli.up import prepare_keys

PROJECT = Path(__file__).parents[3]
START_SECONDS = 90.0
STOP_SECONDS = 25.0
SERVICES = ("gateway", "classifier", "executor-tier1", "executor-tier2", "aggregator", "suggester", "insights")
_ESTABLISHED = "01"
_LOOPBACK = re.compile(r"(?<![\d.])127\.0\.0\.1:(\d+)")


@dataclass(frozen=True)
class HostedProcess(Process):
    """A process that may listen elsewhere than on loopback."""

    host: str = "127.0.0.1"

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass
class Instance:
    """One process."""

    process: Process
    log: Path
    # Set beside the environment of the test's own process; later ones go before earlier ones.
    environment: Mapping[str, str]
    # Words before the command, such as `ip netns exec NAME`.
    prefix: tuple[str, ...] = ()
    python_path: str = ""
    running: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        return self.process.name

    def start(self, **changes: str) -> None:
        """Start it; `changes` are settings of this start alone."""
        path = {"PYTHONPATH": self.python_path} if self.python_path else {}
        with self.log.open("ab") as output:
            self.running = subprocess.Popen(
                [*self.prefix, sys.executable, "-m", self.process.module, *self.process.arguments],
                env={**_plain_environment(), **self.process.environment, **self.environment, **path, **changes},
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    async def serving(self) -> None:
        """Return when it answers its health check; AssertionError with the end of its log when it does not."""
        running = self.running
        assert running is not None
        give_up = time.monotonic() + START_SECONDS
        while running.poll() is None and time.monotonic() < give_up:
            if await answers(self.process):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{self.name} does not serve (exit code {running.poll()}):\n{self.tail()}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.running is not None
        self.running.send_signal(number)

    async def gone(self, seconds: float = STOP_SECONDS) -> float:
        """Return after how many seconds it ended; AssertionError when it does not."""
        assert self.running is not None
        started = time.monotonic()
        while self.running.poll() is None:
            if time.monotonic() > started + seconds:
                raise AssertionError(f"{self.name} did not end within {seconds:.0f} s:\n{self.tail()}")
            await asyncio.sleep(0.02)
        return time.monotonic() - started

    async def kill(self) -> None:
        """kill -9."""
        self.signal(signal.SIGKILL)
        await self.gone()

    async def restart(self, **changes: str) -> float:
        """Drain by SIGTERM, start again, return the seconds that the drain took."""
        self.signal(signal.SIGTERM)
        seconds = await self.gone()
        assert self.running is not None
        assert self.running.returncode == 0, f"{self.name} ended with {self.running.returncode}:\n{self.tail()}"
        self.start(**changes)
        await self.serving()
        return seconds

    def end(self) -> None:
        """End it whatever it is at; the deployment is over."""
        if self.running is None or self.running.poll() is not None:
            return
        with suppress(ProcessLookupError):
            self.running.send_signal(signal.SIGCONT)
            self.running.terminate()
        try:
            self.running.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.running.kill()
            self.running.wait()

    def tail(self, characters: int = 2500) -> str:
        """Return the end of its log."""
        return self.log.read_text(errors="replace")[-characters:]

    def connected(self) -> set[str]:
        """Return the hosts that have a connection to its port, in the kernel's words."""
        assert self.running is not None
        port = f":{self.process.port:04X}"
        # A server that takes both families has its IPv4 callers among those of IPv6.
        tables = [Path(f"/proc/{self.running.pid}/net/{family}") for family in ("tcp", "tcp6")]
        rows = [line.split() for table in tables if table.exists() for line in table.read_text("ascii").splitlines()]
        return {row[2].partition(":")[0] for row in rows if row[1].endswith(port) and row[3] == _ESTABLISHED}

    def memory_mb(self) -> float:
        """Return its resident memory."""
        assert self.running is not None
        status = Path(f"/proc/{self.running.pid}/status").read_text(encoding="ascii")
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024


@dataclass(frozen=True)
class Plan:
    """What differs from `tiermesh up`."""

    # (caller, callee) → the address under which that caller knows that callee.
    address: Callable[[str, str], str]
    # Instance → settings of its own.
    settings: Callable[[str], Mapping[str, str]] = lambda _: {}
    # Service → the names of its instances.
    instances: Callable[[str], Sequence[str]] = lambda service: (service,)
    # Instance → words before the command, and the host on which its health is asked.
    prefix: Callable[[str], tuple[str, ...]] = lambda _: ()
    host: Callable[[str], str] = lambda _: "127.0.0.1"
    # Instance → the tree whose code it runs; empty for this one.
    python_path: Callable[[str], str] = lambda _: ""


@dataclass
class Deployment:
    """All instances."""

    home: Home
    ports: Mapping[str, int]
    instances: dict[str, Instance] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Instance:
        return self.instances[name]

    async def start(self) -> None:
        """Start what does not run, the stores' users first, and return when all serve."""
        for instance in self.instances.values():
            if instance.running is None or instance.running.poll() is not None:
                instance.start()
        await asyncio.gather(*(instance.serving() for instance in self.instances.values()))

    def end(self) -> None:
        """End everything; those that others call last."""
        for instance in self.instances.values():
            if instance.running is not None and instance.running.poll() is None:
                with suppress(ProcessLookupError):
                    instance.running.send_signal(signal.SIGCONT)
                    instance.running.terminate()
        for instance in self.instances.values():
            instance.end()


def prepared_home(state: Path) -> Home:
    """Return a home with keys and tokens, and no data."""
    home = Home(PROJECT, state)
    prepare_keys(home)
    write_secret(home.keys / "simulator.key", b"simulator")
    return home


@asynccontextmanager
async def deployed(home: Home, ports: Mapping[str, int], plan: Plan) -> AsyncIterator[Deployment]:
    """Run the suite without the console while the block runs."""
    deployment = Deployment(home, ports)
    for process in build_stack(home, ports, model_key_file=None, model_url=None):
        if process.name == "console":
            continue
        for name in plan.instances(process.name):
            deployment.instances[name] = _instance(deployment, process, name, plan)
    try:
        await deployment.start()
        yield deployment
    finally:
        await asyncio.to_thread(deployment.end)


def _instance(deployment: Deployment, process: Process, name: str, plan: Plan) -> Instance:
    callees = {str(port): callee for callee, port in deployment.ports.items()}

    def known(value: str) -> str:
        return _LOOPBACK.sub(lambda found: plan.address(name, callees[found[1]]), value)

    environment = {variable: known(value) for variable, value in process.environment.items()}
    host = plan.host(name)
    arguments = process.arguments if process.name != "simulator" else (*process.arguments, "--host", host)
    if process.name != "simulator":
        environment[f"TIERMESH_{process.module.removeprefix('tiermesh_').upper()}_HOST"] = host
    return Instance(
        HostedProcess(
            name=name,
            module=process.module,
            port=process.port,
            environment=environment,
            arguments=arguments,
            http=process.http,
            host=host,
        ),
        deployment.home.logs / f"{name}.log",
        plan.settings(name),
        plan.prefix(name),
        plan.python_path(name),
    )


def _plain_environment() -> dict[str, str]:
    """Return the test's environment without what would make the suite speak to a real provider."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "TIERMESH_"))}
