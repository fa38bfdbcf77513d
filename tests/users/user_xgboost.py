"""What users write with fastloss.xgboost."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_type

import fastloss as fl
from fastloss import xgboost as flb

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 3))
y = (X[:, 0] + rng.normal(size=60) > 0).astype(int)

classifier = flb.XGBClassifier(loss=fl.BinaryFocal(gamma=1.0), curvature="psd", n_estimators=3)
assert_type(classifier.fit(X, y), flb.XGBClassifier)
assert_type(classifier.predict(X), NDArray[Any])
assert_type(classifier.predict_proba(X), NDArray[Any])
assert_type(classifier.decision_function(X), NDArray[Any])
regressor = flb.XGBRegressor("huber", n_estimators=3)
assert_type(regressor.fit(X, X[:, 1]), flb.XGBRegressor)
assert_type(regressor.predict(X), NDArray[Any])
print(flb.objective(fl.Huber(2.0), curvature="majorize"), flb.metric("huber"))
ranker = flb.XGBRanker(loss=fl.PairwiseLogistic(), n_estimators=3)
assert_type(ranker.fit(X, y, group=[20, 20, 20]), flb.XGBRanker)
cox = flb.XGBRegressor(fl.CoxPH(), n_estimators=3).fit(X, fl.survival_target(X[:, 1] ** 2 + 0.1, y))
assert_type(cox.predict_survival_function(X, [0.5, 1.0]), NDArray[Any])
