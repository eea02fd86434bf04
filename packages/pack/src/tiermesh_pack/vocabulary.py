"""The words a pack knows: intents, axes and their labels, rules, populations. Classifies nothing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tiermesh_pack.documents import Document, Problems, check_schema, load_document, suggestion
from tiermesh_pack.examples import Example

no_signal = "no_signal"
"""A label of every axis besides those listed: nothing was seen. It never means simple."""

IntentKind = Literal["data", "policy", "write", "chat"]


@dataclass(frozen=True)
class Intent:
    """What a user may want. `kind` steers the route: only `data` intents can be answered by one bulk call."""

    name: str
    description: str
    family: str
    kind: IntentKind
    stakes: str
    domain: str
    """Domain of the semantic model; empty when no data stands behind it."""
    default_measure: str
    """Measure meant when the question names none; empty when there is no such thing."""
    tools: tuple[str, ...]
    """Names of per-entity tools that serve it."""
    neighbours: Mapping[str, str]
    """Intents it is easily taken for, each with what tells them apart."""
    suggestions: tuple[str, ...] = ()
    """Questions of this intent that read well as suggestions, in the pack's language; best first."""

    @property
    def write(self) -> bool:
        """Whether the user wants something changed."""
        return self.kind == "write"


@dataclass(frozen=True)
class Axis:
    """One independent question about a turn, and the labels that answer it (`no_signal` is always possible too)."""

    name: str
    description: str
    labels: Mapping[str, str]
    """Label to what it means."""


@dataclass(frozen=True)
class Rule:
    """A transparent hint: when a pattern matches, it speaks for one label of one axis. Silence says nothing."""

    name: str
    axis: str
    label: str
    strength: float
    """0 to 1: how sure the label is when the rule fires."""
    description: str
    patterns: tuple[re.Pattern[str], ...]

    def match(self, text: str) -> str | None:
        """The words that made it fire, or None."""
        return next((found.group(0) for pattern in self.patterns if (found := pattern.search(text))), None)


@dataclass(frozen=True)
class Vocabulary:
    """Everything the classifier is built from."""

    intents: Mapping[str, Intent]
    axes: Mapping[str, Axis]
    rules: tuple[Rule, ...]
    populations: Mapping[str, tuple[str, ...]]
    """Whose data is meant (self, reports, team, department, company) to the words people say for it."""
    examples: tuple[Example, ...] = ()


def load_intents(path: Path, problems: Problems) -> tuple[Mapping[str, Intent], Document | None]:
    """Reads `intents.yaml`; the document comes along for checks against the semantic model."""
    document = load_document(path, problems)
    if document is None or not check_schema(document, "intents", problems):
        return {}, None
    entries: Mapping[str, Mapping[str, Any]] = document.data["intents"]
    intents = {name: _intent(name, entry) for name, entry in entries.items()}
    for name, intent in intents.items():
        for other in (other for other in intent.neighbours if other not in intents):
            line = document.line("intents", name, "neighbours", other)
            problems.add(path, line, f'neighbour "{other}" is no intent', suggestion(other, list(intents)))
    return intents, document


def _intent(name: str, entry: Mapping[str, Any]) -> Intent:
    return Intent(
        name=name,
        description=entry["description"],
        family=entry["family"],
        kind=entry["kind"],
        stakes=entry.get("stakes", "low"),
        domain=entry.get("domain", ""),
        default_measure=entry.get("default_measure", ""),
        tools=tuple(entry.get("tools", ())),
        neighbours=dict(entry.get("neighbours", {})),
        suggestions=tuple(entry.get("suggestions", ())),
    )


def load_axes(path: Path, intents: Mapping[str, Intent], problems: Problems) -> Mapping[str, Axis]:
    """Reads `axes.yaml`. The axis "intent" is made here: its labels are the intents themselves."""
    axes = {"intent": Axis("intent", "What the user wants.", {name: one.description for name, one in intents.items()})}
    document = load_document(path, problems)
    if document is not None and check_schema(document, "axes", problems):
        for name, entry in document.data["axes"].items():
            axes[name] = Axis(name, entry["description"], dict(entry["labels"]))
    return axes


def load_rules(
    path: Path, axes: Mapping[str, Axis], problems: Problems
) -> tuple[tuple[Rule, ...], Mapping[str, tuple[str, ...]]]:
    """Reads `rules.yaml`: rules and populations."""
    document = load_document(path, problems)
    if document is None or not check_schema(document, "rules", problems):
        return (), {}
    populations = {name: tuple(words) for name, words in document.data.get("populations", {}).items()}
    rules: list[Rule] = []
    for index, entry in enumerate(document.data["rules"]):
        _check_label(document, index, entry, axes, problems)
        if entry["name"] in (rule.name for rule in rules):
            line = document.line("rules", index, "name")
            problems.add(path, line, f'rule "{entry["name"]}" is defined twice', "rename or remove one")
        rules.append(_rule(document, index, entry, populations, problems))
    return tuple(rules), populations


def _check_label(
    document: Document, index: int, entry: Mapping[str, Any], axes: Mapping[str, Axis], problems: Problems
) -> None:
    axis, label = entry["axis"], entry["label"]
    if axis not in axes:
        line = document.line("rules", index, "axis")
        problems.add(document.path, line, f'"{axis}" is no axis', suggestion(axis, list(axes)))
    elif label not in axes[axis].labels:
        line = document.line("rules", index, "label")
        known = list(axes[axis].labels)
        problems.add(document.path, line, f'"{label}" is no label of the axis "{axis}"', suggestion(label, known))


def _rule(
    document: Document,
    index: int,
    entry: Mapping[str, Any],
    populations: Mapping[str, Sequence[str]],
    problems: Problems,
) -> Rule:
    phrases = list(entry.get("phrases", ()))
    population = entry.get("population", "")
    if population and population not in populations:
        line = document.line("rules", index, "population")
        problems.add(document.path, line, f'"{population}" is no population', suggestion(population, list(populations)))
    phrases += populations.get(population, ())
    patterns = [phrase_pattern(phrases)] if phrases else []
    for position, text in enumerate(entry.get("patterns", ())):
        try:
            patterns.append(re.compile(text, re.IGNORECASE))
        except re.error as error:
            line = document.line("rules", index, "patterns", position)
            problems.add(document.path, line, f"not a regular expression: {error}", "mend the pattern")
    return Rule(
        name=entry["name"],
        axis=entry["axis"],
        label=entry["label"],
        strength=float(entry["strength"]),
        description=entry.get("description", ""),
        patterns=tuple(patterns),
    )


def phrase_pattern(phrases: Sequence[str]) -> re.Pattern[str]:
    """One pattern that finds any of the phrases as whole words, whatever their case and spacing."""
    worded = (r"\s+".join(map(re.escape, phrase.split())) for phrase in phrases)
    return re.compile(r"(?<!\w)(?:" + "|".join(worded) + r")(?!\w)", re.IGNORECASE)
