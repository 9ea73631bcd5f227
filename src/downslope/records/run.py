"""What happened: the record of one run, frozen, and everything in it plain data.

A record explains itself without the data, the engine or the model: diagnosis and views read these and
nothing else, so a run recorded anywhere can be explained anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from downslope.records.shape import Look, StopPoint
from downslope.records.showing import Shown
from downslope.records.spec import Spec
from downslope.records.trajectory import Trajectory
from downslope.types import JsonValue
from downslope.words import Sentence


class Verdict(StrEnum):
    """How a run ended."""

    CONVERGED = "converged"
    BUDGET = "budget"
    DIVERGED = "diverged"
    STOPPED = "stopped"


class GapKind(StrEnum):
    """How much a gap can be trusted: proved, estimated, or unknown."""

    CERTIFIED = "certified"
    ESTIMATED = "estimated"
    NONE = "none"


@dataclass(frozen=True)
class StepRecord:
    """One look at the run, taken after an update.

    update: updates so far. passes: passes over the training examples so far, counting the ones spent on
    choosing. seconds: since the descent began. objective: F on the training examples (an estimate from
    the batches of the epoch where ``exact`` is False). gradient_norm: of F by the weights and the
    intercept, nan where it was not computed. learning_rate: in use at that update. gap, gap_kind: see
    DESIGN, section 3; nan and "none" where unknown. holdout: mean loss on the held-out examples, nan where
    it was not looked at.
    """

    update: int
    passes: float
    seconds: float
    objective: float
    gradient_norm: float
    learning_rate: float
    gap: float = float("nan")
    gap_kind: GapKind = GapKind.NONE
    exact: bool = True
    holdout: float = float("nan")


@dataclass(frozen=True)
class Choice:
    """One decision with its evidence.

    name: the setting that was ``auto``. value: what it became. reason: one sentence.
    candidates: what was measured, a row each, such as ``{"learning_rate": 0.1, "objective": 0.61}``.
    """

    name: str
    value: JsonValue
    reason: Sentence
    candidates: tuple[Mapping[str, JsonValue], ...] = ()


@dataclass(frozen=True)
class Finding:
    """A coded diagnosis: what is the matter, how we know, what to do about it."""

    code: str
    title: Sentence
    evidence: Sentence
    remedy: Sentence


@dataclass(frozen=True)
class Curvature:
    """The shape of the slope, measured at the start.

    condition_before, condition_after: largest over smallest curvature, before and after features are
    scaled (inf where the smallest is zero to rounding). stability_limit: ``2 / largest``, the learning
    rate above which plain full-batch steps diverge, in the coordinates that are trained.
    """

    largest: float
    smallest: float
    condition_before: float
    condition_after: float
    stability_limit: float


@dataclass(frozen=True)
class ColumnSummary:
    """What became of one column.

    kind: number, boolean, category, date, time, text, null. treatment: one phrase such as
    "standardised" or "one-hot, 104 levels" or "left out: identifier". features: how many model
    features it became. missing: null values among the rows read.
    """

    name: str
    kind: str
    treatment: Sentence
    features: int
    missing: int


@dataclass(frozen=True)
class DataSummary:
    """What the data is.

    rows: with a target. train_rows, holdout_rows: their split. dropped_rows: left out because the target
    was null. features: d of the model. columns: every column but the target.
    target_kind: number, boolean or category; classes: their names, empty for a number.
    """

    rows: int
    train_rows: int
    holdout_rows: int
    dropped_rows: int
    features: int
    columns: tuple[ColumnSummary, ...]
    target_kind: str
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Coefficient:
    """A learned weight in original units: the change of the score per unit (or for that level)."""

    feature: str
    value: float
    strength: float
    output: str = ""


class Predictor(Protocol):
    """What ``Run.model`` can do; see ``downslope.models.linear``."""

    def predict(self, table: Any) -> Any:
        """Return a prediction for each row of a table."""
        ...


@dataclass(frozen=True)
class Run(Shown):
    """One training, whole.

    run: its name. spec: what was asked. resolved: what each ``auto`` became. verdict, gap, gap_kind,
    objective: where it ended; objective_at_start: F at zero weights. passes, updates: work done.
    seconds: read, choose, descend, compile, total. train, holdout, baseline: scores by name.
    message: the verdict in one sentence. predicted_passes: passes that would still be needed, nan where
    unknown or not needed. looks: the loss about a network's weights along the run. stop_point: what kind of point its
    weights ended at, None where that was not measured. trajectory: the path of its weights, None where none was kept.
    path: the folder that the run is saved in.
    """

    run: str
    spec: Spec
    resolved: Mapping[str, JsonValue]
    verdict: Verdict
    message: Sentence
    gap: float
    gap_kind: GapKind
    objective_at_start: float
    objective: float
    passes: float
    updates: int
    seconds: Mapping[str, float]
    train: Mapping[str, float]
    holdout: Mapping[str, float]
    baseline: Mapping[str, float]
    data: DataSummary
    curvature: Curvature
    choices: tuple[Choice, ...] = ()
    steps: tuple[StepRecord, ...] = ()
    coefficients: tuple[Coefficient, ...] = ()
    findings: tuple[Finding, ...] = ()
    predicted_passes: float = float("nan")
    looks: tuple[Look, ...] = ()
    stop_point: StopPoint | None = None
    environment: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    path: str | None = None
    model: Predictor | None = field(default=None, compare=False, repr=False)
    trajectory: Trajectory | None = field(default=None, compare=False, repr=False)

    def setting(self, name: str) -> JsonValue:
        """Return what a setting of the spec was in the end: what ``auto`` became, else what was asked."""
        return self.resolved.get(name, getattr(self.spec, name))
