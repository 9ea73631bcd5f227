"""``downslope fit``: from a file to a model and its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from downslope.cli.options import spec_of
from downslope.cli.progress import Progress
from downslope.cli.shared import (
    OUTPUT,
    AsJson,
    Quiet,
    Runs,
    Save,
    Source,
    Target,
    exit_as,
    need_source_and_target,
    print_json,
    print_page,
    title_of,
)
from downslope.errors import OptionError
from downslope.records import Run, Spec

Plan: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--plan", help="only say what a fit on a cluster would read, move, hold and take", rich_help_panel=OUTPUT
    ),
]
Price: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--price", help="what a worker costs an hour, for --plan", metavar="NUMBER", min=0.0, rich_help_panel=OUTPUT,
        show_default=False,
    ),
]  # fmt: skip


def fit_command(
    source: Source = "",
    target: Target = "",
    plan: Plan = False,
    price: Price = None,
    runs: Runs = "runs",
    save: Save = True,
    as_json: AsJson = False,
    quiet: Quiet = False,
    asked: dict[str, Any] = {},  # noqa: B006 - read only; every setting given as an option
) -> None:
    """Train a model and print its report, or with ``--json`` its outcome as one object."""
    need_source_and_target("fit", source, target, asked)
    if plan or price is not None:
        show_plan(spec_of(source, target, asked), plan, price, as_json=as_json)
        return
    run = train(spec_of(source, target, asked), runs if save else None, quiet=quiet)
    if as_json:
        from downslope.views import flat

        print_json(flat(run))
    else:
        from downslope.views import report

        print_page(title_of(run), report(run))
    exit_as(run)


def show_plan(spec: Spec, plan: bool, price: float | None, *, as_json: bool) -> None:
    """Print what a fit on a cluster would take; raises InputError."""
    if not plan:
        message = "--price is for --plan; give both, or leave it out"
        raise OptionError(message)
    from downslope.fitting.cluster import plan_fit
    from downslope.views.forecast import flat_forecast, forecast_section

    values = plan_fit(spec.source or None, spec).to_json()
    if as_json:
        print_json(flat_forecast(values, price))
    else:
        print_page(f"{spec.source}  →  {spec.target}", [forecast_section(values, price)])


def train(spec: Spec, runs: str | None, *, quiet: bool) -> Run:
    """Return the run of a spec, with its progress on standard error; raises OptionError where it cannot be saved."""
    if runs is not None and Path(runs).exists() and not Path(runs).is_dir():
        message = f'--runs "{runs}" is a file; name a folder to save the run in, or set --no-save'
        raise OptionError(message)
    with Progress(quiet=quiet) as progress:
        progress.tell("starting", None)
        from downslope.fitting import fit

        return fit(spec.source or None, spec.target, spec=spec, runs=runs, watch=progress.watch, tell=progress.tell)
