"""What several rules ask of a run."""

from __future__ import annotations

import math

from downslope.records import Run, StepRecord, Verdict
from downslope.records.networks import has_hidden_layers, is_network
from downslope.records.scores import loss_score
from downslope.records.shape import Look, StopKind, StopPoint
from downslope.words import Sentence, joined, say

CONSTANT_CURVATURE = frozenset({"squared"})
"""Losses whose curvature is the same everywhere, so that the limit measured at the start is exact."""

BOUNDED_CURVATURE = CONSTANT_CURVATURE | {"log", "softmax", "squared-hinge"}
"""Losses whose curvature further down is of the size of that at the start: at most four times it for log
loss where the rarer class has 7 % of the rows or more, as s (1 - s) <= 1/4."""

CORNERED = frozenset({"absolute", "quantile", "hinge"})
"""Losses with a corner instead of a curvature; what is measured for them is a rounded stand-in."""

AT_ONE_RATE = frozenset({"plain", "momentum", "nesterov"})
"""Rules whose steps are as long as the gradients that they are given, in one proportion for all layers."""

LEFT = 2.0
"""How many times the loss of the start a descent must be at to have left: the losses of single batches scatter."""

SCATTER = 2**0.5
"""Standard deviation of the losses of single rows over their mean: that of the squares of normal residuals, and of
the size of that of log losses, whose records do not hold it."""

CHANCE = 2.0
"""Standard errors of the held-out loss that chance may make of nothing."""

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


def held_out_looks(run: Run) -> list[tuple[float, float]]:
    """Return (passes, held-out loss) of each look at the held-out rows on the way."""
    return [(step.passes, step.holdout) for step in run.steps if math.isfinite(step.holdout)]


def clock_ended_it(run: Run) -> bool:
    """Return whether the seconds allowed, and not the passes, are what ended the run."""
    limit = run.spec.max_seconds
    told = run.message.startswith("max-seconds")
    return limit is not None and (told or run.seconds.get("descend", 0.0) >= SPENT * limit)


def budget_spent(run: Run) -> bool:
    """Return whether the run ended because its budget did, as far as the record shows."""
    passes_spent = run.passes >= SPENT * number(run, "epochs")
    return run.verdict == Verdict.BUDGET and (passes_spent or clock_ended_it(run) or run.message.startswith("budget"))


def lost_on_holdout(run: Run) -> tuple[str, float]:
    """Return the score compared and the share of the gain over the baseline that held-out rows do not show.

    The share is ``(holdout - train) / (baseline - train)``, nan where there is no gain to lose, or where so few rows
    are held out that chance alone may have taken as much.
    """
    name = loss_score(run.train, run.holdout, run.baseline)
    if name is None or not run.train[name] < run.baseline[name]:
        return name or "", math.nan
    lost, scatter = run.holdout[name] - run.train[name], SCATTER * run.holdout[name]
    if lost <= CHANCE * scatter / math.sqrt(max(run.data.holdout_rows, 1)):
        return name, math.nan
    return name, lost / (run.baseline[name] - run.train[name])


def rows_per_weight(run: Run) -> float:
    """Return the training rows behind each weight, nan for a network of which nothing was measured."""
    if is_network(run):
        return run.data.train_rows / run.looks[-1].shape.weights if run.looks else math.nan
    return run.data.train_rows / max(run.data.features * max(len(run.data.classes) - 1, 1), 1)


def sound_looks(run: Run) -> tuple[Look, ...]:
    """Return the looks at a network that was still in its right mind: where it diverged, those of before.

    What is measured where the loss had already left is what came of the divergence, not its cause. But the curvature
    of a squared loss of a linear model is the same everywhere.
    """
    same_everywhere = run.setting("loss") in CONSTANT_CURVATURE and not has_hidden_layers(run)
    if run.verdict != Verdict.DIVERGED or same_everywhere:
        return run.looks
    return tuple(look for look in run.looks if _loss_at(run, look) <= LEFT * run.objective_at_start)


def _loss_at(run: Run, look: Look) -> float:
    """Return the loss that a diverged run had at a look, inf where it is not known.

    Its last look is of the last weights that were good. The objective is theirs too, unless those with the lowest
    held-out loss were kept instead.
    """
    if look.update >= run.updates:
        return math.inf if held_out_looks(run) else run.objective
    last = last_step(run, look.update)
    return run.objective_at_start if last is None else last.objective


def last_step(run: Run, update: int) -> StepRecord | None:
    """Return the last record of a run up to an update, None before the first."""
    return next((step for step in reversed(run.steps) if step.update <= update), None)


def stands_at(run: Run, kind: StopKind) -> StopPoint | None:
    """Return the point that a network's run ended at, if it ended by itself and the point is of this kind."""
    ended = run.verdict in (Verdict.CONVERGED, Verdict.BUDGET)
    return run.stop_point if ended and run.stop_point is not None and run.stop_point.kind == kind else None


def quoted(names: list[str], most: int = 3) -> Sentence:
    """Return names as a list in a sentence, such as ``"a", "b", "c" and 4 more``."""
    listed = [say('"{name}"', name=name) for name in names]
    if len(names) > most:
        return say("{names} and {more} more", names=joined(say(", "), listed[:most]), more=len(names) - most)
    if len(names) < 2:
        return joined("", listed)
    return say("{names} and {last}", names=joined(say(", "), listed[:-1]), last=listed[-1])
