"""From arguments to an exit code: every way in which a command can end, in one place.

0 done; 1 the run failed (diverged, interrupted); 2 bad usage or bad input. What went wrong is one line on
standard error that begins with ``error:``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, cast

import typer

from downslope.errors import DownslopeError, InputError, OptionError, nearest

DONE, FAILED, BAD_INPUT = 0, 1, 2

INTERRUPTED = 130
"""What Typer returns for Ctrl-C."""

TRACEBACK = "DOWNSLOPE_TRACEBACK"
"""Set this environment variable to see the traceback of an error that nobody foresaw."""

UsageError = cast("type[Exception]", typer.BadParameter.__mro__[1])
"""What Typer raises for arguments it cannot read; which module holds it depends on the version."""


def run(arguments: list[str]) -> int:
    """Run a command and return its exit code; errors are printed, none is raised."""
    from downslope.cli.app import app

    _write_anything()
    try:
        _check_command(arguments, [str(each.name) for each in app.registered_commands])
        code = app(arguments, prog_name="downslope", standalone_mode=False)
        sys.stdout.flush()
    except Exception as error:
        return _failed(error)
    except KeyboardInterrupt:
        return _interrupted()
    except SystemExit:  # Typer's answer to a reader that closed the pipe
        return _unread()
    return _interrupted() if code == INTERRUPTED else code if isinstance(code, int) else DONE


def _write_anything() -> None:
    """Make a terminal that lacks a character show another one instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = cast("Callable[..., None] | None", getattr(stream, "reconfigure", None))
        if reconfigure:
            reconfigure(errors="replace")


def _check_command(arguments: list[str], commands: list[str]) -> None:
    named = next(iter(arguments), "-")
    if not named.startswith("-") and named not in commands:
        message = f'there is no command "{named}"{nearest(named, commands)}'
        raise OptionError(message)


def _failed(error: Exception) -> int:
    """Print an error as one line and return the exit code that it stands for."""
    if isinstance(error, BrokenPipeError):
        return _unread()
    if isinstance(error, typer.Abort):
        return _interrupted()
    if os.environ.get(TRACEBACK):
        raise error
    message, code = _sentence(error)
    print("error:", " ".join(message.split()), file=sys.stderr)
    return code


def _unread() -> int:
    """Drop what is left to print: the reader has what it wanted."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
    return DONE


def _sentence(error: Exception) -> tuple[str, int]:
    if isinstance(error, UsageError):
        return usage_sentence(error), BAD_INPUT
    if isinstance(error, InputError):
        return str(error), BAD_INPUT
    if isinstance(error, OSError):
        where = f' at "{error.filename}"' if error.filename else ""
        return f"{error.strerror or error}{where}; make room or name another place, and try again", BAD_INPUT
    if isinstance(error, MemoryError):
        return "the table does not fit in memory; leave out columns with --drop or rows with --where", BAD_INPUT
    if isinstance(error, DownslopeError):
        return str(error), FAILED
    name = f"{type(error).__name__}: {error}"
    return f"this should not happen ({name}); set {TRACEBACK}=1 to see where, and please report it", FAILED


def usage_sentence(error: Any) -> str:
    """Return what Typer found wrong with the arguments as one sentence, with the nearest option names."""
    context: Any = getattr(error, "ctx", None)
    command = context.command_path if context else "downslope"
    option = getattr(error, "option_name", None)
    if context and option and type(error).__name__ == "NoSuchOption":
        options = [name for each in context.command.params for name in (*each.opts, *each.secondary_opts)]
        known = [name for name in options if name.startswith("--")]
        return f"{command} has no option {option}{nearest(option, known)}; {command} --help lists them"
    words = str(error.format_message()).rstrip(".")
    return f"{words[:1].lower()}{words[1:]}; {command} --help says how"


def _interrupted() -> int:
    print("error: interrupted before the first step, so nothing was kept", file=sys.stderr)
    return FAILED
