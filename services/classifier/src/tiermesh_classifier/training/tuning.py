"""Tunes the sentence encoder to a pack: its upper layers learn what the heads have to tell apart. Needs `jax`, `optax`.

The means of a published encoder tell what a sentence is about, and little of whether it asks for one, a list or a sum.
Heads over all axes are learnt beside it and thrown away; what is kept are the layers. Writes nothing.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from tiermesh_classifier.sentence.pieces import Pieces
from tiermesh_classifier.training.bert import Bert, layer_of
from tiermesh_classifier.training.sentence_graph import HEADS, Floats, Weights

# Pieces of a text that are learnt from; every length here is one more program that is compiled.
_LENGTHS = (8, 12, 16, 24, 32)
_TOLD_EVERY = 100


@dataclass(frozen=True)
class Tuning:
    """How much is learnt, and how fast."""

    # Times that each lesson is seen.
    epochs: float = 2.2
    # Uppermost layers, which learn; those below and the pieces' own vectors stay as they were published.
    layers: int = 4
    # Greatest step of the layers and of the heads beside them.
    rate: float = 4e-4
    heads_rate: float = 1e-2
    # Share of what a part of a layer says that is left out at random.
    dropped: float = 0.1
    batch: int = 64
    # Length of the means for the heads beside them.
    length: float = 4.0


@dataclass(frozen=True)
class Lessons:
    """Texts, what else is known of each turn, and the place of its label on each axis (turns × axes)."""

    texts: Sequence[str]
    beside: Sequence[Sequence[str]]
    labels: NDArray[np.int32]
    # Labels of each axis.
    sizes: Sequence[int]
    weights: Floats


def tuned(
    published: Weights, lessons: Lessons, how: Tuning, tell: Callable[[str], None], heads: int = HEADS
) -> Weights:
    """The encoder with its upper layers tuned; the same lessons give the same weights on one machine."""
    lowest = 1 + max(map(layer_of, published.arrays)) - how.layers
    upper = {name: jnp.asarray(array) for name, array in published.arrays.items() if layer_of(name) >= max(0, lowest)}
    lower = {name: jnp.asarray(array) for name, array in published.arrays.items() if name not in upper}
    batches = _Batches(Pieces(published.pieces), lessons, how.batch)
    steps = max(1, int(how.epochs * len(lessons.texts) / how.batch))
    width = 2 * len(published.arrays["embeddings.LayerNorm.weight"])
    learnt = {"layers": upper, "heads": _heads(width, batches.known, sum(lessons.sizes))}
    rule = _rule(how, steps)
    state = rule.init(learnt)

    def loss(learnt: Any, batch: Any, key: Any) -> Any:
        numbers, seen, beside, labels, weights = batch
        bert = Bert({**lower, **learnt["layers"]}, heads, how.dropped, learnt["layers"])
        means = bert.means(numbers, seen, key) * how.length
        scores = means @ learnt["heads"]["means"] + beside @ learnt["heads"]["beside"] + learnt["heads"]["bias"]
        return _cross_entropy(scores, labels, weights, lessons.sizes)

    @jax.jit
    def step(learnt: Any, state: Any, batch: Any, key: Any) -> Any:
        slope = jax.grad(loss)(learnt, batch, key)
        change, state = rule.update(slope, state, learnt)
        return optax.apply_updates(learnt, change), state

    key = jax.random.key(0)
    for number, batch in zip(range(steps), batches.forever(), strict=False):
        learnt, state = step(learnt, state, batch, jax.random.fold_in(key, number))
        if (number + 1) % _TOLD_EVERY == 0:
            tell(f"tuning the sentence encoder: step {number + 1} of {steps}")
    layers = {name: np.asarray(array) for name, array in learnt["layers"].items()}
    return Weights({**published.arrays, **layers}, published.pieces)


def _heads(width: int, known: int, labels: int) -> Mapping[str, Any]:
    return {"means": jnp.zeros((width, labels)), "beside": jnp.zeros((known, labels)), "bias": jnp.zeros(labels)}


def _rule(how: Tuning, steps: int) -> optax.GradientTransformation:
    """Adam with a warm-up and a cosine down to nothing; layers and heads each at their own pace."""

    def paced(rate: float, decay: float) -> optax.GradientTransformation:
        pace = optax.warmup_cosine_decay_schedule(0.0, rate, 1 + steps // 16, steps)
        return optax.adamw(pace, weight_decay=decay)

    rules: Mapping[Hashable, Any] = {"layers": paced(how.rate, 0.01), "heads": paced(how.heads_rate, 1e-4)}
    return optax.multi_transform(rules, lambda learnt: {part: part for part in learnt})


class _Batches:
    """Lessons as numbers, those of like length together."""

    def __init__(self, pieces: Pieces, lessons: Lessons, size: int) -> None:
        self._numbers = [pieces.numbers(text, _LENGTHS[-1]) for text in lessons.texts]
        names = sorted({name for each in lessons.beside for name in each})
        at = {name: number for number, name in enumerate(names)}
        self._beside = [[at[name] for name in each] for each in lessons.beside]
        self._lessons = lessons
        self._size = size
        self.known = len(names)
        self._by_length: dict[int, list[int]] = {length: [] for length in _LENGTHS}
        for place, each in enumerate(self._numbers):
            self._by_length[next(length for length in _LENGTHS if len(each) <= length)].append(place)

    def forever(self) -> Iterator[Any]:
        """Pieces, which of them there are, what is beside, labels and weights; each time round in another order."""
        chance = np.random.default_rng(0)
        while True:
            found = []
            for length, places in self._by_length.items():
                shuffled: NDArray[np.int64] = chance.permutation(np.array(places, dtype=np.int64))
                # The last are filled up with the first: every batch has one shape.
                for start in range(0, len(shuffled), self._size):
                    found.append((length, np.resize(shuffled[start : start + self._size], self._size)))
            for at in chance.permutation(len(found)):
                yield self._batch(*found[at])

    def _batch(self, length: int, places: NDArray[np.int64]) -> Any:
        numbers = np.zeros((len(places), length), dtype=np.int32)
        seen = np.zeros((len(places), length), dtype=bool)
        beside = np.zeros((len(places), self.known), dtype=np.float32)
        for row, place in enumerate(places):
            each = self._numbers[place]
            numbers[row, : len(each)], seen[row, : len(each)] = each, True
            beside[row, self._beside[place]] = 1.0
        return numbers, seen, beside, self._lessons.labels[places], self._lessons.weights[places]


def _cross_entropy(scores: Any, labels: Any, weights: Any, sizes: Sequence[int]) -> Any:
    """Summed over the axes, each a weighted mean over the turns."""
    total, start = 0.0, 0
    for axis, size in enumerate(sizes):
        chances = jax.nn.log_softmax(scores[:, start : start + size])
        right = jnp.take_along_axis(chances, labels[:, axis : axis + 1], axis=1)[:, 0]
        total, start = total - (weights * right).sum() / weights.sum(), start + size
    return total
