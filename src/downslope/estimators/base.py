"""What both estimators share: parameters in, coefficients in original units out."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from downslope.estimators.conventions import check_finite, read_features, seed_of
from downslope.estimators.features import Coordinates, examples_of
from downslope.estimators.parameters import spec_of
from downslope.estimators.recording import Trained, run_of
from downslope.estimators.stream import Rows, Stream, advance, to_model
from downslope.models.linear import CHUNK, Point
from downslope.records import Run, Spec, StepRecord, Verdict
from downslope.training import Training, train
from downslope.types import FloatArray, Matrix, Vector

READ_WHOLE = ("auto", "scaled", "full-batch")
"""Methods that read the array in whole passes, for which one-hot columns are better held as codes."""
PLANNED = ("mini-batch", "stochastic")
"""Methods that run for a planned number of epochs, so that ending by budget is no surprise."""


MOST_CHECKED = 256
_CHECKED: set[tuple[Any, ...]] = set()
"""Sets of parameters that were found to be allowed."""


class GradientDescentEstimator(BaseEstimator):
    """A linear model trained by gradient descent on an array in memory."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]]
    random_state: int | np.random.RandomState | None
    warm_start: bool
    verbose: int | bool
    _trained: Trained
    _stream: Stream
    n_iter_: int
    coef_: NDArray[np.float64]

    @abstractmethod
    def _spec(self, **known: Any) -> Spec:
        """Return what the parameters ask for."""

    @abstractmethod
    def _resolved_loss(self) -> tuple[str, int]:
        """Return the name of the loss and the number of outputs k."""

    @abstractmethod
    def _store(self, coefficients: Matrix, intercept: Vector) -> None:
        """Set ``coef_`` and ``intercept_`` from (p, k) and (k,)."""

    @abstractmethod
    def _columns(self) -> tuple[Matrix, Vector]:
        """Return ``coef_`` and ``intercept_`` as (p, k) and (k,)."""

    @property
    def run_(self) -> Run:
        """The record of the last ``fit`` or ``partial_fit``: verdict, gap, steps, choices, curvature, findings."""
        if not hasattr(self, "_trained"):
            message = f"'{type(self).__name__}' object has no attribute 'run_' before it is fitted"
            raise AttributeError(message)
        names = getattr(self, "feature_names_in_", None)
        count = self._trained.coefficients.shape[0]
        return run_of(self._trained, [f"x{j}" for j in range(count)] if names is None else list(names))

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn what is accepted: arrays of numbers and sparse matrices, no missing values."""
        tags = cast("Any", super().__sklearn_tags__())
        tags.input_tags.sparse = True
        return tags

    def _validate_params(self) -> None:
        """Check the parameters, each set of them once: a small fit takes about as long as the check."""
        values = tuple(self.__dict__[name] for name in self._parameter_constraints)
        plain = all(value is None or isinstance(value, str | int | float) for value in values)
        key = (type(self), values, tuple(map(type, values)))
        if plain and key in _CHECKED:
            return
        cast("Any", super())._validate_params()
        if plain:
            if len(_CHECKED) >= MOST_CHECKED:
                _CHECKED.clear()
            _CHECKED.add(key)

    def _make_spec(self, loss: str, **others: Any) -> Spec:
        return spec_of(self.__dict__, loss, seed_of(self.random_state), **others)

    def _descend(self, features: FloatArray, target: Vector, weights: Vector | None) -> None:
        """Train, and keep what came of it."""
        spec = self._spec()
        loss, outputs = self._resolved_loss()
        encoded = examples_of(
            features, target, weights, center=spec.standardize and spec.fit_intercept, scale=spec.standardize,
            free=_free(spec), whole=spec.method in READ_WHOLE,
        )  # fmt: skip
        coordinates, start = encoded.coordinates, None
        if self.warm_start and hasattr(self, "coef_"):
            coefficients, intercept = self._columns()
            if coefficients.shape == (features.shape[1], outputs):
                start = encoded.to_features(to_model(coefficients, intercept, coordinates))
        training = train(
            encoded.examples, spec, loss, outputs, watch=self._watch(), start=start, origin=encoded.origin
        )  # fmt: skip
        training = replace(training, point=encoded.to_columns(training.point))
        self._stream = Stream.empty(features.shape[1])
        if spec.standardize:
            self._stream = Stream.after_fit(coordinates, encoded.examples.weight_sum, encoded.examples.rows)
        self._keep(spec, training, coordinates, encoded.examples.rows)

    def _continue(self, rows: Rows) -> None:
        """Take one pass of mini-batch steps over some rows, and keep what came of it."""
        spec = self._spec()
        loss, outputs = self._resolved_loss()
        check_finite(rows.features)
        count = rows.features.shape[1]
        if not hasattr(self, "coef_"):
            self._stream = Stream.empty(count)
            self._store(np.zeros((count, outputs)), np.zeros(outputs))
        self._stream, training, coordinates = advance(self._stream, rows, spec, loss, outputs, *self._columns())
        self._keep(spec, training, coordinates, rows.target.shape[0])

    def _watch(self) -> Callable[[StepRecord], None] | None:
        if not self.verbose:
            return None

        def tell(step: StepRecord) -> None:
            gap = f", {step.gap_kind} gap {step.gap:.2g}" if np.isfinite(step.gap) else ""
            print(f"update {step.update}, {step.passes:.3g} passes: objective {step.objective:.6g}{gap}")

        return tell

    def _keep(self, spec: Spec, training: Training, coordinates: Coordinates, rows: int) -> None:
        point = _pinned(training.point, spec, training.resolved["loss"] == "softmax")
        coefficients = point.weights / coordinates.scale[:, None]
        intercept = point.intercept - coordinates.center @ coefficients
        classes = tuple(str(each) for each in getattr(self, "classes_", ()))
        varies = np.isfinite(coordinates.scale)
        self._trained = Trained(spec, training, rows, point.weights, coefficients, varies, classes)
        self._store(coefficients, intercept)
        self.n_iter_ = training.updates
        unplanned = training.resolved["method"] not in PLANNED
        if training.verdict is Verdict.DIVERGED or (training.verdict is Verdict.BUDGET and unplanned):
            warnings.warn(training.message, ConvergenceWarning, stacklevel=4)
        if training.verdict is Verdict.STOPPED:
            raise KeyboardInterrupt

    def _scores(self, X: object) -> Matrix:
        """Return the scores (n, k), in float64."""
        features = read_features(self, X)
        coefficients, intercept = self._columns()
        scores = np.empty((features.shape[0], intercept.shape[0]))
        with np.errstate(invalid="ignore", over="ignore"):
            for first in range(0, features.shape[0], CHUNK):
                rows = slice(first, first + CHUNK)
                part: Any = features[rows].astype(np.float64, copy=False)
                scores[rows] = part @ coefficients
            scores += intercept
        if not np.isfinite(scores).all():
            check_finite(features)
        return scores


def _free(spec: Spec) -> bool:
    """Say whether the minimum and the way to it are the same whatever the scale of the features."""
    scaled = (spec.method, spec.rule, spec.learning_rate, spec.batch_size) in (
        ("auto",) * 4,
        ("scaled", *("auto",) * 3),
    )
    return scaled and spec.loss == "squared" and spec.l1 == 0 and spec.l2 in ("auto", 0)


def _pinned(point: Point, spec: Spec, softmax: bool) -> Point:
    """Return the point whose outputs add up to zero where the loss leaves that free, so that rounding cannot move it.

    A softmax does not change when every class gains the same score; a penalty pins the weights, never the intercept.
    """
    if not softmax:
        return point
    penalised = spec.l1 > 0 or spec.l2 != 0
    weights = point.weights if penalised else point.weights - point.weights.mean(axis=1, keepdims=True)
    return Point(weights, point.intercept - point.intercept.mean())
