"""What the rules that are as old as linear models say of networks: the truth, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from downslope.diagnosis import budget, drift, no_better, overfit, same_units, separable
from downslope.records import Run, Verdict
from tests.network_records import layer, look, network_run

Make = Callable[..., Run]


@pytest.fixture
def make(flights_run: Run) -> Make:
    return lambda *args, **changes: network_run(flights_run, *args, **changes)


def test_a_network_whose_loss_still_falls_needs_more_epochs(make: Make) -> None:
    found = budget.find(make())
    assert found is None  # the last look fell by less than a hundredth of the whole
    looks = tuple(replace(step, holdout=1.0 - 0.05 * k) for k, step in enumerate(make().steps))
    falling = budget.find(make(steps=looks))
    assert falling is not None
    assert "--epochs 20" in falling.remedy
    linear = make({"model": "linear"}, {"model": "linear"}, steps=looks)
    assert budget.find(linear) == falling  # trained by the same loop, with no gap to reach
    timed = make({"max_seconds": 5.0}, steps=looks, message="max-seconds is reached after 900 updates", passes=4.0)
    again = budget.find(timed)
    assert again is not None
    assert "--max-seconds" in again.remedy


def test_rows_for_each_weight_are_those_of_the_network(make: Make) -> None:
    lost = {"train": {"loss": 0.1}, "holdout": {"loss": 0.5}}
    found = overfit.find(make(**lost))
    assert found is not None
    assert "only 12 rows for each weight" in found.evidence
    assert "--dropout 0.2, --l2 0.001 or fewer units in --model" in found.remedy
    wide = replace(look(), shape=replace(look().shape, weights=10))
    assert overfit.find(make(**lost, looks=(wide,))) is None
    assert overfit.find(make(**lost, looks=())) is None  # nothing tells how many weights there are
    by_time = {"holdout_by": "month"}
    assert drift.find(make(by_time, **lost)) is None
    assert drift.find(make(by_time, **lost, looks=(wide,))) is not None
    assert drift.find(make(by_time, **lost, looks=())) is None


def test_no_better_says_what_a_network_can_be_tried_with(make: Make) -> None:
    useless = {"verdict": Verdict.CONVERGED, "holdout": {"loss": 0.689}, "train": {"loss": 0.688}}
    found = no_better.find(make(**useless))
    assert found is not None
    assert "although the training had converged" in found.evidence
    assert "--model linear" in found.remedy
    copies = make({"start": "zeros"}, **useless, looks=(look(9, layer(rank=0)),))
    assert no_better.find(copies) is None
    assert same_units.find(copies) is not None


def test_rows_learned_by_heart_prove_no_separable_classes(make: Make) -> None:
    perfect = {"train": {"accuracy": 1.0}}
    assert separable.find(make(**perfect)) is None
    assert separable.find(make({"model": "linear"}, {"model": "linear"}, **perfect)) is not None
