from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from downslope.choices import curvature
from downslope.choices.batch_curvature import (
    batch_curvatures,
    bends_at,
    largest_curvature,
    row_squares,
    stable_rate,
)
from downslope.choices.curvature import (
    Moments,
    bent_moments,
    column_factor,
    condition,
    exact_diagonal,
    exact_moments,
    fix_free_direction,
    hessian_at_start,
    in_original_units,
    joint_moments,
    largest_by_power,
    mean_bend,
    measure_moments,
    rescale,
    sample_rows,
    sample_size,
    shape_of,
)
from downslope.choices.start import constant_start
from downslope.data.batches import order
from downslope.data.blocks import Block, Examples
from downslope.losses import Hinge, Huber, Log, Loss, Poisson, Softmax, Squared, SquaredHinge
from downslope.models.linear import Objective, Point
from tests.plain_descent import dense, fit_target, shares, table

LAYOUTS: dict[str, dict[str, Any]] = {
    "numbers": {},
    "codes": {"levels": (3, 5), "weighted": True},
    "original units": {"applied": False, "levels": (3,), "blocks": 2},
    "dummies": {"levels": (3, 4), "dummies": True, "weighted": True},
}
LOSSES: list[tuple[Loss, int]] = [
    (Squared(), 0),
    (Huber(delta=0.7), 0),
    (Poisson(), 0),
    (Log(), 2),
    (SquaredHinge(), 2),
]


def with_constant(examples: Examples) -> np.ndarray:
    return np.hstack([dense(examples), np.ones((examples.rows, 1))])


def weighted_product(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return (features * weights[:, None]).T @ features


def somewhere(examples: Examples, outputs: int, size: float = 0.3) -> Point:
    rng = np.random.default_rng(8)
    return Point(size * rng.standard_normal((examples.features, outputs)), size * rng.standard_normal(outputs))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_of_all_rows_are_those_of_the_dense_table(layout: str, dtype: Any) -> None:
    examples = table(dtype=dtype, **LAYOUTS[layout])
    moments = exact_moments(examples)
    truth = weighted_product(with_constant(examples), shares(examples)) / examples.rows
    assert moments.matrix is not None
    assert moments.sampled == 0
    assert moments.factor is None
    np.testing.assert_allclose(moments.matrix, truth, atol=1e-11)
    np.testing.assert_allclose(moments.diagonal, np.diag(truth), atol=1e-11)
    away = examples.target - np.average(examples.target, weights=examples.weights)
    pull = with_constant(examples).T @ (shares(examples) * away) / examples.rows
    assert moments.pull is not None
    np.testing.assert_allclose(moments.pull, pull, atol=1e-11)
    np.testing.assert_allclose(exact_diagonal(examples), np.diag(truth), rtol=1e-4 if dtype == np.float32 else 1e-11)


def test_above_the_limit_only_the_diagonal_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = table(levels=(3,))
    monkeypatch.setattr(curvature, "WIDE", 7)
    moments = measure_moments(examples, None, 0)
    assert moments.matrix is None
    np.testing.assert_allclose(moments.diagonal, (with_constant(examples) ** 2).mean(axis=0), atol=1e-12)


@pytest.fixture
def sampled(monkeypatch: pytest.MonkeyPatch) -> tuple[Examples, Moments]:
    """Return 8,000 rows with a level that two of them have, and moments of 800 of the rows."""
    monkeypatch.setattr(curvature, "SAMPLE", 800)
    monkeypatch.setattr(curvature, "FULL_WORK", 0)
    monkeypatch.setattr(curvature, "FEW", 0)
    examples = table(rows=8000, numbers=4, levels=(3,), classes=2)
    codes = examples.blocks[0].codes
    codes[codes == 2] = 1
    codes[[17, 4000]] = 2
    return examples, measure_moments(examples, None, 3)


def test_a_sample_is_brought_to_the_exact_size_of_each_column(sampled: tuple[Examples, Moments]) -> None:
    examples, moments = sampled
    truth = with_constant(examples).T @ with_constant(examples) / examples.rows
    assert moments.sampled == sample_size(examples) == 800
    assert moments.matrix is not None
    np.testing.assert_allclose(np.diag(moments.matrix), np.diag(truth), rtol=1e-12)
    np.testing.assert_allclose(moments.matrix, truth, atol=0.15)
    assert np.linalg.eigvalsh(moments.matrix)[-1] == pytest.approx(np.linalg.eigvalsh(truth)[-1], rel=0.2)


def test_a_level_that_the_sample_hardly_met_keeps_its_exact_diagonal_alone(sampled: tuple[Examples, Moments]) -> None:
    _, moments = sampled
    assert moments.factor is not None
    assert moments.matrix is not None
    lost = np.flatnonzero(moments.factor == 0)
    assert lost.tolist() == [6]
    expected = np.zeros(8)
    expected[6] = 2 / 8000
    np.testing.assert_allclose(moments.matrix[6], expected, rtol=1e-12)


def test_bent_moments_of_a_sample_are_resized_alike(sampled: tuple[Examples, Moments]) -> None:
    examples, moments = sampled
    objective = Objective(Log(), 0.0, 0.0, True)
    point = somewhere(examples, 1)
    scores = dense(examples) @ point.weights + point.intercept
    bends = objective.loss.curvature(scores[:, 0], examples.target)
    truth = weighted_product(with_constant(examples), bends) / examples.rows
    (found,) = bent_moments(examples, objective, point, moments, 3)
    np.testing.assert_allclose(found, truth, atol=0.04)
    assert np.linalg.eigvalsh(found)[0] >= -1e-12


def test_a_sample_is_only_taken_where_all_rows_cost_much() -> None:
    assert sample_size(table()) == 137
    wide = Examples(
        (Block(0, np.zeros((1, 3000)), np.zeros((1, 0), np.int32)),), 0, np.zeros(10**6), None, np.zeros(3000),
        np.ones(3000), True,
    )  # fmt: skip
    assert sample_size(wide) == 75_000


def test_sampled_rows_are_distinct_ascending_and_of_the_seed() -> None:
    rows = sample_rows(table(), 50, 4)
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, sample_rows(table(), 50, 4))
    assert not np.array_equal(rows, sample_rows(table(), 50, 5))


