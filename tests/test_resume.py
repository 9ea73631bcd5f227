"""Runs that were killed and taken up again, against the same runs never cut short: the same bits."""

from __future__ import annotations

import json
import random
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from benchmarks.kills import CASES, difference, try_once, write_table
from downslope import fit, resume
from downslope.cli.running import run as command
from downslope.engines.network.inputs import on_device, parts_of
from downslope.engines.network.rules import rule_of
from downslope.errors import RunError
from downslope.losses import make_loss
from downslope.models.network import parse_model
from downslope.models.network.layers import build_network
from downslope.records import Run, Spec, StepRecord, Verdict
from downslope.store import list_unfinished, load
from downslope.store.checkpoint import from_bytes, to_bytes
from downslope.training.checkpoint import Checkpoint, Keeper
from downslope.training.network.course import course_of
from downslope.training.network.descent import NetworkDescent
from downslope.training.network.measuring import Measuring
from downslope.training.network.progress import LISTS, TOLD, Ended, NetworkProblem, Progress
from downslope.training.network.scaling import TargetScale

SHORT = {
    "mini-batch, rates raced": 20,
    "mini-batch, rate given": 15,
    "mini-batch, classes raced": 20,
    "stochastic": 15,
    "full-batch": 100,
}
"""Epochs that are enough for a cut."""


KILLED: dict[str, dict[str, Any]] = {
    "mini-batch, rates raced": CASES["mini-batch, rates raced"],
    "stochastic": CASES["stochastic"],
    "full-batch": CASES["full-batch"],
    "network": CASES["network"] | {"model": "mlp:4", "epochs": 8, "batch_size": 16},
}
"""What is really killed here; ``benchmarks.kills`` does it to every case, many times."""


class Cut(Exception):
    """What stands for a kill within this process: no code of ours handles it."""


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "table.parquet"
    write_table(path, rows=1500)
    return path


def cut_short(table: Path, runs: Path, steps: int, **settings: Any) -> None:
    """Train until so many steps are recorded, and no further; a checkpoint is written whenever one is offered."""
    seen: list[StepRecord] = []

    def watch(step: StepRecord) -> None:
        seen.append(step)
        if len(seen) >= steps:
            raise Cut

    with pytest.raises(Cut):
        fit(str(table), runs=runs, watch=watch, checkpoint_seconds=1e-9, **settings)


@pytest.mark.parametrize("case", KILLED)
def test_a_killed_run_ends_as_if_it_had_not_been(case: str, table: Path, tmp_path: Path) -> None:
    whole = fit(str(table), runs=None, **KILLED[case])
    outcome = try_once(KILLED[case], whole, table, tmp_path, random.Random(case), kills=2 if "raced" in case else 1)
    assert outcome.same, outcome


@pytest.fixture(scope="module", params=[*SHORT, "scaled"])
def uninterrupted(request: pytest.FixtureRequest, table: Path) -> tuple[dict[str, Any], Run]:
    """Return the settings of a case, and its run never cut short."""
    settings = CASES[request.param] | ({"epochs": SHORT[request.param]} if request.param in SHORT else {})
    return settings, fit(str(table), runs=None, **settings)


@pytest.mark.parametrize("share", [0.2, 0.8])
def test_a_run_cut_anywhere_goes_on_to_the_same_bits(
    uninterrupted: tuple[dict[str, Any], Run], share: float, table: Path, tmp_path: Path
) -> None:
    settings, whole = uninterrupted
    cut_short(table, tmp_path, max(2, round(share * len(whole.steps))), **settings)
    (left,) = list_unfinished(tmp_path)
    assert left.updates is not None
    assert 0 < left.updates < whole.updates
    again = resume(left.run, tmp_path)
    assert difference(whole, load(again.run, tmp_path)) == ""
    assert again.run == left.run
    assert list_unfinished(tmp_path) == []
    seconds = [step.seconds for step in again.steps]
    assert seconds == sorted(seconds)


def network_problem(text: str, normalisation: str, dropout: float) -> NetworkProblem:
    """Return a small network on numbers of which one decides between two classes."""
    draw = np.random.default_rng(0)
    numbers = draw.normal(size=(200, 4)).astype(np.float32)
    target = (numbers[:, 0] * numbers[:, 1] > 0).astype(np.float64)
    network = build_network(parse_model(text, "tanh", normalisation, dropout, "he"), (4,), 1, jax.random.PRNGKey(1))
    weights, rest = parts_of(network)
    data = [on_device(numbers[part], None, target[part], None, 0.0, 1.0) for part in (slice(0, 150), slice(150, 200))]
    return NetworkProblem(network, weights, rest, data[0], data[1], make_loss("log"), 1, 1e-4, TargetScale())


