"""Slices against the loss evaluated directly, directions against their norms, paths against NumPy's SVD."""

from __future__ import annotations

import math
from typing import Any

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from downslope.engines.network.anatomy import filters_of
from downslope.engines.network.inputs import on_device
from downslope.engines.network.landscape import function_landscape, network_landscape
from downslope.engines.network.slices import (
    line_slice,
    losses_at,
    path_directions,
    placed,
    plane_slice,
    random_directions,
    slice_directions,
)
from downslope.errors import OptionError
from downslope.records.files import record_to_json
from tests.small_networks import Small, plain_loss, small


@pytest.fixture(scope="module")
def case() -> Small:
    return small(activation="relu", weighted=True)


@pytest.fixture(scope="module")
def path(case: Small) -> list[tuple[int, Any]]:
    """Return the weights of thirty steps of plain descent."""
    gradient = jax.jit(jax.grad(plain_loss(case)))
    weights, moments = case.flat, []
    for update in range(30):
        moments.append((update, np.asarray(weights)))
        weights = weights - 0.3 * gradient(weights)
    return moments


@pytest.mark.parametrize(
    ("model", "normalisation", "shape", "outputs"),
    [
        ("linear", "none", (5,), 1),
        ("mlp:4", "none", (5,), 1),
        ("mlp:4,3", "none", (3, 3, 1), 3),
        ("mlp:4", "layer", (5,), 3),
        ("cnn:2/3", "none", (4, 4, 1), 1),
    ],
)
def test_networks_of_every_kind_are_sliced_alike(
    model: str, normalisation: str, shape: tuple[int, ...], outputs: int
) -> None:
    case = small(model, "tanh", 70, outputs=outputs, shape=shape, normalisation=normalisation, double=False)
    ways = random_directions(case.landscape, case.flat + 0.1, 2, 0)
    places = np.array([[0.0, 0.0], [1.0, -0.5], [-0.7, 0.3]])
    found = losses_at(case.landscape, case.flat, ways, places)
    loss = jax.jit(plain_loss(case))
    for place, value in zip(places, found, strict=True):
        there = (case.flat + place @ ways).astype(np.float32)
        assert value == pytest.approx(float(loss(there)), rel=1e-4)


def test_categories_are_sliced_too() -> None:
    case = small("mlp:4,3", features=2, rows=40)
    codes = np.random.default_rng(0).integers(2, 6, (40, 1)).astype(np.int32)
    data = on_device(np.asarray(case.data.numbers)[:, :2], codes, np.asarray(case.data.target), None)
    wide = small("mlp:4,3", features=6, rows=40)
    landscape = network_landscape(wide.rest, wide.loss, 0.0, wide.weights, (), data)
    ways = random_directions(landscape, wide.flat, 2, 0)
    (value,) = losses_at(landscape, wide.flat, ways, np.array([[0.5, -1.0]]))
    assert value == pytest.approx(landscape.value(wide.flat + np.array([0.5, -1.0]) @ ways), rel=1e-5)


@pytest.mark.parametrize("directions", ["random", "hessian", "path"])
def test_every_point_of_a_plane_is_the_loss_there(case: Small, path: Any, directions: str) -> None:
    end = path[-1][1]
    plane = plane_slice(case.landscape, end, directions, points=(9, 7), path=path, seed=4)
    assert (len(plane.losses), len(plane.losses[0])) == (7, 9)
    loss = jax.jit(plain_loss(case))
    assert plane.loss == pytest.approx(float(loss(end)), rel=1e-6)
    for point, (_, weights) in zip(plane.path, path, strict=True):
        assert point.loss == pytest.approx(float(loss(weights)), rel=1e-6)
    # The same plane, found again: its directions are those of the seed.
    ways, _ = slice_directions(case.landscape, end, directions, 2, path, seed=4)
    for row, column in ((0, 0), (3, 4), (6, 8), (2, 7)):
        there = end + plane.xs[column] * ways[0] + plane.ys[row] * ways[1]
        assert plane.losses[row][column] == pytest.approx(float(loss(there)), rel=1e-5)
    np.testing.assert_allclose(np.linalg.norm(ways, axis=1), plane.lengths)
    for point, (_, weights) in zip(plane.path, path, strict=True):
        nearest = end + point.x * ways[0] + point.y * ways[1]
        assert point.slice_loss == pytest.approx(float(loss(nearest)), rel=1e-5)
        assert point.off == pytest.approx(float(np.linalg.norm(weights - nearest)), abs=1e-7)
        assert abs((weights - nearest) @ ways.T).max() < 1e-6


