"""Files of svmlight and Vowpal Wabbit text: values, names, models, and what is said of a malformed line."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_array, random_array
from sklearn.datasets import dump_svmlight_file, load_svmlight_file
from sklearn.utils import murmurhash3_32

import downslope as ds
from downslope.data.sources import read
from downslope.errors import ColumnError, InputError, OptionError, SourceError
from downslope.store import load


def matrix(path: Path, columns: int, shift: int = 0, **given: Any) -> Any:
    rows = read(path, **given).entries.rows
    return csr_array((rows.values, rows.places - shift, rows.starts), shape=(rows.rows, columns))


def written(path: Path, rows: int = 900, columns: int = 40, classes: bool = True) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    features = random_array((rows, columns), density=0.2, format="csr", rng=rng)
    features.data[:] = rng.normal(size=features.nnz) * 10.0 ** rng.integers(-12, 6, features.nnz)
    score = (features.tocsc() / np.maximum(abs(features).max(axis=0).toarray(), 1e-300)) @ rng.normal(size=columns)
    target = np.where(score > 0, 1, -1) if classes else score
    dump_svmlight_file(features, target, str(path), zero_based=False)
    return features, target


def test_svmlight_is_read_as_scikit_learn_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "a.svm"
    features, target = written(path, classes=False)
    theirs, labels = load_svmlight_file(str(path), n_features=40)
    ours = matrix(path, 40, 1)
    np.testing.assert_allclose(ours.toarray(), theirs.toarray(), rtol=1e-15)
    np.testing.assert_allclose(ours.toarray(), features.toarray(), rtol=1e-15)
    np.testing.assert_allclose(read(path).column("label").to_numpy(), labels, rtol=1e-15)
    np.testing.assert_allclose(labels, target, rtol=1e-9)


@pytest.mark.parametrize("told", ["1", "-0.5", "+3.25", "1e3", "1E-3", ".5", "2.", "123456.789", "9007199254740993"])
def test_numbers_of_few_digits_are_right_to_the_last_bit(told: str, tmp_path: Path) -> None:
    path = tmp_path / "a.svm"
    path.write_text(f"1 1:{told}\n0 1:1\n")
    assert matrix(path, 2)[0, 1] == float(told)


def test_comments_queries_blank_lines_and_every_packing(tmp_path: Path) -> None:
    told = "# a comment\n\n1 qid:7 3:0.5 9:2 # so it goes\r\n\t0  1:1 \n1.5\n0 2:-1e-3"
    expected = np.zeros((4, 10))
    expected[0, 3], expected[0, 9], expected[1, 1], expected[3, 2] = 0.5, 2, 1, -1e-3
    (tmp_path / "a.svm").write_text(told)
    (tmp_path / "a.libsvm.gz").write_bytes(gzip.compress(told.encode()))
    with pa.output_stream(str(tmp_path / "a.svmlight.zst"), compression="zstd") as out:
        out.write(told.encode())
    for name in ("a.svm", "a.libsvm.gz", "a.svmlight.zst"):
        np.testing.assert_array_equal(matrix(tmp_path / name, 10).toarray(), expected)
    assert read(tmp_path / "a.svm").column("label").to_pylist() == [1.0, 0.0, 1.5, 0.0]
    (tmp_path / "b.svm").write_text("0 5:1\n")
    assert read(str(tmp_path / "*.svm")).rows == 5


def vw_index(space: str, name: str) -> int:
    """Return Vowpal Wabbit's index of a feature: the hash of its name by that of its namespace."""
    seed = int(murmurhash3_32(space, 0, positive=True)) if space else 0
    return (int(name) + seed) % 2**32 if name.isdigit() else int(murmurhash3_32(name, seed, positive=True))


