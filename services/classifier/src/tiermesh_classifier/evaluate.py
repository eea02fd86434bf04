"""`python -m tiermesh_classifier.evaluate --data F.jsonl`: measures the artefact on labelled turns."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tiermesh_pack import PackError, load_pack
from tiermesh_policy import TenantPolicy

from tiermesh_classifier.artefact import ArtefactError
from tiermesh_classifier.assembly import assemble
from tiermesh_classifier.evaluation import evaluate
from tiermesh_classifier.training.turns import LabelledDataError, read_turns


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints; 0 when measured, 2 when what was given cannot be used."""
    parser = argparse.ArgumentParser(prog="tiermesh_classifier.evaluate", description="Measure the classifier.")
    parser.add_argument("--data", type=Path, action="append", required=True, help="labelled JSON Lines file")
    parser.add_argument("--pack", type=Path, default=Path("packs/hr"), help="folder of the domain pack")
    parser.add_argument("--artefact", type=Path, default=Path(".tiermesh/models/classifier"), help="trained artefact")
    parser.add_argument("--json", type=Path, help="write the whole report to this file")
    parser.add_argument("--errors", type=int, default=0, help="errors to list")
    options = parser.parse_args(argv)
    try:
        classifier = assemble(load_pack(options.pack), options.artefact)
        turns = [turn for path in options.data for turn in read_turns(path)]
        found = evaluate(classifier, TenantPolicy(), turns, datetime.now(UTC).date())
        if options.json is not None:
            options.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except (PackError, ArtefactError, LabelledDataError, OSError) as error:
        sys.stderr.write(f"cannot evaluate: {error}\n")
        return 2
    sys.stdout.write(table(found, options.errors))
    return 0


def table(found: Mapping[str, Any], errors: int = 0) -> str:
    """The report for people."""
    lines = [f"{found['turns']} turns", f"{'axis':16}{'accuracy':>10}{'macro F1':>10}{'ECE':>8}"]
    for axis, values in found["axes"].items():
        lines.append(f"{axis:16}{values['accuracy']:>10.3f}{values['macro_f1']:>10.3f}{values['ece']:>8.3f}")
    lines.append("route       " + ", ".join(f"{name} {value:.3f}" for name, value in found["route"].items()))
    lines.append("confidence  " + ", ".join(f"{name} {value:.3f}" for name, value in found["confidence"].items()))
    lines.append(f"latency     p50 {found['latency_ms']['p50']} ms, p99 {found['latency_ms']['p99']} ms")
    for error in found["errors"][:errors]:
        gold, chosen = error["route"]
        axes = "; ".join(f"{axis}: {want} → {got} {sure}" for axis, (want, got, sure) in error["axes"].items())
        lines.append(f"{error['id']} {gold} → {chosen} ({error['confidence']}) {error['text']!r} | {axes}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
