"""The figures as a table, as JSON and as a plot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_PROCESSES = ("gateway", "classifier", "executor-tier1", "executor-tier2", "aggregator", "suggester", "insights")


def table(rows: Sequence[Mapping[str, Any]], half: Sequence[Mapping[str, Any]]) -> str:
    """For people."""
    lines = [
        f"{'CPU ms per question':46}{'suite':>8}{'floor':>8}{'uvloop':>8}{'ratio':>7}  "
        f"{'spread of rounds':>17}{'p50 ms':>9}{'p99 ms':>9}{'floor p50':>10}{'writes':>8}{'floor':>6}{'q/s':>7}"
    ]
    for row in rows:
        suite, floor = row["suite"], row["floor"]
        cpu = (suite["cpu_ms"], floor["cpu_ms"], row["floor on uvloop"]["cpu_ms"])
        latency, rounds = suite["latency_ms"], suite["cpu_ms_rounds"]
        lines.append(
            f"{row['shape']:46}" + "".join(f"{each:>8.2f}" for each in cpu) + f"{row['ratio']:>7.2f}"
            f"{min(rounds):>10.2f} –{max(rounds):>7.2f}{latency['p50']:>9.1f}{latency['p99']:>9.1f}"
            f"{floor['latency_ms']['p50']:>10.1f}{suite['text_events']:>8.2f}{floor['text_events']:>6.0f}"
            f"{suite['questions_per_second']:>7.1f}"
        )
    lines += ["", f"{'CPU ms by service':46}" + "".join(f"{name.replace('executor-', ''):>12}" for name in _PROCESSES)]
    for row in rows:
        for side in ("suite", "floor"):
            cpu = row[side]["cpu_ms_by_process"]
            name = f"{row['shape']} ({side})" if side == "suite" else f"{'(floor)':>45}"
            lines.append(f"{name:46}" + "".join(f"{cpu.get(each, 0):>12.2f}" for each in _PROCESSES))
    apart = rows[0]["suite"]["cpu_ms_by_process"]
    lines.append(
        f"apart and not counted: simulator {apart['simulator']:.2f}, OTLP receiver {apart['OTLP receiver']:.2f}, "
        f"client {rows[0]['suite']['client_cpu_ms']:.2f} ms per question of the first row"
    )
    lines += ["", "first chunk at half load, ms: p50 / p99"]
    lines += [_first(each) for each in half]
    return "\n".join(lines)


def _first(row: Mapping[str, Any]) -> str:
    def both(name: str) -> str:
        return f"{row[name]['p50']:.1f} / {row[name]['p99']:.1f}"

    return (
        f"  {row['shape']}, {row['per_second']} a second: added {both('added_ms')}; held back {both('held_back_ms')}; "
        f"suite {both('suite_first_ms')}; model alone {both('model_first_ms')}"
    )


def verdicts(rows: Sequence[Mapping[str, Any]], half: Sequence[Mapping[str, Any]]) -> list[str]:
    """What of DESIGN §8 is met and what is not."""
    said = []
    for row in rows:
        if row["chunks"] == 40 and row["askers"] == 16 and not row["pause_ms"]:
            met = "met" if row["ratio"] <= 1.0 else "missed"
            said.append(f"CPU at most that of the floor: {met} at {row['ratio']:.2f} ({row['shape']})")
    for each in half:
        for share, most in (("p50", 5.0), ("p99", 25.0)):
            found = each["added_ms"][share]
            met = "met" if found <= most else "missed"
            said.append(f"first chunk {share} at most {most:g} ms more: {met} at {found:.1f} ms ({each['shape']})")
    return said


def broken(rows: Sequence[Mapping[str, Any]], half: Sequence[Mapping[str, Any]]) -> list[str]:
    """Promises that were broken."""
    found = [
        f"{row['shape']} ({side}): {count} × {what}"
        for row in rows
        for side in ("suite", "floor", "floor on uvloop")
        for what, count in row[side]["broken"].items()
    ]
    return found + [f"{each['shape']}: {what}" for each in half for what in each["broken"]]


def write(
    folder: Path, facts: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], half: Sequence[Mapping[str, Any]]
) -> None:
    """JSON and PNG, by default under bench/results."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {**facts, "rows": rows, "half_load": half, "verdicts": verdicts(rows, half)}
    (folder / "chain.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(11, 0.55 * 2 * len(rows) + 1.6))
    colours = dict(zip(_PROCESSES, pyplot.get_cmap("tab10").colors, strict=False))
    for place, row in enumerate(rows):
        for offset, side in ((-0.2, "suite"), (0.2, "floor")):
            left = 0.0
            for name in _PROCESSES:
                width = row[side]["cpu_ms_by_process"].get(name, 0.0)
                label = name if place == 0 and side == "suite" else None
                axes.barh(place + offset, width, 0.36, left=left, color=colours[name], label=label)
                left += width
            words = f"{side} {row[side]['cpu_ms']:.1f}" + (f" ({row['ratio']:.1f} ×)" if side == "suite" else "")
            axes.text(left, place + offset, f"  {words}", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [row["shape"] for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25 * max(row["suite"]["cpu_ms"] for row in rows))
    axes.set_xlabel("CPU milliseconds per question, median of rounds in turn")
    axes.set_title(
        f"The suite with all its work against a chain of no-op services\n{facts['machine']}; {facts['date'][:10]}",
        fontsize=9,
    )
    axes.legend(fontsize=8, loc="lower right")
    figure.tight_layout()
    figure.savefig(folder / "chain.png", dpi=120)
