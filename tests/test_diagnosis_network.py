"""DS5xx: each rule fires on the network it explains and is silent on the others."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import downslope
from downslope.diagnosis import (
    budget,
    clipped,
    dead_units,
    diagnose,
    diverged_above_limit,
    noise_floor,
    noisy_batch,
    plateau,
    redundant_batch,
    saddle,
    same_units,
    small_rate,
    unlike_gradients,
)
from downslope.records import Run, StepRecord, Verdict
from downslope.records.shape import StopKind
from tests.network_records import layer, look, network_run, stop

Make = Callable[..., Run]


@pytest.fixture
def make(flights_run: Run) -> Make:
    return lambda *args, **changes: network_run(flights_run, *args, **changes)


def rings(rows: int = 600, noise: float = 0.1) -> dict[str, Any]:
    """Return a table of points, some of them mislabelled, whose class is whether they lie inside a circle."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, rows))
    inside = (x**2 + y**2 < 1.4) ^ (rng.random(rows) < noise)
    return {"x": x, "y": y, "inside": np.where(inside, "in", "out")}


def fitted(table: dict[str, Any] | None = None, **settings: Any) -> Run:
    return downslope.fit(table or rings(), "inside", runs=None, **{"model": "mlp:8", **settings})


def codes(run: Run) -> list[str]:
    return [finding.code for finding in run.findings]


def stripes() -> tuple[np.ndarray, np.ndarray]:
    """Return small pictures of stripes, of which the lighter half are bright."""
    rng = np.random.default_rng(0)
    light = rng.uniform(0, 255, 300)
    pixels = np.clip(light[:, None, None] + 25 * rng.standard_normal((300, 4, 4)), 0, 255)
    return pixels.astype(np.uint8), light


# Real runs.


def test_a_network_that_learns_well_has_nothing_to_explain() -> None:
    run = fitted(rings(1200), epochs=20, measure_every=5.0)
    assert run.looks
    assert run.stop_point is not None
    assert [code for code in codes(run) if code.startswith("DS5")] == []


def test_units_that_begin_alike_stay_alike() -> None:
    run = fitted(start="zeros", learning_rate=0.1, epochs=5, holdout=0.3)
    (found,) = run.findings
    assert found.code == "DS501"
    assert "from --start zeros" in found.evidence
    assert "the rank of the gradient is 0 for the 8 units of hidden.0" in found.evidence
    assert "--start he," in found.remedy


def test_a_gradient_that_fades() -> None:
    run = fitted(model="mlp:4,4,4", activation="sigmoid", start="normal", rule="plain", learning_rate=0.1, epochs=5)
    found = unlike_gradients.find(run)
    assert found is not None
    assert found.title == "The gradient fades from layer to layer"
    assert "the gradient of hidden.0 is " in found.evidence
    assert "that of last " in found.evidence
    assert "--activation relu with --start he" in found.remedy
    assert "--rule adam" in found.remedy


def test_a_tiny_rate_and_a_better_one() -> None:
    slow: dict[str, Any] = {"rule": "plain", "schedule": "constant", "batch_size": 16, "epochs": 5, "holdout": 0.0}
    run = fitted(rings(60), learning_rate=1e-5, **slow)
    found = small_rate.find(run)
    assert found is not None
    assert found.code == "DS507"
    assert "DS106" not in codes(run)
    rate = float(found.remedy.split("--learning-rate ")[1].split(",")[0])
    again = fitted(rings(60), learning_rate=rate, **slow)
    assert again.verdict is not Verdict.DIVERGED
    assert again.objective_at_start - again.objective > 100 * (run.objective_at_start - run.objective)
    assert small_rate.find(again) is None


