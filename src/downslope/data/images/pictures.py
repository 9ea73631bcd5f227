"""Encoded pictures (PNG, JPEG and others) to pixels, by Pillow."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.images.memory import check_memory
from downslope.data.parallel import in_parallel
from downslope.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Generator

    from PIL.Image import Image as PillowImage

GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N")
DEEP = 257
"""A value of 16 bits over one of 8: 65,535 / 255."""
ORIENTATION, TURNED = 0x0112, (5, 6, 7, 8)
"""The EXIF tag of how a camera was held, and its values that swap height and width."""
PART = 32
"""Pictures decoded by one thread in one go."""


@dataclass(frozen=True)
class Picture:
    """A picture that is not decoded yet. name: for messages. content: its file or its bytes."""

    name: str
    content: Path | bytes


@dataclass(frozen=True)
class _Look:
    """What the first bytes of a picture tell: its size in pixels as it is to be seen, and whether it is grey."""

    width: int
    height: int
    grey: bool


def decode_all(pictures: Sequence[Picture], source: str, resize: int | None) -> NDArray[np.uint8]:
    """Return the pixels (n, height, width, c) of pictures: grey where all are, alpha dropped, turned upright.

    Raises SourceError for a picture that cannot be read, sizes that differ without ``resize``, or too little memory.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # what does not fit is refused by its size
        return _decoded(pictures, source, resize)


def _decoded(pictures: Sequence[Picture], source: str, resize: int | None) -> NDArray[np.uint8]:
    first = _look(pictures[0])
    _check_size(first, len(pictures), source, resize)
    looks = in_parallel(_look, pictures)
    channels = 1 if all(each.grey for each in looks) else 3
    if resize is None:
        for picture, look in zip(pictures, looks, strict=True):
            if (look.width, look.height) != (first.width, first.height):
                raise SourceError(_mixed(pictures[0], first, picture, look))
    height, width = (first.height, first.width) if resize is None else (resize, resize)
    pixels = np.empty((len(pictures), height, width, channels), np.uint8)

    def several(begin: int) -> None:
        for index in range(begin, min(begin + PART, len(pictures))):
            pixels[index] = _decode(pictures[index], channels, resize)

    in_parallel(several, range(0, len(pictures), PART))
    return pixels


def _check_size(first: _Look, count: int, source: str, resize: int | None) -> None:
    """Refuse what would not fit, going by the first picture, before the others are looked at."""
    height, width = (first.height, first.width) if resize is None else (resize, resize)
    values = count * height * width * (1 if first.grey else 3)
    check_memory(values, 1, f"{count:,} images of {width} x {height} pixels from {source}")


def _mixed(one: Picture, its: _Look, other: Picture, theirs: _Look) -> str:
    side = min(its.width, its.height, theirs.width, theirs.height)
    return (
        f"the pictures differ in size: {one.name} has {its.width} x {its.height} pixels and {other.name} has "
        f"{theirs.width} x {theirs.height}; bring them all to one size, such as --resize {side}"
    )


@contextmanager
def _opened(picture: Picture) -> Generator[PillowImage]:
    """Open a picture; raises SourceError, naming it, for whatever goes wrong inside."""
    from PIL import Image

    file = picture.content if isinstance(picture.content, Path) else BytesIO(picture.content)
    try:
        with Image.open(file) as image:
            yield image
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError) as error:
        if isinstance(error, SourceError):
            raise
        message = f"{picture.name} is not a whole picture: {_why(error)}; replace it or leave it out"
        raise SourceError(message) from None


def _why(error: Exception) -> str:
    text = str(error).strip().split("\n")[0].rstrip(".")
    return "it is in no format that can be read" if "cannot identify" in text else text or type(error).__name__


def _look(picture: Picture) -> _Look:
    with _opened(picture) as image:
        turned = image.getexif().get(ORIENTATION) in TURNED
        width, height = reversed(image.size) if turned else image.size
        return _Look(width, height, image.mode in GREY_MODES)


def _decode(picture: Picture, channels: int, resize: int | None) -> NDArray[np.uint8]:
    """Return the pixels (height, width, channels) of one picture."""
    from PIL import Image, ImageOps

    with _opened(picture) as image:
        upright: PillowImage = ImageOps.exif_transpose(image)
        plain = _of_eight_bits(upright, picture.name).convert("L" if channels == 1 else "RGB")
        if resize is not None:
            plain = plain.resize((resize, resize), Image.Resampling.BILINEAR)
        return np.asarray(plain).reshape(plain.height, plain.width, channels)


def _of_eight_bits(image: PillowImage, name: str) -> PillowImage:
    from PIL import Image

    if image.mode == "F":
        message = f"{name} holds pixels that are floats, which a picture cannot be read from; save it as an NPY array"
        raise SourceError(message)
    if not image.mode.startswith("I"):
        return image
    deep: NDArray[Any] = np.asarray(image)
    return Image.fromarray(np.clip(deep // DEEP, 0, 255).astype(np.uint8))
