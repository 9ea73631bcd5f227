"""What a network's run looks like, as data and on eighty columns."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import downslope
from downslope.cli.chart import chart
from downslope.cli.render import print_sections
from downslope.records import GapKind, Run
from downslope.records.shape import StopKind
from downslope.views import Curve, Facts, Section, Table, Text, Tone, report
from downslope.views.curve import curve_of
from downslope.views.measured import along_section, layers_section, noise_scale
from downslope.views.parts import Trace
from tests.network_records import layer, look, network_run, stop

WIDTH = 80


def words(sections: tuple[Section, ...] | list[Section]) -> str:
    """Return all that sections say, on one line."""
    found: list[str] = []
    for section in sections:
        found.append(section.title)
        for part in section.parts:
            if isinstance(part, Text):
                found.append(part.text)
            elif isinstance(part, Facts):
                found += [f"{label} {value.text}" for label, value in part.rows]
            elif isinstance(part, Table):
                found += [" ".join(cell.text for cell in row) for row in part.rows]
    return " | ".join(found)


def printed(sections: tuple[Section, ...] | list[Section], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    file = io.StringIO()
    print_sections("title", sections, file)
    return file.getvalue().splitlines()


@pytest.fixture(scope="module")
def run() -> Run:
    """Return the run of a network on small pictures of four kinds."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 4, 400)
    pixels = np.clip(60 * kinds[:, None, None] + 40 * rng.standard_normal((400, 5, 5)), 0, 255).astype(np.uint8)
    return downslope.fit(pixels, kinds, runs=None, model="mlp:12,6", epochs=8, measure_every=2.0)


@pytest.fixture
def made(flights_run: Run) -> Run:
    return network_run(flights_run, stop_point=stop(StopKind.MINIMUM))


def table(section: Section) -> Table:
    return next(part for part in section.parts if isinstance(part, Table))


def test_the_report_of_a_network_answers_in_order(run: Run) -> None:
    titles = [section.title for section in report(run)]
    assert titles == [
        "Data", "Chosen, and why", "Shape of the loss, along the run", "Layers", "How the loss went down",
        "Where it ended", "Scores", "Findings", "Record",
    ]  # fmt: skip


