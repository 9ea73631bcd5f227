from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from downslope.certificate import Bound, certify, has_proof, mean, quadratic_bound, relative_gap, start_objective
from downslope.data.blocks import Examples
from downslope.losses import Absolute, Hinge, Huber, Log, Loss, Poisson, Quantile, Softmax, Squared, SquaredHinge
from downslope.models.linear import Objective, Point
from tests.plain_descent import dense, fit_target, objective_at, scipy_minimum, shares, table

LOSSES: dict[str, tuple[Loss, int]] = {
    "squared": (Squared(), 0),
    "absolute": (Absolute(), 0),
    "huber": (Huber(delta=0.6), 0),
    "quantile": (Quantile(quantile=0.7), 0),
    "poisson": (Poisson(), 0),
    "log": (Log(), 2),
    "hinge": (Hinge(), 2),
    "squared-hinge": (SquaredHinge(), 2),
    "softmax": (Softmax(), 3),
    "log, one against the rest": (Log(), 3),
}
PENALTIES = ((0.0, 0.05), (0.05, 0.0), (0.03, 0.1))


@cache
def example_table(name: str, seed: int, weighted: bool) -> Examples:
    loss, classes = LOSSES[name]
    return fit_target(table(rows=40, numbers=3, levels=(3,), classes=classes, weighted=weighted, seed=seed), loss)


def objective_of(name: str, l1: float, l2: float, intercept: bool) -> Objective:
    loss, classes = LOSSES[name]
    return Objective(loss, l1, l2, intercept, classes if classes > 2 else 1)


def columns(point: Point) -> np.ndarray:
    return np.vstack([point.weights, point.intercept])


@cache
def found_by_scipy(name: str, seed: int, weighted: bool, l1: float, l2: float, intercept: bool) -> np.ndarray:
    return scipy_minimum(example_table(name, seed, weighted), objective_of(name, l1, l2, intercept))


def lowest(name: str, seed: int, weighted: bool, l1: float, l2: float, intercept: bool) -> float:
    weights = found_by_scipy(name, seed, weighted, l1, l2, intercept)
    return objective_at(example_table(name, seed, weighted), objective_of(name, l1, l2, intercept), weights)


def near(bound: Bound) -> float:
    return 1e-12 * (1 + abs(bound.objective))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
@pytest.mark.parametrize(("weighted", "intercept"), [(True, True), (False, False)])
@settings(max_examples=15)
@given(draw=st.integers(0, 10**6), size=st.sampled_from([0.0, 0.1, 1, 5]))
def test_no_lower_bound_exceeds_a_value_that_scipy_reached(
    name: str, penalty: tuple[float, float], intercept: bool, weighted: bool, draw: int, size: float
) -> None:
    examples, objective = example_table(name, 0, weighted), objective_of(name, *penalty, intercept)
    rng = np.random.default_rng(draw)
    weights = size * rng.standard_normal((examples.features, objective.outputs))
    point = Point(weights, size * rng.standard_normal(objective.outputs) * intercept)
    bound = certify(examples, objective, point)
    assert bound.objective == pytest.approx(objective_at(examples, objective, columns(bound.point)), rel=1e-12)
    assert bound.lower <= lowest(name, 0, weighted, *penalty, intercept) + near(bound)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
@pytest.mark.parametrize(("weighted", "intercept"), [(True, True), (False, False)])
def test_bounds_near_the_minimum_hold_and_close_with_a_penalty(
    name: str, penalty: tuple[float, float], weighted: bool, intercept: bool
) -> None:
    l1, l2 = penalty
    examples, objective = example_table(name, 0, weighted), objective_of(name, l1, l2, intercept)
    found = found_by_scipy(name, 0, weighted, l1, l2, intercept)
    reached = lowest(name, 0, weighted, l1, l2, intercept)
    rng = np.random.default_rng(0)
    for away in (0.0, 1e-8, 1e-4, 1e-2):
        noise = away * rng.standard_normal(found.shape)
        at = found + noise * (1.0 if intercept else np.r_[np.ones(found.shape[0] - 1), 0.0][:, None])
        bound = certify(examples, objective, Point(at[:-1].copy(), at[-1].copy()))
        assert bound.lower <= reached + near(bound)
        if away == 0 and not objective.loss.cornered:
            assert bound.distance <= 1e-6 * (1 + abs(reached))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("l2", [0.05, 1.0, 20.0])
