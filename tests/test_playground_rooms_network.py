"""The room of networks: its data, its updates held to a plain descent, its ways back to the bit, and its speed."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from downslope.data.batches import order
from downslope.errors import OptionError
from downslope.playground.rooms.network import MESH, NetworkRoom, Training, begin
from downslope.playground.rooms.pair import Pair
from downslope.playground.rooms.points import CLASSES, COUNT, NUMBERS, features_of, points_of


def frame_of(run: Training) -> dict[str, Any]:
    return {**run.frame().values, **run.frame().arrays}


def unpacked(flat: Any, sizes: list[int]) -> list[tuple[Any, Any]]:
    """Return the layers of flat weights: matrices (inputs, units), row by row, each with its biases."""
    layers, first = [], 0
    for inputs, units in pairwise(sizes):
        matrix = flat[first : first + inputs * units].reshape(inputs, units)
        first += inputs * units
        layers.append((matrix, flat[first : first + units]))
        first += units
    assert first == flat.size
    return layers


def plain_scores(layers: Any, x: Any) -> Any:
    for matrix, bias in layers[:-1]:
        x = jnp.tanh(x @ matrix + bias)
    matrix, bias = layers[-1]
    return (x @ matrix + bias)[:, 0]


def plain_loss(layers: Any, x: Any, y: Any) -> Any:
    scores = plain_scores(layers, x)
    return (jnp.logaddexp(0.0, scores) - y * scores).mean()


@pytest.mark.parametrize("name", CLASSES + NUMBERS)
def test_the_data_sets_have_their_shapes(name: str) -> None:
    points, target = points_of(name, 0.0, 1)
    again, _ = points_of(name, 0.0, 1)
    assert points.shape == (COUNT, 2)
    np.testing.assert_array_equal(points, again)
    assert np.abs(points).max() <= 6.5
    if name in CLASSES:
        assert set(target) == {0.0, 1.0}
        assert 0.4 < target.mean() < 0.6
    else:
        assert -1.2 <= target.min() < -0.5
        assert 0.5 < target.max() <= 1.2


def test_without_noise_the_classes_follow_their_formulas() -> None:
    points, target = points_of("circle", 0.0, 0)
    np.testing.assert_array_equal(target == 1, np.hypot(*points.T) < 2.5)
    points, target = points_of("xor", 0.0, 0)
    np.testing.assert_array_equal(target == 1, points[:, 0] * points[:, 1] > 0)
    points, target = points_of("plane", 0.0, 0)
    np.testing.assert_allclose(target, points.sum(axis=1) / 10)
    points, target = points_of("spiral", 0.0, 0)
    along = np.hypot(*points.T) / 5.0
    turned = np.arctan2(points[:, 0], points[:, 1]) - 3.5 * np.pi * along - np.where(target == 1, 0, np.pi)
    np.testing.assert_allclose(np.cos(turned[along > 0]), 1.0)


def test_updates_are_those_of_a_plain_descent() -> None:
    run = begin(NetworkRoom(batch=25, rate=0.1))
    sizes = [2, 4, 2, 1]
    x, y = jnp.asarray(run.points[: run.rows, :2], jnp.float32), jnp.asarray(run.points[: run.rows, 2], jnp.float32)
    layers = unpacked(jnp.asarray(run.frame().arrays["weights"]), sizes)
    slope = jax.jit(jax.grad(plain_loss))
    for update in range(20):
        epoch, within = divmod(update, run.rows // 25)
        rows = order(run.rows, 0, epoch)[within * 25 : (within + 1) * 25]
        layers = jax.tree.map(lambda leaf, down: leaf - 0.1 * down, layers, slope(layers, x[rows], y[rows]))
    run.advance(20)
    frame = frame_of(run)
    for (matrix, bias), (own, own_bias) in zip(layers, unpacked(frame["weights"], sizes), strict=True):
        np.testing.assert_allclose(own, matrix, atol=2e-6)
        np.testing.assert_allclose(own_bias, bias, atol=2e-6)
    assert frame["loss"] == pytest.approx(float(plain_loss(layers, x, y)), rel=1e-5)
    assert frame["right"] == pytest.approx(float(((plain_scores(layers, x) > 0) == (y > 0.5)).mean()))


def test_every_unit_is_seen_over_the_mesh() -> None:
    run = begin(NetworkRoom())
    run.advance(50)
    frame = frame_of(run)
    (first, bias), *rest = layers = unpacked(frame["weights"], [2, 4, 2, 1])
    along = np.linspace(-6, 6, MESH)
    x, y = np.meshgrid(along, along)
    mesh = np.column_stack([x.ravel(), y.ravel()])
    hidden = np.tanh(mesh @ first + bias)
    np.testing.assert_allclose(frame["units"][:4].reshape(4, -1).T, hidden, atol=1e-5)
    probability = 1 / (1 + np.exp(-np.asarray(plain_scores(layers, mesh))))
    np.testing.assert_allclose(frame["units"][-1].ravel(), 2 * probability - 1, atol=1e-5)
    assert len(rest) == 2


def test_back_propagation_of_one_example_is_the_chain_rule() -> None:
    run = begin(NetworkRoom(example=3, data="gauss"))
    run.advance(10)
    frame = frame_of(run)
    (w1, b1), (w2, b2), (w3, b3) = unpacked(frame["weights"], [2, 4, 2, 1])
    x, y = run.points[3, :2], run.points[3, 2]
    first = np.tanh(x @ w1 + b1)
    second = np.tanh(first @ w2 + b2)
    score = second @ w3 + b3
    np.testing.assert_allclose(frame["forth"], np.concatenate([first, second, score]), atol=1e-5)
    at_score = 1 / (1 + np.exp(-score)) - y
    at_second = w3 @ at_score
    at_first = w2 @ (at_second * (1 - second**2))
    np.testing.assert_allclose(frame["back"], np.concatenate([at_first, at_second, at_score]), atol=1e-5)
    (g1, c1), (g2, _), (g3, c3) = unpacked(frame["gradient"], [2, 4, 2, 1])
    np.testing.assert_allclose(g3[:, 0], second * at_score, atol=1e-5)
    np.testing.assert_allclose(c3, at_score, atol=1e-5)
    np.testing.assert_allclose(g2, np.outer(first, at_second * (1 - second**2)), atol=1e-5)
    np.testing.assert_allclose(g1, np.outer(x, at_first * (1 - first**2)), atol=1e-5)
    np.testing.assert_allclose(c1, at_first * (1 - first**2), atol=1e-5)


def test_back_and_forth_is_the_same_to_the_bit() -> None:
    run = begin(NetworkRoom(rule="adam", data="spiral", start_seed=4))
    seen = {}
    for update in (1, 137, 500, 501, 1800):
        run.advance(update - run.update)
        seen[update] = run.frame().arrays["weights"]
    for update in (501, 1, 137, 1800, 500):
        run.seek(update)
        assert run.update == update
        np.testing.assert_array_equal(run.frame().arrays["weights"], seen[update])
        assert run.curve[-1][0] == update
    run.seek(0)
    np.testing.assert_array_equal(run.frame().arrays["weights"], begin(run.settings).frame().arrays["weights"])


def test_the_same_settings_begin_at_the_same_start() -> None:
    one, other = (begin(NetworkRoom(start_seed=seed)).frame().arrays["weights"] for seed in (0, 1))
    np.testing.assert_array_equal(one, begin(NetworkRoom()).frame().arrays["weights"])
    assert (one != other).any()


def test_a_network_that_diverges_stops_at_its_last_good_weights() -> None:
    run = begin(NetworkRoom(data="plane", layers="", rate=1.0))
    run.advance(400)
    frame = frame_of(run)
    assert run.last == run.update == run.diverged_at - 1
    assert np.isfinite(frame["weights"]).all()
    assert [each["say"] for each in frame["say"]] == ["network-diverged"]
    run.advance(10)
    assert run.update == run.last
    run.seek(0)
    assert run.diverged_at == -1


def test_penalties_pull_the_weights_in() -> None:
    # With inputs of spread v the slope of a plane settles where its loss and the penalty balance.
    free, held = (begin(NetworkRoom(data="plane", layers="", rate=0.01, batch=500, l1=l1)) for l1 in (0.0, 0.5))
    x = free.points[: free.rows, :2]
    for run in (free, held):
        run.advance(3000)
    layers = unpacked(held.frame().arrays["weights"], [2, 1])[0]
    residual = x @ layers[0] + layers[1] - held.points[: held.rows, 2:]
    np.testing.assert_allclose((2 * residual * x).mean(axis=0), -0.5, atol=1e-3)
    assert free.frame().values["loss"] < 1e-6


def test_relu_units_that_are_zero_for_all_are_dead() -> None:
    run = begin(NetworkRoom(activation="relu", rate=3.0, start_seed=1, layers="8,8"))
    run.advance(300)
    frame = frame_of(run)
    layers = unpacked(frame["weights"], [2, 8, 8, 1])
    x, zero = run.points[: run.rows, :2], []
    for matrix, bias in layers[:-1]:
        x = np.maximum(x @ matrix + bias, 0)
        zero += (x.max(axis=0) == 0).tolist()
    assert frame["dead"].tolist() == [*zero, False]
    assert any(zero)
    assert frame["say"][-1] == {"say": "network-dead", "units": sum(zero), "of": 16}


def test_units_that_start_alike_stay_alike_and_it_is_said() -> None:
    run = begin(NetworkRoom(start="constant", batch=250))
    run.advance(200)
    assert "network-same" in [each["say"] for each in run.frame().values["say"]]


def test_weights_of_the_start_can_be_set_by_hand() -> None:
    free = begin(NetworkRoom()).frame().arrays["weights"]
    held = begin(NetworkRoom(given="3=2.5, 8=-1,999=7")).frame().arrays["weights"]
    expected = free.copy()
    expected[[3, 8]] = 2.5, -1.0
    np.testing.assert_array_equal(held, expected)


def test_to_look_elsewhere_begins_nothing_anew() -> None:
    run = begin(NetworkRoom())
    run.advance(30)
    weights, forth = run.frame().arrays["weights"], run.frame().arrays["forth"]
    assert run.adopt(NetworkRoom(example=17, unit=3, discretise=True, show_test=True))
    assert run.update == 30
    np.testing.assert_array_equal(run.frame().arrays["weights"], weights)
    assert (run.frame().arrays["forth"] != forth).any()
    assert not run.adopt(NetworkRoom(example=17, rate=0.1))
    assert run.settings.rate == 0.03


def test_it_is_said_what_an_update_did_and_where_things_stand() -> None:
    run = begin(NetworkRoom())
    assert run.frame().values["say"] == []
    before = run.frame().values["loss"]
    run.advance(1)
    values = run.frame().values
    key = "network-step-lower" if values["loss"] < before else "network-step-higher"
    assert values["say"] == [{"say": key, "update": 1, "before": before, "loss": values["loss"], "batch": 10}]
    run.advance(9)
    (said,) = run.frame().values["say"]
    assert (said["say"], said["update"], said["right"]) == ("network-tells", 10, run.frame().values["right"])
    run = begin(NetworkRoom(data="plane", rate=0.001))
    run.advance(5)
    assert [each["say"] for each in run.frame().values["say"]] == ["network-stands"]


def test_overfitting_is_said_with_when_it_was_best() -> None:
    run = begin(NetworkRoom(noise=0.5, data="xor", share=0.1, layers="8,8", rule="adam", rate=0.03))
    for _ in range(60):
        run.advance(25)
    (said,) = (each for each in run.frame().values["say"] if each["say"] == "network-overfits")
    curve = run.frame().arrays["curve"]
    assert said["lowest"] == pytest.approx(curve[:, 2].min())
    assert said["update"] == curve[curve[:, 2].argmin(), 0]
    assert said["test_loss"] > 1.1 * said["lowest"]


def test_a_kept_run_goes_along_from_the_same_start() -> None:
    kept = NetworkRoom(rate=0.3)
    pair = Pair(begin(NetworkRoom()), begin(kept))
    alone = begin(kept)
    for update in (40, 7, 90):
        pair.seek(update) if update < pair.update else pair.advance(update - pair.update)
        alone.seek(update)
        frame = pair.frame()
        assert frame.values["update"] == frame.values["kept:update"] == update
        np.testing.assert_array_equal(frame.arrays["kept:weights"], alone.frame().arrays["weights"])
    assert (pair.picture().arrays["weights"] != frame.arrays["kept:weights"]).any()
    assert pair.adopt(NetworkRoom(example=5))


def test_full_batch_is_within_reach() -> None:
    run = begin(NetworkRoom(batch=500))
    assert run.batch == run.rows == 250
    assert run.picture().values["an_epoch"] == 1


def test_features_are_those_named() -> None:
    points = np.array([[1.0, -2.0]])
    np.testing.assert_allclose(
        features_of(points, ("x", "y", "x2", "y2", "xy", "sinx", "siny")),
        [[1.0, -2.0, 1.0, 4.0, -2.0, np.sin(1.0), np.sin(-2.0)]],
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"layers": "4,x"}, "layers are"), ({"layers": "1,1,1,1,1,1,1"}, "layers are"), ({"layers": "33"}, "layers are"),
     ({"features": ""}, "needs a feature"), ({"features": "x,z"}, 'called "z"'), ({"given": "0:1"}, "set by hand"),
     ({"given": "0=nan"}, "set by hand"), ({"given": "-1=2"}, "set by hand")],
)  # fmt: skip
def test_what_cannot_be_built_is_one_sentence(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        begin(NetworkRoom(**settings))


@pytest.mark.alone
def test_a_thousand_updates_a_second_and_fifty_five_frames() -> None:
    run = begin(NetworkRoom())
    run.advance(40)
    began = time.perf_counter()
    for _ in range(55):
        run.advance(20)
        run.frame().packed()
    assert time.perf_counter() - began < 0.7


def test_every_sentence_of_the_room_has_words_in_both_languages() -> None:
    root = Path(__file__).parent.parent
    source = (root / "src/downslope/playground/rooms/network.py").read_text(encoding="utf-8")
    words = (root / "web/src/words/network.ts").read_text(encoding="utf-8")
    keys = set(re.findall(r'"(network-[a-z-]+)"', source))
    assert len(keys) == 8
    assert all(words.count(f'"{key}":') == 2 for key in keys)
