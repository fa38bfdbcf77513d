"""What users write with fastloss.torch."""

import torch
from typing_extensions import assert_type

import fastloss as fl
from fastloss.torch import Loss, apply

logits = torch.zeros(3, 2, requires_grad=True)
assert_type(apply(fl.Focal(), logits, torch.tensor([0, 1, 1])), torch.Tensor)
assert_type(apply(fl.Focal(), logits, [0, 1, 1], sample_weight=[1.0, 1.0, 2.0], reduction="none"), torch.Tensor)
assert_type(Loss(fl.Focal(), reduction="sum").forward(logits, torch.tensor([0, 1, 1])), torch.Tensor)
