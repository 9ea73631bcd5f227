"""Fits of files whose rows lie with workers: one machine's answer, resumed after kills, refused in a sentence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from sklearn.linear_model import LogisticRegression

from benchmarks.drill import descendants, is_worker
from downslope import fit, predict, race, sweep
from downslope.errors import OptionError, SourceError
from downslope.fitting import resume
from downslope.fitting.cluster import plan_fit
from downslope.models.linear import LinearModel
from downslope.records import Run, Spec, StepRecord, Verdict
from downslope.records.comparison import NetworkSweep, SweepResult
from downslope.store import list_unfinished

pytestmark = pytest.mark.timeout(900)  # on a busy machine Ray takes minutes to start

FILES, ROWS = 5, 1500
EXACT: dict[str, Any] = {"tolerance": 1e-10, "l2": 1e-3}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of files; the last is shorter, and a text is missing now and then."""
    folder = tmp_path_factory.mktemp("parts")
    rng = np.random.default_rng(5)
    for index in range(FILES):
        rows = ROWS - 700 * (index == FILES - 1)
        size, delay = rng.normal(size=rows), rng.exponential(size=rows) * 30 + index
        kind = np.array(["a", "b", "c", None], object)[rng.integers(0, 4, rows)]
        score = size + 0.02 * delay - (kind == "b") + rng.logistic(size=rows)
        table = pa.table({"size": size, "delay": delay, "kind": pa.array(kind), "late": score > 0.5})
        parquet.write_table(table, folder / f"part-{index}.parquet")
    return folder


def fit_here(parts: Path, tmp_path: Path, **settings: Any) -> Run:
    settings = {"runs": None, "cache": str(tmp_path / "cache"), "cluster": "auto", "workers": 2} | settings
    return fit(str(parts / "*.parquet"), "late", **settings)


def weights(run: Run) -> Any:
    assert isinstance(run.model, LinearModel)
    return run.model.point.weights


def test_a_fit_on_workers_is_that_of_one_machine(ray_here: str, parts: Path, tmp_path: Path) -> None:
    two = fit_here(parts, tmp_path, holdout=0, **EXACT)
    assert two.verdict is Verdict.CONVERGED
    assert two.environment["cluster"]["workers"] == 2
    assert two.environment["cluster"]["shards"] == FILES
    alone = fit(str(parts / "*.parquet"), "late", runs=None, holdout=0, **EXACT)
    assert two.data.train_rows == alone.data.train_rows == 6800
    assert np.abs(weights(two) - weights(alone)).max() < 1e-5
    assert two.objective == pytest.approx(alone.objective, rel=1e-8)
    table = parquet.read_table(parts).to_pandas()
    kinds = [table["kind"] == each for each in "abc"]
    design = np.column_stack([table["size"], table["delay"], *kinds])
    design = (design - design.mean(0)) / design.std(0)
    judge = LogisticRegression(C=np.inf, tol=1e-8, max_iter=500).fit(design, table["late"])
    assert two.train["accuracy"] == pytest.approx(judge.score(design, table["late"]), abs=3e-3)


def test_held_out_rows_and_class_weights_are_those_of_a_stream(ray_here: str, parts: Path, tmp_path: Path) -> None:
    three = fit_here(parts, tmp_path, class_weight="balanced", workers=3, **EXACT)
    assert three.environment["cluster"]["threads"] == 1, "more threads would add up in another order"
    two = fit_here(parts, tmp_path, class_weight="balanced", **EXACT)
    assert np.array_equal(weights(two), weights(three)), "the number of workers changes no bit"
    assert two.holdout == three.holdout
    assert 0.15 < two.data.holdout_rows / 6800 < 0.25
    assert two.data.holdout_rows + two.data.train_rows == 6800


def test_a_driver_that_is_killed_is_taken_up_by_other_workers(ray_here: str, parts: Path, tmp_path: Path) -> None:
    settings = {"method": "full-batch", "tolerance": 0.0, "epochs": 300, "checkpoint_seconds": 0.02}
    whole = fit_here(parts, tmp_path, **settings)
    asked = [
        "fit", str(parts / "*.parquet"), "--target", "late", "--cluster", ray_here, "--workers", "2", "--quiet",
        "--runs", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache"),
        *(each for name, value in settings.items() for each in (f"--{name.replace('_', '-')}", str(value))),
    ]  # fmt: skip
    driver = subprocess.Popen([sys.executable, "-m", "downslope", *asked])
    until = time.monotonic() + 120
    while (
        time.monotonic() < until
        and not list((tmp_path / "runs").glob(".*/checkpoint.safetensors"))
        and driver.poll() is None
    ):
        time.sleep(0.02)
    os.kill(driver.pid, signal.SIGKILL)
    assert driver.wait() == -signal.SIGKILL
    (unfinished,) = list_unfinished(tmp_path / "runs")
    assert unfinished.spec.workers == 2
    ended = resume("latest", tmp_path / "runs", cluster="auto", workers=3)
    assert ended.environment["cluster"]["workers"] == 3
    assert ended.passes == whole.passes
    assert np.array_equal(weights(ended), weights(whole))


def test_a_small_drill_loses_no_row_and_changes_no_bit(ray_here: str, parts: Path, tmp_path: Path) -> None:
    """Kill a worker while they encode, and at two steps; the large drill is ``make drill``."""
    settings: dict[str, Any] = {"method": "full-batch", "tolerance": 0.0, "epochs": 40}
    whole = fit_here(parts, tmp_path, **settings)
    killed: list[int] = []

    def kill() -> None:
        victims = [each for each in descendants([os.getpid()]) if is_worker(each) and each not in killed]
        if victims:
            os.kill(victims[len(killed) % len(victims)], signal.SIGKILL)
            killed.append(victims[len(killed) % len(victims)])

    def tell(event: str, what: object) -> None:
        if event.startswith("encoding on"):
            kill()

    def watch(step: StepRecord) -> None:
        if step.update in (7, 20):
            kill()

    broken = fit_here(parts, tmp_path / "fresh", watch=watch, tell=tell, **settings)
    assert len(killed) == 3
    assert broken.environment["cluster"]["lost"]
    assert (broken.data.train_rows, broken.data.holdout_rows) == (whole.data.train_rows, whole.data.holdout_rows)
    assert np.array_equal(weights(broken), weights(whole))


