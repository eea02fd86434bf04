"""The pack as the classifier needs it: labels per axis, kinds of intents, rules, terms of the semantic model."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tiermesh_pack import Pack, Rule
from tiermesh_pack.semantic import Dimension, Domain

from tiermesh_classifier.reading.reader import Term
from tiermesh_classifier.reading.text import read_text
from tiermesh_classifier.scores import AXES

Phrase = tuple[tuple[str, ...], Term]
_SHORTEST_VALUE = 4
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
    shared = pack.semantic.person.dimensions if pack.semantic.person is not None else {}
    for dimension in shared.values():
        yield from _of_dimension("", dimension)
    for name, domain in pack.semantic.domains.items():
        yield from _of_domain(name, domain, shared)
    for population, synonyms in pack.vocabulary.populations.items():
        yield from _all(synonyms, Term("population", "", population))


def _of_domain(name: str, domain: Domain, shared: Mapping[str, Dimension]) -> Iterator[Phrase]:
    yield from _all(domain.synonyms, Term("domain", name, name))
    for measure in domain.measures.values():
        yield from _all((measure.label, *measure.synonyms), Term("measure", name, measure.name))
    for view in domain.lists.values():
        yield from _all(view.synonyms, Term("list", name, view.name))
    for dimension in domain.dimensions.values():
        if dimension.name not in shared:
            yield from _of_dimension(name, dimension)


def _of_dimension(owner: str, dimension: Dimension) -> Iterator[Phrase]:
    yield from _all((dimension.label, *dimension.synonyms), Term("dimension", owner, dimension.name))
    for value, synonyms in dimension.values.items():
        # A code such as "IN" or "IT" is an English word when folded: only its synonyms speak for it.
        said = synonyms if len(value) < _SHORTEST_VALUE else (value.replace("_", " "), *synonyms)
        yield from _all(said, Term("filter", owner, dimension.name, value))


def _all(wordings: Iterable[str], term: Term) -> Iterator[Phrase]:
    return ((_key(words), term) for words in wordings)


def _key(words: str) -> tuple[str, ...]:
    return tuple(token.text for token in read_text(words).tokens)
