"""The loss of a trained network over its data again, from what a run saved: the ground of slices and measurements."""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import jax
import numpy as np

from downslope.choices.network.noise import gradient_noise
from downslope.choices.network.shape import measure_shape, sampled
from downslope.choices.network.stop_point import stop_point
from downslope.engines.network.anatomy import dead_units
from downslope.engines.network.caching import keep_programs
from downslope.engines.network.inputs import Data, on_device, parts_of, squared_weights
from downslope.engines.network.landscape import Landscape, network_landscape
from downslope.engines.network.loop import Tree
from downslope.engines.network.slices import line_slice, plane_slice
from downslope.losses import POISSON, Loss
from downslope.losses.regression import poisson_offset
from downslope.models.network.layers import Statistics, build_network
from downslope.models.network.model import NetworkModel, with_arrays
from downslope.records.loss_shape import LossShape
from downslope.records.slices import LineSlice, PathPoint, PlaneSlice
from downslope.records.spec import Auto
from downslope.records.trajectory import Trajectory
from downslope.training.network.given import NetworkInputs
from downslope.training.network.scaling import TargetScale, scaled_loss
from downslope.types import FloatArray, Indices, Vector

WORK = 1e12
"""Multiplications that a slice may cost where no number of rows is named: a minute or less on a few cores."""
LEAST_ROWS = 1024
"""Rows that it is over at the least, where there are so many."""


@dataclass(frozen=True)
class Revisited:
    """A trained network and its data.

    weights, rest, statistics: the network's parts. landscape: its loss, in its own units, by those statistics and with
    its penalty of ``l2``. scale: of the target. products: multiplications for the score of one row.
    """

    weights: Tree
    rest: Tree
    statistics: Statistics
    data: Data
    landscape: Landscape
    loss: Loss
    l2: float
    scale: TargetScale
    products: int

    @cached_property
    def flat(self) -> FloatArray:
        """The weights as one vector (P,)."""
        return self.landscape.flat(self.weights)

    def mean_loss(self) -> float:
        """Return the mean loss at the weights over all rows, in units of the target and without the penalty."""
        penalty = 0.5 * self.l2 * float(squared_weights(self.weights)) if self.l2 else 0.0
        return (self.landscape.value(self.flat) - penalty) * self.scale.objective + self._constant(None)

    def _constant(self, rows: Indices | None) -> float:
        """Return what networks leave out of the mean loss of some rows, since no weight can change it."""
        if self.loss.family != POISSON:
            return 0.0
        some = slice(None) if rows is None else rows
        offsets = poisson_offset(np.asarray(self.data.target, np.float64)[some])
        weights = self.data.weights
        return float(offsets.mean() if weights is None else (np.asarray(weights, np.float64)[some] * offsets).mean())

    def rows(self, sample: int | Auto | None, points: int, seed: int) -> Indices | None:
        """Return the rows of a sample, None for all. sample: how many; auto is what WORK allows at so many points."""
        count = max(LEAST_ROWS, int(WORK / (points * self.products))) if isinstance(sample, str) else sample
        return sampled(self.landscape, count, 1, seed)

    def line(
        self, directions: str, points: int, extent: float | None, trajectory: Trajectory | None,
        sample: int | Auto | None, seed: int,
    ) -> LineSlice:  # fmt: skip
        """Return a line through the weights, its losses in units of the target; see ``fitting.loss_slice``."""
        rows = self.rows(sample, points, seed)
        path, losses = self._path(trajectory, rows)
        found = line_slice(
            self.landscape, self.flat, directions, points=points, extent=extent, path=path, path_losses=losses,
            sample=rows, seed=seed,
        )  # fmt: skip
        unit, more = self.scale.objective, self._constant(rows)
        return replace(
            found, losses=tuple(unit * each + more for each in found.losses), loss=unit * found.loss + more,
            curvature=unit * found.curvature, path=_in_units(found.path, unit, more), l2=self.l2,
            own_statistics=bool(self.statistics),
        )  # fmt: skip

    def plane(
        self, directions: str, points: tuple[int, int], extent: float | None, trajectory: Trajectory | None,
        sample: int | Auto | None, seed: int,
    ) -> PlaneSlice:  # fmt: skip
        """Return a plane through the weights, its losses in units of the target; see ``fitting.loss_slice``."""
        rows = self.rows(sample, points[0] * points[1], seed)
        path, losses = self._path(trajectory, rows)
        found = plane_slice(
            self.landscape, self.flat, directions, points=points, extent=extent, path=path, path_losses=losses,
            sample=rows, seed=seed,
        )  # fmt: skip
        unit, more = self.scale.objective, self._constant(rows)
        return replace(
            found, losses=tuple(tuple(unit * each + more for each in row) for row in found.losses),
            loss=unit * found.loss + more, curvatures=tuple(unit * each for each in found.curvatures),
            path=_in_units(found.path, unit, more), l2=self.l2, own_statistics=bool(self.statistics),
        )  # fmt: skip

    def _path(
        self, trajectory: Trajectory | None, rows: Indices | None
    ) -> tuple[list[tuple[int, FloatArray]], list[float]]:
        """Return the moments of a path and the true loss of each, by the running statistics of its own moment."""
        path: list[tuple[int, FloatArray]] = []
        losses: list[float] = []
        for index, update in enumerate(trajectory.updates if trajectory is not None else ()):
            assert trajectory is not None
            weights, statistics = with_arrays(self.weights, self.statistics, trajectory.moment(index))
            here = self.landscape.with_data((statistics, self.data), self.data.rows)
            path.append((update, here.flat(weights)))
            losses.append(here.value(path[-1][1], rows))
        return path, losses

    def shape(self, run: str, *, sample: int | None, rate: float, batch: int, fallen: float, seed: int) -> LossShape:
        """Return curvature, noise and the kind of point at the weights.

        rate: of plain steps, nan for others. batch: examples a step. fallen: loss since the start, in units of the
        target. Raises InputError where the loss has no finite curvature.
        """
        landscape, flat = self.landscape, self.flat
        rows = landscape.rows if sample is None else min(sample, landscape.rows)
        shape = measure_shape(landscape, flat, sample=sample, seed=seed)
        drawn = np.random.default_rng(seed).permutation(landscape.rows)[:rows].astype(np.int32)
        dead = dead_units(self.weights, self.rest, self.statistics, self.data, drawn)
        noise = gradient_noise(landscape, flat, sample=rows, rate=rate, dead=dead, seed=seed)
        stop = stop_point(
            landscape, flat, rate=rate, batch=batch, fallen=fallen / self.scale.objective, sample=sample, seed=seed
        )
        return LossShape(run, shape, noise, stop, self.scale.objective)


