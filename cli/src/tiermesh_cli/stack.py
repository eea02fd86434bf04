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
    simulated = model_key_file is None
    at = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    public_key = str(home.keys / "principal.pub.pem")
    simulator = Process(
        "simulator", "tiermesh_simulator", ports["simulator"], arguments=("--port", str(ports["simulator"])), http=True
    )
    processes = [simulator] if simulated else []
    base_url = f"http://{at['simulator']}" if simulated else model_url
    processes += [
        Process(
            "insights",
            "tiermesh_insights",
            ports["insights"],
            {
                "TIERMESH_INSIGHTS_PORT": str(ports["insights"]),
                "TIERMESH_INSIGHTS_PRINCIPAL_PUBLIC_KEY": public_key,
                "TIERMESH_INSIGHTS_DATABASE": f"sqlite:///{home.data / 'insights.sqlite'}",
                "TIERMESH_INSIGHTS_EXECUTOR_ADDRESS": at["executor-tier2"],
                "TIERMESH_INSIGHTS_EXECUTOR_TOKEN_FILE": str(home.keys / "insights.token"),
            },
        ),
        Process(
            "classifier",
            "tiermesh_classifier",
            ports["classifier"],
            {
                "TIERMESH_CLASSIFIER_PORT": str(ports["classifier"]),
                "TIERMESH_CLASSIFIER_PRINCIPAL_PUBLIC_KEY": public_key,
                "TIERMESH_CLASSIFIER_PACK": str(home.pack),
                "TIERMESH_CLASSIFIER_ARTEFACT": str(home.classifier_model),
                # The simulator knows no labels: to ask it would cost time and say nothing.
                **({} if simulated else {"TIERMESH_CLASSIFIER_EXECUTOR_ADDRESS": at["executor-tier1"]}),
            },
        ),
        Process(
            "aggregator",
            "tiermesh_aggregator",
            ports["aggregator"],
            {
                "TIERMESH_AGGREGATOR_PORT": str(ports["aggregator"]),
                "TIERMESH_AGGREGATOR_PRINCIPAL_PUBLIC_KEY": public_key,
                "TIERMESH_AGGREGATOR_PACK": str(home.pack),
                "TIERMESH_AGGREGATOR_DATABASE": home.database,
                "TIERMESH_AGGREGATOR_ACTION_KEY_FILE": str(home.keys / "action.key"),
            },
        ),
    ]
    for tier in (1, 2):
        name = f"executor-tier{tier}"
        environment = {
            "TIERMESH_EXECUTOR_PORT": str(ports[name]),
            "TIERMESH_EXECUTOR_TIER": str(tier),
            "TIERMESH_EXECUTOR_PRINCIPAL_PUBLIC_KEY": public_key,
            "TIERMESH_EXECUTOR_TAGS": str(home.project / "services/executor/config/tags.yaml"),
            "TIERMESH_EXECUTOR_PRICES": str(home.project / "services/executor/config/prices.yaml"),
            "TIERMESH_EXECUTOR_AGGREGATOR_ADDRESS": at["aggregator"],
            "TIERMESH_EXECUTOR_INSIGHTS_ADDRESS": at["insights"],
            "TIERMESH_EXECUTOR_INSIGHTS_TOKEN_FILE": str(home.keys / "executor.token"),
            "TIERMESH_EXECUTOR_SPOOL": str(home.spool / f"{name}.sqlite"),
            "TIERMESH_EXECUTOR_API_KEY_FILE": model_key_file or str(home.keys / "simulator.key"),
        }
        if base_url:
            environment["TIERMESH_EXECUTOR_BASE_URL"] = base_url
        after = ("simulator", "aggregator") if simulated else ("aggregator",)
        processes.append(Process(name, "tiermesh_executor", ports[name], environment, after=after))
    processes += [
        Process(
            "suggester",
            "tiermesh_suggester",
            ports["suggester"],
            {
                "TIERMESH_SUGGESTER_PORT": str(ports["suggester"]),
                "TIERMESH_SUGGESTER_PRINCIPAL_PUBLIC_KEY": public_key,
                "TIERMESH_SUGGESTER_PACK": str(home.pack),
                "TIERMESH_SUGGESTER_EXECUTOR_ADDRESS": at["executor-tier2"],
                "TIERMESH_SUGGESTER_CLASSIFIER_ADDRESS": at["classifier"],
            },
        ),
        Process(
            "gateway",
            "tiermesh_gateway",
            ports["gateway"],
            {
                "TIERMESH_GATEWAY_PORT": str(ports["gateway"]),
                "TIERMESH_GATEWAY_JWKS": str(home.keys / "jwks.json"),
                "TIERMESH_GATEWAY_PRINCIPAL_KEY": str(home.keys / "principal.pem"),
                "TIERMESH_GATEWAY_TENANTS": str(home.tenants),
                "TIERMESH_GATEWAY_PACKS": str(home.project / "packs"),
                "TIERMESH_GATEWAY_STORE": str(home.data / "conversations.sqlite"),
                "TIERMESH_GATEWAY_SPOOL": str(home.spool / "gateway.sqlite"),
                "TIERMESH_GATEWAY_CLASSIFIER_ADDRESS": at["classifier"],
                "TIERMESH_GATEWAY_EXECUTOR_TIER1_ADDRESS": at["executor-tier1"],
                "TIERMESH_GATEWAY_EXECUTOR_TIER2_ADDRESS": at["executor-tier2"],
                "TIERMESH_GATEWAY_AGGREGATOR_ADDRESS": at["aggregator"],
                "TIERMESH_GATEWAY_SUGGESTER_ADDRESS": at["suggester"],
                "TIERMESH_GATEWAY_INSIGHTS_ADDRESS": at["insights"],
            },
            after=("classifier", "executor-tier1", "executor-tier2", "aggregator"),
        ),
        Process(
            "console",
            "tiermesh_console",
            ports["console"],
            {
                "TIERMESH_CONSOLE_PORT": str(ports["console"]),
                "TIERMESH_CONSOLE_GATEWAY_ADDRESS": at["gateway"],
                "TIERMESH_CONSOLE_INSIGHTS_ADDRESS": at["insights"],
                "TIERMESH_CONSOLE_SESSION_KEY_FILE": str(home.keys / "console.key"),
                "TIERMESH_CONSOLE_EXAMPLE_QUESTIONS": json.dumps(
                    [each.text for each in QUESTIONS if not each.follow_up]
                ),
                # Browsers on this machine reach it without TLS, and sign in as the development company's people.
                "TIERMESH_CONSOLE_SECURE_COOKIES": "false",
                "TIERMESH_CONSOLE_DEVELOPMENT_PEOPLE": str(home.keys / "people.json"),
                "TIERMESH_CONSOLE_DEVELOPMENT_KEY": str(home.keys / "sign-in.pem"),
            },
            http=True,
        ),
    ]
    return processes


def _openings() -> list[str]:
    return [question.text for question in QUESTIONS if not question.follow_up]
