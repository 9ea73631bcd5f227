"""Reducing loss is one loop; this is where its parts meet.

Place the start, measure the shape of the slope, choose what was left to choice, descend by the method, and
say how far the minimum still is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from downslope.certificate import certify, has_proof, relative_gap, start_objective
from downslope.choices.curvature import Moments, exact_moments, in_memory, mean_bend, measure_moments, shape_of
from downslope.choices.method import choose_method
from downslope.choices.penalty import choose_penalty, is_wide
from downslope.choices.start import constant_start, middle
from downslope.data.blocks import Examples, Source
from downslope.data.large.stream import Stream
from downslope.engines import linear as engine
from downslope.losses import make_loss
from downslope.models.linear import Objective, Point
from downslope.records import Choice, Curvature, GapKind, Spec, Verdict
from downslope.records.figures import count, figure, plural
from downslope.training import squared
from downslope.training.checkpoint import Keeper
from downslope.training.full_batch import descend_full_batch
from downslope.training.interior import descend_interior, fits
from downslope.training.logbook import Descent, Logbook, Training, Watch, passes_still_needed
from downslope.training.metric import Metric, uniform_metric
from downslope.training.mini_batch import descend_in_batches
from downslope.training.refining import refined, refines
from downslope.training.rounds import descend_in_rounds
from downslope.training.scaled import SCALED, ScaledDescent, Stand, descend_cornered
from downslope.types import JsonValue, Matrix, Vector
from downslope.words import NOTHING, Sentence, named, say

PASSES = {"scaled": 1000.0, "full-batch": 10_000.0, "mini-batch": 20.0, "stochastic": 20.0}
"""Most passes of each method when ``epochs`` is auto."""
HUBER_DEVIATIONS = 1.345
"""Robust deviations at which huber's slope is clipped: 95 % as efficient as squared loss on normal noise
(Huber 1981, section 4.2)."""
MAD_TO_DEVIATION = 1.4826
FLAT_CURVATURE = 1e-6
"""A mean curvature below this says nothing; the corner's width takes its place."""


@dataclass(frozen=True)
class Problem:
    """What is to be minimised, on what, and what was chosen on the way."""

    examples: Source
    objective: Objective
    choices: tuple[Choice, ...]


def pose(examples: Source, spec: Spec, loss: str, outputs: int) -> Problem:
    """Return the objective that the spec asks for, l2 and huber's delta chosen where they are auto.

    loss: resolved name. outputs: k; 1 for regression and two classes.
    """
    choices: list[Choice] = []
    delta = 1.0
    if loss == "huber":
        delta = _number(spec.huber_delta, lambda: _huber_delta(examples, choices))
    shape = make_loss(loss, delta=delta, quantile=spec.quantile)
    free = Objective(shape, spec.l1, 0.0, spec.fit_intercept, outputs)
    l2 = _number(spec.l2, lambda: _penalty(examples, free, spec.seed, choices))
    return Problem(examples, replace(free, l2=l2), tuple(choices))


def _number(value: float | str, otherwise: Callable[[], float]) -> float:
    return otherwise() if isinstance(value, str) else float(value)


def _huber_delta(given: Source, choices: list[Choice]) -> float:
    examples = in_memory(given)
    centre = middle(examples.target, examples.weights)
    deviation = MAD_TO_DEVIATION * middle(np.abs(examples.target - centre), examples.weights)
    delta = HUBER_DEVIATIONS * (deviation or float(examples.target.std()) or 1.0)
    reason = say(
        "{deviations} robust deviations of the target, which is {deviation} around its median",
        deviations=f"{HUBER_DEVIATIONS}",
        deviation=f"{deviation:.4g}",
    )
    choices.append(Choice("huber_delta", delta, reason))
    return delta


def _penalty(examples: Source, free: Objective, seed: int, choices: list[Choice]) -> float:
    if is_wide(examples) and free.l1 == 0:
        choices.append(choose_penalty(examples, free, effective_examples(examples), seed))
    elif free.loss.name == "squared":
        reason = say("the squared loss has a minimum, and a proof of it, without a penalty")
        choices.append(Choice("l2", 0.0, reason))
    else:
        size = effective_examples(examples)
        reason = say(
            "1 / n for {size} examples: weak enough to leave the fit alone, and the minimum can be proved",
            size=f"{size:,.0f}",
        )
        choices.append(Choice("l2", 1.0 / size, reason))
    return float(choices[-1].value)


def effective_examples(examples: Source) -> float:
    """Return how many examples the weights stand for.

    Whole-number weights count repeated rows, so it is their sum; any other weights are relative, so it is
    Kish's effective size ``(sum c)^2 / sum c^2`` (Kish 1965, section 11.7).
    """
    weighted, broken, squares = examples.total(_weight_sums, features=False)
    if not weighted:
        return float(examples.rows)
    if not broken:
        return examples.weight_sum
    return examples.weight_sum**2 / squares


