"""Tables that are in no repository, made to be as awkward as real ones, to keep every claim honest.

Numbers are correlated through a few hidden causes and some have heavy tails; categories have many rare
levels (Zipf); targets come from a linear score with noise that the model does not know.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.problems import Problem, from_columns, huber_delta


@dataclass(frozen=True)
class Shape:
    """rows; numbers; levels of each category; rate: share of the positive class or size of the noise."""

    rows: int
    numbers: int
    levels: tuple[int, ...] = ()
    rate: float = 0.5


def correlated_numbers(rows: int, columns: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return (rows, columns): mixtures of a few hidden causes, a third of them log-normal, units decades apart."""
    causes = max(2, columns // 6)
    mixed = random.standard_normal((rows, causes)) @ random.standard_normal((causes, columns))
    values = mixed / np.sqrt(causes) + 0.4 * random.standard_normal((rows, columns))
    tailed = random.random(columns) < 1 / 3
    values[:, tailed] = np.exp(values[:, tailed])
    return values * 10.0 ** random.integers(-3, 4, columns)


def rare_codes(rows: int, levels: int, random: np.random.Generator) -> NDArray[np.int32]:
    """Return (rows,) level indices whose frequencies fall as 1 / rank, every level seen at least once."""
    share = 1 / np.arange(1, levels + 1)
    codes = random.choice(levels, size=rows, p=share / share.sum()).astype(np.int32)
    codes[:levels] = np.arange(levels)
    return codes


def table(name: str, loss: str, shape: Shape, seed: int) -> Problem:
    """Return a problem of the given shape; the same seed gives the same problem."""
    random = np.random.default_rng(seed)
    numbers = correlated_numbers(shape.rows, shape.numbers, random)
    offsets = np.cumsum((0, *shape.levels))
    codes = np.empty((shape.rows, len(shape.levels)), dtype=np.int32)
    for c, levels in enumerate(shape.levels):
        codes[:, c] = rare_codes(shape.rows, levels, random) + offsets[c]
    X, raw = from_columns(numbers, codes, tuple(f"x{j}" for j in range(shape.numbers)), int(offsets[-1]))
    truth = random.standard_normal(X.shape[1]) * (random.random(X.shape[1]) < 0.3) / np.sqrt(0.3 * X.shape[1])
    score = X @ truth.astype(np.float32) + 0.5 * random.standard_normal(shape.rows)
    y = TARGETS[loss](score.astype(np.float64), shape.rate, random)
    delta = huber_delta(X, y) if loss == "huber" else 1.0
    size = f"{shape.rows:,} x {X.shape[1]}"
    return Problem(name, f"unseen: {name}, {size}", X, y, loss, delta=delta, table=raw)


def _classes(score: NDArray[np.float64], rate: float, random: np.random.Generator) -> NDArray[np.int64]:
    cut = np.quantile(score, 1 - rate)
    return (random.logistic(size=score.shape) < 2 * (score - cut)).astype(np.int64)


def _several(score: NDArray[np.float64], rate: float, random: np.random.Generator) -> NDArray[np.int64]:
    edges = np.quantile(score, np.cumsum([rate, (1 - rate) / 2, (1 - rate) / 3]))
    return np.digitize(score + 0.3 * random.standard_normal(score.shape), edges).astype(np.int64)


def _counts(score: NDArray[np.float64], rate: float, random: np.random.Generator) -> NDArray[np.float64]:
    mean = rate * np.exp(np.clip(0.5 * score, -4, 4)) * random.gamma(2, 0.5, score.shape)
    return random.poisson(mean).astype(np.float64)


def _amounts(score: NDArray[np.float64], rate: float, random: np.random.Generator) -> NDArray[np.float64]:
    return 1000 * (3 + score + rate * random.standard_t(2.5, score.shape))


TARGETS: dict[str, Callable[[NDArray[np.float64], float, np.random.Generator], NDArray]] = {
    "log": _classes,
    "softmax": _several,
    "poisson": _counts,
    "huber": _amounts,
    "squared": _amounts,
}


def _made(name: str, loss: str, shape: Shape, seed: int) -> Callable[[object], Problem]:
    return lambda _data: table(name, loss, shape, seed)


UNSEEN: dict[str, Callable[[object], Problem]] = {
    name: _made(name, loss, shape, seed)
    for seed, (name, loss, shape) in enumerate(
        (
            ("log-numbers", "log", Shape(200_000, 60)),
            ("log-rare", "log", Shape(400_000, 12, (8, 40, 200))),
            ("log-imbalanced", "log", Shape(300_000, 40, (30,), rate=0.01)),
            ("log-wide", "log", Shape(60_000, 300)),
            ("softmax-rare", "softmax", Shape(100_000, 40, (12, 40), rate=0.6)),
            ("poisson-counts", "poisson", Shape(250_000, 20, (20, 60), rate=2.0)),
            ("huber-amounts", "huber", Shape(120_000, 25, (15, 40), rate=1.0)),
            ("squared-numbers", "squared", Shape(300_000, 50, rate=0.5)),
            ("squared-rare", "squared", Shape(500_000, 10, (6, 30, 120), rate=0.5)),
        ),
        start=20,
    )
}  # fmt: skip
