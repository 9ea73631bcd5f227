"""What was asked for: one table of settings, from which every face is derived.

``Spec`` is the only configuration. Each field carries a ``Setting``: its help text, its choices or its
range. The command line's flags, the estimators' parameters and the checks of a value all read that table,
so they cannot disagree. ``auto`` is a value like any other: it asks for a choice made by measurement, and
the finished run records in ``Run.resolved`` what it became.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from typing import Any, Literal, TypeAlias, cast

from downslope.errors import OptionError, nearest
from downslope.records.grams import Kind
from downslope.records.sizes import bytes_of
from downslope.types import JsonValue
from downslope.words import NOTHING, Sentence, joined, say

Auto: TypeAlias = Literal["auto"]

LOSSES = (
    "squared",
    "absolute",
    "huber",
    "quantile",
    "poisson",
    "log",
    "softmax",
    "hinge",
    "squared-hinge",
)
METHODS = ("scaled", "full-batch", "mini-batch", "stochastic")
RULES = ("plain", "momentum", "nesterov", "adagrad", "rmsprop", "adam")
"""The rules of every engine."""
NETWORK_RULES = ("adamw", "lion", "prodigy", "schedule-free")
"""More rules, for networks and functions."""
ACTIVATIONS = ("linear", "sigmoid", "tanh", "relu", "leaky-relu", "gelu", "silu", "softplus")
NORMALISATIONS = ("none", "batch", "layer")
STARTS = ("zeros", "constant", "normal", "uniform", "glorot", "he", "lecun", "orthogonal")
SCHEDULES = ("constant", "inverse", "step", "exponential", "cosine")


@dataclass(frozen=True)
class Setting:
    """How one setting may be set.

    help: one line for ``--help`` and for the documentation of the estimators.
    choices: the names allowed, when it is a name.
    low, high: the range of a number; ``open_low`` and ``open_high`` exclude the end itself.
    whole: only whole numbers.
    auto: ``"auto"`` is allowed. none: None is allowed.
    group: the heading it stands under in ``--help``.
    """

    help: str
    choices: tuple[str, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    whole: bool = False
    auto: bool = False
    none: bool = False
    group: str = "Training"

    @property
    def numeric(self) -> bool:
        """True where a number is expected."""
        return self.whole or not math.isinf(self.low)

    def describe(self) -> Sentence:
        """Return what is allowed, such as ``"auto" or a number above 0``."""
        allowed = [say('"{name}"', name="auto")] if self.auto else []
        allowed += [say('"{name}"', name=each) for each in self.choices if each != "auto"]
        if self.numeric:
            allowed.append(self._range())
        if len(allowed) < 2:
            return joined("", allowed)
        return say("{names} or {last}", names=joined(say(", "), allowed[:-1]), last=allowed[-1])

    def _range(self) -> Sentence:
        low, high = f"{self.low:g}", f"{self.high:g}"
        ends: list[Sentence] = []
        if self.low > -math.inf:
            ends.append(say(" above {low}", low=low) if self.open_low else say(" of at least {low}", low=low))
        if self.high < math.inf:
            ends.append(say(" below {high}", high=high) if self.open_high else say(" at most {high}", high=high))
        kind = say("a whole number") if self.whole else say("a number")
        return say("{kind}{ends}", kind=kind, ends=joined(say(" and"), ends))

    def check(self, name: str, value: object) -> None:
        """Raise OptionError unless ``value`` is allowed for the setting called ``name``."""
        if (value is None and self.none) or (self.auto and isinstance(value, str) and value == "auto"):
            return
        if self.choices and isinstance(value, str) and value in self.choices:
            return
        if self.numeric and _is_number(value) and self._in_range(float(cast("float", value))):
            return
        if not self.choices and not self.numeric:
            return
        hint = nearest(value, self.choices) if isinstance(value, str) and self.choices else NOTHING
        if "nearest" not in hint:
            hint = NOTHING  # the sentence names all choices as it is
        message = say(
            "{name} must be {allowed}, not {value}{hint}",
            name=name.replace("_", "-"),
            allowed=self.describe(),
            value=repr(value),
            hint=hint,
        )
        raise OptionError(message)

    def _in_range(self, number: float) -> bool:
        above = number > self.low if self.open_low else number >= self.low
        below = number < self.high if self.open_high else number <= self.high
        return above and below and math.isfinite(number) and (not self.whole or number == int(number))


def _is_number(value: object) -> bool:
    return hasattr(value, "__float__") and not isinstance(value, bool | str)


def setting(default: object, help: str, **limits: Any) -> Any:
    """Declare a field of ``Spec`` together with its ``Setting``."""
    return field(default=default, metadata={"setting": Setting(help, **limits)})


@dataclass(frozen=True)
class Spec:
    """Everything that was asked of one run. Hyperparameters live here, learned weights never do."""

    # What to learn from.
    source: str = setting("", "file, glob or folder to learn from", group="Data")
    target: str = setting("", "column to predict", group="Data")
    sql: str | None = setting(None, "a query to learn from, instead of a file", none=True, group="Data")
    drop: tuple[str, ...] = setting((), "columns to leave out", group="Data")
    where: str | None = setting(None, "keep only the rows for which this SQL condition holds", none=True, group="Data")
    weights: str | None = setting(None, "column with the weight of each example", none=True, group="Data")
    holdout: float = setting(
        0.2, "share of the rows kept aside to judge the model", low=0, high=1, open_high=True, group="Data"
    )
    holdout_by: str | None = setting(
        None, "column whose last values (a time) or random groups are held out", none=True, group="Data"
    )
    memory: str | None = setting(
        None, "most memory to take, such as 1GB; a table that does not fit is streamed (default half of what is free)",
        none=True, group="Data",
    )  # fmt: skip
    cache: str | None = setting(
        None, "folder for the encoded blocks of tables larger than memory", none=True, group="Data"
    )
    cache_size: str | None = setting(
        None, "most disk that such blocks may take, such as 50GB (default half of what is free); the oldest go",
        none=True, group="Data",
    )  # fmt: skip
    text: tuple[str, ...] = setting((), "columns of text, learned from by their n-grams", group="Data")
    grams: tuple[str, ...] = setting(
        ("word:1-2",), "n-grams of a text: word:1-2, char:3-5 or char_wb:3-5 (characters within words)", group="Data"
    )
    hash_bits: int | Auto = setting(
        "auto", "bits of the hash of n-grams; when given, categories of many levels are hashed, too", low=10, high=30,
        whole=True, auto=True, group="Data",
    )  # fmt: skip
    skip_bad_lines: bool = setting(
        False, "leave malformed lines of svmlight and Vowpal Wabbit files out, and count them", group="Data"
    )
    skip_bad_files: bool = setting(False, "leave damaged files out, and count them", group="Data")
    cluster: str | None = setting(
        None, "train on the workers of a Ray cluster: its address, or auto to start one here", none=True, group="Data"
    )
    workers: int | Auto = setting(
        "auto", "workers of the cluster that share the rows", low=1, whole=True, auto=True, group="Data"
    )
    passes: int | None = setting(
        None, "1 to learn from every row once, as it comes, with nothing cached; so does standard input", low=1,
        whole=True, none=True, group="Data",
    )  # fmt: skip
    # What to minimise.
    loss: str = setting("auto", "loss to minimise", choices=LOSSES, auto=True, group="Objective")
    huber_delta: float | Auto = setting(
        "auto",
        "residual at which huber turns from squared to absolute",
        low=0,
        open_low=True,
        auto=True,
        group="Objective",
    )
    quantile: float = setting(
        0.5,
        "quantile that the quantile loss predicts",
        low=0,
        high=1,
        open_low=True,
        open_high=True,
        group="Objective",
    )
    l1: float = setting(0.0, "weight of the sum of absolute weights", low=0, group="Objective")
    l2: float | Auto = setting("auto", "weight of half the sum of squared weights", low=0, auto=True, group="Objective")
    class_weight: str | None = setting(
        None,
        "weight of each class: balanced, or each example alike",
        choices=("balanced",),
        none=True,
        group="Objective",
    )
    fit_intercept: bool = setting(True, "learn an intercept, which no penalty touches", group="Objective")
    standardize: bool = setting(True, "bring every number column to mean 0 and deviation 1", group="Objective")
    # What is learned.
    model: str = setting(
        "auto", "linear, mlp:64,32 (hidden layers) or cnn:16,32/64 (convolutions, then hidden layers)", group="Model"
    )
    activation: str = setting("relu", "what each hidden unit does with its score", choices=ACTIVATIONS, group="Model")
    normalisation: str = setting(
        "none", "bring hidden units to mean 0 and deviation 1", choices=NORMALISATIONS, group="Model"
    )
    dropout: float = setting(
        0.0, "share of the hidden units left out at each step", low=0, high=1, open_high=True, group="Model"
    )
    start: str = setting("he", "where the weights of a network start", choices=STARTS, group="Model")
    resize: int | None = setting(
        None, "bring images to this many pixels a side", low=1, whole=True, none=True, group="Data"
    )
    # How to go down.
    method: str = setting("auto", "which examples make a step", choices=METHODS, auto=True)
    rule: str = setting("auto", "how a gradient becomes a step", choices=RULES + NETWORK_RULES, auto=True)
    learning_rate: float | Auto = setting(
        "auto", "length of a step per unit of gradient", low=0, open_low=True, auto=True
    )
    schedule: str = setting("auto", "how the learning rate falls over the run", choices=SCHEDULES, auto=True)
    warmup: float = setting(
        0.0, "share of the updates over which the learning rate rises from zero", low=0, high=1, open_high=True
    )
    momentum: float = setting(
        0.9, "share of the last step kept by momentum and nesterov", low=0, high=1, open_high=True
    )
    average: bool | Auto = setting("auto", "return the mean of the late iterates", auto=True)
    batch_size: int | Auto = setting("auto", "examples in a mini-batch", low=1, whole=True, auto=True)
    weight_decay: float | None = setting(
        None, "share of each weight, times the learning rate, taken off at a step (networks)", low=0, none=True
    )
    clip: float | None = setting(
        None, "longest gradient let through unshortened (networks)", low=0, open_low=True, none=True
    )
    measure_every: float | None = setting(
        None, "passes between two measurements of a network's curvature and noise, beside the first and the last",
        low=0, open_low=True, none=True,
    )  # fmt: skip
    keep_path: int | Auto = setting(
        "auto", "moments of a network's weights to keep, from which slices show the path of the run", low=0,
        whole=True, auto=True,
    )  # fmt: skip
    pieces: int = setting(1, "parts of a batch whose gradients are added up, to save memory", low=1, whole=True)
    # When to stop.
    tolerance: float = setting(
        1e-4,
        "gap at which to stop: the share of the loss drop still possible",
        low=0,
        high=1,
        open_high=True,
        group="Stop",
    )
    epochs: float | Auto = setting("auto", "most passes over the data", low=0, open_low=True, auto=True, group="Stop")
    patience: int = setting(
        5, "looks at the held-out loss without a new lowest before a network stops", low=1, whole=True, group="Stop"
    )
    max_seconds: float | None = setting(None, "most seconds to descend", low=0, open_low=True, none=True, group="Stop")
    checkpoint_seconds: float = setting(
        30.0, "seconds between two checkpoints, from which a killed run is resumed; 0 for none", low=0, group="Stop"
    )
    seed: int = setting(0, "seed of the hold-out and of the order of examples", low=0, whole=True, group="Stop")
    precision: str = setting("auto", "arithmetic on the data", choices=("float32", "float64"), auto=True, group="Stop")

    def __post_init__(self) -> None:
        """Check every setting, and the pairs that exclude each other; raises OptionError."""
        for each in fields(self):
            setting_of(each).check(each.name, getattr(self, each.name))
        bytes_of("memory", self.memory)
        bytes_of("cache_size", self.cache_size)

        for each in self.grams:
            Kind.of(each)
        self._check_pairs()

    def _check_pairs(self) -> None:
        for message, wrong in (
            (say("--sql and a source exclude each other; give one of them"), bool(self.sql and self.source)),
            (
                say(
                    "batch-size applies to mini-batch, but the method is {method}; leave one of them out",
                    method=self.method,
                ),
                self.batch_size != "auto" and self.method not in ("auto", "mini-batch"),
            ),
            (
                say(
                    "the scaled method chooses its own direction and length of step, so rule, schedule, warmup "
                    "and learning-rate do not apply to it; leave them out or name another method"
                ),
                self.method == "scaled"
                and (self.rule, self.schedule, self.warmup, self.learning_rate) != ("auto", "auto", 0, "auto"),
            ),
            (
                say("the rule {rule} is for networks; name a --model such as mlp:64 or another rule", rule=self.rule),
                self.rule in NETWORK_RULES and self.model == "linear",
            ),
            (
                say("a network takes mini-batches, but the method is {method}; leave it out", method=self.method),
                self.model not in ("auto", "linear") and self.method in ("scaled", "full-batch", "stochastic"),
            ),
            (
                say("text is learned from by linear models, but the model is {model}; leave one out", model=self.model),
                bool(self.text) and self.model not in ("auto", "linear"),
            ),
            (
                say("text and hashed columns are learned from on one machine; leave --cluster out"),
                (bool(self.text) or not isinstance(self.hash_bits, str)) and self.cluster is not None,
            ),
            (say("the target cannot also be a text to learn from"), self.target != "" and self.target in self.text),
            (say("grams needs at least one kind of n-grams"), not self.grams),
            (say("the target cannot also be dropped"), self.target != "" and self.target in self.drop),
            (say("the target cannot also be the weights"), self.target != "" and self.target == self.weights),
            (
                say("--workers are those of a cluster; give --cluster auto, or leave them out"),
                self.workers != "auto" and self.cluster is None,
            ),
            (
                say("passes can only be 1, which learns from each row as it comes; for more of them set epochs"),
                self.passes is not None and self.passes != 1,
            ),
            (
                say(
                    "one pass takes its steps on single rows or mini-batches, without a schedule, epochs, holdout-by, "
                    "a query, a cluster or a network; leave those out, or leave passes out and name a file"
                ),
                (self.passes == 1 or self.source == "-") and not self._suits_one_pass(),
            ),
            (say("holdout-by needs a holdout above 0"), self.holdout_by is not None and self.holdout == 0),
        ):
            if wrong:
                raise OptionError(message)

    def _suits_one_pass(self) -> bool:
        plain = (self.epochs, self.holdout_by, self.sql, self.warmup) == ("auto", None, None, 0)
        plain = plain and self.cluster is None
        steps = self.method in ("auto", "mini-batch", "stochastic") and self.schedule in ("auto", "constant")
        return plain and steps and self.model in ("auto", "linear")

    def to_json(self) -> dict[str, JsonValue]:
        """Return the settings as plain values, in order, for ``spec.toml`` and ``run.json``."""
        values: dict[str, Any] = asdict(self)
        return {
            name: list(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else value
            for name, value in values.items()
        }

    @classmethod
    def from_json(cls, values: dict[str, JsonValue]) -> Spec:
        """Return the Spec that ``to_json`` gave, absent settings at their default; raises OptionError."""
        known = [each.name for each in fields(cls)]
        for name in values:
            if name not in known:
                message = say('there is no setting called "{name}"{nearest}', name=name, nearest=nearest(name, known))
                raise OptionError(message)
        given: dict[str, Any] = {
            name: tuple(cast("list[str]", value)) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**given)


def setting_of(each: Field[Any]) -> Setting:
    """Return the Setting of a field of Spec."""
    return cast("Setting", each.metadata["setting"])


def settings() -> dict[str, tuple[object, Setting]]:
    """Return name -> (default, Setting) for every field of Spec, in order."""
    return {each.name: (None if each.default is MISSING else each.default, setting_of(each)) for each in fields(Spec)}
