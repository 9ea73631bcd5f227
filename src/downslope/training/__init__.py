"""The loop: a Spec and some examples -> a stream of StepRecord -> a Training."""

from downslope.training.logbook import Training, Watch
from downslope.training.loop import train

__all__ = ["Training", "Watch", "train"]
