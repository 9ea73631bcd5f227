from __future__ import annotations

import math
import re
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from downslope.data.blocks import Examples
from downslope.losses import make_loss
from downslope.models.linear import Objective, Point
from downslope.records import GapKind, Spec, StepRecord, Verdict
from downslope.steps import rule_number
from downslope.training import Training, train
from downslope.training.loop import effective_examples, pose
from tests.plain_descent import descend, fit_target, objective_at, scipy_minimum, table

CLASSES = {"log": 2, "hinge": 2, "squared-hinge": 2, "softmax": 3}
LOSSES = ("squared", "absolute", "huber", "quantile", "poisson", "log", "hinge", "squared-hinge", "softmax")
SMOOTH = ("squared", "huber", "poisson", "log", "squared-hinge", "softmax")
LAYOUTS: dict[str, dict[str, Any]] = {
    "numbers": {},
    "codes, weights": {"levels": (3, 4), "weighted": True},
    "float32 in original units": {"applied": False, "levels": (3,), "dtype": np.float32},
    "dummies in blocks": {"levels": (3, 4), "dummies": True, "blocks": 2},
}


@cache
def examples_for(loss: str, layout: str = "numbers", rows: int = 160) -> Examples:
    classes = CLASSES.get(loss, 0)
    return fit_target(table(rows=rows, numbers=3, classes=classes, **LAYOUTS[layout]), make_loss(loss))


@cache
def trained(loss: str, layout: str = "numbers", **settings: Any) -> Training:
    return train(examples_for(loss, layout), Spec(**settings), loss, 3 if loss == "softmax" else 1)


def objective_of(loss: str, run: Training, spec: Spec) -> Objective:
    delta = float(run.resolved.get("huber_delta", 1.0))
    made = make_loss(loss, delta=delta, quantile=spec.quantile)
    return Objective(made, spec.l1, float(run.resolved["l2"]), spec.fit_intercept, 3 if loss == "softmax" else 1)


def columns(point: Point) -> np.ndarray:
    return np.vstack([point.weights, point.intercept])


@cache
def lowest(loss: str, layout: str, l1: float, l2: float, intercept: bool, delta: float) -> float:
    objective = Objective(make_loss(loss, delta=delta), l1, l2, intercept, 3 if loss == "softmax" else 1)
    return objective_at(examples_for(loss, layout), objective, scipy_minimum(examples_for(loss, layout), objective))


def true_gap(loss: str, layout: str, run: Training, **settings: Any) -> float:
    """Return (F - F*) / (F(start) - F*) of where a run ended, by SciPy's minimum, and check what it says of F."""
    examples, objective = examples_for(loss, layout), objective_of(loss, run, Spec(**settings))
    least = lowest(
        loss, layout, objective.l1, objective.l2, objective.intercept, float(run.resolved.get("huber_delta", 1))
    )
    zero = np.zeros((examples.features + 1, objective.outputs))
    start = objective_at(examples, objective, zero)
    reached = objective_at(examples, objective, columns(run.point))
    near = 1e-5 if examples.dtype == np.float32 else 1e-9
    assert run.objective_at_start == pytest.approx(start, rel=1e-10)
    assert run.objective == pytest.approx(reached, rel=near)
    return (reached - least) / (start - least)


def holds(run: Training, gap: float) -> None:
    """Check that a proved gap is one: SciPy may itself be 1e-8 from the minimum."""
    if run.gap_kind is GapKind.CERTIFIED:
        assert gap <= run.gap + 1e-8


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("loss", LOSSES)
def test_scaled_descent_reaches_the_minimum_and_proves_it(loss: str, layout: str) -> None:
    run = trained(loss, layout, method="scaled")
    gap = true_gap(loss, layout, run)
    assert run.verdict is Verdict.CONVERGED
    assert run.gap_kind is GapKind.CERTIFIED
    assert run.gap <= 1e-4
    holds(run, gap)
    assert run.message.startswith("converged: certified gap")


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("penalty", [(0.05, 0.0), (0.03, 0.05), (0.0, 0.1)], ids=str)
@pytest.mark.parametrize("intercept", [True, False])
def test_scaled_descent_under_every_penalty(loss: str, penalty: tuple[float, float], intercept: bool) -> None:
    settings = {"l1": penalty[0], "l2": penalty[1], "fit_intercept": intercept}
    run = trained(loss, "codes, weights", method="scaled", tolerance=1e-3, **settings)
    gap = true_gap(loss, "codes, weights", run, **settings)
    holds(run, gap)
    assert gap <= 1e-3
    assert run.verdict is Verdict.CONVERGED


