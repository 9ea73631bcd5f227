"""``python -m downslope``: the command."""

from downslope.cli import main

main()
