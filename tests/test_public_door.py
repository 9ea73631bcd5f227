"""The public door: what leaves the package, and that opening it costs nothing."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

import downslope

PUBLIC = [
    "DownslopeError",
    "Finding",
    "GradientDescentClassifier",
    "GradientDescentRegressor",
    "InputError",
    "Run",
    "Spec",
    "Verdict",
    "basins",
    "fit",
    "loss_shape",
    "loss_slice",
    "minimize",
    "play_here",
    "predict",
    "predict_in_parts",
    "race",
    "report",
    "resume",
    "show",
    "sweep",
]
HEAVY = {"duckdb", "jax", "numba", "numpy", "pandas", "polars", "pyarrow", "rich", "scipy", "sklearn", "typer"}


def in_fresh_interpreter(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def test_the_exported_names_are_pinned() -> None:
    assert downslope.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_each_name_opens_and_knows_itself(name: str) -> None:
    exported = getattr(downslope, name)
    assert exported.__name__ == name
    assert exported.__module__.startswith("downslope.")
    assert exported.__doc__
    assert name in dir(downslope)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'downslope' has no attribute 'minimise'"):
        _ = downslope.minimise


def test_the_version_is_the_installed_one() -> None:
    assert downslope.__version__ == version("downslope")


def test_importing_brings_in_no_other_package() -> None:
    loaded = in_fresh_interpreter("import downslope, sys; print(*{each.split('.')[0] for each in sys.modules})")
    assert "downslope" in loaded.split()
    assert HEAVY.isdisjoint(loaded.split())


@pytest.mark.alone
def test_importing_takes_less_than_50_milliseconds() -> None:
    code = "import time; start = time.perf_counter(); import downslope; print(time.perf_counter() - start)"
    assert min(float(in_fresh_interpreter(code)) for _ in range(3)) < 0.05
