"""What a fit on a cluster would take, as facts."""

from __future__ import annotations

from collections.abc import Mapping

from downslope.records.figures import count, duration, figure
from downslope.records.sizes import written
from downslope.types import JsonValue
from downslope.views.parts import Section, facts


def forecast_section(values: Mapping[str, JsonValue], price: float | None) -> Section:
    """Return a forecast as a section. values: as ``Forecast.to_json`` gives them. price: of a worker hour."""
    rows = count(values["rows"])
    known = rows if values["exact"] else f"about {rows}, by the bytes of the files"
    lines = [
        ("rows", known),
        ("files", f"{count(values['files'])}, in {count(values['pieces'])} shards"),
        ("workers", f"{count(values['workers'])}, of one thread each"),
        ("read", f"{written(values['read'])} of files by the worker with most of them, once"),
        ("held", f"{written(values['held'])} of encoded rows by that worker, on disk or in memory"),
        ("moved", f"{written(values['moved'])} from each worker a pass, and {written(values['once'])} once"),
        ("to read and encode", duration(values["prepare_seconds"])),
        ("a pass", duration(values["pass_seconds"])),
        ("in all", f"{duration(values['seconds'])}, if {figure(values['passes'])} passes are needed"),
    ]
    if price is not None:
        lines.append(("cost", f"{figure(_cost(values, price))} at {figure(price)} a worker hour"))
    lines.append(("measured on", f"{count(values['sampled'])} rows here; starting workers and the network come on top"))
    return Section("Plan", (facts(*lines),))


def flat_forecast(values: Mapping[str, JsonValue], price: float | None) -> dict[str, JsonValue]:
    """Return a forecast as one object."""
    return dict(values) | ({} if price is None else {"cost": _cost(values, price)})


def _cost(values: Mapping[str, JsonValue], price: float) -> float:
    return float(values["worker_hours"]) * price
