"""Sums over leaves in a tree of one shape, however the leaves are dealt out.

Floating-point sums depend on their order. So the leaves of a table are added in the binary tree over their numbers,
and whoever holds some consecutive leaves sends the sums of the largest whole nodes in them: the answer has the same
bits with one worker, with four, and after one of them was replaced. A leaf without rows is None and adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

from downslope.data.blocks import add

Node: TypeAlias = tuple[int, int]
"""Height and index: the leaves from ``index << height`` up to ``(index + 1) << height``."""

Part = TypeVar("Part")


def nodes_of(first: int, last: int) -> list[Node]:
    """Return the largest whole nodes that together are the leaves from ``first`` up to ``last``, in order."""
    nodes: list[Node] = []
    while first < last:
        height = (first & -first).bit_length() - 1 if first else (last - first).bit_length() - 1
        while first + (1 << height) > last:
            height -= 1
        nodes.append((height, first >> height))
        first += 1 << height
    return nodes


def sum_below(node: Node, leaf: Callable[[int], Part | None]) -> Part | None:
    """Return the sum of the leaves of a whole node, asked for in order; as many sums are held as the node is high."""
    height, index = node
    if height == 0:
        return leaf(index)
    left = sum_below((height - 1, 2 * index), leaf)
    return both(left, sum_below((height - 1, 2 * index + 1), leaf))


def both(left: Part | None, right: Part | None) -> Part | None:
    """Return the sum of two results, either of which may be of no rows."""
    if left is None or right is None:
        return right if left is None else left
    return add(left, right)


def sum_of(parts: Mapping[Node, Part | None], leaves: int) -> Part | None:
    """Return the sum of all leaves from the sums of nodes that together hold each leaf once.

    Raises KeyError where a leaf is in none of the nodes.
    """

    def at(height: int, index: int) -> Part | None:
        if (height, index) in parts:
            return parts[height, index]
        if height == 0:
            raise KeyError(index)
        left = at(height - 1, 2 * index)
        beyond = (2 * index + 1) << (height - 1)
        return left if beyond >= leaves else both(left, at(height - 1, 2 * index + 1))

    return at((leaves - 1).bit_length(), 0)
