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
