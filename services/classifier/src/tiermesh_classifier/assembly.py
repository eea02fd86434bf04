"""Puts a classifier together from a loaded pack and an artefact, for the service, training and evaluation alike."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tiermesh_pack import Pack

from tiermesh_classifier.artefact import Artefact, check_belongs, load
from tiermesh_classifier.artefact_files import ArtefactError
from tiermesh_classifier.classifier import Classifier, Scorer
from tiermesh_classifier.lexicon import load_lexicon
from tiermesh_classifier.reading.reader import Reader
from tiermesh_classifier.remembering import Remembered
from tiermesh_classifier.rules import RuleStage
from tiermesh_classifier.scores import AXES
from tiermesh_classifier.sentence.encoder import Floats
from tiermesh_classifier.slots.filling import SlotFiller
from tiermesh_classifier.tiers import artefact as tiers_artefact
from tiermesh_classifier.tiers.classifier import TierClassifier
from tiermesh_classifier.tiers.model import TierModel
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


def assemble_scorer(
    pack: Pack, folder: Path, tiers: Path | None, *, tiers_decide: bool = False, remembered_candidates: int = 0
) -> Scorer:
    """What serves a pack: its axes, with the least-tier model where one is named; without intents that model alone.

    `remembered_candidates` is how many candidates' sentence vectors are kept.
    `ArtefactError` when the pack and what is in the folders do not belong together.
    """
    model = None if tiers is None else tiers_artefact.load(tiers, pack.name)
    if pack.vocabulary.intents:
        remembered: Remembered[Floats] = Remembered(remembered_candidates)
        return assemble_with(pack, load(folder), model, tiers_decide=tiers_decide, remembered=remembered)
    if model is None:
        raise ArtefactError(
            f"the pack {pack.identity} has no intents and there is no least-tier model; "
            "run `python -m tiermesh_classifier.train_tiers`"
        )
    words = words_of(pack)
    return TierClassifier(words, make_reader(words), make_rules(words), model)


def assemble_with(
    pack: Pack,
    artefact: Artefact,
    tiers: TierModel | None = None,
    *,
    tiers_decide: bool = False,
    remembered: Remembered[Floats] | None = None,
) -> Classifier:
    """The classifier of a pack with an artefact that is loaded already; `remembered` is for candidates' vectors."""
    words = words_of(pack)
    check_belongs(artefact, words.version, axis_labels(words), words.digest)
    reader, rules, slots = make_reader(words), make_rules(words, pack), make_slots(pack)
    return Classifier(
        words, reader, rules, artefact, slots, tiers=tiers, tiers_decide=tiers_decide, remembered=remembered
    )
