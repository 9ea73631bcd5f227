"""The published exercise numbers (design, ANCHORS), reproduced by the public estimators."""

from __future__ import annotations

import math

import numpy as np
import pytest

from downslope import GradientDescentRegressor, Verdict
from downslope.types import Matrix, Vector

POUNDS = np.array([[3.5], [3.69], [3.44], [3.43], [4.34], [4.42], [2.37]])
MILES = np.array([18.0, 15.0, 18.0, 16.0, 15.0, 14.0, 24.0])
NEAR = 0.0055
"""Share of the starting distance at which the one-weight exercise stops."""


def plain(learning_rate: float, **others: object) -> GradientDescentRegressor:
    """Full-batch descent by plain steps of a given rate, in the coordinates of the data."""
    settings = {"method": "full-batch", "rule": "plain", "learning_rate": learning_rate, "standardize": False}
    return GradientDescentRegressor(**(settings | others))


@pytest.fixture
def one_weight() -> tuple[Matrix, Vector]:
    """Return one example whose mean squared error by its one weight has f'' = 2 x^2 = 0.625, and its minimum at 3."""
    x = math.sqrt(0.625 / 2)
    return np.array([[x]]), np.array([3.0 * x])


@pytest.mark.parametrize(("learning_rate", "steps"), [(0.1, 81), (1.0, 6), (1.6, 1)])
def test_steps_until_the_distance_is_055_percent(
    one_weight: tuple[Matrix, Vector], learning_rate: float, steps: int
) -> None:
    # On a parabola the gap is the square of the share of the distance that is left.
    model = plain(learning_rate, fit_intercept=False, tolerance=NEAR**2).fit(*one_weight)
    assert model.run_.verdict is Verdict.CONVERGED
    assert model.n_iter_ == steps
    assert abs(model.coef_[0] - 3.0) / 3.0 <= NEAR


@pytest.mark.parametrize(("learning_rate", "steps"), [(0.1, 80), (1.0, 5)])
def test_one_step_fewer_is_not_enough(one_weight: tuple[Matrix, Vector], learning_rate: float, steps: int) -> None:
    before = [each for each in plain(learning_rate, fit_intercept=False, tolerance=NEAR**2).fit(*one_weight).run_.steps]
    last = next(each for each in before if each.update == steps)
    start = next(each for each in before if each.update == 0)
    assert math.sqrt(last.objective / start.objective) > NEAR


def test_a_rate_of_four_diverges_and_the_limit_is_named(one_weight: tuple[Matrix, Vector]) -> None:
    with pytest.warns(UserWarning, match=r"stability limit 3\.2 \(2 / largest curvature 0\.625\)"):
        model = plain(4.0, fit_intercept=False).fit(*one_weight)
    assert model.run_.verdict is Verdict.DIVERGED
    assert model.run_.curvature.largest == pytest.approx(0.625)
    assert model.run_.curvature.stability_limit == pytest.approx(3.2)


@pytest.mark.parametrize(
    ("settings", "updates"),
    [
        ({"method": "full-batch"}, 20),
        ({"method": "mini-batch", "batch_size": 100}, 200),
        ({"method": "stochastic"}, 20_000),
    ],
)
@pytest.mark.filterwarnings("ignore:budget spent")
def test_updates_of_twenty_epochs_over_a_thousand_examples(settings: dict[str, object], updates: int) -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((1000, 3))
    target = features @ [1.0, 2.0, 3.0] + rng.standard_normal(1000)
    model = plain(1e-3, tolerance=0.0, max_passes=20, **settings).fit(features, target)
    assert model.n_iter_ == model.run_.updates == updates


def test_seven_cars_at_zero() -> None:
    model = plain(0.03).fit(POUNDS, MILES)
    start = model.run_.steps[0]
    assert start.update == 0
    assert model.run_.objective_at_start == start.objective == pytest.approx(303.71, abs=0.005)
    assert start.gradient_norm == pytest.approx(math.hypot(119.7, 34.3), rel=1e-3)


def test_seven_cars_after_one_step_show_the_gradient_at_zero() -> None:
    # One step of rate r from zero stands at -r times the gradient.
    model = plain(1e-3).partial_fit(POUNDS, MILES).set_params(batch_size="auto")
    assert -model.coef_[0] / 1e-3 == pytest.approx(-119.7, abs=0.05)
    assert -model.intercept_ / 1e-3 == pytest.approx(-34.3, abs=0.05)


def test_seven_cars_least_squares() -> None:
    model = GradientDescentRegressor().fit(POUNDS, MILES)
    assert model.coef_[0] == pytest.approx(-4.569, abs=5e-4)
    assert model.intercept_ == pytest.approx(33.585, abs=5e-4)
    assert model.run_.objective == pytest.approx(1.470, abs=5e-4)


def test_seven_cars_shape_of_the_slope() -> None:
    curvature = plain(0.03).fit(POUNDS, MILES).run_.curvature
    assert curvature.largest == pytest.approx(28.65, abs=0.005)
    assert curvature.smallest == pytest.approx(0.056, abs=5e-4)
    assert curvature.condition_after == pytest.approx(512, abs=0.5)
    assert curvature.stability_limit == pytest.approx(0.0698, abs=5e-5)


def test_seven_cars_take_2284_steps_to_one_percent() -> None:
    design = np.column_stack([POUNDS, np.ones(7)])
    lowest = float(np.linalg.lstsq(design, MILES, rcond=None)[1][0]) / 7
    within = 0.01 * lowest / (float((MILES**2).mean()) - lowest)
    model = plain(0.03, tolerance=within).fit(POUNDS, MILES)
    assert model.run_.verdict is Verdict.CONVERGED
    assert model.n_iter_ == 2284
    assert lowest < model.run_.objective <= 1.01 * lowest


def test_seven_cars_standardised_take_one_step() -> None:
    model = plain(0.5, standardize=True).fit(POUNDS, MILES)
    assert model.n_iter_ == 1
    assert model.run_.curvature.largest == pytest.approx(2.0)
    assert model.run_.curvature.smallest == pytest.approx(2.0)
    assert model.coef_[0] == pytest.approx(-4.569, abs=5e-4)
    assert model.intercept_ == pytest.approx(33.585, abs=5e-4)


def test_seven_cars_at_rate_one_are_told_why_they_diverge() -> None:
    with pytest.warns(UserWarning, match="diverged at step 1"):
        model = plain(1.0).fit(POUNDS, MILES)
    assert model.run_.verdict is Verdict.DIVERGED
    assert model.run_.message == (
        "diverged at step 1: learning rate 1 is above the stability limit 0.0698 (2 / largest curvature 28.6); along "
        "that direction each step multiplies the error by 27.6. Try 0.035, or standardise: then any rate below 1 is "
        "stable."
    )
    assert np.isfinite(model.coef_).all()
    assert "DS101" in [finding.code for finding in model.run_.findings]
