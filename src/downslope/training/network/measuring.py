"""The loss about the weights of a training: its curvature and noise along the run, and what kind of point it ends at.

What is measured changes no weight, but for the batch size, which is chosen from the noise at the start. Samples are
drawn so that one measurement costs a small share of the run.
"""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from downslope.choices.network.noise import gradient_noise
from downslope.choices.network.shape import PIECES, limit_curvature, measure_shape
from downslope.choices.network.stop_point import stop_point
from downslope.engines.network.anatomy import dead_units
from downslope.engines.network.inputs import Data
from downslope.engines.network.landscape import Landscape, network_landscape
from downslope.engines.network.loop import State, Tree
from downslope.engines.network.rules import limit_factor, second_moments
from downslope.losses import Loss
from downslope.models.network.layers import Statistics
from downslope.records.shape import Look, Noise, StopPoint

Result = TypeVar("Result")
SHARE, LEAST_WORK = 0.01, 1e11
"""Operations that one measurement may take: this share of a run's, or so many, about a second."""
PRODUCTS, FULL_PASSES, NOISE_PASSES = 250, 15, 20
"""Gradients of each sample that one measurement costs: of curvature, of the loss along directions, of noise."""
CURVED = (64, 2048)
"""Fewest and most rows that curvature is measured on."""
NOISY = (256, 4096)
"""Fewest and most rows that noise is measured on."""
STEPS, PROBES = 30, 8
"""Steps of Lanczos' method and directions of a trace; the error that they leave is told beside the result."""


def _quietly(measure: Callable[..., Result]) -> Callable[..., Result]:
    """Let numbers overflow without a warning: what is not finite is told of by what is returned or raised."""

    @wraps(measure)
    def measured(*arguments: Any, **named: Any) -> Result:
        with np.errstate(over="ignore", invalid="ignore"):
            return measure(*arguments, **named)

    return measured


class Measuring:
    """Measures one network's loss over its training rows."""

    def __init__(
        self, rest: Tree, loss: Loss, l2: float, weights: Tree, data: Data, *, operations: float, passes: float,
        seed: int,
    ) -> None:  # fmt: skip
        """Take the network's parts and its data.

        operations: of the gradient of one example. passes: over the data that the whole run takes.
        """
        self.rest, self.loss, self.l2, self.like, self.data, self.seed = rest, loss, l2, weights, data, seed
        rows = max(LEAST_WORK, SHARE * passes * data.rows * operations) / operations
        self.curved = int(np.clip(rows / PRODUCTS, *CURVED)) // PIECES * PIECES
        self.wide = int(max(rows / FULL_PASSES, self.curved))
        self.noisy = int(np.clip(rows / NOISE_PASSES, *NOISY))
        self._landscape: Landscape | None = None

    def landscape(self, statistics: Statistics) -> Landscape:
        """Return the loss as a function of flat weights, by these running statistics; compiled once."""
        if self._landscape is None:
            self._landscape = network_landscape(self.rest, self.loss, self.l2, self.like, statistics, self.data)
        return self._landscape.with_data((statistics, self.data), self.data.rows)

    @_quietly
    def noise(self, weights: Tree, statistics: Statistics, rate: float = math.nan) -> Noise:
        """Return the noise of the gradient, layer by layer, and the share of dead units."""
        landscape = self.landscape(statistics)
        drawn = np.random.default_rng(self.seed).permutation(self.data.rows)[: self.noisy].astype(np.int32)
        dead = dead_units(weights, self.rest, statistics, self.data, drawn)
        flat = landscape.flat(weights)
        return gradient_noise(landscape, flat, sample=self.noisy, rate=rate, dead=dead, seed=self.seed)

    @_quietly
    def look(self, state: State, rule: tuple[str, float], rate: float, update: int, passes: float) -> Look:
        """Return the loss about a state that has taken a step.

        rule: its name and momentum. rate: in use. Raises InputError where the loss has no finite curvature there.
        """
        name, momentum = rule
        landscape = self.landscape(state.statistics)
        flat = landscape.flat(state.weights)
        shape = measure_shape(landscape, flat, sample=self.curved, steps=STEPS, probes=PROBES, seed=self.seed)
        divisors = second_moments(name, state.rule)
        largest = limit_curvature(
            landscape, flat, None if divisors is None else landscape.flat(divisors), shape, sample=self.curved,
            steps=STEPS, seed=self.seed,
        )  # fmt: skip
        factor = limit_factor(name, momentum)
        limit = factor / largest if largest > 0 else (math.inf if math.isfinite(factor) else math.nan)
        plain = rate if name == "plain" else math.nan
        noise = self.noise(state.weights, state.statistics, plain)
        return Look(update, passes, rate, shape, noise, limit, largest)

    @_quietly
    def stop(self, weights: Tree, statistics: Statistics, *, rate: float, batch: int, fallen: float) -> StopPoint:
        """Return what kind of point the weights are at; rate: nan for steps that are not plain."""
        landscape = self.landscape(statistics)
        return stop_point(
            landscape, landscape.flat(weights), rate=rate, batch=batch, fallen=fallen, sample=self.wide,
            curved=self.curved, seed=self.seed,
        )  # fmt: skip


def lost_in_noise(spread: float, signal: float, rows: int) -> bool:
    """Say whether the gradient over all rows is smaller than chance alone would make it.

    spread, signal: as in ``Noise``, means over several looks. The squared length of the gradient of n rows is compared
    with the spread of single gradients over n: below that, what rows say of the way down is not to be told from their
    noise (Mahsereci et al. 2017, "Early stopping without a validation set", section 3).
    """
    return signal * rows <= spread
