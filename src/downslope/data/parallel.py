"""Work shared among threads, its results in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from downslope.machine import threads

T = TypeVar("T")
R = TypeVar("R")

MOST = 8
"""Threads at most: decoding and reading gain nothing from more."""


def in_parallel(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Return ``work(item)`` for each item, in order."""
    todo = list(items)
    workers = min(len(todo), threads(), MOST)
    if workers < 2:
        return [work(item) for item in todo]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, todo))


def in_parts(rows: int, part: Callable[[int, int], R], parts: int) -> list[R]:
    """Return ``part(first, last)`` of so many consecutive parts of the rows, in order."""
    wanted = max(min(parts, rows), 1)
    edges = [rows * each // wanted for each in range(wanted + 1)]
    if wanted == 1:
        return [part(0, rows)]
    with ThreadPoolExecutor(threads()) as pool:
        return list(pool.map(part, edges[:-1], edges[1:]))
