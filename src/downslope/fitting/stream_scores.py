"""What a model is worth on examples that no memory holds: the scores of ``scores``, each from sums.

The area under a ROC curve needs an order of all scores. Here they are counted in cells of the range that a sample of
them spans, and two in one cell count as a tie: with a quarter of a million cells the area is right to five digits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from downslope.certificate import class_totals
from downslope.choices.curvature import SAMPLE, sampled
from downslope.data.blocks import Examples, Source
from downslope.engines import linear as engine
from downslope.fitting import scores as held
from downslope.losses import Poisson
from downslope.models.linear import Objective, Point
from downslope.types import Matrix, Vector

CELLS = 1 << 18
"""Cells that scores are counted in."""


Scorer: TypeAlias = Callable[[Examples], Matrix]
"""From examples to model scores (n, k); a function of a module or a ``functools.partial`` of one."""


def scores_at(examples: Source, objective: Objective, point: Point, classes: int) -> dict[str, float]:
    """Return the scores of a point by name (see ``records.scores``); classes: 0 for a number."""
    return scores_by(examples, objective, partial(engine.exact_scores, point=point), classes)


def scores_by(examples: Source, objective: Objective, scorer: Scorer, classes: int) -> dict[str, float]:
    """Return the scores of what gives examples their model scores, by name; classes: 0 for a number."""
    if isinstance(examples, Examples):
        return held.scores_of(examples, objective, scorer(examples), classes)
    if not classes:
        return _of_numbers(examples, objective, scorer)
    return _of_classes(examples, objective, scorer, classes)


def baseline_scores(judged: Source, objective: Objective, constant: Point, classes: int) -> dict[str, float]:
    """Return the scores on ``judged`` of one constant answer."""
    if isinstance(judged, Examples):
        return held.baseline_scores(judged, objective, constant, classes)
    found = scores_at(judged, objective, Point(np.zeros_like(constant.weights), constant.intercept), classes)
    return found | ({"auc": 0.5} if "auc" in found else {})


def _of_numbers(examples: Source, objective: Objective, scorer: Scorer) -> dict[str, float]:
    mass = examples.weight_sum
    work = partial(_number_sums, objective=objective, scorer=scorer, middle=examples.target_mean)
    loss, squares, sizes, spread = (float(each) / mass for each in examples.total(work))
    result = {"loss": loss}
    if isinstance(objective.loss, Poisson):
        result["deviance"] = 2.0 * loss
    if spread > 0:
        result["r2"] = 1.0 - squares / spread
    return result | {"rmse": squares**0.5, "mae": sizes}


def _number_sums(examples: Examples, objective: Objective, scorer: Scorer, middle: float) -> Vector:
    scores = scorer(examples)
    loss = held.scores_of(examples, objective, scores, 0)["loss"] * examples.weight_sum
    each = np.ones(examples.rows) if examples.weights is None else examples.weights
    error = examples.target - objective.loss.mean_response(scores[:, 0])
    return np.array([loss, each @ error**2, each @ np.abs(error), each @ (examples.target - middle) ** 2])


def _of_classes(examples: Source, objective: Objective, scorer: Scorer, classes: int) -> dict[str, float]:
    ranked = classes == 2 and objective.outputs == 1
    low, high = _range(examples, scorer) if ranked else (0.0, 0.0)
    work = partial(_class_sums, objective=objective, scorer=scorer, classes=classes, low=low, high=high)
    loss, hits, cells = examples.total(work)
    totals = class_totals(examples, classes)
    met = totals > 0
    result = {
        "loss": float(loss) / examples.weight_sum,
        "accuracy": float(hits.sum() / totals.sum()),
        "balanced_accuracy": float((hits[met] / totals[met]).mean()),
    }
    if ranked:
        result["auc"] = _area(cells)
    return result


def _range(examples: Source, scorer: Scorer) -> tuple[float, float]:
    """Return a range that holds nearly all scores: that of a sample, and half of it on either side."""
    scores = scorer(sampled(examples, min(SAMPLE, examples.rows), 0))[:, 0]
    low, high = float(scores.min()), float(scores.max())
    slack = 0.5 * (high - low) + 1e-12
    return low - slack, high + slack


def _class_sums(
    examples: Examples, objective: Objective, scorer: Scorer, classes: int, low: float, high: float
) -> tuple[float, Vector, Any]:
    """Return the loss, the weight (classes,) of those answered right, and the weights (classes, CELLS) by score."""
    scores = scorer(examples)
    each = np.ones(examples.rows) if examples.weights is None else examples.weights
    truth = examples.target.astype(np.intp)
    if objective.outputs == 1 and not objective.softmax:
        loss = engine.examine(examples, objective, np.ascontiguousarray(scores[:, 0]), examples.target, 0.0).loss
        loss *= examples.weight_sum
        chosen = (scores[:, 0] > 0).astype(np.intp)
    else:
        loss = float(objective.losses(scores, examples.target) @ each)
        chosen = scores.argmax(axis=1) if scores.shape[1] > 1 else (scores[:, 0] > 0).astype(np.intp)
    hits = np.bincount(truth, weights=each * (chosen == truth), minlength=classes).astype(np.float64)
    if high <= low:
        return loss, hits, 0.0
    places = np.clip((scores[:, 0] - low) * (CELLS / (high - low)), 0, CELLS - 1).astype(np.intp)
    cells = np.bincount(truth * CELLS + places, weights=each, minlength=2 * CELLS).reshape(2, CELLS)
    return loss, hits, cells


def _area(cells: Any) -> float:
    """Return the chance that a random example of class 1 scores above one of class 0, ties counted half."""
    zeros, ones = cells
    below = np.cumsum(zeros) - zeros
    pairs = float(ones.sum() * zeros.sum())
    return float((ones @ (below + 0.5 * zeros)) / pairs) if pairs > 0 else float("nan")
