"""What the machine is, and how fast it could be at best."""

from __future__ import annotations

import os
import platform
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from benchmarks.clock import median_time

THREADS = 2
PACKAGES = (
    "downslope",
    "numpy",
    "scipy",
    "numba",
    "scikit-learn",
    "liblinear-official",
    "vowpalwabbit",
    "torch",
    "duckdb",
    "pyarrow",
    "pandas",
)


def describe() -> dict[str, str]:
    """Return the processor, its cores, the memory, and the versions of what ran."""
    return {
        "processor": _line("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": f"{int((_line('/proc/meminfo', 'MemTotal') or '0').split()[0]) / 2**20:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": ", ".join(f"{name} {found}" for name in PACKAGES if (found := _version(name))),
    }


def _line(path: str, key: str) -> str:
    if not Path(path).exists():
        return ""
    lines = (line.partition(":") for line in Path(path).read_text().splitlines())
    return next((value.strip() for name, _, value in lines if name.strip() == key), "")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def read_seconds(array: np.ndarray) -> float:
    """Return the seconds of the fastest plain two-thread sum over a float32 array.

    Two sums are tried, NumPy's and a compiled loop with reordered additions; the faster is the ceiling.
    """
    import numba

    @numba.njit(nogil=True, fastmath=True)
    def plain_sum(values):  # noqa: ANN001, ANN202 - typed by the compiler
        total = np.float32(0)
        for i in range(values.shape[0]):
            total += values[i]
        return total

    halves = np.array_split(array.reshape(-1), THREADS)
    seconds = []
    with ThreadPoolExecutor(THREADS) as pool:
        for each in (np.sum, plain_sum):
            list(pool.map(each, halves))
            seconds.append(median_time(lambda each=each: list(pool.map(each, halves)), 9).seconds)
    return min(seconds)


def product_rate(size: int = 2048) -> float:
    """Return float32 operations per second of a square matrix product by BLAS."""
    left = np.random.default_rng(0).standard_normal((size, size), dtype=np.float32)
    right = left.copy()
    left @ right
    return 2 * size**3 / median_time(lambda: left @ right, 5).seconds
