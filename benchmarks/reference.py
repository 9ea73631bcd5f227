"""The minimum that gaps are measured against: float64, NumPy and SciPy only, nothing of downslope.

Newton's method, damped in proportion to the Hessian's diagonal where a step brought less than it promised
(Marquardt 1963). One output: a Cholesky factor of the full Hessian. Softmax: from where L-BFGS ends, steps by
conjugate gradients preconditioned with the Hessian block of each class (Nocedal & Wright 2006, chapter 7). It
ends when the proved distance to the minimum, ``|gradient|^2 / (2 l2)`` by strong convexity, is below 1e-12 of
the drop from zero weights (softmax: 1e-6).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.special import logsumexp, softmax, xlogy

from benchmarks.problems import Problem

Array = NDArray[np.float64]
PRECISION = 1e-12
SOFTMAX_PRECISION = 1e-6
"""Enough for a softmax of thousands of weights: a hundredth of the smallest gap that is asked for."""
BLOCK = 8192


@dataclass(frozen=True)
class Weights:
    """A linear model: coef (k, d), intercept (k,)."""

    coef: Array
    intercept: Array

    @classmethod
    def of(cls, coef: Any, intercept: Any) -> Weights:
        """Return the weights as float64 arrays of the shapes above."""
        return cls(np.atleast_2d(np.asarray(coef, np.float64)), np.atleast_1d(np.asarray(intercept, np.float64)))


@dataclass(frozen=True)
class Reference:
    """Where the minimum is.

    value: F at the minimum. start: F at zero weights and intercept. proved: bound on how far above the
    minimum ``value`` is, as a share of the drop.
    """

    weights: Weights
    value: float
    start: float
    proved: float

    def gap(self, objective: float) -> float:
        """Return the share of the drop that is still to come."""
        return (objective - self.value) / (self.start - self.value)


def pointwise(problem: Problem, scores: Array, y: NDArray[Any]) -> tuple[Array, Array, Array]:
    """Return loss (n,), slope (n, k) and curvature (n, k) of the scores (n, k).

    For softmax the curvature is ``p``, from which the Hessian's blocks are built. Poisson is
    ``exp(s) - y s`` plus the constant that makes a perfect prediction zero.
    """
    if problem.loss == "softmax":
        logs = scores - logsumexp(scores, axis=1, keepdims=True)
        chances = np.exp(logs)
        slope = chances.copy()
        slope[np.arange(len(y)), y] -= 1
        return -logs[np.arange(len(y)), y], slope, chances
    s = scores[:, 0]
    if problem.loss == "log":
        chance = 1 / (1 + np.exp(-np.clip(s, -700, 700)))
        loss, slope, curvature = np.logaddexp(0, s) - y * s, chance - y, chance * (1 - chance)
    elif problem.loss == "poisson":
        rate = np.exp(np.minimum(s, 700))
        loss, slope, curvature = rate - y * s + xlogy(y, y) - y, rate - y, rate
    elif problem.loss == "huber":
        r, delta = s - y, problem.delta
        inside = np.abs(r) <= delta
        loss = np.where(inside, 0.5 * r * r, delta * (np.abs(r) - 0.5 * delta))
        slope, curvature = np.clip(r, -delta, delta), inside.astype(np.float64)
    else:
        r = s - y
        loss, slope, curvature = r * r, 2 * r, np.full_like(r, 2.0)
    return loss, slope[:, None], curvature[:, None]


def blocks(problem: Problem) -> Iterator[tuple[Array, NDArray[Any]]]:
    """Yield the rows as float64 with an intercept column of ones, (rows, d + 1), and their targets."""
    for start in range(0, problem.rows, BLOCK):
        rows = problem.X[start : start + BLOCK]
        wide = np.empty((rows.shape[0], rows.shape[1] + 1))
        wide[:, :-1] = rows
        wide[:, -1] = 1
        yield wide, problem.y[start : start + BLOCK]


def objective(problem: Problem, weights: Weights) -> float:
    """Return F at the weights, in float64."""
    theta = np.hstack([weights.coef, weights.intercept[:, None]])
    if not np.isfinite(theta).all():
        return float("inf")
    total = sum(float(pointwise(problem, x @ theta.T, y)[0].sum()) for x, y in blocks(problem))
    return total / problem.rows + problem.l2 / 2 * float((weights.coef**2).sum())


def _value_and_gradient(problem: Problem, theta: Array) -> tuple[float, Array]:
    total, gradient = 0.0, np.zeros_like(theta)
    for x, y in blocks(problem):
        loss, slope, _ = pointwise(problem, x @ theta.T, y)
        total += float(loss.sum())
        gradient += slope.T @ x
    penalty = problem.l2 * theta
    penalty[:, -1] = 0
    return total / problem.rows + float((penalty * theta).sum()) / 2, gradient / problem.rows + penalty


def _hessian_blocks(problem: Problem, theta: Array) -> Array:
    """Return (k, d+1, d+1): for each output, the Hessian by that output's own weights."""
    k, width = theta.shape
    total = np.zeros((k, width, width))
    for x, y in blocks(problem):
        _, _, curvature = pointwise(problem, x @ theta.T, y)
        if problem.loss == "softmax":
            # Only a preconditioner is made of these: float32 will do.
            curvature, x = (curvature * (1 - curvature)).astype(np.float32), x.astype(np.float32)
        for c in range(k):
            weighted = x * np.sqrt(curvature[:, c : c + 1])
            total[c] += weighted.T @ weighted
    total /= problem.rows
    diagonal = np.arange(width - 1)
    total[:, diagonal, diagonal] += problem.l2
    # A constant column and, for huber, an unlucky start leave directions without curvature.
    total[:, np.arange(width), np.arange(width)] += 1e-12 * np.trace(total, axis1=1, axis2=2)[:, None] / width
    return total


