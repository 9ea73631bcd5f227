"""What several rules ask of a run."""

from __future__ import annotations

import math

from downslope.records import Run, Verdict
from downslope.records.scores import loss_score

CONSTANT_CURVATURE = frozenset({"squared"})
"""Losses whose curvature is the same everywhere, so that the limit measured at the start is exact."""

BOUNDED_CURVATURE = CONSTANT_CURVATURE | {"log", "softmax", "squared-hinge"}
"""Losses whose curvature further down is of the size of that at the start: at most four times it for log
loss where the rarer class has 7 % of the rows or more, as s (1 - s) <= 1/4."""

CORNERED = frozenset({"absolute", "quantile", "hinge"})
"""Losses with a corner instead of a curvature; what is measured for them is a rounded stand-in."""


SPENT = 0.9
"""Share of a budget from which it counts as spent: a run looks at it between passes or batches only."""


def number(run: Run, name: str) -> float:
    """Return a setting of the finished run as a number, nan where it is none (such as ``auto``)."""
    value = run.setting(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else math.nan


def peak_rate(run: Run) -> float:
    """Return the longest learning rate in use at any recorded step, nan where none is known."""
    rates = [step.learning_rate for step in run.steps if step.learning_rate > 0]
    return max(rates) if rates else number(run, "learning_rate")


def full_batch_limit(run: Run) -> float:
    """Return the learning rate above which full-batch steps diverge under the run's rule, nan where unknown.

    Without a curvature there is none. On a quadratic with largest curvature L: plain 2 / L; momentum m (heavy
    ball) 2 (1 + m) / L (Polyak 1964); Nesterov 2 (1 + m) / ((1 + 2 m) L), from the root -1 of its
    characteristic polynomial z^2 - (1 + m)(1 - rate L) z + m (1 - rate L). Rules that divide by past
    gradients have no such limit.
    """
    if run.setting("loss") in CORNERED:
        return math.nan
    limit, momentum = run.curvature.stability_limit, number(run, "momentum")
    factor = {
        "plain": 1.0,
        "momentum": 1 + momentum,
        "nesterov": (1 + momentum) / (1 + 2 * momentum),
    }.get(str(run.setting("rule")), math.nan)
    return limit * factor if math.isfinite(limit) and limit > 0 else math.nan


def is_network(run: Run) -> bool:
    """Return whether a network was trained: no bowl, so that no gap and no curvature at the start speak for it."""
    return run.setting("model") not in ("auto", "linear")


def held_out_looks(run: Run) -> list[tuple[float, float]]:
    """Return (passes, held-out loss) of each look at the held-out rows on the way."""
    return [(step.passes, step.holdout) for step in run.steps if math.isfinite(step.holdout)]


def clock_ended_it(run: Run) -> bool:
    """Return whether the seconds allowed, and not the passes, are what ended the run."""
    limit = run.spec.max_seconds
    return limit is not None and run.seconds.get("descend", 0.0) >= SPENT * limit


def budget_spent(run: Run) -> bool:
    """Return whether the run ended because its budget did, as far as the record shows."""
    passes_spent = run.passes >= SPENT * number(run, "epochs")
    return run.verdict == Verdict.BUDGET and (passes_spent or clock_ended_it(run) or run.message.startswith("budget"))


def lost_on_holdout(run: Run) -> tuple[str, float]:
    """Return the score compared and the share of the gain over the baseline that held-out rows do not show.

    The share is ``(holdout - train) / (baseline - train)``, nan where there is no gain to lose.
    """
    name = loss_score(run.train, run.holdout, run.baseline)
    if name is None or not run.train[name] < run.baseline[name]:
        return name or "", math.nan
    return name, (run.holdout[name] - run.train[name]) / (run.baseline[name] - run.train[name])


def rows_per_feature(run: Run) -> float:
    """Return the training rows behind each weight."""
    return run.data.train_rows / max(run.data.features * max(len(run.data.classes) - 1, 1), 1)


def quoted(names: list[str], most: int = 3) -> str:
    """Return names as a list in a sentence, such as ``"a", "b", "c" and 4 more``."""
    listed = [f'"{name}"' for name in names[:most]]
    if len(names) > most:
        return ", ".join(listed) + f" and {len(names) - most} more"
    return " and ".join([", ".join(listed[:-1]), listed[-1]] if len(listed) > 1 else listed)
