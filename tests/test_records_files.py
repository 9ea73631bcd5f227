"""Records to strict JSON and back."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downslope.records import GapKind, RaceEntry, RaceResult, Reached, Run, StepRecord, Verdict
from downslope.records.files import plain, record_to_json, run_from_json, run_to_json

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | NUMBERS
    | st.text(max_size=8).filter(lambda word: word not in ("nan", "inf", "-inf")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def refuse(word: str) -> None:
    pytest.fail(f"strict JSON has no {word}")


def through_json(run: Run) -> Run:
    return run_from_json(json.loads(json.dumps(run_to_json(run), allow_nan=False), parse_constant=refuse))


def test_round_trip(flights_run: Run) -> None:
    again = through_json(flights_run)
    assert repr(again) == repr(flights_run)  # by repr, in which nan equals nan
    assert isinstance(again.verdict, Verdict)
    assert isinstance(again.steps[0], StepRecord)
    assert isinstance(again.steps[0].gap_kind, GapKind)
    assert isinstance(again.data.columns, tuple)


@given(gap=NUMBERS, scores=st.dictionaries(st.text(max_size=5), NUMBERS, max_size=3), value=ANYTHING)
def test_round_trip_of_any_number(flights_run: Run, gap: float, scores: dict[str, float], value: object) -> None:
    run = replace(flights_run, gap=gap, train=scores, resolved={"x": value}, environment={"y": value})
    assert repr(through_json(run)) == repr(run)


def test_words_for_what_json_lacks(flights_run: Run) -> None:
    run = replace(flights_run, gap=math.nan, objective=math.inf, resolved={"l2": math.nan, "loss": None})
    values = run_to_json(run)
    assert values["gap"] is None
    assert values["objective"] == "inf"
    assert values["resolved"] == {"l2": "nan", "loss": None}


def test_unknown_fields_of_a_record_are_left_alone(flights_run: Run) -> None:
    assert run_from_json({**run_to_json(flights_run), "mood": "fine"}).run == flights_run.run


def test_an_absent_field_without_a_default_is_an_error(flights_run: Run) -> None:
    values = run_to_json(flights_run)
    del values["verdict"]
    with pytest.raises(KeyError, match="verdict"):
        run_from_json(values)


@pytest.mark.parametrize(("name", "wrong"), [("verdict", "fine"), ("updates", "many"), ("gap", "wide"), ("data", 3)])
def test_a_field_of_another_kind_is_an_error(flights_run: Run, name: str, wrong: object) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        run_from_json({**run_to_json(flights_run), name: wrong})


def test_a_race_as_json() -> None:
    entry = RaceEntry(
        "stochastic", 0.01, 1, 3, Verdict.BUDGET, "", 0.1, 10, 1.0, 0.1, (Reached(1.0, math.inf, math.nan),)
    )
    race = RaceResult("cars.csv", "mpg", 7, 1, "squared", 303.7, 1.47, GapKind.CERTIFIED, (entry,), 0.2)
    values = json.loads(json.dumps(record_to_json(race), allow_nan=False), parse_constant=refuse)
    assert values["entries"][0]["at_equal_updates"] == [{"budget": 1.0, "gap": "inf", "scatter": None}]
    assert values["entries"][0]["verdict"] == "budget"


def test_plain_values() -> None:
    assert plain({"a": (1, math.inf), "b": Verdict.STOPPED}) == {"a": [1, "inf"], "b": "stopped"}