def _in_units(path: tuple[PathPoint, ...], unit: float, more: float) -> tuple[PathPoint, ...]:
    return tuple(
        replace(point, loss=unit * point.loss + more, slice_loss=unit * point.slice_loss + more) for point in path
    )


def revisit(model: NetworkModel, inputs: NetworkInputs, loss: Loss, l2: float) -> Revisited:
    """Return a trained network's loss over its data. loss: in units of the target. l2: as it was trained with.

    Raises KeyError or ValueError for a model whose arrays do not fit its layers.
    """
    keep_programs()
    network = build_network(model.architecture, model.shape, model.outputs, jax.random.PRNGKey(0))
    like, rest = parts_of(network)
    weights, statistics = with_arrays(like, network.statistics, model.arrays)
    scale, own_loss = scaled_loss(loss, model.center, model.scale)
    target: Vector = (inputs.target - scale.center) / scale.scale
    data = on_device(inputs.numbers, inputs.codes, target, inputs.weights, inputs.center, inputs.scale)
    landscape = network_landscape(rest, own_loss, l2, weights, statistics, data)
    return Revisited(weights, rest, statistics, data, landscape, own_loss, l2, scale, products_of_a_row(model))


def products_of_a_row(model: NetworkModel) -> int:
    """Return the multiplications of one score: each weight counts once, one of a convolution once for each pixel."""
    total = sum(array.size for array in model.arrays.values() if array.ndim > 1)
    sides = model.shape[:2]
    for index in range(len(model.architecture.channels)):
        total += model.arrays[f"hidden.{index}.layer.weight"].size * (math.prod(sides) - 1)
        sides = tuple(side // 2 for side in sides)
    return max(total, 1)