def test_vowpal_wabbit_text_is_read_as_it_is_documented(tmp_path: Path) -> None:
    path = tmp_path / "a.vw"
    path.write_text(
        "1 2 'first|user age:3 name=bo |item:2 x 12 y:0.5\n-1 second| a b:-2e1 a\n\n|user zero:0 café:1\n0.5 |\n"
    )
    table = read(path)
    assert table.column("label").to_pylist() == [1.0, -1.0, None, 0.5]
    entries = table.entries
    assert entries.importance.tolist() == [2, 1, 1, 1]
    assert entries.rows.starts.tolist() == [0, 5, 8, 9, 9]
    wanted = [
        ("user", "age", 3.0), ("user", "name=bo", 1.0), ("item", "x", 2.0), ("item", "12", 2.0), ("item", "y", 1.0),
        ("", "a", 1.0), ("", "b", -20.0), ("", "a", 1.0), ("user", "café", 1.0),
    ]  # fmt: skip
    assert entries.rows.values.tolist() == [value for *_, value in wanted]
    assert entries.rows.places.view(np.uint32).tolist() == [vw_index(space, name) for space, name, _ in wanted]
    names = [f"{space}^{name}" if space else name for space, name, _ in wanted]
    letters, ends = entries.names(np.arange(9))
    assert letters.tobytes().decode() == "".join(names)
    assert ends.tolist() == np.cumsum([len(each.encode()) for each in names]).tolist()


def test_indices_are_those_of_vowpal_wabbit_itself(tmp_path: Path) -> None:
    vw = pytest.importorskip("vowpalwabbit")
    line = "1 |user age:3 name=bo 7 |item:2 x 12 y:0.5 |0 000 |日本 語"
    workspace = vw.Workspace("--quiet -b 18 --noconstant")
    example = workspace.example(line)
    theirs = [
        (example.feature(space, each), example.feature_weight(space, each))
        for space in range(example.num_namespaces())
        for each in range(example.num_features_in(space))
    ]
    workspace.finish_example(example)
    (tmp_path / "a.vw").write_text(line + "\n")
    rows = read(tmp_path / "a.vw").entries.rows
    ours = [(int(place) & (2**18 - 1), value) for place, value in zip(rows.places, rows.values, strict=True)]
    assert sorted(ours) == sorted(theirs)


def test_many_parts_of_a_file_join_to_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.svm"
    written(path, 3000)
    whole = matrix(path, 41)
    monkeypatch.setattr("downslope.data.text.lines.AT_ONCE", 1000)
    assert (whole != matrix(path, 41)).nnz == 0


@pytest.mark.parametrize("method", ["scaled", "mini-batch"])
def test_a_fit_of_svmlight_needs_no_target_and_predicts_from_its_saved_model(method: str, tmp_path: Path) -> None:
    path = tmp_path / "a.svm"
    features, target = written(path)
    run = ds.fit(path, method=method, runs=tmp_path / "runs", tolerance=1e-3)
    assert run.spec.target == "label"
    assert run.data.classes == ("-1", "1")
    assert run.holdout["accuracy"] > 0.7
    model = load(run.run, tmp_path / "runs").model
    place = int(re.fullmatch(r"feature (\d+)", run.coefficients[0].feature)[1]) - 1
    assert 0 <= place < 40
    # Weights in original units: scores by the matrix itself.
    weights = np.zeros(40)
    (feature,) = model.plan.sparse
    weights[feature.buckets.ids - 1] = model.coefficients()[:, 0]
    np.testing.assert_allclose(model.scores(path)[:, 0], features @ weights + model.point.intercept, atol=1e-8)
    predicted = ds.predict(run, str(path))
    assert predicted.column_names[:2] == ["label", "prediction"]
    assert np.mean(np.array(predicted["prediction"]) == target.astype(str)) > 0.7
    (tmp_path / "new.svm").write_text("1 7:1 3000:1\n")  # a feature that no training row met is left out
    (tmp_path / "old.svm").write_text("1 7:1\n")
    assert model.scores(tmp_path / "new.svm") == model.scores(tmp_path / "old.svm")


def test_rescaled_columns_give_the_same_model(tmp_path: Path) -> None:
    path, other = tmp_path / "a.svm", tmp_path / "b.svm"
    features, target = written(path)
    sizes = 2.0 ** np.random.default_rng(1).integers(-20, 20, 40)
    dump_svmlight_file(features * sizes, target, str(other), zero_based=False)
    first, second = (ds.fit(each, runs=None, method="mini-batch", epochs=5) for each in (path, other))
    np.testing.assert_allclose(first.model.scores(path), second.model.scores(other), rtol=1e-5, atol=1e-7)


