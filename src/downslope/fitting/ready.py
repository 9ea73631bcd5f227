"""What every training begins with: a call becomes a Spec, a source becomes examples."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from downslope.data.blocks import Examples
from downslope.data.features import Prepared, prepare
from downslope.data.files import holds_entries
from downslope.data.sources import read
from downslope.data.target import outputs_of
from downslope.data.text.entries import LABEL
from downslope.errors import OptionError, nearest
from downslope.machine import cores, threads
from downslope.records import Spec
from downslope.types import JsonValue
from downslope.words import say

Tell = Callable[[str, object], None]
SEVERAL = ("drop", "text", "grams")
"""Settings of several names, of which one may be given by itself."""


@dataclass(frozen=True)
class Ready:
    """A source, read and encoded. outputs: k of the model. seconds: reading and encoding."""

    spec: Spec
    prepared: Prepared
    examples: Examples
    outputs: int
    seconds: float


def spec_of(source: object, target: str | None, spec: Spec | None, settings: Mapping[str, Any]) -> Spec:
    """Return the Spec of a call; raises OptionError for a setting that does not exist."""
    known = {each.name for each in fields(Spec)}
    for name in settings:
        if name not in known:
            message = say(
                'there is no setting called "{name}"{nearest}', name=name, nearest=nearest(name, sorted(known))
            )
            raise OptionError(message)
    named: dict[str, Any] = dict(settings)
    for name in SEVERAL:
        if name in named:
            named[name] = (named[name],) if isinstance(named[name], str) else tuple(named[name])
    if target is not None:
        named["target"] = target
    if isinstance(source, str | Path):
        named["source"] = str(source)
    return with_label(replace(spec or Spec(), **named))


def with_label(spec: Spec) -> Spec:
    """Return a spec whose target is the label, where none was named and each row of the source begins with one.

    Raises OptionError for what no cluster takes.
    """
    labelled = spec.target == "" and spec.source != "" and holds_entries(spec.source)
    if labelled and spec.cluster is not None:
        message = say("text and hashed columns are learned from on one machine; leave --cluster out")
        raise OptionError(message)
    return replace(spec, target=LABEL) if labelled else spec


def make_ready(source: object, spec: Spec, tell: Tell | None = None) -> Ready:
    """Read and encode a source; raises SourceError, ColumnError, TargetError or WeightsError."""
    began = time.perf_counter()
    if not spec.target:
        message = say("no target was named; say which column to predict with --target")
        raise OptionError(message)
    table = read(
        None if spec.sql else (spec.source or source), sql=spec.sql, where=spec.where, drop=spec.drop,
        skip_bad_lines=spec.skip_bad_lines,
    )  # fmt: skip
    prepared = prepare(table, spec)
    seconds = time.perf_counter() - began
    if tell is not None:
        tell("data", prepared.summary)
    outputs = outputs_of(prepared.classes, prepared.loss)
    return Ready(spec, prepared, weighted(prepared.train, spec, len(prepared.classes)), outputs, seconds)


def weighted(examples: Examples, spec: Spec, classes: int) -> Examples:
    """Return the examples with their class weights: balanced gives every class the same total weight."""
    if spec.class_weight is None:
        return examples
    if not classes:
        message = say("class-weight needs a target of classes, but this one is a number; leave it out")
        raise OptionError(message)
    each = np.ones(examples.rows) if examples.weights is None else examples.weights
    index = examples.target.astype(np.intp)
    totals = np.bincount(index, weights=each, minlength=classes)
    share = each.sum() / (classes * np.maximum(totals, 1e-300))
    return replace(examples, weights=each * share[index])


def environment() -> dict[str, JsonValue]:
    """Return what the run was made with: versions, cores, threads."""
    import platform
    from importlib.metadata import version

    return {
        "downslope": version("downslope"), "python": platform.python_version(), "numpy": np.__version__,
        "cores": cores(), "threads": threads(),
    }  # fmt: skip
