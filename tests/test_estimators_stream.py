"""``partial_fit``: one pass of mini-batch steps over the rows of each call, whatever the coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning

from downslope import GradientDescentClassifier, GradientDescentRegressor, Verdict
from downslope.errors import OptionError, TargetError
from downslope.estimators.features import measure
from downslope.estimators.stream import Stream
from downslope.types import Matrix, Vector


@pytest.fixture(scope="module")
def linear() -> tuple[Matrix, Vector]:
    rng = np.random.default_rng(0)
    plain = rng.standard_normal((20_000, 10))
    target = plain @ rng.standard_normal(10) + 3.0 + rng.standard_normal(20_000)
    return plain * np.logspace(-2, 2, 10) + 5.0, target


def share_reached(model: Any, features: Matrix, target: Vector) -> float:
    """Return the share of the drop in mean squared error, from zero weights to least squares, that was reached."""
    design = np.column_stack([features, np.ones(len(target))])
    lowest = float(np.linalg.lstsq(design, target, rcond=None)[1][0]) / len(target)
    start = float((target**2).mean())
    return (start - float(((target - model.predict(features)) ** 2).mean())) / (start - lowest)


@pytest.mark.parametrize(
    ("settings", "block", "share"),
    [
        ({}, 1000, 0.995),
        ({}, 10, 0.995),
        ({"method": "mini-batch", "rule": "momentum"}, 500, 0.995),
        ({"method": "mini-batch", "rule": "adam"}, 500, 0.98),
        ({"method": "stochastic", "learning_rate": 1e-3}, 2000, 0.98),
        ({"average": True}, 2000, 0.99),
    ],
)
def test_one_pass_over_a_stream_comes_near_the_minimum(
    linear: tuple[Matrix, Vector], settings: dict[str, Any], block: int, share: float
) -> None:
    features, target = linear
    model = GradientDescentRegressor(**settings)
    for first in range(0, len(target), block):
        model.partial_fit(features[first : first + block], target[first : first + block])
    assert share_reached(model, features, target) > share


@pytest.mark.parametrize("loss", ["log", "hinge"])
def test_a_stream_of_classes_comes_near_the_minimum(loss: str) -> None:
    features, target = load_breast_cancer(return_X_y=True)
    model = GradientDescentClassifier(loss=loss)
    rng = np.random.default_rng(0)
    for _ in range(5):
        for rows in np.array_split(rng.permutation(len(target)), 6):
            model.partial_fit(features[rows], target[rows], classes=[0, 1])
    assert model.score(features, target) > 0.97


def test_ten_classes_stream_and_unseen_columns_wait() -> None:
    features, target = load_digits(return_X_y=True)
    model = GradientDescentClassifier()
    for rows in np.array_split(np.arange(len(target)), 18):
        model.partial_fit(features[rows], target[rows], classes=np.arange(10))
    assert model.coef_.shape == (10, 64)
    assert (model.coef_[:, features.std(axis=0) == 0] == 0).all()
    assert model.score(features, target) > 0.9


@given(st.lists(st.integers(1, 400), min_size=1, max_size=8), st.booleans())
def test_running_statistics_are_those_of_all_rows(sizes: list[int], weighted: bool) -> None:
    rng = np.random.default_rng(sum(sizes))
    table = rng.standard_normal((sum(sizes), 3)) * [1.0, 1e-3, 1e5] + [0.0, 1e3, -1e5]
    weights = rng.uniform(0.1, 3.0, len(table)) if weighted else None
    stream = Stream.empty(3)
    for rows in np.split(np.arange(len(table)), np.cumsum(sizes)[:-1]):
        stream = stream.joined(table[rows], None if weights is None else weights[rows])
    whole = measure(table, weights, center=True, scale=True)
    found = stream.coordinates(center=True, scale=True)
    np.testing.assert_allclose(found.center, whole.center, rtol=1e-9, atol=1e-9)
    finite = np.isfinite(whole.scale)
    np.testing.assert_allclose(found.scale[finite], whole.scale[finite], rtol=1e-6)


def test_the_rate_falls_as_rows_are_seen_unless_it_is_given(linear: tuple[Matrix, Vector]) -> None:
    features, target = linear
    free, fixed = GradientDescentRegressor(), GradientDescentRegressor(learning_rate=0.01)
    rates: dict[str, list[float]] = {"free": [], "fixed": []}
    for first in range(0, 5000, 1000):
        rows = slice(first, first + 1000)
        for name, model in (("free", free), ("fixed", fixed)):
            model.partial_fit(features[rows], target[rows])
            rates[name].append(model.run_.setting("learning_rate"))
    assert rates["fixed"] == [0.01] * 5
    assert all(later < 0.9 * earlier for earlier, later in zip(rates["free"][:1], rates["free"][1:2], strict=True))
    assert rates["free"][-1] < 0.6 * rates["free"][0]


def test_after_a_fit_it_goes_on_from_the_minimum(linear: tuple[Matrix, Vector]) -> None:
    features, target = linear
    model = GradientDescentRegressor().fit(features[:10_000], target[:10_000])
    before = model.coef_.copy()
    model.partial_fit(features[10_000:], target[10_000:])
    assert not np.array_equal(model.coef_, before)
    assert share_reached(model, features, target) > 0.995


def test_a_step_on_one_row_moves_against_its_gradient() -> None:
    model = GradientDescentRegressor(learning_rate=0.1, standardize=False).partial_fit([[2.0, -1.0]], [3.0])
    # (y - s)^2 at s = 0 has the gradient -2 y x by the weights and -2 y by the intercept.
    np.testing.assert_allclose(model.coef_, [1.2, -0.6])
    assert model.intercept_ == pytest.approx(0.6)
    assert model.n_iter_ == 1


def test_the_first_call_needs_the_classes_and_later_ones_keep_them() -> None:
    features, target = load_breast_cancer(return_X_y=True)
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        GradientDescentClassifier().partial_fit(features, target)
    model = GradientDescentClassifier().partial_fit(features[:50], target[:50], classes=[0, 1])
    model.partial_fit(features[50:60], target[50:60])
    with pytest.raises(ValueError, match="is not the same as on last call"):
        model.partial_fit(features, target, classes=[0, 1, 2])
    with pytest.raises(TargetError, match="which is not among the classes"):
        model.partial_fit(features[:3], [0, 1, 7])


def test_balanced_weights_need_all_rows_at_once() -> None:
    with pytest.raises(OptionError, match="needs all rows at once"):
        GradientDescentClassifier(class_weight="balanced").partial_fit([[0.0], [1.0]], [0, 1], classes=[0, 1])


def test_a_pass_that_diverges_leaves_the_weights_alone(linear: tuple[Matrix, Vector]) -> None:
    features, target = linear
    model = GradientDescentRegressor(learning_rate=0.01).partial_fit(features[:2000], target[:2000])
    before = model.coef_.copy()
    model.set_params(learning_rate=1e4)
    with pytest.warns(ConvergenceWarning, match="diverged at step .* at learning rate 10000; the weights are left"):
        model.partial_fit(features, target)
    np.testing.assert_allclose(model.coef_, before, rtol=1e-6)
    assert model.run_.verdict is Verdict.DIVERGED


def test_the_same_calls_give_the_same_bits(linear: tuple[Matrix, Vector]) -> None:
    features, target = linear
    models = [GradientDescentRegressor(batch_size=32) for _ in range(2)]
    for model in models:
        for first in range(0, 4000, 1000):
            model.partial_fit(features[first : first + 1000], target[first : first + 1000])
    assert models[0].coef_.tobytes() == models[1].coef_.tobytes()
