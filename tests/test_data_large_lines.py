"""svmlight and Vowpal Wabbit files larger than memory: plan, rows and answers are those of the files held whole."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import downslope as ds
from downslope.data.features import Prepared, prepare
from downslope.data.large import reading
from downslope.data.large.met_entries import EntriesSketch
from downslope.data.large.prepare import LargePrepared, prepare_large
from downslope.data.sources import read
from downslope.data.text.lines import line_batches, read_lines
from downslope.errors import InputError, OptionError
from downslope.fitting import large
from downslope.fitting.ready import with_label
from downslope.records import Spec
from downslope.training import train

MEMORY = 300 << 20
ROWS, WORDS = 1600, 900


def write(folder: Path, format: str, *, labels: tuple[str, str] = ("-1", "1"), bad: bool = False) -> None:
    """Write a plain and a packed file of as many rows each."""
    drawn = np.random.default_rng(0)
    share = 1.0 / np.arange(1, WORDS + 1)
    weights = drawn.normal(size=WORDS)
    for index in range(2):
        lines: list[str] = []
        for row in range(ROWS // 2):
            ids = np.unique(drawn.choice(WORDS, drawn.integers(3, 40), p=share / share.sum()))
            values = np.round(drawn.normal(size=ids.size) * 3.0, 3)
            label = labels[int((weights[ids] @ values) / ids.size + 0.3 * drawn.normal() > 0)]
            if format == "svm":
                entries = " ".join(f"{each + 1}:{value}" for each, value in zip(ids, values, strict=True))
                lines.append(f"{label} {entries}")
            else:
                entries = " ".join(f"wort{each}:{value}" for each, value in zip(ids, values, strict=True))
                lines.append(f"{label} {0.5 + row % 3} |a {entries} |b u{row % 50}")
            if bad and row == 77:
                lines.append("no line at all")
        packed = ".gz" if index else ""
        with (gzip.open if index else open)(folder / f"part{index}.{format}{packed}", "wt") as file:
            file.write("\n".join(lines))


def spec_of(folder: Path, format: str, **settings: Any) -> Spec:
    given = {"precision": "float32", "cache": str(folder / "cache"), "holdout": 0.2} | settings
    return with_label(Spec(source=str(folder / f"*.{format}*"), **given))


def streamed(spec: Spec, memory: int = MEMORY) -> LargePrepared:
    return prepare_large(spec.source, spec, memory, lambda event, what: None)


def held(spec: Spec) -> Prepared:
    return prepare(read(spec.source, skip_bad_lines=spec.skip_bad_lines), spec)


@pytest.fixture(params=["svm", "vw"])
def format(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("settings", [{}, {"standardize": False}, {"hash_bits": 10}])
def test_plan_and_rows_are_those_of_the_files_in_memory(
    tmp_path: Path, format: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_LINES", 20_000)  # a few lines at once
    write(tmp_path, format, bad=True)
    spec = spec_of(tmp_path, format, holdout=0.0, skip_bad_lines=True, **settings)
    big, small = streamed(spec), held(spec)
    assert big.summary == small.summary
    assert "2 malformed lines left out" in str(big.summary.columns[0].treatment)
    (mine,), (theirs,) = big.plan.sparse, small.plan.sparse
    assert mine.to_json() == theirs.to_json()
    for name, array in mine.arrays().items():
        np.testing.assert_array_equal(array, theirs.arrays()[name])
    found, wanted = (each.train.pick(np.arange(each.train.rows)) for each in (big, small))
    for name in ("starts", "places", "values"):
        np.testing.assert_array_equal(getattr(found.blocks[0].sparse, name), getattr(wanted.blocks[0].sparse, name))
    np.testing.assert_array_equal(found.target, wanted.target)
    if format == "vw":
        assert found.weights is not None
        assert wanted.weights is not None
        np.testing.assert_array_equal(found.weights, wanted.weights)


@pytest.mark.parametrize(
    ("settings", "off"),
    [({"method": "scaled", "tolerance": 1e-6}, 1e-6), ({"method": "mini-batch", "epochs": 4}, 5e-3)],
)
def test_training_comes_to_the_same_loss(tmp_path: Path, format: str, settings: dict[str, Any], off: float) -> None:
    write(tmp_path, format)
    spec = spec_of(tmp_path, format, holdout=0.0, l2=1e-3, **settings)
    big, small = streamed(spec), held(spec)
    stream = replace(big.train, window=60_000)
    mine, theirs = (train(examples, spec, small.loss, 1) for examples in (stream, small.train))
    assert mine.objective == pytest.approx(theirs.objective, abs=off * (theirs.objective_at_start - theirs.objective))


@pytest.mark.parametrize(
    ("labels", "kind"), [(("0", "1"), "category"), (("1", "2"), "category"), (("0.5", "1"), "number")]
)
def test_labels_are_classes_where_all_of_them_are_two_whole_numbers(
    tmp_path: Path, format: str, labels: tuple[str, str], kind: str
) -> None:
    write(tmp_path, format, labels=labels)
    assert streamed(spec_of(tmp_path, format)).summary.target_kind == kind


def test_a_third_label_late_in_the_files_makes_numbers_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_LINES", 4_000)
    write(tmp_path, "svm")
    with (tmp_path / "part0.svm").open("a") as file:
        file.write("\n7 1:1\n")
    found = streamed(spec_of(tmp_path, "svm"))
    assert found.summary.target_kind == "number"
    assert found.loss == "squared"
    sorted_classes = tmp_path / "sorted"
    sorted_classes.mkdir()
    for index in range(2):
        (sorted_classes / f"part{index}.svm").write_text("".join(f"{index} {row % 5 + 1}:1\n" for row in range(3000)))
    assert streamed(spec_of(sorted_classes, "svm")).summary.classes == ("0", "1")


def test_a_fit_keeps_its_word_and_says_so(tmp_path: Path, format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "needed_memory", lambda *given: 1 << 60)
    write(tmp_path, format)
    source = str(tmp_path / f"*.{format}*")
    run = ds.fit(source, memory="2GB", cache=str(tmp_path / "cache"), runs=None)
    assert "streamed" in run.environment
    assert run.holdout["auc"] > 0.7
    names = [each.feature for each in run.coefficients]
    assert all(name.startswith("feature " if format == "svm" else ("a^", "b^")) for name in names)
    alone = ds.fit(source, memory="64GB", runs=None, seed=run.spec.seed)
    assert alone.train["loss"] == pytest.approx(run.train["loss"], rel=0.05)


def test_lines_in_pieces_are_the_lines_of_the_whole(tmp_path: Path, format: str) -> None:
    write(tmp_path, format)
    name = {"svm": "svmlight", "vw": "vw"}[format]
    for path, packed in ((tmp_path / f"part0.{format}", None), (tmp_path / f"part1.{format}.gz", "gzip")):
        table, whole = read_lines([path], name, [packed], skip_bad=False)
        parts = list(line_batches(path, name, packed, 5_000, skip_bad=False))
        assert len(parts) > 10
        assert [str(int(each)) for labels, _ in parts for each in labels] == table["label"].to_pylist()
        places = np.concatenate([each.rows.places for _, each in parts])
        np.testing.assert_array_equal(places, whole.rows.places)
        if format == "vw":
            firsts = [each.names(np.arange(3)) for _, each in parts]
            assert all(letters.tobytes().startswith(b"a^wort") for letters, _ in firsts)


def test_sketches_of_parts_join_to_that_of_the_whole(tmp_path: Path, format: str) -> None:
    write(tmp_path, format)
    name = {"svm": "svmlight", "vw": "vw"}[format]
    bits, spec = (0 if format == "svm" else 12), Spec()
    whole, first, second = (EntriesSketch(name, bits, MEMORY) for _ in range(3))
    batches = list(line_batches(tmp_path / f"part0.{format}", name, None, 5_000, skip_bad=False))
    for index, (_, entries) in enumerate(batches):
        whole.update(entries, None)
        (first if index < 7 else second).update(entries, None)
    first.join(second)
    for array in ("counts", "firsts", "mixed", "largest"):
        size = min(getattr(whole, array).shape[0], getattr(first, array).shape[0])
        np.testing.assert_array_equal(getattr(whole, array)[:size], getattr(first, array)[:size])
    assert whole.fitted(spec).sparse[0].to_json() == first.fitted(spec).sparse[0].to_json()
    for array, values in whole.fitted(spec).sparse[0].arrays().items():
        np.testing.assert_array_equal(values, first.fitted(spec).sparse[0].arrays()[array])


def test_bad_input_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_LINES", 4_000)
    write(tmp_path, "svm", bad=True)
    spec = spec_of(tmp_path, "svm", holdout=0.0)
    with pytest.raises(InputError, match=r"part0.svm, line 79: it does not begin with a label.*'no line at all'"):
        streamed(spec)
    (tmp_path / "part0.svm").write_text("1 2000000000:1\n0 1:1\n")
    with pytest.raises(OptionError, match="indices up to 2000000000 take 34 GB to be counted"):
        streamed(replace(spec, skip_bad_lines=True))
    packed = (tmp_path / "part1.svm.gz").read_bytes()
    (tmp_path / "part1.svm.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "part0.svm").write_text("1 2:1\n0 1:1\n")
    with pytest.raises(InputError, match="cannot be read whole: it is truncated"):
        streamed(replace(spec, skip_bad_lines=True))
    for good in ("part0.svm", "part2.svm"):  # before the damaged file, and after it
        (tmp_path / "part0.svm").rename(tmp_path / good)
        found = streamed(replace(spec, skip_bad_lines=True, skip_bad_files=True))
        assert found.summary.rows == 2
        assert len(found.notes) == 1
        (tmp_path / good).rename(tmp_path / "part0.svm")
    with pytest.raises(OptionError, match="holds sparse rows, which linear models learn from"):
        streamed(replace(spec, model="mlp:4"))
    (tmp_path / "part0.svm").write_text(
        "".join(f"{row % 2} {row * 9 + 1}:1 {row * 9 + 5}:1\n" for row in range(90_000))
    )
    with pytest.raises(OptionError, match="a model of 180,000 features with the blocks of this table takes"):
        streamed(replace(spec, source=str(tmp_path / "part0.svm")), 64 << 20)
