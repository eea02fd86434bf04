"""`tiermesh eval classifier`: hands its options to the classifier's own evaluation, which runs in a process of its own.

The command knows no service; what is measured and how it is printed is the service's.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from tiermesh_cli.home import Home

# Options of the service's evaluation are passed on as they are.
PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


def classifier(context: typer.Context) -> None:
    """Measure the classifier on labelled turns: --data F.jsonl [--json FILE] [--errors N] [--folds N]."""
    home = Home.find()
    done = subprocess.run(  # noqa: S603 - our own interpreter and module, the options are the caller's
        command(context.args, home.pack, home.classifier_model), check=False
    )
    raise typer.Exit(done.returncode)


def command(options: Sequence[str], pack: Path, artefact: Path) -> list[str]:
    """The evaluation's command line; the checkout's pack and artefact stand in where the options name none."""
    given = [sys.executable, "-m", "tiermesh_classifier.evaluate", *options]
    said = {option.partition("=")[0] for option in options}
    for name, usual in (("--pack", pack), ("--artefact", artefact)):
        if name not in said:
            given += [name, str(usual)]
    return given
