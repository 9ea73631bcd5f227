"""Exponential and logarithm in float32, written so that the compiler makes vector code of them.

The C library's ``exp`` takes one number at a time, and a log loss that calls it spends more time there than
in reading the data. These polynomials are accurate to about two units in the last place of float32, which
is what float32 scores are worth; the float64 kernels use the C library.
"""

from __future__ import annotations

import math

import numpy as np

from downslope.compiling import inlined

single = np.float32

LOG2_E = single(1 / math.log(2))
LN2_HIGH = single(0.693359375)
LN2_LOW = single(math.log(2) - 0.693359375)
HALF, ONE, TWO, ZERO = single(0.5), single(1), single(2), single(0)
LEAST = single(-87.0)
MOST = single(88.0)
E2, E3, E4, E5, E6, E7 = (single(1 / math.factorial(k)) for k in range(2, 8))
A1, A3, A5, A7, A9, A11, A13 = (single(2 / k) for k in range(1, 14, 2))
BIAS = np.int32(127)
MANTISSA_BITS = np.int32(23)


@inlined
def exp_single(x: np.float32) -> np.float32:
    """Return e^x for a float32 x, clipped to what float32 can hold; NaN stays NaN.

    ``x = k log 2 + f`` with |f| <= log(2) / 2; Taylor's series for e^f, then k added to the exponent.
    """
    bounded = min(max(x, LEAST), MOST)
    k = np.int32(math.floor(bounded * LOG2_E + HALF))
    whole = single(k)
    f = (bounded - whole * LN2_HIGH) - whole * LN2_LOW
    series = ((((((E7 * f + E6) * f + E5) * f + E4) * f + E3) * f + E2) * f + ONE) * f + ONE
    return series * np.int32((k + BIAS) << MANTISSA_BITS).view(np.float32) + (x - x)


@inlined
def log1p_single(e: np.float32) -> np.float32:
    """Return log(1 + e) for a float32 e in [0, 1], as twice the area tangent of e / (2 + e)."""
    z = e / (TWO + e)
    q = z * z
    return z * ((((((A13 * q + A11) * q + A9) * q + A7) * q + A5) * q + A3) * q + A1)
