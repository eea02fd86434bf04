"""The previous release: its tree out of git, its classifier's artefact, its processes.

Which commit it is stands in `protos/release.commit`; `make proto-release` writes it. Its code runs in this tree's
environment: dependencies are newer than its own, as they are when one image is rebuilt and the others are not.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from tiermesh_cli.home import Home

PROJECT = Path(__file__).parents[2]
_RECORD = PROJECT / "protos" / "release.commit"
_CACHE = PROJECT / ".tiermesh" / "releases"
_STACK = """
import json, sys
from pathlib import Path
from tiermesh_cli.home import Home
from tiermesh_cli.stack import build_stack
home = Home(Path(sys.argv[1]), Path(sys.argv[2]))
stack = build_stack(home, json.loads(sys.argv[3]), model_key_file=None, model_url=None)
each = [[p.name, p.module, p.port, dict(p.environment), list(p.arguments), p.http if hasattr(p, "http") else False]
        for p in stack]
print(json.dumps(each))
"""


def commit() -> str:
    """Return the commit of the previous release."""
    return _RECORD.read_text(encoding="ascii").split()[0]


def impossible() -> str:
    """Return why its tree cannot be had, "" when it can."""
    done = _git("cat-file", "-e", f"{commit()}^{{commit}}")
    return "" if done.returncode == 0 else f"commit {commit()[:12]} is not in this clone: it is shallow, or no clone"


@dataclass(frozen=True)
class Release:
    """A tree whose services can be started."""

    tree: Path

    @property
    def python_path(self) -> str:
        """Return what makes the interpreter import this tree's code."""
        sources = [*self.tree.glob("packages/*/src"), *self.tree.glob("services/*/src")]
        return os.pathsep.join(map(str, [*sources, self.tree / "simulator" / "src", self.tree / "cli" / "src"]))

    def run(self, *arguments: str) -> str:
        """Run this tree's Python; return what it printed."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.tree,
            env={**os.environ, "PYTHONPATH": self.python_path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def stack(self, home: Home, ports: Mapping[str, int]) -> list[list[Any]]:
        """Return its processes as its own command starts them: name, module, port, environment, arguments, http."""
        stack: list[list[Any]] = json.loads(self.run("-c", _STACK, str(self.tree), str(home.state), json.dumps(ports)))
        return stack


def previous() -> Release:
    """Return the previous release, got out of git and trained once."""
    release = Release(_CACHE / commit())
    if not (release.tree / "packs").is_dir():
        archive = _git("archive", commit()).stdout
        with tarfile.open(fileobj=BytesIO(archive)) as file:
            file.extractall(release.tree, filter="data")
    artefact = release.tree / ".tiermesh" / "models" / "classifier"
    if not (artefact / "manifest.json").exists():
        with _lean(release.tree / "packs" / "hr") as pack:
            release.run("-m", "tiermesh_classifier.train", "--pack", str(pack), "--out", str(artefact))
    return release


@contextmanager
def _lean(pack: Path) -> Iterator[Path]:
    """Give a copy of the pack without the drawn examples: the written ones route the questions asked here, and training
    on them takes seconds instead of minutes."""
    with tempfile.TemporaryDirectory(prefix="tiermesh-release-") as folder:
        lean = Path(folder) / pack.name
        shutil.copytree(pack, lean, ignore=shutil.ignore_patterns("patterns-*"))
        yield lean


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, check=False)
