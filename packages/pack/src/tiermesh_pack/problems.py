"""What is wrong with a pack, and where: the collector that every loader writes to. No file is read here."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, order=True)
class Problem:
    """One thing to mend. `line` counts from 1; 0 means the file as a whole."""

    file: str
    line: int
    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what} — {self.mend}"


# Lines of a message: one missing file may be the cause of thousands.
_MOST_TOLD = 50


class PackError(Exception):
    """The pack is refused; `problems` holds everything that was found, sorted by file and line.

    The message tells the first of them, those of whole files before those of lines.
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        noun = "problem" if len(problems) == 1 else "problems"
        told = sorted(problems, key=lambda problem: problem.line > 0)[:_MOST_TOLD]
        rest = len(problems) - len(told)
        more = [f"… and {rest} more, which may come of these"] if rest else []
        super().__init__("\n".join([f"the pack has {len(problems)} {noun}:", *map(str, told), *more]))


class Problems:
    """Collects problems instead of stopping at the first, so that one run tells everything.

    Files under `root` are named relative to it, so that a report reads the same on every machine.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = root
        self._found: set[Problem] = set()

    def add(self, file: Path, line: int, what: str, mend: str) -> None:
        """Notes one problem. `what` says what is there; `mend` says what to do about it."""
        self._found.add(Problem(self._shown(file), line, what, mend))

    def raise_if_any(self) -> None:
        """Raises `PackError` with all of them; does nothing when none was found."""
        if self._found:
            raise PackError(tuple(self))

    def __iter__(self) -> Iterator[Problem]:
        return iter(sorted(self._found))

    def __len__(self) -> int:
        return len(self._found)

    def _shown(self, file: Path) -> str:
        if self._root is not None and file.is_relative_to(self._root):
            return file.relative_to(self._root).as_posix()
        return str(file)
