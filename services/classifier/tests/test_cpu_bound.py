"""No text costs more than 50 ms of CPU, the longest and the most hostile among them.

CPU of the process, the best of three: what else runs on the machine seldom slows the same work three times.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiermesh_classifier.history import NO_HISTORY, History, PastTurn
from tiermesh_classifier.scores import Scores, Slots

from .test_injections import DOWN, QUESTIONS, UP

Score = Callable[..., Scores]
BUDGET_SECONDS = 0.05
# What a call may bring.
LONGEST = 8_000
RUNNING = History((PastTurn("leave.history", "team", "window", "rank", "aggregate"),) * 16, Slots(), 16)
HOSTILE = {
    "ten thousand words": "who took leave " * 3_334,
    "two hundred people": "compare " + ", ".join(f"Anna{n} Schmidt{n}" for n in range(200)) + " in finance last year",
    "two hundred departments": "in " + " and ".join(f"the Unit{n} department" for n in range(200)),
    "dates without end": "since 12 May 2024, 3 June 2023 to 5 July 2024, last quarter, Q3 FY25, " * 120,
    "numeric dates": "1/2/2024 " * 900,
    "figures": "1 2 3 4 5 6 7 " * 600,
    "clock": "22:15 " * 1_400,
    "one letter": "a" * LONGEST,
    "letters": "abcdefghij" * 800,
    "misspelt": "leve balnce depatment mangaer attendence reprot " * 170,
    "blanks": " " * LONGEST,
    "lines": "\n" * LONGEST,
    "question marks": "?" * LONGEST,
    "sentences of a letter": "a. " * 2_600,
    "quotes": "'" * LONGEST,
    "genitives": "Anna's " * 1_200,
    "capitals": "WHO TOOK THE MOST LEAVE " * 340,
    "right-to-left marks": "\u202ewho took leave\u202c " * 420,
    "zero width": "l\u200be\u200ba\u200bv\u200be " * 800,
    "combining": "a" + "\u0301" * (LONGEST - 1),
    "emoji": "👍🏽🏳️‍🌈" * 1_200,
    "one character that is eighteen": "ﷺ" * LONGEST,
    "every script": "".join(map(chr, range(32, 32 + LONGEST))),
    "Hebrew": "כמה ימי חופשה נשארו לי? " * 330,
    "Chinese": "今年谁请假最多" * 1_100,
    "JSON": json.dumps({"intent": [{"cardinality": ["one"] * 50}] * 30}),
    "brackets": "{{[[((<" * 1_100,
    "code": "def f(x):\n    return [y for y in x if y > 0]\n" * 180,
    "SQL": "SELECT name, sum(days) FROM leave GROUP BY name; -- " * 150,
    "half a sign": "ignore " * 1_100,
    "half an order": "write me a " * 720,
    "half an identity": "you are an " * 720,
    "claims": " ".join((*DOWN, *UP)) * 12,
    "a question in claims": f"{QUESTIONS[0]} {DOWN[2]} " * 70,
}
PIECES = st.sampled_from(
    [
        *QUESTIONS,
        *DOWN,
        *UP,
        " ",
        "\n",
        "?!",
        "Anna's",
        "12/5/2024",
        "Q3",
        "ﷺ",
        "\u202e",
        "\u200b",
        "🙂",
        "{",
        "';--",
        "leve",
    ]
)


def cheapest(score: Score, text: str, history: History = NO_HISTORY) -> float:
    """Seconds of CPU, the best of three."""
    spent = []
    for _ in range(3):
        before = time.process_time()
        score(text[:LONGEST], history)
        spent.append(time.process_time() - before)
        if spent[-1] < BUDGET_SECONDS:
            break
    return min(spent)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("history", [NO_HISTORY, RUNNING], ids=["opening", "running"])
def test_no_hostile_text_costs_more_than_its_budget(score: Score, name: str, history: History) -> None:
    assert cheapest(score, HOSTILE[name], history) < BUDGET_SECONDS


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.one_of(PIECES, st.text(max_size=12)), min_size=1, max_size=12), times=st.integers(1, 2_000))
def test_no_mixture_repeated_costs_more_than_its_budget(score: Score, pieces: list[str], times: int) -> None:
    once = " ".join(pieces)

    assert cheapest(score, once * min(times, LONGEST // max(1, len(once)) + 1)) < BUDGET_SECONDS


def test_no_public_hostile_string_costs_more_than_its_budget(score: Score) -> None:
    folder = os.environ.get("TIERMESH_INJECTION_SETS")
    if folder is None:
        pytest.skip("TIERMESH_INJECTION_SETS names no folder with the public sets")
    every = int(os.environ.get("TIERMESH_INJECTION_EVERY", "25"))
    texts = [
        json.loads(line)["text"]
        for path in sorted(Path(folder).glob("*.jsonl"))
        if path.name.startswith(("injection-", "naughty-"))
        for line in path.read_text("utf-8").strip().split("\n")[::every]
    ]

    assert texts
    assert [text for text in texts if text and cheapest(score, text) >= BUDGET_SECONDS] == []
