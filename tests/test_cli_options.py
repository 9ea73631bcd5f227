"""Options come from the table of settings, and every setting is reachable."""

from __future__ import annotations

from typing import Any

import pytest

from downslope.cli.app import app
from downslope.cli.options import flag, parse, spec_of
from downslope.cli.running import run
from downslope.errors import OptionError
from downslope.records import Spec, settings


@pytest.mark.parametrize("command", ["fit", "sweep"])
def test_every_setting_has_its_option(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    said = capsys.readouterr().out
    for name in settings():
        if name != "source":
            assert flag(name) in said


def test_the_commands() -> None:
    assert [each.name for each in app.registered_commands] == [
        "fit", "predict", "race", "sweep", "runs", "show", "report", "rerun", "resume", "surface", "slice", "shape",
        "play",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("learning_rate", "0.1", 0.1),
        ("learning_rate", "auto", "auto"),
        ("batch_size", "1e3", 1000),
        ("epochs", "20", 20),
        ("max_seconds", "none", None),
        ("where", "none", None),
        ("fit_intercept", False, False),
        ("average", True, True),
        ("drop", ["a,b", "c"], ("a", "b", "c")),
        ("drop", ['"a,b", 列'], ("a,b", "列")),
        ("drop", [""], ()),
        ("loss", "huber", "huber"),
        ("sql", "select 1, 2", "select 1, 2"),
    ],
)
def test_words_become_values(name: str, given: Any, value: object) -> None:
    assert parse(name, given) == value


def test_a_spec_from_options() -> None:
    spec = spec_of("a.csv", "y", {"drop": ["x"], "batch_size": "32", "standardize": False, "method": "mini-batch"})
    assert spec == Spec(source="a.csv", target="y", drop=("x",), batch_size=32, standardize=False, method="mini-batch")


def test_a_quote_that_does_not_end() -> None:
    with pytest.raises(OptionError, match=r"--drop .* has a quote that does not end"):
        parse("drop", ['"a'])
