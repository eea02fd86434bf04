"""Text to a vector, by a graph that training wrote into the artefact. No network, one thread."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiermesh_classifier.sentence.pieces import Pieces

Floats = NDArray[np.float32]
# Pieces of a text that are read, marks of start and end among them: time grows with them.
MOST_PIECES = 48
GRAPH, PIECES = "sentence.onnx", "sentence.pieces.txt"
TABLE, SCALES, POSITIONS = "sentence.table.npy", "sentence.scales.npy", "sentence.positions.npy"
FILES = (GRAPH, PIECES, TABLE, SCALES, POSITIONS)
_BATCH = 64


@dataclass(frozen=True)
class SentenceFiles:
    """What training makes of an encoder: contents by file name."""

    files: Mapping[str, bytes]
    arrays: Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Tables:
    """What stands before the graph: a row per piece (int8 times the row's scale), and a row per place in the text."""

    rows: NDArray[np.int8]
    scales: Floats
    positions: Floats

    def embedded(self, numbers: NDArray[np.int64]) -> Floats:
        """Texts × pieces to texts × pieces × width."""
        rows = self.rows[numbers] * self.scales[numbers][..., None]
        return np.asarray(rows + self.positions[: numbers.shape[-1]], dtype=np.float32)


class SentenceEncoder:
    """Safe to share among threads."""

    def __init__(self, graph: bytes, pieces: Pieces, tables: Tables) -> None:
        # 40 MB, which an artefact without a sentence encoder need not load.
        onnxruntime: Any = import_module("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # Thousands of lengths would each leave a plan of its memory behind.
        options.enable_mem_pattern = False
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._pieces = pieces
        self.tables = tables
        self.width = int(self._session.get_outputs()[0].shape[1])

    def vector(self, text: str) -> Floats:
        """The vector of one text: the means of two layers, each of length one."""
        found: Floats = self._run(np.array([self._pieces.numbers(text, MOST_PIECES)], dtype=np.int64))[0]
        return found

    def vectors(self, texts: Sequence[str], step: Callable[[int], object] = lambda count: None) -> Floats:
        """A row per text; texts of like length go together, so that nothing has to be filled up."""
        by_length: defaultdict[int, list[int]] = defaultdict(list)
        numbers = [self._pieces.numbers(text, MOST_PIECES) for text in texts]
        for at, each in enumerate(numbers):
            by_length[len(each)].append(at)
        found = np.zeros((len(texts), self.width), dtype=np.float32)
        for places in by_length.values():
            for start in range(0, len(places), _BATCH):
                chosen = places[start : start + _BATCH]
                found[chosen] = self._run(np.array([numbers[at] for at in chosen], dtype=np.int64))
                step(len(chosen))
        return found

    def _run(self, numbers: NDArray[np.int64]) -> Floats:
        return np.asarray(self._session.run(None, {self._input: self.tables.embedded(numbers)})[0], dtype=np.float32)


def load_sentence_encoder(folder: Path) -> SentenceEncoder:
    """The encoder of an artefact's folder, its tables memory-mapped."""
    tables = Tables(
        np.load(folder / TABLE, mmap_mode="r"), np.load(folder / SCALES), np.load(folder / POSITIONS, mmap_mode="r")
    )
    return SentenceEncoder((folder / GRAPH).read_bytes(), _pieces((folder / PIECES).read_bytes()), tables)


def encoder_of(made: SentenceFiles) -> SentenceEncoder:
    """The encoder of files that are not written yet."""
    arrays = made.arrays
    return SentenceEncoder(
        made.files[GRAPH], _pieces(made.files[PIECES]), Tables(arrays[TABLE], arrays[SCALES], arrays[POSITIONS])
    )


def _pieces(content: bytes) -> Pieces:
    return Pieces(content.decode().split("\n"))
