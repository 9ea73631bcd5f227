"""DS510: a batch size asked for is far below the noise scale: single steps are mostly noise."""

from __future__ import annotations

import math

from downslope.diagnosis import noise_floor
from downslope.diagnosis.facts import number, sound_looks
from downslope.records import Finding, Run, Verdict
from downslope.records.figures import count, figure, share
from downslope.words import say

FAR = 10.0
"""How many times the batch the lower end of the noise scale's interval must be: then over nine tenths of the squared
length of a step are noise."""


def find(run: Run) -> Finding | None:
    """Name the noise scale beside a batch at most a tenth of it at every look of a run that ended unfinished.

    A batch of B examples has a squared gradient of ``|G|^2 (1 + S / B)`` on average, S the noise scale, so that an
    update goes ``1 / (1 + S / B)`` of the way of one with the whole gradient (McCandlish et al. 2018, eq. 2.7). The
    smallest lower end of S is used. Silent where the noise floor says the same with more.
    """
    looks, batch = sound_looks(run), number(run, "batch_size")
    if run.spec.batch_size == "auto" or run.verdict != Verdict.BUDGET or not looks or noise_floor.find(run):
        return None
    noise = min((look.noise for look in looks), key=lambda each: each.low)
    larger = _power_below(min(noise.low, float(run.data.train_rows)))
    if not noise.low > FAR * batch or not larger > batch:
        return None
    further = (1 + noise.low / batch) / (1 + noise.low / larger)
    return Finding(
        "DS510",
        say("Steps are mostly noise"),
        say(
            "batches of {batch} against a noise scale of at least {low} examples (the lower end of its "
            "95 % interval, at each of {looks} looks): {part} of the squared length of a step is noise",
            batch=count(batch),
            low=figure(noise.low),
            looks=len(looks),
            part=share(1 / (1 + batch / noise.low)),
        ),
        say(
            "try --batch-size {larger}, with which an update can go {further} times as far (a new rate "
            "goes with it: leave --learning-rate to auto)",
            larger=larger,
            further=figure(further, 2),
        ),
    )


def _power_below(scale: float) -> int:
    """Return the largest power of two that is no larger than a scale."""
    return 2 ** max(math.floor(math.log2(scale)), 0) if scale >= 1 else 1
