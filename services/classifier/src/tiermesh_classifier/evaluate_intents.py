"""`python -m tiermesh_classifier.evaluate_intents --train A.jsonl --test B.jsonl`: intents with out-of-scope."""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tiermesh_classifier.experiments.intents import (
    OUT_OF_SCOPE,
    IntentModel,
    Labelled,
    encoded,
    fit_intents,
    read_intents,
    tenth_of,
    threshold_of,
)
from tiermesh_classifier.experiments.rows import RowsError
from tiermesh_classifier.sentence.encoder import SentenceEncoder, encoder_of
from tiermesh_classifier.training.weights import PACKAGE, weights_folder

_TIMED = 200
_ERRORS = 200


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints; 0 when measured, 2 when what was given cannot be used."""
    parser = argparse.ArgumentParser(prog="tiermesh eval intents", description="Measure intents with out-of-scope.")
    parser.add_argument("--train", type=Path, required=True, help="labelled texts to fit on")
    parser.add_argument(
        "--test", type=Path, help="labelled texts to measure on; left out, a tenth of --train is held out"
    )
    parser.add_argument("--train-split", help='rows of --train whose "split" is this; all when left out')
    parser.add_argument("--test-split", help='rows of --test whose "split" is this; all when left out')
    parser.add_argument(
        "--encoder",
        type=Path,
        nargs="?",
        const=weights_folder() or Path(PACKAGE),
        help="a sentence encoder too: the one that the classifier is trained with, or that of a folder",
    )
    parser.add_argument("--json", type=Path, help="write the whole report to this file")
    options = parser.parse_args(argv)
    try:
        encoder = None if options.encoder is None else _encoder(options.encoder)
        train, test = _data(options, encoder)
        if not (~test.outside).any():
            raise RowsError(f"{options.test or options.train}: holds no in-scope text to measure on")
        report = _measured(train, test, encoder)
        if options.json is not None:
            options.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except (RowsError, OSError) as error:
        sys.stderr.write(f"cannot evaluate: {error}\n")
        return 2
    sys.stdout.write(intent_table(report))
    return 0


def _encoder(folder: Path) -> SentenceEncoder:
    for name in ("model.safetensors", "vocab.txt"):
        if not (folder / name).is_file():
            raise RowsError(
                f"{folder / name}: is not there; --encoder names a folder with a sentence encoder's weights"
            )
    from tiermesh_classifier.training.sentence_graph import (  # `onnx`, which sparse features do without
        read_weights,
        sentence_files,
    )

    return encoder_of(sentence_files(read_weights(folder)))


def _data(options: argparse.Namespace, encoder: SentenceEncoder | None) -> tuple[Labelled, Labelled]:
    train = _labelled(options.train, options.train_split, encoder)
    if options.test is not None:
        return train, _labelled(options.test, options.test_split, encoder)
    return tenth_of(train)


def _labelled(path: Path, split: str | None, encoder: SentenceEncoder | None) -> Labelled:
    texts, intents = read_intents(path, split)
    lowered = [text.lower() for text in texts]
    with tqdm(total=len(texts), desc=f"encoding {path.name}", disable=None if encoder is not None else True) as bar:
        return Labelled(lowered, intents, encoded(lowered, encoder, bar.update))


def _measured(train: Labelled, test: Labelled, encoder: SentenceEncoder | None) -> Mapping[str, Any]:
    with tqdm(total=2, desc="fitting", disable=None) as bar:
        threshold = threshold_of(train)
        bar.update()
        model = fit_intents(train)
        bar.update()
    picked, against = model.read(test)
    turned_away, outside = against > threshold, test.outside
    right = picked == test.intents
    answered = np.where(turned_away, OUT_OF_SCOPE, picked)
    wrong = np.nonzero(answered != test.intents)[0]
    return {
        "trained_on": len(train.texts),
        "in_scope": int((~outside).sum()),
        "out_of_scope": int(outside.sum()),
        "encoder": encoder is not None,
        "in_scope_accuracy": float(right[~outside].mean()),
        "in_scope_accuracy_with_threshold": float((right & ~turned_away)[~outside].mean()),
        "oos_recall": float(turned_away[outside].mean()) if outside.any() else None,
        "oos_false_alarm": float(turned_away[~outside].mean()),
        "latency_ms": _latency(model, test, encoder),
        "errors": [
            {"text": test.texts[at], "intent": str(test.intents[at]), "answered": str(answered[at])}
            for at in wrong[:_ERRORS]
        ],
    }


def _latency(model: IntentModel, test: Labelled, encoder: SentenceEncoder | None) -> Mapping[str, float]:
    """One text at a time, encoder included; CPU time of this process."""
    spent = []
    for text in test.texts[:_TIMED]:
        began = time.process_time()
        model.read(Labelled([text], test.intents[:1], encoded([text], encoder, lambda count: None)))
        spent.append((time.process_time() - began) * 1e3)
    return {"p50": round(float(np.percentile(spent, 50)), 3), "p99": round(float(np.percentile(spent, 99)), 3)}


def intent_table(report: Mapping[str, Any]) -> str:
    """The report for people."""
    recall = report["oos_recall"]
    rows = {
        "in-scope accuracy": f"{report['in_scope_accuracy']:.1%} of {report['in_scope']}",
        "with the threshold": f"{report['in_scope_accuracy_with_threshold']:.1%}",
        "out-of-scope recall": "none in the data" if recall is None else f"{recall:.1%} of {report['out_of_scope']}",
        "false alarms": f"{report['oos_false_alarm']:.1%}",
        "CPU per text": f"p50 {report['latency_ms']['p50']} ms, p99 {report['latency_ms']['p99']} ms",
        "features": "words, pieces, sentence encoder" if report["encoder"] else "words, pieces",
    }
    return "".join(f"{name:22}{value}\n" for name, value in rows.items())


if __name__ == "__main__":
    sys.exit(main())
