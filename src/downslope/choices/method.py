"""Which method: by what each would cost on these examples."""

from __future__ import annotations

from downslope.choices.curvature import WIDE
from downslope.data.blocks import Source
from downslope.models.linear import Objective
from downslope.records import Choice, Spec
from downslope.words import say


def choose_method(examples: Source, objective: Objective, spec: Spec) -> tuple[str, Choice | None]:
    """Return the method and, where it was ``auto``, why."""
    if spec.method != "auto":
        return spec.method, None
    asked = [
        name
        for name, wanted in (("mini-batch", spec.batch_size != "auto"), ("full-batch", spec.learning_rate != "auto"))
        if wanted or spec.rule != "auto"
    ]
    if asked:
        reason = say("a rule or a learning rate was given, and scaled steps choose their own")
        if spec.batch_size != "auto":
            reason = say("a batch size was given")
        return asked[0], Choice("method", asked[0], reason)
    size = say("a Hessian of {size} x {size}", size=examples.features + 1)
    if examples.features > WIDE:
        size = say("the diagonal of the Hessian")
    shape = say("a bowl, its corners rounded") if objective.loss.cornered else say("a bowl")
    reason = say("the objective is {shape}, and {size} costs about as much as a few passes", shape=shape, size=size)
    return "scaled", Choice("method", "scaled", reason)
