"""How pods are found, spread, scaled and configured; jobs; and that requests follow what was measured."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import pytest
import yaml

from .conftest import PROJECT, Object, container, objects, settings_of

PRODUCTION = "overlays/prod"
every_deployment = pytest.mark.parametrize(
    "deployment", objects(PRODUCTION, "Deployment"), ids=lambda each: each["metadata"]["name"]
)


def name_of(each: Object) -> str:
    return str(each["metadata"]["name"])


@every_deployment
def test_clients_see_every_pod_of_a_grpc_service_and_spread_calls_themselves(deployment: Object) -> None:
    (service,) = [each for each in objects(PRODUCTION, "Service") if name_of(each) == name_of(deployment)]
    speaks_grpc = deployment["metadata"]["labels"]["tiermesh.io/protocol"] == "grpc"
    assert (service["spec"].get("clusterIP") == "None") == speaks_grpc, "browsers get one address, channels all pods"
    (port,) = service["spec"]["ports"]
    assert port["targetPort"] in {each["name"] for each in container(deployment)["ports"]}


@every_deployment
def test_pods_are_spread_over_zones_and_nodes(deployment: Object) -> None:
    pod = deployment["spec"]["template"]
    constraints = pod["spec"]["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in constraints] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    for each in constraints:
        assert each["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        assert each["matchLabelKeys"] == ["app.kubernetes.io/name", "pod-template-hash"]


def test_what_waits_for_models_or_computes_is_scaled_on_its_calls_in_flight() -> None:
    scaled = {each["spec"]["scaleTargetRef"]["name"]: each["spec"] for each in objects(PRODUCTION, "ScaledObject")}
    assert set(scaled) == {"gateway", "classifier", "executor-tier1", "executor-tier2", "suggester", "aggregator"}
    for name, spec in scaled.items():
        (trigger,) = spec["triggers"]
        assert trigger["metadata"]["query"] == f'sum(tiermesh_server_in_flight{{k8s_deployment_name="{name}"}})'
        assert int(trigger["metadata"]["threshold"]) == {"classifier": 2, "aggregator": 4}.get(name, 100)
        # Without metrics it must not shrink, and with them it must not run away.
        assert 2 <= spec["minReplicaCount"] <= spec["fallback"]["replicas"] <= spec["maxReplicaCount"]


@every_deployment
def test_a_roll_out_waits_until_callers_can_know_the_new_pod(deployment: Object) -> None:
    spec = deployment["spec"]
    # A headless name is cached for up to 30 s, and a channel does not ask more often than every 5 s.
    assert spec["minReadySeconds"] >= 30 + 5
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


@every_deployment
def test_one_disruption_budget_per_service_lets_one_pod_go(deployment: Object) -> None:
    (budget,) = [each for each in objects(PRODUCTION, "PodDisruptionBudget") if name_of(each) == name_of(deployment)]
    assert budget["spec"]["maxUnavailable"] == 1


@every_deployment
def test_secrets_are_files_and_never_variables(deployment: Object) -> None:
    one = container(deployment)
    assert all("secretRef" not in each for each in one["envFrom"])
    assert all("secretKeyRef" not in each.get("valueFrom", {}) for each in one["env"])


@every_deployment
def test_a_pod_without_its_secret_does_not_start_and_says_which(deployment: Object) -> None:
    for volume in deployment["spec"]["template"]["spec"]["volumes"]:
        for kind in ("secret", "configMap"):
            assert "optional" not in volume.get(kind, {})


def test_tags_prices_and_tenants_come_from_the_services_own_files() -> None:
    maps = {re.sub(r"-[a-z0-9]{10}$", "", name_of(each)): each["data"] for each in objects(PRODUCTION, "ConfigMap")}
    models = PROJECT / "services/executor/config"
    for tier in ("tier1", "tier2"):
        assert maps[f"executor-models-{tier}"]["tags.yaml"] == (models / "tags.yaml").read_text()
        assert maps[f"executor-models-{tier}"]["prices.yaml"] == (models / "prices.yaml").read_text()
    tenants = {path.name: path.read_text() for path in (PROJECT / "services/gateway/config/tenants").glob("*.yaml")}
    assert maps["gateway-tenants"] == tenants


@pytest.mark.parametrize("root", ["overlays/dev", PRODUCTION])
def test_spools_outlive_the_process(root: str) -> None:
    spools = 0
    for deployment in objects(root, "Deployment"):
        volumes = {each["name"]: each for each in deployment["spec"]["template"]["spec"]["volumes"]}
        for variable, value in settings_of(deployment, root).items():
            if variable.endswith("_SPOOL"):
                (mount,) = [
                    each for each in container(deployment)["volumeMounts"] if value.startswith(each["mountPath"])
                ]
                assert "emptyDir" in volumes[mount["name"]]
                assert volumes[mount["name"]]["emptyDir"]["sizeLimit"], "a full spool must not evict its neighbours"
                spools += 1
    assert spools == 3


def test_jobs_run_when_they_are_due_and_one_at_a_time() -> None:
    due = {name_of(each): each["spec"] for each in objects(PRODUCTION, "CronJob")}
    assert {name: spec["schedule"] for name, spec in due.items()} == {
        "refresh-views": "30 2 * * *",
        "weekly-audit": "0 4 * * 1",
        "quarterly-tuning": "0 5 1 1,4,7,10 *",
    }
    assert {spec["concurrencyPolicy"] for spec in due.values()} == {"Forbid"}


def test_the_collectors_say_whether_they_run() -> None:
    root = "platform/otel-collector"
    configs = {re.sub(r"-[a-z0-9]{10}$", "", name_of(each)): each["data"] for each in objects(root, "ConfigMap")}
    for deployment in objects(root, "Deployment"):
        (text,) = configs[name_of(deployment)].values()
        config = yaml.safe_load(text)
        assert config["service"]["extensions"] == ["health_check"]
        port = int(config["extensions"]["health_check"]["endpoint"].rpartition(":")[2])
        ports = {each["name"]: each["containerPort"] for each in container(deployment)["ports"]}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert ports[container(deployment)[probe]["httpGet"]["port"]] == port


def test_what_a_service_held_when_it_was_measured_fits_into_its_request() -> None:
    measured = json.loads((PROJECT / "bench/results/capacity.json").read_text())
    held: Mapping[str, float] = {
        name: max(row["memory_mb"][name] for row in measured["rows"]) for name in measured["memory_mb_idle"]
    }
    for deployment in objects(PRODUCTION, "Deployment"):
        request = str(container(deployment)["resources"]["requests"]["memory"])
        assert request.endswith("Mi")
        assert held[name_of(deployment)] <= float(request[:-2]), f"{name_of(deployment)} held more than it asks for"
