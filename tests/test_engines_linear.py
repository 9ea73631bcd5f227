from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downslope.data.blocks import Block, Examples
from downslope.engines import linear as engine
from downslope.engines.moments import second_moments, survey
from downslope.losses import Absolute, Hinge, Huber, Log, Loss, Poisson, Quantile, Softmax, Squared, SquaredHinge
from downslope.models.linear import Objective, Point
from tests.plain_descent import RELATIVE, dense, fit_target, objective_at, shares, table

LOSSES: list[tuple[Loss, int]] = [
    (Squared(), 0),
    (Absolute(), 0),
    (Absolute(smoothing=0.4), 0),
    (Huber(delta=0.6), 0),
    (Quantile(quantile=0.3), 0),
    (Quantile(quantile=0.3, smoothing=0.2), 0),
    (Poisson(), 0),
    (Log(), 2),
    (Hinge(), 2),
    (Hinge(smoothing=0.5), 2),
    (SquaredHinge(), 2),
    (Softmax(), 4),
]
PRECISIONS: list[Any] = [np.float32, np.float64]
LAYOUTS: dict[str, dict[str, Any]] = {
    "numbers": {},
    "numbers and codes": {"levels": (3, 5)},
    "codes alone": {"numbers": 0, "levels": (4,)},
    "weights": {"weighted": True, "levels": (2,)},
    "three blocks": {"blocks": 3, "levels": (3,), "weighted": True},
    "original units": {"applied": False, "levels": (3,)},
    "original units, weights, two blocks": {"applied": False, "weighted": True, "blocks": 2},
    "dummies": {"levels": (3, 4), "dummies": True, "weighted": True},
    "dummies in original units": {"levels": (3,), "dummies": True, "applied": False, "blocks": 2},
    "one row": {"rows": 1},
    "sparse alone": {"numbers": 0, "sparse": 7},
    "sparse beside numbers and codes": {"levels": (3,), "sparse": 6, "weighted": True, "blocks": 3},
    "sparse, centred": {"sparse": 6, "centred": True, "weighted": True, "dummies": True, "levels": (3,)},
    "sparse beside original units": {"sparse": 6, "centred": True, "applied": False, "blocks": 2},
}


def somewhere(examples: Examples, outputs: int) -> Point:
    rng = np.random.default_rng(9)
    return Point(0.3 * rng.standard_normal((examples.features, outputs)), 0.1 * rng.standard_normal(outputs))


def columns(point: Point) -> np.ndarray:
    return np.vstack([point.weights, point.intercept])


def gradient_of(examples: Examples, objective: Objective, point: Point) -> np.ndarray:
    """Return the gradient (d + 1, k) of the smooth part of F from its definition."""
    features = np.hstack([dense(examples), np.ones((examples.rows, 1))])
    slopes = objective.slopes(features @ columns(point), examples.target) * shares(examples)[:, None]
    gradient = features.T @ slopes / examples.rows
    gradient[:-1] += objective.l2 * point.weights
    if not objective.intercept:
        gradient[-1] = 0.0
    return gradient


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("loss", "classes"), LOSSES, ids=lambda each: getattr(each, "name", str(each)))
def test_objective_and_gradient_are_those_of_the_definition(loss: Loss, classes: int, layout: str, dtype: Any) -> None:
    examples = fit_target(table(classes=classes, dtype=dtype, **LAYOUTS[layout]), loss)
    objective = Objective(loss, 0.03, 0.2, True, max(classes, 1) if isinstance(loss, Softmax) else 1)
    point = somewhere(examples, objective.outputs)
    seen = engine.evaluate(examples, objective, point)
    near = RELATIVE[dtype]
    assert seen.objective == pytest.approx(objective_at(examples, objective, columns(point)), rel=near)
    truth = gradient_of(examples, objective, point)
    np.testing.assert_allclose(columns(seen.gradient), truth, atol=near * (1 + np.abs(truth).max()))
    assert seen.gradient_norm == pytest.approx(np.linalg.norm(truth), rel=10 * near, abs=near)


@pytest.mark.parametrize("loss", [Log(), Squared(), SquaredHinge()], ids=lambda each: each.name)
def test_one_against_the_rest_is_the_sum_over_the_classes(loss: Loss) -> None:
    examples = table(classes=4, levels=(3,), weighted=True)
    objective = Objective(loss, 0.0, 0.1, True, 4)
    point = somewhere(examples, 4)
    seen = engine.evaluate(examples, objective, point)
    assert seen.objective == pytest.approx(objective_at(examples, objective, columns(point)), rel=1e-11)
    np.testing.assert_allclose(columns(seen.gradient), gradient_of(examples, objective, point), atol=1e-11)