def _softmax_step(problem: Problem, theta: Array, gradient: Array, hessians: Array, damping: float) -> Array:
    """Solve (H + damping diag H) step = -gradient by preconditioned conjugate gradients."""
    damped = damping * np.diagonal(hessians, axis1=1, axis2=2)
    factors = [cho_factor(each + np.diag(more)) for each, more in zip(hessians, damped, strict=True)]
    # A step to two digits needs no more than the float32 of the data; values and gradients are float64.
    scores = problem.X @ theta[:, :-1].T.astype(np.float32) + theta[:, -1].astype(np.float32)
    chances = softmax(scores, axis=1)

    def times(direction: Array) -> Array:
        t = problem.X @ direction[:, :-1].T.astype(np.float32) + direction[:, -1].astype(np.float32)
        t = chances * (t - (chances * t).sum(axis=1, keepdims=True))
        image = np.hstack([t.T @ problem.X, t.sum(axis=0, dtype=np.float64)[:, None]]) / problem.rows
        image[:, :-1] += problem.l2 * direction[:, :-1]
        return image + damped * direction

    step, residual = np.zeros_like(theta), -gradient
    direction, rz = np.zeros_like(theta), 1.0
    for _ in range(500):
        if np.linalg.norm(residual) <= 1e-2 * np.linalg.norm(gradient):
            break
        z = np.stack([cho_solve(factor, row) for factor, row in zip(factors, residual, strict=True)])
        rz, before = float((residual * z).sum()), rz
        direction = z + rz / before * direction
        image = times(direction)
        length = rz / float((direction * image).sum())
        step += length * direction
        residual = residual - length * image
    return step


def _newton_step(problem: Problem, theta: Array, gradient: Array, hessians: Array, damping: float) -> Array:
    if problem.loss == "softmax":
        return _softmax_step(problem, theta, gradient, hessians, damping)
    hessian = hessians[0]
    return -cho_solve(cho_factor(hessian + damping * np.diag(np.diag(hessian))), gradient[0])[None]


def _start(problem: Problem) -> Array:
    theta = np.zeros((problem.outputs, problem.X.shape[1] + 1))
    if problem.loss == "poisson":
        theta[0, -1] = np.log(problem.y.mean())
    if problem.loss == "huber":
        theta[0, -1] = np.median(problem.y)
        # The least-squares fit, whose residuals tell which rows are outliers.
        squared = replace(problem, loss="squared")
        gradient = _value_and_gradient(squared, theta)[1]
        theta = theta + _newton_step(squared, theta, gradient, _hessian_blocks(squared, theta), 0.0)
    return _softmax_start(problem, theta) if problem.loss == "softmax" else theta


