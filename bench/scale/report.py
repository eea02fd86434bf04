"""The figures as a table, as JSON and as a plot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bench.machine import RESULTS, told

_HEAD = (
    f"{'':26}{'load':>6}{'offered/s':>11}{'good/s':>8}{'p50 ms':>9}{'p99 ms':>9}{'shed: new':>11}{'pills':>8}"
    f"{'specul.':>9}  endings"
)


def table(found: Mapping[str, Any]) -> str:
    """For people."""
    lines = [
        f"capacity, one gateway (12 askers, closed loop): {found['capacity']:.1f} questions a second; the askers "
        "and the simulator share the cores",
        "",
        _HEAD,
    ]
    lines += [_load(row) for row in [*found["levels"], *found["day"]]]
    lines += ["", "replicas of the gateway over one PostgreSQL, in turn: answers a second (closed loop)"]
    lines += [f"  {row['replicas']}: {row['median']:.1f}, rounds {row['rounds']}" for row in found["replicas"]]
    lines.append(f"  CPU of the gateways: {found['gateway_share']:.0%} of what all services used")
    soak = found["soak"]
    lines += [
        "",
        f"memory over {soak['seconds']:.0f} s at half load ({soak['questions']} questions), MiB",
    ]
    lines += [
        f"  {name:16}{row['first_mb']:>8.1f} →{row['last_mb']:>8.1f}{row['mb_per_minute']:>+8.2f} a minute"
        for name, row in soak["services"].items()
    ]
    lines += ["", "length of the conversation: prompt tokens, µ$, p50 ms"]
    lines += [
        f"  {row['turns']:>6} turns{row['prompt_tokens']:>9,}{row['cost_micros']:>8,}{row['p50_ms']:>9.0f}"
        for row in found["conversation"]
    ]
    for name in ("tenants", "employees"):
        lines += ["", f"{name}: CPU ms of all services, p50 ms, MiB of gateway and aggregator"]
        lines += [
            f"  {row[name]:>6,} {name}, {row['kind']:10}{row['cpu_ms']:>8.1f}{row['p50_ms']:>8.0f}"
            f"{row['gateway_mb']:>8.0f}{row['aggregator_mb']:>8.0f}"
            for row in found[name]
        ]
    lines += [
        "",
        "vocabulary: CPU ms of a classification (rounds); prompt tokens (schema's apart), µ$ first and then, of the "
        "language-model stage and of the pills",
    ]
    return "\n".join([*lines, *map(_vocabulary, found["vocabulary"])])


def _vocabulary(row: Mapping[str, Any]) -> str:
    rounds = row["cpu_ms_rounds"]
    told = [
        f"{each['prompt_tokens']:>8,} +{each['schema_tokens']:>6,}{each['first_micros']:>8,}{each['micros']:>7,}"
        for each in (row["language_model"], row["pills"])
    ]
    return (
        f"  {row['intents']:>6,} intents{row['cpu_ms']:>7.2f} ({min(rounds):.2f} – {max(rounds):.2f})"
        f"{told[0]}{told[1]}; trained on {row['examples']:,} examples in {row['trained_seconds']:.0f} s"
    )


def _load(row: Mapping[str, Any]) -> str:
    def number(name: str) -> str:
        return f"{row[name]:.0f}" if row[name] is not None else "–"

    speculation = row["speculation_shed"]
    return (
        f"{row['name']:26}{row['load']:>6.2g}{row['offered_per_second']:>11.1f}{row['goodput_per_second']:>8.1f}"
        f"{number('p50_ms'):>9}{number('p99_ms'):>9}{row['questions_shed']:>11.0%}{row['pills_shed']:>8.0%}"
        f"{format(speculation, '.0%') if speculation is not None else '–':>9}  "
        + ", ".join(f"{count} {what}" for what, count in row["endings"].items())
    )


def write(facts: Mapping[str, Any], found: Mapping[str, Any], broken: Sequence[str]) -> None:
    """JSON and PNG under bench/results."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "scale.json").write_text(
        json.dumps({**facts, **found, "broken": list(broken)}, indent=1) + "\n", encoding="utf-8"
    )
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, ((goodput, shed, conversation), (day, soak, words)) = pyplot.subplots(2, 3, figsize=(18, 8))
    _goodput(goodput, found)
    _shed(shed, found["levels"])
    _day(day, found["day"])
    _soak(soak, found["soak"])
    _conversation(conversation, found["conversation"])
    _words(words, found["vocabulary"])
    figure.suptitle(f"The suite at and beyond capacity\n{told(facts)}", fontsize=10)
    figure.tight_layout()
    figure.savefig(RESULTS / "scale.png", dpi=110)


