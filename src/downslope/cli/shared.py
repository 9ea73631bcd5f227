"""The options and the endings that several commands have in common."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from downslope.errors import OptionError
from downslope.records import Run, Verdict
from downslope.types import JsonValue
from downslope.views import Section

OUTPUT = "Output"
DATA = "Data"

Source: TypeAlias = Annotated[
    str, typer.Argument(help="file, glob or folder to learn from", metavar="SOURCE", show_default=False)
]
Target: TypeAlias = Annotated[
    str,
    typer.Option(
        "--target",
        help="column to predict, or a file of labels",
        metavar="COLUMN",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
Runs: TypeAlias = Annotated[
    str, typer.Option("--runs", help="folder of the saved runs", metavar="FOLDER", rich_help_panel=OUTPUT)
]
Save: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--save/--no-save", help="keep the run under the folder of runs", rich_help_panel=OUTPUT, show_default=False
    ),
]
AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="print one JSON object and nothing else", rich_help_panel=OUTPUT)
]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", help="show no progress", rich_help_panel=OUTPUT)]
RunName: TypeAlias = Annotated[
    str, typer.Argument(help="a run: its name, its folder, or latest", metavar="RUN", show_default=False)
]


def need_source_and_target(command: str, source: str, target: str, asked: dict[str, Any]) -> None:
    """Raise OptionError where a command is not told what to learn from, or what to predict.

    A folder of pictures says itself what they are; of any other folder, and of standard input, whose rows may begin
    with a label, the reader asks for the target.
    """
    from downslope.data.files import holds_entries

    if not source and not asked.get("sql"):
        message = f"{command} needs something to learn from: a file, glob or folder, or --sql QUERY"
        raise OptionError(message)
    if not target and source != "-" and not Path(source).is_dir() and not holds_entries(source):
        message = f"{command} needs the column to predict: --target COLUMN"
        raise OptionError(message)


def print_json(value: JsonValue) -> None:
    """Print one JSON object, on one line, to standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")


def print_page(title: str, sections: Iterable[Section]) -> None:
    """Print a page to standard output."""
    from downslope.cli.render import print_sections

    print_sections(title, sections)


def exit_as(run: Run) -> None:
    """Exit with 1 where a run failed: it diverged, or was interrupted."""
    if run.verdict in (Verdict.DIVERGED, Verdict.STOPPED):
        raise typer.Exit(1)


def title_of(run: Run) -> str:
    """Return what stands at the head of a run's report."""
    return f"{run.spec.sql or run.spec.source}  →  {run.spec.target}"
