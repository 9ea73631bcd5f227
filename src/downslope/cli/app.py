"""The commands and their options."""

from __future__ import annotations

from typing import Annotated

import typer

from downslope.cli import compare, fit, play, predict, report, resume, runs, slice, surface
from downslope.cli.options import with_settings

app = typer.Typer(
    help="Train models by gradient descent, choose by measurement, and see how the loss went down.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from downslope import __version__

        typer.echo(f"downslope {__version__}")
        raise typer.Exit


@app.callback()
def _root(  # pyright: ignore[reportUnusedFunction]
    _: Annotated[
        bool, typer.Option("--version", help="print the version and exit", callback=_version, is_eager=True)
    ] = False,
) -> None: ...


app.command("fit", help="Train a model on a table: the main job.")(with_settings(fit.fit_command))
app.command("predict", help="Put predictions next to the rows of a table.")(predict.predict_command)
app.command("race", help="Full batch, stochastic, mini-batch and scaled, on your data.")(
    with_settings(compare.race_command, leave_out=("method",))
)
app.command("sweep", help="Map learning rates by batch sizes: too slow, sweet spot, diverged.")(
    with_settings(compare.sweep_command)
)
app.command("runs", help="List the saved runs.")(runs.runs_command)
app.command("show", help="Show the whole report of a saved run.")(runs.show_command)
app.command("report", help="Write a run as one HTML file that opens anywhere, offline.")(report.report_command)
app.command("rerun", help="Train again exactly as a saved run was, and compare the weights bit for bit.")(
    runs.rerun_command
)
app.command("resume", help="Go on with a run that was cut short, as if it had not been.")(resume.resume_command)
app.command("surface", help="Descend a function of a few variables from many starts: which reaches which minimum.")(
    surface.surface_command
)
app.command("slice", help="Draw the loss of a trained network about its weights, with the path that led there.")(
    slice.slice_command
)
app.command("shape", help="Measure curvature, noise and the kind of point at the weights of a trained network.")(
    slice.shape_command
)
app.command("play", help="Open the playground in the browser: move the learning rate and watch.")(play.play_command)
