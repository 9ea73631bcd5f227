"""Images in memory: one array of pixels, all of one size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.images.memory import check_memory
from downslope.data.parallel import in_parallel
from downslope.errors import SourceError

MOST_CHANNELS = 4
"""Channels of an image: grey, grey and alpha, colour, colour and alpha."""
PART = 1 << 22
"""Values looked at together, so that they stay near the processor."""


@dataclass(frozen=True)
class Images:
    """Images and what is known of each.

    pixels: (n, height, width, c) uint8 or float32, c = 1 (grey) or 3 (colour). target: (n,) labels as they were
    stored, None where there are none; missing ones are None. source: where they come from, in words. target_name:
    what the labels are called. beside: an Arrow table of n rows with what stood next to the pictures (their names,
    the other columns of a file), or None.
    """

    pixels: NDArray[Any]
    target: NDArray[Any] | None
    source: str
    target_name: str = "target"
    beside: Any = None

    @property
    def count(self) -> int:
        """n, the number of images."""
        return self.pixels.shape[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels of an image."""
        return self.pixels.shape[1:]


def as_pixels(array: NDArray[Any], source: str, resize: int | None) -> NDArray[Any]:
    """Return an array of images as ``Images.pixels`` holds them; raises SourceError.

    array: (n, h, w), (n, h, w, c) or (n, c, h, w) of any real numbers. Alpha is dropped; whole numbers from 0 to 255
    become uint8, all others float32. resize: bring each image to that many pixels a side.
    """
    shaped = _with_channels(array, source)
    if 0 in shaped.shape:
        message = f"{source} holds no images: its array has the shape {array.shape}; give at least one"
        raise SourceError(message)
    colours = shaped[..., : 1 if shaped.shape[3] < 3 else 3]
    small = colours.dtype.kind in "bu" and colours.dtype.itemsize == 1
    check_memory(colours.size, 1 if small else 4, source)
    pixels = np.ascontiguousarray(colours.astype(np.uint8) if small else _narrowed(colours, source))
    return pixels if resize is None else resized(pixels, resize)


def _with_channels(array: NDArray[Any], source: str) -> NDArray[Any]:
    """Return (n, h, w, c); raises SourceError for an array that cannot be images."""
    if array.dtype.kind not in "buif":
        message = f"{source} holds values of type {array.dtype}, which are no pixels; give whole numbers or floats"
        raise SourceError(message)
    if array.ndim == 3:
        return array[..., None]
    if array.ndim == 4 and array.shape[3] <= MOST_CHANNELS:
        return array
    if array.ndim == 4 and array.shape[1] <= MOST_CHANNELS:
        return np.moveaxis(array, 1, 3)
    message = (
        f"{source} has the shape {array.shape}, but images are (n, height, width) or (n, height, width, channels) "
        "with 1 to 4 channels; reshape it"
    )
    raise SourceError(message)


def _narrowed(array: NDArray[Any], source: str) -> NDArray[Any]:
    """Return uint8 where that holds every value, else float32; raises SourceError for a value that is no number."""
    step = max(1, PART // array[0].size)
    parts = range(0, array.shape[0], step)
    whole = all(_fits_a_byte(array[first : first + step]) for first in parts)
    result = np.empty(array.shape, np.uint8 if whole else np.float32)

    def write(first: int) -> None:
        result[first : first + step] = array[first : first + step]

    with np.errstate(over="ignore"):
        in_parallel(write, parts)
    if not whole:
        _check_finite(result, source, parts, step)
    return result


def _fits_a_byte(part: NDArray[Any]) -> bool:
    if part.dtype.kind == "f" and not np.array_equal(part, np.floor(part)):
        return False
    return bool(part.min() >= 0 and part.max() <= 255)


def _check_finite(pixels: NDArray[Any], source: str, parts: range, step: int) -> None:
    for first in parts:
        part = pixels[first : first + step]
        if not np.isfinite(part).all():
            row = first + int(np.argmin(np.isfinite(part).reshape(part.shape[0], -1).all(axis=1)))
            message = f"image {row + 1:,} of {source} has a pixel that is no finite number; replace it or leave it out"
            raise SourceError(message)


def resized(pixels: NDArray[Any], side: int) -> NDArray[Any]:
    """Return images (n, side, side, c), each pixel a mean of those it covers, weighted by distance."""
    from PIL import Image

    if pixels.shape[1:3] == (side, side):
        return pixels
    count, channels = pixels.shape[0], pixels.shape[3]
    check_memory(count * side * side * channels, pixels.itemsize, f"{count:,} images of {side} x {side} pixels")
    result = np.empty((count, side, side, channels), pixels.dtype)

    def bring(index: int) -> None:
        for channel in range(channels):
            plane = Image.fromarray(np.ascontiguousarray(pixels[index, :, :, channel]))
            result[index, :, :, channel] = np.asarray(plane.resize((side, side), Image.Resampling.BILINEAR))

    _each(bring, count)
    return result


def _each(work: Callable[[int], None], count: int) -> None:
    """Do some work for each of many images, on all processors."""
    step = 64

    def several(first: int) -> None:
        for index in range(first, min(first + step, count)):
            work(index)

    in_parallel(several, range(0, count, step))


def fit_channels(pixels: NDArray[Any], channels: int, source: str) -> NDArray[Any]:
    """Return images with as many channels as a model takes: grey is repeated; raises SourceError for colour."""
    if pixels.shape[3] == channels:
        return pixels
    if pixels.shape[3] == 1:
        return np.repeat(pixels, channels, axis=3)
    message = f"{source} holds colour images, but the model takes grey ones; convert them first"
    raise SourceError(message)
