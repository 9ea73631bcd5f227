"""The penalty of wide sparse tables is found on rows set aside; elsewhere it is 1 / n."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from downslope import GradientDescentClassifier, GradientDescentRegressor
from downslope.choices.penalty import LEAST, MULTIPLES

ROWS, COLUMNS, PER_ROW = 3000, 2000, 15


def words(rows: int = ROWS, columns: int = COLUMNS, seed: int = 0) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Return rows of a few ones each, and the score that they have by a weight for each column."""
    rng = np.random.default_rng(seed)
    chances = 1 / np.arange(1, columns + 1)
    places = rng.choice(columns, (rows, PER_ROW), p=chances / chances.sum())
    counts = sparse.csr_matrix(
        (np.ones(places.size, np.float32), (np.repeat(np.arange(rows), PER_ROW), places.ravel())), (rows, columns)
    )
    return counts, counts @ np.random.default_rng(1).normal(size=columns)


@pytest.mark.parametrize("kind", ["labels", "classes", "numbers"])
def test_what_is_found_on_some_rows_is_good_on_others(kind: str) -> None:
    counts, score = words()
    more, true = words(seed=2)
    rng = np.random.default_rng(3)
    noise, other = rng.logistic(size=ROWS) * 3, rng.logistic(size=ROWS) * 3
    if kind == "numbers":
        target, unseen = score + noise, true + other
        make = GradientDescentRegressor
    else:
        edges = [0.0] if kind == "labels" else [-2.0, 2.0]
        target, unseen = np.digitize(score + noise, edges), np.digitize(true + other, edges)
        make = GradientDescentClassifier
    found = make(tolerance=1e-3).fit(counts, target)
    (choice,) = [each for each in found.run_.choices if each.name == "l2"]
    assert choice.value in [each["l2"] for each in choice.candidates]
    assert 3 <= len(choice.candidates) <= len(MULTIPLES)
    usual = make(l2=1 / ROWS, tolerance=1e-3).fit(counts, target)
    assert found.score(more, unseen) > usual.score(more, unseen)
    assert found.run_.verdict.value == "converged"
    if kind == "labels":
        again = make(tolerance=1e-3).fit(counts, target)
        assert np.array_equal(again.coef_, found.coef_), "nothing of it is left to chance"


def test_a_penalty_follows_the_number_of_rows() -> None:
    counts, score = words(4 * ROWS)
    target = score + np.random.default_rng(3).logistic(size=4 * ROWS) * 3 > 0
    few = GradientDescentClassifier().fit(counts[:ROWS], target[:ROWS]).run_.resolved["l2"]
    many = GradientDescentClassifier().fit(counts, target).run_.resolved["l2"]
    assert many < few


def test_few_columns_few_rows_and_no_sparse_ones_keep_to_one_over_n() -> None:
    counts, score = words()
    few = GradientDescentClassifier().fit(counts[:, :200], score > 0)
    assert few.run_.resolved["l2"] == pytest.approx(1 / ROWS)
    small = GradientDescentClassifier().fit(counts[: LEAST - 1], score[: LEAST - 1] > 0)
    assert small.run_.resolved["l2"] == pytest.approx(1 / (LEAST - 1))
    dense = GradientDescentClassifier().fit(counts[:1000, :300].toarray(), score[:1000] > 0)
    assert dense.run_.resolved["l2"] == pytest.approx(1 / 1000)