def test_a_line_is_the_loss_along_it(case: Small) -> None:
    line = line_slice(case.landscape, case.flat, "random", points=11, extent=2.0, seed=1)
    (way,) = random_directions(case.landscape, case.flat, 1, 1)
    assert (line.xs[0], line.xs[5], line.xs[-1]) == (-2.0, 0.0, 2.0)
    assert line.losses[5] == pytest.approx(line.loss, rel=1e-6)
    loss = jax.jit(plain_loss(case))
    for place, value in zip(line.xs, line.losses, strict=True):
        assert value == pytest.approx(float(loss(case.flat + place * way)), rel=1e-5)
    assert math.isnan(line.explained)


def test_a_line_along_the_steepest_curvature_bends_by_it() -> None:
    bend = jnp.array([4.0, 1.0, 0.5])
    landscape = function_landscape(lambda w: 0.5 * jnp.sum(bend * w**2) + 1.0, jnp.zeros(3))
    line = line_slice(landscape, np.zeros(3), "hessian", points=5, extent=1.0)
    assert line.curvature == pytest.approx(4.0)
    np.testing.assert_allclose(line.losses, 1.0 + 0.5 * 4.0 * (np.array(line.xs) * line.length) ** 2)


def test_filters_of_a_random_direction_are_as_long_as_the_weights(case: Small) -> None:
    ways = random_directions(case.landscape, case.flat, 3, 0)
    arrays = filters_of(case.landscape.like)
    assert [shape for _, shape in arrays] == [leaf.shape for leaf in jax.tree.leaves(case.weights)]
    for place, shape in arrays:
        for way in ways:
            if len(shape) > 1:
                lengths = np.linalg.norm(way[place].reshape(shape), axis=0)
                np.testing.assert_allclose(lengths, np.linalg.norm(case.flat[place].reshape(shape), axis=0))
            else:
                assert not way[place].any()
    assert abs(ways[0] @ ways[1]) < 0.9 * np.linalg.norm(ways[0]) * np.linalg.norm(ways[1])
    np.testing.assert_array_equal(ways, random_directions(case.landscape, case.flat, 3, 0))


def test_kernels_of_an_image_network_are_filters_too() -> None:
    case = small("cnn:3/4", "relu", rows=20, shape=(6, 6, 1), double=False)
    (way,) = random_directions(case.landscape, case.flat, 1, 0)
    place, shape = next((place, shape) for place, shape in filters_of(case.landscape.like) if shape == (9, 3))
    np.testing.assert_allclose(
        np.linalg.norm(way[place].reshape(shape), axis=0),
        np.linalg.norm(case.flat[place].reshape(shape), axis=0), rtol=1e-5,
    )  # fmt: skip
    losses = losses_at(case.landscape, case.flat, way[None], np.array([[0.0], [0.5]]))
    assert losses[1] == pytest.approx(float(jax.jit(plain_loss(case))(case.flat + 0.5 * way)), rel=1e-4)


def test_weights_without_a_matrix_are_one_filter() -> None:
    landscape = function_landscape(lambda w: jnp.sum(w**2), jnp.zeros(2))
    (way,) = random_directions(landscape, np.array([3.0, 4.0]), 1, 0)
    assert np.linalg.norm(way) == pytest.approx(5.0)
    (way,) = random_directions(landscape, np.zeros(2), 1, 0)
    assert np.linalg.norm(way) == pytest.approx(1.0)


