"""Second moments of the features, and other sums that one read of a table gives, on all cores."""

from __future__ import annotations

from typing import Any

import numpy as np

from downslope.data.blocks import Block, Examples
from downslope.engines import kernels
from downslope.engines.linear import NONE, SMALL, Chunk, in_parts, over_blocks, over_chunks, rows_of
from downslope.types import Codes, FloatArray, Matrix, Vector


def second_moments(examples: Examples, row_weights: Vector | None, exact: bool = False) -> Matrix:
    """Return the mean of z z' with z = (features, 1): (d + 1, d + 1) float64.

    row_weights: (n,) not negative, or None for the example weights alone. exact: multiply in float64 rather
    than in the precision of the data. One read; products by BLAS, categories by cross tables.
    """
    p, m = examples.numbers, examples.levels
    small = m == 0 and examples.applied and len(examples.blocks) == 1 and row_weights is None
    if small and examples.weights is None and examples.rows * p <= SMALL:
        numbers = examples.blocks[0].numbers.astype(np.float64, copy=False)
        moments = np.ones((p + 1, p + 1))
        moments[:p, :p] = numbers.T @ numbers / examples.rows
        moments[:p, -1] = moments[-1, :p] = np.ones(examples.rows) @ numbers / examples.rows
        return moments
    weights = examples.weights if row_weights is None else row_weights
    if row_weights is not None and examples.weights is not None:
        weights = row_weights * examples.weights
    precision = np.dtype(np.float64) if exact else examples.dtype
    total = np.sum(
        over_chunks(
            examples, examples.rows * p * p, lambda group: _number_moments(examples, weights, precision, group)
        ),
        axis=0,
    )
    if m:
        _add_level_moments(examples, NONE if weights is None else weights, total)
    if not examples.applied:
        total[:p] /= examples.scale[:, None]
        total[:, :p] /= examples.scale
    whole = (np.triu(total) + np.triu(total, 1).T) / examples.weight_sum
    if examples.level_scale is None or examples.level_offset is None:
        return whole
    change = np.diag(np.concatenate([np.ones(p), examples.level_scale, np.ones(1)]))
    change[p:-1, -1] = examples.level_offset
    return change @ whole @ change.T


def _number_moments(examples: Examples, weights: Vector | None, precision: np.dtype[Any], group: list[Chunk]) -> Matrix:
    """Return the sums of z z' over some chunks, in the rows and columns of the numbers and of the constant."""
    p, size = examples.numbers, examples.features + 1
    total = np.zeros((size, size))
    center = examples.center.astype(precision)
    for rows, stored, _ in group:
        numbers = stored.astype(precision, copy=False)
        away = numbers if examples.applied else numbers - center
        if weights is None:
            total[:p, :p] += away.T @ away
            total[:p, -1] += np.ones(away.shape[0], away.dtype) @ away
            total[-1, -1] += away.shape[0]
        else:
            each = weights[rows].astype(precision)
            rooted = away * np.sqrt(each)[:, None]
            total[:p, :p] += rooted.T @ rooted
            total[:p, -1] += away.T @ each
            total[-1, -1] += weights[rows].sum()
    return total


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
