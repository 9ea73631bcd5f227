"""Records of networks made by hand, for rules and views that read records only."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from downslope.records import Curvature, GapKind, Run, Spec, StepRecord, Verdict
from downslope.records.shape import LayerNoise, Look, Noise, Shape, StopKind, StopPoint

NAN = math.nan


def layer(name: str = "hidden.0.layer", **changes: Any) -> LayerNoise:
    """Return a healthy layer of 16 units, changed as said."""
    return replace(LayerNoise(name, 4.0, 0.05, NAN, 16, 16, 0.0), **changes)


def look(update: int = 1000, *layers: LayerNoise, limit: float = 0.2, rate: float = 0.1, **noise: Any) -> Look:
    """Return a look at a run by plain steps: curvatures from -0.3 to 2 / limit, a noise scale of 200."""
    found = Noise(200.0, 150.0, 260.0, 2.0, 0.01, 512, 1200, 16, layers or healthy_layers())
    largest = 2.0 / limit
    shape = Shape(largest, 0.0, -0.3, 0.0, NAN, 12.0, 0.5, limit, 0.02 * largest, 256, 1200, 100, 38)
    return Look(update, update / 100, rate, shape, replace(found, **noise), limit, largest)


def healthy_layers() -> tuple[LayerNoise, ...]:
    """Return two layers with nothing the matter."""
    return layer(), layer("last", units=3, rank=2, dead=NAN, weights=2.0)


def stop(kind: StopKind, **changes: Any) -> StopPoint:
    """Return a point where a run by plain steps ended: loss 0.5, gradient 0.02, rate 0.1, limit 0.5."""
    point = StopPoint(
        kind, f"{kind.value}: as measured", 0.5, 0.02, 0.001, 1e-6, 1e-3, 4.0, 0.01, 1e-4, 0.0, 0.0, 5.0, NAN, NAN,
        0.5, 32, 1200, 1200,
    )  # fmt: skip
    return replace(point, **changes)


def network_run(flights: Run, asked: dict[str, Any] | None = None, resolved: dict[str, Any] | None = None,
                **changes: Any) -> Run:  # fmt: skip
    """Return the record of a network of one hidden layer that learned well, changed as said."""
    settled: dict[str, Any] = {
        "loss": "log", "model": "mlp:16", "method": "mini-batch", "rule": "plain", "learning_rate": 0.1,
        "batch_size": 64, "l2": 0.0, "schedule": "constant", "warmup": 0.0, "epochs": 10.0,
    }  # fmt: skip
    steps = tuple(
        StepRecord(100 * k, float(k), 0.1 * k, 0.69 / (1 + k), 0.05, 0.1, exact=False, holdout=0.06 + 0.64 * 0.3**k)
        for k in range(1, 11)
    )
    run = replace(
        flights, spec=Spec(source="rings.csv", target="inside", **{"model": "mlp:16", **(asked or {})}),
        resolved=settled | (resolved or {}), verdict=Verdict.BUDGET, message="all the planned work is done: 1,000 "
        "updates, 10 passes", gap=NAN, gap_kind=GapKind.NONE, objective_at_start=0.69, objective=0.06, passes=10.0,
        updates=1000, train={"loss": 0.06}, holdout={"loss": 0.065}, baseline={"loss": 0.69}, coefficients=(),
        curvature=Curvature(NAN, NAN, NAN, NAN, NAN), choices=(), steps=steps, looks=(look(100), look()),
        data=replace(flights.data, rows=1500, train_rows=1200, holdout_rows=300, dropped_rows=0, columns=()),
    )  # fmt: skip
    return replace(run, **changes)
