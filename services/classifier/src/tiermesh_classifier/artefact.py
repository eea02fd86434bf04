"""The trained artefact on disk: a folder of .npy arrays, a vocabulary, a manifest and the calibration of them.

Saved by training, loaded memory-mapped by the service; what does not belong together is refused with the mend.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from tiermesh_classifier.encoder import Encoder
from tiermesh_classifier.features import FEATURES_VERSION
from tiermesh_classifier.heads import ConfidenceHead, Heads, LinearHead
from tiermesh_classifier.scores import AXES
from tiermesh_classifier.sentence.encoder import SentenceEncoder, load_sentence_encoder

SPARSE_FORMAT = "tiermesh-classifier-1"
# With a sentence encoder's files, and a dense block of weights beside each head's.
SENTENCE_FORMAT = "tiermesh-classifier-2"
# Text head that only the confidence reads: would the first tier be right?
TIER1_HEAD = "tier1"
# Axes of which a conversation's next turn often keeps the topic's label, each with a head that says whether it does.
KEPT_AXES = ("intent", "cardinality", "temporal", "aggregation")
KEEP_HEADS = tuple(f"keep_{axis}" for axis in KEPT_AXES)
HEADS = (*AXES, *KEEP_HEADS, TIER1_HEAD)
_MEND = "run `make train`"


@dataclass(frozen=True)
class Artefact:
    """Everything that was trained."""

    version: str
    vocabulary_version: str
    encoder: Encoder
    # None in an artefact of the sparse features alone.
    sentence: SentenceEncoder | None
    heads: Mapping[str, LinearHead]
    # The heads, run together.
    together: Heads
    confidence: ConfidenceHead
    manifest: Mapping[str, Any]


@dataclass(frozen=True)
class Trained:
    """What training hands over to be saved."""

    encoder: Encoder
    idf: np.ndarray
    # By head: labels, weights, bias, temperature.
    heads: Mapping[str, LinearHead]
    confidence: ConfidenceHead
    metrics: Mapping[str, Mapping[str, float]]
    provenance: Mapping[str, Any]
    vocabulary_version: str
    rules_digest: str
    # The sentence encoder's files by name, bytes or arrays; none without one.
    sentence: Mapping[str, bytes | np.ndarray] = field(default_factory=dict)


def save(trained: Trained, folder: Path) -> str:
    """Writes the artefact and returns its version; the same input gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, str] = {}
    save_file(folder, "vocabulary.txt", "\n".join(trained.encoder.names).encode(), files)
    save_array(folder, "idf.npy", trained.idf, files)
    for name, head in trained.heads.items():
        save_array(folder, f"{name}.weights.npy", head.weights, files)
        if trained.sentence:
            save_array(folder, f"{name}.dense.npy", head.dense, files)
        save_array(folder, f"{name}.bias.npy", head.bias, files)
    for name, content in trained.sentence.items():
        if isinstance(content, bytes):
            save_file(folder, name, content, files)
        else:
            save_array(folder, name, content, files)
    confidence = trained.confidence
    save_array(folder, "confidence.weights.npy", confidence.weights, files)
    weights_digest = digest_of(json.dumps(files, sort_keys=True).encode())
    calibration = {
        "weights": weights_digest,
        "temperatures": {name: head.temperature for name, head in trained.heads.items()},
        "confidence": {"knots": confidence.knots.tolist(), "values": confidence.values.tolist()},
        "held_out": trained.metrics,
    }
    save_file(folder, "calibration.json", as_json(calibration), files)
    manifest = {
        "format": SENTENCE_FORMAT if trained.sentence else SPARSE_FORMAT,
        "features": FEATURES_VERSION,
        "vocabulary_version": trained.vocabulary_version,
        "rules": trained.rules_digest,
        "labels": {name: list(head.labels) for name, head in trained.heads.items()},
        "confidence": {"inputs": list(confidence.inputs), "bias": confidence.bias},
        "held_out": trained.metrics,
        "provenance": trained.provenance,
        "files": files,
    }
    # Last, so that who sees a new manifest finds all that it names.
    replace_file(folder / "manifest.json", as_json(manifest))
    return digest_of(as_json(manifest))[:12]


