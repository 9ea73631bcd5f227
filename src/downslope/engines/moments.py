"""Second moments of the features, and other sums that one read of a table gives, on all cores."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from downslope.data.blocks import Block, Examples, Source, SparseRows
from downslope.engines import kernels, sparse
from downslope.engines.linear import NONE, SMALL, Chunk, entries_of, in_parts, over_blocks, over_chunks, rows_of
from downslope.types import Codes, FloatArray, Matrix, Vector

OfRows: TypeAlias = "Vector | Callable[[Examples], Vector] | None"
"""A number for each example (n,), or what gives it for some of them; None for one."""


def second_moments(examples: Source, row_weights: OfRows, exact: bool = False) -> Matrix:
    """Return the mean of z z' with z = (features, 1): (d + 1, d + 1) float64.

    row_weights: (n,) not negative, or None for the example weights alone. exact: multiply in float64 rather
    than in the precision of the data. One read; products by BLAS, categories by cross tables.
    """
    return moments_and_pull(examples, row_weights, exact, None)[0]


def moments_and_pull(examples: Source, row_weights: OfRows, exact: bool, values: OfRows) -> tuple[Matrix, Vector]:
    """Return the second moments and, from the same read, the mean (d + 1,) of z times ``values`` (n,), if given."""
    work = partial(moment_sums, row_weights=row_weights, exact=exact, values=values)
    return in_model_features(examples, *examples.total(work))


def moment_sums(examples: Examples, row_weights: OfRows, exact: bool, values: OfRows) -> tuple[Matrix, Vector]:
    """Return the sums that ``moments_and_pull`` makes means of, over stored numbers and levels."""
    p, m = examples.numbers, examples.levels
    weights, values = _weights_of_rows(examples, row_weights), _of_rows(examples, values)
    if examples.sparse:
        return _sparse_moments(examples, weights, values)
    precision = np.dtype(np.float64) if exact else examples.dtype

    def work(group: list[Chunk]) -> tuple[Matrix, Vector]:
        return _number_moments(examples, weights, values, precision, group)

    if examples.rows * p <= SMALL and len(examples.blocks) == 1:
        block = examples.blocks[0]
        parts = [work([(slice(0, block.rows), block.numbers, block.codes, None)])]
    else:
        parts = over_chunks(examples, examples.rows * p * p, work)
    total, pull = parts[0]
    for more, pulled in parts[1:]:
        total += more
        pull += pulled
    if m:
        _add_level_moments(examples, NONE if weights is None else weights, total)
        if values is not None:
            each = values if weights is None else values * weights
            for block in examples:
                pull[p:-1] += level_counts(block.codes, rows_of(block, each), m)
    return total, pull


def _of_rows(examples: Examples, given: OfRows) -> Vector | None:
    return given(examples) if callable(given) else given


def _weights_of_rows(examples: Examples, row_weights: OfRows) -> Vector | None:
    given = _of_rows(examples, row_weights)
    if given is None or examples.weights is None:
        return examples.weights if given is None else given
    return given * examples.weights


def _sparse_moments(examples: Examples, weights: Vector | None, values: Vector | None) -> tuple[Matrix, Vector]:
    """Return the sums of z z' (its upper part) and of z times ``values``, from rows without their zeros."""
    size = examples.features + 1
    center = np.zeros(examples.numbers) if examples.applied else examples.center

    def part(block: Block, start: int, stop: int) -> tuple[Matrix, Vector]:
        assert block.sparse is not None
        total, pull = np.zeros((size, size)), np.zeros(size)
        sparse.moments(
            block.numbers, block.codes, *entries_of(block.sparse), size - 1 - examples.sparse, center,
            NONE if weights is None else rows_of(block, weights), NONE if values is None else rows_of(block, values),
            start, stop, total, pull,
        )  # fmt: skip
        return total, pull

    parts = list(over_blocks(examples, part))
    total, pull = np.sum([each for each, _ in parts], axis=0), np.sum([each for _, each in parts], axis=0)
    return np.triu(total) + np.triu(total, 1).T, pull


def in_model_features(examples: Source, total: Matrix, pull: Vector) -> tuple[Matrix, Vector]:
    """Return the means from the sums over stored numbers about their centres, and over levels by their presence."""
    p = examples.numbers
    if not examples.applied:
        total[:p] /= examples.scale[:, None]
        total[:, :p] /= examples.scale
        pull[:p] /= examples.scale
    total /= examples.weight_sum
    pull /= examples.weight_sum
    whole = total
    whole[-1, :-1] = total[:-1, -1]
    whole[p:-1, :p] = total[:p, p:-1].T
    if examples.levels and not examples.sparse:
        levels = whole[p:-1, p:-1]
        whole[p:-1, p:-1] = np.triu(levels) + np.triu(levels, 1).T
    if examples.sparse_scale is not None and examples.sparse_center is not None:
        _fold_entries(examples.sparse_center, examples.sparse_scale, whole, pull)
    if examples.level_scale is None or examples.level_offset is None:
        return whole, pull
    base = p + examples.levels
    change = np.diag(np.concatenate([np.ones(p), examples.level_scale, np.ones(examples.sparse + 1)]))
    change[p:base, -1] = examples.level_offset
    return change @ whole @ change.T, change @ pull


