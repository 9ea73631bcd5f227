"""The room of starts and valleys: held to ``basins``, to plain descents, and to what is known of each surface."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

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


def test_the_share_at_the_lowest_is_told_where_the_lowest_is_known() -> None:
    picture = draw(Valleys(starts=500))
    told = next(each for each in picture.values["say"] if each["say"] == "starts-lowest")
    origins = picture.arrays["origins"]
    middle = (np.abs(origins) < 0.5).all(axis=1).mean()  # the cell of the lowest
    assert told["share"] == pytest.approx(middle, abs=0.01)


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
    assert keys(picture)[:2] == ["way-reached", "lingered-saddle"]
    told = picture.values["say"][1]
    assert math.hypot(told["x"], told["y"]) < 0.05
    assert 0 < told["first"] < told["last"] < picture.values["way"]["steps"]


def test_a_plateau_is_no_saddle() -> None:
    picture = draw(Valleys(surface="plateau", rate=0.5, start_x=3.5, start_y=0.0, starts=100))
    assert keys(picture)[:2] == ["way-reached", "lingered-level"]
    assert "starts-descending" in keys(picture) or "starts-plateau" in keys(picture)


def test_noise_leaves_a_saddle_that_exact_slopes_do_not() -> None:
    still = draw(Valleys(surface="saddle", rate=0.05, start_x=1.0, start_y=0.0, starts=100))
    assert still.values["way"]["reached"] == -1
    noisy = draw(Valleys(surface="saddle", rate=0.05, start_x=1.0, start_y=0.0, starts=100, slope_noise=0.05))
    assert noisy.values["way"]["reached"] >= 0


def test_descents_that_run_away_are_told_of() -> None:
    picture = draw(Valleys(surface="himmelblau", rate=0.1, starts=200, start_x=4.5, start_y=4.5))
    assert "starts-diverged" in keys(picture)
    assert "way-broke" in keys(picture)
    assert np.isfinite(picture.arrays["path"]).all()


def test_an_expression_has_no_lowest_that_is_known() -> None:
    picture = draw(Valleys(surface="expression", rate=0.02, starts=100))
    assert "starts-lowest" not in keys(picture)
    with pytest.raises(OptionError, match="two weights"):
        draw(Valleys(surface="expression", expression="x**2"))


def test_large_steps_leave_the_shallow_valley_and_then_the_deep_one_too() -> None:
    ways = {
        rate: draw(Valleys(surface="expression", rate=rate, starts=300, start_x=2.3, start_y=0.2))
        for rate in (0.05, 0.4, 1.2)
    }
    shares = {rate: [each["share"] for each in picture.values["minima"]] for rate, picture in ways.items()}
    assert shares[0.05][1] > 0.1  # of the shallow one, at x near 2
    assert shares[0.4] == [1.0, 0.0]
    assert sum(shares[1.2]) == 0.0
    assert [ways[rate].values["way"]["reached"] for rate in ways] == [1, 0, -1]
    told = {rate: next(each for each in picture.values["say"] if each["say"].startswith("minima-"))
            for rate, picture in ways.items()}  # fmt: skip
    assert told[0.05]["say"] == "minima-hold"
    assert [told[0.4]["holding"], told[1.2]["holding"]] == [1, 0]


def test_the_row_of_rates_has_what_each_rate_alone_reaches() -> None:
    settings = Valleys(surface="expression", rate=0.05, starts=100, start_x=2.3, start_y=0.2)
    picture = draw(settings)
    minima = picture.values["minima"]
    rates, reached = picture.arrays["rates"], picture.arrays["rates_reached"]
    for index in (60, 150, 210):
        alone = draw(replace(settings, rate=float(rates[index])))
        place = alone.values["way"]["reached"]
        if reached[index] < 0:
            assert place == -1
        else:
            assert alone.values["minima"][place]["x"] == pytest.approx(minima[reached[index]]["x"], abs=1e-3)
    assert {0, 1, -1} <= set(reached.tolist())


def test_the_row_of_rates_is_that_of_plain_descents() -> None:
    picture = draw(Valleys(surface="himmelblau", rate=0.01, starts=100, start_x=0.3, start_y=-0.2))
    minima = np.array([[each["x"], each["y"]] for each in picture.values["minima"]])
    at = np.tile([0.3, -0.2], (picture.arrays["rates"].size, 1))
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(300):
            x, y = at.T
            first, second = x**2 + y - 11, x + y**2 - 7
            slope = np.column_stack([4 * x * first + 2 * second, 2 * first + 4 * y * second])
            at = at - picture.arrays["rates"][:, None] * slope
        apart = np.linalg.norm(at[:, None] - minima, axis=2)
    landed = (apart < 1e-6).any(axis=1)
    reached = picture.arrays["rates_reached"]
    assert landed.sum() > 50
    np.testing.assert_array_equal(reached[landed], apart[landed].argmin(axis=1))
    far = ~(np.abs(at[:, None] - minima).max(axis=2) < 0.5).any(axis=1)
    assert far.sum() > 50
    assert (reached[far] == -1).all()


def test_a_step_over_a_ridge_is_told_of() -> None:
    picture = draw(Valleys(rate=0.012, starts=100))
    jumps, path = picture.values["way"]["jumps"], picture.arrays["path"]
    assert jumps
    assert {each["step"] for each in picture.values["steps_say"] if each["say"] == "step-over-ridge"} == set(jumps)

    def height(points: np.ndarray) -> np.ndarray:
        return 20 + (points**2 - 10 * np.cos(2 * np.pi * points)).sum(axis=-1)

    for step, (before, after) in enumerate(pairwise(path), 1):
        line = height(before + np.linspace(0, 1, 400)[:, None] * (after - before))
        over = line.max() > max(line[0], line[-1]) + 1e-6
        if step in jumps:
            assert over
        elif line.max() > max(line[0], line[-1]) + 1.0:
            pytest.fail(f"step {step} crossed a ridge that was not told of")


def test_a_minimum_that_only_ones_own_start_reaches_is_in_the_list_with_no_share() -> None:
    # Of a hundred starts on 121 cells some cells have none.
    drawn = draw(Valleys(starts=100))
    seen = {(round(each["x"]), round(each["y"])) for each in drawn.values["minima"]}
    lonely = next((x, y) for x in range(-4, 5) for y in range(-4, 5) if (x, y) not in seen)
    picture = draw(Valleys(starts=100, start_x=lonely[0] + 0.1, start_y=lonely[1] + 0.1))
    mine = picture.values["minima"][picture.values["way"]["reached"]]
    assert (round(mine["x"]), round(mine["y"])) == lonely
    assert (mine["starts"], mine["share"]) == (0, 0.0)


@pytest.mark.parametrize("settings", [
    Valleys(surface="himmelblau", rate=0.01, starts=200, seed=3),
    Valleys(surface="expression", rate=0.05, starts=100, start_x=2.3, start_y=-9.0, slope_noise=0.01),
])  # fmt: skip
def test_the_python_it_gives_goes_the_same_ways(settings: Valleys) -> None:
    picture = draw(settings)
    ran: dict[str, Any] = {}
    exec(picture.values["code"], ran)
    np.testing.assert_allclose(ran["found"].ends, picture.arrays["ends"], atol=1e-9)
    ours = picture.arrays["path"]
    np.testing.assert_allclose(ran["mine"].path[: len(ours), 0], ours, atol=1e-9)
    shares = {each["share"] for each in picture.values["minima"] if each["starts"]}
    assert {each.share for each in ran["found"].minima} == shares


@pytest.mark.alone
def test_a_drag_goes_without_compiling() -> None:
    draw(Valleys(rate=0.001))
    for changed in (Valleys(rate=0.0011), Valleys(rate=0.001, start_x=2.5)):
        began = time.perf_counter()
        draw(changed).packed()
        assert time.perf_counter() - began < 0.4
