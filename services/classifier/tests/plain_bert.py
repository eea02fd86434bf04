"""A sentence encoder of chance weights (two small layers of BERT), and the same in numpy to hold others against."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from scipy.special import erf
from tiermesh_classifier.training.sentence_graph import BELOW

Floats = NDArray[np.float32]
# The vocabulary of an encoder of chance weights, by number.
NAMES = [
    *(
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "how",
        "much",
        "many",
        "leave",
        "days",
        "do",
        "i",
        "have",
        "who",
        "is",
        "off",
    ),
    *("today", "?", ",", ".", "'", "un", "##leave", "##able", "##s", "of", "got", "left"),
]


class PlainBert:
    """The same layers in numpy, in floats: what the graph is held against."""

    def __init__(self, weights: Mapping[str, Floats]) -> None:
        self._weights = weights

    def vector(self, numbers: Sequence[int]) -> Floats:
        weights, width = self._weights, len(numbers)
        state = (
            weights["embeddings.word_embeddings.weight"][numbers]
            + weights["embeddings.position_embeddings.weight"][:width]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        layers = [self._norm(state, "embeddings.LayerNorm")]
        for at in range(2):
            layers.append(self._layer(layers[-1], f"encoder.layer.{at}"))
        means = [layers[2].mean(axis=0), layers[2 - BELOW].mean(axis=0)]
        return np.concatenate([mean / np.linalg.norm(mean) for mean in means])

    def _layer(self, state: Floats, name: str) -> Floats:
        count, size = state.shape

        def heads(part: str) -> Floats:
            projected = self._linear(state, f"{name}.attention.self.{part}")
            return projected.reshape(count, 12, size // 12).transpose(1, 0, 2)

        scores = np.exp(heads("query") @ heads("key").transpose(0, 2, 1) / (size // 12) ** 0.5)
        seen = (scores / scores.sum(axis=-1, keepdims=True)) @ heads("value")
        joined = self._linear(seen.transpose(1, 0, 2).reshape(count, size), f"{name}.attention.output.dense")
        attended = self._norm(state + joined, f"{name}.attention.output.LayerNorm")
        inner = self._linear(attended, f"{name}.intermediate.dense")
        inner = inner * 0.5 * (1.0 + erf(inner / 2**0.5))
        return self._norm(attended + self._linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _linear(self, state: Floats, name: str) -> Floats:
        return state @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _norm(self, state: Floats, name: str) -> Floats:
        mean, spread = state.mean(axis=-1, keepdims=True), state.std(axis=-1, keepdims=True)
        return (state - mean) / spread * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


def write_weights(folder: Path) -> None:
    """Files as a published encoder's."""
    (folder / "vocab.txt").write_text("\n".join(NAMES) + "\n")
    chance = np.random.default_rng(7)
    width, inner = 24, 48
    shapes = {f"embeddings.{name}": shape for name, shape in _embeddings(width).items()}
    for layer in ("encoder.layer.0", "encoder.layer.1"):
        shapes |= {f"{layer}.{name}": shape for name, shape in _layer(width, inner).items()}
    made = {
        name: chance.normal(1.0 if name.endswith("LayerNorm.weight") else 0.0, 0.5, shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    save_file(made, folder / "model.safetensors")


def _embeddings(width: int) -> dict[str, tuple[int, ...]]:
    return {
        "word_embeddings.weight": (len(NAMES), width),
        "position_embeddings.weight": (64, width),
        "token_type_embeddings.weight": (2, width),
        **_norm("LayerNorm", width),
    }


def _layer(width: int, inner: int) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
        found |= {f"{part}.weight": (width, width), f"{part}.bias": (width,)}
    found |= {"intermediate.dense.weight": (inner, width), "intermediate.dense.bias": (inner,)}
    found |= {"output.dense.weight": (width, inner), "output.dense.bias": (width,)}
    return found | _norm("attention.output.LayerNorm", width) | _norm("output.LayerNorm", width)


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
