"""The parameters of the estimators, from the one table of settings, so that no face disagrees with another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from numbers import Integral, Real
from typing import Any

from sklearn.utils._param_validation import Interval, StrOptions

from downslope.records import Spec
from downslope.records.spec import Setting, settings

SPEC_NAMES = {
    "method": "method", "rule": "rule", "learning_rate": "learning_rate", "schedule": "schedule",
    "warmup": "warmup", "momentum": "momentum", "average": "average", "batch_size": "batch_size", "l1": "l1",
    "l2": "l2", "tolerance": "tolerance", "max_passes": "epochs", "fit_intercept": "fit_intercept",
    "standardize": "standardize",
}  # fmt: skip
"""Parameter of both estimators -> setting of ``Spec``."""


def constraints(losses: tuple[str, ...], **others: list[Any]) -> dict[str, list[Any]]:
    """Return scikit-learn's constraints of both estimators' parameters, and of the others given.

    losses: what ``loss`` may be. others: parameter -> constraints, where ``Spec`` has none of that name.
    """
    table = settings()
    shared = {name: _allowed(*table[setting]) for name, setting in SPEC_NAMES.items()}
    return {
        "loss": [StrOptions(set(losses))],
        **shared,
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        **others,
    }


def constraint(setting: str) -> list[Any]:
    """Return scikit-learn's constraints of one setting of ``Spec``."""
    return _allowed(*settings()[setting])


def _allowed(default: object, setting: Setting) -> list[Any]:
    names = {*setting.choices, *(["auto"] if setting.auto else [])}
    allowed: list[Any] = [StrOptions(names)] if names else []
    if setting.numeric:
        allowed.append(_interval(setting))
    elif not setting.choices and (isinstance(default, bool) or setting.auto):
        allowed.append("boolean")
    if setting.none:
        allowed.append(None)
    return allowed


def _interval(setting: Setting) -> Any:
    bounds = [None if math.isinf(end) else (int(end) if setting.whole else end) for end in (setting.low, setting.high)]
    open_high = setting.open_high or math.isinf(setting.high)
    closed = {(False, False): "both", (False, True): "left", (True, False): "right", (True, True): "neither"}
    return Interval(Integral if setting.whole else Real, *bounds, closed=closed[setting.open_low, open_high])


def spec_of(parameters: Mapping[str, Any], loss: str, seed: int, **others: Any) -> Spec:
    """Return the Spec that an estimator's parameters ask for; raises OptionError for pairs that exclude each other."""
    shared = {setting: parameters[name] for name, setting in SPEC_NAMES.items()}
    return _spec(loss=loss, seed=seed, holdout=0.0, **shared, **others)


@lru_cache(maxsize=64, typed=True)
def _spec(**settings: Any) -> Spec:
    """Return the Spec of some settings, checked once: a small fit takes about as long as the check."""
    return Spec(**settings)
