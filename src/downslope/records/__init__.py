"""The nouns of a training: what was asked (``spec``), what happened (``run``), and several side by side."""

from downslope.records.comparison import RaceEntry, RaceResult, Reached, SweepCell, SweepResult, Zone
from downslope.records.run import (
    Choice,
    Coefficient,
    ColumnSummary,
    Curvature,
    DataSummary,
    Finding,
    GapKind,
    Predictor,
    Run,
    StepRecord,
    Verdict,
)
from downslope.records.spec import Setting, Spec, settings

__all__ = [
    "Choice",
    "Coefficient",
    "ColumnSummary",
    "Curvature",
    "DataSummary",
    "Finding",
    "GapKind",
    "Predictor",
    "RaceEntry",
    "RaceResult",
    "Reached",
    "Run",
    "Setting",
    "Spec",
    "StepRecord",
    "SweepCell",
    "SweepResult",
    "Verdict",
    "Zone",
    "settings",
]
