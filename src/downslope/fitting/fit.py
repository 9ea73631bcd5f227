"""Fit: read, plan, train, prove, explain, save."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from downslope.choices.start import constant_start
from downslope.compiling import COMPILE_CLOCK
from downslope.data.blocks import Examples, Source
from downslope.data.images import is_images
from downslope.data.large.layout import DamagedError
from downslope.data.large.once import in_one_pass
from downslope.diagnosis import diagnose
from downslope.engines.linear import NONE
from downslope.engines.moments import column_sums, level_counts
from downslope.engines.scaling import moments_about
from downslope.errors import OptionError
from downslope.fitting.cluster import ReadyCluster, on_cluster
from downslope.fitting.images import ReadyImages, fit_images, make_ready_images, with_labels
from downslope.fitting.keeping import keeping
from downslope.fitting.large import ReadyLarge, make_ready_large, memory_to_stream_in
from downslope.fitting.network import fit_network, fit_network_apart
from downslope.fitting.once import ReadyOnce, learn, make_ready_once
from downslope.fitting.ready import Ready, Tell, environment, make_ready, spec_of
from downslope.fitting.stream_scores import baseline_scores, scores_at
from downslope.models.linear import LinearModel
from downslope.records import Coefficient, Run, Spec, StepRecord, Verdict
from downslope.records.spec import NETWORK_RULES
from downslope.store import Progress, save
from downslope.training import Training, train
from downslope.training.checkpoint import Keeper
from downslope.training.loop import pose
from downslope.types import JsonValue, Matrix, Vector
from downslope.words import say

STRONGEST = 20
"""Coefficients kept in a run's record; the model keeps all."""

Watch = Callable[[StepRecord], None]
ReadyTable: TypeAlias = ReadyLarge | ReadyCluster
"""A table whose rows are not in this process's memory."""
AnyReady: TypeAlias = Ready | ReadyTable | ReadyOnce | ReadyImages


def fit(
    source: object, target: object = None, *, spec: Spec | None = None, runs: str | Path | None = "runs",
    watch: Watch | None = None, tell: Tell | None = None, **settings: Any,
) -> Run:  # fmt: skip
    """Train a model of ``target`` on a source and return the run.

    source: path, glob, folder, DataFrame, Arrow table, DuckDB relation, NumPy array or dict of columns; or images, as
    ``data.images`` reads them. target: the name of a column; for images also a file of labels, or an array of them.
    spec, settings: see ``Spec``; every ``auto`` is chosen by measurement. runs: folder to save under, or None.
    watch: called with each StepRecord. tell: called with ("data", DataSummary) once the source is read.

    A training that diverges is returned, not raised: look at ``run.verdict``. Raises InputError for what the
    caller can mend.
    """
    if target is not None and not isinstance(target, str | Path):
        source, target = with_labels(source, target), None
    asked = spec_of(source, None if target is None else str(target), spec, settings)
    return carry_out(source, asked, runs, watch, tell)


def carry_out(
    source: object, spec: Spec, runs: str | Path | None, watch: Watch | None, tell: Tell | None,
    progress: Progress | None = None,
) -> Run:  # fmt: skip
    """Return the run that a spec asks for, from its start, or from where ``progress`` was cut short; see ``fit``."""
    began = time.perf_counter()
    compiled = COMPILE_CLOCK.seconds
    if spec.cluster is not None:
        with on_cluster(source, spec, tell) as spread:
            return _carried_out(spread, spec, runs, watch, progress, began, compiled)
    ready = _ready(source, spec, tell)
    try:
        return _carried_out(ready, spec, runs, watch, progress, began, compiled)
    except DamagedError as error:
        if not isinstance(ready, ReadyLarge):
            raise
        ready.prepared.cache.remove()
        if tell is not None:
            tell(say("the block cache was damaged ({error}), and is written again", error=str(error)), None)
        return _carried_out(_ready(source, spec, tell), spec, runs, watch, progress, began, compiled)


def _ready(source: object, spec: Spec, tell: Tell | None) -> AnyReady:
    """Return a source read and encoded: images, a table that is streamed, or one in memory."""
    if in_one_pass(spec):
        return make_ready_once(source, spec, tell)
    if not spec.sql and is_images(source if spec.source == "" else spec.source):
        return make_ready_images(source, spec, tell)
    memory = memory_to_stream_in(source, spec)
    return make_ready(source, spec, tell) if memory is None else make_ready_large(source, spec, memory, tell)


def _carried_out(
    ready: AnyReady, spec: Spec, runs: str | Path | None, watch: Watch | None,
    progress: Progress | None, began: float, compiled: float,
) -> Run:  # fmt: skip
    with keeping(spec, ready.examples, runs, progress) as keeper:
        run = _trained(ready, watch, keeper)
        seconds = {
            "read": ready.seconds, **run.seconds, "compile": COMPILE_CLOCK.seconds - compiled,
            "total": keeper.earlier + time.perf_counter() - began,
        }  # fmt: skip
        keeper.stopped = run.verdict is Verdict.STOPPED
        run = replace(run, run=keeper.run, seconds=seconds)
        run = replace(run, findings=diagnose(run))
        return run if runs is None else save(run, runs)


