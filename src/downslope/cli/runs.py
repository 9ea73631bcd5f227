"""``downslope runs``, ``show`` and ``rerun``: what was trained before."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Annotated, Any, cast

import typer

from downslope.cli.fit import train
from downslope.cli.shared import AsJson, Quiet, RunName, Runs, exit_as, print_json, print_page, title_of
from downslope.errors import RunError
from downslope.records import Run, Spec
from downslope.records.figures import figure
from downslope.records.files import plain
from downslope.records.surface import Minimum
from downslope.types import JsonValue

CHOSEN_BY_SCALED = ("rule", "schedule", "learning_rate")
"""What the scaled method decides by itself: it takes no such setting."""


def runs_command(runs: Runs = "runs", as_json: AsJson = False) -> None:
    """List the saved runs, oldest first."""
    from downslope.store import list_minima, list_runs, list_unfinished
    from downslope.views import flat, listing
    from downslope.views.function import function_json, function_listing

    descents, unended = list_minima(runs), list_unfinished(runs)
    found = [*list_runs(runs), *(each for each in descents if not isinstance(each, Minimum))]
    minima = [each for each in descents if isinstance(each, Minimum)]
    if as_json:
        whole = [flat(run) for run in found if isinstance(run, Run)]
        broken = [{"run": run.run, "problem": run.problem} for run in found if not isinstance(run, Run)]
        names = ("run", "updates", "seconds", "running")
        going = [{name: getattr(run, name) for name in names} for run in unended]
        functions = [function_json(each) for each in minima]
        print_json({"runs": whole, "functions": functions, "unfinished": going, "broken": broken})
    elif found or minima or unended:
        print_page(runs, (*function_listing(minima), *listing(found, unended)))
    else:
        typer.echo(f'There is no run under "{runs}" yet; train one with downslope fit.')


def show_command(
    run: RunName = "latest",
    runs: Runs = "runs",
    as_json: AsJson = False,
) -> None:
    """Show the whole report of a saved run, with what was measured for each choice."""
    from downslope.store import find, is_minimum, load
    from downslope.views import flat, report

    if is_minimum(find(run, runs)):
        _show_function(run, runs, as_json=as_json)
        return
    found = load(run, runs)
    if as_json:
        print_json(flat(found))
    else:
        print_page(title_of(found), report(found, detail=True))


def _show_function(run: str, runs: str, *, as_json: bool) -> None:
    """Show the descent of a function."""
    from downslope.store import load_minimum
    from downslope.views.function import function_json, function_report

    found = load_minimum(run, runs)
    if as_json:
        print_json(function_json(found))
    else:
        print_page(found.function, function_report(found))


def rerun_command(
    run: RunName,
    runs: Runs = "runs",
    save: Annotated[bool, typer.Option("--save/--no-save", help="keep the new run", rich_help_panel="Output")] = True,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train again with every setting as it was, chosen ones included, and say whether the weights are the same."""
    from downslope.store import load
    from downslope.views import Section, Text, flat, report

    first = load(run, runs)
    again = train(exact_spec(first), runs if save else None, quiet=quiet)
    apart = _distance(first, again)
    if as_json:
        print_json({**flat(again), "rerun_of": first.run, "same_weights": apart == 0, "weights_apart": plain(apart)})
    else:
        differ = f"The weights differ from those of {first.run} by up to {figure(apart)}."
        words = "The weights are the same, bit for bit." if apart == 0 else differ
        print_page(title_of(again), (*report(again), Section("Against the first run", (Text(words),))))
    exit_as(again)


def exact_spec(run: Run) -> Spec:
    """Return the spec that repeats a run: each auto as what it became; raises RunError where its data was no file.

    A learning rate that was found by a race of lanes stays auto, and is found again: its lane adds up in
    another order than a training of one lane, so that only the race repeats it bit for bit.
    """
    if not run.spec.source and not run.spec.sql:
        message = (
            f'run "{run.run}" was trained on arrays in Python, which were not kept, so it cannot be run again; '
            "call fit on them instead"
        )
        raise RunError(message)
    asked = run.spec.to_json()
    became: dict[str, JsonValue] = {
        name: value for name, value in run.resolved.items() if asked.get(name) == "auto" and value is not None
    }
    method = run.setting("method")
    left_out = [
        *(CHOSEN_BY_SCALED if method == "scaled" else ()),
        *(("batch_size",) if method != "mini-batch" else ()),
        *(choice.name for choice in run.choices if choice.name == "learning_rate" and choice.candidates),
    ]
    return Spec.from_json({**asked, **{name: value for name, value in became.items() if name not in left_out}})


def _distance(first: Run, again: Run) -> float:
    """Return the largest difference between the weights of two runs, inf where they do not correspond."""
    ours, theirs = _weights(first), _weights(again)
    if ours == theirs:
        return 0.0
    if ours.keys() != theirs.keys():
        return math.inf
    load = import_module("safetensors.numpy").load
    pairs = [(load(ours[name]), load(theirs[name])) for name in ours]
    return max(
        (_apart(mine[key], other.get(key)) for mine, other in pairs for key in mine),
        default=math.inf,
    )


def _apart(mine: Any, other: Any) -> float:
    alike = other is not None and mine.shape == other.shape
    return float(abs(mine - other).max(initial=0.0)) if alike else math.inf


def _weights(run: Run) -> dict[str, bytes]:
    """Return the files of a run's weights."""
    files: dict[str, bytes] = cast("Any", run.model).to_files() if run.model is not None else {}
    return {name: content for name, content in files.items() if name.endswith(".safetensors")}
