"""Handbook texts: Markdown files cut into sections, each a unit that policy look-ups can quote. Searches nothing."""

import re
from dataclasses import dataclass
from pathlib import Path

from tiermesh_pack.documents import Problems


@dataclass(frozen=True)
class HandbookSection:
    """One `##` section. `id` is stable while its title is ("leave/annual-leave"), so that answers can cite it."""

    id: str
    document: str
    """The file's `#` title."""
    title: str
    text: str
    line: int


def load_handbook(paths: tuple[Path, ...], problems: Problems) -> tuple[HandbookSection, ...]:
    """Reads all handbook files, sections in order. A file has one `#` title and at least one `##` section."""
    return tuple(section for path in paths for section in _sections(path, problems))


def _sections(path: Path, problems: Problems) -> list[HandbookSection]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        problems.add(path, 0, f"the file cannot be read ({type(error).__name__})", "store it as readable UTF-8 text")
        return []
    titles = [line[2:].strip() for line in lines if line.startswith("# ")]
    if len(titles) != 1:
        problems.add(path, 1, f'{len(titles)} titles ("# …")', "give the file exactly one")
    starts = [number for number, line in enumerate(lines) if line.startswith("## ")]
    if not starts:
        problems.add(path, 1, 'no section ("## …")', "give the file at least one")
        return []
    found: list[HandbookSection] = []
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        title, text = lines[start][3:].strip(), "\n".join(lines[start + 1 : end]).strip()
        section_id = f"{path.stem}/{_slug(title)}"
        if not text:
            problems.add(path, start + 1, f'section "{title}" is empty', "write it, or remove its title")
        if section_id in (section.id for section in found):
            problems.add(path, start + 1, f'section "{title}" occurs twice', "rename one")
        found.append(HandbookSection(section_id, titles[0] if titles else path.stem, title, text, start + 1))
    return found


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
