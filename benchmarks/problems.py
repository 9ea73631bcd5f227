"""The problems that trainers are timed on: real tables as standardised float32 arrays, one penalty for all.

Each is the objective of the design, ``F = mean loss + l2/2 |w|^2`` with a free intercept and ``l2 = 1/n``
(1e-4 for a softmax),
which scikit-learn calls C = 1. Every column is standardised, the one-hot ones too; a constant column is zero.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.floating[Any]]

SOFTMAX_L2 = 1e-4
"""At 1/n the pixels of Fashion-MNIST have a minimum that no float64 method proves within an hour."""


@dataclass(frozen=True)
class Table:
    """Columns before standardising, for trainers that read categories as they are.

    numbers: (n, p) float64, original values. codes: (n, q) int32, each already offset into the m levels.
    names: of the p numbers. center, scale: (p + m,) float64, of the encoded columns.
    """

    numbers: NDArray[np.float64]
    codes: NDArray[np.int32]
    names: tuple[str, ...]
    center: NDArray[np.float64]
    scale: NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """One objective on one table.

    X: (n, d) float32, C-contiguous, standardised. y: (n,) float64, or int64 class indices.
    delta: residual at which huber turns from squared to absolute, in units of y.
    """

    name: str
    title: str
    X: NDArray[np.float32]
    y: NDArray[Any]
    loss: str
    delta: float = 1.0
    table: Table | None = None

    @property
    def rows(self) -> int:
        """n, the number of examples."""
        return self.X.shape[0]

    @property
    def l2(self) -> float:
        """The penalty's weight: 1/n, and SOFTMAX_L2 for a softmax."""
        return SOFTMAX_L2 if self.loss == "softmax" else 1.0 / self.rows

    @property
    def outputs(self) -> int:
        """k: classes of a softmax, otherwise 1."""
        return int(self.y.max()) + 1 if self.loss == "softmax" else 1

    @property
    def classifies(self) -> bool:
        """True where the target is a class."""
        return self.loss in ("log", "softmax")


