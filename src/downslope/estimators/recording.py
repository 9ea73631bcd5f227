"""From a training to the record of a run, as ``fit`` leaves one for a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from downslope.diagnosis import diagnose
from downslope.records import Coefficient, ColumnSummary, DataSummary, Run, Spec
from downslope.training import Training
from downslope.types import Matrix
from downslope.words import say

STRONGEST = 20
"""Coefficients kept in a run's record."""


@dataclass(frozen=True)
class Trained:
    """What an estimator keeps of a training, from which its run is written when it is asked for.

    rows: n. weights: (d, k) of the model features. coefficients: (d, k) in original units. varies: (d,) bool,
    False for a constant column. classes: their names, empty for a number.
    """

    spec: Spec
    training: Training
    rows: int
    weights: Matrix
    coefficients: Matrix
    varies: NDArray[np.bool_]
    classes: tuple[str, ...]


def run_of(trained: Trained, names: Sequence[str]) -> Run:
    """Return the record of a training on columns called ``names``, with its findings.

    Scores are left out: an estimator keeps no rows to score.
    """
    training = trained.training
    run = Run(
        run="",
        spec=trained.spec,
        resolved=dict(training.resolved),
        verdict=training.verdict,
        message=training.message,
        gap=training.gap,
        gap_kind=training.gap_kind,
        objective_at_start=training.objective_at_start,
        objective=training.objective,
        passes=training.passes,
        updates=training.updates,
        seconds={**training.seconds, "total": sum(training.seconds.values())},
        train={},
        holdout={},
        baseline={},
        data=_data(trained, names),
        curvature=training.curvature,
        choices=training.choices,
        steps=training.steps,
        coefficients=_strongest(trained, names),
        predicted_passes=training.predicted_passes,
    )
    return replace(run, findings=diagnose(run))


def _data(trained: Trained, names: Sequence[str]) -> DataSummary:
    treatment = say("standardised") if trained.spec.standardize else say("as it is")
    left_out = say("left out: {reason}", reason=say("constant"))
    columns = tuple(
        ColumnSummary(name, "number", treatment if varies else left_out, int(varies), 0)
        for name, varies in zip(names, trained.varies.tolist(), strict=True)
    )
    kind = {0: "number", 2: "boolean"}.get(len(trained.classes), "category")
    return DataSummary(trained.rows, trained.rows, 0, 0, len(names), columns, kind, trained.classes)


def _strongest(trained: Trained, names: Sequence[str]) -> tuple[Coefficient, ...]:
    """Return the coefficients whose feature moves the score most per deviation of the feature."""
    strength = np.abs(trained.weights)
    outputs: Sequence[str] = trained.classes if strength.shape[1] > 1 else ("",)
    found: list[Coefficient] = []
    for flat in np.argsort(-strength, axis=None, kind="stable")[:STRONGEST]:
        j, k = divmod(int(flat), strength.shape[1])
        if strength[j, k] > 0:
            value = float(trained.coefficients[j, k])
            found.append(Coefficient(names[j], value, float(strength[j, k]), outputs[k]))
    return tuple(found)
