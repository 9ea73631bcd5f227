"""The map of a network: its cells against single trainings, its halving, its zones, and what it refuses."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest

from downslope.cli.running import run as command
from downslope.engines.network.inputs import parts_of
from downslope.errors import OptionError
from downslope.fitting import sweep
from downslope.fitting.network_task import make_task
from downslope.fitting.sweep_network import round_ends, rounds_of, survivors, swept_rates
from downslope.fitting.zones import NEAR, Column, Found, cells_with_zones
from downslope.models.network import parse_model
from downslope.models.network.layers import build_network
from downslope.records import NetworkCell, NetworkSweep, Spec, Verdict, Zone
from downslope.records.files import record_from_json, record_to_json
from downslope.training.network.side_by_side import learned_numbers
from downslope.views import Table, Text, sweep_report
from tests.plain_networks import Plain

CARS = Path(__file__).parent.parent / "examples" / "cars.csv"
TARGET = "miles_per_gallon"
QUICK: dict[str, Any] = {"model": "mlp:6", "drop": "name"}


def swept(**settings: Any) -> NetworkSweep:
    found = sweep(CARS, TARGET, **{**QUICK, **settings})
    assert isinstance(found, NetworkSweep)
    return found


@cache
def usual() -> NetworkSweep:
    """Return a map of plain steps, whose highest rates blow up."""
    rates = [1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 30.0]
    return swept(rule="plain", learning_rates=rates, batch_sizes=[16, 64], seeds=2, epochs=7)


def cell(result: NetworkSweep, rate: float, size: int, start: str = "he") -> NetworkCell:
    return next(
        each for each in result.cells if (each.learning_rate, each.batch_size, each.start) == (rate, size, start)
    )


@pytest.mark.parametrize("size", [16, 50])
def test_a_cell_is_the_mean_of_the_trainings_that_it_stands_for(size: int) -> None:
    result = swept(
        learning_rates=[0.003, 0.01], batch_sizes=[size], starts=["he", "glorot"], seeds=2, epochs=1.5, rule="adam"
    )  # fmt: skip
    found = cell(result, 0.01, size, "glorot")
    assert not found.dropped
    plain = Plain(make_task(CARS, Spec(source=str(CARS), target=TARGET, drop=("name",), model="mlp:6"), None))
    rule = optax.scale_by_adam(0.9, 0.999, 1e-8)
    each = [
        plain.losses(rule, plain.start("glorot", seed), size, 0.01, found.updates, seed) for seed in (0, 1)
    ]  # fmt: skip
    for spread, losses in ((found.train, [one.train for one in each]), (found.held, [one.held for one in each])):
        assert spread.mean == pytest.approx(np.mean(losses), rel=1e-4)
        assert spread.deviation == pytest.approx(np.std(losses, ddof=1), rel=1e-2)


def test_the_worse_half_is_dropped_twice_and_recorded_where_it_stood() -> None:
    result = usual()
    assert len(result.rounds) == 3
    for size in result.batch_sizes:
        cells = [each for each in result.cells if each.batch_size == size]
        assert len(cells) == 8
        ended = [each for each in cells if not each.dropped and not each.diverged]
        assert len(ended) == 2
        assert all(each.passes == pytest.approx(7) for each in ended)
        gone = [each for each in cells if each.passes < 1.1]
        assert len(gone) == 4
        assert all(each.dropped == (each.diverged == 0) for each in gone)
        assert all("dropped after" in each.message for each in cells if each.dropped)
        last = max(result.judged(each).mean for each in ended)
        assert last <= min(result.judged(each).mean for each in cells if each.dropped) * 1.5


def test_all_zones_show_in_their_order() -> None:
    for size in usual().batch_sizes:
        zones = [each.zone for each in usual().cells if each.batch_size == size]
        assert zones[0] is Zone.TOO_SLOW
        assert zones[-1] is Zone.DIVERGED
        assert Zone.SWEET_SPOT in zones
        rising = [list(Zone).index(each) for each in zones]
        assert rising == sorted(rising)
    lost = cell(usual(), 30.0, 16)
    assert (lost.verdict, lost.diverged, lost.dropped) == (Verdict.DIVERGED, 2, False)
    assert math.isinf(lost.held.mean)
    assert lost.updates < 40
    assert "diverged after" in lost.message


def test_the_best_is_the_lowest_of_those_that_ran_to_the_end() -> None:
    result = usual()
    assert result.best is not None
    ended = [each for each in result.cells if not each.dropped and not each.diverged]
    assert result.best.held.mean == min(each.held.mean for each in ended)
    assert result.best.zone is Zone.SWEET_SPOT
    assert result.best.fallen == pytest.approx(1.0)


def test_a_seed_changes_start_and_order_and_not_the_rows_held_out() -> None:
    settings: dict[str, Any] = {"learning_rates": [0.01], "batch_sizes": [32], "epochs": 1}
    one, two = swept(seeds=1, **settings), swept(seeds=2, **settings)
    assert (one.seeds, two.seeds) == ((0,), (0, 1))
    assert (one.rows, one.held_rows) == (two.rows, two.held_rows)
    first, both = one.cells[0], two.cells[0]
    assert math.isnan(first.held.deviation)
    assert both.held.deviation > 0
    assert abs(both.held.mean - first.held.mean) == pytest.approx(both.held.deviation / math.sqrt(2), rel=1e-3)


def test_starts_are_an_axis() -> None:
    result = swept(
        learning_rates=[0.01, 0.03], batch_sizes=[16], starts=["he", "zeros"], seeds=1, epochs=4, activation="tanh"
    )  # fmt: skip
    assert result.starts == ("he", "zeros")
    assert {each.start for each in result.cells} == {"he", "zeros"}
    stuck = cell(result, 0.03, 16, "zeros")  # only the last bias learns: all units stay zero
    assert stuck.zone is Zone.TOO_SLOW
    assert abs(stuck.fallen) < 1 - NEAR
    assert {each.zone for each in result.cells if each.start == "zeros"} == {Zone.TOO_SLOW}
    last = [part.text for part in sweep_report(result)[-1].parts if isinstance(part, Text)]
    assert last[-1].startswith("From the start zeros no rate got away: the loss fell ")


def test_the_axes_left_to_choice_suit_rule_and_rows() -> None:
    result = swept(seeds=1, epochs=0.2)
    assert result.learning_rates == (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0)
    assert result.batch_sizes == (8, 32, 128)
    assert swept_rates("prodigy", parse_model("mlp")) == [0.1, 0.3, 1.0, 3.0, 10.0]
    assert swept_rates("plain", parse_model("mlp")) == [3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]


@pytest.mark.parametrize(
    ("model", "shape"), [("linear", (7,)), ("mlp:5,4", (7,)), ("cnn:3,4/6", (9, 8, 2)), ("cnn:3", (6, 6, 1))]
)
@pytest.mark.parametrize("normalisation", ["none", "layer"])
def test_what_a_network_learns_is_counted_before_it_is_built(
    model: str, shape: tuple[int, ...], normalisation: str
) -> None:
    architecture = parse_model(model, normalisation=normalisation)
    weights, _ = parts_of(build_network(architecture, shape, 3, jax.random.PRNGKey(0)))
    assert learned_numbers(architecture, shape, 3) == sum(leaf.size for leaf in jax.tree.leaves(weights))


def test_rounds_are_each_twice_as_long() -> None:
    assert [rounds_of(cells, 1000) for cells in (1, 2, 3, 4, 7, 8, 99)] == [1, 1, 1, 2, 2, 3, 3]
    assert rounds_of(99, 2) == 2
    assert round_ends(700, 3) == [100, 300, 700]
    assert round_ends(3, 3) == [1, 2, 3]
    assert round_ends(5, 1) == [5]


def test_survivors_are_the_better_half_with_all_their_seeds() -> None:
    losses = np.array([[3.0, 3.0], [1.0, math.nan], [2.0, 1.0], [0.5, 4.0], [9.0, 9.0]])
    assert survivors(losses) == [0, 2, 3]
    assert survivors(np.full((4, 1), math.nan)) == []


def found(rate: float, losses: tuple[float, ...], *, seeds: int = 1, last: int = 0) -> Found:
    return Found(rate, 8, "he", seeds, losses, losses, 2.0, last, 10, 1.0, False)


def test_a_zone_goes_by_the_lowest_at_the_same_passes_and_by_the_best_rate() -> None:
    column = Column(
        [found(0.001, (1.99,)), found(0.01, (1.04,)), found(0.1, (0.5,), last=1), found(1.0, (1.5,)),
         found(2.0, (2.5,)), found(3.0, (1.0,), seeds=2)],
        [1.0, 0.5],
    )  # fmt: skip
    cells = cells_with_zones([column], True)
    assert [each.zone for each in cells] == [
        Zone.TOO_SLOW, Zone.SWEET_SPOT, Zone.SWEET_SPOT, Zone.TOO_LARGE, Zone.DIVERGED, Zone.DIVERGED,
    ]  # fmt: skip
    assert [each.fallen for each in cells[:4]] == pytest.approx([0.01, 0.96, 1.0, 0.5])
    assert cells[-1].message == "diverged with 1 of 2 seeds, first after 10 updates, 1 pass"
    assert cells[-1].held.mean == 1.0


def test_the_record_survives_a_file_and_the_page_is_drawn_from_it() -> None:
    result = record_from_json(NetworkSweep, json.loads(json.dumps(record_to_json(usual()), allow_nan=False)))
    assert record_to_json(result) == record_to_json(usual())
    sections = sweep_report(result)
    assert [each.title for each in sections] == ["The sweep", "Learning rate by batch size", "Lowest"]
    table = next(part for part in sections[1].parts if isinstance(part, Table))
    assert table.heads == ("rate", "16", "64")
    assert [row[0].text for row in table.rows] == ["30", "1", "0.3", "0.1", "0.03", "0.01", "0.001", "0.0001"]
    assert table.rows[0][1].text == "×"
    assert sum("★" in each.text for row in table.rows for each in row) == 1
    assert any(each.text.startswith("(") for row in table.rows for each in row)
    words = " ".join(part.text for section in sections for part in section.parts if isinstance(part, Text))
    assert "gap" not in words
    assert "Best: learning rate" in words


def test_a_map_of_nothing_but_divergence_says_so() -> None:
    result = swept(rule="plain", learning_rates=[1e3, 1e4], batch_sizes=[16], seeds=1, epochs=1)
    assert result.best is None
    assert {each.zone for each in result.cells} == {Zone.DIVERGED}
    last = sweep_report(result)[-1].parts[-1]
    assert isinstance(last, Text)
    assert last.text == "Every cell diverged; try learning rates below 1,000."


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rates": [0.1, -1.0]}, "each learning rate must be a number above 0, but one is -1"),
        ({"batch_sizes": [0]}, "each batch size must be a number above 0, but one is 0"),
        ({"learning_rates": [0.1], "learning_rate": 0.2}, "give one of them"),
        ({"starts": ["he"], "start": "zeros"}, "start and starts say the same; give one of them"),
        ({"starts": ["he", "glorto"]}, "not 'glorto'; nearest: \"glorot\""),
        ({"seeds": 0}, "seeds must be a whole number of at least 1, not 0"),
        ({"patience": 3}, "stops for nothing else; leave patience out"),
        ({"max_seconds": 3}, "leave max-seconds out"),
        ({"average": True}, "leave average out"),
        ({"model": "cnn"}, "takes images"),
        ({"model": "mlp:x"}, "does not parse"),
        ({"model": "mlp:60000,60000"}, "side by side would take about .* but .* are free; give fewer learning rates"),
    ],
)
def test_what_a_sweep_of_networks_cannot_do_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        swept(**settings)


@pytest.mark.parametrize("settings", [{"seeds": 2}, {"starts": ["zeros"]}])
def test_a_linear_sweep_takes_neither_seeds_nor_starts(settings: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="a linear model starts at zero weights"):
        sweep(CARS, TARGET, **settings)


def images() -> tuple[np.ndarray, np.ndarray]:
    """Return 120 small images of two kinds: bright above, or bright below."""
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 100, (120, 6, 6), dtype=np.uint8), np.arange(120) % 2
    pixels[labels == 0, :3] += 100
    pixels[labels == 1, 3:] += 100
    return pixels, labels.astype(np.uint8)


def test_images_are_swept_with_convolutions() -> None:
    result = sweep(*images(), model="cnn:3/6", learning_rates=[1e-6, 0.03], batch_sizes=[10], epochs=3, seeds=2)
    assert isinstance(result, NetworkSweep)
    assert (result.architecture, result.shape, result.loss_name) == ("cnn:3/6", (6, 6, 1), "log")
    slow, good = result.cells
    assert (slow.zone, good.zone) == (Zone.TOO_SLOW, Zone.SWEET_SPOT)
    assert good.held.mean < 0.5 * good.at_start
    assert slow.updates == good.updates == 3 * 10


ASKED = ["sweep", str(CARS), "--target", TARGET, "--model", "mlp:4", "--epochs", "1", "--quiet"]


def test_the_command_takes_lists_and_prints_maps(capsys: pytest.CaptureFixture[str]) -> None:
    lists = ["--learning-rate", "0.1,0.01", "--batch-size", "16,64", "--start", "he,glorot", "--seeds", "2"]
    assert command([*ASKED, *lists, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["learning_rates"], result["batch_sizes"]) == ([0.01, 0.1], [16, 64])
    assert (result["starts"], result["seeds"]) == (["he", "glorot"], [0, 1])
    assert len(result["cells"]) == 8
    assert command([*ASKED, *lists]) == 0
    out = capsys.readouterr().out
    for words in ("start he", "start glorot", "★", "minimum is not known", "2 a cell, each with starting weights"):
        assert words in " ".join(out.split())
    assert "gap" not in out
    assert max(len(line) for line in out.splitlines()) <= 100


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--learning-rate", "fast"], "--learning-rate fast is not understood"),
        (["--batch-size", "8,2.5"], "--batch-size 8,2.5 is not understood"),
        (["--start", "he,"], "--start he, is not understood"),
        (["--start", "hee"], 'nearest: "he"'),
        (["--seeds", "two"], "seeds"),
        (["--patience", "3"], "leave patience out"),
        (["--method", "full-batch"], "a network takes mini-batches"),
    ],
)
def test_bad_axes_are_one_sentence(options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command([*ASKED, *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert sentence in err
