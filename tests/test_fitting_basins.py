"""Which start reaches which minimum: known minima, shares, and the effects of rate and noise, in numbers."""

from __future__ import annotations

import math
import time
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from downslope.errors import OptionError
from downslope.fitting import basins
from downslope.models.surface.named import SURFACES
from downslope.records.surface import Basins, Stop


@cache
def himmelblau() -> Basins:
    return basins("himmelblau")


def two_valleys(rate: float, start: float = 2.0) -> Basins:
    return basins("two-valleys", [[start]], 400, rule="plain", learning_rate=rate, keep=1)


def shares(found: Basins) -> dict[float, float]:
    """Return the share of the starts in the deep valley, at -2, and in the shallow one, at 1."""
    return {round(each.point[0], 3): each.share for each in found.minima}


def test_himmelblau_has_four_minima_that_share_all_starts() -> None:
    found = himmelblau()
    assert found.starts == 10_000
    assert len(found.minima) == 4
    known = sorted(each.point for each in SURFACES["himmelblau"].minima)
    np.testing.assert_allclose(sorted(each.point for each in found.minima), known, atol=1e-9)
    assert all(each.known and each.lowest and each.stop is Stop.MINIMUM for each in found.minima)
    assert all(abs(each.value) < 1e-15 for each in found.minima)
    assert found.share_reached + sum(found.elsewhere.values()) == pytest.approx(1.0)
    assert all(0.2 < each.share < 0.3 for each in found.minima)
    counts = np.bincount(found.reached[found.reached >= 0], minlength=4)
    assert counts.tolist() == [each.starts for each in found.minima]


def test_the_minimum_of_a_start_is_the_one_that_gradient_flow_reaches() -> None:
    found = himmelblau()
    slope = jax.jit(jax.vmap(jax.grad(SURFACES["himmelblau"].function)))
    some = np.arange(0, 10_000, 50)
    points = jnp.asarray(found.origins[some])
    walk = jax.jit(lambda first: jax.lax.fori_loop(0, 20_000, lambda _, each: each - 2e-4 * slope(each), first))
    ends = np.asarray(walk(points))
    centers = np.array([each.point for each in found.minima])
    nearest = np.linalg.norm(ends[:, None] - centers, axis=2).argmin(axis=1)
    arrived = found.reached[some] >= 0
    assert arrived.mean() > 0.95
    assert (nearest == found.reached[some])[arrived].mean() > 0.99


def test_every_cell_of_the_egg_crate_is_found() -> None:
    found = basins("egg-crate")
    assert len(found.minima) == 121
    assert all(each.known for each in found.minima)
    assert [each.lowest for each in found.minima] == [True] + [False] * 120
    assert found.minima[0].point == pytest.approx((0.0, 0.0), abs=1e-9)
    assert found.share_reached > 0.95
    assert np.diff([each.value for each in found.minima]).min() > -1e-9


@pytest.mark.alone
def test_ten_thousand_starts_take_less_than_a_second_once_compiled() -> None:
    seconds = [basins("himmelblau", rule="plain", learning_rate=1e-3).seconds for _ in range(2)]
    assert min(each["descend"] for each in seconds) < 1.0


@pytest.mark.parametrize("name", SURFACES)
def test_what_is_found_of_a_named_surface_is_what_is_known_of_it(name: str) -> None:
    surface = SURFACES[name]
    found = basins(surface, 1024)
    assert found.minima
    assert found.minima[0].lowest
    assert found.minima[0].value == pytest.approx(surface.lowest, abs=1e-9)
    if surface.complete:
        assert all(each.known for each in found.minima)
        assert len(found.minima) <= len(surface.minima)
    smooth = [each.point for each in found.minima if not (name == "ackley" and each.lowest)]  # its lowest is a tip
    slopes = np.asarray(jax.vmap(jax.grad(surface.function))(np.array(smooth)))
    np.testing.assert_allclose(slopes, 0.0, atol=1e-6)
    assert found.share_reached + sum(found.elsewhere.values()) == pytest.approx(1.0)


def test_small_steps_stay_in_the_shallow_valley() -> None:
    assert shares(two_valleys(0.05)) == {1.0: 1.0}


def test_large_steps_leave_the_shallow_valley_for_the_deep_one() -> None:
    found = two_valleys(0.3)
    assert shares(found) == {-2.0: 1.0}
    assert found.path[1, 0, 0] == pytest.approx(2.0 - 0.3 * 2.0 * 1.0 * 4.0)  # beyond the ridge at 0 in one step


def test_larger_steps_jump_over_the_deep_valley_too() -> None:
    found = two_valleys(0.6)
    assert found.path[1, 0, 0] == pytest.approx(-2.8)
    assert found.path[2, 0, 0] > 1.0
    assert not found.minima
    assert found.elsewhere == {"diverged": 1.0}


def test_the_stability_limit_of_a_valley_is_two_over_its_curvature() -> None:
    # f'' is 3 at the shallow minimum and 6 at the deep one: just below 2/3 and 1/3 steps die away, just above never.
    for start, limit in ((1.01, 2 / 3), (-1.99, 1 / 3)):
        below, above = two_valleys(0.95 * limit, start=start), two_valleys(1.05 * limit, start=start)
        assert below.updates[0] < 300
        assert below.ends[0, 0] == pytest.approx(round(start), abs=1e-9)
        assert above.updates[0] == 400
        assert abs(above.ends[0, 0] - round(start)) > 0.05