@given(
    root=arrays(np.float64, (4, 4), elements=st.floats(-2, 2)), size=arrays(np.float64, 4, elements=st.floats(0.1, 9))
)
def test_rescaling_gives_the_exact_diagonal(root: np.ndarray, size: np.ndarray) -> None:
    matrix = root @ root.T + 0.01 * np.eye(4)
    result = rescale(matrix, column_factor(matrix, size), size)
    np.testing.assert_allclose(np.diag(result), size, rtol=1e-12)
    assert np.linalg.eigvalsh(result)[0] >= -1e-12


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("loss", "classes"), LOSSES, ids=lambda each: getattr(each, "name", ""))
def test_bent_moments_are_the_hessian_of_the_loss(loss: Loss, classes: int, layout: str) -> None:
    examples = fit_target(table(classes=classes, **LAYOUTS[layout]), loss)
    objective = Objective(loss, 0.0, 0.0, True)
    point = somewhere(examples, 1)
    features = with_constant(examples)
    flat = point.flat()

    def slope(at: np.ndarray) -> np.ndarray:
        slopes = loss.slope(features @ at, examples.target) * shares(examples)
        return features.T @ slopes / examples.rows

    moments = exact_moments(examples)
    (found,) = bent_moments(examples, objective, point, moments, 0)
    h = 1e-7
    truth = np.column_stack([(slope(flat + h * e) - slope(flat - h * e)) / (2 * h) for e in np.eye(flat.size)])
    np.testing.assert_allclose(found, truth, atol=1e-6)


