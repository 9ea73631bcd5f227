"""Networks on rows that lie apart: near one machine's answer, taken up with the same bits, refused in a sentence."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from downslope.data.blocks import Examples, Source, Walked
from downslope.errors import OptionError
from downslope.models.network import parse_model
from downslope.records import Choice, Spec, Verdict
from downslope.training.checkpoint import Checkpoint, Keeper
from downslope.training.network.apart import ApartTraining, train_apart
from downslope.training.network.given import NetworkInputs
from downslope.training.network.train import train_network
from downslope.training.network.walk import averaged, loss_sum, scores_at
from downslope.words import Sentence
from tests.small_shards import whole_of
from tests.test_training_rounds import Apart

ROWS = [900, 700, 1100, 900]
SPEC = Spec(source="memory", target="y", model="mlp:8", epochs=6, batch_size=32, learning_rate=0.01)
NETWORK = parse_model("mlp:8")


@pytest.fixture(scope="module")
def examples() -> Examples:
    return whole_of(ROWS)


@pytest.fixture(scope="module")
def held() -> Examples:
    return whole_of([0, 0, 0, 0, 800])


def apart(examples: Source, held: Source | None, spec: Spec = SPEC, **given: Any) -> ApartTraining:
    return train_apart(NETWORK, examples, held, spec, "log", 1, **given)


def inputs(examples: Examples) -> NetworkInputs:
    (block,) = examples.blocks
    return NetworkInputs(block.numbers, block.codes, examples.target, None, (examples.features,))


def least(losses: Any) -> float:
    return min(each for each in losses if math.isfinite(each))


@pytest.fixture(scope="module")
def halves(examples: Examples, held: Examples) -> ApartTraining:
    return apart(Apart(examples, 2), held)


def test_holders_come_near_one_machine(examples: Examples, held: Examples, halves: ApartTraining) -> None:
    alone = train_network(NETWORK, inputs(examples), inputs(held), SPEC, "log", 1)
    best = least(each.holdout for each in alone.steps)
    for holders, found in ((1, apart(Apart(examples, 1), held)), (2, halves)):
        reached = least(each.holdout for each in found.training.steps)
        assert reached < best + 0.03 * holders * (math.log(2) - best)
        assert found.training.verdict is Verdict.BUDGET
        assert found.training.passes == pytest.approx(6.0, abs=0.01)


def test_scores_and_losses_are_those_of_the_training(held: Examples, halves: ApartTraining) -> None:
    scores = scores_at(held, halves.recipe, halves.leaves)
    losses = np.logaddexp(0.0, scores[:, 0]) - held.target * scores[:, 0]
    assert loss_sum(held, halves.recipe, halves.leaves) == pytest.approx(float(losses.sum()), rel=1e-6)
    assert losses.mean() == pytest.approx(least(each.holdout for each in halves.training.steps), rel=1e-6)


def test_shortened_gradients_are_counted_as_updates_are(examples: Examples) -> None:
    always = apart(Apart(examples, 2), None, replace(SPEC, clip=1e-6)).training
    assert always.resolved["clipped"] == pytest.approx(always.updates, rel=0.03)
    never = apart(Apart(examples, 2), None, replace(SPEC, clip=1e6)).training
    assert never.resolved["clipped"] == 0
    assert "clipped" not in apart(Apart(examples, 2), None).training.resolved


def test_numbers_are_learned_in_their_own_units(examples: Examples) -> None:
    target = 1000.0 + 50.0 * examples.blocks[0].numbers[:, 0].astype(np.float64)
    plain = replace(examples, target=target)
    found = train_apart(NETWORK, Apart(plain, 2), None, replace(SPEC, epochs=10), "squared", 1)
    error = scores_at(plain, found.recipe, found.leaves)[:, 0] - target
    assert np.sqrt(np.mean(error**2)) < 10.0
    assert found.training.objective == pytest.approx(float(np.mean(error**2)), rel=1e-5)


def test_a_run_taken_up_from_a_round_has_the_same_bits(examples: Examples, held: Examples) -> None:
    spec = replace(SPEC, batch_size="auto", learning_rate="auto", epochs=3)
    kept: list[Checkpoint] = []
    choices: dict[str, Choice] = {}

    def settle(choice: Choice) -> None:
        choices[choice.name] = choice

    whole = apart(Apart(examples, 2), held, spec, keeper=Keeper("whole", 0.0, kept.append, settle))
    assert set(choices) == {"batch_size", "rounds_an_epoch"}
    assert len(kept) == 3 * choices["rounds_an_epoch"].value
    begin = kept[len(kept) // 2]
    again = apart(Apart(examples, 2), held, spec, keeper=Keeper("again", begin=begin, settled=choices))
    assert all(np.array_equal(*pair) for pair in zip(again.leaves, whole.leaves, strict=True))
    assert [each.objective for each in again.training.steps] == [each.objective for each in whole.training.steps]
    other = apart(Apart(examples, 4), held, spec, keeper=Keeper("again", begin=begin, settled=choices))
    assert other.training.objective == pytest.approx(whole.training.objective, rel=5e-2)


def test_a_share_of_the_batch_takes_longer_steps(examples: Examples) -> None:
    settled = {"batch_size": Choice("batch_size", 64, Sentence("settled"))}
    spec = replace(SPEC, batch_size="auto", learning_rate="auto", epochs=1)
    found = apart(Apart(examples, 4), None, spec, keeper=Keeper(settled=settled)).training
    assert found.resolved["batch_size"] == 16
    (rate,) = [each for each in found.choices if each.name == "learning_rate"]
    assert "times 2 for steps on 16 of the 64 examples" in rate.reason
    assert rate.value in [2 * float(each["learning_rate"]) for each in rate.candidates]


def test_a_rate_far_too_large_is_a_divergence(examples: Examples) -> None:
    spec = replace(SPEC, learning_rate=1e9, rule="plain")
    found = train_apart(NETWORK, Apart(examples, 2), None, spec, "squared", 1).training
    assert found.verdict is Verdict.DIVERGED
    assert "learning rate" in found.message


def test_sparse_columns_are_refused(examples: Examples) -> None:
    source = Apart(examples, 2)
    source.sparse = 3
    with pytest.raises(OptionError, match="a network takes dense columns"):
        apart(source, None)


def test_weights_count_as_they_do_among_all(examples: Examples) -> None:
    twice = replace(examples, weights=np.where(examples.target > 0, 3.0, 1.0))
    found = apart(Apart(twice, 2), None)
    chance = 1 / (1 + np.exp(-scores_at(twice, found.recipe, found.leaves)[:, 0]))
    expected = np.average(twice.target, weights=twice.weights)
    assert np.average(chance, weights=twice.weights) == pytest.approx(expected, abs=0.02)


def test_whole_numbers_of_a_state_are_rounded() -> None:
    before = (np.zeros(2, np.float32), np.array(4, np.int32))
    found = [
        Walked((np.array([1.0, 2.0]) * 10, np.array(10.0) * 10), 10, 0.0, True),
        Walked((np.array([4.0, 8.0]) * 5, np.array(11.0) * 5), 5, 0.0, True),
        Walked((np.zeros(2), np.zeros(())), 0, 0.0, True),
    ]
    mean, count = averaged(before, found)
    assert mean.tolist() == [2.0, 4.0]
    assert count == 10
    assert count.dtype == np.int32
