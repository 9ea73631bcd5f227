"""NIST's linear least squares sets through the ordinary estimator, and how many certified digits it reaches."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from downslope import GradientDescentRegressor, Verdict
from downslope.types import Matrix, Vector

SETS = (
    "Longley", "NoInt1", "NoInt2", "Norris", "Pontius", "Wampler1", "Wampler2", "Wampler3", "Wampler4", "Wampler5",
)  # fmt: skip
DIGITS = 6
EXACT = 16.0


@dataclass(frozen=True)
class Certified:
    """One set: features (n, p), powers of x written out; target (n,); coefficients, an intercept first."""

    features: Matrix
    target: Vector
    coefficients: Vector
    intercept: bool


def lines_of(text: list[str], what: str) -> list[str]:
    """Return the lines that the file's own head names, such as ``Data (lines 61 to 81)``."""
    found = re.search(rf"{what}\s+\(lines\s+(\d+) to\s+(\d+)\)", "\n".join(text))
    assert found is not None
    return text[int(found[1]) - 1 : int(found[2])]


def read(path: Path) -> Certified:
    text = path.read_text().splitlines()
    rows = [line.split() for line in lines_of(text, "Certified Values")]
    parameters = [(row[0], float(row[1])) for row in rows if row and re.fullmatch(r"B\d+", row[0])]
    table = np.array([[float(value) for value in line.split()] for line in lines_of(text, "Data") if line.strip()])
    target, features = table[:, 0], table[:, 1:]
    intercept = parameters[0][0] == "B0"
    powers = len(parameters) - int(intercept)
    if features.shape[1] == 1:
        features = features ** np.arange(1, powers + 1)
    assert features.shape[1] == powers
    return Certified(features, target, np.array([value for _, value in parameters]), intercept)


def digits(model: GradientDescentRegressor, certified: Certified) -> float:
    """Return the log relative error of the worst coefficient: its number of correct digits."""
    found = np.append([model.intercept_] if certified.intercept else [], model.coef_)
    error = np.abs(found - certified.coefficients) / np.abs(certified.coefficients)
    return float(np.minimum(-np.log10(np.maximum(error, 1e-300)), EXACT).min())


@pytest.mark.parametrize("name", SETS)
def test_certified_coefficients_to_six_digits(nist: Path, name: str) -> None:
    certified = read(nist / f"{name}.dat")
    model = GradientDescentRegressor(fit_intercept=certified.intercept).fit(certified.features, certified.target)
    assert digits(model, certified) >= DIGITS
    assert model.run_.verdict is Verdict.CONVERGED


def test_filip_is_told_its_condition(nist: Path, record_property: pytest.RecordProperty) -> None:
    certified = read(nist / "Filip.dat")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it may end by saying that arithmetic can tell no more
        model = GradientDescentRegressor().fit(certified.features, certified.target)
    record_property("digits", digits(model, certified))
    found = {finding.code: finding for finding in model.run_.findings}
    assert "condition" in found["DS202"].evidence
    assert model.run_.curvature.condition_after > 1e8
    # Its coefficients are lost to rounding, its predictions are not: they explain as much as the certified ones do.
    design = np.column_stack([np.ones(82), certified.features])
    certified_error = float(((design @ certified.coefficients - certified.target) ** 2).sum())
    spread = float(((certified.target - certified.target.mean()) ** 2).sum())
    assert model.score(certified.features, certified.target) > 1 - 10 * certified_error / spread


def test_every_set_in_the_folder_is_tested(nist: Path) -> None:
    assert {path.stem for path in nist.glob("*.dat")} == {*SETS, "Filip"}
