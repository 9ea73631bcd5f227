"""The textbook's claim on real tables: what a race says, and that it says it of plain descents anyone can repeat."""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from downslope.compiling import COMPILE_CLOCK
from downslope.errors import OptionError
from downslope.fitting import fit, race
from downslope.fitting.budgets import example_checkpoints, second_checkpoints
from downslope.records import RaceEntry, RaceResult, Verdict

CARS = Path(__file__).parent.parent / "examples" / "cars.csv"
TARGET = "miles_per_gallon"


@cache
def raced(target: str = TARGET) -> RaceResult:
    return race(CARS, target, epochs=4, seeds=3)


def entry(name: str, target: str = TARGET) -> RaceEntry:
    return next(each for each in raced(target).entries if each.name == name)


@pytest.mark.parametrize("target", [TARGET, "origin"])
def test_at_equal_updates_the_whole_gradient_is_ahead_and_at_equal_examples_behind(target: str) -> None:
    whole = entry("full-batch", target)
    one_pass = [each.budget for each in whole.at_equal_examples].index(raced(target).rows)
    last = max(index for index, each in enumerate(whole.at_equal_updates) if math.isfinite(each.gap))
    assert whole.at_equal_updates[last].budget == whole.updates == 4
    for name in ("stochastic", "mini-batch"):
        sampled = entry(name, target)
        assert sampled.at_equal_updates[last].gap > whole.at_equal_updates[last].gap
        assert 3 * sampled.at_equal_examples[one_pass].gap < whole.at_equal_examples[one_pass].gap


def test_full_batch_stands_where_fit_stands_after_as_many_updates() -> None:
    whole = entry("full-batch")
    for reached in whole.at_equal_updates[:2]:
        alone = fit(CARS, TARGET, runs=None, method="full-batch", epochs=int(reached.budget), tolerance=1e-12)
        assert alone.updates == reached.budget
        drop = raced().objective_at_start - raced().minimum
        assert reached.gap == pytest.approx((alone.objective - raced().minimum) / drop, rel=1e-9)
        assert alone.resolved["learning_rate"] == whole.learning_rate


def test_a_sampled_method_ends_where_fit_ends() -> None:
    sampled = entry("mini-batch")
    alone = fit(
        CARS, TARGET, runs=None, method="mini-batch", epochs=4, tolerance=0.0, batch_size=sampled.batch_size,
        learning_rate=sampled.learning_rate, seed=0,
    )  # fmt: skip
    gap = (alone.objective - raced().minimum) / (raced().objective_at_start - raced().minimum)
    reached = sampled.at_equal_examples[-1]
    assert abs(gap - reached.gap) <= 3 * reached.scatter
    assert sampled.updates == alone.updates


def test_every_method_starts_at_zero_weights() -> None:
    drop = raced().objective_at_start - raced().minimum
    slowest = entry("stochastic").at_equal_updates[0].gap
    assert raced().objective_at_start == pytest.approx(fit(CARS, TARGET, runs=None).objective_at_start)
    assert 0.7 < slowest < 1.1
    assert drop > 0


def test_scaled_steps_count_their_updates_and_their_passes() -> None:
    scaled = entry("scaled")
    assert scaled.verdict is Verdict.CONVERGED
    assert scaled.updates == 1
    assert scaled.at_equal_updates[0].gap < 1e-9
    assert all(math.isnan(each.gap) for each in scaled.at_equal_examples if each.budget <= raced().rows)


def test_sampled_methods_scatter_and_whole_ones_do_not() -> None:
    for name in ("stochastic", "mini-batch"):
        assert all(each.scatter > 0 for each in entry(name).at_equal_updates if math.isfinite(each.gap))
    for name in ("full-batch", "scaled"):
        assert all(math.isnan(each.scatter) for each in entry(name).at_equal_updates)


def test_a_longer_budget_comes_nearer() -> None:
    for name in ("stochastic", "mini-batch", "full-batch"):
        gaps = [each.gap for each in entry(name).at_equal_examples if math.isfinite(each.gap)]
        assert all(later < 1.3 * sooner for sooner, later in pairwise(gaps))
        assert gaps[-1] < gaps[0] / 5


def test_methods_are_compared_at_the_same_budgets() -> None:
    for name in ("at_equal_updates", "at_equal_examples", "at_equal_seconds"):
        budgets = {tuple(each.budget for each in getattr(entry, name)) for entry in raced().entries}
        assert len(budgets) == 1


@pytest.mark.alone
def test_seconds_hold_no_compiling() -> None:
    raced()
    compiled = COMPILE_CLOCK.seconds
    result = race(CARS, TARGET, epochs=1, seeds=1)
    assert all(each.seconds < 0.5 for each in result.entries)
    assert COMPILE_CLOCK.seconds == compiled


@pytest.mark.parametrize(
    ("setting", "value"), [("learning_rate", 0.1), ("rule", "adam"), ("schedule", "cosine"), ("method", "scaled")]
)
def test_what_a_race_decides_cannot_be_set(setting: str, value: object) -> None:
    with pytest.raises(OptionError, match=f"leave {setting} out"):
        race(CARS, TARGET, **{setting: value})


def test_a_given_batch_size_is_raced() -> None:
    result = race(CARS, TARGET, epochs=1, seeds=1, batch_size=50)
    assert {each.name: each.batch_size for each in result.entries}["mini-batch"] == 50


def test_checkpoints_are_round_numbers() -> None:
    assert example_checkpoints(1000, 5) == [10.0, 100.0, 500.0, 1000.0, 2000.0, 5000.0]
    assert example_checkpoints(8, 1) == [4.0, 8.0]
    assert second_checkpoints(2e-3, 0.05) == pytest.approx([1e-3, 3e-3, 1e-2, 3e-2, 1e-1])
    assert np.diff(second_checkpoints(1e-5, 20.0)).min() > 0
