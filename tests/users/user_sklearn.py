"""What users write with fastloss.sklearn."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_type

import fastloss as fl
from fastloss import sklearn as fls

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 3))
y = (X[:, 0] + rng.normal(size=60) > 0).astype(int)
amount = np.exp(X[:, 0])

model = fls.LossClassifier(loss=fl.BinaryFocal(gamma=1.0), penalty="elasticnet", alpha=1e-3, l1_ratio=0.2)
assert_type(model.fit(X, y, sample_weight=np.ones(60)), fls.LossClassifier)
assert_type(model.predict(X), NDArray[Any])
assert_type(model.decision_function(X), NDArray[Any])
assert_type(model.loss_curve_, list[float])
assert_type(model.n_iter_, int)
p: NDArray[np.float64] = model.predict_proba(X)
print(model.coef_ @ X[0], model.intercept_, model.classes_, model.score(X, y), model.get_params())

regressor = fls.LossRegressor("huber", penalty=None, solver="newton")
assert_type(regressor.fit(X, amount), fls.LossRegressor)
assert_type(regressor.predict(X), NDArray[Any])

path = fls.LossClassifierCV("focal", penalty="l1", alphas=3, cv=3, one_standard_error=True)
assert_type(path.fit(X, y), fls.LossClassifierCV)
assert_type(path.alpha_, float)
assert_type(path.cv_scores_, NDArray[Any])
assert_type(fls.LossRegressorCV(alphas=[0.1, 1.0]).fit(X, amount, offset=X[:, 1]), fls.LossRegressorCV)
bounded = fls.LossRegressor("poisson", penalty_weight=[1, 0, 2], bounds=(0, None)).fit_blocks(
    [(X, amount), (X, amount)]
)
assert_type(fls.LossClassifier().partial_fit(X, y, classes=[0, 1]), fls.LossClassifier)
assert_type(fls.LossRegressor().partial_fit(X, amount), fls.LossRegressor)
errors: NDArray[Any] = regressor.inference(X, amount, covariance="robust").standard_errors

ordinal = fls.OrdinalClassifier().fit(X, np.digitize(amount, [0.5, 2.0]))
assert_type(ordinal.predict(X), NDArray[Any])

scorer = fls.loss_scorer(fl.BinaryCrossEntropy(), labels=[0, 1])
print(scorer(model, X, y))
trees = fls.HistGradientBoostingRegressor(loss="gaussian_nll", max_iter=2).fit(X, amount)
mean_of_trees: NDArray[Any] = trees.predict(X)
boosting_loss = fls.hist_gradient_boosting_loss("binary_focal", curvature="psd")

temperature = fls.TemperatureScaling(model, cv=3)
assert_type(temperature.fit(X, y), fls.TemperatureScaling)
assert_type(fls.VectorScaling(model).fit(X, y), fls.VectorScaling)
calibrated: NDArray[np.float64] = temperature.predict_proba(X)

assert_type(fls.log_loss(y, p), float)
assert_type(fls.brier_score_loss(y, p[:, 1]), float)
assert_type(fls.d2_log_loss_score(y, p), float)
assert_type(fls.d2_brier_score(y, p[:, 1]), float)
assert_type(fls.hinge_loss(y, model.decision_function(X)), float)
assert_type(fls.mean_poisson_deviance(amount, amount), float)
assert_type(fls.mean_gamma_deviance(amount, amount), float)
assert_type(fls.mean_tweedie_deviance(amount, amount, power=1.5), float)
error: float = (
    fls.mean_squared_error(amount, X[:, 0])
    + fls.mean_absolute_error(amount, X[:, 0])
    + fls.mean_pinball_loss(amount, X[:, 0], alpha=0.9)
)
