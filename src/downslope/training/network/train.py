"""From examples and a Spec to a trained network: where the parts of this folder meet."""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.models.network.grammar import Architecture
from downslope.records import Choice, Spec, StepRecord, Verdict
from downslope.records.shape import Look, StopPoint
from downslope.records.trajectory import Trajectory
from downslope.training.checkpoint import Keeper
from downslope.training.logbook import Watch
from downslope.training.network.course import course_of
from downslope.training.network.given import NetworkInputs
from downslope.training.network.scaling import TargetScale
from downslope.training.network.settling import settle
from downslope.types import JsonValue
from downslope.words import Sentence


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
    from downslope.engines.network.caching import keep_programs
    from downslope.models.network.model import arrays_of
    from downslope.training.network.descent import NetworkDescent
    from downslope.training.network.path import KeptPath, moments_kept
    from downslope.training.network.posing import pose_network

    began = time.perf_counter()
    keep_programs()
    keeper = keeper or Keeper()
    problem = pose_network(architecture, train, held, spec, loss_name, outputs, huber_delta)
    weights, data, scale = problem.weights, problem.train, problem.scale
    settled = settle(architecture, problem, train.shape, data.rows, spec, loss_name, keeper)
    (name, rule), rates, batch, measuring = settled.rule, settled.rates, settled.batch, settled.measuring
    choices = settled.choices
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
