"""Targets and weights as arrays: classes to indices, example and class weights to one weight a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.errors import OptionError, TargetError, WeightsError, nearest
from downslope.estimators.conventions import check_classes, read_weights
from downslope.types import FloatArray, Vector

MOST_TABLED = 1 << 16
"""Span of whole-number classes up to which they are counted in a table instead of sorted."""


def numbers_of(target: NDArray[Any], loss: str) -> Vector:
    """Return a target of numbers as float64; raises TargetError where the Poisson loss meets a negative one."""
    values = _writeable(np.ascontiguousarray(target, dtype=np.float64))
    if loss == "poisson":
        row = int(values.argmin())
        if values[row] < 0:
            message = f"the poisson loss needs targets of 0 or more, but y is {values[row]:g} in row {row}"
            raise TargetError(message)
        if not values.any():
            message = "the poisson loss needs a count above 0 in some row, but y is 0 in all of them"
            raise TargetError(message)
    return values


def _writeable(values: Vector) -> Vector:
    """Return values that may be written to, since a kernel is compiled once more for those that may not."""
    return values if values.flags.writeable else values.copy()


def classes_of(target: NDArray[Any]) -> tuple[NDArray[Any], Vector]:
    """Return the classes, ascending, and the index of each row's class as float64.

    Raises ValueError for a target of continuous numbers, TargetError where there is one class only.
    """
    whole = _whole(target)
    if whole is None:
        check_classes(target)
        classes, indices = np.unique(target, return_inverse=True)
    else:
        classes, indices = _tabled(whole, target.dtype)
    if classes.shape[0] < 2:
        only = classes[:1].tolist()[0]
        message = f"a classifier needs at least two classes, but y is one class, {only!r}, in every row"
        raise TargetError(message)
    return classes, indices.astype(np.float64)


def _whole(target: NDArray[Any]) -> NDArray[np.int64] | None:
    """Return the target as whole numbers of a small span, or None."""
    if target.dtype.kind == "b":
        return target.astype(np.int64)
    if target.dtype.kind not in "iuf":
        return None
    low, high = target.min(), target.max()
    if not (low > -(2**53) and high < 2**53 and float(high) - float(low) < MOST_TABLED):
        return None
    whole = target.astype(np.int64)
    return whole if target.dtype.kind != "f" or bool((whole == target).all()) else None


def _tabled(whole: NDArray[np.int64], dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    low = int(whole.min())
    places = whole - low if low else whole
    seen = np.flatnonzero(np.bincount(places))
    rank = np.zeros(int(seen[-1]) + 1, np.int64)
    rank[seen] = np.arange(seen.shape[0])
    return (seen + low).astype(dtype), rank[places]


def indices_in(classes: NDArray[Any], target: NDArray[Any]) -> Vector:
    """Return the index of each row's class among known classes; raises TargetError for a class not among them."""
    unknown = np.setdiff1d(target, classes)
    if unknown.size:
        first = unknown[:1].tolist()[0]
        message = f"y holds the class {first!r}, which is not among the classes of the first partial_fit"
        raise TargetError(message)
    return np.searchsorted(classes, target).astype(np.float64)


def weights_of(given: object, features: FloatArray) -> Vector | None:
    """Return example weights as (n,) float64, None where none were given; raises ValueError, WeightsError."""
    if given is None:
        return None
    weights = _writeable(read_weights(given, features))
    if weights.min() < 0:
        row = int(weights.argmin())
        message = f"sample_weight is negative in row {row} ({weights[row]:g}); give weights of 0 or more"
        raise WeightsError(message)
    if not weights.any():
        message = "sample_weight is zero in every row; give some rows a weight above 0"
        raise WeightsError(message)
    return weights


def with_class_weights(
    weights: Vector | None, asked: str | Mapping[Any, float] | None, classes: NDArray[Any], indices: Vector
) -> Vector | None:
    """Return the example weights times the weight of each row's class.

    asked: ``balanced`` gives every class the same total weight; a mapping gives each class its own, 1 where
    it is absent; None leaves the weights alone. Raises OptionError for a class that is not there.
    """
    if asked is None:
        return weights
    index = indices.astype(np.intp)
    share = _balanced(weights, index, classes.shape[0]) if isinstance(asked, str) else _given(asked, classes)
    return share[index] if weights is None else weights * share[index]


def _balanced(weights: Vector | None, index: NDArray[np.intp], count: int) -> Vector:
    totals = np.bincount(index, weights=weights, minlength=count).astype(np.float64)
    return totals.sum() / (count * np.where(totals > 0, totals, np.inf))


def _given(asked: Mapping[Any, float], classes: NDArray[Any]) -> Vector:
    known = classes.tolist()
    for name, weight in asked.items():
        if name not in known:
            message = f"class_weight names the class {name!r}, which y does not hold{nearest(str(name), known)}"
            raise OptionError(message)
        if not weight >= 0:
            message = f"class_weight of {name!r} must be 0 or more, not {weight!r}"
            raise OptionError(message)
    return np.array([float(asked.get(name, 1.0)) for name in known])
