"""The house's own rules, checked over the whole tree."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml
from tiermesh_policy import Prices, TenantPolicy, Tier

PROJECT = Path(__file__).parents[2]
SERVICES = sorted(path.parent for path in (PROJECT / "services").glob("*/pyproject.toml"))
PACKAGES = sorted(path.parent for path in (PROJECT / "packages").glob("*/pyproject.toml"))
NAMES = [path.name for path in SERVICES]


def imported_packages(folder: Path) -> set[str]:
    """Return our own top-level packages that the sources of a folder import."""
    pattern = re.compile(r"^\s*(?:from|import) (tiermesh(?:_\w+)?)\b", re.MULTILINE)
    return {name for path in (folder / "src").rglob("*.py") for name in pattern.findall(path.read_text())}


def declared_packages(folder: Path) -> set[str]:
    """Return our own packages that a folder's pyproject.toml declares, as import names; extras are declarations too."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    dependencies = [*project["dependencies"], *chain(*project.get("optional-dependencies", {}).values())]
    names = {re.split(r"[\[<>=~! ]", dependency, maxsplit=1)[0] for dependency in dependencies}
    ours = {name.replace("-", "_") for name in names if name.startswith("tiermesh-")}
    return {"tiermesh" if name == "tiermesh_contracts" else name for name in ours}


def test_the_import_arrows_hold() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([linter, "--no-cache"], cwd=PROJECT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("folder", [*SERVICES, *PACKAGES], ids=lambda path: path.name)
def test_a_package_declares_exactly_the_packages_of_ours_that_it_imports(folder: Path) -> None:
    imported = imported_packages(folder) - {f"tiermesh_{folder.name}"}
    if folder.name == "contracts":
        imported -= {"tiermesh"}
    assert declared_packages(folder) == imported


@pytest.mark.parametrize("folder", SERVICES, ids=lambda path: path.name)
def test_a_service_can_be_deployed_alone(folder: Path) -> None:
    for name in ("README.md", "Dockerfile", "tests", f"src/tiermesh_{folder.name}/__main__.py"):
        assert (folder / name).exists(), f"{name} is missing"
    dockerfile = (folder / "Dockerfile").read_text()
    assert re.search(r"^USER 65532", dockerfile, re.MULTILINE), "the image runs as root"
    final_stage = dockerfile.rpartition("\nFROM ")[2]
    assert "pip install" not in final_stage
    for package in declared_packages(folder):
        source = "contracts" if package == "tiermesh" else package.removeprefix("tiermesh_")
        assert f"packages/{source}" in dockerfile, f"the image lacks packages/{source}"


@pytest.mark.parametrize("folder", SERVICES, ids=lambda path: path.name)
def test_the_simulator_is_in_no_image_and_no_service_knows_it(folder: Path) -> None:
    assert "simulator" not in (folder / "Dockerfile").read_text()
    assert "simulator" not in (folder / "pyproject.toml").read_text()
    mentions = [path for path in (folder / "src").rglob("*.py") if "tiermesh_simulator" in path.read_text()]
    assert mentions == []


def test_every_rpc_says_what_it_does() -> None:
    bare = re.compile(r"^(?!\s*//).*\n\s*(rpc \w+)", re.MULTILINE)
    undocumented = {
        path.name: found
        for path in (PROJECT / "protos" / "tiermesh").rglob("*.proto")
        if (found := bare.findall(path.read_text()))
    }
    assert undocumented == {}


def test_no_lock_file_or_setting_names_a_package_index() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    suspects = [
        name
        for name in tracked.split()
        if name.endswith((".txt", ".toml", ".json", ".npmrc", ".cfg", "Dockerfile", "Makefile", ".sh", "run"))
        and re.search(r"index-url|https?://\S*(/simple|registry)", (PROJECT / name).read_text(errors="ignore"))
    ]
    assert suspects == []


def test_what_the_decision_takes_for_the_tiers_prices_is_what_is_booked_for_their_models() -> None:
    executor = PROJECT / "services/executor/config"
    prices = yaml.safe_load((executor / "prices.yaml").read_text())["models"]
    tags = yaml.safe_load((executor / "tags.yaml").read_text())["tags"]
    for tier, tag in ((Tier.ONE, "answer-simple"), (Tier.TWO, "answer-complex")):
        booked = prices[tags[tag]["candidates"][0]["model"]]
        assert TenantPolicy().costs.prices[tier] == Prices(float(booked["input"]), float(booked["output"]))
