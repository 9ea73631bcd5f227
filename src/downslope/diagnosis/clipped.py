"""DS511: the clip, not the learning rate, set the length of most steps."""

from __future__ import annotations

import math
from statistics import median

from downslope.diagnosis.facts import AT_ONE_RATE
from downslope.records import Finding, Run, Verdict
from downslope.records.figures import count, figure, share
from downslope.words import Sentence, say

MOST = 0.5
"""Share of the updates from which shortening is the rule and no longer for the exception that a clip is meant for."""

ROOM = 4.0
"""How many times the usual length of a gradient to advise as a clip, which then meets only what stands out."""


def find(run: Run) -> Finding | None:
    """Say how many gradients a clip shortened, where that is most of them, beside the lengths that they had."""
    shortened = run.resolved.get("clipped")
    if run.spec.clip is None or not isinstance(shortened, int) or run.verdict == Verdict.DIVERGED:
        return None
    if not shortened > MOST * run.updates:
        return None
    lengths = [step.gradient_norm for step in run.steps if math.isfinite(step.gradient_norm)]
    usual = median(lengths) if lengths else math.nan
    known = say(", whose usual length was {usual}", usual=figure(usual)) if lengths else ""
    return Finding(
        "DS511",
        say("Most gradients were shortened"),
        say(
            "--clip {clip} shortened {shortened} of {updates} gradients ({part}){known}: {so}",
            clip=figure(run.spec.clip),
            shortened=count(shortened),
            updates=count(run.updates),
            part=share(shortened / run.updates),
            known=known,
            so=_so(run),
        ),
        _remedy(usual),
    )


def _remedy(usual: float) -> Sentence:
    if not usual > 0:
        return say("try to leave it out")
    return say("try --clip {clip}, which meets only what stands out, or leave it out", clip=figure(ROOM * usual, 2))


def _so(run: Run) -> Sentence:
    if run.setting("rule") in AT_ONE_RATE:
        return say("with the learning rate, the clip set the length of the steps, and not the slope")
    return say("steep and less steep places counted alike")
