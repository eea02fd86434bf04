"""`python -m tiermesh_classifier.evaluate_tiers --train A.jsonl [--test B.jsonl]`: the least-tier model on outcomes."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tiermesh_classifier.experiments.cost_quality import Costs, apgr, cpt, decided, marks, recovered, settled
from tiermesh_classifier.experiments.outcomes import Outcomes, read_outcomes
from tiermesh_classifier.experiments.plot import plot_curves
from tiermesh_classifier.experiments.rows import RowsError
from tiermesh_classifier.experiments.tier_model import Floats, Suffices, baseline, choose, fit_tiers, held_out

_CURVE_POINTS = 101


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints; 0 when measured, 2 when what was given cannot be used."""
    parser = argparse.ArgumentParser(prog="tiermesh eval tiers", description="Measure the least-tier model.")
    parser.add_argument("--train", type=Path, required=True, help="outcome data to fit on")
    parser.add_argument("--test", type=Path, help="outcome data to measure on; left out, folds of --train are held out")
    parser.add_argument("--folds", type=int, default=5, help="folds without --test")
    parser.add_argument("--resamples", type=int, default=1000, help="resamples of the bootstrap intervals")
    parser.add_argument("--weak-cost", type=float, default=Costs.weak, help="cost of a call of the weak model")
    parser.add_argument("--strong-cost", type=float, default=Costs.strong, help="cost of a call of the strong model")
    parser.add_argument("--wrong-cost", type=float, default=Costs.wrong, help="cost of a wrong answer")
    parser.add_argument("--json", type=Path, help="write the whole report to this file")
    parser.add_argument("--plot", type=Path, help="write the cost-quality curve to this PNG file")
    options = parser.parse_args(argv)
    if options.folds < 2 or options.resamples < 1:
        parser.error("--folds must be 2 or more, --resamples 1 or more")
    costs = Costs(options.weak_cost, options.strong_cost, options.wrong_cost)
    try:
        data, found, plain = _scored(options.train, options.test, options.folds)
        report = tier_report(data, found, plain, costs, options.resamples)
        if options.json is not None:
            options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        if options.plot is not None:
            plot_curves(report, options.plot)
    except (RowsError, OSError) as error:
        sys.stderr.write(f"cannot evaluate: {error}\n")
        return 2
    sys.stdout.write(tier_table(report))
    return 0


def _scored(train: Path, test: Path | None, folds: int) -> tuple[Outcomes, Suffices, Floats]:
    data = read_outcomes(train)
    with tqdm(total=folds if test is None else 2, desc="fitting", disable=None) as bar:
        if test is None:
            found, plain = held_out(data, folds, bar.update)
            return data, found, plain
        measured = read_outcomes(test)
        model = fit_tiers(data, choose(data))
        bar.update()
        plain = baseline(data, measured.prompts)
        bar.update()
        return measured, model.suffices(measured.prompts), plain


def tier_report(data: Outcomes, found: Suffices, plain: Floats, costs: Costs, resamples: int) -> Mapping[str, Any]:
    """Everything that is told of a ranking of questions."""
    whole = marks(found.gain, data.weak, data.strong, resamples=resamples)
    best = data.strong.astype(np.float64) - data.weak
    curve = recovered(found.gain, data.weak, data.strong)
    everywhere = np.ones(len(data), dtype=np.bool_)
    return {
        "questions": len(data),
        "left_out_as_contaminated": data.left_out,
        "weak_accuracy": float(data.weak.mean()),
        "strong_accuracy": float(data.strong.mean()),
        "apgr": asdict(whole.apgr),
        "cpt50": whole.cpt50.value,
        "cpt80": whole.cpt80.value,
        "cpt50_interval": [whole.cpt50.low, whole.cpt50.high],
        "cpt80_interval": [whole.cpt80.low, whole.cpt80.high],
        "baseline": _plain_marks(plain, data),
        "random": {"apgr": 0.5, "cpt50": 0.5, "cpt80": 0.8},
        "oracle": _plain_marks(best, data),
        "middle": _middle(data),
        "costs": asdict(costs),
        "decisions": {
            "by_expected_cost": asdict(decided(found.weak, found.strong, data.weak, data.strong, costs)),
            "always_weak": asdict(settled(~everywhere, data.weak, data.strong, costs)),
            "always_strong": asdict(settled(everywhere, data.weak, data.strong, costs)),
            "oracle": asdict(settled(data.strong & ~data.weak, data.weak, data.strong, costs)),
        },
        "curve": _points(curve),
        "oracle_curve": _points(recovered(best, data.weak, data.strong)),
        "baseline_curve": _points(recovered(plain, data.weak, data.strong)),
    }


def _plain_marks(score: Floats, data: Outcomes) -> Mapping[str, float]:
    curve = recovered(score, data.weak, data.strong)
    return {"apgr": apgr(curve), "cpt50": cpt(curve, 0.5), "cpt80": cpt(curve, 0.8)}


def _middle(data: Outcomes) -> Mapping[str, float] | None:
    """One model between the two for every question, instead of routing: what share of the gap it closes."""
    if data.middle is None:
        return None
    gap = data.strong.mean() - data.weak.mean()
    return {
        "accuracy": float(data.middle.mean()),
        "recovered": float((data.middle.mean() - data.weak.mean()) / gap),
    }


def _points(curve: Floats) -> Sequence[Sequence[float]]:
    at = np.linspace(0, len(curve) - 1, _CURVE_POINTS).round().astype(int)
    return [[round(float(each / (len(curve) - 1)), 4), round(float(curve[each]), 4)] for each in at]


def tier_table(report: Mapping[str, Any]) -> str:
    """The report for people."""
    lines = [
        f"{report['questions']} questions ({report['left_out_as_contaminated']} contaminated left out), "
        f"weak right {report['weak_accuracy']:.3f}, strong right {report['strong_accuracy']:.3f}",
        f"{'':22}{'APGR':>8}{'CPT50':>9}{'CPT80':>9}",
    ]
    own = {"apgr": report["apgr"]["value"], "cpt50": report["cpt50"], "cpt80": report["cpt80"]}
    rows = {"tier model": own, **{name: report[name] for name in ("baseline", "random", "oracle")}}
    for name, row in rows.items():
        lines.append(f"{name:22}{row['apgr']:>8.3f}{row['cpt50']:>8.1%} {row['cpt80']:>8.1%}")
    apgr_, fifty, eighty = report["apgr"], report["cpt50_interval"], report["cpt80_interval"]
    lines.append(
        f"95 % intervals: APGR {apgr_['low']:.3f} to {apgr_['high']:.3f}, "
        f"CPT50 {fifty[0]:.1%} to {fifty[1]:.1%}, CPT80 {eighty[0]:.1%} to {eighty[1]:.1%}"
    )
    middle = report["middle"]
    told = "no middle_correct in the data" if middle is None else f"closes {middle['recovered']:.1%} of the gap"
    lines.append(f"one middle model for all: {told}")
    lines.append(f"{'decisions':22}{'strong':>8}{'right':>9}{'cost':>9}")
    for name, row in report["decisions"].items():
        lines.append(f"{name:22}{row['strong_share']:>8.1%}{row['accuracy']:>9.3f}{row['cost']:>9.2f}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
