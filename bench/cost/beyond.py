"""Why questions reached tier 2 that the labels keep below it, and what all would cost if each went where they say."""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from bench.cost.asking import Asked

_SHOWN = 5
_FIGURE = re.compile(r"\d+(?:\.\d+)?")


def beyond_labels(routed: Sequence[Asked]) -> list[dict[str, Any]]:
    """Each cause with its number and a few of its questions, most frequent first.

    A cause is the rule that decided for tier 2, or what changed the route on the way there.
    """
    found: dict[str, list[Asked]] = defaultdict(list)
    for each in routed:
        if each.route == "tier2" and each.turn.route != "tier2":
            found[_cause(each)].append(each)
    return [
        {
            "cause": cause,
            "questions": len(asked),
            "labels": dict(sorted(_counts(each.turn.route for each in asked).items())),
            "examples": [
                {"text": each.turn.text, "saw": each.rule_saw if each.decided == "tier2" else each.changes[-1]}
                for each in asked[:_SHOWN]
            ],
        }
        for cause, asked in sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    ]


def _cause(asked: Asked) -> str:
    if asked.decided == "tier2":
        return f"decided: {asked.rule}"
    change = asked.changes[-1] if asked.changes else "unknown"
    return f"handed over by {asked.decided}: {_FIGURE.sub('…', change)[:80]}"


def ideal(routed: Sequence[Asked], direct: Sequence[Asked], booked: Mapping[str, int]) -> dict[str, Any]:
    """Mean cost if every question went where its label says and none was handed over.

    A question of tier 2 costs what it cost there asked directly. One below it costs what it cost itself where routing
    took it there, else the mean of its route.
    """
    beside = {(each.block, each.turn.id): booked.get(each.request_id, 0) for each in direct}
    means = _means(routed, booked)
    costs = []
    for each in routed:
        own = booked.get(each.request_id, 0)
        if each.turn.route == "tier2":
            costs.append(beside.get((each.block, each.turn.id), own))
        elif each.route == each.turn.route == each.decided:
            costs.append(own)
        else:
            costs.append(means.get(each.turn.route, own))
    return {
        "cost_micros": round(statistics.mean(costs), 1),
        "routes": {name: round(n / len(routed), 3) for name, n in _counts(e.turn.route for e in routed).items()},
    }


def _means(routed: Sequence[Asked], booked: Mapping[str, int]) -> dict[str, float]:
    found: dict[str, list[int]] = defaultdict(list)
    for each in routed:
        if each.route == each.decided:
            found[each.route].append(booked.get(each.request_id, 0))
    return {route: statistics.mean(costs) for route, costs in found.items()}


def _counts(values: Any) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for value in values:
        found[value] += 1
    return dict(found)
