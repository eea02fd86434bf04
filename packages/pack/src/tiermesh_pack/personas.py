"""The people a demonstration can sign in as, by `seed/personas.yaml`. Grants nothing: rights come from the policy."""

from dataclasses import dataclass
from pathlib import Path

from tiermesh_pack.documents import Problems, check_schema, load_document


@dataclass(frozen=True)
class Persona:
    """One demonstration user."""

    key: str
    """Short handle: "manager"."""
    employee_id: str
    name: str
    roles: tuple[str, ...]
    description: str


def load_personas(path: Path | None, problems: Problems) -> tuple[Persona, ...]:
    """Reads the personas; none when the pack has no such file."""
    if path is None:
        return ()
    document = load_document(path, problems)
    if document is None or not check_schema(document, "personas", problems):
        return ()
    found: list[Persona] = []
    for index, entry in enumerate(document.data["personas"]):
        if entry["key"] in (persona.key for persona in found):
            line = document.line("personas", index, "key")
            problems.add(path, line, f'persona "{entry["key"]}" is defined twice', "rename or remove one")
        found.append(
            Persona(
                key=entry["key"],
                employee_id=entry["employee_id"],
                name=entry["name"],
                roles=tuple(entry.get("roles", ())),
                description=entry.get("description", ""),
            )
        )
    return tuple(found)
