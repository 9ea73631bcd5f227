"""``downslope slice`` and ``downslope shape``: the loss about the weights of a trained network."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from downslope.cli.progress import Progress
from downslope.cli.shared import DATA, AsJson, Quiet, RunName, Runs, print_json, print_page
from downslope.errors import OptionError
from downslope.records.files import record_to_json

SLICE = "Slice"

Moved = Annotated[
    str,
    typer.Option(
        "--source", help="where the run's data lies now, if it was moved", metavar="SOURCE", rich_help_panel=DATA,
        show_default=False,
    ),
]  # fmt: skip
Seed = Annotated[int, typer.Option("--seed", help="seed of random directions and of the sample", rich_help_panel=SLICE)]


def slice_command(
    run: RunName = "latest",
    directions: Annotated[
        str,
        typer.Option(
            "--directions", help="path (where the run went), random, hessian (largest curvatures), or auto",
            metavar="NAME", rich_help_panel=SLICE,
        ),
    ] = "auto",
    points: Annotated[int, typer.Option("--points", help="points along each axis", rich_help_panel=SLICE)] = 51,
    line: Annotated[bool, typer.Option("--line", help="one direction instead of two", rich_help_panel=SLICE)] = False,
    extent: Annotated[
        float | None,
        typer.Option(
            "--extent", help="how far to go either way, in lengths of the directions", rich_help_panel=SLICE,
            show_default=False,
        ),
    ] = None,
    sample: Annotated[
        str,
        typer.Option(
            "--sample", help="training rows that losses are over: a count, all, or auto", metavar="COUNT",
            rich_help_panel=SLICE,
        ),
    ] = "auto",
    seed: Seed = 0,
    source: Moved = "",
    runs: Runs = "runs",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Draw the loss of a trained network over a plane or along a line, with the run's path at its true loss."""
    rows: Any = "auto" if sample == "auto" else _rows(sample)
    with Progress(quiet=quiet) as progress:
        progress.tell("slicing", run)
        from downslope.fitting import loss_slice

        found = loss_slice(
            run, source or None, directions=directions, plane=not line, points=points, extent=extent, sample=rows,
            seed=seed, runs=runs, tell=progress.tell,
        )  # fmt: skip
    from downslope.views.slices import slice_json, slice_report

    if as_json:
        print_json(slice_json(found))
    else:
        print_page(found.run, slice_report(found))


def shape_command(
    run: RunName = "latest",
    sample: Annotated[
        str,
        typer.Option("--sample", help="training rows to measure on, or all", metavar="COUNT", rich_help_panel=SLICE),
    ] = "2048",
    seed: Seed = 0,
    source: Moved = "",
    runs: Runs = "runs",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure the loss about the weights of a trained network: its curvature, noise, and what kind of point it is."""
    rows = _rows(sample)
    with Progress(quiet=quiet) as progress:
        progress.tell("measuring", run)
        from downslope.fitting import loss_shape

        found = loss_shape(run, source or None, sample=rows, seed=seed, runs=runs, tell=progress.tell)
    if as_json:
        print_json(record_to_json(found))
    else:
        from downslope.views.slices import shape_report

        print_page(found.run, shape_report(found))


def _rows(text: str) -> int | None:
    """Return how many rows a sample has, None for all; raises OptionError."""
    if text == "all":
        return None
    try:
        return int(text)
    except ValueError as error:
        message = f"--sample {text} is not understood; give a number of rows, or all"
        raise OptionError(message) from error
