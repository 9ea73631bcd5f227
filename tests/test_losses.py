from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize_scalar

from downslope.losses import (
    Absolute,
    Hinge,
    Huber,
    Log,
    Loss,
    Poisson,
    Quantile,
    Softmax,
    Squared,
    SquaredHinge,
    make_loss,
    poisson_offset,
    sigmoid,
)
from downslope.records.spec import LOSSES

SCALAR: dict[str, Loss] = {
    "squared": Squared(),
    "absolute": Absolute(),
    "absolute-rounded": Absolute(smoothing=0.3),
    "huber": Huber(delta=0.7),
    "quantile": Quantile(quantile=0.8),
    "quantile-rounded": Quantile(quantile=0.8, smoothing=0.4),
    "poisson": Poisson(),
    "log": Log(),
    "hinge": Hinge(),
    "hinge-rounded": Hinge(smoothing=0.5),
    "squared-hinge": SquaredHinge(),
}
SMOOTH = [name for name, loss in SCALAR.items() if not loss.cornered]
CORNERED: list[Loss] = [Absolute(), Quantile(quantile=0.8), Hinge()]


def published(name: str, s: Any, y: Any) -> Any:
    """Return the loss as its textbook states it, in JAX so that it can be differentiated."""
    import jax
    import jax.numpy as jnp

    margin = (2 * y - 1) * s
    formulas: dict[str, Callable[[], Any]] = {
        "squared": lambda: (y - s) ** 2,
        "absolute": lambda: jnp.abs(y - s),
        "huber": lambda: jnp.where(jnp.abs(y - s) <= 0.7, (y - s) ** 2 / 2, 0.7 * (jnp.abs(y - s) - 0.35)),
        "quantile": lambda: jnp.where(y >= s, 0.8 * (y - s), 0.2 * (s - y)),
        "poisson": lambda: jnp.exp(s) - y * s + jnp.where(y > 0, y * jnp.log(jnp.maximum(y, 1e-30)), 0) - y,
        "log": lambda: -jnp.where(y > 0, jax.nn.log_sigmoid(s), jax.nn.log_sigmoid(-s)),
        "hinge": lambda: jnp.maximum(0, 1 - margin),
        "squared-hinge": lambda: jnp.maximum(0, 1 - margin) ** 2,
        # The Moreau envelopes: a parabola as wide as the corner is rounded, the straight lines moved down.
        "absolute-rounded": lambda: jnp.where(jnp.abs(y - s) <= 0.3, (y - s) ** 2 / 0.6, jnp.abs(y - s) - 0.15),
        "quantile-rounded": lambda: jnp.where(
            y - s > 0.8 * 0.4,
            0.8 * (y - s) - 0.4 * 0.64 / 2,
            jnp.where(y - s < -0.2 * 0.4, 0.2 * (s - y) - 0.4 * 0.04 / 2, (y - s) ** 2 / 0.8),
        ),
        "hinge-rounded": lambda: jnp.where(
            margin >= 1, 0, jnp.where(margin > 0.5, (1 - margin) ** 2, 1 - margin - 0.25)
        ),
    }
    return formulas[name]()


def targets_for(loss: Loss, rng: np.random.Generator, n: int) -> np.ndarray:
    if loss.classifies:
        return rng.integers(0, 2, n).astype(float)
    return rng.poisson(3.0, n).astype(float) if isinstance(loss, Poisson) else rng.standard_normal(n) * 2