def test_one_against_the_rest_has_a_hessian_an_output() -> None:
    examples = table(classes=3, levels=(3,))
    objective = Objective(Log(), 0.0, 0.0, True, 3)
    point = somewhere(examples, 3)
    found = bent_moments(examples, objective, point, measure_moments(examples, None, 0), 0)
    scores = dense(examples) @ point.weights + point.intercept
    for k in range(3):
        chance = 1 / (1 + np.exp(-scores[:, k]))
        truth = weighted_product(with_constant(examples), chance * (1 - chance)) / examples.rows
        np.testing.assert_allclose(found[k], truth, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_joint_moments_are_the_hessian_of_a_softmax(weighted: bool) -> None:
    import jax
    import jax.numpy as jnp

    examples = table(rows=60, numbers=2, levels=(2,), classes=3, weighted=weighted)
    objective = Objective(Softmax(), 0.0, 0.0, True, 3)
    point = somewhere(examples, 3)
    features, share = jnp.asarray(with_constant(examples)), jnp.asarray(shares(examples))
    target = examples.target.astype(int)

    def loss(flat: Any) -> Any:
        scores = features @ flat.reshape(3, -1).T
        chosen = jax.nn.log_softmax(scores, axis=1)[jnp.arange(60), target]
        return -(share * chosen).mean()

    truth = np.array(jax.hessian(loss)(point.flat()))
    found = joint_moments(examples, objective, point, measure_moments(examples, None, 0), 0)
    free = fix_free_direction(truth.copy(), 3)
    np.testing.assert_allclose(found, free, atol=1e-12)
    alike = np.zeros(15)
    alike[4::5] = 1.0
    assert alike @ truth @ alike == pytest.approx(0.0, abs=1e-12)
    assert alike @ found @ alike > 0.01


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("loss", "classes"), LOSSES, ids=lambda each: getattr(each, "name", ""))
def test_at_constant_scores_one_matrix_is_the_hessian(loss: Loss, classes: int, intercept: bool) -> None:
    examples = fit_target(table(classes=classes, levels=(3,), weighted=True), loss)
    objective = Objective(loss, 0.0, 0.3, intercept)
    start = constant_start(examples, objective)
    (bend,) = mean_bend(examples, objective, start)
    curvatures = loss.curvature(np.full(137, start.intercept[0]), examples.target)
    assert bend == pytest.approx(np.average(curvatures, weights=examples.weights), rel=1e-12)
    moments = weighted_product(with_constant(examples), shares(examples)) / 137
    hessian = hessian_at_start(moments, objective, bend)
    truth = bend * moments + 0.3 * np.diag([1.0] * 8 + [0.0])
    np.testing.assert_allclose(hessian, truth if intercept else truth[:-1, :-1], rtol=1e-12)


def test_mean_bend_of_a_softmax_is_that_of_its_frequencies() -> None:
    examples = table(classes=3)
    objective = Objective(Softmax(), 0.0, 0.0, True, 3)
    share = np.bincount(examples.target.astype(int)) / 137
    np.testing.assert_allclose(mean_bend(examples, objective, constant_start(examples, objective)), share * (1 - share))


CARS = np.array([[3.5, 18], [3.69, 15], [3.44, 18], [3.43, 16], [4.34, 15], [4.42, 14], [2.37, 24]])


def cars(center: float, scale: float) -> Examples:
    numbers = (CARS[:, :1] - center) / scale
    return Examples(
        (Block(0, numbers, np.zeros((7, 0), np.int32)),), 0, CARS[:, 1].copy(), None, np.array([center]),
        np.array([scale]), True,
    )  # fmt: skip


def test_the_shape_of_the_seven_cars_is_the_published_one() -> None:
    objective = Objective(Squared(), 0.0, 0.0, True)
    raw = cars(0.0, 1.0)
    shape = shape_of(raw, objective, measure_moments(raw, None, 0), 2.0, raw.center, raw.scale)
    assert shape.largest == pytest.approx(28.65, abs=0.005)
    assert shape.smallest == pytest.approx(0.056, abs=5e-4)
    assert shape.condition_before == shape.condition_after == pytest.approx(512, abs=0.5)
    assert shape.stability_limit == pytest.approx(0.0698, abs=5e-5)
    ready = cars(CARS[:, 0].mean(), CARS[:, 0].std())
    shape = shape_of(ready, objective, measure_moments(ready, None, 0), 2.0, ready.center, ready.scale)
    assert (shape.largest, shape.smallest) == (pytest.approx(2.0), pytest.approx(2.0))
    assert shape.condition_before == pytest.approx(512, abs=0.5)
    assert shape.condition_after == pytest.approx(1.0)


def test_moments_in_original_units_are_those_of_the_stored_numbers() -> None:
    examples = table(applied=False, levels=(3,))
    stored = np.hstack([examples.blocks[0].numbers, dense(examples)[:, 5:], np.ones((137, 1))])
    moments = measure_moments(examples, None, 0).matrix
    assert moments is not None
    np.testing.assert_allclose(
        in_original_units(moments, examples.center, examples.scale), stored.T @ stored / 137, atol=1e-11
    )


