"""What each page measured last, kept in a file of its own, so that a page can be measured again by itself."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.clock import Reached, Timing
from benchmarks.race import Entry
from benchmarks.results import Figure, Results


def keep(folder: Path, page: str, found: Results) -> None:
    """Write what one page measured."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{page}.json").write_text(json.dumps(asdict(found), indent=1), encoding="utf-8")


def gather(folder: Path, pages: Iterable[str], machine: dict[str, str]) -> Results:
    """Return the pages that have been measured, in order, as one; the machine is that of the last run."""
    whole = Results(machine)
    for page in pages:
        path = folder / f"{page}.json"
        if not path.exists():
            continue
        told = json.loads(path.read_text(encoding="utf-8"))
        whole.figures += [Figure(**each) for each in told["figures"]]
        whole.races += [(title, [_entry(each) for each in entries]) for title, entries in told["races"]]
        whole.notes += told["notes"]
    return whole


def _entry(told: dict[str, Any]) -> Entry:
    reached = {
        float(target): Reached(Timing(**hit["timing"]), hit["budget"], hit["gap"])
        for target, hit in told["reached"].items()
    }
    shipped = told["shipped"]
    return Entry(
        told["name"], told["setting"], reached, None if shipped is None else (Timing(**shipped[0]), shipped[1]),
        told["lowest"],
    )  # fmt: skip
