"""Where the weights of a layer start.

A hidden layer that starts at one value stays there: its units see the same input, get the same gradient and
never part. Random starts break the tie; how large they should be is set by how many inputs a unit has, so that
neither the scores nor the gradients grow or fade from layer to layer.
"""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array
SMALL, CONSTANT = 0.05, 0.1
"""The deviation (or half width) of ``normal`` and ``uniform``, and the value of ``constant``."""


def starting_weights(start: str, key: Array, shape: tuple[int, int]) -> Array:
    """Return the weights (inputs, units) of one layer in float32.

    zeros, constant (0.1), normal and uniform (0.05), glorot (Glorot and Bengio 2010, eq. 16), he (He et al. 2015,
    eq. 10), lecun (LeCun et al. 1998, eq. 16), orthogonal (Saxe et al. 2014).
    """
    make = jax.nn.initializers
    kinds: dict[str, Callable[[], Any]] = {
        "zeros": lambda: make.zeros,
        "constant": lambda: make.constant(CONSTANT),
        "normal": lambda: make.normal(SMALL),
        "uniform": lambda: _uniform,
        "glorot": make.glorot_uniform,
        "he": make.he_normal,
        "lecun": make.lecun_normal,
        "orthogonal": make.orthogonal,
    }
    return kinds[start]()(key, shape, jnp.float32)


def _uniform(key: Array, shape: tuple[int, int], dtype: Any) -> Array:
    return jax.random.uniform(key, shape, dtype, -SMALL, SMALL)
