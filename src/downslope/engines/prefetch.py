"""Ask the memory for a row before it is needed.

Rows drawn in random order come from main memory, some hundred nanoseconds away, and a processor that waits for
one cannot look far enough ahead to ask for the next. The instruction meant for this is one that Numba does not
offer by itself; it changes no value, so a kernel without it gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from downslope.compiling import inlined
from downslope.types import Codes, FloatArray

LINE = 64
"""Bytes that come together from memory."""
READ, KEEP, DATA = 0, 3, 1
"""For reading; into the nearest cache; data rather than instructions."""


def _load(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Emit the instruction for the element of an array that the arguments name."""
    kind, *indices = signature.args
    held = context.make_array(kind)(context, builder, arguments[0])
    places = [
        context.cast(builder, value, index, types.intp) for value, index in zip(arguments[1:], indices, strict=True)
    ]
    item: Any = cast("Any", cgutils).get_item_pointer(context, builder, kind, held, places)
    address = builder.bitcast(item, cgutils.voidptr_t)
    number = ir.IntType(32)
    takes = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, number, number, number])
    called = builder.module.declare_intrinsic("llvm.prefetch", [cgutils.voidptr_t], takes)
    builder.call(called, [address, *(ir.Constant(number, each) for each in (READ, KEEP, DATA))])
    return context.get_dummy_value()


def _prefetch(context: Any, array: Any, row: Any, column: Any) -> Any:
    """Start loading the cache line of ``array[row, column]``."""
    del context

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _load(context, builder, signature, arguments)

    return types.void(array, row, column), generate


prefetch = cast("Callable[[FloatArray, int, int], None]", intrinsic(_prefetch))


def _prefetch_entry(context: Any, array: Any, place: Any) -> Any:
    """Start loading the cache line of ``array[place]``."""
    del context

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _load(context, builder, signature, arguments)

    return types.void(array, place), generate


prefetch_entry = cast("Callable[[FloatArray | Codes, int], None]", intrinsic(_prefetch_entry))


@inlined
def prefetch_row(numbers: FloatArray, row: int) -> None:
    """Start loading one row of ``numbers``."""
    for j in range(0, numbers.shape[1], LINE // numbers.itemsize):
        prefetch(numbers, row, j)
