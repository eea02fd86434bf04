"""The figures as a plot: money, shares of routes, bulk calls against loops, recorded outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.cost.summary import TARGET_MIX


def write(path: Path, found: Mapping[str, Any], title: str) -> None:
    """Draw all four and write the picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, ((money, routes), (ways, curve)) = pyplot.subplots(2, 2, figsize=(13, 8))
    _money(money, found)
    _routes(routes, found)
    _ways(ways, found)
    _curves(curve, found)
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


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
            [100 * shares.get(route, 0) for route in TARGET_MIX],
            0.25,
            label=words,
            color=colour,
        )
        axes.bar_label(bars, fmt="%.0f", fontsize=8)
    axes.set_xticks(range(3), list(TARGET_MIX))
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
