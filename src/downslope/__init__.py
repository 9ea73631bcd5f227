"""Downslope trains models by gradient descent and shows how the loss went down.

This is the public door: the names below and no others. Each is loaded from its room when it is first used,
so that ``import downslope`` costs nothing and brings in no other package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from downslope.errors import DownslopeError, InputError
    from downslope.estimators import GradientDescentClassifier, GradientDescentRegressor
    from downslope.fitting import (
        basins,
        fit,
        loss_shape,
        loss_slice,
        minimize,
        predict,
        predict_in_parts,
        race,
        resume,
        sweep,
    )
    from downslope.notebook import play_here, show
    from downslope.records import Finding, Run, Spec, Verdict
    from downslope.reporting import report

__version__ = "0.1.0"

__all__ = [
    "DownslopeError",
    "Finding",
    "GradientDescentClassifier",
    "GradientDescentRegressor",
    "InputError",
    "Run",
    "Spec",
    "Verdict",
    "basins",
    "fit",
    "loss_shape",
    "loss_slice",
    "minimize",
    "play_here",
    "predict",
    "predict_in_parts",
    "race",
    "report",
    "resume",
    "show",
    "sweep",
]

_ROOMS = {
    "DownslopeError": "errors",
    "Finding": "records",
    "GradientDescentClassifier": "estimators",
    "GradientDescentRegressor": "estimators",
    "InputError": "errors",
    "Run": "records",
    "Spec": "records",
    "Verdict": "records",
    "basins": "fitting",
    "fit": "fitting",
    "loss_shape": "fitting",
    "loss_slice": "fitting",
    "minimize": "fitting",
    "play_here": "notebook",
    "predict": "fitting",
    "predict_in_parts": "fitting",
    "race": "fitting",
    "report": "reporting",
    "resume": "fitting",
    "show": "notebook",
    "sweep": "fitting",
}


def __getattr__(name: str) -> object:
    if name not in _ROOMS:
        message = f"module 'downslope' has no attribute {name!r}"
        raise AttributeError(message)
    value: object = getattr(import_module(f"downslope.{_ROOMS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