def _softmax_start(problem: Problem, theta: Array) -> Array:
    """Return where L-BFGS ends on whitened pixels, float64 throughout, its gradient as small as it gets.

    The columns are whitened by the Cholesky factor of their second moments; the penalty stays on the weights.
    """
    moments = np.zeros((problem.X.shape[1], problem.X.shape[1]))
    for rows, _ in blocks(problem):
        moments += rows[:, : moments.shape[0]].T @ rows[:, : moments.shape[0]]
    moments /= problem.rows
    moments[np.diag_indices_from(moments)] += problem.l2 * problem.outputs
    lower = np.linalg.cholesky(moments)

    def plain(flat: Array) -> Array:
        whitened = flat.reshape(theta.shape)
        return np.hstack([solve_triangular(lower.T, whitened[:, :-1].T).T, whitened[:, -1:]])

    def value_and_gradient(flat: Array) -> tuple[float, Array]:
        value, gradient = _value_and_gradient(problem, plain(flat))
        whitened = solve_triangular(lower, gradient[:, :-1].T, lower=True).T
        return value, np.hstack([whitened, gradient[:, -1:]]).ravel()

    options = {"maxiter": 2000, "maxfun": 4000, "maxcor": 30, "ftol": 1e-15, "gtol": 1e-9}
    begin = np.zeros(theta.size)
    found = optimize.minimize(value_and_gradient, begin, jac=True, method="L-BFGS-B", options=options)
    return plain(found.x)


def minimize(problem: Problem, most: int = 300) -> Reference:
    """Return the minimum of the problem; raises RuntimeError where it is not proved to its PRECISION."""
    zero = objective(problem, Weights.of(np.zeros((problem.outputs, problem.X.shape[1])), np.zeros(problem.outputs)))
    theta = _start(problem)
    wanted = SOFTMAX_PRECISION if problem.loss == "softmax" else PRECISION
    value, gradient = _value_and_gradient(problem, theta)
    hessians, damping, proved = _hessian_blocks(problem, theta), 0.0, float("inf")
    for _ in range(most):
        proved = float((gradient**2).sum()) / (2 * problem.l2) / max(zero - value, 1e-300)
        if proved <= wanted:
            return Reference(Weights.of(theta[:, :-1], theta[:, -1]), value, zero, proved)
        step = _newton_step(problem, theta, gradient, hessians, damping)
        promised = -float((step * gradient).sum()) / 2
        after, gradient_after = _value_and_gradient(problem, theta + step)
        # Within rounding of the minimum the values cannot judge a step, the gradients can.
        ratio = (value - after) / promised if promised > 1e-13 * abs(value) else 1.0
        if ratio > 1e-4:
            theta, value, gradient = theta + step, after, gradient_after
            hessians = _hessian_blocks(problem, theta)
        damping = _next_damping(damping, ratio)
    message = f"{problem.name}: the minimum is proved to {proved:.1e} only, not {wanted:.0e}"
    raise RuntimeError(message)


def _next_damping(damping: float, ratio: float) -> float:
    """Return the damping after a step that brought ``ratio`` of what the quadratic promised."""
    if ratio > 0.75:
        return damping / 4 if damping > 1e-6 else 0.0
    return max(8 * damping, 1e-3) if ratio < 0.25 else damping


def reference(problem: Problem, cache: Path) -> Reference:
    """Return the minimum, read from the cache folder where these exact data were solved before."""
    digest = hashlib.blake2b(problem.X.data, digest_size=8)
    digest.update(np.ascontiguousarray(problem.y).data)
    digest.update(f"{problem.loss} {problem.delta:.17g} {problem.l2:.17g}".encode())
    path = cache / f"reference-{problem.name}-{digest.hexdigest()}.npz"
    if path.exists():
        with np.load(path) as stored:
            weights = Weights(stored["coef"], stored["intercept"])
            return Reference(weights, float(stored["value"]), float(stored["start"]), float(stored["proved"]))
    found = minimize(problem)
    cache.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        coef=found.weights.coef,
        intercept=found.weights.intercept,
        value=found.value,
        start=found.start,
        proved=found.proved,
    )
    return found
