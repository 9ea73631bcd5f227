"""A run as one flat object: what ``fit --json`` prints, for scripts to read."""

from __future__ import annotations

from downslope.records import Run
from downslope.records.files import plain, record_to_json
from downslope.types import JsonValue


def flat(run: Run) -> dict[str, JsonValue]:
    """Return the outcome of a run as one object of strict JSON values: NaN as null, infinity as ``"inf"``."""
    whole = record_to_json(run)
    asked = {"loss_name": "loss"} | {name: name for name in ("method", "rule", "learning_rate", "batch_size", "l2")}
    end = ("objective_at_start", "objective", "gap", "gap_kind", "verdict", "message", "predicted_passes")
    work = ("passes", "updates", "seconds", "train", "holdout", "baseline")
    shape = ("condition_before", "condition_after", "stability_limit")
    return {
        "run": run.run,
        "path": run.path,
        "source": run.spec.sql or run.spec.source,
        "target": run.spec.target,
        "rows": run.data.rows,
        "train_rows": run.data.train_rows,
        "holdout_rows": run.data.holdout_rows,
        "dropped_rows": run.data.dropped_rows,
        "features": run.data.features,
        "classes": list(run.data.classes),
        **{name: plain(run.setting(setting)) for name, setting in asked.items()},
        **{name: whole[name] for name in end + work},
        **{name: whole["curvature"][name] for name in shape},
        **{name: whole[name] for name in ("choices", "coefficients", "findings", "looks", "stop_point")},
    }
