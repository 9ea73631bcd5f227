"""Coordinate descent on a quadratic with an l1 penalty: the inner problem of a proximal Newton step."""

from __future__ import annotations

# The arguments of a kernel are typed by the compiler at its first call.
# ruff: noqa: ANN001, ANN201
import numpy as np

from downslope.engines.compiling import kernel


@kernel
def coordinate_descent(hessian, gradient, start, penalties, sweeps, tolerance):
    """Minimise ``g'(x - a) + (x - a)' H (x - a) / 2 + sum_j l1_j |x_j|`` from x = a = ``start``; return x.

    hessian: (d, d) float64. gradient, start: (d,). penalties: (d,), l1 of each coordinate.
    The soft-threshold update of one coordinate is exact (Friedman, Hastie and Tibshirani 2010, eq. 5).
    """
    size = start.shape[0]
    x = start.copy()
    slope = gradient.copy()
    for _ in range(sweeps):
        moved = 0.0
        for j in range(size):
            bend = hessian[j, j]
            if bend <= 0:
                continue
            target = x[j] - slope[j] / bend
            if penalties[j] > 0:
                amount = penalties[j] / bend
                if target > amount:
                    target -= amount
                elif target < -amount:
                    target += amount
                else:
                    target = 0.0
            change = target - x[j]
            if change != 0.0:
                x[j] = target
                for i in range(size):
                    slope[i] += change * hessian[j, i]
                moved = max(moved, change * change * bend)
        if moved <= tolerance:
            break
    return x
