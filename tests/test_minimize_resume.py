"""Descents of functions that are saved, killed and taken up again, against the same never cut short: the same bits."""

from __future__ import annotations

import json
import os
import random
import select
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import safetensors.numpy

from benchmarks.kills import PATIENCE, kill
from downslope import fit, minimize, resume
from downslope.cli.running import run as command
from downslope.errors import RunError
from downslope.models.surface.named import SURFACES
from downslope.records import StepRecord, Verdict
from downslope.records.files import record_to_json
from downslope.records.surface import Minimum
from downslope.store import find, list_runs, list_unfinished, load
from downslope.store.functions import list_minima, load_minimum, save_minimum

EVERY = 0.02
"""Seconds between two checkpoints of a descent that is killed."""
RNG = np.random.default_rng(0)
DATA = {"x": RNG.normal(size=(400, 3)), "y": RNG.normal(size=400)}
START: dict[str, Any] = {"weights": np.zeros(3), "bend": 0.5}
VALLEY = np.array([-1.2, 1.0] * 4)
BATCHES: dict[str, Any] = {"method": "mini-batch", "batch_size": 16, "seed": 3}


def bent_plane(p: dict[str, Any], batch: dict[str, jax.Array]) -> jax.Array:
    met = jnp.tanh(p["bend"] * (batch["x"] @ p["weights"])) + p["bend"] - batch["y"]
    return jnp.mean(met**2)


def valleys(p: jax.Array) -> jax.Array:
    return jnp.sum(100.0 * (p[1::2] - p[::2] ** 2) ** 2 + (1.0 - p[::2]) ** 2)


Case = tuple[Any, Any, Any, dict[str, Any]]
CASES: dict[str, Case] = {
    "batches, rates raced": (bent_plane, START, DATA, BATCHES | {"updates": 12_000}),
    "batches, rate given": (
        bent_plane, START, DATA, BATCHES | {"updates": 8000, "rule": "momentum", "learning_rate": 1e-3},
    ),
    "no data, rates raced": (valleys, VALLEY, None, {"rule": "adam", "updates": 20_000, "tolerance": 0.0}),
    "no data, rule of one's own": (valleys, VALLEY, None, {"rule": optax.adam(1e-3), "updates": 9000}),
    "scaled": (valleys, VALLEY, None, {}),
    "residuals": (
        lambda p, batch: jnp.tanh(batch["x"] @ p["weights"]) + p["bend"] - batch["y"], START, DATA,
        {"residuals": True, "tolerance": 1e-14},
    ),
}  # fmt: skip


def descend(case: str, **more: Any) -> Minimum:
    loss, params, data, settings = CASES[case]
    return minimize(loss, params, data, **(settings | more))


def bits(minimum: Minimum) -> dict[str, bytes]:
    return {name: np.asarray(array).tobytes() for name, array in minimum.arrays.items()}


def told(step: StepRecord) -> list[str]:
    """Return a step without its clock, NaN equal to NaN."""
    return [repr(getattr(step, name)) for name in StepRecord.__dataclass_fields__ if name != "seconds"]


def check_same(whole: Minimum, again: Minimum) -> None:
    """Assert that one descent came to the same as another, with a record that has no gap and no duplicate."""
    assert bits(whole) == bits(again)
    assert (whole.updates, whole.verdict, whole.value, whole.kind) == (
        again.updates, again.verdict, again.value, again.kind,
    )  # fmt: skip
    assert whole.choices == again.choices
    updates = [step.update for step in again.steps]
    assert updates == sorted(set(updates))
    assert (updates[0], updates[-1]) == (0, again.updates)
    assert max(np.diff(updates)) <= 2048
    seconds = [step.seconds for step in again.steps]
    assert seconds == sorted(seconds)
    if all(step.exact for step in whole.steps):
        met = {step.update: told(step) for step in whole.steps}
        assert all(met[step.update] == told(step) for step in again.steps if step.update in met)
    if again.setting("method") == "scaled":
        assert [told(step) for step in again.steps] == [told(step) for step in whole.steps]


class Cut(Exception):
    """Raised where a descent is cut short."""