@given(draw=st.integers(0, 10**6), size=st.sampled_from([1.0, 10.0, 100.0, 700.0]))
def test_intercepts_that_no_newton_step_can_mend_prove_nothing_false(
    weighted: bool, l2: float, draw: int, size: float
) -> None:
    examples, objective = example_table("softmax", 2, weighted), objective_of("softmax", 0.0, l2, True)
    rng = np.random.default_rng(draw)
    point = Point(rng.choice([0.0, 0.01, 0.3]) * rng.standard_normal((6, 3)), size * rng.standard_normal(3))
    bound = certify(examples, objective, point)
    assert bound.lower <= lowest("softmax", 2, weighted, 0.0, l2, True) + near(bound)


def test_a_class_that_no_example_has_does_not_spoil_the_proof() -> None:
    examples, three = example_table("softmax", 0, True), objective_of("softmax", 0.0, 0.05, True)
    # The infimum is that of three classes: the intercept of the fourth goes to minus infinity.
    found = found_by_scipy("softmax", 0, True, 0.0, 0.05, True)
    reached = objective_at(examples, three, found)
    four = Objective(Softmax(), 0.0, 0.05, True, 4)
    weights = np.column_stack([found, np.zeros(7)])
    for intercept in (-5.0, -40.0):
        weights[-1, 3] = intercept
        bound = certify(examples, four, Point(weights[:-1].copy(), weights[-1].copy()))
        assert bound.lower <= reached + near(bound)
    assert bound.distance <= 1e-6


@pytest.mark.parametrize("name", ["absolute", "quantile", "hinge"])
@pytest.mark.parametrize("intercept", [True, False])
def test_a_rounded_stand_in_proves_the_gap_of_the_corner(name: str, intercept: bool) -> None:
    examples, true = example_table(name, 0, True), objective_of(name, 0.0, 0.05, intercept)
    reached = lowest(name, 0, True, 0.0, 0.05, intercept)
    distances = []
    for width in (1.0, 0.1, 1e-3):
        rounded = Objective(true.loss.rounded(width), 0.0, 0.05, intercept)
        features = np.hstack([dense(examples), np.ones((examples.rows, 1)) * intercept])

        def smooth(flat: np.ndarray, rounded: Objective = rounded, features: np.ndarray = features) -> tuple:
            scores = features @ flat[:, None]
            slopes = rounded.slopes(scores, examples.target) * shares(examples)[:, None]
            slope = features.T @ slopes / examples.rows
            slope[:-1, 0] += 0.05 * flat[:-1]
            return objective_at(examples, rounded, flat[:, None]), slope.ravel()

        at = minimize(smooth, np.zeros(7), jac=True, options={"gtol": 1e-11, "maxiter": 2000}).x
        bound = certify(examples, rounded, Point(at[:-1, None].copy(), at[-1:].copy()), true)
        assert bound.objective == pytest.approx(objective_at(examples, true, columns(bound.point)), rel=1e-12)
        assert bound.lower <= reached + near(bound)
        distances.append(bound.distance)
    assert distances[2] < distances[1] < distances[0]
    assert distances[2] <= 2e-3


@pytest.mark.parametrize("name", ["log", "softmax", "poisson", "squared"])
def test_the_intercept_is_solved_on_the_way(name: str) -> None:
    examples, objective = example_table(name, 0, True), objective_of(name, 0.0, 0.05, True)
    weights = 0.2 * np.random.default_rng(0).standard_normal((examples.features, objective.outputs))
    bound = certify(examples, objective, Point(weights, np.full(objective.outputs, 0.3)))
    assert np.abs(bound.gradient.intercept).max() <= 1e-12
    np.testing.assert_array_equal(bound.point.weights, weights)


