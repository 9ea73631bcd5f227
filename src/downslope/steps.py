"""Gradient -> step: the rules, and how the learning rate falls over a run.

A step against the gradient has a direction and a length. ``plain`` takes the gradient itself and a length
of ``rate`` times its size; every other rule keeps a little memory to mend one of its two weaknesses. For a
narrow valley, ``momentum`` adds up what the gradients agree on; for features of unlike size, ``adagrad``
divides by what each has shown so far; ``adam`` does both.

Each rule is a pure function of arrays of one shape: ``(gradient, state, settings) -> (step, state)``, where
the weights become ``weights - step``. Rates are per unit of gradient; updates count from 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from downslope.records.spec import RULES
from downslope.types import FloatArray, Vector

PLAIN, MOMENTUM, NESTEROV, ADAGRAD, RMSPROP, ADAM = range(6)
"""The rules in the order of ``records.spec.RULES``, as the compiled engine numbers them."""

BETA_FIRST, BETA_SECOND = 0.9, 0.999
"""Adam's memories of the gradient and of its square (Kingma and Ba 2015, algorithm 1)."""
DECAY = 0.9
"""RMSProp's memory of the squared gradient (Hinton 2012, lecture 6e)."""
EPSILON = 1e-8
"""Added to the root, outside it, as in the published algorithms; PyTorch's adagrad takes 1e-10."""


def rule_number(name: str) -> int:
    """Return the number by which the compiled engine knows a rule."""
    return RULES.index(name)


@dataclass(frozen=True)
class RuleState:
    """What a rule remembers: two arrays of the weights' shape, and how many updates it has made."""

    first: FloatArray
    second: FloatArray
    updates: int = 0

    @classmethod
    def zeros(cls, shape: tuple[int, ...], dtype: type[np.floating] | np.dtype[np.floating] = np.float64) -> RuleState:
        """Return the state before the first update."""
        return cls(np.zeros(shape, dtype), np.zeros(shape, dtype))


def step(
    rule: int, gradient: FloatArray, state: RuleState, rate: float | Vector, momentum: float
) -> tuple[FloatArray, FloatArray, RuleState]:
    """Return (step, gain, state): the weights become ``weights - step``; gain is the rate each one felt.

    - plain: ``rate g`` (Cauchy 1847).
    - momentum: ``v = momentum v + g``, ``rate v`` (Polyak 1964, eq. 9; as torch.optim.SGD).
    - nesterov: the same v, ``rate (g + momentum v)`` (Sutskever et al. 2013, eq. 3-4; as torch.optim.SGD).
    - adagrad: ``G += g^2``, ``rate g / (sqrt(G) + eps)`` (Duchi, Hazan and Singer 2011, fig. 1).
    - rmsprop: ``G = 0.9 G + 0.1 g^2``, ``rate g / (sqrt(G) + eps)`` (Hinton 2012; not torch's 0.99).
    - adam: bias-corrected means of g and g^2 (Kingma and Ba 2015, algorithm 1).
    """
    updates = state.updates + 1
    first, second = state.first, state.second
    gain: FloatArray = np.broadcast_to(np.asarray(rate, dtype=np.float64), gradient.shape)
    if rule in (MOMENTUM, NESTEROV):
        first = momentum * first + gradient
        direction = first if rule == MOMENTUM else gradient + momentum * first
    elif rule in (ADAGRAD, RMSPROP):
        second = second + gradient**2 if rule == ADAGRAD else DECAY * second + (1 - DECAY) * gradient**2
        gain, direction = gain / (np.sqrt(second) + EPSILON), gradient
    elif rule == ADAM:
        first = BETA_FIRST * first + (1 - BETA_FIRST) * gradient
        second = BETA_SECOND * second + (1 - BETA_SECOND) * gradient**2
        gain = gain / (np.sqrt(second / (1 - BETA_SECOND**updates)) + EPSILON)
        direction = first / (1 - BETA_FIRST**updates)
    else:
        direction = gradient
    return gain * direction, gain, RuleState(first, second, updates)


def soft_threshold(weights: FloatArray, amount: float | FloatArray) -> FloatArray:
    """Move weights towards zero by ``amount``, stopping at zero: the proximal step of an l1 penalty."""
    return np.sign(weights) * np.maximum(np.abs(weights) - amount, 0.0)


STEP_FACTOR, STEP_COUNT = 0.5, 5
"""The ``step`` schedule halves the rate at the end of each fifth of the run."""
FINAL_SHARE = 1e-2
"""The share of the first rate at which ``inverse`` and ``exponential`` end."""


def schedule(name: str, updates: Vector, total: int, warmup: float) -> Vector:
    """Return the share of the learning rate in use at each update.

    updates: (n,) counted from 0. total: updates of the whole run. warmup: share of the run over which the
    rate rises in a straight line from zero. With t the share of the rest of the run that has passed:
    constant 1; inverse ``1 / (1 + 99 t)``; step ``0.5^floor(5 t)``; exponential ``0.01^t``; cosine
    ``(1 + cos(pi t)) / 2`` (Loshchilov and Hutter 2017, eq. 5).
    """
    rising = warmup * total
    t = np.clip((updates - rising) / max(total - rising, 1.0), 0.0, 1.0)
    share = {
        "constant": lambda: np.ones_like(t),
        "inverse": lambda: 1.0 / (1.0 + (1.0 / FINAL_SHARE - 1.0) * t),
        "step": lambda: STEP_FACTOR ** np.minimum(np.floor(STEP_COUNT * t), STEP_COUNT - 1),
        "exponential": lambda: FINAL_SHARE**t,
        "cosine": lambda: 0.5 * (1.0 + np.cos(math.pi * t)),
    }[name]()
    if rising > 0:
        share = np.where(updates < rising, (updates + 1.0) / max(rising, 1.0), share).clip(0.0, 1.0)
    return share
