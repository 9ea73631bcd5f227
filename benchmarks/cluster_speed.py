"""Passes over a table that lies with the workers of a cluster: rows a second by workers, and what a network costs.

``python -m benchmarks.cluster_speed [ROWS [ROWS]]`` starts a Ray of its own on this machine, holds a table in crews of
1, 2 and 4 workers of one thread each, one crew after the other and all of them again, and writes
``benchmarks/CLUSTER.md``. A network is emulated by a wait before and after every question. Of two tables one has
categories, so that a row is some work, and one has numbers alone, so that a pass is bound by the memory that the cores
share.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from benchmarks import large_tables
from downslope.cluster import joining
from downslope.cluster.crew import Asked, Crew
from downslope.cluster.prepare import open_on_cluster, prepare_on_cluster
from downslope.engines import linear as engine
from downslope.losses import make_loss
from downslope.machine import cores
from downslope.models.linear import Objective, Point
from downslope.records import Spec
from downslope.records.figures import count, duration

FILES, COLUMNS = 8, 30
WORKERS = (1, 2, 4)
TURNS, SECONDS, WARM = 3, 6.0, 1.0
"""Turns of each crew, seconds of its passes in a turn, and those before them that do not count: a core that was idle is
slower at first, and a fit makes its passes without a pause. A crew is dismissed before the next has its turn: a worker
of Ray takes a hundredth of a core while it waits."""
DELAYS = (0.0, 0.005, 0.05)
"""Seconds of the way to the workers, and of that back."""
PAGE = Path(__file__).parent / "CLUSTER.md"


class FarCrew(Crew):
    """A crew whose questions and answers take their time on the way."""

    delay = 0.0

    def ask(self, asked: Asked) -> list[Any]:
        """Wait, ask, wait."""
        time.sleep(self.delay)
        found = super().ask(asked)
        time.sleep(self.delay)
        return found


@dataclass
class Crews:
    """What was measured of the crews of so many workers, a figure a turn.

    prepared: seconds to scan and encode, the first time. ways: seconds of an empty question. passes: seconds of a pass,
    by delay. gradient: that the passes found.
    """

    workers: int
    rows: int = 0
    prepared: float = 0.0
    ways: list[float] = field(default_factory=list[float])
    passes: dict[float, list[float]] = field(default_factory=dict[float, list[float]])
    gradient: Any = None

    @property
    def way(self) -> float:
        """Seconds of an empty question."""
        return median(self.ways)

    def seconds(self, delay: float = 0.0) -> float:
        """Return the seconds of a pass."""
        return median(self.passes[delay])


def write_flights(folder: Path, rows: int) -> str:
    """Write flights, and return what they are."""
    large_tables.make(rows, folder)
    return "synthetic flights (6 numbers and 3 categories, 132 features)"


def write_numbers(folder: Path, rows: int) -> str:
    """Write columns of numbers, and return what they are."""
    rng = np.random.default_rng(3)
    for index in range(FILES):
        numbers = rng.normal(size=(rows // FILES, COLUMNS)).astype(np.float32)
        late = numbers[:, 0] + rng.logistic(size=rows // FILES) > 0
        table = pa.table({**{f"x{place}": numbers[:, place] for place in range(COLUMNS)}, "late": late})
        parquet.write_table(table, folder / f"part-{index}.parquet", compression="none")
    return f"synthetic rows of {COLUMNS} float32 numbers"


def take_turn(source: str, folder: Path, crews: Crews) -> None:
    """Hold the table in a crew, measure its passes, and dismiss it."""
    spec = Spec(source=source, target="late", holdout=0, cache=str(folder / f"{crews.workers}"), precision="float32")
    files, pieces = open_on_cluster(source, spec)
    crew = FarCrew([each.size for each in pieces], crews.workers, 1, 8 << 30)
    crew.ask(lambda actor: actor.alive.remote())
    began = time.perf_counter()
    table = prepare_on_cluster(files, pieces, spec, crew, lambda event, what: None).train
    crews.prepared = crews.prepared or time.perf_counter() - began
    crews.rows = table.rows
    objective = Objective(make_loss("log"), 0.0, 1e-6, True, 1)
    point = Point(np.full((table.features, 1), 0.01), np.zeros(1))
    crews.gradient = engine.evaluate(table, objective, point).gradient.weights
    for delay in DELAYS:
        crew.delay = delay
        crews.passes.setdefault(delay, []).append(streak(lambda: engine.evaluate(table, objective, point)))
    crew.delay = 0.0
    crews.ways.append(streak(lambda: crew.ask(lambda actor: actor.alive.remote())))
    crew.dismiss()


def streak(work: Callable[[], object]) -> float:
    """Return the seconds of work that is done again and again, on the average."""
    began, times = time.perf_counter(), 0
    while time.perf_counter() - began < WARM:
        work()
    began = time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        work()
        times += 1
    return (time.perf_counter() - began) / times


def predicted(one: Crews, crews: Crews, delay: float) -> float:
    """Return the seconds of a pass from what one worker took alone, the cores, the way, and the delay."""
    at_once = min(crews.workers, cores())
    return (one.seconds() - one.way) / at_once + crews.way + 2 * delay


def section(what: str, measured: Sequence[Crews]) -> list[str]:
    """Return what was measured of one table, as lines of a page."""
    one = measured[0]
    equal = all(np.array_equal(each.gradient, one.gradient) for each in measured)
    lines = [
        f"## {count(one.rows)} {what}",
        "",
        "The gradients are " + ("the same bits for all crews." if equal else "NOT THE SAME."),
        "",
        "| workers | million rows a second | against one worker | of each turn | scan and encode | an empty question |",
        "|---|---|---|---|---|---|",
    ]
    for each in measured:
        turns = zip(one.passes[0.0], each.passes[0.0], strict=True)
        lines.append(
            f"| {each.workers} | {one.rows / each.seconds() / 1e6:.1f} | {one.seconds() / each.seconds():.2f} | "
            f"{', '.join(f'{alone / taken:.2f}' for alone, taken in turns)} | {duration(each.prepared)} | "
            f"{duration(each.way)} |"
        )
    lines += [
        "",
        "| workers | way, each direction | pass, measured | pass, predicted |",
        "|---|---|---|---|",
    ]
    for each in measured:
        for delay in DELAYS:
            told = duration(predicted(one, each, delay))
            lines.append(f"| {each.workers} | {duration(delay)} | {duration(each.seconds(delay))} | {told} |")
    return [*lines, ""]


def main(flights: int = 16_000_000, numbers: int = 4_000_000) -> None:
    """Measure, and write the page."""
    os.environ["OMP_NUM_THREADS"] = "1"
    joining.join("auto", max(WORKERS))
    lines = [
        "# Passes on a cluster",
        "",
        "Made by `python -m benchmarks.cluster_speed`: tables held in memory by workers of one thread each on one "
        f"machine of {cores()} cores; log loss with its gradient; passes of {SECONDS:.0f} seconds without a "
        f"pause, one crew after the other, {TURNS} turns each, of which the median is shown. The network is emulated "
        "by a wait before and after each question. Predicted is what one worker takes without a network, less its "
        "way, shared among as many as there are cores, and the way and the waits on top: what is more is what the "
        "cores share, the memory above all, Ray's own processes, which take a twentieth of a core, and waiting for "
        "the worker that was last.",
        "",
    ]
    for write, rows in ((write_flights, flights), (write_numbers, numbers)):
        with tempfile.TemporaryDirectory(prefix="downslope-cluster-") as name:
            what = write(Path(name), rows)
            measured = [Crews(workers) for workers in WORKERS]
            for _ in range(TURNS):
                for crews in measured:
                    take_turn(str(Path(name) / "*.parquet"), Path(name), crews)
        lines += section(what, measured)
    text = "\n".join(lines)
    print(text)
    PAGE.write_text(text, encoding="utf-8")
    joining.leave()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
