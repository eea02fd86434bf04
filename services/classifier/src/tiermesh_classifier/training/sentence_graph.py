"""Writes the sentence encoder's graph from published weights, int8. Needs `onnx` and `safetensors`, no torch.

The weights come in a package of their own, of which only the folder is used (`weights`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

from tiermesh_classifier.sentence.encoder import GRAPH, MOST_PIECES, PIECES, POSITIONS, SCALES, TABLE, SentenceFiles

HEADS = 12
# So many layers below the last is the other one whose mean is read: the last tells what a sentence is about, that one
# more of how it is put.
BELOW = 2
EPSILON = 1e-12
_FUSED = "com.microsoft"
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Weights:
    """A BERT-shaped encoder, as it was published or as it was tuned: arrays by name, and its pieces by number."""

    arrays: Mapping[str, Floats]
    pieces: Sequence[str]


def read_weights(folder: Path) -> Weights:
    """The encoder in `model.safetensors` and `vocab.txt`."""
    arrays = {name.removeprefix("bert."): array for name, array in load_file(folder / "model.safetensors").items()}
    return Weights(arrays, (folder / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n"))


def sentence_files(read: Weights, heads: int = HEADS) -> SentenceFiles:
    """Graph, pieces and tables."""
    weights = read.arrays
    table = weights["embeddings.word_embeddings.weight"]
    rows, scales = _int8(table.T)
    places = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    return SentenceFiles(
        {GRAPH: _Graph(weights, heads).content(), PIECES: "\n".join(read.pieces).encode()},
        {TABLE: np.ascontiguousarray(rows.T), SCALES: scales, POSITIONS: places[:MOST_PIECES].astype(np.float32)},
    )


def _int8(matrix: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Columns scaled to the range of int8, and their scales."""
    scales = np.maximum(np.abs(matrix).max(axis=0) / 127.0, 1e-12).astype(np.float32)
    return np.clip(np.round(matrix / scales), -127, 127).astype(np.int8), scales


class _Graph:
    """Layers of BERT from embedded pieces to the means of two layers; texts of a batch are of one length."""

    def __init__(self, weights: Mapping[str, Floats], heads: int) -> None:
        self._weights = weights
        self._heads = heads
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def content(self) -> bytes:
        width = int(self._weights["embeddings.LayerNorm.weight"].shape[0])
        norm = self._norm("embeddings.LayerNorm")
        self._node("LayerNormalization", ["embedded", *norm], "layer0", axis=-1, epsilon=EPSILON)
        layers = 1 + max(int(name.split(".")[2]) for name in self._weights if name.startswith("encoder.layer."))
        for at in range(layers):
            self._layer(at)
        means = [self._mean(f"layer{layers}"), self._mean(f"layer{max(0, layers - BELOW)}")]
        self._node("Concat", means, "vectors", axis=1)
        graph = helper.make_graph(
            self._nodes,
            "sentence",
            [helper.make_tensor_value_info("embedded", TensorProto.FLOAT, ["texts", "pieces", width])],
            [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", width * len(means)])],
            self._constants,
        )
        imports = [helper.make_opsetid("", 18), helper.make_opsetid(_FUSED, 1)]
        model = helper.make_model(graph, opset_imports=imports, ir_version=9, producer_name="tiermesh")
        return bytes(model.SerializeToString(deterministic=True))

    def _mean(self, layer: str) -> str:
        """Over the pieces, to length one."""
        mean, unit = f"{layer}.mean", f"{layer}.unit"
        over = self._constant(f"{layer}.over", np.array([1], dtype=np.int64))
        self._node("ReduceMean", [layer, over], mean, keepdims=0)
        self._node("LpNormalization", [mean], unit, axis=1, p=2)
        return unit

    def _layer(self, at: int) -> None:
        name, seen = f"encoder.layer.{at}", f"layer{at}"
        parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
        joined = np.concatenate([self._weights[f"{part}.weight"].T for part in parts], axis=1)
        bias = np.concatenate([self._weights[f"{part}.bias"] for part in parts])
        self._product(f"{name}.qkv", joined, seen, bias)
        split = [f"{name}.{part}" for part in "qkv"]
        self._nodes.append(helper.make_node("Split", [f"{name}.qkv"], split, axis=2, num_outputs=3))
        self._node("MultiHeadAttention", split, f"{name}.attended", _FUSED, num_heads=self._heads)
        self._added(f"{name}.attention.output", f"{name}.attended", seen, f"{name}.middle")
        inner = f"{name}.intermediate.dense"
        self._product(inner, self._weights[f"{inner}.weight"].T, f"{name}.middle")
        self._node("BiasGelu", [inner, self._of(f"{inner}.bias")], f"{name}.inner", _FUSED)
        self._added(f"{name}.output", f"{name}.inner", f"{name}.middle", f"layer{at + 1}")

    def _added(self, part: str, given: str, beside: str, out: str) -> None:
        """A product with its bias, added to what was there before, normalised."""
        dense = f"{part}.dense"
        self._product(dense, self._weights[f"{dense}.weight"].T, given)
        inputs = [dense, beside, *self._norm(f"{part}.LayerNorm"), self._of(f"{dense}.bias")]
        self._node("SkipLayerNormalization", inputs, out, _FUSED, epsilon=EPSILON)

    def _product(self, out: str, matrix: Floats, given: str, bias: Floats | None = None) -> None:
        values, scales = _int8(matrix)
        inputs = [given, self._constant(f"{out}.int8", values), self._constant(f"{out}.scales", scales)]
        inputs.append(self._constant(f"{out}.zero", np.zeros(len(scales), dtype=np.int8)))
        if bias is not None:
            inputs.append(self._constant(f"{out}.bias", bias))
        self._node("DynamicQuantizeMatMul", inputs, out, _FUSED)

    def _norm(self, name: str) -> list[str]:
        return [self._of(f"{name}.weight"), self._of(f"{name}.bias")]

    def _of(self, name: str) -> str:
        return self._constant(name, self._weights[name])

    def _constant(self, name: str, array: NDArray[Any]) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _node(self, kind: str, inputs: list[str], out: str, domain: str = "", **attributes: Any) -> None:
        self._nodes.append(helper.make_node(kind, inputs, [out], domain=domain, **attributes))
