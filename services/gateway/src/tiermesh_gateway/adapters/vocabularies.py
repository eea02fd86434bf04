"""What the decision must know of intents, read from the domain packs' vocabulary."""

from __future__ import annotations

from pathlib import Path

from tiermesh_pack.manifest import load_manifest
from tiermesh_pack.problems import PackError, Problems
from tiermesh_pack.vocabulary import load_intents
from tiermesh_policy import IntentFacts, Vocabulary


class PackVocabularies:
    """Vocabularies of the packs of a folder, each read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Vocabulary] = {}

    def __call__(self, pack: str) -> Vocabulary:
        """The vocabulary of a pack such as "hr@1.0.0"; LookupError with the mend when there is none."""
        if pack not in self._known:
            self._known[pack] = self._load(pack)
        return self._known[pack]

    def _load(self, pack: str) -> Vocabulary:
        name, _, version = pack.partition("@")
        root = self._folder / name
        problems = Problems(root)
        try:
            manifest = load_manifest(root, problems)
            intents, _ = ({}, None) if manifest is None else load_intents(manifest.intents, problems)
            problems.raise_if_any()
        except PackError as error:
            raise LookupError(f"the pack in {root} cannot be used: {error}") from None
        if manifest is None or manifest.version != version:
            found = "none" if manifest is None else f"{manifest.name}@{manifest.version}"
            raise LookupError(f"{pack} is not in {self._folder} (found {found}); pin the version that is there")
        return Vocabulary(
            {
                intent.name: IntentFacts(
                    family=intent.family,
                    # Records without a domain behind them, such as tickets, are in no bulk call's reach.
                    domain=(intent.domain or None) if intent.kind == "data" else None,
                    write=intent.write,
                    high_stakes=intent.stakes == "high",
                )
                for intent in intents.values()
            }
        )
