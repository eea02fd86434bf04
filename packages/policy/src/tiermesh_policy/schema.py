"""Turns untrusted data (a parsed file, a stored snapshot) into a policy, listing every problem at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from tiermesh_policy.tenant import TenantPolicy


class PolicyProblem(NamedTuple):
    """One thing that is wrong: where, and what."""

    field: str
    description: str


class PolicyProblems(Exception):  # noqa: N818 - it carries several, and reads so where it is raised
    """A policy that must not be used, with everything that is wrong with it."""

    def __init__(self, problems: tuple[PolicyProblem, ...]) -> None:
        super().__init__("; ".join(f"{each.field}: {each.description}" for each in problems))
        self.problems = problems


def parse_policy(data: Mapping[str, object]) -> TenantPolicy:
    """Build a policy from data; raises `PolicyProblems` with all of them."""
    try:
        return _adapter().validate_python(dict(data))
    except ValidationError as error:
        raise PolicyProblems(problems_of(error)) from None


def policy_settings(policy: TenantPolicy) -> dict[str, object]:
    """What `parse_policy` would build this policy from."""
    settings: dict[str, object] = _adapter().dump_python(policy, mode="json")
    return settings


def policy_schema() -> dict[str, object]:
    """JSON Schema of what `parse_policy` takes, for editors; contradictions between fields are not in it."""
    return _adapter().json_schema()


@cache
def _adapter() -> TypeAdapter[TenantPolicy]:
    # Costs 30 ms to build.
    return TypeAdapter(TenantPolicy)


def problems_of(error: ValidationError) -> tuple[PolicyProblem, ...]:
    """The problems that pydantic found, in the order of the fields."""
    return tuple(
        PolicyProblem(".".join(str(part) for part in each["loc"]) or "(policy)", each["msg"])
        for each in error.errors(include_url=False, include_input=False, include_context=False)
    )
