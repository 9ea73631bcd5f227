"""The losses of ``downslope.losses`` for JAX, which takes their gradient itself; a test holds the two together."""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

import jax
import jax.numpy as jnp

from downslope.losses import CLIPPED, HINGE, LOG, POISSON, SOFTMAX, SQUARED, Loss

Array = jax.Array


def example_losses(loss: Loss, scores: Array, target: Array) -> Array:
    """Return the loss (b,) of each example at scores (b, k): summed over outputs, one against the rest.

    target: (b,) numbers, or class indices. Poisson leaves out ``y log y - y``, which no weight can change.
    """
    if loss.family == SOFTMAX:
        index = target.astype(jnp.int32)[:, None]
        return jax.nn.logsumexp(scores, axis=1) - jnp.take_along_axis(scores, index, axis=1)[:, 0]
    if scores.shape[1] == 1:
        return _scalar(loss, scores[:, 0], target)
    each = (target[:, None] == jnp.arange(scores.shape[1])).astype(scores.dtype)
    return _scalar(loss, scores, each).sum(axis=1)


def _scalar(loss: Loss, score: Array, target: Array) -> Array:
    if loss.family == SQUARED:
        return (score - target) ** 2
    if loss.family == LOG:
        return jnp.logaddexp(0.0, score) - target * score
    if loss.family == POISSON:
        return jnp.exp(score) - target * score
    if loss.family == CLIPPED:
        return _clipped(loss, target - score)
    short = 1.0 - (2.0 * target - 1.0) * score
    if loss.family == HINGE:
        return _clipped(loss, short)
    return jnp.maximum(short, 0.0) ** 2


def _clipped(loss: Loss, residual: Array) -> Array:
    if loss.width > 0:
        best = jnp.clip(residual / loss.width, loss.low, loss.high)
    else:
        best = jnp.where(residual > 0, loss.high, loss.low)
    return best * (residual - 0.5 * loss.width * best)