def _fold_entries(center: Vector, scale: Vector, moments: Matrix, pull: Vector) -> None:
    """Take centre and scale of the sparse columns into the moments, in place: ``(x - c) / s`` for x."""
    columns = slice(-1 - center.shape[0], -1)
    moments[:, columns] -= np.outer(moments[:, -1], center)
    moments[columns] -= np.outer(center, moments[-1])
    moments[:, columns] /= scale
    moments[columns] /= scale[:, None]
    pull[columns] = (pull[columns] - center * pull[-1]) / scale


def entry_squares(examples: Examples) -> Vector:
    """Return (s,) the sum of (x - center)^2 of each sparse column, by example weight."""
    first, second = np.zeros((2, examples.sparse))
    for block in examples:
        assert block.sparse is not None
        weights = NONE if examples.weights is None else rows_of(block, examples.weights)
        sums = column_sums(block.sparse, weights, examples.sparse)
        first += sums[0]
        second += sums[1]
    if examples.sparse_center is None:
        return second
    center = examples.sparse_center
    return np.maximum(second + center * (center * examples.weight_sum - 2.0 * first), 0.0)


def column_sums(rows: SparseRows, row_weights: Vector, columns: int) -> Matrix:
    """Return (2, columns): the sum of each sparse column and of its squares, by row weight unless that is empty."""

    def part(start: int, stop: int) -> Matrix:
        sums = np.zeros((2, columns))
        sparse.column_sums(*entries_of(rows), row_weights, start, stop, sums)
        return sums

    return np.sum(in_parts(rows.rows, rows.entries, part), axis=0)


def _number_moments(
    examples: Examples, weights: Vector | None, values: Vector | None, precision: np.dtype[Any], group: list[Chunk]
) -> tuple[Matrix, Vector]:
    """Return the sums of z z' and of z times ``values``, in the rows of the numbers and of the constant."""
    p, size = examples.numbers, examples.features + 1
    total, pull = np.zeros((size, size)), np.zeros(size)
    center = examples.center.astype(precision)
    for rows, stored, _, _ in group:
        numbers = stored.astype(precision, copy=False)
        away = numbers if examples.applied else numbers - center
        beside = np.ones((2, away.shape[0]), precision)
        if values is not None:
            beside[1] = values[rows]
        if weights is None:
            total[:p, :p] += away.T @ away
        else:
            each = weights[rows]
            rooted = away * np.sqrt(each).astype(precision)[:, None]
            total[:p, :p] += rooted.T @ rooted
            beside *= each.astype(precision)
        total[-1, -1] += beside[0].sum(dtype=np.float64)
        sums = beside @ away
        total[:p, -1] += sums[0]
        if values is not None:
            pull[:p] += sums[1]
            pull[-1] += beside[1].sum(dtype=np.float64)
    return total, pull


def _add_level_moments(examples: Examples, weights: Vector, total: Matrix) -> None:
    p, m = examples.numbers, examples.levels

    def part(block: Block, start: int, stop: int) -> tuple[Matrix, Matrix]:
        cross, tables = np.zeros((m, p + 1)), np.zeros((m, m))
        each = rows_of(block, weights) if weights.size else NONE
        kernels.cross_moments(block.numbers, block.codes, each, start, stop, cross, tables)
        return cross, tables

    for cross, tables in over_blocks(examples, part):
        if not examples.applied:
            cross[:, :p] -= np.outer(cross[:, p], examples.center)
        total[:p, p:-1] += cross[:, :p].T
        total[p:-1, -1] += cross[:, p]
        total[p:-1, p:-1] += tables + np.diag(cross[:, p])


def level_counts(codes: Codes, row_weights: Vector, levels: int) -> Vector:
    """Return (levels,) how many rows hold each level, by their weights (n,) unless those are empty."""

    def part(start: int, stop: int) -> Vector:
        counts = np.zeros(levels)
        kernels.count_levels(codes, row_weights, start, stop, counts)
        return counts

    return np.sum(in_parts(codes.shape[0], codes.size, part), axis=0)


def survey(numbers: FloatArray, slopes: Vector, row_weights: Vector, shift: FloatArray) -> Matrix:
    """Return (3, p): per column the sums of x - shift, of its square, and of slope times x - shift."""
    p = numbers.shape[1]
    codes_free = numbers.shape[0] * p

    def part(start: int, stop: int) -> Matrix:
        sums = np.zeros((3, p))
        kernels.survey(numbers, slopes, row_weights, shift, start, stop, sums)
        return sums

    return np.sum(in_parts(numbers.shape[0], codes_free, part), axis=0)
