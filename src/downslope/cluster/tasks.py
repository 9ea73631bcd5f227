"""Pieces of work that need nothing of each other, done by the workers of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from downslope.cluster.crew import what_failed
from downslope.cluster.joining import check_room, join, leave, processors
from downslope.cluster.library import ray
from downslope.cluster.worker import keep_to
from downslope.errors import WorkerError
from downslope.words import say

Item = TypeVar("Item")
Result = TypeVar("Result")

TRIES = 3
"""Times that a piece is begun, where its worker dies."""


def spread(
    work: Callable[[Item], Result], deal: Callable[[int], Sequence[Item]], address: str, asked: int | None
) -> list[Result]:
    """Return ``work(item)`` of each piece, in order, each done by one thread of some worker.

    work: a function of a module or a ``functools.partial`` of one. deal: gives the pieces for so many workers. asked:
    how many, None for one a processor. A piece whose worker dies is begun again elsewhere. Raises what the work raises,
    ClusterError and WorkerError.
    """
    here = join(address, asked or 1)
    try:
        workers = asked or processors()
        check_room(workers, 1)
        place = ray().remote(num_cpus=max(processors() // workers, 1), max_retries=TRIES - 1)(_done)
        sent = ray().put(work)
        return [_result(each) for each in [place.remote(sent, item) for item in deal(workers)]]
    finally:
        if here:
            leave()


def _done(work: Callable[[Any], Any], item: Any) -> Any:
    keep_to(1)
    return work(item)


def _result(reference: Any) -> Any:
    try:
        return ray().get(reference)
    except ray().exceptions.RayError as error:
        message = say(
            "a worker of the cluster failed {times} times at one piece of the work: {words}; look at its machine's "
            "memory",
            times=TRIES, words=what_failed(error),
        )  # fmt: skip
        raise WorkerError(message) from None
