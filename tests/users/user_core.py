"""What users write with fastloss itself, but for the losses, which `test_packaging.py` writes for all alike."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_type

import fastloss as fl

logits = np.array([[1.0, -1.0], [0.5, 2.0], [0.0, 0.0]])
classes = [0, 1, 1]

loss = fl.CrossEntropy(class_weight=[1.0, 2.0], label_smoothing=0.1)
assert_type(loss(logits, classes), float)
assert_type(loss(logits, classes, reduction="sum", sample_weight=[1, 0, 2]), float)
assert_type(loss(logits, classes, reduction="none"), NDArray[Any])
assert_type(loss.gradient(logits, classes), NDArray[Any])
assert_type(loss.value_and_gradient(logits, classes), tuple[float, NDArray[Any]])
assert_type(loss.value_and_gradient(logits, classes, reduction="none"), tuple[NDArray[Any], NDArray[Any]])
assert_type(loss.gradient_and_hessian(logits, classes, curvature="psd"), tuple[NDArray[Any], NDArray[Any]])
assert_type(loss.value_gradient_and_hessian(logits, classes), tuple[float, NDArray[Any], NDArray[Any]])

chosen = "sum" if logits.size > 5 else "none"
either = fl.Huber()(logits, logits, reduction=chosen)  # a str: anything may come
dice = fl.Dice()
assert_type(dice(logits, np.eye(2)[classes], axis=0, reduction="none"), NDArray[Any])
assert_type(dice.name, str)
assert_type(dice.parameters, dict[str, Any])

parts: list[fl.Huber] = sorted([fl.Huber(2.0), fl.Huber(delta=1.0)], key=lambda each: float(each.parameters["delta"]))
numbers: dict[fl.BinaryFocal, float] = {fl.BinaryFocal(): 1.0}

number: float = fl.mse([1.0], [2.0]) + fl.l2([1.0], [2.0]) + fl.zero_one(logits, classes)
array: NDArray[np.float64] = np.empty_like(logits)
array = fl.log_softmax(logits, out=array)
array = fl.softmax(logits, axis=1) + fl.sigmoid(logits) + fl.log_sigmoid(logits)
array = fl.logsumexp(logits, axis=-1)

weight = np.ones((4, 2))
number = fl.linear_cross_entropy(logits, weight, classes, label_smoothing=0.1)
number, (of_x, of_weight, of_bias) = fl.linear_cross_entropy_value_and_gradient(logits, weight, classes, [0.0] * 4)

running = fl.streaming(loss, reduction="sum").update(logits, classes)
number = running.update_from([(logits, classes)]).value() + running.weight_sum

assert_type(fl.get_num_threads(), int)
fl.set_num_threads(None)
with fl.num_threads(1):
    assert_type(fl.config(), dict[str, Any])
names: list[str] = [each.__name__ for each in fl.losses()]

value, gradient, hessian = fl.reference.huber([1.0], [0.0], delta=1.0)


def objective(z: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """A user's own objective."""
    return fl.BinaryFocal().gradient_and_hessian(z, y, reduction="sum", curvature="psd")


def with_another_delta(loss: fl.Loss) -> fl.Loss:
    """A user's own search."""
    return loss.replace(delta=2.0 * fl.Huber(1.5).delta)


print(with_another_delta(fl.Huber()).kind)
report = fl.check_objective(objective, fl.BinaryFocal())
assert_type(report.ok, bool)
print(report, [finding.check for finding in report.findings])

times = fl.survival_target([3.0, 5.0, 1.0], [True, False, True])
cox = fl.CoxPH(ties="breslow").prepare(times, [1.0, 2.0, 1.0], strata=["a", "a", "b"])
value, gradient = cox.value_and_gradient([0.1, 0.2, 0.3], reduction="sum")
print(cox([0.0, 0.0, 0.0]), fl.AFT("extreme", scale=None).init_score(times), fl.GroupSoftmax(), fl.PairwiseLogistic())
print(fl.cox_ph([0.0] * 3, times), fl.aft([0.0] * 3, times), fl.group_softmax([0.0] * 3, [1, 0, 1], group=[2, 1]))
assert_type(fl.concordance_index(times, [0.1, 0.2, 0.3]), float)
survival = [[0.9, 0.5], [0.9, 0.8], [0.4, 0.1]]
brier: float = fl.integrated_brier_score(times, survival, [1.5, 4.0])
brier_of_times: NDArray[Any] = fl.integrated_brier_score(times, survival, [1.5, 4.0], reduction="none")
assert_type(fl.time_dependent_auc(times, [0.2, 0.1, 0.3], [1.5, 4.0]), NDArray[Any])
print(fl.get_include())
