"""Each point that a pod of ours must keep to, asserted on what the overlays render to."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from google.protobuf import descriptor_pool
from tiermesh_runtime.settings import ServiceSettings, env_prefix

from .conftest import PROJECT, ROOTS, Object, container, objects, settings_of

SUITES = ["overlays/dev", "overlays/prod"]
OLDEST, NEWEST = "1.34", "1.37"
UNITS = {"m": 1e-3, "": 1, "k": 1e3, "Ki": 1024, "Mi": 1024**2, "Gi": 1024**3}


def deployments() -> Iterator[Any]:
    for root in SUITES:
        for each in objects(root, "Deployment"):
            yield pytest.param(root, each, id=f"{root.rpartition('/')[2]}-{each['metadata']['name']}")


every_deployment = pytest.mark.parametrize(("root", "deployment"), list(deployments()))

in_production = objects("overlays/prod", "Deployment")


def quantity(text: Any) -> float:
    """Read a Kubernetes quantity; what the API server would refuse fails here."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(m|k|Ki|Mi|Gi|)", str(text))
    assert match, f"{text!r} is no quantity"
    return float(match[1]) * UNITS[match[2]]


def settings_class(deployment: Object) -> type[ServiceSettings]:
    """Return the settings that a Deployment's process reads."""
    service = container(deployment)["image"].rpartition("/")[2].partition(":")[0].partition("@")[0]
    module = importlib.import_module(f"tiermesh_{service}.settings")
    (found,) = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, ServiceSettings) and value is not ServiceSettings
    ]
    return found


@pytest.mark.parametrize("root", ROOTS)
def test_every_base_and_overlay_builds_alone(root: str) -> None:
    assert objects(root)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("root", [*SUITES, *(root for root in ROOTS if root.startswith("platform/"))])
def test_the_manifests_hold_against_the_schemas_of_kubernetes(root: str, version: str) -> None:
    for each in objects(root):
        if each["apiVersion"] not in {"keda.sh/v1alpha1", "monitoring.coreos.com/v1"}:  # their own schemas check those
            kubernetes_validate.validate(dict(each), version, strict=True)


