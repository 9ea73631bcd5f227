"""Passes over the examples of a linear model, on all cores, for any number of outputs.

Every function takes model coordinates and gives them back. Where a caller's own array is read in place
(``Examples.applied`` is False), centring and scaling are folded into the weights on the way in and into the
sums on the way out, which is exact: ``((x - c) / s) u = x (u / s) - c (u / s)``.

The rows are cut in as many parts as there are threads, and the parts are added in their order, so the same
seed gives the same bits on the same machine.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from downslope.data.blocks import Block, Examples, Source, SparseRows
from downslope.engines import kernels, sparse
from downslope.machine import threads
from downslope.models.linear import CHUNK, Objective, Point, chunk_scores
from downslope.types import Codes, FloatArray, Matrix, Offsets, Vector

Part = TypeVar("Part")

SMALL = 1 << 19
"""Cells below which a second thread costs more than it saves."""
NONE: Vector = np.empty(0)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads(), thread_name_prefix="downslope")


@cache
def _blas() -> list[Any]:
    controller: Any = ThreadpoolController()
    return list(controller.select(user_api="blas").lib_controllers)


@contextmanager
def one_blas_thread() -> Generator[None]:
    """Keep BLAS to the calling thread for a while.

    Passes bring their own threads; a second set inside BLAS would wait for them in loops, and a factor of a
    hundred by a hundred needs none.
    """
    before = [(library, library.get_num_threads()) for library in _blas()]
    for library, _ in before:
        library.set_num_threads(1)
    try:
        yield
    finally:
        for library, count in before:
            library.set_num_threads(count)


def in_parts(rows: int, cells: int, work: Callable[[int, int], Part]) -> list[Part]:
    """Return ``work(start, stop)`` of consecutive parts of the rows, in order, one part a thread."""
    count = 1 if cells < SMALL else min(threads(), max(rows // 64, 1))
    if count == 1:
        return [work(0, rows)]
    edges = [rows * part // count // 64 * 64 for part in range(count)] + [rows]
    return list(_pool().map(work, edges[:-1], edges[1:]))


Chunk: TypeAlias = "tuple[slice, FloatArray, Codes, SparseRows | None]"


def chunks(examples: Examples) -> Iterator[Chunk]:
    """Yield (global rows, numbers, codes, sparse rows) a chunk at a time."""
    for block in examples:
        for first in range(0, block.rows, CHUNK):
            last = min(first + CHUNK, block.rows)
            sparse = None if block.sparse is None else block.sparse.between(first, last)
            rows = slice(block.start + first, block.start + last)
            yield rows, block.numbers[first:last], block.codes[first:last], sparse


@dataclass(frozen=True)
class Evaluation:
    """F at a point and its slope.

    objective: F, penalties included. loss: the mean loss alone. gradient: of the loss and the l2 penalty by
    weights (d, k) and intercept (k,); the l1 penalty has no gradient at 0 and is left out.
    """

    objective: float
    loss: float
    gradient: Point

    @property
    def gradient_norm(self) -> float:
        """Length of the gradient."""
        return float(
            np.sqrt(
                np.vdot(self.gradient.weights, self.gradient.weights)
                + np.vdot(self.gradient.intercept, self.gradient.intercept)
            )
        )


def fold(examples: Source, point: Point) -> tuple[Matrix, Vector]:
    """Return the weights and intercept that score the stored numbers as ``point`` scores model features."""
    if examples.applied and examples.level_scale is None and examples.sparse_scale is None:
        return point.weights, point.intercept
    p, intercept = examples.numbers, point.intercept
    base = p + examples.levels
    weights = point.weights.copy()
    if not examples.applied:
        weights[:p] /= examples.scale[:, None]
        intercept = intercept - examples.center @ weights[:p]
    if examples.level_scale is not None and examples.level_offset is not None:
        intercept = intercept + examples.level_offset @ weights[p:base]
        weights[p:base] *= examples.level_scale[:, None]
    if examples.sparse_scale is not None and examples.sparse_center is not None:
        weights[base:] /= examples.sparse_scale[:, None]
        intercept = intercept - examples.sparse_center @ weights[base:]
    return weights, intercept


def unfold(examples: Source, gathered: Matrix, slope_sum: Vector) -> Matrix:
    """Turn sums of slope times stored number (d, k) into sums of slope times model feature."""
    p, base = examples.numbers, examples.numbers + examples.levels
    if not examples.applied:
        gathered[:p] = (gathered[:p] - np.outer(examples.center, slope_sum)) / examples.scale[:, None]
    if examples.level_scale is not None and examples.level_offset is not None:
        gathered[p:base] *= examples.level_scale[:, None]
        gathered[p:base] += np.outer(examples.level_offset, slope_sum)
    if examples.sparse_scale is not None and examples.sparse_center is not None:
        gathered[base:] -= np.outer(examples.sparse_center, slope_sum)
        gathered[base:] /= examples.sparse_scale[:, None]
    return gathered


def rows_of(block: Block, values: Vector) -> Vector:
    """Return the part of (n,) values that belongs to a block."""
    return values[block.start : block.start + block.rows]


def entries_of(rows: SparseRows) -> tuple[Offsets, Codes, FloatArray]:
    """Return sparse rows as the compiled loops take them."""
    return rows.starts, rows.places, rows.values


def _weights_of(examples: Examples, block: Block) -> Vector:
    return NONE if examples.weights is None else rows_of(block, examples.weights)


def over_blocks(examples: Examples, work: Callable[[Block, int, int], Part]) -> Iterator[Part]:
    """Yield ``work(block, start, stop)`` of consecutive parts of each block, in order, one part a thread."""
    width = examples.numbers + examples.levels
    for block in examples:
        cells = block.rows * width + (0 if block.sparse is None else block.sparse.entries)
        yield from in_parts(block.rows, cells, partial(work, block))


def _sum_column(
    examples: Examples, objective: Objective, target: Vector, weights: Vector, intercept: float
) -> tuple[float, float, Vector]:
    """Return the summed loss, the summed slope and the gathered rows (d,) of one scalar output."""
    loss, base = objective.loss, examples.numbers + examples.levels
    total, slope_sum, gathered = 0.0, 0.0, np.zeros(weights.shape[0])
    cast_weights, cast_intercept = weights.astype(examples.dtype), cast("float", examples.dtype.type(intercept))

    def part(block: Block, start: int, stop: int) -> tuple[float, float, Vector]:
        gradient = np.zeros(weights.shape[0])
        after = (
            cast_weights, cast_intercept, rows_of(block, target), _weights_of(examples, block), loss.family, loss.low,
            loss.high, loss.width, start, stop, gradient,
        )  # fmt: skip
        if block.sparse is None:
            return *kernels.loss_and_gradient(block.numbers, block.codes, *after), gradient
        entries = entries_of(block.sparse)
        return *sparse.loss_and_gradient(block.numbers, block.codes, *entries, base, *after), gradient

    for part_loss, part_slope, part_gradient in over_blocks(examples, part):
        total += part_loss
        slope_sum += part_slope
        gathered += part_gradient
    return total, slope_sum, gathered


def _cells(examples: Examples) -> int:
    return examples.rows * (examples.numbers + examples.levels) + examples.entries


def chunk_groups(examples: Examples, cells: int) -> list[list[Chunk]]:
    """Return the chunks in as many consecutive groups as there are threads."""
    whole = list(chunks(examples))
    count = 1 if cells < SMALL else min(threads(), len(whole))
    edges = [len(whole) * part // count for part in range(count + 1)]
    return [whole[first:last] for first, last in pairwise(edges)]


def over_chunks(examples: Examples, cells: int, work: Callable[[list[Chunk]], Part]) -> list[Part]:
    """Return ``work`` of each group of chunks, in order, one group a thread."""
    groups = chunk_groups(examples, cells)
    return [work(groups[0])] if len(groups) == 1 else list(_pool().map(work, groups))


def _sum_softmax(
    examples: Examples, objective: Objective, weights: Matrix, intercept: Vector
) -> tuple[float, Vector, Matrix]:
    cast_weights, cast_intercept = weights.astype(examples.dtype), intercept.astype(examples.dtype)
    base = examples.numbers + examples.levels

    def work(group: list[Chunk]) -> tuple[float, Vector, Matrix]:
        total, slope_sum, gathered = 0.0, np.zeros(objective.outputs), np.zeros(weights.shape)
        for rows, numbers, codes, entries in group:
            scores = chunk_scores(numbers, codes, cast_weights, cast_intercept)
            if entries is not None:
                sparse.add_output_scores(*entries_of(entries), cast_weights[base:], scores)
            target = examples.target[rows].astype(np.intp)
            losses, slopes = softmax_in_place(scores, target)
            if examples.weights is not None:
                each = examples.weights[rows]
                losses = losses * each
                slopes *= each[:, None].astype(slopes.dtype)
            total += float(losses.sum(dtype=np.float64))
            slope_sum += slopes.sum(axis=0, dtype=np.float64)
            gather_chunk(numbers, codes, slopes, gathered[:base])
            if entries is not None:
                sparse.gather_outputs(*entries_of(entries), slopes, gathered[base:])
        return total, slope_sum, gathered

    parts = over_chunks(examples, _cells(examples) * objective.outputs, work)
    return (
        sum(each[0] for each in parts), np.sum([each[1] for each in parts], axis=0),
        np.sum([each[2] for each in parts], axis=0),
    )  # fmt: skip


def softmax_in_place(scores: FloatArray, target: Any) -> tuple[FloatArray, FloatArray]:
    """Return the losses (n,) and the slopes (n, k), which take the place of ``scores``."""
    row: NDArray[np.intp] = np.arange(scores.shape[0], dtype=np.intp)
    scores -= scores.max(axis=1, keepdims=True)
    chosen = scores[row, target]
    np.exp(scores, out=scores)
    total = scores.sum(axis=1, keepdims=True)
    scores /= total
    scores[row, target] -= 1
    return np.log(total[:, 0]) - chosen, scores


def gather_chunk(numbers: FloatArray, codes: Any, slopes: FloatArray, gathered: Matrix) -> None:
    """Add to ``gathered`` (d, k) the rows of a chunk times their slopes (rows, k)."""
    p = numbers.shape[1]
    gathered[:p] += (np.ascontiguousarray(slopes.T) @ numbers).T
    levels = gathered.shape[0] - p
    for c in range(codes.shape[1]):
        for k in range(slopes.shape[1]):
            gathered[p:, k] += np.bincount(codes[:, c], weights=slopes[:, k], minlength=levels)


def evaluate(examples: Source, objective: Objective, point: Point) -> Evaluation:
    """Return F and its gradient at a point: one pass (for one against the rest, one an output)."""
    weights, intercept = fold(examples, point)
    work = partial(slope_sums, objective=objective, weights=weights, intercept=intercept)
    total, slope_sum, gathered, offset = examples.total(work)
    gathered = unfold(examples, gathered, slope_sum)
    share = 1.0 / examples.weight_sum
    loss = total * share + offset / examples.weight_sum
    gradient = gathered * share + objective.l2 * point.weights
    fixed = slope_sum * share if objective.intercept else np.zeros(objective.outputs)
    return Evaluation(loss + objective.penalty(point.weights), loss, Point(gradient, fixed))


def slope_sums(
    examples: Examples, objective: Objective, weights: Matrix, intercept: Vector
) -> tuple[float, Vector, Matrix, float]:
    """Return four sums over the examples: loss, slopes (k,), slope times stored number (d, k), ``constant_sum``.

    weights, intercept: as ``fold`` gives them.
    """
    if objective.softmax:
        return *_sum_softmax(examples, objective, weights, intercept), 0.0
    columns = [
        _sum_column(
            examples, objective, objective.target_of(examples.target, k),
            np.ascontiguousarray(weights[:, k]), float(intercept[k]),
        )
        for k in range(objective.outputs)
    ]  # fmt: skip
    total = sum(each[0] for each in columns)
    slope_sum = np.array([each[1] for each in columns])
    return total, slope_sum, np.column_stack([each[2] for each in columns]), constant_sum(examples, objective)


def constant_sum(examples: Examples, objective: Objective) -> float:
    """Return the sum of the part of the loss that no weight can change and that the kernels leave out."""
    if objective.loss.name != "poisson":
        return 0.0
    from downslope.losses import poisson_offset

    offset = poisson_offset(examples.target)
    return float(offset.sum() if examples.weights is None else offset @ examples.weights)


def constant_part(examples: Examples, objective: Objective) -> float:
    """Return the mean of ``constant_sum``."""
    return constant_sum(examples, objective) / examples.weight_sum


def exact_scores(examples: Examples, point: Point) -> Matrix:
    """Return the scores (n, k), data as stored, arithmetic in float64."""
    weights, intercept = fold(examples, point)
    base = examples.numbers + examples.levels
    out = np.empty((examples.rows, point.intercept.shape[0]))
    if out.shape[1] > 1:

        def work(group: list[Chunk]) -> None:
            for rows, numbers, codes, entries in group:
                scores = chunk_scores(numbers.astype(np.float64, copy=False), codes, weights, intercept)
                if entries is not None:
                    sparse.add_output_scores(*entries_of(entries), weights[base:], scores)
                out[rows] = scores

        over_chunks(examples, _cells(examples) * out.shape[1], work)
        return out
    column = np.ascontiguousarray(weights[:, 0])
    scores = np.empty(examples.rows)

    def part(block: Block, start: int, stop: int) -> None:
        target = rows_of(block, scores)
        kernels.scores_of(block.numbers, block.codes, column, float(intercept[0]), start, stop, target)
        if block.sparse is not None:
            sparse.add_scores(*entries_of(block.sparse), column[base:], start, stop, target)

    for _ in over_blocks(examples, part):
        pass
    out[:, 0] = scores
    return out


@dataclass(frozen=True)
class Examination:
    """What scores (n,) say of one output: means by example weight, and the slopes (n,), all float64."""

    loss: float
    slope: float
    bend: float
    slope_score: float
    slopes: Vector


def examine(examples: Examples, objective: Objective, scores: Vector, target: Vector, shift: float) -> Examination:
    """Return the Examination of ``scores + shift`` for a scalar loss: no look at the features."""
    loss, slopes = objective.loss, np.empty(scores.shape)
    weights = NONE if examples.weights is None else examples.weights

    def part(start: int, stop: int) -> tuple[float, float, float, float]:
        return kernels.examine(
            scores, target, weights, shift, loss.family, loss.low, loss.high, loss.width, start, stop, slopes
        )

    sums = np.sum(in_parts(scores.shape[0], 16 * scores.shape[0], part), axis=0) / examples.weight_sum
    return Examination(
        float(sums[0]) + constant_part(examples, objective), float(sums[1]), float(sums[2]), float(sums[3]), slopes
    )


def exact_gather(examples: Examples, slopes: Matrix) -> Matrix:
    """Return the sums (d, k) of each model feature times the slopes (n, k), in float64."""
    gathered = np.zeros((examples.features, slopes.shape[1]))
    base = examples.numbers + examples.levels
    if slopes.shape[1] > 1:

        def work(group: list[Chunk]) -> Matrix:
            part = np.zeros_like(gathered)
            for rows, numbers, codes, entries in group:
                gather_chunk(numbers.astype(np.float64, copy=False), codes, slopes[rows], part[:base])
                if entries is not None:
                    sparse.gather_outputs(*entries_of(entries), slopes[rows], part[base:])
            return part

        parts = over_chunks(examples, _cells(examples) * slopes.shape[1], work)
        return unfold(examples, np.sum(parts, axis=0), slopes.sum(axis=0))
    column = np.ascontiguousarray(slopes[:, 0])

    def part(block: Block, start: int, stop: int) -> Vector:
        gradient = np.zeros(examples.features)
        kernels.gather(block.numbers, block.codes, rows_of(block, column), start, stop, gradient)
        if block.sparse is not None:
            sparse.gather(*entries_of(block.sparse), rows_of(block, column), start, stop, gradient[base:])
        return gradient

    for gradient in over_blocks(examples, part):
        gathered[:, 0] += gradient
    return unfold(examples, gathered, slopes.sum(axis=0))


def take(examples: Source, rows: Any) -> Examples:
    """Return the examples of the given global rows, ascending, as one block."""
    return examples.pick(rows)
