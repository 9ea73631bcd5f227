"""From an array to examples: read in place where that is exact, copied to model features where it is not.

Standardising changes coordinates and nothing else, so it need not be written out: the engine can fold centre
and scale into the weights. A large array is therefore never copied. Two things ask for a copy all the same:
a small table, whose arithmetic is to be float64 throughout, and a float32 column that lies so far from zero
that subtracting the centre after the product would lose its digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.blocks import Block, Examples, SparseRows
from downslope.engines import linear as engine
from downslope.engines.dummies import Dummies, find_dummies
from downslope.engines.moments import column_sums, level_counts, survey
from downslope.engines.scaling import moments_about, standardise
from downslope.errors import ColumnError
from downslope.estimators.conventions import check_finite, is_sparse
from downslope.models.linear import Point
from downslope.types import FloatArray, Vector

SMALL_TABLE = 4_000_000
"""Cells up to which a table is copied to float64 (32 MB)."""
HEAD = 1000
"""Rows whose mean is the shift of the one pass that measures deviations."""
ROWS_AT_ONCE = 1 << 16
FAR = 1e3
"""Deviations between a float32 column and zero beyond which it is not centred after the product."""
CAST_NOISE = 4.0 * float(np.finfo(np.float64).eps)
"""A deviation below this share of the mean is the rounding of one constant."""


@dataclass(frozen=True)
class Coordinates:
    """What turns original features into model features: ``(original - center) / scale``, both (p,) float64.

    A constant column has an infinite scale: as a model feature it is 0, and so is its weight.
    """

    center: Vector
    scale: Vector

    def short(self) -> Coordinates:
        """Return nearly the same coordinates in few digits: scales are powers of two, centres have 24 bits.

        Whole and short decimal values then become model features without rounding.
        """
        powers = np.where(np.isfinite(self.scale), np.exp2(np.round(np.log2(self.finite_scale))), np.inf)
        return Coordinates(self.center.astype(np.float32).astype(np.float64), powers)

    @property
    def finite_scale(self) -> Vector:
        """The scale, 1 for a constant column."""
        return np.where(np.isfinite(self.scale), self.scale, 1.0)


@dataclass(frozen=True)
class Encoded:
    """An array as examples.

    coordinates: in the order of the array's columns. place: (d,) the column that each model feature is, -1 for
    the level that pads the codes.
    """

    examples: Examples
    coordinates: Coordinates
    place: NDArray[np.intp]

    @property
    def origin(self) -> tuple[Vector, Vector]:
        """Return the centre and the scale of the number features, or of the sparse ones."""
        numbers = self.place[: self.examples.numbers + self.examples.sparse]
        return self.coordinates.center[numbers], self.coordinates.finite_scale[numbers]

    def to_features(self, point: Point) -> Point:
        """Return a point of the array's columns as one of the model features."""
        return Point(np.where(self.place[:, None] >= 0, point.weights[self.place], 0.0), point.intercept)

    def to_columns(self, point: Point) -> Point:
        """Return the point that ``to_features`` was given."""
        weights = np.zeros((self.coordinates.center.shape[0], point.intercept.shape[0]))
        real = self.place >= 0
        weights[self.place[real]] = point.weights[real]
        return Point(weights, point.intercept)


def examples_of(
    features: FloatArray, target: Vector, weights: Vector | None, *, center: bool, scale: bool, free: bool, whole: bool
) -> Encoded:
    """Return an array (n, p) as examples; raises ValueError where it is not finite.

    center: subtract the mean. scale: divide by the deviation (the root mean square without ``center``).
    free: nothing depends on the scale but rounding, so a small table may have a scale near the deviation.
    whole: the examples are read in whole passes, for which one-hot columns are better held as codes.
    """
    if is_sparse(features):
        return _from_sparse(features, target, weights, center=center, scale=scale)
    small = features.size <= SMALL_TABLE
    if small and not features.flags.writeable:
        features = features.copy()  # a kernel would be compiled once more for what it may not write to
    if whole and not small and features.flags.c_contiguous:
        found = find_dummies(features)
        if found is not None:
            return _from_dummies(found, target, weights, center=center, scale=scale)
    coordinates = measure(features, weights, center=center, scale=scale)
    if free and scale and small:
        coordinates = coordinates.short()
    place = np.arange(features.shape[1], dtype=np.intp)
    return Encoded(encode(features, target, weights, coordinates), coordinates, place)


