"""DS2xx and DS3xx: the shape of the slope and the data."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from downslope.diagnosis import (
    columns_left_out,
    ill_conditioned,
    imbalance,
    missing_values,
    separable,
    target_missing,
    unscaled,
)
from downslope.records import ColumnSummary, Curvature, Run, Spec


def asked(run: Run, **settings: Any) -> Run:
    """Return a run of which something else was asked."""
    return replace(run, spec=replace(run.spec, **settings))


def settled(run: Run, **settings: Any) -> Run:
    """Return a run in which something else was chosen."""
    return replace(run, resolved={**run.resolved, **settings})


def shaped(run: Run, before: float, after: float) -> Run:
    """Return a run with another condition."""
    return replace(run, curvature=Curvature(1.0, 1.0 / after, before, after, 2.0))


def columns(run: Run, *summaries: ColumnSummary) -> Run:
    """Return a run on other columns."""
    return replace(run, data=replace(run.data, columns=summaries))


def test_unscaled(flights_run: Run) -> None:
    run = settled(asked(shaped(flights_run, 5.2e6, 340.0), standardize=False), method="full-batch")
    found = unscaled.find(run)
    assert found is not None
    assert found.code == "DS201"
    assert "5,200,000" in found.evidence
    assert "340" in found.evidence
    assert unscaled.find(asked(run, standardize=True)) is None
    assert unscaled.find(settled(run, method="scaled")) is None
    assert unscaled.find(shaped(run, 5000.0, 4000.0)) is None  # scaling would not help
    assert unscaled.find(shaped(run, 30.0, 1.0)) is None  # round enough
    assert unscaled.find(shaped(run, math.inf, math.inf)) is None


@pytest.mark.parametrize(("condition", "lost"), [(3e9, 10), (1e14, 14), (2e17, 16)])
def test_ill_conditioned(flights_run: Run, condition: float, lost: int) -> None:
    found = ill_conditioned.find(shaped(flights_run, 1e20, condition))
    assert found is not None
    assert found.code == "DS202"
    assert f"up to {lost} of the 16 digits" in found.evidence


def test_filip_is_named_by_its_condition(flights_run: Run) -> None:
    numbers = columns(flights_run, *(ColumnSummary(f"x{k}", "number", "standardised", 1, 0) for k in range(1, 11)))
    run = settled(shaped(numbers, math.inf, math.inf), l2=0.0)
    found = ill_conditioned.find(run)
    assert found is not None
    assert "beyond 1e16" in found.evidence
    assert "16 of the 16 digits" in found.evidence


def test_levels_that_add_up_to_the_intercept_are_no_ill_condition(flights_run: Run) -> None:
    assert ill_conditioned.find(settled(shaped(flights_run, math.inf, math.inf), l2=0.0)) is None
    assert ill_conditioned.find(shaped(flights_run, 1e20, 1e6)) is None
    assert ill_conditioned.find(shaped(flights_run, math.nan, math.nan)) is None


def test_separable(flights_run: Run) -> None:
    run = replace(flights_run, train={"loss": 1e-4, "accuracy": 1.0})
    found = separable.find(run)
    assert found is not None
    assert found.code == "DS301"
    assert "261,877 training rows" in found.evidence
    assert separable.find(settled(run, l2=0.01)) is None
    assert separable.find(settled(run, loss="hinge")) is None
    assert separable.find(replace(run, train={"loss": 1e-4, "accuracy": 0.999999})) is None


def test_imbalance(flights_run: Run) -> None:
    run = replace(flights_run, holdout={"accuracy": 0.916}, baseline={"accuracy": 0.91})
    found = imbalance.find(run)
    assert found is not None
    assert found.code == "DS302"
    assert "91.0 %" in found.evidence
    assert "91.6 %" in found.evidence
    assert imbalance.find(replace(run, holdout={"accuracy": 0.99})) is None
    assert imbalance.find(replace(run, baseline={"accuracy": 0.55})) is None
    assert imbalance.find(asked(run, class_weight="balanced")) is None
    assert imbalance.find(replace(run, holdout={"r2": 0.9}, train={}, baseline={"r2": 0.0})) is None


def test_missing_values(flights_run: Run) -> None:
    rows = flights_run.data.rows + flights_run.data.dropped_rows
    run = columns(
        flights_run,
        ColumnSummary("full", "number", "standardised", 1, 0),
        ColumnSummary("half", "number", "standardised", 2, rows // 2),
        ColumnSummary("most", "number", "standardised", 2, int(0.9 * rows)),
        ColumnSummary("none", "null", "left out: every value is missing", 0, rows),
    )
    found = missing_values.find(run)
    assert found is not None
    assert found.code == "DS303"
    assert '"most" and "half": up to 90 %' in found.evidence
    assert "2 of 3 columns" in found.evidence
    assert missing_values.find(flights_run) is None


def test_columns_left_out(flights_run: Run) -> None:
    found = columns_left_out.find(flights_run)
    assert found is not None
    assert found.code == "DS304"
    assert found.evidence == '"tailnum" (identifier)'
    assert columns_left_out.find(asked(flights_run, drop=("tailnum",))) is None
    assert columns_left_out.find(columns(flights_run, *flights_run.data.columns[:5])) is None


def test_many_columns_left_out_are_counted(flights_run: Run) -> None:
    left = [ColumnSummary(name, "number", "left out: constant, always 1", 0, 0) for name in "abcde"]
    found = columns_left_out.find(columns(flights_run, *left))
    assert found is not None
    assert found.evidence == '"a", "b", "c" and 2 more (constant, always 1)'


def test_target_missing(flights_run: Run) -> None:
    run = replace(flights_run, data=replace(flights_run.data, dropped_rows=100_000))
    found = target_missing.find(run)
    assert found is not None
    assert found.code == "DS305"
    assert "100,000 rows, 23 % of those read" in found.evidence
    assert '"late"' in found.evidence
    assert target_missing.find(flights_run) is None  # 3 % of the rows
    assert target_missing.find(replace(run, spec=Spec(target="y"), data=replace(run.data, dropped_rows=0))) is None
