"""``downslope race`` and ``downslope sweep``: several trainings side by side."""

from __future__ import annotations

from typing import Any

from downslope.cli.options import flag, spec_of
from downslope.cli.progress import Progress
from downslope.cli.shared import AsJson, Quiet, Source, Target, need_source_and_target, print_json, print_page
from downslope.errors import OptionError
from downslope.records.files import record_to_json


def race_command(
    source: Source = "",
    target: Target = "",
    as_json: AsJson = False,
    quiet: Quiet = False,
    asked: dict[str, Any] = {},  # noqa: B006 - read only; every setting given as an option
) -> None:
    """Run the four methods from the same start and print how far each had come, and when."""
    need_source_and_target("race", source, target, asked)
    spec = spec_of(source, target, asked)
    with Progress(quiet=quiet) as progress:
        from downslope.fitting import race

        result = race(source or None, target, spec=spec, tell=progress.tell)
    if as_json:
        print_json(record_to_json(result))
        return
    from downslope.views import race_report

    print_page(f"{spec.sql or source}  →  {target}", race_report(result))


def sweep_command(
    source: Source = "",
    target: Target = "",
    as_json: AsJson = False,
    quiet: Quiet = False,
    asked: dict[str, Any] = {},  # noqa: B006 - read only; every setting given as an option
) -> None:
    """Train a grid of learning rates by batch sizes and print the map."""
    need_source_and_target("sweep", source, target, asked)
    axes = {f"{name}s": _numbers(name, asked[name]) for name in ("learning_rate", "batch_size") if name in asked}
    spec = spec_of(source, target, {name: value for name, value in asked.items() if f"{name}s" not in axes})
    with Progress(quiet=quiet) as progress:
        from downslope.fitting import sweep

        result = sweep(source or None, target, spec=spec, tell=progress.tell, **axes)
    if as_json:
        print_json(record_to_json(result))
        return
    from downslope.views import sweep_report

    print_page(f"{spec.sql or source}  →  {target}", sweep_report(result))


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
