"""``downslope runs``, ``show`` and ``rerun``: what was trained before."""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer

from downslope.cli.fit import train
from downslope.cli.shared import AsJson, Quiet, RunName, Runs, exit_as, print_json, print_page, title_of
from downslope.errors import RunError
from downslope.records import Run, Spec
from downslope.types import JsonValue

CHOSEN_BY_SCALED = ("rule", "schedule", "learning_rate")
"""What the scaled method decides by itself: it takes no such setting."""


def runs_command(runs: Runs = "runs", as_json: AsJson = False) -> None:
    """List the saved runs, oldest first."""
    from downslope.store import list_runs
    from downslope.views import flat, listing

    found = list_runs(runs)
    if as_json:
        whole = [flat(run) for run in found if isinstance(run, Run)]
        broken = [{"run": run.run, "problem": run.problem} for run in found if not isinstance(run, Run)]
        print_json({"runs": whole, "broken": broken})
    elif found:
        print_page(runs, listing(found))
    else:
        typer.echo(f'There is no run under "{runs}" yet; train one with downslope fit.')


def show_command(
    run: RunName = "latest",
    runs: Runs = "runs",
    as_json: AsJson = False,
) -> None:
    """Show the whole report of a saved run, with what was measured for each choice."""
    from downslope.store import load
    from downslope.views import flat, report

    found = load(run, runs)
    if as_json:
        print_json(flat(found))
    else:
        print_page(title_of(found), report(found, detail=True))


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
    same = _weights(first) == _weights(again)
    if as_json:
        print_json({**flat(again), "rerun_of": first.run, "same_weights": same})
    else:
        words = "The weights are the same, bit for bit." if same else f"The weights differ from those of {first.run}."
        print_page(title_of(again), (*report(again), Section("Against the first run", (Text(words),))))
    exit_as(again)


def exact_spec(run: Run) -> Spec:
    """Return the spec of a run with each auto as what it became; raises RunError where its data was not a file."""
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
    left_out = CHOSEN_BY_SCALED if run.setting("method") == "scaled" else ()
    if run.setting("method") != "mini-batch":
        left_out = (*left_out, "batch_size")
    return Spec.from_json({**asked, **{name: value for name, value in became.items() if name not in left_out}})


def _weights(run: Run) -> dict[str, bytes]:
    """Return the files of a run's weights."""
    files: dict[str, bytes] = cast("Any", run.model).to_files() if run.model is not None else {}
    return {name: content for name, content in files.items() if name.endswith(".safetensors")}
