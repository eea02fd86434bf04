"""Tenants from files, one each: checked on load, read again on change, the last good one kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import structlog
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from tiermesh_policy import PolicyProblem, PolicyProblems, TenantPolicy, Vocabulary, parse_policy
from tiermesh_policy.schema import policy_schema, problems_of
from tiermesh_runtime.reloading import Stamp, stamp_of

from tiermesh_gateway.errors import UnknownTenant
from tiermesh_gateway.question import Tenant

# Vocabulary of a pack such as "hr@1.0.0"; LookupError says what is wrong with it.
Vocabularies = Callable[[str], Vocabulary]


class TenantsUnusableError(Exception):
    """Tenant files that cannot be used; the message lists every problem with its file."""


class TenantFile(BaseModel):
    """What a tenant's file says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    pack: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}@[0-9A-Za-z.+-]{1,40}$")]
    time_zone: str = "UTC"
    locale: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{0,35}$")] = ""
    policy: dict[str, Any] = {}

    @field_validator("time_zone")
    @classmethod
    def _is_time_zone(cls, value: str) -> str:
        if not known_time_zone(value):
            message = "no known time zone; use an IANA name such as Europe/Berlin"
            raise ValueError(message)
        return value


@dataclass(frozen=True, slots=True)
class LiveThreshold:
    """A threshold that was applied at run time."""

    value: float
    version: str


class TenantBook:
    """The tenants of a folder, with the thresholds that were set since."""

    def __init__(self, folder: Path, vocabularies: Vocabularies) -> None:
        """TenantsUnusableError with every problem of every file: a start-up error."""
        self._folder = folder
        self._vocabularies = vocabularies
        self._stamps = self._look()
        loaded, problems = self._load(self._stamps)
        if not self._stamps:
            problems.append(f"{folder}: no tenant file; add one such as acme.yaml")
        if problems:
            raise TenantsUnusableError("\n".join(problems))
        self._by_file: Mapping[Path, Tenant] = loaded
        self._live: dict[str, LiveThreshold] = {}
        self._by_name = self._named()

    def get(self, name: str) -> Tenant:
        """The tenant of this name; UnknownTenant when there is none."""
        tenant = self._by_name.get(name)
        if tenant is None:
            raise UnknownTenant
        return tenant

    def set_threshold(self, name: str, live: LiveThreshold | None) -> bool:
        """Take a threshold that was set at run time, or go back to the file's.

        False for one out of bounds, which changes nothing.
        """
        if live is None:
            self._live.pop(name, None)
        else:
            tenant = next((each for each in self._by_file.values() if each.name == name), None)
            if tenant is not None and _with_threshold(tenant, live) is None:
                structlog.get_logger().error(
                    "threshold_refused", tenant=name, threshold=live.value, version=live.version
                )
                return False
            self._live[name] = live
        self._by_name = self._named()
        return True

    def _named(self) -> dict[str, Tenant]:
        """The tenants as they are served: with what was set at run time, where their file allows it."""
        named = {}
        for tenant in self._by_file.values():
            live = self._live.get(tenant.name)
            named[tenant.name] = (None if live is None else _with_threshold(tenant, live)) or tenant
        return named

    async def watch(self, every: float, stop: asyncio.Event) -> None:
        """Reload on change until `stop`."""
        while not stop.is_set():
            try:
                async with asyncio.timeout(every):
                    await stop.wait()
            except TimeoutError:
                await asyncio.to_thread(self.refresh)

    def refresh(self) -> None:
        """Read changed files; a file that became unusable keeps its last good tenant, a removed one loses it."""
        stamps = self._look()
        if stamps == self._stamps:
            return
        changed = {path: stamp for path, stamp in stamps.items() if self._stamps.get(path) != stamp}
        self._stamps = stamps
        loaded, problems = self._load(changed)
        log = structlog.get_logger()
        for problem in problems:
            log.error("tenant_file_refused", problem=problem)
        by_file = {
            path: loaded.get(path) or self._by_file[path] for path in stamps if path in {*loaded, *self._by_file}
        }
        self._by_file = by_file
        # One assignment: whoever reads meanwhile sees all of the old or all of the new.
        self._by_name = self._named()
        log.info("tenants_loaded", tenants=sorted(self._by_name), changed=sorted(path.name for path in loaded))

    def _look(self) -> dict[Path, Stamp]:
        found: dict[Path, Stamp] = {}
        for path in sorted(self._folder.glob("*.yaml")):
            stamp = stamp_of(path)
            if stamp is not None:
                found[path] = stamp
        return found

    def _load(self, paths: Mapping[Path, Stamp]) -> tuple[dict[Path, Tenant], list[str]]:
        loaded: dict[Path, Tenant] = {}
        problems: list[str] = []
        for path in paths:
            tenant, found = load_tenant(path, self._vocabularies)
            problems += [f"{path}: {each.field}: {each.description}" for each in found]
            if tenant is None:
                continue
            if tenant.name in {known.name for known in loaded.values()}:
                problems.append(f"{path}: tenant: {tenant.name!r} is in another file, too; keep one")
                continue
            loaded[path] = tenant
        return loaded, problems


def load_tenant(path: Path, vocabularies: Vocabularies) -> tuple[Tenant | None, list[PolicyProblem]]:
    """The tenant of one file, or everything that is wrong with it."""
    problems: list[PolicyProblem] = []
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        return None, [PolicyProblem("(file)", f"cannot be read ({type(error).__name__})")]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: a day that no calendar has, or a number of thousands of digits.
        return None, [PolicyProblem("(file)", f"not valid YAML: {' '.join(str(error).split())}")]
    if not isinstance(data, dict):
        return None, [PolicyProblem("(file)", "must be a mapping with tenant, pack and policy")]
    policy, vocabulary, head = TenantPolicy(), Vocabulary(), None
    try:
        head = TenantFile.model_validate(data)
        vocabulary = vocabularies(head.pack)
    except ValidationError as error:
        problems += problems_of(error)
    except LookupError as error:
        problems.append(PolicyProblem("pack", str(error.args[0])))
    try:
        given = data.get("policy") or {}
        policy = parse_policy(given) if isinstance(given, dict) else policy
    except PolicyProblems as error:
        problems += [PolicyProblem(f"policy.{each.field}", each.description) for each in error.problems]
    if head is None or problems:
        return None, problems
    return Tenant(head.tenant, head.pack, head.time_zone, head.locale, policy, vocabulary), []


def _with_threshold(tenant: Tenant, live: LiveThreshold) -> Tenant | None:
    """The tenant under another threshold; None when its own file does not allow it."""
    policy = tenant.policy
    try:
        thresholds = replace(policy.thresholds, tier1=live.value, version=live.version)
    except ValueError:
        return None
    return replace(tenant, policy=replace(policy, thresholds=thresholds))


def file_schema() -> dict[str, Any]:
    """JSON Schema of a tenant's file, for editors."""
    schema = TenantFile.model_json_schema()
    policy = policy_schema()
    definitions = policy.pop("$defs", {})
    schema["properties"]["policy"] = policy
    return schema | {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": definitions}


def known_time_zone(name: str) -> bool:
    """True for an IANA time zone."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