def test_a_fit_of_vowpal_wabbit_names_weights_weighs_rows_and_measures_collisions(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = [f"w{each}" for each in range(300)]
    lines = []
    for _ in range(1500):
        label = rng.choice([-1, 1])
        lines.append(f"{label} |t {' '.join(rng.choice(words, 5))} {'up' if label > 0 else 'down'}:2\n")
    path = tmp_path / "a.vw"
    path.write_text("".join(lines))
    run = ds.fit(path, runs=tmp_path, hash_bits=10)
    assert run.coefficients[0].feature in ("t^up", "t^down")
    (feature,) = run.model.plan.sparse
    assert 0.1 < feature.shared < 0.4
    assert "2^10 buckets" in run.data.columns[0].treatment
    again = load(run.run, tmp_path).model
    assert again.plan.feature_names() == run.model.plan.feature_names()
    np.testing.assert_array_equal(again.scores(path), run.model.scores(path))


def test_importance_weighs_the_rows(tmp_path: Path) -> None:
    (tmp_path / "a.vw").write_text("1 3 |a b\n-1 1 |a b\n1 0 |a b\n" * 40)
    run = ds.fit(tmp_path / "a.vw", runs=None, holdout=0, tolerance=1e-6)
    chance = run.model.probabilities(run.model.scores(tmp_path / "a.vw"))
    np.testing.assert_allclose(chance[:, 1], 0.75, atol=1e-2)


SVM_BAD = [
    ("x 1:1", "does not begin with a label"), ("1 1:1 2", "an entry is not index:value"),
    ("1 -1:2", "an entry is not index:value"), ("1 1:2x", "a value is not a number"),
    ("1 1:nan", "a value is not a number"), ("1 1:", "a value is not a number"), ("1 3:1 1:1 3:2", "stands twice"),
    ("1 2147483648:1", "above 2147483647"), ("1 1:1e999", "a value is not a number"), ("1,2 1:1", "does not begin"),
]  # fmt: skip
VW_BAD = [
    ("1 a b", "no bar |"), ("1 2 3 |a b", "before the bar stands something else"), ("1 x |a b", "before the bar"),
    ("1 -2 |a b", "an importance is negative"), ("1 |a b:x", "a value is not a number"),
    ("1 |a :3", "a feature has no name"), ("1 |a:z b", "a value is not a number"),
]  # fmt: skip


@pytest.mark.parametrize(("ending", "line", "told"), [
    *(("svm", *each) for each in SVM_BAD), *(("vw", *each) for each in VW_BAD),
])  # fmt: skip
def test_a_malformed_line_is_told_by_number_and_text_or_left_out_and_counted(
    ending: str, line: str, told: str, tmp_path: Path
) -> None:
    good = ["1 1:1", "0 2:1"] if ending == "svm" else ["1 |a b", "0 |a c"]
    path = tmp_path / f"a.{ending}"
    path.write_text("\n".join([good[0], line, good[1], line, *good * 10]) + "\n")
    with pytest.raises(SourceError, match=re.escape(f"a.{ending}, line 2: ")) as caught:
        read(path)
    assert told in str(caught.value)
    assert repr(line) in str(caught.value)
    table = read(path, skip_bad_lines=True)
    assert (table.rows, table.entries.bad) == (22, 2)
    run = ds.fit(path, runs=None, skip_bad_lines=True)
    assert "2 malformed lines left out" in run.data.columns[0].treatment


def test_what_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.svm"
    written(path, 100)
    with pytest.raises(OptionError, match="--where asks about columns"):
        ds.fit(path, where="label > 0", runs=None)
    with pytest.raises(OptionError, match="linear models learn from"):
        ds.fit(path, model="mlp:4", runs=None)
    with pytest.raises(ColumnError, match='no target "y"'):
        ds.fit(path, "y", runs=None)
    with pytest.raises(OptionError, match="leave --cluster out"):
        ds.fit(path, cluster="auto", runs=None)
    (tmp_path / "b.svm.gz").write_bytes(gzip.compress(path.read_bytes())[:200])
    with pytest.raises(SourceError, match="cannot be read whole"):
        ds.fit(tmp_path / "b.svm.gz", runs=None)
    (tmp_path / "c.svm").write_text("# nothing\n\n")
    with pytest.raises(SourceError, match="holds no row"):
        ds.fit(tmp_path / "c.svm", runs=None)
    run = ds.fit(path, runs=None)
    with pytest.raises(ColumnError, match="rows of a svmlight file name themselves"):
        run.model.predict(pa.table({"label": [1]}))
    (tmp_path / "d.vw").write_text("1 |a b\n")
    with pytest.raises(InputError, match="has none"):
        run.model.predict(tmp_path / "d.vw")
