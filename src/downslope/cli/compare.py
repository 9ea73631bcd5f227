"""``downslope race`` and ``downslope sweep``: several trainings side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

import typer

from downslope.cli.options import flag, spec_of
from downslope.cli.progress import Progress
from downslope.cli.shared import AsJson, Quiet, Source, Target, need_source_and_target, print_json, print_page
from downslope.errors import OptionError
from downslope.records import Spec
from downslope.records.files import record_to_json

Seeds: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--seeds", help="trainings that differ in their seed only, whose mean and spread are told", metavar="COUNT",
        show_default=False,
    ),
]  # fmt: skip


def race_command(
    source: Source = "",
    target: Target = "",
    seeds: Seeds = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    asked: dict[str, Any] = {},  # noqa: B006 - read only; every setting given as an option
) -> None:
    """Run the methods from the same start and print how far each had come, and when."""
    need_source_and_target("race", source, target, asked)
    spec = spec_of(source, target, asked)
    with Progress(quiet=quiet) as progress:
        from downslope.fitting import race

        result = race(source or None, target, spec=spec, seeds=seeds, tell=progress.tell)
    if as_json:
        print_json(record_to_json(result))
        return
    from downslope.views import race_report

    print_page(_title(spec, result.target), race_report(result))


def sweep_command(
    source: Source = "",
    target: Target = "",
    seeds: Seeds = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    asked: dict[str, Any] = {},  # noqa: B006 - read only; every setting given as an option
) -> None:
    """Train a grid of learning rates by batch sizes, of a network by starts too, and print the map."""
    need_source_and_target("sweep", source, target, asked)
    axes: dict[str, Any] = {f"{name}s": READ[name](name, asked[name]) for name in READ if name in asked}
    spec = spec_of(source, target, {name: value for name, value in asked.items() if f"{name}s" not in axes})
    with Progress(quiet=quiet) as progress:
        from downslope.fitting import sweep

        result = sweep(source or None, target, spec=spec, seeds=seeds, tell=progress.tell, **axes)
    if as_json:
        print_json(record_to_json(result))
        return
    from downslope.views import sweep_report

    print_page(_title(spec, result.target), sweep_report(result))


def _title(spec: Spec, target: str) -> str:
    return f"{spec.sql or spec.source}  →  {target}"


def _numbers(name: str, given: str) -> list[Any] | None:
    """Return the numbers of an axis, such as ``0.1,0.01``; None for ``auto``; raises OptionError."""
    if given == "auto":
        return None
    try:
        return [int(each) if name == "batch_size" else float(each) for each in given.split(",")]
    except ValueError as error:
        kind = "whole numbers" if name == "batch_size" else "numbers"
        message = f"{flag(name)} {given} is not understood; give one or several {kind} with commas between them"
        raise OptionError(message) from error


def _names(name: str, given: str) -> list[str]:
    """Return the names of an axis, such as ``he,glorot``; raises OptionError for none."""
    names = [each.strip() for each in given.split(",")]
    if not all(names):
        message = f"{flag(name)} {given} is not understood; give one or several names with commas between them"
        raise OptionError(message)
    return names


READ: dict[str, Callable[[str, str], list[Any] | None]] = {
    "learning_rate": _numbers, "batch_size": _numbers, "start": _names,
}  # fmt: skip
"""The settings that a sweep takes lists of, and how each is read."""