@pytest.mark.parametrize("loss", ["log", "poisson", "softmax", "huber"])
def test_without_a_penalty_the_gap_is_estimated_and_called_so(loss: str) -> None:
    run = trained(loss, method="scaled", l2=0.0)
    assert run.gap_kind is GapKind.ESTIMATED
    assert run.verdict is Verdict.CONVERGED
    assert true_gap(loss, "numbers", run, l2=0.0) <= 1e-4


@pytest.mark.parametrize("loss", SMOOTH)
@pytest.mark.parametrize("rule", ["plain", "momentum", "nesterov"])
def test_full_batch_descent_reaches_the_minimum(loss: str, rule: str) -> None:
    run = trained(loss, "codes, weights", method="full-batch", rule=rule, l2=0.05, tolerance=1e-3)
    gap = true_gap(loss, "codes, weights", run, l2=0.05)
    assert run.verdict is Verdict.CONVERGED
    holds(run, gap)
    assert gap <= 1e-3
    assert run.resolved["batch_size"] == 160
    assert run.resolved["rule"] == rule


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("method", ["mini-batch", "stochastic"])
def test_descent_in_batches_comes_close_without_any_setting(loss: str, method: str) -> None:
    run = trained(loss, "codes, weights", method=method)
    gap = true_gap(loss, "codes, weights", run)
    assert run.verdict in (Verdict.BUDGET, Verdict.CONVERGED)
    holds(run, gap)
    assert gap <= 0.03
    names = {each.name for each in run.choices}
    assert {"learning_rate", "batch_size"} <= names | ({"batch_size"} if method == "stochastic" else set())
    assert run.resolved["batch_size"] == 1 or method == "mini-batch"


@pytest.mark.parametrize("rule", ["momentum", "nesterov", "adagrad", "rmsprop", "adam"])
def test_every_rule_in_batches_comes_close_without_any_setting(rule: str) -> None:
    run = trained("log", "codes, weights", method="mini-batch", rule=rule)
    gap = true_gap("log", "codes, weights", run)
    holds(run, gap)
    assert gap <= 0.03


