"""The command ``downslope``: arguments to a Spec, a run to a page. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command with the arguments of this process and exit with its code."""
    from downslope.cli.running import run

    sys.exit(run(sys.argv[1:]))
