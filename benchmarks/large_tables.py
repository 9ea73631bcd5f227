"""A large table to stream: flights resampled with jitter. It is synthetic, and says so in its metadata.

    python -m benchmarks.large_tables ROWS FOLDER [FLIGHTS]

Rows are drawn from the real table with replacement; distances and scheduled times get noise of a few units, so that
hardly two rows are alike, and the target is drawn anew from the rate of delays among flights of the same carrier and
hour. Written as Parquet in parts of a million rows, a part at a time, so any size is made in little memory.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FLIGHTS = Path(__file__).resolve().parents[1] / "examples" / "flights.parquet"
PART = 1_000_000
JITTER = {"distance": 15, "sched_dep_time": 7, "sched_arr_time": 7}
"""Largest change of a number, in its own units, either way."""


def make(rows: int, folder: Path, flights: Path = FLIGHTS, seed: int = 0) -> list[Path]:
    """Write so many rows into a folder and return the parts; those that are there already are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    real = pq.read_table(flights).combine_chunks()
    chances = _chances(real)
    paths: list[Path] = []
    for number, first in enumerate(range(0, rows, PART)):
        path = folder / f"flights-{number:05d}.parquet"
        paths.append(path)
        if path.exists():
            continue
        part = _part(real, chances, min(PART, rows - first), np.random.default_rng((seed, number)))
        temporary = path.with_suffix(".part")
        pq.write_table(part, temporary, row_group_size=PART // 4)
        temporary.rename(path)
    return paths


def _chances(real: pa.Table) -> np.ndarray:
    """Return the rate of delays of each row's carrier and hour, (rows,)."""
    carriers = real["carrier"].combine_chunks().dictionary_encode().indices.to_numpy()
    groups = carriers * 24 + np.asarray(real["sched_dep_time"]) // 100
    late = np.asarray(real["late"]).astype(float)
    counts = np.bincount(groups)
    return (np.bincount(groups, weights=late) / np.maximum(counts, 1))[groups]


def _part(real: pa.Table, chances: np.ndarray, rows: int, drawn: np.random.Generator) -> pa.Table:
    chosen = drawn.integers(0, real.num_rows, rows)
    table = real.take(pa.array(chosen))
    for name, most in JITTER.items():
        values = np.asarray(table[name]).astype(np.int64) + drawn.integers(-most, most + 1, rows)
        kept = np.clip(values, 0, np.iinfo(np.uint16).max).astype(np.uint16)
        table = table.set_column(table.column_names.index(name), name, pa.array(kept))
    late = drawn.random(rows) < chances[chosen]
    table = table.set_column(table.column_names.index("late"), "late", pa.array(late))
    return table.replace_schema_metadata({"origin": "synthetic: flights resampled with jitter"})


if __name__ == "__main__":
    make(int(float(sys.argv[1])), Path(sys.argv[2]), *(Path(each) for each in sys.argv[3:]))
