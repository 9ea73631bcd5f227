"""The named surfaces: their known minima by the gradient, their formulas by a second reading, their boxes."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from downslope.errors import OptionError
from downslope.models.surface import Surface, surface_of
from downslope.models.surface.named import SURFACES

ALL = pytest.mark.parametrize("surface", SURFACES.values(), ids=list(SURFACES))


@ALL
def test_at_every_known_minimum_the_slope_is_zero_and_the_value_the_known_one(surface: Surface) -> None:
    assert surface.minima
    for known in surface.minima:
        point = jnp.asarray(known.point)
        assert float(surface.function(point)) == pytest.approx(known.value, abs=2e-14)
        np.testing.assert_allclose(jax.grad(surface.function)(point), 0.0, atol=2e-12)
        assert all(low <= each <= high for each, (low, high) in zip(known.point, surface.box, strict=True))


@ALL
def test_known_minima_are_lower_than_all_around_them(surface: Surface) -> None:
    turns = np.linspace(0.0, 2.0 * math.pi, 24, endpoint=False)
    ways = np.column_stack([np.cos(turns), np.sin(turns)]) if len(surface.variables) == 2 else np.array([[1.0], [-1.0]])
    around = jax.jit(jax.vmap(surface.function))
    for known in surface.minima:
        values = np.asarray(around(np.array(known.point) + 1e-3 * ways))
        assert values.min() > known.value


@ALL
def test_no_point_of_the_box_is_lower_than_the_known_lowest(surface: Surface) -> None:
    assert surface.lowest is not None
    low, high = np.array(surface.box).T
    points = low + (high - low) * np.random.default_rng(0).random((20_000, low.size))
    assert float(jax.vmap(surface.function)(points).min()) >= surface.lowest
    assert surface.lowest == min(each.value for each in surface.minima)
    assert all(each.value == pytest.approx(surface.lowest, abs=1e-12) for each in surface.minima if each.lowest)


@ALL
def test_the_formula_says_what_the_function_does(surface: Surface) -> None:
    read = surface_of(f"({surface.formula})")
    assert read.variables == surface.variables
    low, high = np.array(surface.box).T
    points = low + (high - low) * np.random.default_rng(1).random((200, low.size))
    np.testing.assert_allclose(
        jax.vmap(read.function)(points), jax.vmap(surface.function)(points), rtol=1e-12, atol=1e-12
    )


@ALL
def test_gradients_agree_with_finite_differences(surface: Surface) -> None:
    low, high = np.array(surface.box).T
    step = 1e-5
    for point in low + (high - low) * np.random.default_rng(2).random((20, low.size)):
        found = np.asarray(jax.grad(surface.function)(jnp.asarray(point)))
        for index in range(low.size):
            ahead, behind = point.copy(), point.copy()
            ahead[index] += step
            behind[index] -= step
            slope = (float(surface.function(ahead)) - float(surface.function(behind))) / (2 * step)
            assert found[index] == pytest.approx(slope, rel=1e-5, abs=1e-4)


def test_the_two_valleys_are_where_their_slope_says() -> None:
    minima = {each.point[0]: each.value for each in SURFACES["two-valleys"].minima}
    slope = np.polynomial.Polynomial.fromroots([-2.0, 0.0, 1.0])
    curve = slope.integ()
    assert minima == pytest.approx({-2.0: float(curve(-2.0)), 1.0: float(curve(1.0))})


def test_names_are_found_whatever_their_case_and_misspelt_ones_are_told() -> None:
    assert surface_of(" Egg-Crate ") is SURFACES["egg-crate"]
    assert surface_of("six hump camel") is SURFACES["six-hump-camel"]
    with pytest.raises(OptionError, match=r'no surface called "himelblau"; nearest: "himmelblau"'):
        surface_of("himelblau")


def test_a_box_is_checked() -> None:
    assert surface_of("bowl", ((-1, 2),)).box == ((-1.0, 2.0), (-1.0, 2.0))
    with pytest.raises(OptionError, match="3 pairs, but there are 2 variables"):
        surface_of("bowl", ((-1, 2), (0, 1), (0, 1)))
    with pytest.raises(OptionError, match="from low to high, but one is 2 to 1"):
        surface_of("bowl", ((2, 1),))
    with pytest.raises(OptionError, match="a box is a pair of numbers"):
        surface_of("bowl", 3)  # pyright: ignore[reportArgumentType]
