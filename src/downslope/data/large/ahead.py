"""Read ahead: what an iterator gives next is made by a thread while the one before is in use."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield each of ``items``, in order; what they raise is raised here.

    No more than one is made before it is asked for. Where the reader stops early, the thread ends with the one that it
    is at, and nobody waits for that: a pipe may never give another byte.
    """
    wanted = threading.Semaphore(1)
    stopped = threading.Event()
    made: SimpleQueue[tuple[T] | BaseException | None] = SimpleQueue()

    def work() -> None:
        try:
            while wanted.acquire() and not stopped.is_set():
                made.put((next(items),))
        except StopIteration:
            made.put(None)
        except BaseException as error:
            made.put(error)

    threading.Thread(target=work, name="downslope-ahead", daemon=True).start()
    try:
        while (got := made.get()) is not None:
            if isinstance(got, BaseException):
                raise got
            wanted.release()
            yield got[0]
    finally:
        stopped.set()
        wanted.release()
