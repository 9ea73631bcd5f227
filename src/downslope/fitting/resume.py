"""Take up a run that was cut short, as if it had not been."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from downslope.errors import OptionError, RunError
from downslope.fitting.fit import Watch, carry_out
from downslope.fitting.images import with_labels
from downslope.fitting.keeping import source_print
from downslope.fitting.ready import Tell
from downslope.records import Run, Spec
from downslope.store import Progress, asked_function, take_up
from downslope.words import say


def resume(
    run: str | Path, runs: str | Path = "runs", *, source: object = None, target: object = None,
    watch: Watch | None = None, tell: Tell | None = None, cluster: str | None = None, workers: int | None = None,
) -> Run:  # fmt: skip
    """Take up a run from its last checkpoint and return it, saved whole.

    Its weights are those of the run never cut short, bit for bit, and its record goes on where it stopped. A run that
    was stopped by hand goes on under a name of its own, since it was saved as far as it had come.

    run: its name under ``runs``, its folder, or ``latest``. source, target: as they were given to ``fit``, for a run on
    arrays in Python, which were not kept. watch, tell: as in ``fit``. cluster, workers: another address and number of
    workers, for a run on a cluster. Raises RunError for a run that has ended or that another process is at, for a
    damaged checkpoint or one from another model, and where the data has changed.
    """
    progress = take_up(run, runs)
    try:
        _check_source(progress, source)
        if target is not None and not isinstance(target, str):
            source = with_labels(source, target)
        spec = _elsewhere(progress.spec, cluster, workers)
        return carry_out(source, spec, progress.folder.parent, watch, tell, progress)
    finally:
        progress.keep()


def _elsewhere(spec: Spec, cluster: str | None, workers: int | None) -> Spec:
    """Return the spec of a run on another cluster, or on another number of workers; raises OptionError."""
    if cluster is None and workers is None:
        return spec
    if spec.cluster is None:
        message = say("this run is not of a cluster; resume it without --cluster and --workers")
        raise OptionError(message)
    return replace(spec, cluster=cluster or spec.cluster, workers=workers or spec.workers)


def _check_source(progress: Progress, source: object) -> None:
    spec, asked = progress.spec, asked_function(progress.source)
    if asked is not None:
        message = (
            f'run "{progress.run}" is a descent of the function {asked.function}, which is code and was not kept; in '
            f"Python, call downslope.minimize with the same loss, params and data, and "
            f'runs="{progress.folder.parent}", resume="{progress.run}"'
        )
        raise RunError(message)
    if not spec.source and not spec.sql and source is None:
        message = (
            f'run "{progress.run}" was trained on arrays in Python, which were not kept; call resume with source= and '
            "the same arrays"
        )
        raise RunError(message)
    found = source_print(spec)
    if found and found != progress.source:
        message = f'"{spec.source}" has changed since run "{progress.run}" began, so it cannot go on; fit again'
        raise RunError(message)
