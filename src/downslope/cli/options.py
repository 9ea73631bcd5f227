"""One option for each setting of Spec, made from its Setting: the names, ranges and help are written once, there."""

from __future__ import annotations

import csv
import inspect
from collections.abc import Callable, Iterable
from functools import cache, wraps
from typing import Annotated, Any, cast, get_args, get_type_hints

import typer

from downslope.errors import OptionError
from downslope.records.spec import Setting, Spec, settings

POSITIONAL = ("source", "target")
"""Settings that commands take by themselves."""


def flag(name: str) -> str:
    """Return the option of a setting, such as ``--learning-rate``."""
    return "--" + name.replace("_", "-")


def with_settings(command: Callable[..., None], leave_out: Iterable[str] = ()) -> Callable[..., None]:
    """Return the command with an option for every setting; it receives the ones given, as ``asked``."""
    names = [name for name in settings() if name not in (*POSITIONAL, *leave_out)]

    @wraps(command)
    def wrapped(**given: Any) -> None:
        asked = {name: given.pop(name) for name in names}
        command(**given, asked={name: value for name, value in asked.items() if value not in (None, [])})

    own = [each for each in inspect.signature(command, eval_str=True).parameters.values() if each.name != "asked"]
    ours = [_parameter(name, *settings()[name]) for name in names]
    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*own, *ours)]
    cast("Any", wrapped).__signature__ = inspect.Signature(parameters)
    wrapped.__annotations__ = {each.name: each.annotation for each in parameters}
    return wrapped


def spec_of(source: str, target: str, asked: dict[str, Any]) -> Spec:
    """Return the Spec that the options ask for; raises OptionError."""
    values: dict[str, Any] = {name: parse(name, value) for name, value in asked.items()}
    return Spec(source=source, target=target, **values)


def parse(name: str, given: str | bool | list[str]) -> object:
    """Return what was written after an option as the value of its setting; raises OptionError on a bad list."""
    _, setting = settings()[name]
    if isinstance(given, bool):
        return given
    if isinstance(given, list):
        return tuple(part for text in given for part in _split(name, text))
    if given == "none" and setting.none and not setting.choices:
        return None
    return _number(given) if setting.numeric else given


def _split(name: str, text: str) -> list[str]:
    """Split ``a,b`` at its commas; a name with a comma in it is written in double quotes."""
    try:
        rows = list(csv.reader([text], strict=True, skipinitialspace=True))
    except csv.Error as error:
        message = f"{flag(name)} {text} has a quote that does not end; write names with a comma as '\"a,b\",c'"
        raise OptionError(message) from error
    return rows[0] if rows else []


def _number(text: str) -> object:
    """Return text as a number where it is one; what it is not, the Setting says better."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and abs(number) < 2**63 else number


@cache
def _kinds() -> dict[str, Any]:
    return get_type_hints(Spec)


def _kind(name: str) -> type:
    """Return how an option is written: bool for a switch, list for one that repeats, str for all else."""
    kind = _kinds()[name]
    if kind is bool or bool in get_args(kind):
        return bool
    return list if getattr(kind, "__origin__", None) is tuple else str


def _parameter(name: str, default: object, setting: Setting) -> inspect.Parameter:
    kind = _kind(name)
    written = f"{flag(name)}/--no-{flag(name)[2:]}" if kind is bool else flag(name)
    panel = setting.group
    about = _about(default, setting)
    if kind is bool:
        option = typer.Option(written, help=about, rich_help_panel=panel, show_default=False)
    else:
        option = typer.Option(
            written, help=about, rich_help_panel=panel, show_default=False, metavar=_metavar(name, setting)
        )
    annotation = {bool: bool | None, list: list[str] | None, str: str | None}[kind]
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=cast("Any", Annotated)[annotation, option]
    )


def _metavar(name: str, setting: Setting) -> str:
    if setting.numeric:
        return "COUNT" if setting.whole else "NUMBER"
    if setting.choices:
        return "NAME"
    return {
        "sql": "QUERY", "where": "CONDITION", "memory": "SIZE", "cache_size": "SIZE", "cache": "FOLDER",
        "cluster": "ADDRESS", "grams": "KIND",
    }.get(name, "COLUMN")  # fmt: skip


def _about(default: object, setting: Setting) -> str:
    """Return the help of an option: what it is, what is allowed, and what it is when left out."""
    allowed = setting.describe().replace('"', "") if setting.choices or setting.numeric else ""
    usual = "" if default is None or default == () else f"default {_word(default)}"
    notes = "; ".join(each for each in (allowed, usual) if each)
    return f"{setting.help} ({notes})" if notes else setting.help


def _word(default: object) -> str:
    return {True: "yes", False: "no"}[default] if isinstance(default, bool) else f"{default}"
