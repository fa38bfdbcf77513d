"""What users write with fastloss.lightgbm."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_type

import fastloss as fl
from fastloss import lightgbm as flb

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 3))
y = (X[:, 0] + rng.normal(size=60) > 0).astype(int)

classifier = flb.LGBMClassifier(loss=fl.BinaryFocal(gamma=1.0), curvature="psd", n_estimators=3, verbose=-1)
assert_type(classifier.fit(X, y), flb.LGBMClassifier)
assert_type(classifier.predict(X), NDArray[Any])
assert_type(classifier.predict_proba(X), NDArray[Any])
assert_type(classifier.decision_function(X), NDArray[Any])
regressor = flb.LGBMRegressor("huber", n_estimators=3, verbose=-1)
assert_type(regressor.fit(X, X[:, 1]), flb.LGBMRegressor)
assert_type(regressor.predict(X), NDArray[Any])
print(flb.objective(fl.Huber(2.0), curvature="majorize"), flb.metric("huber"))
ranker = flb.LGBMRanker(loss=fl.PairwiseLogistic(), verbose=-1, n_estimators=3)
assert_type(ranker.fit(X, y, group=[20, 20, 20]), flb.LGBMRanker)
cox = flb.LGBMRegressor(fl.CoxPH(), verbose=-1, n_estimators=3).fit(X, fl.survival_target(X[:, 1] ** 2 + 0.1, y))
assert_type(cox.predict_survival_function(X, [0.5, 1.0]), NDArray[Any])
