"""MurmurHash3 of 32 bits (Appleby 2008): the hash of scikit-learn and of Vowpal Wabbit, bit for bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from downslope.compiling import inlined

Bytes = NDArray[np.uint8]
LEAST, ROUND, LAST_FIRST, LAST_SECOND = (
    np.uint64(0xE6546B64), np.uint64(5), np.uint64(0x85EBCA6B), np.uint64(0xC2B2AE35),
)  # fmt: skip
FIRST, SECOND, LOW = np.uint64(0xCC9E2D51), np.uint64(0x1B873593), np.uint64(0xFFFFFFFF)
B0, B8, B13, B15, B16, B17, B19, B24, B32 = (np.uint64(each) for each in (0, 8, 13, 15, 16, 17, 19, 24, 32))


@inlined
def mixed_in(state: np.uint64, block: np.uint64) -> np.uint64:
    """Return the state of a hash after four more bytes."""
    block = (block * FIRST) & LOW
    block = (((block << B15) | (block >> B17)) * SECOND) & LOW
    state ^= block
    return ((((state << B13) | (state >> B19)) & LOW) * ROUND + LEAST) & LOW


@inlined
def finished(state: np.uint64, rest: np.uint64, size: np.uint64) -> np.uint64:
    """Return a hash from its state: the bytes left over, at most three, and how many there were in all."""
    rest = (rest * FIRST) & LOW
    state ^= (((rest << B15) | (rest >> B17)) * SECOND) & LOW
    state ^= size
    state ^= state >> B16
    state = (state * LAST_FIRST) & LOW
    state ^= state >> B13
    state = (state * LAST_SECOND) & LOW
    return state ^ (state >> B16)


@inlined
def murmur(text: Bytes, begin: int, end: int, seed: np.uint64) -> np.uint32:
    """Return the hash of ``text[begin:end]``."""
    state = seed
    whole = begin + (end - begin) // 4 * 4
    for i in range(begin, whole, 4):
        block = (
            np.uint64(text[i]) | (np.uint64(text[i + 1]) << B8) | (np.uint64(text[i + 2]) << B16)
            | (np.uint64(text[i + 3]) << B24)
        )  # fmt: skip
        state = mixed_in(state, block)
    rest = B0
    shift = B0
    for i in range(whole, end):
        rest |= np.uint64(text[i]) << shift
        shift += B8
    return np.uint32(finished(state, rest, np.uint64(end - begin)))


@inlined
def bucket_of(hashed: np.uint32, mask: int) -> int:
    """Return the bucket of a hash taken as a signed number: ``|hash| mod 2^bits``, as ``FeatureHasher`` has it."""
    size = int(np.int32(hashed))
    if size == -2147483648:
        return (2147483647 - mask) & mask
    return abs(size) & mask