def _weight_sums(examples: Examples) -> tuple[int, int, float]:
    """Return how many examples have a weight, how many weights are no whole numbers, and the sum of their squares."""
    weights = examples.weights
    if weights is None:
        return 0, 0, 0.0
    return weights.size, int(np.count_nonzero(weights != np.round(weights))), float(weights @ weights)


def train(
    examples: Source, spec: Spec, loss: str, outputs: int = 1, *, watch: Watch | None = None,
    start: Point | None = None, origin: tuple[Vector, Vector] | None = None, keeper: Keeper | None = None,
) -> Training:  # fmt: skip
    """Train a linear model on ``examples`` as ``spec`` asks; every ``auto`` is chosen here.

    loss: its resolved name. outputs: k. watch: called with each StepRecord as it happens. start: where to
    begin instead of at constant scores. origin: (center, scale) of the number features in original units,
    for the condition before scaling. keeper: writes checkpoints, and holds the one to go on from. A run that
    diverges is a result: see ``Training.verdict``.
    """
    with engine.one_blas_thread():
        return _train(examples, spec, loss, outputs, watch, start, origin, keeper or Keeper())


def _train(
    examples: Source, spec: Spec, loss: str, outputs: int, watch: Watch | None, start: Point | None,
    origin: tuple[Vector, Vector] | None, keeper: Keeper,
) -> Training:  # fmt: skip
    began = time.perf_counter()
    problem = pose(examples, spec, loss, outputs)
    objective = problem.objective
    center, scale = origin or (examples.center, examples.scale)
    method, choice = choose_method(examples, objective, spec)
    known = squared.fits(examples, objective) and method == "scaled"
    moments = exact_moments(examples) if known else measure_moments(examples, None, spec.seed)
    constant = constant_start(examples, objective)
    bends = _bends(examples, objective, constant)
    metric = uniform_metric(moments, objective, bends, constant.intercept)
    shape = shape_of(examples, objective, moments, float(bends.max()), center, scale)
    log = Logbook(
        start_objective(examples, objective), spec.tolerance, _budget(spec, method),
        spec.max_seconds or math.inf, watch, passes=1.0,
    )  # fmt: skip
    chose = time.perf_counter()
    choices = [*problem.choices, *([choice] if choice else [])]
    resolved: dict[str, JsonValue] = {"loss": loss, "method": method, "l2": objective.l2}
    if loss == "huber":
        resolved["huber_delta"] = objective.loss.high
    stopped = False
    try:
        descent, more, settled = _descend(
            method, examples, objective, moments, metric, shape, spec, log, start, constant, keeper
        )
        choices += more
        resolved |= settled
    except KeyboardInterrupt:
        if log.last is None:
            raise
        stopped = True
        descent = _where_it_stood(log, log.last)
    seconds = {"choose": chose - began, "descend": log.seconds}
    return _conclude(descent, log, spec, shape, choices, resolved, seconds, stopped)


def _where_it_stood(log: Logbook, point: Point) -> Descent:
    """Return the descent that was stopped by hand, at its last recorded step."""
    last = log.steps[-1]
    return Descent(point, last.objective, last.gap, last.gap_kind, False)


def _bends(examples: Source, objective: Objective, point: Point) -> Vector:
    """Return the mean curvature (k,) of the loss at the start, a corner rounded over the target's spread."""
    rounded = objective
    if objective.loss.cornered:
        rounded = replace(objective, loss=objective.loss.rounded(_corner_width(examples, objective, point)))
    return np.maximum(mean_bend(examples, rounded, point), FLAT_CURVATURE)


def _corner_width(given: Source, objective: Objective, point: Point) -> float:
    """Return the first width of a rounded corner: the middle size of a residual at the start; 1 for a margin."""
    if objective.loss.classifies:
        return 1.0
    examples = in_memory(given)
    residual = np.abs(examples.target - point.intercept[0])
    return float(middle(residual, examples.weights) or residual.mean() or 1.0)


def _budget(spec: Spec, method: str) -> float:
    return PASSES[method] if isinstance(spec.epochs, str) else float(spec.epochs)


def _descend(
    method: str, examples: Source, objective: Objective, moments: Moments, metric: Metric, shape: Curvature,
    spec: Spec, log: Logbook, first: Point | None, constant: Point, keeper: Keeper,
) -> tuple[Descent, list[Choice], dict[str, JsonValue]]:  # fmt: skip
    if method == "full-batch":
        return descend_full_batch(examples, objective, moments, metric, shape, spec, log, first, keeper)
    if method in ("mini-batch", "stochastic"):
        if not isinstance(examples, Examples | Stream):
            return descend_in_rounds(examples, objective, moments, metric, shape, spec, log, first, keeper)
        return descend_in_batches(method, examples, objective, moments, metric, shape, spec, log, first, keeper)
    settled: dict[str, JsonValue] = {"rule": "scaled", "learning_rate": 1.0, "batch_size": examples.rows}
    choices = [_explain_scaled(moments)]
    if squared.fits(examples, objective):
        descent = squared.descend_squared(examples, objective, moments, first or constant, log, spec.tolerance)
        if descent.done and refines(examples, objective):
            descent = replace(descent, point=refined(examples, objective, metric, descent.point))
        return descent, choices, settled
    if fits(examples, objective):
        return descend_interior(examples, objective, log, spec.tolerance), choices, settled
    if objective.loss.cornered:
        start = first or constant
        width = _corner_width(examples, objective, start)
        descent = descend_cornered(examples, objective, moments, log, spec.seed, start, width, spec.tolerance)
        return descent, choices, settled
    return _descend_smoothly(examples, objective, moments, metric, spec, log, first, constant, keeper), choices, settled