def test_mini_batches_in_rounds_come_near_one_machine(ray_here: str, parts: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"method": "mini-batch", "epochs": 8, "tolerance": 0.0, "l2": 1e-3, "holdout": 0}
    two = fit_here(parts, tmp_path, **settings)
    best = fit(str(parts / "*.parquet"), "late", runs=None, holdout=0, **EXACT).objective
    assert (two.objective - best) / (two.objective_at_start - best) < 1e-2
    assert "rounds_an_epoch" in {each.name for each in two.choices}


def test_a_network_learns_on_workers_and_outlives_one(ray_here: str, parts: Path, tmp_path: Path) -> None:
    killed: list[int] = []

    def watch(step: StepRecord) -> None:
        if step.passes > 1 and not killed:
            killed.extend(each for each in descendants([os.getpid()]) if is_worker(each))
            os.kill(killed[0], signal.SIGKILL)

    settings: dict[str, Any] = {"model": "mlp:8", "epochs": 3, "batch_size": 32, "learning_rate": 0.01}
    two = fit_here(parts, tmp_path, watch=watch, **settings)
    assert killed
    assert two.environment["cluster"]["lost"]
    whole = fit_here(parts, tmp_path, **settings)
    assert two.objective == whole.objective, "a round that is asked for again has the same bits"
    assert two.holdout["auc"] > two.baseline["auc"] + 0.1
    table = predict(two, str(parts / "part-0.parquet"))
    assert {"prediction", "probability true"} <= set(table.column_names)


def test_a_sweep_is_shared_among_workers(ray_here: str, parts: Path) -> None:
    source, settings = str(parts / "*.parquet"), {"epochs": 1, "l2": 1e-3}
    rates = [0.003, 0.01, 0.03, 0.1, 30.0]
    alone = sweep(source, "late", learning_rates=rates, batch_sizes=[32, 128], **settings)
    two = sweep(source, "late", learning_rates=rates, batch_sizes=[32, 128], cluster="auto", workers=2, **settings)
    assert isinstance(alone, SweepResult)
    assert isinstance(two, SweepResult)
    assert [(each.learning_rate, each.batch_size) for each in two.cells] == [
        (each.learning_rate, each.batch_size) for each in alone.cells
    ]
    for here, there in zip(alone.cells, two.cells, strict=True):
        assert there.zone is here.zone
        assert there.objective == pytest.approx(here.objective, rel=1e-6, nan_ok=True)


def test_a_sweep_of_networks_is_shared_among_workers(ray_here: str, parts: Path) -> None:
    axes: dict[str, Any] = {"learning_rates": [0.001, 0.01], "batch_sizes": [32, 128], "seeds": 1, "model": "mlp:4"}
    alone = sweep(str(parts / "*.parquet"), "late", epochs=1, **axes)
    two = sweep(str(parts / "*.parquet"), "late", epochs=1, cluster="auto", workers=2, **axes)
    assert isinstance(alone, NetworkSweep)
    assert isinstance(two, NetworkSweep)
    assert two.measured_rows == alone.measured_rows
    for here, there in zip(alone.cells, two.cells, strict=True):
        assert (there.learning_rate, there.batch_size) == (here.learning_rate, here.batch_size)
        assert there.train.mean == pytest.approx(here.train.mean, rel=1e-3)


def test_a_file_that_changed_columns_is_named(ray_here: str, parts: Path, tmp_path: Path) -> None:
    for each in parts.iterdir():
        (tmp_path / each.name).write_bytes(each.read_bytes())
    broken = tmp_path / "part-2.parquet"
    broken.write_bytes(broken.read_bytes()[:-700])
    with pytest.raises(SourceError, match=r"part-2\.parquet is not a whole Parquet file"):
        fit_here(tmp_path, tmp_path / "away")
    run = fit_here(tmp_path, tmp_path / "away", skip_bad_files=True)
    assert run.data.train_rows + run.data.holdout_rows == 5300
    assert run.environment["cluster"]["notes"] == ["1 files left out, because they are damaged"]


def test_what_a_cluster_does_not_do_is_said(parts: Path) -> None:
    source = str(parts / "*.parquet")
    with pytest.raises(OptionError, match="single examples are too little"):
        fit(source, "late", cluster="auto", method="stochastic", runs=None)
    with pytest.raises(OptionError, match="the model cnn:8 takes images"):
        fit(source, "late", cluster="auto", model="cnn:8", runs=None)
    with pytest.raises(OptionError, match="--plan measures the passes of a linear model"):
        plan_fit(source, Spec(source=source, target="late", cluster="auto", model="mlp:8"))
    with pytest.raises(OptionError, match="a race times its methods on one machine"):
        race(source, "late", cluster="auto")
    with pytest.raises(OptionError, match="a cluster reads files"):
        sweep({"x": [1.0, 2.0], "late": [0, 1]}, "late", cluster="auto")
    with pytest.raises(OptionError, match="a cluster reads files"):
        fit({"x": [1, 2], "late": [0, 1]}, "late", cluster="auto", runs=None)
    with pytest.raises(OptionError, match="--workers are those of a cluster"):
        fit(source, "late", workers=2, runs=None)
