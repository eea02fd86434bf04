"""Training and the artefact: reproducible, checked, refused when its parts do not belong together."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiermesh_classifier.artefact import ArtefactError, check_belongs, load
from tiermesh_classifier.assembly import axis_labels
from tiermesh_classifier.train import main
from tiermesh_classifier.training.patterns import Expander, Labels, load_grammars
from tiermesh_classifier.training.train import Options, train
from tiermesh_classifier.training.turns import LabelledDataError, read_turns
from tiermesh_classifier.vocabulary import words_of
from tiermesh_pack import Pack

TURN = {
    "id": "a1",
    "conversation": None,
    "text": "how many days do I have left",
    "intent": "leave.balance",
    "cardinality": "one",
    "temporal": "now",
    "aggregation": "none",
    "position": "opening",
    "needs_context": False,
    "ambiguous": False,
    "multi_step": False,
    "route": "tier1",
}


PATTERNS = """
lists:
  unit:
    - in my team => team
    - in the company => org
groups:
  - labels: leave.history rank team
    texts:
      - 'who took most leave {unit} (last year => window|)'
follow_ups:
  - after: data computed
    labels: follow_up nc
    samples: 2
    texts:
      - 'and ever? => multi_year'
"""


def copied(folder: Path, to: Path) -> Path:
    for file in folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    return to


def test_the_same_input_gives_the_same_bytes(tiny_pack: Pack, tmp_path: Path) -> None:
    options = Options(folds=2, most_steps=10)
    for name in ("one", "two"):
        train(tiny_pack, [], tmp_path / name, options, tell=lambda words: None)

    one, two = ({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert one == two


_NUMBERS = """
import hashlib, sys
from pathlib import Path
from tiermesh_classifier.training.prepared import prepared, read_all
from tiermesh_classifier.training.train import fit_encoder
from tiermesh_classifier.training.turns import read_turns
from tiermesh_classifier.vocabulary import words_of
from tiermesh_pack import load_pack

words = words_of(load_pack(Path(sys.argv[1])))
data = prepared(read_all(words, read_turns(Path(sys.argv[2]))), None)
rows = data.rows(fit_encoder(data.features)).sparse
print(*(hashlib.sha256(part.tobytes()).hexdigest() for part in (rows.data, rows.indices, rows.indptr)))
"""


def test_the_numbers_of_turns_are_the_same_in_every_process(pack: Pack) -> None:
    # Sets of words have another order in each process, unless the seed of their hashes is told.
    arguments = [sys.executable, "-c", _NUMBERS, str(pack.path), str(pack.path / "examples" / "leave.jsonl")]
    seen = {
        subprocess.run(
            arguments, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(seen) == 1


def test_the_manifest_says_what_it_was_made_from_and_how_good_it_is(artefact_folder: Path) -> None:
    manifest = json.loads((artefact_folder / "manifest.json").read_text())

    assert manifest["provenance"]["pack"] == "hr@1.0.0"
    assert "leave.jsonl" in manifest["provenance"]["files"]
    assert manifest["held_out"]["intent"]["turns"] > 1000
    assert {"accuracy", "macro_f1", "ece", "brier"} <= set(manifest["held_out"]["cardinality"])


@pytest.mark.parametrize("name", ["intent.weights.npy", "vocabulary.txt", "calibration.json", "confidence.weights.npy"])
def test_a_file_that_the_manifest_does_not_know_is_refused_by_name(
    artefact_folder: Path, tmp_path: Path, name: str
) -> None:
    folder = copied(artefact_folder, tmp_path)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-2] + b"7\n")

    with pytest.raises(ArtefactError, match=f"{name}.*make train"):
        load(folder)


def test_a_calibration_of_other_weights_is_refused(artefact_folder: Path, tmp_path: Path) -> None:
    import hashlib

    folder = copied(artefact_folder, tmp_path)
    calibration = json.loads((folder / "calibration.json").read_text())
    calibration["weights"] = "0" * 64
    (folder / "calibration.json").write_text(json.dumps(calibration))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["calibration.json"] = hashlib.sha256((folder / "calibration.json").read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))

    with pytest.raises(ArtefactError, match="measured on other weights"):
        load(folder)


def test_an_artefact_of_another_vocabulary_or_other_rules_is_refused(pack: Pack, artefact_folder: Path) -> None:
    artefact, words = load(artefact_folder), words_of(pack)

    check_belongs(artefact, words.version, axis_labels(words), words.digest)
    with pytest.raises(ArtefactError, match=r"hr@9\.9\.9.*make train"):
        check_belongs(artefact, "hr@9.9.9", axis_labels(words), words.digest)
    with pytest.raises(ArtefactError, match="other labels of the axis 'intent'"):
        check_belongs(artefact, words.version, {"intent": ("only.one",)}, words.digest)
    with pytest.raises(ArtefactError, match="rules or synonyms changed"):
        check_belongs(artefact, words.version, {}, "other")


def test_a_missing_artefact_is_told_with_the_mend(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"manifest\.json.*make train"):
        load(tmp_path)


def test_a_turn_in_a_conversation_gets_the_gold_labels_before_it_as_history(tmp_path: Path) -> None:
    second = {**TURN, "id": "a2", "conversation": "c", "position": "follow_up", "text": "and last year?"}
    file = tmp_path / "turns.jsonl"
    file.write_text(json.dumps({**TURN, "conversation": "c"}) + "\n" + json.dumps(second) + "\n")

    first, after = read_turns(file)

    assert not first.history.running
    assert after.history.topic is not None
    assert (after.history.topic.intent, after.history.topic.route) == ("leave.balance", "tier1")
    assert first.group == after.group


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "not valid JSON"),
        ("[]", "not an object"),
        (json.dumps({**TURN, "intent": None}), "intent"),
        (json.dumps({**TURN, "route": "tier9"}), '"tier9" is no route'),
    ],
)
def test_a_broken_line_of_a_labelled_file_is_told_with_its_place(tmp_path: Path, line: str, problem: str) -> None:
    file = tmp_path / "turns.jsonl"
    file.write_text(json.dumps(TURN) + "\n" + line + "\n")

    with pytest.raises(LabelledDataError, match=f"turns.jsonl:2: .*{problem}"):
        read_turns(file)


def test_a_pattern_takes_the_labels_of_its_fillers(pack: Pack, tmp_path: Path) -> None:
    file = tmp_path / "patterns.yaml"
    file.write_text(PATTERNS)
    words = words_of(pack)
    labels = Labels(axis_labels(words))

    turns = Expander(labels, words.kinds).expand(load_grammars([file], labels), 12)

    company = next(turn for turn in turns if turn.text == "who took most leave in the company last year")
    assert (company.labels["cardinality"], company.labels["temporal"], company.route) == ("org", "window", "aggregate")
    after = next(turn for turn in turns if turn.text == "and ever?")
    assert (after.labels["intent"], after.labels["temporal"], after.labels["position"]) == (
        "leave.history",
        "multi_year",
        "follow_up",
    )


def test_a_word_in_a_pattern_that_is_no_label_is_told(pack: Pack, tmp_path: Path) -> None:
    file = tmp_path / "patterns.yaml"
    file.write_text("groups:\n  - labels: leave.histroy rank\n    texts: [x]\n")
    words = words_of(pack)
    labels = Labels(axis_labels(words))

    with pytest.raises(LabelledDataError, match=r'"leave\.histroy" is no label'):
        Expander(labels, words.kinds).expand(load_grammars([file], labels))


def test_the_command_tells_what_is_wrong_and_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--pack", str(tmp_path), "--out", str(tmp_path / "out")]) == 2

    assert "cannot train" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
