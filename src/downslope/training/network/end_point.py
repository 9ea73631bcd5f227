"""What kind of point a descent of a function ended at, and how well that is known.

For a few numbers the whole Hessian is worked out, and every direction is looked at. For more, the loss is measured
along Newton's step and along the direction that curves down most, as ``choices.network.stop_point`` does: on all
examples where that costs little, else on some of them. Those few are made to tell of all by the slope: their loss is
tilted until its gradient is that of all examples, so that only the curvature is a sample's. And where they say that
the loss can still fall, the loss of all examples is asked whether it does.
"""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from downslope.choices.network.stop_point import LENGTHS, stop_point
from downslope.engines.network.curvature import NEWTON_STEPS, newton_step
from downslope.engines.network.landscape import Landscape, data_landscape, function_landscape
from downslope.engines.network.loop import Tree
from downslope.engines.network.newton import Bowl, FlatFunction
from downslope.engines.network.problems import FunctionProblem
from downslope.records.figures import count, figure, plural
from downslope.records.shape import StopKind, StopPoint
from downslope.records.surface import Stop
from downslope.types import Indices, Vector
from downslope.words import Sentence, say

WHOLE_MOST, WHOLE_WORK = 200, 2e7
"""Most numbers to learn, and most of them times examples, for which the whole Hessian is worked out."""
LEVEL = {True: 1e-6, False: 1e-3}
"""A curvature this small a share of the largest is none, in float64 and in float32."""
AT_REST = 1e-3
"""A descent rests where the bowl under it promises less than this share of the way it has come."""
PROBE = 1e-2
"""How far to look along a level direction, as a share of the point's size or of 1."""
LEAST_ROWS, SOME_WORK = 512, 1e6
"""Examples that curvature is measured on at the least, and times numbers to learn, if there are so many."""
PRODUCTS, SHARE = 250, 0.25
"""Gradients that such a measurement costs, and the share of the descent's own work that it may take."""
KINDS = {
    StopKind.SADDLE: Stop.SADDLE, StopKind.PLATEAU: Stop.PLATEAU, StopKind.NOISE_FLOOR: Stop.SLOPE,
    StopKind.SMALL_RATE: Stop.SLOPE, StopKind.DESCENDING: Stop.SLOPE,
}  # fmt: skip
FAILURES = (ValueError, TypeError, ArithmeticError, RuntimeError, MemoryError)
"""What a loss that can be descended may raise when it is asked for its curvature."""


@dataclass(frozen=True)
class Ended:
    """Where a descent ended.

    weights: a tree, as the problem has them. norm: of the gradient of all examples. fallen: how far the loss came
    down. updates: that were taken. batch: examples of each, 0 for all.
    """

    weights: Tree
    norm: float
    fallen: float
    updates: int
    batch: int


@dataclass(frozen=True)
class EndPoint:
    """What a point is, its outer curvatures, and in a sentence how that is known; see ``Minimum`` for the words."""

    kind: Stop
    smallest: float
    largest: float
    reason: Sentence
    stop_point: StopPoint | None = None


def end_point(problem: FunctionProblem, ended: Ended, seed: int) -> EndPoint:
    """Return what kind of point a descent ended at; unknown where its curvature is not a number, or not to be had."""
    if not math.isfinite(ended.norm):
        return _unknown(say("the gradient is not a number there"))
    try:
        if problem.size <= WHOLE_MOST and problem.size * max(problem.rows, 1) <= WHOLE_WORK:
            return _by_whole_hessian(problem, ended)
        return _by_measurement(problem, ended, seed)
    except FAILURES as error:
        first = str(error).strip().partition("\n")[0].rstrip(".")
        return _unknown(say("its curvature cannot be computed ({reason})", reason=first or type(error).__name__))


def _unknown(why: Sentence) -> EndPoint:
    return EndPoint(Stop.UNKNOWN, math.nan, math.nan, say("not known: {why}", why=why))


def _by_whole_hessian(problem: FunctionProblem, ended: Ended) -> EndPoint:
    flat = problem.flat(exact_hessian=True)
    point = problem.vector(ended.weights)
    bowl = flat.bowl(point, exact=True)
    if not bowl.finite:
        return _unknown(say("a curvature is not a number there"))
    kind = _kind_of(flat, point, bowl, ended.fallen, LEVEL[problem.double])
    smallest, largest = float(bowl.bends[0]), float(bowl.bends[-1])
    whole = (
        say("all {size} directions were", size=count(problem.size))
        if problem.size > 1
        else say("its only direction was")
    )
    told = say(
        "{whole} measured: curvatures from {smallest} to {largest}, gradient {norm}",
        whole=whole,
        smallest=figure(smallest),
        largest=figure(largest),
        norm=figure(bowl.norm),
    )
    if kind is Stop.SLOPE and smallest > 0:
        told += say("; the bowl that fits there falls by another {gap}", gap=figure(bowl.gap()))
    return EndPoint(kind, smallest, largest, told)


