"""Measure the columns of an array in one read; bring a small table to model features in one more."""

from __future__ import annotations

from typing import Any

import numpy as np

from downslope.compiling import kernel
from downslope.engines.linear import in_parts
from downslope.types import FloatArray, Matrix, Vector

TILE = 64
"""Rows between two additions to the float64 sums."""
FLOAT64 = np.dtype(np.float64)


@kernel
def add_moments(numbers: FloatArray, shift: FloatArray, start: int, stop: int, sums: FloatArray) -> None:
    """Add to ``sums`` (2, p) float64 the sums of x - shift and of its square, four rows at a time."""
    p = numbers.shape[1]
    zero = numbers.dtype.type(0)
    first = np.zeros(p, numbers.dtype)
    second = np.zeros(p, numbers.dtype)
    for head in range(start, stop, TILE):
        tail = min(head + TILE, stop)
        fours = head + (tail - head) // 4 * 4
        for i in range(head, fours, 4):
            x0, x1, x2, x3 = numbers[i], numbers[i + 1], numbers[i + 2], numbers[i + 3]
            for j in range(p):
                c = shift[j]
                a0, a1, a2, a3 = x0[j] - c, x1[j] - c, x2[j] - c, x3[j] - c
                first[j] += a0 + a1 + a2 + a3
                second[j] += a0 * a0 + a1 * a1 + a2 * a2 + a3 * a3
        for i in range(fours, tail):
            for j in range(p):
                away = numbers[i, j] - shift[j]
                first[j] += away
                second[j] += away * away
        for j in range(p):
            sums[0, j] += first[j]
            sums[1, j] += second[j]
            first[j] = zero
            second[j] = zero


def moments_about(numbers: FloatArray, shift: FloatArray) -> Matrix:
    """Return (2, p): per column of C-contiguous numbers the sums of x - shift and of its square.

    A value that is not finite leaves the sums of its column not finite.
    """

    def part(start: int, stop: int) -> Matrix:
        sums = np.zeros((2, numbers.shape[1]))
        add_moments(numbers, shift, start, stop, sums)
        return sums

    return np.sum(in_parts(numbers.shape[0], numbers.size, part), axis=0)


@kernel
def scale_rows(
    numbers: FloatArray, center: FloatArray, factor: FloatArray, start: int, stop: int, out: FloatArray
) -> None:
    """Fill rows start .. stop of ``out`` with ``(x - center) * factor``, in the precision of ``center``."""
    p = numbers.shape[1]
    for i in range(start, stop):
        for j in range(p):
            out[i, j] = (numbers[i, j] - center[j]) * factor[j]


def standardise(numbers: FloatArray, center: Vector, scale: Vector, dtype: np.dtype[Any] = FLOAT64) -> FloatArray:
    """Return ``(numbers - center) / scale`` of C-contiguous numbers (n, p), computed in float64.

    An infinite scale gives 0. dtype: of what is returned.
    """
    out = np.empty(numbers.shape, dtype)
    factor = 1.0 / scale

    def part(start: int, stop: int) -> None:
        scale_rows(numbers, center, factor, start, stop, out)

    in_parts(numbers.shape[0], numbers.size, part)
    return out
