"""The command end to end, on real files: what it prints, where, and the code it ends with."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from downslope.cli.running import run

DEMO = ["--target", "miles_per_gallon", "--drop", "name"]


@pytest.fixture
def cars(examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the path of the cars table; the command works in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return str(examples / "cars.csv")


def test_fit_prints_a_report_and_keeps_the_run(cars: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fit", cars, *DEMO]) == 0
    out, err = capsys.readouterr()
    titles = [
        "Data", "Shape of the slope", "Chosen, and why", "How the loss went down", "How far the minimum still is",
        "Scores", "Strongest coefficients", "Findings", "Record",
    ]  # fmt: skip
    assert [line for line in out.splitlines() if line in titles] == titles
    assert "8 more left out" in out
    assert "weight_in_lbs" in out
    assert "\x1b" not in out
    assert max(len(line) for line in out.splitlines()) <= 80
    assert err == ""
    assert next(each.name for each in Path("runs").iterdir() if not each.name.startswith(".")).startswith("cars-")


def test_fit_json_is_one_object_and_nothing_else(cars: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fit", cars, *DEMO, "--json", "--no-save", "--tolerance", "1e-6"]) == 0
    out, _ = capsys.readouterr()
    found = json.loads(out)
    assert out.count("\n") == 1
    assert found["verdict"] == "converged"
    assert found["gap_kind"] == "certified"
    assert found["gap"] <= 1e-6
    assert found["rows"] == 398
    assert found["loss_name"] == "squared"
    assert found["path"] is None
    assert not Path("runs").exists()


def test_a_run_that_diverged_fails_and_is_kept(cars: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--method", "full-batch", "--learning-rate", "1", "--no-standardize", "--json"]
    assert run(["fit", cars, *DEMO, *options]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "diverged"
    assert found["findings"][0]["code"] == "DS101"
    assert run(["show", "latest", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == found


def test_show_runs_and_rerun(cars: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runs"]) == 0
    assert "There is no run under" in capsys.readouterr().out
    options = ["--method", "mini-batch", "--batch-size", "16", "--epochs", "3"]
    assert run(["fit", cars, *DEMO, "--json", *options]) in (0, 1)
    name = json.loads(capsys.readouterr().out)["run"]
    assert run(["show", name]) == 0
    assert re.search(r"batch size +16: as asked", capsys.readouterr().out)
    assert run(["rerun", name, "--no-save"]) == 0
    assert "The weights are the same, bit for bit." in capsys.readouterr().out
    assert run(["rerun", name, "--json", "--no-save"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["same_weights"] is True
    assert again["rerun_of"] == name
    assert run(["runs"]) == 0
    assert name in capsys.readouterr().out
    assert run(["runs", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [each["run"] for each in listed["runs"]] == [name]
    assert listed["broken"] == []


def test_predict_next_to_the_rows(cars: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["fit", cars, "--target", "origin", "--drop", "name", "--quiet"]) == 0
    capfdbinary.readouterr()
    assert run(["predict", "latest", cars]) == 0
    lines = capfdbinary.readouterr().out.decode().splitlines()
    assert len(lines) == 407
    assert lines[0].startswith('"name","miles_per_gallon"')
    assert '"prediction"' in lines[0]
    assert '"probability USA"' in lines[0]
    for ending in ("csv", "tsv", "parquet", "arrow", "json", "ndjson"):
        assert run(["predict", "latest", cars, "--output", f"out.{ending}"]) == 0
    table = pyarrow.parquet.read_table("out.parquet")
    rows = table.to_pylist()
    assert json.loads(Path("out.json").read_text(encoding="utf-8")) == rows
    assert [json.loads(line) for line in Path("out.ndjson").read_text(encoding="utf-8").splitlines()] == rows
    assert pa.ipc.open_file("out.arrow").read_all().equals(table)
    assert len(Path("out.csv").read_text(encoding="utf-8").splitlines()) == 407
    assert {path.name for path in Path().iterdir()} == {
        "runs", "out.csv", "out.tsv", "out.parquet", "out.arrow", "out.json", "out.ndjson",
    }  # fmt: skip
    right = sum(row["prediction"] == row["origin"] for row in rows)
    assert right / len(rows) > 0.65  # the most common class is 62.5 % of the rows


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["fitt", "x"], 'there is no command "fitt"; nearest: "fit"'),
        (["fit"], "fit needs something to learn from: a file, glob or folder, or --sql QUERY"),
        (["fit", "CARS"], "fit needs the column to predict: --target COLUMN"),
        (["race", "CARS"], "race needs the column to predict: --target COLUMN"),
        (["fit", "nope.csv", "--target", "x"], "no such file: nope.csv"),
        (["fit", "CARS", "--target", "mpg"], 'there is no target "mpg" in'),
        (["fit", "CARS", "--targt", "x"], 'downslope fit has no option --targt; nearest: "--target"'),
        (["fit", "CARS", "--target"], "option '--target' requires an argument"),
        (["fit", "CARS", "more", "--target", "x"], "unexpected extra argument"),
        (["fit", "CARS", *DEMO, "--learning-rate", "-1"], 'learning-rate must be "auto" or a number above 0, not -1'),
        (["fit", "CARS", *DEMO, "--learning-rate", "fast"], "must be \"auto\" or a number above 0, not 'fast'"),
        (["fit", "CARS", *DEMO, "--batch-size", "2.5"], "a whole number of at least 1, not 2.5"),
        (["fit", "CARS", *DEMO, "--method", "scald"], 'nearest: "scaled"'),
        (["fit", "CARS", *DEMO, "--batch-size", "8", "--method", "full-batch"], "batch-size applies to mini-batch"),
        (["fit", "CARS", *DEMO, "--tolerance", "nan"], "tolerance must be a number"),
        (["fit", "CARS", "--target", "y", "--drop", '"a'], "has a quote that does not end"),
        (["fit", "CARS", "--sql", "select 1", "--target", "x"], "--sql and a source exclude each other"),
        (["fit", "CARS", "--target", "name", "--loss", "squared"], "is text, but the squared loss needs numbers"),
        (["show", "nope"], 'there is no run called "nope" under "runs"'),
        (["show", "latest"], 'there is no run under "runs" yet'),
        (["rerun", "nope"], 'there is no run called "nope"'),
        (["predict", "nope", "CARS"], 'there is no run called "nope"'),
        (["predict", "nope"], "predict needs rows to predict for"),
        (["predict", "nope", "CARS", "--output", "x.xls"], 'predictions cannot be written as "x.xls"'),
        (["predict"], "missing argument 'RUN'"),
        (["--nope"], "downslope has no option --nope"),
    ],
)
def test_bad_usage_and_bad_input_are_one_sentence(
    cars: str, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert run([cars if each == "CARS" else each for each in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert sentence in err
    assert "Traceback" not in err
    assert list(Path().iterdir()) == []


def test_a_damaged_run_is_one_sentence(cars: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fit", cars, *DEMO, "--json"]) == 0
    folder = Path(json.loads(capsys.readouterr().out)["path"])
    weights = next(folder.glob("model/*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-8])
    assert run(["predict", folder.name, cars]) == 2
    assert "is damaged: model/" in capsys.readouterr().err
    (folder / "run.json").unlink()
    assert run(["runs"]) == 0
    assert "run.json is missing" in capsys.readouterr().out


def test_a_file_where_the_folder_of_runs_should_be(cars: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("taken").write_text("a file where the folder should be", encoding="utf-8")
    assert run(["fit", cars, *DEMO, "--runs", "taken"]) == 2
    err = capsys.readouterr().err
    assert err.startswith('error: --runs "taken" is a file')


def test_help_and_version(cars: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("downslope 0.")
    assert run(["fit", "--help"]) == 0
    said = capsys.readouterr().out
    for word in ("--learning-rate", "--no-standardize", "quantile or squared-hinge", "--json"):
        assert word in said or word.split()[0] in said
    assert run([]) in (0, 2)


def test_race_and_sweep(cars: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["race", cars, *DEMO, "--epochs", "2", "--json"]) == 0
    race = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in race["entries"]] == ["full-batch", "stochastic", "mini-batch", "scaled"]
    assert run(["race", cars, *DEMO, "--epochs", "2"]) == 0
    assert "Gap at equal examples" in capsys.readouterr().out
    assert run(["sweep", cars, *DEMO, "--epochs", "2"]) == 0
    out = capsys.readouterr().out
    assert "Learning rate by batch size" in out
    assert "★" in out
    assert run(["sweep", cars, *DEMO, "--epochs", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["best"]["zone"] == "sweet spot"


def command(*arguments: str, **changes: str) -> subprocess.Popen[str]:
    """Start the command as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "downslope", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **changes},
    )  # fmt: skip


