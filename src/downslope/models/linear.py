"""A linear model: its weights, and the objective that they are to bring down.

``F(w, b) = (1 / sum c_i) sum c_i l(y_i, x_i w + b) + l2 / 2 |w|^2 + l1 |w|_1``. Weights act on model
features (standardised numbers, then one column per level); the intercept carries no penalty.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from downslope.data.blocks import SparseRows
from downslope.data.plan import Plan
from downslope.data.sources import read
from downslope.data.table import Table
from downslope.errors import RunError
from downslope.losses import SOFTMAX, Loss
from downslope.models.answers import class_probabilities, predictions
from downslope.types import Codes, FloatArray, JsonValue, Matrix, Vector
from downslope.words import say

CHUNK = 8192
"""Rows scored at once: their numbers and scores stay in the cache."""


@dataclass(frozen=True)
class Point:
    """Where a training stands: weights (d, k) and intercept (k,), both float64."""

    weights: Matrix
    intercept: Vector

    @classmethod
    def zeros(cls, features: int, outputs: int) -> Point:
        """Return the start from which every gap is measured."""
        return cls(np.zeros((features, outputs)), np.zeros(outputs))

    @property
    def finite(self) -> bool:
        """True where no weight is NaN or infinite."""
        return bool(np.isfinite(self.weights).all() and np.isfinite(self.intercept).all())

    def flat(self) -> Vector:
        """Return all parameters as one vector, output after output, each with its intercept last."""
        return np.vstack([self.weights, self.intercept]).T.ravel()

    @classmethod
    def from_flat(cls, flat: Vector, outputs: int) -> Point:
        """Return the Point that ``flat`` gave."""
        columns = flat.reshape(outputs, -1).T
        return cls(np.ascontiguousarray(columns[:-1]), columns[-1].copy())


@dataclass(frozen=True)
class Objective:
    """What is minimised.

    loss: see ``downslope.losses``. l1, l2: not negative. intercept: learned, or fixed at 0. outputs: k; for
    a loss other than softmax with k > 1, output c asks whether the class is c (one against the rest), and
    F is the sum over outputs.
    """

    loss: Loss
    l1: float
    l2: float
    intercept: bool
    outputs: int = 1

    @property
    def softmax(self) -> bool:
        """True where the outputs share one loss."""
        return self.loss.family == SOFTMAX

    def penalty(self, weights: Matrix) -> float:
        """Return l2 / 2 |w|^2 + l1 |w|_1."""
        smooth = 0.5 * self.l2 * float(np.vdot(weights, weights)) if self.l2 else 0.0
        return smooth + (self.l1 * float(np.abs(weights).sum()) if self.l1 else 0.0)

    def target_of(self, target: Vector, output: int) -> Vector:
        """Return the target that one output sees."""
        return target if self.outputs == 1 or self.softmax else (target == output).astype(np.float64)

    def losses(self, scores: Matrix, target: Vector) -> Vector:
        """Return the loss of each example, summed over outputs, for scores (n, k)."""
        if self.softmax:
            return self.loss.value(scores, target)
        each = [self.loss.value(scores[:, k], self.target_of(target, k)) for k in range(self.outputs)]
        return each[0] if len(each) == 1 else np.sum(each, axis=0)

    def slopes(self, scores: Matrix, target: Vector) -> Matrix:
        """Return the derivative of each example's loss by its scores, (n, k)."""
        if self.softmax:
            return self.loss.slope(scores, target)
        each = [self.loss.slope(scores[:, k], self.target_of(target, k)) for k in range(self.outputs)]
        return np.column_stack(each)


def chunk_scores(numbers: FloatArray, codes: Codes, weights: FloatArray, intercept: FloatArray) -> FloatArray:
    """Return the scores (rows, k) of some rows, in the precision of ``weights`` (d, k)."""
    p = numbers.shape[1]
    scores = numbers @ weights[:p] if p else np.zeros((numbers.shape[0], weights.shape[1]), weights.dtype)
    scores += intercept
    for c in range(codes.shape[1]):
        scores += weights[p:][codes[:, c]]
    return scores


def _sparse_scores(rows: SparseRows, weights: Matrix) -> Matrix:
    """Return the scores (n, k) of sparse rows at (s, k) weights."""
    arrays: Any = import_module("scipy.sparse")
    matrix = arrays.csr_array((rows.values, rows.places, rows.starts), shape=(rows.rows, weights.shape[0]))
    return np.asarray(matrix @ weights)


@dataclass(frozen=True)
class LinearModel:
    """A trained linear model that takes tables: ``Run.model``.

    plan: how columns become features. point: the weights. loss: its name. classes: their names in the order
    of the outputs (two classes have one output), empty for a number. target: the column predicted.
    """

    plan: Plan
    point: Point
    loss: str
    classes: tuple[str, ...] = ()
    target: str = ""

    def scores(self, table: object) -> Matrix:
        """Return the scores (n, k) of a table: a source of any kind, or a ``Table``; raises ColumnError."""
        ready = table if isinstance(table, Table) else read(table)
        numbers, codes = self.plan.encode(ready)
        out = np.empty((numbers.shape[0], self.point.intercept.shape[0]))
        for first in range(0, numbers.shape[0], CHUNK):
            rows = slice(first, first + CHUNK)
            part = numbers[rows].astype(np.float64, copy=False)
            out[rows] = chunk_scores(part, codes[rows], self.point.weights, self.point.intercept)
        sparse = self.plan.encode_sparse(ready)
        if sparse is not None:
            out += _sparse_scores(sparse, self.point.weights[-self.plan.sparse_columns :])
        return out

    def predict(self, table: object) -> np.ndarray:
        """Return a prediction for each row, (n,): a number, or the name of a class."""
        return self.respond(self.scores(table))

    def respond(self, scores: Matrix) -> np.ndarray:
        """Return the predictions that scores (n, k) stand for."""
        return predictions(scores, self.loss, self.classes)

    def probabilities(self, scores: Matrix) -> Matrix | None:
        """Return (n, classes) probabilities, or None where the loss gives none."""
        return class_probabilities(scores, self.loss, self.classes)

    def coefficients(self) -> Matrix:
        """Return (d, k) weights per unit of the original columns; a level's weight is already that."""
        return self.point.weights / self.plan.units[:, None]

    def to_files(self) -> dict[str, bytes]:
        """Return the files that hold the model, relative name -> content."""
        from safetensors.numpy import save

        described: dict[str, JsonValue] = {
            "kind": "linear", "loss": self.loss, "classes": list(self.classes), "target": self.target,
            "plan": self.plan.to_json(),
        }  # fmt: skip
        arrays = self.plan.arrays() | {
            "weights": np.ascontiguousarray(self.point.weights),
            "intercept": self.point.intercept,
        }
        return {
            "weights.safetensors": save(arrays),
            "model.json": json.dumps(described, ensure_ascii=False, indent=1).encode(),
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> LinearModel:
        """Return the model that ``to_files`` gave; raises RunError where a file is absent or cannot be read."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            arrays = load(files["weights.safetensors"])
            described = json.loads(files["model.json"])
            point = Point(arrays["weights"], arrays["intercept"])
            plan = Plan.from_json(described["plan"], arrays)
            return cls(plan, point, described["loss"], tuple(described["classes"]), described["target"])
        except (KeyError, ValueError, TypeError, SafetensorError) as error:
            message = say("the model of this run cannot be read ({name}); fit again", name=type(error).__name__)
            raise RunError(message) from error
