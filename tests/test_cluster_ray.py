"""Training on workers of a real Ray on this machine: equal answers, and faults that change nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from functools import partial

import numpy as np
import pytest

from downslope.cluster import crew as crews
from downslope.cluster.crew import Crew
from downslope.cluster.source import ClusterSource
from downslope.data.blocks import Examples
from downslope.errors import ClusterError, SourceError, WorkerError
from downslope.records import Spec
from downslope.training.loop import Training, train
from tests.small_shards import rows_of, table_of, whole_of

pytestmark = pytest.mark.timeout(900)  # on a busy machine Ray takes minutes to start

ROWS = [3000, 2000, 4000, 1000, 2500, 1500, 3500]
SPEC = Spec(source="memory", target="y", loss="log", l2=1e-3, method="scaled")


@pytest.fixture(scope="module")
def two_workers(ray_here: str) -> Generator[Crew]:
    trained(whole_of(ROWS))  # compiles for all
    two = Crew(ROWS, 2)
    yield two
    two.dismiss()


@pytest.fixture
def crew(two_workers: Crew) -> Crew:
    """Return two workers, none of them lost yet."""
    two_workers.lost.clear()
    return two_workers


def trained(examples: Examples | ClusterSource) -> Training:
    return train(examples, SPEC, "log")


def source_of(crew: Crew) -> ClusterSource:
    return ClusterSource(crew, table_of(ROWS), rows_of())


def processes(crew: Crew) -> list[int]:
    return crew.ask(lambda actor: actor.alive.remote())


def test_the_answer_is_the_single_machines(crew: Crew) -> None:
    alone, together = trained(whole_of(ROWS)), trained(source_of(crew))
    assert together.verdict == alone.verdict
    assert np.abs(together.point.weights - alone.point.weights).max() < 1e-6
    three = Crew(ROWS, 3)
    assert np.array_equal(trained(source_of(three)).point.weights, together.point.weights)
    three.dismiss()


def test_a_worker_that_is_killed_between_passes_is_replaced(crew: Crew) -> None:
    before = trained(source_of(crew)).point.weights
    os.kill(processes(crew)[0], signal.SIGKILL)
    assert np.array_equal(trained(source_of(crew)).point.weights, before)
    assert [(each.worker, each.why) for each in crew.lost] == [(0, "died")]


def test_a_worker_that_dies_at_work_is_asked_again(crew: Crew) -> None:
    source = source_of(crew)
    before = source.total(target_sum)
    victim = processes(crew)[1]
    assert source.total(partial(die_in, process=victim)) == before
    assert [(each.worker, each.why) for each in crew.lost] == [(1, "died")]


def test_a_worker_that_hangs_is_replaced(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crews, "PULSE_SECONDS", 0.2)
    monkeypatch.setattr(crews, "SILENCE_SECONDS", 5.0)
    source = source_of(crew)
    before = source.total(target_sum)
    os.kill(processes(crew)[1], signal.SIGSTOP)
    assert source.total(target_sum) == before
    assert (1, "hung") in [(each.worker, each.why) for each in crew.lost]


def test_a_worker_that_fails_every_time_is_given_up(crew: Crew) -> None:
    with pytest.raises(WorkerError, match=r"worker \d of the cluster failed 3 times .* died"):
        source_of(crew).total(die)


def test_what_the_work_raises_is_raised_here(crew: Crew) -> None:
    with pytest.raises(SourceError, match="part-3 is gone"):
        source_of(crew).total(refuse)


def test_rows_that_do_not_add_up_are_an_error(crew: Crew) -> None:
    with pytest.raises(WorkerError, match="added up 17,550 rows of 17,500"):
        ClusterSource(crew, table_of(ROWS, more=50), rows_of()).total(target_sum)


def test_more_workers_than_processors_are_refused(ray_here: str) -> None:
    with pytest.raises(ClusterError, match="workers of 2 each do not fit"):
        Crew([10] * 50, 50, threads=2)


def target_sum(examples: Examples) -> float:
    return float(examples.target.sum())


def die(examples: Examples) -> float:
    os._exit(1)


def die_in(examples: Examples, process: int) -> float:
    if os.getpid() == process:
        os._exit(1)
    return target_sum(examples)


def refuse(examples: Examples) -> float:
    message = "part-3 is gone; bring it back"
    raise SourceError(message)
