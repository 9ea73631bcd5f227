"""Surfaces with known minima, each for one thing that descent can meet; and the sources of what is known."""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import jax
import jax.numpy as jnp

from downslope.models.surface.surface import Box, KnownMinimum, Surface
from downslope.words import Sentence, say

Array = jax.Array
PLANE = ("x", "y")
JAMIL = "Jamil and Yang 2013, A literature survey of benchmark functions, function"
EXACT = "where the gradient, a polynomial, is zero"


def _bowl(v: Array) -> Array:
    return v[0] ** 2 + v[1] ** 2


def _long_valley(v: Array) -> Array:
    return 0.5 * v[0] ** 2 + 50.0 * v[1] ** 2


def _saddle(v: Array) -> Array:
    return v[0] ** 2 - v[1] ** 2 + 0.25 * v[1] ** 4


def _plateau(v: Array) -> Array:
    return 1.0 - jnp.exp(-0.5 * (v[0] ** 2 + v[1] ** 2))


def _egg_crate(v: Array) -> Array:
    x, y = v[0], v[1]
    return 20.0 + x**2 + y**2 - 10.0 * (jnp.cos(2.0 * jnp.pi * x) + jnp.cos(2.0 * jnp.pi * y))


def _himmelblau(v: Array) -> Array:
    x, y = v[0], v[1]
    return (x**2 + y - 11.0) ** 2 + (x + y**2 - 7.0) ** 2


def _rosenbrock(v: Array) -> Array:
    x, y = v[0], v[1]
    return (1.0 - x) ** 2 + 100.0 * (y - x**2) ** 2


def _beale(v: Array) -> Array:
    x, y = v[0], v[1]
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def _ackley(v: Array) -> Array:
    x, y = v[0], v[1]
    mean = 0.5 * (x**2 + y**2)
    tip = mean == 0.0  # the tip of a cone has no slope; zero is in its subdifferential
    far = jnp.where(tip, 0.0, jnp.sqrt(jnp.where(tip, 1.0, mean)))
    waves = jnp.exp(0.5 * (jnp.cos(2.0 * jnp.pi * x) + jnp.cos(2.0 * jnp.pi * y)))
    return 20.0 + math.e - 20.0 * jnp.exp(-0.2 * far) - waves


def _six_hump_camel(v: Array) -> Array:
    x, y = v[0], v[1]
    return (4.0 - 2.1 * x**2 + x**4 / 3.0) * x**2 + x * y + (4.0 * y**2 - 4.0) * y**2


def _two_valleys(v: Array) -> Array:
    x = v[0]
    return 0.25 * x**4 + x**3 / 3.0 - x**2


def _cells() -> tuple[KnownMinimum, ...]:
    """Return the 121 minima of the egg-crate in its box: near each whole number, where ``x + 10 pi sin 2 pi x = 0``."""
    roots: list[float] = []
    for whole in range(-5, 6):
        x = float(whole)
        for _ in range(20):
            slope = x + 10.0 * math.pi * math.sin(2.0 * math.pi * x)
            x -= slope / (1.0 + 20.0 * math.pi**2 * math.cos(2.0 * math.pi * x))
        roots.append(x)

    def height(x: float) -> float:
        return 10.0 + x**2 - 10.0 * math.cos(2.0 * math.pi * x)

    return tuple(KnownMinimum((x, y), height(x) + height(y), x == 0.0 == y) for x, y in product(roots, roots))


def _mirrored(x: float, y: float, value: float, *, lowest: bool) -> tuple[KnownMinimum, KnownMinimum]:
    return KnownMinimum((x, y), value, lowest), KnownMinimum((-x, -y), value, lowest)


def _square(side: float) -> Box:
    return ((-side, side), (-side, side))