def load(folder: Path) -> Artefact:
    """Loads and checks an artefact. Raises `ArtefactError` naming the file and the mend."""
    raw = read(folder / "manifest.json", _MEND)
    manifest = parse(folder / "manifest.json", raw, _MEND)
    for name, given, mine in (
        ("format", manifest.get("format"), (SPARSE_FORMAT, SENTENCE_FORMAT)),
        ("features", manifest.get("features"), (FEATURES_VERSION,)),
    ):
        if given not in mine:
            raise ArtefactError(
                f"{folder}: made with {name} {given!r}, this service reads {' and '.join(mine)}; {_MEND}"
            )
    for name, digest in manifest["files"].items():
        if digest_of(read(folder / name, _MEND)) != digest:
            raise ArtefactError(f"{folder / name}: is not the file the manifest was written for; {_MEND}")
    calibration = parse(folder / "calibration.json", read(folder / "calibration.json", _MEND), _MEND)
    weights = {name: digest for name, digest in manifest["files"].items() if name != "calibration.json"}
    if calibration["weights"] != digest_of(json.dumps(weights, sort_keys=True).encode()):
        raise ArtefactError(f"{folder / 'calibration.json'}: was measured on other weights; {_MEND}")
    version = digest_of(raw)[:12]
    encoder = Encoder((folder / "vocabulary.txt").read_text(encoding="utf-8").split("\n"), np.load(folder / "idf.npy"))
    heads = {name: _head(folder, name, manifest, calibration) for name in HEADS}
    return Artefact(
        version=version,
        vocabulary_version=manifest["vocabulary_version"],
        encoder=encoder,
        sentence=load_sentence_encoder(folder) if manifest["format"] == SENTENCE_FORMAT else None,
        heads=heads,
        together=Heads(list(heads.values())),
        confidence=_confidence(folder, manifest, calibration),
        manifest=manifest,
    )


def check_belongs(artefact: Artefact, vocabulary_version: str, labels: Mapping[str, Sequence[str]], rules: str) -> None:
    """Raises `ArtefactError` when the artefact was trained for another pack version, other labels or other rules."""
    if artefact.vocabulary_version != vocabulary_version:
        raise ArtefactError(
            f"the artefact was trained for {artefact.vocabulary_version}, the pack is {vocabulary_version}; {_MEND}"
        )
    for axis, names in labels.items():
        if list(artefact.heads[axis].labels) != list(names):
            raise ArtefactError(f"the artefact knows other labels of the axis {axis!r} than the pack; {_MEND}")
    if artefact.manifest["rules"] != rules:
        raise ArtefactError(f"the pack's rules or synonyms changed since the artefact was trained; {_MEND}")


def _head(folder: Path, name: str, manifest: Mapping[str, Any], calibration: Mapping[str, Any]) -> LinearHead:
    files, labels = manifest["files"], manifest["labels"][name]
    digest, dense = files[f"{name}.weights.npy"], np.zeros((0, len(labels)), dtype=np.float32)
    if manifest["format"] == SENTENCE_FORMAT:
        dense = np.load(folder / f"{name}.dense.npy")
        digest = digest_of((digest + files[f"{name}.dense.npy"]).encode())
    temperature = float(calibration["temperatures"][name])
    return LinearHead(
        axis=name,
        labels=tuple(labels),
        weights=np.load(folder / f"{name}.weights.npy", mmap_mode="r"),
        dense=dense,
        bias=np.load(folder / f"{name}.bias.npy"),
        temperature=temperature,
        version=f"{name}-{digest[:8]}-t{temperature:.3f}",
    )


def _confidence(folder: Path, manifest: Mapping[str, Any], calibration: Mapping[str, Any]) -> ConfidenceHead:
    knots = np.array(calibration["confidence"]["knots"], dtype=np.float32)
    return ConfidenceHead(
        inputs=tuple(manifest["confidence"]["inputs"]),
        weights=np.load(folder / "confidence.weights.npy"),
        bias=float(manifest["confidence"]["bias"]),
        knots=knots,
        values=np.array(calibration["confidence"]["values"], dtype=np.float32),
        version=f"confidence-{manifest['files']['confidence.weights.npy'][:8]}-k{len(knots)}",
    )
