"""Which start reaches which minimum: many descents of one function, gathered by where they end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from downslope.errors import OptionError
from downslope.fitting.gathering import Ground, gather, newton_step
from downslope.models.surface import Box, Surface, surface_of
from downslope.models.surface.surface import check_box
from downslope.records.figures import figure, plural
from downslope.records.run import Choice
from downslope.records.spec import Auto, Setting, Spec
from downslope.records.surface import Basins
from downslope.types import JsonValue, Matrix, Vector
from downslope.words import say

if TYPE_CHECKING:
    from downslope.engines.network.functions import Descended, LaneProgram, Measure, Measured

STARTS = Setting("", low=1, high=1_000_000, whole=True)
STEPS = Setting("", low=1, high=1_000_000, whole=True)
NOISE = Setting("", low=0)

RATES, PARTS = 16, 16
"""Learning rates of a race; each gets its part of the starts, where that is at least so many."""
SAMPLE = 1024
"""Fewest points of the box at which the ground is measured."""
BY_SIZE = ("adagrad", "rmsprop", "adam", "adamw", "lion")
"""Rules whose steps are about as long as the rate, whatever the gradient."""
ARRIVED = 1e-3
"""A descent has arrived where Newton's step from its end is shorter than this share of the box."""
ENOUGH = 0.9
"""Plain descent is kept where this share of the raced starts arrives; below it, Adam is tried as well."""


def basins(
    surface: str | Surface | Callable[[Any], Any], starts: int | Sequence[Sequence[float]] | Matrix = 10_000,
    steps: int = 500, *, rule: Any = "auto", learning_rate: float | Auto = "auto", momentum: float = 0.9,
    noise: float = 0.0, seed: int = 0, box: Box | None = None, keep: int = 0,
) -> Basins:  # fmt: skip
    """Descend from many starts at once and say which minimum each one reaches.

    surface: a name, an expression, a ``Surface``, or a function ``(d,) -> ()`` of JAX operations, with its box.
    starts: how many, drawn uniformly from the box, or the points themselves (n, d). rule: a name or an Optax
    transformation; ``auto`` is plain descent, or Adam where that brings more starts to a minimum. learning_rate:
    ``auto`` is raced. noise: standard deviation of what is added to each component of each gradient, as a small
    batch would. box: pairs of low and high. keep: starts whose paths are kept. Raises OptionError.
    """
    began = time.perf_counter()
    ready = _surface_of(surface, box)
    spec = Spec(
        rule=rule if isinstance(rule, str) else "auto", learning_rate=learning_rate, momentum=momentum, seed=seed
    )
    STEPS.check("steps", steps)
    NOISE.check("noise", noise)
    origins = _origins(ready, starts, seed)
    problem = _Problem(ready, origins, steps, noise, seed, min(keep, origins.shape[0]))
    chosen = _choose(problem, spec, rule)
    chose = time.perf_counter()
    descended = chosen.program.descend(origins, chosen.rate, problem.extent, noise, seed)
    went = time.perf_counter()
    ended = descended.points if noise == 0 else _settled(problem, chosen, descended)
    gathered = gather(problem.ground, ready, descended, ended)
    seconds = {
        "compile": problem.compile_seconds, "choose": chose - began - problem.compile_seconds, "descend": went - chose,
        "gather": time.perf_counter() - went, "total": time.perf_counter() - began,
    }  # fmt: skip
    return Basins(
        ready.name, ready.formula, ready.teaches, ready.variables, ready.box,
        math.nan if ready.lowest is None else ready.lowest, origins.shape[0], steps, chosen.rule, chosen.rate,
        float(noise), seed, gathered.minima, gathered.elsewhere, chosen.choices, seconds, origins, gathered.reached,
        problem.measure(descended.points).values, descended.points, descended.moved, descended.path,
    )  # fmt: skip


def _surface_of(given: Any, box: Any) -> Surface:
    if isinstance(given, str):
        return surface_of(given, box)
    if isinstance(given, Surface):
        return given if box is None else given.within(box)
    if not callable(given):
        message = f"basins needs a surface: its name, an expression, or a function of a vector, not {given!r}"
        raise OptionError(message)
    if box is None:
        message = "a function needs the box of its starts, such as box=((-5, 5), (-5, 5))"
        raise OptionError(message)
    checked = check_box(box, len(box))
    names = ("x", "y", "z")[: len(checked)] if len(checked) < 4 else tuple(f"x{i + 1}" for i in range(len(checked)))
    name = str(getattr(given, "__name__", "function"))
    _check_shape(given, name, len(checked))
    return Surface(name, names, "", given, checked)


