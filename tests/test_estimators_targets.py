"""Targets and weights: classes as NumPy would find them, faster; what cannot be used is refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.utils.class_weight import compute_class_weight

from downslope.errors import OptionError, TargetError
from downslope.estimators.targets import classes_of, indices_in, numbers_of, with_class_weights

LABELS = st.one_of(
    arrays(np.int64, st.integers(2, 60), elements=st.integers(-5, 5)),
    arrays(np.int64, st.integers(2, 60), elements=st.integers(-(2**62), 2**62)),
    arrays(np.uint8, st.integers(2, 60)),
    arrays(np.bool_, st.integers(2, 60)),
    arrays(np.float32, st.integers(2, 60), elements=st.integers(-4, 4).map(float)),
    arrays(np.dtype("<U3"), st.integers(2, 60), elements=st.text("abc", max_size=3)),
    arrays(np.dtype(object), st.integers(2, 60), elements=st.sampled_from(["yes", "no", "perhaps"])),
)


@given(LABELS)
def test_classes_are_those_that_numpy_finds(labels: Any) -> None:
    expected, inverse = np.unique(labels, return_inverse=True)
    if expected.size < 2:
        with pytest.raises(TargetError, match="needs at least two classes, but y is one class"):
            classes_of(labels)
        return
    classes, indices = classes_of(labels)
    np.testing.assert_array_equal(classes, expected)
    assert classes.dtype == expected.dtype
    assert indices.dtype == np.float64
    np.testing.assert_array_equal(indices, inverse)
    np.testing.assert_array_equal(indices_in(classes, labels), inverse)


def test_continuous_targets_are_no_classes() -> None:
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        classes_of(np.array([0.5, 1.5, 2.25]))


def test_a_class_that_was_not_announced_is_named() -> None:
    with pytest.raises(TargetError, match="y holds the class 'blue', which is not among the classes"):
        indices_in(np.array(["green", "red"]), np.array(["red", "blue"]))


@given(
    arrays(np.int64, 30, elements=st.integers(0, 2)).filter(lambda labels: np.unique(labels).size == 3),
    st.booleans(),
)
def test_balanced_weights_are_scikit_learns(labels: Any, weighted: bool) -> None:
    classes, indices = classes_of(labels)
    weights = np.linspace(0.5, 2.0, 30) if weighted else None
    found = with_class_weights(weights, "balanced", classes, indices)
    assert found is not None
    totals = np.bincount(labels, weights=found)
    np.testing.assert_allclose(totals, totals[0])
    if not weighted:
        expected = compute_class_weight("balanced", classes=classes, y=labels)
        np.testing.assert_allclose(found, expected[labels])


def test_a_class_without_a_given_weight_counts_once() -> None:
    found = with_class_weights(None, {"b": 3.0}, np.array(["a", "b"]), np.array([0.0, 1.0, 1.0]))
    np.testing.assert_array_equal(found, [1.0, 3.0, 3.0])


def test_without_class_weights_the_example_weights_are_left_alone() -> None:
    weights = np.array([1.0, 2.0])
    assert with_class_weights(weights, None, np.array([0, 1]), np.array([0.0, 1.0])) is weights


def test_a_negative_class_weight_is_refused() -> None:
    with pytest.raises(OptionError, match="class_weight of 1 must be 0 or more, not -2"):
        with_class_weights(None, {1: -2}, np.array([0, 1]), np.array([0.0, 1.0]))


def test_poisson_takes_fractions_but_nothing_negative() -> None:
    np.testing.assert_array_equal(numbers_of(np.array([0.0, 0.5, 2.0]), "poisson"), [0.0, 0.5, 2.0])
    with pytest.raises(TargetError, match=r"y is -0\.5 in row 2"):
        numbers_of(np.array([0.0, 1.0, -0.5]), "poisson")
    np.testing.assert_array_equal(numbers_of(np.array([-1, 2], dtype=np.int32), "squared"), [-1.0, 2.0])
