"""Passes over a table that lies with the workers of a cluster: rows a second by workers, and what a network costs.

``python -m benchmarks.cluster_speed [ROWS [ROWS]]`` starts a Ray of its own on this machine, holds a table in crews of
1, 2 and 4 workers of one thread each, lets them take turns, and writes ``benchmarks/CLUSTER.md``. A network is emulated
by a wait before and after every question. Of two tables one has categories, so that a row is some work, and one has
numbers alone, so that a pass is bound by the memory that the cores share.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from downslope.cluster.source import ClusterSource
from downslope.engines import linear as engine
from downslope.losses import make_loss
from downslope.models.linear import Objective, Point
from downslope.records import Spec
from downslope.records.figures import count, duration

FILES, COLUMNS = 8, 30
WORKERS = (1, 2, 4)
TURNS, STREAK, WARM = 2, 10, 3
"""Turns of each crew, its passes in a turn, and how many of those do not count: a core that was idle is slower at
first, and a fit makes its passes without a pause."""
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
class Held:
    """The table with a crew. seconds: of passes, by delay. prepared: seconds to scan and encode."""

    crew: FarCrew
    source: ClusterSource
    prepared: float
    seconds: dict[float, float]
    way: float = 0.0


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


def hold(source: str, workers: int, folder: Path) -> Held:
    """Hold the table in a crew."""
    spec = Spec(source=source, target="late", holdout=0, cache=str(folder / f"cache-{workers}"), precision="float32")
    files, pieces = open_on_cluster(source, spec)
    crew = FarCrew([each.size for each in pieces], workers, 1, 8 << 30)
    crew.ask(lambda actor: actor.alive.remote())
    began = time.perf_counter()
    prepared = prepare_on_cluster(files, pieces, spec, crew, lambda event, what: None)
    return Held(crew, prepared.train, time.perf_counter() - began, {})


def measure(all_held: Sequence[Held]) -> list[Any]:
    """Measure passes of all crews in turn, and return the gradient that each found."""
    objective = Objective(make_loss("log"), 0.0, 1e-6, True, 1)
    point = Point(np.full((all_held[0].source.features, 1), 0.01), np.zeros(1))
    gradients = [engine.evaluate(each.source, objective, point).gradient.weights for each in all_held]
    for delay in DELAYS:
        taken: dict[int, list[float]] = {index: [] for index in range(len(all_held))}
        for _ in range(TURNS):
            for index, each in enumerate(all_held):
                each.crew.delay = delay
                taken[index] += streak(lambda each=each: engine.evaluate(each.source, objective, point))
        for index, each in enumerate(all_held):
            each.seconds[delay] = median(taken[index])
    for each in all_held:
        each.crew.delay = 0.0
        each.way = median(streak(lambda each=each: each.crew.ask(lambda actor: actor.alive.remote())))
    return gradients


def streak(work: Callable[[], object]) -> list[float]:
    """Return the seconds of work that is done again and again, without the first times."""
    taken: list[float] = []
    for _ in range(STREAK):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return taken[WARM:]


def predicted(all_held: Sequence[Held], index: int, delay: float) -> float:
    """Return the seconds of a pass from what one worker took alone, the cores, the way, and the delay."""
    one = all_held[0]
    at_once = min(WORKERS[index], joining.cores())
    return (one.seconds[0.0] - one.way) / at_once + all_held[index].way + 2 * delay


def section(what: str, all_held: Sequence[Held], equal: bool) -> list[str]:
    """Return what was measured of one table, as lines of a page."""
    rows = all_held[0].source.rows
    lines = [
        f"## {count(rows)} {what}",
        "",
        "The gradients are " + ("the same bits for all crews." if equal else "NOT THE SAME."),
        "",
        "| workers | million rows a second | against one worker | scan and encode | an empty question |",
        "|---|---|---|---|---|",
    ]
    first = all_held[0].seconds[0.0]
    for workers, each in zip(WORKERS, all_held, strict=True):
        seconds = each.seconds[0.0]
        lines.append(
            f"| {workers} | {rows / seconds / 1e6:.1f} | {first / seconds:.2f} | {duration(each.prepared)} | "
            f"{duration(each.way)} |"
        )
    lines += [
        "",
        "| workers | way, each direction | pass, measured | pass, predicted |",
        "|---|---|---|---|",
    ]
    for index, (workers, each) in enumerate(zip(WORKERS, all_held, strict=True)):
        for delay, seconds in each.seconds.items():
            told = duration(predicted(all_held, index, delay))
            lines.append(f"| {workers} | {duration(delay)} | {duration(seconds)} | {told} |")
    return [*lines, ""]


def main(flights: int = 16_000_000, numbers: int = 4_000_000) -> None:
    """Measure, and write the page."""
    os.environ["OMP_NUM_THREADS"] = "1"
    joining.join("auto", sum(WORKERS))
    lines = [
        "# Passes on a cluster",
        "",
        "Made by `python -m benchmarks.cluster_speed`: tables held in memory by workers of one thread each on one "
        f"machine of {joining.cores()} cores; log loss with its gradient; median of {TURNS * (STREAK - WARM)} passes "
        "without a pause, the crews taking turns. The network is emulated by a wait before and after each question. "
        "Predicted is what one worker takes without a network, less its way, shared among as many as there are cores, "
        "and the way and the waits on top: what is more is what the cores share, above all the memory.",
        "",
    ]
    for write, rows in ((write_flights, flights), (write_numbers, numbers)):
        with tempfile.TemporaryDirectory(prefix="downslope-cluster-") as name:
            folder = Path(name)
            what = write(folder, rows)
            all_held = [hold(str(folder / "*.parquet"), each, folder) for each in WORKERS]
            gradients = measure(all_held)
        equal = all(np.array_equal(each, gradients[0]) for each in gradients)
        lines += section(what, all_held, equal)
        for each in all_held:
            each.crew.dismiss()
    text = "\n".join(lines)
    print(text)
    PAGE.write_text(text, encoding="utf-8")
    joining.leave()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
