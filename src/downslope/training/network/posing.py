"""A network and its examples made ready to train, and its mean loss over some of them."""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

import jax
import numpy as np

from downslope.engines.network.inputs import Data, Passes, on_device, parts_of
from downslope.engines.network.loop import Tree
from downslope.losses import make_loss
from downslope.models.linear import Objective
from downslope.models.network.grammar import Architecture
from downslope.models.network.layers import Statistics, build_network
from downslope.records import Spec
from downslope.training.network.given import NetworkInputs
from downslope.training.network.progress import NetworkProblem
from downslope.training.network.scaling import scale_target


def pose_network(
    architecture: Architecture, train: NetworkInputs, held: NetworkInputs | None, spec: Spec, loss_name: str,
    outputs: int, huber_delta: float,
) -> NetworkProblem:  # fmt: skip
    """Return a network at its start with its examples on the device, the target in units that it can reach."""
    plain = make_loss(loss_name, delta=huber_delta, quantile=spec.quantile)
    scale, loss, target = scale_target(plain, train.target, train.weights)
    network = build_network(architecture, train.shape, outputs, jax.random.PRNGKey(spec.seed))
    weights, rest = parts_of(network)
    data = on_device(train.numbers, train.codes, target, train.weights, train.center, train.scale)
    aside = None
    if held is not None:
        seen = (held.target - scale.center) / scale.scale
        aside = on_device(held.numbers, held.codes, seen, held.weights, held.center, held.scale)
    l2 = 0.0 if isinstance(spec.l2, str) else float(spec.l2)
    return NetworkProblem(network, weights, rest, data, aside, loss, outputs, l2, scale)


def mean_loss(problem: NetworkProblem, passes: Passes, weights: Tree, statistics: Statistics, data: Data) -> float:
    """Return the mean loss over data by example weight, in the network's units and without penalty."""
    scores = passes.scores(weights, statistics, data).astype(np.float64)
    target = np.asarray(data.target, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # scores may be anything at weights that went too far
        each = Objective(problem.loss, 0.0, 0.0, True, problem.outputs).losses(scores, target)
    return float(each.mean() if data.weights is None else np.average(each, weights=np.asarray(data.weights)))
