"""Small networks for tests, in float64 where an oracle needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from downslope.engines.network.inputs import Data, on_device, parts_of
from downslope.engines.network.landscape import Landscape, network_landscape
from downslope.losses import Loss, Softmax, Squared
from downslope.models.network.grammar import parse_model
from downslope.models.network.layers import build_network


@dataclass(frozen=True)
class Small:
    """A network with its data and its loss as a landscape."""

    landscape: Landscape
    weights: Any
    rest: Any
    statistics: Any
    data: Data
    loss: Loss
    flat: Any


def small(
    model: str = "mlp:5,4", activation: str = "tanh", rows: int = 150, features: int = 6, outputs: int = 3,
    l2: float = 0.01, normalisation: str = "none", weighted: bool = False, double: bool = True,
    at_once: int | None = 64, shape: tuple[int, ...] | None = None, seed: int = 0,
) -> Small:  # fmt: skip
    """Return a network with He weights on random examples, of classes or of a number."""
    rng = np.random.default_rng(seed)
    numbers = rng.standard_normal((rows, *(shape or (features,))))
    target = rng.integers(0, outputs, rows) if outputs > 1 else numbers.reshape(rows, -1)[:, 0] ** 2
    network = build_network(
        parse_model(model, activation, normalisation), shape or (features,), outputs, jax.random.PRNGKey(seed)
    )
    weights, rest = parts_of(network)
    weights = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64 if double else jnp.float32), weights)
    each = rng.uniform(0.5, 2.0, rows) if weighted else None
    data = on_device(numbers, None, target.astype(np.float64), each)
    loss: Loss = Softmax() if outputs > 1 else Squared()
    landscape = network_landscape(rest, loss, l2, weights, network.statistics, data)
    landscape.at_once = at_once or landscape.at_once
    return Small(landscape, weights, rest, network.statistics, data, loss, landscape.flat(weights))


def plain_loss(case: Small, l2: float = 0.01) -> Any:
    """Return the mean loss as one function of the flat weights, over all rows at once, for JAX to take apart."""
    import equinox as eqx

    from downslope.engines.network.inputs import batch_of
    from downslope.engines.network.losses import example_losses

    rows = jnp.arange(case.data.rows)

    def of(flat: Any) -> Any:
        weights = case.landscape.tree(flat)
        scores, _ = eqx.combine(weights, case.rest)(batch_of(case.data, rows), case.statistics)
        each = example_losses(case.loss, scores, case.data.target)
        if case.data.weights is not None:
            each = each * case.data.weights
        penalty = sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(weights) if leaf.ndim > 1)
        return each.mean() + 0.5 * l2 * penalty

    return of
