"""The room of batches: updates as published, ways as NumPy takes them, clouds as wide as sampling theory says."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from downslope.data.batches import order
from downslope.errors import InputError
from downslope.playground.rooms.batches import MOMENTS, SOURCES, WAYS, Batches, draw

OWN = "1 2.5; 2 3; 3.5 5; 4 4; 7 9.25"


def test_twenty_epochs_over_a_thousand_examples_as_published() -> None:
    picture = draw(Batches(examples=1000, passes=20, batch=100, rate=0.01))
    assert {each["name"]: each["updates"] for each in picture.values["ways"]} == {
        "full": 20,
        "mini": 200,
        "one": 20_000,
    }
    for name in WAYS:
        way = picture.arrays[f"way:{name}"]
        assert way.shape[0] <= MOMENTS + 1
        assert way[0, 3:5].tolist() == [-2.0, -2.0]
        assert way[-1, 1] == 20_000


@pytest.mark.parametrize("source", SOURCES)
def test_ways_are_those_of_plain_descent(source: str) -> None:
    settings = Batches(source=source, data=OWN, examples=30, batch=3, passes=2, rate=0.05, seed=4)
    picture = draw(settings)
    x, y = picture.arrays["table"].T
    rows = x.size
    for name, batch in (("full", rows), ("mini", 3), ("one", 1)):
        at, places = np.array([-2.0, -2.0]), [np.array([-2.0, -2.0])]
        for epoch in range(2):
            drawn = order(rows, 4, epoch)
            for first in range(0, rows // batch * batch, batch):
                some = drawn[first : first + batch]
                misses = at[0] * x[some] + at[1] - y[some]
                at = at - 0.05 * 2 * np.array([(misses * x[some]).mean(), misses.mean()])
                places.append(at)
        way = picture.arrays[f"way:{name}"]
        np.testing.assert_allclose(way[:, 3:5], places, rtol=1e-12)
        losses = [((w * x + b - y) ** 2).mean() for w, b in places]
        np.testing.assert_allclose(way[:, 5], losses, rtol=1e-9)


def test_the_cloud_and_the_noise_scale_are_those_of_the_examples() -> None:
    picture = draw(Batches(batch=5, noise=2.0))
    x, y = picture.arrays["table"].T
    misses = -2.0 * x - 2.0 - y
    each = 2 * np.column_stack([misses * x, misses])
    whole = each.mean(axis=0)
    np.testing.assert_allclose(picture.values["gradient"], whole)
    spread = ((each - whole) ** 2).sum() / x.size
    assert picture.values["noise_scale"] == pytest.approx(spread / (whole @ whole))
    sizes, measured, expected = picture.arrays["scatter"].T
    assert sizes[0] == 1
    assert sizes[-1] == x.size
    np.testing.assert_allclose(expected**2, spread / sizes * (x.size - sizes) / (x.size - 1), atol=1e-12)
    np.testing.assert_allclose(measured[:-1], expected[:-1], rtol=0.2)
    assert measured[-1] == pytest.approx(0.0, abs=1e-12)
    cloud = picture.arrays["cloud"] - whole
    assert np.sqrt((cloud**2).sum(axis=1).mean()) == pytest.approx(np.interp(5, sizes, measured), rel=0.1)


def test_the_cloud_moves_with_the_way() -> None:
    start, end = (draw(Batches(moment=moment)) for moment in (0.0, 1.0))
    assert start.values["at"] == [-2.0, -2.0]
    assert end.values["at"] == pytest.approx(end.arrays["way:full"][-1, 3:5].tolist())
    assert end.values["noise_scale"] > start.values["noise_scale"]


def test_above_the_limit_all_data_diverge() -> None:
    picture = draw(Batches(rate=1.2, passes=50))
    assert picture.values["limit"] == pytest.approx(1.0)  # of a standardised x the Hessian is 2 I
    assert picture.values["ways"][0]["verdict"] == "diverged"
    assert picture.values["say"][0]["say"] == "way-diverged"
    assert np.isfinite(picture.arrays["way:full"]).all()


@pytest.mark.alone
def test_seconds_grow_with_the_batch() -> None:
    ways = draw(Batches(examples=1000)).values["ways"]
    assert ways[0]["seconds_an_update"] > ways[1]["seconds_an_update"] > ways[2]["seconds_an_update"] > 0


@pytest.mark.parametrize("source", SOURCES)
def test_the_python_it_gives_goes_the_same_ways(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    picture = draw(Batches(source=source, data=OWN, examples=40, batch=3, passes=2, seed=5, noise=0.5))
    exec(picture.values["code"], {})
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    ways = picture.values["ways"]
    assert [(name, int(updates)) for name, updates, *_ in told] == [(each["name"], each["updates"]) for each in ways]
    # Rates are float32 there.
    np.testing.assert_allclose([float(each[-1]) for each in told], [each["loss"] for each in ways], rtol=1e-5)


def test_the_lowest_way_is_told_of_first() -> None:
    picture = draw(Batches())
    losses = {each["name"]: each["loss"] for each in picture.values["ways"]}
    told = picture.values["say"][0]
    assert (told["say"], told["way"]) == ("ways-lowest", min(losses, key=lambda name: losses[name]))
    x, y = picture.arrays["table"].T
    slope = float(np.mean(x * y))  # of a standardised x
    assert told["lowest"] == pytest.approx(float(np.mean((slope * x + np.mean(y) - y) ** 2)))


def test_single_examples_point_uphill_more_often_than_batches() -> None:
    shares = [draw(Batches(batch=batch, noise=5.0, moment=1.0)).values["uphill"] for batch in (1, 30, 100)]
    assert shares[0] > shares[1] > shares[2] == 0.0


def test_heights_are_the_loss_of_all_the_data() -> None:
    picture = draw(Batches(source="cars"))
    x, y = picture.arrays["table"].T
    (left, right), (low, high) = picture.values["box"]
    heights = picture.arrays["heights"]
    for row, column, w, b in ((0, 0, left, low), (-1, 0, left, high), (0, -1, right, low)):
        assert heights[row, column] == pytest.approx(float(np.mean((w * x + b - y) ** 2)))


def test_own_data_must_be_there() -> None:
    with pytest.raises(InputError, match="two columns first"):
        draw(Batches(source="data"))


@pytest.mark.alone
def test_every_setting_is_dragged_without_compiling() -> None:
    draw(Batches())
    times: list[float] = []
    for changed in (Batches(batch=17), Batches(noise=1.5), Batches(passes=33), Batches(examples=211), Batches(seed=9)):
        began = time.perf_counter()
        draw(changed).packed()
        times.append(time.perf_counter() - began)
    assert math.fsum(times) < 0.5
