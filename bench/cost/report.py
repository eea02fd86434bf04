"""The figures as a table and as JSON; their plot is in `plots`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.cost import plots
from bench.cost.summary import TARGET_MIX
from bench.machine import RESULTS, told

LOUD = (
    "ON THE SIMULATOR THIS SHOWS THE MECHANISM, NOT A MODEL'S QUALITY: it follows rules, counts tokens and prompt"
    " caching as the provider does, and is priced by the executor's price file."
)


def table(found: Mapping[str, Any]) -> str:
    """For people."""
    parts = [
        [LOUD if found["simulated"] else "Real models."],
        [*_sides(found), *_missed(found)],
        _by_tag(found),
        [*_by_route(found), _escalated(found["escalated"])],
        _ways(found["ways"]),
        [_curve(name, report) for name, report in found["outcomes"].items()],
    ]
    return "\n".join(line for part in parts for line in ("", *part))[1:]


def _sides(found: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"{'side':14}{'questions':>10}{'µ$ each':>10}{'over blocks':>20}{'of tier 2':>10}{'model':>8}{'data':>7}"
        f"{'prompt':>9}{'cached':>8}{'exact':>8}{'first p50':>11}{'p95 ms':>8}{'done p50':>10}{'p95 ms':>8}"
    )
    dearest = _dearest(found)
    for name, row in found["sides"].items():
        blocks = row["cost_micros_blocks"]
        spread = f"{min(blocks):,.0f} – {max(blocks):,.0f}"
        exact = found["exact"][name]
        yield (
            f"{name:14}{row['questions']:>10}{row['cost_micros']:>10,.0f}{spread:>20}"
            f"{_part(row['cost_micros'], dearest):>10}{row['model_calls']:>8.2f}{row['data_calls']:>7.2f}"
            f"{row['prompt_tokens']:>9,}{row['cached_share']:>8.0%}{exact['exact']:>5}/{exact['of']}"
            f"{row['first_ms']['p50']:>10.0f}{row['first_ms']['p95']:>8.0f}{row['done_ms']['p50']:>10.0f}"
            f"{row['done_ms']['p95']:>8.0f}"
        )
    ideal = found["ideal"]["cost_micros"]
    yield (
        f"{'ideal routes':14}{'':10}{ideal:>10,.0f}{'':20}{_part(ideal, dearest):>10}  "
        "as the labels say, none handed over (computed)"
    )


def _missed(found: Mapping[str, Any]) -> Iterator[str]:
    for each in found["exact"]["routed"]["missed"]:
        yield f"  not exact, routed: {each['question']} → {'; '.join(each['told'])}"


def _by_tag(found: Mapping[str, Any]) -> Iterator[str]:
    yield "µ$ each by tag:"
    for name, row in found["sides"].items():
        yield f"  {name:14}" + ", ".join(f"{tag} {cost:,.0f}" for tag, cost in row["cost_micros_by_tag"].items())
    pills, judge = found["pills"], found["judge"]
    yield (
        f"pills, on every side alike: {pills['cost_micros']:,.0f} µ$ a question that asks for them; "
        f"judges of the routed side: {judge['cost_micros']:,.0f} µ$, {judge['calls']} calls"
    )


def _by_route(found: Mapping[str, Any]) -> Iterator[str]:
    routes, labels = found["sides"]["routed"]["routes"], found["labels"]
    shares = ", ".join(
        f"{route} {routes.get(route, 0):.0%} (labels {labels.get(route, 0):.0%}, target {target:.0%})"
        for route, target in TARGET_MIX.items()
    )
    yield f"routes: {shares}; as labelled: {found['as_labelled']:.1%}"
    yield f"at tier 2 beyond the labels: {sum(row['questions'] for row in found['beyond_labels'])} questions"
    for row in found["beyond_labels"]:
        yield f"  {row['questions']:>3} × {row['cause']}; such as {row['examples'][0]['text']!r}"
    costs = ", ".join(f"{route} {cost:,.0f}" for route, cost in found["by_route"]["cost_micros"].items())
    target = found["by_route"]["at_target_mix_micros"]
    yield (
        f"µ$ by route: {costs}; at the target's mix {target:,.0f} ({_part(target, _dearest(found))} of all at tier 2)"
    )


def _escalated(up: Mapping[str, Any]) -> str:
    return (
        f"escalated: {up['questions']} questions ({up['bounced']} bounced), first chunk p95 "
        f"{up['routed_p95_ms']:.0f} ms against {up['direct_p95_ms']:.0f} ms of tier 2 asked directly: "
        f"{up['ratio']:.2f} × (rounds {', '.join(f'{each:.2f}' for each in up['ratios'])}; bounced alone: "
        f"{up['bounced_p95_ms']:.0f} ms)"
    )


def _ways(ways: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield f"{'who took the most leave':46}{'reports':>8}{'model':>7}{'data':>6}{'prompt':>11}{'µ$':>10}{'s':>8}"
    for way in ways:
        yield (
            f"{way['name']:46}{way['reports']:>8}{way['model_calls']:>7}{way['data_calls']:>6}"
            f"{way['prompt_tokens']:>11,}{way['cost_micros']:>10,}{way['seconds']:>8.2f}"
        )


def _dearest(found: Mapping[str, Any]) -> float:
    return float(found["sides"]["all-tier-2"]["cost_micros"])


def _part(cost: float, whole: float) -> str:
    return f"1/{whole / cost:.1f}"


def _curve(name: str, report: Mapping[str, Any]) -> str:
    apgr = report["apgr"]
    return (
        f"{name}, recorded outcomes of real models, {report['questions']} questions, {report['date'][:10]}: weak right "
        f"{report['weak_accuracy']:.3f}, strong {report['strong_accuracy']:.3f}; APGR {apgr['value']:.3f} "
        f"({apgr['low']:.3f} to {apgr['high']:.3f}), CPT50 {report['cpt50']:.1%}, CPT80 {report['cpt80']:.1%}"
    )


def verdicts(found: Mapping[str, Any]) -> list[str]:
    """What of DESIGN §8 is met and what is not."""
    sides = found["sides"]
    times = sides["all-tier-2"]["cost_micros"] / sides["routed"]["cost_micros"]
    ratio = found["escalated"]["ratio"]
    return [
        f"cost at most 1/6 of all at tier 2: {'met' if times >= 6 else 'missed'} at 1/{times:.1f}",
        f"escalated questions' p95 at most 1.2 × tier 2's: {'met' if ratio <= 1.2 else 'missed'} at {ratio:.2f}",
    ]


def write(facts: Mapping[str, Any], found: Mapping[str, Any], broken: Sequence[str]) -> None:
    """JSON and PNG under bench/results."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    whole = {
        **facts,
        "note": LOUD if found["simulated"] else "real models",
        **found,
        "verdicts": verdicts(found),
        "broken": list(broken),
    }
    (RESULTS / "cost.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    what = "on the simulator this shows the mechanism, not a model's quality" if found["simulated"] else "real models"
    plots.write(RESULTS / "cost.png", found, f"Cost of a question: {what}\n{told(facts)}")
