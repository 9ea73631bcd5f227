"""``downslope resume``: take up a run that was cut short."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from downslope.cli.progress import Progress
from downslope.cli.shared import AsJson, Quiet, RunName, Runs, exit_as, print_json, print_page, title_of

Cluster: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--cluster", help="another address of the Ray cluster, or auto", metavar="ADDRESS", show_default=False
    ),
]
Workers: TypeAlias = Annotated[
    int | None,
    typer.Option("--workers", help="another number of workers", metavar="COUNT", min=1, show_default=False),
]


def resume_command(
    run: RunName = "latest",
    runs: Runs = "runs",
    cluster: Cluster = None,
    workers: Workers = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Go on with a run from its last checkpoint and print its report, or with ``--json`` its outcome as one object."""
    with Progress(quiet=quiet) as progress:
        progress.tell("starting", None)
        from downslope.fitting import resume

        ended = resume(run, runs, watch=progress.watch, tell=progress.tell, cluster=cluster, workers=workers)
    from downslope.views import flat, report

    if as_json:
        print_json(flat(ended))
    else:
        print_page(title_of(ended), report(ended))
    exit_as(ended)
