"""From scores to answers: what every model says, whatever its scores were made by."""

from __future__ import annotations

import numpy as np

from downslope.losses import make_loss
from downslope.types import Matrix


def predictions(scores: Matrix, loss: str, classes: tuple[str, ...]) -> np.ndarray:
    """Return what scores (n, k) stand for, (n,): a number, or the name of a class; two classes have one score."""
    if not classes:
        return make_loss(loss).mean_response(scores[:, 0])
    chosen = scores.argmax(axis=1) if scores.shape[1] > 1 else (scores[:, 0] > 0).astype(np.intp)
    return np.array(classes, dtype=object)[chosen]


def class_probabilities(scores: Matrix, loss: str, classes: tuple[str, ...]) -> Matrix | None:
    """Return (n, classes) probabilities, or None where the loss gives none.

    One against the rest by log loss is brought to a sum of 1.
    """
    kind = make_loss(loss)
    if not classes or not kind.probabilistic:
        return None
    chance = kind.mean_response(scores)
    if scores.shape[1] == 1:
        return np.column_stack([1.0 - chance[:, 0], chance[:, 0]])
    return chance / chance.sum(axis=1, keepdims=True)
