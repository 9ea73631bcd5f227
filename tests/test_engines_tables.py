"""Tests of what the engine does with whole tables: scaling, finding dummies, and the quadratic of a proximal step."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, minimize

from downslope import compiling
from downslope.compiling import COMPILE_CLOCK, inlined
from downslope.engines.dummies import WORTH, Dummies, find_dummies
from downslope.engines.quadratic import coordinate_descent
from downslope.engines.scaling import standardise


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, 50, 20_000])
def test_standardising_is_subtracting_and_dividing(dtype: Any, rows: int) -> None:
    numbers = np.random.default_rng(0).standard_normal((rows, 3)).astype(dtype)
    center, scale = np.array([0.5, -1.0, 2.0]), np.array([2.0, 0.3, np.inf])
    made = standardise(numbers, center, scale)
    assert made.dtype == np.float64
    np.testing.assert_allclose(made, (numbers.astype(np.float64) - center) / scale, rtol=1e-14, atol=1e-300)
    assert not made[:, 2].any()


def encoded(rows: int = 3000, *, categories: tuple[int, ...] = (10, 8), dtype: Any = np.float32) -> np.ndarray:
    """Return two numbers and one-hot columns, standardised, in mixed order."""
    drawn = np.random.default_rng(0)
    hot = [np.eye(count)[drawn.integers(0, count, rows)] for count in categories]
    array = np.hstack([drawn.standard_normal((rows, 2)), *hot])
    array[:, 2:] = (array[:, 2:] - array[:, 2:].mean(axis=0)) / array[:, 2:].std(axis=0)
    return np.ascontiguousarray(array[:, drawn.permutation(array.shape[1])], dtype=dtype)


def rebuilt(found: Dummies, width: int) -> np.ndarray:
    array = np.empty((found.numbers.shape[0], width), found.numbers.dtype)
    array[:, found.number_columns] = found.numbers
    active = np.zeros((found.numbers.shape[0], found.columns.size + 1), bool)
    np.put_along_axis(active, found.codes.astype(np.int64), True, axis=1)
    array[:, found.columns] = np.where(active[:, :-1], found.high, found.low)
    return array


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [300, 3000, 30_000])
def test_dummies_are_taken_apart_without_loss(dtype: Any, rows: int) -> None:
    array = encoded(rows, dtype=dtype)
    found = find_dummies(array)
    assert found is not None
    assert (found.columns.size, found.numbers.shape[1], found.codes.shape[1]) == (18, 2, 2)
    np.testing.assert_array_equal(rebuilt(found, array.shape[1]), array)


@pytest.mark.parametrize("third", [0.123, np.nan, np.inf])
def test_a_column_that_breaks_the_rule_in_one_row_stays_a_number(third: float) -> None:
    array = encoded()
    before = find_dummies(array)
    assert before is not None
    broken = int(before.columns[3])
    array[1777, broken] = third
    found = find_dummies(array)
    assert found is not None
    assert broken in found.number_columns
    np.testing.assert_array_equal(rebuilt(found, array.shape[1]), array)


def test_an_array_of_numbers_is_left_alone() -> None:
    assert find_dummies(np.random.default_rng(0).standard_normal((500, 30))) is None
    assert find_dummies(encoded(categories=(WORTH - 4,))) is None


def test_rows_with_many_active_columns_are_left_alone() -> None:
    array = (np.random.default_rng(0).random((2000, 60)) < 0.5).astype(np.float64)
    assert find_dummies(array) is None


@settings(max_examples=40)
@given(size=st.integers(1, 6), free=st.booleans(), l1=st.floats(0, 2), seed=st.integers(0, 500))
def test_coordinate_descent_finds_the_minimum_that_scipy_finds(size: int, free: bool, l1: float, seed: int) -> None:
    drawn = np.random.default_rng(seed)
    root = drawn.standard_normal((size + 2, size))
    hessian, gradient, start = root.T @ root, 3 * drawn.standard_normal(size), drawn.standard_normal(size)
    penalties = np.full(size, l1)
    penalties[-1] *= not free

    def value(at: np.ndarray) -> float:
        away = at - start
        return float(gradient @ away + 0.5 * away @ hessian @ away + penalties @ np.abs(at))

    def split(both: np.ndarray) -> tuple[float, np.ndarray]:
        plus, minus = both.reshape(2, -1)
        slope = gradient + hessian @ (plus - minus - start)
        away = plus - minus - start
        smooth = gradient @ away + 0.5 * away @ hessian @ away
        return float(smooth + penalties @ (plus + minus)), np.concatenate([slope + penalties, penalties - slope])

    end = coordinate_descent(hessian, gradient, start, penalties, 2000, 1e-16)
    oracle = minimize(
        split, np.zeros(2 * size), jac=True, method="L-BFGS-B", bounds=Bounds(0, np.inf),
        options={"maxiter": 3000, "ftol": 1e-16, "gtol": 1e-12},
    )  # fmt: skip
    assert value(end) <= oracle.fun + 1e-9 * (1 + abs(oracle.fun))
    assert value(end) >= oracle.fun - 1e-5 * (1 + abs(oracle.fun))


def test_coordinate_descent_leaves_flat_coordinates_where_they_are() -> None:
    hessian = np.diag([2.0, 0.0])
    end = coordinate_descent(hessian, np.array([-4.0, 1.0]), np.array([0.0, 5.0]), np.zeros(2), 10, 0.0)
    np.testing.assert_array_equal(end, [2.0, 5.0])


def test_the_clock_counts_what_compiling_took_and_nothing_else() -> None:
    @inlined  # nothing of it is kept on disk, so that each new type is compiled
    def doubled(values):  # noqa: ANN001, ANN202 - typed at the call
        return values * 2.0

    doubled(np.arange(3, dtype=np.int16))
    before = COMPILE_CLOCK.seconds
    doubled(np.arange(3, dtype=np.int16))
    assert COMPILE_CLOCK.seconds == before
    doubled(np.arange(3, dtype=np.uint16))
    assert COMPILE_CLOCK.seconds > before


def test_the_kept_kernels_are_named_after_every_source_that_shapes_them() -> None:
    folder = Path(compiling.__file__).parent
    named = {(folder / name).resolve() for name in compiling.SOURCES}
    assert all(each.exists() for each in named)
    shaping = {each for each in folder.rglob("*.py") if re.search("^@(kernel|inlined)", each.read_text(), re.MULTILINE)}
    assert shaping
    assert shaping <= named