def test_condition_is_infinite_where_a_direction_is_flat() -> None:
    assert condition(np.array([0.0, 1.0])) == math.inf
    assert condition(np.array([-1e-18, 1.0])) == math.inf
    assert condition(np.array([0.25, 1.0])) == 4.0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_power_iteration_finds_the_largest_second_moment(layout: str) -> None:
    examples = table(rows=500, **LAYOUTS[layout])
    moments = weighted_product(with_constant(examples), shares(examples)) / 500
    found = largest_by_power(examples, 0.25, 200)
    assert found == pytest.approx(0.25 * np.linalg.eigvalsh(moments)[-1], rel=1e-6)
    assert largest_by_power(examples, 0.25, 5) <= found * (1 + 1e-12)


def test_a_wide_table_has_a_largest_curvature_and_no_condition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curvature, "WIDE", 3)
    examples = table()
    objective = Objective(Log(), 0.0, 0.1, True)
    shape = shape_of(examples, objective, measure_moments(examples, None, 0), 0.25, examples.center, examples.scale)
    truth = 0.25 * np.linalg.eigvalsh(with_constant(examples).T @ with_constant(examples) / 137)[-1] + 0.1
    assert shape.largest == pytest.approx(truth, rel=0.02)
    assert shape.stability_limit == pytest.approx(2 / shape.largest)
    assert math.isnan(shape.condition_after)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_row_squares_are_the_lengths_of_the_dense_rows(layout: str) -> None:
    examples = table(**LAYOUTS[layout])
    np.testing.assert_allclose(row_squares(examples), (with_constant(examples) ** 2).sum(axis=1), rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [True, False])
def test_batch_curvatures_are_the_largest_eigenvalues_of_the_batches(weighted: bool, intercept: bool) -> None:
    examples = table(rows=200, classes=2, levels=(3,), weighted=weighted)
    objective = Objective(Log(), 0.0, 0.2, intercept)
    point = somewhere(examples, 1)
    features = with_constant(examples)[:, : 9 if intercept else 8]
    scores = dense(examples) @ point.weights[:, 0] + point.intercept[0]
    bends = objective.loss.curvature(scores, examples.target) * shares(examples)
    drawn = order(200, 6, 0)
    truth = []
    for first in range(0, 200, 40):
        rows = drawn[first : first + 40]
        truth.append(np.linalg.eigvalsh(weighted_product(features[rows], bends[rows]) / 40)[-1] + 0.2)
    found = batch_curvatures(examples, objective, point, 40, 6)
    np.testing.assert_allclose(found, np.sort(truth), rtol=0.05)
    assert (found <= np.sort(truth) * (1 + 1e-9)).all()
    single = batch_curvatures(examples, objective, point, 1, 6)
    np.testing.assert_allclose(single, np.sort(bends * (features**2).sum(axis=1) + 0.2), rtol=1e-10)


def test_the_bend_of_a_softmax_is_a_bound_of_its_largest_eigenvalue() -> None:
    examples = table(classes=4)
    objective = Objective(Softmax(), 0.0, 0.0, True, 4)
    point = somewhere(examples, 4, 1.0)
    chance = objective.loss.mean_response(dense(examples) @ point.weights + point.intercept)
    truth = np.array([np.linalg.eigvalsh(np.diag(p) - np.outer(p, p))[-1] for p in chance])
    found = bends_at(examples, objective, point)
    assert (found >= truth - 1e-12).all()
    assert (found <= 0.5).all()


def test_the_largest_curvature_of_all_examples_is_that_of_the_hessian() -> None:
    examples = table(rows=300, classes=2)
    objective = Objective(Log(), 0.0, 0.1, True)
    found = largest_curvature(examples, objective, Point.zeros(5, 1), 0)
    truth = 0.25 * np.linalg.eigvalsh(with_constant(examples).T @ with_constant(examples) / 300)[-1] + 0.1
    assert found == pytest.approx(truth, rel=0.05)


def test_the_stable_rate_goes_from_that_of_one_example_to_that_of_all() -> None:
    assert stable_rate(3.0, 50.0, 1) == pytest.approx(2 / 50)
    assert stable_rate(3.0, 50.0, 10**9) == pytest.approx(2 / 3, rel=1e-6)
    assert stable_rate(3.0, 50.0, 10) < stable_rate(3.0, 50.0, 100)


def test_a_corner_has_no_curvature_until_it_is_rounded() -> None:
    examples = table(classes=2)
    objective = Objective(Hinge(), 0.0, 0.0, True)
    start = constant_start(examples, objective)
    assert mean_bend(examples, objective, start).tolist() == [0.0]
    rounded = Objective(Hinge(smoothing=4.0), 0.0, 0.0, True)
    assert mean_bend(examples, rounded, start)[0] > 0.1
