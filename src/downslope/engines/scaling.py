"""Bring a whole small table to model features in one read and one write."""

from __future__ import annotations

import numpy as np

from downslope.engines.compiling import kernel
from downslope.engines.linear import in_parts
from downslope.types import FloatArray, Matrix, Vector


@kernel
def scale_rows(
    numbers: FloatArray, center: FloatArray, factor: FloatArray, start: int, stop: int, out: FloatArray
) -> None:
    """Fill rows start .. stop of ``out`` with ``(x - center) * factor``, in the precision of ``center``."""
    p = numbers.shape[1]
    for i in range(start, stop):
        for j in range(p):
            out[i, j] = (numbers[i, j] - center[j]) * factor[j]


def standardise(numbers: FloatArray, center: Vector, scale: Vector) -> Matrix:
    """Return ``(numbers - center) / scale`` of C-contiguous numbers (n, p), as float64; an infinite scale gives 0."""
    out = np.empty(numbers.shape)
    factor = 1.0 / scale

    def part(start: int, stop: int) -> None:
        scale_rows(numbers, center, factor, start, stop, out)

    in_parts(numbers.shape[0], numbers.size, part)
    return out
