"""Measuring models on labelled files: handed over to the classifier's own commands, options and exit code as given."""

from __future__ import annotations

import subprocess
import sys

import typer

AS_GIVEN = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def register(group: typer.Typer) -> None:
    """Add the verbs to `tiermesh eval`."""
    group.command(context_settings=AS_GIVEN)(intents)
    group.command(context_settings=AS_GIVEN)(tiers)


def intents(context: typer.Context) -> None:
    """Measure intents with out-of-scope on a labelled set; --help tells the options."""
    _hand_over("tiermesh_classifier.evaluate_intents", context)


def tiers(context: typer.Context) -> None:
    """Measure the least tier that suffices on outcome data: cost-quality curve, APGR, CPT; --help tells the options."""
    _hand_over("tiermesh_classifier.evaluate_tiers", context)


def calibrate(context: typer.Context) -> None:
    """Measure what a model's stated confidence is worth, for the executor; --help tells the options."""
    _hand_over("tiermesh_classifier.calibrate_stated", context)


def _hand_over(module: str, context: typer.Context) -> None:
    done = subprocess.run([sys.executable, "-m", module, *context.args], check=False)  # noqa: S603 - our own module
    raise typer.Exit(done.returncode)