@pytest.mark.parametrize("method", ["full-batch", "mini-batch", "stochastic"])
@pytest.mark.parametrize("rule", ["plain", "nesterov", "adam"])
def test_steps_with_given_settings_are_the_textbook_s(method: str, rule: str) -> None:
    examples = examples_for("log", "codes, weights")
    size = {"full-batch": 160, "mini-batch": 16, "stochastic": 1}[method]
    settings: dict[str, Any] = {"batch_size": 16} if method == "mini-batch" else {}
    spec = Spec(
        method=method, rule=rule, learning_rate=0.01, epochs=3, l2=0.1, l1=0.01, tolerance=0.0, schedule="constant",
        average=False, momentum=0.5, **settings,
    )  # fmt: skip
    zero = Point.zeros(examples.features, 1)
    run = train(examples, spec, "log", start=zero)
    objective = Objective(make_loss("log"), 0.01, 0.1, True)
    from downslope.data.batches import order

    whole = np.arange(160, dtype=np.int32)
    drawn = np.concatenate([whole if size == 160 else order(160, 0, epoch) for epoch in range(3)])
    count = run.updates
    assert count in (3 * 160 // size, 3 * 160 // size - 1)
    truth = descend(examples, objective, drawn[: count * size], size, np.full(count, 0.01), rule_number(rule), 0.5)
    np.testing.assert_allclose(columns(run.point), truth.weights, atol=1e-9)
    assert run.verdict is Verdict.BUDGET


@pytest.mark.parametrize("method", ["scaled", "full-batch", "mini-batch", "stochastic"])
def test_the_same_seed_gives_the_same_bits(method: str) -> None:
    examples = examples_for("log", "codes, weights")
    spec = Spec(method=method, epochs=4, tolerance=1e-9)
    first, again = train(examples, spec, "log"), train(examples, spec, "log")
    np.testing.assert_array_equal(columns(first.point), columns(again.point))
    assert [each.objective for each in first.steps] == [each.objective for each in again.steps]
    assert first.resolved == again.resolved
    other = train(examples, Spec(method=method, epochs=4, tolerance=1e-9, seed=1), "log")
    if method in ("mini-batch", "stochastic"):
        assert not np.array_equal(columns(first.point), columns(other.point))


@pytest.mark.parametrize("method", ["full-batch", "mini-batch", "stochastic"])
@pytest.mark.parametrize("loss", ["squared", "poisson"])
def test_divergence_is_caught_while_it_happens_and_explained(loss: str, method: str) -> None:
    rate = 50.0
    run = trained(loss, method=method, learning_rate=rate, epochs=200)
    assert run.verdict is Verdict.DIVERGED
    assert run.point.finite
    assert run.message.startswith("diverged at ")
    assert "learning rate 50" in run.message
    assert re.search(r"\b[Tt]ry \d", run.message)
    assert run.updates <= 200
    reached = objective_at(examples_for(loss), objective_of(loss, run, Spec()), columns(run.point))
    assert reached <= 10 * run.objective_at_start


def test_the_limit_and_the_factor_of_a_divergence_are_those_of_the_curvature() -> None:
    run = trained("squared", method="full-batch", learning_rate=5.0, epochs=200)
    limit = run.curvature.stability_limit
    assert run.curvature.largest == pytest.approx(2 / limit)
    assert f"{abs(1 - 5.0 * run.curvature.largest):.3g}"[:3] in run.message
    stable = trained("squared", method="full-batch", learning_rate=0.98 * limit, epochs=2000)
    assert stable.verdict is Verdict.CONVERGED
    assert trained("squared", method="full-batch", learning_rate=1.02 * limit, epochs=2000).verdict is Verdict.DIVERGED


def test_a_budget_that_ends_first_says_how_far_it_came() -> None:
    run = trained("log", method="full-batch", epochs=6, l2=0.01)
    assert run.verdict is Verdict.BUDGET
    assert run.message.startswith("budget spent after ")
    assert run.gap > 1e-4
    assert run.passes <= 8
    full = trained("log", method="full-batch", l2=0.01)
    assert math.isnan(run.predicted_passes) or run.predicted_passes <= 20 * full.passes


@pytest.mark.alone
def test_a_budget_of_time_is_kept() -> None:
    run = trained("log", "codes, weights", method="stochastic", epochs=10**6, max_seconds=0.2, tolerance=0.0)
    assert run.verdict is Verdict.BUDGET
    assert run.seconds["descend"] < 5.0


class Interrupt:
    """Presses Ctrl-C at the n-th record."""

    def __init__(self, at: int) -> None:
        self.at, self.seen = at, list[StepRecord]()

    def __call__(self, record: StepRecord) -> None:
        self.seen.append(record)
        if len(self.seen) == self.at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("method", ["scaled", "full-batch", "mini-batch", "stochastic"])
def test_a_run_stopped_by_hand_keeps_where_it_stood(method: str) -> None:
    press = Interrupt(3)
    run = train(examples_for("log"), Spec(method=method, tolerance=1e-12), "log", watch=press)
    assert run.verdict is Verdict.STOPPED
    assert run.message.startswith("stopped by hand after ")
    assert len(run.steps) == 3
    objective = objective_of("log", run, Spec())
    reached = objective_at(examples_for("log"), objective, columns(run.point))
    assert reached == pytest.approx(press.seen[1].objective, rel=1e-9) or reached == pytest.approx(
        press.seen[2].objective, rel=1e-9
    )


def test_a_stop_before_the_first_step_has_nothing_to_keep() -> None:
    with pytest.raises(KeyboardInterrupt):
        train(examples_for("log"), Spec(), "log", watch=Interrupt(1))


@pytest.mark.parametrize("method", ["scaled", "full-batch", "mini-batch", "stochastic"])
def test_whoever_watches_sees_every_record_in_order(method: str) -> None:
    seen: list[StepRecord] = []
    run = train(examples_for("log"), Spec(method=method, epochs=5), "log", watch=seen.append)
    assert tuple(seen) == run.steps
    assert all(after.update >= before.update for before, after in pairwise(seen))
    assert all(after.passes >= before.passes for before, after in pairwise(seen))
    assert run.updates >= seen[-1].update


def test_a_descent_begins_where_it_is_told_to() -> None:
    examples = examples_for("log")
    first = trained("log", method="scaled", tolerance=1e-8)
    seen: list[StepRecord] = []
    train(examples, Spec(method="scaled", tolerance=1e-4), "log", start=first.point, watch=seen.append)
    assert seen[0].objective == pytest.approx(first.objective, rel=1e-9)


def test_a_weak_penalty_is_chosen_where_it_is_left_open() -> None:
    problem = pose(examples_for("log"), Spec(), "log", 1)
    assert problem.objective.l2 == pytest.approx(1 / 160)
    assert [each.name for each in problem.choices] == ["l2"]
    assert pose(examples_for("squared"), Spec(), "squared", 1).objective.l2 == 0.0
    assert pose(examples_for("log"), Spec(l2=0.3), "log", 1).objective.l2 == 0.3
    assert pose(examples_for("log"), Spec(l2=0.3), "log", 1).choices == ()


def test_weights_stand_for_as_many_examples_as_they_repeat() -> None:
    plain = table(rows=10)
    assert effective_examples(plain) == 10
    counted = Examples(plain.blocks, 0, plain.target, np.arange(1.0, 11.0), plain.center, plain.scale, True)
    assert effective_examples(counted) == 55
    uneven = np.full(10, 0.5)
    uneven[0] = 1e6
    lopsided = Examples(plain.blocks, 0, plain.target, uneven, plain.center, plain.scale, True)
    assert effective_examples(lopsided) == pytest.approx(1.0, rel=1e-4)


def test_huber_bends_at_robust_deviations_of_the_target() -> None:
    examples = examples_for("huber")
    problem = pose(examples, Spec(), "huber", 1)
    deviation = 1.4826 * np.median(np.abs(examples.target - np.median(examples.target)))
    assert problem.objective.loss.high == pytest.approx(1.345 * deviation, rel=1e-9)
    assert pose(examples, Spec(huber_delta=2.0), "huber", 1).objective.loss.high == 2.0


def test_repeating_a_row_is_giving_it_a_whole_weight() -> None:
    plain = examples_for("log")
    counts = np.random.default_rng(0).integers(1, 4, 160)
    block = plain.blocks[0]
    repeated = Examples(
        (type(block)(0, np.repeat(block.numbers, counts, axis=0), np.repeat(block.codes, counts, axis=0)),), 0,
        np.repeat(plain.target, counts), None, plain.center, plain.scale, True,
    )  # fmt: skip
    weighted = Examples(plain.blocks, 0, plain.target, counts.astype(float), plain.center, plain.scale, True)
    spec = Spec(tolerance=1e-10)
    one, other = train(repeated, spec, "log"), train(weighted, spec, "log")
    assert one.resolved["l2"] == pytest.approx(other.resolved["l2"])
    np.testing.assert_allclose(columns(one.point), columns(other.point), atol=1e-4)


def test_one_example_is_enough_to_train_on() -> None:
    for loss in ("squared", "huber", "absolute", "poisson"):
        run = train(fit_target(table(rows=1, numbers=2), make_loss(loss)), Spec(l2=0.1), loss)
        assert run.point.finite
        assert run.verdict in (Verdict.CONVERGED, Verdict.BUDGET)
