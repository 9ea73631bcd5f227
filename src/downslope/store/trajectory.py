"""The path of a run as one file: its moments' arrays and update numbers, as safetensors."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from downslope.records.trajectory import Trajectory

NAME = "path.safetensors"
"""The file of a run directory that holds it."""
UPDATES = "updates"
"""The array in it that is not the model's."""


def to_bytes(trajectory: Trajectory) -> bytes:
    """Return a path as the content of a file."""
    arrays = {name: np.ascontiguousarray(array) for name, array in trajectory.arrays.items()}
    content = arrays | {UPDATES: np.array(trajectory.updates, np.int64)}
    return cast("bytes", import_module("safetensors.numpy").save(content))


def from_bytes(content: bytes) -> Trajectory:
    """Return the path that ``to_bytes`` was given; raises ValueError where the content is none."""
    try:
        arrays: dict[str, NDArray[Any]] = dict(import_module("safetensors.numpy").load(content))
        updates = tuple(arrays.pop(UPDATES).tolist())
    except Exception as error:  # safetensors raises an error of its own, which is none of Python's
        message = "it is no whole safetensors file"
        raise ValueError(message) from error
    if any(array.shape[:1] != (len(updates),) for array in arrays.values()):
        message = "its arrays are not one for each moment"
        raise ValueError(message)
    return Trajectory(updates, arrays)