def test_without_an_intercept_its_slope_is_zero() -> None:
    examples = table(classes=2)
    objective = Objective(Log(), 0.0, 0.1, False)
    seen = engine.evaluate(examples, objective, somewhere(examples, 1))
    assert seen.gradient.intercept.tolist() == [0.0]


@pytest.fixture
def _threaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut even small tables in parts, three of them whatever the machine."""
    monkeypatch.setattr(engine, "SMALL", 1)
    monkeypatch.setattr(engine, "threads", lambda: 3)


@pytest.mark.usefixtures("_threaded")
@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("layout", ["weights", "original units", "three blocks", "dummies", "codes alone"])
@pytest.mark.parametrize("outputs", [1, 3])
def test_parts_on_threads_add_up_to_the_whole(layout: str, dtype: Any, outputs: int) -> None:
    examples = table(**{**LAYOUTS[layout], "rows": 20_011, "classes": max(outputs, 2), "dtype": dtype})
    objective = Objective(Softmax() if outputs > 1 else Log(), 0.0, 0.1, True, outputs)
    point = somewhere(examples, outputs)
    seen = engine.evaluate(examples, objective, point)
    near = 2e-6 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(columns(seen.gradient), gradient_of(examples, objective, point), atol=near)
    assert seen.objective == pytest.approx(objective_at(examples, objective, columns(point)), rel=near)
    scores = dense(examples) @ point.weights + point.intercept
    np.testing.assert_allclose(engine.exact_scores(examples, point), scores, atol=1e-11)
    slopes = objective.slopes(scores, examples.target)
    np.testing.assert_allclose(engine.exact_gather(examples, slopes), dense(examples).T @ slopes, atol=1e-8)
    features = np.hstack([dense(examples), np.ones((examples.rows, 1))])
    truth = (features * shares(examples)[:, None]).T @ features / examples.rows
    np.testing.assert_allclose(second_moments(examples, None, True), truth, atol=1e-10)
    again = engine.evaluate(examples, objective, point)
    assert again.objective == seen.objective
    np.testing.assert_array_equal(columns(again.gradient), columns(seen.gradient))


@pytest.mark.usefixtures("_threaded")
def test_many_rows_on_many_threads_give_the_same_bits_each_time() -> None:
    examples = table(rows=20_011, numbers=6, levels=(7,), classes=2, dtype=np.float32, weighted=True)
    objective = Objective(Log(), 0.0, 0.1, True)
    point = somewhere(examples, 1)
    first = engine.evaluate(examples, objective, point)
    again = engine.evaluate(examples, objective, point)
    assert first.objective == again.objective
    np.testing.assert_array_equal(columns(first.gradient), columns(again.gradient))
    truth = gradient_of(examples, objective, point)
    np.testing.assert_allclose(columns(first.gradient), truth, atol=2e-6)


@settings(max_examples=30)
@given(rows=st.integers(1, 300), numbers=st.integers(0, 5), levels=st.integers(0, 3), seed=st.integers(0, 99))
def test_any_number_of_rows_and_columns(rows: int, numbers: int, levels: int, seed: int) -> None:
    if numbers + levels == 0:
        numbers = 1
    examples = table(rows=rows, numbers=numbers, levels=(3,) * levels, classes=2, seed=seed)
    objective = Objective(Log(), 0.0, 0.1, True)
    point = somewhere(examples, 1)
    seen = engine.evaluate(examples, objective, point)
    assert seen.objective == pytest.approx(objective_at(examples, objective, columns(point)), rel=1e-11)
    np.testing.assert_allclose(columns(seen.gradient), gradient_of(examples, objective, point), atol=1e-11)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("loss", [Log(), Poisson(), Squared(), Huber(), Hinge()], ids=lambda each: each.name)
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_weights_that_ran_away_never_look_like_a_finite_loss(loss: Loss, dtype: Any, bad: float) -> None:
    examples = table(classes=2, dtype=dtype)
    point = somewhere(examples, 1)
    point.weights[0] = bad
    with np.errstate(invalid="ignore"):
        assert not np.isfinite(engine.evaluate(examples, Objective(loss, 0.0, 0.0, True), point).objective)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_exact_scores_and_sums_are_in_float64(layout: str, dtype: Any, outputs: int) -> None:
    examples = table(dtype=dtype, **LAYOUTS[layout])
    point = somewhere(examples, outputs)
    scores = engine.exact_scores(examples, point)
    assert scores.shape == (examples.rows, outputs)
    np.testing.assert_allclose(scores, dense(examples) @ point.weights + point.intercept, rtol=1e-12, atol=1e-12)
    slopes = np.random.default_rng(3).standard_normal((examples.rows, outputs))
    np.testing.assert_allclose(
        engine.exact_gather(examples, slopes), dense(examples).T @ slopes, rtol=1e-11, atol=1e-11
    )


def test_fold_and_unfold_undo_the_scaling() -> None:
    stored = table(applied=False, levels=(3,))
    ready = replace(stored, applied=True, blocks=(Block(0, dense(stored)[:, :5].copy(), stored.blocks[0].codes),))
    point = somewhere(stored, 2)
    np.testing.assert_allclose(engine.exact_scores(stored, point), engine.exact_scores(ready, point), atol=1e-12)
    slopes = np.random.default_rng(0).standard_normal((stored.rows, 2))
    np.testing.assert_allclose(engine.exact_gather(stored, slopes), engine.exact_gather(ready, slopes), atol=1e-11)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("bent", [False, True])
def test_second_moments_are_those_of_the_dense_table(layout: str, dtype: Any, exact: bool, bent: bool) -> None:
    examples = table(dtype=dtype, **LAYOUTS[layout])
    row_weights = np.random.default_rng(1).random(examples.rows) if bent else None
    features = np.hstack([dense(examples), np.ones((examples.rows, 1))])
    share = shares(examples) * (1.0 if row_weights is None else row_weights)
    truth = (features * share[:, None]).T @ features / examples.rows
    found = second_moments(examples, row_weights, exact)
    near = 1e-11 if exact or dtype == np.float64 else 1e-5
    np.testing.assert_allclose(found, truth, atol=near * (1 + np.abs(truth).max()))
    np.testing.assert_allclose(found, found.T, atol=1e-15 * np.abs(found).max())


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sloped", [False, True])
def test_survey_is_one_read_for_means_deviations_and_the_first_gradient(
    dtype: Any, weighted: bool, sloped: bool
) -> None:
    rng = np.random.default_rng(4)
    numbers = (rng.standard_normal((207, 4)) * [1, 2, 3, 4] + 10).astype(dtype)
    weights = rng.random(207) if weighted else engine.NONE
    slopes = rng.standard_normal(207) if sloped else engine.NONE
    shift = numbers.mean(axis=0)
    sums = survey(numbers, slopes, weights, shift)
    away = numbers.astype(np.float64) - shift
    each = weights if weighted else np.ones(207)
    truth = np.stack([each @ away, each @ away**2, slopes @ away if sloped else np.zeros(4)])
    np.testing.assert_allclose(sums, truth, atol=RELATIVE[dtype] * 207)


def test_survey_shows_a_column_that_is_not_finite() -> None:
    numbers = np.ones((130, 3))
    numbers[77, 1] = np.inf
    sums = survey(numbers, engine.NONE, engine.NONE, np.zeros(3))
    assert np.isfinite(sums).all(axis=0).tolist() == [True, False, True]


def test_taking_rows_keeps_their_order_across_blocks() -> None:
    examples = table(rows=50, blocks=4, levels=(3, 2), weighted=True)
    chosen = np.array([0, 3, 11, 12, 30, 49])
    some = engine.take(examples, chosen)
    assert len(some.blocks) == 1
    np.testing.assert_array_equal(dense(some), dense(examples)[chosen])
    np.testing.assert_array_equal(some.target, examples.target[chosen])
    assert some.weights is not None
    assert examples.weights is not None
    np.testing.assert_array_equal(some.weights, examples.weights[chosen])


@given(rows=st.integers(1, 10_000), cells=st.integers(1, 10**6))
def test_parts_cover_every_row_once(rows: int, cells: int) -> None:
    parts = engine.in_parts(rows, cells, lambda start, stop: (start, stop))
    assert parts[0][0] == 0
    assert parts[-1][1] == rows
    assert all(before[1] == after[0] for before, after in pairwise(parts))
