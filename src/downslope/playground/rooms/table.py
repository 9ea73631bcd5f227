"""The settings of a room: a frozen dataclass whose fields carry their limits; form, URL and checks follow from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from functools import cache
from typing import Any, TypeVar, cast

from downslope.errors import OptionError, nearest
from downslope.types import JsonValue
from downslope.words import say

Settings = TypeVar("Settings")
SEEDS = 2**31 - 1
"""The largest seed."""


@dataclass(frozen=True)
class Row:
    """One setting as the front end has it.

    kind: number, whole, choice, flag or text. least, most: of a number; of a text ``most`` is its letters. log: set on
    a logarithmic axis. short: its name in the URL.
    """

    name: str
    kind: str
    default: JsonValue
    least: float | None
    most: float | None
    choices: tuple[str, ...] | None
    log: bool
    short: str

    def check(self, value: object) -> JsonValue:
        """Return a value as the setting holds it; raises OptionError for one that is not allowed."""
        checks = {
            "number": self._number, "whole": self._number, "choice": self._choice, "flag": self._flag,
            "text": self._text,
        }  # fmt: skip
        return checks[self.kind](value)

    def _number(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not self._within(float(value)):
            kind = say("a whole number") if self.kind == "whole" else say("a number")
            message = say(
                "{name} must be {kind} from {least} to {most}, not {value}",
                name=self.name,
                kind=kind,
                least=f"{self.least:g}",
                most=f"{self.most:g}",
                value=_shown(value),
            )
            raise OptionError(message)
        return int(value) if self.kind == "whole" else float(value)

    def _within(self, number: float) -> bool:
        least, most = cast("float", self.least), cast("float", self.most)
        return least <= number <= most and (self.kind != "whole" or number == int(number))

    def _choice(self, value: object) -> str:
        choices = self.choices or ()
        if not isinstance(value, str) or value not in choices:
            message = say(
                "{name} must be one of {choices}, not {value}{nearest}",
                name=self.name,
                choices=", ".join(choices),
                value=_shown(value),
                nearest=nearest(str(value), choices),
            )
            raise OptionError(message)
        return value

    def _flag(self, value: object) -> bool:
        if not isinstance(value, bool):
            message = say("{name} must be true or false, not {value}", name=self.name, value=_shown(value))
            raise OptionError(message)
        return value

    def _text(self, value: object) -> str:
        if not isinstance(value, str) or len(value) > cast("float", self.most):
            message = say("{name} must be a text of at most {most} letters", name=self.name, most=f"{self.most:,g}")
            raise OptionError(message)
        return value


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__
    return text if len(text) <= 60 else text[:57] + "..."


def number(default: float, least: float, most: float, short: str, *, log: bool = False) -> Any:
    """Declare a setting that is a number from least to most."""
    return _declared("number", float(default), short, least=least, most=most, log=log)


def whole(default: int, least: int, most: int, short: str, *, log: bool = False) -> Any:
    """Declare a setting that is a whole number from least to most."""
    return _declared("whole", default, short, least=least, most=most, log=log)


def choice(default: str, choices: tuple[str, ...], short: str) -> Any:
    """Declare a setting that is one of some names."""
    return _declared("choice", default, short, choices=choices)


def flag(default: bool, short: str) -> Any:
    """Declare a setting that is true or false."""
    return _declared("flag", default, short)


def text(default: str, most: int, short: str) -> Any:
    """Declare a setting that is a text of so many letters at most."""
    return _declared("text", default, short, most=most)


def _declared(kind: str, default: JsonValue, short: str, **limits: Any) -> Any:
    told = {"kind": kind, "short": short, "least": None, "most": None, "choices": None, "log": False, **limits}
    return field(default=default, metadata=told)


@cache
def rows_of(settings: type) -> dict[str, Row]:
    """Return the rows of a table of settings by name, in order."""
    return {each.name: Row(each.name, default=each.default, **each.metadata) for each in fields(cast("Any", settings))}


def settings_from(kind: type[Settings], state: object) -> Settings:
    """Return what a page asks for as settings, what it leaves out at its default; raises OptionError."""
    if not isinstance(state, dict):
        message = say("the state of a room is an object of settings")
        raise OptionError(message)
    rows = rows_of(kind)
    given = cast("dict[str, object]", state)
    for name in given:
        if name not in rows:
            message = say(
                "the room has no setting called {name}{nearest}", name=_shown(name), nearest=nearest(name, rows)
            )
            raise OptionError(message)
    return kind(**{name: rows[name].check(value) for name, value in given.items()})


def table_json(settings: type) -> list[dict[str, JsonValue]]:
    """Return a table of settings as plain values."""
    rows = rows_of(settings).values()
    return [asdict(each) | {"choices": None if each.choices is None else list(each.choices)} for each in rows]
