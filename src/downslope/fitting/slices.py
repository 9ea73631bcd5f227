"""The loss about the weights that a run ended with: slices of it, and its measured shape."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope.data.images import is_images
from downslope.errors import OptionError, RunError, nearest
from downslope.fitting.images import make_ready_images, with_labels
from downslope.fitting.network import inputs_of
from downslope.fitting.ready import Tell, make_ready
from downslope.losses import make_loss
from downslope.models.linear import LinearModel
from downslope.models.network.model import NetworkModel
from downslope.records import Run, Spec
from downslope.records.figures import count, figure
from downslope.records.loss_shape import LossShape
from downslope.records.slices import DIRECTIONS, LineSlice, PlaneSlice
from downslope.records.spec import Auto, Setting
from downslope.store import load
from downslope.training.network.given import NetworkInputs

if TYPE_CHECKING:
    from downslope.training.network.revisiting import Revisited

POINTS = 51
"""Points along each axis of a slice, where no number is given."""
SAMPLE = 2048
"""Rows that a shape is measured on, where no number is given."""
SAME = 1e-3
"""The loss at a run's weights is that of the run to this share; a larger difference means that the data is another."""
LIMITS = {
    "points": Setting("", low=2, high=2000, whole=True),
    "extent": Setting("", low=0, open_low=True, none=True),
    "sample": Setting("", low=1, whole=True, auto=True, none=True),
    "seed": Setting("", low=0, whole=True),
}
"""What the numbers of a slice may be."""


def loss_slice(
    run: Run | str | Path, source: object = None, *, directions: str = "auto", plane: bool = True,
    points: int | tuple[int, int] = POINTS, extent: float | None = None, sample: int | Auto | None = "auto",
    seed: int = 0, target: object = None, runs: str | Path = "runs", tell: Tell | None = None,
) -> LineSlice | PlaneSlice:  # fmt: skip
    """Return the loss of a trained network over a plane, or along a line, through its weights.

    The losses are means over the run's training rows, with the example weights and the penalty that it was trained
    with, in units of the target. Wherever the run kept its path, each moment is placed on the slice with its TRUE loss
    beside that of the slice, and the slice says how much of the path it holds.

    run: a Run, or the name of a saved one, its folder, or ``latest``. source, target: as they were given to ``fit``,
    for a run on arrays in Python or one whose file has moved. directions: random, each filter as long as the weights'
    own; hessian, the largest curvatures; path, the plane in which the run went furthest; auto, path where one was
    kept, else random. plane: False for a line along the first. points: along each axis, or (along x, along y).
    extent: how far to go either way, in lengths of the directions; None is 1, or all of the path. sample: rows that
    the losses are over, None for all, auto for as many as keep a slice to about 10^12 multiplications. seed: of random
    directions and of the sample. runs: the folder of runs. tell: as in ``fit``.

    Raises RunError for a run that is no network or cannot be read, or whose data has changed; OptionError.
    """
    across, up = points if isinstance(points, tuple) else (points, points)
    _check(directions, points=across, extent=extent, sample=sample, seed=seed)
    _check(directions, points=up)
    found, model = _network_of(run, runs)
    moments = found.trajectory.updates if found.trajectory is not None else ()
    if directions == "auto":
        directions = "path" if len(moments) > 1 else "random"
    if directions == "path" and len(moments) < 2:
        message = (
            f"{_called(found)} kept no path of its weights; fit again with keep-path 40, or take random or hessian "
            "directions"
        )
        raise RunError(message)
    there = _revisited(found, model, source, target, tell)
    sliced = (
        there.plane(directions, (across, up), extent, found.trajectory, sample, seed)
        if plane
        else there.line(directions, across, extent, found.trajectory, sample, seed)
    )
    return replace(sliced, run=found.run, loss_name=model.loss, unit=unit_of(model.loss, model.target))


def loss_shape(
    run: Run | str | Path, source: object = None, *, sample: int | None = SAMPLE, seed: int = 0, target: object = None,
    runs: str | Path = "runs", tell: Tell | None = None,
) -> LossShape:  # fmt: skip
    """Return curvature, noise and the kind of point at the weights that a network ended with.

    sample: rows to measure on, None for all. The rest is as in ``loss_slice``. Raises InputError where the loss has no
    finite curvature, too.
    """
    _check("auto", sample=sample, seed=seed)
    found, model = _network_of(run, runs)
    there = _revisited(found, model, source, target, tell)
    plain = found.setting("rule") == "plain" and found.setting("schedule") == "constant"
    return there.shape(
        found.run, sample=sample, rate=float(found.setting("learning_rate")) if plain else math.nan,
        batch=int(found.setting("batch_size")), fallen=found.objective_at_start - found.objective, seed=seed,
    )  # fmt: skip


