"""The Python that the room of networks gives: it draws the same data and the same start, and takes the same updates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from downslope.data.batches import order
from downslope.playground.rooms.network import NetworkRoom, Training, begin
from downslope.playground.rooms.points import CLASSES, NUMBERS, points_of
from downslope.records.spec import ACTIVATIONS, NETWORK_RULES, RULES, STARTS

UPDATES = 40


def carried_out(run: Training, updates: int = UPDATES) -> dict[str, Any]:
    code = run.picture().values["code"]
    assert "UPDATES = 1000\n" in code
    names: dict[str, Any] = {}
    exec(compile(code.replace("UPDATES = 1000\n", f"UPDATES = {updates}\n"), "the room", "exec"), names)
    return names


def assert_the_same(run: Training) -> None:
    names = carried_out(run)
    run.advance(UPDATES)
    learned = np.concatenate([np.ravel(each) for layer in names["layers"] for each in layer])
    np.testing.assert_allclose(run.frame().arrays["weights"], learned, atol=1e-5, rtol=1e-4)
    values = run.frame().values
    losses = [float(names["mean_loss"](names["layers"], names[part])) for part in ("train", "test")]
    assert losses == pytest.approx([values["loss"], values["test_loss"]], rel=1e-4)


def data_part(code: str) -> str:
    return code[: code.index("# The start")]


@pytest.mark.parametrize("name", CLASSES + NUMBERS)
@pytest.mark.parametrize("noise", [0.0, 0.25])
def test_the_data_is_the_same_to_the_bit(name: str, noise: float) -> None:
    run = begin(NetworkRoom(data=name, noise=noise, data_seed=7, share=0.3, features="x,y,sinx,xy"))
    names: dict[str, Any] = {}
    exec(data_part(run.picture().values["code"]), names)
    points, target = points_of(name, noise, 7)
    x, y = points.T
    expected = np.column_stack([x, y, np.sin(x), x * y]).astype(np.float32)
    for part, rows in (("train", slice(None, 150)), ("test", slice(150, None))):
        np.testing.assert_array_equal(names[part][0], expected[rows])
        np.testing.assert_array_equal(names[part][1], target[rows].astype(np.float32))


def test_the_default_network_is_the_same_after_the_same_updates(capsys: pytest.CaptureFixture[str]) -> None:
    assert_the_same(begin(NetworkRoom()))
    assert capsys.readouterr().out.startswith("after 40 updates: training loss 0.")


@pytest.mark.parametrize(
    "settings",
    [
        {"data": "hills", "layers": "3", "activation": "relu", "rule": "momentum", "momentum": 0.5, "l2": 0.1},
        {"data": "spiral", "layers": "5,4,3", "activation": "sigmoid", "rule": "adam", "rate": 0.01, "batch": 37},
        {"data": "plane", "layers": "", "rate": 0.001, "batch": 1, "l1": 0.2},
        {"layers": "4,2", "given": "0=1.5,11=-2,16=0.25", "start": "normal", "start_seed": 9, "data_seed": 3},
    ],
)
def test_other_networks_are_the_same(settings: dict[str, Any]) -> None:
    assert_the_same(begin(NetworkRoom(**settings)))


@pytest.mark.parametrize("start", STARTS)
def test_every_start_is_written_out(start: str) -> None:
    run = begin(NetworkRoom(start=start, start_seed=5, layers="4,2"))
    names: dict[str, Any] = {}
    code = run.picture().values["code"]
    exec(code[: code.index("def scores")], names)
    flat = np.concatenate([np.ravel(each) for layer in names["layers"] for each in layer])
    np.testing.assert_allclose(run.frame().arrays["weights"], flat, atol=1e-7)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_is_written_out(activation: str) -> None:
    run = begin(NetworkRoom(activation=activation))
    names: dict[str, Any] = {}
    code = run.picture().values["code"]
    exec(code[: code.index("# The same updates")], names)
    scores = np.asarray(names["scores"](names["layers"], names["train"][0][:1]))
    assert scores[0] == pytest.approx(float(run.frame().arrays["forth"][-1]), abs=1e-5)


def test_every_rule_is_one_that_the_library_has() -> None:
    for rule in RULES + NETWORK_RULES:
        assert f'rule="{rule}"' in begin(NetworkRoom(rule=rule)).picture().values["code"]


def test_the_order_of_the_examples_is_that_of_the_library() -> None:
    run = begin(NetworkRoom(batch=100, data_seed=4))
    first = order(250, 4, 0)
    np.testing.assert_array_equal(run._batches.of(0, 2), first[:200])  # pyright: ignore[reportPrivateUsage]
    np.testing.assert_array_equal(run._batches.of(2, 1), order(250, 4, 1)[:100])  # pyright: ignore[reportPrivateUsage]
