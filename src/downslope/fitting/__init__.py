"""The main job: from a source to a run, the one room where data, training, diagnosis and store meet."""

from downslope.fitting.fit import fit, predict
from downslope.fitting.race import race
from downslope.fitting.sweep import sweep

__all__ = ["fit", "predict", "race", "sweep"]
