"""The sentence encoder as something that learns: BERT in floating point (`sentence_graph` is served). Needs `jax`."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tiermesh_classifier.training.sentence_graph import BELOW, EPSILON

# What an unseen piece's nearness is lowered by: nothing is left of it.
_UNSEEN = -1e9


def layer_of(name: str) -> int:
    """Number of the layer that a weight belongs to, -1 for none."""
    parts = name.split(".")
    return int(parts[2]) if parts[:2] == ["encoder", "layer"] else -1


@dataclass(frozen=True)
class Bert:
    """Weights by name; of the layers that learn, a share of what each part says can be left out at random."""

    weights: Mapping[str, Any]
    heads: int
    dropped: float = 0.0
    learning: Collection[str] = ()

    def means(self, numbers: Any, seen: Any, key: Any = None) -> Any:
        """Numbers (texts × pieces, filled up; `seen` says which are there) to two means of each text, each of length 1.

        Without a key nothing is left out: that is what the served graph says, but for its rounding.
        """
        hidden = self.weights["embeddings.word_embeddings.weight"][numbers]
        hidden += self.weights["embeddings.token_type_embeddings.weight"][0]
        hidden += self.weights["embeddings.position_embeddings.weight"][: numbers.shape[1]]
        outs = [self._normalised("embeddings.LayerNorm", hidden)]
        unseen = jnp.where(seen[:, None, None, :], 0.0, _UNSEEN)
        layers = 1 + max(map(layer_of, self.weights))
        for at in range(layers):
            learns = key is not None and f"encoder.layer.{at}.output.dense.bias" in self.learning
            outs.append(self._layer(at, outs[-1], unseen, jax.random.fold_in(key, at) if learns else None))
        share = seen[..., None] / seen.sum(axis=1)[:, None, None]
        read = (layers, max(0, layers - BELOW))
        return jnp.concatenate([_unit((outs[each] * share).sum(axis=1)) for each in read], axis=-1)

    def _layer(self, at: int, hidden: Any, unseen: Any, key: Any) -> Any:
        name = f"encoder.layer.{at}"
        texts, length, width = hidden.shape

        def split(part: str) -> Any:
            given = self._dense(f"{name}.attention.self.{part}", hidden)
            return given.reshape(texts, length, self.heads, -1).transpose(0, 2, 1, 3)

        near = split("query") @ split("key").transpose(0, 1, 3, 2) / np.sqrt(width // self.heads)
        attended = (jax.nn.softmax(near + unseen) @ split("value")).transpose(0, 2, 1, 3).reshape(texts, length, width)
        middle = self._added(f"{name}.attention.output", attended, hidden, key, 0)
        inner = jax.nn.gelu(self._dense(f"{name}.intermediate.dense", middle), approximate=False)
        return self._added(f"{name}.output", inner, middle, key, 1)

    def _added(self, part: str, given: Any, beside: Any, key: Any, which: int) -> Any:
        """A product with its bias, some of it left out, added to what was there before, normalised."""
        found = self._dense(f"{part}.dense", given)
        if key is not None:
            kept = jax.random.bernoulli(jax.random.fold_in(key, which), 1.0 - self.dropped, found.shape)
            found = found * kept / (1.0 - self.dropped)
        return self._normalised(f"{part}.LayerNorm", beside + found)

    def _dense(self, name: str, given: Any) -> Any:
        return given @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _normalised(self, name: str, given: Any) -> Any:
        centred = given - given.mean(axis=-1, keepdims=True)
        scaled = centred * jax.lax.rsqrt((centred**2).mean(axis=-1, keepdims=True) + EPSILON)
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def _unit(given: Any) -> Any:
    return given / jnp.maximum(jnp.linalg.norm(given, axis=-1, keepdims=True), EPSILON)
