"""The suite's processes for measurements that need more than `tiermesh up` starts: several gateways, other policies.

The processes and their settings are those of `tiermesh up`; what differs is said by the caller. No console.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from tiermesh_cli.home import Home
from tiermesh_cli.keys import sign_in_token
from tiermesh_cli.people import find_person
from tiermesh_cli.stack import Process, build_stack, free_ports
from tiermesh_cli.supervisor import Supervisor
from tiermesh_cli.up import DEVELOPMENT_TENANT, prepare, seed
from tiermesh_runtime.principal import PrincipalSigner

from bench.suite import PROJECT

PACK_VERSION = "hr@1.0.0"
# On a busy machine a classification takes longer than 150 ms; the failure policy is not what is measured here.
PATIENT: Mapping[str, str] = {
    "TIERMESH_GATEWAY_CLASSIFY_SECONDS": "5",
    "TIERMESH_CLASSIFIER_MODEL_LEAST_SECONDS": "60",
}


@dataclass(frozen=True)
class Gateway:
    """One gateway of the stack: its name, its tenant's policy on top of the development one, its own settings."""

    name: str
    policy: Mapping[str, Any]
    environment: Mapping[str, str]
    # Tenants that it knows; all but the development one are never asked for.
    tenants: int = 1


@dataclass(frozen=True)
class Stack:
    """Running processes."""

    home: Home
    supervisor: Supervisor
    addresses: Mapping[str, str]
    simulated: bool

    @property
    def simulator(self) -> str:
        """The simulator's base URL."""
        return f"http://{self.addresses['simulator']}"

    def pids(self) -> dict[str, int]:
        """Process ids by name."""
        return {name: self.supervisor.pid(name) for name in self.addresses}

    def token(self, who: str) -> str:
        """Return a bearer token of a persona, or of an employee id with the roles of a manager."""
        if who.startswith("E0"):
            subject, roles = who, ("employee", "manager")
        else:
            person = find_person(self.home.pack, who)
            subject, roles = person.subject, person.roles
        return sign_in_token(self.home.keys, tenant=DEVELOPMENT_TENANT, subject=subject, roles=roles)

    def principal(self, subject: str) -> str:
        """Return what the gateway tells the aggregator of a manager."""
        return PrincipalSigner((self.home.keys / "principal.pem").read_bytes()).mint(
            tenant=DEVELOPMENT_TENANT,
            subject=subject,
            roles=("employee", "manager"),
            audience=("aggregator",),
            pack_version=PACK_VERSION,
            request_id="",
            ttl=3600,
        )


@asynccontextmanager
async def running_stack(
    gateways: Sequence[Gateway],
    *,
    employees: int = 500,
    environment: Mapping[str, str] | None = None,
    model_key: str = "",
    seeded: Callable[[Home], None] | None = None,
) -> AsyncIterator[Stack]:
    """Run a freshly seeded suite with these gateways while the block runs.

    `environment` is for every process; `model_key` speaks to the provider (or ANTHROPIC_BASE_URL) instead; `seeded` is
    called before anything holds the database. Raises StartFailedError or PreparationFailedError.
    """
    state = Path(tempfile.mkdtemp(prefix="tiermesh-bench-"))
    home = Home(PROJECT, state)
    try:
        await asyncio.to_thread(seed, home, employees=employees, years=3)
        await asyncio.to_thread(prepare, home)
        if seeded is not None:
            seeded(home)
        processes = _processes(home, gateways, {**PATIENT, **(environment or {})}, model_key)
        supervisor = Supervisor(processes, home.logs, lambda line: print(line, flush=True))
        try:
            await supervisor.start()
            addresses = {each.name: each.address for each in processes}
            yield Stack(home, supervisor, addresses, not model_key)
        finally:
            await asyncio.shield(supervisor.stop())
    finally:
        if os.environ.get("TIERMESH_BENCH_KEEP"):
            print(f"kept: {state}", flush=True)
        else:
            shutil.rmtree(state, ignore_errors=True)


def _processes(
    home: Home, gateways: Sequence[Gateway], environment: Mapping[str, str], model_key: str
) -> list[Process]:
    key_file = home.keys / ("provider.key" if model_key else "simulator.key")
    key_file.write_text(model_key or "simulator", encoding="utf-8")
    ports, url = free_ports(), os.environ.get("ANTHROPIC_BASE_URL")
    usual = build_stack(home, ports, model_key_file=str(key_file) if model_key else None, model_url=url)
    found = []
    for process in usual:
        if process.name == "console":
            continue
        with_all = replace(process, environment={**process.environment, **environment})
        if process.name != "gateway":
            found.append(with_all)
            continue
        for gateway, port in zip(gateways, _ports(len(gateways)), strict=True):
            found.append(_gateway(with_all, gateway, port, home))
    return found


def _ports(count: int) -> list[int]:
    return [port for _ in range(count) for port in [next(iter(free_ports().values()))]]


def _gateway(usual: Process, gateway: Gateway, port: int, home: Home) -> Process:
    tenants = home.state / "tenants" / gateway.name
    tenants.mkdir(parents=True)
    development = PROJECT / "services/gateway/config/tenants/acme.yaml"
    tenant = yaml.safe_load(development.read_text(encoding="utf-8"))
    tenant["policy"] = {**tenant["policy"], **gateway.policy}
    # JSON is YAML whose words stay words ("off").
    for name in [tenant["tenant"], *(f"other-{number}" for number in range(1, gateway.tenants))]:
        (tenants / f"{name}.yaml").write_text(json.dumps({**tenant, "tenant": name}), encoding="utf-8")
    own = {
        "TIERMESH_GATEWAY_PORT": str(port),
        "TIERMESH_GATEWAY_TENANTS": str(tenants),
        "TIERMESH_GATEWAY_STORE": str(home.data / f"{gateway.name}.sqlite"),
        "TIERMESH_GATEWAY_SPOOL": str(home.spool / f"{gateway.name}.sqlite"),
        **gateway.environment,
    }
    return replace(usual, name=gateway.name, port=port, environment={**usual.environment, **own})
