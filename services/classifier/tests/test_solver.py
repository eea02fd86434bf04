"""The solver finds what scikit-learn finds, with a dense block beside the sparse one."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression
from tiermesh_classifier.heads import softmax
from tiermesh_classifier.training.fitting import Task, fit, logits
from tiermesh_classifier.training.solver import Problem, Rows, solve

COUNT, WIDE, DEEP = 300, 12, 5


@pytest.fixture
def problem() -> tuple[Rows, np.ndarray, np.ndarray]:
    chance = np.random.default_rng(3)
    sparse = sp.random(COUNT, WIDE, density=0.4, random_state=3, format="csr", dtype=np.float32)
    dense = chance.normal(size=(COUNT, DEEP)).astype(np.float32)
    scores = np.hstack([sparse.toarray(), dense]) @ chance.normal(size=(WIDE + DEEP, 3))
    targets = (scores + chance.gumbel(size=scores.shape)).argmax(axis=1)
    return Rows(sparse, dense), targets, chance.uniform(0.2, 3.0, COUNT)


def test_it_expects_what_scikit_learn_expects(problem: tuple[Rows, np.ndarray, np.ndarray]) -> None:
    rows, targets, weights = problem
    theirs = LogisticRegression(C=0.7, tol=1e-8, max_iter=5000)
    both = np.hstack([rows.sparse.toarray(), rows.dense])
    theirs.fit(both, targets, sample_weight=weights)

    mine = solve(rows, [Problem(targets, 3, weights)], c=0.7, steps=500)[0]

    chances = softmax(rows.sparse @ mine.sparse + rows.dense @ mine.dense + mine.bias)
    assert np.abs(chances - theirs.predict_proba(both)).max() < 0.04


def test_a_label_without_examples_stays_improbable_and_keeps_its_column(
    problem: tuple[Rows, np.ndarray, np.ndarray],
) -> None:
    rows, targets, weights = problem
    names = np.array(["a", "c", "d"])[targets].tolist()

    fitted = fit(rows, [Task(("a", "b", "c", "d"), names, weights)], c=1.0)[0]

    scores = logits(fitted, rows)
    assert scores[:, 1].max() < scores[:, [0, 2, 3]].min()
    picked = np.array(["a", "b", "c", "d"])[scores.argmax(axis=1)]
    assert (picked == names).mean() > 0.6


def test_a_head_comes_out_the_same_whoever_walks_beside_it(problem: tuple[Rows, np.ndarray, np.ndarray]) -> None:
    rows, targets, weights = problem
    some = np.where(np.arange(COUNT) % 2, weights, 0.0)
    first, second = Problem(targets, 3, weights), Problem(targets % 2, 2, some)

    alone = [solve(rows, [each], c=1.0, steps=40)[0] for each in (first, second)]
    beside = solve(rows, [first, second], c=1.0, steps=40)

    for one, other in zip(alone, beside, strict=True):
        assert np.allclose(one.sparse, other.sparse, atol=0.02)
        assert np.allclose(one.dense, other.dense, atol=0.02)