def _from_sparse(features: Any, target: Vector, weights: Vector | None, *, center: bool, scale: bool) -> Encoded:
    """Return the examples of a sparse matrix, whose zeros are never written out."""
    rows = sparse_rows(features)
    columns = features.shape[1]
    sums = column_sums(rows, engine.NONE if weights is None else weights, columns)
    total = rows.rows if weights is None else float(weights.sum())
    if not np.isfinite(sums).all():
        check_finite(features)
        message = "X holds values too large to square in float64 (above 1e150); rescale them first"
        raise ColumnError(message)
    mean = sums[0] / total
    coordinates = _coordinates(mean, np.maximum(sums[1] / total - mean**2, 0.0), center=center, scale=scale)
    return Encoded(encode_sparse(rows, target, weights, coordinates), coordinates, np.arange(columns, dtype=np.intp))


def sparse_rows(features: Any) -> SparseRows:
    """Return the rows of a ``scipy.sparse`` matrix by rows, in float64 where there are few entries."""
    if not features.has_canonical_format:
        features = features.copy()
        features.sum_duplicates()
    values = features.data.astype(np.float64) if features.nnz <= SMALL_TABLE else features.data
    starts, places = features.indptr.astype(np.int64), features.indices.astype(np.int32, copy=False)
    read_only = not (values.flags.writeable and places.flags.writeable)  # kernels are compiled once more for such
    return SparseRows(starts, places.copy(), values.copy()) if read_only else SparseRows(starts, places, values)


def encode_sparse(rows: SparseRows, target: Vector, weights: Vector | None, coordinates: Coordinates) -> Examples:
    """Return the examples of sparse rows in given coordinates, which are folded into the weights."""
    center, scale = coordinates.center, coordinates.scale
    block = Block(0, np.empty((rows.rows, 0), rows.values.dtype), np.empty((rows.rows, 0), np.int32), rows)
    unchanged = not center.any() and bool((scale == 1.0).all())
    return Examples(
        (block,), 0, target, weights, np.empty(0), np.empty(0), True, sparse=center.shape[0],
        sparse_center=None if unchanged else center, sparse_scale=None if unchanged else scale,
    )  # fmt: skip


def _from_dummies(found: Dummies, target: Vector, weights: Vector | None, *, center: bool, scale: bool) -> Encoded:
    """Return the examples of an array that was taken apart into numbers and codes."""
    numbers = measure(found.numbers, weights, center=center, scale=scale)
    count, total = found.columns.size, target.shape[0] if weights is None else float(weights.sum())
    active = level_counts(found.codes, engine.NONE if weights is None else weights, count + 1)[:count] / total
    width = found.high - found.low
    levels = _coordinates(found.low + width * active, width**2 * active * (1.0 - active), center=center, scale=scale)
    place = np.concatenate([found.number_columns, found.columns, [-1]]).astype(np.intp)
    middle, size = np.empty(place.size - 1), np.empty(place.size - 1)
    middle[place[:-1]] = np.concatenate([numbers.center, levels.center])
    size[place[:-1]] = np.concatenate([numbers.scale, levels.scale])
    stored = standardise(found.numbers, numbers.center, numbers.scale, found.numbers.dtype)
    examples = Examples(
        (Block(0, stored, found.codes),), count + 1, target, weights, numbers.center, numbers.scale, True,
        np.append(width / levels.scale, 0.0), np.append((found.low - levels.center) / levels.scale, 0.0),
    )  # fmt: skip
    return Encoded(examples, Coordinates(middle, size), place)


def encode(features: FloatArray, target: Vector, weights: Vector | None, coordinates: Coordinates) -> Examples:
    """Return the examples of an array in given coordinates."""
    if is_sparse(features):
        return encode_sparse(sparse_rows(features), target, weights, coordinates)
    numbers, applied = _numbers(features, coordinates)
    block = Block(0, numbers, np.empty((features.shape[0], 0), np.int32))
    return Examples((block,), 0, target, weights, coordinates.center, coordinates.scale, applied)


