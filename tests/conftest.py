"""What every test shares: where the files are, and how Hypothesis and JAX are set up."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# Before anything imports JAX: it is an oracle here, so it counts in float64, and no test needs a GPU.
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

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
