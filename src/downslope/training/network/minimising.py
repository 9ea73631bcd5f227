"""From a caller's loss and a Spec to a minimum: the method is chosen, the descent run, the point it ended at judged."""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import jax
import numpy as np

from downslope.choices.network.batch_size import choose_network_batch, network_step_cost
from downslope.choices.network.noise import gradient_noise
from downslope.choices.step_cost import kept_cost
from downslope.engines.network.functions import in_precision, rule_from
from downslope.engines.network.landscape import data_landscape
from downslope.engines.network.problems import FunctionProblem, pose
from downslope.engines.network.rules import Rule
from downslope.errors import OptionError
from downslope.records import Choice, Spec, StepRecord
from downslope.records.figures import count, plural
from downslope.records.surface import Minimum
from downslope.training.checkpoint import Keeper
from downslope.training.logbook import Watch
from downslope.training.network.end_point import Ended, end_point
from downslope.training.network.functions import RATES, RuleDescent, plan
from downslope.training.network.newton import ScaledDescent
from downslope.training.network.parameters import arrays_by_path
from downslope.training.network.settling import OTHER_RATES, RULE_REASON
from downslope.training.network.settling import RATES as NETWORK_RATES
from downslope.types import JsonValue, Vector
from downslope.words import say

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
"""The share of the gradient at the start below which it counts as zero, where none is named."""
SCALED_MOST = 1000
"""Most numbers to learn for which the whole Hessian is worked out at every step."""
WIDE_MOST = 100_000
"""Numbers to learn up to which many rates are raced; above, those that suit networks."""


def pose_function(loss: Callable[..., Any], params: Any, data: Any, spec: Spec, *, residuals: bool) -> FunctionProblem:
    """Return a loss, its parameters and its data as they are descended; raises OptionError."""
    return pose(loss, params, data, residuals=residuals, double=_double(spec, data is not None, residuals))


def descend_function(
    problem: FunctionProblem, spec: Spec, rule: Any, *, updates: int | None, named_tolerance: bool,
    watch: Watch | None, keeper: Keeper,
) -> Minimum:  # fmt: skip
    """Minimise a loss as ``spec`` asks; see ``fitting.minimize``.

    keeper: writes checkpoints, and holds the one to go on from. Raises OptionError, and RunError for a checkpoint of
    another descent.
    """
    began = time.perf_counter()
    method, choices = _method(problem, spec, rule)
    precision = "float64" if problem.double else "float32"
    spec = spec if named_tolerance else replace(spec, tolerance=TOLERANCE[precision])
    resolved: dict[str, JsonValue] = {"method": method, "precision": precision, "tolerance": spec.tolerance}
    batch = 0
    with in_precision(problem.double):
        whole = problem.whole(problem.weights)
        if method == "scaled":
            stepping = ScaledDescent(problem, spec, updates or _epochs(spec), watch, keeper)
            resolved["rule"] = "plain"
        else:
            stepping, named, batch = _stepping(problem, spec, rule, method, updates, watch, keeper)
            choices += named
            resolved |= {
                "rule": stepping.name, "batch_size": batch or problem.rows or None,
                "schedule": stepping.course.schedule, "warmup": stepping.course.warmup,
            }  # fmt: skip
        chose = time.perf_counter()
        descent = stepping.run()
        if method != "scaled":
            resolved["learning_rate"] = descent.rate
        end = problem.whole(descent.weights)
        measured = time.perf_counter()
        fallen = whole.value - end.value
        point = end_point(problem, Ended(descent.weights, end.norm, fallen, descent.updates, batch), spec.seed)
        answer = problem.answer(descent.weights)
    last = StepRecord(
        descent.updates, descent.passes, descent.seconds, end.value, end.norm, descent.rate, exact=True
    )  # fmt: skip
    now = time.perf_counter()
    seconds = {"choose": chose - began, "descend": descent.seconds, "measure": now - measured, "total": now - began}
    seconds["total"] += keeper.earlier
    return Minimum(
        answer, end.value, end.norm, point.kind, point.smallest, point.largest, descent.verdict, descent.message,
        whole.value, descent.passes, descent.updates, spec, resolved, seconds, _with_last(descent.steps, last),
        (*choices, *descent.choices), point.reason, point.stop_point, size=problem.size, rows=problem.rows,
        arrays=arrays_by_path(descent.weights),
    )  # fmt: skip


def _with_last(steps: tuple[StepRecord, ...], last: StepRecord) -> tuple[StepRecord, ...]:
    """Return the record with the end as it truly is, after all updates and over all data."""
    if steps[-1].update == last.update and steps[-1].exact:
        return steps
    return (*(each for each in steps if each.update < last.update), last)


