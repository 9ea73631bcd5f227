"""The engine against the machine's ceiling and against the loops that others write, on the flights table."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks import machine, torch_loops
from benchmarks.clock import Timing, median_time, once
from benchmarks.problems import Problem
from benchmarks.race import Effort
from benchmarks.results import Figure, number, seconds

RATE = 1e-3
LANES = 32


def examples_of(problem: Problem) -> Any:
    """Return the standardised array as the engine's block, read in place."""
    from downslope.data.blocks import Block, Examples

    rows, d = problem.X.shape
    block = Block(0, problem.X, np.zeros((rows, 0), dtype=np.int32))
    return Examples((block,), 0, problem.y.astype(np.float64), None, np.zeros(d), np.ones(d), applied=True)


def objective_of(problem: Problem) -> Any:
    """Return the engine's objective of a problem with one output."""
    from downslope.losses import make_loss
    from downslope.models.linear import Objective

    return Objective(make_loss(problem.loss), 0.0, problem.l2, intercept=True)


def full_pass(problem: Problem, effort: Effort) -> Figure:
    """Compare one fused loss-and-gradient pass with a plain two-thread sum over the same array.

    The two are timed in turn, so that a busy moment of the machine touches both.
    """
    from downslope.engines.linear import evaluate
    from downslope.models.linear import Point

    examples, objective = examples_of(problem), objective_of(problem)
    point = Point.zeros(examples.features, 1)
    evaluate(examples, objective, point)
    ratios, ours = [], []
    for _ in range(max(effort.repeats, 5)):
        ours.append(median_time(lambda: evaluate(examples, objective, point), 5).seconds)
        ratios.append(machine.read_seconds(problem.X) / ours[-1])
    time, share = float(np.median(ours)), float(np.median(ratios))
    size = problem.X.nbytes
    return Figure(
        f"one fused pass, {problem.title}", f"{size / time / 1e9:.1f} GB/s", f"{size / time / share / 1e9:.1f} GB/s",
        "plain two-thread sum", share, 0.8, unit=" of it",
    )  # fmt: skip


def epoch_of(problem: Problem, batch: int) -> Callable[[], object]:
    """Return one shuffled epoch of plain steps at a constant rate: shuffle, then every batch."""
    from downslope.data.batches import order
    from downslope.models.linear import Point
    from downslope.steps import PLAIN
    from downslope.training.mini_batch import Course, trainer_of

    examples, objective = examples_of(problem), objective_of(problem)
    course = Course(examples, objective, batch, PLAIN, 0.0, 1, "constant", 0.0, False, 0)
    start = Point.zeros(examples.features, 1)

    def epoch() -> object:
        trainer = trainer_of(course, RATE, 1.0, start)
        _, whole = trainer.advance(order(problem.rows, 0, 0), 0, problem.rows)
        if not whole:
            message = "the timed epoch ended early; its rate diverges on this table"
            raise RuntimeError(message)
        return trainer.point()

    epoch()
    return epoch


def stochastic_epoch(problem: Problem, effort: Effort) -> Figure:
    """Compare an epoch of single steps with scikit-learn's: constant rate, same l2, shuffled."""
    from sklearn.linear_model import SGDClassifier

    def theirs() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            SGDClassifier(
                loss="log_loss", alpha=problem.l2, learning_rate="constant", eta0=RATE, max_iter=1, tol=None,
                random_state=0,
            ).fit(problem.X, problem.y)  # fmt: skip

    ours, other = median_time(epoch_of(problem, 1), effort.repeats), median_time(theirs, effort.repeats)
    return _faster("a stochastic epoch", ours, other, "scikit-learn SGDClassifier, 1 epoch", 2)


def batch_epochs(problem: Problem, effort: Effort) -> list[Figure]:
    """Compare an epoch of mini-batches of 32 with PyTorch loops: as its tutorials write it, and the fastest."""
    if not torch_loops.available():
        return []
    loops = torch_loops.BatchEpochs(problem, 32, RATE).ways()
    for loop in loops.values():
        loop(1 / 50)
    ours = median_time(epoch_of(problem, 32), effort.repeats)
    times = {name: median_time(partial(loop, 1.0), effort.repeats) for name, loop in loops.items()}
    best = min(times, key=lambda name: times[name].seconds)
    return [
        _faster("a mini-batch epoch of 32", ours, times[name], f"PyTorch loop, {name}", 20)
        for name in dict.fromkeys(("torch.optim.SGD", best))
    ]


def lanes(problem: Problem, effort: Effort) -> Figure:
    """Compare an epoch of 32 lanes with an epoch of one training by its own kernel, batch 32."""
    from downslope.data.batches import order
    from downslope.engines.racing import Lanes

    examples, objective = examples_of(problem), objective_of(problem)
    rates = RATE * 2.0 ** np.linspace(-6, 0, LANES)
    share = np.ones(-(-problem.rows // 32))

    def many() -> None:
        started = Lanes.start(examples, objective, rates, 0, 0.0)
        started.epoch(examples, objective, order(problem.rows, 0, 0), 32, share, 0)

    many()
    one, several = median_time(epoch_of(problem, 32), effort.repeats), median_time(many, effort.repeats)
    return Figure(
        f"{LANES} lanes against one", seconds(several.seconds), seconds(one.seconds), "one training, batch 32",
        several.seconds / one.seconds, 4, at_least=False,
    )  # fmt: skip


def _faster(claim: str, ours: Timing, theirs: Timing, compared: str, target: float) -> Figure:
    return Figure(
        claim,
        seconds(ours.seconds),
        seconds(theirs.seconds),
        compared,
        theirs.seconds / ours.seconds,
        target,
        note="" if theirs.runs > 1 else "one run of the peer, which takes over ten seconds",
    )


def ceilings(problem: Problem) -> dict[str, str]:
    """Return the machine's ceilings in words."""
    read = problem.X.nbytes / machine.read_seconds(problem.X) / 1e9
    return {
        f"read ceiling ({problem.X.nbytes / 1e6:.0f} MB, two threads)": f"{read:.1f} GB/s",
        "float32 matrix product": f"{number(machine.product_rate() / 1e9)} GFLOP/s",
    }


def compile_seconds(problem: Problem) -> float:
    """Return the seconds of a first fused pass in this process less those of a second: loading or compiling."""
    from downslope.engines.linear import evaluate
    from downslope.models.linear import Point

    examples, objective = examples_of(problem), objective_of(problem)
    point = Point.zeros(examples.features, 1)
    first = once(lambda: evaluate(examples, objective, point))
    return max(0.0, first - once(lambda: evaluate(examples, objective, point)))


def figures(problem: Problem, effort: Effort) -> list[Figure]:
    """Return every figure of this page."""
    return [
        full_pass(problem, effort),
        stochastic_epoch(problem, effort),
        *batch_epochs(problem, effort),
        lanes(problem, effort),
    ]
