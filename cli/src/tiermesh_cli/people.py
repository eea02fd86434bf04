"""Who asks: the people of the development tenant that commands may sign in as."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


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
    """Return the pack's personas by name."""
    document: dict[str, Any] = yaml.safe_load((pack / "seed" / "personas.yaml").read_text())
    return {
        name: Person(entry["employee_id"], tuple(entry.get("roles", ("employee",))))
        for name, entry in document["personas"].items()
    }
