"""What a model is worth on some examples, against always giving the same answer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.certificate import mean
from downslope.data.blocks import Examples
from downslope.engines import linear as engine
from downslope.engines.ranking import area_by_keys
from downslope.losses import Poisson
from downslope.models.linear import Objective, Point
from downslope.types import Matrix, Vector


def scores_at(examples: Examples, objective: Objective, point: Point, classes: int) -> dict[str, float]:
    """Return the scores of a point by name (see ``records.scores``); classes: 0 for a number."""
    return scores_of(examples, objective, engine.exact_scores(examples, point), classes)


def baseline_scores(judged: Examples, objective: Objective, constant: Point, classes: int) -> dict[str, float]:
    """Return the scores on ``judged`` of one constant answer."""
    if not classes:
        return scores_of(judged, objective, np.repeat(constant.intercept[None, :], judged.rows, axis=0), classes)
    counts = np.bincount(judged.target.astype(np.int32), weights=judged.weights, minlength=classes)
    share = counts / counts.sum()
    names = np.arange(classes, dtype=np.float64)
    losses = objective.losses(np.repeat(constant.intercept[None, :], classes, axis=0), names)
    chosen = int(constant.intercept.argmax()) if constant.intercept.size > 1 else int(constant.intercept[0] > 0)
    result = {
        "loss": float(losses @ share), "accuracy": float(share[chosen]),
        "balanced_accuracy": float(counts[chosen] > 0) / int((counts > 0).sum()),
    }  # fmt: skip
    if classes == 2 and constant.intercept.size == 1:
        result["auc"] = 0.5
    return result


def scores_of(examples: Examples, objective: Objective, scores: Matrix, classes: int) -> dict[str, float]:
    """Return the scores that model scores (n, k) have on examples."""
    target = examples.target
    if objective.outputs == 1 and not objective.softmax:
        column = np.ascontiguousarray(scores[:, 0])
        result = {"loss": engine.examine(examples, objective, column, target, 0.0).loss}
    else:
        result = {"loss": mean(objective.losses(scores, target), examples)}
    if classes:
        chosen = scores.argmax(axis=1) if scores.shape[1] > 1 else (scores[:, 0] > 0).astype(np.intp)
        right = (chosen == target).astype(np.float64)
        result["accuracy"] = mean(right, examples)
        result["balanced_accuracy"] = _balanced(right, target, examples.weights)
        if classes == 2 and scores.shape[1] == 1:
            result["auc"] = area_under_roc(scores[:, 0], target, examples.weights)
        return result
    predicted = objective.loss.mean_response(scores[:, 0])
    error = target - predicted
    squares = mean(error**2, examples)
    spread = mean((target - mean(target, examples)) ** 2, examples)
    if isinstance(objective.loss, Poisson):
        result["deviance"] = 2.0 * result["loss"]
    if spread > 0:
        result["r2"] = 1.0 - squares / spread
    result["rmse"] = squares**0.5
    result["mae"] = mean(np.abs(error), examples)
    return result


def _balanced(right: Vector, target: Vector, weights: Vector | None) -> float:
    index = target.astype(np.intp)
    total = np.bincount(index, weights=weights)
    hits = np.bincount(index, weights=right if weights is None else weights * right)
    present = total > 0
    return float((hits[present] / total[present]).mean())


def area_under_roc(score: Vector, target: Vector, weights: Vector | None) -> float:
    """Return the chance that a random example of class 1 scores above one of class 0, ties counted half.

    The Mann-Whitney statistic, by one sort (Hanley and McNeil 1982).
    """
    if weights is None:
        return area_by_keys(score, target)
    ordered = np.argsort(score, kind="stable")
    ones = np.where(target[ordered] > 0, weights[ordered], 0.0)
    return _area(score[ordered], ones, weights[ordered] - ones)


def _area(ranked: NDArray[Any], ones: Vector, zeros: Vector) -> float:
    """Return the area from rising scores and the weight of each class at each."""
    starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
    ones, zeros = np.add.reduceat(ones, starts), np.add.reduceat(zeros, starts)
    below = np.cumsum(zeros) - zeros
    pairs = ones.sum() * zeros.sum()
    return float((ones @ (below + 0.5 * zeros)) / pairs) if pairs > 0 else float("nan")
