"""Kill trainings at random instants, take them up again, and compare the weights bit for bit.

``python -m benchmarks.kills [KILLS] [SEED]`` does so 50 times over all the methods below, half of the time killing
the resumed process too, and prints what came of it.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from downslope import fit
from downslope.errors import RunError
from downslope.fitting import resume
from downslope.records import Run, StepRecord
from downslope.store import list_unfinished, load

ROWS = 4000
EVERY = 0.02
"""Seconds between two checkpoints."""
PATIENCE = 120.0
"""Most seconds for a process to begin."""

BATCHES: dict[str, Any] = {"target": "late", "method": "mini-batch", "batch_size": 16, "tolerance": 0.0}
CASES: dict[str, dict[str, Any]] = {
    "mini-batch, rates raced": BATCHES | {"epochs": 100},
    "mini-batch, rate given": BATCHES | {"learning_rate": 0.05, "rule": "adam", "average": True, "epochs": 200},
    "mini-batch, classes raced": BATCHES | {"target": "kind", "epochs": 40},
    "stochastic": {
        "target": "late", "method": "stochastic", "learning_rate": 0.01, "tolerance": 0.0, "epochs": 400, "l1": 1e-4,
    },
    "full-batch": {
        "target": "kind", "method": "full-batch", "rule": "momentum", "learning_rate": 0.05, "tolerance": 0.0,
        "epochs": 2000,
    },
    "scaled": {"target": "kind", "tolerance": 1e-12, "l2": 1e-9},
    "corners": {"target": "amount", "loss": "absolute", "tolerance": 1e-9},
    "network": {
        "target": "kind", "model": "mlp:16,16", "dropout": 0.2, "normalisation": "batch", "epochs": 60, "patience": 60,
    },
    "network, rate given": {
        "target": "amount", "model": "mlp:32", "learning_rate": 0.01, "rule": "momentum", "epochs": 100,
        "patience": 100,
    },
}  # fmt: skip
"""What is killed: methods that remember different things."""

TRAIN = """
import json, sys
from downslope.fitting import fit, resume
def tell(event, what):
    print(event, flush=True)
