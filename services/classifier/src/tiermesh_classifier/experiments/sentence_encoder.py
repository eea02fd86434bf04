"""A MiniLM-shaped sentence encoder in numpy: weights from a folder, no torch. For measuring, not serving."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from tiermesh_classifier.experiments.rows import RowsError

Floats = NDArray[np.float32]
_LONGEST = 128
_BATCH = 64
_HEADS = 12
_EPSILON = 1e-12


class SentenceEncoder:
    """Six or more layers of BERT, mean of the tokens, length one."""

    def __init__(self, tokenizer: Any, weights: dict[str, Floats]) -> None:
        self._tokenizer = tokenizer
        self._weights = weights
        self._layers = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer."))

    def encode(self, texts: Sequence[str], step: Callable[[int], object] = lambda count: None) -> Floats:
        """One row per text; texts of like length go together."""
        order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
        found = np.zeros((len(texts), self._weights["embeddings.LayerNorm.weight"].shape[0]), dtype=np.float32)
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            found[chosen] = self._batch([texts[at] for at in chosen])
            step(len(chosen))
        return found

    def _batch(self, texts: Sequence[str]) -> Floats:
        tokens = [each.ids[:_LONGEST] for each in self._tokenizer.encode_batch(list(texts))]
        width = max(map(len, tokens))
        ids = np.array([each + [0] * (width - len(each)) for each in tokens])
        mask = (np.arange(width) < np.array([len(each) for each in tokens])[:, None]).astype(np.float32)
        weights = self._weights
        state = (
            weights["embeddings.word_embeddings.weight"][ids]
            + weights["embeddings.position_embeddings.weight"][:width]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        state = self._norm(state, "embeddings.LayerNorm")
        for at in range(self._layers):
            state = self._layer(state, mask, f"encoder.layer.{at}")
        mean = (state * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True), dtype=np.float32)

    def _layer(self, state: Floats, mask: Floats, name: str) -> Floats:
        count, width, size = state.shape

        def heads(part: str) -> Floats:
            projected = self._linear(state, f"{name}.attention.self.{part}")
            return projected.reshape(count, width, _HEADS, size // _HEADS).transpose(0, 2, 1, 3)

        scores = heads("query") @ heads("key").transpose(0, 1, 3, 2) / np.float32((size // _HEADS) ** 0.5)
        scores = scores - (1.0 - mask[:, None, None, :]) * np.float32(1e4)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        seen = (scores @ heads("value")).transpose(0, 2, 1, 3).reshape(count, width, size)
        attended = self._norm(
            state + self._linear(seen, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm"
        )
        inner = self._linear(attended, f"{name}.intermediate.dense")
        inner = inner * np.float32(0.5) * (1.0 + erf(inner / np.float32(2**0.5)))
        return self._norm(attended + self._linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _linear(self, state: Floats, name: str) -> Floats:
        return np.asarray(state @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"])

    def _norm(self, state: Floats, name: str) -> Floats:
        mean = state.mean(axis=-1, keepdims=True)
        spread = ((state - mean) ** 2).mean(axis=-1, keepdims=True)
        scaled = (state - mean) / np.sqrt(spread + _EPSILON)
        return np.asarray(scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"])


def load_sentence_encoder(folder: Path) -> SentenceEncoder:
    """Loads `model.safetensors` and `tokenizer.json`; `RowsError` names what is missing."""
    try:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer
    except ImportError as error:
        raise RowsError("--encoder needs two packages more: pip install 'tiermesh-classifier[encoder]'") from error
    for name in ("model.safetensors", "tokenizer.json"):
        if not (folder / name).is_file():
            raise RowsError(
                f"{folder / name}: is not there; --encoder names a folder with a sentence encoder's weights"
            )
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(_LONGEST)
    return SentenceEncoder(tokenizer, load_file(folder / "model.safetensors"))