def _check_shape(function: Any, name: str, variables: int) -> None:
    from downslope.engines.network.functions import value_shape

    shape = value_shape(function, variables)
    if shape != ():
        message = f"{name} must give one number for a vector, but gives an array of shape {shape}; take its sum or mean"
        raise OptionError(message)


def _origins(surface: Surface, starts: Any, seed: int) -> Matrix:
    """Return the starts (n, d), drawn or given; raises OptionError for one outside the box."""
    low, high = np.array(surface.box, np.float64).T
    if isinstance(starts, int | float):
        STARTS.check("starts", starts)
        drawn = np.random.default_rng(seed).random((int(starts), low.size))
        return low + (high - low) * drawn
    try:
        points = np.atleast_2d(np.asarray(starts, np.float64))
    except (TypeError, ValueError) as error:
        message = f"starts must be a count or points of {plural(low.size, 'number')} each, not {starts!r}"
        raise OptionError(message) from error
    if points.ndim != 2 or points.shape[1] != low.size or not points.shape[0]:
        message = (
            f"a start of {surface.name} has {plural(low.size, 'number')} ({', '.join(surface.variables)}), "
            f"but {plural(points.shape[-1], 'number')} {'was' if points.shape[-1] == 1 else 'were'} given"
        )
        raise OptionError(message)
    for point in points:
        outside = [i for i in range(low.size) if not low[i] <= point[i] <= high[i]]
        if outside:
            i = outside[0]
            message = (
                f"the start {surface.variables[i]} = {figure(point[i])} lies outside the box of {surface.name}, "
                f"{figure(low[i])} to {figure(high[i])}; start inside, or give another box"
            )
            raise OptionError(message)
    return points


class _Problem:
    """A surface with its starts, and what is compiled for them."""

    def __init__(self, surface: Surface, origins: Matrix, steps: int, noise: float, seed: int, keep: int) -> None:
        from downslope.engines.network.functions import Measure

        self.surface, self.origins, self.steps = surface, origins, steps
        self.noise, self.seed, self.keep = noise, seed, keep
        self.low, self.high = np.array(surface.box, np.float64).T
        self.extent: Vector = self.high - self.low
        began = time.perf_counter()
        self.measure: Measure = Measure(surface.function)
        self.seen: Measured = self.measure(self._sample(seed))
        self.compile_seconds = time.perf_counter() - began
        met = self.seen.values[np.isfinite(self.seen.values)]
        if not met.size:
            message = f"{surface.name} is not a finite number anywhere in its box; give another box"
            raise OptionError(message)
        self.ground = Ground(self.measure, self.low, self.high, float(np.ptp(met)))

    def _sample(self, seed: int) -> Matrix:
        """Return points of the box that tell how high and how bent the ground is."""
        many = max(SAMPLE, self.origins.shape[0])  # as many as starts, so that both are measured by one program
        return self.low + self.extent * np.random.default_rng(seed).random((many, self.extent.size))

    def program(self, name: str, rule: Any, noisy: bool) -> LaneProgram:
        from downslope.engines.network.functions import LaneProgram

        made = LaneProgram(
            self.surface.function, (name, rule), (self.origins.shape[0], self.extent.size), self.steps, noisy=noisy,
            keep=self.keep,
        )  # fmt: skip
        self.compile_seconds += made.compile_seconds
        return made


@dataclass(frozen=True)
class _Chosen:
    rule: str
    made: Any
    rate: float
    program: LaneProgram
    choices: tuple[Choice, ...]


def _choose(problem: _Problem, spec: Spec, rule: Any) -> _Chosen:
    """Return the rule and the learning rate, raced where they are left to choice."""
    name = spec.rule if isinstance(rule, str) else rule
    first = _raced(problem, "plain" if name == "auto" else name, spec)
    if name != "auto":
        return first.chosen
    reason = say(
        "the gradient itself brings {share} of the raced starts to where it is zero", share=f"{first.arrived:.0%}"
    )
    choice = Choice("rule", "plain", reason)
    if first.arrived < ENOUGH and isinstance(spec.learning_rate, str):
        second = _raced(problem, "adam", spec)
        if second.arrived > first.arrived:
            reason = say(
                "{share} of the raced starts arrive, with the plain rule {other}",
                share=f"{second.arrived:.0%}",
                other=f"{first.arrived:.0%}",
            )
            choice, first = Choice("rule", "adam", reason), second
    found = first.chosen
    return _Chosen(found.rule, found.made, found.rate, found.program, (choice, *found.choices))


