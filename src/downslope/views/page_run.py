"""The page of a trained model: where it ended and what that rests on, how it went down, and what was found."""

from __future__ import annotations

import shlex
from typing import Any, cast

from downslope.records import Coefficient, Curvature, DataSummary, Run
from downslope.records.files import plain
from downslope.records.networks import has_hidden_layers, is_network, layer_label
from downslope.records.scores import SCORES, Score
from downslope.records.shape import Look
from downslope.records.spec import Spec
from downslope.types import JsonValue
from downslope.views.page_parts import (
    Numbers,
    Page,
    asked_of,
    bound,
    choices_of,
    findings_of,
    number,
    numbers,
    python_value,
    steps_of,
    stop_of,
    told,
)
from downslope.views.page_path import path_of
from downslope.words import Sentence

COLUMNS = 500
"""Most columns of the data that a page lists."""
LOOK = (
    "update", "passes", "learning_rate", "limit", "largest", "smallest", "condition", "noise", "noise_low",
    "noise_high",
)  # fmt: skip
"""The columns of the array ``looks``."""


def run_page(run: Run) -> Page:
    """Return what a page shows of a run of ``fit``, linear model or network."""
    content: dict[str, Any] = {
        "kind": "run", "run": run.run, "source": run.spec.sql or run.spec.source, "target": run.spec.target,
        "network": is_network(run), "hidden": has_hidden_layers(run), "loss": run.setting("loss"),
        "model": run.setting("model"), "method": run.setting("method"), "rule": run.resolved.get("rule"),
        "verdict": run.verdict.value, "message": told(run.message),
        "gap": number(run.gap), "gap_kind": run.gap_kind.value, "to_come": number(run.predicted_passes),
        "objective_at_start": number(run.objective_at_start), "objective": number(run.objective),
        "passes": run.passes, "updates": run.updates, "rows": run.data.train_rows,
        "seconds": {name: number(each) for name, each in run.seconds.items()},
        "scores": _scores(run), "findings": findings_of(run.findings), "choices": choices_of(run.choices),
        "settings": {name: plain(run.setting(name)) for name in run.resolved if hasattr(run.spec, name)},
        "asked": asked_of(run.spec), "coefficients": [_coefficient(each) for each in run.coefficients],
        "curvature": _curvature(run.curvature), "layers": _layers(run), "stop_point": stop_of(run.stop_point),
        "data": _data(run.data), "environment": plain(dict(run.environment)),
        "command": command_of(run.spec), "python": python_of(run.spec),
    }  # fmt: skip
    arrays: dict[str, Numbers] = {"steps": steps_of(run.steps), "looks": _looks(run.looks)}
    if run.trajectory is not None and len(run.trajectory.updates) > 1:
        content["path"], path = path_of(run.trajectory)
        arrays["path"] = path
    return Page(content, arrays)


def _scores(run: Run) -> list[JsonValue]:
    tables = {"train": run.train, "holdout": run.holdout, "baseline": run.baseline}
    known = {name for scores in tables.values() for name in scores}
    names = [name for name in SCORES if name in known] + sorted(known - set(SCORES))
    return [_score(name, {each: scores.get(name) for each, scores in tables.items()}) for name in names]


def _score(name: str, values: dict[str, float | None]) -> JsonValue:
    known = SCORES.get(name, Score(Sentence(name.replace("_", " ")), higher=True))
    shown = {each: None if value is None else number(value) for each, value in values.items()}
    return {"name": name, "label": told(known.label), "higher": known.higher, "share": known.share, **shown}


def _coefficient(each: Coefficient) -> JsonValue:
    return {
        "feature": each.feature, "value": number(each.value), "strength": number(each.strength),
        "output": each.output,
    }  # fmt: skip


def _curvature(shape: Curvature) -> JsonValue:
    return {
        "largest": number(shape.largest), "smallest": number(shape.smallest),
        "condition_before": bound(shape.condition_before), "condition_after": bound(shape.condition_after),
        "stability_limit": number(shape.stability_limit),
    }  # fmt: skip


def _looks(looks: tuple[Look, ...]) -> Numbers:
    return numbers(
        [
            (
                look.update, look.passes, look.learning_rate, look.limit, look.shape.largest, look.shape.smallest,
                look.shape.condition, look.noise.scale, look.noise.low, look.noise.high,
            )
            for look in looks
        ],
        len(LOOK),
    )  # fmt: skip


def _layers(run: Run) -> JsonValue:
    """Return the layers at the last look, and on how much the look rests; None where there was none."""
    if not run.looks:
        return None
    look = run.looks[-1]
    return {
        "update": look.update, "rows": look.noise.rows, "all_rows": look.noise.all_rows,
        "curvature_rows": look.shape.rows, "weights": look.shape.weights,
        "layers": [
            {
                "name": layer_label(each.name), "weights": number(each.weights), "gradient": number(each.gradient),
                "update": number(each.update), "units": each.units, "rank": each.rank, "dead": number(each.dead),
            }
            for each in look.noise.layers
        ],
    }  # fmt: skip


def _data(data: DataSummary) -> JsonValue:
    columns = [
        {
            "name": each.name, "kind": each.kind, "treatment": told(each.treatment), "features": each.features,
            "missing": each.missing,
        }
        for each in data.columns[:COLUMNS]
    ]  # fmt: skip
    return {
        "rows": data.rows, "train_rows": data.train_rows, "holdout_rows": data.holdout_rows,
        "dropped_rows": data.dropped_rows, "features": data.features, "target_kind": data.target_kind,
        "classes": list(data.classes), "columns": columns, "all_columns": len(data.columns),
    }  # fmt: skip


def command_of(spec: Spec) -> str:
    """Return the command that asks for the same; empty where the data is no file."""
    if not spec.source and not spec.sql:
        return ""
    words = [
        "downslope",
        "fit",
        *([spec.source] if spec.source else []),
        *(["--target", spec.target] * bool(spec.target)),
    ]
    for name, value in asked_of(spec, ("source", "target")).items():
        words += _option(name, value)
    return shlex.join(words)


def _option(name: str, value: JsonValue) -> list[str]:
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag[2:]}"]
    if isinstance(value, list):
        return [word for each in cast("list[JsonValue]", value) for word in (flag, _quoted(str(each)))]
    return [flag, "none" if value is None else str(value)]


def _quoted(name: str) -> str:
    """Return a name as a list of names has it: one with a comma, a quote or a space before it in quotes."""
    plain_name = not any(mark in name for mark in ',"\n') and name == name.strip()
    return name if plain_name else '"' + name.replace('"', '""') + '"'


def python_of(spec: Spec) -> str:
    """Return the Python that asks for the same."""
    source = repr(spec.source) if spec.source else "None" if spec.sql else "table"
    given = [source, f"target={spec.target!r}"] if spec.target else [source]
    given += [f"{name}={python_value(value)}" for name, value in asked_of(spec, ("source", "target")).items()]
    arguments = ", ".join(given)
    whole = f"run = ds.fit({arguments})"
    if len(whole) > 100:
        whole = "run = ds.fit(\n" + "".join(f"    {each},\n" for each in given) + ")"
    return f"import downslope as ds\n\n{whole}\nrun.show()\n"
