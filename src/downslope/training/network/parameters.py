"""What is learned of a caller's parameters, by name: the path of each array in their tree."""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from downslope.engines.network.functions import in_precision
from downslope.engines.network.loop import Tree
from downslope.errors import RunError
from downslope.words import say

ROOT = "params"
"""The path of an array that is no part of a tree."""


def arrays_by_path(tree: Tree) -> dict[str, NDArray[Any]]:
    """Return the arrays of a tree under their paths, such as ``['layers'][0]`` or ``.layers[0].weight``."""
    return {_name(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def outline(tree: Tree) -> dict[str, str]:
    """Return the type and shape of each array of a tree under its path, such as ``float64 [2, 3]``."""
    return {name: f"{each.dtype} {list(each.shape)}" for name, each in arrays_by_path(tree).items()}


def fingerprint(tree: Tree) -> int:
    """Return the CRC-32 of the paths, types, shapes and numbers of a tree of arrays."""
    sum_so_far = 0
    for name, array in arrays_by_path(tree).items():
        sum_so_far = zlib.crc32(f"{name} {array.dtype.str} {array.shape}".encode(), sum_so_far)
        sum_so_far = zlib.crc32(np.asarray(array, order="C").tobytes(), sum_so_far)
    return sum_so_far


def put_back(like: Tree, arrays: Mapping[str, NDArray[Any]], run: str) -> Tree:
    """Return a tree like another with what was learned in it; raises RunError where the two do not fit.

    Numbers stay numbers and NumPy arrays NumPy arrays. run: whose arrays these are.
    """
    met: set[str] = set()

    def placed(path: Any, leaf: Any) -> Any:
        name = _name(path)
        if name not in arrays:
            return leaf
        met.add(name)
        found = arrays[name]
        if np.shape(leaf) != found.shape:
            message = say(
                '{name} of run "{run}" has the shape {shape}, and here {here}',
                name=name,
                run=run,
                shape=str(found.shape),
                here=str(np.shape(leaf)),
            )
            raise RunError(message)
        if isinstance(leaf, jax.Array):
            with in_precision(found.dtype == np.float64):
                return jnp.asarray(found)
        return found.item() if isinstance(leaf, int | float) else found

    filled = jax.tree_util.tree_map_with_path(placed, like)
    absent = [name for name in arrays if name not in met]
    if absent:
        message = say(
            'run "{run}" learned {name}, and here there is none; give params as they were', run=run, name=absent[0]
        )
        raise RunError(message)
    return filled


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path) or ROOT