@dataclass(frozen=True)
class _Raced:
    chosen: _Chosen
    arrived: float


def _raced(problem: _Problem, rule: Any, spec: Spec) -> _Raced:
    """Race rates on a share of the starts each: the smallest of those that bring most to an end is taken."""
    from downslope.engines.network.functions import rule_from

    name, made = rule_from(rule, spec.momentum)
    program = problem.program(name, made, problem.noise > 0)
    if not isinstance(spec.learning_rate, str):
        return _Raced(_Chosen(name, made, float(spec.learning_rate), program, ()), math.nan)
    if name in ("optax", "prodigy"):
        return _Raced(_Chosen(name, made, 1.0, program, ()), math.nan)
    rates = _candidates(problem, name)
    shares, heights = _shares(problem, program, rates)
    best = int(np.flatnonzero(shares >= shares.max() - 0.01)[-1])
    evidence: tuple[Mapping[str, JsonValue], ...] = tuple(
        {"learning_rate": float(rate), "arrived": float(share)} for rate, share in zip(rates, shares, strict=True)
    )
    reason = say(
        "the smallest of {rates} rates, to within 1 %, that bring most starts ({share}) to where the gradient is zero "
        "in {steps}",
        rates=rates.size,
        share=f"{shares[best]:.0%}",
        steps=plural(problem.steps, "step"),
    )
    if shares.max() < 0.01:
        best = int(np.argmin(heights))
        reason = say(
            "the one of {rates} rates whose starts come lowest; none brings them to where the slope is zero",
            rates=rates.size,
        )
    choice = Choice("learning_rate", float(rates[best]), reason, evidence)
    return _Raced(_Chosen(name, made, float(rates[best]), program, (choice,)), float(shares[best]))


def _shares(problem: _Problem, program: LaneProgram, rates: Vector) -> tuple[Vector, Vector]:
    """Return the share of the starts that each rate brings to an end, and the mean value where they stand then.

    Each rate has its part of the starts, or where they are few all of them.
    """
    lanes = problem.origins.shape[0]
    if lanes < PARTS * rates.size:
        each = [program.descend(problem.origins, float(rate), problem.extent) for rate in rates]
        ends = [(_arrived(problem, one), _heights(problem, one)) for one in each]
        return np.array([good.mean() for good, _ in ends]), np.array([values.mean() for _, values in ends])
    turn = np.arange(lanes, dtype=np.intp) % rates.size
    descended = program.descend(problem.origins, rates[turn], problem.extent)
    good, values = _arrived(problem, descended), _heights(problem, descended)
    parts = [turn == index for index in range(rates.size)]
    return np.array([good[part].mean() for part in parts]), np.array([values[part].mean() for part in parts])


def _heights(problem: _Problem, descended: Descended) -> Vector:
    """Return the values at the ends, infinite for a descent that broke."""
    values = problem.measure(descended.points).values
    return np.where(descended.alive & np.isfinite(values), values, np.inf)


def _candidates(problem: _Problem, rule: str) -> Vector:
    """Return rates to race, highest first: around the stability limits met in the box, or in shares of the box."""
    if rule in BY_SIZE or rule == "schedule-free":
        return float(problem.extent.mean()) * np.geomspace(0.1, 1e-4, RATES)
    hessians = problem.seen.hessians
    usable = np.isfinite(hessians).all(axis=(1, 2))
    sizes: NDArray[np.float64] = np.abs(np.linalg.eigvalsh(hessians[usable]))
    curvature = sizes[sizes > 0]
    if not curvature.size:
        return np.geomspace(1.0, 1e-3, RATES)
    return np.geomspace(2.0 / float(np.quantile(curvature, 0.1)), 0.2 / float(curvature.max()), RATES)


def _arrived(problem: _Problem, descended: Descended) -> NDArray[np.bool_]:
    """Say which descents ended inside the box and next to a point of zero gradient."""
    step = newton_step(problem.measure(descended.points), problem.ground)
    short = np.abs(step / problem.extent).max(axis=1) < ARRIVED
    return descended.alive & problem.ground.inside(descended.points) & short


def _settled(problem: _Problem, chosen: _Chosen, descended: Descended) -> Matrix:
    """Return where noisy descents would come to rest with the noise switched off."""
    program = problem.program(chosen.rule, chosen.made, noisy=False)
    return program.descend(descended.points, chosen.rate, problem.extent).points
