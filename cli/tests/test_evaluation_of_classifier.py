"""`tiermesh eval classifier` hands its options on, and fills in only what they leave out."""

from pathlib import Path

from tiermesh_cli.evaluation.classifier import command

PACK, ARTEFACT = Path("/checkout/packs/hr"), Path("/checkout/.tiermesh/models/classifier")


def test_the_checkouts_pack_and_artefact_stand_in() -> None:
    given = command(["--data", "turns.jsonl"], PACK, ARTEFACT)

    assert given[1:5] == ["-m", "tiermesh_classifier.evaluate", "--data", "turns.jsonl"]
    assert given[5:] == ["--pack", str(PACK), "--artefact", str(ARTEFACT)]


def test_what_the_options_name_is_left_alone() -> None:
    given = command(["--data", "t.jsonl", "--pack=mine", "--artefact", "there"], PACK, ARTEFACT)

    assert given[3:] == ["--data", "t.jsonl", "--pack=mine", "--artefact", "there"]
