"""The classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from downslope.errors import OptionError
from downslope.estimators.base import GradientDescentEstimator
from downslope.estimators.conventions import available_if, checks_parameters, keep_first_classes, read_both
from downslope.estimators.parameters import constraint, constraints
from downslope.estimators.stream import Rows
from downslope.estimators.targets import classes_of, indices_in, weights_of, with_class_weights
from downslope.losses import make_loss
from downslope.records import Spec
from downslope.records.spec import Auto
from downslope.types import Matrix, Vector

LOSSES = ("log", "softmax", "hinge", "squared-hinge")


def _probabilistic(estimator: GradientDescentClassifier) -> bool:
    if make_loss(estimator.loss).probabilistic:
        return True
    message = f"the {estimator.loss} loss gives no probabilities; use loss='log'"
    raise AttributeError(message)


class GradientDescentClassifier(ClassifierMixin, GradientDescentEstimator):
    """Predict a class by a linear model trained by gradient descent.

    Minimises the mean loss plus ``l2 / 2 |w|^2 + l1 |w|_1`` (the intercept goes free), and stops where the
    minimum is proved to be within ``tolerance`` of the loss drop still possible.

    loss: log (softmax cross-entropy with more than two classes), softmax (log with two), hinge or
    squared-hinge (with more than two classes each against the rest); see ``downslope.losses``.
    method: scaled, full-batch, mini-batch, stochastic or auto. rule, learning_rate, schedule, warmup,
    momentum, average, batch_size: how the steps are taken; see ``downslope.steps``. l1, l2: penalties, on the
    weights of standardised features where ``standardize`` is on. max_passes: most passes over the examples.
    class_weight: None, balanced (every class the same total weight), or a mapping from class to weight.
    random_state: seed of the order of examples. warm_start: begin where the last fit ended. verbose: print
    each step. ``auto`` is chosen by measurement; ``run_.choices`` says what it became, and why.

    After ``fit``: ``classes_``; ``coef_`` (1 or n_classes, n_features) and ``intercept_`` (1 or n_classes,) in
    original units, so that ``X @ coef_.T + intercept_`` is the score; ``run_``, the record; ``n_iter_``, updates.

    A large C-contiguous array of float32 or float64 is read in place and never copied.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = constraints(
        LOSSES, class_weight=[*constraint("class_weight"), dict]
    )
    classes_: NDArray[Any]
    intercept_: Vector

    def __init__(
        self,
        *,
        loss: str = "log",
        method: str = "auto",
        rule: str = "auto",
        learning_rate: float | Auto = "auto",
        batch_size: int | Auto = "auto",
        l1: float = 0.0,
        l2: float | Auto = "auto",
        tolerance: float = 1e-4,
        max_passes: float | Auto = "auto",
        fit_intercept: bool = True,
        standardize: bool = True,
        schedule: str = "auto",
        warmup: float = 0.0,
        momentum: float = 0.9,
        average: bool | Literal["auto"] = "auto",
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        random_state: int | np.random.RandomState | None = 0,
        warm_start: bool = False,
        verbose: int | bool = 0,
    ) -> None:
        """Keep the parameters; they are checked by ``fit``."""
        self.loss = loss
        self.method = method
        self.rule = rule
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.l1 = l1
        self.l2 = l2
        self.tolerance = tolerance
        self.max_passes = max_passes
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.schedule = schedule
        self.warmup = warmup
        self.momentum = momentum
        self.average = average
        self.class_weight = class_weight
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    @checks_parameters
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> GradientDescentClassifier:
        """Train on X (n, n_features) and y (n,), with a weight for each row; return self.

        Raises ValueError for what is not a finite table of numbers, TargetError for fewer than two classes,
        OptionError for parameters that exclude each other.
        """
        features, target = read_both(self, X, y, reset=True, numeric=False)
        before = getattr(self, "classes_", None)
        self.classes_, indices = classes_of(target)
        if before is not None and not np.array_equal(before, self.classes_):
            self.__dict__.pop("coef_", None)
        weights = weights_of(sample_weight, features)
        self._descend(features, indices, with_class_weights(weights, self.class_weight, self.classes_, indices))
        return self

    @checks_parameters
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> GradientDescentClassifier:
        """Take one pass of mini-batch steps over X and y from the weights as they are; return self.

        classes: every class that will ever come, needed by the first call. Means and deviations are those of
        all rows seen so far. A given ``learning_rate`` is kept; ``auto`` falls as rows are seen. See
        ``downslope.estimators.stream``.
        """
        if isinstance(self.class_weight, str):
            message = 'class_weight="balanced" needs all rows at once; give partial_fit a mapping of class to weight'
            raise OptionError(message)
        features, target = read_both(self, X, y, reset=not hasattr(self, "coef_"), numeric=False)
        keep_first_classes(self, classes)
        indices = indices_in(self.classes_, target)
        weights = weights_of(sample_weight, features)
        self._continue(Rows(features, indices, with_class_weights(weights, self.class_weight, self.classes_, indices)))
        return self

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the scores of X (n, n_features): (n,) of the second of two classes, else (n, n_classes)."""
        scores = self._scores(X)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the class with the highest score for each row of X (n, n_features), (n,)."""
        scores = self._scores(X)
        chosen = scores.argmax(axis=1) if scores.shape[1] > 1 else (scores[:, 0] > 0).astype(np.intp)
        return self.classes_[chosen]

    @available_if(_probabilistic)
    def predict_proba(self, X: Any) -> Matrix:
        """Return the probability of each class for each row of X (n, n_features), (n, n_classes)."""
        scores = self._scores(X)
        name = "log" if scores.shape[1] == 1 else "softmax"
        chance = make_loss(name).mean_response(scores)
        return np.column_stack([1.0 - chance, chance]) if scores.shape[1] == 1 else chance

    @available_if(_probabilistic)
    def predict_log_proba(self, X: Any) -> Matrix:
        """Return the logarithm of the probability of each class, (n, n_classes), without underflow."""
        scores = self._scores(X)
        if scores.shape[1] == 1:
            return -np.logaddexp(0.0, np.column_stack([scores, -scores]))
        top = scores.max(axis=1, keepdims=True)
        return scores - top - np.log(np.exp(scores - top).sum(axis=1, keepdims=True))

    def _spec(self, **known: Any) -> Spec:
        asked = self.class_weight if isinstance(self.class_weight, str) else None
        return self._make_spec(self.loss, class_weight=asked, **known)

    def _resolved_loss(self) -> tuple[str, int]:
        count = self.classes_.shape[0]
        if self.loss in ("log", "softmax"):
            return ("log", 1) if count == 2 else ("softmax", count)
        return self.loss, 1 if count == 2 else count

    def _store(self, coefficients: Matrix, intercept: Vector) -> None:
        self.coef_ = np.ascontiguousarray(coefficients.T)
        self.intercept_ = intercept.copy()

    def _columns(self) -> tuple[Matrix, Vector]:
        return self.coef_.T, self.intercept_