def descent_of(rule: str, rates: list[float], keeper: Keeper | None = None, text: str = "mlp:5") -> NetworkDescent:
    spec = Spec(epochs=20, seed=3)
    problem = network_problem(text, "batch", 0.2)
    parts = (problem.rest, problem.loss, problem.l2, problem.weights, problem.train)
    measuring = Measuring(*parts, operations=1e9, passes=20, seed=3)
    return NetworkDescent(
        problem, course_of(150, 16, spec, own_rate=len(rates) == 1), (rule, rule_of(rule, 0.9, 1e-3)), np.array(rates),
        patience=50, max_seconds=1e9, clip=1.0, pieces=2, watch=None, measuring=measuring,
        keeper=keeper,
    )  # fmt: skip


def leaves(tree: Any) -> list[bytes]:
    return [np.asarray(each).tobytes() for each in jax.tree.leaves(tree)]


def test_a_run_stopped_by_hand_goes_on(table: Path, tmp_path: Path) -> None:
    settings = CASES["mini-batch, rate given"] | {"epochs": 20}
    whole = fit(str(table), runs=None, **settings)
    seen: list[StepRecord] = []

    def watch(step: StepRecord) -> None:
        seen.append(step)
        if len(seen) == 9:
            raise KeyboardInterrupt

    stopped = fit(str(table), runs=tmp_path, watch=watch, checkpoint_seconds=1e-9, **settings)
    assert stopped.verdict is Verdict.STOPPED
    assert [each.run for each in list_unfinished(tmp_path)] == [stopped.run]
    fit(str(table), "late", runs=tmp_path)  # which clears away what is of no more use
    again = resume(stopped.run, tmp_path)
    assert difference(whole, again) == ""
    assert list_unfinished(tmp_path) == []
    assert load(stopped.run, tmp_path).verdict is Verdict.STOPPED
    assert load(again.run, tmp_path).verdict is whole.verdict
    assert again.seconds["total"] >= again.seconds["descend"] >= again.steps[-1].seconds


def saved(descent: NetworkDescent) -> Checkpoint:
    return from_bytes(to_bytes(descent.to_checkpoint(), {}))[0]


@pytest.fixture(scope="module", params=[("adam", [0.1, 0.03]), ("schedule-free", [0.1])], ids=["adam", "schedule-free"])
def trained(request: pytest.FixtureRequest) -> tuple[NetworkDescent, Ended, list[Checkpoint]]:
    """Return a descent that has ended, its end, and a checkpoint of it after every chunk."""
    whole = descent_of(*request.param)
    kept: list[Checkpoint] = []
    while (ended := whole.advance()) is None:
        kept.append(saved(whole))
    return whole, ended, kept


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_network_goes_on_with_its_rule_its_key_and_its_best(
    trained: tuple[NetworkDescent, Ended, list[Checkpoint]], share: float
) -> None:
    whole, ended, checkpoints = trained
    kept = checkpoints[int(share * len(checkpoints))]
    rates = [0.1, 0.03] if whole.progress.evidence else [0.1]
    second = descent_of(whole.rule_name, rates, Keeper("cut", begin=kept))
    assert 0 < second.progress.updates < whole.progress.updates
    assert second.racing == (len(rates) > 1 and share == 0)
    again = second.run()
    assert leaves((again.weights, again.statistics)) == leaves((ended.weights, ended.statistics))
    assert leaves(second.state) == leaves(whole.state)
    assert second.progress.best == whole.progress.best
    assert second.progress.evidence == whole.progress.evidence
    updates = [step.update for step in second.progress.steps]
    assert updates == sorted(set(updates))
    assert updates[: len(kept.steps)] == [step.update for step in kept.steps]


def test_all_progress_of_a_network_is_kept() -> None:
    assert {each.name for each in fields(Progress)} == {*TOLD, *LISTS, "seconds", "steps"}


def test_a_checkpoint_of_another_network_is_refused() -> None:
    small = descent_of("adam", [0.1])
    with pytest.raises(RunError, match=r'^the checkpoint of run "cut" is of another model or other data: state.0 is'):
        descent_of("adam", [0.1], Keeper("cut", begin=small.to_checkpoint()), text="mlp:6")
    with pytest.raises(RunError, match="it was written by full-batch and this is network"):
        descent_of("adam", [0.1], Keeper("cut", begin=replace(small.to_checkpoint(), kind="full-batch")))


def test_the_chosen_rate_does_not_depend_on_where_the_chunks_were_cut(
    trained: tuple[NetworkDescent, Ended, list[Checkpoint]],
) -> None:
    whole, ended, _ = trained
    other = descent_of(whole.rule_name, [0.1, 0.03] if whole.progress.evidence else [0.1])
    other._chunk_size = lambda: 1  # type: ignore[method-assign]
    assert leaves(other.run().weights) == leaves(ended.weights)
    assert other.progress.evidence == whole.progress.evidence


