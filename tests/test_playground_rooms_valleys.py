"""The room of starts and valleys: held to ``basins``, to plain descents, and to what is known of each surface."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from downslope import basins
from downslope.errors import OptionError
from downslope.playground.rooms.picture import Picture
from downslope.playground.rooms.valleys import Valleys, draw


def keys(picture: Picture) -> list[str]:
    return [each["say"] for each in picture.values["say"]]


def test_starts_reach_what_basins_says() -> None:
    picture = draw(Valleys(surface="himmelblau", rate=0.01, starts=500, seed=3))
    found = basins("himmelblau", 500, 300, rule="plain", learning_rate=0.01, seed=3)
    np.testing.assert_allclose(picture.arrays["origins"], found.origins)
    np.testing.assert_allclose(picture.arrays["ends"], found.ends, atol=1e-12)
    points = np.array([[each["x"], each["y"]] for each in picture.values["minima"]])
    others = np.array([each.point for each in found.minima])
    np.testing.assert_allclose(points[picture.arrays["reached"]], others[found.reached], atol=1e-9)


def test_small_steps_end_in_the_cell_of_their_start() -> None:
    picture = draw(Valleys(starts=500))
    minima = np.array([[each["x"], each["y"]] for each in picture.values["minima"]])
    reached = picture.arrays["reached"]
    assert (reached >= 0).all()
    # The 121 minima of the egg-crate lie next to whole numbers; far from the ridges each start keeps to its cell.
    origins = picture.arrays["origins"]
    inner = (np.abs(origins - origins.round()) < 0.35).all(axis=1)
    np.testing.assert_array_equal(minima[reached[inner]].round(), origins[inner].round())


def test_no_minimum_of_the_egg_crate_holds_a_rate_above_its_limit() -> None:
    # f'' at the centre is 2 + 40 pi^2, and at the minima farther out a little less.
    picture = draw(Valleys(starts=200))
    assert picture.values["steepest"] == pytest.approx(2 / (2 + 40 * math.pi**2), rel=0.05)
    above = draw(Valleys(starts=200, rate=0.02))
    assert sum(each["share"] for each in above.values["minima"]) < 0.5
    assert "starts-descending" in keys(above) or "starts-outside" in keys(above)


def test_the_way_of_ones_own_start_is_a_plain_descent() -> None:
    picture = draw(Valleys(surface="saddle", rate=0.05, start_x=2.0, start_y=1e-4, starts=100))
    path = picture.arrays["path"]
    at = np.array([2.0, 1e-4])
    for place in path:
        np.testing.assert_allclose(place, at, rtol=1e-6, atol=1e-9)
        gradient = np.array([2 * at[0], -2 * at[1] + at[1] ** 3])
        at = at - 0.05 * gradient
    x, y = path.T
    np.testing.assert_allclose(picture.arrays["path_loss"], x**2 - y**2 + y**4 / 4, atol=1e-12)
    np.testing.assert_allclose(picture.arrays["path_slope"], np.hypot(2 * x, -2 * y + y**3), atol=1e-12)


def test_a_saddle_is_lingered_at_and_left() -> None:
    picture = draw(Valleys(surface="saddle", rate=0.05, start_x=2.0, start_y=1e-4, starts=100))
    assert keys(picture)[-2:] == ["way-reached", "lingered-saddle"]
    told = picture.values["say"][-1]
    assert math.hypot(told["x"], told["y"]) < 0.05
    assert 0 < told["first"] < told["last"] < picture.values["way"]["steps"]


def test_a_plateau_is_no_saddle() -> None:
    picture = draw(Valleys(surface="plateau", rate=0.5, start_x=3.5, start_y=0.0, starts=100))
    assert keys(picture)[-2:] == ["way-reached", "lingered-level"]
    assert "starts-descending" in keys(picture) or "starts-plateau" in keys(picture)


def test_noise_leaves_a_saddle_that_exact_slopes_do_not() -> None:
    still = draw(Valleys(surface="saddle", rate=0.05, start_x=1.0, start_y=0.0, starts=100))
    assert still.values["way"]["reached"] == -1
    noisy = draw(Valleys(surface="saddle", rate=0.05, start_x=1.0, start_y=0.0, starts=100, noise=0.05))
    assert noisy.values["way"]["reached"] >= 0


def test_descents_that_run_away_are_told_of() -> None:
    picture = draw(Valleys(surface="himmelblau", rate=0.1, starts=200, start_x=4.5, start_y=4.5))
    assert "starts-diverged" in keys(picture)
    assert "way-broke" in keys(picture)
    assert np.isfinite(picture.arrays["path"]).all()


def test_an_expression_has_no_lowest_that_is_known() -> None:
    picture = draw(Valleys(surface="expression", rate=0.02, starts=100))
    assert picture.values["say"][0]["lowest"] is None
    with pytest.raises(OptionError, match="two weights"):
        draw(Valleys(surface="expression", expression="x**2"))


def test_the_rate_is_dragged_without_compiling() -> None:
    draw(Valleys(rate=0.001))
    began = time.perf_counter()
    draw(Valleys(rate=0.0011)).packed()
    assert time.perf_counter() - began < 0.4
