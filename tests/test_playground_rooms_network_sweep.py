"""The map of learning rates by batch sizes: every cell is what the room itself comes to with these two settings."""

from __future__ import annotations

import math

import numpy as np
import pytest

from downslope.playground.rooms import network_sweep
from downslope.playground.rooms.network import NetworkRoom, begin
from downslope.playground.rooms.network_sweep import RATES


def test_a_cell_is_what_the_room_comes_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_sweep, "SIZES", (10,))
    monkeypatch.setattr(network_sweep, "REST", 0.0)
    settings = NetworkRoom(layers="3", share=0.2, rule="momentum", l2=0.01, start_seed=2)
    *_, last = begin(settings).sweep(150)
    assert last.values["done"] is last.values["in_time"] is True
    np.testing.assert_array_equal(last.arrays["batches"], [10, 100])
    for batch, losses, tests in zip((10, 100), last.arrays["losses"], last.arrays["test_losses"], strict=True):
        for rate in (0.003, 0.1):
            run = begin(NetworkRoom(**{**vars(settings), "rate": rate, "batch": batch}))
            run.advance(150)
            column = RATES.index(rate)
            assert losses[column] == pytest.approx(run.frame().values["loss"], rel=1e-4)
            assert tests[column] == pytest.approx(run.frame().values["test_loss"], rel=1e-4)


def test_what_diverges_is_infinite_and_what_is_not_known_yet_is_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_sweep, "SIZES", (50,))
    monkeypatch.setattr(network_sweep, "REST", 0.0)
    first, *_, last = begin(NetworkRoom(data="plane", layers="")).sweep(200)
    assert np.isnan(first.arrays["losses"]).all()
    assert 0 < first.values["part"] < 0.5
    assert np.isinf(last.arrays["losses"][:, -1]).all()
    assert np.isfinite(last.arrays["losses"][:, 0]).all()


def test_a_map_ends_when_its_time_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_sweep, "SWEEP_SECONDS", 0.0)
    told = list(begin(NetworkRoom()).sweep(1000))
    assert len(told) == 1
    assert (told[0].values["done"], told[0].values["in_time"]) == (True, False)
    assert math.isnan(told[0].arrays["losses"][0, 0])
