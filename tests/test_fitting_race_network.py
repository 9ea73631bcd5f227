"""The textbook's claim for networks: what a race says, and that it says it of plain descents anyone can repeat."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import optax
import pytest

from downslope.cli.running import run as command
from downslope.errors import OptionError
from downslope.fitting import race
from downslope.fitting.network_task import make_task
from downslope.fitting.race_network import MOST_UPDATES
from downslope.records import NetworkRace, NetworkRaceEntry, Spec, Verdict
from downslope.records.files import record_from_json, record_to_json
from downslope.training.network.side_by_side import Losses
from downslope.views import Table, Text, race_report
from tests.plain_networks import Plain

CARS = Path(__file__).parent.parent / "examples" / "cars.csv"
TARGET = "miles_per_gallon"
QUICK: dict[str, Any] = {"model": "mlp:5", "drop": "name"}


def run_race(**settings: Any) -> NetworkRace:
    found = race(CARS, TARGET, **{**QUICK, **settings})
    assert isinstance(found, NetworkRace)
    return found


@cache
def raced() -> NetworkRace:
    return run_race(epochs=2, seeds=2)


def entry(name: str, result: NetworkRace | None = None) -> NetworkRaceEntry:
    return next(each for each in (result or raced()).entries if each.name == name)


@cache
def plain() -> Plain:
    return Plain(make_task(CARS, Spec(source=str(CARS), target=TARGET, drop=("name",), model="mlp:5"), None))


def by_hand(batch: int, rate: float, updates: int, name: str, seed: int) -> Losses:
    """Return the losses that plain steps on batches lead to, taken one by one; name: of the schedule."""
    return plain().losses(optax.identity(), plain().problem.weights, batch, rate, updates, seed, name)


def test_three_methods_from_one_start() -> None:
    assert [each.name for each in raced().entries] == ["full-batch", "stochastic", "mini-batch"]
    assert [each.batch_size for each in raced().entries] == [raced().rows, 1, 32]
    assert [each.seeds for each in raced().entries] == [1, 2, 2]
    assert [each.updates for each in raced().entries] == [2, 2 * raced().rows, 2 * math.ceil(raced().rows / 32)]
    assert all(each.passes == 2 for each in raced().entries)


@pytest.mark.parametrize("name", ["full-batch", "mini-batch"])
def test_the_losses_are_those_of_steps_taken_by_hand(name: str) -> None:
    found = entry(name)
    seeds = range(found.seeds)
    each = [by_hand(found.batch_size, found.learning_rate, found.updates, found.schedule, seed) for seed in seeds]
    assert found.train.mean == pytest.approx(np.mean([one.train for one in each]), rel=1e-4)
    assert found.held.mean == pytest.approx(np.mean([one.held for one in each]), rel=1e-4)
    if name == "mini-batch":
        assert found.train.deviation == pytest.approx(np.std([one.train for one in each], ddof=1), rel=1e-2)


def test_a_shorter_budget_is_a_run_planned_for_it() -> None:
    found = entry("mini-batch")
    reached = next(each for each in found.at_equal_updates if each.budget == 10)
    each = [by_hand(32, found.learning_rate, 10, "cosine", seed).train for seed in (0, 1)]
    assert reached.train.mean == pytest.approx(np.mean(each), rel=1e-4)


def test_methods_are_compared_at_the_same_budgets() -> None:
    for name in ("at_equal_updates", "at_equal_examples", "at_equal_seconds"):
        assert len({tuple(each.budget for each in getattr(entry, name)) for entry in raced().entries}) == 1
    for name in ("stochastic", "mini-batch"):
        known = [each.budget for each in entry(name).at_equal_updates if math.isfinite(each.train.mean)]
        assert known == [each for each in (1, 2, 10, 20, 100, 2 * raced().rows) if each <= entry(name).updates]
    late = [each for each in entry("full-batch").at_equal_updates if each.budget > 2]
    assert late
    assert all(math.isnan(each.train.mean) for each in late)
    early = [each for each in entry("full-batch").at_equal_examples if each.budget < raced().rows]
    assert all(math.isnan(each.held.mean) for each in early)


def test_many_noisy_steps_beat_few_exact_ones_at_equal_examples() -> None:
    last = {each.name: each.at_equal_examples[-1].train.mean for each in raced().entries}
    assert last["stochastic"] < last["full-batch"] / 2
    assert last["mini-batch"] < last["full-batch"]
    for name in ("stochastic", "mini-batch"):
        known = [each.train for each in entry(name).at_equal_examples if math.isfinite(each.train.mean)]
        assert all(each.deviation > 0 for each in known)
    assert math.isnan(entry("full-batch").train.deviation)


def test_rates_are_raced_for_each() -> None:
    rates = {each.name: each.learning_rate for each in raced().entries}
    assert rates["stochastic"] < rates["full-batch"]
    assert raced().rule == "plain"
    assert all(each.verdict is Verdict.BUDGET for each in raced().entries)


def test_a_full_batch_is_exact_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("downslope.fitting.race_network.PART", 50)
    found = entry("full-batch", run_race(epochs=2, seeds=1))
    assert (found.batch_size, found.learning_rate) == (raced().rows, entry("full-batch").learning_rate)
    assert found.train.mean == pytest.approx(entry("full-batch").train.mean, rel=1e-4)


def test_dropout_makes_full_batch_random_too() -> None:
    result = run_race(epochs=1, seeds=2, dropout=0.5, batch_size=50, holdout=0, rule="adam")
    assert entry("full-batch", result).seeds == 2
    assert entry("full-batch", result).train.deviation > 0
    assert entry("mini-batch", result).batch_size == 50
    assert (result.held_rows, result.rule) == (0, "adam")
    assert math.isnan(entry("mini-batch", result).held.mean)
    assert all("held" not in part.text for part in race_report(result)[-1].parts if isinstance(part, Text))


def test_a_long_table_cuts_the_stochastic_method_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("downslope.fitting.race_network.MOST_UPDATES", 100)
    result = run_race(seeds=1)
    found = entry("stochastic", result)
    assert (found.cut, found.updates) == (True, 100)
    assert found.passes == pytest.approx(100 / result.rows)
    assert all(math.isnan(each.train.mean) for each in found.at_equal_examples if each.budget > 100)
    words = [part.text for part in race_report(result)[-1].parts if isinstance(part, Text)]
    assert "stochastic was cut short at 100 updates, 0.314 passes." in words
    assert MOST_UPDATES > 100


def test_the_record_survives_a_file_and_the_page_names_no_gap() -> None:
    result = record_from_json(NetworkRace, json.loads(json.dumps(record_to_json(raced()), allow_nan=False)))
    sections = race_report(result)
    assert [each.title for each in sections] == [
        "The race", "At equal updates", "At equal examples", "At equal seconds", "What it shows",
    ]  # fmt: skip
    labels = [part.text for part in sections[1].parts if isinstance(part, Text)]
    assert labels == ["training loss", "held-out loss"]
    tables = [part for part in sections[2].parts if isinstance(part, Table)]
    assert tables[0].heads == ("examples", "passes", "full-batch", "stochastic", "mini-batch")
    words = str(sections)
    assert "gap" not in words.lower()
    assert "one update a pass, so 2 updates in all" in words


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": 0.1}, "learning rate chosen for it; leave learning-rate out"),
        ({"schedule": "cosine"}, "leave schedule out"),
        ({"method": "mini-batch"}, "leave method out"),
        ({"patience": 2}, "gives every method its passes and stops for nothing else; leave patience out"),
        ({"measure_every": 1.0}, "leave measure-every out"),
        ({"normalisation": "batch"}, "brings the units of one example all to 0; set normalisation layer"),
        ({"seeds": 0}, "seeds must be a whole number of at least 1"),
        ({"model": "cnn"}, "takes images"),
        ({"model": "mlp:60000,60000"}, "side by side would take about"),
    ],
)
def test_what_a_race_of_networks_cannot_do_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        run_race(**settings)


def test_images_are_raced_with_convolutions(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 100, (60, 6, 6), dtype=np.uint8), np.arange(60) % 3
    for each in range(3):
        pixels[labels == each, 2 * each : 2 * each + 2] += 100
    np.savez(tmp_path / "x.npz", images=pixels, labels=labels.astype(np.uint8))
    asked = ["race", str(tmp_path / "x.npz"), "--target", "labels", "--model", "cnn:2/4", "--seeds", "1", "--quiet"]
    assert command(asked) == 0
    out = capsys.readouterr().out
    assert "48 training images of 6 x 6 pixels, 12 more held out" in " ".join(out.split())  # the path may be long
    assert "cnn:2/4, plain steps, 1 pass" in out
    for method, batch, updates in (("full-batch", 48, 1), ("stochastic", 1, 48), ("mini-batch", 12, 4)):
        line = next(line for line in out.splitlines() if line.split()[:1] == [method])
        assert line.split()[2:5] == [str(batch), str(updates), "1"]
    assert "At equal seconds" in out
    assert max(len(line) for line in out.splitlines()) <= 100


def test_bad_options_are_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["race", str(CARS), "--target", TARGET, "--model", "mlp:4", "--quiet"]
    for options, sentence in (
        (["--start", "glorto"], 'nearest: "glorot"'),
        (["--seeds", "0"], "seeds must be a whole number of at least 1, not 0"),
        (["--warmup", "0.1"], "leave warmup out"),
    ):
        assert command([*asked, *options]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert sentence in err
        assert err.count("\n") == 1