@pytest.mark.parametrize("name", ["log", "squared", "poisson", "squared-hinge", "huber"])
@pytest.mark.parametrize("intercept", [True, False])
def test_with_l2_alone_the_distance_is_the_squared_gradient_over_twice_l2(name: str, intercept: bool) -> None:
    examples, objective = example_table(name, 0, False), objective_of(name, 0.0, 0.05, intercept)
    weights = 0.1 * np.random.default_rng(1).standard_normal((examples.features, 1))
    bound = certify(examples, objective, Point(weights, np.zeros(1)))
    norm = float((bound.gradient.weights**2).sum())
    assert bound.distance == pytest.approx(norm / (2 * 0.05), rel=1e-6)


def test_without_a_penalty_nothing_is_proved() -> None:
    objective = objective_of("log", 0.0, 0.0, True)
    assert not has_proof(objective)
    bound = certify(example_table("log", 0, False), objective, Point.zeros(6, 1))
    assert bound.lower == -math.inf
    assert math.isnan(bound.gap(1.0))
    assert has_proof(objective_of("log", 0.1, 0.0, True))
    assert has_proof(objective_of("log", 0.0, 0.1, True))


@pytest.mark.parametrize("l2", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [True, False])
@given(draw=st.integers(0, 10**6))
def test_the_quadratic_of_a_squared_loss_gives_the_distance_exactly(
    l2: float, weighted: bool, intercept: bool, draw: int
) -> None:
    examples = example_table("squared", 0, weighted)
    objective = objective_of("squared", 0.0, l2, intercept)
    size = examples.features + (1 if intercept else 0)
    features = np.hstack([dense(examples), np.ones((examples.rows, 1))])[:, :size]
    share = shares(examples) / examples.rows
    hessian = 2 * (features * share[:, None]).T @ features
    hessian[np.arange(examples.features), np.arange(examples.features)] += l2
    values, vectors = np.linalg.eigh(hessian)
    kept = values > 1e-12 * values[-1]
    half = vectors[:, kept] / np.sqrt(values[kept])
    solved = half @ (half.T @ (2 * features.T @ (share * examples.target)))
    least = objective_at(examples, objective, np.append(solved, [] if intercept else 0.0)[:, None])
    rng = np.random.default_rng(draw)
    point = Point(rng.standard_normal((6, 1)), rng.standard_normal(1) * intercept)
    bound = certify(examples, objective, point, half=half)
    assert bound.distance == pytest.approx(bound.objective - least, rel=1e-9, abs=1e-11)
    again = quadratic_bound(bound.objective, bound.gradient, bound.point, half)
    assert again.lower == pytest.approx(bound.lower, rel=1e-12)


@given(distance=st.floats(0, 100), drop=st.floats(1e-3, 100), objective=st.floats(-10, 10))
def test_gap_is_the_distance_over_the_drop_to_the_minimum(distance: float, drop: float, objective: float) -> None:
    minimum = objective - distance
    start = minimum + distance + drop
    gap = relative_gap(distance, start, objective)
    assert gap == pytest.approx((objective - minimum) / (start - minimum), rel=1e-9, abs=1e-15)
    assert 0 <= gap <= 1
    assert relative_gap(distance * 1.1, start, objective) >= gap


def test_gap_at_its_ends() -> None:
    assert relative_gap(0.0, 1.0, 1.0) == 0.0
    assert relative_gap(0.5, 1.0, 1.0) == 1.0
    assert relative_gap(0.5, 0.0, 1.0) == 1.0
    assert math.isnan(relative_gap(math.inf, 1.0, 0.5))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_start_is_measured_at_zero_weights(name: str, weighted: bool) -> None:
    examples, objective = example_table(name, 0, weighted), objective_of(name, 0.1, 0.1, True)
    zero = np.zeros((examples.features + 1, objective.outputs))
    assert start_objective(examples, objective) == pytest.approx(objective_at(examples, objective, zero), rel=1e-13)


def test_mean_is_by_example_weight() -> None:
    examples = example_table("squared", 0, True)
    values = np.arange(40.0)
    assert mean(values, examples) == pytest.approx(float(np.average(values, weights=examples.weights)), rel=1e-14)
