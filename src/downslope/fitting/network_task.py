"""What a sweep or a race of networks begins with: examples of a table or of images, and the network to learn them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from downslope.data.images import is_images
from downslope.data.images.prepare import ImagePart, PreparedImages
from downslope.fitting.images import make_ready_images, with_labels
from downslope.fitting.network import architecture_of_table, huber_delta_of, inputs_of
from downslope.fitting.ready import Tell, make_ready
from downslope.models.network import Architecture
from downslope.records import Spec
from downslope.training.loop import pose
from downslope.training.network.given import NetworkInputs


@dataclass(frozen=True)
class NetworkTask:
    """A network and its examples. spec: with the target named. held: None where nothing is held out. outputs: k."""

    spec: Spec
    architecture: Architecture
    train: NetworkInputs
    held: NetworkInputs | None
    loss: str
    outputs: int
    huber_delta: float

    @property
    def rows(self) -> int:
        """How many examples are learned from."""
        return self.train.target.shape[0]

    @property
    def held_rows(self) -> int:
        """How many examples are held out."""
        return 0 if self.held is None else self.held.target.shape[0]


def with_target(source: object, target: object) -> tuple[object, str | None]:
    """Return a source and the name of its target; an array of labels becomes part of the source.

    Raises OptionError for an array beside a table.
    """
    if target is None or isinstance(target, str | Path):
        return source, None if target is None else str(target)
    return with_labels(source, target), None


def learns_network(source: object, spec: Spec) -> bool:
    """Say whether a fit of this source would train a network: images, or a model that is not linear."""
    return spec.model not in ("auto", "linear") or _of_images(source, spec)


def _of_images(source: object, spec: Spec) -> bool:
    return not spec.sql and is_images(source if spec.source == "" else spec.source)


def make_task(source: object, spec: Spec, tell: Tell | None) -> NetworkTask:
    """Read and prepare what a network is to learn; raises InputError as ``fit`` does."""
    return _image_task(source, spec, tell) if _of_images(source, spec) else _table_task(source, spec, tell)


def _table_task(source: object, spec: Spec, tell: Tell | None) -> NetworkTask:
    architecture = architecture_of_table(spec)
    ready = make_ready(source, spec, tell)
    prepared = ready.prepared
    delta = huber_delta_of(ready.examples, spec, prepared.loss)
    held = None if prepared.holdout is None else inputs_of(prepared.holdout)
    return NetworkTask(spec, architecture, inputs_of(ready.examples), held, prepared.loss, ready.outputs, delta)


def _image_task(source: object, spec: Spec, tell: Tell | None) -> NetworkTask:
    ready = make_ready_images(source, spec, tell)
    prepared = ready.prepared
    delta = pose(ready.examples, ready.spec, "huber", 1).objective.loss.high if prepared.loss == "huber" else 1.0
    held = None if prepared.holdout is None else _inputs(prepared, prepared.holdout)
    train = replace(_inputs(prepared, prepared.train), weights=ready.examples.weights)
    return NetworkTask(ready.spec, ready.architecture, train, held, prepared.loss, ready.outputs, delta)


def _inputs(prepared: PreparedImages, part: ImagePart) -> NetworkInputs:
    return NetworkInputs(part.pixels, None, part.target, None, prepared.shape, prepared.center, prepared.scale)
