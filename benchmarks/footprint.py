"""Whole processes: how much memory a fit takes, and how long the command takes, cold and warm."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.clock import median_time, once
from benchmarks.problems import Problem
from benchmarks.race import Effort
from benchmarks.results import Figure, seconds

ALLOWANCE = 300e6

PEAK = """
import resource, sys
from pathlib import Path
import numpy as np
from downslope import GradientDescentClassifier
X, y = np.load(sys.argv[1]), np.load(sys.argv[2])
GradientDescentClassifier(loss=sys.argv[3], l2=1 / len(y), tolerance=1e-4).fit(X, y)
status = Path("/proc/self/status")
if status.exists():  # the kernel's own peak of this program; getrusage would tell that of the process that started it
    print(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_memory(problem: Problem) -> Figure:
    """Return the peak resident memory of a process that loads the array and fits the estimator."""
    with tempfile.TemporaryDirectory() as folder:
        X, y = Path(folder) / "X.npy", Path(folder) / "y.npy"
        np.save(X, problem.X)
        np.save(y, problem.y)
        command = [sys.executable, "-c", PEAK, str(X), str(y), problem.loss]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    # Linux counts in KiB, macOS in bytes.
    peak = int(done.stdout) * (1 if sys.platform == "darwin" else 1024)
    allowed = 1.5 * problem.X.nbytes + ALLOWANCE
    return Figure(
        f"peak memory, {problem.title}", f"{peak / 1e6:.0f} MB", f"{allowed / 1e6:.0f} MB",
        "1.5 x the matrix + 300 MB", peak / allowed, 1, at_least=False, unit=" of it",
    )  # fmt: skip


def _command(words: list[str], **environment: str) -> None:
    """Run the command in an empty folder, so that the runs it saves go away with it."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [str(Path(sys.executable).with_name("downslope")), *words], check=True, capture_output=True, cwd=folder,
            env={**os.environ, **environment},
        )  # fmt: skip


def command_line(examples: Path, effort: Effort) -> list[Figure]:
    """Return the times of the command as whole processes: help, a small fit, and the very first fit."""
    cars = ["fit", str((examples / "cars.csv").resolve()), "--target", "miles_per_gallon"]
    _command(cars)
    help_time = median_time(lambda: _command(["--help"]), effort.repeats)
    warm = median_time(lambda: _command(cars), effort.repeats)
    with tempfile.TemporaryDirectory() as empty:
        first = once(lambda: _command(cars, NUMBA_CACHE_DIR=empty, XDG_CACHE_HOME=empty))
    return [
        _within("downslope --help", help_time.seconds, 0.4),
        _within("downslope fit examples/cars.csv, warm caches", warm.seconds, 2.5),
        _within("downslope fit examples/cars.csv, the very first time", first, 20, "one run; it compiles"),
    ]


def _within(claim: str, measured: float, limit: float, note: str = "") -> Figure:
    words = seconds(measured), seconds(limit)
    return Figure(claim, *words, "limit", measured, limit, at_least=False, unit=" s", note=note)


def figures(problem: Problem, examples: Path, effort: Effort) -> list[Figure]:
    """Return every figure of this page."""
    return [peak_memory(problem), *command_line(examples, effort)]