def _double(spec: Spec, data: bool, residuals: bool) -> bool:
    """Say whether to count in float64: where every slope is exact, its last digits decide."""
    if spec.precision != "auto":
        return spec.precision == "float64"
    return residuals or not data or spec.method == "scaled"


def _epochs(spec: Spec) -> int | None:
    return None if isinstance(spec.epochs, str) else math.ceil(spec.epochs)


def _method(problem: FunctionProblem, spec: Spec, rule: Any) -> tuple[str, list[Choice]]:
    """Return the method, with its reason where it was chosen; raises OptionError for one that cannot be."""
    if spec.method in ("mini-batch", "stochastic") and not problem.rows:
        message = say(
            "the method {method} takes its steps from batches of data, but no data was given", method=spec.method
        )
        raise OptionError(message)
    if spec.method == "scaled" and (problem.size > SCALED_MOST or not isinstance(rule, str)):
        why = (
            say("there are {size} to learn", size=count(problem.size))
            if problem.size > SCALED_MOST
            else say("a rule of your own was given")
        )
        message = say(
            "the scaled method steps by itself, for up to {most} numbers, but {why}; name another method",
            most=count(SCALED_MOST),
            why=why,
        )
        raise OptionError(message)
    if spec.method != "auto":
        return spec.method, []
    steered = not isinstance(rule, str) or (spec.rule, spec.learning_rate, spec.schedule, spec.warmup) != (
        "auto", "auto", "auto", 0.0
    )  # fmt: skip
    if problem.rows and not problem.residuals:
        why = say("of {rows} examples a few at a time tell the slope", rows=count(problem.rows))
        return "mini-batch", [Choice("method", "mini-batch", why)]
    if steered or problem.size > SCALED_MOST:
        why = (
            say("a rule or a rate is named")
            if steered
            else say("the Hessian of {size} numbers is too large", size=count(problem.size))
        )
        return "full-batch", [Choice("method", "full-batch", why)]
    return "scaled", [
        Choice("method", "scaled", say("the Hessian of {numbers} is small", numbers=plural(problem.size, "number")))
    ]


def _stepping(
    problem: FunctionProblem, spec: Spec, rule: Any, method: str, updates: int | None, watch: Watch | None,
    keeper: Keeper,
) -> tuple[RuleDescent, list[Choice], int]:  # fmt: skip
    """Return the descent by a rule, what was chosen for it, and its batch size: 0 for all data."""
    choices: list[Choice] = []
    named = rule
    if isinstance(rule, str) and rule == "auto":
        named = "adam"
        choices.append(Choice("rule", named, RULE_REASON))
    name, made = rule_from(named, spec.momentum, spec.weight_decay)
    batch = 0
    if method == "stochastic":
        batch = 1
    elif method == "mini-batch" and isinstance(spec.batch_size, str):
        choices.append(keeper.choose("batch_size", lambda: _batch_choice(problem, name, made, spec.seed)))
        batch = min(int(choices[-1].value), problem.rows)
    elif method == "mini-batch":
        batch = min(int(spec.batch_size), problem.rows)
    rates = _rates(problem, spec, name)
    course = plan(problem, spec, batch, updates, rates.size == 1)
    descent = RuleDescent(
        problem, course, (name, made), rates, spec, exact=batch == 0, watch=watch, keeper=keeper
    )  # fmt: skip
    return descent, choices, batch


def _batch_choice(problem: FunctionProblem, name: str, rule: Rule, seed: int) -> Choice:
    """Return the batch size from the noise of the gradient at the start and the time of a step."""
    landscape = data_landscape(problem.of, problem.weights, problem.data)
    noise = gradient_noise(landscape, landscape.flat(problem.weights), seed=seed)
    steps = str(jax.make_jaxpr(problem.of)(problem.weights, problem.data))  # what is computed names the kind of step
    cost = kept_cost(
        f"function-{sha256(f'{name} {steps} {jax.default_backend()}'.encode()).hexdigest()[:16]}.json",
        lambda: network_step_cost(problem.batch_loss(False), rule, problem.weights, (), problem.data, problem.rows),
    )
    return choose_network_batch(noise, cost, problem.rows)


def _rates(problem: FunctionProblem, spec: Spec, name: str) -> Vector:
    """Return the rates to race, highest first, or the one that was given or belongs to the rule."""
    if not isinstance(spec.learning_rate, str):
        return np.array([float(spec.learning_rate)])
    if name in ("prodigy", "optax"):
        return np.ones(1)
    few = NETWORK_RATES.get(name, OTHER_RATES)
    return np.array(RATES if problem.size <= WIDE_MOST else few)
