"""What every test shares: where the files are, and how Hypothesis and JAX are set up."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from downslope.records import (
    Choice,
    Coefficient,
    ColumnSummary,
    Curvature,
    DataSummary,
    GapKind,
    Run,
    Spec,
    StepRecord,
    Verdict,
)

# Before anything imports JAX: it is an oracle here, so it counts in float64, and no test needs a GPU.
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Tests compile much and compute little: programs that are optimised less are ready in two thirds of the time.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=1")

# The first example of a test may compile a kernel, so a deadline would judge the compiler.
hypothesis.settings.register_profile("downslope", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.load_profile("downslope")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def examples() -> Path:
    """Return the folder of the example tables."""
    return ROOT / "examples"


@pytest.fixture(scope="session")
def nist() -> Path:
    """Return the folder of the NIST linear least squares sets."""
    return ROOT / "tests" / "data" / "nist"


@pytest.fixture(scope="module")
def ray_here(root: Path) -> Iterator[str]:
    """Start a Ray of this machine's own with room for six workers, who find the tests by their path; its address."""
    from downslope.cluster import joining, library
    from downslope.errors import ClusterError

    os.environ["PYTHONPATH"] = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    try:
        assert joining.join("auto", 6)
    except ClusterError as error:
        pytest.skip(f"THE CLUSTER IS NOT TESTED: {error}")
    assert not joining.join("auto", 6), "there is one already"
    yield library.ray().get_runtime_context().gcs_address
    joining.leave()


@pytest.fixture(scope="session")
def flights_run() -> Run:
    """Return the record of a logistic regression on a table of flights, as a fit leaves it, without its model."""
    steps = [
        (0, 2.1, 0.0, 0.6931472, 0.181, 1.0, 1.0),
        (1, 3.1, 0.016, 0.5342, 0.0412, 1.0, 0.0489),
        (2, 4.1, 0.031, 0.52638, 0.0077, 1.0, 2.3e-3),
        (3, 5.1, 0.046, 0.52602, 0.0009, 1.0, 6.4e-5),
    ]
    columns = (
        ColumnSummary("month", "number", "standardised", 1, 0),
        ColumnSummary("dep_delay", "number", "standardised, with an indicator of the missing", 2, 8255),
        ColumnSummary("distance", "number", "standardised", 1, 0),
        ColumnSummary("carrier", "category", "one-hot, 16 levels", 16, 0),
        ColumnSummary("dest", "category", "one-hot, 104 levels", 104, 0),
        ColumnSummary("tailnum", "text", "left out: identifier", 0, 2512),
    )
    return Run(
        run="flights-20261121-142301-7f3a",
        spec=Spec(source="examples/flights.parquet", target="late"),
        resolved={
            "loss": "log",
            "method": "scaled",
            "rule": "plain",
            "l2": 1e-6,
            "learning_rate": 1.0,
            "schedule": "constant",
            "average": False,
            "epochs": 100.0,
            "precision": "float32",
        },
        verdict=Verdict.CONVERGED,
        message="converged: within 0.0064 % of the loss drop still possible, after 5 passes",
        gap=6.4e-5,
        gap_kind=GapKind.CERTIFIED,
        objective_at_start=0.6931472,
        objective=0.52602,
        passes=5.1,
        updates=3,
        seconds={"read": 0.071, "choose": 0.052, "descend": 0.046, "compile": 0.0, "total": 0.184},
        train={"loss": 0.5260, "accuracy": 0.7571, "auc": 0.7012},
        holdout={"loss": 0.5274, "accuracy": 0.7561, "auc": 0.6991},
        baseline={"loss": 0.5790, "accuracy": 0.7350, "auc": 0.5},
        data=DataSummary(327346, 261877, 65469, 9430, 124, columns, "boolean", ("False", "True")),
        curvature=Curvature(0.31, 1.1e-4, 5.3e6, 2.8e3, 6.45),
        choices=(
            Choice("loss", "log", "the target has two levels"),
            Choice(
                "method",
                "scaled",
                "124 features: one Gram matrix costs less than the passes it saves",
                ({"method": "scaled", "seconds": 0.09}, {"method": "mini-batch", "seconds": math.inf}),
            ),
        ),
        steps=tuple(StepRecord(*row, GapKind.CERTIFIED) for row in steps),
        coefficients=(
            Coefficient("dep_delay", 0.071, 1.93),
            Coefficient("carrier = HA", -1.24, 0.52),
            Coefficient("dest = ORD", 0.61, 0.44),
            Coefficient("month", -0.083, 0.31),
            Coefficient("distance", 1.1e-4, 0.12),
        ),
        predicted_passes=math.nan,
        environment={"python": "3.11.7", "threads": 2},
    )
