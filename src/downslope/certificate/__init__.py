"""How far the minimum still is: a proof where there is one.

``bound`` proves on examples in memory, ``sums`` on any source of sums.
"""

from downslope.certificate.bound import (
    Bound,
    class_totals,
    has_proof,
    mean,
    quadratic_bound,
    relative_gap,
    start_objective,
)
from downslope.certificate.sums import certify

__all__ = [
    "Bound",
    "certify",
    "class_totals",
    "has_proof",
    "mean",
    "quadratic_bound",
    "relative_gap",
    "start_objective",
]
