"""The regressor."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, cast

import numpy as np
from sklearn.base import RegressorMixin

from downslope.estimators.base import GradientDescentEstimator
from downslope.estimators.conventions import checks_parameters, read_both
from downslope.estimators.parameters import constraint, constraints
from downslope.estimators.stream import Rows
from downslope.estimators.targets import numbers_of, weights_of
from downslope.losses import make_loss
from downslope.records import Spec
from downslope.records.spec import Auto
from downslope.types import Matrix, Vector

LOSSES = ("squared", "absolute", "huber", "quantile", "poisson")


class GradientDescentRegressor(RegressorMixin, GradientDescentEstimator):
    """Predict a number by a linear model trained by gradient descent.

    Minimises the mean loss plus ``l2 / 2 |w|^2 + l1 |w|_1`` (the intercept goes free), and stops where the
    minimum is proved to be within ``tolerance`` of the loss drop still possible.

    loss: squared, absolute, huber, quantile or poisson; see ``downslope.losses``. huber_delta, quantile: theirs.
    method: scaled, full-batch, mini-batch, stochastic or auto. rule, learning_rate, schedule, warmup,
    momentum, average, batch_size: how the steps are taken; see ``downslope.steps``. l1, l2: penalties, on the
    weights of standardised features where ``standardize`` is on. max_passes: most passes over the examples.
    random_state: seed of the order of examples. warm_start: begin where the last fit ended. verbose: print
    each step. ``auto`` is chosen by measurement; ``run_.choices`` says what it became, and why.

    After ``fit``: ``coef_`` (n_features,) and ``intercept_`` in original units, so that ``X @ coef_ +
    intercept_`` is the score (the prediction; its log for poisson); ``run_``, the record; ``n_iter_``, updates.

    A large C-contiguous array of float32 or float64 is read in place and never copied.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = constraints(
        LOSSES, huber_delta=constraint("huber_delta"), quantile=constraint("quantile")
    )
    intercept_: float

    def __init__(
        self,
        *,
        loss: str = "squared",
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
        huber_delta: float | Auto = "auto",
        quantile: float = 0.5,
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
        self.huber_delta = huber_delta
        self.quantile = quantile
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    @checks_parameters
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> GradientDescentRegressor:
        """Train on X (n, n_features) and y (n,), with a weight for each row; return self.

        Raises ValueError for what is not a finite table of numbers, TargetError for a negative poisson target,
        OptionError for parameters that exclude each other.
        """
        features, target = read_both(self, X, y, reset=True, numeric=True)
        self._descend(features, numbers_of(target, self.loss), weights_of(sample_weight, features))
        return self

    @checks_parameters
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> GradientDescentRegressor:
        """Take one pass of mini-batch steps over X and y from the weights as they are; return self.

        Means and deviations are those of all rows seen so far. A given ``learning_rate`` is kept; ``auto``
        falls as rows are seen. See ``downslope.estimators.stream``.
        """
        features, target = read_both(self, X, y, reset=not hasattr(self, "coef_"), numeric=True)
        self._continue(Rows(features, numbers_of(target, self.loss), weights_of(sample_weight, features)))
        return self

    def predict(self, X: Any) -> Vector:
        """Return the predictions for X (n, n_features), (n,)."""
        return make_loss(self.loss).mean_response(self._scores(X)[:, 0])

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that poisson takes no negative targets."""
        tags = cast("Any", super().__sklearn_tags__())
        tags.target_tags.positive_only = self.loss == "poisson"
        return tags

    def _spec(self, **known: Any) -> Spec:
        return self._make_spec(self.loss, huber_delta=self.huber_delta, quantile=self.quantile, **known)

    def _resolved_loss(self) -> tuple[str, int]:
        return self.loss, 1

    def _store(self, coefficients: Matrix, intercept: Vector) -> None:
        self.coef_ = coefficients[:, 0].copy()
        self.intercept_ = float(intercept[0])

    def _columns(self) -> tuple[Matrix, Vector]:
        return self.coef_[:, None], np.array([self.intercept_])
