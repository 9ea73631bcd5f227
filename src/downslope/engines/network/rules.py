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
import jax.numpy as jnp
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


def second_moments(name: str, state: Any) -> Any:
    """Return what a rule divides gradients by, as a tree like the weights; None for a rule that does not divide.

    state: its memory after at least one update. The root of the (corrected) mean square, and what keeps it from zero;
    infinite for a weight that never had a gradient, since no step moves it.
    """
    if name in ("adam", "adamw"):
        kept = _memory(state, optax.ScaleByAdamState)
        correction = 1.0 - BETA_SECOND**kept.count
        return jax.tree.map(lambda nu: _divisor(nu / correction), kept.nu)
    if name == "rmsprop":
        return jax.tree.map(_divisor, _memory(state, optax.ScaleByRmsState).nu)
    if name == "adagrad":
        return jax.tree.map(_divisor, _memory(state, optax.ScaleByRssState).sum_of_squares)
    return None


def _divisor(squares: jax.Array) -> jax.Array:
    return jnp.where(squares > 0, jnp.sqrt(squares) + EPSILON, jnp.inf)


def _memory(state: Any, kind: type) -> Any:
    is_kind = lambda each: isinstance(each, kind)  # noqa: E731
    return next(each for each in jax.tree.leaves(state, is_leaf=is_kind) if is_kind(each))


def limit_factor(name: str, momentum: float) -> float:
    """Return the rate, in units of 1 / curvature, above which steps of a rule diverge on a bowl; nan where unknown.

    Plain 2; heavy ball 2 (1 + m) (Polyak 1964); Nesterov 2 (1 + m) / (1 + 2 m), from the root -1 of its characteristic
    polynomial; where gradients are divided by their size, with the curvature in the coordinates in which steps are
    plain: 2, and for Adam, whose momentum is a mean, 2 (1 + b) / (1 - b) (Cohen et al. 2022, "Adaptive gradient methods
    at the edge of stability", section 2).
    """
    mean = 2.0 * (1.0 + BETA_FIRST) / (1.0 - BETA_FIRST)
    return {
        "plain": 2.0, "momentum": 2.0 * (1.0 + momentum), "nesterov": 2.0 * (1.0 + momentum) / (1.0 + 2.0 * momentum),
        "adagrad": 2.0, "rmsprop": 2.0, "adam": mean, "adamw": mean,
    }.get(name, float("nan"))  # fmt: skip


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
