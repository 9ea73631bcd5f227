"""Mini-batches in rounds: how near steps apart come to one machine's, measured, and taken up from the last round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from downslope.data.blocks import Examples, Source, Walked
from downslope.engines import linear as engine
from downslope.models.linear import Point
from downslope.records import Choice, Spec, Verdict
from downslope.training.checkpoint import Checkpoint, Keeper
from downslope.training.loop import Training, pose, train
from downslope.training.rounds import Walk
from downslope.words import Sentence
from tests.small_shards import rows_of, whole_of

ROWS = [2000, 1500, 2500, 2000]
SPEC = Spec(source="memory", target="y", loss="log", l2=1e-3, method="mini-batch", epochs=8, tolerance=0.0)


class Apart(Source):
    """Examples that so many hold, each some shards of them."""

    def __init__(self, examples: Examples, holders: int, sort: bool = False) -> None:
        """Deal the examples out in order, or sorted by their target, which is the worst way."""
        for name in (
            "levels", "center", "scale", "applied", "level_scale", "level_offset", "sparse", "sparse_center",
            "sparse_scale",
        ):  # fmt: skip
            setattr(self, name, getattr(examples, name))
        self.whole, self.asked = examples, 0
        rows = np.argsort(examples.target, kind="stable") if sort else np.arange(examples.rows)
        self.shards = [examples.pick(np.sort(part)) for part in np.array_split(rows, 2 * holders)]

    rows = property(lambda self: self.whole.rows)  # type: ignore[assignment]
    categories = property(lambda self: self.whole.categories)  # type: ignore[assignment]
    dtype = property(lambda self: self.whole.dtype)  # type: ignore[assignment]

    def total(self, work: Callable[[Examples], Any], *, features: bool = True) -> Any:
        """As the examples."""
        return self.whole.total(work, features=features)

    def pick(self, rows: Any) -> Examples:
        """As the examples."""
        return self.whole.pick(rows)

    def each(self, work: Callable[[Sequence[tuple[int, Source]]], Walked]) -> list[Walked]:
        """Two shards a holder."""
        self.asked += 1
        pairs = [(2 * each, 2 * each + 1) for each in range(len(self.shards) // 2)]
        return [work([(index, self.shards[index]) for index in pair]) for pair in pairs]


def gap(training: Training, best: float) -> float:
    return (training.objective - best) / (training.objective_at_start - best)


def three_rounds() -> Keeper:
    """Return what settles the choices that rest on measured time."""
    settled = {"rounds_an_epoch": 3, "batch_size": 16}
    return Keeper(settled={name: Choice(name, value, Sentence("settled")) for name, value in settled.items()})


@pytest.fixture(scope="module")
def examples() -> Examples:
    return whole_of(ROWS)


@pytest.fixture(scope="module")
def best(examples: Examples) -> float:
    return train(examples, replace(SPEC, method="scaled", epochs="auto", tolerance=1e-9), "log").objective


@pytest.mark.parametrize("holders", [1, 2, 4])
def test_the_loss_of_accuracy_against_one_machine_is_bounded(examples: Examples, best: float, holders: int) -> None:
    alone = train(examples, SPEC, "log")
    apart = train(Apart(examples, holders), SPEC, "log", keeper=three_rounds())
    assert gap(alone, best) < 2e-3
    assert gap(apart, best) < 1e-3 * holders, "each makes its share of the steps, so more of them get less far"
    assert apart.passes == pytest.approx(alone.passes, rel=0.7)


def test_holders_of_one_class_each_are_no_ruin(examples: Examples, best: float) -> None:
    apart = train(Apart(examples, 2, sort=True), SPEC, "log", keeper=three_rounds())
    assert gap(apart, best) < 2e-2


def test_blocks_that_are_sorted_have_their_turns(examples: Examples, best: float) -> None:
    """One holder, whose first shard has one class and its second the other: it takes some of each, again and again."""
    apart = train(Apart(examples, 1, sort=True), SPEC, "log", keeper=three_rounds())
    assert gap(apart, best) < 1e-3


def test_every_row_is_stepped_on_once_an_epoch(examples: Examples) -> None:
    problem = pose(examples, SPEC, "log", 1)
    apart = Apart(examples, 2)
    walk = Walk(
        Point.zeros(examples.features, 1), problem.objective, 32, 0.1, 3, "cosine", 0.0, 5, 1, 0, 3, 1.0, 1.0
    )  # fmt: skip
    found = [apart.each(replace(walk, turn=turn)) for turn in range(3)]
    assert sum(each.rows for round_ in found for each in round_) == sum(ROWS)
    before = engine.evaluate(examples, problem.objective, walk.point).objective
    mean = sum(each.sums[0] for each in found[0]) / sum(each.rows for each in found[0])
    fixed = sum(each.sums[1] for each in found[0]) / sum(each.rows for each in found[0])
    assert engine.evaluate(examples, problem.objective, Point(mean, fixed)).objective < before


def test_a_run_taken_up_from_a_round_has_the_same_bits(examples: Examples) -> None:
    spec = replace(SPEC, epochs=4, learning_rate=0.05, batch_size=32)  # the rounds are measured
    kept: list[Checkpoint] = []
    choices: dict[str, Any] = {}

    def settle(choice: Any) -> None:
        choices[choice.name] = choice

    whole = train(Apart(examples, 2), spec, "log", keeper=Keeper("whole", 0.0, kept.append, settle))
    assert len(kept) == 4 * choices["rounds_an_epoch"].value
    middle = kept[len(kept) // 2]
    again = train(Apart(examples, 2), spec, "log", keeper=Keeper("again", begin=middle, settled=choices))
    assert np.array_equal(again.point.weights, whole.point.weights)
    assert again.updates == whole.updates
    other = train(Apart(examples, 4), spec, "log", keeper=Keeper("again", begin=middle, settled=choices))
    assert other.objective == pytest.approx(whole.objective, rel=1e-2)


def test_a_rate_far_too_large_is_a_divergence_that_is_explained(examples: Examples) -> None:
    spec = replace(SPEC, learning_rate=1e7, batch_size=8, loss="squared", l2=0.0)
    ended = train(Apart(examples, 2), spec, "squared")
    assert ended.verdict is Verdict.DIVERGED
    assert "learning rate" in ended.message


def test_rows_make_their_way() -> None:
    assert rows_of(0, 3).each(lambda held: Walked((), held[0][1].rows, 0.0, True))[0].rows == 3
