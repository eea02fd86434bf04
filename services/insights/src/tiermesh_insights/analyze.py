"""`python -m tiermesh_insights.analyze log.jsonl`: what a query log holds, and whether routing would pay."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tiermesh_insights.querylog import ModelUse, QueryLog, analyse, read
from tiermesh_insights.statistics import Rate


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the analysis; 2 when the file cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m tiermesh_insights.analyze", description="Analyse a query log.")
    parser.add_argument("log", type=Path, help="JSON Lines: text, model, tokens, cost, rating")
    parser.add_argument("--json", action="store_true", help="print for machines")
    options = parser.parse_args(arguments)
    try:
        with options.log.open(encoding="utf-8", errors="replace") as file:
            found = analyse(*read(file))
    except OSError as error:
        sys.stderr.write(f"{options.log}: {error.strerror}\n")
        return 2
    sys.stdout.write(json.dumps(for_machines(found), indent=1) + "\n" if options.json else for_people(found))
    return 0


def for_machines(found: QueryLog) -> dict[str, Any]:
    """The analysis as plain values, without any text of the log."""
    return {
        "questions": len(found.lines),
        "unreadable": dict(found.unreadable),
        "repeated": found.repeated,
        "words": dict(zip(("p50", "p95", "max"), found.words, strict=True)),
        "models": [asdict(use) for use in found.models],
        "cheap_share": None if found.cheap is None else asdict(found.cheap),
        "rests_on": found.rests_on,
        "saving": found.saving,
        "verdict": found.verdict,
        "reasons": list(found.reasons),
    }


def for_people(found: QueryLog) -> str:
    """The analysis as a table and a verdict."""
    lines = [
        f"{len(found.lines)} questions, {sum(found.unreadable.values())} lines left out"
        + "".join(f" ({count} × {cause})" for cause, count in found.unreadable.items()),
        f"words: median {found.words[0]}, 95 % {found.words[1]}, longest {found.words[2]}; "
        f"{found.repeated} asked before in the same words",
        "",
        f"{'model':28}{'questions':>10}{'$ each':>11}{'tokens in':>11}{'out':>8}  rating (95 %)",
        *(_line(use) for use in found.models),
        "",
        f"a cheap tier could take: {_rate(found.cheap)}",
        f"  rests on {found.rests_on}",
        f"saving: {'not known' if found.saving is None else f'{found.saving:.0%}'}",
        "",
        f"VERDICT: {found.verdict}",
        *(f"  {reason}" for reason in found.reasons),
    ]
    return "\n".join(lines) + "\n"


def _line(use: ModelUse) -> str:
    cost = "–" if use.cost_usd is None else f"{use.cost_usd:.5f}"
    tokens = ["–" if value is None else f"{value:,.0f}" for value in (use.input_tokens, use.output_tokens)]
    name = (use.model or "(not said)")[:27]
    return f"{name:28}{use.questions:>10}{cost:>11}{tokens[0]:>11}{tokens[1]:>8}  {_rate(use.rating)}"


def _rate(rate: Rate | None) -> str:
    return "–" if rate is None else f"{rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%}, n = {rate.count})"


if __name__ == "__main__":
    sys.exit(main())
