"""How numbers are written."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downslope.records.figures import count, duration, figure, plural, share


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0, "0"), (0.0698, "0.0698"), (28.65, "28.6"), (2284.0, "2,284"), (0.5, "0.5"), (119219.0, "119,200"),
        (100.0, "100"),
        (3.1e-7, "3.1e-7"), (1.23456e12, "1.23e12"), (-4.569, "-4.57"), (math.nan, "unknown"), (math.inf, "infinite"),
        (-math.inf, "minus infinite"),
    ],
)  # fmt: skip
def test_figure(value: float, written: str) -> None:
    assert figure(value) == written


@given(st.floats(-1e15, 1e15).filter(lambda value: abs(value) > 1e-300))
def test_a_figure_is_within_half_a_unit_of_its_last_digit(value: float) -> None:
    assert math.isclose(float(figure(value).replace(",", "")), value, rel_tol=0.0051)


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.0, "0 %"), (7e-5, "0.007 %"), (0.2, "20 %"), (0.91, "91 %"), (0.9999, "99.99 %"), (1.0, "100 %")],
)
def test_share(value: float, written: str) -> None:
    assert share(value) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(2e-4, "200 µs"), (0.038, "38 ms"), (0.9996, "1 s"), (1.62, "1.62 s"), (200.0, "3 min 20 s"), (9000.0, "2.5 h"),
     (math.nan, "unknown")],
)  # fmt: skip
def test_duration(seconds: float, written: str) -> None:
    assert duration(seconds) == written


def test_counts() -> None:
    assert count(327346) == "327,346"
    assert plural(1, "row") == "1 row"
    assert plural(2, "pass", "passes") == "2 passes"
