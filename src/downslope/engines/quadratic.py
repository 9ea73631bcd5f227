"""Coordinate descent on a quadratic with an l1 penalty: the inner problem of a proximal Newton step."""

from __future__ import annotations

from downslope.compiling import inlined, kernel
from downslope.types import Matrix, Vector


@inlined
def soft(value: float, amount: float) -> float:
    """Move a number towards zero by ``amount``, stopping at zero."""
    if value > amount:
        return value - amount
    if value < -amount:
        return value + amount
    return 0.0


@kernel
def coordinate_descent(
    hessian: Matrix, gradient: Vector, start: Vector, penalties: Vector, sweeps: int, tolerance: float
) -> Vector:
    """Minimise ``g'(x - a) + (x - a)' H (x - a) / 2 + sum_j l1_j |x_j|`` from x = a = ``start``; return x.

    hessian: (d, d) float64. gradient, start: (d,). penalties: (d,), l1 of each coordinate.
    sweeps: most rounds over the coordinates. tolerance: a round in which no step lowered the quadratic by more
    than half of it is the last. The soft-threshold update of one coordinate is exact (Friedman, Hastie and
    Tibshirani 2010, eq. 5).
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
                target = soft(target, penalties[j] / bend)
            change = target - x[j]
            if change != 0.0:
                x[j] = target
                for i in range(size):
                    slope[i] += change * hessian[j, i]
                moved = max(moved, change * change * bend)
        if moved <= tolerance:
            break
    return x
