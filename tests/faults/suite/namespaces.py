"""A network of its own for every process of the suite: namespaces, a bridge between them, names for the services.

Each service has two replicas; its name resolves to both addresses, as a headless Service's does, and clients spread
their calls over them. A partition is a link that is down: packets vanish, nothing is refused. Needs root and `ip`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NET = "10.79.113"
ROOT = f"{NET}.254"
REPLICAS = ("a", "b")
_PREFIX = "tmf"
_FILES = Path("/etc/netns")


def impossible() -> str:
    """Return why namespaces cannot be had here, "" when they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "there is no ip command (Debian: iproute2)"
    # Test processes look at the same time.
    probe = f"{_PREFIX}-probe-{os.getpid()}"
    done = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if done.returncode:
        return f"ip netns add: {done.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", probe], check=False, capture_output=True)
    return ""


@dataclass
class Network:
    """The namespaces of one deployment."""

    # Instance → host part of its address.
    hosts: Mapping[str, int]
    # Instance → service, whose name it answers to.
    services: Mapping[str, str]

    def address(self, instance: str) -> str:
        """Return the address of an instance."""
        return f"{NET}.{self.hosts[instance]}"

    def prefix(self, instance: str) -> tuple[str, ...]:
        """Return the words that run a command inside the instance's namespace."""
        return ("ip", "netns", "exec", self._space(instance))

    def partition(self, instance: str, *, on: bool) -> None:
        """Let no packet in or out, or all again."""
        _ip("link", "set", self._outer(instance), "down" if on else "up")

    def up(self) -> None:
        """Make everything."""
        names = "".join(f"{self.address(name)} {service}.test\n" for name, service in self.services.items())
        _ip("link", "add", f"{_PREFIX}br", "type", "bridge")
        _ip("addr", "add", f"{ROOT}/24", "dev", f"{_PREFIX}br")
        _ip("link", "set", f"{_PREFIX}br", "up")
        for instance in self.hosts:
            space, outer = self._space(instance), self._outer(instance)
            _ip("netns", "add", space)
            inner = f"{outer}i"
            _ip("link", "add", outer, "type", "veth", "peer", "name", inner)
            _ip("link", "set", outer, "master", f"{_PREFIX}br", "up")
            _ip("link", "set", inner, "netns", space)
            for words in (("addr", "add", f"{self.address(instance)}/24", "dev", inner), ("link", "set", inner, "up"),
                          ("link", "set", "lo", "up")):  # fmt: skip
                _ip("-n", space, *words)
            (_FILES / space).mkdir(parents=True, exist_ok=True)
            (_FILES / space / "hosts").write_text(f"127.0.0.1 localhost\n{names}", encoding="ascii")

    def down(self) -> None:
        """Take everything away again."""
        for space in map(self._space, self.hosts):
            subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)
            shutil.rmtree(_FILES / space, ignore_errors=True)
        subprocess.run(["ip", "link", "del", f"{_PREFIX}br"], check=False, capture_output=True)

    def _space(self, instance: str) -> str:
        return f"{_PREFIX}-{instance}"

    def _outer(self, instance: str) -> str:
        return f"{_PREFIX}{self.hosts[instance]}"


def replicas(service: str) -> Sequence[str]:
    """Return the names of a service's instances; there is one provider."""
    return (service,) if service == "simulator" else tuple(f"{service}-{letter}" for letter in REPLICAS)


@contextmanager
def network(services: Sequence[str]) -> Iterator[Network]:
    """Make a network for two replicas of each service, one provider and one client."""
    pairs = [(instance, service) for service in services for instance in replicas(service)]
    hosts = {instance: number for number, instance in enumerate([*(each for each, _ in pairs), "client"], start=1)}
    made = Network(hosts, dict(pairs))
    # Names and addresses belong to the machine: one at a time, and what a killed run left is taken away first.
    with (Path(tempfile.gettempdir()) / f"{_PREFIX}-network.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            made.down()
            made.up()
            yield made
        finally:
            made.down()


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr.strip()}"
