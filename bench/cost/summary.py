"""The arithmetic: what the questions of a side come to, and which promises were broken."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from bench.cost.asking import Asked
from bench.cost.checked import figures_of
from bench.cost.ledger import Entry

# What the DESIGN allows of one look-up over different entities before it is a loop.
MOST_LOOK_UPS = 3
TARGET_MIX: Mapping[str, float] = {"tier1": 0.6, "aggregate": 0.3, "tier2": 0.1}


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))] if ordered else 0.0


def costs(entries: Iterable[Entry]) -> dict[str, int]:
    """Booked micro-dollars of each question's calls for its answer; pills and judges are told apart."""
    found: dict[str, int] = defaultdict(int)
    for entry in entries:
        if entry.tag not in ("suggest", "judge"):
            found[entry.request_id] += entry.cost_micros
    return found


def of_side(asked: Sequence[Asked], booked: Mapping[str, int], entries: Sequence[Entry]) -> dict[str, Any]:
    """A side's row: cost with its spread over the blocks, calls, routes, times."""
    names = {each.request_id for each in asked}
    own = [entry for entry in entries if entry.request_id in names]
    blocks = defaultdict(list)
    for each in asked:
        blocks[each.block].append(booked.get(each.request_id, 0))
    count = len(asked)
    prompt = sum(entry.prompt_tokens for entry in own)
    return {
        "questions": count,
        "cost_micros": round(sum(booked.get(name, 0) for name in names) / count, 1),
        "cost_micros_blocks": [round(statistics.mean(costs_), 1) for _, costs_ in sorted(blocks.items())],
        "cost_micros_by_tag": _by_tag(own, count),
        "judge_micros": round(sum(entry.cost_micros for entry in own if entry.tag == "judge") / count, 1),
        "model_calls": round(sum(each.model_calls for each in asked) / count, 2),
        "data_calls": round(sum(each.data_calls for each in asked) / count, 2),
        "prompt_tokens": round(prompt / count),
        "cached_share": round(sum(entry.cached_tokens for entry in own) / prompt, 3) if prompt else 0.0,
        "routes": shares(each.route for each in asked),
        "complete": sum(each.complete for each in asked),
        "failed": dict(Counter(each.error for each in asked if each.error)),
        "causes": dict(sum((each.causes for each in asked), Counter())),
        "first_ms": {f"p{p}": round(1000 * percentile(_times(asked, "first"), p), 1) for p in (50, 95)},
        "done_ms": {f"p{p}": round(1000 * percentile(_times(asked, "done"), p), 1) for p in (50, 95)},
    }


def shares(routes: Iterable[str]) -> dict[str, float]:
    """Share of each route."""
    counts = Counter(routes)
    whole = sum(counts.values())
    return {route: round(count / whole, 3) for route, count in sorted(counts.items())}


def by_route(asked: Sequence[Asked], booked: Mapping[str, int]) -> dict[str, Any]:
    """Mean cost of a question on each route, and what that comes to at the mix of the target."""
    found: dict[str, list[int]] = defaultdict(list)
    for each in asked:
        found[each.route].append(booked.get(each.request_id, 0))
    means = {route: round(statistics.mean(costs_), 1) for route, costs_ in sorted(found.items()) if route}
    at_target = sum(means.get(route, 0.0) * share for route, share in TARGET_MIX.items())
    return {"cost_micros": means, "at_target_mix_micros": round(at_target, 1)}


def escalated(routed: Sequence[Asked], direct: Sequence[Asked]) -> dict[str, Any]:
    """Questions that tier 2 answered in the end: time to their first chunk, against the same ones asked of tier 2.

    `ratios` are those of each block, over its own questions.
    """
    beside = {(each.block, each.turn.id): each for each in direct}
    pairs = [
        (each, beside[each.block, each.turn.id])
        for each in routed
        if each.route == "tier2" and (each.block, each.turn.id) in beside
    ]
    pairs = [(ours, theirs) for ours, theirs in pairs if ours.first is not None and theirs.first is not None]
    bounced = [each.first or 0 for each, _ in pairs if each.decided != "tier2"]
    ours, theirs = _p95_ms([each for each, _ in pairs]), _p95_ms([each for _, each in pairs])
    ratios = [
        _ratio(*(_p95_ms([pair[side] for pair in pairs if pair[0].block == block]) for side in (0, 1)))
        for block in sorted({each.block for each, _ in pairs})
    ]
    return {
        "questions": len(pairs),
        "bounced": len(bounced),
        "routed_p95_ms": ours,
        "bounced_p95_ms": round(1000 * percentile(bounced, 95), 1),
        "direct_p95_ms": theirs,
        "ratio": _ratio(ours, theirs),
        "ratios": ratios,
    }


