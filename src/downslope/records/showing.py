"""How a record lets itself be seen: it asks at the package's door for who draws, and knows no room above its own."""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path
from typing import Any

from downslope.words import in_language


class Shown:
    """What every record of a training can do."""

    def show(self, *, language: str = "") -> Any:
        """Return a view for a notebook cell: Jupyter, VS Code, Colab, marimo; see ``downslope.show``."""
        return _door().show(self, language=language)

    def report(self, path: str | Path, *, language: str = "", overwrite: bool = False) -> Path:
        """Write one HTML file that opens anywhere, offline, and return its path; see ``downslope.report``."""
        return _door().report(self, path, language=language, overwrite=overwrite)

    def _repr_html_(self) -> str:
        """Return a few words, where a notebook prints the record itself."""
        verdict, message = str(getattr(self, "verdict", "")), in_language(getattr(self, "message", ""), "en")
        words = " ".join(f"<b>{escape(each)}</b>" for each in (type(self).__name__, verdict) if each)
        return f"<p>{words}{': ' if message else ''}{escape(message)}</p><p><code>.show()</code> draws it here.</p>"


def _door() -> Any:
    """Return the package itself, whose names lead to the rooms that draw."""
    return sys.modules["downslope"]
