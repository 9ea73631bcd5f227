"""The workers as one: a question to all of them is answered by all, whoever is lost on the way.

A worker may die, hang or be slow. It is then replaced by a new one, which opens the same shards anew and answers the
same question; what the old one may still send is not listened to. A question carries all that its answer rests on, so
that asking twice loses nothing and counts nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from downslope.cluster.joining import check_room
from downslope.cluster.library import ray
from downslope.cluster.shard import dealt
from downslope.cluster.worker import Worker, end_process
from downslope.errors import DownslopeError, SourceError, WorkerError
from downslope.words import Sentence, say

PULSE_SECONDS = 5.0
"""Between two looks at whether those who have not answered are alive."""
SILENCE_SECONDS = 60.0
"""Without a pulse a worker counts as hanging."""
START_SECONDS = 180.0
"""A worker may be silent so long before its first answer: it starts, imports and compiles first."""
SLOW = 6.0
"""Times the median of the others after which the last one at work counts as slow."""
SLOW_SECONDS = 30.0
"""And at least so long."""
TRIES = 3
"""Failures at one question after which it is not asked again."""

Asked = Callable[[Any], Any]
"""From an actor's handle to the reference of its answer."""


@dataclass(frozen=True)
class Loss:
    """A worker that was replaced. why: died, hung or slow. shards: (first, last) that were opened anew."""

    worker: int
    why: str
    shards: tuple[int, int]


@dataclass
class _Question:
    """A question on its way to one worker."""

    worker: int
    began: float
    pulse: Any = None
    heard: float = 0.0


@dataclass
class Crew:
    """Workers that hold shards, by consecutive numbers.

    sizes: of the shards, in bytes or rows, by which they are dealt out. workers: wanted; there are fewer where there
    are fewer shards. threads: of each worker. hold: bytes of encoded rows that each may hold in memory.
    told: called with what happens to a worker.
    """

    sizes: Sequence[int]
    workers: int
    threads: int = 1
    hold: int = 0
    told: Callable[[str], None] | None = None
    lost: list[Loss] = field(default_factory=list["Loss"])

    def __post_init__(self) -> None:
        """Start the workers; raises ClusterError where the cluster has too few processors for them."""
        self.ranges = dealt(self.sizes, self.workers)
        check_room(len(self.ranges), self.threads)
        self._answered = [False] * len(self.ranges)
        self._places: list[Any] = [None] * len(self.ranges)
        self.actors = [self._start(index) for index in range(len(self.ranges))]

    def _start(self, index: int) -> Any:
        first, last = self.ranges[index]
        made = ray().remote(num_cpus=self.threads, max_restarts=0, concurrency_groups={"pulse": 1})(Worker)
        actor = made.remote(first, last, self.threads, self.hold)
        self._places[index] = actor.place.remote()
        return actor

    def ask(self, asked: Asked) -> list[Any]:
        """Return what every worker answers, in their order; raises WorkerError where one cannot be had."""
        answers: dict[int, Any] = {}
        failures = [0] * len(self.actors)
        taken: list[float] = []
        waiting = {asked(actor): _Question(index, time.monotonic()) for index, actor in enumerate(self.actors)}
        while waiting:
            done, _ = ray().wait(list(waiting), num_returns=1, timeout=PULSE_SECONDS)
            lost: list[tuple[_Question, str, str]] = []
            for reference in done:
                question = waiting.pop(reference)
                try:
                    answers[question.worker] = ray().get(reference)
                    self._answered[question.worker] = True
                    taken.append(time.monotonic() - question.began)
                except ray().exceptions.RayError as error:
                    lost.append((question, "died", what_failed(error)))
            if not done:
                for reference, question, why in self._stuck(waiting, taken):
                    del waiting[reference]
                    lost.append((question, why, ""))
            for question, why, words in lost:
                self._replace(question.worker, why, words, failures)
                waiting[asked(self.actors[question.worker])] = _Question(question.worker, time.monotonic())
        return [answers[index] for index in range(len(self.actors))]

    def _stuck(self, waiting: dict[Any, _Question], taken: list[float]) -> list[tuple[Any, _Question, str]]:
        """Return the questions whose worker hangs or is far slower than all others."""
        stuck: list[tuple[Any, _Question, str]] = []
        now = time.monotonic()
        for reference, question in waiting.items():
            if not self._hears(question, now):
                stuck.append((reference, question, "hung"))
            elif self._answered[question.worker] and len(taken) == len(self.actors) - 1 > 0:
                limit = max(SLOW * median(taken), SLOW_SECONDS)
                if now - question.began > limit:
                    stuck.append((reference, question, "slow"))
        return stuck

    def _hears(self, question: _Question, now: float) -> bool:
        """Feel a worker's pulse; False where it has been silent too long."""
        if question.pulse is None:
            question.pulse = self.actors[question.worker].alive.options(concurrency_group="pulse").remote()
            question.heard = question.heard or now
        elif ray().wait([question.pulse], timeout=0)[0]:
            question.pulse, question.heard = None, now
        return now - question.heard < (SILENCE_SECONDS if self._answered[question.worker] else START_SECONDS)

    def _replace(self, worker: int, why: str, words: str, failures: list[int]) -> None:
        failures[worker] += 1
        first, last = self.ranges[worker]
        self.lost.append(Loss(worker, why, (first, last)))
        if failures[worker] >= TRIES:
            raise WorkerError(_given_up(worker, why, words, failures[worker]))
        if self.told is not None:
            self.told(say("worker {worker} is replaced, because {why}", worker=worker + 1, why=_told(why)))
        ray().kill(self.actors[worker], no_restart=True)
        if why != "died":
            self._end_process(worker)
        self._answered[worker] = False
        self.actors[worker] = self._start(worker)

    def _end_process(self, worker: int) -> None:
        """End the process of a worker that does not listen: it would keep its processor, and the locks of its files."""
        place = self._places[worker]
        if not ray().wait([place], timeout=0)[0]:
            return
        try:
            node, process = ray().get(place)
        except ray().exceptions.RayError:
            return
        there = ray().util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
        ray().remote(num_cpus=0, max_retries=0, scheduling_strategy=there)(end_process).remote(process)

    def dismiss(self) -> None:
        """End every worker."""
        for actor in self.actors:
            ray().kill(actor, no_restart=True)


def what_failed(error: Any) -> str:
    """Return what a failed answer says; raises what the work itself raised in the worker."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, DownslopeError):
        raise cause from None
    if isinstance(cause, OSError):
        raise SourceError(
            say(
                "a worker of the cluster cannot read {path}: {reason}; put the files where every machine sees them",
                path=str(cause.filename or ""), reason=cause.strerror or str(cause),
            )
        ) from None  # fmt: skip
    if isinstance(error, ray().exceptions.RayTaskError):
        raise error
    return str(error).strip().splitlines()[0]


def _told(why: str) -> Sentence:
    return {"died": say("it died"), "hung": say("it hung"), "slow": say("it was slow")}[why]


def _given_up(worker: int, why: str, words: str, times: int) -> Sentence:
    return say(
        "worker {worker} of the cluster failed {times} times at one question, at last because {why}{words}; look at "
        "its machine's memory and disk, then resume the run",
        worker=worker + 1, times=times, why=_told(why), words=f" ({words})" if words else "",
    )  # fmt: skip
