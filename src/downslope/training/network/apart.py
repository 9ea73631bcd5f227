"""From rows that lie apart, or outgrow the memory, and a Spec to a trained network: ``train`` for such rows."""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from functools import partial

from downslope.choices.curvature import sampled
from downslope.data.blocks import Source, Walked
from downslope.engines.network.caching import keep_programs
from downslope.errors import OptionError
from downslope.models.network.grammar import Architecture
from downslope.models.network.model import arrays_of
from downslope.records import Choice, Spec
from downslope.records.figures import figure
from downslope.training.checkpoint import Keeper
from downslope.training.divergence import BY_SIZE
from downslope.training.logbook import Watch
from downslope.training.network.course import course_of
from downslope.training.network.descent import NetworkDescent
from downslope.training.network.given import NetworkInputs
from downslope.training.network.posing import pose_network
from downslope.training.network.progress import Ended
from downslope.training.network.racing import halvings
from downslope.training.network.rounds import NetworkRounds
from downslope.training.network.settling import Settled, settle
from downslope.training.network.train import NetworkTraining
from downslope.training.network.walk import Leaves, Recipe, leaves_of, loss_sum
from downslope.types import JsonValue
from downslope.words import NOTHING, say

SAMPLE = 1 << 16
"""Examples in memory that choices rest on."""
LEAST_BATCH = 16
"""Examples of a holder's step, at least, where they are a share of the batch that was chosen: together the holders take
the steps of one machine, and as many."""


@dataclass(frozen=True)
class ApartTraining:
    """What a training on rows elsewhere came to. recipe, leaves: what scores examples where they lie, see ``walk``."""

    training: NetworkTraining
    recipe: Recipe
    leaves: Leaves


def train_apart(
    architecture: Architecture, examples: Source, held: Source | None, spec: Spec, loss_name: str, outputs: int, *,
    huber_delta: float = 1.0, watch: Watch | None = None, keeper: Keeper | None = None,
) -> ApartTraining:  # fmt: skip
    """Train a network as ``spec`` asks on rows wherever they lie; every ``auto`` is chosen here, on a sample.

    Arguments are those of ``train_network``. Raises OptionError for sparse columns.
    """
    if examples.sparse:
        message = say("a network takes dense columns; leave text and hashed columns out, or fit a linear model")
        raise OptionError(message)
    began = time.perf_counter()
    keep_programs()
    keeper = keeper or Keeper()
    sample = sampled(examples, min(SAMPLE, examples.rows), spec.seed)
    (block,) = sample.blocks
    given = NetworkInputs(block.numbers, block.codes, sample.target, sample.weights, (sample.features,))
    problem = pose_network(architecture, given, None, spec, loss_name, outputs, huber_delta)
    settled = settle(architecture, problem, given.shape, examples.rows, spec, loss_name, keeper)
    raced = NetworkDescent(
        problem, course_of(sample.rows, settled.batch, spec, settled.rates.size == 1), settled.rule, settled.rates,
        patience=spec.patience, max_seconds=math.inf, clip=spec.clip, pieces=spec.pieces, watch=None,
        measuring=settled.measuring, momentum=spec.momentum,
    )  # fmt: skip
    ended: Ended | None = None
    while raced.racing and ended is None:
        ended = raced.advance()
    raced.look_around()
    holders = max(len(examples.each(_nothing)), 1)
    batch = settled.batch if spec.batch_size != "auto" else max(-(-settled.batch // holders), LEAST_BATCH)
    recipe = Recipe(
        architecture, given.shape, outputs, problem.loss, problem.l2, problem.scale, settled.rule[0], spec.momentum,
        spec.weight_decay, batch, raced.limit, spec.clip, spec.pieces, spec.seed,
        examples.weight_sum / examples.rows,
    )  # fmt: skip
    rate = raced.progress.chosen * _stretch(settled, batch)
    course = course_of(examples.rows, settled.batch, spec, settled.rates.size == 1)
    rounds = NetworkRounds(
        examples, held, recipe, holders, rate, raced, course, spec, watch, keeper, settled.step_seconds
    )  # fmt: skip
    chose = time.perf_counter()
    ended = ended or rounds.run()
    descended = time.perf_counter()
    leaves = leaves_of((ended.weights, ended.statistics))
    objective = examples.total(partial(loss_sum, recipe=recipe, leaves=leaves)) / examples.weight_sum
    stop = raced.stop_point(ended, objective)
    resolved: dict[str, JsonValue] = {
        "loss": loss_name, "model": architecture.text, "method": "mini-batch", "rule": recipe.rule,
        "learning_rate": rounds.standing.rate, "batch_size": recipe.batch, "holders": holders, "l2": problem.l2,
        "schedule": course.schedule, "warmup": rounds.warmup, "epochs": rounds.epochs,
        "rounds_an_epoch": int(rounds.turns.value), "chosen_on": sample.rows, "keep_path": 0,
    }  # fmt: skip
    if spec.clip is not None:
        resolved["clipped"] = round(rounds.standing.clipped)
    if loss_name == "huber":
        resolved["huber_delta"] = huber_delta
    unit = problem.scale.objective
    training = NetworkTraining(
        arrays_of(ended.weights, ended.statistics), problem.scale, ended.verdict, ended.message, raced.start * unit,
        objective * unit, rounds.passes, rounds.standing.updates, tuple(rounds.steps),
        tuple(_choices(settled, raced, rounds)), resolved,
        {"choose": chose - began, "descend": descended - chose, "measure": time.perf_counter() - descended},
        raced.looks(), stop, None,
    )  # fmt: skip
    return ApartTraining(training, recipe, leaves)


def _nothing(held: object) -> Walked:
    del held
    return Walked((), 0, 0.0, True)


def _stretch(settled: Settled, batch: int) -> float:
    """Return what a raced rate is multiplied by for steps on a share of the batch that it was raced on.

    A rule that divides gradients by their own size divides by more where fewer examples leave more noise, by the root
    of their share. That makes steps shorter, and the average of all holders, which takes the noise away again, keeps
    them short. A plain step needs no such factor.
    """
    return math.sqrt(settled.batch / batch) if settled.rule[0] in BY_SIZE and settled.rates.size > 1 else 1.0


def _choices(settled: Settled, raced: NetworkDescent, rounds: NetworkRounds) -> list[Choice]:
    """Return all that was chosen, the rate with how often it was halved later."""
    rate, standing = raced.choice(), rounds.standing
    if rate is not None:
        stretch = _stretch(settled, rounds.recipe.batch)
        shared = NOTHING
        if stretch > 1:
            shared = say(
                "; times {factor} for steps on {part} of the {batch} examples that it was raced on",
                factor=figure(stretch), part=rounds.recipe.batch, batch=settled.batch,
            )  # fmt: skip
        rate = replace(rate, value=standing.rate, reason=rate.reason + shared + halvings(standing.retries))
    return [*settled.choices, *([] if rate is None else [rate]), rounds.turns]
