"""Tables for tests of the engine, and the same descents in plain NumPy, one-hot columns written out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import Bounds, minimize

from downslope.data.blocks import Block, Examples, SparseRows
from downslope.losses import Loss, poisson_offset
from downslope.models.linear import Objective
from downslope.steps import RuleState, soft_threshold, step

RELATIVE = {np.float32: 2e-4, np.float64: 1e-10}
"""How far an engine may be from NumPy in float64, by its precision."""


def table(
    *, rows: int = 137, numbers: int = 5, levels: tuple[int, ...] = (), dtype: Any = np.float64, classes: int = 0,
    weighted: bool = False, applied: bool = True, blocks: int = 1, dummies: bool = False, seed: int = 0,
    sparse: int = 0, centred: bool = False,
) -> Examples:  # fmt: skip
    """Return examples with a target drawn from a linear model.

    classes: 0 for a number, else that many. dummies: the features of levels are standardised too. sparse: columns
    without their zeros; centred: with a centre and a scale to be folded in.
    """
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((rows, numbers))
    center, scale = rng.standard_normal(numbers), rng.random(numbers) + 0.5
    stored = np.ascontiguousarray(values if applied else values * scale + center, dtype=dtype)
    offsets = np.cumsum((0, *levels))[:-1]
    codes = np.column_stack(
        [offset + rng.integers(0, count, rows) for offset, count in zip(offsets, levels, strict=True)]
        or [np.zeros((rows, 0))]
    ).astype(np.int32)  # fmt: skip
    score = values @ rng.standard_normal(numbers) + codes.sum(axis=1) * 0.1
    if classes:
        noise = rng.gumbel(size=(rows, classes))
        target = (score[:, None] * np.linspace(-1, 1, classes) + noise).argmax(axis=1).astype(np.float64)
    else:
        target = score + rng.standard_normal(rows)
    weights = rng.random(rows) + 0.2 if weighted else None
    edges = np.linspace(0, rows, blocks + 1).astype(int)
    entries = sparse_rows(rows, sparse, dtype) if sparse else None
    cut = tuple(
        Block(
            int(first), np.ascontiguousarray(stored[first:last]), np.ascontiguousarray(codes[first:last]),
            None if entries is None else entries.between(first, last),
        )
        for first, last in pairwise(edges)
    )  # fmt: skip
    m = int(sum(levels))
    level_scale = rng.random(m) + 1.0 if dummies else None
    level_offset = -rng.random(m) if dummies else None
    sparse_center = rng.random(sparse) if centred else None
    sparse_scale = rng.random(sparse) + 0.5 if centred else None
    return Examples(
        cut, m, target, weights, center, scale, applied, level_scale, level_offset, sparse, sparse_center, sparse_scale
    )


def sparse_rows(rows: int, columns: int, dtype: Any = np.float64, seed: int = 5) -> SparseRows:
    """Return rows of a few entries each, some of none."""
    rng = np.random.default_rng(seed)
    there = rng.random((rows, columns)) < 0.3
    starts = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int64)
    places = np.nonzero(there)[1].astype(np.int32)
    return SparseRows(starts, places, rng.standard_normal(places.size).astype(dtype))


def written_out(rows: SparseRows, columns: int) -> np.ndarray:
    """Return sparse rows with their zeros, (n, columns) float64."""
    whole = np.zeros((rows.rows, columns))
    for i in range(rows.rows):
        own = slice(rows.starts[i], rows.starts[i + 1])
        whole[i, rows.places[own]] = rows.values[own]
    return whole


def dense(examples: Examples) -> np.ndarray:
    """Return the model features (n, d) in float64, with a column for each level."""
    numbers = np.concatenate([each.numbers for each in examples]).astype(np.float64)
    codes = np.concatenate([each.codes for each in examples])
    if not examples.applied:
        numbers = (numbers - examples.center) / examples.scale
    onehot = np.zeros((examples.rows, examples.levels))
    for column in codes.T:
        onehot[np.arange(examples.rows), column] = 1.0
    if examples.level_scale is not None and examples.level_offset is not None:
        onehot = onehot * examples.level_scale + examples.level_offset
    if not examples.sparse:
        return np.hstack([numbers, onehot])
    whole = np.vstack([written_out(each.sparse, examples.sparse) for each in examples if each.sparse is not None])
    if examples.sparse_center is not None and examples.sparse_scale is not None:
        whole = (whole - examples.sparse_center) / examples.sparse_scale
    return np.hstack([numbers, onehot, whole])


def shares(examples: Examples) -> np.ndarray:
    """Return the example weights with mean 1."""
    return np.ones(examples.rows) if examples.weights is None else examples.weights / examples.weights.mean()


@dataclass
class Descended:
    """Where a plain descent came to: weights (d + 1, k), the intercept last; the summed loss; the mean iterate."""

    weights: np.ndarray
    loss: float
    average: np.ndarray
    updates: int


def descend(
    examples: Examples, objective: Objective, order: np.ndarray, batch: int, rates: np.ndarray, rule: int,
    momentum: float = 0.9, limit: float = np.inf,
) -> Descended:  # fmt: skip
    """Run batches of ``order`` as the textbook does: mean gradient of the batch, one step, proximal step of l1."""
    features = np.hstack([dense(examples), np.ones((examples.rows, 1))])
    weights = np.zeros((features.shape[1], objective.outputs))
    state = RuleState.zeros(weights.shape)
    average = np.zeros_like(weights)
    penalised = np.ones((features.shape[1], 1))
    penalised[-1] = 0.0
    total, updates = 0.0, 0
    for first in range(0, order.size, batch):
        rows = order[first : first + batch]
        scores, share = features[rows] @ weights, shares(examples)[rows]
        losses = objective.losses(scores, examples.target[rows])
        if objective.loss.name == "poisson":
            losses = losses - poisson_offset(examples.target[rows])  # which the engine leaves to ``evaluate``
        met = float((losses * share).sum())
        if not met <= limit * rows.size:
            break
        total += met
        slopes = objective.slopes(scores, examples.target[rows]) * share[:, None]
        gradient = features[rows].T @ slopes / rows.size + objective.l2 * penalised * weights
        if not objective.intercept:
            gradient[-1] = 0.0
        change, gain, state = step(rule, gradient, state, float(rates[updates]), momentum)
        weights = weights - change
        if objective.l1:
            weights = np.where(penalised > 0, soft_threshold(weights, gain * objective.l1), weights)
        updates += 1
        average += (weights - average) / updates
    return Descended(weights, total, average, updates)


def objective_at(examples: Examples, objective: Objective, weights: np.ndarray) -> float:
    """Return F at (d + 1, k) weights, the intercept last, from the definition."""
    scores = dense(examples) @ weights[:-1] + weights[-1]
    share = shares(examples)
    losses = objective.losses(scores, examples.target)
    penalty = objective.l2 / 2 * (weights[:-1] ** 2).sum() + objective.l1 * np.abs(weights[:-1]).sum()
    return float((share * losses).mean() + penalty)


def poisson_counts(examples: Examples) -> Examples:
    """Return the examples with counts for a target."""
    return examples.retarget(np.floor(np.exp(np.clip(examples.target * 0.5, -3, 2))))


def fit_target(examples: Examples, loss: Loss) -> Examples:
    """Return the examples with a target that the loss takes."""
    return poisson_counts(examples) if loss.name == "poisson" else examples


def scipy_minimum(examples: Examples, objective: Objective) -> np.ndarray:
    """Return the (d + 1, k) weights at which SciPy finds F lowest, the intercept last.

    L-BFGS-B on w = u - v with u, v >= 0, which makes l1 smooth; corners are rounded ever less, to 3e-5.
    """
    features = np.hstack([dense(examples), np.ones((examples.rows, 1)) * objective.intercept])
    size, outputs, share = features.shape[1], objective.outputs, shares(examples)
    penalised = np.ones((size, 1))
    penalised[-1] = 0.0
    best = np.zeros(2 * size * outputs)
    for width in (0.3, 3e-3, 3e-5) if objective.loss.cornered else (0.0, 0.0):
        loss = objective.loss.rounded(width)
        rounded = Objective(loss, objective.l1, objective.l2, objective.intercept, outputs)

        def value_and_slope(flat: np.ndarray, rounded: Objective = rounded) -> tuple[float, np.ndarray]:
            plus, minus = flat.reshape(2, size, outputs)
            weights = plus - minus
            scores = features @ weights
            value = float((share * rounded.losses(scores, examples.target)).mean())
            value += rounded.l2 / 2 * float((penalised * weights**2).sum())
            value += rounded.l1 * float((penalised * (plus + minus)).sum())
            slope = features.T @ (rounded.slopes(scores, examples.target) * share[:, None]) / examples.rows
            slope += rounded.l2 * penalised * weights
            thrust = np.broadcast_to(rounded.l1 * penalised, slope.shape)
            return value, np.stack([slope + thrust, thrust - slope]).ravel()

        best = minimize(
            value_and_slope, best, jac=True, method="L-BFGS-B", bounds=Bounds(0, np.inf),
            options={"maxiter": 1000, "maxfun": 2000, "ftol": 1e-16, "gtol": 1e-12, "maxcor": 30},
        ).x  # fmt: skip
    plus, minus = best.reshape(2, size, outputs)
    return plus - minus