def _p95_ms(asked: Sequence[Asked]) -> float:
    return round(1000 * percentile([each.first or 0 for each in asked], 95), 1)


def _ratio(ours: float, theirs: float) -> float:
    return round(ours / theirs, 2) if theirs else 0.0


def unsupported(text: str, question: str, tables: Sequence[Mapping[str, Any]]) -> list[Decimal]:
    """Figures of an aggregate's prose that are neither a cell nor derived from one table's cells.

    Derived: counts of rows; of one column sums, differences and shares. What the question, the caption or a note says
    may be repeated.
    """
    known = set(figures_of(question))
    for table in tables:
        words = [table.get("caption", ""), *table.get("notes", []), *(each["label"] for each in table["columns"])]
        known.update(figures_of(" ".join(words)))
        known.update(_derived(table))
    return [figure for figure in figures_of(text) if not any(_shown_as(value, figure) for value in known)]


def _derived(table: Mapping[str, Any]) -> set[Decimal]:
    rows = table.get("rows", [])
    found = {Decimal(count) for count in range(len(rows) + 1)}
    found.update(figures_of(" ".join(str(cell) for row in rows for cell in row if isinstance(cell, str))))
    for place, _ in enumerate(table["columns"]):
        column = [_number(row[place]) for row in rows]
        numbers = [each for each in column if each is not None]
        whole = sum(numbers, Decimal(0))
        found.update(numbers)
        found.add(whole)
        for one in numbers:
            found.update(abs(one - other) for other in numbers)
            found.update(one / other * 100 for other in [*numbers, whole] if other)
            found.update(abs(one - other) / other * 100 for other in numbers if other)
        if numbers:
            found.add(whole / len(numbers))
            found.update({numbers[0] * 100, *(each * 100 for each in numbers)})
    return found


def _shown_as(value: Decimal, figure: Decimal) -> bool:
    """True when the figure is the value, rounded to the places that are shown."""
    places = max(0, -int(figure.as_tuple().exponent))
    return abs(abs(value) - abs(figure)) <= Decimal(10) ** -places / 2


def loops(asked: Iterable[Asked], look_ups: Iterable[str]) -> list[str]:
    """High-scope questions that were answered by a loop of one look-up."""
    kinds = frozenset(look_ups)
    return [
        f"{each.request_id}: {count} calls of {tool} for a question of high scope"
        for each in asked
        if each.turn.high_scope or each.seen_high_scope
        for tool, count in each.tools.items()
        if tool in kinds and count > MOST_LOOK_UPS
    ]


def broken(asked: Iterable[Asked]) -> list[str]:
    """Questions without a receipt; aggregates whose prose says figures that are not in the rows."""
    found = []
    for each in asked:
        if each.error:
            found.append(f"{each.request_id}: failed with {each.error}")
        elif not each.receipt:
            found.append(f"{each.request_id}: no receipt")
        elif each.route == "aggregate" and each.tables:
            strange = unsupported(each.text, each.turn.text, each.tables)
            if strange:
                found.append(f"{each.request_id}: figures {', '.join(map(str, strange))} are not in the rows")
    return found


def _by_tag(entries: Iterable[Entry], questions: int) -> dict[str, float]:
    found: Counter[str] = Counter()
    for entry in entries:
        found[entry.tag] += entry.cost_micros
    return {tag: round(cost / questions, 1) for tag, cost in found.most_common()}


def _times(asked: Iterable[Asked], name: str) -> list[float]:
    return [getattr(each, name) for each in asked if getattr(each, name) is not None]


def _number(value: Any) -> Decimal | None:
    text = str(value)
    return Decimal(text) if text.replace(".", "", 1).removeprefix("-").isdigit() else None
