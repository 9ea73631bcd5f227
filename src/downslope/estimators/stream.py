"""``partial_fit``: one pass of mini-batch steps over some rows, from wherever the weights stand.

Weights are kept in original units, so the coordinates of the steps may change from call to call without
changing the model: means and deviations are running ones, of all rows seen so far, joined block by block by
the stable formulas of Chan, Golub and LeVeque (1979, eq. 2.1).

Where the learning rate is ``auto``, rules that keep the gradient's size begin at ``B / (longest + (B - 1)
largest)``, the best rate for batches of B examples (Ma, Bassily and Belkin 2018, theorem 4), with the mean
squared length of a row and the largest second moment along a direction, both times the curvature of the loss.
Rules that divide by the gradient have their rate raced on the first rows. Then the rate falls as one over the
root of the examples seen, as the noise of a stream asks (Bach and Moulines 2011, section 3.2).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from downslope.certificate import start_objective
from downslope.choices.batch_size import choose_batch_size
from downslope.choices.learning_rate import HIGHEST_CURVATURE
from downslope.choices.sparse_steps import choose_sparse_rate, sparse_batch_size
from downslope.data.batches import order
from downslope.data.blocks import Examples
from downslope.engines import linear as engine
from downslope.engines.moments import second_moments
from downslope.engines.sparse_training import Shown, SparseTraining
from downslope.estimators.conventions import is_sparse
from downslope.estimators.features import Coordinates, encode
from downslope.models.linear import Objective, Point
from downslope.records import Choice, Curvature, GapKind, Spec, StepRecord, Verdict
from downslope.records.figures import count
from downslope.steps import ADAGRAD, rule_number
from downslope.training import Training, train
from downslope.training.loop import pose
from downslope.training.mini_batch import Course, trainer_of
from downslope.types import FloatArray, JsonValue, Matrix, Vector
from downslope.words import say

ENOUGH_FOR_NOISE = 64
"""Rows from which the noise scale can be measured; fewer make one batch."""
UNKNOWN = Curvature(math.nan, math.nan, math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Stream:
    """What is remembered of the rows seen so far.

    weight: sum of their weights. mean, spread: (p,), spread being the weighted sum of squares about the mean.
    seen, calls: rows and calls. batch, rate, delta: chosen at the first call that could choose; nan or 0 until then.
    shown: what steps on sparse rows remember of the columns, in original units.
    """

    weight: float
    mean: Vector
    spread: Vector
    seen: int = 0
    calls: int = 0
    batch: int = 0
    rate: float = math.nan
    delta: float = math.nan
    shown: Shown | None = None

    @classmethod
    def empty(cls, columns: int) -> Stream:
        """Return the state before the first row."""
        return cls(0.0, np.zeros(columns), np.zeros(columns))

    @classmethod
    def after_fit(cls, coordinates: Coordinates, weight: float, rows: int) -> Stream:
        """Return the state after a fit on ``rows`` rows in given coordinates."""
        scale = np.where(np.isfinite(coordinates.scale), coordinates.scale, 0.0)
        return cls(weight, coordinates.center, scale**2 * weight, seen=rows)

    def joined(self, features: Matrix, weights: Vector | None) -> Stream:
        """Return the state with some more rows."""
        each = np.ones(features.shape[0]) if weights is None else weights
        more = float(each.sum())
        if more == 0:
            return self
        mean = each @ features / more
        if is_sparse(features):
            squares: Any = cast("Any", features).power(2)
            spread = np.maximum(each @ squares - more * mean**2, 0.0)
        else:
            spread = each @ (features - mean) ** 2
        total, apart = self.weight + more, mean - self.mean
        return replace(
            self, weight=total, mean=self.mean + apart * (more / total),
            spread=self.spread + spread + apart**2 * (self.weight * more / total),
        )  # fmt: skip

    def coordinates(self, *, center: bool, scale: bool) -> Coordinates:
        """Return the coordinates of the steps; a column that has not varied yet has an infinite scale."""
        middle = self.mean if center else np.zeros_like(self.mean)
        if not scale:
            return Coordinates(np.zeros_like(self.mean), np.ones_like(self.mean))
        size = np.sqrt(self.spread / self.weight + (0.0 if center else self.mean**2))
        return Coordinates(middle, np.where(size > 1e-15 * np.abs(self.mean), size, np.inf))


@dataclass(frozen=True)
class Rows:
    """Some rows to step on: features (n, p), target (n,) float64, weights (n,) or None."""

    features: FloatArray
    target: Vector
    weights: Vector | None


def advance(
    stream: Stream, rows: Rows, spec: Spec, loss: str, outputs: int, coefficients: Matrix, intercept: Vector
) -> tuple[Stream, Training, Coordinates]:
    """Return the state, the training and its coordinates after one pass of mini-batch steps over some rows.

    coefficients: (p, k) in original units. A pass that diverges leaves the weights as they were.
    """
    began = time.perf_counter()
    if is_sparse(rows.features):
        return advance_sparsely(stream, rows, spec, loss, outputs, coefficients, intercept)
    stream = stream.joined(rows.features.astype(np.float64, copy=False), rows.weights)
    coordinates = stream.coordinates(center=spec.fit_intercept and spec.standardize, scale=spec.standardize)
    examples = encode(rows.features, rows.target, rows.weights, coordinates)
    start = to_model(coefficients, intercept, coordinates)
    stream, objective, choices = _settle(stream, examples, spec, loss, outputs)
    rule = "plain" if spec.rule == "auto" else spec.rule
    batch = min(stream.batch or examples.rows, examples.rows)
    rate = stream.rate
    if isinstance(spec.learning_rate, str):
        rate /= math.sqrt(1.0 + stream.seen / (batch * (examples.features + 1)))
    name = "constant" if spec.schedule == "auto" else spec.schedule
    course = Course(
        examples, objective, batch, rule_number(rule), spec.momentum, 1, name, spec.warmup, False, spec.seed
    )
    trainer: Any = trainer_of(course, rate, math.inf, start)
    trainer.averaging = spec.average is True
    _, whole = trainer.advance(order(examples.rows, spec.seed, stream.calls), 0, examples.rows)
    point = trainer.point()
    settled: dict[str, JsonValue] = {
        "loss": loss, "method": "mini-batch" if batch > 1 else "stochastic", "l2": objective.l2, "rule": rule,
        "learning_rate": rate, "batch_size": batch, "schedule": name, "average": spec.average is True, "epochs": 1,
    }  # fmt: skip
    fine, updates = whole and point.finite, int(trainer.updates)
    training = _training(examples, objective, point if fine else start, fine, updates, settled, choices, began)
    following = replace(stream, seen=stream.seen + examples.rows, calls=stream.calls + 1, shown=None)
    return following, training, coordinates


def advance_sparsely(
    stream: Stream, rows: Rows, spec: Spec, loss: str, outputs: int, coefficients: Matrix, intercept: Vector
) -> tuple[Stream, Training, Coordinates]:
    """Do as ``advance`` on sparse rows, by steps that ask for no scale: coordinates are the original ones.

    An ``auto`` l2 is 0, since a penalty would depend on the units; a given one acts on weights in original units. The
    rate is chosen on the first rows, and kept: the rule falls by itself.
    """
    began = time.perf_counter()
    columns = int(rows.features.shape[1])
    stream = stream.joined(rows.features.astype(np.float64, copy=False), rows.weights)
    coordinates = Coordinates(np.zeros(columns), np.ones(columns))
    examples = encode(rows.features, rows.target, rows.weights, coordinates)
    known = replace(spec, l2=0.0) if isinstance(spec.l2, str) else spec
    if loss == "huber" and isinstance(spec.huber_delta, str) and math.isfinite(stream.delta):
        known = replace(known, huber_delta=stream.delta)
    problem = pose(examples, known, loss, outputs)
    objective, choices = problem.objective, list(problem.choices)
    batch = 1 if spec.method == "stochastic" else int(sparse_batch_size(examples).value)
    if not isinstance(spec.batch_size, str):
        batch = min(int(spec.batch_size), examples.rows)
    rate = stream.rate if isinstance(spec.learning_rate, str) else float(spec.learning_rate)
    if math.isnan(rate):
        choices.append(choose_sparse_rate(examples, objective, batch, spec.seed))
        rate = float(choices[-1].value)
    start = Point(coefficients.copy(), intercept.copy())
    drawn = order(examples.rows, spec.seed, stream.calls)
    rates = np.full(-(-drawn.size // batch), rate)
    steps = SparseTraining.start(examples, objective, start, math.inf)
    if stream.shown is not None:
        steps.take_up(stream.shown)
    elif start.weights.any():  # after a fit: what each column has shown is looked at before a step is taken
        steps.advance(examples, drawn, 0, drawn.size, batch, 0.0 * rates)
    updates, _ = steps.advance(examples, drawn, 0, drawn.size, batch, rates)
    point = steps.point()
    fine = updates == rates.size and point.finite
    settled: dict[str, JsonValue] = {
        "loss": loss, "method": "mini-batch" if batch > 1 else "stochastic", "l2": objective.l2, "rule": "adagrad",
        "learning_rate": rate, "batch_size": batch, "schedule": "constant", "average": False, "epochs": 1,
    }  # fmt: skip
    training = _training(examples, objective, point if fine else start, fine, updates, settled, tuple(choices), began)
    delta = objective.loss.high if loss == "huber" else stream.delta
    following = replace(
        stream, seen=stream.seen + examples.rows, calls=stream.calls + 1, rate=rate, delta=delta,
        shown=steps.shown if fine else stream.shown,
    )  # fmt: skip
    return following, training, coordinates


def to_model(coefficients: Matrix, intercept: Vector, coordinates: Coordinates) -> Point:
    """Return the point in model coordinates whose scores are those of coefficients in original units."""
    weights = np.where(np.isfinite(coordinates.scale)[:, None], coefficients * coordinates.finite_scale[:, None], 0.0)
    return Point(weights, intercept + coordinates.center @ coefficients)


def _settle(
    stream: Stream, examples: Examples, spec: Spec, loss: str, outputs: int
) -> tuple[Stream, Objective, tuple[Choice, ...]]:
    """Return the stream with its batch size and rate chosen, the objective, and the choices made now."""
    penalty = (0.0 if loss == "squared" else 1.0 / stream.weight) if isinstance(spec.l2, str) else float(spec.l2)
    known = replace(spec, l2=penalty)
    if loss == "huber" and isinstance(spec.huber_delta, str) and math.isfinite(stream.delta):
        known = replace(known, huber_delta=stream.delta)
    problem = pose(examples, known, loss, outputs)
    objective, choices = problem.objective, list(problem.choices)
    if loss == "huber":
        stream = replace(stream, delta=objective.loss.high)
    rule = rule_number("plain" if spec.rule == "auto" else spec.rule)
    if not stream.batch:
        stream = replace(stream, batch=_batch(examples, objective, rule, spec, choices))
    if not isinstance(spec.learning_rate, str):
        return replace(stream, rate=float(spec.learning_rate)), objective, tuple(choices)
    if rule < ADAGRAD:
        choice = _rate_by_theory(examples, objective, rule, min(stream.batch or examples.rows, examples.rows), spec)
    elif math.isnan(stream.rate):
        choice = _rate_by_race(examples, known, loss, outputs, stream.batch or examples.rows)
    else:
        return stream, objective, tuple(choices)
    return replace(stream, rate=float(choice.value)), objective, (*choices, choice)


def _batch(examples: Examples, objective: Objective, rule: int, spec: Spec, choices: list[Choice]) -> int:
    """Return the batch size, 0 where it cannot be chosen yet."""
    if spec.method == "stochastic":
        return 1
    if not isinstance(spec.batch_size, str):
        return int(spec.batch_size)
    if examples.rows < ENOUGH_FOR_NOISE:
        return 0
    choices.append(choose_batch_size(examples, objective, rule, spec.momentum, spec.seed))
    return int(choices[-1].value)


def _rate_by_theory(examples: Examples, objective: Objective, rule: int, batch: int, spec: Spec) -> Choice:
    numbers = examples.blocks[0].numbers
    moments = second_moments(examples, None)
    length = float(np.trace(moments))
    largest = float(np.linalg.eigvalsh(moments)[-1]) if batch > 1 and numbers.shape[1] < examples.rows else length
    bend = _bend(examples, objective)
    rate = batch / (bend * (length + (batch - 1) * largest) + batch * objective.l2)
    if rule > 0:
        rate *= 1.0 - spec.momentum
    reason = say(
        "batches of {batch}: rows of mean squared length {length}, largest second moment {largest}, "
        "curvature of the loss {bend}",
        batch=batch,
        length=f"{length:.3g}",
        largest=f"{largest:.3g}",
        bend=f"{bend:.3g}",
    )
    return Choice("learning_rate", rate, reason)


def _rate_by_race(examples: Examples, spec: Spec, loss: str, outputs: int, batch: int) -> Choice:
    known = replace(spec, method="mini-batch", batch_size=batch, epochs=1)
    finite = np.where(np.isfinite(examples.scale), examples.scale, 1.0)
    raced = train(examples, known, loss, outputs, origin=(examples.center, finite))
    return next(each for each in raced.choices if each.name == "learning_rate")


def _bend(examples: Examples, objective: Objective) -> float:
    """Return the curvature of the loss that the rate must bear, a corner rounded over the target's spread."""
    if objective.loss.name in HIGHEST_CURVATURE:
        return HIGHEST_CURVATURE[objective.loss.name]
    target = examples.target
    if objective.loss.name == "poisson":
        return max(float(target.mean()), 1.0)
    spread = 1.0 if objective.loss.classifies else float(np.abs(target - np.median(target)).mean())
    return 1.0 / (spread or 1.0)


def _training(
    examples: Examples, objective: Objective, point: Point, fine: bool, updates: int,
    settled: Mapping[str, JsonValue], choices: tuple[Choice, ...], began: float,
) -> Training:  # fmt: skip
    seen = engine.evaluate(examples, objective, point)
    seconds = time.perf_counter() - began
    rate = float(settled["learning_rate"])
    message = (
        say(
            "one pass over {rows} rows: {updates} updates; partial_fit proves no gap",
            rows=count(examples.rows),
            updates=updates,
        )
        if fine
        else say(
            "diverged at step {updates} of this pass at learning rate {rate}; the weights are left as "
            "they were; try {smaller}",
            updates=updates + 1,
            rate=f"{rate:g}",
            smaller=f"{rate / 4:.2g}",
        )
    )
    step = StepRecord(updates, 1.0, seconds, seen.objective, seen.gradient_norm, rate)
    return Training(
        point, Verdict.BUDGET if fine else Verdict.DIVERGED, message, start_objective(examples, objective),
        seen.objective, math.nan, GapKind.NONE, 1.0, updates, (step,), choices, settled, UNKNOWN,
        {"choose": 0.0, "descend": seconds},
    )  # fmt: skip
