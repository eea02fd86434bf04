"""The English cues that come with the engine, read once at start."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import yaml


@dataclass(frozen=True)
class Lexicon:
    """Cues as phrases, phrases as tuples of words; spellings map what people type to the word they mean."""

    version: str
    cues: Mapping[str, tuple[tuple[str, ...], ...]]
    spellings: Mapping[str, str]
    not_names: frozenset[str]
    weak_values: frozenset[str]


def load_lexicon(language: str = "en") -> Lexicon:
    """The packaged lexicon of a language."""
    document = yaml.safe_load(files(__package__).joinpath(f"{language}.yaml").read_text(encoding="utf-8"))
    cues = {
        name: tuple(phrase for line in lines for phrase in expand(str(line)))
        for name, lines in document["cues"].items()
    }
    return Lexicon(
        version=f"{language}-{document['version']}",
        cues=cues,
        spellings=dict(document["spellings"]),
        not_names=frozenset(document["not_names"].split()),
        weak_values=frozenset(document["weak_values"].split()),
    )


def expand(line: str) -> Sequence[tuple[str, ...]]:
    """All phrases of a line in which "|" separates alternatives of one word."""
    phrases: list[tuple[str, ...]] = [()]
    for word in line.split():
        phrases = [(*phrase, option) for phrase in phrases for option in word.split("|")]
    return phrases