def cut_short(case: str, runs: Path, steps: int, **more: Any) -> str:
    """Descend until so many steps are recorded, a checkpoint after every chunk; return the name of what is left."""
    seen: list[StepRecord] = []

    def watch(step: StepRecord) -> None:
        seen.append(step)
        if len(seen) >= steps:
            raise Cut

    with pytest.raises(Cut):
        descend(case, runs=runs, watch=watch, checkpoint_seconds=1e-9, **more)
    (left,) = list_unfinished(runs)
    assert left.updates is not None
    return left.run


@cache
def uninterrupted(case: str) -> Minimum:
    return descend(case)


@pytest.mark.parametrize(
    ("case", "share"),
    [
        ("batches, rates raced", 0.0), ("batches, rates raced", 0.5), ("no data, rates raced", 0.5), ("scaled", 0.5),
        ("residuals", 0.5),
    ],
)  # fmt: skip
def test_a_descent_cut_anywhere_goes_on_to_the_same_bits(case: str, share: float, tmp_path: Path) -> None:
    whole = uninterrupted(case)
    name = cut_short(case, tmp_path, max(3, round(share * len(whole.steps))))
    again = descend(case, runs=tmp_path, resume=name)
    check_same(whole, again)
    assert again.run == name
    assert list_unfinished(tmp_path) == []
    check_same(whole, load_minimum(name, tmp_path))


