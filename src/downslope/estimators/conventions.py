"""The parts of scikit-learn that the estimators stand on, with the types that it leaves out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import scipy.sparse
import sklearn.base
import sklearn.utils
import sklearn.utils.metaestimators
import sklearn.utils.multiclass
import sklearn.utils.validation
from numpy.typing import NDArray

from downslope.types import FloatArray, Vector

_base: Any = sklearn.base
_sparse: Any = scipy.sparse
_utils: Any = sklearn.utils
_metaestimators: Any = sklearn.utils.metaestimators
_multiclass: Any = sklearn.utils.multiclass
_validation: Any = sklearn.utils.validation

Method = TypeVar("Method", bound=Callable[..., Any])

PRECISIONS: list[type[np.floating[Any]]] = [np.float64, np.float32]


def checks_parameters(method: Method) -> Method:
    """Have a method check the estimator's parameters before it runs; raises InvalidParameterError."""
    return _base._fit_context(prefer_skip_nested_validation=True)(method)


def available_if(check: Callable[[Any], bool]) -> Callable[[Method], Method]:
    """Hide a method from estimators of which ``check`` does not hold."""
    return _metaestimators.available_if(check)


def read_both(
    estimator: object, X: object, y: object, *, reset: bool, numeric: bool
) -> tuple[FloatArray, NDArray[Any]]:
    """Return X (n, p) and y (n,), not yet checked for values of X that are not finite; a sparse X by rows."""
    return _validation.validate_data(
        estimator, X, y, reset=reset, dtype=PRECISIONS, ensure_all_finite=False, y_numeric=numeric,
        accept_sparse="csr",
    )  # fmt: skip


def read_features(estimator: object, X: object) -> FloatArray:
    """Return X for a fitted estimator, not yet checked for values that are not finite; a sparse X by rows."""
    _validation.check_is_fitted(estimator)
    return _validation.validate_data(
        estimator, X, reset=False, dtype=PRECISIONS, ensure_all_finite=False, accept_sparse="csr"
    )


def is_sparse(features: object) -> bool:
    """Say whether an X is a ``scipy.sparse`` matrix or array."""
    return bool(_sparse.issparse(features))


def check_finite(features: FloatArray) -> None:
    """Raise ValueError where a value is missing or infinite."""
    _utils.assert_all_finite(features, input_name="X")


def check_classes(target: NDArray[Any]) -> None:
    """Raise ValueError where the target is no target of classes."""
    _multiclass.check_classification_targets(target)


def keep_first_classes(estimator: object, classes: object) -> None:
    """Set ``classes_`` at the first call of ``partial_fit``; raises ValueError where they are missing or change."""
    _multiclass._check_partial_fit_first_call(estimator, classes)


def read_weights(weights: object, features: FloatArray) -> Vector:
    """Return example weights as (n,) float64; raises ValueError where they are not n finite numbers."""
    return _validation._check_sample_weight(weights, features, dtype=np.float64)


def seed_of(state: int | np.random.RandomState | None) -> int:
    """Return the seed that ``random_state`` stands for; None draws one from NumPy's global state."""
    if isinstance(state, int | np.integer):
        return int(state)
    return int(_utils.check_random_state(state).randint(np.iinfo(np.int32).max))