def _kind_of(flat: FlatFunction, point: Vector, bowl: Bowl, fallen: float, level: float) -> Stop:
    scale = float(np.abs(bowl.bends).max())
    size = max(1.0, float(np.linalg.norm(point)))
    if not _rests(bowl, max(fallen, 0.0), level * scale, size):
        return Stop.SLOPE
    if bowl.bends[0] < -level * scale:
        return Stop.SADDLE
    if (np.abs(bowl.bends) > level * scale).all():
        return Stop.MINIMUM
    return _looked(flat, point, bowl, level * scale, PROBE * size)


def _rests(bowl: Bowl, come: float, level: float, size: float) -> bool:
    """Say whether the bowl promises next to nothing, of the way come or to rounding, and its bottom is near."""
    along = bowl.ways.T @ bowl.gradient
    bent = np.abs(bowl.bends) > level
    step = along[bent] / np.abs(bowl.bends[bent])
    promised = 0.5 * float(np.abs(along[bent] * step).sum())
    drift = float(np.abs(along[~bent]).sum()) * PROBE * size
    near = float(np.linalg.norm(step)) <= PROBE * size
    return near and promised + drift <= max(AT_REST * come, 1e-12 * abs(bowl.value))


def _looked(flat: FlatFunction, point: Vector, bowl: Bowl, level: float, far: float) -> Stop:
    """Return what a point is that some directions are level at, by a look so far along them."""
    level_ways = bowl.ways[:, np.abs(bowl.bends) <= level]
    rises = np.array([flat.value(point + sign * far * way) - bowl.value for way in level_ways.T for sign in (1, -1)])
    nothing = 1e-10 * max(abs(bowl.value), far**2 * float(np.abs(bowl.bends).max()), 1e-300)
    if (rises < -nothing).any():
        return Stop.SADDLE
    bent = level_ways.shape[1] < bowl.bends.size
    return Stop.FLAT_MINIMUM if bent or (rises > nothing).any() else Stop.PLATEAU


def _by_measurement(problem: FunctionProblem, ended: Ended, seed: int) -> EndPoint:
    rows = rows_to_measure(problem, ended)
    every = _landscape(problem, ended.weights)
    landscape = _tilted(problem, ended.weights, every, rows, seed) if rows < problem.rows else every
    found = stop_point(
        landscape, landscape.flat(ended.weights), batch=min(ended.batch, landscape.rows), fallen=ended.fallen, seed=seed
    )
    found = replace(found, all_rows=max(problem.rows, 1))
    level = LEVEL[problem.double]
    if found.kind is StopKind.MINIMUM and found.escape_drop > level * max(ended.fallen, abs(found.loss)):
        found = replace(found, kind=StopKind.SADDLE, message=_small_saddle(found))
    kind = KINDS.get(found.kind, Stop.FLAT_MINIMUM)
    if found.kind is StopKind.MINIMUM:
        kind = Stop.MINIMUM if _rises(found, level) else Stop.FLAT_MINIMUM
    told = _flat(found, level) if kind is Stop.FLAT_MINIMUM else found.message
    if found.kind is StopKind.MINIMUM:
        told += say("; of {size} directions the outermost alone were looked for", size=count(problem.size))
    end = EndPoint(kind, found.smallest, found.largest, told, found)
    return end if landscape is every else _by_some(end, found, _fall_of_all(every, landscape, ended.weights))


def _by_some(end: EndPoint, found: StopPoint, fall: float) -> EndPoint:
    """Return what some examples say of a point, held against how far the loss of all falls on the way they point."""
    some = say("{rows} of {examples}", rows=count(found.rows), examples=plural(found.all_rows, "example"))
    if end.kind is not Stop.SLOPE:
        return replace(end, reason=say("{reason}; the curvature is that of {some}", reason=end.reason, some=some))
    seen = replace(found, drop=fall)
    if fall > found.negligible:
        told = say(
            "{reason}; that is by {some}, and the loss of all falls by {fall} on the way they point",
            reason=end.reason,
            some=some,
            fall=figure(fall),
        )
        return replace(end, reason=told, stop_point=seen)
    less = say("that of all falls by {fall} alone on the way they point, which is next to nothing", fall=figure(fall))
    told = say(
        "not known: by {some} the loss could still fall by {drop}, but {less}",
        some=some,
        drop=figure(found.drop),
        less=less,
    )
    return replace(end, kind=Stop.UNKNOWN, reason=told, stop_point=seen)


