"""What users write with fastloss.dask."""

import dask.array as da

import fastloss as fl
from fastloss import dask as fld

prediction, target = da.zeros(8, chunks=4), da.ones(8, chunks=4)
print(fld.value(fl.Huber(), prediction, target).compute())
value, gradient = fld.value_and_gradient(fl.Huber(), prediction, target, reduction="sum")
print(value.compute(), gradient.compute())
gradient, hessian = fld.gradient_and_hessian(fl.Huber(), prediction, target, curvature="psd")
print(gradient.compute(), hessian.compute())

X, y = da.zeros((4, 1), chunks=2), [1.0, 3.0, 5.0, 7.0]
print(fld.LossRegressor("squared_error", penalty=None).fit(X, y).predict(X).compute())
print(fld.LossClassifier().fit(X, [0, 1, 0, 1]).predict_proba(X).compute())
