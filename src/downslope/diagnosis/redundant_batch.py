"""DS509: a batch size asked for is far above the noise scale: most examples of a batch repeat the others."""

from __future__ import annotations

from downslope.diagnosis.facts import number, sound_looks, stands_at
from downslope.records import Finding, Run, Verdict
from downslope.records.figures import count, figure, plural
from downslope.records.shape import Look, Noise, StopKind
from downslope.words import say

FAR = 10.0
"""How many times the upper end of the noise scale's interval a batch must be."""


def find(run: Run) -> Finding | None:
    """Name the noise scale beside a batch that was at least ten times as large.

    The same progress takes updates in proportion to ``1 + S / B`` and examples to ``B + S``, S the noise scale and
    B the batch (McCandlish et al. 2018, eq. 2.11). Of S the upper end of its interval is used.
    """
    looks, batch = sound_looks(run), number(run, "batch_size")
    if run.spec.batch_size == "auto" or run.verdict == Verdict.DIVERGED or not looks:
        return None
    noise = _far_below(run, looks, batch)
    if noise is None:
        return None
    smaller = _power_above(max(noise.high, *(look.noise.low for look in looks)))
    if not smaller < batch:
        return None
    scale = noise.high
    examples, updates = (batch + scale) / (smaller + scale), (1 + scale / smaller) / (1 + scale / batch)
    return Finding(
        "DS509",
        say("Most examples of a batch repeat the others"),
        say(
            "batches of {batch} examples, where the gradient's noise scale was {scale} (95 %: {low} to {high}) {when}",
            batch=count(batch),
            scale=figure(noise.scale),
            low=figure(noise.low),
            high=figure(noise.high),
            when=_when(run, looks, noise),
        ),
        say(
            "try --batch-size {smaller}: for the same progress there about {examples} times fewer "
            "examples, in {updates} times as many updates; or leave it to auto, which weighs the time of "
            "a step as well",
            smaller=smaller,
            examples=figure(examples, 2),
            updates=figure(updates, 2),
        ),
    )


def _far_below(run: Run, looks: tuple[Look, ...], batch: float) -> Noise | None:
    """Return the noise that the batch is far above, None where it is not.

    The noise scale grows along a run. So the batch must be above the largest of all looks, or above that of the first,
    and nowhere surely below it, in a run whose budget ended on the way down.
    """
    widest, first = max((look.noise for look in looks), key=lambda noise: noise.high), looks[0].noise
    if batch > FAR * widest.high:
        return widest
    unfinished = run.verdict == Verdict.BUDGET and stands_at(run, StopKind.DESCENDING) is not None
    never_below = all(look.noise.low < batch for look in looks)
    return first if unfinished and never_below and batch > FAR * first.high else None


def _when(run: Run, looks: tuple[Look, ...], noise: Noise) -> str:
    """Say at which look a noise was met: the first of several, or the noisiest of all."""
    look = next(each for each in looks if each.noise is noise)
    noisiest = all(each.noise.high <= noise.high for each in looks) and len(looks) > 1
    most = say(", the most of {looks} looks", looks=len(looks)) if noisiest else ""
    late = (
        say(", and the budget was spent on {updates}", updates=plural(run.updates, "update"))
        if not noisiest and len(looks) > 1
        else ""
    )
    return say("at update {update}{most}{late}", update=count(look.update), most=most, late=late)


def _power_above(scale: float) -> int:
    """Return the smallest power of two that is no smaller than a scale, at most 2^30."""
    size = 1
    while size < scale and size < 1 << 30:
        size *= 2
    return size
