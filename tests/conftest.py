import os
import subprocess
import sys

if "PYTEST_XDIST_WORKER" in os.environ:
    # Several processes share the processors: a thread that has nothing to do leaves them to those that have.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import cases
import numpy as np
import pytest

import fastloss as fl


def pytest_report_header():
    config = fl.config()
    return f"fastloss {config['version']}: {config}"


@pytest.fixture(params=cases.DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def dtype(request):
    return request.param


@pytest.fixture(params=cases.SETUPS, ids=str)
def setup(request):
    """Every loss, parameter set and kind of target."""
    return request.param


@pytest.fixture(params=[setup for setup in cases.SETUPS if not setup.case.rowwise], ids=str)
def pointwise_setup(request):
    return request.param


@pytest.fixture(params=[setup for setup in cases.SETUPS if setup.case.rowwise], ids=str)
def rowwise_setup(request):
    return request.param


@pytest.fixture(params=cases.FEW_SETUPS, ids=str)
def few_setup(request):
    """Every loss and kind of target, one parameter set."""
    return request.param


@pytest.fixture(params=cases.SETS, ids=str)
def set_case(request):
    return request.param


@pytest.fixture(params=(*cases.CASES, *cases.SETS), ids=str)
def case(request):
    return request.param


@pytest.fixture(params=cases.POINTWISE, ids=str)
def pointwise_case(request):
    return request.param


@pytest.fixture(params=cases.ROWWISE, ids=str)
def rowwise_case(request):
    return request.param


@pytest.fixture(params=[case for case in cases.ROWWISE if case.has_options], ids=str)
def softmax_case(request):
    """Row-wise losses with class weights, label smoothing and an ignored class."""
    return request.param


@pytest.fixture(params=cases.half_types(), ids=lambda dtype: np.dtype(dtype).name)
def half(request):
    return request.param


@pytest.fixture(params=["reference", "kernels"])
def evaluate(request):
    """``evaluate(setup, prediction, target)``: value, gradient and Hessian of each element, from either source."""
    if request.param == "reference":
        return lambda setup, z, t: setup.case.twin(z, t, **setup.parameters(np.shape(z)[-1] if np.ndim(z) else None))
    return lambda setup, z, t: setup.build(np.shape(z)[-1] if np.ndim(z) else None).value_gradient_and_hessian(
        z, t, reduction="none"
    )


@pytest.fixture
def run_python(tmp_path):
    """Runs code in a fresh interpreter outside the checkout; a hang is a failure."""

    def run(code, timeout=120, **environment):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env={**os.environ, **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run
