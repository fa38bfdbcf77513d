"""
scikit-learn: linear models, scorers, metrics, boosted trees and calibration with any loss of this package.

>>> from fastloss.sklearn import log_loss
>>> round(log_loss([0, 1], [[0.8, 0.2], [0.4, 0.6]]), 12)
0.36698458754
"""

from __future__ import annotations

try:
    import sklearn  # noqa: F401  (scikit-learn: this package is fastloss.sklearn, and imports are absolute)
except ModuleNotFoundError as error:
    if error.name != "sklearn":
        raise
    raise ImportError('fastloss.sklearn needs scikit-learn: pip install "fastloss[sklearn]"') from None

from ._boosting import HistGradientBoostingRegressor, hist_gradient_boosting_loss
from ._calibration import TemperatureScaling, VectorScaling
from ._cv import LossClassifierCV, LossRegressorCV
from ._linear import LossClassifier, LossRegressor
from ._metrics import (
    brier_score_loss,
    d2_brier_score,
    d2_log_loss_score,
    hinge_loss,
    log_loss,
    mean_absolute_error,
    mean_gamma_deviance,
    mean_pinball_loss,
    mean_poisson_deviance,
    mean_squared_error,
    mean_tweedie_deviance,
)
from ._ordinal import OrdinalClassifier
from ._scorers import loss_scorer

__all__ = [
    "HistGradientBoostingRegressor",
    "LossClassifier",
    "LossClassifierCV",
    "LossRegressor",
    "LossRegressorCV",
    "OrdinalClassifier",
    "TemperatureScaling",
    "VectorScaling",
    "brier_score_loss",
    "d2_brier_score",
    "d2_log_loss_score",
    "hinge_loss",
    "hist_gradient_boosting_loss",
    "log_loss",
    "loss_scorer",
    "mean_absolute_error",
    "mean_gamma_deviance",
    "mean_pinball_loss",
    "mean_poisson_deviance",
    "mean_squared_error",
    "mean_tweedie_deviance",
]
