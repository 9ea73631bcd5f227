"""Descent on a loss of the caller's own: any function of any tree of arrays, with data or without."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from downslope.errors import OptionError, RunError, nearest
from downslope.machine import cores
from downslope.records.run import StepRecord, Verdict
from downslope.records.spec import Setting, Spec
from downslope.records.surface import Minimum

if TYPE_CHECKING:
    from downslope.store import Progress
    from downslope.store.functions import AskedFunction

UPDATES = Setting("", low=1, whole=True, none=True)
USED = (
    "method", "rule", "learning_rate", "schedule", "warmup", "momentum", "batch_size", "weight_decay", "clip",
    "tolerance", "epochs", "max_seconds", "checkpoint_seconds", "seed", "precision",
)  # fmt: skip
"""The settings of ``Spec`` that apply to a function."""
RUNS = "runs"
"""Where a descent that is taken up is looked for, where no folder is named."""


def minimize(
    loss: Callable[..., Any], params: Any, data: Any = None, *, residuals: bool = False, rule: Any = "auto",
    updates: int | None = None, watch: Callable[[StepRecord], None] | None = None, runs: str | Path | None = None,
    resume: str | Path | None = None, **settings: Any,
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
    Batches are drawn anew every epoch; the last one, where it is not full, waits for the next. A descent that diverges
    is a result: see ``Minimum.verdict``.

    runs: folder to save under; without it nothing is kept, as of any other function that is called. With it a
    checkpoint is written every ``checkpoint_seconds``, and the end as a run directory, which ``downslope show`` shows
    and ``store.load_minimum`` reads. resume: the name of a descent under runs ("runs" where none is named) that was
    cut short or stopped by hand. A loss cannot be kept, so give the same loss, params and data once more; settings
    that are left out are as they were. It ends with the same numbers, bit for bit, as if it had not been cut short.

    Raises OptionError for a mistake in what is given, and RunError where that is not what the run to resume began
    from.
    """
    began = time.perf_counter()
    UPDATES.check("updates", updates)
    spec = _spec_of(settings, rule, updates)
    called = _Called(loss, params, data, rule, watch, began)
    asked = _Asked(spec, updates, residuals, "tolerance" in settings)
    if resume is None:
        return _carry_out(called, asked, runs)
    return _resumed(called, asked, resume, RUNS if runs is None else runs, settings)


@dataclass(frozen=True)
class _Called:
    """What was given that cannot be kept, or need not be. began: when, by ``time.perf_counter``."""

    loss: Callable[..., Any]
    params: Any
    data: Any
    rule: Any
    watch: Callable[[StepRecord], None] | None
    began: float

    @property
    def own_rule(self) -> bool:
        """True where the rule is a transformation of the caller's."""
        return not isinstance(self.rule, str)


@dataclass(frozen=True)
class _Asked:
    """What was asked, as ``minimize`` takes it. named_tolerance: the tolerance was named."""

    spec: Spec
    updates: int | None
    residuals: bool
    named_tolerance: bool


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


def _resumed(called: _Called, asked: _Asked, run: str | Path, runs: str | Path, settings: dict[str, Any]) -> Minimum:
    """Take up a descent that was cut short; raises RunError where what is given is not what it began from."""
    from downslope.store.functions import take_up_function

    progress, spec, kept = take_up_function(run, runs)
    try:
        before = _Asked(spec, kept.updates, kept.residuals, kept.named_tolerance)
        _check_settings(progress.run, called, asked, before, kept.own_rule, settings)
        return _carry_out(called, before, progress.folder.parent, (progress, kept))
    finally:
        progress.keep()


