"""Instruction sets: x86_v3, x86_v4 and neon give the same bits, the baseline the same to a few ulp.

Run as a script, this file prints the results of the table that FASTLOSS_ISA asks for.
"""

import base64
import json
import os
import subprocess
import sys
import zlib

import cases
import numpy as np
import pytest

import fastloss as fl

SAME_BITS = ("x86_v3", "x86_v4", "neon")
ROWS = ((129, 1), (1001, 2), (301, 3), (203, 10), (65, 33), (17, 130), (5, 1000), (3, 5003), (2, 40_001))


def problems(dtype):
    for setup in cases.SETUPS:
        for spread in cases.SPREADS:
            for shape in ROWS if setup.case.rowwise else ((4099,),):
                if spread != "normal" and shape[-1] > 1000:
                    continue
                z, t = setup.draw(shape, dtype, spread)
                yield f"{setup} {shape} {spread}", setup.build(shape[-1]), z, t
        hard = cases.hard_rows(dtype) if setup.case.rowwise else cases.hard_numbers(dtype)
        _, t = setup.draw(hard.shape, dtype)
        yield f"{setup} hard", setup.build(hard.shape[-1]), hard, t


def results():
    """Name -> arrays and numbers, for every loss, dtype, reduction and row function."""
    for dtype in cases.DTYPES:
        name = np.dtype(dtype).name
        for what, loss, z, t in problems(dtype):
            w = np.random.default_rng(0).uniform(0, 2, z.shape[:1])
            yield f"{name} {what}", loss.value_gradient_and_hessian(z, t, reduction="none")
            yield f"{name} {what} weighted mean", loss.value_gradient_and_hessian(z, t, sample_weight=w)
            if z.ndim == 2:
                fortran = loss.value_gradient_and_hessian(np.asfortranarray(z), t)
                yield f"{name} {what} F", fortran
        for case in cases.SETS:
            z, t = cases.draw(case, "soft", (1003, 5), dtype, "wide")
            w = np.random.default_rng(0).uniform(0, 2, (1003, 1))
            for axis in (None, 0, 1):
                result = case.build({}).value_gradient_and_hessian(z, t, axis=axis, sample_weight=w)
                yield f"{name} {case} axis {axis} wide", result
        rng = np.random.default_rng(5)
        for shape in ROWS:
            x = cases.draw_prediction(rng, shape, dtype, "wide")
            for function in ("log_softmax", "softmax", "logsumexp", "sigmoid", "log_sigmoid"):
                yield f"{name} {function} {shape}", (getattr(fl, function)(x),)


def main():
    digests, samples = {}, {}
    for name, arrays in results():
        data = b"".join(np.asarray(x).tobytes() for x in arrays)
        digests[name] = zlib.crc32(data)
        if len(data) < 20_000:
            samples[name] = [base64.b64encode(np.asarray(x, np.float64).tobytes()).decode() for x in arrays]
    json.dump({"isa": fl.config()["isa"], "digests": digests, "samples": samples}, sys.stdout)


@pytest.fixture(scope="module")
def of_isa(tmp_path_factory):
    if len(fl.config()["isas"]) < 2:
        pytest.skip("one instruction set only")
    found = {}
    for isa in fl.config()["isas"]:
        done = subprocess.run(
            [sys.executable, "-W", "error", __file__],
            env={**os.environ, "FASTLOSS_ISA": isa},
            cwd=tmp_path_factory.mktemp(isa),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found[isa] = json.loads(done.stdout)
        assert found[isa]["isa"] == isa
    return found


def test_same_bits(of_isa):
    exact = [isa for isa in of_isa if isa in SAME_BITS]
    if len(exact) < 2:
        pytest.skip(f"only {', '.join(of_isa)} here")
    first, *others = exact
    for isa in others:
        one, other = of_isa[first]["digests"], of_isa[isa]["digests"]
        assert one.keys() == other.keys()
        different = [name for name in one if one[name] != other[name]]
        assert not different, f"{first} and {isa} differ: {len(different)} of {len(one)}, {different[:8]}"


def test_baseline_is_close(of_isa):
    """Without fused multiply-adds the last bits differ, and no more."""
    isas = list(of_isa)
    reference_isa = next(isa for isa in isas if isa != "baseline")
    for name, arrays in of_isa["baseline"]["samples"].items():
        eps = np.finfo(np.float32 if name.startswith("float32") else np.float64).eps
        for a, b in zip(arrays, of_isa[reference_isa]["samples"][name], strict=True):
            a, b = (np.frombuffer(base64.b64decode(x)) for x in (a, b))
            if "hard" in name or "huge" in name or "wide" in name:
                assert np.array_equal(np.isnan(a), np.isnan(b)), name
                continue
            # Each is within its own tolerance of the exact result (test_values.py).
            np.testing.assert_allclose(a, b, rtol=400 * eps, atol=40 * eps, err_msg=name)


def test_unknown_instruction_set(run_python):
    code = """
try:
    import fastloss
except ImportError as error:
    assert "FASTLOSS_ISA" in str(error) and str(error).endswith(("baseline", "neon")), error
else:
    raise AssertionError("imported")
"""
    run_python(code, FASTLOSS_ISA="mmx")
    foreign = "neon" if "baseline" in fl.config()["isas"] and "x86_v3" in fl.config()["isas"] else "x86_v4"
    if foreign not in fl.config()["isas"]:
        run_python(code, FASTLOSS_ISA=foreign)


def test_config():
    config = fl.config()
    assert config["version"] == fl.__version__
    assert config["isa"] in config["isas"]
    assert os.environ.get("FASTLOSS_ISA") in (None, "", config["isa"])


def test_floating_point_mode_is_untouched(run_python):
    run_python(
        """
import numpy as np, fastloss as fl
fl.mse(np.ones(10), np.zeros(10))
assert np.float64(1e-310) * 0.5 != 0
assert np.float32(1e-40) * np.float32(0.5) != 0
"""
    )


if __name__ == "__main__":
    main()
