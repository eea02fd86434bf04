"""The rows as a table, as JSON and as a plot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench.machine import RESULTS, told

FLOOR: Final = "plain sockets"


def table(rows: Sequence[Mapping[str, Any]], missing: Mapping[str, str]) -> str:
    """For people; what is added is over plain sockets."""
    floor = next(row for row in rows if row["name"] == FLOOR)
    lines = [
        f"{'':22}{'added p50':>10}{'p99 ms':>8}{'first +p50':>11}{'p99 ms':>8}{'CPU ms':>8}"
        f"{'q/s/core':>10}{'q/s at 16':>10}{'memory MB':>10}{'pieces':>7}  what it does not do"
    ]
    for row in rows:
        added = [
            row[name][share] - floor[name][share] for name in ("latency_ms", "first_ms") for share in ("p50", "p99")
        ]
        lines.append(
            f"{row['name']:22}{added[0]:>10.1f}{added[1]:>8.1f}{added[2]:>11.1f}{added[3]:>8.1f}{row['cpu_ms']:>8.2f}"
            f"{row['per_second_of_one_core']:>10.0f}{row['per_second']:>10.0f}{row['memory_mb']:>10}{row['pieces']:>7}"
            f"  {row['lacks']}"
        )
    lines += [f"{name:22}{reason}" for name, reason in missing.items()]
    own = f"p50 {floor['latency_ms']['p50']:.1f}, first {floor['first_ms']['p50']:.1f} ms"
    return "\n".join([*lines, f"plain sockets themselves: {own}; the simulator's CPU is nobody's"])


def write(
    facts: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], missing: Mapping[str, str], broken: Sequence[str]
) -> None:
    """JSON and PNG under bench/results."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    whole = {**facts, "rows": rows, "missing": missing, "broken": list(broken)}
    (RESULTS / "peers.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, all_axes = pyplot.subplots(1, 3, figsize=(12, 0.5 * len(rows) + 1.8), sharey=True)
    names = [row["name"] for row in rows]
    colours = ["#27a" if name.startswith("Tiermesh") else "#888" for name in names]
    floor = next(row for row in rows if row["name"] == FLOOR)
    panels = (
        ("first piece added, ms (p50)", [row["first_ms"]["p50"] - floor["first_ms"]["p50"] for row in rows]),
        ("CPU ms per question", [row["cpu_ms"] for row in rows]),
        ("memory, MB", [row["memory_mb"] for row in rows]),
    )
    for axes, (title, values) in zip(all_axes, panels, strict=True):
        bars = axes.barh(names, values, color=colours)
        axes.bar_label(bars, [f"{value:,.1f}" for value in values], padding=3, fontsize=8)
        axes.set_xlim(0, 1.3 * max(values))
        axes.set_title(title, fontsize=9)
    all_axes[0].invert_yaxis()
    what = "Tiermesh classifies, routes, checks, books and traces each question; the others pass it on"
    figure.suptitle(f"{what}\n{told(facts)}; 40 chunks, no think time", fontsize=9)
    figure.tight_layout()
    figure.savefig(RESULTS / "peers.png", dpi=120)