def test_the_report_of_a_network_fits_on_eighty_columns(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(report(run), monkeypatch)
    assert max(len(line) for line in lines) <= WIDTH
    assert not [line for line in lines if "…" in line]
    row = next(line.split() for line in lines if line.split()[:1] == [f"{run.updates:,}"])
    assert len(row) > 5


def test_nothing_is_certified_of_a_network(run: Run) -> None:
    said = words(report(run, detail=True))
    assert "certified" not in said
    assert "gap not known: a network has many minima, and no proof of one" in said
    assert f"end point {run.stop_point.message}" in said  # type: ignore[union-attr]
    assert f"model {run.resolved['model']}" in said


def test_each_look_is_a_row(run: Run) -> None:
    found = table(along_section(run))
    assert len(found.rows) == len(run.looks) == 5
    assert [row[0].text for row in found.rows] == [f"{look.update:,}" for look in run.looks]
    assert all(" to " in row[4].text for row in found.rows)


def test_the_layers_at_the_last_look(run: Run) -> None:
    found = table(layers_section(run))
    assert [row[0].text for row in found.rows] == ["hidden.0", "hidden.1", "last"]
    assert found.heads == ("layer", "weights", "gradient", "rank", "dead units")  # Adam's updates are not measured
    assert [row[3].text.split(" of ")[1] for row in found.rows] == ["12", "6", "4"]


def test_the_loss_held_out_stands_beside_the_objective(run: Run) -> None:
    curve = curve_of(run)
    assert curve is not None
    assert curve.beside is not None
    assert curve.beside.label == "held-out loss"
    assert curve.beside.ys == tuple(step.holdout for step in run.steps if math.isfinite(step.holdout))
    assert len(curve.beside.xs) == 8
    assert curve.y_label == "objective"


def test_rate_and_limit_in_words(made: Run) -> None:
    said = words([along_section(made)])
    assert "1,000 10 0.1 0.2 -0.3 to 10 – 200 (150 to 260)" in said
    assert "the rate was at most 50 % of that" in said
    assert "a batch above the noise scale repeats itself, and here it has 64 examples" in said
    assert "on 256 of 1,200 examples, the largest ± 4 %" in said
    hot = replace(made, looks=(look(100, limit=0.02), look()))
    assert "the rate was 5 times that at update 100" in words([along_section(hot)])
    assert table(along_section(hot)).rows[0][2] == Text("0.1", Tone.WARN)
    unknown = replace(made, looks=(replace(look(), limit=math.nan),))
    assert "No limit is known for plain steps" in words([along_section(unknown)])


@pytest.mark.parametrize(
    ("noise", "words"),
    [
        ({}, "200 (150 to 260)"),
        ({"high": math.inf}, "above 150"),
        ({"scale": math.inf, "high": math.inf}, "above 150"),
    ],
)
def test_a_noise_scale_in_words(noise: dict[str, Any], words: str) -> None:
    assert noise_scale(look(**noise).noise) == words


def test_a_long_run_shows_its_first_and_last_look(made: Run) -> None:
    long = replace(made, looks=tuple(look(10 * k) for k in range(1, 101)))
    rows = table(along_section(long)).rows
    assert len(rows) == 12
    assert (rows[0][0].text, rows[-1][0].text) == ("10", "1,000")


def test_the_longest_numbers_still_fit(made: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = look(1_234_567, limit=0.000123, rate=0.000456, scale=12345.0, low=2345.0, high=123456.0)
    wide = replace(wide, passes=1234.5, shape=replace(wide.shape, smallest=-0.000123, condition=123456.0))
    lines = printed([along_section(replace(made, looks=(wide,)))], monkeypatch)
    assert max(len(line) for line in lines) <= WIDTH
    assert "1,234,567" in lines[4]
    assert "0.00046  0.00012  -0.00012 to 16,260" in lines[4]
    assert "(2,345 to 123,500)" in lines[4]


def test_updates_are_shown_where_they_are_known(made: Run) -> None:
    looks = (look(1000, layer(update=1.5e-3), layer("hidden.0.normalisation", units=0, rank=0, dead=math.nan)),)
    found = table(layers_section(replace(made, looks=looks)))
    assert found.heads[3] == "update / weights"
    assert [cell.text for cell in found.rows[0]] == ["hidden.0", "4", "0.05", "0.0015", "16 of 16", "0 %"]
    assert [cell.text for cell in found.rows[1]][3:] == ["–", "–", "–"]


def test_an_end_point_measured_on_a_sample_says_so(made: Run) -> None:
    assert "end point minimum: as measured |" in words(report(made))
    part = replace(made, stop_point=stop(StopKind.MINIMUM, rows=256))
    assert "end point minimum: as measured; measured on 256 of 1,200 examples |" in words(report(part))


def test_many_layers_are_cut_short(made: Run) -> None:
    deep = replace(made, looks=(look(9, *(layer(f"hidden.{k}.layer") for k in range(40))),))
    section = layers_section(deep)
    assert len(table(section).rows) == 24
    assert "and 16 more" in words([section])


def test_where_nothing_was_measured_nothing_is_shown(made: Run) -> None:
    bare = replace(made, looks=(), stop_point=None)
    said = words(report(bare))
    assert "Shape of the loss" not in said
    assert "Layers" not in said
    assert "end point" not in said


def test_a_linear_model_of_images_has_one_minimum(flights_run: Run) -> None:
    said = words(report(network_run(flights_run, {"model": "linear"}, {"model": "linear"}, gap_kind=GapKind.NONE)))
    assert "gap not known |" in said
    assert "many minima" not in said


def test_shortened_gradients_are_counted(flights_run: Run) -> None:
    said = words(report(network_run(flights_run, {"clip": 0.5}, {"clipped": 12})))
    assert "1,000 updates, 10 passes; 12 gradients shortened to 0.5" in said


def test_what_stands_beside_a_curve_is_told_apart_without_colour() -> None:
    curve = Curve((0.0, 2.0), (1.0, 0.0), "passes", "objective", False, Trace((0.0, 1.0, 2.0), (1.0, 2.0, 0.5), "held"))
    lines = chart(curve, 21, 5, unicode=False)
    assert [line.partition("|")[2] for line in lines[:5]] == ["    o", "", "o**", "   ****  o", "       ***"]
