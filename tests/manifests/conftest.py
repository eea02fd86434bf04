"""Renders the manifests the way `kubectl apply -k` would, and hands out their objects."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
MANIFESTS = PROJECT / "k8s"
ROOTS = sorted(
    path.parent.relative_to(MANIFESTS).as_posix()
    for path in MANIFESTS.rglob("kustomization.yaml")
    if "kind: Component" not in path.read_text()
)
Object = Mapping[str, Any]


@functools.cache
def rendered(root: str) -> str:
    """Return what one root of `k8s/` builds; fails with what kustomize says."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed: nothing renders the manifests here", allow_module_level=True)
    done = subprocess.run(
        [kubectl, "kustomize", str(MANIFESTS / root)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@functools.cache
def objects(root: str, kind: str | None = None) -> Sequence[Object]:
    """Return the objects of one root, of one kind when that is named."""
    if kind is None:
        return [each for each in yaml.load_all(rendered(root), yaml.CSafeLoader) if each]
    return [each for each in objects(root) if each["kind"] == kind]


def container(workload: Object) -> Object:
    """Return the one container of a workload."""
    (only,) = workload["spec"]["template"]["spec"]["containers"]
    return dict(only)


def settings_of(workload: Object, root: str) -> Mapping[str, str]:
    """Return the variables that a Deployment takes from its ConfigMap."""
    (source,) = container(workload)["envFrom"]
    name = source["configMapRef"]["name"]
    (found,) = [each for each in objects(root, "ConfigMap") if each["metadata"]["name"] == name]
    return dict(found["data"])
