"""What a training of a network is about, how far it has come, and how it ended: the nouns of its descent."""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from downslope.engines.network.inputs import Data
from downslope.engines.network.loop import Tree
from downslope.losses import Loss
from downslope.models.network.layers import Network, Statistics
from downslope.records import StepRecord, Verdict
from downslope.training.network.scaling import TargetScale
from downslope.types import JsonValue
from downslope.words import Sentence

TOLD = ("updates", "chosen", "best", "best_update", "waited", "retries")
LISTS = ("rates", "raced", "evidence", "looks", "noises")
"""The fields of ``Progress`` that a checkpoint holds as JSON."""


@dataclass(frozen=True)
class NetworkProblem:
    """What is to be trained on what.

    network: at its start. rest: what is not learned of it. train, held: on the device; held is None without one.
    loss: in the network's units, as ``scale`` says. outputs: k.
    """

    network: Network
    weights: Tree
    rest: Tree
    train: Data
    held: Data | None
    loss: Loss
    outputs: int
    l2: float
    scale: TargetScale


@dataclass
class Progress:
    """How far a training has come: all that a checkpoint holds beside the arrays.

    updates: steps taken. rates: of the lanes still running. chosen: the rate after the race. best, best_update: the
    lowest held-out loss and where. waited: looks since. retries: times the rate was halved. raced: summed losses of
    each lane over the second half of the race. looks: each ``Look`` so far, as JSON. noises: spread and signal at each
    look of a training without held-out rows. seconds: of earlier sittings.
    """

    updates: int = 0
    rates: list[float] = field(default_factory=list[float])
    chosen: float = math.nan
    best: float = math.inf
    best_update: int = 0
    waited: int = 0
    retries: int = 0
    raced: list[float] = field(default_factory=list[float])
    evidence: list[dict[str, JsonValue]] = field(default_factory=list[dict[str, JsonValue]])
    looks: list[dict[str, JsonValue]] = field(default_factory=list[dict[str, JsonValue]])
    noises: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    seconds: float = 0.0
    steps: list[StepRecord] = field(default_factory=list[StepRecord])


@dataclass(frozen=True)
class Ended:
    """How a training ended, and with which weights."""

    verdict: Verdict
    message: Sentence
    weights: Tree
    statistics: Statistics


def named_leaves(name: str, tree: Tree) -> dict[str, NDArray[Any]]:
    """Return own copies of the leaves of a tree, in their order, under a name."""
    return {f"{name}.{index}": np.array(leaf) for index, leaf in enumerate(jax.tree.leaves(tree))}
