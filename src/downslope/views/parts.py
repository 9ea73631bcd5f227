"""What a page is made of: sections of facts, tables, curves and sentences, without a word on how to draw them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Tone(StrEnum):
    """How a piece of text is meant; a face may colour by it, and must be readable without."""

    PLAIN = "plain"
    QUIET = "quiet"
    STRONG = "strong"
    ACCENT = "accent"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True)
class Text:
    """Some words in one tone: a sentence of a section, or a cell of a table."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True)
class Facts:
    """Labels, each with a value."""

    rows: tuple[tuple[str, Text], ...]


@dataclass(frozen=True)
class Table:
    """Rows under heads.

    right: indices of the columns of numbers, aligned right. fold: those that may wrap. spare: those to leave
    out, in this order, where there is no room for all.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    right: frozenset[int] = frozenset()
    fold: frozenset[int] = frozenset()
    spare: tuple[int, ...] = ()


@dataclass(frozen=True)
class Trace:
    """More points in order of x, seen beside a curve on its axes."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    label: str


@dataclass(frozen=True)
class Curve:
    """Points in order of x. log: y is meant on a logarithmic axis, and every y is above 0. beside: seen with it."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    x_label: str
    y_label: str
    log: bool
    beside: Trace | None = None


Part: TypeAlias = Facts | Table | Curve | Text


@dataclass(frozen=True)
class Section:
    """A title and what stands under it."""

    title: str
    parts: tuple[Part, ...]


def texts(*values: str) -> tuple[Text, ...]:
    """Return plain texts, as the cells of a row."""
    return tuple(Text(value) for value in values)


def facts(*rows: tuple[str, str]) -> Facts:
    """Return facts in a plain tone."""
    return Facts(tuple((label, Text(value)) for label, value in rows))
