"""A small network at work: every update by the loop that trains all networks, every unit seen as it learns.

To go back, the state is kept now and then and the updates from there are taken again, which gives the same bits: an
update depends on its number alone.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from downslope.playground.rooms.network_code import code
from downslope.playground.rooms.network_machine import (
    LAYERS,
    STEPS,
    UNITS,
    Batches,
    Shape,
    given_of,
    hidden_of,
    machine,
    names_of,
    starting_weights,
)
from downslope.playground.rooms.network_settings import LOOKS, NetworkRoom
from downslope.playground.rooms.network_sweep import swept
from downslope.playground.rooms.picture import Picture, Sentence, say
from downslope.playground.rooms.points import COUNT, SIDE, features_of, points_of
from downslope.types import Matrix

if TYPE_CHECKING:
    from downslope.engines.network.inputs import Data
    from downslope.engines.network.loop import State
    from downslope.engines.network.units import Seen

MESH = 40
"""Points a side of the mesh that units are drawn over."""
MOST_UPDATES = 1_000_000
KEPT, FIRST_EVERY = 64, 500
"""States that are kept to go back to, and updates between two of them at first; more where the run is longer."""
CURVE = 400
"""Points of the loss curve; every second goes where there are more."""
EXPLODED = 1e3
"""A batch's loss so many times the size of the start's, or of 1, above the start ends a run: the engine's own bound."""
LONG = 500
"""Updates at once beyond which the curve gets points on the way, so that who goes far sees how it went."""
OVERFIT = 1.1
"""Times the least test loss so far, above which more of the same is overfitting where the training loss is lower."""


