"""``downslope resume``: take up a run that was cut short."""

from __future__ import annotations

from downslope.cli.progress import Progress
from downslope.cli.shared import AsJson, Quiet, RunName, Runs, exit_as, print_json, print_page, title_of


def resume_command(run: RunName = "latest", runs: Runs = "runs", as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Go on with a run from its last checkpoint and print its report, or with ``--json`` its outcome as one object."""
    with Progress(quiet=quiet) as progress:
        progress.tell("starting", None)
        from downslope.fitting import resume

        ended = resume(run, runs, watch=progress.watch, tell=progress.tell)
    from downslope.views import flat, report

    if as_json:
        print_json(flat(ended))
    else:
        print_page(title_of(ended), report(ended))
    exit_as(ended)