def away_from_corners(loss: Loss, score: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Say where a small move of the score crosses no corner of the loss or of its slope."""
    at = (loss.curvature(score - 1e-3, target), loss.curvature(score + 1e-3, target))
    slopes = (loss.slope(score - 1e-3, target), loss.slope(score + 1e-3, target))
    return (np.abs(at[0] - at[1]) < 0.1) & (np.abs(slopes[0] - slopes[1]) < 0.05)


@pytest.mark.parametrize("name", SCALAR)
def test_value_slope_and_curvature_are_those_of_the_published_formula(name: str) -> None:
    import jax

    loss = SCALAR[name]
    rng = np.random.default_rng(0)
    target = targets_for(loss, rng, 400)
    score = rng.standard_normal(400) * 2
    smooth = away_from_corners(loss, score, target)
    assert smooth.mean() > 0.9
    target, score = target[smooth], score[smooth]
    slope = jax.vmap(jax.grad(lambda s, y: published(name, s, y)))
    curvature = jax.vmap(jax.grad(jax.grad(lambda s, y: published(name, s, y))))
    np.testing.assert_allclose(loss.value(score, target), published(name, score, target), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(loss.slope(score, target), slope(score, target), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(loss.curvature(score, target), curvature(score, target), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", SCALAR)
def test_slope_and_curvature_are_finite_differences(name: str) -> None:
    loss = SCALAR[name]
    rng = np.random.default_rng(1)
    target = targets_for(loss, rng, 300)
    score = rng.standard_normal(300) * 1.5
    smooth = away_from_corners(loss, score, target)
    target, score, h = target[smooth], score[smooth], 1e-5
    rise = (loss.value(score + h, target) - loss.value(score - h, target)) / (2 * h)
    bend = (loss.slope(score + h, target) - loss.slope(score - h, target)) / (2 * h)
    np.testing.assert_allclose(loss.slope(score, target), rise, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(loss.curvature(score, target), bend, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("loss", CORNERED, ids=lambda each: each.name)
def test_slope_at_a_corner_is_a_subgradient(loss: Loss) -> None:
    target = np.ones(3)
    score = np.ones(3)
    corner, at = loss.slope(score, target)[0], loss.value(score, target)[0]
    for s in (-3.0, 0.5, 0.999, 1.001, 4.0):
        assert loss.value(np.array([s]), target[:1])[0] >= at + corner * (s - 1.0) - 1e-15


finite = st.floats(-30, 30)


@pytest.mark.parametrize("name", SCALAR)
@given(data=st.data())
def test_fenchel_inequality_holds_and_is_an_equality_at_the_slope(name: str, data: st.DataObject) -> None:
    loss = SCALAR[name]
    n = data.draw(st.integers(1, 6))
    score = data.draw(arrays(np.float64, n, elements=finite))
    other = data.draw(arrays(np.float64, n, elements=finite))
    values = st.sampled_from([0.0, 1.0]) if loss.classifies else finite
    target = data.draw(arrays(np.float64, n, elements=values))
    if isinstance(loss, Poisson):
        target = np.floor(np.abs(target))
    slope = loss.slope(score, target)
    value, conjugate = loss.value(score, target), loss.conjugate(slope, target)
    near = 1e-12 * (1 + np.abs(value) + np.abs(slope * score) + np.abs(slope * target))
    assert (np.abs(value + conjugate - slope * score) <= near).all()
    away = loss.value(other, target) + conjugate - slope * other
    assert (away >= -1e-12 * (1 + loss.value(other, target) + np.abs(slope * other) + np.abs(conjugate))).all()


@pytest.mark.parametrize("name", SCALAR)
@given(data=st.data())
def test_conjugate_is_the_largest_of_a_fine_grid_of_scores(name: str, data: st.DataObject) -> None:
    loss = SCALAR[name]
    target = data.draw(st.sampled_from([0.0, 1.0]) if loss.classifies else st.integers(0, 5).map(float))
    slope = data.draw(st.floats(-3, 3))
    grid = np.linspace(-60, 60, 24_001)
    with np.errstate(over="ignore"):
        largest = (slope * grid - loss.value(grid, np.full(grid.shape, target))).max()
    stated = loss.conjugate(np.array([slope]), np.array([target]))[0]
    assert stated >= largest - 1e-9 * (1 + abs(largest))
    if np.isfinite(stated):
        # The grid is 0.005 apart, so a curvature of at most 4 hides at most 4 * 0.005^2 / 8.
        tail = 2e-3 if name in ("poisson", "log") else 2e-5
        assert stated <= largest + tail * (1 + abs(largest))


@given(
    score=arrays(np.float64, (5, 3), elements=st.floats(-20, 20)),
    other=arrays(np.float64, (5, 3), elements=st.floats(-20, 20)),
    target=arrays(np.float64, 5, elements=st.sampled_from([0.0, 1.0, 2.0])),
)
def test_softmax_satisfies_fenchel(score: np.ndarray, other: np.ndarray, target: np.ndarray) -> None:
    loss = Softmax()
    slope = loss.slope(score, target)
    conjugate = loss.conjugate(slope, target)
    assert np.isfinite(conjugate).all()
    inner = (slope * score).sum(axis=1)
    assert (np.abs(loss.value(score, target) + conjugate - inner) <= 1e-12 * (1 + np.abs(inner))).all()
    assert (loss.value(other, target) + conjugate >= (slope * other).sum(axis=1) - 1e-11).all()


def test_softmax_is_that_of_jax() -> None:
    import jax

    rng = np.random.default_rng(2)
    score, target = rng.standard_normal((50, 4)) * 5, rng.integers(0, 4, 50).astype(float)

    def one(s: Any, y: Any) -> Any:
        return -jax.nn.log_softmax(s)[y]

    classes = target.astype(int)
    loss = Softmax()
    np.testing.assert_allclose(loss.value(score, target), jax.vmap(one)(score, classes), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(loss.slope(score, target), jax.vmap(jax.grad(one))(score, classes), atol=1e-13)
    diagonal = jax.vmap(lambda s, y: jax.numpy.diag(jax.hessian(one)(s, y)))(score, classes)
    np.testing.assert_allclose(loss.curvature(score, target), diagonal, atol=1e-13)
    np.testing.assert_allclose(loss.mean_response(score), jax.nn.softmax(score, axis=1), atol=1e-14)


def test_softmax_conjugate_is_infinite_off_the_simplex() -> None:
    slope = np.array([[0.2, -0.1, -0.1], [-0.1, 0.2, -0.1]])
    assert np.isinf(Softmax().conjugate(slope, np.array([1.0, 1.0]))).tolist() == [True, True]
    assert np.isfinite(Softmax().conjugate(np.array([[-0.3, 0.2, 0.1]]), np.array([0.0]))).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", SCALAR)
def test_constant_score_is_the_minimum_found_by_scipy(name: str, weighted: bool) -> None:
    loss = SCALAR[name]
    rng = np.random.default_rng(3)
    target = targets_for(loss, rng, 41)
    weights = rng.random(41) + 0.1 if weighted else None

    def mean_loss(score: float) -> float:
        return float(np.average(loss.value(np.full(41, score), target), weights=weights))

    found = minimize_scalar(mean_loss, bounds=(-8, 8), method="bounded", options={"xatol": 1e-12})
    assert mean_loss(loss.constant_score(target, weights)) <= found.fun + 1e-12 * (1 + abs(found.fun))


def test_constant_scores_of_known_samples() -> None:
    target = np.array([1.0, 2.0, 3.0, 10.0, 100.0])
    assert Squared().constant_score(target, None) == pytest.approx(23.2, rel=1e-14)
    assert Absolute().constant_score(target, None) == pytest.approx(3.0, rel=1e-12)
    assert Quantile(quantile=0.7).constant_score(target, None) == pytest.approx(10.0, rel=1e-12)
    assert Poisson().constant_score(target, None) == pytest.approx(math.log(23.2), rel=1e-14)
    odds = Log().constant_score(np.array([1.0, 1.0, 1.0, 0.0]), None)
    assert odds == pytest.approx(math.log(3.0), rel=1e-14)
    assert Squared().constant_score(target, np.array([1.0, 1.0, 0.0, 0.0, 0.0])) == pytest.approx(1.5)


@pytest.mark.parametrize("loss", CORNERED, ids=lambda each: each.name)
@given(score=finite, width=st.floats(1e-6, 5), kind=st.integers(0, 1))
def test_a_rounded_corner_lies_below_the_loss_by_no_more_than_stated(
    loss: Loss, score: float, width: float, kind: int
) -> None:
    s, y = np.array([score]), np.array([float(kind)])
    below = loss.value(s, y) - loss.rounded(width).value(s, y)
    most = width * max(loss.low**2, loss.high**2) / 2
    assert -1e-12 <= below[0] <= most * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize("loss", CORNERED, ids=lambda each: each.name)
def test_rounding_takes_the_corner_away(loss: Loss) -> None:
    assert loss.cornered
    assert not loss.rounded(0.1).cornered
    assert loss.rounded(0.1).width == 0.1


@pytest.mark.parametrize("loss", [Squared(), Huber(), Poisson(), Log(), SquaredHinge(), Softmax()])
def test_a_loss_without_a_corner_is_its_own_rounding(loss: Loss) -> None:
    assert not loss.cornered
    assert loss.rounded(0.5) is loss


def test_no_loss_overflows_at_large_scores() -> None:
    score, target = np.array([-1e4, 1e4, -1e4, 1e4]), np.array([0.0, 0.0, 1.0, 1.0])
    np.testing.assert_array_equal(Log().value(score, target), [0.0, 1e4, 1e4, 0.0])
    np.testing.assert_array_equal(Log().slope(score, target), [0.0, 1.0, -1.0, 0.0])
    np.testing.assert_array_equal(sigmoid(score), [0.0, 1.0, 0.0, 1.0])
    wide = np.array([[1e4, -1e4], [-1e4, 1e4]])
    np.testing.assert_array_equal(Softmax().value(wide, np.array([0.0, 0.0])), [0.0, 2e4])


def test_poisson_is_half_the_deviance() -> None:
    target, mean = np.array([0.0, 1.0, 7.0]), np.array([0.5, 2.0, 6.0])
    ratio = np.where(target > 0, target * np.log(np.where(target > 0, target, 1) / mean), 0.0)
    deviance = 2 * (ratio - (target - mean))
    np.testing.assert_allclose(2 * Poisson().value(np.log(mean), target), deviance, rtol=1e-13)
    np.testing.assert_array_equal(poisson_offset(np.array([0.0, 1.0])), [0.0, -1.0])


def test_responses_undo_the_link() -> None:
    score = np.array([-1.0, 0.0, 2.0])
    np.testing.assert_allclose(Poisson().mean_response(score), np.exp(score))
    np.testing.assert_allclose(Log().mean_response(score), 1 / (1 + np.exp(-score)))
    np.testing.assert_array_equal(Squared().mean_response(score), score)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_of_the_spec_can_be_made_by_name(name: str) -> None:
    assert make_loss(name).name == name


def test_make_loss_passes_on_what_a_loss_takes() -> None:
    assert make_loss("huber", delta=2.5).high == 2.5
    assert make_loss("quantile", quantile=0.9).low == pytest.approx(-0.1)
