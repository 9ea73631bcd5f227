"""Curves, tables and progress as characters."""

from __future__ import annotations

import io
import math
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downslope.cli.chart import BRAILLE, chart
from downslope.cli.progress import Progress, step_line
from downslope.cli.render import print_sections
from downslope.cli.runs import exact_spec
from downslope.errors import RunError
from downslope.records import Run, Spec
from downslope.views import Curve, Section, Table, Text, Tone
from downslope.views.parts import texts


def test_a_falling_line() -> None:
    curve = Curve((0.0, 1.0), (1.0, 0.0), "passes", "objective", log=False)
    assert chart(curve, 21, 5, unicode=False) == [
        "        1 |**",
        "          |  **",
        "      0.5 |    **",
        "          |      **",
        "        0 |        **",
        "          +----------",
        "           0 1 passes",
    ]


def test_a_logarithmic_axis_names_the_powers_of_ten() -> None:
    curve = Curve((0.0, 1.0, 2.0), (1.0, 1e-2, 1e-4), "passes", "gap", log=True)
    lines = chart(curve, 60, 9)
    labels = [line.partition("│")[0].strip() for line in lines[:9]]
    assert labels == ["1", "", "0.1", "", "0.01", "", "0.001", "", "0.0001"]


@given(
    ys=st.lists(st.floats(1e-12, 1e12), min_size=2, max_size=50, unique=True),
    width=st.integers(20, 120),
    height=st.integers(2, 20),
    log=st.booleans(),
)
def test_a_chart_fits_its_frame_and_shows_both_ends(ys: list[float], width: int, height: int, log: bool) -> None:
    curve = Curve(tuple(float(x) for x in range(len(ys))), tuple(ys), "passes", "gap", log)
    if log and math.log(max(ys)) == math.log(min(ys)):
        return
    lines = chart(curve, width, height)
    assert len(lines) == height + 2
    columns = max(width - 11, 10)
    drawn = [line.partition("│")[2].ljust(columns) for line in lines[:height]]
    assert all(len(line) == columns for line in drawn)
    assert all(each == " " or ord(each) > BRAILLE for line in drawn for each in line)
    assert any(line[0] != " " for line in drawn)
    assert any(line[-1] != " " for line in drawn)
    assert drawn[0].strip()
    assert drawn[-1].strip()


def page(*parts: Table | Text, width: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    file = io.StringIO()
    print_sections("title", (Section("Part", parts),), file)
    return file.getvalue().splitlines()


def test_spare_columns_are_left_out_where_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(("a", "b", "c"), (texts("x" * 20, "y" * 20, "z" * 20),), spare=(1,))
    assert page(table, width=80, monkeypatch=monkeypatch)[-1].split() == ["x" * 20, "y" * 20, "z" * 20]
    assert page(table, width=50, monkeypatch=monkeypatch)[-1].split() == ["x" * 20, "z" * 20]


def test_words_are_printed_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = page(Text("[bold]a[/bold] :smile: {x}", Tone.BAD), width=80, monkeypatch=monkeypatch)
    assert lines == ["title", "", "Part", "  [bold]a[/bold] :smile: {x}"]


def test_progress_is_silent_until_there_is_something_to_say(
    flights_run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Progress() as progress:
        progress.tell("data", flights_run.data)
        for step in flights_run.steps:
            progress.watch(step)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("downslope.cli.progress.EVERY", 0.0)
    with Progress() as progress:
        progress.tell("data", flights_run.data)
        progress.watch(flights_run.steps[1])
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[0].startswith("327,346 rows read")
    assert err.splitlines()[1].startswith("update 1, pass 3.1, objective 0.5342, gap 0.049, rate 1, ")
    with Progress(quiet=True) as progress:
        progress.watch(flights_run.steps[1])
    assert capsys.readouterr() == ("", "")


def test_progress_in_a_terminal_is_one_line_that_goes_away(flights_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with Progress() as progress:
        progress.watch(flights_run.steps[2])
    said = terminal.getvalue()
    assert "objective 0.52638" in said
    assert said.rstrip().endswith(("\x1b[2K", "\x1b[?25h"))


def test_a_step_whose_gap_is_unknown(flights_run: Run) -> None:
    unknown = replace(flights_run.steps[0], gap=math.nan)
    assert step_line(unknown) == "update 0, pass 2.1, objective 0.69315, rate 1"


def test_the_exact_spec_takes_what_was_chosen(flights_run: Run) -> None:
    assert exact_spec(flights_run) == replace(
        flights_run.spec, loss="log", method="scaled", l2=1e-6, average=False, epochs=100.0, precision="float32"
    )
    batches = replace(
        flights_run, resolved={"method": "mini-batch", "rule": "plain", "batch_size": 64, "learning_rate": 0.3}
    )
    assert exact_spec(batches) == replace(
        flights_run.spec, method="mini-batch", rule="plain", batch_size=64, learning_rate=0.3
    )


def test_arrays_cannot_be_run_again(flights_run: Run) -> None:
    with pytest.raises(RunError, match="trained on arrays in Python"):
        exact_spec(replace(flights_run, spec=Spec(target="y")))
