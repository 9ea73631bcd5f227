"""What a run looks like, as data."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downslope.diagnosis import diagnose
from downslope.records import ColumnSummary, Curvature, Finding, GapKind, Run, Spec, StepRecord, Verdict
from downslope.store import BrokenRun
from downslope.views import Curve, Facts, Section, Table, Text, flat, listing, report
from downslope.views.curve import curve_of, thin


def words(sections: tuple[Section, ...]) -> str:
    """Return all that sections say, on one line."""
    found: list[str] = []
    for section in sections:
        found.append(section.title)
        for part in section.parts:
            if isinstance(part, Text):
                found.append(part.text)
            elif isinstance(part, Facts):
                found += [f"{label} {value.text}" for label, value in part.rows]
            elif isinstance(part, Table):
                found += [" ".join(cell.text for cell in row) for row in part.rows]
    return " | ".join(found)


def test_the_report_answers_in_order(flights_run: Run) -> None:
    titles = [section.title for section in report(flights_run)]
    assert titles == [
        "Data", "Shape of the slope", "Chosen, and why", "How the loss went down", "How far the minimum still is",
        "Scores", "Strongest coefficients", "Findings", "Record",
    ]  # fmt: skip


def test_the_report_of_flights(flights_run: Run) -> None:
    said = words(report(replace(flights_run, path="runs/flights", findings=diagnose(flights_run))))
    for expected in (
        "327,346 rows: 261,877 to train, 65,469 held out at random; 9,430 more left out, their target is null",
        "6 columns, 5 in use, 124 features",
        "dep_delay number standardised, with an indicator of the missing 2 8,255",
        "tailnum text left out: identifier 0 2,512",
        "5,300,000 as the columns are, 2,800 after scaling",
        "6.45 = 2 / largest curvature 0.31",
        "method scaled: 124 features: one Gram matrix costs less than the passes it saves",
        "objective 0.6931 at the start, 0.526 at the end; 3 updates, 5.1 passes",
        "6.4e-5: at most 0.0064 % of the loss drop possible is left (certified: proved in float64)",
        "accuracy 75.7 % 75.6 % 73.5 %",
        "dep_delay +0.071 1.93 ━━━━━━━━━━━━━━━━",
        "log-odds that late is True",
        "DS304  Columns left out",
        "saved runs/flights",
        "184 ms: read 71 ms, choose 52 ms, descend 46 ms",
    ):
        assert expected in said


def test_an_estimate_is_never_called_certified(flights_run: Run) -> None:
    said = words(report(replace(flights_run, gap_kind=GapKind.ESTIMATED)))
    assert "about 0.0064 % of the loss drop possible is left (estimated, not proved)" in said
    assert "certified" not in said
    unknown = words(report(replace(flights_run, gap=math.nan, gap_kind=GapKind.NONE)))
    assert "gap not known" in unknown
    assert "certified" not in unknown


def test_what_is_asked_is_told_from_what_was_chosen(flights_run: Run) -> None:
    spec = Spec(source="f.csv", target="late", method="mini-batch", batch_size=32, learning_rate=0.1, l1=0.01)
    resolved = {**flights_run.resolved, "method": "mini-batch", "learning_rate": 0.1, "batch_size": 32}
    said = words(report(replace(flights_run, spec=spec, resolved=resolved, choices=())))
    assert "batch size 32: as asked" in said
    assert "learning rate 0.1: as asked" in said
    assert "l1 0.01: as asked" in said
    assert "loss log: the target has 2 classes" in said


def test_candidates_are_shown_in_detail_only(flights_run: Run) -> None:
    assert "measured for the method" not in words(report(flights_run))
    said = words(report(flights_run, detail=True))
    assert "measured for the method" in said
    assert "mini-batch infinite" in said


def test_a_wide_table_is_summed_up(flights_run: Run) -> None:
    columns = tuple(ColumnSummary(f"x{k}", "number", "standardised", 1, 2) for k in range(300))
    said = words(report(replace(flights_run, data=replace(flights_run.data, columns=columns))))
    assert "and 276 more   276 552" in said
    assert "x23 " in said
    assert "x24 " not in said


def test_flat_directions_and_unknown_shapes(flights_run: Run) -> None:
    flat_shape = replace(flights_run, curvature=Curvature(1.0, 0.0, math.inf, math.inf, 2.0))
    assert "the levels of a category add up to 1" in words(report(flat_shape))
    unknown = Curvature(math.nan, math.nan, math.nan, math.nan, math.nan)
    titles = [section.title for section in report(replace(flights_run, curvature=unknown))]
    assert "Shape of the slope" not in titles


def test_a_diverged_run_still_has_a_report(flights_run: Run) -> None:
    steps = (*flights_run.steps[:2], StepRecord(2, 4.1, 0.1, math.inf, math.nan, 1.0))
    run = replace(
        flights_run, verdict=Verdict.DIVERGED, message="diverged at step 2", gap=math.nan, gap_kind=GapKind.NONE,
        objective=math.nan, steps=steps, train={}, holdout={}, baseline={}, coefficients=(),
        findings=(Finding("DS101", "Too long", "rate 1", "try 0.1"),),
    )  # fmt: skip
    said = words(report(run))
    assert "verdict diverged at step 2" in said
    assert "0.6931 at the start, 0.5342 at the end" in said
    assert "because Rate 1." in said
    assert "Scores" not in said


def test_a_run_without_steps_or_path(flights_run: Run) -> None:
    said = words(report(replace(flights_run, steps=(), findings=())))
    assert "not saved" in said
    assert "None: nothing in these numbers calls for a change." in said


def test_the_curve_is_the_gap_where_it_is_known(flights_run: Run) -> None:
    curve = curve_of(flights_run)
    assert curve == Curve((2.1, 3.1, 4.1, 5.1), (1.0, 0.0489, 2.3e-3, 6.4e-5), "passes", "gap", log=True)
    unknown = tuple(replace(step, gap=math.nan, gap_kind=GapKind.NONE) for step in flights_run.steps)
    again = curve_of(replace(flights_run, steps=unknown))
    assert again is not None
    assert again.y_label == "objective"
    assert not again.log


def test_a_bound_and_an_estimate_do_not_mix(flights_run: Run) -> None:
    guessed = [replace(step, gap_kind=GapKind.ESTIMATED) for step in flights_run.steps[:3]]
    curve = curve_of(replace(flights_run, steps=(*guessed, flights_run.steps[3])))
    assert curve is not None
    assert curve.ys == (1.0, 0.0489, 2.3e-3)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_steps_make_no_curve(flights_run: Run, count: int) -> None:
    assert curve_of(replace(flights_run, steps=flights_run.steps[:count])) is None


@given(ys=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=600), most=st.integers(4, 80))
def test_thinning_keeps_ends_peaks_and_order(ys: list[float], most: int) -> None:
    points = [(float(x), y) for x, y in enumerate(ys)]
    kept = thin(points, most)
    assert len(kept) <= most or len(kept) == len(points)
    assert kept == sorted(kept)
    assert set(kept) <= set(points)
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert max(y for _, y in kept) == max(ys)
    assert min(y for _, y in kept) == min(ys)


def test_flat_holds_what_scripts_are_promised(flights_run: Run) -> None:
    found = flat(replace(flights_run, findings=diagnose(flights_run)))
    promised = (
        "run source target rows features loss_name method rule learning_rate batch_size objective_at_start objective "
        "gap gap_kind verdict passes updates seconds train holdout baseline condition_before condition_after "
        "stability_limit findings"
    )
    assert set(promised.split()) <= set(found)
    assert set(found["findings"][0]) == {"code", "title", "evidence", "remedy"}
    assert {"read", "choose", "descend", "total"} <= set(found["seconds"])
    assert found["loss_name"] == "log"
    assert found["gap_kind"] == "certified"
    assert found["predicted_passes"] is None
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_listing_names_what_cannot_be_read(flights_run: Run) -> None:
    broken = BrokenRun("old", "runs/old", "run.json is missing")
    regression = replace(flights_run, holdout={"r2": 0.7639, "rmse": 3.9}, gap=math.nan)
    said = words(listing([flights_run, regression, broken]))
    assert "flights-20261121-142301-7f3a late scaled converged 6.4e-5 75.6 % 184 ms" in said
    assert "– R² 0.764" in said
    assert "old: run.json is missing" in said
