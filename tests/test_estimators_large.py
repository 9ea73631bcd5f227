"""Large arrays are read in place, and give what copies give."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from downslope import GradientDescentClassifier, GradientDescentRegressor
from downslope.types import Vector


@pytest.fixture(scope="module")
def large() -> tuple[Any, Vector]:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((120_000, 40), dtype=np.float32)
    features *= np.logspace(-2, 2, 40, dtype=np.float32)
    features += np.linspace(-3, 3, 40, dtype=np.float32)
    score = ((features - features.mean(axis=0)) / features.std(axis=0))[:, :5].sum(axis=1)
    return features, (score + rng.standard_normal(120_000) > 0).astype(np.int64)


def test_an_array_read_in_place_is_not_copied(large: tuple[Any, Vector]) -> None:
    features, target = large
    GradientDescentClassifier().fit(features, target)  # compiled kernels and threads stay
    tracemalloc.start()
    GradientDescentClassifier().fit(features, target)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.7 * features.nbytes


def test_in_place_and_copied_arrays_give_the_same_answer(large: tuple[Any, Vector]) -> None:
    features, target = large
    settings: dict[str, Any] = {"l2": 1e-3, "tolerance": 1e-9}
    in_place = GradientDescentClassifier(**settings).fit(features, target)
    copied = GradientDescentClassifier(**settings).fit(np.asfortranarray(features), target)
    double = GradientDescentClassifier(**settings).fit(features.astype(np.float64), target)
    deviation = features.std(axis=0, dtype=np.float64)
    for other in (copied, double):
        np.testing.assert_allclose(in_place.coef_ * deviation, other.coef_ * deviation, atol=1e-5)
        np.testing.assert_allclose(in_place.intercept_, other.intercept_, rtol=1e-5)


def test_small_and_large_tables_agree(large: tuple[Any, Vector]) -> None:
    features, target = large
    part, few = features[:90_000], target[:90_000]  # below the size that is read in place
    small = GradientDescentClassifier(l2=1e-3, tolerance=1e-9).fit(part, few)
    twice = GradientDescentClassifier(l2=1e-3, tolerance=1e-9).fit(np.concatenate([part] * 2), np.tile(few, 2))
    deviation = part.std(axis=0, dtype=np.float64)
    np.testing.assert_allclose(small.coef_ * deviation, twice.coef_ * deviation, atol=1e-5)


@pytest.mark.parametrize(("value", "expected"), [(np.nan, "X contains NaN"), (np.inf, "X contains infinity")])
def test_a_value_that_is_not_finite_is_found_in_a_large_array(
    large: tuple[Any, Vector], value: float, expected: str
) -> None:
    features, target = large
    broken = features.copy()
    broken[-1, -1] = value
    with pytest.raises(ValueError, match=expected):
        GradientDescentClassifier().fit(broken, target)
    model = GradientDescentClassifier().fit(features[:1000], target[:1000])
    with pytest.raises(ValueError, match=expected):
        model.predict(broken)


def test_large_least_squares_agree_with_ridge(large: tuple[Any, Vector]) -> None:
    features, _ = large
    target = features[:, :3].astype(np.float64) @ [3.0, -2.0, 1.0] + 4.0
    ours = GradientDescentRegressor(l2=1e-6).fit(features, target)
    np.testing.assert_allclose(ours.coef_[:3], [3.0, -2.0, 1.0], rtol=1e-4)
    assert ours.intercept_ == pytest.approx(4.0, abs=1e-3)