def standardized(columns: Floats) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Return the columns (n, d) at mean 0 and deviation 1 as float32, with their means and deviations.

    A constant column becomes zero; its deviation is returned as 1.
    """
    result = np.empty(columns.shape, dtype=np.float32)
    center, scale = np.empty(columns.shape[1]), np.empty(columns.shape[1])
    for j in range(columns.shape[1]):
        column = columns[:, j].astype(np.float64)
        center[j] = column.mean()
        deviation = column.std()
        scale[j] = deviation if deviation > 1e-12 * max(1.0, abs(center[j])) else 1.0
        result[:, j] = (column - center[j]) / scale[j]
    return result, center, scale


def encoded(frame: pd.DataFrame, numbers: list[str], categories: list[str]) -> tuple[NDArray[np.float32], Table]:
    """Return number columns and one-hot category columns, standardised, and the table they came from."""
    parts, offset = [], 0
    for name in categories:
        levels, codes = np.unique(frame[name].to_numpy().astype(str), return_inverse=True)
        parts.append(codes.astype(np.int32) + offset)
        offset += len(levels)
    values = frame[numbers].to_numpy(dtype=np.float64)
    codes = np.ascontiguousarray(np.stack(parts, axis=1)) if parts else np.zeros((len(frame), 0), dtype=np.int32)
    return from_columns(values, codes, tuple(numbers), offset)


def from_columns(
    numbers: NDArray[np.float64], codes: NDArray[np.int32], names: tuple[str, ...], levels: int
) -> tuple[NDArray[np.float32], Table]:
    """Return the standardised design matrix (n, p + levels) and its table."""
    wide = np.zeros((len(numbers), numbers.shape[1] + levels), dtype=np.float32)
    for c in range(codes.shape[1]):
        wide[np.arange(len(codes)), numbers.shape[1] + codes[:, c]] = 1
    result, center, scale = standardized(wide)
    # Through float64: a float32 copy of the original numbers would lose digits of large values.
    result[:, : numbers.shape[1]], center[: numbers.shape[1]], scale[: numbers.shape[1]] = standardized(numbers)
    return result, Table(numbers, codes, names, center, scale)


def flights_frame(data: Path) -> pd.DataFrame:
    """Return the flights of New York in 2013 as a data frame."""
    import pandas as pd

    return pd.read_parquet(data / "flights.parquet")


FLIGHT_NUMBERS = ["month", "day", "sched_dep_time", "sched_arr_time", "distance"]
FLIGHT_CATEGORIES = ["weekday", "carrier", "origin", "dest"]


def log_flights(data: Path) -> Problem:
    """Return log loss: is a flight late?"""
    frame = flights_frame(data)
    X, table = encoded(frame, FLIGHT_NUMBERS, FLIGHT_CATEGORIES)
    return Problem("log-flights", "log loss, flights", X, frame["late"].to_numpy().astype(np.int64), "log", table=table)


def poisson_flights(data: Path) -> Problem:
    """Return Poisson: how many whole minutes late does a flight arrive?

    Real, whole, not negative, and hard: four in ten are zero and the longest is 1,272.
    """
    frame = flights_frame(data)
    X, table = encoded(frame, FLIGHT_NUMBERS, FLIGHT_CATEGORIES)
    minutes = np.maximum(frame["arr_delay"].to_numpy(dtype=np.float64), 0)
    return Problem("poisson-flights", "Poisson, minutes late", X, minutes, "poisson", table=table)


def softmax_fashion(data: Path) -> Problem:
    """Return softmax: which of ten garments do the 784 pixels show?"""
    folder = data / "fashion-mnist"
    pixels = _idx(folder / "train-images-idx3-ubyte.gz", header=16).reshape(-1, 784)
    labels = _idx(folder / "train-labels-idx1-ubyte.gz", header=8).astype(np.int64)
    X, _, _ = standardized(pixels)
    return Problem("softmax-fashion", "softmax, Fashion-MNIST", X, labels, "softmax")


def _idx(path: Path, header: int) -> NDArray[np.uint8]:
    with gzip.open(path) as stream:
        return np.frombuffer(stream.read(), dtype=np.uint8, offset=header)


def _diamonds(data: Path) -> tuple[NDArray[np.float32], Table, NDArray[np.float64]]:
    import pandas as pd

    frame = pd.read_csv(data / "diamonds.csv")
    X, table = encoded(frame, ["carat", "depth", "table", "x", "y", "z"], ["cut", "color", "clarity"])
    return X, table, frame["price"].to_numpy(dtype=np.float64)


def huber_diamonds(data: Path) -> Problem:
    """Return Huber on the price of diamonds, its delta found as scikit-learn's HuberRegressor finds it.

    That estimator learns a scale together with the weights; ``delta = epsilon * scale`` at its optimum, so
    that its minimum is the minimum of our objective too.
    """
    X, table, price = _diamonds(data)
    return Problem("huber-diamonds", "Huber, diamonds", X, price, "huber", delta=huber_delta(X, price), table=table)


def huber_delta(X: Floats, y: NDArray[np.float64], epsilon: float = 1.35) -> float:
    """Return epsilon times the scale that Huber's concomitant estimate settles on (Huber 1981, section 7.7)."""
    from sklearn.linear_model import HuberRegressor

    unit = float(y.std())
    scale = 1.0
    wide = X.astype(np.float64)
    for _ in range(3):
        # sum(sigma H(r/sigma)) + alpha |w|^2 equals (2n/sigma) (mean huber + alpha sigma/(2n) |w|^2).
        model = HuberRegressor(epsilon=epsilon, alpha=1.0 / scale, max_iter=2000, tol=1e-9).fit(wide, y / unit)
        if abs(model.scale_ - scale) < 1e-9 * scale:
            break
        scale = float(model.scale_)
    return epsilon * scale * unit


def squared_diamonds(data: Path) -> Problem:
    """Return squared loss on the price of diamonds, categories one-hot."""
    X, table, price = _diamonds(data)
    return Problem("squared-diamonds", "squared, diamonds", X, price, "squared", table=table)


def squared_california(data: Path) -> Problem:
    """Return squared loss on the median house value of Californian districts."""
    import pandas as pd

    frame = pd.read_parquet(data / "california_housing.parquet")
    names = [str(each) for each in frame.columns if each != "MedHouseVal"]
    X, table = encoded(frame, names, [])
    value = frame["MedHouseVal"].to_numpy(dtype=np.float64)
    return Problem("squared-california", "squared, California housing", X, value, "squared", table=table)


PROBLEMS: dict[str, Callable[[Path], Problem]] = {
    "log-flights": log_flights,
    "softmax-fashion": softmax_fashion,
    "poisson-flights": poisson_flights,
    "huber-diamonds": huber_diamonds,
    "squared-california": squared_california,
    "squared-diamonds": squared_diamonds,
}
