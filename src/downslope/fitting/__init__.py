"""The main job: from a source to a run, the one room where data, training, diagnosis and store meet."""

from downslope.fitting.basins import basins
from downslope.fitting.fit import fit
from downslope.fitting.minimize import minimize
from downslope.fitting.predicting import predict, predict_in_parts
from downslope.fitting.race import race
from downslope.fitting.resume import resume
from downslope.fitting.slices import loss_shape, loss_slice
from downslope.fitting.sweep import sweep

__all__ = [
    "basins",
    "fit",
    "loss_shape",
    "loss_slice",
    "minimize",
    "predict",
    "predict_in_parts",
    "race",
    "resume",
    "sweep",
]
