"""One pattern of Dockerfile; each image holds what its service declares and reads. `tests/images.sh` builds them."""

from __future__ import annotations

import importlib
import re
import tomllib
from collections.abc import Mapping

import pytest
from tiermesh_runtime.settings import ServiceSettings, env_prefix

from .conftest import PROJECT, container, objects

SERVICES = sorted(path.parent.name for path in PROJECT.glob("services/*/Dockerfile"))
every_service = pytest.mark.parametrize("service", SERVICES)


def dockerfile(service: str) -> str:
    """Return a service's Dockerfile with continued lines joined."""
    return (PROJECT / "services" / service / "Dockerfile").read_text().replace("\\\n", " ")


def last_stage(service: str) -> str:
    return re.split(r"^FROM ", dockerfile(service), flags=re.MULTILINE)[-1]


def environment(service: str) -> Mapping[str, str]:
    """Return what the image's ENV lines set."""
    lines = re.findall(r"^ENV (.*)$", last_stage(service), re.MULTILINE)
    return {name: value for line in lines for name, _, value in (each.partition("=") for each in line.split())}


def declared(folder: str) -> set[str]:
    """Return our own packages that one of our distributions needs to run, with what those need."""
    project = tomllib.loads((PROJECT / folder / "pyproject.toml").read_text())["project"]
    named = {match[1] for each in project["dependencies"] if (match := re.match(r"tiermesh-([a-z]+)", each))}
    return named.union(*(declared(f"packages/{each}") for each in named))


@every_service
def test_every_image_has_the_one_shape(service: str) -> None:
    stages = re.findall(r"^FROM (\S+)", dockerfile(service), re.MULTILINE)
    assert set(stages) <= {"python:3.11-slim", "build"}
    final = last_stage(service)
    assert "RUN pip" not in final
    assert final.index("USER 65532:65532") < final.index("ENTRYPOINT")
    assert f'ENTRYPOINT ["/venv/bin/python", "-m", "tiermesh_{service}"]' in final
    assert environment(service)["PYTHONDONTWRITEBYTECODE"] == "1", "the root is read-only"
    assert environment(service)[f"TIERMESH_{service.upper()}_HOST"] == "0.0.0.0"


@every_service
def test_an_image_holds_every_package_that_its_service_declares(service: str) -> None:
    built = re.split(r"^FROM ", dockerfile(service), flags=re.MULTILINE)[1]
    installed = set(re.findall(r"\./packages/([a-z]+)", built))
    assert installed == declared(f"services/{service}")


@every_service
def test_a_service_that_reads_a_pack_has_one_in_its_image(service: str) -> None:
    module = importlib.import_module(f"tiermesh_{service}.settings")
    (cls,) = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, ServiceSettings) and value is not ServiceSettings
    ]
    reads = {"pack", "packs"} & cls.model_fields.keys()
    for name in reads:
        folder = environment(service)[env_prefix(cls) + name.upper()]
        assert "COPY packs /app/packs" in last_stage(service)
        assert folder in {"/app/packs", "/app/packs/hr"}


def test_jobs_start_the_interpreter_that_their_image_has() -> None:
    for each in (*objects("overlays/prod", "CronJob"), *objects("overlays/prod", "Job")):
        template = each["spec"].get("jobTemplate", each)["spec"]["template"]
        assert container({"spec": {"template": template}})["command"] == ["/venv/bin/python"]
        for argument in container({"spec": {"template": template}})["args"]:
            if argument.startswith("--pack="):
                assert argument == "--pack=/app/packs/hr"
