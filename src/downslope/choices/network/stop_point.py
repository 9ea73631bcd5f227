"""Why the loss falls no further: a minimum, a saddle, a plateau, the noise of the batches, or merely a tiny rate.

Nothing is concluded from a small gradient alone. What could still be gained is measured: the loss is scanned along
Newton's step, and along the direction that curves down most.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from downslope.choices.network.noise import PIECE, gradient_noise
from downslope.choices.network.shape import sampled
from downslope.engines.network.curvature import Spectrum, extremes, newton_step
from downslope.engines.network.landscape import Landscape
from downslope.records.figures import figure
from downslope.records.shape import StopKind, StopPoint
from downslope.types import FloatArray, Indices, Vector
from downslope.words import Sentence, say

NEGLIGIBLE = 1e-3
"""A fall of the loss counts as none below this share of all that it has fallen, or of the loss itself."""
NEGATIVE = 1e-3
"""A direction curves down where its curvature is below minus this share of the largest, and below its error."""
SMALL_RATE = 0.1
"""A rate below this share of the stability limit is small."""
SCATTERED = 0.5
"""At the noise floor, noise takes back at least this share of what the gradient gains."""
GRADIENTS = 16
"""Gradients of a few rows whose curvature tells what noise takes back."""
LENGTHS: Vector = 2.0 ** np.arange(-10.0, 3.0)
"""Where the loss is looked at along a direction, in units of its length."""


@dataclass(frozen=True)
class _Looked:
    """What was measured; see ``StopPoint`` for the words."""

    loss: float
    gradient: float
    noise: float
    drop: float
    negligible: float
    found: Spectrum
    escape: tuple[float, float]
    reach: float
    rate: float
    expected: float
    batch: int

    @property
    def scattered(self) -> bool:
        """True where the gradient is lost in the noise of its batches, and their noise undoes what it gains."""
        share = SCATTERED if math.isnan(self.rate) else 1.0 - self.expected / (self.rate * self.gradient**2)
        return self.gradient < self.noise and share >= SCATTERED

    @property
    def largest(self) -> float:
        """The largest curvature by size."""
        return max(abs(float(self.found.values[0])), abs(self.found.smallest))

    @property
    def limit(self) -> float:
        """The stability limit."""
        return 2.0 / float(self.found.values[0]) if self.found.values[0] > 0 else math.inf

    @property
    def flat(self) -> bool:
        """True where neither slope nor curvature would change the loss within reach."""
        within = self.gradient * self.reach + 0.5 * self.largest * self.reach**2
        return within <= self.negligible


@dataclass(frozen=True)
class _Place:
    """Weights on a landscape, and the rows that are looked at from there, None for all."""

    landscape: Landscape
    weights: FloatArray
    rows: Indices | None
    seed: int

    def bent(self, direction: FloatArray) -> tuple[float, float]:
        """Return v'Hv and v'v of a direction."""
        along = direction.astype(np.float64)
        return float(along @ self.landscape.product(self.weights, direction, self.rows)), float(along @ along)

    def scan(self, direction: FloatArray, loss: float) -> tuple[float, float]:
        """Return the largest fall of the loss along a direction, and how many of its lengths away; 0 and 0 for none."""
        losses = self.landscape.values(self.weights, direction[None], LENGTHS[:, None], self.rows)
        falls = np.where(np.isfinite(losses), loss - losses, -math.inf)
        best = int(np.argmax(falls))
        return (float(falls[best]), float(LENGTHS[best])) if falls[best] > 0 else (0.0, 0.0)


def stop_point(
    landscape: Landscape, weights: FloatArray, *, rate: float = math.nan, batch: int = 0, fallen: float = math.nan,
    sample: int | None = None, curved: int | None = None, seed: int = 0,
) -> StopPoint:  # fmt: skip
    """Return what kind of point ``weights`` (P,) are at, with the measurements that say so.

    rate: the learning rate in use. batch: examples a step, 0 for all rows. fallen: how far the loss has come down
    since the start, against which falls are judged; where it has not, by the loss itself, or 1 if that is less.
    sample: rows to measure the loss and its slope on, None for all. curved: rows for the curvature, None for as many.
    """
    at = _Place(landscape, weights, sampled(landscape, sample, 1, seed), seed)
    loss = landscape.value(weights, at.rows)
    gradient = landscape.gradient(weights, at.rows)
    negligible = NEGLIGIBLE * (fallen if fallen > 0 else max(1.0, abs(loss)))
    bent = at.rows if curved is None else sampled(landscape, curved, 1, seed)
    found = extremes(landscape, weights, rows=bent, seed=seed)
    step, _ = newton_step(landscape, weights, gradient, rows=bent)
    drop, _ = at.scan(step, loss)
    reach = max(1.0, float(np.linalg.norm(weights.astype(np.float64))))
    spread = _batch_spread(landscape, weights, batch, seed)
    looked = _Looked(
        loss, float(np.linalg.norm(gradient.astype(np.float64))), math.sqrt(spread), drop, negligible, found,
        _escape(at, found, loss, reach), reach, rate, _expected(at, gradient, rate, spread), batch,
    )  # fmt: skip
    kind = _kind(looked)
    return StopPoint(
        kind, SENTENCES[kind](looked), loss, looked.gradient, looked.noise, drop, negligible, float(found.values[0]),
        found.smallest, found.smallest_error, *looked.escape, reach, rate, looked.expected, looked.limit,
        batch or landscape.rows, landscape.rows if at.rows is None else at.rows.size, landscape.rows,
    )  # fmt: skip


def _batch_spread(landscape: Landscape, weights: FloatArray, batch: int, seed: int) -> float:
    """Return the mean squared distance of the gradient of a batch from that of all rows, none of them held twice."""
    if not 0 < batch < landscape.rows:
        return 0.0
    left = (landscape.rows - batch) / (landscape.rows - 1)
    return max(gradient_noise(landscape, weights, seed=seed).spread, 0.0) / batch * left


def _expected(at: _Place, gradient: FloatArray, rate: float, spread: float) -> float:
    """Return by how much a plain update at this rate lowers the loss on average; nan without a rate.

    ``rate |G|^2 - rate^2 / 2 (G'HG + trace(H Sigma) / B)`` (McCandlish et al. 2018, eq. 2.5). spread: trace(Sigma) / B;
    how much of it H bends is taken from the gradients of a few rows.
    """
    if math.isnan(rate):
        return math.nan
    bent, square = at.bent(gradient)
    if spread:
        all_rows = at.landscape.rows
        size = min(PIECE, max(1, all_rows // GRADIENTS))
        drawn = np.random.default_rng(at.seed).permutation(all_rows)[: size * GRADIENTS].astype(np.int32)
        pieces = drawn[: drawn.size // size * size].reshape(-1, size)
        apart = [at.landscape.gradient(at.weights, rows) - gradient for rows in pieces]
        bends, squares = np.sum([at.bent(part) for part in apart], axis=0)
        bent += spread * float(bends / max(squares, 1e-300))
    return rate * square - 0.5 * rate**2 * bent


def _escape(at: _Place, found: Spectrum, loss: float, reach: float) -> tuple[float, float]:
    """Return the largest fall along the direction that curves down most, either way, and how far along."""
    largest = max(abs(float(found.values[0])), abs(found.smallest))
    if not found.smallest < -max(found.smallest_error, NEGATIVE * largest):
        return 0.0, 0.0
    drop, lengths = max(at.scan(way * reach * found.smallest_vector, loss) for way in (1.0, -1.0))
    return drop, lengths * reach


def _kind(looked: _Looked) -> StopKind:
    if looked.drop <= looked.negligible:
        if looked.flat:
            return StopKind.PLATEAU
        return StopKind.SADDLE if looked.escape[0] > looked.negligible else StopKind.MINIMUM
    if looked.scattered:
        return StopKind.NOISE_FLOOR
    return StopKind.SMALL_RATE if looked.rate < SMALL_RATE * looked.limit else StopKind.DESCENDING


def _minimum(looked: _Looked) -> Sentence:
    lowest = looked.found.smallest
    shape = (
        say("no direction curves down") if not looked.escape[0] else say("the direction that curves down gains nothing")
    )
    return say(
        "a minimum: Newton's step lowers the loss by {drop} at most, and {shape} (curvatures from "
        "{lowest} to {highest})",
        drop=figure(looked.drop),
        shape=shape,
        lowest=figure(lowest),
        highest=figure(float(looked.found.values[0])),
    )


def _saddle(looked: _Looked) -> Sentence:
    return say(
        "a saddle: the gradient is all but zero, yet one direction curves down by {smallest}, and "
        "the loss falls by {fall} along it within a distance of {distance}",
        smallest=figure(looked.found.smallest),
        fall=figure(looked.escape[0]),
        distance=figure(looked.escape[1]),
    )


def _plateau(looked: _Looked) -> Sentence:
    return say(
        "a plateau: a slope of {gradient} and curvatures up to {largest} change the loss by less "
        "than {negligible} within a distance of {reach}",
        gradient=figure(looked.gradient),
        largest=figure(looked.largest),
        negligible=figure(looked.negligible),
        reach=figure(looked.reach),
    )


def _noise_floor(looked: _Looked) -> Sentence:
    return say(
        "the noise floor: the gradient, {gradient}, is less than its scatter over batches of "
        "{batch}, {noise}; larger batches or a smaller learning rate could still lower the loss by "
        "{drop}",
        gradient=figure(looked.gradient),
        batch=looked.batch,
        noise=figure(looked.noise),
        drop=figure(looked.drop),
    )


def _small_rate(looked: _Looked) -> Sentence:
    return say(
        "no stop: the learning rate {rate} is small beside the stability limit {limit}; an update "
        "lowers the loss by about {expected}, and it can still fall by {drop} or more",
        rate=figure(looked.rate),
        limit=figure(looked.limit),
        expected=figure(looked.expected),
        drop=figure(looked.drop),
    )


def _descending(looked: _Looked) -> Sentence:
    return say(
        "no stop: the gradient is {gradient}, and the loss can still fall by {drop} or more",
        gradient=figure(looked.gradient),
        drop=figure(looked.drop),
    )


SENTENCES: dict[StopKind, Callable[[_Looked], Sentence]] = {
    StopKind.MINIMUM: _minimum, StopKind.SADDLE: _saddle, StopKind.PLATEAU: _plateau,
    StopKind.NOISE_FLOOR: _noise_floor, StopKind.SMALL_RATE: _small_rate, StopKind.DESCENDING: _descending,
}  # fmt: skip
