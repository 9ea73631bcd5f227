"""The rules by name, as Optax writes them, each a function of the learning rate in use.

The first six are those of ``downslope.steps``, with the same numbers; a test holds both to the published rule.
Weight decay shrinks matrices of weights by ``rate x decay`` a step, beside the rule and not through it
(Loshchilov and Hutter 2019, algorithm 2); biases and scales are left alone.
"""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import optax

from downslope.errors import OptionError
from downslope.steps import BETA_FIRST, BETA_SECOND, DECAY, EPSILON

Transformation = optax.GradientTransformation
Rule = Callable[[Any], Transformation]
"""From a learning rate, which may change at every step, to what turns a gradient into a step."""

OWN_RATE = ("prodigy", "schedule-free")
"""Rules whose rate is 1 unless said otherwise: the first finds its own, the second needs no schedule."""
DECAYING = {"adamw": 1e-2, "lion": 1e-3}
"""Weight decay that belongs to a rule, where none is asked for."""
BETA_LION = (0.9, 0.99)


def rule_of(name: str, momentum: float, weight_decay: float | None) -> Rule:
    """Return the rule called ``name``; weight_decay None is the rule's own."""
    decay = DECAYING.get(name, 0.0) if weight_decay is None else weight_decay
    own: dict[str, Callable[[], Transformation]] = {
        "plain": optax.identity,
        "momentum": lambda: optax.trace(momentum),
        "nesterov": lambda: optax.trace(momentum, nesterov=True),
        "adagrad": lambda: optax.scale_by_rss(initial_accumulator_value=0.0, eps=EPSILON**2),
        "rmsprop": lambda: optax.scale_by_rms(DECAY, EPSILON, eps_in_sqrt=False),
        "adam": lambda: optax.scale_by_adam(BETA_FIRST, BETA_SECOND, EPSILON),
        "adamw": lambda: optax.scale_by_adam(BETA_FIRST, BETA_SECOND, EPSILON),
        "lion": lambda: optax.scale_by_lion(*BETA_LION),
    }
    if name in own:
        return lambda rate: optax.chain(own[name](), _decayed(decay), optax.scale_by_learning_rate(rate))
    if name == "prodigy":
        return lambda rate: optax.contrib.prodigy(rate, weight_decay=decay)
    if name == "schedule-free":
        return lambda rate: optax.contrib.schedule_free(
            optax.chain(optax.scale_by_rms(BETA_SECOND, EPSILON, bias_correction=True), _decayed(decay),
                        optax.scale_by_learning_rate(rate)), rate, b1=BETA_FIRST,
        )  # fmt: skip
    message = f'there is no rule called "{name}" for a network'
    raise OptionError(message)


def given_rule(transformation: Transformation) -> Rule:
    """Return a caller's own Optax transformation as a rule; its rate is its own."""
    return lambda rate: transformation


def _decayed(decay: float) -> Transformation:
    return optax.add_decayed_weights(decay, mask=matrices) if decay else optax.identity()


def matrices(weights: Any) -> Any:
    """Return a tree of bools: True for matrices of weights, False for biases and scales."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, weights)


def settled_weights(name: str, state: Any, weights: Any) -> Any:
    """Return the weights to judge and to keep: schedule-free steps at one point and answers with another."""
    if name == "schedule-free":
        return optax.contrib.schedule_free_eval_params(state, weights)
    return weights
