"""DS101: the steps were longer than the curvature allows."""

from __future__ import annotations

from downslope.diagnosis.facts import full_batch_limit, number, peak_rate
from downslope.records import Finding, Run, Verdict
from downslope.records.figures import figure
from downslope.words import Sentence, say

SAFE_SHARE = 0.5
"""Share of the limit to advise: at half of it no direction overshoots, and a measured limit may be a few
per cent off."""


def find(run: Run) -> Finding | None:
    """Explain a divergence by a learning rate above the stability limit."""
    rate, limit = peak_rate(run), full_batch_limit(run)
    if run.verdict != Verdict.DIVERGED or run.setting("method") == "scaled" or not rate > limit:
        return None
    evidence = say(
        "learning rate {rate} is above the stability limit {limit} ({origin} / largest curvature {largest})",
        rate=figure(rate),
        limit=figure(limit),
        origin=_origin(run),
        largest=figure(run.curvature.largest),
    )
    if run.setting("rule") == "plain":
        growth = abs(1 - rate * run.curvature.largest)
        evidence += say("; along that direction each step multiplies the error by {growth}", growth=figure(growth))
    return Finding("DS101", say("Learning rate above the stability limit"), evidence, _remedy(run, SAFE_SHARE * limit))


def _origin(run: Run) -> str:
    return {
        "plain": "2",
        "momentum": say("2 (1 + momentum)"),
        "nesterov": say("2 (1 + momentum) / (1 + 2 momentum)"),
    }[str(run.setting("rule"))]


def _remedy(run: Run, rate: float) -> Sentence:
    remedy = say("try --learning-rate {rate}, or leave it to auto", rate=figure(rate, 2))
    if run.spec.standardize:
        return remedy
    bound = _bound_when_standardised(run)
    stable = say(": then any rate below {bound} is stable", bound=figure(bound)) if bound is not None else ""
    return remedy + say(", or standardise{stable}", stable=stable)


def _bound_when_standardised(run: Run) -> float | None:
    """Return a rate that is surely stable once features are standardised, where there is a proof.

    For squared loss on p standardised numbers the Hessian is twice a correlation matrix, whose largest
    eigenvalue is at most p, with 2 for the intercept beside it.
    """
    numbers_only = all(column.kind == "number" and not column.missing for column in run.data.columns if column.features)
    plain = run.setting("loss") == "squared" and run.setting("rule") == "plain"
    unpenalised = number(run, "l2") == 0 and number(run, "l1") == 0 and run.spec.weights is None
    if not (numbers_only and plain and unpenalised and run.data.features):
        return None
    return 1 / run.data.features
