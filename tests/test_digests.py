"""The same bits on every instruction set with a fused multiply-add, and from one version to the next.

digests.json holds a digest of value, gradient and Hessian of each loss for fixed inputs. Where a change of the kernels
changes bits on purpose: python tests/test_digests.py writes it anew, and the changelog says so.
"""

import hashlib
import json
import pathlib

import cases
import numpy as np
import pytest

import fastloss as fl

FILE = pathlib.Path(__file__).with_name("digests.json")
FUSED = ("x86_v3", "x86_v4", "neon")
SHAPE = (259, 5)
CURVATURES = ("exact", "psd", "majorize")
# Class weights are drawn by NumPy, whose streams may change.
SETUPS = tuple(setup for setup in cases.SETUPS if cases.CLASS_WEIGHT not in map(str, setup.given.values()))


def digest(setup, dtype):
    z, t = cases.fixed_inputs(setup.kind, SHAPE, dtype)
    loss = setup.build(SHAPE[-1])
    found = hashlib.sha256()
    for curvature in CURVATURES:
        for result in loss.value_gradient_and_hessian(z, t, reduction="none", curvature=curvature):
            assert not np.isnan(result).any()
            found.update(np.ascontiguousarray(result).tobytes())
    value, gradient = loss.value_and_gradient(np.asfortranarray(z), t)
    found.update(np.float64(value).tobytes() + np.ascontiguousarray(gradient).tobytes())
    return found.hexdigest()[:16]


def name(setup, dtype):
    return f"{setup} {np.dtype(dtype).name}"


@pytest.mark.skipif(fl.config()["isa"] not in FUSED, reason="without a fused multiply-add the last bits differ")
def test_digests(dtype):
    expected = json.loads(FILE.read_text())
    found = {name(setup, dtype): digest(setup, dtype) for setup in SETUPS}
    assert {key: value for key, value in found.items() if expected.get(key) != value} == {}
    assert {key for key in expected if key.endswith(np.dtype(dtype).name)} == set(found)


if __name__ == "__main__":
    every = {name(setup, dtype): digest(setup, dtype) for dtype in cases.DTYPES for setup in SETUPS}
    FILE.write_text(json.dumps(every, indent=1) + "\n")
