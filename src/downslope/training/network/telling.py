"""What the descent of a network says: how it ended, and why it took the rate that it took."""

from __future__ import annotations

import math
from collections.abc import Sequence

from downslope.records.figures import count, figure, plural
from downslope.records.shape import Look
from downslope.words import NOTHING, Sentence, say


def work_done(updates: int, passes: float) -> Sentence:
    """Return the work in words, such as ``120 updates, 3 passes``."""
    return say("{updates}, {passes}", updates=plural(updates, "update"), passes=plural(passes, "pass", "passes"))


def waited_enough(patience: int, best_update: int) -> Sentence:
    """Return that the held-out loss has not fallen for so many looks."""
    return say(
        "converged: the held-out loss has not fallen for {looks}; the weights of update {update}, its lowest, are kept",
        looks=plural(patience, "look"), update=count(best_update),
    )  # fmt: skip


def only_noise(patience: int, signal: float, noise: float) -> Sentence:
    """Return that the gradient's squared length has been no more than what noise makes of it."""
    return say(
        "converged: over the last {looks} the gradient's squared length, {signal}, was no more than what the noise of "
        "single rows makes of it, {noise}",
        looks=plural(patience, "look"), signal=figure(signal), noise=figure(noise),
    )  # fmt: skip


def raced(rates: int, updates: int, nearly: float) -> Sentence:
    """Return why a rate was taken of those that raced."""
    return say(
        "the smallest of {rates} rates, raced over the first {updates} updates, whose loss fell at least {share} as "
        "far as the best",
        rates=rates, updates=updates, share=f"{nearly:.0%}",
    )  # fmt: skip


def beside_limit(looks: Sequence[Look], rate: float) -> Sentence:
    """Return how a raced rate stands to the stability limit measured where the race ended; empty where none was."""
    if not looks or not (0 < looks[0].limit < math.inf):
        return NOTHING
    return say(
        "; it is {part} of the stability limit measured there, {limit}",
        part=figure(rate / looks[0].limit, 2), limit=figure(looks[0].limit, 2),
    )  # fmt: skip
