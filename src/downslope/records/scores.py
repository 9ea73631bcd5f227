"""The scores a run may hold: what each is called, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """label: as printed. higher: True where more is better. share: True where it is a part of a whole."""

    label: str
    higher: bool
    share: bool = False


SCORES: dict[str, Score] = {
    "loss": Score("mean loss", higher=False),
    "accuracy": Score("accuracy", higher=True, share=True),
    "balanced_accuracy": Score("balanced accuracy", higher=True, share=True),
    "auc": Score("area under ROC", higher=True),
    "log_loss": Score("log loss", higher=False),
    "deviance": Score("mean deviance", higher=False),
    "r2": Score("R²", higher=True),
    "mse": Score("mean squared error", higher=False),
    "rmse": Score("root mean squared error", higher=False),
    "mae": Score("mean absolute error", higher=False),
}
"""In the order in which they are printed. ``loss`` is the run's own loss, averaged, without penalties."""

_LOSSES = ("loss", "log_loss", "deviance", "mse", "rmse", "mae")


def loss_score(*scores: Mapping[str, float]) -> str | None:
    """Return the name of the first loss-like score that all of ``scores`` hold, None where there is none."""
    return next((name for name in _LOSSES if all(name in each for each in scores)), None)
