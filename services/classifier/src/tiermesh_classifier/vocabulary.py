"""The pack as the classifier needs it: labels per axis, intents' facts, rules, terms of the semantic model, exact examples."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tiermesh_pack import Pack, Rule

from tiermesh_classifier.reading.reader import Term
from tiermesh_classifier.reading.text import read_text
from tiermesh_classifier.scores import AXES

Phrase = tuple[tuple[str, ...], Term]
KINDS = ("data", "policy", "write", "chat")


@dataclass(frozen=True)
class PackWords:
    """What the classifier knows of a domain."""

    version: str
    fiscal_start_month: int
    # Label to description, by axis, "surround" among them.
    labels: Mapping[str, Mapping[str, str]]
    # Intent to "data", "policy", "write" or "chat".
    kinds: Mapping[str, str]
    rules: Sequence[Rule]
    phrases: Sequence[Phrase]

    @property
    def digest(self) -> str:
        """Changes when rules or synonyms do: an artefact that was trained with others does not fit."""
        parts = [f"{r.name}|{r.axis}|{r.label}|{r.strength}|{[p.pattern for p in r.patterns]}" for r in self.rules]
        parts += [f"{words}|{term}" for words, term in self.phrases]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def words_of(pack: Pack) -> PackWords:
    """Reads what is needed off a loaded pack."""
    vocabulary = pack.vocabulary
    labels = {name: dict(vocabulary.axes[name].labels) for name in (*AXES, "surround")}
    return PackWords(
        version=pack.identity,
        fiscal_start_month=pack.defaults.fiscal_year_start,
        labels=labels,
        kinds={name: intent.kind for name, intent in vocabulary.intents.items()},
        rules=vocabulary.rules,
        phrases=tuple(_phrases(pack)),
    )


def _phrases(pack: Pack) -> Iterator[Phrase]:
    for name, domain in pack.semantic.domains.items():
        for words in domain.synonyms:
            yield _key(words), Term("domain", name, name)
        for measure in domain.measures.values():
            for words in (measure.label, *measure.synonyms):
                yield _key(words), Term("measure", name, measure.name)
        for view in domain.lists.values():
            for words in view.synonyms:
                yield _key(words), Term("list", name, view.name)
        for dimension in domain.dimensions.values():
            shared = pack.semantic.person is not None and dimension.name in pack.semantic.person.dimensions
            owner = "" if shared else name
            if shared and name != next(iter(pack.semantic.domains)):
                continue  # said once, for all domains
            for words in (dimension.label, *dimension.synonyms):
                yield _key(words), Term("dimension", owner, dimension.name)
            for value, synonyms in dimension.values.items():
                for words in (value.replace("_", " "), *synonyms):
                    yield _key(words), Term("filter", owner, dimension.name, value)
    for population, synonyms in pack.vocabulary.populations.items():
        for words in synonyms:
            yield _key(words), Term("population", "", population)


def _key(words: str) -> tuple[str, ...]:
    return tuple(token.text for token in read_text(words).tokens)