def _check_settings(
    run: str, called: _Called, asked: _Asked, before: _Asked, own_rule: bool, settings: dict[str, Any]
) -> None:  # fmt: skip
    """Raise RunError where a setting that is named is not as it was."""
    if called.own_rule != own_rule:
        what = "a rule of your own; give it once more" if own_rule else f"the rule {before.spec.rule}; leave rule out"
        message = f'run "{run}" goes by {what}'
        raise RunError(message)
    named = [*settings, *([] if called.own_rule or called.rule == "auto" else ["rule"])]
    pairs = [(name, getattr(before.spec, name), getattr(asked.spec, name)) for name in named]
    if asked.updates is not None:
        pairs.append(("updates", before.updates, asked.updates))
    if asked.residuals:
        pairs.append(("residuals", before.residuals, asked.residuals))
    for name, was, now in pairs:
        if was != now:
            message = f'run "{run}" was begun with {name} {was!r}, not {now!r}; leave it out, or leave out resume'
            raise RunError(message)


def _carry_out(
    called: _Called, asked: _Asked, runs: str | Path | None, kept: tuple[Progress, AskedFunction] | None = None
) -> Minimum:
    """Descend, from the start or from where a descent was cut short, and save the end where that is asked.

    kept: of a descent that is taken up, its progress and what was asked of it.
    """
    from downslope.fitting.keeping import keep_until_done
    from downslope.store.functions import AskedFunction, begin_function, save_minimum
    from downslope.training.network.minimising import descend_function, pose_function
    from downslope.training.network.parameters import fingerprint, outline

    spec, name = asked.spec, _name_of(called.loss)
    rule = called.rule if called.own_rule else spec.rule
    problem = pose_function(called.loss, called.params, called.data, spec, residuals=asked.residuals)
    here = AskedFunction(
        name, asked.updates, asked.residuals, called.own_rule, asked.named_tolerance, outline(problem.weights),
        fingerprint(problem.weights), problem.rows,
    )  # fmt: skip
    if kept is not None:
        _check_start(kept[0].run, kept[1], here)

    def begin() -> Progress | None:
        return None if runs is None or not spec.checkpoint_seconds else begin_function(runs, spec, here)

    progress = None if kept is None else kept[0]
    with keep_until_done(spec.checkpoint_seconds, begin, lambda: fingerprint(problem.data), progress) as keeper:
        found = descend_function(
            problem, spec, rule, updates=asked.updates, named_tolerance=asked.named_tolerance,
            watch=called.watch, keeper=keeper,
        )  # fmt: skip
        keeper.stopped = found.verdict is Verdict.STOPPED
        total = keeper.earlier + time.perf_counter() - called.began
        found = replace(
            found, run=keeper.run, function=name, seconds={**found.seconds, "total": total},
            asked={"updates": asked.updates, "residuals": asked.residuals}, environment=_environment(),
        )  # fmt: skip
        return found if runs is None else save_minimum(found, runs)


def _check_start(run: str, kept: AskedFunction, here: AskedFunction) -> None:
    """Raise RunError where params or data are not those that a descent began from."""
    for name in [*kept.params, *here.params]:
        was, now = kept.params.get(name, "absent"), here.params.get(name, "absent")
        if was != now:
            message = f'{name} of params was {was} when run "{run}" began, and is {now} here; give params as they were'
            raise RunError(message)
    if kept.start != here.start:
        message = f'the numbers in params are not those that run "{run}" began from; give params as they were'
        raise RunError(message)
    if kept.rows != here.rows:
        message = f'run "{run}" was begun on {kept.rows:,} examples, not on {here.rows:,}; give data as it was'
        raise RunError(message)


def _name_of(loss: Any) -> str:
    """Return what a loss is called; one without a name of its own is a function."""
    name = str(getattr(loss, "__name__", type(loss).__name__)).strip("_")
    return name if name.isidentifier() else "function"


def _environment() -> dict[str, Any]:
    """Return what a descent was made with."""
    import platform
    from importlib.metadata import version

    packages = {name: version(name) for name in ("downslope", "jax", "numpy")}
    return {**packages, "python": platform.python_version(), "cores": cores()}