def test_a_rate_above_the_limit_of_a_linear_model_of_images() -> None:
    pixels, light = stripes()
    settings: dict[str, Any] = {
        "model": "linear", "loss": "squared", "rule": "plain", "schedule": "constant", "batch_size": 300,
        "holdout": 0.0,
    }  # fmt: skip
    calm = downslope.fit(pixels, light, runs=None, learning_rate=1e-3, epochs=100, **settings)
    assert not {"DS106", "DS503", "DS202", "DS201"} & set(codes(calm))
    limit = calm.looks[-1].limit
    run = downslope.fit(pixels, light, runs=None, learning_rate=1.4 * limit, epochs=100, **settings)
    assert run.verdict is Verdict.DIVERGED
    found = diverged_above_limit.find(run)
    assert found is not None
    assert "is 1.4 times the limit" in found.evidence
    advised = float(found.remedy.split("--learning-rate ")[1].split(",")[0])
    assert advised == pytest.approx(0.5 * limit, rel=0.05)
    again = downslope.fit(pixels, light, runs=None, learning_rate=advised, epochs=20, **settings)
    assert again.verdict is not Verdict.DIVERGED


# Records made by hand.


def test_a_healthy_record_has_nothing_to_explain(make: Make) -> None:
    assert diagnose(make()) == ()


def test_one_unit_and_few_live_ones_are_no_copies(make: Make) -> None:
    alike = {"start": "constant"}
    copies = look(1000, layer(rank=1), layer("last", units=1, rank=1))
    assert same_units.find(make(alike, looks=(copies,))) is not None
    found = same_units.find(make({**alike, "activation": "tanh"}, looks=(copies,)))
    assert found is not None
    assert "after 1,000 updates the rank of the gradient is 1 for the 16 units of hidden.0" in found.evidence
    assert "--start glorot," in found.remedy
    assert same_units.find(make(looks=(copies,))) is None  # a random start: one live unit, or one input
    assert same_units.find(make({**alike, "dropout": 0.5}, looks=(copies,))) is None
    assert same_units.find(make(alike, looks=(look(1000, layer(units=1, rank=1)),))) is None
    assert same_units.find(make(alike, looks=(look(1000, layer(rank=7)),))) is None
    assert same_units.find(make(alike, looks=())) is None
    stuck = look(1000, layer(rank=0, weights=0.0, dead=1.0))
    run = make({"start": "zeros", "dropout": 0.5}, looks=(stuck,))
    assert same_units.find(run) is not None
    assert dead_units.find(run) is None  # one cause, one finding


def test_dead_units(make: Make) -> None:
    dying = layer(dead=0.75)
    run = make(looks=(look(100), look(1000, dying)))
    found = dead_units.find(run)
    assert found is not None
    assert found.code == "DS502"
    assert "at update 1,000 units are zero for all 512 examples" in found.evidence
    assert "12 of 16 in hidden.0 (up to 75 % of a layer)" in found.evidence
    assert "--activation leaky-relu" in found.remedy
    assert "--learning-rate 0.025" in found.remedy
    assert dead_units.find(make(looks=(look(1000, layer(dead=0.3)),))) is None
    assert dead_units.find(make({"activation": "gelu"}, looks=run.looks)) is None
    assert dead_units.find(make(looks=run.looks, verdict=Verdict.DIVERGED)) is None
    hot = look(100, limit=0.02, rate=0.1)
    blamed = dead_units.find(make(looks=(hot, look(1000, dying))))
    assert blamed is not None
    assert "try --learning-rate 0.01: at update 100 the rate was 5 times the limit" in blamed.remedy


def diverging(*objectives: float) -> tuple[StepRecord, ...]:
    return tuple(
        StepRecord(50 * (k + 1), 1.0, 0.1, value, 1.0, 0.1, exact=False, holdout=0.7)
        for k, value in enumerate(objectives)
    )


