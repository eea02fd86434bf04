"""The figures as a table, as JSON and as a plot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bench.cost.summary import TARGET_MIX
from bench.machine import RESULTS, told

LOUD = (
    "ON THE SIMULATOR THIS SHOWS THE MECHANISM, NOT A MODEL'S QUALITY: it follows rules, counts tokens and prompt"
    " caching as the provider does, and is priced by the executor's price file."
)
_ROUTES = ("tier1", "aggregate", "tier2")


def table(found: Mapping[str, Any]) -> str:
    """For people."""
    lines = [LOUD if found["simulated"] else "Real models.", ""]
    lines.append(
        f"{'side':14}{'questions':>10}{'µ$ each':>10}{'over blocks':>20}{'of tier 2':>10}{'model':>8}{'data':>7}"
        f"{'prompt':>9}{'cached':>8}{'exact':>8}{'first p50':>11}{'p95 ms':>8}{'done p50':>10}{'p95 ms':>8}"
    )
    dearest = found["sides"]["all-tier-2"]["cost_micros"]
    for name, row in found["sides"].items():
        blocks = row["cost_micros_blocks"]
        spread = f"{min(blocks):,.0f} – {max(blocks):,.0f}"
        exact = found["exact"][name]
        lines.append(
            f"{name:14}{row['questions']:>10}{row['cost_micros']:>10,.0f}{spread:>20}"
            f"{_part(row['cost_micros'], dearest):>10}{row['model_calls']:>8.2f}{row['data_calls']:>7.2f}"
            f"{row['prompt_tokens']:>9,}{row['cached_share']:>8.0%}{exact['exact']:>5}/{exact['of']}"
            f"{row['first_ms']['p50']:>10.0f}{row['first_ms']['p95']:>8.0f}{row['done_ms']['p50']:>10.0f}"
            f"{row['done_ms']['p95']:>8.0f}"
        )
    ideal = found["ideal"]
    lines.append(
        f"{'ideal routes':14}{'':10}{ideal['cost_micros']:>10,.0f}{'':20}{_part(ideal['cost_micros'], dearest):>10}  "
        "as the labels say, none handed over (computed)"
    )
    lines += [
        f"  not exact, {name}: {each['question']} → {'; '.join(each['told'])}"
        for name, exact in found["exact"].items()
        if name == "routed"
        for each in exact["missed"]
    ]
    lines += ["", "µ$ each by tag:"]
    for name, row in found["sides"].items():
        lines.append(
            f"  {name:14}" + ", ".join(f"{tag} {cost:,.0f}" for tag, cost in row["cost_micros_by_tag"].items())
        )
    lines.append(
        f"pills, on every side alike: {found['pills']['cost_micros']:,.0f} µ$ a question that asks for them; "
        f"judges of the routed side: {found['judge']['cost_micros']:,.0f} µ$, {found['judge']['calls']} calls"
    )
    routes, labels = found["sides"]["routed"]["routes"], found["labels"]
    told = ", ".join(
        f"{route} {routes.get(route, 0):.0%} (labels {labels.get(route, 0):.0%}, target {TARGET_MIX[route]:.0%})"
        for route in _ROUTES
    )
    lines += ["", f"routes: {told}; as labelled: {found['as_labelled']:.1%}"]
    lines.append(f"at tier 2 beyond the labels: {sum(row['questions'] for row in found['beyond_labels'])} questions")
    for row in found["beyond_labels"]:
        lines.append(f"  {row['questions']:>3} × {row['cause']}; such as {row['examples'][0]['text']!r}")
    each, target = found["by_route"]["cost_micros"], found["by_route"]["at_target_mix_micros"]
    lines.append(
        "µ$ by route: "
        + ", ".join(f"{route} {cost:,.0f}" for route, cost in each.items())
        + f"; at the target's mix {target:,.0f} ({_part(target, dearest)} of all at tier 2)"
    )
    up = found["escalated"]
    lines.append(
        f"escalated: {up['questions']} questions ({up['bounced']} bounced), first chunk p95 "
        f"{up['routed_p95_ms']:.0f} ms against {up['direct_p95_ms']:.0f} ms of tier 2 asked directly: "
        f"{up['ratio']:.2f} × (rounds {', '.join(f'{each:.2f}' for each in up['ratios'])}; bounced alone: "
        f"{up['bounced_p95_ms']:.0f} ms)"
    )
    lines += [
        "",
        f"{'who took the most leave':46}{'reports':>8}{'model':>7}{'data':>6}{'prompt':>11}{'µ$':>10}{'s':>8}",
    ]
    lines += [
        f"{way['name']:46}{way['reports']:>8}{way['model_calls']:>7}{way['data_calls']:>6}{way['prompt_tokens']:>11,}"
        f"{way['cost_micros']:>10,}{way['seconds']:>8.2f}"
        for way in found["ways"]
    ]
    lines += ["", *(_curve(name, report) for name, report in found["outcomes"].items())]
    return "\n".join(lines)


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
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, ((money, routes), (ways, curve)) = pyplot.subplots(2, 2, figsize=(13, 8))
    _money(money, found)
    _routes(routes, found)
    _ways(ways, found)
    _curves(curve, found)
    what = "on the simulator this shows the mechanism, not a model's quality" if found["simulated"] else "real models"
    figure.suptitle(
        f"Cost of a question: {what}\n{told(facts)}",
        fontsize=10,
    )
    figure.tight_layout()
    figure.savefig(RESULTS / "cost.png", dpi=110)


def _money(axes: Any, found: Mapping[str, Any]) -> None:
    names = list(found["sides"])
    values = [found["sides"][name]["cost_micros"] for name in names]
    ideal = found["ideal"]["cost_micros"]
    axes.axhline(ideal, color="#2a7", linestyle="--", linewidth=1, label=f"ideal routes (computed): {ideal:,.0f} µ$")
    axes.legend(fontsize=8, loc="upper right")
    lows = [min(found["sides"][name]["cost_micros_blocks"]) for name in names]
    highs = [max(found["sides"][name]["cost_micros_blocks"]) for name in names]
    errors = [
        [max(0.0, value - low) for value, low in zip(values, lows, strict=True)],
        [max(0.0, high - value) for value, high in zip(values, highs, strict=True)],
    ]
    bars = axes.bar(names, values, yerr=errors, capsize=4, color=["#2a7", "#c55", "#59c"])
    exact = [found["exact"][name] for name in names]
    axes.bar_label(
        bars,
        [f"{value:,.0f} µ$\nexact {each['exact']}/{each['of']}" for value, each in zip(values, exact, strict=True)],
        fontsize=8,
        padding=2,
    )
    axes.set_ylim(0, max(highs) * 1.25)
    axes.set_ylabel("micro-dollars per question")
    axes.set_title("Mean of the workload; whiskers: lowest and highest block", fontsize=9)


def _routes(axes: Any, found: Mapping[str, Any]) -> None:
    routes, labels = found["sides"]["routed"]["routes"], found["labels"]
    for offset, (words, shares, colour) in enumerate(
        [("routed", routes, "#2a7"), ("labels", labels, "#888"), ("target", TARGET_MIX, "#ddd")]
    ):
        bars = axes.bar(
            [place + 0.27 * (offset - 1) for place in range(3)],
            [100 * shares.get(route, 0) for route in _ROUTES],
            0.25,
            label=words,
            color=colour,
        )
        axes.bar_label(bars, fmt="%.0f", fontsize=8)
    axes.set_xticks(range(3), _ROUTES)
    axes.set_ylabel("% of questions")
    axes.set_title("Share of each route", fontsize=9)
    axes.legend(fontsize=8)


def _ways(axes: Any, found: Mapping[str, Any]) -> None:
    rows = found["ways"][::-1]
    bars = axes.barh(
        [f"{row['name']}, {row['reports']}" for row in rows],
        [row["cost_micros"] for row in rows],
        color=["#2a7" if "bulk" in row["name"] else "#c55" for row in rows],
    )
    axes.bar_label(bars, [f" {row['cost_micros']:,} µ$; {row['model_calls']} model calls" for row in rows], fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(10, 10_000 * max((row["cost_micros"] for row in rows), default=1))
    axes.tick_params(axis="y", labelsize=7)
    axes.set_xlabel("micro-dollars (logarithmic)")
    axes.set_title(f"One question over so many reports: “{found['loop_question']}”", fontsize=8)


def _curves(axes: Any, found: Mapping[str, Any]) -> None:
    if not found["outcomes"]:
        axes.text(0.5, 0.5, "no recorded outcomes were given (OUTCOMES=folder)", ha="center", fontsize=9)
        axes.set_axis_off()
        return
    for name, report in found["outcomes"].items():
        curve = report["curve"]
        axes.plot([point[0] for point in curve], [point[1] for point in curve], label=f"{name}: tier model")
    axes.plot([0, 1], [0, 1], color="#999", linestyle=":", label="at random")
    axes.set_xlabel("share of questions at the strong model")
    axes.set_ylabel("performance gap recovered")
    axes.set_title("Recorded outcomes of real models (RouteLLM)", fontsize=9)
    axes.legend(fontsize=8)
