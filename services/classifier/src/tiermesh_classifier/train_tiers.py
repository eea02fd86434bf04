"""`python -m tiermesh_classifier.train_tiers --data outcomes.jsonl --pack DIR --out DIR`: the least-tier model."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tiermesh_pack import PackError, load_pack

from tiermesh_classifier.experiments.rows import RowsError
from tiermesh_classifier.training.tiers import train_tiers


def main(argv: Sequence[str] | None = None) -> int:
    """Trains; 0 when the artefact is written, 2 when what was given cannot be used."""
    parser = argparse.ArgumentParser(
        prog="tiermesh_classifier.train_tiers", description="Train the model that says which tier suffices."
    )
    parser.add_argument("--data", type=Path, required=True, help="outcome data, as `tiermesh label` makes it")
    parser.add_argument("--pack", type=Path, required=True, help="folder of the pack whose turns it is for")
    parser.add_argument("--out", type=Path, default=Path(".tiermesh/models/tiers"), help="folder to write")
    options = parser.parse_args(argv)
    try:
        name = load_pack(options.pack).name
        train_tiers(name, options.data, options.out, tell=lambda words: print(words, flush=True))
    except (PackError, RowsError, OSError) as error:
        sys.stderr.write(f"cannot train: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