def test_diverged_above_the_limit(make: Make) -> None:
    looks = (look(50, limit=0.02), look(200, limit=0.0001))
    run = make(verdict=Verdict.DIVERGED, updates=200, looks=looks, steps=diverging(0.7, 1.3, 90.0), stop_point=None)
    found = diverged_above_limit.find(run)
    assert found is not None
    assert found.code == "DS503"
    assert "learning rate 0.1 is 5 times the limit 0.02 of plain steps (2 / largest curvature 100)" in found.evidence
    assert "measured at update 50: such steps grow, and the loss left at update 201" in found.evidence
    assert found.remedy == "try --learning-rate 0.01"  # without "or auto": it was chosen
    asked = diverged_above_limit.find(replace(run, spec=replace(run.spec, learning_rate=0.1)))
    assert asked is not None
    assert asked.remedy == "try --learning-rate 0.01, or leave it to auto"
    assert diverged_above_limit.find(replace(run, verdict=Verdict.BUDGET)) is None
    assert diverged_above_limit.find(replace(run, looks=looks[1:])) is None  # how far it had left is not known
    assert diverged_above_limit.find(replace(run, steps=diverging(40.0, 90.0))) is None  # had left by then
    at_once = make(verdict=Verdict.DIVERGED, updates=2, looks=(look(2, limit=0.02, rate=0.08),), steps=())
    assert diverged_above_limit.find(replace(at_once, objective=9.0)) is None  # its last good weights were far out
    gone = diverged_above_limit.find(replace(at_once, objective=0.8))
    assert gone is not None
    assert "learning rate 0.08 is 4 times the limit 0.02" in gone.evidence
    near = look(50, limit=0.098)  # within two standard errors of the rate
    assert diverged_above_limit.find(replace(run, looks=(near,))) is None
    unknown = replace(look(50), limit=math.nan)
    assert diverged_above_limit.find(replace(run, looks=(unknown,))) is None
    anywhere = {"model": "linear", "loss": "squared"}
    bowl = make(None, anywhere, verdict=Verdict.DIVERGED, updates=200, looks=looks[1:], steps=run.steps)
    assert diverged_above_limit.find(bowl) is not None  # its curvature is the same everywhere
    halved = replace(run, resolved={**run.resolved, "learning_rate": 0.0125})
    assert diverged_above_limit.find(halved) is None


def test_a_saddle(make: Make) -> None:
    point = stop(StopKind.SADDLE, smallest=-0.4, escape_drop=0.1, escape_length=2.0)
    found = saddle.find(make(stop_point=point))
    assert found is not None
    assert found.code == "DS504"
    assert "curves down by 0.4, and along it the loss falls by 20 % within a distance of 2" in found.evidence
    assert found.remedy == "try another start (--seed 1), or --batch-size 16, whose noise pushes off a saddle"
    assert saddle.find(make(stop_point=point, verdict=Verdict.STOPPED)) is None
    assert saddle.find(make(stop_point=stop(StopKind.MINIMUM))) is None
    copies = make({"start": "zeros"}, stop_point=point, looks=(look(9, layer(rank=0)),))
    assert saddle.find(copies) is None
    assert same_units.find(copies) is not None


def test_a_plateau(make: Make) -> None:
    point = stop(StopKind.PLATEAU, gradient_norm=1e-9, largest=1e-8, smallest=-1e-8)
    run = make({"activation": "tanh"}, stop_point=point, objective=0.6)
    found = plateau.find(run)
    assert found is not None
    assert found.code == "DS505"
    assert "with 87 % of the start's loss left, a slope of 1e-9 and curvatures up to 1e-8" in found.evidence
    assert "--activation relu" in found.remedy
    assert "--rule adam" in found.remedy
    raw = plateau.find(replace(run, spec=replace(run.spec, standardize=False)))
    assert raw is not None
    assert raw.remedy.startswith("try standardised columns (leave out --no-standardize), or --activation relu")
    assert plateau.find(replace(run, objective=0.01)) is None  # flat, because all is answered
    assert plateau.find(replace(run, stop_point=stop(StopKind.MINIMUM))) is None
    dead = make(stop_point=point, objective=0.6, looks=(look(1000, layer(dead=1.0, rank=0)),))
    assert plateau.find(dead) is None
    assert dead_units.find(dead) is not None


