"""``downslope surface`` end to end: what it prints, the codes it ends with, and the page as data."""

from __future__ import annotations

import json

import pytest

from downslope.cli.running import run
from downslope.fitting import basins
from downslope.views.surface import MARKS, surface_report

FEW = ["--starts", "400", "--rule", "plain", "--learning-rate", "0.002"]


def test_the_page_of_a_named_surface(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["surface", "himmelblau", *FEW]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    titles = ["himmelblau", "The surface", "Minima reached", "Which start reaches which minimum"]
    assert [line for line in lines if line in titles] == titles
    assert sum("global minimum" in line for line in lines) == 4
    assert max(len(line) for line in lines) <= 80
    assert "█" in out
    assert err == ""
    cells = [line.strip() for line in lines if len(line.strip()) > 12 and set(line.strip()) <= set("0123 ·")]
    assert len(cells) == 5  # 17 characters across, so that four starts come on each
    assert cells[0][0] == "2"  # upper left of the plane lies (-2.8, 3.1), third in the table
    assert cells[-1][0] == "3"
    assert cells[-1][-1] == "0"


def test_json_is_one_object_that_agrees_with_python(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["surface", "himmelblau", *FEW, "--json"]) == 0
    out, _ = capsys.readouterr()
    assert out.count("\n") == 1
    told = json.loads(out)
    found = basins("himmelblau", 400, rule="plain", learning_rate=0.002)
    assert [each["share"] for each in told["minima"]] == [each.share for each in found.minima]
    assert told["minima"][0]["name"] == "global minimum"
    assert told["lowest_known"] == 0.0
    assert (told["starts"], told["rule"], told["variables"]) == (400, "plain", ["x", "y"])


def test_an_expression_has_a_lowest_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["surface", "x**4 - 3*x**2 + x", "--starts", "300", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in told["minima"]] == ["lowest found", "local minimum"]
    assert told["lowest_known"] is None
    assert [each["name"] for each in told["choices"]] == ["rule", "learning_rate"]
    assert sum(each["share"] for each in told["minima"]) == 1.0


def test_one_start_shows_its_way(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--start", "2", "--rule", "plain", "--learning-rate", "0.3"]
    assert run(["surface", "two-valleys", *options]) == 0
    out, _ = capsys.readouterr()
    assert "step     1   x = -0.4" in out
    assert "step   500   x = -2" in out


def test_descents_that_all_diverge_fail(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--rule", "plain", "--learning-rate", "0.6", "--start", "2"]
    assert run(["surface", "two-valleys", *options]) == 1
    out, _ = capsys.readouterr()
    assert "No start reached a minimum." in out
    assert "100 % diverged" in out


def test_noise_and_a_box_are_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--starts", "200", "--steps", "100", "--rule", "plain", "--learning-rate", "0.05", "--noise", "2"]
    assert run(["surface", "two-valleys", *options, "--box", "0.5:1.5", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["box"] == [[0.5, 1.5]]
    assert told["noise"] == 2.0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "surface needs a surface"),
        (["egg-crte"], 'there is no surface called "egg-crte"; nearest: "egg-crate"'),
        (["__import__('os').system('true')"], "calls no function known here"),
        (["x**2", "--start", "9"], "the start x = 9 lies outside the box of x**2, -5 to 5"),
        (["x**2", "--start", "a"], '--start a is not understood; give numbers with "," between them'),
        (["x**2", "--box", "3"], "--box 3 is not understood; write low:high"),
        (["x**2", "--box", "3:1"], "each pair of a box goes from low to high"),
        (["x**2", "--starts", "0"], "starts must be a whole number"),
        (["x**2", "--steps", "0"], "steps must be a whole number"),
        (["x**2", "--noise", "-1"], "noise must be a number"),
        (["x**2", "--seed", "-1"], "seed must be"),
        (["x**2", "--rule", "adm"], 'nearest: "adam"'),
        (["x**2", "--learning-rate", "big"], "learning-rate must be"),
        (["x**2", "--start", "1,2"], "has 1 number (x), but 2 numbers were given"),
        (["x**2", "--targt", "y"], "has no option --targt"),
    ],
)
def test_bad_usage_is_one_sentence(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["surface", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert sentence in err


def test_many_minima_are_counted_and_marked_as_far_as_letters_go() -> None:
    found = basins("egg-crate", 3000, rule="plain", learning_rate=0.002)
    sections = {each.title: each.parts for each in surface_report(found)}
    table, more, *_ = sections["Minima reached"]
    assert len(table.rows) == 12  # pyright: ignore[reportAttributeAccessIssue]
    assert more.text.startswith(f"and {len(found.minima) - 12} more minima, ")  # pyright: ignore[reportAttributeAccessIssue]
    legend = sections["Which start reaches which minimum"][-1]
    assert f"or past {MARKS[-1]}" in legend.text  # pyright: ignore[reportAttributeAccessIssue]
