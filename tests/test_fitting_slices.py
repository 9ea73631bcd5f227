"""Slices and shape of saved networks, against forward passes, an SVD and a dense Hessian of our own."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from jax.flatten_util import ravel_pytree
from sklearn.datasets import load_digits

from downslope import fit, loss_shape, loss_slice, resume
from downslope.cli.running import run as command
from downslope.data.features import prepare
from downslope.data.sources import read
from downslope.errors import OptionError, RunError
from downslope.fitting.slices import unit_of
from downslope.records import Run, StepRecord
from downslope.records.slices import LineSlice, PathPoint, PlaneSlice
from downslope.store import list_unfinished, load
from downslope.training.network.revisiting import products_of_a_row
from downslope.views.slices import DOWN, slice_report

ROWS = 400
CLASSES: dict[str, Any] = {
    "target": "kind", "model": "mlp:5", "activation": "tanh", "normalisation": "batch", "class_weight": "balanced",
    "batch_size": 32, "epochs": 8, "patience": 50, "keep_path": 12, "seed": 2,
}  # fmt: skip
NUMBERS: dict[str, Any] = {
    "target": "amount", "model": "mlp:7", "weights": "each", "l2": 0.01, "batch_size": 16, "epochs": 6,
    "learning_rate": 0.01, "rule": "plain", "schedule": "constant", "holdout": 0.25,
}  # fmt: skip


@dataclass(frozen=True)
class Saved:
    """A run on a table, saved. numbers (n, p), codes (n, q), target (n,), each (n,): its training rows."""

    run: Run
    table: Path
    runs: Path
    numbers: Any
    codes: Any
    target: Any
    each: Any

    def forward(self, arrays: Mapping[str, Any], xp: Any = np) -> Any:
        """Return the scores (n, k) of the training rows, by weights and statistics of a network of dense layers."""
        numbers, p = xp.asarray(self.numbers), self.numbers.shape[1]
        first = arrays["hidden.0.layer.weight"]
        x = numbers @ first[:p] + sum(first[p:][self.codes[:, column]] for column in range(self.codes.shape[1]))
        index = 0
        while True:
            x = x + arrays[f"hidden.{index}.layer.bias"]
            if f"statistics.{index}.mean" in arrays:
                spread = xp.sqrt(arrays[f"statistics.{index}.variance"] + 1e-5)
                x = (x - arrays[f"statistics.{index}.mean"]) / spread
                x = x * arrays[f"hidden.{index}.normalisation.scale"] + arrays[f"hidden.{index}.normalisation.shift"]
            x = xp.tanh(x) if self.run.spec.activation == "tanh" else xp.maximum(x, 0)
            index += 1
            if f"hidden.{index}.layer.weight" not in arrays:
                return x @ arrays["last.weight"] + arrays["last.bias"]
            x = x @ arrays[f"hidden.{index}.layer.weight"]

    def mean(self, losses: Any) -> float:
        return float(losses @ self.each / self.each.sum())


def write_table(path: Path, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, ROWS))
    place = rng.integers(0, 3, ROWS)
    amount = 100 + 30 * (a * b + place) + 5 * rng.standard_normal(ROWS)
    kind = np.array(["left", "middle", "right"])[np.clip(np.round(a + 0.5 * b + 1), 0, 2).astype(int)]
    columns = {
        "a": a, "b": b, "place": np.array(["north", "south", "west"])[place], "amount": amount, "kind": kind,
        "each": rng.uniform(0.5, 2.0, ROWS), "count": rng.poisson(np.exp(0.5 * a)).astype(float),
    }  # fmt: skip
    parquet.write_table(pa.table(columns), path)


def saved(folder: Path, **settings: Any) -> Saved:
    """Fit and save, and find the training rows again by the hold-out that the plan tells of."""
    table = folder / "table.parquet"
    write_table(table)
    run = fit(str(table), runs=folder / "runs", **settings)
    found = load(run.run, folder / "runs")
    prepared = prepare(read(str(table), drop=run.spec.drop), run.spec)
    train = np.setdiff1d(np.arange(ROWS), prepared.holdout_rows)
    numbers, _ = found.model.plan.encode(read(str(table)))  # type: ignore[union-attr]
    (block,) = prepared.train.blocks
    np.testing.assert_allclose(numbers[train], block.numbers)
    each = np.ones(train.size) if prepared.train.weights is None else prepared.train.weights
    if run.spec.class_weight:
        counts = np.bincount(prepared.train.target.astype(int))
        each = train.size / (len(counts) * counts[prepared.train.target.astype(int)])
    return Saved(found, table, folder / "runs", block.numbers, block.codes, prepared.train.target, each)


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Return three classes by a batch-normalised network whose rates were raced."""
    return saved(tmp_path_factory.mktemp("classes"), **CLASSES)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Return amounts of about 100, by plain descent at a constant rate."""
    return saved(tmp_path_factory.mktemp("numbers"), **NUMBERS)


@pytest.fixture(scope="module")
def plane(classes: Saved) -> PlaneSlice:
    found = loss_slice(classes.run, directions="path", points=(9, 7), sample=None)
    assert isinstance(found, PlaneSlice)
    return found


def cross_entropy(case: Saved, arrays: Mapping[str, Any]) -> float:
    scores = case.forward({name: array.astype(np.float64) for name, array in arrays.items()})
    top = scores.max(axis=1, keepdims=True)
    chances = np.exp(scores - top) / np.exp(scores - top).sum(axis=1, keepdims=True)
    return case.mean(-np.log(chances[np.arange(len(scores)), case.target.astype(int)]))


def moments(run: Run) -> list[dict[str, Any]]:
    assert run.trajectory is not None
    return [run.trajectory.moment(index) for index in range(len(run.trajectory.updates))]


def test_every_point_of_the_path_has_its_true_loss(classes: Saved, plane: PlaneSlice) -> None:
    assert classes.run.trajectory is not None
    assert tuple(point.update for point in plane.path) == classes.run.trajectory.updates
    truths = [cross_entropy(classes, moment) for moment in moments(classes.run)]
    np.testing.assert_allclose([point.loss for point in plane.path], truths, rtol=2e-5)
    assert plane.own_statistics
    # By the statistics of the end, the start would have another loss: that is what the slice shows.
    final = {name: array for name, array in classes.run.model.arrays.items() if name.startswith("statistics")}  # type: ignore[union-attr]
    assert abs(cross_entropy(classes, moments(classes.run)[0] | final) - truths[0]) > 1e-3


def test_the_slice_passes_through_the_weights_of_the_run(classes: Saved, plane: PlaneSlice) -> None:
    arrays = classes.run.model.arrays  # type: ignore[union-attr]
    assert plane.loss == pytest.approx(cross_entropy(classes, arrays), rel=2e-5)
    assert plane.loss == pytest.approx(classes.run.objective, rel=1e-5)
    assert (plane.rows, plane.all_rows) == (classes.run.data.train_rows,) * 2
    assert (plane.run, plane.loss_name, plane.unit) == (classes.run.run, "softmax", "nats")


def test_what_a_plane_explains_is_what_two_singular_values_hold(classes: Saved, plane: PlaneSlice) -> None:
    arrays = classes.run.model.arrays  # type: ignore[union-attr]
    learned = [name for name in arrays if not name.startswith("statistics")]

    def flat(moment: Mapping[str, Any]) -> Any:
        return np.concatenate([moment[name].astype(np.float64).ravel() for name in learned])

    offsets = np.stack([flat(moment) - flat(arrays) for moment in moments(classes.run)])
    _, values, rows = np.linalg.svd(offsets, full_matrices=False)
    assert plane.explained == pytest.approx((values[:2] ** 2).sum() / (values**2).sum(), rel=1e-6)
    assert 0.5 < plane.explained < 1.0
    shadow = offsets @ rows[:2].T
    np.testing.assert_allclose(np.abs([[point.x, point.y] for point in plane.path]), np.abs(shadow), atol=1e-4)
    left = np.linalg.norm(offsets - shadow @ rows[:2], axis=1)
    np.testing.assert_allclose([point.off for point in plane.path], left, atol=1e-4)
    assert plane.farthest is not None
    assert plane.farthest.apart == max(abs(point.loss - point.slice_loss) for point in plane.path)


def test_a_path_begins_at_the_start_and_ends_with_the_run(classes: Saved, plane: PlaneSlice) -> None:
    assert plane.path[0].update == 0
    assert plane.path[0].loss == pytest.approx(classes.run.objective_at_start, rel=1e-5)
    assert plane.path[-1].update == classes.run.updates
    assert 6 <= len(plane.path) <= 12
    assert classes.run.resolved["keep_path"] == 12
    apart = np.diff([point.update for point in plane.path[:-1]])
    assert set(apart) == {apart[0]}


def test_keeping_a_path_changes_no_weight(numbers: Saved) -> None:
    without = fit(str(numbers.table), runs=None, keep_path=0, **NUMBERS)
    assert without.trajectory is None
    for name, array in numbers.run.model.arrays.items():  # type: ignore[union-attr]
        np.testing.assert_array_equal(without.model.arrays[name], array)  # type: ignore[union-attr]


def test_a_run_cut_short_keeps_the_same_path(classes: Saved, tmp_path: Path) -> None:
    class Cut(Exception):
        pass

    race = next(choice for choice in classes.run.choices if choice.name == "learning_rate").candidates[0]["updates"]
    for where in (race // 2, 2 * race):  # while rates race, and after

        def watch(step: StepRecord, where: int = where) -> None:
            if step.update >= where:
                raise Cut

        folder = tmp_path / str(where)
        with pytest.raises(Cut):
            fit(str(classes.table), runs=folder, watch=watch, checkpoint_seconds=1e-9, **CLASSES)
        (left,) = list_unfinished(folder)
        assert left.updates is not None
        assert 0 < left.updates < where + 1
        again = load(resume(left.run, folder).run, folder)
        assert again.trajectory is not None
        assert classes.run.trajectory is not None
        assert again.trajectory.updates == classes.run.trajectory.updates
        for name, array in classes.run.trajectory.arrays.items():
            np.testing.assert_array_equal(again.trajectory.arrays[name], array)


def test_a_number_has_its_loss_in_its_own_units(numbers: Saved) -> None:
    line = loss_slice(numbers.run.run, runs=numbers.runs, plane=False, directions="random", points=5, sample=None)
    assert isinstance(line, LineSlice)
    model: Any = numbers.run.model
    assert model.scale > 10  # so that a loss in other units would show

    def truth(arrays: Mapping[str, Any]) -> float:
        wide = {name: array.astype(np.float64) for name, array in arrays.items()}
        predicted = model.center + model.scale * numbers.forward(wide)[:, 0]
        squared = numbers.mean((numbers.target - predicted) ** 2)
        matrices = [wide["hidden.0.layer.weight"], wide["last.weight"]]
        return squared + model.scale**2 * 0.005 * sum((matrix**2).sum() for matrix in matrices)

    assert line.loss == pytest.approx(truth(model.arrays), rel=2e-5)
    assert line.losses[2] == pytest.approx(line.loss, rel=1e-5)
    np.testing.assert_allclose([point.loss for point in line.path], list(map(truth, moments(numbers.run))), rtol=2e-5)
    assert (line.unit, line.l2, line.own_statistics) == ("squared units of amount", 0.01, False)
    assert line.xs == (-1.0, -0.5, 0.0, 0.5, 1.0)
    assert min(line.losses[0], line.losses[-1]) > line.loss


def test_a_sample_is_stated_and_repeats(numbers: Saved) -> None:
    first, second = (loss_slice(numbers.run, points=4, sample=60, seed=3, extent=0.5) for _ in range(2))
    assert first == second
    assert (first.rows, first.all_rows) == (60, 300)
    assert first.xs[0] == -0.5
    assert products_of_a_row(numbers.run.model) == numbers.run.data.features * 7 + 7  # type: ignore[arg-type]


def test_the_curvature_along_a_line_is_that_of_the_losses_on_it(numbers: Saved) -> None:
    line = loss_slice(numbers.run, directions="hessian", plane=False, points=3, extent=0.05, sample=None)
    assert isinstance(line, LineSlice)
    step = 0.05 * line.length
    bend = (line.losses[0] - 2 * line.losses[1] + line.losses[2]) / step**2
    assert line.curvature == pytest.approx(bend, rel=0.1)


def test_the_shape_is_that_of_a_dense_hessian(numbers: Saved) -> None:
    model: Any = numbers.run.model
    found = loss_shape(numbers.run, sample=None)
    learned = {name: jnp.asarray(array, jnp.float64) for name, array in model.arrays.items()}
    flat, back = ravel_pytree(learned)
    target = (numbers.target - model.center) / model.scale
    each = numbers.each / numbers.each.sum()

    def loss(at: Any) -> Any:
        arrays = back(at)
        penalty = 0.005 * sum(jnp.sum(array**2) for array in arrays.values() if array.ndim > 1)
        return jnp.sum(each * (target - numbers.forward(arrays, jnp)[:, 0]) ** 2) + penalty

    values = np.linalg.eigvalsh(np.asarray(jax.jit(jax.hessian(loss))(flat)))
    assert found.shape.largest == pytest.approx(values[-1], rel=1e-3)
    assert found.shape.smallest == pytest.approx(values[0], abs=1e-3 * values[-1])
    assert found.shape.stability_limit == pytest.approx(2 / values[-1], rel=1e-3)
    assert found.stop_point.loss == pytest.approx(float(loss(flat)), rel=1e-4)
    assert found.stop_point.gradient_norm == pytest.approx(float(jnp.linalg.norm(jax.grad(loss)(flat))), rel=1e-3)
    assert found.stop_point.learning_rate == pytest.approx(0.01)  # for its steps are plain, and at one rate
    assert found.unit == pytest.approx(model.scale**2)
    assert [layer.name for layer in found.noise.layers] == ["hidden.0.layer", "last"]
    assert 0 <= found.noise.layers[0].dead <= 1


def test_images_are_sliced_as_tables_are() -> None:
    pixels, labels = load_digits(return_X_y=True)
    images, marks = pixels[:150].reshape(-1, 8, 8, 1), labels[:150]
    settings = {"model": "cnn:2/4", "loss": "poisson", "learning_rate": 0.01, "batch_size": 32, "keep_path": 0}
    run = fit(images, marks, runs=None, epochs=1, **settings)
    with pytest.raises(RunError, match=r"^this run was trained on arrays in Python, which were not kept; give them"):
        loss_slice(run)
    found = loss_slice(run, images, target=marks, points=3)
    assert found.loss == pytest.approx(run.objective, rel=1e-4)  # half the deviance, with what no weight can change
    assert (found.directions, found.path, found.farthest) == ("random", (), None)
    assert math.isnan(found.explained)
    assert products_of_a_row(run.model) == 64 * 18 + 32 * 4 + 4  # type: ignore[arg-type]
    with pytest.raises(RunError, match=r"kept no path of its weights; fit again with keep-path 40, or take random"):
        loss_slice(run, images, target=marks, directions="path")
    with pytest.raises(RunError, match="trained on images, but this source is a table; give the same images"):
        loss_slice(run, {"a": np.arange(30.0)})
    assert "none was kept" in str(slice_report(found)[0])


def test_data_that_has_changed_is_refused(numbers: Saved, tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    write_table(other, seed=1)
    name = numbers.run.run
    with pytest.raises(RunError, match=rf'^the data of run "{name}" is not what it was trained on: the loss at its'):
        loss_slice(numbers.run, other)
    parquet.write_table(parquet.read_table(numbers.table).slice(0, 200), other)
    with pytest.raises(RunError, match=r"there are \d+ training rows now, and were 300; give the same data again"):
        loss_slice(numbers.run, other)
    columns = {field: parquet.read_table(numbers.table)[field].to_numpy() for field in ("a", "b", "place", "amount")}
    columns["each"], columns["kind"] = (
        parquet.read_table(numbers.table)[field].to_numpy() for field in ("each", "kind")
    )
    columns["count"] = parquet.read_table(numbers.table)["count"].to_numpy()
    assert loss_slice(numbers.run, columns, points=2).loss > 0  # the same rows, given as arrays


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"directions": "hesian"}, 'a slice has no directions called "hesian"; nearest: "hessian"'),
        ({"points": 1}, "points must be a whole number of at least 2 and at most 2000, not 1"),
        ({"points": (5, 0)}, "points must be a whole number of at least 2 and at most 2000, not 0"),
        ({"extent": 0.0}, "extent must be a number above 0, not 0.0"),
        ({"sample": 0}, 'sample must be "auto" or a whole number of at least 1, not 0'),
        ({"seed": -1}, "seed must be a whole number of at least 0, not -1"),
    ],
)
def test_what_cannot_be_asked_is_said_in_one_sentence(numbers: Saved, asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(OptionError) as raised:
        loss_slice(numbers.run, **asked)
    assert str(raised.value) == sentence


def test_only_networks_are_sliced(numbers: Saved, tmp_path: Path) -> None:
    linear = fit(str(numbers.table), "amount", runs=tmp_path)
    with pytest.raises(RunError, match=rf'^run "{linear.run}" is of a linear model, whose loss is one convex valley'):
        loss_slice(linear)
    with pytest.raises(RunError, match=r"^this run holds no model to look around; fit again$"):
        loss_shape(replace(linear, run="", model=None))


@pytest.mark.parametrize(
    ("loss", "unit"),
    [("squared", "squared units of y"), ("huber", "squared units of y"), ("absolute", "units of y"), ("log", "nats"),
     ("hinge", "")],
)  # fmt: skip
def test_a_loss_has_a_unit(loss: str, unit: str) -> None:
    assert unit_of(loss, "y") == unit


def test_the_command_draws_a_plane_with_the_path_on_it(classes: Saved, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["slice", classes.run.run, "--runs", str(classes.runs), "--points", "15", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    first, last = lines.index("Loss over the plane") + 1, lines.index("The run's path")
    drawn = "\n".join(lines[first : first + DOWN])
    assert (drawn.count("X"), drawn.count("S")) == (1, 1)
    assert command(["show", classes.run.run, "--runs", str(classes.runs)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"{len(moments(classes.run))} moments of the weights; downslope slice {classes.run.run} draws" in shown
    assert drawn.count("o") > 2
    assert "path explained" in out
    assert "off the truth by up to" in out
    assert "those of the weights on the slice" in out
    assert 'loss up to  " " ' in lines[first + DOWN]
    assert last > first + DOWN
    assert max(map(len, lines)) <= 100


def test_the_command_tells_python_the_same(
    classes: Saved, plane: PlaneSlice, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--runs", str(classes.runs), "--directions", "path", "--sample", "all", "--json"]
    assert command(["slice", classes.run.run, "--points", "9", *options]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    told = json.loads(out)
    assert told["explained"] == plane.explained
    assert [each["loss"] for each in told["path"]] == [point.loss for point in plane.path]
    assert told["largest_difference"] == pytest.approx(plane.farthest.apart)  # type: ignore[union-attr]
    assert (len(told["ys"]), len(told["losses"])) == (9, 9)


def test_the_command_draws_a_line(numbers: Saved, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["slice", "latest", "--runs", str(numbers.runs), "--line", "--points", "21"]) == 0
    out = capsys.readouterr().out
    assert "Loss along the line" in out
    assert "The weights are at x = 0" in out
    assert "squared units of amount, its penalty of l2 0.01 included" in " ".join(out.split())


def test_the_command_measures_a_shape(numbers: Saved, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["shape", numbers.run.run, "--runs", str(numbers.runs), "--sample", "all"]
    assert command(arguments) == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line in ("The point", "Curvature", "Noise of the gradient")] == [
        "The point", "Curvature", "Noise of the gradient",
    ]  # fmt: skip
    assert "hidden.0.layer" in out
    assert command([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["shape"]["largest"] == loss_shape(numbers.run, sample=None).shape.largest


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["slice", "nothing"], 'there is no run called "nothing"'),
        (["slice", "RUN", "--directions", "pth"], 'a slice has no directions called "pth"; nearest: "path"'),
        (["slice", "RUN", "--sample", "many"], "--sample many is not understood; give a number of rows, or all"),
        (["slice", "RUN", "--points", "0"], "points must be a whole number of at least 2"),
        (["slice", "RUN", "--source", "no.parquet"], "no.parquet"),
        (["shape", "RUN", "--sample", "0"], "sample must be"),
    ],
)
def test_bad_usage_is_one_sentence(
    numbers: Saved, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    named = [numbers.run.run if each == "RUN" else each for each in arguments]
    assert command([*named, "--runs", str(numbers.runs)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert sentence in err


def test_a_slice_without_height_or_without_a_number_is_told_in_words() -> None:
    plane = PlaneSlice(
        "random", (-1.0, 1.0), (-1.0, 1.0), ((2.0, 2.0), (2.0, 2.0)), (1.0, 1.0), 0.0, 2.0, 5, 5, math.nan, (),
        (PathPoint(0, 0.5, 0.5, math.nan, 2.0, 1.0),),
    )  # fmt: skip
    assert "the same wherever it is a number" in str(slice_report(plane)[1])
    none = replace(plane, losses=((math.nan,) * 2,) * 2)
    assert "nowhere a number" in str(slice_report(none)[1])
    assert plane.farthest is not None
    assert plane.farthest.apart == math.inf
    line = LineSlice("random", (-1.0, 1.0), (2.0, 2.0), 1.0, 2.0, 5, 5)
    assert "the same wherever it is a number" in str(slice_report(line)[1])
    some = replace(plane, losses=((math.inf, 2.0), (3.0, 2.0)))
    rows = [part.text for part in slice_report(some)[1].parts]  # type: ignore[union-attr]
    assert rows[DOWN - 1].startswith("?")
    assert rows[DOWN + 2] == "X the weights, S the start, ? no number"
    far = replace(plane, losses=((1.0, 2.0), (3.0, 2.0)), path=(PathPoint(0, 9.0, 0.0, 1.0, 1.0, 0.0),))
    rows = [part.text for part in slice_report(far)[1].parts]  # type: ignore[union-attr]
    assert rows[DOWN + 2] == "X the weights, 1 moment of the path outside"
