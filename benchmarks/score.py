"""The no-settings score: how much of the drop that tuned plain SGD finds is found with nothing set?

Eight linear problems and one network, 20 epochs, the mean training loss without penalty. Score = (start - reached) /
(start - best of plain SGD over rates 1e-8 to 1e2 in half decades, batch 32, on the inputs as they are).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

Array = NDArray[np.float64]
EPOCHS, BATCH = 20, 32
RATES = 10.0 ** np.arange(-8, 2.01, 0.5)


@dataclass(frozen=True)
class Task:
    """X (n, d) float64; y (n,) numbers, or class indices where ``classes`` is above 0."""

    name: str
    X: Array
    y: NDArray[Any]
    classes: int

    def loss(self, coef: Array, intercept: Array) -> float:
        """Return the mean loss of scores ``X coef' + intercept``, coef (k, d); inf where it is not finite."""
        with np.errstate(over="ignore", invalid="ignore"):
            scores = self.X @ coef.T + intercept
            if self.classes:
                value = (logsumexp(scores, axis=1) - scores[np.arange(len(self.y)), self.y]).mean()
            else:
                value = ((scores[:, 0] - self.y) ** 2).mean()
        return float(value) if np.isfinite(value) else float("inf")


def tasks() -> Iterator[Task]:
    """Yield the eight linear problems, from the tables that scikit-learn carries."""
    from sklearn import datasets

    def standardized(X: Array) -> Array:
        return (X - X.mean(axis=0)) / X.std(axis=0)

    X, y = datasets.load_diabetes(return_X_y=True, scaled=False)
    yield Task("diabetes, standardised", standardized(X), y, 0)
    yield Task("diabetes, raw", X, y, 0)
    X, y = datasets.load_breast_cancer(return_X_y=True)
    yield Task("breast cancer, standardised", standardized(X), y, 2)
    yield Task("breast cancer, raw", X, y, 2)
    X, y = datasets.load_digits(return_X_y=True)
    yield Task("digits / 16", X / 16, y, 10)
    yield Task("digits, raw", X, y, 10)
    X, y = datasets.load_wine(return_X_y=True)
    yield Task("wine, raw", X, y, 3)
    X, y = datasets.load_iris(return_X_y=True)
    yield Task("iris, raw", X, y, 3)


def plain_sgd(task: Task, rate: float, seed: int = 0) -> float:
    """Return the loss after 20 epochs of plain mini-batch descent from zero."""
    k = task.classes or 1
    random = np.random.default_rng(seed)
    coef, intercept = np.zeros((k, task.X.shape[1])), np.zeros(k)
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(EPOCHS):
            order = random.permutation(len(task.y))
            for first in range(0, len(order), BATCH):
                rows = order[first : first + BATCH]
                slope = _slope(task, task.X[rows] @ coef.T + intercept, task.y[rows]) / len(rows)
                coef -= rate * slope.T @ task.X[rows]
                intercept -= rate * slope.sum(axis=0)
            if not np.isfinite(coef).all():
                return float("inf")
    return task.loss(coef, intercept)


def _slope(task: Task, scores: Array, y: NDArray[Any]) -> Array:
    if not task.classes:
        return 2 * (scores - y[:, None])
    slope = np.exp(scores - logsumexp(scores, axis=1, keepdims=True))
    slope[np.arange(len(y)), y] -= 1
    return slope


def ours(task: Task) -> float:
    """Return the loss after 20 epochs of ``method="mini-batch"`` with nothing else set."""
    from downslope import GradientDescentClassifier, GradientDescentRegressor

    kind = GradientDescentClassifier if task.classes else GradientDescentRegressor
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = kind(method="mini-batch", max_passes=EPOCHS).fit(task.X, task.y)
    coef, intercept = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    if task.classes == 2 and len(coef) == 1:
        coef, intercept = np.vstack([0 * coef, coef]), np.append(0 * intercept, intercept)
    return task.loss(coef, intercept)


@dataclass(frozen=True)
class Score:
    """start, best (of tuned SGD, at ``rate``) and reached: mean training losses."""

    name: str
    start: float
    best: float
    rate: float
    reached: float

    @property
    def share(self) -> float:
        """The share of the tuned drop."""
        return (self.start - self.reached) / (self.start - self.best)


def scores() -> list[Score]:
    """Return the score of each problem."""
    found = []
    for task in tasks():
        k = task.classes or 1
        start = task.loss(np.zeros((k, task.X.shape[1])), np.zeros(k))
        tuned = {float(rate): plain_sgd(task, rate) for rate in RATES}
        rate = min(tuned, key=lambda each: tuned[each])
        found.append(Score(task.name, start, tuned[rate], rate, ours(task)))
    return [*found, network_score()]


def network_score() -> Score:
    """Return the score of digits / 16 with one hidden layer of 64 ReLU from a He start, ours with nothing set."""
    from sklearn import datasets

    from downslope.models.network import parse_model
    from downslope.records import Spec
    from downslope.training.network.given import NetworkInputs
    from downslope.training.network.train import train_network

    X, y = datasets.load_digits(return_X_y=True)
    inputs = NetworkInputs(X / 16, None, y.astype(np.float64), None, (X.shape[1],))

    def reached(**settings: Any) -> tuple[float, float]:
        spec = Spec(model="mlp:64", batch_size=BATCH, epochs=EPOCHS, **settings)
        trained = train_network(parse_model("mlp:64"), inputs, None, spec, "softmax", 10)
        return trained.objective_at_start, trained.objective if np.isfinite(trained.objective) else float("inf")

    tuned: dict[float, float] = {}
    for rate in RATES.tolist():
        tuned[rate] = reached(rule="plain", learning_rate=rate, schedule="constant")[1]
    best = min(tuned, key=lambda each: tuned[each])
    start, mine = reached()
    return Score("digits / 16, one hidden layer", start, tuned[best], best, mine)
