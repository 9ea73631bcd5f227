"""From examples and a Spec to a trained network: where the parts of this folder meet."""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from downslope.choices.step_cost import kept_cost
from downslope.machine import available_bytes
from downslope.models.network.grammar import Architecture
from downslope.models.network.model import NEIGHBOURS, layer_values
from downslope.records import Choice, Spec, StepRecord, Verdict
from downslope.records.shape import Look, StopPoint
from downslope.records.trajectory import Trajectory
from downslope.training.checkpoint import Keeper
from downslope.training.logbook import Watch
from downslope.training.network.course import course_of, planned_passes
from downslope.training.network.given import NetworkInputs
from downslope.training.network.scaling import TargetScale
from downslope.types import JsonValue, Vector
from downslope.words import Sentence, say

if TYPE_CHECKING:
    from downslope.engines.network.rules import Rule
    from downslope.training.network.measuring import Measuring
    from downslope.training.network.progress import NetworkProblem

RATES = {
    "plain": (3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003),
    "momentum": (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001),
    "nesterov": (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001),
    "adagrad": (0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003),
    "lion": (1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5),
}
"""Rates that are raced, highest first, by rule."""
OTHER_RATES = (0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)
STEEP = 4
"""Rates that convolutions race, the highest left out: their steps are dear, and many pixels share a weight."""
OWN_RATE = {"prodigy": 1.0}
FLOAT = 4
"""Bytes of a number in a network."""
LEAST_UPDATES = 500
"""Updates that a batch size chosen here must leave, if any does."""
PILOT, PILOT_BATCH = 100, 64
"""Trial updates, and examples of each, before the noise is measured from which a batch size is chosen."""


@dataclass(frozen=True)
class NetworkTraining:
    """What the training of a network came to.

    arrays: the weights and running statistics by name, as ``models.network.model`` keeps them. The rest is as in
    ``training.Training``; objectives are mean losses in units of the target.
    """

    arrays: Mapping[str, NDArray[Any]]
    target_scale: TargetScale
    verdict: Verdict
    message: Sentence
    objective_at_start: float
    objective: float
    passes: float
    updates: int
    steps: tuple[StepRecord, ...]
    choices: tuple[Choice, ...]
    resolved: Mapping[str, JsonValue]
    seconds: Mapping[str, float]
    looks: tuple[Look, ...]
    stop_point: StopPoint | None
    trajectory: Trajectory | None


