"""DS509: a batch size asked for is far above the noise scale: most examples of a batch repeat the others."""

from __future__ import annotations

from downslope.diagnosis.facts import number, sound_looks
from downslope.records import Finding, Run, Verdict
from downslope.records.figures import count, figure
from downslope.records.shape import Look

FAR = 10.0
"""How many times the upper end of the noise scale's interval a batch must be."""


def find(run: Run) -> Finding | None:
    """Name the noise scale beside a batch that was at least ten times as large at every look.

    The same progress takes updates in proportion to ``1 + S / B`` and examples to ``B + S``, S the noise scale and
    B the batch (McCandlish et al. 2018, eq. 2.11). The largest upper end of S is used, for it grows along a run.
    """
    looks, batch = sound_looks(run), number(run, "batch_size")
    if run.spec.batch_size == "auto" or run.verdict == Verdict.DIVERGED or not looks:
        return None
    scale = max(look.noise.high for look in looks)
    smaller = _power_above(scale)
    if not batch > FAR * scale or not smaller < batch:
        return None
    examples, updates = (batch + scale) / (smaller + scale), (1 + scale / smaller) / (1 + scale / batch)
    return Finding(
        "DS509",
        "Most examples of a batch repeat the others",
        f"batches of {count(batch)} examples, where the gradient's noise scale was at most {_widest(looks)} "
        f"at {_all_of(looks)}",
        f"try --batch-size {smaller}: for the same progress about {figure(examples, 2)} times fewer examples, in "
        f"{figure(updates, 2)} times as many updates; or leave it to auto, which weighs the time of a step as well",
    )


def _widest(looks: tuple[Look, ...]) -> str:
    noise = max((look.noise for look in looks), key=lambda each: each.high)
    return f"{figure(noise.scale)} (95 %: {figure(noise.low)} to {figure(noise.high)})"


def _all_of(looks: tuple[Look, ...]) -> str:
    return f"each of {len(looks)} looks" if len(looks) > 1 else "the one look there was"


def _power_above(scale: float) -> int:
    """Return the smallest power of two that is no smaller than a scale, at most 2^30."""
    size = 1
    while size < scale and size < 1 << 30:
        size *= 2
    return size
