"""A sweep as a map: learning rates down, batch sizes across, the gap in each cell."""

from __future__ import annotations

import math

from downslope.records import NetworkSweep, SweepCell, SweepResult, Verdict, Zone
from downslope.records.figures import count, duration, figure, plural
from downslope.views.after import plural_passes
from downslope.views.marks import MARKS, TONES
from downslope.views.parts import Section, Table, Text, Tone, facts
from downslope.views.sweep_network import network_sweep_report

ZONES = (Zone.TOO_SLOW, Zone.SWEET_SPOT, Zone.DIVERGED)
"""The zones of a linear model: a rate too large for it shows in a gap, as one that diverges does."""


def sweep_report(sweep: SweepResult | NetworkSweep) -> tuple[Section, ...]:
    """Return the sections of a sweep: what ran, the map, and the best cell."""
    if isinstance(sweep, NetworkSweep):
        return network_sweep_report(sweep)
    head = facts(
        (
            "data",
            f"{sweep.source}, {plural(sweep.rows, 'row')}, {plural(sweep.features, 'feature')}, target {sweep.target}",
        ),
        ("each cell", f"{sweep.loss_name} loss, {sweep.rule} steps, {plural_passes(sweep.passes)}"),
        ("trained", f"{len(sweep.cells)} lanes in {duration(sweep.seconds)}"),
    )
    return Section("The sweep", (head,)), Section("Learning rate by batch size", (_map(sweep), _legend(), _best(sweep)))


def _map(sweep: SweepResult) -> Table:
    cells = {(cell.learning_rate, cell.batch_size): cell for cell in sweep.cells}
    heads = ("rate", *(count(size) for size in sweep.batch_sizes))
    rows = tuple(
        (Text(figure(rate)), *(_cell(cells.get((rate, size)), sweep.best) for size in sweep.batch_sizes))
        for rate in reversed(sweep.learning_rates)
    )
    return Table(heads, rows, right=frozenset(range(len(heads))))


def _cell(cell: SweepCell | None, best: SweepCell | None) -> Text:
    if cell is None:
        return Text("–", Tone.QUIET)
    reached = figure(cell.gap, 2) if math.isfinite(cell.gap) and cell.verdict != Verdict.DIVERGED else ""
    mark = "★" if cell == best else MARKS[cell.zone]
    return Text(f"{reached} {mark}".strip(), TONES[cell.zone])


def _legend() -> Text:
    zones = "  ".join(f"{MARKS[zone]} {zone.value}" for zone in ZONES)
    return Text(f"gap reached:  {zones}, or bouncing far above the minimum  ★ best", Tone.QUIET)


def _best(sweep: SweepResult) -> Text:
    if sweep.best is None:
        smallest = f" below {figure(min(sweep.learning_rates))}" if sweep.learning_rates else ""
        return Text(f"Every cell diverged; try learning rates{smallest}.", Tone.BAD)
    best = sweep.best
    words = f"Best: learning rate {figure(best.learning_rate)} with batches of {plural(best.batch_size, 'example')}"
    limit = f"; full-batch steps are stable below {figure(sweep.stability_limit)}"
    ending = limit if math.isfinite(sweep.stability_limit) and sweep.rule == "plain" else ""
    return Text(f"{words}, gap {figure(best.gap, 2)}{ending}.")
