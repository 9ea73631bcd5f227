"""``downslope predict``: predictions next to the rows of a table."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from downslope.cli.shared import DATA, OUTPUT, RunName, Runs
from downslope.errors import OptionError


def predict_command(
    run: RunName,
    source: Annotated[
        str,
        typer.Argument(
            help="file, glob or folder to predict for; - is standard input", metavar="SOURCE", show_default=False
        ),
    ] = "",
    sql: Annotated[
        str,
        typer.Option(help="a query to predict for", metavar="QUERY", rich_help_panel=DATA, show_default=False),
    ] = "",
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="file to write, by its ending csv, tsv, parquet, arrow, json or ndjson; left out, CSV is printed",
            metavar="FILE",
            rich_help_panel=OUTPUT,
            show_default=False,
        ),
    ] = "",
    memory: Annotated[
        str,
        typer.Option(
            help="the most that may be resident, such as 1GB; half of what is free where it is left out",
            metavar="SIZE",
            rich_help_panel=DATA,
            show_default=False,
        ),
    ] = "",
    runs: Runs = "runs",
) -> None:
    """Predict for each row of a table with the model of a saved run, some rows at a time where memory holds no more."""
    if bool(source) == bool(sql):
        message = "predict needs rows to predict for: a file, glob or folder, or --sql QUERY, and one of them only"
        raise OptionError(message)
    from downslope.cli.tables import kind_of, write_file, write_stream
    from downslope.fitting import predict_in_parts
    from downslope.store import load

    kind = kind_of(output) if output else "csv"
    parts = predict_in_parts(load(run, runs), source or None, sql=sql or None, memory=memory or None)
    if output:
        rows = write_file(parts, output, kind)
        print(f"{rows:,} rows written to {output}", file=sys.stderr)
    else:
        write_stream(parts, sys.stdout.buffer, kind)
