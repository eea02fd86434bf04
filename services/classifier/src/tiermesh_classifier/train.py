"""`python -m tiermesh_classifier.train --pack packs/hr --out .tiermesh/models/classifier`: trains the artefact."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tiermesh_pack import PackError, load_pack

from tiermesh_classifier.training.train import Options, TrainingError, train
from tiermesh_classifier.training.turns import LabelledDataError


def main(argv: Sequence[str] | None = None) -> int:
    """Trains; 0 when the artefact is written, 2 when what was given cannot be used."""
    parser = argparse.ArgumentParser(prog="tiermesh_classifier.train", description="Train the classifier's artefact.")
    parser.add_argument("--pack", type=Path, default=Path("packs/hr"), help="folder of the domain pack")
    parser.add_argument("--data", type=Path, action="append", default=[], help="further labelled JSON Lines file")
    parser.add_argument("--out", type=Path, default=Path(".tiermesh/models/classifier"), help="folder to write")
    parser.add_argument("--sparse", action="store_true", help="no sentence encoder: smaller, faster, a little worse")
    options = parser.parse_args(argv)
    how = Options(sentence_encoder=not options.sparse)
    try:
        train(load_pack(options.pack), options.data, options.out, how, tell=lambda words: print(words, flush=True))
    except (PackError, LabelledDataError, TrainingError, OSError) as error:
        sys.stderr.write(f"cannot train: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
