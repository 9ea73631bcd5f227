"""The six data sets of TensorFlow Playground, from the formulas that describe them, and the features of its points.

Points lie in a square of side 12 about zero. noise: 0 to 0.5, as there. Classes are 0 and 1, regression targets from
-1 to 1. The formulas are those of its published description (Smilkov et al. 2017, "Direct-manipulation visualization of
deep networks", and the interface that goes with it); the draws are our own.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from downslope.types import Matrix, Vector

CLASSES = ("circle", "xor", "gauss", "spiral")
NUMBERS = ("plane", "hills")
COUNT = 500
SIDE, RADIUS = 6.0, 5.0
PADDING = 0.3
"""Points of xor keep this far from the axes, so that there is a border to find."""
TURNS = 1.75
HILLS = ((-4.0, 2.5, 1.0), (0.0, 2.5, -1.0), (4.0, 2.5, 1.0), (-4.0, -2.5, -1.0), (0.0, -2.5, 1.0), (4.0, -2.5, -1.0))
"""Centres of the hills with the value on top of each; the value falls to zero at distance 2."""

FEATURES: dict[str, Callable[[Vector, Vector], Vector]] = {
    "x": lambda x, y: x,
    "y": lambda x, y: y,
    "x2": lambda x, y: x**2,
    "y2": lambda x, y: y**2,
    "xy": lambda x, y: x * y,
    "sinx": lambda x, y: np.sin(x),
    "siny": lambda x, y: np.sin(y),
}
"""What a network may be given of a point."""


def points_of(name: str, noise: float, seed: int) -> tuple[Matrix, Vector]:
    """Return points (n, 2) in a random order, and their targets (n,)."""
    rng = np.random.default_rng(seed)
    kinds = {"circle": _circle, "xor": _xor, "gauss": _gauss, "spiral": _spiral, "plane": _plane, "hills": _hills}
    points, target = kinds[name](rng, noise)
    order = rng.permutation(COUNT)
    return points[order], target[order]


def features_of(points: Matrix, names: tuple[str, ...]) -> Matrix:
    """Return the features (n, p) of points (n, 2)."""
    return np.column_stack([FEATURES[name](points[:, 0], points[:, 1]) for name in names])


def _circle(rng: np.random.Generator, noise: float) -> tuple[Matrix, Vector]:
    """Half of the points within half the radius, the others from 0.7 of it; the class is that of the noisy place."""
    half = COUNT // 2
    radii = np.concatenate([rng.uniform(0, 0.5 * RADIUS, half), rng.uniform(0.7 * RADIUS, RADIUS, half)])
    angles = rng.uniform(0, 2 * math.pi, COUNT)
    points = np.column_stack([radii * np.sin(angles), radii * np.cos(angles)])
    moved = points + RADIUS * noise * rng.uniform(-1, 1, (COUNT, 2))
    return points, (np.hypot(moved[:, 0], moved[:, 1]) < 0.5 * RADIUS).astype(np.float64)


def _xor(rng: np.random.Generator, noise: float) -> tuple[Matrix, Vector]:
    points = rng.uniform(-RADIUS, RADIUS, (COUNT, 2))
    points += np.where(points > 0, PADDING, -PADDING)
    moved = points + RADIUS * noise * rng.uniform(-1, 1, (COUNT, 2))
    return points, (moved[:, 0] * moved[:, 1] >= 0).astype(np.float64)


def _gauss(rng: np.random.Generator, noise: float) -> tuple[Matrix, Vector]:
    """Two clouds about (2, 2) and (-2, -2), whose variance grows from 0.5 to 4 with the noise."""
    target = np.repeat([1.0, 0.0], COUNT // 2)
    center = np.where(target > 0, 2.0, -2.0)[:, None]
    return center + rng.normal(0, math.sqrt(0.5 + 7.0 * noise), (COUNT, 2)), target


def _spiral(rng: np.random.Generator, noise: float) -> tuple[Matrix, Vector]:
    half = COUNT // 2
    along = np.tile(np.arange(half) / half, 2)
    target = np.repeat([1.0, 0.0], half)
    angles = TURNS * along * 2 * math.pi + np.where(target > 0, 0.0, math.pi)
    points = RADIUS * along[:, None] * np.column_stack([np.sin(angles), np.cos(angles)])
    return points + noise * rng.uniform(-1, 1, (COUNT, 2)), target


def _plane(rng: np.random.Generator, noise: float) -> tuple[Matrix, Vector]:
    points = rng.uniform(-SIDE, SIDE, (COUNT, 2))
    moved = points + SIDE * noise * rng.uniform(-1, 1, (COUNT, 2))
    return points, moved.sum(axis=1) / 10.0


def _hills(rng: np.random.Generator, noise: float) -> tuple[Matrix, Vector]:
    """The hill whose value is largest in size counts."""
    points = rng.uniform(-SIDE, SIDE, (COUNT, 2))
    moved = points + SIDE * noise * rng.uniform(-1, 1, (COUNT, 2))
    centers = np.array(HILLS)
    far = np.linalg.norm(moved[:, None, :] - centers[None, :, :2], axis=2)
    values = centers[:, 2] * np.clip(1.0 - far / 2.0, 0.0, 1.0)
    return points, values[np.arange(COUNT), np.abs(values).argmax(axis=1)]