def test_noise_crosses_the_low_barrier_and_not_the_high_one() -> None:
    starts = np.repeat([[1.0], [-2.0]], 500, axis=0)

    def in_the_deep_one(noise: float) -> tuple[float, float]:
        """Return the share that ends in the deep valley of those that start in the shallow one, and in the deep one."""
        found = basins("two-valleys", starts, 1000, rule="plain", learning_rate=0.05, noise=noise)
        assert found.minima[0].point == pytest.approx((-2.0,), abs=1e-9)
        return float((found.reached[:500] == 0).mean()), float((found.reached[500:] == 0).mean())

    assert in_the_deep_one(0.0) == (0.0, 1.0)
    assert in_the_deep_one(0.5) == (0.0, 1.0)
    crossed, stayed = in_the_deep_one(3.0)
    assert crossed > 0.8
    assert stayed > 0.9


def test_a_start_on_the_ridge_of_a_saddle_stays_there() -> None:
    found = basins("saddle", [[1.0, 0.0], [1.0, 1e-3], [-1.0, -1e-3]], 1000, rule="plain", learning_rate=0.05)
    assert found.elsewhere == {"saddle": pytest.approx(1 / 3)}
    assert found.reached.tolist() == [-1, 0, 1]
    assert [each.value for each in found.minima] == pytest.approx([-1.0, -1.0])


def test_a_start_on_a_plateau_is_said_to_be_on_one() -> None:
    found = basins("plateau", [[6.0, 6.0], [1.0, 1.0]], 200, rule="plain", learning_rate=0.5)
    assert found.elsewhere == {"plateau": 0.5}
    assert found.reached.tolist() == [-1, 0]


def test_an_expression_has_a_lowest_found_and_no_global_minimum() -> None:
    found = basins("x**4 - 3*x**2 + x + y**2", 2000)
    roots = np.sort(np.roots([4.0, 0.0, -6.0, 1.0]).real)
    np.testing.assert_allclose([each.point[0] for each in found.minima], roots[[0, 2]], atol=1e-9)
    assert not any(each.known or each.lowest for each in found.minima)
    assert math.isnan(found.lowest_known)


def test_a_level_valley_floor_is_one_minimum() -> None:
    found = basins("(x - y)**2", 3000)
    assert len(found.minima) == 1
    assert found.minima[0].stop is Stop.FLAT_MINIMUM
    assert found.share_reached == 1.0


def test_the_tip_of_a_corner_is_a_minimum_and_a_slope_beside_one_is_none() -> None:
    found = basins("abs(x - 1) + abs(y)*2", 400)
    assert [each.point for each in found.minima] == [pytest.approx((1.0, 0.0), abs=1e-6)]
    assert found.minima[0].stop is Stop.MINIMUM
    assert found.share_reached == 1.0
    slope = basins("abs(x) + 3*y", 400, 100, rule="plain", learning_rate=0.01)
    assert not slope.minima


def test_a_constant_has_no_minimum_and_an_endless_slope_none_either() -> None:
    assert basins("x - x", 100).elsewhere == {"plateau": 1.0}
    assert basins("x + y", 100, rule="plain", learning_rate=1.0).elsewhere == {"outside the box": 1.0}


def test_a_function_of_ones_own_with_its_box() -> None:
    def three(v: jax.Array) -> jax.Array:
        return jnp.sum((v**2 - 1.0) ** 2) + 0.1 * v[0]

    found = basins(three, 4000, box=((-2, 2), (-2, 2), (-2, 2)))
    assert len(found.minima) == 8
    assert found.variables == ("x", "y", "z")
    assert all(each.point[0] < 0 for each in found.minima[:4])
    assert found.surface == "three"


def test_the_same_seed_gives_the_same_bits_and_another_seed_other_starts() -> None:
    first, again, other = (
        basins("himmelblau", 500, 50, seed=seed, learning_rate=1e-3, rule="plain") for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first.ends, again.ends)
    assert (first.origins != other.origins).all()


def test_what_was_chosen_has_its_evidence() -> None:
    found = himmelblau()
    (rate,) = [each for each in found.choices if each.name == "learning_rate"]
    best = max(each["arrived"] for each in rate.candidates)
    taken = [each for each in rate.candidates if each["learning_rate"] == rate.value]
    assert taken[0]["arrived"] >= best - 0.01
    assert found.learning_rate == rate.value
    assert basins("rosenbrock", 1000).rule == "adam"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"surface": "two-valleys", "starts": [[9.0]]}, "x = 9 lies outside the box of two-valleys, -3.5 to 2.5"),
        ({"surface": "two-valleys", "starts": [[math.nan]]}, "lies outside the box"),
        ({"surface": "bowl", "starts": [[1.0]]}, "has 2 numbers"),
        ({"surface": "bowl", "starts": "many"}, "starts must be a count or points"),
        ({"surface": "bowl", "starts": 0}, "starts must be a whole number of at least 1"),
        ({"surface": "bowl", "steps": 0}, "steps must be a whole number"),
        ({"surface": "bowl", "noise": -1.0}, "noise must be a number of at least 0"),
        ({"surface": "bowl", "learning_rate": -1.0}, "learning-rate must be"),
        ({"surface": "bowl", "rule": "newton"}, "rule must be"),
        ({"surface": "bowl", "rule": 3}, "a rule is a name or an Optax transformation"),
        ({"surface": "log(-x - 9)"}, "not a finite number anywhere in its box"),
        ({"surface": 3}, "basins needs a surface"),
        ({"surface": jnp.sum}, "a function needs the box"),
        ({"surface": lambda v: v, "box": ((0, 1),)}, "must give one number for a vector"),
    ],
)
@pytest.mark.alone
def test_bad_input_is_one_sentence(settings: dict[str, object], sentence: str) -> None:
    began = time.perf_counter()
    with pytest.raises(OptionError, match=sentence):
        basins(**settings)  # pyright: ignore[reportArgumentType]
    assert time.perf_counter() - began < 10.0
