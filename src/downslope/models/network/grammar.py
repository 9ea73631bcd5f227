"""The short grammar of models: what ``--model`` may be.

    linear
    mlp                 one hidden layer of 64 units
    mlp:64,32           hidden layers of 64 and of 32 units
    cnn                 the same as cnn:16,32/128
    cnn:16,32/64        convolutions of 16 and of 32 channels, then a hidden layer of 64 units

A convolution has a kernel of 3 x 3 and keeps the size of its image; each is followed by a pooling of 2 x 2.
"""

from __future__ import annotations

from dataclasses import dataclass

from downslope.errors import OptionError, nearest
from downslope.types import JsonValue
from downslope.words import Sentence, say

KINDS = ("linear", "mlp", "cnn")
DEFAULTS = {"linear": "linear", "mlp": "mlp:64", "cnn": "cnn:16,32/128"}
MOST_UNITS = 1 << 20


@dataclass(frozen=True)
class Architecture:
    """What a network is made of.

    kind: linear, mlp or cnn. channels: of each convolution, first to last. hidden: units of each hidden layer.
    activation, normalisation, start: names, as in ``Spec``. dropout: share of the units left out in training.
    """

    kind: str
    channels: tuple[int, ...] = ()
    hidden: tuple[int, ...] = ()
    activation: str = "relu"
    normalisation: str = "none"
    dropout: float = 0.0
    start: str = "he"

    @property
    def text(self) -> str:
        """The model string that gives this architecture."""
        if self.kind == "linear":
            return self.kind
        hidden = ",".join(map(str, self.hidden))
        if self.kind == "mlp":
            return f"mlp:{hidden}"
        return f"cnn:{','.join(map(str, self.channels))}" + (f"/{hidden}" if hidden else "")

    def to_json(self) -> dict[str, JsonValue]:
        """Return the architecture as plain values."""
        return {
            "model": self.text, "activation": self.activation, "normalisation": self.normalisation,
            "dropout": self.dropout, "start": self.start,
        }  # fmt: skip

    @classmethod
    def from_json(cls, values: dict[str, JsonValue]) -> Architecture:
        """Return the architecture that ``to_json`` gave; raises OptionError."""
        settings: dict[str, object] = {name: value for name, value in values.items() if name != "model"}
        return parse_model(str(values["model"]), **settings)  # type: ignore[arg-type]


def parse_model(
    text: str, activation: str = "relu", normalisation: str = "none", dropout: float = 0.0, start: str = "he"
) -> Architecture:
    """Return the architecture that a model string stands for; raises OptionError, showing where it does not parse."""
    kind, colon, _ = text.partition(":")
    if kind not in KINDS:
        message = say(
            'the model "{text}" is none that is known{nearest}; write linear, mlp:64,32 or cnn:16,32/64',
            text=text,
            nearest=nearest(kind, KINDS),
        )
        raise OptionError(message)
    if kind == "linear" and colon:
        raise OptionError(_shown(text, len(kind), say("a linear model has no layers to name; write linear")))
    whole = text if colon else DEFAULTS[kind]
    first, slash, last = whole.partition(":")[2].partition("/")
    if kind == "mlp" and slash:
        raise OptionError(_shown(text, text.index("/"), say("an mlp has no convolutions; write mlp:64,32")))
    begin = len(kind) + 1
    channels = _sizes(text, first, begin) if kind == "cnn" else ()
    hidden = _sizes(text, first, begin) if kind == "mlp" else ()
    if slash:
        hidden = _sizes(text, last, begin + len(first) + 1)
    return Architecture(kind, channels, hidden, activation, normalisation, dropout, start)


def _sizes(text: str, part: str, begin: int) -> tuple[int, ...]:
    """Return the whole numbers of a comma-separated part, which starts at ``begin`` of ``text``."""
    sizes: list[int] = []
    for piece in part.split(",") if part or begin <= len(text) else []:
        if not piece.strip().isdecimal() or not 0 < int(piece) <= MOST_UNITS:
            what = (
                say('"{piece}" is not a number of units', piece=piece)
                if piece.strip()
                else say("a number of units is missing")
            )
            raise OptionError(_shown(text, begin, say("{what}; write whole numbers such as 64,32", what=what)))
        sizes.append(int(piece))
        begin += len(piece) + 1
    return tuple(sizes)


def _shown(text: str, place: int, message: Sentence) -> Sentence:
    """Return a message with the place in the model string marked."""
    return say(
        'the model "{text}" does not parse at character {place}, "{before}>{after}": {message}',
        text=text,
        place=place + 1,
        before=text[:place],
        after=text[place:],
        message=message,
    )
