"""Which processes make up the suite, with which settings, in which order. Starts nothing."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from tiermesh_cli.home import Home
from tiermesh_cli.sample import QUESTIONS

DEFAULT_PORTS: Mapping[str, int] = {
    "gateway": 50050,
    "classifier": 50051,
    "aggregator": 50053,
    "suggester": 50054,
    "insights": 50055,
    "executor-tier1": 50061,
    "executor-tier2": 50062,
    "console": 50080,
    "simulator": 50090,
}


@dataclass(frozen=True)
class Process:
    """One process of the suite."""

    name: str
    module: str
    port: int
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    # Processes that must serve before this one is started.
    after: tuple[str, ...] = ()
    # HTTP processes answer GET /healthz, the others gRPC health.
    http: bool = False

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


def free_ports() -> dict[str, int]:
    """Return a port for each process that nothing listens on now."""
    sockets = []
    ports = {}
    for name in DEFAULT_PORTS:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        sockets.append(listener)
        ports[name] = listener.getsockname()[1]
    for listener in sockets:
        listener.close()
    return ports


def build_stack(
    home: Home, ports: Mapping[str, int], *, model_key_file: str | None, model_url: str | None
) -> list[Process]:
    """Return the suite's processes in starting order.

    With `model_key_file` the executors speak to the provider (at `model_url`, or its own address); without it a
    simulator is started and stands in for the models.
    """
    stack = _Stack(home, ports, model_key_file, model_url)
    return [
        *([stack.simulator()] if stack.simulated else []),
        stack.insights(),
        stack.classifier(),
        stack.aggregator(),
        stack.executor(1),
        stack.executor(2),
        stack.suggester(),
        stack.gateway(),
        stack.console(),
    ]


class _Stack:
    """One suite on one machine; each method is one process of it."""

    def __init__(self, home: Home, ports: Mapping[str, int], model_key_file: str | None, model_url: str | None) -> None:
        self.simulated = model_key_file is None
        self._home = home
        self._ports = ports
        self._at = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        self._model_key_file = model_key_file or str(home.keys / "simulator.key")
        self._model_url = f"http://{self._at['simulator']}" if self.simulated else model_url

    def simulator(self) -> Process:
        port = self._ports["simulator"]
        return Process("simulator", "tiermesh_simulator", port, arguments=("--port", str(port)), http=True)

    def insights(self) -> Process:
        settings = {
            "DATABASE": f"sqlite:///{self._home.data / 'insights.sqlite'}",
            "EXECUTOR_ADDRESS": self._at["executor-tier2"],
            "EXECUTOR_TOKEN_FILE": str(self._home.keys / "insights.token"),
        }
        return self._service("insights", settings)

    def classifier(self) -> Process:
        # The simulator knows no labels: to ask it would cost time and say nothing.
        model = {} if self.simulated else {"EXECUTOR_ADDRESS": self._at["executor-tier1"]}
        files = {"PACK": str(self._home.pack), "ARTEFACT": str(self._home.classifier_model)}
        return self._service("classifier", files | model)

    def aggregator(self) -> Process:
        settings = {
            "PACK": str(self._home.pack),
            "DATABASE": self._home.database,
            "ACTION_KEY_FILE": str(self._home.keys / "action.key"),
        }
        return self._service("aggregator", settings)

    def executor(self, tier: int) -> Process:
        name = f"executor-tier{tier}"
        config = self._home.project / "services/executor/config"
        settings = {
            "TIER": str(tier),
            "TAGS": str(config / "tags.yaml"),
            "PRICES": str(config / "prices.yaml"),
            "AGGREGATOR_ADDRESS": self._at["aggregator"],
            "INSIGHTS_ADDRESS": self._at["insights"],
            "INSIGHTS_TOKEN_FILE": str(self._home.keys / "executor.token"),
            "SPOOL": str(self._home.spool / f"{name}.sqlite"),
            "API_KEY_FILE": self._model_key_file,
        }
        if self._model_url:
            settings["BASE_URL"] = self._model_url
        after = ("simulator", "aggregator") if self.simulated else ("aggregator",)
        return self._service("executor", settings, name=name, after=after)

    def suggester(self) -> Process:
        settings = {
            "PACK": str(self._home.pack),
            "EXECUTOR_ADDRESS": self._at["executor-tier2"],
            "CLASSIFIER_ADDRESS": self._at["classifier"],
        }
        return self._service("suggester", settings)

    def gateway(self) -> Process:
        """The one service that is given no public key: it mints the principals."""
        settings = {
            "JWKS": str(self._home.keys / "jwks.json"),
            "PRINCIPAL_KEY": str(self._home.keys / "principal.pem"),
            "TENANTS": str(self._home.tenants),
            "PACKS": str(self._home.project / "packs"),
            "STORE": str(self._home.data / "conversations.sqlite"),
            "SPOOL": str(self._home.spool / "gateway.sqlite"),
        }
        called = ("classifier", "executor-tier1", "executor-tier2", "aggregator", "suggester", "insights")
        settings |= {f"{name.upper().replace('-', '_')}_ADDRESS": self._at[name] for name in called}
        return self._process("gateway", settings, after=called[:4])

    def console(self) -> Process:
        settings = {
            "GATEWAY_ADDRESS": self._at["gateway"],
            "INSIGHTS_ADDRESS": self._at["insights"],
            "SESSION_KEY_FILE": str(self._home.keys / "console.key"),
            "EXAMPLE_QUESTIONS": json.dumps([each.text for each in QUESTIONS if not each.follow_up]),
            # Browsers on this machine reach it without TLS, and sign in as the development company's people.
            "SECURE_COOKIES": "false",
            "DEVELOPMENT_PEOPLE": str(self._home.keys / "people.json"),
            "DEVELOPMENT_KEY": str(self._home.keys / "sign-in.pem"),
        }
        return self._process("console", settings, http=True)

    def _service(
        self, service: str, settings: Mapping[str, str], *, name: str = "", after: tuple[str, ...] = ()
    ) -> Process:
        """An inner service: one that checks signed principals."""
        key = {"PRINCIPAL_PUBLIC_KEY": str(self._home.keys / "principal.pub.pem")}
        return self._process(service, {**key, **settings}, name=name, after=after)

    def _process(
        self,
        service: str,
        settings: Mapping[str, str],
        *,
        name: str = "",
        after: tuple[str, ...] = (),
        http: bool = False,
    ) -> Process:
        port = self._ports[name or service]
        settings = {"PORT": str(port), **settings}
        environment = {f"TIERMESH_{service.upper()}_{setting}": value for setting, value in settings.items()}
        return Process(name or service, f"tiermesh_{service}", port, environment, after=after, http=http)
