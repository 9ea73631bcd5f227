"""The scikit-learn face: the same settings, the same loop, on arrays in memory."""

from downslope.estimators.classifier import GradientDescentClassifier
from downslope.estimators.regressor import GradientDescentRegressor

__all__ = ["GradientDescentClassifier", "GradientDescentRegressor"]
