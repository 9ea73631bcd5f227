"""``downslope surface``: descend a function of a few variables from many starts."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from downslope.cli.options import parse
from downslope.cli.progress import Progress
from downslope.cli.shared import AsJson, Quiet, print_json, print_page
from downslope.errors import OptionError

DESCENT = "Descent"


def surface_command(
    surface: Annotated[
        str,
        typer.Argument(
            help="a name (bowl, long-valley, saddle, plateau, egg-crate, himmelblau, rosenbrock, beale, ackley, "
            'six-hump-camel, two-valleys) or an expression such as "x**4 - 3*x**2 + x + y**2"',
            metavar="SURFACE",
            show_default=False,
        ),
    ] = "",
    starts: Annotated[
        int, typer.Option("--starts", help="how many starts are drawn from the box", rich_help_panel=DESCENT)
    ] = 10_000,
    start: Annotated[
        str,
        typer.Option(
            "--start", help="one start instead, such as 1.5,-2", metavar="NUMBERS", rich_help_panel=DESCENT,
            show_default=False,
        ),
    ] = "",
    box: Annotated[
        str,
        typer.Option(
            "--box", help="low:high of every variable, or of each, such as -3:3,0:2", metavar="RANGES",
            rich_help_panel=DESCENT, show_default=False,
        ),
    ] = "",
    steps: Annotated[int, typer.Option("--steps", help="steps of each descent", rich_help_panel=DESCENT)] = 500,
    rule: Annotated[
        str, typer.Option("--rule", help="how a gradient becomes a step", metavar="NAME", rich_help_panel=DESCENT)
    ] = "auto",
    learning_rate: Annotated[
        str,
        typer.Option(
            "--learning-rate", help="length of a step per unit of gradient", metavar="NUMBER", rich_help_panel=DESCENT
        ),
    ] = "auto",
    noise: Annotated[
        float,
        typer.Option(
            "--noise", help="deviation added to each component of each gradient, as small batches would",
            rich_help_panel=DESCENT,
        ),
    ] = 0.0,
    seed: Annotated[int, typer.Option("--seed", help="seed of the starts and the noise", rich_help_panel=DESCENT)] = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Say which start reaches which minimum; exits with 1 where every descent diverged."""
    if not surface:
        message = "surface needs a surface: a name such as egg-crate, or an expression such as x**2 + y**2"
        raise OptionError(message)
    rate: Any = parse("learning_rate", learning_rate)
    origins: Any = starts if not start else [_numbers("--start", start, ",")]
    sides: Any = None if not box else tuple(_pair(each) for each in box.split(","))
    with Progress(quiet=quiet) as progress:
        progress.tell("descending", surface)
        from downslope.fitting import basins

        found = basins(
            surface, origins, steps, rule=rule, learning_rate=rate, noise=noise, seed=seed, box=sides, keep=bool(start)
        )
    if as_json:
        from downslope.views.surface import surface_json

        print_json(surface_json(found))
    else:
        from downslope.views.surface import surface_report

        print_page(found.surface, surface_report(found))
    if found.elsewhere.get("diverged", 0.0) == 1.0:
        raise typer.Exit(1)


def _pair(text: str) -> list[float]:
    pair = _numbers("--box", text, ":")
    if len(pair) != 2:
        message = f"--box {text} is not understood; write low:high, such as -3:3, with commas between variables"
        raise OptionError(message)
    return pair


def _numbers(option: str, text: str, between: str) -> list[float]:
    try:
        return [float(each) for each in text.split(between)]
    except ValueError as error:
        message = f'{option} {text} is not understood; give numbers with "{between}" between them'
        raise OptionError(message) from error