def _small_saddle(found: StopPoint) -> Sentence:
    """Return the sentence of a saddle from which the loss falls by less than is worth naming, but does fall."""
    return say(
        "a saddle, though a shallow one: one direction curves down by {smallest}, and the loss falls "
        "by {fall} along it within a distance of {distance}",
        smallest=figure(found.smallest),
        fall=figure(found.escape_drop),
        distance=figure(found.escape_length),
    )


def _rises(found: StopPoint, level: float) -> bool:
    """Say whether every direction rises as far as was measured, and so steeply that no fall worth naming is left.

    In a bowl of smallest curvature m a slope g falls by ``g^2 / 2 m`` at the most, in whatever direction it points. And
    of all that Newton's step gains, k steps of conjugate gradients gain the share ``1 - 4 r^2k`` at the least, where
    ``r = (sqrt(condition) - 1) / (sqrt(condition) + 1)`` (Golub and Van Loan 2013, section 11.3.3).
    """
    if not _bends_up(found, level):
        return False
    root = math.sqrt(found.largest / found.smallest)
    gained = 1.0 - 4.0 * ((root - 1.0) / (root + 1.0)) ** (2 * NEWTON_STEPS)
    left = found.gradient_norm**2 / (2.0 * found.smallest)
    return min(left, found.drop / gained if gained > 0 else math.inf) <= found.negligible


def _bends_up(found: StopPoint, level: float) -> bool:
    return found.smallest > max(found.smallest_error, level * found.largest)


def _flat(found: StopPoint, level: float) -> Sentence:
    """Return the sentence of a minimum of which it is not known that every direction rises."""
    lowest = say(
        "the lowest curvature found, {smallest} beside {largest}",
        smallest=figure(found.smallest),
        largest=figure(found.largest),
    )
    if found.escape_drop > 0 or found.smallest < -found.smallest_error:
        level_by = say(
            "along {lowest}, it falls by {fall}, which is next to nothing",
            lowest=lowest,
            fall=figure(found.escape_drop),
        )
    elif _bends_up(found, level):
        level_by = say(
            "{lowest}, is small beside the slope of {slope}",
            lowest=lowest,
            slope=figure(found.gradient_norm),
        )
    else:
        level_by = say(
            "{lowest}, cannot be told from none (its error is {error})",
            lowest=lowest,
            error=figure(found.smallest_error),
        )
    return say(
        "a minimum, but all but level in some direction: Newton's step lowers the loss by {drop} at "
        "most, and {level_by}",
        drop=figure(found.drop),
        level_by=level_by,
    )


def rows_to_measure(problem: FunctionProblem, ended: Ended) -> int:
    """Return how many examples to measure on: all, or as many as cost little beside the descent; 0 without data."""
    work = ended.updates * (ended.batch or problem.rows)
    affordable = max(LEAST_ROWS, int(SOME_WORK / problem.size), int(SHARE * work / PRODUCTS))
    return min(problem.rows, affordable)


def _landscape(problem: FunctionProblem, weights: Tree) -> Landscape:
    """Return the loss of all examples as a landscape."""
    if not problem.rows:
        return function_landscape(lambda tree: problem.of(tree, None), weights)
    return data_landscape(problem.of, weights, problem.data)


def _tilted(problem: FunctionProblem, weights: Tree, every: Landscape, rows: int, seed: int) -> Landscape:
    """Return the loss of some examples as a landscape, with the slope of all at the weights."""
    drawn: Indices = np.random.default_rng(seed).choice(problem.rows, rows, replace=False).astype(np.int32)
    center = every.flat(weights)
    some = jax.tree.map(lambda leaf: leaf[drawn], problem.data)

    def tilted(tree: Tree, data: Tree, chosen: jax.Array) -> jax.Array:
        batch, slope, origin = data
        away = ravel_pytree(tree)[0] - origin
        return problem.of(tree, jax.tree.map(lambda leaf: leaf[chosen], batch)) + jnp.vdot(slope, away)

    level = Landscape(tilted, (some, jnp.zeros(center.shape, center.dtype), jnp.asarray(center)), rows, weights)
    tilt = every.gradient(center) - level.gradient(center)
    return level.with_data((some, jnp.asarray(tilt), jnp.asarray(center)), rows)


def _fall_of_all(every: Landscape, some: Landscape, weights: Tree) -> float:
    """Return the largest fall of the loss of all examples along the Newton step of some, 0 for none."""
    center = every.flat(weights)
    step, _ = newton_step(some, center, some.gradient(center))
    losses = every.values(center, step[None], LENGTHS[:, None])
    falls = every.value(center) - losses[np.isfinite(losses)]
    return float(falls.max(initial=0.0))