_ORIGIN = (KnownMinimum((0.0, 0.0), 0.0),)
_Row = tuple[str, Callable[[Array], Array], str, Box, tuple[KnownMinimum, ...], bool, str, Sentence]
_TABLE: tuple[_Row, ...] = (
    ("bowl", _bowl, "x**2 + y**2", _square(5.0), _ORIGIN, True, EXACT,
     say("The same curvature every way: the gradient points at the minimum, and rate 0.5 lands on it in one step.")),
    ("long-valley", _long_valley, "x**2/2 + 50*y**2", _square(5.0), _ORIGIN, True, EXACT,
     say("Curvatures of 1 and 100: a rate that is safe across, below 0.02, is slow along, and momentum makes up for "
         "it.")),
    ("saddle", _saddle, "x**2 - y**2 + y**4/4", _square(3.0),
     (KnownMinimum((0.0, math.sqrt(2.0)), -1.0), KnownMinimum((0.0, -math.sqrt(2.0)), -1.0)), True, EXACT,
     say("The gradient is zero at (0, 0) and yet it is no minimum: only a start with y exactly 0 stays there.")),
    ("plateau", _plateau, "1 - exp(-(x**2 + y**2)/2)", _square(6.0), _ORIGIN, True,
     "the gradient is x and y times a number above 0",
     say("Far out the slope is all but zero: a small gradient need not mean that a minimum is near.")),
    ("egg-crate", _egg_crate, "20 + x**2 + y**2 - 10*(cos(2*pi*x) + cos(2*pi*y))", _square(5.12), _cells(), True,
     "Rastrigin 1974, in two variables; the other minima by Newton's method on its gradient",
     say("A minimum in every cell: where small steps end depends on the start alone.")),
    ("himmelblau", _himmelblau, "(x**2 + y - 11)**2 + (x + y**2 - 7)**2", _square(5.0),
     (KnownMinimum((3.0, 2.0), 0.0), KnownMinimum((-2.8051180869527449, 3.1313125182505730), 0.0),
      KnownMinimum((-3.7793102533777469, -3.2831859912861694), 0.0),
      KnownMinimum((3.5844283403304917, -1.8481265269644036), 0.0)), True,
     "Himmelblau 1972, Applied Nonlinear Programming, problem 29; digits by Newton's method",
     say("Four minima of equal value: which one is reached depends on the start, and on the length of the steps.")),
    ("rosenbrock", _rosenbrock, "(1 - x)**2 + 100*(y - x**2)**2", ((-2.0, 2.0), (-1.0, 3.0)),
     (KnownMinimum((1.0, 1.0), 0.0),), True, "Rosenbrock 1960, An automatic method for finding the greatest or least",
     say("A bent valley with steep sides: descent finds its floor at once, and then takes thousands of steps "
         "along it.")),
    ("beale", _beale, "(1.5 - x + x*y)**2 + (2.25 - x + x*y**2)**2 + (2.625 - x + x*y**3)**2", _square(4.5),
     (KnownMinimum((3.0, 0.5), 0.0),), False, f"{JAMIL} 10",
     say("Steep corners around an almost flat middle: no one rate suits both, unless the rule adapts it.")),
    ("ackley", _ackley,
     "20 + exp(1) - 20*exp(-0.2*sqrt((x**2 + y**2)/2)) - exp((cos(2*pi*x) + cos(2*pi*y))/2)", _square(5.0), _ORIGIN,
     False, f"{JAMIL} 1",
     say("Ripples on a funnel with a pointed tip: small steps stop in a ripple, and at the tip the slope never "
         "fades.")),
    ("six-hump-camel", _six_hump_camel, "(4 - 2.1*x**2 + x**4/3)*x**2 + x*y + (4*y**2 - 4)*y**2",
     ((-3.0, 3.0), (-2.0, 2.0)),
     (*_mirrored(0.089842013100318062, -0.71265640302073963, -1.0316284534898774, lowest=True),
      *_mirrored(-1.7036067149699808, 0.79608356867262512, -0.21546382438371764, lowest=False),
      *_mirrored(-1.6071047529201972, -0.56865145488413137, 2.1042503103112583, lowest=False)), True,
     "Dixon and Szegö 1978, The global optimization problem; digits by Newton's method",
     say("Six minima, of which two are lowest: the best that a run has found is not the best there is.")),
    ("two-valleys", _two_valleys, "x**4/4 + x**3/3 - x**2", ((-3.5, 2.5),),
     (KnownMinimum((-2.0,), -8.0 / 3.0), KnownMinimum((1.0,), -5.0 / 12.0, lowest=False)), True,
     "its slope is x (x - 1) (x + 2)",
     say("From x = 2, rate 0.05 stays in the shallow valley, 0.3 steps over the ridge into the deep one, and 0.6 jumps "
     "over both and away.")),
)  # fmt: skip

SURFACES: dict[str, Surface] = {
    name: Surface(name, PLANE[: len(box)], formula, function, box, minima, complete, source, teaches)
    for name, function, formula, box, minima, complete, source, teaches in _TABLE
}
"""The named surfaces, simplest first."""