def _goodput(axes: Any, found: Mapping[str, Any]) -> None:
    rows = found["levels"]
    loads = [row["load"] for row in rows]
    axes.plot(loads, [row["offered_per_second"] for row in rows], ":", color="#999", label="offered a second")
    axes.plot(loads, [row["goodput_per_second"] for row in rows], "o-", color="#2a7", label="complete answers a second")
    axes.set_xlabel("offered load, multiples of capacity")
    axes.set_ylim(0, None)
    axes.legend(fontsize=8, loc="upper left")
    times = axes.twinx()
    times.plot(loads, [row["p99_ms"] for row in rows], "s--", color="#c55", label="p99 ms (right)")
    times.set_ylim(0, None)
    times.legend(fontsize=8, loc="lower right")
    axes.set_title("Goodput and p99 of complete answers", fontsize=9)


def _shed(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    loads = [row["load"] for row in rows]
    for name, words in (
        ("pills_shed", "pills left out"),
        ("speculation_shed", "speculation left out"),
        ("questions_shed", "new questions refused"),
    ):
        axes.plot(loads, [100 * (row[name] or 0) for row in rows], "o-", label=words)
    axes.set_xlabel("offered load, multiples of capacity")
    axes.set_ylabel("%")
    axes.set_title("What is left out, by kind", fontsize=9)
    axes.legend(fontsize=8)


def _day(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    places = range(len(rows))
    axes.bar(
        [each - 0.2 for each in places],
        [row["offered_per_second"] for row in rows],
        0.4,
        label="offered a second",
        color="#bbb",
    )
    axes.bar(
        [each + 0.2 for each in places],
        [row["goodput_per_second"] for row in rows],
        0.4,
        label="complete a second",
        color="#2a7",
    )
    axes.set_xticks(places, [row["name"].replace(", ", ",\n") for row in rows], fontsize=7)
    axes.set_title("A day, compressed, with a drifting mix", fontsize=9)
    axes.legend(fontsize=8)


def _soak(axes: Any, soak: Mapping[str, Any]) -> None:
    step = soak["seconds"] / max(1, len(soak["samples"]) - 1)
    for name in soak["services"]:
        # Gateways that nobody asked meanwhile.
        if name.startswith(("replica-", "tenants-")):
            continue
        axes.plot(
            [place * step for place in range(len(soak["samples"]))],
            [each[name] for each in soak["samples"]],
            label=name,
        )
    axes.set_ylim(0, None)
    axes.set_xlabel("seconds at half load")
    axes.set_ylabel("resident MiB")
    axes.set_title("Memory of each service", fontsize=9)
    axes.legend(fontsize=7, ncol=2)


def _conversation(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    turns = [row["turns"] for row in rows]
    axes.plot(turns, [row["cost_micros"] for row in rows], "o-", color="#2a7", label="micro-dollars of the turn")
    axes.set_xlabel("turn of the conversation")
    axes.set_ylim(0, None)
    axes.legend(fontsize=8, loc="upper left")
    tokens = axes.twinx()
    tokens.plot(turns, [row["prompt_tokens"] for row in rows], "s--", color="#59c", label="prompt tokens (right)")
    tokens.set_ylim(0, None)
    tokens.legend(fontsize=8, loc="lower right")
    axes.set_title("The same look-up, turn after turn", fontsize=9)


def _words(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    sizes = [row["intents"] for row in rows]
    middle = [row["cpu_ms"] for row in rows]
    spread = [
        [row["cpu_ms"] - min(row["cpu_ms_rounds"]) for row in rows],
        [max(row["cpu_ms_rounds"]) - row["cpu_ms"] for row in rows],
    ]
    axes.errorbar(sizes, middle, yerr=spread, fmt="o-", capsize=4, color="#2a7", label="CPU ms of a classification")
    axes.set_xlabel("intents of the pack")
    axes.set_ylim(0, 1.6 * max(max(row["cpu_ms_rounds"]) for row in rows))
    axes.legend(fontsize=8, loc="upper left")
    tokens = axes.twinx()
    for name, words, colour in (
        ("language_model", "prompt tokens, language-model stage (right)", "#59c"),
        ("pills", "prompt tokens, pills (right)", "#c55"),
    ):
        tokens.plot(sizes, [row[name]["prompt_tokens"] for row in rows], "s--", color=colour, label=words)
    tokens.set_ylim(0, 1.3 * max(row["language_model"]["prompt_tokens"] for row in rows))
    tokens.legend(fontsize=8, loc="upper right")
    axes.set_title("Growth with the vocabulary", fontsize=9)
