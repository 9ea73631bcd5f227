"""The pages of several trainings side by side: races of methods, and maps of learning rates by batch sizes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from downslope.records import NetworkRace, NetworkSweep, RaceResult, SweepResult
from downslope.types import JsonValue
from downslope.views.page_parts import Page, number, numbers, told

BUDGETS = ("updates", "examples", "seconds")
REACHED = ("budget", "value", "deviation", "held", "held_deviation")
"""The columns of an array ``way:METHOD:BUDGET``: nan where a method cannot be compared, inf where it diverged."""


def race_page(race: RaceResult) -> Page:
    """Return what a page shows of a race of linear models, whose ways are gaps."""
    content: dict[str, Any] = {
        "kind": "race", "network": False, "source": race.source, "target": race.target, "rows": race.rows,
        "features": race.features, "loss": race.loss_name, "gap_kind": race.gap_kind.value,
        "minimum": number(race.minimum), "objective_at_start": number(race.objective_at_start),
        "seconds": {"total": race.seconds}, "python": _python("race", race.source, race.target),
        "entries": [
            {
                "name": each.name, "rate": number(each.learning_rate), "batch": each.batch_size, "seeds": each.seeds,
                "verdict": each.verdict.value, "message": told(each.message), "value": number(each.gap), "held": None,
                "updates": each.updates, "passes": each.passes, "seconds": each.seconds,
            }
            for each in race.entries
        ],
    }  # fmt: skip
    ways = {
        f"way:{each.name}:{budget}": numbers(
            [(at.budget, at.gap, at.scatter, math.nan, math.nan) for at in getattr(each, f"at_equal_{budget}")],
            len(REACHED),
        )
        for each in race.entries
        for budget in BUDGETS
    }
    return Page(content, ways)


def network_race_page(race: NetworkRace) -> Page:
    """Return what a page shows of a race of networks, whose ways are losses, training and held-out."""
    content: dict[str, Any] = {
        "kind": "race", "network": True, "source": race.source, "target": race.target, "rows": race.rows,
        "held_rows": race.held_rows, "measured_rows": race.measured_rows, "loss": race.loss_name, "rule": race.rule,
        "model": race.architecture, "objective_at_start": number(race.train_at_start),
        "seconds": {"total": race.seconds},
        "python": _python("race", race.source, race.target, model=race.architecture),
        "entries": [
            {
                "name": each.name, "rate": number(each.learning_rate), "batch": each.batch_size, "seeds": each.seeds,
                "verdict": each.verdict.value, "message": told(each.message), "value": number(each.train.mean),
                "held": number(each.held.mean), "updates": each.updates, "passes": each.passes,
                "seconds": each.seconds,
            }
            for each in race.entries
        ],
    }  # fmt: skip
    ways = {
        f"way:{each.name}:{budget}": numbers(
            [
                (at.budget, at.train.mean, at.train.deviation, at.held.mean, at.held.deviation)
                for at in getattr(each, f"at_equal_{budget}")
            ],
            len(REACHED),
        )
        for each in race.entries
        for budget in BUDGETS
    }
    return Page(content, ways)


def sweep_page(sweep: SweepResult) -> Page:
    """Return what a page shows of a map of learning rates by batch sizes of a linear model."""
    cells: list[JsonValue] = [
        {
            "rate": each.learning_rate, "batch": each.batch_size, "start": "", "value": number(each.gap),
            "deviation": None, "objective": number(each.objective), "zone": each.zone.value,
            "verdict": each.verdict.value, "best": each == sweep.best,
        }
        for each in sweep.cells
    ]  # fmt: skip
    content: dict[str, Any] = {
        "kind": "sweep", "network": False, "source": sweep.source, "target": sweep.target, "rows": sweep.rows,
        "features": sweep.features, "loss": sweep.loss_name, "rule": sweep.rule, "passes": sweep.passes,
        "objective_at_start": number(sweep.objective_at_start), "minimum": number(sweep.minimum),
        "gap_kind": sweep.gap_kind.value, "limit": number(sweep.stability_limit), "starts": [""], "by_held": False,
        "seconds": {"total": sweep.seconds}, "cells": cells, **_axes(sweep.learning_rates, sweep.batch_sizes),
        "python": _python("sweep", sweep.source, sweep.target),
    }  # fmt: skip
    return Page(content)


def network_sweep_page(sweep: NetworkSweep) -> Page:
    """Return what a page shows of a map of learning rates by batch sizes by starts of a network."""
    cells: list[JsonValue] = [
        {
            "rate": each.learning_rate, "batch": each.batch_size, "start": each.start,
            "value": number(sweep.judged(each).mean), "deviation": number(sweep.judged(each).deviation),
            "objective": number(each.train.mean), "zone": each.zone.value, "verdict": each.verdict.value,
            "best": each == sweep.best, "dropped": each.dropped, "passes": each.passes,
        }
        for each in sweep.cells
    ]  # fmt: skip
    content: dict[str, Any] = {
        "kind": "sweep", "network": True, "source": sweep.source, "target": sweep.target, "rows": sweep.rows,
        "held_rows": sweep.held_rows, "model": sweep.architecture, "loss": sweep.loss_name, "rule": sweep.rule,
        "passes": max(sweep.rounds, default=0.0), "limit": None, "starts": list(sweep.starts),
        "seeds": list(sweep.seeds), "by_held": sweep.by_held, "seconds": {"total": sweep.seconds}, "cells": cells,
        **_axes(sweep.learning_rates, sweep.batch_sizes),
        "python": _python("sweep", sweep.source, sweep.target, model=sweep.architecture),
    }  # fmt: skip
    return Page(content)


def _axes(rates: Iterable[float], batches: Iterable[int]) -> dict[str, JsonValue]:
    return {"rates": list(rates), "batches": list(batches)}


def _python(what: str, source: str, target: str, **settings: str) -> str:
    given = [repr(source) if source else "table", f"target={target!r}"]
    given += [f"{name}={value!r}" for name, value in settings.items()]
    return f"import downslope as ds\n\nfound = ds.{what}({', '.join(given)})\nfound.show()\n"
