"""Why a descent grew instead of falling, in one sentence with its numbers."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigvalsh

from downslope.choices.curvature import Moments
from downslope.records import Curvature, Spec
from downslope.training.metric import Metric


def explain_divergence(
    update: int, rate: float, shape: Curvature, moments: Moments, metric: Metric, spec: Spec
) -> str:
    """Return what happened, the limit that was passed and by how much, and what to try."""
    limit = shape.stability_limit
    if rate <= limit:
        return (
            f"diverged at step {update} at learning rate {rate:g}, though the limit at the start was {limit:.3g}: the "
            f"curvature grew on the way; try {rate / 4:.2g}"
        )
    factor = abs(1.0 - rate * shape.largest)
    advice = f"try {limit / 2:.2g}"
    after = None if spec.standardize else limit_when_standardised(moments, metric)
    if after is not None and after > 2 * limit:
        advice += f", or standardise: then any rate below {after:.3g} is stable"
    return (
        f"diverged at step {update}: learning rate {rate:g} is above the stability limit {limit:.3g} (2 / largest "
        f"curvature {shape.largest:.3g}); along that direction each step multiplies the error by {factor:.3g}; {advice}"
    )


def limit_when_standardised(moments: Moments, metric: Metric) -> float | None:
    """Return the stability limit that the same examples would have with standardised features."""
    if moments.matrix is None or not metric.intercept:
        return None
    matrix = moments.matrix
    mean = matrix[:-1, -1]
    variance = np.diag(matrix)[:-1] - mean**2
    kept = variance > 1e-12 * np.diag(matrix)[:-1]
    if not kept.any():
        return None
    deviation = np.sqrt(variance[kept])
    correlation = (matrix[:-1, :-1][np.ix_(kept, kept)] - np.outer(mean[kept], mean[kept])) / np.outer(
        deviation, deviation
    )
    bend = metric.matrix(0)[-1, -1] / max(matrix[-1, -1], 1e-300)
    return float(2.0 / (bend * max(eigvalsh(correlation)[-1], 1.0)))
