from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downslope.errors import OptionError
from downslope.records.spec import LOSSES, METHODS, NETWORK_RULES, RULES, SCHEDULES, Setting, Spec, setting_of, settings


def test_the_defaults_are_allowed_and_listed() -> None:
    table = settings()
    assert list(table) == [each.name for each in fields(Spec)]
    spec = Spec()
    for name, (default, setting) in table.items():
        assert getattr(spec, name) == default
        assert setting.help


@pytest.mark.parametrize(
    ("name", "values"),
    [("loss", LOSSES), ("method", METHODS), ("rule", RULES + NETWORK_RULES), ("schedule", SCHEDULES)],
)
def test_every_choice_is_allowed_and_no_other(name: str, values: tuple[str, ...]) -> None:
    for value in values:
        assert getattr(Spec(**{name: value}), name) == value
    listed = ", ".join(f'"{each}"' for each in ("auto", *values[:-1]))
    with pytest.raises(OptionError, match=rf"""^{name} must be {listed} or "{values[-1]}", not 'xyzzy'$"""):
        Spec(**{name: "xyzzy"})


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("learning_rate", 0, 'learning-rate must be "auto" or a number above 0, not 0'),
        ("learning_rate", -1.0, 'learning-rate must be "auto" or a number above 0, not -1.0'),
        ("learning_rate", float("inf"), 'learning-rate must be "auto" or a number above 0, not inf'),
        ("learning_rate", float("nan"), 'learning-rate must be "auto" or a number above 0, not nan'),
        ("learning_rate", True, 'learning-rate must be "auto" or a number above 0, not True'),
        ("batch_size", 0, 'batch-size must be "auto" or a whole number of at least 1, not 0'),
        ("batch_size", 2.5, 'batch-size must be "auto" or a whole number of at least 1, not 2.5'),
        ("holdout", 1, "holdout must be a number of at least 0 and below 1, not 1"),
        ("l1", -0.1, "l1 must be a number of at least 0, not -0.1"),
        ("quantile", 1.0, "quantile must be a number above 0 and below 1, not 1.0"),
        ("momentum", 1.0, "momentum must be a number of at least 0 and below 1, not 1.0"),
        ("seed", -1, "seed must be a whole number of at least 0, not -1"),
        ("tolerance", 1, "tolerance must be a number of at least 0 and below 1, not 1"),
        ("rule", "adamm", 'rule must be .*nearest: "adam"'),
    ],
)
def test_what_is_out_of_range_is_refused_in_one_sentence(name: str, value: object, sentence: str) -> None:
    with pytest.raises(OptionError, match=f"^{sentence}"):
        Spec(**{name: value})


@pytest.mark.parametrize(
    ("given_settings", "sentence"),
    [
        ({"sql": "select 1", "source": "a.csv"}, "--sql and a source exclude each other"),
        ({"method": "stochastic", "batch_size": 8}, "batch-size applies to mini-batch, but the method is stochastic"),
        ({"method": "scaled", "learning_rate": 0.1}, "the scaled method chooses its own direction"),
        ({"method": "scaled", "rule": "adam"}, "the scaled method chooses its own direction"),
        ({"method": "scaled", "warmup": 0.1}, "the scaled method chooses its own direction"),
        ({"target": "y", "drop": ("x", "y")}, "the target cannot also be dropped"),
        ({"target": "y", "weights": "y"}, "the target cannot also be the weights"),
        ({"holdout": 0, "holdout_by": "day"}, "holdout-by needs a holdout above 0"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(given_settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(OptionError, match=f"^{sentence}"):
        Spec(**given_settings)


@given(
    rate=st.one_of(st.just("auto"), st.floats(1e-9, 1e9)),
    size=st.one_of(st.just("auto"), st.integers(1, 10**6)),
    drop=st.lists(st.text(max_size=5), max_size=3),
    l1=st.floats(0, 10),
    rule=st.sampled_from(("auto", *RULES)),
    weights=st.one_of(st.none(), st.text(min_size=1, max_size=5)),
)
def test_a_spec_comes_back_from_json_as_it_was(
    rate: Any, size: Any, drop: list[str], l1: float, rule: str, weights: str | None
) -> None:
    spec = Spec(
        source="t.csv", drop=tuple(drop), learning_rate=rate, batch_size=size, l1=l1, rule=rule, weights=weights
    )
    assert Spec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_settings_absent_from_json_keep_their_default_and_unknown_ones_are_refused() -> None:
    assert Spec.from_json({"l1": 0.5}) == Spec(l1=0.5)
    with pytest.raises(OptionError, match=r'^there is no setting called "learning_rat"; nearest: "learning_rate"'):
        Spec.from_json({"learning_rat": 0.5})


@given(
    low=st.floats(-10, 0), high=st.floats(1, 10), open_low=st.booleans(), open_high=st.booleans(),
    value=st.floats(-20, 20),
)  # fmt: skip
def test_a_range_holds_its_ends_unless_they_are_open(
    low: float, high: float, open_low: bool, open_high: bool, value: float
) -> None:
    setting = Setting("", low=low, high=high, open_low=open_low, open_high=open_high)
    inside = (low < value if open_low else low <= value) and (value < high if open_high else value <= high)
    if inside:
        setting.check("x", value)
    else:
        with pytest.raises(OptionError):
            setting.check("x", value)


def test_the_table_says_what_is_allowed() -> None:
    assert setting_of(fields(Spec)[0]).describe() == ""
    described = {name: setting.describe() for name, (_, setting) in settings().items()}
    assert described["batch_size"] == '"auto" or a whole number of at least 1'
    assert described["holdout"] == "a number of at least 0 and below 1"
    assert described["class_weight"] == '"balanced"'
