"""A network from images: read, split and scaled, trained on mini-batches, judged on what was held out."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import numpy as np

from downslope.data.blocks import Block, Examples
from downslope.data.images import Images, PreparedImages, is_images, prepare_images, read_images
from downslope.data.images.prepare import ImagePart
from downslope.data.target import outputs_of
from downslope.errors import OptionError
from downslope.fitting.network import Scored, architecture_of, network_run
from downslope.fitting.ready import Tell, weighted
from downslope.machine import available_bytes
from downslope.models.network import Architecture
from downslope.models.network.model import NetworkModel, PixelScale
from downslope.records import Run, Spec
from downslope.records.sizes import written
from downslope.training.checkpoint import Keeper
from downslope.training.logbook import Watch
from downslope.training.loop import pose
from downslope.training.network.given import NetworkInputs
from downslope.training.network.settling import bytes_of_a_step, raced_rates
from downslope.training.network.train import train_network

OF_TABLES = ("sql", "where", "drop", "weights", "holdout_by")
"""Settings that name columns, which images have none of."""


@dataclass(frozen=True)
class ReadyImages:
    """Images, read and split, with the architecture that is to learn from them.

    examples: the training part as every training knows it, its pixels in the place of numbers. outputs: k of the model.
    seconds: reading and preparing.
    """

    spec: Spec
    prepared: PreparedImages
    architecture: Architecture
    examples: Examples
    outputs: int
    seconds: float


def with_labels(source: object, labels: object) -> tuple[object, object]:
    """Return a source of images and an array with a label for each as one source; raises OptionError for a table."""
    if not is_images(source):
        message = "an array of labels goes with images; of a table, name the column to predict"
        raise OptionError(message)
    return source, labels


def make_ready_images(source: object, spec: Spec, tell: Tell | None = None) -> ReadyImages:
    """Read and prepare images; raises SourceError, TargetError or OptionError."""
    began = time.perf_counter()
    _check(spec)
    images = read_images(spec.source or source, spec.target or None, resize=spec.resize)
    architecture = architecture_for(spec, images)
    check_training_memory(architecture, images.pixels.shape, spec)
    named = replace(spec, target=spec.target or images.target_name)
    prepared = prepare_images(images, named)
    if tell is not None:
        tell("data", prepared.summary)
    examples = weighted(examples_of(prepared.train), named, len(prepared.classes))
    outputs = outputs_of(prepared.classes, prepared.loss)
    return ReadyImages(named, prepared, architecture, examples, outputs, time.perf_counter() - began)


def fit_images(ready: ReadyImages, watch: Watch | None, keeper: Keeper) -> Run:
    """Return the record of a network trained on images."""
    spec, prepared = ready.spec, ready.prepared
    delta = pose(ready.examples, spec, "huber", 1).objective.loss.high if prepared.loss == "huber" else 1.0
    held = None if prepared.holdout is None else _inputs(prepared, prepared.holdout)
    training = replace(_inputs(prepared, prepared.train), weights=ready.examples.weights)
    trained = train_network(
        ready.architecture, training, held, spec, prepared.loss, ready.outputs, huber_delta=delta, watch=watch,
        keeper=keeper,
    )  # fmt: skip
    model = NetworkModel(
        ready.architecture, trained.arrays, prepared.shape, prepared.loss, prepared.classes, spec.target,
        trained.target_scale.center, trained.target_scale.scale,
        pixels=PixelScale(tuple(prepared.center.tolist()), tuple(prepared.scale.tolist()), spec.resize),
    )  # fmt: skip

    def scored(part: ImagePart) -> Scored:
        return Scored(examples_of(part), model.scores_of(part.pixels))

    held_out = None if prepared.holdout is None else scored(prepared.holdout)
    return network_run(spec, prepared, ready.examples, trained, model, delta, scored(prepared.train), held_out)


def _check(spec: Spec) -> None:
    """Raise OptionError for a setting that has no use with images, and for a model that does not parse."""
    usual = Spec()
    for name in OF_TABLES:
        if getattr(spec, name) != getattr(usual, name):
            message = f"{name.replace('_', '-')} is about the columns of a table, and images have none; leave it out"
            raise OptionError(message)
    if spec.method not in ("auto", "mini-batch"):
        message = f"images are learned by mini-batches, but the method is {spec.method}; leave it out"
        raise OptionError(message)
    architecture_of(replace(spec, model="cnn") if spec.model == "auto" else spec)


def architecture_for(spec: Spec, images: Images) -> Architecture:
    """Return the architecture that a spec asks for, a ``cnn`` where it asks for none.

    Raises OptionError where the images are too small for its poolings, each of which halves their sides.
    """
    architecture = architecture_of(replace(spec, model="cnn") if spec.model == "auto" else spec)
    height, width, _ = images.shape
    poolings = len(architecture.channels)
    least = 2**poolings
    if min(height, width) >= least:
        return architecture
    fitting = int(math.log2(min(height, width)))
    other = (
        replace(architecture, channels=architecture.channels[:fitting])
        if fitting
        else replace(architecture, kind="mlp", channels=(), hidden=architecture.hidden or (64,))
    )
    message = (
        f'images of {width} x {height} pixels are too small for the model "{architecture.text}", whose {poolings} '
        f"poolings halve them each time and need {least} x {least}; write {other.text}, or --resize {least}"
    )
    raise OptionError(message)


def check_training_memory(architecture: Architecture, shape: tuple[int, ...], spec: Spec) -> None:
    """Raise OptionError where the layers of one batch, for each rate raced and there and back, do not fit in memory.

    shape: (n, height, width, channels).
    """
    from downslope.choices.network.batch_size import CANDIDATES

    free, count = available_bytes(), shape[0]
    batch = min(CANDIDATES[0] if isinstance(spec.batch_size, str) else int(spec.batch_size), count)
    lanes = raced_rates(spec.rule, architecture).size if isinstance(spec.learning_rate, str) else 1
    needed = bytes_of_a_step(architecture, shape[1:], lanes, batch, spec.pieces)
    if free is not None and needed > free:
        message = (
            f'training "{architecture.text}" on images of {shape[2]} x {shape[1]} pixels would take about '
            f"{written(needed)} of memory, but {written(free)} are free; give a smaller --resize or --batch-size"
        )
        raise OptionError(message)


def examples_of(part: ImagePart) -> Examples:
    """Return images as examples, with pixels in the place of numbers, to be weighted and scored as any others."""
    none = np.zeros(0)
    block = Block(0, part.pixels, np.empty((part.target.shape[0], 0), np.int32))
    return Examples((block,), 0, part.target, None, none, none, applied=True)


def _inputs(prepared: PreparedImages, part: ImagePart) -> NetworkInputs:
    return NetworkInputs(part.pixels, None, part.target, None, prepared.shape, prepared.center, prepared.scale)
