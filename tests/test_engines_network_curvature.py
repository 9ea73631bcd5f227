"""Curvature against JAX's own dense Hessian and NumPy's eigensolver, and against finite differences."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from downslope.engines.network.curvature import extremes, lanczos, newton_step, trace
from downslope.engines.network.landscape import averaged, data_landscape, function_landscape
from tests.small_networks import Small, plain_loss, small


@pytest.fixture(scope="module")
def case() -> Small:
    return small(weighted=True)


@pytest.fixture(scope="module")
def dense(case: Small) -> Any:
    """Return the Hessian, written out by JAX over all rows at once."""
    return np.asarray(jax.jit(jax.hessian(plain_loss(case)))(case.flat))


def test_value_and_gradient_in_pieces_are_those_of_all_rows(case: Small) -> None:
    value, gradient = jax.jit(jax.value_and_grad(plain_loss(case)))(case.flat)
    assert case.landscape.value(case.flat) == pytest.approx(float(value), rel=1e-6)
    np.testing.assert_allclose(case.landscape.gradient(case.flat), gradient, rtol=1e-5, atol=1e-7)


def test_products_are_finite_differences_of_the_gradient(case: Small) -> None:
    along = np.random.default_rng(1).standard_normal(case.landscape.size)
    gradient = jax.jit(jax.grad(plain_loss(case)))
    step = 1e-5
    difference = (gradient(case.flat + step * along) - gradient(case.flat - step * along)) / (2 * step)
    np.testing.assert_allclose(case.landscape.product(case.flat, along), difference, rtol=1e-4, atol=1e-5)


def test_lanczos_finds_the_outer_eigenvalues_of_a_network(case: Small, dense: Any) -> None:
    values, vectors = np.linalg.eigh(dense)
    found = extremes(case.landscape, case.flat, top=3, tolerance=1e-7)
    np.testing.assert_allclose(found.values, values[:-4:-1], rtol=1e-5)
    assert found.smallest == pytest.approx(values[0], abs=1e-5 * values[-1])
    for index in range(3):
        assert abs(found.vectors[index] @ vectors[:, -1 - index]) == pytest.approx(1.0, abs=1e-4)
    assert abs(found.smallest_vector @ vectors[:, 0]) == pytest.approx(1.0, abs=1e-3)
    assert found.products <= case.landscape.size + 4


@pytest.mark.parametrize("steps", [3, 6, 12])
def test_an_eigenvalue_lies_within_the_error_stated(case: Small, dense: Any, steps: int) -> None:
    values = np.linalg.eigvalsh(dense)
    found = extremes(case.landscape, case.flat, steps=steps)
    assert found.products == steps + 2
    for value, error in ((found.values[0], found.errors[0]), (found.smallest, found.smallest_error)):
        assert np.abs(values - value).min() <= error * (1 + 1e-9) + 1e-9
    assert found.errors[0] > 0


def test_rows_left_out_are_left_out(case: Small) -> None:
    rows = np.arange(20, 90)
    some = case.landscape.with_data(
        (case.statistics, jax.tree.map(lambda leaf: leaf[rows] if leaf.ndim else leaf, case.data)), rows.size
    )
    there, here = extremes(some, case.flat), extremes(case.landscape, case.flat, rows=rows)
    assert here.values[0] == pytest.approx(there.values[0], rel=1e-9)
    assert here.values[0] != pytest.approx(extremes(case.landscape, case.flat).values[0], rel=1e-3)


def test_an_eigenvalue_that_occurs_twice_is_found_twice() -> None:
    bend = jnp.array([5.0, 5.0, 2.0, 2.0, 2.0, -1.0])
    landscape = function_landscape(lambda w: 0.5 * jnp.sum(bend * w**2), jnp.zeros(6))
    found = extremes(landscape, np.zeros(6), top=2)
    np.testing.assert_allclose(found.values, [5.0, 5.0], rtol=1e-9)
    assert abs(found.vectors[0] @ found.vectors[1]) < 1e-9
    assert found.smallest == pytest.approx(-1.0)


def test_a_flat_function_has_no_curvature() -> None:
    landscape = function_landscape(lambda w: jnp.sum(w), jnp.zeros(4))
    found = extremes(landscape, np.ones(4))
    assert found.values[0] == found.smallest == 0.0
    assert found.errors[0] == 0.0


def test_one_weight_has_one_eigenvalue() -> None:
    landscape = function_landscape(lambda w: 1.5 * w**2, jnp.zeros(()))
    found = extremes(landscape, np.array([2.0]), top=2)
    assert found.values.tolist() == pytest.approx([3.0])
    assert trace(landscape, np.array([2.0])) == (pytest.approx(3.0), 0.0)


@settings(max_examples=20)
@given(size=st.integers(2, 40), rank=st.integers(0, 40), seed=st.integers(0, 10_000))
def test_lanczos_agrees_with_a_dense_solver_on_any_symmetric_matrix(size: int, rank: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    factor = rng.standard_normal((size, min(rank, size)))
    matrix = (factor * rng.choice([-1.0, 1.0], factor.shape[1])) @ factor.T
    space = lanczos(lambda v: matrix @ v, rng.standard_normal(size), size, 1, 1, 1e-12)
    values, _ = space.eigen()
    wanted = np.linalg.eigvalsh(matrix)
    np.testing.assert_allclose(space.basis @ space.basis.T, np.eye(space.basis.shape[0]), atol=1e-10)
    assert values[-1] == pytest.approx(wanted[-1], abs=1e-8 * max(1.0, np.abs(wanted).max()))
    assert values[0] == pytest.approx(wanted[0], abs=1e-8 * max(1.0, np.abs(wanted).max()))


def test_the_trace_is_that_of_the_dense_hessian_within_its_error(case: Small, dense: Any) -> None:
    exact = float(np.trace(dense))
    found, error = trace(case.landscape, case.flat, probes=case.landscape.size)
    assert (found, error) == (pytest.approx(exact, rel=1e-5), 0.0)
    estimates = [trace(case.landscape, case.flat, probes=30, seed=seed) for seed in range(12)]
    off = np.array([(value - exact) / error for value, error in estimates])
    assert np.abs(off).max() < 4
    assert 0.4 < np.sqrt((off**2).mean()) < 1.8
    # Hutchinson's variance for random signs: twice the squares off the diagonal.
    spread = np.sqrt(2 * ((dense**2).sum() - (np.diag(dense) ** 2).sum()) / 30)
    assert np.mean([error for _, error in estimates]) == pytest.approx(spread, rel=0.35)


def test_newtons_step_lands_in_the_bottom_of_a_bowl() -> None:
    rng = np.random.default_rng(3)
    factor = rng.standard_normal((8, 8))
    matrix = jnp.asarray(factor @ factor.T + np.eye(8))
    landscape = function_landscape(lambda w: 0.5 * w @ matrix @ w + 7.0, jnp.zeros(8))
    weights = rng.standard_normal(8)
    step, fall = newton_step(landscape, weights, landscape.gradient(weights))
    np.testing.assert_allclose(weights + step, 0.0, atol=1e-6)
    assert fall == pytest.approx(landscape.value(weights) - 7.0)


def test_newtons_step_leads_down_where_the_loss_curves_down() -> None:
    landscape = function_landscape(lambda w: w[0] ** 2 - w[1] ** 2, jnp.zeros(2))
    step, _ = newton_step(landscape, np.array([1.0, 0.1]), np.array([2.0, -0.2]))
    np.testing.assert_allclose(step, [-1.0, 0.1], atol=1e-9)


@given(count=st.integers(1, 50), at_once=st.integers(1, 60))
@settings(max_examples=6)
def test_a_mean_in_pieces_is_the_mean(count: int, at_once: int) -> None:
    values = jnp.arange(float(count)) ** 2
    assert float(averaged(lambda some: values[some].mean(), jnp.arange(count), at_once)) == pytest.approx(
        float(values.mean())
    )


def test_batch_normalisation_is_measured_by_its_running_statistics() -> None:
    case = small(normalisation="batch", at_once=50)
    wide = small(normalisation="batch", at_once=1000)
    assert case.landscape.value(case.flat) == pytest.approx(wide.landscape.value(wide.flat), rel=1e-6)
    gradient = jax.jit(jax.grad(plain_loss(case)))(case.flat)
    np.testing.assert_allclose(case.landscape.gradient(case.flat), gradient, rtol=1e-5, atol=1e-7)


def test_float32_reaches_the_same_largest_eigenvalue(dense: Any) -> None:
    single = small(weighted=True, double=False)
    assert single.landscape.dtype == np.float32
    found = extremes(single.landscape, single.flat)
    assert found.values[0] == pytest.approx(np.linalg.eigvalsh(dense)[-1], rel=1e-4)


def test_pieces_are_smaller_where_more_is_held_on_the_way() -> None:
    table = small(double=False, at_once=None)
    images = small("cnn:16,32/64", rows=40, shape=(28, 28, 1), double=False, at_once=None)
    wide = small("mlp:512,512", rows=40, features=300, double=False, at_once=None)
    assert table.landscape.at_once == wide.landscape.at_once == 1024
    assert 16 <= images.landscape.at_once < 512


def test_the_hessian_of_least_squares_is_that_of_its_features() -> None:
    rng = np.random.default_rng(5)
    features, target = rng.standard_normal((3000, 4)) * [3.0, 1.0, 1.0, 0.2], rng.standard_normal(3000)
    landscape = data_landscape(
        lambda w, batch: jnp.mean((batch["x"] @ w["slope"] + w["bias"] - batch["y"]) ** 2),
        {"slope": jnp.zeros(4), "bias": jnp.zeros(())}, {"x": jnp.asarray(features), "y": jnp.asarray(target)},
    )  # fmt: skip
    assert (landscape.rows, landscape.size) == (3000, 5)
    ones = np.hstack([np.ones((3000, 1)), features])  # the tree of weights is in the order of its names
    values = np.linalg.eigvalsh(2 * ones.T @ ones / 3000)
    found = extremes(landscape, np.ones(5))
    assert (found.values[0], found.smallest) == (pytest.approx(values[-1]), pytest.approx(values[0]))