def _descend_smoothly(
    examples: Source, objective: Objective, moments: Moments, metric: Metric, spec: Spec, log: Logbook,
    first: Point | None, constant: Point, keeper: Keeper,
) -> Descent:  # fmt: skip
    work = ScaledDescent(examples, objective, objective, moments, metric, log, spec.seed)
    if keeper.taken_up(SCALED) is not None:
        return work.resume(keeper, spec.tolerance)
    stand = work.evaluate(first or constant)
    if objective.loss.name == "huber" and first is None and moments.matrix is not None:
        stand = _from_least_squares(work, stand, moments.matrix)
    return work.run(stand, spec.tolerance, keeper)


def _from_least_squares(work: ScaledDescent, stand: Stand, moments: Matrix) -> Stand:
    """Return the better of a start and of the bottom of the squared loss, where most slopes are not clipped."""
    bottom = squared.least_squares(work.examples, work.objective, moments, stand.point)
    better = work.evaluate(bottom)
    if not better.seen.objective < stand.seen.objective:
        return stand
    work.rebuild(bottom, majorant=True)
    return better


def _explain_scaled(moments: Moments) -> Choice:
    if moments.matrix is None:
        reason = say("1, times the inverse of the diagonal of the Hessian: there are too many features for more")
    else:
        rows = say("{sampled} sampled", sampled=count(moments.sampled)) if moments.sampled else say("all")
        reason = say("1, times the inverse Hessian measured on {rows} rows: the step that a bowl needs", rows=rows)
    return Choice("learning_rate", 1.0, reason)


def _conclude(
    descent: Descent, log: Logbook, spec: Spec, shape: Curvature, choices: list[Choice],
    resolved: dict[str, JsonValue], seconds: dict[str, float], stopped: bool,
) -> Training:  # fmt: skip
    verdict = Verdict.BUDGET
    if descent.failed:
        verdict = Verdict.DIVERGED
    elif stopped:
        verdict = Verdict.STOPPED
    elif descent.done:
        verdict = Verdict.CONVERGED
    predicted = math.nan
    if verdict is Verdict.BUDGET:
        predicted = descent.predicted
        if not math.isfinite(predicted):
            predicted = passes_still_needed(log.steps, descent.gap, spec.tolerance)
    return Training(
        descent.point, verdict, descent.message or _message(verdict, descent, log, spec, predicted), log.start,
        descent.objective, descent.gap, descent.kind, log.passes, log.updates, tuple(log.steps), tuple(choices),
        resolved, shape, seconds, predicted,
    )  # fmt: skip


def _message(verdict: Verdict, descent: Descent, log: Logbook, spec: Spec, predicted: float) -> Sentence:
    where = (
        say("{kind} gap {gap}", kind=named(descent.kind), gap=figure(descent.gap, 2))
        if math.isfinite(descent.gap)
        else say("gap unknown")
    )
    work = say(
        "{updates}, {passes}", updates=plural(log.updates, "update"), passes=plural(log.passes, "pass", "passes")
    )
    asked = figure(spec.tolerance)
    if verdict is Verdict.CONVERGED:
        return say("converged: {where} after {work}", where=where, work=work)
    if verdict is Verdict.STOPPED:
        return say("stopped by hand after {work}: {where}", work=work, where=where)
    where += (
        say(", not proved below {asked}", asked=asked)
        if descent.gap <= spec.tolerance
        else say(", asked {asked}", asked=asked)
    )
    if not log.spent:
        return say("no further progress: {where}; float arithmetic can tell no more", where=where)
    more = NOTHING
    if math.isfinite(predicted):
        passes = plural(float(f"{predicted:.2g}"), "more pass", "more passes")
        more = say("; about {passes} would be needed", passes=passes)
        if not descent.sure:
            more = say("; at least {passes} would be needed", passes=passes)
    return say("budget spent after {work}: {where}{more}", work=work, where=where, more=more)


def certified_or_estimated(
    examples: Source, objective: Objective, point: Point, start: float, estimated: float
) -> tuple[Point, float, float, GapKind]:
    """Return (point, F, gap, kind) after a proof where there is one, else the estimate given."""
    bound = certify(examples, objective, point)
    if has_proof(objective) and math.isfinite(bound.lower):
        return bound.point, bound.objective, bound.gap(start), GapKind.CERTIFIED
    return bound.point, bound.objective, relative_gap(estimated, start, bound.objective), GapKind.ESTIMATED
