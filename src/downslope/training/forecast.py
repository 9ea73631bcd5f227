"""How many more passes a descent would need, from the curvature where it stands.

Along each eigen-direction of the Hessian a step multiplies the error by ``1 - rate curvature``, so what is left
of the gap after t steps is known: a sum of terms that shrink at different paces. At first the steep directions
set the pace; later the flattest is all that is left. A line through the recorded gaps sees the first and not the
second, and promises too much.
"""

from __future__ import annotations

import math

import numpy as np

from downslope.certificate import has_proof
from downslope.models.linear import Objective, Point
from downslope.training.metric import Metric
from downslope.types import Matrix, Vector

MOST_PARAMETERS = 1200
"""Parameters of one Hessian up to which its eigenvectors are worth their time, about half a second."""
MOST_STEPS = 1e12
FLAT = 1e-13
"""Curvatures below this share of the largest are rounding: no descent gets on there, and none is needed."""
ANNEALED = 2.5
"""With a rate that falls to nothing over the run, the gap at the end falls about as a power of the run's length:
over eleven problems and 64 pairs of lengths, this power called for half the epochs needed in the middle, and for too
many in one case of six, so the figure is given as the least."""


def steps_still_needed(
    metric: Metric, gradient: Point, objective: Objective, wanted: float, rule: str, momentum: float, rate: float,
    known: bool,
) -> float:  # fmt: skip
    """Return the steps until F is within ``wanted`` of the minimum, and proved to be; nan where it cannot be said.

    metric: the Hessian at the point. gradient: of F there. known: the distance is exact (a squared loss), so the
    proof needs no more. Else it needs ``|g|^2 / (2 l2)`` to come down, by which the duality gap is bounded.
    """
    if rule not in ("plain", "momentum", "nesterov") or objective.l1 > 0:
        return math.nan
    modes = _modes(metric, gradient)
    if modes is None:
        return math.nan
    curvature, share = modes
    bend = np.minimum(curvature, objective.l2) if has_proof(objective) and not known else curvature
    left = share**2 / (2.0 * bend)
    with np.errstate(divide="ignore"):
        pace = 2.0 * np.log(error_factors(rule, momentum, rate, curvature))
    return _time_until(left, pace, wanted)


def _modes(metric: Metric, gradient: Point) -> tuple[Vector, Vector] | None:
    """Return the curvatures and the gradient along the eigenvectors of the Hessian, all outputs together."""
    if metric.joint is not None:
        return _eigen(metric.joint, gradient.flat())
    columns = np.vstack([gradient.weights, gradient.intercept])
    found = [
        _eigen(metric.matrix(k), columns[: metric.matrix(k).shape[0], k]) for k in range(columns.shape[1])
    ]  # fmt: skip
    parts = [each for each in found if each is not None]
    if len(parts) < len(found):
        return None
    return np.concatenate([each[0] for each in parts]), np.concatenate([each[1] for each in parts])


def _eigen(matrix: Matrix, gradient: Vector) -> tuple[Vector, Vector] | None:
    if matrix.ndim != 2 or matrix.shape[0] > MOST_PARAMETERS:
        return None
    values, vectors = np.linalg.eigh(matrix)
    kept = values > FLAT * values[-1]
    return values[kept], (vectors.T @ gradient)[kept]


def error_factors(rule: str, momentum: float, rate: float, curvature: Vector) -> Vector:
    """Return by how much a step multiplies the error along directions of these curvatures, after many steps.

    plain ``|1 - rate L|``; else the size of the largest root of ``z^2 - (1 + m - rate L) z + m`` for momentum and
    of ``z^2 - (1 + m)(1 - rate L) z + m (1 - rate L)`` for nesterov.
    """
    kept = 1.0 - rate * curvature
    if rule == "plain":
        return np.abs(kept)
    middle, last = (kept + momentum, np.full_like(kept, momentum)) if rule == "momentum" else (
        (1.0 + momentum) * kept, momentum * kept
    )  # fmt: skip
    root = np.sqrt(np.maximum(middle**2 - 4.0 * last, 0.0))
    return np.where(middle**2 >= 4.0 * last, 0.5 * (np.abs(middle) + root), np.sqrt(np.abs(last)))


def _time_until(left: Vector, pace: Vector, wanted: float) -> float:
    """Return the least whole t with ``sum left exp(pace t) <= wanted``, by bisection; nan where there is none."""
    if not wanted > 0 or not np.isfinite(left).all():
        return math.nan

    def enough(steps: float) -> bool:
        with np.errstate(over="ignore", invalid="ignore"):
            return bool(np.where(left > 0, left * np.exp(pace * steps), 0.0).sum() <= wanted)

    low, high = 0.0, 1.0
    while not enough(high):
        low, high = high, 2.0 * high
        if high > MOST_STEPS:
            return math.nan
    while high - low > 0.5 and high - low > 1e-6 * high:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if enough(middle) else (middle, high)
    return float(math.ceil(high))


def epochs_still_needed(epochs: float, gap: float, tolerance: float) -> float:
    """Return by how many epochs a run whose rate falls to nothing must be longer to end at ``tolerance``; see above."""
    if not 0 < tolerance < gap or not math.isfinite(gap):
        return math.nan
    return float(math.ceil(epochs * (math.pow(gap / tolerance, 1.0 / ANNEALED) - 1.0)))
