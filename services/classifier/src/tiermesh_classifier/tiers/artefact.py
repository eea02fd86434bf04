"""The least-tier model on disk: a folder of .npy arrays, a vocabulary, a calibration and a manifest.

Saved by training, loaded memory-mapped; what does not belong together is refused with the mend.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tiermesh_classifier.artefact_files import (
    ArtefactError,
    as_json,
    digest_of,
    parse,
    read,
    replace_file,
    save_array,
    save_file,
)
from tiermesh_classifier.tiers.model import Curve, Floats, TierModel
from tiermesh_classifier.tiers.words import Words

FORMAT = "tiermesh-tiers-1"
_MEND = "run `python -m tiermesh_classifier.train_tiers`"


@dataclass(frozen=True)
class TrainedTiers:
    """What training hands over to be saved."""

    # Name of the pack whose turns it is for, such as "assistant"; its version may change.
    pack: str
    tiers: Sequence[int]
    names: Sequence[str]
    idf: Floats
    longest_phrase: int
    weights: Floats
    bias: Floats
    curves: Sequence[Curve]
    # By tier: what the calibrated chances are worth on questions that neither fit nor calibration saw.
    held_out: Mapping[str, Mapping[str, float | str]]
    provenance: Mapping[str, Any]


def save(trained: TrainedTiers, folder: Path) -> str:
    """Writes the artefact and returns its version; the same input gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, str] = {}
    save_file(folder, "vocabulary.txt", "\n".join(trained.names).encode(), files)
    for name, array in (("idf", trained.idf), ("weights", trained.weights), ("bias", trained.bias)):
        save_array(folder, f"{name}.npy", array.astype(np.float32), files)
    calibration = {
        "weights": digest_of(as_json(files)),
        "curves": [{"knots": curve.knots.tolist(), "values": curve.values.tolist()} for curve in trained.curves],
        "held_out": trained.held_out,
    }
    save_file(folder, "calibration.json", as_json(calibration), files)
    manifest = {
        "format": FORMAT,
        "pack": trained.pack,
        "tiers": list(trained.tiers),
        "longest_phrase": trained.longest_phrase,
        "held_out": trained.held_out,
        "provenance": trained.provenance,
        "files": files,
    }
    # Last, so that who sees a new manifest finds all that it names.
    replace_file(folder / "manifest.json", as_json(manifest))
    return _version(as_json(manifest))


def load(folder: Path, pack: str) -> TierModel:
    """Loads and checks an artefact for a pack. Raises `ArtefactError` naming the file and the mend."""
    raw = read(folder / "manifest.json", _MEND)
    manifest = parse(folder / "manifest.json", raw, _MEND)
    if manifest.get("format") != FORMAT:
        raise ArtefactError(
            f"{folder}: made in format {manifest.get('format')!r}, this service reads {FORMAT!r}; {_MEND}"
        )
    if manifest["pack"] != pack:
        raise ArtefactError(f"{folder}: was trained for the pack {manifest['pack']!r}, not for {pack!r}; {_MEND}")
    for name, digest in manifest["files"].items():
        if digest_of(read(folder / name, _MEND)) != digest:
            raise ArtefactError(f"{folder / name}: is not the file the manifest was written for; {_MEND}")
    calibration = parse(folder / "calibration.json", read(folder / "calibration.json", _MEND), _MEND)
    weights = {name: digest for name, digest in manifest["files"].items() if name != "calibration.json"}
    if calibration["weights"] != digest_of(as_json(weights)):
        raise ArtefactError(f"{folder / 'calibration.json'}: was measured on other weights; {_MEND}")
    names = (folder / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
    return TierModel(
        Words(names, np.load(folder / "idf.npy"), int(manifest["longest_phrase"])),
        tuple(manifest["tiers"]),
        np.load(folder / "weights.npy", mmap_mode="r"),
        np.load(folder / "bias.npy"),
        [_curve(entry) for entry in calibration["curves"]],
        version=_version(raw),
    )


def _curve(entry: Mapping[str, Sequence[float]]) -> Curve:
    return Curve(np.array(entry["knots"], dtype=np.float32), np.array(entry["values"], dtype=np.float32))


def _version(manifest: bytes) -> str:
    return f"tiers-{digest_of(manifest)[:12]}"
