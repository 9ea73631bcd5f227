"""Coordinates of an array: measured in one pass, exact where that can be, and never a change of the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

from downslope import GradientDescentClassifier, GradientDescentRegressor
from downslope.estimators.features import Coordinates, encode, examples_of, measure
from downslope.models.linear import Point
from downslope.types import Matrix

TABLES = arrays(
    np.float64, st.tuples(st.integers(2, 40), st.integers(1, 5)),
    elements=st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda value: round(value, 3)),
)  # fmt: skip


def weighted_moments(table: Matrix, weights: Any) -> tuple[Any, Any]:
    mean = np.average(table, axis=0, weights=weights)
    return mean, np.sqrt(np.average((table - mean) ** 2, axis=0, weights=weights))


@given(TABLES, st.booleans())
def test_one_pass_measures_mean_and_deviation(table: Matrix, weighted: bool) -> None:
    weights = np.arange(1.0, table.shape[0] + 1) if weighted else None
    mean, deviation = weighted_moments(table, weights)
    found = measure(table, weights, center=True, scale=True)
    largest = np.abs(table).max(axis=0)
    assert_allclose(found.center, mean, atol=1e-12 * max(float(largest.max()), 1e-300))
    varies = deviation > 1e-6 * largest
    assert_allclose(found.scale[varies], deviation[varies], rtol=1e-6)


@given(TABLES)
def test_without_a_centre_the_scale_is_the_root_mean_square(table: Matrix) -> None:
    found = measure(table, None, center=False, scale=True)
    assert not found.center.any()
    size = np.sqrt((table**2).mean(axis=0))
    assert_allclose(found.scale[size > 1e-3], size[size > 1e-3], rtol=1e-9)


@pytest.mark.parametrize("value", [0.0, 4.2, -1e8, 1e-30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_column_becomes_zero(value: float, dtype: Any) -> None:
    table = np.column_stack([np.full(3000, value), np.arange(3000.0)]).astype(dtype)
    encoded = examples_of(table, np.zeros(3000), None, center=True, scale=True, free=False, whole=True)
    assert encoded.coordinates.scale[0] == np.inf
    assert not encoded.examples.blocks[0].numbers[:, 0].any()
    assert encoded.origin[1][0] == 1


def test_a_constant_up_to_rounding_is_constant() -> None:
    table = np.array([[0.3], [0.1 + 0.2], [0.3], [0.1 * 3]])
    assert measure(table, None, center=True, scale=True).scale[0] == np.inf


def test_values_whose_squares_overflow_are_measured_all_the_same() -> None:
    table = np.random.default_rng(0).standard_normal((2000, 3)) * [1e200, 1.0, 1e-200]
    found = measure(table, None, center=True, scale=True)
    with np.errstate(over="ignore"):
        expected = (table / [1e200, 1.0, 1e-200]).std(axis=0) * [1e200, 1.0, 1e-200]
    assert_allclose(found.scale, expected, rtol=1e-6)
    single = (table[:, :2] / [1e170, 1.0]).astype(np.float32)
    assert_allclose(
        measure(single, None, center=True, scale=True).scale, single.std(axis=0, dtype=np.float64), rtol=1e-5
    )


@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray])
def test_any_layout_is_measured(layout: Any) -> None:
    table = layout(np.random.default_rng(0).standard_normal((70_000, 3)).astype(np.float32) + 5)
    found = measure(table, None, center=True, scale=True)
    assert_allclose(found.center, table.mean(axis=0, dtype=np.float64), rtol=1e-6)
    assert_allclose(found.scale, table.std(axis=0, dtype=np.float64), rtol=1e-5)


@given(TABLES)
def test_short_coordinates_are_near_and_have_few_digits(table: Matrix) -> None:
    whole = measure(table, None, center=True, scale=True)
    short = whole.short()
    varies = np.isfinite(whole.scale)
    np.testing.assert_array_equal(np.isfinite(short.scale), varies)
    assert_allclose(np.log2(short.scale[varies] / whole.scale[varies]), 0, atol=0.5 + 1e-12)
    assert (np.frexp(short.scale[varies])[0] == 0.5).all()
    np.testing.assert_array_equal(short.center, short.center.astype(np.float32))


def test_whole_numbers_in_short_coordinates_are_exact() -> None:
    table = np.arange(21.0)[:, None] ** np.arange(1, 6)
    short = measure(table, None, center=True, scale=True).short()
    numbers = encode(table, np.zeros(21), None, short).blocks[0].numbers
    np.testing.assert_array_equal(numbers * short.scale + short.center, table)


def test_small_tables_are_copied_and_large_ones_read_in_place() -> None:
    rng = np.random.default_rng(0)
    small, large = rng.standard_normal((100, 5), np.float32), rng.standard_normal((900_000, 5), np.float32)
    for table, applied, dtype in ((small, True, np.float64), (large, False, np.float32)):
        examples = examples_of(
            table, np.zeros(len(table)), None, center=True, scale=True, free=False, whole=True
        ).examples
        assert examples.applied is applied
        assert examples.dtype == dtype
        assert (examples.blocks[0].numbers is table) is not applied


def test_a_column_far_from_zero_is_standardised_in_a_copy() -> None:
    rng = np.random.default_rng(0)
    table = rng.standard_normal((900_000, 5), np.float32)
    table[:, 2] = table[:, 2] * np.float32(2.0) + np.float32(1e5)
    examples = examples_of(table, np.zeros(len(table)), None, center=True, scale=True, free=False, whole=True).examples
    assert examples.applied
    assert examples.dtype == np.float32
    numbers = examples.blocks[0].numbers
    assert_allclose(numbers.mean(axis=0, dtype=np.float64), 0, atol=1e-3)
    assert_allclose(numbers.std(axis=0, dtype=np.float64), 1, rtol=1e-3)


def test_a_large_one_hot_table_gives_what_its_columns_give() -> None:
    rng = np.random.default_rng(0)
    level, number = rng.integers(0, 50, 90_000), rng.standard_normal((90_000, 2))
    table = np.column_stack([number, np.eye(50)[level]]).astype(np.float32)
    target = (number[:, 0] + np.sin(level) + rng.standard_normal(90_000) > 0).astype(int)
    encoded = examples_of(table, target.astype(float), None, center=True, scale=True, free=False, whole=True)
    assert encoded.examples.categories > 0
    point = Point(rng.standard_normal((52, 1)), np.zeros(1))
    np.testing.assert_array_equal(encoded.to_columns(encoded.to_features(point)).weights, point.weights)
    settings: dict[str, Any] = {"l2": 1e-3, "tolerance": 1e-9}
    apart = GradientDescentClassifier(**settings).fit(table, target)
    whole = GradientDescentClassifier(**settings).fit(np.asfortranarray(table, dtype=np.float64), target)
    assert_allclose(apart.coef_, whole.coef_, atol=1e-4)
    assert_allclose(apart.predict_proba(table), whole.predict_proba(table), atol=1e-5)


@given(
    st.lists(st.floats(-3, 3), min_size=3, max_size=3),
    st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3),
)
def test_units_do_not_change_predictions(exponents: list[float], shifts: list[float]) -> None:
    rng = np.random.default_rng(0)
    table = rng.standard_normal((60, 3))
    target = table @ [1.0, -2.0, 0.5] + 0.1 * rng.standard_normal(60)
    units = np.power(10.0, exponents)
    moved = table * units + np.array(shifts) * units
    plain = GradientDescentRegressor(l2=0.1).fit(table, target)
    other = GradientDescentRegressor(l2=0.1).fit(moved, target)
    assert_allclose(other.predict(moved), plain.predict(table), rtol=1e-6, atol=1e-7)


def test_coordinates_without_a_scale_are_the_columns_themselves() -> None:
    table = np.random.default_rng(0).standard_normal((50, 2))
    encoded = examples_of(table, np.zeros(50), None, center=False, scale=False, free=False, whole=True)
    assert encoded.examples.blocks[0].numbers is table
    assert encoded.examples.applied
    assert isinstance(encoded.coordinates, Coordinates)
    np.testing.assert_array_equal(encoded.coordinates.scale, 1)
