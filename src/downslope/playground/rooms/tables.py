"""Write the tables of settings for the front end: ``python -m downslope.playground.rooms.tables FILE``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from downslope.playground.rooms import rooms
from downslope.playground.rooms.table import table_json

FILE = "web/src/rooms/tables.json"
"""Where the front end reads them, in the repository."""


def tables_text() -> str:
    """Return the tables of all rooms as JSON."""
    tables = {name: table_json(room.settings) for name, room in rooms().items()}
    return json.dumps({"rooms": tables}, indent=2, ensure_ascii=False) + "\n"


def write_tables(path: Path) -> None:
    """Write the tables to a file, and its folder where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(tables_text(), encoding="utf-8")


if __name__ == "__main__":
    write_tables(Path(sys.argv[1] if len(sys.argv) > 1 else FILE))
