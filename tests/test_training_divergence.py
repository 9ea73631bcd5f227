"""Why a run diverged: the numbers of the sentence, against curvatures and descents written out."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from downslope import GradientDescentRegressor
from downslope.data.batches import order
from downslope.data.blocks import Examples
from downslope.records import Spec, Verdict
from downslope.training import Training, train
from downslope.training.divergence import rate_limit
from tests.plain_descent import dense, table

POUNDS = np.array([[3.5], [3.69], [3.44], [3.43], [4.34], [4.42], [2.37]])
MILES = np.array([18.0, 15.0, 18.0, 16.0, 15.0, 14.0, 24.0])


def seven_cars(**settings: Any) -> str:
    with pytest.warns(UserWarning, match="diverged"):
        model = GradientDescentRegressor(standardize=False, method="full-batch", **settings).fit(POUNDS, MILES)
    return model.run_.message


def run(examples: Examples, loss: str = "squared", outputs: int = 1, **settings: Any) -> Training:
    return train(examples, Spec(**({"l2": 0.0} | settings)), loss, outputs)


def advised(message: str) -> float:
    found = re.search(r"Try ([\d.e-]+\d)", message.replace(",", ""))
    assert found is not None
    return float(found.group(1))


def test_the_published_sentence() -> None:
    assert seven_cars(rule="plain", learning_rate=1.0) == (
        "diverged at step 1: learning rate 1 is above the stability limit 0.0698 (2 / largest curvature 28.6); along "
        "that direction each step multiplies the error by 27.6. Try 0.035, or standardise: then any rate below 1 is "
        "stable."
    )


def test_a_rate_just_above_the_limit_is_caught_after_a_while() -> None:
    found = re.match(r"diverged at step (\d+): .* multiplies the error by 1\.1[45]", seven_cars(learning_rate=0.075))
    assert found is not None
    assert 3 <= int(found.group(1)) < 50


@pytest.mark.parametrize("rule", ["plain", "momentum", "nesterov"])
@pytest.mark.parametrize("momentum", [0.5, 0.9])
def test_each_rule_diverges_above_its_own_limit_and_not_below(rule: str, momentum: float) -> None:
    examples = table(rows=40, numbers=2)
    features = np.hstack([dense(examples), np.ones((40, 1))])
    largest = float(np.linalg.eigvalsh(2 * features.T @ features / 40)[-1])
    limit = rate_limit(rule, momentum, largest)
    settings = {"method": "full-batch", "rule": rule, "momentum": momentum, "tolerance": 0.0, "epochs": 3000}
    above = run(examples, learning_rate=1.02 * limit, **settings)
    assert above.verdict is Verdict.DIVERGED
    assert f"above the stability limit {limit:.3g}" in above.message
    # Just below it momentum swings high before it settles; a little further below all converge.
    assert run(examples, learning_rate=0.9 * limit, **settings).gap < 1e-12


def test_swings_that_grow_before_they_settle_are_not_blamed_on_the_curvature() -> None:
    message = seven_cars(rule="momentum", learning_rate=0.132)
    assert "within" not in message
    assert "so near the stability limit 0.133 that its swings grew" in message


def test_single_examples_are_steeper_than_the_whole() -> None:
    examples = table(rows=300, numbers=4)
    features = np.hstack([dense(examples), np.ones((300, 1))])
    whole = float(np.linalg.eigvalsh(2 * features.T @ features / 300)[-1])
    own = 2 * (features**2).sum(axis=1)
    rate = 0.9 * 2 / whole
    ended = run(examples, method="stochastic", learning_rate=rate)
    assert ended.verdict is Verdict.DIVERGED
    assert f"full-batch steps are stable up to a learning rate of {2 / whole:.3g}" in ended.message
    assert f"curvature up to {own.max():.3g}, {np.median(own):.3g} in the middle" in ended.message
    assert "grew" not in ended.message
    assert advised(ended.message) < 2 / own.max()
    again = run(examples, method="stochastic", learning_rate=advised(ended.message), tolerance=0.0)
    assert again.verdict is Verdict.BUDGET
    assert again.gap < 0.1


def test_single_batches_are_steeper_than_the_whole() -> None:
    rng = np.random.default_rng(0)
    examples = table(rows=400, numbers=3)
    examples.blocks[0].numbers[rng.choice(400, 8, replace=False)] *= 12.0
    features = np.hstack([dense(examples), np.ones((400, 1))])
    whole = float(np.linalg.eigvalsh(2 * features.T @ features / 400)[-1])
    drawn = order(400, 0, 0)
    batches = [features[drawn[first : first + 10]] for first in range(0, 320, 10)]
    steepest = max(float(np.linalg.eigvalsh(2 * each.T @ each / 10)[-1]) for each in batches)
    ended = run(examples, method="mini-batch", batch_size=10, learning_rate=0.9 * 2 / whole)
    assert ended.verdict is Verdict.DIVERGED
    found = re.search(r"of 32 batches of 10 examples the steepest has curvature ([\d.,]+), the middle", ended.message)
    assert found is not None
    assert float(found.group(1).replace(",", "")) == pytest.approx(steepest, rel=0.05)
    again = run(examples, method="mini-batch", batch_size=10, learning_rate=advised(ended.message), tolerance=0.0)
    assert again.verdict is Verdict.BUDGET


@pytest.mark.parametrize("rule", ["adagrad", "rmsprop", "adam"])
def test_rules_that_divide_by_the_size_have_no_limit(rule: str) -> None:
    message = run(table(), method="full-batch", rule=rule, learning_rate=1e3).message
    assert "no curvature limits its rate" in message
    assert "limit 2" not in message
    assert advised(message) == 100


def test_a_cornered_loss_has_no_curvature_to_blame() -> None:
    message = run(table(), "absolute", method="full-batch", learning_rate=1e3).message
    assert "the absolute loss has a corner and no curvature" in message
    assert advised(message) == 100


def test_curvature_that_grew_is_measured_where_it_grew() -> None:
    # The curvature of a Poisson loss is the mean count predicted, of larger where it fits the steep rows.
    rng = np.random.default_rng(0)
    examples = table(rows=300, numbers=1)
    features = examples.blocks[0].numbers[:, 0]
    examples = examples.retarget(rng.poisson(np.exp(1.5 * features)).astype(float))
    limit = run(examples, "poisson").curvature.stability_limit
    ended = run(examples, "poisson", method="full-batch", learning_rate=0.5 * limit)
    assert ended.verdict is Verdict.DIVERGED
    found = re.search(r"the curvature grew: from ([\d.]+) to ([\d.]+) at the last good step", ended.message)
    assert found is not None
    assert float(found.group(2)) > float(found.group(1))
    assert advised(ended.message) < limit
