"""The rooms of one weight and of two: the published exercise numbers, and pictures held to closed forms."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import numpy as np
import pytest

from downslope.errors import InputError, OptionError
from downslope.models.surface import surface_of
from downslope.models.surface.named import SURFACES
from downslope.playground.rooms import one_weight, rooms, tables, two_weights
from downslope.playground.rooms.one_weight import OneWeight
from downslope.playground.rooms.picture import Picture
from downslope.playground.rooms.table import rows_of, settings_from
from downslope.playground.rooms.two_weights import TwoWeights

POUNDS = np.array([3.5, 3.69, 3.44, 3.43, 4.34, 4.42, 2.37])
MILES = np.array([18.0, 15.0, 18.0, 16.0, 15.0, 14.0, 24.0])


def keys(picture: Picture) -> list[str]:
    return [each["say"] for each in picture.values["say"]]


def steps_said(picture: Picture) -> list[str]:
    return [each["say"] for each in picture.values["steps_say"]]


def ran(code: str) -> Any:
    """Run the Python that a picture says does the same, and return what it found."""
    names: dict[str, Any] = {"print": lambda *_: None}
    exec(code, names)
    return names["found"]


@pytest.mark.parametrize(("rate", "steps"), [(0.1, 81), (1.0, 6), (1.6, 1)])
def test_the_exercise_takes_the_published_steps(rate: float, steps: int) -> None:
    picture = one_weight.draw(OneWeight(rate=rate))
    assert picture.values["needed"] == steps
    assert picture.values["verdict"] == "converged"
    assert picture.values["limit"] == pytest.approx(3.2)
    assert picture.values["best"] == pytest.approx(1.6)
    assert keys(picture)[0] == "run-landed"


def test_rate_four_diverges_and_every_step_says_by_how_much() -> None:
    picture = one_weight.draw(OneWeight(rate=4.0))
    assert picture.values["verdict"] == "diverged"
    assert picture.values["needed"] is None
    assert keys(picture) == ["run-diverged", "rate-diverges"]
    assert set(steps_said(picture)) == {"overshot-grew"}
    for told in picture.values["steps_say"]:
        assert told["factor"] == pytest.approx(1.5)
        assert told["limit"] == pytest.approx(3.2)


@pytest.mark.parametrize("rate", [0.05, 0.7, 1.3, 2.9])
def test_every_iterate_is_that_of_the_closed_form(rate: float) -> None:
    picture = one_weight.draw(OneWeight(rate=rate, start=3.0, steps=50))
    path = picture.arrays["path"]
    expected = 3.0 * (1.0 - 0.625 * rate) ** np.arange(path.shape[0])
    np.testing.assert_allclose(path[:, 0], expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(path[:, 1], 0.3125 * expected**2, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(path[:, 2], 0.625 * expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(picture.arrays["error"], np.abs(expected / 3.0), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("rate", "zone", "step"),
    [(0.1, "rate-slow", "closer"), (1.0, "rate-sweet", "closer"), (1.6, "rate-sweet", "landed"),
     (2.5, "rate-overshoots", "overshot"), (3.3, "rate-diverges", "overshot-grew")],
)  # fmt: skip
def test_the_zones_of_the_rate_axis(rate: float, zone: str, step: str) -> None:
    picture = one_weight.draw(OneWeight(rate=rate))
    assert keys(picture)[1] == zone
    assert steps_said(picture)[0] == step
    zones = picture.values["zones"]
    assert 0 < zones["least"] < zones["slow"] < zones["best"] < zones["limit"] < zones["most"]
    # At the border of too slow, the tolerance is reached after exactly ten steps.
    assert (1 - zones["slow"] * 0.625) ** 10 == pytest.approx(0.0055)


def test_momentum_has_a_limit_of_its_own() -> None:
    limit = one_weight.draw(OneWeight(rule="momentum", rate=0.1)).values["limit"]
    assert limit == pytest.approx(2 * (1 + 0.9) / 0.625)
    assert one_weight.draw(OneWeight(rule="momentum", rate=0.98 * limit, steps=2000)).values["verdict"] != "diverged"
    assert one_weight.draw(OneWeight(rule="momentum", rate=1.02 * limit, steps=2000)).values["verdict"] == "diverged"
    assert math.isnan(one_weight.draw(OneWeight(rule="adam")).values["limit"])


@pytest.mark.parametrize(("rate", "ends"), [(0.05, 1.0), (0.3, -2.0)])
def test_the_step_decides_between_two_valleys(rate: float, ends: float) -> None:
    picture = one_weight.draw(OneWeight(function="two-valleys", start=2.0, rate=rate))
    assert picture.values["minimum"]["at"] == pytest.approx(ends)
    assert ("jumped" in steps_said(picture)) == (ends == -2.0)
    assert ("run-other-valley" in keys(picture)) == (ends == 1.0)
    for told in picture.values["steps_say"]:
        assert told["say"] != "jumped" or told["over"] == pytest.approx(0.0, abs=0.01)  # its slope is x (x - 1) (x + 2)


def test_two_valleys_are_left_altogether_at_a_long_step() -> None:
    assert one_weight.draw(OneWeight(function="two-valleys", start=2.0, rate=0.6)).values["verdict"] == "diverged"


def test_the_slope_of_the_cars_alone() -> None:
    picture = one_weight.draw(OneWeight(function="cars", start=0.0, rate=0.01))
    curvature = 2 * (POUNDS**2).mean()
    assert picture.values["curvature"] == pytest.approx(curvature)
    assert picture.values["minimum"]["at"] == pytest.approx(np.polyfit(POUNDS, MILES, 1)[0])
    assert picture.values["minimum"]["loss"] == pytest.approx(1.470, abs=5e-4)


def test_an_expression_without_a_minimum_says_so() -> None:
    picture = one_weight.draw(OneWeight(function="expression", expression="x", start=0.0, rate=0.1, steps=20))
    assert picture.values["minimum"] is None
    assert keys(picture) == ["run-no-minimum"]
    assert picture.arrays["error"].size == 0
    assert set(steps_said(picture)) == {"moved"}


@pytest.mark.parametrize(
    "settings",
    [OneWeight(rate=0.9), OneWeight(function="two-valleys", start=2.0, rate=0.3, steps=30),
     OneWeight(function="cars", start=1.0, rate=0.01, rule="adam"),
     OneWeight(function="expression", expression="x**2 + sin(3*x)", start=1.5, rate=0.05)],
)  # fmt: skip
def test_the_code_of_one_weight_does_the_same(settings: OneWeight) -> None:
    picture = one_weight.draw(settings)
    path = picture.arrays["path"][:, 0]
    np.testing.assert_allclose(ran(picture.values["code"]).path[: path.size, 0, 0], path, rtol=1e-9, atol=1e-8)


def test_seven_cars_as_published() -> None:
    picture = two_weights.draw(TwoWeights())
    a = picture.values["points"][0]
    assert a["loss"] == pytest.approx(303.71, abs=0.005)
    assert a["gradient"] == pytest.approx([-119.7, -34.3], abs=0.05)
    (minimum,) = picture.values["minima"]
    assert (minimum["x"], minimum["y"]) == pytest.approx((-4.569, 33.585), abs=5e-4)
    assert minimum["loss"] == pytest.approx(1.470, abs=5e-4)
    shape = picture.values["shape"]
    assert shape["largest"] == pytest.approx(28.65, abs=0.006)
    assert shape["smallest"] == pytest.approx(0.056, abs=5e-4)
    assert shape["kappa"] == pytest.approx(512, abs=0.5)
    assert shape["limit"] == pytest.approx(0.0698, abs=5e-5)
    assert picture.values["unscaled"] is None
    (run,) = picture.values["runs"]
    assert (run["needed"], run["verdict"]) == (2284, "converged")


def test_seven_cars_scaled_take_one_step() -> None:
    picture = two_weights.draw(TwoWeights(scale=True, rate=0.5))
    assert picture.values["runs"][0]["needed"] == 1
    assert picture.values["shape"]["kappa"] == pytest.approx(1.0)
    assert picture.values["shape"]["largest"] == pytest.approx(2.0)
    assert picture.values["unscaled"]["kappa"] == pytest.approx(512, abs=0.5)
    np.testing.assert_array_equal(picture.arrays["table"], np.column_stack([POUNDS, MILES]))


def test_seven_cars_above_the_limit_run_away() -> None:
    picture = two_weights.draw(TwoWeights(rate=0.071))
    assert picture.values["runs"][0]["verdict"] == "diverged"
    assert keys(picture)[0] == "ran-away"
    assert "rate-above" in keys(picture)


def test_a_b_and_c_have_the_signs_of_the_slope() -> None:
    points = {
        each["name"]: each for each in two_weights.draw(TwoWeights(surface="bowl", start_x=-2.0)).values["points"]
    }
    assert np.sign(points["A"]["gradient"]).tolist() == [-1, 0]
    assert points["B"]["gradient"] == [0, 0]
    assert np.sign(points["C"]["gradient"]).tolist() == [1, 0]


def test_the_heights_are_those_of_the_surface() -> None:
    picture = two_weights.draw(TwoWeights(surface="himmelblau", start_x=0.0, start_y=0.0, rate=0.01, steps=200))
    x, y = np.meshgrid(np.linspace(-5, 5, 97), np.linspace(-5, 5, 97))
    np.testing.assert_allclose(picture.arrays["heights"], (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2, rtol=1e-9)
    assert len(picture.values["minima"]) == 4


def test_rules_race_from_one_start() -> None:
    picture = two_weights.draw(
        TwoWeights(surface="long-valley", rules="plain, momentum, adam@0.5", start_x=4.0, start_y=1.0, rate=0.015)
    )
    runs = {each["rule"]: each for each in picture.values["runs"]}
    assert list(runs) == ["plain", "momentum", "adam"]
    assert runs["adam"]["rate"] == 0.5
    # Along the valley each plain step leaves 1 - 0.015 of the way, and the loss its square, next to one across.
    across = 50 * (1 - 100 * 0.015) ** (2 * np.arange(2501))
    losses = 8 * (1 - 0.015) ** (2 * np.arange(2501)) + across
    assert runs["plain"]["needed"] == int(np.argmax(losses <= 0.01 * losses[0]))
    assert runs["momentum"]["needed"] < runs["plain"]["needed"]
    for rule in runs:
        assert picture.arrays[f"path:{rule}"][0].tolist() == [4.0, 1.0]
        assert picture.arrays[f"loss:{rule}"].shape[0] == picture.arrays[f"path:{rule}"].shape[0]
    assert "race-won" in keys(picture)


def test_minima_of_an_expression_are_found() -> None:
    picture = two_weights.draw(TwoWeights(surface="expression", rate=0.05, start_x=2.0, steps=300))
    # The slope of x**4 - 3*x**2 + x is 4 x**3 - 6 x + 1.
    roots = sorted(np.roots([4, 0, -6, 1]).real)
    assert sorted(each["x"] for each in picture.values["minima"]) == pytest.approx([roots[0], roots[2]])
    assert [each["lowest"] for each in picture.values["minima"]] == [True, False]


def test_two_columns_of_ones_own() -> None:
    x, y = np.array([1.0, 2.0, 3.0, 5.0]), np.array([2.0, 4.1, 5.9, 9.0])
    data = "1 2; 2,4.1\n3\t5.9 ;5 9;"
    picture = two_weights.draw(TwoWeights(surface="data", data=data, rate=0.01))
    slope, intercept = np.polyfit(x, y, 1)
    assert picture.values["minima"][0]["x"] == pytest.approx(slope)
    assert picture.values["minima"][0]["y"] == pytest.approx(intercept)
    design = np.column_stack([x, np.ones(4)])
    assert picture.values["shape"]["largest"] == pytest.approx(np.linalg.eigvalsh(2 * design.T @ design / 4)[-1])


@pytest.mark.parametrize(
    "settings",
    [TwoWeights(rate=0.03, steps=100), TwoWeights(scale=True, rate=0.3, steps=20, loss="absolute"),
     TwoWeights(loss="huber", steps=50), TwoWeights(surface="beale", rules="adam", rate=0.1, steps=60),
     TwoWeights(surface="expression", rate=0.05, start_x=1.0, steps=40)],
)  # fmt: skip
def test_the_code_of_two_weights_does_the_same(settings: TwoWeights) -> None:
    picture = two_weights.draw(settings)
    path = picture.arrays[f"path:{settings.rules}"]
    np.testing.assert_allclose(ran(picture.values["code"]).path[: path.shape[0], 0], path, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    ("settings", "words"),
    [(TwoWeights(surface="data"), "two columns"), (TwoWeights(surface="data", data="1 2"), "two rows"),
     (TwoWeights(surface="data", data="1 2;3 x"), "3 x"), (TwoWeights(surface="data", data="1 2;1 3"), "value of x"),
     (TwoWeights(surface="data", data=";".join("1 2" for _ in range(1100))), "1,000"),
     (TwoWeights(surface="expression", expression="x**2"), "two weights"), (TwoWeights(rules="sgd"), "sgd"),
     (TwoWeights(rules=""), "one to 4"), (TwoWeights(rules="plain@x"), "plain@x"),
     (TwoWeights(surface="expression", expression="__import__('os')"), "no function")],
)  # fmt: skip
def test_what_cannot_be_drawn_is_one_sentence(settings: TwoWeights, words: str) -> None:
    with pytest.raises(InputError, match=words):
        two_weights.draw(settings)


@pytest.mark.parametrize(
    ("state", "words"),
    [({"rate": -1}, "from 1e-06"), ({"rate": "1"}, "a number"), ({"rate": float("nan")}, "a number"),
     ({"rate": True}, "a number"), ({"steps": 1.5}, "whole"), ({"function": "bowl"}, "one of"), ({"speed": 1}, "speed"),
     ({"expression": "x" * 201}, "200 letters"), ([], "object")],
)  # fmt: skip
def test_settings_outside_their_limits_are_refused(state: object, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        settings_from(OneWeight, state)


def test_settings_left_out_are_at_their_default() -> None:
    assert settings_from(OneWeight, {"rate": 2}) == OneWeight(rate=2.0)
    assert settings_from(TwoWeights, {"scale": True, "steps": 5}) == TwoWeights(scale=True, steps=5)


def test_the_named_surfaces_are_those_of_the_models() -> None:
    assert set(two_weights.SURFACES) == {name for name, each in SURFACES.items() if len(each.variables) == 2}
    assert surface_of("two-valleys").variables == ("x",)


def test_the_tables_of_the_front_end_are_those_of_the_rooms(root: Any) -> None:
    written = (root / tables.FILE).read_text(encoding="utf-8")
    assert written == tables.tables_text(), "write it again: python -m downslope.playground.rooms.tables"


def test_every_table_holds_together() -> None:
    for room in rooms().values():
        shorts = [each.short for each in rows_of(room.settings).values()]
        assert len(set(shorts)) == len(shorts)
        assert not {"room", "lang"} & set(shorts)
        assert settings_from(room.settings, {name: row.default for name, row in rows_of(room.settings).items()})


@pytest.mark.parametrize("name", ["one-weight", "two-weights"])
def test_pictures_are_plain_and_small(name: str) -> None:
    room = rooms()[name]
    assert room.draw is not None
    content, buffers = room.draw(room.settings()).packed()
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    for told, each in zip(content["arrays"], buffers, strict=True):
        assert len(each) == 4 * math.prod(told["shape"])


@pytest.mark.parametrize("name", ["one-weight", "two-weights"])
@pytest.mark.alone
def test_a_drag_redraws_well_under_fifty_milliseconds(name: str) -> None:
    room = rooms()[name]
    assert room.draw is not None
    room.draw(room.settings())
    seconds: list[float] = []
    for index in range(20):
        began = time.perf_counter()
        room.draw(room.settings(rate=0.01 + 0.002 * index)).packed()
        seconds.append(time.perf_counter() - began)
    assert sorted(seconds)[10] < 0.025