def test_the_noise_floor(make: Make) -> None:
    gain = 0.1 * 0.02**2
    point = stop(
        StopKind.NOISE_FLOOR, gradient_error=0.08, drop=0.05, learning_rate=0.1, expected=gain * (1 - 2.0), batch=64,
    )  # fmt: skip
    run = make({"batch_size": 64}, stop_point=point)
    found = noise_floor.find(run)
    assert found is not None
    assert found.code == "DS506"
    assert "the gradient, 0.02, is less than its scatter over batches of 64 examples, 0.08" in found.evidence
    assert "noise takes back 200 % of a step's gain, though the loss could still fall by 10 %" in found.evidence
    assert "--schedule cosine" in found.remedy
    assert "--learning-rate 0.025" in found.remedy  # r - 20 r^2 is greatest there
    assert "--batch-size 1024" in found.remedy  # sixteen times: its scatter is a quarter
    assert budget.find(run) is None
    assert noisy_batch.find(run) is None
    assert noise_floor.find(make(resolved={"schedule": "cosine"}, stop_point=point)) is None
    assert noise_floor.find(replace(run, verdict=Verdict.CONVERGED)) is None


def test_the_noise_floor_of_a_rule_whose_gain_is_not_known_shows_in_the_losses(make: Make) -> None:
    point = stop(StopKind.NOISE_FLOOR, gradient_error=0.08, drop=0.05, batch=64)
    rests = (0.3 + 0.02 * np.sin(2.4 * np.arange(40))).tolist()
    falls = np.geomspace(0.69, 0.2, 40).tolist()
    rested, falling = (make(resolved={"rule": "adam"}, stop_point=point, steps=diverging(*each))
                       for each in (rests, falls))  # fmt: skip
    found = noise_floor.find(rested)
    assert found is not None
    assert "the loss no longer falls" in found.evidence
    assert "--learning-rate" not in found.remedy
    assert noise_floor.find(falling) is None
    assert noise_floor.find(replace(rested, steps=rested.steps[:8])) is None


@pytest.mark.parametrize(
    ("rule", "kind", "fall"),
    [(saddle, StopKind.SADDLE, "escape_drop"), (noise_floor, StopKind.NOISE_FLOOR, "drop"),
     (small_rate, StopKind.SMALL_RATE, "drop")],
)  # fmt: skip
def test_a_fall_on_few_examples_may_be_theirs_alone(make: Make, rule: Any, kind: StopKind, fall: str) -> None:
    # 100 weights on 600 of 1,200 rows: a loss of 0.5 falls by 0.083 there where it is lowest on all.
    found = {rows: [rule.find(make(stop_point=stop(
        kind, rows=rows, learning_rate=0.01, expected=1e-6, gradient_error=0.1, smallest=-0.1, **{fall: size}
    ))) for size in (0.1, 0.2)] for rows in (600, 1200)}  # fmt: skip
    assert found[600][0] is None
    assert found[600][1] is not None
    assert None not in found[1200]


def test_a_small_rate(make: Make) -> None:
    gain = 1e-4 * 0.02**2
    point = stop(StopKind.SMALL_RATE, learning_rate=1e-4, expected=gain * (1 - 5e-4), drop=0.02, stability_limit=0.5)
    run = make({"learning_rate": 1e-4}, {"learning_rate": 1e-4}, stop_point=point)
    found = small_rate.find(run)
    assert found is not None
    assert found.code == "DS507"
    assert "learning rate 0.0001 is 5,000 times below the stability limit 0.5" in found.evidence
    assert "the loss can still fall by 4 %: at the pace of an update there that takes 500,250 more" in found.evidence
    # With b such that r b / 2 g^2 is 5e-4 at r = 1e-4, r - 5 r^2 is greatest at 0.1: 500 times as far.
    assert found.remedy == (
        "try --learning-rate 0.1, with which an update gains 500 times as much there, or leave it to auto"
    )
    assert budget.find(run) is None
    assert small_rate.find(replace(run, verdict=Verdict.CONVERGED)) is None
    assert small_rate.find(replace(run, stop_point=stop(StopKind.DESCENDING))) is None