class Training:
    """One run of one network, that can be taken forth and back."""

    def __init__(self, settings: NetworkRoom) -> None:
        """Draw the points and place the network at its start; raises OptionError."""
        self.settings = settings
        self.names, hidden = names_of(settings.features), hidden_of(settings.layers)
        self._place_points()
        self.batch = min(settings.batch, self.rows)
        self._batches = Batches(self.rows, self.batch, settings.data_seed)
        self.an_epoch = self._batches.an_epoch
        self.shape = Shape(
            len(self.names), hidden, settings.activation, settings.classifies, settings.rule, settings.momentum,
            self.batch,
        )  # fmt: skip
        self.given = given_of(settings.given, self.shape.weights)
        self.hidden, self._machine = hidden, machine(self.shape)
        weights = starting_weights(self.shape, settings.start, settings.start_seed, self.given)
        self.update, self.diverged_at = 0, -1
        self._warm(weights)
        self._state: State = self._first(weights)
        self._kept: dict[int, State] = {}
        self._every = FIRST_EVERY
        self._seen = self._look()
        self._before = 0, float(self._seen.train.loss)
        self._limit = self._ceiling()
        self.curve: list[tuple[int, float, float]] = []
        self._note()

    @property
    def last(self) -> int:
        """The update that it cannot go beyond: the last good one of a network that has diverged."""
        return MOST_UPDATES if self.diverged_at < 0 else self.update

    def _place_points(self) -> None:
        from downslope.engines.network.inputs import on_device

        settings = self.settings
        points, target = points_of(settings.data, settings.noise, settings.data_seed)
        count = max(1, min(COUNT - 1, round(settings.share * COUNT)))
        self.points: Matrix = np.column_stack([points, target])
        self.rows = count

        def placed(points: Matrix, target: Any) -> Data:
            return on_device(features_of(points, self.names), None, target, None)

        self._train, self._test = placed(points[:count], target[:count]), placed(points[count:], target[count:])
        along = np.linspace(-SIDE, SIDE, MESH)
        y, x = np.divmod(np.arange(MESH * MESH), MESH)
        mesh = np.column_stack([along[x], along[y]])
        self._mesh = placed(mesh, np.zeros(MESH * MESH))

    def _first(self, weights: Any) -> State:
        settings = self.settings
        return self._machine.first(weights, (settings.l1, settings.l2), settings.data_seed)

    def _warm(self, weights: Any) -> None:
        """Have the program compiled before the room is played: one update, whose outcome is dropped."""
        self._machine.program.advance(
            self._first(weights), self._train, np.zeros(self.batch, np.int32), np.zeros(1, np.float32)
        )

    def _ceiling(self) -> float:
        start = float(self._seen.train.loss)
        return start + EXPLODED * max(abs(start), 1.0)

    def advance(self, count: int) -> None:
        """Take so many updates; a network that has diverged goes back to its last good weights, and takes no more."""
        self._before = self.update, float(self._seen.train.loss)
        goal = min(self.update + count, self.last)
        long = count > LONG
        while self.update < goal and self.diverged_at < 0:
            until = self.update - self.update % self._every + self._every
            self._chunk(min(goal, until, self.update + STEPS) - self.update)
            if long and self.diverged_at < 0:
                self._seen = self._look()
                self._note()
        if self.diverged_at >= 0 and self.update >= self.diverged_at:
            self._go_back(max(0, self.diverged_at - 1))
        self._seen = self._look()
        self._note()

    def _go_back(self, update: int) -> None:
        """Return to an update that was, from the nearest state before it that is kept."""
        from downslope.engines.network.units import copied

        before = max(each for each in self._kept if each <= update)
        self._state, self.update = copied(self._kept[before]), before
        while self.update < update:
            self._take(min(update, self.update + STEPS) - self.update)

    def _chunk(self, count: int) -> None:
        """Take updates that no state to be kept lies between, and note where a loss is no good."""
        from downslope.engines.network.units import copied

        if self.update % self._every == 0 and self.update not in self._kept:
            self._kept[self.update] = copied(self._state)
            self._thin()
        losses = self._take(count)
        good = np.isfinite(losses) & (losses <= self._limit)
        if not good.all():
            self.diverged_at = self.update - count + int(np.argmin(good))

    def _take(self, count: int) -> NDArray[np.float32]:
        """Take so many updates, and return the losses of their batches."""
        rates = np.full(count, self.settings.rate, np.float32)
        self._state, chunk = self._machine.program.advance(
            self._state, self._train, self._batches.of(self.update, count), rates
        )
        self.update += count
        return chunk.losses

    def _thin(self) -> None:
        """Keep every second of the states where there are too many."""
        if len(self._kept) > KEPT:
            self._every *= 2
            self._kept = {update: state for update, state in self._kept.items() if update % self._every == 0}

    def adopt(self, settings: NetworkRoom) -> bool:
        """Take settings that only look elsewhere, and say whether these are such."""
        looks = {name: getattr(settings, name) for name in LOOKS}
        if replace(self.settings, **looks) != settings:
            return False
        self.settings = settings
        self._seen = self._look()
        return True

    def sweep(self, updates: int) -> Iterator[Picture]:
        """Return the map of learning rates by batch sizes from the same start, as far as it is known, again and again.

        Meant to be taken in a thread of its own, while the room goes on.
        """
        return swept(self.shape, self.settings, self.given, (self._train, self._test), updates)

    def seek(self, update: int) -> None:
        """Go to an update on the same way: from the nearest state before it that is kept, forth."""
        if update < self.update:
            self.diverged_at = -1
            self._go_back(update)
        kept = self.curve
        self.advance(update - self.update)
        cut = bisect.bisect_left(kept, (self.update, -math.inf, -math.inf))
        self.curve = [*kept[:cut], self._point()]

    def _look(self) -> Seen:
        weights = self._settled()
        row = min(self.settings.example, self.rows - 1)
        return self._machine.look(weights, self._mesh, self._train, self._test, row)

    def _settled(self) -> Any:
        from downslope.engines.network.rules import settled_weights

        return settled_weights(self.settings.rule, self._state.rule, self._state.weights)

    def _point(self) -> tuple[int, float, float]:
        return self.update, float(self._seen.train.loss), float(self._seen.test.loss)

    def _note(self) -> None:
        if self.curve and self.curve[-1][0] >= self.update:
            return
        self.curve.append(self._point())
        if len(self.curve) > CURVE:
            self.curve = [*self.curve[:-1:2], self.curve[-1]]

    def picture(self) -> Picture:
        """Return all that the room shows."""
        frame = self.frame()
        values: dict[str, Any] = {
            "features": list(self.names), "layers": list(self.hidden), "classifies": self.settings.classifies,
            "box": [[-SIDE, SIDE], [-SIDE, SIDE]], "rows": self.rows, "batch": self.batch, "an_epoch": self.an_epoch,
            "last": self.last, "limits": [LAYERS, UNITS],
            "code": code(self.settings, self.names, self.hidden, self.rows, self.batch, self.given), **frame.values,
        }  # fmt: skip
        points = {"train_points": self.points[: self.rows], "test_points": self.points[self.rows :]}
        return Picture(values, {**points, **frame.arrays})

    def frame(self) -> Picture:
        """Return what an update changes."""
        seen = self._seen
        scores = seen.mesh.astype(np.float32, copy=True)
        if self.settings.classifies:
            scores[-1] = np.tanh(0.5 * scores[-1])  # twice the probability of the class, less one
        values: dict[str, Any] = {
            "update": self.update, "epoch": self.update / self.an_epoch, "loss": float(seen.train.loss),
            "test_loss": float(seen.test.loss), "say": self._sentences(),
            **({"right": float(seen.train.right), "test_right": float(seen.test.right)}
               if self.settings.classifies else {}),
        }  # fmt: skip
        arrays = {
            "units": scores.reshape(-1, MESH, MESH), "dead": seen.dead, "weights": seen.weights, "forth": seen.forth,
            "back": seen.back, "gradient": seen.gradient, "curve": np.array(self.curve, np.float64),
        }  # fmt: skip
        return Picture(values, arrays)

    def _sentences(self) -> list[Sentence]:
        if self.diverged_at >= 0:
            return [say("network-diverged", update=self.diverged_at, rate=self.settings.rate)]
        told = [self._what_happened()] if self.update else []
        lowest = min(self.curve, key=lambda point: point[2])
        update, loss, test = self.curve[-1]
        if test > OVERFIT * lowest[2] and loss < lowest[1]:
            told.append(say("network-overfits", update=lowest[0], lowest=lowest[2], test_loss=test))
        dead = int(self._seen.dead.sum())
        if dead:
            told.append(say("network-dead", units=dead, of=int(sum(self.hidden))))
        if update and self._stands_still():
            told.append(say("network-same", start=self.settings.start))
        return told

    def _what_happened(self) -> Sentence:
        """Return the sentence of the last update where one was taken, else that of where things stand."""
        seen, (before, loss) = self._seen, self._before
        now = float(seen.train.loss)
        if self.update == before + 1:
            key = "network-step-lower" if now < loss else "network-step-higher"
            return say(key, update=self.update, before=loss, loss=now, batch=self.batch)
        facts = {"update": self.update, "loss": now, "test_loss": float(seen.test.loss)}
        if not self.settings.classifies:
            return say("network-stands", **facts)
        return say("network-tells", **facts, right=float(seen.train.right), test_right=float(seen.test.right))

    def _stands_still(self) -> bool:
        """Say whether a start that makes all units of a layer alike has kept them so."""
        alike = self.settings.start in ("zeros", "constant") and any(units > 1 for units in self.hidden)
        first = self.hidden[0] if self.hidden else 0
        return alike and first > 1 and bool(np.ptp(self._seen.mesh[:first], axis=0).max() == 0)


def begin(settings: NetworkRoom) -> Training:
    """Return a run at its start; raises OptionError."""
    return Training(settings)
