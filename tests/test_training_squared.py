"""The squared loss is landed in one step, and what its proof claims is so."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from downslope.choices.curvature import exact_moments
from downslope.choices.start import constant_start
from downslope.losses import Squared
from downslope.models.linear import Objective, Point
from downslope.training import squared
from downslope.training.logbook import Logbook
from downslope.training.squared import descend_squared
from tests.plain_descent import dense, shares, table

LAYOUTS: dict[str, dict[str, Any]] = {
    "numbers": {},
    "codes": {"levels": (3, 5), "weighted": True},
    "original units": {"applied": False, "levels": (3,), "blocks": 2, "dtype": np.float32},
    "dummies": {"levels": (3, 4), "dummies": True, "weighted": True},
}


def value_at(examples: Any, objective: Objective, point: Point) -> float:
    scores = dense(examples) @ point.weights[:, 0] + point.intercept[0]
    return float(np.mean(shares(examples) * (examples.target - scores) ** 2)) + objective.penalty(point.weights)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_the_bottom_is_foretold_from_one_read(
    layout: str, intercept: bool, l2: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(squared, "SMALL", 0)
    examples = table(**LAYOUTS[layout])
    objective = Objective(Squared(), 0.0, l2, intercept)
    log = Logbook(1.0, 1e-6, 100.0, math.inf)
    ended = descend_squared(
        examples, objective, exact_moments(examples), constant_start(examples, objective), log, 1e-6
    )
    features = np.hstack([dense(examples), np.ones((examples.rows, 1))]) if intercept else dense(examples)
    hessian = 2 * (features * shares(examples)[:, None]).T @ features / examples.rows
    hessian[np.arange(examples.features), np.arange(examples.features)] += l2
    pulled = 2 * features.T @ (shares(examples) * examples.target) / examples.rows
    best = np.linalg.lstsq(hessian, pulled, rcond=None)[0]
    bottom = Point(best[: examples.features, None], best[examples.features :] if intercept else np.zeros(1))
    truth = value_at(examples, objective, bottom)
    assert ended.done
    assert log.passes == 0
    assert ended.objective == pytest.approx(value_at(examples, objective, ended.point), rel=1e-10)
    assert ended.objective == pytest.approx(truth, rel=1e-9)
    assert 0 <= ended.gap < 1e-9


def test_an_allowance_larger_than_the_tolerance_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(squared, "SMALL", 0)
    examples = table()
    objective = Objective(Squared(), 0.0, 0.0, True)
    log = Logbook(1.0, 1e-30, 100.0, math.inf)
    ended = descend_squared(
        examples, objective, exact_moments(examples), constant_start(examples, objective), log, 1e-30
    )
    assert log.passes > 0
    assert ended.gap > 0 or ended.done