def test_gradients_that_are_unlike(make: Make) -> None:
    first, last = layer(gradient=2e-7), layer("last", gradient=0.02)
    looks = (look(100, first, last), look(1000, first, last))
    found = unlike_gradients.find(make(looks=looks))
    assert found is not None
    assert found.code == "DS508"
    assert "one rate moves the second 100,000 times further" in found.evidence
    swells = unlike_gradients.find(make(looks=(look(1000, replace(first, gradient=300.0), last),)))
    assert swells is not None
    assert swells.title == "The gradient swells from layer to layer"
    assert unlike_gradients.find(make(looks=(look(100), looks[1]))) is None  # not so all along
    assert unlike_gradients.find(make(looks=looks, resolved={"rule": "adam"})) is None  # divided out
    faint = look(1000, layer(gradient=1e-9), last)
    assert unlike_gradients.find(make(looks=(faint,), resolved={"rule": "adam"})) is not None
    assert unlike_gradients.find(make(looks=(look(1000, last),))) is None
    dead = look(1000, layer(gradient=0.0, dead=1.0, rank=0), last)
    assert unlike_gradients.find(make(looks=(dead,))) is None


def test_a_batch_of_repeats(make: Make) -> None:
    asked = {"batch_size": 1024}
    looks = (look(100, low=2.0, scale=8.0, high=12.0), look(1000, low=9.0, scale=12.0, high=16.0))
    run = make(asked, asked, looks=looks)
    found = redundant_batch.find(run)
    assert found is not None
    assert found.code == "DS509"
    assert "noise scale was 12 (95 %: 9 to 16) at update 1,000, the most of 2 looks" in found.evidence
    assert (
        "--batch-size 16: for the same progress there about 32 times fewer examples, in 2 times as many" in found.remedy
    )
    assert redundant_batch.find(make(None, asked, looks=run.looks)) is None  # chosen, with its evidence
    assert redundant_batch.find(make(asked, asked)) is None
    assert redundant_batch.find(make({"batch_size": 128}, {"batch_size": 128}, looks=run.looks)) is None
    endless = (looks[0], look(1000, low=60.0, scale=math.inf, high=math.inf))
    assert redundant_batch.find(make(asked, asked, looks=endless)) is None
    cut_short = make(asked, asked, looks=endless, stop_point=stop(StopKind.DESCENDING))
    found = redundant_batch.find(cut_short)
    assert found is not None
    assert found.evidence.endswith("8 (95 %: 2 to 12) at update 100, and the budget was spent on 1,000 updates")
    assert "--batch-size 64: for the same progress there about 14 times fewer" in found.remedy
    assert redundant_batch.find(replace(cut_short, stop_point=stop(StopKind.NOISE_FLOOR))) is None
    late = (looks[0], look(1000, low=2000.0, scale=math.inf, high=math.inf))
    assert redundant_batch.find(replace(cut_short, looks=late)) is None


def test_a_batch_of_noise(make: Make) -> None:
    asked = {"batch_size": 4}
    found = noisy_batch.find(make(asked, asked))
    assert found is not None
    assert found.code == "DS510"
    assert "batches of 4 against a noise scale of at least 150 examples" in found.evidence
    assert "97.4 % of the squared length of a step is noise" in found.evidence
    assert "--batch-size 128" in found.remedy
    assert "18 times as far" in found.remedy  # (1 + 150 / 4) / (1 + 150 / 128)
    assert noisy_batch.find(make(None, asked)) is None
    assert noisy_batch.find(make(asked, asked, verdict=Verdict.CONVERGED)) is None
    assert noisy_batch.find(make(asked, asked, looks=(look(100, low=30.0), look()))) is None


def test_clipped(make: Make) -> None:
    found = clipped.find(make({"clip": 0.01}, {"clipped": 900}))
    assert found is not None
    assert found.code == "DS511"
    assert "--clip 0.01 shortened 900 of 1,000 gradients (90 %), whose usual length was 0.05" in found.evidence
    assert "the clip set the length of the steps" in found.evidence
    assert "--clip 0.2" in found.remedy
    assert clipped.find(make({"clip": 0.01}, {"clipped": 100})) is None
    assert clipped.find(make({"clip": 0.01})) is None  # not counted
    assert clipped.find(make(None, {"clipped": 0})) is None
