"""The curve of a descent: what to draw, thinned so that no peak is lost."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from downslope.records import Run, StepRecord
from downslope.views.parts import Curve, Trace

POINTS = 240
"""Points kept of a curve: four for each character of a terminal's width, more than it can show."""

LEAST = 2
"""Fewest points that make a curve."""

FLOOR = 1e-16
"""Gap below which float64 cannot tell it from none."""

SPREAD = 10.0
"""Ratio of the largest to the smallest value from which a logarithmic axis shows more than a straight one."""


def curve_of(run: Run) -> Curve | None:
    """Return how the run went down: its gap where that was known all along, else its objective; None for no curve.

    Beside the objective stands the loss on held-out rows, where it was looked at on the way. Non-finite values, as at
    the end of a diverged run, are left out.
    """
    gaps = _gaps(run.steps)
    objectives = [(step.passes, step.objective) for step in run.steps if math.isfinite(step.objective)]
    points, label = (gaps, "gap") if len(gaps) >= max(LEAST, len(objectives) / 2) else (objectives, "objective")
    if len(points) < LEAST or points[0][0] == points[-1][0] or len({y for _, y in points}) < LEAST:
        return None
    kept = thin(points, POINTS)
    beside = _held_out(run.steps) if points is objectives else None
    ys = (*(y for _, y in kept), *(beside.ys if beside else ()))
    log = min(ys) > 0 and max(ys) / min(ys) >= SPREAD
    return Curve(tuple(x for x, _ in kept), tuple(y for _, y in kept), "passes", label, log, beside)


def _held_out(steps: Sequence[StepRecord]) -> Trace | None:
    """Return the loss on held-out rows at each look, None where there was none."""
    looks = thin([(step.passes, step.holdout) for step in steps if math.isfinite(step.holdout)], POINTS)
    return Trace(tuple(x for x, _ in looks), tuple(y for _, y in looks), "held-out loss") if looks else None


def _gaps(steps: Sequence[StepRecord]) -> list[tuple[float, float]]:
    """Return the gaps (passes, gap) of the kind that is known at most steps: a bound and an estimate do not mix."""
    known = [step for step in steps if math.isfinite(step.gap) and step.gap > 0]
    kinds = Counter(step.gap_kind for step in known)
    usual = max(kinds, key=lambda kind: kinds[kind], default=None)
    return [(step.passes, max(step.gap, FLOOR)) for step in known if step.gap_kind == usual]


def thin(points: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """Return at most ``most`` of the points (x, y), keeping the ends and the least and largest y of each stretch.

    A mean or a moving average would hide the peaks that tell a noisy descent from a smooth one.
    """
    return [points[index] for index in thin_indices([y for _, y in points], most)]


def thin_indices(values: Sequence[float], most: int) -> list[int]:
    """Return the places of what ``thin`` keeps of a curve, given its heights in order."""
    if len(values) <= most:
        return list(range(len(values)))
    stretches = (most - 2) // 2
    inner, kept = range(1, len(values) - 1), {0, len(values) - 1}
    for stretch in range(stretches):
        indices = inner[len(inner) * stretch // stretches : len(inner) * (stretch + 1) // stretches]
        kept.add(min(indices, key=values.__getitem__))
        kept.add(max(indices, key=values.__getitem__))
    return sorted(kept)


def last_known(steps: Sequence[StepRecord]) -> StepRecord | None:
    """Return the last step with a finite objective."""
    return next((step for step in reversed(steps) if math.isfinite(step.objective)), None)
