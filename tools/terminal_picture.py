"""Run a Downslope command in a terminal and draw what it left on the screen as an SVG.

    python tools/terminal_picture.py docs/demo.svg fit examples/flights.parquet --target late

Both streams go to one pseudo-terminal, as on a user's screen, and the picture is of what is there at the
end: a progress line that was erased or overwritten is not in it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import sysconfig
import termios
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

WIDTH = 110
CONTROL = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\r|\n")


def run_in_terminal(command: list[str]) -> str:
    """Run a command under a pseudo-terminal and return all that it printed; raises SystemExit where it failed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, WIDTH, 0, 0))
    environment = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": str(WIDTH)}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        output = read_to_end(ours)
    os.close(ours)
    if process.returncode:
        sys.exit(f"{shlex.join(command)} ended with exit code {process.returncode}:\n{output}")
    return output


def read_to_end(descriptor: int) -> str:
    """Return everything written to a pseudo-terminal until its other side is closed."""
    chunks: list[bytes] = []
    while True:
        try:
            chunk = os.read(descriptor, 65536)
        except OSError as error:  # Linux reports the closed side as an input/output error, not as an end
            if error.errno != errno.EIO:
                raise
            chunk = b""
        if not chunk:
            return b"".join(chunks).decode("utf-8", errors="replace")
        chunks.append(chunk)


class Screen:
    """The lines that an output leaves on a screen, their colours kept.

    It understands what a progress line needs: carriage return, line feed, cursor up, erase line.
    """

    def __init__(self, output: str) -> None:
        """Show an output on an empty screen."""
        self.lines = [""]
        self.row = 0
        self.at_start = True
        end = 0
        for control in CONTROL.finditer(output):
            self.write(output[end : control.start()])
            self.obey(control.group(2) or control.group(), control)
            end = control.end()
        self.write(output[end:])

    def write(self, text: str) -> None:
        """Write text at the cursor; at the start of a line it takes the place of what was there."""
        if text:
            self.lines[self.row] = text if self.at_start else self.lines[self.row] + text
            self.at_start = False

    def obey(self, kind: str, control: re.Match[str]) -> None:
        """Carry out one control sequence; those that only hide or show the cursor do nothing."""
        if kind == "m":
            self.write(control.group())
        elif kind == "\r":
            self.at_start = True
        elif kind == "\n":
            self.row += 1
            self.lines += [""] * (self.row + 1 - len(self.lines))
        elif kind == "A":
            self.row = max(0, self.row - int(control.group(1) or 1))
        elif kind == "K":
            self.lines[self.row] = ""


def draw(lines: list[str], title: str) -> str:
    """Return an SVG of the lines in a terminal window, which names no font that must be downloaded."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True, color_system="truecolor")
        for line in lines:
            console.print(Text.from_ansi(line), soft_wrap=True)
        picture = console.export_svg(title=title, theme=MONOKAI, unique_id="downslope")
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)


def main() -> None:
    """Draw the command given on the command line."""
    picture, *arguments = sys.argv[1:]
    program = str(Path(sysconfig.get_path("scripts")) / "downslope")
    lines = Screen(run_in_terminal([program, *arguments])).lines
    title = shlex.join(["downslope", *arguments])
    while lines and not Text.from_ansi(lines[-1]).plain.strip():
        lines.pop()
    Path(picture).write_text(draw([f"$ {title}", "", *lines], title), encoding="utf-8")


if __name__ == "__main__":
    main()