@pytest.mark.parametrize("root", ["overlays/prod", "platform/monitoring"])
def test_custom_resources_hold_against_their_own_schemas(root: str) -> None:
    here = PROJECT / "tests" / "manifests"
    if shutil.which("node") is None or not (here / "node_modules").is_dir():
        pytest.skip("Node or its packages are not installed (make node): nothing checks custom resources here")
    done = subprocess.run(
        ["node", "custom_resources.js"],
        cwd=here,
        input=json.dumps(objects(root), default=str),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["checked"] >= 1
    assert found["problems"] == []


@pytest.mark.parametrize("root", ROOTS)
def test_nothing_is_named_twice_and_nothing_names_what_is_not_there(root: str) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in objects(root)]
    assert len(names) == len(set(names))
    for workload in objects(root, "Deployment"):
        pod = workload["spec"]["template"]["spec"]
        for volume in pod["volumes"]:
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in names
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in names
        assert ("ServiceAccount", pod["serviceAccountName"]) in names
        mounted = {mount["name"] for mount in container(workload)["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
    for scaled in objects(root, "ScaledObject"):
        assert ("Deployment", scaled["spec"]["scaleTargetRef"]["name"]) in names


@every_deployment
def test_selectors_match_the_pods_labels(root: str, deployment: Object) -> None:
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    name = deployment["metadata"]["name"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels
    (service,) = [each for each in objects(root, "Service") if each["metadata"]["name"] == name]
    assert service["spec"]["selector"].items() <= labels
    (budget,) = [each for each in objects(root, "PodDisruptionBudget") if each["metadata"]["name"] == name]
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    (policy,) = [each for each in objects(root, "NetworkPolicy") if each["metadata"]["name"] == name]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


@every_deployment
def test_the_pod_is_restricted_and_writes_to_its_volumes_alone(root: str, deployment: Object) -> None:
    pod = deployment["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(deployment)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    for mount in container(deployment)["volumeMounts"]:
        volume = next(each for each in pod["volumes"] if each["name"] == mount["name"])
        if "secret" in volume or "configMap" in volume:
            assert mount["readOnly"] is True


@every_deployment
def test_requests_are_within_limits_and_no_process_is_throttled(root: str, deployment: Object) -> None:
    resources = container(deployment)["resources"]
    assert quantity(resources["requests"]["memory"]) <= quantity(resources["limits"]["memory"])
    assert 0 < quantity(resources["requests"]["cpu"]) <= 1, "one process is one core"
    assert set(resources["limits"]) == {"memory"}


@every_deployment
def test_every_variable_is_one_that_the_service_reads(root: str, deployment: Object) -> None:
    cls = settings_class(deployment)
    known = {env_prefix(cls) + name.upper() for name in cls.model_fields}
    assert set(settings_of(deployment, root)) <= known
    secrets = re.compile(r"PASSWORD|TOKEN|KEY|SECRET")
    for variable, value in settings_of(deployment, root).items():
        if secrets.search(variable):
            assert value.startswith("/etc/tiermesh/"), f"{variable} is to name a file"


@every_deployment
def test_files_that_settings_name_lie_on_a_mounted_volume(root: str, deployment: Object) -> None:
    mounts = tuple(mount["mountPath"] for mount in container(deployment)["volumeMounts"])
    for variable, value in settings_of(deployment, root).items():
        path = re.sub(r"^(sqlite|duckdb):///", "", value)
        if path.startswith("/"):
            assert path.startswith(mounts), f"{variable} names {path}, where nothing is mounted"


@every_deployment
def test_probes_ask_the_port_that_answers_them(root: str, deployment: Object) -> None:
    one, settings = container(deployment), settings_of(deployment, root)
    prefix = env_prefix(settings_class(deployment))
    ports = {port["containerPort"] for port in one["ports"]}
    assert int(settings[f"{prefix}PORT"]) in ports
    probed = int(settings.get(f"{prefix}HEALTH_PORT", settings[f"{prefix}PORT"]))
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        kind = one[name].get("grpc") or one[name]["httpGet"]
        assert kind["port"] in {probed, "http"}
    if "grpc" in one["readinessProbe"]:
        service = one["readinessProbe"]["grpc"]["service"]
        importlib.import_module(service.rsplit(".", 1)[0] + f".{service.split('.')[1]}_service_pb2")
        assert descriptor_pool.Default().FindServiceByName(service)
        assert "service" not in one["livenessProbe"]["grpc"], "the process's life hangs on no dependency"


@every_deployment
def test_a_pod_gets_the_time_that_its_drain_takes(root: str, deployment: Object) -> None:
    settings, prefix = settings_of(deployment, root), env_prefix(settings_class(deployment))
    wait = container(deployment)["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = float(settings[f"{prefix}DRAIN_SECONDS"])
    longest = settings_class(deployment).model_fields["max_deadline_seconds"].default
    name = deployment["metadata"]["name"]
    if name == "gateway" or name.startswith("executor"):
        assert drain > longest, "the longest stream is cut"
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= wait + drain + 5


@pytest.mark.parametrize(
    "deployment", objects("overlays/prod", "Deployment"), ids=lambda each: each["metadata"]["name"]
)
def test_in_production_a_roll_out_takes_no_pod_before_another_is_ready(deployment: Object) -> None:
    assert deployment["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0},
    }
    scaled = {each["spec"]["scaleTargetRef"]["name"]: each for each in objects("overlays/prod", "ScaledObject")}
    name = deployment["metadata"]["name"]
    replicas = scaled[name]["spec"]["minReplicaCount"] if name in scaled else deployment["spec"]["replicas"]
    assert replicas >= 2
    assert ("replicas" in deployment["spec"]) != (name in scaled), "two would own the number of pods"


def test_pods_roll_when_their_configuration_changes() -> None:
    for root in SUITES:
        for each in objects(root, "ConfigMap"):
            assert re.search(r"-[a-z0-9]{10}$", each["metadata"]["name"])


def test_no_secret_is_written_down() -> None:
    for root in ROOTS:
        assert objects(root, "Secret") == []


@pytest.mark.parametrize("root", SUITES)
def test_jobs_are_as_restricted_as_services_and_run_what_their_image_has(root: str) -> None:
    templates = [each["spec"]["jobTemplate"] for each in objects(root, "CronJob")]
    names = {each["metadata"]["name"] for each in objects(root, "CronJob")}
    assert names == {"refresh-views", "weekly-audit", "quarterly-tuning"}
    for template in (*templates, *objects(root, "Job")):
        pod = template["spec"]["template"]["spec"]
        (one,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert one["securityContext"]["readOnlyRootFilesystem"] is True
        assert quantity(one["resources"]["requests"]["memory"]) <= quantity(one["resources"]["limits"]["memory"])
        assert template["spec"]["activeDeadlineSeconds"]
        assert {mount["name"] for mount in one["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
        importlib.import_module(one["args"][1])
        wanted = {argument.partition("=")[0] for argument in one["args"] if argument.startswith("--")}
        source = importlib.import_module(one["args"][1]).__file__ or ""
        assert {option for option in wanted if f'"{option}"' not in Path(source).read_text()} == set()


def test_in_production_the_schema_is_changed_by_a_job_and_not_by_the_service() -> None:
    jobs = {each["metadata"]["name"]: each["metadata"]["annotations"] for each in objects("overlays/prod", "Job")}
    assert set(jobs) == {"insights-migrate", "aggregator-secure"}
    assert {annotations["argocd.argoproj.io/hook"] for annotations in jobs.values()} == {"PreSync"}
    (insights,) = [each for each in objects("overlays/prod", "Deployment") if each["metadata"]["name"] == "insights"]
    assert settings_of(insights, "overlays/prod")["TIERMESH_INSIGHTS_MIGRATE"] == "false"
    assert objects("overlays/dev", "Job") == []
