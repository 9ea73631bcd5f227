"""The area under a ROC curve, by one sort of numbers that hold a score and its class.

Five times as fast as ranking rows: the bits of a float64, its sign turned, rise with it, and the lowest makes
room for the class. Two scores are told apart unless they agree to 15 digits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from downslope.compiling import kernel
from downslope.types import Vector

Keys = NDArray[np.int64]
LOWEST, ALL_BUT_SIGN = np.int64(1), np.int64(2**63 - 1)


@kernel
def _fill_keys(bits: Keys, target: Vector, keys: Keys) -> None:
    """Fill ``keys`` (n,) with what rises as the scores rise whose bits are given, the class in the lowest bit."""
    for i in range(bits.shape[0]):
        rising = bits[i] ^ ALL_BUT_SIGN if bits[i] < 0 else bits[i]
        keys[i] = (rising & ~LOWEST) | (LOWEST if target[i] > 0 else 0)


@kernel
def _area_of_keys(keys: Keys) -> float:
    """Return the share of pairs of both classes that are in order, ties counted half; nan without pairs."""
    pairs_in_order = 0.0
    zeros = 0.0
    ones = 0.0
    i = 0
    while i < keys.shape[0]:
        score = keys[i] >> 1
        first = i
        positive = 0
        while i < keys.shape[0] and keys[i] >> 1 == score:
            positive += keys[i] & 1
            i += 1
        negative = i - first - positive
        pairs_in_order += positive * (zeros + 0.5 * negative)
        zeros += negative
        ones += positive
    pairs = zeros * ones
    return pairs_in_order / pairs if pairs > 0 else np.nan


def area_by_keys(score: Vector, target: Vector) -> float:
    """Return the chance that a random example of class 1 (target > 0) scores above one of class 0."""
    keys = np.empty(score.shape, np.int64)
    _fill_keys((score + 0.0).view(np.int64), target, keys)
    keys.sort()
    return float(_area_of_keys(keys))
