"""One pass of steps over rows that come once: rates raced on the first of them, judged on rows not yet stepped on.

The loss that a lane meets on a batch, before it steps on it, is an honest estimate of its loss on rows to come
(progressive validation; Blum, Kalai and Langford 1999). By it the worse half of the rates is dropped now and then. How
many rows will come is not known, so no schedule can be planned: adagrad falls by itself, and rules that keep the size
of the gradient fall as one over the root of the examples seen (Bach and Moulines 2011, section 3.2).

What is told of the end (F, scores) is measured on a sample of the rows that is kept, and on one of those held out.
There is no gap: a proof would need a second look at the rows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from downslope.certificate import start_objective
from downslope.choices.batch_size import choose_batch_size
from downslope.choices.learning_rate import LANES, SPREAD
from downslope.data.batches import order_within
from downslope.data.blocks import Examples
from downslope.data.large.once import KEPT_ROWS, Kept
from downslope.data.large.windows import Window
from downslope.engines import linear as engine
from downslope.engines.racing import EXPLODED, Lanes
from downslope.models.linear import Objective, Point
from downslope.records import Choice, Curvature, GapKind, Spec, StepRecord, Verdict
from downslope.records.figures import figure, plural
from downslope.records.spec import RULES
from downslope.steps import ADAGRAD, rule_number
from downslope.training.checkpoint import Checkpoint, Keeper, point_arrays, point_of
from downslope.training.course import lane_arrays, lanes_of
from downslope.training.logbook import Training
from downslope.training.loop import pose
from downslope.types import JsonValue, Vector
from downslope.words import NOTHING, Sentence, say

KIND = "one pass"
"""What the checkpoints call themselves."""
HALVED = (1, 3, 8, 20)
"""Chunks after which the worse half of the lanes is dropped."""
LOOKED = 16
"""A look is taken whenever the rows have grown by one part in so many."""
UNKNOWN = Curvature(math.nan, math.nan, math.nan, math.nan, math.nan)

Chunk = tuple[Examples | None, Examples | None]
Looked = Callable[[StepRecord], None]


@dataclass(frozen=True)
class Passed:
    """What one pass came to: the training, and the rows kept to judge it by. trained, held: rows met of each part."""

    training: Training
    train: Examples
    holdout: Examples | None
    trained: int
    held: int


@dataclass
class _Progress:
    """How far a pass has come, all of it in its checkpoints."""

    lanes: Lanes
    best: Point
    rate: float
    chunks: int = 0
    looked: int = 0
    rows: int = 0
    updates: int = 0
    waited: int = 0
    since: float = 0.0
    loss: float = 0.0
    steps: list[StepRecord] = field(default_factory=list[StepRecord])
    evidence: dict[float, dict[str, JsonValue]] = field(default_factory=dict[float, dict[str, JsonValue]])


def learn_once(
    chunks: Iterator[Chunk], spec: Spec, loss: str, outputs: int, keeper: Keeper, looked: Looked,
    most_kept: int = KEPT_ROWS,
) -> Passed:  # fmt: skip
    """Step once on every row of the chunks, the first of which decides all that is left to choice.

    looked: called with every look, in whose record the rows so far stand for the passes. most_kept: rows of each part
    to judge by.
    """
    with engine.one_blas_thread():
        kept = Kept(spec.seed + 1, most_kept), Kept(spec.seed + 1, most_kept)
        return _Pass(chunks, spec, loss, outputs, keeper, looked, kept).run()


class _Pass:
    def __init__(
        self, chunks: Iterator[Chunk], spec: Spec, loss: str, outputs: int, keeper: Keeper, looked: Looked,
        kept: tuple[Kept, Kept],
    ) -> None:  # fmt: skip
        self.spec, self.keeper, self.looked = spec, keeper, looked
        self.began, self.earlier = time.perf_counter(), keeper.earlier
        self.chunks = chunks
        self.first = next(chunks)
        head = self.first[0]
        assert head is not None  # the plan was made of its rows
        known = replace(spec, l2=0.0) if isinstance(spec.l2, str) else spec
        problem = pose(head, known, loss, outputs)
        self.objective: Objective = problem.objective
        self.choices = list(problem.choices)
        if known is not spec:
            reason = say("one pass steps on each row but once, which no penalty need keep from being learned by heart")
            self.choices.append(Choice("l2", 0.0, reason))
        self.rule = rule_number("adagrad" if spec.rule == "auto" else spec.rule)
        self.batch = self._batch(head)
        self.start = start_objective(head, self.objective)
        self.mean_weight = head.weight_sum / head.rows
        self.kept = kept
        rates = _rates(spec)
        zero = Point.zeros(head.features, outputs)
        lanes = Lanes.start(
            head, self.objective, rates, self.rule, spec.momentum, None, EXPLODED * max(self.start, 1e-300), zero
        )
        self.at = _Progress(lanes, zero, float(rates[0]))
        self.skip = 0
        begin = keeper.taken_up(KIND)
        if begin is not None:
            self._restore(begin)

    def _batch(self, head: Examples) -> int:
        spec = self.spec
        if spec.method == "stochastic":
            return 1
        if not isinstance(spec.batch_size, str):
            return int(spec.batch_size)
        choice = self.keeper.choose(
            "batch_size", lambda: choose_batch_size(head, self.objective, self.rule, spec.momentum, spec.seed)
        )
        self.choices.append(choice)
        return int(choice.value)

    def run(self) -> Passed:
        """Go through the chunks until there are no more, or no reason to go on."""
        ended = NOTHING
        verdict = Verdict.BUDGET
        try:
            for chunk in self._all():
                self._keep(chunk)
                if self.skip:
                    self.skip -= 1
                    continue
                verdict, ended = self._chunk(chunk[0])
                if ended:
                    break
                self.keeper.offer(self.to_checkpoint)
        except KeyboardInterrupt:
            if not self.at.updates:
                raise
            verdict, ended = Verdict.STOPPED, say("stopped by hand after {work}", work=self._work())
        return self._conclude(verdict, ended)

    def _all(self) -> Iterator[Chunk]:
        yield self.first
        yield from self.chunks

    def _keep(self, chunk: Chunk) -> None:
        for kept, part in zip(self.kept, chunk, strict=True):
            kept.add(part)

    def _chunk(self, train: Examples | None) -> tuple[Verdict, Sentence]:
        """Step on a chunk; return the verdict and why the pass ends here, if it does."""
        at = self.at
        if train is not None:
            losses = self._step(train)
            lane = int(np.argmin(np.where(at.lanes.alive, losses, np.inf)))
            at.loss += float(losses[lane]) * train.rows
            at.since += train.rows
            at.rows += train.rows
            if not at.lanes.alive.any():
                message = say(
                    "diverged within the first {rows} at every rate from {rate} down",
                    rows=plural(at.rows, "row"),
                    rate=figure(float(_rates(self.spec)[0])),
                )
                return Verdict.DIVERGED, message
            self._lead(losses, lane)
        at.chunks += 1
        if at.chunks - at.looked >= max(1, at.chunks // LOOKED):
            self._look()
        if at.waited >= self.spec.patience:
            looks = plural(self.spec.patience, "look")
            return Verdict.CONVERGED, say(
                "converged after {work}: the loss on rows kept aside has not fallen for {looks}; the weights of its "
                "lowest are kept",
                looks=looks,
                work=self._work(),
            )
        if self.spec.max_seconds is not None and self._seconds() >= self.spec.max_seconds:
            return Verdict.BUDGET, say("max-seconds is reached after {work}", work=self._work())
        return Verdict.BUDGET, NOTHING

    def _step(self, train: Examples) -> Vector:
        """Step on the rows of a chunk in a fresh order; return the mean loss (lanes,) met before each step."""
        at = self.at
        window = Window(
            train.blocks, train.levels, train.target, train.weights, train.center, train.scale, True,
            mean_weight=self.mean_weight,
        )  # fmt: skip
        rows = order_within(train.rows, self.spec.seed, 0, at.chunks)
        batches = -(-train.rows // self.batch)
        share = np.ones(batches)
        if self.rule < ADAGRAD:
            seen = at.rows + self.batch * np.arange(batches)
            share = 1.0 / np.sqrt(1.0 + seen / (self.batch * (train.features + 1)))
        losses = at.lanes.epoch(window, self.objective, rows, self.batch, share, 0)
        at.updates += batches
        return losses

    def _lead(self, losses: Vector, lane: int) -> None:
        """Note the best lane, and drop the worse half when its time has come."""
        at = self.at
        for rate, value, alive in zip(at.lanes.rates.tolist(), losses.tolist(), at.lanes.alive, strict=True):
            at.evidence[rate] = {"learning_rate": rate, "loss": value if alive else None, "rows": at.rows}
        at.rate = float(at.lanes.rates[lane])
        if at.chunks + 1 in HALVED and at.lanes.rates.size > 1:
            ranked = np.argsort(np.where(at.lanes.alive, losses, np.inf), kind="stable")
            at.lanes = at.lanes.keep(np.sort(ranked[: max(1, at.lanes.rates.size // 2)]))
            if at.lanes.rates.size == 1 and self.spec.average is True:
                at.lanes.averaged = 0

    @property
    def point(self) -> Point:
        """Where the best lane stands."""
        lane = int(np.flatnonzero(self.at.lanes.rates == self.at.rate)[0])
        return self.at.lanes.point(lane, average=True)

    def _look(self) -> None:
        """Record where the pass stands, and whether the loss on rows kept aside has fallen since the best look."""
        at, point = self.at, self.point
        judged = self.kept[1].examples() or self.kept[0].examples()
        assert judged is not None
        now, best = (engine.evaluate(judged, self.objective, each).objective for each in (point, at.best))
        fell = best - now > self.spec.tolerance * max(self.start - now, 0.0)
        at.waited = 0 if fell or at.lanes.rates.size > 1 else at.waited + 1
        if fell:
            at.best = point
        held = self.kept[1].met > 0
        met = at.loss / at.since + self.objective.penalty(point.weights) if at.since else now
        record = StepRecord(
            at.updates, float(at.rows), self._seconds(), met, math.nan, at.rate, exact=False,
            holdout=now - self.objective.penalty(point.weights) if held else math.nan,
        )  # fmt: skip
        at.steps.append(record)
        at.loss, at.since, at.looked = 0.0, 0.0, at.chunks
        self.looked(record)

    def _seconds(self) -> float:
        return self.earlier + time.perf_counter() - self.began

    def _work(self) -> Sentence:
        return say(
            "{rows}, {updates}", rows=plural(self.at.rows, "row"), updates=plural(self.at.updates, "update")
        )  # fmt: skip

    def to_checkpoint(self) -> Checkpoint:
        """Return the whole state, between two chunks; the rows kept come again when the pass is taken up."""
        at = self.at
        values: dict[str, JsonValue] = {
            "averaged": at.lanes.averaged, "rate": at.rate, "chunks": at.chunks, "looked": at.looked, "rows": at.rows,
            "waited": at.waited, "since": at.since, "loss": at.loss, "evidence": list(at.evidence.values()),
            "log": {"seconds": self._seconds(), "updates": at.updates, "passes": 0.0},
        }  # fmt: skip
        return Checkpoint(KIND, lane_arrays(at.lanes) | point_arrays("best", at.best), values, tuple(at.steps))

    def _restore(self, begin: Checkpoint) -> None:
        values = begin.values
        self.at = _Progress(
            lanes_of(self.at.lanes, self.keeper, values["averaged"]), point_of("best", begin.arrays), values["rate"],
            values["chunks"], values["looked"], values["rows"], values["log"]["updates"], values["waited"],
            values["since"], values["loss"], list(begin.steps),
            {each["learning_rate"]: each for each in values["evidence"]},
        )  # fmt: skip
        self.skip = self.at.chunks

    def _conclude(self, verdict: Verdict, message: Sentence) -> Passed:
        at = self.at
        train, held = self.kept[0].examples(), self.kept[1].examples()
        assert train is not None
        point = at.best if verdict in (Verdict.DIVERGED, Verdict.CONVERGED) else self.point
        if isinstance(self.spec.learning_rate, str):
            self.choices.append(self._choice())
        seen = engine.evaluate(train, self.objective, point)
        settled: dict[str, JsonValue] = {
            "loss": self.objective.loss.name, "method": "mini-batch" if self.batch > 1 else "stochastic",
            "l2": self.objective.l2, "rule": RULES[self.rule], "learning_rate": at.rate, "batch_size": self.batch,
            "schedule": "constant", "average": self.spec.average is True, "passes": 1,
        }  # fmt: skip
        if self.objective.loss.name == "huber":
            settled["huber_delta"] = self.objective.loss.high
        told = message or say("one pass over {work}; a single pass proves no gap", work=self._work())
        steps = tuple(replace(each, passes=each.passes / max(at.rows, 1)) for each in at.steps)
        training = Training(
            point, verdict, told, self.start, seen.objective, math.nan, GapKind.NONE, 1.0, at.updates, steps,
            tuple(self.choices), settled, UNKNOWN, {"choose": 0.0, "descend": self._seconds()},
        )  # fmt: skip
        return Passed(training, train, held, self.kept[0].met, self.kept[1].met)

    def _choice(self) -> Choice:
        """Return the rate chosen, with what each of the others met when it was dropped."""
        at = self.at
        reason = say(
            "the lowest loss of {rates} rates run side by side on rows that they had not stepped on yet, the worse "
            "half dropped now and then",
            rates=len(at.evidence),
        )
        candidates = tuple(at.evidence[each] for each in sorted(at.evidence, reverse=True))
        return Choice("learning_rate", at.rate, reason, candidates)


def _rates(spec: Spec) -> Vector:
    """Return the rates to race, highest first: a standard unit, and factors of two below."""
    if not isinstance(spec.learning_rate, str):
        return np.array([float(spec.learning_rate)])
    return 1.0 / SPREAD ** np.arange(LANES, dtype=np.float64)
