"""`pack.yaml`: what a pack is called, its defaults, and which files it is made of. Reads none of those files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tiermesh_pack.documents import Document, Problems, check_schema, load_document

usual_files: Mapping[str, str | list[str]] = {
    "schema": "schema.yaml",
    "intents": "vocabulary/intents.yaml",
    "axes": "vocabulary/axes.yaml",
    "rules": "vocabulary/rules.yaml",
    "personas": "seed/personas.yaml",
    "semantic": ["semantic/*.yaml"],
    "examples": ["examples/*.jsonl"],
    "handbook": ["handbook/*.md"],
    "operations": ["operations/*.graphql"],
}
"""Where the parts lie when `pack.yaml` does not say otherwise."""


@dataclass(frozen=True)
class Defaults:
    """What holds where neither the question nor the person says otherwise."""

    time_zone: str = "UTC"
    locale: str = "en"
    fiscal_year_start: int = 1
    """Month, 1 to 12."""
    week_start: str = "monday"
    currency: str = "EUR"


@dataclass(frozen=True)
class Manifest:
    """The head of a pack. Globs in file lists are already resolved, in a stable order."""

    name: str
    version: str
    description: str
    defaults: Defaults
    schema: Path
    intents: Path
    axes: Path
    rules: Path
    personas: Path | None
    """None when the pack has none."""
    semantic: tuple[Path, ...]
    examples: tuple[Path, ...]
    handbook: tuple[Path, ...]
    operations: tuple[Path, ...]
    """Kept GraphQL documents; most packs have none."""


def load_manifest(root: Path, problems: Problems) -> Manifest | None:
    """Reads `pack.yaml` of a pack folder; None when nothing else can be loaded without it."""
    document = load_document(root / "pack.yaml", problems)
    if document is None or not check_schema(document, "pack", problems):
        return None
    data = document.data
    files: dict[str, Any] = {**usual_files, **data.get("files", {})}
    defaults = Defaults(**data.get("defaults", {}))
    _check_time_zone(document, defaults, problems)
    personas = root / files["personas"]
    globs = {key: _matching(document, root, key, files[key], problems) for key in ("semantic", "examples", "handbook")}
    kept = "operations" in data.get("files", {}) or (root / "operations").is_dir()
    globs["operations"] = _matching(document, root, "operations", files["operations"], problems) if kept else ()
    return Manifest(
        name=data["name"],
        version=data["version"],
        description=data.get("description", ""),
        defaults=defaults,
        schema=root / files["schema"],
        intents=root / files["intents"],
        axes=root / files["axes"],
        rules=root / files["rules"],
        personas=personas if personas.exists() or "personas" in data.get("files", {}) else None,
        **globs,
    )


def _check_time_zone(document: Document, defaults: Defaults, problems: Problems) -> None:
    try:
        ZoneInfo(defaults.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        line = document.line("defaults", "time_zone")
        what = f'"{defaults.time_zone}" is no known time zone'
        problems.add(document.path, line, what, 'use an IANA name such as "Europe/Berlin"')


def _matching(document: Document, root: Path, key: str, globs: list[str], problems: Problems) -> tuple[Path, ...]:
    """The files of one list. A glob without a match is told: an empty part is nearly always a misspelt folder."""
    found: list[Path] = []
    for index, glob in enumerate(globs):
        matches = sorted(path for path in root.glob(glob) if path.is_file())
        if not matches:
            line = document.line("files", key, index)
            problems.add(document.path, line, f'no file matches "{glob}" ({key})', "correct the path, or add the files")
        found.extend(path for path in matches if path not in found)
    return tuple(found)
