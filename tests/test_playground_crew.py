"""The threads that answer pages: short work one after another, long work beside it, and few wakings of the loop."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from downslope.playground.crew import SHORT, Bell, Crew


def test_short_work_goes_one_after_another_and_all_of_it_is_done() -> None:
    at_work, most, done = 0, 0, []
    lock = threading.Lock()

    def work(number: int) -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        time.sleep(0.0005)
        with lock:
            at_work -= 1
        done.append(number)

    async def all_of_it() -> None:
        crew, bell = Crew(4), Bell(asyncio.get_running_loop())
        await asyncio.gather(*(crew.run(bell, lambda number=number: work(number)) for number in range(200)))
        crew.close()

    asyncio.run(all_of_it())
    assert done == list(range(200))
    assert most == 1


def test_long_work_keeps_nobody_waiting_for_long() -> None:
    release = threading.Event()

    async def beside() -> float:
        crew, bell = Crew(4), Bell(asyncio.get_running_loop())
        long = [asyncio.ensure_future(crew.run(bell, lambda: release.wait(10) and None)) for _ in range(3)]
        await asyncio.sleep(0.01)
        began = time.monotonic()
        await asyncio.gather(*(crew.run(bell, lambda: None) for _ in range(20)))
        took = time.monotonic() - began
        assert not any(each.done() for each in long)
        release.set()
        await asyncio.gather(*long)
        crew.close()
        return took

    assert asyncio.run(beside()) < 20 * SHORT


def test_work_that_fails_ends_its_wait_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        message = "broken"
        raise ValueError(message)

    async def both() -> list[int]:
        crew, bell, seen = Crew(1), Bell(asyncio.get_running_loop()), []
        await crew.run(bell, fail)
        await crew.run(bell, lambda: seen.append(1))
        crew.close()
        return seen

    assert asyncio.run(both()) == [1]
    assert "could not be answered" in caplog.text


def test_a_closed_crew_leaves_no_threads() -> None:
    async def one() -> None:
        crew, bell = Crew(8), Bell(asyncio.get_running_loop())
        await asyncio.gather(*(crew.run(bell, lambda: time.sleep(0.05)) for _ in range(8)))
        crew.close()

    asyncio.run(one())
    began = time.monotonic()
    while any(each.name == "playground crew" for each in threading.enumerate()):
        assert time.monotonic() - began < 5
        time.sleep(0.01)


def test_many_calls_are_one_ring() -> None:
    seen: list[int] = []

    async def rung() -> int:
        loop = asyncio.get_running_loop()
        rings = 0
        ring = loop.call_soon_threadsafe

        def counted(*given: object) -> object:
            nonlocal rings
            rings += 1
            return ring(*given)

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign]
        bell = Bell(loop)
        for number in range(100):
            bell.call(lambda number=number: seen.append(number))
        await asyncio.sleep(0.01)
        return rings

    assert asyncio.run(rung()) == 1
    assert seen == list(range(100))
