"""Where the weights of a layer start.

A hidden layer that starts at one value stays there: its units see the same input, get the same gradient and
never part. Random starts break the tie; how large they should be is set by how many inputs a unit has, so that
neither the scores nor the gradients grow or fade from layer to layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from downslope.types import FloatArray

SMALL, CONSTANT = 0.05, 0.1
"""The deviation (or half width) of ``normal`` and ``uniform``, and the value of ``constant``."""


def starting_weights(start: str, rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Return the weights (inputs, units) of one layer in float32.

    zeros, constant (0.1), normal and uniform (0.05), glorot (uniform: Glorot and Bengio 2010, eq. 16), he (normal: He
    et al. 2015, eq. 10), lecun (normal: LeCun et al. 1998, eq. 16), orthogonal (Saxe et al. 2014). Drawn on the host:
    to compile a program that draws takes a hundred times as long as drawing.
    """
    inputs, units = shape
    edge = math.sqrt(6.0 / (inputs + units))
    kinds: dict[str, Callable[[], FloatArray]] = {
        "zeros": lambda: np.zeros(shape),
        "constant": lambda: np.full(shape, CONSTANT),
        "normal": lambda: rng.normal(0.0, SMALL, shape),
        "uniform": lambda: rng.uniform(-SMALL, SMALL, shape),
        "glorot": lambda: rng.uniform(-edge, edge, shape),
        "he": lambda: rng.normal(0.0, math.sqrt(2.0 / inputs), shape),
        "lecun": lambda: rng.normal(0.0, math.sqrt(1.0 / inputs), shape),
        "orthogonal": lambda: _orthogonal(rng.normal(size=shape)),
    }
    return kinds[start]().astype(np.float32)


def _orthogonal(drawn: FloatArray) -> FloatArray:
    """Return a matrix whose rows or columns, whichever are fewer, are at right angles and of length 1, any alike.

    The signs of R make the factor of a normal matrix uniform among all such (Mezzadri 2007, section 5).
    """
    inputs, units = drawn.shape
    factor, upper = np.linalg.qr(drawn if inputs >= units else drawn.T)
    signed = factor * np.sign(np.diag(upper))
    return signed if inputs >= units else signed.T
