"""Every combination of variations that a service's overlay may pull in builds, and each brings what it is for."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from .conftest import MANIFESTS, container

BASES = sorted(path.parent.parent.name for path in MANIFESTS.glob("*/base/kustomization.yaml"))
STORES = {"gateway", "aggregator", "insights"}


def variations(service: str) -> Sequence[str]:
    """Return the components that fit a service: the console has no calls to count, and only three have a store."""
    fitting = ["otel", "mtls"]
    if service != "console":
        fitting.append("scaling")
    if service in STORES:
        fitting.insert(0, "postgres")
    return fitting


def subsets(service: str) -> Iterator[Sequence[str]]:
    fitting = variations(service)
    for size in range(len(fitting) + 1):
        yield from combinations(fitting, size)


def built(folder: Path, service: str, components: Sequence[str]) -> list[dict[str, Any]]:
    """Render a base with some components; fails with what kustomize says."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed: nothing renders the manifests here")
    described = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(MANIFESTS / service / "base", folder)],
        "components": [os.path.relpath(MANIFESTS / "components" / each, folder) for each in components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(described))
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{service} with {components}: {done.stderr}"
    return [each for each in yaml.load_all(done.stdout, yaml.CSafeLoader) if each]


@pytest.mark.parametrize("service", BASES)
def test_every_combination_of_components_builds_and_brings_each_variation(service: str, tmp_path: Path) -> None:
    for components in subsets(service):
        objects = built(tmp_path, service, components)
        kinds = {each["kind"] for each in objects}
        (deployment,) = [each for each in objects if each["kind"] == "Deployment"]
        kubernetes_validate.validate(deployment, "1.37", strict=True)
        mounted = {mount["mountPath"] for mount in container(deployment)["volumeMounts"]}
        variables = {each["name"] for each in container(deployment)["env"]}
        assert ("OTEL_EXPORTER_OTLP_ENDPOINT" in variables) == ("otel" in components)
        assert ("/etc/tiermesh/tls" in mounted) == ("mtls" in components)
        assert ("ScaledObject" in kinds) == ("scaling" in components)
        assert ("replicas" in deployment["spec"]) == ("scaling" not in components)
        assert ("/etc/tiermesh/postgres" in mounted) == ("postgres" in components)