def _numbers(features: FloatArray, coordinates: Coordinates) -> tuple[FloatArray, bool]:
    """Return the numbers to train on, and whether they are model features already."""
    center, scale = coordinates.center, coordinates.scale
    unchanged = not center.any() and bool((scale == 1.0).all())
    if features.size <= SMALL_TABLE:
        plain = np.ascontiguousarray(features)
        return (plain.astype(np.float64, copy=False) if unchanged else standardise(plain, center, scale)), True
    if features.flags.c_contiguous and (unchanged or not _far(features, coordinates)):
        return features, unchanged
    numbers = np.empty(features.shape, np.float32)
    for first in range(0, features.shape[0], ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        numbers[rows] = (features[rows] - center) / scale
    return numbers, True


def _far(features: FloatArray, coordinates: Coordinates) -> bool:
    varying = np.isfinite(coordinates.scale)
    away = np.abs(coordinates.center[varying]) > FAR * coordinates.scale[varying]
    return features.dtype == np.float32 and bool(away.any())


def measure(features: FloatArray, weights: Vector | None, *, center: bool, scale: bool) -> Coordinates:
    """Return the coordinates of an array (n, p) by one pass, which finds what is not finite too."""
    shift = _shift(features)
    sums = np.zeros((2, features.shape[1]))
    for rows, part in _contiguous_parts(features):
        if weights is None:
            sums += moments_about(part, shift)
        else:
            sums += survey(part, engine.NONE, weights[rows], shift)[:2]
    total = features.shape[0] if weights is None else float(weights.sum())
    if not np.isfinite(sums).all():
        check_finite(features)
        return _measure_slowly(features, weights, center=center, scale=scale)
    offset = sums[0] / total
    return _coordinates(shift + offset, np.maximum(sums[1] / total - offset**2, 0.0), center=center, scale=scale)


def _shift(features: FloatArray) -> FloatArray:
    """Return a point near the mean, and on the value itself where a column does not change at first."""
    first = np.ascontiguousarray(features[0])
    head = np.ascontiguousarray(features[:HEAD])
    apart, squares = moments_about(head, first)
    with np.errstate(invalid="ignore"):
        mean = np.where(squares > 0, first + apart / head.shape[0], first)
    return np.where(np.isfinite(mean), mean, 0.0).astype(features.dtype)


def _contiguous_parts(features: FloatArray) -> Iterator[tuple[slice, FloatArray]]:
    if features.flags.c_contiguous:
        yield slice(None), features
        return
    for first in range(0, features.shape[0], ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        yield rows, np.ascontiguousarray(features[rows])


def _measure_slowly(features: FloatArray, weights: Vector | None, *, center: bool, scale: bool) -> Coordinates:
    """Return the coordinates of finite values whose squares are not, each column divided by its largest value."""
    largest = np.maximum(np.abs(features).max(axis=0).astype(np.float64), 1e-300)
    share = np.full(features.shape[0], 1.0 / features.shape[0]) if weights is None else weights / weights.sum()
    mean, squares = np.zeros(features.shape[1]), np.zeros(features.shape[1])
    for first in range(0, features.shape[0], ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        small = features[rows] / largest
        mean += share[rows] @ small
        squares += share[rows] @ small**2
    variance = np.maximum(squares - mean**2, 0.0)
    found = _coordinates(mean, variance, center=center, scale=scale)
    return Coordinates(found.center * largest, found.scale * largest if scale else found.scale)


def _coordinates(mean: Vector, variance: Vector, *, center: bool, scale: bool) -> Coordinates:
    if not center:
        variance = variance + mean**2
    size = np.sqrt(variance)
    varies = size > (CAST_NOISE * np.abs(mean) if center else 0.0)
    return Coordinates(
        mean if center else np.zeros_like(mean),
        np.where(varies, size, np.inf) if scale else np.ones_like(mean),
    )