def _trained(ready: AnyReady, watch: Watch | None, keeper: Keeper) -> Run:
    if isinstance(ready, ReadyOnce):
        judged, training, noted = learn(ready, watch, keeper)
        run = to_run(judged, training)
        return replace(run, environment={**run.environment, "one_pass": noted})
    if isinstance(ready, ReadyImages):
        return fit_images(ready, watch, keeper)
    if ready.spec.model in ("auto", "linear"):
        return fit_linear(ready, watch, keeper)
    if isinstance(ready, Ready):
        return fit_network(ready, watch, keeper)
    run = fit_network_apart(ready, watch, keeper)
    return replace(run, environment={**run.environment, **_where(ready)})


def fit_linear(ready: Ready | ReadyTable, watch: Watch | None, keeper: Keeper) -> Run:
    """Return the record of a linear model trained on a table."""
    if ready.spec.rule in NETWORK_RULES:
        message = say(
            "the rule {rule} is for networks; name a --model such as mlp:64 or another rule", rule=ready.spec.rule
        )
        raise OptionError(message)
    trained = train(
        ready.examples, ready.spec, ready.prepared.loss, ready.outputs, watch=watch,
        origin=(ready.prepared.plan.center, ready.prepared.plan.scale), keeper=keeper,
    )  # fmt: skip
    return to_run(ready, trained)


def to_run(ready: Ready | ReadyTable, trained: Training) -> Run:
    """Return the record of a training, scored on the training rows, the held-out rows and against a constant."""
    prepared, spec = ready.prepared, ready.spec
    settled = replace(
        spec, l2=trained.resolved["l2"], huber_delta=trained.resolved.get("huber_delta", spec.huber_delta)
    )
    objective = pose(ready.examples, settled, prepared.loss, ready.outputs).objective
    classes = len(prepared.classes)
    held = prepared.holdout
    judged = prepared.train if held is None else held
    constant = constant_start(ready.examples, replace(objective, intercept=True))
    model = LinearModel(prepared.plan, trained.point, prepared.loss, prepared.classes, spec.target)
    return Run(
        run="",
        spec=spec,
        resolved=dict(trained.resolved),
        verdict=trained.verdict,
        message=trained.message,
        gap=trained.gap,
        gap_kind=trained.gap_kind,
        objective_at_start=trained.objective_at_start,
        objective=trained.objective,
        passes=trained.passes,
        updates=trained.updates,
        seconds=dict(trained.seconds),
        train=scores_at(prepared.train, objective, trained.point, classes),
        holdout={} if held is None else scores_at(held, objective, trained.point, classes),
        baseline=baseline_scores(judged, objective, constant, classes),
        data=prepared.summary,
        curvature=trained.curvature,
        choices=trained.choices,
        steps=trained.steps,
        coefficients=strongest(model, ready.examples),
        predicted_passes=trained.predicted_passes,
        environment=environment() | _where(ready),
        model=model,
    )


def _where(ready: Ready | ReadyTable) -> dict[str, JsonValue]:
    """Return what is noted of where the rows were, if that was not in memory."""
    if isinstance(ready, ReadyCluster):
        return {"cluster": ready.spread()}
    return {"streamed": ready.streamed()} if isinstance(ready, ReadyLarge) else {}


def strongest(model: LinearModel, examples: Source) -> tuple[Coefficient, ...]:
    """Return the strongest coefficients: those whose feature moves the score most as it varies.

    Strength is the weight times the feature's standard deviation over the training rows, in units of score.
    """
    deviation = _deviations(examples)
    weights = model.coefficients()
    strength = np.abs(model.point.weights) * deviation[:, None]
    outputs = model.classes if weights.shape[1] > 1 else ("",)
    order = np.argsort(-strength, axis=None, kind="stable")[:STRONGEST]
    found: list[Coefficient] = []
    for flat in order:
        j, k = divmod(int(flat), weights.shape[1])
        if strength[j, k] > 0:
            found.append(
                Coefficient(model.plan.feature_name(j), float(weights[j, k]), float(strength[j, k]), outputs[k])
            )
    return tuple(found)


def _deviations(examples: Source) -> Vector:
    """Return the standard deviation (d,) of each model feature."""
    counts, sums, entry_sums = examples.total(_deviation_sums)
    mean, squares = sums / examples.rows
    share = counts / examples.rows
    entry_mean, entry_squares = entry_sums / examples.rows
    variances = [squares - mean**2, share * (1.0 - share), entry_squares - entry_mean**2]
    return np.sqrt(np.maximum(np.concatenate(variances), 0.0))


def _deviation_sums(examples: Examples) -> tuple[Vector, Matrix, Matrix]:
    counts, sums = np.zeros(examples.levels), np.zeros((2, examples.numbers))
    entry_sums = np.zeros((2, examples.sparse))
    about = np.zeros(examples.numbers, examples.dtype)
    for block in examples:
        counts += level_counts(block.codes, NONE, examples.levels)
        sums += moments_about(block.numbers, about)
        if block.sparse is not None:
            entry_sums += column_sums(block.sparse, NONE, examples.sparse)
    return counts, sums, entry_sums
