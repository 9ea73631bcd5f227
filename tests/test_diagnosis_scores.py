"""DS4xx: what the scores are worth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from downslope.diagnosis import answer_given_away, diagnose, drift, no_better, overfit
from downslope.records import Coefficient, Run, Verdict


def sized(run: Run, train_rows: int, holdout_rows: int, features: int) -> Run:
    """Return a run on another number of rows and features."""
    data = replace(run.data, train_rows=train_rows, holdout_rows=holdout_rows, features=features)
    return replace(run, data=data)


def test_no_better(flights_run: Run) -> None:
    run = replace(flights_run, holdout={"loss": 0.5788, "accuracy": 0.735})
    found = no_better.find(run)
    assert found is not None
    assert found.code == "DS401"
    assert "mean loss 0.5788 on 65,469 held-out rows, against 0.579" in found.evidence
    assert no_better.find(flights_run) is None
    assert no_better.find(replace(run, verdict=Verdict.BUDGET)) is None  # it may still get better
    assert no_better.find(sized(run, 100, 20, 3)) is None
    assert no_better.find(replace(run, holdout={})) is None


def test_overfit(flights_run: Run) -> None:
    run = sized(replace(flights_run, holdout={"loss": 0.56}), 1000, 5000, 124)
    found = overfit.find(run)
    assert found is not None
    assert found.code == "DS402"
    assert "64 % of the gain is lost" in found.evidence
    assert "8.1 rows for each weight" in found.evidence
    assert "--l2 0.001" in found.remedy
    assert overfit.find(sized(run, 100_000, 5000, 124)) is None  # too many rows to learn by heart
    assert overfit.find(sized(run, 1000, 50, 124)) is None  # too few to judge by
    assert overfit.find(sized(run, 1000, 250, 124)) is None  # chance takes as much: 0.034 of 0.56 is 0.7 errors
    assert overfit.find(replace(run, holdout={"loss": 0.53})) is None
    assert overfit.find(replace(run, spec=replace(run.spec, holdout_by="month"))) is None
    assert overfit.find(replace(run, train={"loss": 0.6})) is None  # nothing was gained


def test_drift(flights_run: Run) -> None:
    run = replace(flights_run, spec=replace(flights_run.spec, holdout_by="month"), holdout={"loss": 0.57})
    found = drift.find(run)
    assert found is not None
    assert found.code == "DS403"
    assert '"month"' in found.evidence
    assert overfit.find(run) is None
    assert drift.find(replace(run, spec=flights_run.spec)) is None
    assert drift.find(replace(run, holdout={"loss": 0.53})) is None
    assert drift.find(sized(run, 1000, 250, 124)) is None  # few rows explain it just as well


@pytest.mark.parametrize(
    ("holdout", "baseline"),
    [({"accuracy": 0.9995}, {"accuracy": 0.735}), ({"r2": 0.9999}, {"r2": 0.0}), ({"auc": 1.0}, {"auc": 0.5})],
)
def test_answer_given_away(flights_run: Run, holdout: dict[str, float], baseline: dict[str, float]) -> None:
    found = answer_given_away.find(replace(flights_run, holdout=holdout, baseline=baseline))
    assert found is not None
    assert found.code == "DS404"
    assert '"dep_delay" is more than 3 times stronger' in found.evidence


@pytest.mark.parametrize(
    "changes",
    [
        {"holdout": {"accuracy": 0.95}},
        {"baseline": {"accuracy": 0.9995}},
        {"coefficients": (Coefficient("a", 1.0, 2.0), Coefficient("b", 1.0, 1.9))},
        {"coefficients": (Coefficient("a", 1.0, 2.0),)},
        {"coefficients": ()},
    ],
)
def test_nothing_given_away(flights_run: Run, changes: dict[str, Any]) -> None:
    perfect = replace(flights_run, holdout={"accuracy": 0.9995}, baseline={"accuracy": 0.735})
    assert answer_given_away.find(perfect) is not None
    assert answer_given_away.find(replace(perfect, **changes)) is None
    assert answer_given_away.find(sized(perfect, 400, 99, 3)) is None


def test_findings_come_in_the_order_of_their_codes_and_each_code_once(flights_run: Run) -> None:
    run = replace(
        sized(flights_run, 1000, 5000, 124), verdict=Verdict.STOPPED, holdout={"loss": 0.56, "accuracy": 0.9995}
    )
    codes = [finding.code for finding in diagnose(run)]
    assert codes == sorted(set(codes))
    assert {"DS107", "DS304", "DS402", "DS404"} <= set(codes)


def test_a_finding_is_whole(flights_run: Run) -> None:
    for finding in diagnose(replace(flights_run, verdict=Verdict.STOPPED, train={"accuracy": 1.0})):
        assert all((finding.code, finding.title, finding.evidence, finding.remedy))
        assert "\n" not in finding.evidence + finding.remedy
