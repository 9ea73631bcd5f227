"""How numbers are written in sentences and tables: few digits, no noise."""

from __future__ import annotations

import math

from downslope.words import Sentence, say

LARGEST = 4
"""Digits kept of a number that needs no decimals, so that years and thousands stay whole."""


def count(value: float) -> str:
    """Return a whole number with separators, such as ``327,346``."""
    return f"{round(value):,}" if math.isfinite(value) else figure(value)


def figure(value: float, digits: int = 3) -> str:
    """Return a number to a few significant digits, such as ``0.0698``, ``28.6``, ``2,284`` or ``3.1e-07``."""
    if not math.isfinite(value):
        return say("unknown") if math.isnan(value) else (say("infinite") if value > 0 else say("minus infinite"))
    size = abs(value)
    if size != 0 and (size < 10.0**-4 or size >= 10.0**7):
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{_trim(mantissa)}e{int(exponent)}"
    if size >= 10.0 ** (digits - 1):
        return f"{float(f'{value:.{max(digits, LARGEST)}g}'):,.0f}"
    return _trim(f"{value:#.{digits}g}")


def share(value: float) -> str:
    """Return a part of a whole as a percentage, such as ``91 %`` or ``0.007 %``."""
    percent = 100 * value
    if not math.isfinite(percent):
        return figure(percent)
    if 0 < percent < 10:
        return f"{figure(percent, 2)} %"
    if 90 < percent < 100:
        return f"{100 - float(f'{100 - percent:.2g}'):.6g} %"
    return f"{percent:.0f} %"


def duration(seconds: float) -> str:
    """Return a time span, such as ``38 ms``, ``1.62 s`` or ``3 min 20 s``."""
    if not math.isfinite(seconds):
        return figure(seconds)
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return say("{minutes} min {seconds} s", minutes=minutes, seconds=f"{rest:02d}")
    return say("{hours} h", hours=f"{minutes / 60:.1f}")


def plural(number: float, noun: str, many: str = "") -> Sentence:
    """Return a count with its noun, such as ``1 row`` or ``12 rows``; catalogues know it as ``{count} row``."""
    told = count(number)
    return Sentence(
        f"{told} {noun if round(number) == 1 else many or noun + 's'}", f"{{count}} {noun}", {"count": told}
    )


def _trim(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
