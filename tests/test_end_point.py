"""What kind of point a descent of a function ended at, where the whole Hessian is too large: against closed forms."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from downslope import minimize
from downslope.records.shape import StopKind
from downslope.records.surface import Minimum, Stop
from downslope.training.network import end_point

MANY = 300
BENDS = np.linspace(1.0, 4.0, MANY)


def bowl(p: jax.Array) -> jax.Array:
    return 0.5 * jnp.sum(BENDS * (p - 1.0) ** 2)


def test_a_bowl_of_many_numbers_is_a_minimum_with_its_outer_curvatures() -> None:
    found = minimize(bowl, np.zeros(MANY))
    assert found.kind is Stop.MINIMUM
    assert (found.smallest, found.largest) == pytest.approx((1.0, 4.0), rel=1e-3)
    assert found.stop_point is not None
    assert found.stop_point.kind is StopKind.MINIMUM
    assert "of 300 directions the outermost alone were looked for" in found.reason
    assert found.seconds["measure"] > 0


def test_a_bowl_that_was_not_gone_down_is_a_slope() -> None:
    found = minimize(bowl, np.zeros(MANY), rule="plain", learning_rate=0.01, updates=5)
    assert found.kind is Stop.SLOPE
    assert found.stop_point is not None
    assert found.stop_point.drop == pytest.approx(found.value, rel=0.05)  # the bottom is at zero
    assert found.reason.startswith("no stop: the gradient is")


def test_a_slope_of_a_few_numbers_tells_what_is_left() -> None:
    found = minimize(lambda p: (p[0] - 1.0) ** 2, [3.0], rule="plain", learning_rate=0.25, updates=2)
    assert found.kind is Stop.SLOPE
    assert found.value == pytest.approx(0.25)  # each step halves the way to the bottom
    assert found.reason.endswith("; the bowl that fits there falls by another 0.25")


def test_a_saddle_of_many_numbers_names_the_fall_that_it_leaves() -> None:
    def saddle(p: jax.Array) -> jax.Array:
        return jnp.sum(p[1:] ** 2) + 0.25 * p[0] ** 4 - 0.5 * p[0] ** 2

    start = np.ones(MANY)
    start[0] = 0.0  # on the ridge, which no rule leaves
    found = minimize(saddle, start, rule="plain", learning_rate=0.1)
    assert found.kind is Stop.SADDLE
    assert (found.smallest, found.largest) == pytest.approx((-1.0, 2.0), rel=1e-3)
    assert found.stop_point is not None
    assert 0.1 < found.stop_point.escape_drop <= 0.25  # the two minima are at -1/4, little beside the way come
    assert found.reason.startswith("a saddle, though a shallow one: one direction curves down by -1,")


def test_where_some_directions_stay_level_the_minimum_is_flat() -> None:
    found = minimize(lambda p: jnp.sum((p[::2] - p[1::2]) ** 2), RANDOM.normal(size=MANY))
    assert found.kind is Stop.FLAT_MINIMUM
    assert found.reason.startswith("a minimum, but all but level in some direction: Newton's step lowers the loss by")
    assert "cannot be told from none" in found.reason


def test_level_ground_of_many_numbers_is_a_plateau() -> None:
    assert minimize(lambda p: 0.0 * jnp.sum(p), np.ones(MANY)).kind is Stop.PLATEAU


RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(6000, MANY))
Y = X @ RANDOM.normal(size=MANY) + 3.0 * RANDOM.normal(size=6000)


def least_squares(p: jax.Array, batch: tuple[jax.Array, jax.Array]) -> jax.Array:
    return jnp.mean((batch[0] @ p - batch[1]) ** 2)


def solved(monkeypatch: pytest.MonkeyPatch, rows: int, **settings: Any) -> Minimum:
    """Return the end of a descent whose curvature is measured on so many rows."""
    monkeypatch.setattr(end_point, "SOME_WORK", rows * MANY)
    monkeypatch.setattr(end_point, "LEAST_ROWS", rows)
    monkeypatch.setattr(end_point, "SHARE", 0.0)
    return minimize(least_squares, np.zeros(MANY), (X, Y), **settings)


def test_a_sample_tells_of_all_examples_by_their_slope(monkeypatch: pytest.MonkeyPatch) -> None:
    # The least squares of 1500 of the rows are elsewhere: by their own slope this were no minimum.
    found = solved(monkeypatch, 1500, method="scaled")
    at = np.linalg.lstsq(X, Y, rcond=None)[0]
    np.testing.assert_allclose(found.params, at, atol=1e-6)
    assert found.kind is Stop.MINIMUM
    assert found.stop_point is not None
    assert (found.stop_point.rows, found.stop_point.all_rows) == (1500, 6000)
    assert found.reason.endswith("the curvature is that of 1,500 of 6,000 examples")
    drawn = np.random.default_rng(0).choice(6000, 1500, replace=False)
    bends = np.linalg.eigvalsh(2.0 * X[drawn].T @ X[drawn] / 1500)
    assert (found.smallest, found.largest) == pytest.approx((bends[0], bends[-1]), rel=1e-2)
    own = np.linalg.norm(2.0 * X[drawn].T @ (X[drawn] @ at - Y[drawn]) / 1500)
    assert found.stop_point.gradient_norm < 1e-6 < 1e-1 < own


def test_a_sample_sees_a_slope_of_all_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    found = solved(monkeypatch, 1500, method="full-batch", rule="plain", learning_rate=0.01, updates=20)
    assert found.kind is Stop.SLOPE
    assert found.stop_point is not None
    assert found.stop_point.gradient_norm == pytest.approx(found.gradient_norm, rel=1e-3)
    left = found.value - float(np.mean((X @ np.linalg.lstsq(X, Y, rcond=None)[0] - Y) ** 2))
    assert found.stop_point.drop == pytest.approx(left, rel=0.3)
    assert "; that is by 1,500 of 6,000 examples, and the loss of all falls by" in found.reason


def test_a_fall_that_few_examples_promise_and_all_do_not_keep_is_no_slope(monkeypatch: pytest.MonkeyPatch) -> None:
    # By the curvature of 40 rows most of 300 directions are level, so that any slope goes a long way down.
    found = solved(monkeypatch, 40, method="full-batch", rule="plain", learning_rate=0.3, updates=8)
    left = found.value - float(np.mean((X @ np.linalg.lstsq(X, Y, rcond=None)[0] - Y) ** 2))
    assert found.stop_point is not None
    assert left < found.stop_point.negligible
    assert found.kind is Stop.UNKNOWN
    assert found.stop_point.drop < left
    assert found.reason.startswith("not known: by 40 of 6,000 examples the loss could still fall by")


def test_a_few_numbers_on_many_rows_are_measured_on_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(end_point, "WHOLE_WORK", 2000)
    monkeypatch.setattr(end_point, "SOME_WORK", 2000)
    found = minimize(lambda p, batch: jnp.mean((p - batch) ** 2), 0.0, X[:, 0], method="scaled")
    assert found.kind is Stop.MINIMUM
    assert (found.smallest, found.largest) == pytest.approx((2.0, 2.0))
    assert found.stop_point is not None
    assert found.stop_point.rows == 2000


def test_a_loss_without_a_second_derivative_has_an_end_that_is_not_known() -> None:
    @jax.custom_vjp
    def square(p: jax.Array) -> jax.Array:
        return jnp.sum(p**2)

    def slope(p: jax.Array, above: jax.Array) -> tuple[jax.Array]:
        return (above * jax.pure_callback(lambda at: 2.0 * at, jax.ShapeDtypeStruct(p.shape, p.dtype), p),)

    square.defvjp(lambda p: (square(p), p), slope)
    for size in (3, MANY):
        found = minimize(square, np.ones(size), rule="plain", learning_rate=0.1)
        assert found.value < 1e-10
        assert found.kind is Stop.UNKNOWN
        assert found.reason.startswith("not known: its curvature cannot be computed (")
