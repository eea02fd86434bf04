"""Chooses labels and judges answers: which of some labels goes best with a text, and how well an answer is backed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tiermesh_simulator.rules.dates import find_period
from tiermesh_simulator.rules.dialogue import Dialogue, is_follow_up
from tiermesh_simulator.rules.entities import groups_in
from tiermesh_simulator.rules.lexicon import best_likeness, content_words, overlap, words
from tiermesh_simulator.rules.talk import in_domain, looks_hard, small_talk
from tiermesh_simulator.wordlist import word_set

_POSITIVE: Final = word_set(
    "good pass passed correct right grounded supported acceptable accept adequate sufficient ok served yes true"
)
_NEGATIVE: Final = word_set(
    "bad fail failed incorrect wrong ungrounded unsupported unacceptable reject inadequate insufficient no false"
)
_ANSWER: Final = re.compile(r"<(?:answer|response|candidate)>\s*(.*?)\s*</(?:answer|response|candidate)>", re.I | re.S)
_ANSWER_LINE: Final = re.compile(r"^(?:answer|response)\s*:\s*(.+)$", re.IGNORECASE | re.MULTILINE)
_NO_ANSWER: Final = re.compile(r"\b(cannot|can't|unable|do not have|don't have|no data)\b", re.IGNORECASE)
# Labels that no word of a question names, with the words that speak for them.
_SIGNS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("rank", re.compile(r"\b(most|least|top|bottom|highest|lowest|best|worst|longest|rank)\b", re.I)),
    ("compare", re.compile(r"\b(compare|versus|vs|than|against)\b", re.I)),
    ("trend", re.compile(r"\b(trend|over time|develop\w*|month by month)\b", re.I)),
    ("average", re.compile(r"\b(average|mean|rate|percentage|per cent)\b", re.I)),
    ("count", re.compile(r"\b(how many|number of|count)\b", re.I)),
    ("sum", re.compile(r"\b(total|how much|sum)\b", re.I)),
    ("org", re.compile(r"\b(company|everyone|departments|locations|organi[sz]ation|headcount|all employees)\b", re.I)),
    ("team", re.compile(r"\b(team|who|we|us|reports|department)\b", re.I)),
    ("one", re.compile(r"\b(my|i|me|am i)\b", re.I)),
    ("correction", re.compile(r"^\s*(no\b|not\b|i meant|that's wrong)", re.I)),
    ("closing", re.compile(r"\b(thanks|thank you|bye|that's all)\b", re.I)),
    ("drill_down", re.compile(r"\b(most|total|average|team|department|how many)\b", re.I)),
    ("act", re.compile(r"\b(book|apply|cancel|submit|my)\b", re.I)),
    ("explain", re.compile(r"\b(why|policy|rule|explain|how)\b", re.I)),
)  # fmt: skip


def choose(name: str, values: Sequence[Any], dialogue: Dialogue, *, subject: str | None = None) -> tuple[Any, float]:
    """Return the label that fits, with how clearly it does (0 to 1)."""
    texts = [str(value) for value in values]
    lowered = {text.lower() for text in texts}
    text = subject if subject is not None else dialogue.question
    if lowered & _POSITIVE and lowered & _NEGATIVE:
        good = (
            is_true(name, dialogue)
            if lowered <= {"yes", "no", "true", "false", "no_signal"}
            else goodness(dialogue) > 0.5
        )
        wanted = _POSITIVE if good else _NEGATIVE
        return next(value for value in values if str(value).lower() in wanted), 0.8
    special = _by_shape(lowered, dialogue, text)
    if special is not None:
        return values[[value.lower() for value in texts].index(special)], 0.8
    documents = _documents(texts, f"{dialogue.system}\n{dialogue.whole_text}")
    asked = content_words(text)
    scores = [_score(label, documents[label], asked, text) for label in texts]
    best = max(scores, default=0.0)
    if best <= 0:
        fallback = next(
            (at for at, label in enumerate(texts) if label in ("no_signal", "none", "unknown", "out_of_scope")), 0
        )
        return values[fallback], 0.3
    second = sorted(scores)[-2] if len(scores) > 1 else 0.0
    return values[scores.index(best)], round(min(0.99, 0.5 + 0.5 * (best - second) / best), 2)


def _by_shape(labels: set[str], dialogue: Dialogue, text: str) -> str | None:  # noqa: PLR0911 - a list of cases
    """Labels that go by the question's shape: its period, its place in the conversation, its scope."""
    if {"now", "window"} <= labels:
        period = find_period(text, dialogue.today)
        days = (period.end - period.start).days + 1 if period is not None else 0
        wanted = "now" if days <= 1 else "window" if days <= 366 else "multi_year"
        if re.search(r"\b(ever|always|never|years|since i joined)\b", text, re.IGNORECASE):
            wanted = "multi_year"
        return wanted if wanted in labels else None
    if {"opening", "follow_up"} <= labels:
        if not dialogue.earlier:
            return "opening"
        signs = [
            label
            for label, sign in _SIGNS
            if label in labels and label in ("correction", "closing") and sign.search(text)
        ]
        return (
            signs[0]
            if signs
            else "follow_up"
            if is_follow_up(text)
            else "topic_shift"
            if "topic_shift" in labels
            else None
        )
    if {"one", "team"} <= labels:
        if len(groups_in(text)) > 1 and "org" in labels:
            return "org"
        return next((label for label, sign in _SIGNS if label in labels and sign.search(text)), "one")
    if {"count", "sum"} <= labels:
        own = re.search(r"\b(my|i)\b.*\b(left|remaining|balance)\b", text, re.IGNORECASE)
        found = next((label for label, sign in _SIGNS if label in labels and sign.search(text)), None)
        return "none" if (own or found is None) and "none" in labels else found
    if "chat.greeting" in labels and small_talk(text) is not None:
        return (
            "chat.capabilities" if "what can you" in text.lower() and "chat.capabilities" in labels else "chat.greeting"
        )
    if "out_of_scope" in labels and not in_domain(text):
        return "out_of_scope"
    return None


