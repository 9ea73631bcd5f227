"""``--memory`` is a promise: what is resident stays below it, whatever the method and however large the table."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from downslope import fit
from downslope.errors import OptionError

ALLOWED, ALLOWED_NETWORK = 620_000_000, 920_000_000
"""Bytes, hardly more than the least that is accepted."""
ROWS = 1_800_000
FITS = """
import json, sys
import downslope as ds
reached = {}
for name, settings in json.loads(sys.argv[3]).items():
    run = ds.fit(sys.argv[1], "y", runs=None, memory=sys.argv[4], cache=sys.argv[2], **settings)
    assert "streamed" in run.environment or "one_pass" in run.environment
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    reached[name] = int(status["VmHWM"].split()[0]) * 1024
print(json.dumps(reached))
"""
NETWORK = {"network": {"model": "mlp:16", "epochs": 1, "batch_size": 256, "learning_rate": 0.01}}
METHODS = {
    "one pass": {"passes": 1, "patience": 1000},
    "scaled": {},
    "full-batch": {"method": "full-batch", "epochs": 3},
    "mini-batch": {"method": "mini-batch", "batch_size": 256, "epochs": 1},
    "stochastic": {"method": "stochastic", "learning_rate": 1e-3, "epochs": 1},
}

TEXT = {
    "text, scaled": {"text": "text", "max_seconds": 5},
    "text, mini-batch": {"text": "text", "method": "mini-batch", "epochs": 1},
}
TEXTS = 150_000


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    drawn = np.random.default_rng(0)
    numbers = drawn.normal(size=(ROWS, 10))
    columns = {f"x{index}": numbers[:, index] for index in range(10)}
    names = np.array([f"level {index}" for index in range(50)])
    target = numbers.sum(axis=1) + drawn.logistic(size=ROWS) > 0
    found = pa.table(columns | {"c": names[drawn.integers(0, 50, ROWS)], "y": target})
    path = tmp_path_factory.mktemp("large") / "table.parquet"
    pq.write_table(found, path, compression="none", row_group_size=100_000)
    assert found.nbytes > 0.25 * ALLOWED
    return path


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    drawn = np.random.default_rng(0)
    words = np.array([f"word{index}" for index in range(60_000)])
    places = (60_000 * drawn.random((TEXTS, 30)) ** 4).astype(np.int64)
    text = [" ".join(row) for row in words[places].tolist()]
    path = tmp_path_factory.mktemp("texts") / "texts.parquet"
    target = drawn.normal(size=60_000)[places].sum(axis=1) > 0
    pq.write_table(pa.table({"text": text, "y": target}), path, row_group_size=20_000)
    return path


needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")


@needs_proc
@pytest.mark.parametrize(("fits", "allowed"), [(METHODS, ALLOWED), (NETWORK, ALLOWED_NETWORK)])
def test_what_is_resident_stays_below_the_memory_that_is_allowed(
    table: Path, tmp_path: Path, fits: dict[str, dict[str, object]], allowed: int
) -> None:
    check_peaks(table, tmp_path, fits, allowed)


@needs_proc
def test_what_is_resident_stays_below_it_for_text(texts: Path, tmp_path: Path) -> None:
    check_peaks(texts, tmp_path, TEXT, ALLOWED)


def check_peaks(source: Path, tmp_path: Path, fits: dict[str, dict[str, object]], allowed: int) -> None:
    given = [str(source), str(tmp_path / "cache"), json.dumps(fits), str(allowed)]
    ended = subprocess.run([sys.executable, "-c", FITS, *given], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    reached = json.loads(ended.stdout)
    assert set(reached) == set(fits)
    for name, peak in reached.items():
        assert peak < allowed, f"{name}: {peak / 1e6:.0f} MB"


def test_a_network_is_told_how_much_it_needs(table: Path) -> None:
    with pytest.raises(OptionError, match="allow at least 906 MB"):
        fit(str(table), "y", model="mlp:16", memory=f"{ALLOWED}", runs=None)
