"""Everything that a page shows of a record, as JSON and arrays: report, notebook and playground draw from this alone.

The words of the page are the front end's, in ``web/src/words/run.ts``; what a record says itself, its sentences, goes
along as it is said.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from downslope.errors import InputError
from downslope.records import NetworkRace, NetworkSweep, RaceResult, Run, SweepResult
from downslope.records.slices import LineSlice, PlaneSlice
from downslope.records.surface import Basins, Minimum
from downslope.views.page_parts import Page

_PAGES: dict[type, tuple[str, str]] = {
    Run: ("page_run", "run_page"),
    Minimum: ("page_function", "function_page"),
    Basins: ("page_starts", "starts_page"),
    LineSlice: ("page_slices", "line_page"),
    PlaneSlice: ("page_slices", "plane_page"),
    RaceResult: ("page_several", "race_page"),
    NetworkRace: ("page_several", "network_race_page"),
    SweepResult: ("page_several", "sweep_page"),
    NetworkSweep: ("page_several", "network_sweep_page"),
}
"""What makes the page of each kind of record: its module here, and the function in it."""


def page_of(record: Any) -> Page:
    """Return what a page shows of a record: a run, a descent of a function, starts, a slice, a race or a sweep.

    Raises InputError for anything else.
    """
    if type(record) not in _PAGES:
        message = (
            f"there is no page of {type(record).__name__}; give what fit, minimize, basins, race or sweep returned"
        )
        raise InputError(message)
    module, name = _PAGES[type(record)]
    make: Callable[[Any], Page] = getattr(import_module(f"downslope.views.{module}"), name)
    return make(record)
