"""The rule stage: named, transparent, data-driven from the pack. A rule that stays silent says nothing.

Two kinds speak: the pack's rules, each for one label of one axis; and known questions, matched whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tiermesh_pack import Example, Rule

from tiermesh_classifier.reading.reader import Reading
from tiermesh_classifier.scores import AXES, NO_SIGNAL, AxisScore, Confidence, Evidence, EvidenceKind, Stage

# A single rule that strong needs no second opinion.
DECISIVE = 0.95
# What is left to doubt when a question equals a known one word by word.
KNOWN_STRENGTH = 0.98
_POLITE = frozenset(
    [
        "please",
        "pls",
        "kindly",
        "hi",
        "hello",
        "hey",
        "could",
        "you",
        "can",
        "would",
        "tell",
        "me",
        "show",
        "the",
        "a",
        "an",
        "of",
        "?",
        "!",
        ".",
        ",",
        ":",
    ]
)


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that fired, with the range of the raw text that made it fire."""

    rule: Rule
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Known:
    """The scores of a known question."""

    axes: Mapping[str, AxisScore]
    confidence: Confidence


class RuleStage:
    """Holds the rules and the known questions; made once."""

    version: str

    def __init__(
        self, rules: Sequence[Rule], labels: Mapping[str, Sequence[str]], known: Iterable[Example] = ()
    ) -> None:
        self._rules = rules
        self._labels = labels
        self._known = _known_questions(known)
        self.version = f"rules-{len(rules)}"

    def speaks_on(self, axis: str) -> bool:
        """Whether any rule is about an axis."""
        return any(rule.axis == axis for rule in self._rules)

    def hits(self, reading: Reading) -> Sequence[Hit]:
        """The pack's rules that fire on a text."""
        folded = reading.text.folded
        found: list[Hit] = []
        for rule in self._rules:
            for pattern in rule.patterns:
                match = pattern.search(folded)
                if match is not None and match.end() > match.start():
                    found.append(Hit(rule, *reading.text.raw_span(match.start(), match.end())))
                    break
        return found

    def known(self, reading: Reading) -> Known | None:
        """What is known of a question that equals an example, but for politeness; nothing when there is none."""
        example = self._known.get(_normal(reading))
        if example is None:
            return None
        evidence = (Evidence(EvidenceKind.RULE, "known_question", KNOWN_STRENGTH, 0, len(reading.text.raw)),)
        axes = {
            axis: AxisScore(
                spread(self._labels[axis], {example.label(axis): KNOWN_STRENGTH}), Stage.RULE, self.version, evidence
            )
            for axis in AXES
        }
        value = KNOWN_STRENGTH if example.route == "tier1" else 1.0 - KNOWN_STRENGTH
        return Known(axes, Confidence(value, self.version, evidence))

    def score(self, axis: str, hits: Sequence[Hit]) -> AxisScore:
        """One axis by the rules alone: "no_signal" when none fired, and for what disagreement leaves open."""
        mine = [hit for hit in hits if hit.rule.axis == axis]
        doubt: dict[str, float] = {}
        for hit in mine:
            doubt[hit.rule.label] = doubt.get(hit.rule.label, 1.0) * (1.0 - hit.rule.strength)
        shares = {label: 1.0 - value for label, value in doubt.items()}
        total = sum(shares.values())
        if total > 1.0:
            shares = {label: share / total * max(shares.values()) for label, share in shares.items()}
        distribution = dict.fromkeys(self._labels[axis], 0.0) | shares | {NO_SIGNAL: 1.0 - sum(shares.values())}
        return AxisScore(distribution, Stage.RULE, self.version, tuple(evidence_of(mine)))

    def decides(self, axis: str, hits: Sequence[Hit]) -> str | None:
        """The label that a decisive rule settles, when no rule speaks for another."""
        mine = [hit.rule for hit in hits if hit.rule.axis == axis]
        labels = {rule.label for rule in mine}
        decisive = any(rule.strength >= DECISIVE for rule in mine)
        return labels.pop() if decisive and len(labels) == 1 else None


def evidence_of(hits: Iterable[Hit]) -> Iterable[Evidence]:
    """What a person reads of the rules that fired."""
    return (Evidence(EvidenceKind.RULE, hit.rule.name, hit.rule.strength, hit.start, hit.end) for hit in hits)


def spread(labels: Iterable[str], shares: Mapping[str, float]) -> dict[str, float]:
    """A distribution over all labels: what the named shares leave goes evenly to the others."""
    names = list(labels)
    rest = [name for name in names if name not in shares]
    left = max(0.0, 1.0 - sum(shares.values()))
    even = dict.fromkeys(rest, left / len(rest)) if rest else {}
    return {**even, **shares, NO_SIGNAL: 0.0}


def _known_questions(examples: Iterable[Example]) -> Mapping[tuple[str, ...], Example]:
    """Openings by their words; two that differ only in labels cancel each other."""
    from tiermesh_classifier.reading.text import read_text

    found: dict[tuple[str, ...], Example | None] = {}
    for example in examples:
        if example.position != "opening" or example.needs_context:
            continue
        key = tuple(token.text for token in read_text(example.text).tokens if token.text not in _POLITE)
        same = found.get(key, example)
        found[key] = example if same is not None and _same(same, example) else None
    return {key: example for key, example in found.items() if example is not None and len(key) > 1}


def _same(left: Example, right: Example) -> bool:
    return all(left.label(axis) == right.label(axis) for axis in AXES)


def _normal(reading: Reading) -> tuple[str, ...]:
    return tuple(token.text for token in reading.tokens if token.text not in _POLITE)
