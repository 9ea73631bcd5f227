"""Which method: by what each would cost on these examples."""

from __future__ import annotations

from downslope.choices.curvature import WIDE
from downslope.data.blocks import Examples
from downslope.models.linear import Objective
from downslope.records import Choice, Spec


def choose_method(examples: Examples, objective: Objective, spec: Spec) -> tuple[str, Choice | None]:
    """Return the method and, where it was ``auto``, why."""
    if spec.method != "auto":
        return spec.method, None
    asked = [
        name
        for name, wanted in (("mini-batch", spec.batch_size != "auto"), ("full-batch", spec.learning_rate != "auto"))
        if wanted or spec.rule != "auto"
    ]
    if asked:
        reason = "a batch size was given" if asked[0] == "mini-batch" and spec.batch_size != "auto" else (
            "a rule or a learning rate was given, and scaled steps choose their own"
        )
        return asked[0], Choice("method", asked[0], reason)
    size = "the diagonal of the Hessian" if examples.features > WIDE else (
        f"a Hessian of {examples.features + 1} x {examples.features + 1}"
    )
    shape = "a bowl, its corners rounded" if objective.loss.cornered else "a bowl"
    return "scaled", Choice("method", "scaled", f"the objective is {shape}, and {size} costs about as much as a few passes")
