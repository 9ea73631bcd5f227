"""What a training of a network goes by where nothing is said: rule, learning rates to race, and the batch size."""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from downslope.choices.step_cost import StepCost, kept_cost
from downslope.machine import available_bytes
from downslope.models.network.grammar import Architecture
from downslope.models.network.model import NEIGHBOURS, layer_values
from downslope.records import Choice, Spec
from downslope.training.checkpoint import Keeper
from downslope.training.network.course import planned_passes
from downslope.types import Vector
from downslope.words import say

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
class Settled:
    """What a training goes by.

    rule: its name and itself. rates: to race, highest first, or the one given. batch: examples a step.
    """

    rule: tuple[str, Rule]
    rates: Vector
    batch: int
    choices: list[Choice]
    measuring: Measuring
    _problem: NetworkProblem
    _key: str

    def step_seconds(self) -> float:
        """Return the seconds of a step, measured once on a machine."""
        cost = _step_cost(self._problem, self.rule[1], self._key)
        return cost.step + self.batch * cost.example


def settle(
    architecture: Architecture, problem: NetworkProblem, shape: tuple[int, ...], rows: int, spec: Spec, loss_name: str,
    keeper: Keeper,
) -> Settled:  # fmt: skip
    """Choose what ``spec`` leaves open. shape: of one example. rows: that are learned from, here or elsewhere."""
    import jax

    from downslope.engines.network.rules import rule_of
    from downslope.training.network.measuring import Measuring

    data, outputs = problem.train, problem.outputs
    name = "adam" if spec.rule == "auto" else spec.rule
    rule = rule_of(name, spec.momentum, spec.weight_decay)
    choices = [] if spec.rule != "auto" else [Choice("rule", name, RULE_REASON)]
    epochs = planned_passes(rows, spec)
    inputs = (shape[0] + data.codes.shape[1],) if len(shape) == 1 else shape
    operations = operations_of_an_example(architecture, inputs, outputs)
    measuring = Measuring(
        problem.rest, problem.loss, problem.l2, problem.weights, data, operations=operations, passes=epochs,
        seed=spec.seed,
    )  # fmt: skip
    given = OWN_RATE.get(name, math.nan) if isinstance(spec.learning_rate, str) else float(spec.learning_rate)
    rates = raced_rates(name, architecture) if math.isnan(given) else np.array([given])
    key = f"{architecture} {shape} {data.codes.shape[1]} {outputs} {loss_name} {name} {jax.default_backend()}"
    if isinstance(spec.batch_size, str):
        most = most_in_memory(architecture, shape, rates.size, spec.pieces)
        most = min(most, int(epochs * rows / LEAST_UPDATES))
        choices.append(
            keeper.choose("batch_size", lambda: _batch_choice(problem, measuring, rule, rates, most, rows, key))
        )
        batch = int(choices[-1].value)
    else:
        batch = int(spec.batch_size)
    batch = -(-min(batch, rows) // spec.pieces) * spec.pieces
    return Settled((name, rule), rates, batch, choices, measuring, problem, key)


def _batch_choice(
    problem: NetworkProblem, measuring: Measuring, rule: Rule, rates: Vector, most: int, of: int, key: str
) -> Choice:
    """Return the batch size from the noise of the gradient and the time of a step; of: rows in all.

    key: names the kind of step. At a random start all examples pull the same way; what a run will meet shows after its
    first updates, so a few are taken for this and given up. Where they diverge the start must do.
    """
    from downslope.choices.network.batch_size import choose_network_batch
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
    cost = _step_cost(problem, rule, key)
    when = say("after {updates} trial updates", updates=PILOT) if alive else say("at the start")
    return choose_network_batch(noise, cost, of, most, when)


def _step_cost(problem: NetworkProblem, rule: Rule, key: str) -> StepCost:
    from downslope.choices.network.batch_size import network_step_cost
    from downslope.engines.network.inputs import batch_loss

    loss, statistics, train = (
        batch_loss(problem.rest, problem.loss, problem.l2), problem.network.statistics, problem.train,
    )  # fmt: skip
    return kept_cost(
        f"network-{sha256(key.encode()).hexdigest()[:16]}.json",
        lambda: network_step_cost(loss, rule, problem.weights, statistics, train, train.rows),
    )


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
