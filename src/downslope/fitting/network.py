"""A network from a table: encoded as for any model, trained on mini-batches, judged on what was held out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from downslope.choices.start import constant_start
from downslope.data.blocks import Examples, Source
from downslope.errors import OptionError
from downslope.fitting.cluster import ReadyCluster
from downslope.fitting.large import ReadyLarge
from downslope.fitting.ready import Ready, environment
from downslope.fitting.scores import scores_of
from downslope.fitting.stream_scores import baseline_scores, scores_by
from downslope.losses import make_loss
from downslope.models.linear import Objective
from downslope.models.network import Architecture, parse_model
from downslope.models.network.model import NetworkModel
from downslope.records import Curvature, DataSummary, GapKind, Run, Spec
from downslope.training.checkpoint import Keeper
from downslope.training.logbook import Watch
from downslope.training.loop import pose
from downslope.training.network.given import NetworkInputs
from downslope.training.network.train import NetworkTraining, train_network
from downslope.types import Matrix
from downslope.words import say


class Prepared(Protocol):
    """What was read, as far as the record of a training asks for it: of a table or of images."""

    @property
    def loss(self) -> str:
        """The name of the loss."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the target, none for a number."""
        ...

    @property
    def summary(self) -> DataSummary:
        """What the data is."""
        ...


@dataclass(frozen=True)
class Scored:
    """Examples, and the scores (n, k) that a network gives them."""

    examples: Examples
    scores: Matrix


def architecture_of(spec: Spec) -> Architecture:
    """Return the architecture that a spec asks for; raises OptionError where its model does not parse."""
    return parse_model(spec.model, spec.activation, spec.normalisation, spec.dropout, spec.start)


def fit_network(ready: Ready, watch: Watch | None, keeper: Keeper) -> Run:
    """Return the record of a network trained on a table; raises OptionError for a model that takes images."""
    spec, prepared = ready.spec, ready.prepared
    architecture, delta = architecture_of_table(spec), huber_delta_of(ready.examples, spec, prepared.loss)
    held = None if prepared.holdout is None else inputs_of(prepared.holdout)
    trained = train_network(
        architecture, inputs_of(ready.examples), held, spec, prepared.loss, ready.outputs, huber_delta=delta,
        watch=watch, keeper=keeper,
    )  # fmt: skip
    model = _model_of(ready, architecture, trained)

    def scored(examples: Examples) -> Scored:
        (block,) = examples.blocks
        return Scored(examples, model.scores_of(block.numbers, block.codes))

    held_out = None if prepared.holdout is None else scored(prepared.holdout)
    return network_run(spec, prepared, ready.examples, trained, model, delta, scored(prepared.train), held_out)


def fit_network_apart(ready: ReadyLarge | ReadyCluster, watch: Watch | None, keeper: Keeper) -> Run:
    """Return the record of a network trained on rows that lie on a disk, or with the workers of a cluster."""
    from downslope.training.network.apart import train_apart
    from downslope.training.network.walk import scores_at

    spec, prepared = ready.spec, ready.prepared
    architecture, delta = architecture_of_table(spec), huber_delta_of(ready.examples, spec, prepared.loss)
    apart = train_apart(
        architecture, ready.examples, prepared.holdout, spec, prepared.loss, ready.outputs, huber_delta=delta,
        watch=watch, keeper=keeper,
    )  # fmt: skip
    model = _model_of(ready, architecture, apart.training)
    scorer = partial(scores_at, recipe=apart.recipe, leaves=apart.leaves)
    classes = len(prepared.classes)

    def scores(examples: Source, objective: Objective) -> dict[str, float]:
        return scores_by(examples, objective, scorer, classes)

    return record_of(
        spec, prepared, ready.examples, apart.training, model, delta, scores, prepared.train, prepared.holdout
    )


def architecture_of_table(spec: Spec) -> Architecture:
    """Return the architecture that a spec asks for; raises OptionError for one that takes images."""
    architecture = architecture_of(spec)
    if architecture.kind == "cnn":
        message = say(
            'the model "{model}" takes images, but {source} is a table; write mlp:64',
            model=spec.model,
            source=spec.source or say("this source"),
        )
        raise OptionError(message)
    return architecture


def huber_delta_of(examples: Source, spec: Spec, loss: str) -> float:
    """Return the delta of the Huber loss where that is the loss, else 1."""
    return pose(examples, spec, "huber", 1).objective.loss.high if loss == "huber" else 1.0


def _model_of(
    ready: Ready | ReadyLarge | ReadyCluster, architecture: Architecture, trained: NetworkTraining
) -> NetworkModel:
    prepared = ready.prepared
    return NetworkModel(
        architecture, trained.arrays, (ready.examples.features,), prepared.loss, prepared.classes, ready.spec.target,
        trained.target_scale.center, trained.target_scale.scale, prepared.plan,
    )  # fmt: skip


def inputs_of(examples: Examples) -> NetworkInputs:
    """Return examples of one block as a network takes them."""
    (block,) = examples.blocks
    return NetworkInputs(block.numbers, block.codes, examples.target, examples.weights, (examples.features,))


def network_run(
    spec: Spec, prepared: Prepared, examples: Examples, trained: NetworkTraining, model: NetworkModel, delta: float,
    train: Scored, held: Scored | None,
) -> Run:  # fmt: skip
    """Return the record of a training, scored on the training part, the held-out part and against a constant.

    examples: as they were learned from, with their class weights.
    """
    classes = len(prepared.classes)
    parts = {id(each.examples): each.scores for each in (train, held) if each is not None}

    def scores(part: Source, objective: Objective) -> dict[str, float]:
        assert isinstance(part, Examples)
        return scores_of(part, objective, parts[id(part)], classes)

    held_out = None if held is None else held.examples
    return record_of(spec, prepared, examples, trained, model, delta, scores, train.examples, held_out)


def record_of(
    spec: Spec, prepared: Prepared, examples: Source, trained: NetworkTraining, model: NetworkModel, delta: float,
    scores: Callable[[Source, Objective], dict[str, float]], train: Source, held: Source | None,
) -> Run:  # fmt: skip
    """Return the record of a training. scores: of a part of the examples, by name."""
    loss = make_loss(prepared.loss, delta=delta, quantile=spec.quantile)
    objective = Objective(loss, 0.0, 0.0, True, model.outputs)
    constant = constant_start(examples, objective)
    unknown = math.nan
    return Run(
        run="", spec=spec, resolved=dict(trained.resolved), verdict=trained.verdict, message=trained.message,
        gap=unknown, gap_kind=GapKind.NONE, objective_at_start=trained.objective_at_start,
        objective=trained.objective, passes=trained.passes, updates=trained.updates, seconds=dict(trained.seconds),
        train=scores(train, objective), holdout={} if held is None else scores(held, objective),
        baseline=baseline_scores(train if held is None else held, objective, constant, len(prepared.classes)),
        data=prepared.summary, curvature=Curvature(unknown, unknown, unknown, unknown, unknown),
        choices=trained.choices, steps=trained.steps, looks=trained.looks, stop_point=trained.stop_point,
        trajectory=trained.trajectory,
        environment=environment(), model=model,
    )  # fmt: skip
