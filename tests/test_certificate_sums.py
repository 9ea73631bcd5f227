"""The proof from sums against the proof in memory, on the same rows cut into parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from downslope.certificate import certify
from downslope.data.blocks import Block, Examples, Source, add
from downslope.losses import make_loss
from downslope.models.linear import Objective, Point
from downslope.records import Spec
from downslope.training import train


@dataclass(frozen=True)
class Parts(Source):
    """A source of sums whose rows lie in several tables."""

    whole: Examples
    count: int

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)

    @property
    def rows(self) -> int:
        return self.whole.rows

    @property
    def categories(self) -> int:
        return self.whole.categories

    @property
    def dtype(self) -> Any:
        return self.whole.dtype

    def total(self, work: Callable[[Examples], Any], *, features: bool = True) -> Any:
        """Return the sum over the parts."""
        del features
        found = None
        for rows in np.array_split(np.arange(self.whole.rows), self.count):
            part = work(self.whole.pick(rows))
            found = part if found is None else add(found, part)
        return found

    def pick(self, rows: Any) -> Examples:
        return self.whole.pick(rows)


def examples_for(loss: str, weighted: bool, seed: int = 0) -> Examples:
    """Return 600 rows of three numbers and two categories, with a target that suits the loss."""
    drawn = np.random.default_rng(seed)
    numbers = drawn.normal(size=(600, 3))
    codes = np.stack([drawn.integers(0, 3, 600), 3 + drawn.integers(0, 2, 600)], axis=1).astype(np.int32)
    score = numbers @ [1.0, -2.0, 0.5] + 0.3 * codes[:, 0] + drawn.normal(size=600)
    classes = (score > 0).astype(float)
    target = {
        "log": classes, "hinge": classes, "squared-hinge": classes, "softmax": np.digitize(score, [-1.0, 1.0]),
        "poisson": drawn.poisson(np.exp(0.3 * score)),
    }.get(loss, score)  # fmt: skip
    weights = drawn.uniform(0.5, 2.0, 600) if weighted else None
    block = Block(0, numbers, codes)
    return Examples((block,), 5, np.asarray(target, np.float64), weights, np.zeros(3), np.ones(3), True)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", ["log", "softmax", "poisson", "huber", "squared-hinge"])
def test_a_bound_from_sums_is_as_good_as_the_one_in_memory(loss: str, weighted: bool) -> None:
    examples = examples_for(loss, weighted)
    outputs = 3 if loss == "softmax" else 1
    objective = Objective(make_loss(loss), 0.0, 1e-2, True, outputs)
    point = Point(0.1 * np.random.default_rng(1).normal(size=(8, outputs)), np.zeros(outputs))
    inside, beyond = certify(examples, objective, point), certify(Parts(examples, 7), objective, point)
    best = train(examples, Spec(loss=loss, l2=1e-2, tolerance=1e-9, holdout=0), loss, outputs)
    assert beyond.lower <= best.objective + 1e-12
    assert beyond.objective == pytest.approx(inside.objective, rel=0.05)
    assert beyond.distance <= 1.1 * inside.distance


@pytest.mark.parametrize("loss", ["log", "softmax", "poisson", "huber", "squared", "squared-hinge"])
@pytest.mark.parametrize("penalty", [{}, {"l1": 0.01}, {"l1": 0.01, "l2": 0.0}, {"fit_intercept": False}])
def test_a_training_on_parts_comes_to_the_same_minimum(loss: str, penalty: dict[str, Any]) -> None:
    examples = examples_for(loss, weighted=True)
    spec = Spec(loss=loss, tolerance=1e-6, holdout=0, **penalty)
    outputs = 3 if loss == "softmax" else 1
    inside, beyond = (train(each, spec, loss, outputs) for each in (examples, Parts(examples, 7)))
    assert beyond.verdict == inside.verdict
    assert beyond.gap_kind == inside.gap_kind
    assert beyond.gap <= 1e-6
    assert beyond.objective == pytest.approx(inside.objective, rel=1e-6)


@pytest.mark.parametrize("loss", ["absolute", "hinge", "quantile"])
def test_corners_in_parts_are_proved_by_rounded_stand_ins(loss: str) -> None:
    examples = examples_for(loss, weighted=False)
    spec = Spec(loss=loss, tolerance=1e-3, holdout=0, l2=1e-2)
    inside, beyond = (train(each, spec, loss, 1) for each in (examples, Parts(examples, 7)))
    assert beyond.gap_kind == "certified"
    assert beyond.gap <= 1e-3
    assert beyond.objective == pytest.approx(inside.objective, rel=2e-3)


@pytest.mark.parametrize("method", ["full-batch"])
def test_plain_steps_on_parts_are_the_same_steps(method: str) -> None:
    examples = examples_for("log", weighted=True)
    spec = Spec(loss="log", method=method, epochs=30, holdout=0)
    inside, beyond = (train(each, spec, "log", 1) for each in (examples, Parts(examples, 5)))
    assert np.allclose(inside.point.weights, beyond.point.weights, atol=1e-12)
    assert [step.update for step in inside.steps] == [step.update for step in beyond.steps]