def _documents(labels: Sequence[str], text: str) -> Mapping[str, list[str]]:
    """Return the words that the prompt says beside each label."""
    found: dict[str, list[str]] = {label: [] for label in labels}
    for line in text.splitlines():
        for label in labels:
            if len(label) > 2 and re.search(rf"(?<![\w.]){re.escape(label)}(?![\w])", line):
                found[label].extend(content_words(line))
    return found


def _score(label: str, document: Sequence[str], asked: Sequence[str], text: str) -> float:
    score = 2.0 * overlap(label, asked)
    score += (
        sum(best_likeness(word, set(document)) for word in asked) / (1 + len(set(document)) ** 0.5 / 4)
        if document
        else 0.0
    )
    if any(name == label and sign.search(text) for name, sign in _SIGNS):
        score += 1.0
    return score


def is_true(name: str, dialogue: Dialogue) -> bool:
    """Return what a yes-or-no property says of the question (or of the answer that is judged)."""
    own = set(words(name))
    history = bool(dialogue.earlier)
    if own & {"context", "follow"}:
        return history and is_follow_up(dialogue.question)
    if own & {"ambiguous", "unclear"}:
        return (looks_hard(dialogue.question, has_history=history) or "").startswith("ambiguous")
    if own & {"multi", "step", "hard", "complex"}:
        return (looks_hard(dialogue.question, has_history=history) or "").startswith("multi_step")
    if own & (_POSITIVE | {"answer", "ground", "support", "complete", "relevant", "faithful"}):
        return goodness(dialogue) > 0.5
    if own & _NEGATIVE:
        return goodness(dialogue) <= 0.5
    return overlap(name, words(dialogue.question)) >= 0.6


def goodness(dialogue: Dialogue) -> float:
    """Return how much of the answer under judgement the rest of the prompt backs, 0 to 1."""
    found = _ANSWER.findall(dialogue.whole_text) or _ANSWER_LINE.findall(dialogue.whole_text)
    if not found:
        return 0.8
    answer = str(found[-1])
    rest = dialogue.whole_text.replace(answer, " ")
    if not answer.strip() or _NO_ANSWER.search(answer):
        return 0.1
    known = set(words(rest))
    figures = re.findall(r"\d+(?:\.\d+)?", answer)
    backed = [figure for figure in figures if re.search(rf"(?<![\d.]){re.escape(figure)}(?:\.0+)?(?![\d])", rest)]
    own = content_words(re.sub(r"\d+(?:\.\d+)?", " ", answer))
    shared = sum(best_likeness(word, known) >= 0.6 for word in own) / len(own) if own else 0.5
    if figures and len(backed) < len(figures):
        return round(0.4 * len(backed) / len(figures), 2)
    return round(min(1.0, 0.5 + 0.5 * shared), 2)
