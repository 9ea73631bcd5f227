"""The nouns of a training: what was asked (``spec``) and what happened (``run``)."""

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
    "Run",
    "Setting",
    "Spec",
    "StepRecord",
    "Verdict",
    "settings",
]
