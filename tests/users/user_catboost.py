"""What users write with fastloss.catboost."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_type

import fastloss as fl
from fastloss import catboost as flb

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 3))
y = (X[:, 0] + rng.normal(size=60) > 0).astype(int)

quiet: dict[str, Any] = {"iterations": 3, "verbose": False, "allow_writing_files": False}
classifier = flb.CatBoostClassifier(loss=fl.BinaryFocal(gamma=1.0), curvature="psd", **quiet)
assert_type(classifier.fit(X, y), flb.CatBoostClassifier)
assert_type(classifier.predict(X), NDArray[Any])
assert_type(classifier.predict_proba(X), NDArray[Any])
assert_type(classifier.decision_function(X), NDArray[Any])
regressor = flb.CatBoostRegressor("huber", **quiet)
assert_type(regressor.fit(X, X[:, 1]), flb.CatBoostRegressor)
assert_type(regressor.predict(X), NDArray[Any])
print(flb.objective(fl.Huber(2.0), curvature="majorize"), flb.metric("huber"))
