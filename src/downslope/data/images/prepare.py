"""Images made ready to train on: their hold-out, their classes, and how bright they are on the whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.arrow import arrow
from downslope.data.holdout import split
from downslope.data.images.pixels import PART, Images
from downslope.data.objects import column_of
from downslope.data.table import Table
from downslope.data.target import MOST_CLASSES, Target, target_of
from downslope.errors import TargetError
from downslope.records.run import ColumnSummary, DataSummary
from downslope.records.spec import Spec
from downslope.types import Vector
from downslope.words import say

CLASS_SHARE = 0.5
"""Whole-number labels are classes where there are no more distinct ones than this share of the images."""


@dataclass(frozen=True)
class ImagePart:
    """Some images. pixels: (n, height, width, c) as in ``Images``. target: (n,), class indices or numbers."""

    pixels: NDArray[Any]
    target: Vector


@dataclass(frozen=True)
class PreparedImages:
    """Images made ready.

    train, holdout: the parts; holdout is None where none was kept aside. classes: names in the order of the class
    index, empty for a number. loss: what is minimised, never "auto". center, scale: (c,) a pixel becomes
    ``(pixel - center) / scale``, the mean and the deviation of each channel over the training part.
    holdout_rows: which images were held out. notes: what was done unasked, in sentences.
    """

    train: ImagePart
    holdout: ImagePart | None
    summary: DataSummary
    classes: tuple[str, ...]
    loss: str
    center: Vector
    scale: Vector
    holdout_rows: NDArray[np.intp]
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels of an image."""
        return self.train.pixels.shape[1:]


def prepare_images(images: Images, spec: Spec) -> PreparedImages:
    """Split images and their labels into a training and a held-out part as ``spec`` asks, as a table is split.

    Labels of text, booleans, and whole numbers that repeat are classes unless a loss for numbers is asked for.
    Raises TargetError or OptionError.
    """
    if images.target is None:
        message = f"nothing says what the images of {images.source} are; name their labels with --target"
        raise TargetError(message)
    rows = Table(arrow().table({}), images.source, images.count)
    column = column_of(images.target)
    named = replace(spec, target=images.target_name, loss=_loss(images.target, spec))
    goal = target_of(rows, named, column)
    parts = split(rows, named, goal)
    train = _part(images, goal, parts.train)
    held = None if parts.holdout is None else _part(images, goal, parts.holdout)
    channels = images.shape[2]
    measured = channel_moments(train.pixels) if spec.standardize else (np.zeros(channels), np.ones(channels))
    return PreparedImages(
        train, held, _summary(images, goal, train, held, standardize=spec.standardize), goal.classes, goal.loss,
        *measured, np.empty(0, np.intp) if parts.holdout is None else parts.holdout, parts.notes,
    )  # fmt: skip


def _loss(labels: NDArray[Any], spec: Spec) -> str:
    """Return the loss asked for, or that of classes for whole numbers that a table would take as they are."""
    if spec.loss != "auto" or labels.dtype.kind not in "iu":
        return spec.loss
    distinct = np.unique(labels).shape[0]
    if distinct > min(MOST_CLASSES, max(CLASS_SHARE * labels.shape[0], 2)):
        return spec.loss
    return "log" if distinct == 2 else "softmax"


def _part(images: Images, goal: Target, rows: NDArray[np.intp] | None) -> ImagePart:
    if rows is None:
        return ImagePart(images.pixels, goal.values)
    return ImagePart(images.pixels[rows], goal.values[rows])


def channel_moments(pixels: NDArray[Any]) -> tuple[Vector, Vector]:
    """Return the mean and the standard deviation (c,) of each channel in float64; 1 where a channel is constant."""
    channels = pixels.shape[3]
    if pixels.dtype == np.uint8:
        return _moments_of_bytes(pixels)
    step = max(1, PART // pixels[0].size)
    parts = [pixels[first : first + step].reshape(-1, channels) for first in range(0, pixels.shape[0], step)]
    count = pixels.size // channels
    center: Vector = np.sum([part.sum(axis=0, dtype=np.float64) for part in parts], axis=0) / count
    squares = np.sum([((part - center) ** 2).sum(axis=0) for part in parts], axis=0) / count
    return center, _deviation(squares)


def _moments_of_bytes(pixels: NDArray[Any]) -> tuple[Vector, Vector]:
    """Return the moments of bytes from how often each of the 256 values occurs: exact, and in one look."""
    values = np.arange(256.0)
    counts = np.stack([np.bincount(pixels[..., channel].ravel(), minlength=256) for channel in range(pixels.shape[3])])
    share = counts / counts.sum(axis=1, keepdims=True)
    center: Vector = share @ values
    return center, _deviation((share * (values - center[:, None]) ** 2).sum(axis=1))


def _deviation(squares: Vector) -> Vector:
    return np.where(squares > 0, np.sqrt(squares), 1.0)


def _summary(
    images: Images, goal: Target, train: ImagePart, held: ImagePart | None, *, standardize: bool
) -> DataSummary:
    height, width, channels = images.shape
    kept, aside = train.target.shape[0], 0 if held is None else held.target.shape[0]
    size = {"width": width, "height": height}
    pixels = say("{width} x {height} grey pixels", **size)
    if channels > 1:
        pixels = say("{width} x {height} colour pixels", **size)
    scaled = say("each channel standardised") if standardize else say("as they are")
    features = height * width * channels
    treatment = say("{pixels}, {scaled}", pixels=pixels, scaled=scaled)
    column = ColumnSummary("image", "image", treatment, features, 0)
    return DataSummary(
        rows=kept + aside, train_rows=kept, holdout_rows=aside, dropped_rows=images.count - kept - aside,
        features=features, columns=(column,), target_kind=goal.kind, classes=goal.classes,
    )  # fmt: skip
