"""tools/terminal_picture.py, on a real program in a real pseudo-terminal."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree

import pytest

from tools.terminal_picture import Screen, draw, run_in_terminal

PROGRAM = """
import sys
from rich.console import Console
from rich.progress import track

for _ in track(range(3), description="descending", console=Console(stderr=True), transient=True):
    pass
Console().print("[green]converged[/] ▁▃▆ 收敛")
"""


def test_an_erased_progress_line_is_not_in_the_picture() -> None:
    output = run_in_terminal([sys.executable, "-c", PROGRAM])
    assert "descending" in output
    assert Screen(output).lines == ["\x1b[32mconverged\x1b[0m ▁▃▆ 收敛", ""]


def test_what_is_overwritten_or_above_the_cursor_is_replaced() -> None:
    assert Screen("10 %\r20 %\r\nfirst\r\n\x1b[1A\x1b[2Ksecond\r\n").lines == ["20 %", "second", ""]


def test_the_picture_is_an_svg_that_downloads_nothing() -> None:
    picture = draw(["$ downslope", "\x1b[32mconverged\x1b[0m"], "downslope")
    text = "".join(ElementTree.fromstring(picture).itertext()).replace("\xa0", " ")
    assert "$ downslope" in text
    assert "converged" in text
    assert "url(http" not in picture.replace('"', "")


def test_a_command_that_fails_is_not_drawn() -> None:
    with pytest.raises(SystemExit, match="exit code 3"):
        run_in_terminal([sys.executable, "-c", "raise SystemExit(3)"])
