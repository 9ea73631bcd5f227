"""Sparse matrices in the estimators: the same answers as dense arrays, and zeros that are never written out."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from downslope import GradientDescentClassifier, GradientDescentRegressor
from downslope.types import Matrix, Vector

FORMATS = ("csr_matrix", "csc_matrix", "coo_matrix", "csr_array", "csc_array", "coo_array")


@pytest.fixture(scope="module")
def rows() -> tuple[Any, Matrix, Vector]:
    """Return a sparse matrix, the same written out, and scores of its rows."""
    features = sparse.random(400, 25, density=0.2, random_state=3, format="csr")
    rng = np.random.default_rng(4)
    dense = features.toarray()
    return features, dense, 3.0 * dense @ rng.standard_normal(25) + 0.3 * rng.standard_normal(400)


def with_wide_indices(features: Any) -> Any:
    wide = features.copy()
    wide.indices, wide.indptr = features.indices.astype(np.int64), features.indptr.astype(np.int64)
    return wide


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_coefficients_of_the_dense_array(name: str, rows: tuple[Any, Matrix, Vector]) -> None:
    features, dense, score = rows
    given = getattr(sparse, name)(features)
    ours = GradientDescentRegressor().fit(given, score)
    np.testing.assert_allclose(ours.coef_, GradientDescentRegressor().fit(dense, score).coef_, rtol=1e-9)
    np.testing.assert_allclose(ours.predict(given), ours.predict(dense), rtol=1e-9)


@pytest.mark.parametrize(
    ("kind", "settings", "classes"),
    [
        (GradientDescentClassifier, {}, 2),
        (GradientDescentClassifier, {}, 3),
        (GradientDescentClassifier, {"loss": "hinge"}, 3),
        (GradientDescentClassifier, {"method": "full-batch", "tolerance": 1e-2}, 2),
        (GradientDescentClassifier, {"fit_intercept": False}, 2),
        (GradientDescentClassifier, {"standardize": False, "l2": 0.01}, 2),
        (GradientDescentRegressor, {"loss": "huber"}, 0),
        (GradientDescentRegressor, {"loss": "absolute"}, 0),
        (GradientDescentRegressor, {"l1": 0.01}, 0),
    ],
)
def test_losses_and_methods_give_the_coefficients_of_the_dense_array(
    kind: Any, settings: dict[str, Any], classes: int, rows: tuple[Any, Matrix, Vector]
) -> None:
    features, dense, score = rows
    target = score if not classes else np.digitize(score, np.quantile(score, np.arange(1, classes) / classes))
    weights = np.random.default_rng(0).random(400) + 0.5
    ours = kind(**settings).fit(features, target, sample_weight=weights)
    theirs = kind(**settings).fit(dense, target, sample_weight=weights)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-9)
    assert ours.run_.gap == pytest.approx(theirs.run_.gap, rel=1e-3, abs=1e-12)
    assert ours.run_.gap_kind == theirs.run_.gap_kind


def test_repeated_entries_add_up_and_the_matrix_is_left_alone() -> None:
    values, places = np.array([1.0, 2.0, 3.0, 1.0]), np.array([0, 0, 1, 1])
    starts = np.array([0, 2, 3, 4])
    twice = sparse.csr_matrix((values, places, starts), shape=(3, 2))
    target = np.array([3.0, 1.0, 2.0])
    ours = GradientDescentRegressor(l2=0.1).fit(twice, target)
    np.testing.assert_allclose(ours.coef_, GradientDescentRegressor(l2=0.1).fit(twice.toarray(), target).coef_)
    assert twice.nnz == 4


def test_indices_of_64_bits_are_taken(rows: tuple[Any, Matrix, Vector]) -> None:
    features, dense, score = rows
    ours = GradientDescentRegressor().fit(with_wide_indices(features), score)
    np.testing.assert_allclose(ours.coef_, GradientDescentRegressor().fit(dense, score).coef_, rtol=1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_hundred_thousand_columns_are_never_written_out() -> None:
    rng = np.random.default_rng(1)
    features = sparse.random(1000, 100_000, density=2e-4, random_state=2, format="csr")
    target = (features @ rng.standard_normal(100_000) > 0).astype(int)
    for settings in ({"max_passes": 5}, {"method": "mini-batch", "max_passes": 2}):
        tracemalloc.start()
        GradientDescentClassifier(**settings).fit(features, target)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1000 * 100_000 * 8 / 4


def test_infinite_entries_are_refused() -> None:
    features = sparse.csr_matrix(np.array([[1.0, 0.0], [np.inf, 2.0], [0.0, 1.0]]))
    with pytest.raises(ValueError, match="infinity"):
        GradientDescentRegressor().fit(features, np.arange(3.0))


@pytest.mark.parametrize("method", ["mini-batch", "stochastic"])
@pytest.mark.parametrize("classes", [0, 2, 3])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_steps_do_not_change_when_columns_are_rescaled(
    method: str, classes: int, rows: tuple[Any, Matrix, Vector]
) -> None:
    features, _, score = rows
    target = score if not classes else np.digitize(score, np.quantile(score, np.arange(1, classes) / classes))
    units = 10.0 ** np.random.default_rng(5).uniform(-4, 4, 25)
    kind: Any = GradientDescentClassifier if classes else GradientDescentRegressor
    before = kind(method=method, max_passes=3, l2=1e-3).fit(features, target)
    after = kind(method=method, max_passes=3, l2=1e-3).fit(features @ sparse.diags(units), target)
    np.testing.assert_allclose(after.coef_ * units, before.coef_, rtol=1e-6, atol=1e-9)
    plain = kind(method=method, max_passes=3, l2=0.0, standardize=False)
    before = plain.fit(features, target).coef_.copy()
    after = plain.fit(features @ sparse.diags(units), target)
    np.testing.assert_allclose(after.coef_ * units, before, rtol=1e-6, atol=1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_steps_come_near_the_minimum(rows: tuple[Any, Matrix, Vector]) -> None:
    features, _, score = rows
    target = (score > np.median(score)).astype(int)
    best = GradientDescentClassifier(l2=0.01).fit(features, target).run_
    ours = GradientDescentClassifier(method="mini-batch", l2=0.01).fit(features, target).run_
    drop = best.objective_at_start - best.objective
    assert 0 <= ours.objective - best.objective < 0.02 * drop
    assert {"learning_rate", "batch_size"} <= {each.name for each in ours.choices}


def test_a_stream_of_sparse_rows_learns_and_keeps_its_units(rows: tuple[Any, Matrix, Vector]) -> None:
    features, _, score = rows
    target = (score > np.median(score)).astype(int)
    units = 10.0 ** np.random.default_rng(6).uniform(-3, 3, 25)
    ours, other = GradientDescentClassifier(), GradientDescentClassifier()
    scaled = sparse.csr_matrix(features @ sparse.diags(units))
    for _ in range(5):
        for first in range(0, 400, 100):
            part = slice(first, first + 100)
            ours.partial_fit(features[part], target[part], classes=[0, 1])
            other.partial_fit(scaled[part], target[part], classes=[0, 1])
    assert ours.score(features, target) > 0.93
    np.testing.assert_allclose(other.coef_ * units, ours.coef_, rtol=1e-6)


def test_a_stream_after_a_fit_goes_on_from_it(rows: tuple[Any, Matrix, Vector]) -> None:
    features, _, score = rows
    target = (score > np.median(score)).astype(int)
    ours = GradientDescentClassifier().fit(features, target)
    before = ours.score(features, target)
    for _ in range(3):
        ours.partial_fit(features, target)
    assert ours.score(features, target) > before - 0.02


def test_a_rule_that_moves_every_weight_is_refused(rows: tuple[Any, Matrix, Vector]) -> None:
    features, _, score = rows
    with pytest.raises(ValueError, match="sparse columns go by adagrad"):
        GradientDescentRegressor(method="mini-batch", rule="adam").fit(features, score)
