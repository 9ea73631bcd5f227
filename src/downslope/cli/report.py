"""``downslope report``: a run as one HTML file that opens anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from downslope.cli.shared import OUTPUT, AsJson, Runs, print_json
from downslope.errors import OptionError
from downslope.records.figures import count

NAME = "report.html"


def report_command(
    named: Annotated[
        list[str] | None,
        typer.Argument(
            help="runs: their names, their folders, or latest; several are compared", metavar="RUN", show_default=False
        ),
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help="file to write; left out, report.html in the folder of the run", metavar="FILE",
            rich_help_panel=OUTPUT,
        ),
    ] = "",
    language: Annotated[
        str,
        typer.Option(
            "--language", help="en or zh; left out, that of the reader's browser", metavar="NAME",
            rich_help_panel=OUTPUT,
        ),
    ] = "",
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="write over a file that is no report", rich_help_panel=OUTPUT),
    ] = False,
    runs: Runs = "runs",
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Write runs as one HTML file that needs no network, and say how large it is."""
    names = named or ["latest"]
    if len(names) > 1 and not output:
        message = "a report of several runs lies in the folder of none of them; say where with --output FILE"
        raise OptionError(message)
    from downslope.reporting import report

    records = [_record(name, runs) for name in names]
    path = output or str(Path(str(records[0].path)) / NAME)
    written = report(records[0], path, language=language, overwrite=overwrite, also=records[1:])
    size = written.stat().st_size
    if as_json:
        print_json({"report": str(written), "bytes": size, "runs": [each.run for each in records]})
    else:
        typer.echo(f"{written}  {count(size / 1000)} kB, complete in itself: open it in any browser")


def _record(name: str, runs: str) -> Any:
    from downslope.store import find, is_minimum, load, load_minimum

    return load_minimum(name, runs) if is_minimum(find(name, runs)) else load(name, runs)
