"""Training on workers of a real Ray on this machine: equal answers, and faults that change nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from downslope.cluster import crew as crews
from downslope.cluster import joining
from downslope.cluster.crew import Crew
from downslope.cluster.shard import Shard
from downslope.cluster.source import ClusterSource
from downslope.data.blocks import Examples
from downslope.errors import ClusterError, SourceError, WorkerError
from downslope.records import Spec
from downslope.training.loop import Training, train
from tests.small_shards import rows_of, shards_of, whole_of

pytest.importorskip("ray", reason="the cluster's tests need Ray, which this Python does not have")

ROWS = [3000, 2000, 4000, 1000, 2500, 1500, 3500]
SPEC = Spec(source="memory", target="y", loss="log", l2=1e-3, method="scaled")


@pytest.fixture(scope="module")
def ray_here(root: Path) -> Generator[None]:
    """Start a Ray of this machine's own with room for six workers, who find these tests by their path."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    trained(whole_of(ROWS))  # compiles for all
    assert joining.join("auto", 6, 1)
    assert not joining.join("auto", 6, 1)
    yield
    joining.leave()


@pytest.fixture(scope="module")
def two_workers(ray_here: None) -> Generator[Crew]:
    two = Crew(shards_of(ROWS), 2)
    yield two
    two.dismiss()


@pytest.fixture
def crew(two_workers: Crew) -> Crew:
    """Return two workers, none of them lost yet."""
    two_workers.lost.clear()
    return two_workers


def trained(examples: Examples | ClusterSource) -> Training:
    return train(examples, SPEC, "log")


def processes(crew: Crew) -> list[int]:
    return crew.ask(lambda actor: actor.alive.remote())


def test_the_answer_is_the_single_machines(crew: Crew) -> None:
    alone, together = trained(whole_of(ROWS)), trained(ClusterSource(crew, rows_of()))
    assert together.verdict == alone.verdict
    assert np.abs(together.point.weights - alone.point.weights).max() < 1e-6
    three = Crew(crew.shards, 3)
    assert np.array_equal(trained(ClusterSource(three, rows_of())).point.weights, together.point.weights)
    three.dismiss()


def test_a_worker_that_is_killed_between_passes_is_replaced(crew: Crew) -> None:
    before = trained(ClusterSource(crew, rows_of())).point.weights
    os.kill(processes(crew)[0], signal.SIGKILL)
    assert np.array_equal(trained(ClusterSource(crew, rows_of())).point.weights, before)
    assert [(each.worker, each.why) for each in crew.lost] == [(0, "died")]


def test_a_worker_that_dies_at_work_is_asked_again(crew: Crew) -> None:
    source = ClusterSource(crew, rows_of())
    before = source.total(target_sum)
    victim = processes(crew)[1]
    assert source.total(partial(die_in, process=victim)) == before
    assert [(each.worker, each.why) for each in crew.lost] == [(1, "died")]


def test_a_worker_that_hangs_is_replaced(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crews, "PULSE_SECONDS", 0.2)
    monkeypatch.setattr(crews, "SILENCE_SECONDS", 5.0)
    source = ClusterSource(crew, rows_of())
    before = source.total(target_sum)
    os.kill(processes(crew)[1], signal.SIGSTOP)
    assert source.total(target_sum) == before
    assert (1, "hung") in [(each.worker, each.why) for each in crew.lost]


def test_a_worker_that_fails_every_time_is_given_up(crew: Crew) -> None:
    with pytest.raises(WorkerError, match=r"worker \d, which holds the rows from .* failed 3 times, .* died"):
        ClusterSource(crew, rows_of()).total(die)


def test_what_the_work_raises_is_raised_here(crew: Crew) -> None:
    with pytest.raises(SourceError, match="part-3 is gone"):
        ClusterSource(crew, rows_of()).total(refuse)


def test_rows_that_do_not_add_up_are_an_error(ray_here: None) -> None:
    wrong = [*shards_of([100, 100]), Shard(200, 150, partial(rows_of, 2, 100))]
    short = Crew(wrong, 2)
    with pytest.raises(WorkerError, match="added up 300 rows of 350"):
        ClusterSource(short, rows_of()).total(target_sum)
    short.dismiss()


def test_more_workers_than_processors_are_refused(ray_here: None) -> None:
    with pytest.raises(ClusterError, match="workers of 2 each do not fit"):
        Crew(shards_of([10] * 50), 50, threads=2)


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
