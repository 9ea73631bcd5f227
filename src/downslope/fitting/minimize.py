"""Descent on a loss of the caller's own: any function of any tree of arrays, with data or without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from downslope.errors import OptionError, nearest
from downslope.records.run import StepRecord
from downslope.records.spec import Setting, Spec
from downslope.records.surface import Minimum

UPDATES = Setting("", low=1, whole=True, none=True)
USED = (
    "method", "rule", "learning_rate", "schedule", "warmup", "momentum", "batch_size", "weight_decay", "clip",
    "tolerance", "epochs", "max_seconds", "seed", "precision",
)  # fmt: skip
"""The settings of ``Spec`` that apply to a function."""


def minimize(
    loss: Callable[..., Any], params: Any, data: Any = None, *, residuals: bool = False, rule: Any = "auto",
    updates: int | None = None, watch: Callable[[StepRecord], None] | None = None, **settings: Any,
) -> Minimum:  # fmt: skip
    """Go down a loss from given parameters, and say where that ended.

    loss: ``loss(params)``, or with data ``loss(params, batch)``, of JAX operations; a number, the mean over the batch.
    With residuals=True it returns an array, and the mean of its squares is minimised. params: any tree of arrays and
    numbers, or one with Equinox modules. data: a tree of arrays that share their first axis, of examples. rule: a name
    or any Optax transformation. updates: the most steps. watch: called with each StepRecord. settings: ``method``,
    ``learning_rate``, ``batch_size``, ``epochs``, ``tolerance``, ``max_seconds``, ``seed``, ``precision`` and the
    others of ``Spec`` that speak of descent. tolerance is here the share of the gradient's first length at which a
    descent with exact slopes has converged.

    method ``scaled`` takes Newton's step, damped, or Gauss-Newton's for residuals; ``full-batch`` steps by a rule
    along exact slopes; ``mini-batch`` and ``stochastic`` need data. ``auto`` is scaled without data or with residuals,
    up to 1,000 numbers to learn. precision ``auto`` is float64 without data and for scaled steps, else float32.
    Batches are drawn anew every epoch; the last one, where it is not full, waits for the next. Raises OptionError.
    A descent that diverges is a result: see ``Minimum.verdict``.
    """
    UPDATES.check("updates", updates)
    spec = _spec_of(settings, rule, updates)
    from downslope.training.network.minimising import descend_function

    return descend_function(
        loss, params, data, spec, rule, residuals=residuals, updates=updates, watch=watch,
        named_tolerance="tolerance" in settings,
    )  # fmt: skip


def _spec_of(settings: dict[str, Any], rule: Any, updates: int | None) -> Spec:
    """Return the settings as a Spec; raises OptionError for one that a function has no use for."""
    known = {each.name for each in fields(Spec)}
    for name in settings:
        if name not in USED:
            why = "does not apply to a function" if name in known else "does not exist"
            message = f'the setting "{name}" {why}{nearest(name, USED)}'
            raise OptionError(message)
    if updates is not None and settings.get("epochs", "auto") != "auto":
        message = "epochs and updates say the same; give one of them"
        raise OptionError(message)
    return Spec(**settings, rule=rule if isinstance(rule, str) else "auto")
