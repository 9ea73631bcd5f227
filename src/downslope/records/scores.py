"""The scores a run may hold: what each is called, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from downslope.words import Sentence, say


@dataclass(frozen=True)
class Score:
    """label: as printed. higher: True where more is better. share: True where it is a part of a whole."""

    label: Sentence
    higher: bool
    share: bool = False


SCORES: dict[str, Score] = {
    "loss": Score(say("mean loss"), higher=False),
    "accuracy": Score(say("accuracy"), higher=True, share=True),
    "balanced_accuracy": Score(say("balanced accuracy"), higher=True, share=True),
    "auc": Score(say("area under ROC"), higher=True),
    "log_loss": Score(say("log loss"), higher=False),
    "deviance": Score(say("mean deviance"), higher=False),
    "r2": Score(say("R²"), higher=True),
    "mse": Score(say("mean squared error"), higher=False),
    "rmse": Score(say("root mean squared error"), higher=False),
    "mae": Score(say("mean absolute error"), higher=False),
}
"""In the order in which they are printed. ``loss`` is the run's own loss, averaged, without penalties."""

_LOSSES = ("loss", "log_loss", "deviance", "mse", "rmse", "mae")


def loss_score(*scores: Mapping[str, float]) -> str | None:
    """Return the name of the first loss-like score that all of ``scores`` hold, None where there is none."""
    return next((name for name in _LOSSES if all(name in each for each in scores)), None)