@pytest.fixture
def cut(table: Path, tmp_path: Path) -> str:
    """Return the name of a run under ``tmp_path`` / "runs" that was cut short, on a table of its own."""
    own = tmp_path / "own.parquet"
    own.write_bytes(table.read_bytes())
    cut_short(own, tmp_path / "runs", 5, **CASES["full-batch"] | {"epochs": 60})
    return list_unfinished(tmp_path / "runs")[0].run


def test_the_command_takes_a_run_up(cut: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = ["--runs", str(tmp_path / "runs")]
    assert command(["runs", *runs]) == 0
    assert f"downslope resume {cut} takes it up" in " ".join(capsys.readouterr().out.split())
    assert command(["runs", "--json", *runs]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(each["run"], each["updates"], each["running"]) for each in listed["unfinished"]] == [(cut, 4, False)]
    assert command(["show", cut, *runs]) == 2
    assert f"take it up with downslope resume {cut}" in capsys.readouterr().err
    assert command(["resume", cut, "--json", *runs]) == 0
    assert json.loads(capsys.readouterr().out)["run"] == cut
    assert command(["resume", cut, *runs]) == 2
    assert capsys.readouterr().err == (
        f'error: run "{cut}" is finished, so there is nothing to resume; downslope show {cut} shows it\n'
    )


def test_a_source_that_has_changed_is_refused(cut: str, table: Path, tmp_path: Path) -> None:
    write_table(tmp_path / "own.parquet", rows=1500, seed=1)
    with pytest.raises(RunError, match=f'own.parquet" has changed since run "{cut}" began, so it cannot go on'):
        resume(cut, tmp_path / "runs")
    assert [each.run for each in list_unfinished(tmp_path / "runs")] == [cut]


def test_arrays_are_given_again_and_checked(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    columns = {"a": draw.normal(size=300), "b": draw.normal(size=300)}
    columns["y"] = columns["a"] - columns["b"] + draw.normal(size=300)
    settings = {"target": "y", "method": "full-batch", "rule": "momentum", "learning_rate": 0.01, "tolerance": 0.0}
    whole = fit(columns, runs=None, epochs=50, **settings)
    cut_short_on(columns, tmp_path, 20, epochs=50, **settings)
    with pytest.raises(RunError, match="trained on arrays in Python, which were not kept; call resume with source="):
        resume("latest", tmp_path)
    with pytest.raises(RunError, match="has changed since its last checkpoint"):
        resume("latest", tmp_path, source=columns | {"a": columns["a"] + 1e-9})
    assert difference(whole, resume("latest", tmp_path, source=columns)) == ""


def cut_short_on(source: Any, runs: Path, steps: int, **settings: Any) -> None:
    cut_short_source: list[StepRecord] = []

    def watch(step: StepRecord) -> None:
        cut_short_source.append(step)
        if len(cut_short_source) >= steps:
            raise Cut

    with pytest.raises(Cut):
        fit(source, runs=runs, watch=watch, checkpoint_seconds=1e-9, **settings)


def test_a_choice_by_the_clock_is_made_once(table: Path, tmp_path: Path) -> None:
    settings = {"target": "late", "method": "mini-batch", "tolerance": 0.0, "epochs": 10}
    cut_short(table, tmp_path, 3, **settings)
    (left,) = list_unfinished(tmp_path)
    settled = json.loads((Path(left.path) / "settled.json").read_text(encoding="utf-8"))
    other = 64 if settled["batch_size"]["value"] != 64 else 128
    (Path(left.path) / "checkpoint.safetensors").unlink()  # as if killed before the first one
    settled["batch_size"]["value"] = other  # as another machine might have measured
    (Path(left.path) / "settled.json").write_text(json.dumps(settled), encoding="utf-8")
    assert resume(left.run, tmp_path).resolved["batch_size"] == other


def test_bad_input_and_a_run_without_checkpoints_leave_nothing(table: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too small"):
        fit(str(table), "late", runs=tmp_path / "runs", model="linear", rule="plain", method="full-batch",
            watch=_refuse)  # fmt: skip
    assert list((tmp_path / "runs").iterdir()) == []
    run = fit(str(table), "late", runs=tmp_path / "runs", checkpoint_seconds=0)
    assert [path.name for path in (tmp_path / "runs").iterdir() if path.name != ".lock"] == [run.run]


def _refuse(step: StepRecord) -> None:
    message = "too small"
    raise ValueError(message)


def test_the_resumed_run_is_a_run_like_any_other(cut: str, tmp_path: Path) -> None:
    again = resume(Path(cut), tmp_path / "runs")
    assert isinstance(again, Run)
    assert again.path == str(tmp_path / "runs" / cut)
    assert load("latest", tmp_path / "runs").run == cut
    assert again.spec.checkpoint_seconds == pytest.approx(1e-9)
