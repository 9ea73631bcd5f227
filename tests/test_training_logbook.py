"""The log of a descent, and the passes that it says are still needed, against the passes that were."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downslope.losses import make_loss
from downslope.records import GapKind, Spec, StepRecord, Verdict
from downslope.training import Training, train
from downslope.training.logbook import Logbook, passes_still_needed
from tests.plain_descent import fit_target, table


def steps(gaps: list[float]) -> list[StepRecord]:
    return [
        StepRecord(index, float(index), 0.0, 1.0 + gap, 0.0, 0.1, gap, GapKind.ESTIMATED)
        for index, gap in enumerate(gaps)
    ]


def descent(most: float = 100.0) -> Logbook:
    return Logbook(start=2.0, tolerance=1e-4, most_passes=most, most_seconds=math.inf)


@given(st.floats(0.2, 0.99), st.integers(8, 200))
def test_a_constant_pace_is_carried_on(factor: float, count: int) -> None:
    gaps = [factor**index for index in range(count)]
    wanted = gaps[-1] * 1e-3
    needed = passes_still_needed(steps(gaps), gaps[-1], wanted)
    assert needed == pytest.approx(math.log(1e-3) / math.log(factor), abs=1.01)


def test_the_end_of_the_run_sets_the_pace_and_promises_no_more_than_the_least() -> None:
    # A steep direction that is soon done, and a flat one that takes for ever.
    gaps = [0.9 * 0.5**index + 0.1 * 0.999**index for index in range(200)]
    needed = passes_still_needed(steps(gaps), gaps[-1], 1e-4)
    truth = next(index for index in range(200, 100_000) if 0.1 * 0.999**index <= 1e-4) - 199
    assert 0.9 * truth <= needed <= truth + 1


@pytest.mark.parametrize(
    "gaps", [[], [1.0], [1.0, 0.5], [0.5] * 20, [0.1 * 1.1**index for index in range(20)], [math.nan] * 20]
)
def test_a_record_without_a_fall_predicts_nothing(gaps: list[float]) -> None:
    assert math.isnan(passes_still_needed(steps(gaps), gaps[-1] if gaps else math.nan, 1e-4))


def test_what_is_reached_needs_nothing_more() -> None:
    gaps = [0.5**index for index in range(20)]
    assert math.isnan(passes_still_needed(steps(gaps), gaps[-1], 1e-3))
    assert math.isnan(passes_still_needed(steps(gaps), gaps[-1], 0.0))


def test_five_rises_above_the_start_are_divergence_and_a_long_first_step_is_not() -> None:
    log = descent()
    log.note(2.0, 1.0, 0.1)
    assert not log.diverging(15.0)
    log.note(15.0, 1.0, 0.1)
    assert not log.diverging(1.5)
    log.note(1.5, 1.0, 0.1)
    for value in (2.1, 2.2, 2.3, 2.4):
        assert not log.diverging(value)
        log.note(value, 1.0, 0.1)
    assert log.diverging(2.5)


@pytest.mark.parametrize("objective", [math.inf, math.nan, 20.1])
def test_what_blew_up_is_divergence_at_once(objective: float) -> None:
    assert descent().diverging(objective)


def test_a_budget_is_spent_in_passes_or_in_updates() -> None:
    log = descent(3.0)
    log.passes = 3.0
    assert log.spent
    log.counts_updates = True
    assert not log.spent
    log.planned = True
    assert log.spent


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "squared, far below the limit": ("squared", {"learning_rate": 0.01}),
    "squared, chosen": ("squared", {}),
    "momentum": ("squared", {"rule": "momentum", "learning_rate": 0.005}),
    "nesterov": ("squared", {"rule": "nesterov", "learning_rate": 0.005}),
    "log, proved by duality": ("log", {}),
    "poisson, estimated": ("poisson", {"l2": 0.0, "learning_rate": 0.02}),
    "huber": ("huber", {"learning_rate": 0.05}),
    "softmax": ("softmax", {}),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("share", [0.15, 0.5])
def test_a_full_batch_budget_foretells_the_passes_that_turn_out_to_be_needed(case: str, share: float) -> None:
    loss, settings = CASES[case]
    classes = {"log": 2, "softmax": 3}.get(loss, 0)
    examples = fit_target(table(rows=200, numbers=4, classes=classes, levels=(3,)), make_loss(loss))
    # Columns of unlike size make a narrow valley.
    examples.blocks[0].numbers[:] *= np.array([1.0, 0.7, 0.4, 0.2])

    def run(epochs: int) -> Training:
        spec = Spec(method="full-batch", epochs=epochs, **settings)
        return train(examples, spec, loss, 3 if loss == "softmax" else 1)

    whole = run(50_000)
    assert whole.verdict is Verdict.CONVERGED
    cut = run(max(int(share * whole.updates), 2))
    assert cut.verdict is Verdict.BUDGET
    truth = whole.updates - cut.updates
    assert truth / 2 <= cut.predicted_passes <= 2 * truth + 1
    assert f"about {float(f'{cut.predicted_passes:.2g}'):,.0f} more pass" in cut.message


def test_batches_say_the_least_that_a_longer_run_would_need() -> None:
    examples = table(rows=400, numbers=4)
    spec = Spec(method="mini-batch", batch_size=8, epochs=5, tolerance=1e-9)
    cut = train(examples, spec, "squared")
    assert cut.verdict is Verdict.BUDGET
    assert cut.predicted_passes > 0
    assert "; at least " in cut.message


@pytest.mark.parametrize(("epochs", "word"), [(1, "1 update, "), (2, "2 updates, ")])
def test_counts_agree_with_their_nouns(epochs: int, word: str) -> None:
    run = train(table(), Spec(method="full-batch", learning_rate=1e-6, epochs=epochs), "squared")
    assert word in run.message
    assert "passes" in run.message
