"""The threads that answer pages: one at work at a time while its work is short, more where it is long.

Threads that share the interpreter hand it to one another at every array they touch, and a thread that sleeps between
two pictures wakes to cold caches: pictures drawn side by side, or each after a word with the event loop, were measured
to cost twice what the same pictures cost one after another. But a page whose program is still to be compiled, for
seconds, must not keep the others waiting: work that is not short loses its turn, and goes on beside the next.

The event loop stands still meanwhile, for it is a thread too: moving bytes beside a picture was measured to cost both
more than twice what they cost one after another.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable

SHORT = 0.03
"""Seconds after which work loses its turn."""
STILL = 0.1
"""Seconds that the event loop stands still at most while short work is done."""
Work = Callable[[], None]


class Bell:
    """Calls from threads into the event loop, many at one ring: each ring is a system call, and wakes the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take the loop."""
        self._loop = loop
        self._lock = threading.Lock()
        self._calls: list[Work] = []

    def call(self, work: Work) -> None:
        """Have the loop call something soon, in order."""
        with self._lock:
            ring = not self._calls
            self._calls.append(work)
        if ring and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        with self._lock:
            calls, self._calls = self._calls, []
        for each in calls:
            each()


class Crew:
    """Threads that begin when they are first needed; safe to use from the event loop alone, but for ``close``."""

    def __init__(self, most: int) -> None:
        """Take how many threads there may be."""
        self._most = most
        self._begun = self._idle = self._watching = 0
        self._jobs: deque[tuple[Work, Work]] = deque()
        lock = threading.RLock()
        self._changed, self._done = threading.Condition(lock), threading.Condition(lock)
        self._at_work: object | None = None
        self._since = 0.0
        self._closed = False
        self._gathered: list[tuple[Work, Work]] = []
        self._giving_way = False

    async def run(self, bell: Bell, work: Work) -> None:
        """Have work done, and wait for its end; work that raises ends the wait too."""
        done = asyncio.get_running_loop().create_future()

        def end() -> None:
            if not done.done():
                done.set_result(None)

        self._gathered.append((work, lambda: bell.call(end)))
        if not self._giving_way:
            self._giving_way = True
            asyncio.get_running_loop().call_soon(self._give_way)
        await done

    def _give_way(self) -> None:
        """Hand over what has gathered, and stand still while it is done, but for what is long; then move bytes."""
        with self._changed:
            self._jobs.extend(self._gathered)
            self._gathered.clear()
            if self._jobs:
                self._call_another()
            ends = time.monotonic() + STILL
            while (self._at_work is not None or self._jobs) and (left := self._left(ends)) > 0:
                self._done.wait(left)
            self._giving_way = bool(self._jobs) and self._left(math.inf) > 0
        if self._giving_way:
            asyncio.get_running_loop().call_soon(self._give_way)

    def _left(self, ends: float) -> float:
        """Return the seconds until ``ends``, or until who is at work loses its turn."""
        return (ends if self._at_work is None else min(ends, self._since + SHORT)) - time.monotonic()

    def close(self) -> None:
        """Let the threads end after what they are at; what waits is given up."""
        with self._changed:
            self._closed = True
            self._jobs.clear()
            self._changed.notify_all()

    def _call_another(self) -> None:
        """Call a thread to work, or to watch that whoever is at work does not take long; one that watches is enough."""
        if self._at_work is not None and self._watching:
            return
        if self._idle or self._watching:
            self._changed.notify()
        elif self._begun < self._most:
            self._begun += 1
            threading.Thread(target=self._live, name="playground crew", daemon=True).start()

    def _live(self) -> None:
        me = object()
        while (job := self._next(me)) is not None:
            work, after = job
            try:
                work()
            except Exception:
                logging.getLogger("downslope.playground").exception("a page could not be answered")
            after()
            with self._changed:
                if self._at_work is me and not self._jobs:
                    self._at_work = None
                    self._done.notify()

    def _next(self, me: object) -> tuple[Work, Work] | None:
        """Return the next job once its turn has come, None where there are to be no more."""
        with self._changed:
            while not (self._closed or self._may_work(me)):
                self._wait()
            if self._closed:
                return None
            job = self._jobs.popleft()
            self._at_work, self._since = me, time.monotonic()
            if self._jobs:
                self._call_another()
            return job

    def _may_work(self, me: object) -> bool:
        free = self._at_work in (None, me) or time.monotonic() - self._since > SHORT
        return free and bool(self._jobs)

    def _wait(self) -> None:
        if self._jobs:
            self._watching += 1
            self._changed.wait(SHORT)
            self._watching -= 1
        else:
            self._idle += 1
            self._changed.wait()
            self._idle -= 1
