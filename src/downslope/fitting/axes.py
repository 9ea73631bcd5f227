"""The axes of a sweep: what was named for each, as values in order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from downslope.errors import OptionError
from downslope.records import Spec
from downslope.records.spec import settings


def number_axis(name: str, setting: Any, given: Sequence[float] | None) -> Sequence[Any] | None:
    """Return the values of an axis of numbers, None where they are left to choice; raises OptionError.

    name: of the setting, such as learning_rate, whose own value is a list of one.
    """
    if isinstance(setting, str):
        values = given
    elif given is not None:
        raise OptionError(_twice(name))
    else:
        values = [setting]
    for value in values or ():
        if not (math.isfinite(value) and value > 0):
            message = f"each {name.replace('_', ' ')} must be a number above 0, but one is {value:g}"
            raise OptionError(message)
    return values or None


def start_axis(spec: Spec, given: Sequence[str] | None) -> tuple[str, ...]:
    """Return the starts named, each once, the one of the spec where none is; raises OptionError."""
    usual, setting = settings()["start"]
    if given is not None and spec.start != usual:
        raise OptionError(_twice("start"))
    for start in given or ():
        setting.check("start", start)
    return tuple(dict.fromkeys(given or (spec.start,)))


def checked_seeds(seeds: int | None, usual: int) -> int:
    """Return how many seeds each cell or method runs with; raises OptionError below 1."""
    if seeds is not None and (seeds < 1 or seeds != int(seeds)):
        message = f"seeds must be a whole number of at least 1, not {seeds:g}"
        raise OptionError(message)
    return usual if seeds is None else int(seeds)


def _twice(name: str) -> str:
    return f"{name} and {name}s say the same; give one of them"
