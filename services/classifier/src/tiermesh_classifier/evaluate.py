"""`python -m tiermesh_classifier.evaluate --data F.jsonl`: measures the artefact on labelled turns.

With `--folds N` nothing is measured on what it was trained on: N artefacts are trained, each without the turns that it
is then measured on, also where these are among the pack's examples.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from tiermesh_pack import Pack, PackError, load_pack
from tiermesh_policy import TenantPolicy

from tiermesh_classifier.artefact_files import ArtefactError
from tiermesh_classifier.assembly import assemble
from tiermesh_classifier.evaluation import Scored, report, score_turns
from tiermesh_classifier.evaluation_tables import show
from tiermesh_classifier.training.cross_validation import cross_validated
from tiermesh_classifier.training.train import TrainingError
from tiermesh_classifier.training.turns import LabelledDataError, Turn, read_turns


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints; 0 when measured, 2 when what was given cannot be used."""
    options = _options(argv)
    try:
        pack = load_pack(options.pack)
        turns = [turn for path in options.data for turn in read_turns(path)]
        if not turns:
            raise LabelledDataError(f"{options.data[0]}: holds no turn; give a file with one labelled turn a line")
        found = {**report(_measured(pack, turns, options)), "known_turns": _known(pack, turns, options)}
        if options.json is not None:
            options.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except (PackError, ArtefactError, LabelledDataError, TrainingError, OSError) as error:
        sys.stderr.write(f"cannot evaluate: {error}\n")
        return 2
    _print(found, options)
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tiermesh eval classifier", description="Measure the classifier.")
    parser.add_argument("--data", type=Path, action="append", required=True, help="labelled JSON Lines file")
    parser.add_argument("--pack", type=Path, default=Path("packs/hr"), help="folder of the domain pack")
    parser.add_argument("--artefact", type=Path, default=Path(".tiermesh/models/classifier"), help="trained artefact")
    parser.add_argument("--json", type=Path, help="write the whole report to this file")
    parser.add_argument("--errors", type=int, help="errors to list; all where left out")
    parser.add_argument("--folds", type=int, default=0, help="train anew that often, leaving out what is measured")
    return parser.parse_args(argv)


def _measured(pack: Pack, turns: Sequence[Turn], options: argparse.Namespace) -> list[Scored]:
    today = datetime.now(UTC).date()
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("classifying", total=len(turns))

        def advance() -> None:
            progress.advance(task)

        if options.folds > 1:
            return cross_validated(pack, turns, TenantPolicy(), today, folds=options.folds, advance=advance)
        return score_turns(assemble(pack, options.artefact), TenantPolicy(), turns, today, advance)


def _known(pack: Pack, turns: Sequence[Turn], options: argparse.Namespace) -> int:
    """How many of the turns the artefact was trained on, word for word: none where folds leave them out."""
    if options.folds > 1:
        return 0
    said = {example.text.strip().casefold() for example in pack.vocabulary.examples}
    return sum(turn.text.strip().casefold() in said for turn in turns)


def _print(found: Mapping[str, Any], options: argparse.Namespace) -> None:
    """Wide enough for whole sentences where the output is a file and no terminal."""
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=160)
    show(found, console, options.errors)
    if found["known_turns"]:
        console.print(
            f"\n{found['known_turns']} of these turns stand word for word in the pack's examples: for them the figures "
            "above are memory, not quality. --folds 5 trains anew without what is measured.",
            style="bold yellow",
        )


if __name__ == "__main__":
    sys.exit(main())