def unit_of(loss: str, target: str) -> str:
    """Return the unit of a loss, such as ``squared units of price``; empty for a loss that has none."""
    if loss in ("squared", "huber"):
        return f"squared units of {target}"
    if loss in ("absolute", "quantile"):
        return f"units of {target}"
    return "nats" if loss in ("log", "softmax", "poisson") else ""


def _check(directions: str, **numbers: Any) -> None:
    if directions not in ("auto", *DIRECTIONS):
        message = f'a slice has no directions called "{directions}"{nearest(directions, ("auto", *DIRECTIONS))}'
        raise OptionError(message)
    for name, value in numbers.items():
        LIMITS[name].check(name, value)


def _called(run: Run) -> str:
    return f'run "{run.run}"' if run.run else "this run"


def _network_of(run: Run | str | Path, runs: str | Path) -> tuple[Run, NetworkModel]:
    """Return a run and its network; raises RunError where it has none."""
    found = run if isinstance(run, Run) else load(run, runs)
    if isinstance(found.model, NetworkModel):
        return found, found.model
    if isinstance(found.model, LinearModel):
        message = (
            f"{_called(found)} is of a linear model, whose loss is one convex valley with nothing to slice; its "
            "curvatures are in its report, and slices are of networks such as --model mlp:64"
        )
    else:
        message = f"{_called(found)} holds no model to look around; fit again"
    raise RunError(message)


def _revisited(found: Run, model: NetworkModel, source: object, target: object, tell: Tell | None) -> Revisited:
    """Return a run's loss over the rows that it was trained on; raises RunError where those are no more the same."""
    inputs = _training_rows(found, model, source, target, tell)
    from downslope.training.network.revisiting import revisit

    delta, l2 = found.resolved.get("huber_delta", 1.0), found.setting("l2")
    loss = make_loss(model.loss, delta=float(delta), quantile=found.spec.quantile)
    there = revisit(model, inputs, loss, 0.0 if isinstance(l2, str) else float(l2))
    here, was = there.mean_loss(), found.objective
    if abs(here - was) > SAME * max(abs(here), abs(was)) + 1e-6 * abs(found.objective_at_start):
        raise _changed(found, f"the loss at its weights is {figure(here)} there, and was {figure(was)}")
    return there


def _training_rows(found: Run, model: NetworkModel, source: object, target: object, tell: Tell | None) -> NetworkInputs:
    """Return the training rows of a run, read and split as they were for it."""
    if source is None and not found.spec.source and not found.spec.sql:
        message = f"{_called(found)} was trained on arrays in Python, which were not kept; give them again as source="
        raise RunError(message)
    spec, given = _asked(found.spec, source, target)
    if model.pixels is not None:
        if spec.sql or not is_images(spec.source or given):
            message = f"{_called(found)} was trained on images, but {spec.source or 'this source'} is a table"
            raise RunError(f"{message}; give the same images")
        images = make_ready_images(given, spec, tell)
        part, scale = images.prepared.train, model.pixels
        inputs = NetworkInputs(
            part.pixels, None, part.target, images.examples.weights, model.shape, np.array(scale.center),
            np.array(scale.scale),
        )  # fmt: skip
        classes, shape = images.prepared.classes, images.prepared.shape
    else:
        ready = make_ready(given, spec, tell)
        inputs = inputs_of(ready.examples)
        classes, shape = ready.prepared.classes, inputs.shape
    rows = inputs.target.shape[0]
    if (rows, classes, tuple(shape)) != (found.data.train_rows, model.classes, model.shape):
        raise _changed(found, f"there are {count(rows)} training rows now, and were {count(found.data.train_rows)}")
    return inputs


def _asked(spec: Spec, source: object, target: object) -> tuple[Spec, object]:
    """Return the spec and the source to read: those of the run, but for what is given again."""
    if target is not None and not isinstance(target, str | Path):
        source, target = with_labels(source, target), None
    if isinstance(source, str | Path):
        spec = replace(spec, source=str(source), sql=None)
    elif source is not None:
        spec = replace(spec, source="", sql=None)
    return (spec if target is None else replace(spec, target=str(target))), source


def _changed(found: Run, how: str) -> RunError:
    place = f'"{found.spec.source}"' if found.spec.source else "the source"
    return RunError(
        f"the data of {_called(found)} is not what it was trained on: {how}; give the same data again, or fit again on "
        f"{place}"
    )
