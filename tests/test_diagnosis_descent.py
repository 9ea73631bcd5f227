"""DS1xx: each rule fires on the run it explains, and is silent on those it does not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downslope.diagnosis import (
    above_limit,
    arithmetic,
    batch_noise,
    budget,
    curvature_grew,
    diagnose,
    far_below_limit,
    steep_batches,
    stopped,
)
from downslope.diagnosis.facts import full_batch_limit
from downslope.records import Curvature, Run, Spec, StepRecord, Verdict
from downslope.steps import RuleState, rule_number, step

Make = Callable[..., Run]
CARS = Curvature(28.65, 0.056, 512.0, 1.0, 2 / 28.65)


@pytest.fixture
def make(flights_run: Run) -> Make:
    """Return a function that makes a run by full-batch steps on squared loss, changed as its arguments say."""

    def made(asked: dict[str, Any] | None = None, resolved: dict[str, Any] | None = None, **changes: Any) -> Run:
        settled = {
            "loss": "squared", "method": "full-batch", "rule": "plain", "learning_rate": 1.0, "batch_size": 7,
            "schedule": "constant", "average": False, "l2": 0.0,
        }  # fmt: skip
        run = replace(
            flights_run,
            spec=Spec(source="cars.csv", target="mpg", **(asked or {})),
            resolved=settled | (resolved or {}),
            curvature=CARS,
            steps=(),
        )
        return replace(run, **changes)

    return made


def trace(*objectives: float, rate: float = 1.0, exact: bool = True) -> tuple[StepRecord, ...]:
    return tuple(
        StepRecord(update, float(update), 0.01 * update, objective, math.nan, rate, exact=exact)
        for update, objective in enumerate(objectives)
    )


def test_above_the_limit(make: Make) -> None:
    run = make({"standardize": False}, verdict=Verdict.DIVERGED)
    found = above_limit.find(run)
    assert found is not None
    assert found.code == "DS101"
    assert "learning rate 1 is above the stability limit 0.0698 (2 / largest curvature 28.6)" in found.evidence
    assert "multiplies the error by 27.6" in found.evidence
    assert "--learning-rate 0.035" in found.remedy
    assert "or standardise" in found.remedy


def test_one_standardised_number_is_stable_below_one(make: Make) -> None:
    run = make({"standardize": False}, verdict=Verdict.DIVERGED)
    one = replace(run.data, features=1, columns=run.data.columns[:1])
    found = above_limit.find(replace(run, data=one))
    assert found is not None
    assert found.remedy.endswith("or standardise: then any rate below 1 is stable")


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict": Verdict.BUDGET},
        {"verdict": Verdict.DIVERGED, "resolved": {"learning_rate": 0.03}},
        {"verdict": Verdict.DIVERGED, "resolved": {"rule": "adam"}},
        {"verdict": Verdict.DIVERGED, "resolved": {"loss": "absolute"}},
        {"verdict": Verdict.DIVERGED, "resolved": {"method": "scaled", "rule": "scaled"}},
        {"verdict": Verdict.DIVERGED, "curvature": Curvature(math.nan, 0.0, 1.0, 1.0, math.nan)},
    ],
)
def test_not_above_the_limit(make: Make, changes: dict[str, Any]) -> None:
    assert above_limit.find(make(**changes)) is None


def test_a_warm_up_counts_by_the_rate_it_had_reached(make: Make) -> None:
    run = make(verdict=Verdict.DIVERGED, steps=trace(1.0, 0.5, 3.0, rate=0.05))
    assert above_limit.find(run) is None  # 0.05 was in use, whatever was asked


@given(
    curvature=st.floats(0.1, 100),
    momentum=st.floats(0.0, 0.95),
    rule=st.sampled_from(["plain", "momentum", "nesterov"]),
)
def test_the_limit_of_each_rule_is_where_steps_on_a_bowl_begin_to_grow(
    flights_run: Run, curvature: float, momentum: float, rule: str
) -> None:
    run = replace(
        flights_run,
        spec=Spec(momentum=momentum),
        resolved={"rule": rule, "loss": "squared"},
        curvature=Curvature(curvature, curvature, 1.0, 1.0, 2 / curvature),
    )
    limit = full_batch_limit(run)

    def reached(rate: float) -> float:
        weight, state = np.ones(1), RuleState.zeros((1,))
        for _ in range(3000):
            change, _, state = step(rule_number(rule), curvature * weight, state, rate, momentum)
            weight = weight - change
            if abs(weight[0]) > 1e6:
                break
        return float(abs(weight[0]))

    assert reached(0.98 * limit) < 1.0
    assert reached(1.02 * limit) > 1e6


def test_steep_batches(make: Make) -> None:
    resolved = {"method": "mini-batch", "batch_size": 8, "learning_rate": 0.06}
    run = make(resolved=resolved, verdict=Verdict.DIVERGED)
    found = steep_batches.find(run)
    assert found is not None
    assert found.code == "DS102"
    assert "batches of 8 examples" in found.evidence
    assert "--learning-rate 0.015" in found.remedy
    assert above_limit.find(run) is None
    assert steep_batches.find(make(resolved={**resolved, "loss": "log"}, verdict=Verdict.DIVERGED)) is None
    assert steep_batches.find(make(resolved={**resolved, "learning_rate": 0.08}, verdict=Verdict.DIVERGED)) is None
    assert steep_batches.find(make(resolved={**resolved, "batch_size": 300_000}, verdict=Verdict.DIVERGED)) is None
    assert steep_batches.find(make(resolved=resolved, verdict=Verdict.CONVERGED)) is None
    assert steep_batches.find(make(resolved={"learning_rate": 0.06}, verdict=Verdict.DIVERGED)) is None


def test_curvature_grew(make: Make) -> None:
    resolved = {"loss": "poisson", "learning_rate": 0.06}
    found = curvature_grew.find(make(resolved=resolved, verdict=Verdict.DIVERGED))
    assert found is not None
    assert found.code == "DS103"
    assert "poisson loss is flatter" in found.evidence
    assert curvature_grew.find(make(resolved={**resolved, "loss": "squared"}, verdict=Verdict.DIVERGED)) is None
    assert curvature_grew.find(make(resolved={**resolved, "learning_rate": 0.08}, verdict=Verdict.DIVERGED)) is None
    assert curvature_grew.find(make(resolved={**resolved, "method": "mini-batch"}, verdict=Verdict.DIVERGED)) is None
    assert curvature_grew.find(make(resolved=resolved, verdict=Verdict.BUDGET)) is None


def test_far_below_the_limit(make: Make) -> None:
    slow = {"learning_rate": 0.001}
    run = make({"epochs": 50}, slow, verdict=Verdict.BUDGET, gap=0.3, passes=50.0, predicted_passes=2000.0)
    found = far_below_limit.find(run)
    assert found is not None
    assert found.code == "DS104"
    assert "learning rate 0.001 is 70 times below the stability limit 0.0698" in found.evidence
    assert "at least 2,000 more passes" in found.evidence
    assert "--learning-rate 0.035, with which a pass goes 35 times as far" in found.remedy
    assert budget.find(run) is None  # one cause, one finding
    for other in ({"learning_rate": 0.02}, {**slow, "rule": "adam"}, {**slow, "method": "mini-batch"},
                  {**slow, "schedule": "inverse"}, {**slow, "loss": "poisson"}):  # fmt: skip
        assert far_below_limit.find(make(resolved=other, verdict=Verdict.BUDGET, gap=0.3)) is None
    assert far_below_limit.find(make(resolved=slow, verdict=Verdict.CONVERGED, gap=1e-5)) is None


@pytest.fixture
def noisy(make: Make) -> Make:
    """Return a function that makes an unfinished mini-batch run whose last objectives are given."""

    def made(last: list[float], **resolved: Any) -> Run:
        settled = {"method": "mini-batch", "batch_size": 8, "learning_rate": 0.01, **resolved}
        steps = trace(*np.linspace(300, last[0], len(last)).tolist(), *last, rate=0.01)
        run = make({"epochs": 20}, settled, verdict=Verdict.BUDGET, gap=0.02, steps=steps, passes=20.0)
        return replace(run, objective_at_start=300.0, objective=last[-1])

    return made


def test_batch_noise(noisy: Make) -> None:
    scatter = (2.0 + 0.5 * np.sin(np.arange(20) * 2.4)).tolist()
    found = batch_noise.find(noisy(scatter))
    assert found is not None
    assert found.code == "DS105"
    assert "batches of 8 examples" in found.evidence
    assert "--batch-size 32" in found.remedy
    assert budget.find(noisy(scatter)) is None
    assert batch_noise.find(noisy(np.geomspace(5, 1.5, 20).tolist())) is None  # still falling
    assert batch_noise.find(noisy(scatter, schedule="cosine")) is None
    assert batch_noise.find(noisy(scatter, average=True)) is None
    assert batch_noise.find(noisy(scatter, method="full-batch")) is None
    assert batch_noise.find(noisy([2.0] * 20)) is None  # flat, but not noisy
    assert batch_noise.find(noisy(scatter[:5])) is None  # too few looks to tell


def test_budget(make: Make) -> None:
    run = make({"epochs": 5}, verdict=Verdict.BUDGET, gap=3e-3, passes=5.0, predicted_passes=40.0)
    found = budget.find(run)
    assert found is not None
    assert found.code == "DS106"
    assert "ended after 5 passes at gap 0.003, before the tolerance 0.0001" in found.evidence
    assert "at least 40 more passes" in found.evidence
    assert "--epochs 45" in found.remedy
    assert budget.find(replace(run, verdict=Verdict.CONVERGED)) is None
    assert budget.find(replace(run, passes=2.0, message="no further progress: gap 0.003")) is None


def test_a_budget_of_seconds(make: Make) -> None:
    seconds = {"read": 0.1, "descend": 2.01, "total": 2.2}
    run = make(
        {"max_seconds": 2.0}, verdict=Verdict.BUDGET, gap=3e-3, passes=5.0, predicted_passes=15.0, seconds=seconds
    )
    found = budget.find(run)
    assert found is not None
    assert "2.01 s" in found.evidence
    assert "--max-seconds 8" in found.remedy


def test_a_budget_in_a_narrow_valley_is_better_spent_on_another_method(make: Make) -> None:
    narrow = Curvature(2.0, 1e-5, 1e9, 2e5, 1.0)
    resolved = {"learning_rate": 0.6}
    run = make({"epochs": 5}, resolved, verdict=Verdict.BUDGET, gap=0.1, passes=5.0, curvature=narrow)
    found = budget.find(run)
    assert found is not None
    assert "--method scaled" in found.remedy
    again = budget.find(replace(run, resolved={**run.resolved, "method": "scaled"}))
    assert again is not None
    assert "--method scaled" not in again.remedy


def test_stopped(make: Make) -> None:
    found = stopped.find(make(verdict=Verdict.STOPPED, updates=12, passes=1.0, gap=0.2))
    assert found is not None
    assert found.code == "DS107"
    assert found.evidence == "stopped by hand after 12 updates and 1 pass at gap 0.2"
    assert stopped.find(make(verdict=Verdict.BUDGET)) is None


def test_arithmetic(make: Make) -> None:
    said = "no further progress: certified gap 2e-08, asked 1e-12; float arithmetic can tell no more"
    scaled = {"method": "scaled", "rule": "scaled", "precision": "float32"}
    run = make({"tolerance": 1e-12}, scaled, verdict=Verdict.BUDGET, message=said, gap=2e-8)
    found = arithmetic.find(run)
    assert found is not None
    assert found.code == "DS108"
    assert "gap 2e-8" in found.evidence
    assert "--precision float64" in found.remedy
    assert arithmetic.find(replace(run, message="budget spent after 5 passes")) is None
    assert arithmetic.find(replace(run, verdict=Verdict.CONVERGED)) is None


def test_a_good_run_has_nothing_to_explain(make: Make) -> None:
    found = diagnose(make(verdict=Verdict.CONVERGED, resolved={"learning_rate": 0.03}))
    assert not [finding for finding in found if finding.code.startswith("DS1")]