def test_the_plane_of_a_path_explains_what_its_first_two_singular_values_hold(case: Small, path: Any) -> None:
    end = path[-1][1]
    offsets = np.stack([weights - end for _, weights in path])
    _, values, rows = np.linalg.svd(offsets, full_matrices=False)
    plane = plane_slice(case.landscape, end, "path", points=(3, 3), path=path)
    assert plane.explained == pytest.approx((values[:2] ** 2).sum() / (values**2).sum(), rel=1e-9)
    assert plane.cosine == pytest.approx(0.0, abs=1e-9)
    ways = path_directions(path, end, 2, 0)
    np.testing.assert_allclose(np.abs(np.diag(ways @ rows[:2].T)), 1.0, atol=1e-6)
    line = line_slice(case.landscape, end, "path", points=3, path=path)
    assert line.explained == pytest.approx(values[0] ** 2 / (values**2).sum(), rel=1e-9)
    assert min(plane.xs) < min(point.x for point in plane.path) <= max(point.x for point in plane.path) < max(plane.xs)
    by_chance = plane_slice(case.landscape, end, "random", points=(3, 3), path=path)
    assert by_chance.explained < plane.explained


def test_a_straight_path_still_spans_a_plane() -> None:
    path = [(step, np.array([1.0, 2.0, 3.0]) * (1 - step / 4)) for step in range(5)]
    ways = path_directions(path, np.zeros(3), 2, 0)
    np.testing.assert_allclose(ways @ ways.T, np.eye(2), atol=1e-12)
    _, off, share = placed(path, np.zeros(3), ways)
    assert off.max() < 1e-9
    assert share == pytest.approx(1.0)


def test_a_path_that_goes_nowhere_has_no_share() -> None:
    path = [(0, np.ones(3)), (1, np.ones(3))]
    ways = path_directions(path, np.ones(3), 2, 0)
    assert np.linalg.norm(ways, axis=1) == pytest.approx([1.0, 1.0])
    assert math.isnan(placed(path, np.ones(3), ways)[2])


@settings(max_examples=25)
@given(count=st.integers(1, 12), size=st.integers(2, 9), seed=st.integers(0, 9999))
def test_places_on_any_plane_are_the_nearest(count: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ways, center = rng.standard_normal((2, size)), rng.standard_normal(size)
    path = [(step, rng.standard_normal(size)) for step in range(count)]
    places, off, share = placed(path, center, ways)
    offsets = np.stack([weights - center for _, weights in path])
    left = offsets - offsets @ np.linalg.pinv(ways) @ ways
    np.testing.assert_allclose(off, np.linalg.norm(left, axis=1), atol=1e-8)
    np.testing.assert_allclose(places @ ways, offsets - left, atol=1e-7)
    assert share == pytest.approx(1 - (left**2).sum() / (offsets**2).sum(), abs=1e-8)


@pytest.mark.parametrize("count", [1, 2, 5, 129])
def test_points_are_the_same_however_many_go_side_by_side(count: int) -> None:
    landscape = function_landscape(lambda w: jnp.sum(w**4) + w[0], jnp.zeros(2))
    places = np.random.default_rng(0).standard_normal((count, 2))
    ways = np.array([[1.0, 2.0], [0.5, -1.0]])
    there = np.array([0.3, 0.4]) + places @ ways
    found = losses_at(landscape, np.array([0.3, 0.4]), ways, places)
    np.testing.assert_allclose(found, (there**4).sum(axis=1) + there[:, 0])


def test_a_sample_of_rows_is_stated(case: Small) -> None:
    rows = np.arange(0, 150, 3)
    plane = plane_slice(case.landscape, case.flat, points=(3, 3), sample=rows)
    assert (plane.rows, plane.all_rows) == (50, 150)
    assert plane.losses[1][1] == pytest.approx(case.landscape.value(case.flat, rows), rel=1e-6)


def test_what_cannot_be_drawn_is_said_in_one_sentence(case: Small) -> None:
    with pytest.raises(OptionError, match='no directions called "hesian"; nearest: "hessian"'):
        plane_slice(case.landscape, case.flat, "hesian")
    with pytest.raises(OptionError, match="at least two of its points"):
        line_slice(case.landscape, case.flat, "path", path=[(0, case.flat)])
    with pytest.raises(OptionError, match="take a line"):
        plane_slice(function_landscape(lambda w: w**2, jnp.zeros(())), np.ones(1), "hessian")


def test_slices_are_records(case: Small, path: Any) -> None:
    plane = plane_slice(case.landscape, path[-1][1], "random", points=(3, 2), path=path[:2])
    values = record_to_json(plane)
    assert values["losses"] == [list(row) for row in plane.losses]
    assert [each["update"] for each in values["path"]] == [0, 1]
    assert values["curvatures"] == []