def start(case: str, runs: Path, resumed: str) -> subprocess.Popen[str]:
    """Start a descent in a process of its own, or take one up, and wait until it takes its first step."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.test_minimize_resume", case, str(runs), resumed], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
    if not ready or not process.stdout.readline():
        process.kill()
        raise RuntimeError(process.communicate()[1])
    return process


def be_killed(case: str, runs: str, resumed: str) -> None:
    """Descend slowly, for a process to be killed."""

    def watch(step: StepRecord) -> None:
        print("step", flush=True)
        time.sleep(0.01)

    descend(case, runs=runs, resume=resumed or None, watch=watch, **({} if resumed else {"checkpoint_seconds": EVERY}))


@pytest.mark.parametrize("case", ["batches, rates raced", "no data, rates raced", "scaled"])
def test_a_killed_descent_ends_as_if_it_had_not_been(case: str, tmp_path: Path) -> None:
    draw, whole = random.Random(case), uninterrupted(case)
    length = 0.01 * len(whole.steps)
    kill(start(case, tmp_path, ""), draw.uniform(0.0, length), tmp_path)
    left = list_unfinished(tmp_path)
    if left and case == "scaled":  # once more, at any instant
        kill(start(case, tmp_path, left[0].run), draw.uniform(0.0, length))
    left = list_unfinished(tmp_path)
    again = descend(case, runs=tmp_path, resume=left[0].run) if left else load_minimum(_only(tmp_path), tmp_path)
    check_same(whole, again)
    assert list_unfinished(tmp_path) == []


def _only(runs: Path) -> str:
    (found,) = list_minima(runs)
    return found.run


def test_a_descent_stopped_by_hand_goes_on(tmp_path: Path) -> None:
    whole, seen = uninterrupted("scaled"), list[StepRecord]()

    def watch(step: StepRecord) -> None:
        seen.append(step)
        if len(seen) == 6:
            raise KeyboardInterrupt

    stopped = descend("scaled", runs=tmp_path, watch=watch, checkpoint_seconds=1e-9)
    assert stopped.verdict is Verdict.STOPPED
    assert [each.run for each in list_unfinished(tmp_path)] == [stopped.run]
    again = descend("scaled", runs=tmp_path, resume=stopped.run)
    check_same(whole, again)
    assert list_unfinished(tmp_path) == []
    assert [each.verdict for each in map(load_minimum, [stopped.path, again.path])] == [
        Verdict.STOPPED, Verdict.CONVERGED,
    ]  # fmt: skip


def test_the_batch_size_that_was_chosen_stays(tmp_path: Path) -> None:
    more: dict[str, Any] = {"batch_size": "auto", "updates": 4000}
    name = cut_short("batches, rate given", tmp_path, 4, **more)
    settled = tmp_path / f".{name}.unfinished" / "settled.json"
    kept = json.loads(settled.read_text(encoding="utf-8"))
    other = 64 if kept["batch_size"]["value"] != 64 else 128
    kept["batch_size"]["value"] = other  # as another machine might have measured
    settled.write_text(json.dumps(kept), encoding="utf-8")
    (settled.parent / "checkpoint.safetensors").unlink()
    assert descend("batches, rate given", runs=tmp_path, resume=name, **more).setting("batch_size") == other


def test_without_runs_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert (descend("scaled").run, list(tmp_path.iterdir())) == ("", [])
    saved = descend("scaled", runs="kept", checkpoint_seconds=0)
    assert [each.name for each in (tmp_path / "kept").iterdir() if each.name != ".lock"] == [saved.run]


def test_a_saved_descent_comes_back(tmp_path: Path) -> None:
    saved = descend("batches, rate given", runs=tmp_path)
    assert saved.run.startswith("bent_plane-20")
    folder = find(saved.run, tmp_path)
    assert saved.path == str(folder)
    back = load_minimum(saved.run, tmp_path, like=START)
    told_of = [record_to_json(replace(each, params=None, arrays={})) for each in (back, saved)]
    assert told_of[0] == told_of[1]
    assert back.params["bend"] == saved.params["bend"]
    assert isinstance(back.params["bend"], float)
    np.testing.assert_array_equal(back.params["weights"], saved.params["weights"])
    assert load_minimum(folder).params is None
    arrays = safetensors.numpy.load_file(folder / "params.safetensors")
    assert {name: array.shape for name, array in arrays.items()} == {"['bend']": (), "['weights']": (3,)}
    spec = tomllib.loads((folder / "spec.toml").read_text(encoding="utf-8"))
    assert (spec["asked"]["updates"], spec["asked"]["seed"], spec["asked"]["rule"]) == (8000, 3, "momentum")
    assert spec["became"]["batch_size"] == 16
    with pytest.raises(RunError, match=r"\['weights'\] of run .* has the shape \(3,\), and here \(4,\)"):
        load_minimum(saved.run, tmp_path, like={"weights": np.zeros(4), "bend": 0.0})
    with pytest.raises(RunError, match=r"learned \['bend'\], and here there is none"):
        load_minimum(saved.run, tmp_path, like={"weights": np.zeros(3)})


def test_modules_are_saved_and_taken_up(tmp_path: Path) -> None:
    network = eqx.nn.MLP(3, "scalar", 4, 1, activation=jnp.tanh, key=jax.random.PRNGKey(0))

    def loss(network: eqx.nn.MLP, batch: dict[str, jax.Array]) -> jax.Array:
        return jnp.mean((jax.vmap(network)(batch["x"]) - batch["y"]) ** 2)

    CASES["module"] = (loss, network, DATA, BATCHES | {"updates": 3000, "learning_rate": 0.01})
    try:
        whole = descend("module")
        name = cut_short("module", tmp_path, 5)
        again = descend("module", runs=tmp_path, resume=name)
    finally:
        del CASES["module"]
    check_same(whole, again)
    assert ".layers[0].weight" in again.arrays
    back = load_minimum(name, tmp_path, like=network).params
    assert back.activation is network.activation
    assert all(
        np.array_equal(mine, other)
        for mine, other in zip(jax.tree.leaves(back), jax.tree.leaves(again.params), strict=True)
        if eqx.is_array(mine)
    )


def test_what_does_not_fit_is_refused_in_one_sentence(tmp_path: Path) -> None:
    name = cut_short("batches, rate given", tmp_path, 5)
    loss, params, data, settings = CASES["batches, rate given"]

    def refused(sentence: str, *given: Any, **more: Any) -> None:
        with pytest.raises(RunError, match=sentence):
            minimize(*given, runs=tmp_path, resume=name, **more)

    longer = {"weights": np.zeros(4), "bend": 0.5}
    refused(r"^\['weights'\] of params was float32 \[3\] when run .* and is float32 \[4\] here", loss, longer,
            {"x": np.ones((400, 4)), "y": np.ones(400)})  # fmt: skip
    refused("the numbers in params are not those", loss, params | {"bend": 0.6}, data)
    refused("was begun on 400 examples, not on 399", loss, params, {key: each[1:] for key, each in data.items()})
    refused("has changed since its last checkpoint", loss, params, data | {"y": data["y"] + 1e-3})
    refused("of another model or other data: the loss is .* at the start here", lambda p, b: 2 * loss(p, b), params,
            data)  # fmt: skip
    refused("was begun with seed 3, not 4; leave it out", loss, params, data, seed=4)
    refused("was begun with updates 8000, not 9", loss, params, data, updates=9)
    refused("was begun with rule 'momentum', not 'adam'", loss, params, data, rule="adam")
    refused("goes by the rule momentum; leave rule out", loss, params, data, rule=optax.sgd(1.0))
    again = minimize(loss, params, data, runs=tmp_path, resume=name)  # settings that are left out are as they were
    check_same(uninterrupted("batches, rate given"), again)
    assert again.spec.seed == settings["seed"]
    refused(f'run "{name}" is finished, so there is nothing to resume', loss, params, data)
    with pytest.raises(RunError, match='there is no unfinished run called "nothing"'):
        minimize(loss, params, data, runs=tmp_path, resume="nothing")


def test_a_rule_of_ones_own_is_given_once_more(tmp_path: Path) -> None:
    name = cut_short("no data, rule of one's own", tmp_path, 4)
    with pytest.raises(RunError, match="goes by a rule of your own; give it once more"):
        minimize(valleys, VALLEY, runs=tmp_path, resume=name)
    with pytest.raises(RunError, match=r"is of another model or other data: state\.2 is int32 \[\] there"):
        minimize(valleys, VALLEY, rule=optax.sgd(1.0, momentum=0.5), runs=tmp_path, resume=name)
    check_same(descend("no data, rule of one's own"), descend("no data, rule of one's own", runs=tmp_path, resume=name))


def test_the_command_line_says_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, runs = cut_short("scaled", tmp_path, 6), ["--runs", str(tmp_path)]
    assert command(["resume", name, *runs]) == 2
    assert capsys.readouterr().err == (
        f'error: run "{name}" is a descent of the function valleys, which is code and was not kept; in Python, call '
        f'downslope.minimize with the same loss, params and data, and runs="{tmp_path}", resume="{name}"\n'
    )
    with pytest.raises(RunError, match=r"call downslope\.minimize with the same loss"):
        resume(name, tmp_path)
    assert command(["runs", *runs]) == 0
    assert name in capsys.readouterr().out


def test_the_command_line_shows_a_descent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved, runs = minimize(SURFACES["rosenbrock"].function, [-1.2, 1.0], runs=tmp_path), ["--runs", str(tmp_path)]
    assert command(["runs", *runs]) == 0
    listed = " ".join(capsys.readouterr().out.split())
    assert "minimum" in listed
    assert saved.run in listed
    assert command(["runs", "--json", *runs]) == 0
    told_of = json.loads(capsys.readouterr().out)
    assert (told_of["runs"], told_of["broken"]) == ([], [])
    assert [each["run"] for each in told_of["functions"]] == [saved.run]
    assert command(["show", saved.run, *runs]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "all 2 directions were measured: curvatures from 0.399 to 1,002" in shown
    assert saved.path is not None
    assert Path(saved.path).name in shown.replace(" ", "")
    assert command(["show", saved.run, "--json", *runs]) == 0
    assert json.loads(capsys.readouterr().out)["value"] == saved.value
    assert command(["rerun", saved.run, *runs]) == 2
    assert "is a descent of a function and holds no model" in capsys.readouterr().err
    (Path(saved.path) / "minimum.json").write_text("{}", encoding="utf-8")
    assert command(["runs", *runs]) == 0
    assert "is damaged: minimum.json is not as it was written" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(RunError, match="is not as it was written"):
        load_minimum(saved.run, tmp_path)


def test_runs_and_descents_lie_side_by_side(tmp_path: Path) -> None:
    table = {"a": RNG.normal(size=60), "y": RNG.normal(size=60)}
    trained = fit(table, "y", runs=tmp_path)
    saved = descend("scaled", runs=tmp_path)
    assert [each.run for each in list_runs(tmp_path)] == [trained.run]
    assert [each.run for each in list_minima(tmp_path)] == [saved.run]
    assert load("latest", tmp_path).run == trained.run
    with pytest.raises(RunError, match=f'run "{trained.run}" is no descent of a function'):
        load_minimum(trained.run, tmp_path)
    with pytest.raises(RunError, match=f'run "{saved.run}" is a descent of a function'):
        load(saved.run, tmp_path)
    assert save_minimum(saved, tmp_path).run != saved.run  # a name that is taken is never overwritten


if __name__ == "__main__":
    be_killed(*sys.argv[1:])
