"""A sentence that can be said in another language: its English text, and how that was made.

Three cases explain it. ``say("no rows")`` is the text ``no rows``, a ``str`` like any other: printed, compared, hashed
and matched as before. ``say("rate {rate} is too large", rate=figure(4.0))`` remembers its template and its values, so
that a catalogue can put the same values into the words of another language; a value may be a sentence itself. A text
of the user or of another library is a plain ``str`` and is the same in every language.

The template in English is the key of the catalogue, as in GNU gettext: the sentence stands where it is made, and one
that no catalogue knows is said in English. What an f-string or ``str.join`` makes of sentences is a plain text again;
``+`` and ``joined`` keep what is remembered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from string import Formatter
from typing import Any, Literal, TypeAlias, get_args

Language: TypeAlias = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
"""What can be said: English, in which sentences are made, and Simplified Chinese."""

_VALUES_ONLY = re.compile(r"(?:\{\w+\})*")
"""A template without a word of its own, which every language shares."""


_JOINT = re.compile(r"[\u4e00-\u9fff][A-Za-z0-9]|[A-Za-z0-9%][\u4e00-\u9fff]")
"""Where a space belongs between Chinese and what is not: a value may be of either kind."""


class Sentence(str):
    """An English text with the template and the values that it was made of; ``""`` and none for a text as it stands."""

    template: str
    values: Mapping[str, str]

    def __new__(cls, text: str = "", template: str = "", values: Mapping[str, str] | None = None) -> Sentence:
        """Return a text that remembers how it was made; ``say`` is the way to make one."""
        made = super().__new__(cls, text)
        made.template, made.values = template, values or {}
        return made

    def __getnewargs__(self) -> tuple[str, str, Mapping[str, str]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return what a copy is made of."""
        return str(self), self.template, self.values

    def __add__(self, other: str) -> Sentence:
        """Return both as one sentence."""
        return joined("", (self, other))

    def __radd__(self, other: str) -> Sentence:
        """Return both as one sentence, the plain text first."""
        return joined("", (other, self))


NOTHING = Sentence()
"""What is said where there is nothing to say."""


def say(template: str, /, **values: str | int) -> Sentence:
    """Return a sentence whose template names its values in braces; the catalogues are keyed by the template."""
    told = {name: each if isinstance(each, str) else str(each) for name, each in values.items()}
    return Sentence(template.format(**told), template, told)


def named(name: object) -> Sentence:
    """Return the name of an option, such as ``log`` of a loss, to be said by the field's word for it."""
    return Sentence(str(name), str(name))


def joined(between: str, parts: Iterable[str]) -> Sentence:
    """Return parts as one sentence with a text between each and the next, as ``str.join`` does."""
    told: dict[str, str] = {}
    for each in parts:
        if told and between:
            told[f"p{len(told)}"] = between
        told[f"p{len(told)}"] = each
    return Sentence("".join(told.values()), "".join(f"{{{name}}}" for name in told), told)


def part_of(text: str, name: str) -> str:
    """Return the value of this name that a sentence was made with; empty for a text that was not."""
    return text.values.get(name, "") if isinstance(text, Sentence) else ""


def in_language(text: str, language: Language) -> str:
    """Return a text in a language; in English what no catalogue knows, and as it stands what is no sentence."""
    if language == "en" or not isinstance(text, Sentence) or not text.template:
        return str(text)
    pattern = text.template if _VALUES_ONLY.fullmatch(text.template) else catalogue(language).get(text.template)
    if pattern is None:
        return str(text)
    try:
        return _filled(pattern, {name: in_language(each, language) for name, each in text.values.items()})
    except KeyError:  # the record of another version, whose sentence had other values
        return str(text)


def _filled(pattern: str, values: Mapping[str, str]) -> str:
    """Return a pattern with its values; raises KeyError for one that is not there."""
    text = ""
    for literal, name, _, _ in Formatter().parse(pattern):
        for piece in (literal, values[name] if name is not None else ""):
            apart = _JOINT.fullmatch(text[-1:] + piece[:1])
            text += f" {piece}" if apart else piece
    return text


def both(text: str) -> dict[Language, str]:
    """Return a text in every language, ``{"en": ..., "zh": ...}``: what travels to a page."""
    return {language: in_language(text, language) for language in LANGUAGES}


@cache
def catalogue(language: Language) -> Mapping[str, str]:
    """Return the sentences of a language by their English template, read when first asked for."""
    return import_module(f"downslope.words.{language}").SENTENCES


def how_made(sentence: Sentence) -> dict[str, Any]:
    """Return the template and the values of a sentence as JSON values."""
    return {"say": sentence.template, "values": {name: _value(each) for name, each in sentence.values.items()}}


def remade(text: str, told: Mapping[str, Any]) -> Sentence:
    """Return the sentence of an English text and of what ``how_made`` gave; raises KeyError or TypeError."""
    return Sentence(text, str(told["say"]), {str(name): _read(each) for name, each in told["values"].items()})


def _value(value: str) -> Any:
    if isinstance(value, Sentence) and value.template:
        return {"text": str(value), **how_made(value)}
    return str(value)


def _read(value: Any) -> str:
    return value if isinstance(value, str) else remade(str(value["text"]), value)
