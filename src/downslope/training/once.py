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
from downslope.data.batches import order_within
from downslope.data.blocks import Examples
from downslope.data.large.once import KEPT_ROWS, Kept
from downslope.data.large.windows import Window
from downslope.engines import linear as engine
from downslope.models.linear import Objective, Point
from downslope.records import Choice, Curvature, GapKind, Spec, StepRecord, Verdict
from downslope.records.figures import figure, plural
from downslope.records.spec import RULES
from downslope.training.checkpoint import Checkpoint, Keeper, point_arrays, point_of
from downslope.training.logbook import Training
from downslope.training.loop import pose
from downslope.training.once_steps import Raced, Sparse
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
        self.start = start_objective(head, self.objective)
        self.mean_weight = head.weight_sum / head.rows
        self.kept = kept
        self.steps = (Raced if head.blocks[0].sparse is None else Sparse)(
            head, self.objective, spec, keeper, self.start
        )
        self.choices += self.steps.choices
        self.highest = float(self.steps.rates[0])
        self.at = _Progress(self.steps.start, self.highest)
        self.skip = 0
        begin = keeper.taken_up(KIND)
        if begin is not None:
            self._restore(begin)

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
            lane = int(np.argmin(np.where(self.steps.alive, losses, np.inf)))
            at.loss += float(losses[lane]) * train.rows
            at.since += train.rows
            at.rows += train.rows
            if not self.steps.alive.any():
                message = say(
                    "diverged within the first {rows} at every rate from {rate} down",
                    rows=plural(at.rows, "row"),
                    rate=figure(self.highest),
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
            sparse=train.sparse, mean_weight=self.mean_weight,
        )  # fmt: skip
        losses = self.steps.advance(window, order_within(train.rows, self.spec.seed, 0, at.chunks), at.rows)
        at.updates += -(-train.rows // self.steps.batch)
        return losses

    def _lead(self, losses: Vector, lane: int) -> None:
        """Note the best lane, and drop the worse half when its time has come."""
        at, steps = self.at, self.steps
        for rate, value, alive in zip(steps.rates.tolist(), losses.tolist(), steps.alive, strict=True):
            at.evidence[rate] = {"learning_rate": rate, "loss": value if alive else None, "rows": at.rows}
        at.rate = float(steps.rates[lane])
        if at.chunks + 1 in HALVED and steps.rates.size > 1:
            steps.halve(losses)

    @property
    def point(self) -> Point:
        """Where the steps at the best rate stand."""
        return self.steps.point(self.at.rate)

    def _look(self) -> None:
        """Record where the pass stands, and whether the loss on rows kept aside has fallen since the best look."""
        at, point = self.at, self.point
        judged = _of_width(self.kept[1].examples() or self.kept[0].examples(), point)
        assert judged is not None
        at.best = widened(at.best, point)
        now, best = (engine.evaluate(judged, self.objective, each).objective for each in (point, at.best))
        fell = best - now > self.spec.tolerance * max(self.start - now, 0.0)
        at.waited = 0 if fell or self.steps.rates.size > 1 else at.waited + 1
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
        arrays, remembered = self.steps.to_checkpoint()
        values: dict[str, JsonValue] = remembered | {
            "rate": at.rate, "chunks": at.chunks, "looked": at.looked, "rows": at.rows,
            "waited": at.waited, "since": at.since, "loss": at.loss, "evidence": list(at.evidence.values()),
            "log": {"seconds": self._seconds(), "updates": at.updates, "passes": 0.0},
        }  # fmt: skip
        return Checkpoint(KIND, arrays | point_arrays("best", at.best), values, tuple(at.steps))

    def _restore(self, begin: Checkpoint) -> None:
        values = begin.values
        self.steps.restore(self.keeper, begin)
        self.at = _Progress(
            point_of("best", begin.arrays), values["rate"],
            values["chunks"], values["looked"], values["rows"], values["log"]["updates"], values["waited"],
            values["since"], values["loss"], list(begin.steps),
            {each["learning_rate"]: each for each in values["evidence"]},
        )  # fmt: skip
        self.skip = self.at.chunks

    def _conclude(self, verdict: Verdict, message: Sentence) -> Passed:
        at = self.at
        point = self.point
        train, held = (_of_width(each.examples(), point) for each in self.kept)
        assert train is not None
        if verdict in (Verdict.DIVERGED, Verdict.CONVERGED):
            point = widened(at.best, point)
        if isinstance(self.spec.learning_rate, str):
            self.choices.append(self._choice())
        seen = engine.evaluate(train, self.objective, point)
        settled: dict[str, JsonValue] = {
            "loss": self.objective.loss.name, "method": "mini-batch" if self.steps.batch > 1 else "stochastic",
            "l2": self.objective.l2, "rule": RULES[self.steps.rule], "learning_rate": at.rate,
            "batch_size": self.steps.batch, "schedule": "constant", "average": self.spec.average is True, "passes": 1,
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


def _of_width(examples: Examples | None, point: Point) -> Examples | None:
    """Return examples with as many sparse columns as a point has weights for: more may have come up since."""
    if examples is None or examples.blocks[0].sparse is None:
        return examples
    return replace(examples, sparse=point.weights.shape[0] - examples.numbers - examples.levels)


def widened(point: Point, like: Point) -> Point:
    """Return a point with zeros for the columns that came up since."""
    more = like.weights.shape[0] - point.weights.shape[0]
    return point if not more else Point(np.pad(point.weights, ((0, more), (0, 0))), point.intercept)
