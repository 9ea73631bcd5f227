"""Sparse rows that are seen once: text, hashed levels, svmlight and Vowpal Wabbit, from files and standard input."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import downslope as ds
from downslope.cli.running import run as command
from downslope.data.large import once, reading
from downslope.data.large.growing import Sharing
from downslope.data.large.pipe import format_of
from downslope.errors import InputError
from downslope.records import Run, StepRecord, Verdict
from downslope.store import list_unfinished

ROWS, WORDS, LATE_WORDS = 6_000, 60, 20
TEXT: dict[str, Any] = {"text": "said", "grams": ("word:1",), "drop": ("city",)}


class Cut(Exception):
    """What stands for a kill within this process: no code of ours handles it."""


def words_of(rows: int = ROWS, seed: int = 0) -> tuple[list[list[int]], np.ndarray[Any, Any]]:
    """Return the words of each row and whether they are good; the last words come up in the second half only."""
    drawn = np.random.default_rng(seed)
    effect = drawn.normal(size=WORDS + LATE_WORDS) * 1.5
    found: list[list[int]] = []
    for row in range(rows):
        words = drawn.choice(WORDS, 5, replace=False).tolist()
        if row >= rows // 2:
            words.append(WORDS + int(drawn.integers(LATE_WORDS)))
        found.append(words)
    score = np.array([effect[each].sum() for each in found])
    return found, score + drawn.logistic(size=rows) > 0


WORDS_OF, GOOD = words_of()


def table_of() -> pa.Table:
    drawn = np.random.default_rng(1)
    said = [" ".join(f"w{each}" for each in words) for words in WORDS_OF]
    city = np.array([f"c{each}" for each in drawn.zipf(1.4, ROWS).clip(max=3000)])
    return pa.table({"said": said, "size": drawn.normal(size=ROWS), "city": city, "good": GOOD})


def vw_of(rows: range = range(ROWS), importance: int | None = None) -> bytes:
    """Return lines of Vowpal Wabbit; importance: the row from which on they weigh two."""
    lines: list[str] = []
    for row in rows:
        weight = " 2" if importance is not None and row >= importance else ""
        lines.append(f"{1 if GOOD[row] else -1}{weight} |t " + " ".join(f"w{each}" for each in WORDS_OF[row]))
    return ("\n".join(lines) + "\n").encode()


def svm_of() -> bytes:
    lines = [
        f"{1 if good else -1} " + " ".join(f"{each + 1}:{1 + each % 3}" for each in sorted(words))
        for words, good in zip(WORDS_OF, GOOD, strict=True)
    ]
    return ("\n".join(lines) + "\n").encode()


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "MOST_ROWS", 512)
    monkeypatch.setattr(reading, "MOST_LINES", 1 << 14)


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, str]:
    pq.write_table(table_of(), tmp_path / "table.parquet")
    (tmp_path / "rows.vw").write_bytes(vw_of())
    (tmp_path / "rows.svm").write_bytes(svm_of())
    return {each.suffix[1:]: str(each) for each in tmp_path.iterdir()}


def csv_of(table: pa.Table) -> bytes:
    held = io.BytesIO()
    pyarrow.csv.write_csv(table, held)
    return held.getvalue()


def pipe(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def fit(source: str, target: str | None = None, **settings: Any) -> Run:
    return ds.fit(source, target, **({"runs": None} | settings))


def asked(kind: str) -> dict[str, Any]:
    return {"target": "good", **TEXT} if kind == "parquet" else {}


def weights_by_name(run: Run) -> dict[str, float]:
    model: Any = run.model
    return dict(zip(model.plan.feature_names(), model.coefficients()[:, 0].tolist(), strict=True))


@pytest.mark.parametrize("kind", ["parquet", "vw", "svm"])
def test_one_pass_comes_near_the_minimum(sources: dict[str, str], kind: str) -> None:
    run = fit(sources[kind], **asked(kind), passes=1, patience=1000)
    exact = fit(sources[kind], **asked(kind), hash_bits=18)
    drop = exact.baseline["loss"] - exact.holdout["loss"]
    assert run.holdout["loss"] - exact.holdout["loss"] < 0.1 * drop
    assert (run.verdict, run.passes, run.data.rows) == (Verdict.BUDGET, 1, ROWS)
    assert run.environment["one_pass"]["planned_by_rows"] < ROWS / 4
    assert run.data.features == exact.data.features, "columns that came up later are among them"


@pytest.mark.parametrize("kind", ["parquet", "vw", "svm"])
def test_what_comes_up_late_has_its_name_and_its_weight(sources: dict[str, str], kind: str) -> None:
    once_seen = weights_by_name(fit(sources[kind], **asked(kind), passes=1, l2=0.0))
    exact = weights_by_name(fit(sources[kind], **asked(kind), l2=1e-4, hash_bits=18))
    assert set(once_seen) == set(exact)
    late = {"parquet": "said: w{}", "vw": "t^w{}", "svm": "feature {}"}[kind]
    names = [late.format(each + (kind == "svm")) for each in range(WORDS, WORDS + LATE_WORDS)]
    both = np.array([[once_seen[name], exact[name]] for name in names])
    assert np.corrcoef(both.T)[0, 1] > 0.9


@pytest.mark.parametrize("kind", ["parquet", "vw", "svm"])
def test_the_model_scores_rows_as_the_pass_did(sources: dict[str, str], kind: str) -> None:
    run = fit(sources[kind], **asked(kind), passes=1, holdout=0)
    predicted = ds.predict(run, sources[kind])
    chance = predicted[f"probability {run.data.classes[1]}"].to_numpy()
    loss = -np.log(np.where(GOOD, chance, 1 - chance)).mean()
    assert loss == pytest.approx(run.train["loss"], rel=1e-4)


@pytest.mark.parametrize("kind", ["parquet", "vw", "svm"])
def test_standard_input_is_the_same_pass(
    sources: dict[str, str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    bits = {"hash_bits": 14}
    files = fit(sources[kind], **asked(kind), passes=1, **bits)
    pipe(monkeypatch, {"parquet": csv_of(table_of()), "vw": vw_of(), "svm": svm_of()}[kind])
    piped = fit("-", **asked(kind), **bits)
    here, there = weights_by_name(piped), weights_by_name(files)
    assert set(here) == set(there)
    assert all(here[name] == pytest.approx(there[name], rel=1e-3, abs=1e-5) for name in here)
    assert piped.spec.target == ("good" if kind == "parquet" else "label")


def test_levels_are_hashed_and_named(sources: dict[str, str]) -> None:
    run = fit(sources["parquet"], "good", drop=("said",), hash_bits=10, passes=1)
    told = {each.name: each.treatment for each in run.data.columns}["city"]
    assert "hashed into 2^10 buckets" in told
    names = [name for name in weights_by_name(run) if name.startswith("city=c")]
    assert len(names) > 100
    cities = set(table_of()["city"].to_pylist())
    assert {name.removeprefix("city=") for name in names} <= cities


def test_two_kinds_of_columns_keep_apart(sources: dict[str, str]) -> None:
    """Words, characters and levels grow side by side, and the model still scores as the pass did."""
    settings: dict[str, Any] = {"text": "said", "grams": ("word:1", "char:2-3"), "hash_bits": 12}
    run = fit(sources["parquet"], "good", passes=1, holdout=0, **settings)
    assert any(name.startswith("city=") for name in weights_by_name(run))
    predicted = ds.predict(run, sources["parquet"])
    chance = predicted["probability true"].to_numpy()
    loss = -np.log(np.where(GOOD, chance, 1 - chance)).mean()
    assert loss == pytest.approx(run.train["loss"], rel=1e-4)


@pytest.mark.parametrize("kind", ["parquet", "vw"])
def test_a_pass_cut_short_goes_on_to_the_same_bits(sources: dict[str, str], kind: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"passes": 1, "checkpoint_seconds": 1e-9, **asked(kind)}
    whole = fit(sources[kind], **settings)
    looks = 0

    def cut(step: StepRecord) -> None:
        nonlocal looks
        looks += 1
        if looks == 8:
            raise Cut

    with pytest.raises(Cut):
        ds.fit(sources[kind], runs=tmp_path / "runs", watch=cut, **settings)
    assert len(list_unfinished(tmp_path / "runs")) == 1
    resumed = ds.resume("latest", tmp_path / "runs")
    assert weights_by_name(resumed) == weights_by_name(whole)
    assert len(resumed.steps) == len(whole.steps)


def test_an_importance_that_comes_up_late_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, vw_of(importance=ROWS // 2))
    weighted = fit("-", holdout=0)
    pipe(monkeypatch, vw_of())
    plain = fit("-", holdout=0)
    assert weighted.data.features == plain.data.features
    assert weighted.train["loss"] != plain.train["loss"]


def test_a_malformed_line_is_named_and_may_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = vw_of().splitlines(keepends=True)
    broken[4000] = b"1 no bar\n"
    pipe(monkeypatch, b"".join(broken))
    with pytest.raises(InputError, match=r"standard input, line 4001: .*no bar"):
        fit("-")
    pipe(monkeypatch, b"".join(broken))
    run = fit("-", skip_bad_lines=True)
    assert run.data.rows == ROWS - 1
    assert "1 malformed line left out" in run.data.columns[-1].treatment


def test_what_cannot_be_is_refused(sources: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="steps on sparse columns go by adagrad"):
        fit(sources["vw"], passes=1, rule="adam")
    monkeypatch.setattr("downslope.data.large.growing.COLUMN_BYTES", 1 << 40)
    with pytest.raises(InputError, match="sparse columns have been met, more than --memory has room for"):
        fit(sources["vw"], passes=1)
    pipe(monkeypatch, b"a b\n")
    with pytest.raises(InputError, match="no target was named"):
        fit("-")


def test_the_command_needs_no_target_for_labels(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe(monkeypatch, vw_of())
    assert command(["fit", "-", "--no-save", "--quiet"]) == 0
    told = capsys.readouterr().out
    assert "one pass over" in told


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"1 |t a b\n", "vw"), (b"0.5 2 'tag| a:2 b\n", "vw"), (b"-1 tag|x a\n", "vw"),
     (b"1 2:0.5 7:1e-3 # note\n", "svmlight"), (b"+1 qid:3 1:2\n", "svmlight"), (b"\n\n1 1:1\n", "svmlight"),
     (b"a|b|c\n1|2|3\n", "CSV"), (b"1,2\n3,4\n", "CSV"), (b"x y\n1 2\n", "CSV")],
)  # fmt: skip
def test_the_first_line_says_what_comes(content: bytes, kind: str) -> None:
    assert format_of(content) == kind


def test_the_share_of_levels_is_that_of_all() -> None:
    full = np.random.default_rng(0).integers(0, 2**31, 400_000).astype(np.int32)
    sharing = Sharing(18)
    for part in np.split(full, 8):
        sharing.add(part)
    distinct = np.unique(full)
    _, place, times = np.unique(distinct & (2**18 - 1), return_inverse=True, return_counts=True)
    assert sharing.share() == pytest.approx((times[place] > 1).mean(), abs=0.01)
    assert sharing.met.shape[0] <= 1 << 16


def test_levels_that_never_come_leave_no_trace(sources: dict[str, str]) -> None:
    few = pq.read_table(sources["parquet"]).set_column(2, "city", pa.array(["a", "b", "c"] * (ROWS // 3)))
    pq.write_table(few, sources["parquet"])
    run = fit(sources["parquet"], "good", drop=("said",), hash_bits=10, passes=1)
    assert {each.name: each.treatment for each in run.data.columns}["city"] == "one-hot, 3 levels"
    plain = fit(sources["parquet"], "good", drop=("said",), passes=1)
    assert run.data.features == plain.data.features
    assert ds.predict(run, sources["parquet"]).num_rows == ROWS
