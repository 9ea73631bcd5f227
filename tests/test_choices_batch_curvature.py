"""The curvature of single batches, against the eigenvalues of Hessians written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from downslope.choices.batch_curvature import batch_curvatures, bends_at, largest_curvature, row_squares, stable_rate
from downslope.data.batches import order
from downslope.losses import Log, Loss, Poisson, Softmax, Squared
from downslope.models.linear import Objective, Point
from tests.plain_descent import dense, fit_target, shares, table

LAYOUTS: dict[str, dict[str, Any]] = {
    "numbers": {},
    "codes and weights": {"levels": (3, 4), "weighted": True},
    "original units": {"applied": False, "levels": (3,)},
    "dummies": {"levels": (3,), "dummies": True},
}


def with_constant(features: np.ndarray, intercept: bool) -> np.ndarray:
    return np.hstack([features, np.full((features.shape[0], 1), float(intercept))])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_row_squares_are_those_of_the_rows_written_out(layout: str) -> None:
    examples = table(**LAYOUTS[layout])
    assert row_squares(examples) == pytest.approx((with_constant(dense(examples), True) ** 2).sum(axis=1))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("loss", "classes"), [(Squared(), 0), (Poisson(), 0), (Log(), 2)])
@pytest.mark.parametrize("intercept", [True, False])
def test_batches_are_as_steep_as_their_hessians(loss: Loss, classes: int, layout: str, intercept: bool) -> None:
    examples = fit_target(table(classes=classes, **LAYOUTS[layout]), loss)
    objective = Objective(loss, 0.0, 0.3, intercept)
    point = Point(0.1 * np.random.default_rng(0).standard_normal((examples.features, 1)), np.zeros(1))
    features = with_constant(dense(examples), intercept)
    bends = loss.curvature(dense(examples) @ point.weights[:, 0], examples.target) * shares(examples)
    assert bends_at(examples, objective, point) == pytest.approx(bends)
    drawn = order(examples.rows, 5, 0)

    def steepest(rows: np.ndarray) -> float:
        part = features[rows] * np.sqrt(bends[rows])[:, None]
        return float(np.linalg.eigvalsh(part.T @ part / rows.size)[-1]) + objective.l2

    expected = np.sort([steepest(drawn[first : first + 20]) for first in range(0, examples.rows, 20)])
    assert batch_curvatures(examples, objective, point, 20, 5) == pytest.approx(expected, rel=0.05)
    whole = steepest(np.arange(examples.rows))
    assert largest_curvature(examples, objective, point, 0) == pytest.approx(whole, rel=0.05)
    single = np.sort(bends * (features**2).sum(axis=1)) + objective.l2
    assert batch_curvatures(examples, objective, point, 1, 5) == pytest.approx(single)


def test_the_curvature_of_a_softmax_is_bounded_from_above() -> None:
    examples = table(classes=4)
    objective = Objective(Softmax(), 0.0, 0.0, True, 4)
    point = Point(np.random.default_rng(0).standard_normal((5, 4)), np.zeros(4))
    scores = dense(examples) @ point.weights
    chance = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    true = [np.linalg.eigvalsh(np.diag(p) - np.outer(p, p))[-1] for p in chance]
    bound = bends_at(examples, objective, point)
    assert (bound >= np.array(true) - 1e-12).all()
    assert (bound <= 2.0 * np.array(true)).all()


def test_stochastic_steps_settle_below_the_stable_rate_and_drift_above_it() -> None:
    # Rows of one length: the mean squared error of the weights is multiplied by 1 - 2 r L/d + ... a step, and the
    # published limit is exact to the few per cent by which 200 random steps scatter.
    rng = np.random.default_rng(3)
    features = rng.standard_normal((4000, 6))
    features *= np.sqrt(6.0) / np.linalg.norm(features, axis=1, keepdims=True)
    largest = float(np.linalg.eigvalsh(2 * features.T @ features / 4000)[-1])
    limit = stable_rate(largest, 2 * 6.0, 1)
    assert limit == pytest.approx(1 / 6)

    def error_after(rate: float) -> float:
        weights = np.ones((6, 500))
        for _ in range(200):
            rows = features[rng.integers(0, 4000, 500)]
            weights -= rate * 2 * rows.T * (rows * weights.T).sum(axis=1)
        return float((weights**2).mean())

    assert error_after(0.8 * limit) < 1e-3
    assert error_after(1.3 * limit) > 1e3
    assert stable_rate(largest, 12.0, 10**9) == pytest.approx(2 / largest)