def train_network(
    architecture: Architecture, train: NetworkInputs, held: NetworkInputs | None, spec: Spec, loss_name: str,
    outputs: int, *, huber_delta: float = 1.0, watch: Watch | None = None, keeper: Keeper | None = None,
) -> NetworkTraining:  # fmt: skip
    """Train a network as ``spec`` asks; every ``auto`` is chosen here.

    loss_name: resolved. outputs: k. held: examples that the network does not learn from, whose loss says when to
    stop. keeper: writes checkpoints, and holds the one to go on from. A run that diverges is a result: see
    ``NetworkTraining.verdict``.
    """
    import jax

    from downslope.engines.network.caching import keep_programs
    from downslope.engines.network.rules import rule_of
    from downslope.models.network.model import arrays_of
    from downslope.training.network.descent import NetworkDescent
    from downslope.training.network.measuring import Measuring
    from downslope.training.network.path import KeptPath, moments_kept
    from downslope.training.network.posing import pose_network

    began = time.perf_counter()
    keep_programs()
    keeper = keeper or Keeper()
    problem = pose_network(architecture, train, held, spec, loss_name, outputs, huber_delta)
    weights, data, scale = problem.weights, problem.train, problem.scale
    name = "adam" if spec.rule == "auto" else spec.rule
    rule = rule_of(name, spec.momentum, spec.weight_decay)
    choices = [] if spec.rule != "auto" else [Choice("rule", name, RULE_REASON)]
    epochs = planned_passes(data.rows, spec)
    inputs = (train.shape[0] + data.codes.shape[1],) if len(train.shape) == 1 else train.shape
    operations = operations_of_an_example(architecture, inputs, outputs)
    measuring = Measuring(
        problem.rest, problem.loss, problem.l2, weights, data, operations=operations, passes=epochs, seed=spec.seed
    )
    given = OWN_RATE.get(name, math.nan) if isinstance(spec.learning_rate, str) else float(spec.learning_rate)
    rates = raced_rates(name, architecture) if math.isnan(given) else np.array([given])
    if isinstance(spec.batch_size, str):
        most = most_in_memory(architecture, train.shape, rates.size, spec.pieces)
        most = min(most, int(epochs * data.rows / LEAST_UPDATES))
        key = f"{architecture} {train.shape} {data.codes.shape[1]} {outputs} {loss_name} {name} {jax.default_backend()}"
        choices.append(keeper.choose("batch_size", lambda: _batch_choice(problem, measuring, rule, rates, most, key)))
        batch = int(choices[-1].value)
    else:
        batch = int(spec.batch_size)
    batch = -(-min(batch, data.rows) // spec.pieces) * spec.pieces
    course = course_of(data.rows, batch, spec, rates.size == 1, 0 if problem.held is None else problem.held.rows)
    path = KeptPath(moments_kept(spec, weights), course.updates, course.race)
    descent = NetworkDescent(
        problem, course, (name, rule), rates, patience=spec.patience, max_seconds=spec.max_seconds or math.inf,
        clip=spec.clip, pieces=spec.pieces, watch=watch, measuring=measuring, momentum=spec.momentum, keeper=keeper,
        path=path,
    )  # fmt: skip
    chose = time.perf_counter()
    ended = descent.run()
    descent.look_around()
    progress = descent.progress
    rate_choice = descent.choice()
    objective = descent.loss_on(ended.weights, ended.statistics, data)
    began_stop = time.perf_counter()
    stop = descent.stop_point(ended, objective)
    measured = descent.measure_seconds + time.perf_counter() - began_stop
    resolved: dict[str, JsonValue] = {
        "loss": loss_name, "model": architecture.text, "method": "mini-batch", "rule": name,
        "learning_rate": progress.chosen, "batch_size": batch, "l2": problem.l2, "schedule": course.schedule,
        "warmup": course.warmup, "epochs": course.updates / course.updates_an_epoch, "keep_path": path.most,
    }  # fmt: skip
    if spec.clip is not None:
        resolved["clipped"] = int(np.max(descent.state.clipped))
    if loss_name == "huber":
        resolved["huber_delta"] = huber_delta
    seconds = {"choose": chose - began, "descend": descent.seconds - measured, "measure": measured}
    return NetworkTraining(
        arrays_of(ended.weights, ended.statistics), scale, ended.verdict, ended.message,
        descent.start * scale.objective, objective * scale.objective, course.passes(progress.updates),
        progress.updates, tuple(progress.steps), tuple([*choices, *([rate_choice] if rate_choice else [])]), resolved,
        seconds, descent.looks(), stop, path.trajectory(weights, problem.network.statistics),
    )  # fmt: skip


def _batch_choice(
    problem: NetworkProblem, measuring: Measuring, rule: Rule, rates: Vector, most: int, key: str
) -> Choice:
    """Return the batch size from the noise of the gradient and the time of a step; key: names the kind of step.

    At a random start all examples pull the same way; what a run will meet shows after its first updates, so a few
    are taken for this and given up. Where they diverge the start must do.
    """
    from downslope.choices.network.batch_size import choose_network_batch, network_step_cost
    from downslope.engines.network.inputs import batch_loss
    from downslope.engines.network.loop import Program, first_state

    statistics, train = problem.network.statistics, problem.train
    loss = batch_loss(problem.rest, problem.loss, problem.l2)
    pilot = Program(loss, rule, PILOT_BATCH, PILOT, np.inf)
    rows = np.random.default_rng(measuring.seed).integers(0, train.rows, PILOT * PILOT_BATCH, dtype=np.int32)
    state = first_state(problem.weights, rule, statistics, measuring.seed)
    state, _ = pilot.advance(state, train, rows, np.full(PILOT, rates[rates.size // 2]))
    alive = bool(state.alive)
    noise = measuring.noise(*((state.weights, state.statistics) if alive else (problem.weights, statistics)))
    cost = kept_cost(
        f"network-{sha256(key.encode()).hexdigest()[:16]}.json",
        lambda: network_step_cost(loss, rule, problem.weights, statistics, train, train.rows),
    )
    when = say("after {updates} trial updates", updates=PILOT) if alive else say("at the start")
    return choose_network_batch(noise, cost, train.rows, most, when)


def operations_of_an_example(architecture: Architecture, shape: tuple[int, ...], outputs: int) -> float:
    """Return the operations of the gradient of one example: six for each weight and each place where it is used."""
    total, inputs = 0.0, shape[-1]
    height, width = shape[:2] if len(shape) > 1 else (1, 1)
    for channels in architecture.channels:
        total += 6.0 * height * width * NEIGHBOURS * inputs * channels
        height, width, inputs = height // 2, width // 2, channels
    before = height * width * inputs
    for units in (*architecture.hidden, outputs):
        total += 6.0 * before * units
        before = units
    return total


def bytes_of_a_step(architecture: Architecture, shape: tuple[int, ...], lanes: int, batch: int, pieces: int) -> int:
    """Return about how much memory the layers of a batch take, there and back, for each of some lanes."""
    values = layer_values(architecture, shape) if len(shape) > 1 else [*shape, *architecture.hidden]
    lanes = 1 if architecture.channels else lanes  # the lanes of convolutions go one by one
    return 2 * FLOAT * lanes * -(-batch // pieces) * sum(values)


def most_in_memory(architecture: Architecture, shape: tuple[int, ...], lanes: int, pieces: int) -> int:
    """Return the largest batch whose layers fit into half of the memory that is free."""
    free = available_bytes()
    if free is None:
        return np.iinfo(np.int32).max
    return free // 2 // max(bytes_of_a_step(architecture, shape, lanes, pieces, pieces), 1) * pieces


def raced_rates(rule: str, architecture: Architecture) -> Vector:
    """Return the rates that a rule races on a network, highest first."""
    rates = np.array(RATES.get(rule, OTHER_RATES))
    return rates[-STEEP - 1 : -1] if architecture.channels else rates


RULE_REASON = say("each weight's step is divided by the size of its own gradients, so that one rate serves all layers")
