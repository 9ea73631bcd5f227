"""The shapes that every other module speaks of, and nothing else.

Letters used in every docstring of the package:

====  ======================================================================
n     examples (rows)
p     number features: columns of ``Block.numbers``
q     category features: columns of ``Block.codes``
m     levels: the one-hot columns that the q categories stand for
s     sparse columns: those of ``Block.sparse``
d     features of the linear model, ``p + m + s``
k     outputs (classes of a softmax; otherwise 1)
====  ======================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:  # names for annotations only, so that the nouns, and with them --help, need no NumPy
    import numpy as np
    from numpy.typing import NDArray

FloatArray: TypeAlias = "NDArray[np.floating[Any]]"
"""Any float array; float32 for large tables, float64 for small ones."""

Vector: TypeAlias = "NDArray[np.float64]"
"""A float64 array of one axis."""

Matrix: TypeAlias = "NDArray[np.float64]"
"""A float64 array of two axes."""

Codes: TypeAlias = "NDArray[np.int32]"
"""Level indices, shape (n, q), each already offset so that it points into the m levels."""

Offsets: TypeAlias = "NDArray[np.int64]"
"""Where each row begins among the entries of sparse rows, and at the end how many there are: (n + 1,)."""

Indices: TypeAlias = "NDArray[np.int32] | NDArray[np.int64]"
"""Global indices of rows, shape (rows,)."""

JsonValue: TypeAlias = Any
"""What ``json.dumps`` takes: None, bool, int, float, str, and lists and string-keyed dicts of them."""
