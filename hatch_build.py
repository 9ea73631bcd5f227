"""Builds the front end into the package when a wheel, an sdist or an editable install is made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent / "tools"))
import front_end


class FrontEnd(BuildHookInterface[Any]):
    """Builds web/ where it is not built yet, or older than its sources."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build; an editable install goes on without it, as all but the pages of the browser works the same."""
        del build_data
        if front_end.is_built():
            return
        try:
            front_end.build()
        except (OSError, ImportError, subprocess.CalledProcessError) as error:
            if version != "editable":
                raise
            self.app.display_warning(f"the front end is not built ({error}); make front builds it")
