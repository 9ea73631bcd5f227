"""A table that lies with workers: sums of one shape, shards dealt out, what a worker does, without Ray."""

from __future__ import annotations

import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downslope.cli.running import run as command
from downslope.cluster import joining, library
from downslope.cluster.shard import dealt
from downslope.cluster.tree import nodes_of, sum_below, sum_of
from downslope.cluster.worker import Worker
from downslope.errors import ClusterError
from tests.small_shards import table_of, whole_of

Cuts = st.integers(1, 70).flatmap(
    lambda leaves: st.tuples(st.just(leaves), st.sets(st.integers(1, max(leaves - 1, 1)), max_size=6))
)


@given(Cuts)
def test_a_sum_is_the_same_however_the_leaves_are_dealt_out(case: tuple[int, set[int]]) -> None:
    leaves, cuts = case
    values = np.random.default_rng(leaves).normal(size=leaves) * 10.0 ** np.arange(leaves).clip(0, 15)
    edges = sorted({0, leaves} | {each for each in cuts if each < leaves})
    parts = {
        node: sum_below(node, lambda index: float(values[index]))
        for first, last in pairwise(edges)
        for node in nodes_of(first, last)
    }
    alone = {(0, index): float(value) for index, value in enumerate(values)}
    assert sum_of(parts, leaves) == sum_of(alone, leaves)
    assert sum_of(parts, leaves) == pytest.approx(values.sum(), rel=1e-12)


def test_a_leaf_in_no_node_is_an_error() -> None:
    with pytest.raises(KeyError):
        sum_of({(1, 0): 1.0, (0, 3): 1.0}, 4)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=40), st.integers(1, 12))
def test_shards_are_dealt_out_in_order_and_evenly(rows: list[int], workers: int) -> None:
    ranges = dealt(rows, workers)
    assert [index for first, last in ranges for index in range(first, last)] == list(range(len(rows)))
    assert all(first < last for first, last in ranges)
    assert len(ranges) == min(workers, len(rows))
    if len(set(rows)) == 1:
        counts = [last - first for first, last in ranges]
        assert max(counts) - min(counts) <= 1


def test_workers_sums_are_those_of_the_table() -> None:
    table, whole = table_of([300, 0, 50, 200]), whole_of([300, 0, 50, 200])
    workers = [Worker(first, last) for first, last in ((0, 2), (2, 4))]
    replies = [each.total(("", table), target_sum, True) for each in workers]
    assert [each.rows for each in replies] == [300, 250]
    sums = {node: value for reply in replies for node, value in reply.sums.items()}
    assert sum_of(sums, 4) == pytest.approx(whole.target.sum())


def test_workers_give_the_examples_of_their_own_rows() -> None:
    table, whole = table_of([300, 50, 200]), whole_of([300, 50, 200])
    worker = Worker(1, 3)
    rows = np.array([2, 299, 300, 349, 350, 549])
    found = worker.pick(("", table), rows)
    assert found is not None
    assert np.array_equal(found.target, whole.target[rows[2:]])
    assert np.array_equal(np.concatenate([each.numbers for each in found]), whole.blocks[0].numbers[rows[2:]])
    assert worker.pick(("", table), rows[:2]) is None


def test_without_ray_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(library, "import_module", absent)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "none is to be made")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    library.ray.cache_clear()
    try:
        with pytest.raises(ClusterError, match=r"pip install 'downslope\[cluster\]'"):
            joining.join("auto", 1)
    finally:
        library.ray.cache_clear()


def test_a_token_that_lies_where_ray_looks_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="THE CLUSTER IS NOT TESTED: this Python has no Ray")
    monkeypatch.setenv("RAY_AUTH_MODE", "")  # so that what is set below is taken back
    monkeypatch.delenv("RAY_AUTH_MODE")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    loaded = {name: each for name, each in sys.modules.items() if name != "ray"}
    library.ray.cache_clear()
    library.ray()
    assert "RAY_AUTH_MODE" not in os.environ
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("secret")
    library.ray.cache_clear()
    library.ray()
    assert "RAY_AUTH_MODE" not in os.environ, "it is too late once Ray is imported"
    monkeypatch.setattr(library, "import_module", str)
    monkeypatch.setattr(sys, "modules", loaded)
    library.ray.cache_clear()
    library.ray()
    library.ray.cache_clear()
    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_an_address_where_nobody_listens_ends_with_two(
    examples: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ray = pytest.importorskip("ray", reason="THE CLUSTER IS NOT TESTED: this Python has no Ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    asked = ["fit", str(examples / "flights.parquet"), "--target", "late", "--cluster", "127.0.0.1:1", "--no-save"]
    assert command([*asked, "--quiet"]) == 2
    assert capsys.readouterr().err.startswith("error: no Ray cluster answers at 127.0.0.1:1: ")


def target_sum(examples: Any) -> float:
    return float(examples.target.sum())
