"""The shape of a loss about one point: its curvature, the noise of its gradient, and what kind of point it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from downslope.words import Sentence


@dataclass(frozen=True)
class Shape:
    """The curvature of a mean loss about the weights: eigenvalues of its Hessian H.

    largest, smallest: eigenvalues (algebraic), with ``|H v - value v|`` as ``_error``: an eigenvalue lies that near.
    sampling_error: standard error of ``largest`` from using ``rows`` of ``all_rows`` examples, 0 for all of them.
    condition: largest over smallest; inf where the smallest is zero to its error, nan where it is negative.
    trace, trace_error: the sum of all eigenvalues and its standard error, 0 where it was summed exactly.
    stability_limit: ``2 / largest``, inf where nothing curves upwards. weights: how many. products: Hessian-vector
    products spent, each about two gradients of the rows.
    """

    largest: float
    largest_error: float
    smallest: float
    smallest_error: float
    condition: float
    trace: float
    trace_error: float
    stability_limit: float
    sampling_error: float
    rows: int
    all_rows: int
    weights: int
    products: int


@dataclass(frozen=True)
class LayerNoise:
    """One layer at one point.

    name: where its weights are, such as ``hidden.0.layer``. weights, gradient: lengths of the two. update: length of
    one update over that of the weights, nan where neither a rate nor an update was given. units: into which its
    weights lead, 0 where it has no matrix of them; rank: of the matrix's gradient (inputs, units), to rounding. dead:
    share of its units that are zero for every example looked at, nan where the layer has no units of its own.
    """

    name: str
    weights: float
    gradient: float
    update: float
    units: int = 0
    rank: int = 0
    dead: float = float("nan")


@dataclass(frozen=True)
class Noise:
    """The noise of the gradient at one point.

    scale: ``spread / signal``, in examples: the batch size past which examples are redundant; inf where no gradient
    can be told from noise. low, high: its 95 % interval. spread: the trace of the covariance of single examples'
    gradients. signal: the squared length of the full gradient, corrected for the sample's own noise; below zero
    where the noise hides it. rows of all_rows: examples looked at. piece: examples whose gradients were taken
    together.
    """

    scale: float
    low: float
    high: float
    spread: float
    signal: float
    rows: int
    all_rows: int
    piece: int
    layers: tuple[LayerNoise, ...] = ()


@dataclass(frozen=True)
class Look:
    """The loss about the weights of one moment of a run, and how the learning rate in use stands to it.

    update, passes: when. learning_rate: in use. shape, noise: measured there. limit: the rate above which steps of the
    run's rule diverge on a bowl of this curvature, nan for a rule of which none is published. limit_curvature: the
    largest curvature that it comes from, for a rule that divides gradients by their size that of the loss in the
    coordinates in which its steps are plain.
    """

    update: int
    passes: float
    learning_rate: float
    shape: Shape
    noise: Noise
    limit: float
    limit_curvature: float


class StopKind(StrEnum):
    """What kind of point a training stands at."""

    MINIMUM = "minimum"
    SADDLE = "saddle"
    PLATEAU = "plateau"
    NOISE_FLOOR = "noise floor"
    SMALL_RATE = "small learning rate"
    DESCENDING = "still descending"


@dataclass(frozen=True)
class StopPoint:
    """What kind of point the weights are at, and how we know.

    message: one sentence. loss, gradient_norm: of the mean loss. gradient_error: the standard deviation of the
    gradient of one batch of ``batch`` examples. drop: the largest fall of the loss measured on the way that
    gradient and curvature point; negligible: the fall that counts as none. escape_drop, escape_length: the largest
    fall measured along the direction that curves down most, and how far along; 0 where nothing curves down.
    reach: the distance over which slope and curvature are held to be flat or not. expected: how far one plain update
    at the learning rate lowers the loss on average, its noise included; nan without a rate. rows of all_rows:
    examples that all but ``gradient_error`` was measured on. The rest is as in ``Shape``.
    """

    kind: StopKind
    message: Sentence
    loss: float
    gradient_norm: float
    gradient_error: float
    drop: float
    negligible: float
    largest: float
    smallest: float
    smallest_error: float
    escape_drop: float
    escape_length: float
    reach: float
    learning_rate: float
    expected: float
    stability_limit: float
    batch: int
    rows: int
    all_rows: int