def test_an_interrupt_keeps_the_partial_run(cars: str) -> None:
    endless = ["--method", "full-batch", "--learning-rate", "1e-6", "--epochs", "1e9", "--tolerance", "0", "--json"]
    process = command("fit", cars, *DEMO, *endless)
    assert process.stderr is not None
    while not process.stderr.readline().startswith("update"):  # the first line of progress
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 1, err
    found = json.loads(out)
    assert found["verdict"] == "stopped"
    assert "DS107" in [finding["code"] for finding in found["findings"]]
    assert Path(found["path"], "manifest.json").exists()
    assert "Traceback" not in err


def test_a_reader_that_leaves_is_no_error(cars: str) -> None:
    assert run(["fit", cars, *DEMO, "--quiet"]) == 0
    with command("predict", "latest", cars) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_output_that_cannot_be_written(cars: str) -> None:
    assert run(["fit", cars, *DEMO, "--quiet"]) == 0
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "downslope", "runs"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr.startswith("error: No space left on device")
    assert "Traceback" not in done.stderr


def test_characters_that_a_terminal_lacks(cars: str) -> None:
    process = command("fit", cars, *DEMO, "--no-save", "--quiet", PYTHONIOENCODING="ascii")
    out, err = process.communicate(timeout=60)
    assert "How the loss went down" in out
    assert "|*" in out
    assert err == ""


def test_help_needs_no_heavy_import() -> None:
    code = (
        "import sys; from downslope.cli.running import run; run(['--help']); "
        "heavy = {'numpy', 'duckdb', 'pyarrow', 'pandas', 'sklearn', 'numba', 'scipy'} & set(sys.modules); "
        "sys.exit(str(sorted(heavy)) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
