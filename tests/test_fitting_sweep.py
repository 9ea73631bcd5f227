"""The map of learning rates by batch sizes: its cells against single trainings, its zones against their meaning."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from downslope.cli.running import run as command
from downslope.errors import OptionError
from downslope.fitting import fit, sweep
from downslope.fitting.sweep import FAR
from downslope.records import SweepResult, Verdict, Zone

CARS = Path(__file__).parent.parent / "examples" / "cars.csv"


@cache
def swept(target: str) -> SweepResult:
    return sweep(CARS, target)


@pytest.mark.parametrize("target", ["miles_per_gallon", "origin"])
def test_all_three_zones_show_for_every_batch_size_in_their_order(target: str) -> None:
    result = swept(target)
    sweet_somewhere = 0
    for size in result.batch_sizes:
        zones = [each.zone for each in result.cells if each.batch_size == size]
        assert zones[0] is Zone.TOO_SLOW
        assert zones[-1] is Zone.DIVERGED
        rising = [list(Zone).index(each) for each in zones]
        assert rising == sorted(rising)
        sweet_somewhere += Zone.SWEET_SPOT in zones
    assert sweet_somewhere >= 2


@pytest.mark.parametrize("target", ["miles_per_gallon", "origin"])
def test_zones_mean_what_they_say(target: str) -> None:
    result = swept(target)
    assert result.best is not None
    best = result.best.gap
    for cell in result.cells:
        lost = not math.isfinite(cell.objective) or cell.objective > result.objective_at_start
        assert (cell.verdict is Verdict.DIVERGED) == lost
        if cell.zone is Zone.SWEET_SPOT:
            assert cell.gap <= max(FAR * best, 1e-4)
        elif cell.zone is Zone.TOO_SLOW:
            assert cell.gap > min(FAR * best, math.sqrt(best))
            faster = [
                each for each in result.cells
                if each.batch_size == cell.batch_size and each.learning_rate > cell.learning_rate
            ]  # fmt: skip
            assert min(each.gap for each in faster) <= cell.gap or cell.learning_rate == max(
                each.learning_rate for each in result.cells
            )


def test_small_batches_diverge_at_smaller_rates() -> None:
    result = swept("miles_per_gallon")

    def least_lost(size: int) -> float:
        return min(
            each.learning_rate for each in result.cells
            if each.batch_size == size and each.verdict is Verdict.DIVERGED
        )  # fmt: skip

    rates = [least_lost(size) for size in result.batch_sizes]
    assert rates == sorted(rates)
    assert rates[-1] > result.stability_limit / 4
    assert min(result.learning_rates) < result.stability_limit / 1000


def test_a_cell_is_the_training_that_it_stands_for() -> None:
    result = sweep(CARS, "miles_per_gallon", learning_rates=[0.02], batch_sizes=[8, 32], epochs=2)
    for cell in result.cells:
        alone = fit(
            CARS, "miles_per_gallon", runs=None, method="mini-batch", batch_size=cell.batch_size, epochs=2,
            learning_rate=0.02, schedule="constant", tolerance=0.0,
        )  # fmt: skip
        assert cell.objective == pytest.approx(alone.objective, rel=1e-6)


def test_one_rate_or_size_among_the_settings_is_a_list_of_one() -> None:
    result = sweep(CARS, "miles_per_gallon", learning_rate=0.01, batch_size=16, epochs=1)
    assert result.learning_rates == (0.01,)
    assert result.batch_sizes == (16,)


@pytest.mark.parametrize("rule", ["momentum", "adam"])
def test_other_rules_have_a_sweet_spot_too(rule: str) -> None:
    result = sweep(CARS, "miles_per_gallon", rule=rule)
    zones = {each.zone for each in result.cells}
    assert {Zone.TOO_SLOW, Zone.SWEET_SPOT} <= zones
    assert result.best is not None
    assert min(result.learning_rates) < result.best.learning_rate < max(result.learning_rates)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rates": [0.1, -1.0]}, "each learning rate must be a number above 0, but one is -1"),
        ({"batch_sizes": [0]}, "each batch size must be a number above 0, but one is 0"),
        ({"learning_rates": [0.1], "learning_rate": 0.2}, "give one of them"),
        ({"batch_sizes": [8, 12]}, "whole multiples of the smallest, 8; 12 is not"),
        ({"method": "scaled"}, "leave method out"),
        ({"average": True}, "leave average out"),
    ],
)
def test_what_a_sweep_cannot_do_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        sweep(CARS, "miles_per_gallon", **settings)


def test_the_command_takes_lists(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["sweep", str(CARS), "--target", "miles_per_gallon", "--epochs", "1", "--json"]
    assert command([*asked, "--learning-rate", "0.1,0.01", "--batch-size", "8,16"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["learning_rates"] == [0.01, 0.1]
    assert result["batch_sizes"] == [8, 16]
    assert np.shape(result["cells"]) == (4,)
    assert command([*asked, "--learning-rate", "fast"]) == 2
    assert "--learning-rate fast is not understood" in capsys.readouterr().err
