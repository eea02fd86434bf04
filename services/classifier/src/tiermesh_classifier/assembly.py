"""Puts a classifier together from a loaded pack and an artefact, for the service, training and evaluation alike."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tiermesh_pack import Pack

from tiermesh_classifier.artefact import Artefact, check_belongs, load
from tiermesh_classifier.classifier import Classifier
from tiermesh_classifier.lexicon import load_lexicon
from tiermesh_classifier.reading.reader import Reader
from tiermesh_classifier.rules import RuleStage
from tiermesh_classifier.scores import AXES
from tiermesh_classifier.slots.filling import SlotFiller
from tiermesh_classifier.vocabulary import PackWords, words_of


def axis_labels(words: PackWords) -> Mapping[str, Sequence[str]]:
    """Labels of every trained axis, in the pack's order."""
    return {axis: tuple(words.labels[axis]) for axis in AXES}


def make_reader(words: PackWords) -> Reader:
    """The reader of a pack's questions."""
    return Reader(load_lexicon(), words.phrases)


def make_rules(words: PackWords, pack: Pack | None = None) -> RuleStage:
    """The rule stage; with the pack also its known questions."""
    examples = pack.vocabulary.examples if pack is not None else ()
    return RuleStage(words.rules, axis_labels(words), examples)


def make_slots(pack: Pack) -> SlotFiller:
    """The slot filler of a pack's semantic model."""
    kinds = {name: intent.kind for name, intent in pack.vocabulary.intents.items()}
    return SlotFiller(pack.semantic, load_lexicon(), kinds, known_units(pack))


def known_units(pack: Pack) -> frozenset[str]:
    """Departments that the pack's words for the population "department" name: "in finance" knows "finance"."""
    said = (words.split() for words in pack.vocabulary.populations.get("department", ()))
    return frozenset(words[1].lower() for words in said if len(words) == 2 and words[0] == "in")


def assemble(pack: Pack, folder: Path) -> Classifier:
    """The classifier of a pack with the artefact in a folder; `ArtefactError` when they do not belong together."""
    return assemble_with(pack, load(folder))


def assemble_with(pack: Pack, artefact: Artefact) -> Classifier:
    """The classifier of a pack with an artefact that is loaded already."""
    words = words_of(pack)
    check_belongs(artefact, words.version, axis_labels(words), words.digest)
    return Classifier(words, make_reader(words), make_rules(words, pack), artefact, make_slots(pack))