what, where, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
fit(what, runs=where, tell=tell, **settings) if settings else resume(what, where, tell=tell)
print("done", flush=True)
"""


@dataclass(frozen=True)
class Outcome:
    """What came of one run. state: where the kill struck. kills: processes killed. same: as if never cut short."""

    state: str
    kills: int
    same: bool
    why: str = ""


def write_table(path: Path, rows: int = ROWS, seed: int = 0) -> None:
    """Write a table with two numbers of signal, noise, a category, and targets of three kinds."""
    draw = np.random.default_rng(seed)
    columns = {f"x{index}": draw.normal(size=rows) for index in range(8)}
    city = draw.integers(0, 6, rows)
    score = columns["x0"] - 2 * columns["x1"] * columns["x2"] + 0.3 * city + draw.normal(size=rows)
    table = columns | {
        "city": [f"city {each}" for each in city], "late": score > 0.5, "amount": score,
        "kind": np.array(["low", "middle", "high"])[np.digitize(score, [-0.5, 1.5])],
    }  # fmt: skip
    parquet.write_table(pa.table(table), path)


def start(what: str, runs: Path, settings: Mapping[str, Any]) -> subprocess.Popen[str]:
    """Start a training, or with no settings resume one, and wait until its data is read, or it ended."""
    process = subprocess.Popen(
        [sys.executable, "-c", TRAIN, what, str(runs), json.dumps(settings)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
    if not ready or not process.stdout.readline():
        process.kill()
        raise RuntimeError(process.communicate()[1])
    return process


def kill(process: subprocess.Popen[str], seconds: float, kept: Path | None = None) -> None:
    """Kill a process after some seconds, or find that it has ended; raises RuntimeError where it failed.

    kept: a folder of runs; the seconds count from its first checkpoint.
    """
    ends = time.monotonic() + PATIENCE
    while kept is not None and process.poll() is None and time.monotonic() < ends:
        if any(each.updates is not None for each in list_unfinished(kept)):
            break
        time.sleep(0.002)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    errors = process.communicate()[1]
    if process.returncode not in (0, -signal.SIGKILL):
        raise RuntimeError(errors)


def weights(run: Run) -> dict[str, bytes]:
    """Return the weights of a run, as they are saved."""
    files: dict[str, bytes] = run.model.to_files()  # type: ignore[union-attr]
    return {name: content for name, content in files.items() if name.endswith(".safetensors")}


def difference(whole: Run, again: Run) -> str:
    """Return what differs between a run and one that was cut short and taken up again; "" where nothing does."""
    if weights(whole) != weights(again):
        return "the weights differ"
    if whole.updates != again.updates or whole.verdict is not again.verdict:
        return f"{again.updates} updates and {again.verdict}, not {whole.updates} and {whole.verdict}"
    if whole.setting("model") in ("auto", "linear"):
        return "" if _told(whole.steps) == _told(again.steps) else "the record differs"
    passes = [step.passes for step in again.steps]
    if any(after <= before for before, after in itertools.pairwise(passes)):
        return "the record has a duplicate"
    looks = [
        [(step.update, step.holdout) for step in run.steps if math.isfinite(step.holdout)] for run in (whole, again)
    ]
    return "" if looks[0] == looks[1] else "the looks at the held-out part differ"


def _told(steps: tuple[StepRecord, ...]) -> list[str]:
    """Return a record without its clock, NaN equal to NaN."""
    names = [name for name in StepRecord.__dataclass_fields__ if name != "seconds"]
    return [repr([getattr(step, name) for name in names]) for step in steps]


def try_once(
    case: Mapping[str, Any], whole: Run, table: Path, folder: Path, draw: random.Random, kills: int = 1
) -> Outcome:
    """Train, kill at a random instant, resume, perhaps kill again; and compare with the run never cut short.

    Three kills in four strike after the first checkpoint, the others at any instant once the data is read.
    """
    runs = folder / f"runs-{draw.random()}"
    settings = {**case, "checkpoint_seconds": EVERY}

    def strike(process: subprocess.Popen[str]) -> None:
        late = draw.random() < 0.75
        length = whole.seconds["descend"] + (0.0 if late else whole.seconds["choose"])
        kill(process, draw.uniform(0.0, length), runs if late else None)

    strike(start(str(table), runs, settings))
    done = 1
    for _ in range(kills - 1):
        found = list_unfinished(runs)
        if found:
            strike(start(found[0].run, runs, {}))
            done += 1
    again, state = end(runs, table, settings)
    why = "the unfinished run is still listed" if list_unfinished(runs) else difference(whole, load(again.run, runs))
    return Outcome(state, done, not why, why)


def end(runs: Path, table: Path, settings: Mapping[str, Any]) -> tuple[Run, str]:
    """Return the run that a kill left, taken up where it was cut short, and where that was."""
    found = list_unfinished(runs)
    if found:
        state = f"resumed from update {found[0].updates}" if found[0].updates else "resumed before a checkpoint"
        return resume(found[0].run, runs), state
    try:
        return load("latest", runs), "ended before the kill"
    except RunError:
        return fit(str(table), runs=runs, **settings), "killed before anything was kept"


def main(kills: int = 50, seed: int = 0) -> int:
    """Kill so many times, print what came of each, and return how many resumed runs were not the same."""
    draw = random.Random(seed)
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        table = folder / "table.parquet"
        write_table(table)
        whole = {case: fit(str(table), runs=None, **settings) for case, settings in CASES.items()}
        while sum(each.kills for each in outcomes) < kills:
            case = list(CASES)[len(outcomes) % len(CASES)]
            outcomes.append(try_once(CASES[case], whole[case], table, folder, draw, kills=draw.choice((1, 2))))
            print(f"{case}: {outcomes[-1]}", flush=True)
    wrong = [each for each in outcomes if not each.same]
    resumed = sum(each.state.startswith("resumed from") for each in outcomes)
    print(f"{sum(each.kills for each in outcomes)} kills, {len(outcomes)} runs, {resumed} resumed from a checkpoint, "
          f"{len(wrong)} not the same")  # fmt: skip
    return len(wrong)


if __name__ == "__main__":
    sys.exit(1 if main(*(int(each) for each in sys.argv[1:])) else 0)
