"""Images end to end: from files to a run, and from the saved run to predictions."""

from __future__ import annotations

import gzip
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score, log_loss

from downslope.cli.running import run as command
from downslope.data.images import prepare_images, read_images
from downslope.errors import ColumnError, InputError, OptionError, RunError, SourceError, TargetError
from downslope.fitting import fit, predict, resume
from downslope.fitting.images import check_training_memory
from downslope.machine import available_bytes
from downslope.models.network import parse_model
from downslope.models.network.model import NetworkModel
from downslope.records import DataSummary, Run, Spec, StepRecord, Verdict
from downslope.store import load

QUICK: dict[str, Any] = {"runs": None, "epochs": 1, "learning_rate": 0.01}


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def digits() -> tuple[np.ndarray, np.ndarray]:
    pixels, labels = load_digits(return_X_y=True)
    return (pixels.reshape(-1, 8, 8) * 15).astype(np.uint8), labels.astype(np.uint8)


@dataclass(frozen=True)
class Trained:
    images: Path
    labels: Path
    runs: Path
    told: dict[str, Any]
    run: Run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Return the run of ``cnn:8/16`` that the command trained and saved from two packed files."""
    folder = tmp_path_factory.mktemp("digits")
    images, labels, runs = folder / "images.idx.gz", folder / "labels.idx.gz", folder / "runs"
    for path, array in zip((images, labels), digits(), strict=True):
        path.write_bytes(gzip.compress(idx(array)))
    options = ["--model", "cnn:8/16", "--epochs", "2", "--runs", str(runs), "--quiet"]
    assert command(["fit", str(images), "--target", str(labels), *options]) == 0
    run = load("latest", runs)
    return Trained(images, labels, runs, json.loads((Path(str(run.path)) / "model" / "model.json").read_text()), run)


def test_the_record_says_what_the_images_are(trained: Trained) -> None:
    run = trained.run
    assert run.verdict is Verdict.BUDGET
    assert run.passes == 2
    assert (run.resolved["model"], run.resolved["loss"]) == ("cnn:8/16", "softmax")
    assert run.data.classes == tuple("0123456789")
    assert (run.data.rows, run.data.train_rows, run.data.holdout_rows) == (1797, 1438, 359)
    assert run.data.features == 64
    assert run.data.columns[0].treatment == "8 x 8 grey pixels, each channel standardised"
    assert run.holdout["accuracy"] > run.baseline["accuracy"] + 0.3
    assert run.objective < run.objective_at_start
    assert {"read", "choose", "descend", "measure", "compile", "total"} == set(run.seconds)
    assert trained.told["kind"] == "network"
    assert trained.told["shape"] == [8, 8, 1]


def test_the_scores_are_those_of_the_predictions(trained: Trained) -> None:
    pixels, labels = digits()
    prepared = prepare_images(read_images(pixels, labels), trained.run.spec)
    table = predict(trained.run, pixels[prepared.holdout_rows])
    truth = labels[prepared.holdout_rows]
    chosen = np.array(table.column("prediction").to_pylist(), dtype=int)
    chances = np.column_stack([table.column(f"probability {name}").to_numpy() for name in range(10)])
    held = trained.run.holdout
    assert held["accuracy"] == pytest.approx((chosen == truth).mean())
    assert held["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, chosen))
    assert held["loss"] == pytest.approx(log_loss(truth, chances), rel=1e-5)
    np.testing.assert_array_equal(chances.argmax(axis=1), chosen)


def convolved(images: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return the rectified and pooled channels of a convolution, pixel by pixel."""
    count, height, width, _ = images.shape
    kernels = weight.reshape(3, 3, images.shape[3], -1)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    out = np.empty((count, height, width, kernels.shape[3]))
    for row in range(height):
        for column in range(width):
            out[:, row, column] = np.tensordot(padded[:, row : row + 3, column : column + 3], kernels, 3)
    pooled = out.reshape(count, height // 2, 2, width // 2, 2, -1).max(axis=(2, 4))
    return np.maximum(pooled + bias, 0)


def test_the_saved_network_is_the_textbook_one(trained: Trained) -> None:
    pixels, labels = digits()
    prepared = prepare_images(read_images(pixels, labels), trained.run.spec)
    kept = np.delete(pixels, prepared.holdout_rows, axis=0).astype(float)
    arrays = {name: each.astype(float) for name, each in model_of(trained.run).arrays.items()}
    scaled = ((pixels[:20] - kept.mean()) / kept.std())[..., None]
    hidden = convolved(scaled, arrays["hidden.0.layer.weight"], arrays["hidden.0.layer.bias"]).reshape(20, -1)
    hidden = np.maximum(hidden @ arrays["hidden.1.layer.weight"] + arrays["hidden.1.layer.bias"], 0)
    scores = hidden @ arrays["last.weight"] + arrays["last.bias"]
    np.testing.assert_allclose(model_of(trained.run).scores(pixels[:20]), scores, rtol=1e-4, atol=1e-4)


def model_of(run: Run) -> Any:
    assert run.model is not None
    return run.model


def test_every_kind_of_source_is_predicted_alike(trained: Trained, tmp_path: Path) -> None:
    pixels, _ = digits()
    expected = predict(trained.run, pixels[:30])
    np.save(tmp_path / "x.npy", pixels[:30])
    np.savez(tmp_path / "x.npz", images=pixels[:30, :, :, None])
    (tmp_path / "x.idx").write_bytes(idx(pixels[:30]))
    for source in ("x.npy", "x.npz", "x.idx"):
        assert predict(trained.run.path, tmp_path / source).equals(expected)
    (tmp_path / "pictures").mkdir()
    for index in range(30):
        Image.fromarray(pixels[index]).save(tmp_path / "pictures" / f"{index:02}.png")
    named = predict(trained.run, str(tmp_path / "pictures"))
    assert named.column("image").to_pylist() == [f"{index:02}.png" for index in range(30)]
    assert named.drop_columns(["image"]).equals(expected)
    one = predict(trained.run, tmp_path / "pictures" / "07.png")
    assert one.column("prediction").to_pylist() == expected.column("prediction").to_pylist()[7:8]
    model = model_of(trained.run)
    np.testing.assert_array_equal(model.scores(pixels[7]), model.scores(pixels[:30])[7:8])


def test_the_command_predicts_what_the_run_does(trained: Trained, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    runs = ["--runs", str(trained.runs)]
    assert command(["predict", "latest", str(trained.images), "--output", str(out), *runs]) == 0
    written = pyarrow.csv.read_csv(out)
    assert written.num_rows == 1797
    pixels, _ = digits()
    expected = model_of(trained.run).predict(pixels)
    assert [str(each) for each in written.column("prediction").to_pylist()] == expected.tolist()


def test_what_does_not_fit_the_model_is_refused(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(ColumnError, match="8 x 8 pixels, but those of the array have 9 x 8"):
        predict(trained.run, np.zeros((3, 8, 9)))
    with pytest.raises(SourceError, match="colour images, but the model takes grey"):
        predict(trained.run, np.zeros((2, 8, 8, 3)))
    with pytest.raises(SourceError, match="holds no images"):
        predict(trained.run, trained.labels)
    with pytest.raises(OptionError, match="takes images, and a query gives none"):
        predict(trained.run, None, sql="select 1")
    with pytest.raises(RunError, match="takes tables, not images"):
        NetworkModel(parse_model("linear"), {}, (3,), "squared").read(np.zeros((1, 2, 2)))


@pytest.mark.parametrize("model", ["linear", "mlp:5"])
def test_linear_models_and_perceptrons_take_images_as_rows_of_pixels(model: str) -> None:
    pixels, labels = digits()
    told: list[object] = []
    run = fit(pixels[:600] / 7, labels[:600], model=model, tell=lambda _, what: told.append(what), **QUICK)
    assert isinstance(told[0], DataSummary)
    network = model_of(run)
    arrays = {name: each.astype(float) for name, each in network.arrays.items()}
    scaled = (pixels[:50] / 7 - network.pixels.center[0]) / network.pixels.scale[0]
    hidden = scaled.reshape(50, -1)
    if model != "linear":
        hidden = np.maximum(hidden @ arrays["hidden.0.layer.weight"] + arrays["hidden.0.layer.bias"], 0)
    scores = hidden @ arrays["last.weight"] + arrays["last.bias"]
    np.testing.assert_allclose(network.scores(pixels[:50] / 7), scores, rtol=1e-4, atol=1e-4)
    assert run.holdout["accuracy"] > run.baseline["accuracy"]


def test_a_number_is_predicted_in_its_own_units() -> None:
    pixels, _ = digits()
    weight = 1000.0 + pixels.mean(axis=(1, 2))
    run = fit(pixels, weight, model="linear", **{**QUICK, "epochs": 5})
    assert run.resolved["loss"] == "squared"
    assert run.data.classes == ()
    assert run.holdout["r2"] > 0.9
    predictions = predict(run, pixels).column("prediction").to_numpy()
    assert abs(predictions.mean() - weight.mean()) < 1


def test_a_folder_of_colour_pictures_needs_no_target(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn = np.random.default_rng(0)
    colours = {"green": (60, 200, 60), "red": (200, 60, 60)}
    for name, colour in colours.items():
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for index in range(30):
            side = 6 + index % 3
            noise = drawn.integers(-50, 50, (side, side, 3))
            Image.fromarray((np.array(colour) + noise).astype(np.uint8)).save(
                tmp_path / "pictures" / name / f"{index}.png"
            )
    runs = str(tmp_path / "runs")
    source = str(tmp_path / "pictures")
    options = [
        "--model",
        "mlp:4",
        "--resize",
        "6",
        "--epochs",
        "5",
        "--learning-rate",
        "0.01",
        "--runs",
        runs,
        "--json",
    ]
    assert command(["fit", source, *options, "--runs", runs]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["classes"] == ["green", "red"]
    assert told["loss_name"] == "log"
    assert told["target"] == "class"
    assert told["holdout"]["accuracy"] > 0.9
    table = predict("latest", source, runs=runs)
    right = [name.split("/")[0] == said for name, said in zip(*(table.column(each).to_pylist() for each in
             ("image", "prediction")), strict=True)]  # fmt: skip
    assert np.mean(right) > 0.9
    grey = tmp_path / "grey"
    grey.mkdir()
    Image.fromarray(np.full((40, 50), 100, np.uint8)).save(grey / "1.png")
    assert predict("latest", grey, runs=runs).num_rows == 1


class Cut(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("stored", [True, False])
def test_a_run_cut_short_is_taken_up_to_the_same_weights(trained: Trained, tmp_path: Path, stored: bool) -> None:
    source, target = (str(trained.images), str(trained.labels)) if stored else digits()
    settings: dict[str, Any] = {"model": "linear", "learning_rate": 0.01, "epochs": 2, "checkpoint_seconds": 1e-9}
    whole = fit(source, target, runs=None, **settings)

    def watch(step: StepRecord) -> None:
        if step.update >= 23:
            raise Cut

    with pytest.raises(Cut):
        fit(source, target, runs=tmp_path, watch=watch, **settings)
    again = resume("latest", tmp_path, source=None if stored else (source, target))
    assert again.updates == whole.updates
    for name, array in model_of(whole).arrays.items():
        np.testing.assert_array_equal(model_of(again).arrays[name], array)
    assert [each.update for each in again.steps] == sorted({each.update for each in again.steps})


def test_a_class_may_count_for_more() -> None:
    pixels, labels = digits()
    rare = np.concatenate([np.flatnonzero(labels == 0)[:20], np.flatnonzero(labels == 8)])
    run = fit(pixels[rare], labels[rare], model="linear", class_weight="balanced", **QUICK)
    assert run.resolved["loss"] == "log"
    assert run.spec.class_weight == "balanced"
    plain = fit(pixels[rare], labels[rare], model="linear", **QUICK)
    chances = [predict(each, pixels[rare]).column("probability 0").to_numpy().mean() for each in (run, plain)]
    assert chances[0] > chances[1]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": "cnn:4,4,4,4"}, '8 x 8 pixels are too small for the model "cnn:4,4,4,4", whose 4 poolings'),
        ({"model": "cnn:4,4,4,4"}, "need 16 x 16; write cnn:4,4,4, or --resize 16"),
        ({"model": "cnn:4,,4"}, "does not parse at character"), ({"where": "x > 1"}, "where is about the columns"),
        ({"weights": "w"}, "weights is about"), ({"holdout_by": "day"}, "holdout-by is about"),
        ({"method": "full-batch"}, "by mini-batches"), ({"resize": 1}, "1 x 1 pixels are too small"),
        ({"loss": "poisson", "class_weight": "balanced"}, "class-weight needs classes"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_images(settings: dict[str, Any], words: str) -> None:
    pixels, labels = digits()
    with pytest.raises(OptionError) as caught:
        fit(pixels, labels, **{**QUICK, **settings})
    assert words in str(caught.value)


def test_layers_that_would_not_fit_in_memory_are_said_before_the_first_step() -> None:
    free = available_bytes()
    assert free is not None
    shape = (10**6, 224, 224, 3)
    values = 224**2 * (3 + 3 * 9 + 16) + 112**2 * (16 * 9 + 32) + 128
    most = free // (2 * 4 * values)
    cnn = parse_model("cnn")
    check_training_memory(cnn, shape, Spec(batch_size=most // 2, learning_rate=0.1))
    check_training_memory(cnn, shape, Spec(batch_size=8 * most, learning_rate=0.1, pieces=16))
    check_training_memory(cnn, (most // 2, *shape[1:]), Spec(batch_size=2 * most, learning_rate=0.1))
    check_training_memory(cnn, shape, Spec(batch_size=most // 2))  # the rates of convolutions are raced one by one
    for spec in (Spec(batch_size=2 * most, learning_rate=0.1), Spec(batch_size=2 * most)):
        with pytest.raises(
            OptionError, match=r'"cnn:16,32/128" on images of 224 x 224 pixels would take about .* free'
        ):
            check_training_memory(cnn, shape, spec)


def test_an_array_of_labels_is_for_images_only() -> None:
    with pytest.raises(OptionError, match="name the column to predict"):
        fit({"x": [1.0, 2.0]}, [1, 2], **QUICK)


def test_a_convolution_needs_images() -> None:
    with pytest.raises(InputError, match="takes images, but this source is a table"):
        fit({"x": np.arange(30.0), "y": np.arange(30.0)}, "y", model="cnn", **QUICK)


def test_bad_files_are_one_sentence_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pixels, labels = digits()
    Path("x.idx").write_bytes(idx(pixels))
    Path("y.idx").write_bytes(idx(labels))
    Path("short.idx").write_bytes(idx(labels[:100]))
    Path("cut.idx").write_bytes(idx(pixels)[:-100])
    Path("cut.idx.gz").write_bytes(gzip.compress(idx(pixels))[:-5000])
    Path("empty", "cat").mkdir(parents=True)
    for side in (5, 6):
        Path("mixed", str(side)).mkdir(parents=True)
        Image.fromarray(pixels[0][:side, :side]).save(f"mixed/{side}/1.png")
    before = sorted(Path().rglob("*"))
    for arguments, sentence in (
        (["x.idx", "--target", "short.idx"], "x.idx holds 1,797 images, but short.idx holds 100 labels"),
        (["cut.idx", "--target", "y.idx"], "cut.idx is cut off: 100 of its 115,008 bytes"),
        (["cut.idx.gz", "--target", "y.idx"], "cut.idx.gz is cut off"),
        (["x.idx", "--target", "nope.idx"], "there is no file of labels nope.idx"),
        (["x.idx"], "fit needs the column to predict"),
        (["empty"], "the folder empty holds no pictures"),
        (["mixed"], "5 x 5 pixels and mixed/6/1.png has 6 x 6"),
        (["x.idx", "--target", "y.idx", "--model", "cnn:2,2,2,2"], "too small"),
    ):
        assert command(["fit", *arguments]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert sentence in err
    assert sorted(Path().rglob("*")) == before


def test_labels_of_a_folder_are_not_asked_for_twice(tmp_path: Path) -> None:
    pixels, _ = digits()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels[0]).save(tmp_path / name / "1.png")
    with pytest.raises(TargetError, match="names of its subfolders"):
        fit(tmp_path, np.array([0, 1]), **QUICK)
    assert prepare_images(read_images(tmp_path), Spec(holdout=0)).classes == ("a", "b")
    assert pa.table({"image": ["a/1.png", "b/1.png"]}).equals(read_images(tmp_path).beside)
