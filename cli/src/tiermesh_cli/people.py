"""Who asks: the people of the development tenant that commands may sign in as."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tiermesh_pack import Problems
from tiermesh_pack.personas import Persona, load_personas


class UnknownPersonError(Exception):
    """The name given with --as is neither a persona nor an employee id."""


@dataclass(frozen=True)
class Person:
    """One person and the roles that the development identity provider gives them."""

    subject: str
    roles: tuple[str, ...]


def find_person(pack: Path, name: str) -> Person:
    """Return the persona called `name` ("manager", "employee"), or the employee with that id.

    Raises UnknownPersonError, naming the personas there are.
    """
    personas = read_personas(pack)
    if name in personas:
        return personas[name]
    for person in personas.values():
        if person.subject == name:
            return person
    if re.fullmatch(r"E\d{3,8}", name):
        return Person(name, ("employee",))
    raise UnknownPersonError(
        f"nobody is called {name!r}: use an employee id such as E00042, or one of {', '.join(personas)}"
    )


def read_personas(pack: Path) -> dict[str, Person]:
    """Return the pack's personas by name. Raises PackError when the file is not valid."""
    return {each.key: Person(each.employee_id, each.roles or ("employee",)) for each in described_personas(pack)}


def described_personas(pack: Path) -> tuple[Persona, ...]:
    """Return the pack's personas with their names. Raises PackError when the file is not valid."""
    problems = Problems()
    personas = load_personas(pack / "seed" / "personas.yaml", problems)
    problems.raise_if_any()
    return personas
