"""float16 and bfloat16: the rounded result of float32, on every road, and nothing is copied on the way."""

import json
import os
import subprocess
import sys
import tracemalloc
import zlib

import cases
import numpy as np
import pytest

import fastloss as fl

KINDS = {
    "pointwise": (fl.BinaryFocal(alpha=0.3), "soft", (96, 5)),
    "positive": (fl.Gamma(), "positive", (96, 5)),
    "few": (fl.CrossEntropy(label_smoothing=0.1), "index", (96, 5)),
    "tiled": (fl.Focal(), "probability", (40, 33)),
    "medium": (fl.CrossEntropy(), "index", (21, 300)),
    "along": (fl.Poly1(), "probability", (7, 1000)),
    "very long": (fl.CrossEntropy(), "index", (9, 9001)),
    "hinge": (fl.MulticlassHinge(), "index", (96, 5)),
    "hinge by target": (fl.MulticlassHinge(), "index", (20, 700)),
    "set": (fl.Dice(), "soft", (96, 5)),
}
METHODS = ("gradient", "value_and_gradient", "gradient_and_hessian", "value_gradient_and_hessian")


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def draw(kind, dtype):
    """A loss, and prediction, target and weights that the type holds."""
    loss, of_target, shape = KINDS[kind]
    rng = np.random.default_rng(0)
    z = (3 * rng.normal(size=shape)).astype(dtype)
    t = cases.draw_target(rng, of_target, shape, np.float32)
    t = t.astype(dtype) if t.dtype.kind == "f" else t
    w = rng.integers(0, 4, shape if loss.kind in ("pointwise", "setwise") else shape[:-1]).astype(dtype)
    return loss, z, t, w


def wide(array):
    return array if array.dtype.kind in "iu" else array.astype(np.float32)


def rounded(array, dtype):
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(array).astype(dtype)


def assert_rounded(found, wanted, dtype, what):
    for a, b in zip(found, wanted, strict=True):
        if isinstance(b, float):
            assert a == b, what
        else:
            assert cases.same_bits(a, rounded(b, dtype)), what


def results(loss, *arguments, **options):
    found = loss.value_gradient_and_hessian(*arguments, **options)
    assert all(x is None or type(x) in (float, np.ndarray) for x in found)
    return found


# ----------------------------------------------------------------------------------------------- every road


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_road(kind, half, reduction, order):
    """Prediction, target and weights of the type, in either memory order and in place."""
    loss, z, t, w = draw(kind, half)
    if order == "F":
        z, t = np.asfortranarray(z), np.asfortranarray(t)
    for weight in (None, w):
        options = {"reduction": reduction, "sample_weight": None if weight is None else wide(weight)}
        wanted = results(loss, wide(z), wide(t), **options)
        alone = loss.gradient(wide(z), wide(t), **options)
        options["sample_weight"] = weight
        assert_rounded(results(loss, z, t, **options), wanted, half, order)
        own = z.copy(order="K")
        assert loss.gradient(own, t, gradient_out=own, **options) is own
        assert cases.same_bits(own, rounded(alone, half))
        for mixed in ((z, wide(t)), (wide(z), t)):
            result = half if mixed[0] is z else np.float32
            assert_rounded(results(loss, *mixed, **options), wanted, result, f"{mixed[0].dtype}, {mixed[1].dtype}")


@pytest.mark.parametrize("layout", ["strided", "columns", "negative"])
def test_gaps(kind, half, layout):
    loss, z, t, w = draw(kind, half)
    if layout == "strided":
        z = np.repeat(z, 3, axis=0)[::3]
    elif layout == "columns":
        z = np.repeat(z, 2, axis=1)[:, ::2]
    else:
        z = z[::-1].copy()[::-1]
    wanted = results(loss, np.ascontiguousarray(wide(z)), wide(t), sample_weight=wide(w), reduction="sum")
    assert_rounded(results(loss, z, t, sample_weight=w, reduction="sum"), wanted, half, layout)


def test_float32_derivatives(kind, half):
    """Where they are to be kept: not rounded at all, plain or with gaps, and one of them alone."""
    loss, z, t, w = draw(kind, half)
    for reduction in ("mean", "sum"):
        options = {"sample_weight": w, "reduction": reduction}
        wanted = results(loss, wide(z), wide(t), sample_weight=wide(w), reduction=reduction)
        for make in (np.empty, lambda shape, dtype: np.empty((*shape, 2), dtype)[..., 1]):
            outputs = {f"{name}_out": make(z.shape, np.float32) for name in ("gradient", "hessian")}
            assert_rounded(results(loss, z, t, **options, **outputs), wanted, np.float32, reduction)
        gradient = np.empty(z.shape, np.float32)
        found = results(loss, z, t, **options, gradient_out=gradient)
        assert found[1] is gradient
        assert_rounded(found[:2], wanted[:2], np.float32, reduction)
        assert cases.same_bits(found[2], rounded(wanted[2], half))
        mapped = np.zeros((*z.shape, 9), np.uint8)[..., 1:5].view(np.float32)[..., 0]
        assert not mapped.flags.aligned
        alone = loss.gradient(wide(z), wide(t), sample_weight=wide(w), reduction=reduction)
        loss.gradient(z, t, **options, gradient_out=mapped)
        assert np.array_equal(mapped, alone)


def test_small_gradients_need_float32():
    """What is smaller than the smallest number of float16: a mean over many elements. The sum is not small."""
    z, t = np.full(2**22, 2.0**-4, np.float16), np.zeros(2**22, np.float16)
    assert not fl.SquaredError().gradient(z, t).any()
    assert (fl.SquaredError().gradient(z, t, reduction="sum") == 2.0**-3).all()
    gradient = np.empty(z.shape, np.float32)
    assert (fl.SquaredError().gradient(z, t, gradient_out=gradient) == 2.0**-25).all()


def test_other_outputs_are_refused(half):
    z, t = np.zeros((4, 3), half), np.zeros(4, int)
    rule = r"gradient_out must have the dtype of the prediction, b?float16, or float32"
    for bad in (np.float64, np.int16, np.uint16):
        out = np.full(z.shape, 7, bad)
        with pytest.raises(TypeError, match=rule):
            fl.CrossEntropy().gradient(z, t, gradient_out=out)
        assert (out == 7).all()
    with pytest.raises(TypeError, match="out must have the dtype"):
        fl.softmax(z, out=np.empty(z.shape, np.float32))


@pytest.mark.parametrize("shape", [(50, 3), (40, 33), (9, 300), (3, 9001), (2, 4, 5, 6)])
def test_row_functions(half, shape):
    x = (8 * np.random.default_rng(1).normal(size=shape)).astype(half)
    for name in ("log_softmax", "softmax", "logsumexp"):
        function = getattr(fl, name)
        for axis in (-1, 1, 0):
            for y in (x, x[::-1].copy()[::-1], np.asfortranarray(x)):
                wanted = rounded(function(np.array(wide(y), order="K"), axis=axis), half)
                found = function(y, axis=axis)
                assert cases.same_bits(np.array(found, order="C"), np.array(wanted, order="C")), f"{name} {axis}"
                if name != "logsumexp":
                    own = y.copy(order="K")
                    assert function(own, axis=axis, out=own) is own
                    assert cases.same_bits(own, found)
    one = fl.logsumexp(x.reshape(-1))
    assert one.dtype == half
    assert np.ndim(one) == 0


def test_packed_hessians_and_products(half):
    rng = np.random.default_rng(2)
    z, v = rng.normal(size=(2, 19, 4)).astype(half)
    t = rng.integers(0, 4, 19)
    loss = fl.Focal()
    wanted = loss.packed_hessian(wide(z), t)
    assert cases.same_bits(loss.packed_hessian(z, t), rounded(wanted, half))
    for vector in (v, wide(v)):
        wanted = loss.hessian_vector_product(wide(z), t, wide(v))
        assert cases.same_bits(loss.hessian_vector_product(z, t, vector), rounded(wanted, half))


def test_zero_one(half):
    rng = np.random.default_rng(3)
    z = rng.normal(size=(30, 4)).astype(half)
    t = rng.integers(0, 4, 30)
    assert fl.zero_one(z, t) == fl.zero_one(wide(z), t)
    assert cases.same_bits(fl.zero_one(z[:, 0], t > 1, reduction="none"), ((z[:, 0] > 0) != (t > 1)).astype(half))


def test_several_numbers_a_row(half):
    for case in cases.COLUMNS:
        loss = case.build(case.parameters[0])
        z, t = cases.draw_columns(case, loss, (77,), half)
        for reduction in ("mean", "none"):
            wanted = results(loss, wide(z), wide(t), reduction=reduction)
            assert_rounded(results(loss, z, t, reduction=reduction), wanted, half, str(case))
            assert_rounded(results(loss, np.asfortranarray(z), t, reduction=reduction), wanted, half, f"{case} F")


# ---------------------------------------------------------------------------------- targets, weights, classes


def test_class_indices(half):
    """Whole numbers pass, as they do for every float type."""
    z = np.random.default_rng(4).normal(size=(20, 4)).astype(half)
    t = np.arange(20) % 4
    assert fl.cross_entropy(z, t.astype(half)) == fl.cross_entropy(wide(z), t)
    with pytest.raises(ValueError, match=r"target\[7\] = 3.5 is not a class index"):
        fl.cross_entropy(z, np.where(np.arange(20) == 7, 3.5, t).astype(half))
    with pytest.raises(ValueError, match=r"target\[2\] = 4.0 is not a class index"):
        fl.cross_entropy(z, np.where(np.arange(20) == 2, 4, t).astype(half))


def test_outside_the_domain(half):
    z, t = np.zeros((3, 4), half), np.ones((3, 4), half)
    t[1, 2] = 1.5
    for loss in (fl.BinaryCrossEntropy(), fl.CrossEntropy(), fl.Dice()):
        for prediction in (z, wide(z), z.astype(np.float64), np.asfortranarray(z)):
            with pytest.raises(ValueError, match=r"target\[1, 2\] = 1.5 must lie in \[0, 1\]"):
                loss(prediction, t)
            loss(prediction, t, sample_weight=(np.arange(3) != 1).astype(half) if loss.kind == "rowwise" else t != 1.5)
    w = np.ones((3, 4), half)
    for bad in (-1, np.nan, np.inf):
        w[2, 0] = bad
        with pytest.raises(ValueError, match=r"sample_weight\[2, 0\] = .* must be finite and >= 0"):
            fl.huber(z, t, sample_weight=w)


def test_weights_of_any_scale(half):
    """A mean is divided by the sum of its weights, which may be too small or too large for float32."""
    rng = np.random.default_rng(5)
    z, t = rng.normal(size=(2, 1000)).astype(np.float32)
    w = rng.uniform(1, 2, 1000).astype(half)
    for power in (-14,) if half == np.float16 else (-120, 120):
        scaled = (wide(w) * np.float32(2.0**power)).astype(half)
        value, gradient = fl.Huber().value_and_gradient(z, t, sample_weight=scaled)
        same = fl.Huber().value_and_gradient(z, t, sample_weight=wide(w))
        assert value == pytest.approx(same[0], rel=1e-6)
        np.testing.assert_allclose(gradient, same[1], rtol=1e-6)


def test_float64_predictions(half):
    z = np.random.default_rng(6).normal(size=(50, 3))
    t = np.abs(z).astype(half)
    for argument in ("target", "sample_weight"):
        plain = {"target": t.astype(np.float64), argument: t.astype(np.float64)}
        given = {"target": t.astype(np.float64), argument: t}
        wanted = fl.Huber().value_and_gradient(z, **plain)
        assert_rounded(fl.Huber().value_and_gradient(z, **given), wanted, np.float64, argument)


def test_other_byte_order():
    rng = np.random.default_rng(7)
    z, t = rng.normal(size=(2, 40)).astype(np.float16)
    swapped = [x.astype(x.dtype.newbyteorder("S")) for x in (z, t)]
    wanted = results(fl.Huber(), z, t)
    assert_rounded(results(fl.Huber(), *swapped), wanted, np.float16, "swapped")
    out = np.empty(40, swapped[0].dtype)
    fl.Huber().gradient(*swapped, gradient_out=out)
    assert np.array_equal(out, wanted[1])


def test_nothing_is_copied(half):
    """Beside what is returned a call takes less than a tenth of its prediction."""
    n = 400_000
    z, t, w = np.zeros(n, half), np.zeros(n, half), np.ones(n, half)
    rows, classes = z.reshape(-1, 8), np.zeros(n // 8, np.int64)
    columns = np.asfortranarray(rows)
    calls = {
        "huber": lambda: fl.Huber().value_and_gradient(z, t, sample_weight=w),
        "strided": lambda: fl.Huber().value_and_gradient(z[::2], t[::2]),
        "cross entropy": lambda: fl.CrossEntropy().value_and_gradient(rows, classes, sample_weight=w[: n // 8]),
        "F order": lambda: fl.CrossEntropy().value_and_gradient(columns, classes),
        "leading axis": lambda: fl.CrossEntropy().value_and_gradient(columns.T, classes, axis=0),
        "probabilities": lambda: fl.CrossEntropy().value_and_gradient(rows, rows),
        "long rows": lambda: fl.CrossEntropy().value_and_gradient(z.reshape(20, -1), classes[:20]),
        "log_softmax": lambda: fl.log_softmax(rows),
        "sigmoid": lambda: fl.sigmoid(z),
        "dice": lambda: fl.Dice().value_and_gradient(rows, rows, axis=0),
    }
    for name, call in calls.items():
        call()
        tracemalloc.start()
        kept = call()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        del kept
        # of long rows a thread keeps one
        assert peak < 1.1 * z.nbytes + 250_000, f"{name}: {peak / z.nbytes:.2f} predictions"


# --------------------------------------------------------------------------------------------------- torch


def tensors():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(8)
    return torch, [torch.tensor(x).to(torch.bfloat16) for x in 3 * rng.normal(size=(2, 40, 6))]


def test_tensors_of_bfloat16():
    """NumPy has no such type: derivatives are float32, unless an array of somebody's bfloat16 is given."""
    torch, (z, t) = tensors()
    for change in (lambda x: x, lambda x: x.T, lambda x: x[::2], lambda x: x[:, 1]):
        a, b = change(z), change(t)
        wanted = results(fl.Huber(), a.float().numpy(), b.float().numpy(), reduction="none")
        assert_rounded(results(fl.Huber(), a, b, reduction="none"), wanted, np.float32, "tensor")
        assert fl.huber(a, b) == fl.huber(a.float().numpy(), b.float().numpy())
    w = torch.arange(6).to(torch.bfloat16)
    wide_w = w.float().numpy()
    assert fl.huber(z, t, sample_weight=w) == fl.huber(z.float().numpy(), t.float().numpy(), sample_weight=wide_w)
    classes = torch.arange(40) % 6
    for given in (classes, classes.to(torch.bfloat16)):
        found = fl.CrossEntropy().value_and_gradient(z, given)
        assert_rounded(
            found, fl.CrossEntropy().value_and_gradient(z.float().numpy(), classes.numpy()), np.float32, "rows"
        )
    assert cases.same_bits(fl.softmax(z), fl.softmax(z.float().numpy()))
    assert fl.dice(z, t > 0) == fl.dice(z.float().numpy(), (t > 0).numpy())
    assert fl.zero_one(z, classes) == fl.zero_one(z.float().numpy(), classes.numpy())
    assert fl.huber(z[0, 0], 0.0) == fl.huber(z[0, 0].float().numpy(), 0.0)
    assert fl.CrossEntropy(class_weight=w) == fl.CrossEntropy(class_weight=wide_w)
    predict_proba = fl.CrossEntropy().predict_proba
    np.testing.assert_array_equal(predict_proba(z), predict_proba(z.float().numpy()))


def test_bits_of_tensors_are_not_copied():
    torch, _ = tensors()
    z, t = torch.zeros(400_000, dtype=torch.bfloat16), torch.zeros(400_000, dtype=torch.bfloat16)
    fl.huber(z, t)
    tracemalloc.start()
    fl.huber(z, t)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50_000


def test_what_is_wrong_with_tensors_of_bfloat16():
    torch, (z, t) = tensors()
    with pytest.raises(TypeError, match=r"prediction cannot be read.*requires a gradient"):
        fl.huber(z.requires_grad_(), t)
    z = z.detach()
    with pytest.raises(TypeError, match="prediction"):
        fl.huber(z.to("meta"), t)
    with pytest.raises(TypeError, match="target"):
        fl.huber(z, t.to_sparse())
    with pytest.raises(ValueError, match=r"target\[0, 1\] = .* must lie in \[0, 1\]"):
        fl.binary_cross_entropy(z, torch.tensor([[1.0, 2.5, 0, 0, 0, 0]]).to(torch.bfloat16))
    with pytest.raises(TypeError, match=r"gradient_out must have the dtype of the prediction, bfloat16, or float32"):
        fl.Huber().gradient(z, t, gradient_out=np.empty(z.shape))


# ----------------------------------------------------------------------------------------- instruction sets


@np.errstate(all="ignore")
def conversions():
    """Digests of what all encodings come to, through an instruction set's own ways in and out of memory."""
    found = {}
    for half in cases.half_types():
        every = np.arange(2**16, dtype=np.uint16).view(half)
        every = every[~np.isnan(every.astype(np.float32))]
        loss = fl.SquaredError()
        t = np.full(every.shape, 0.375, half)
        name = np.dtype(half).name
        for what, z in {"dense": every, "strided": np.repeat(every, 2)[::2], "odd": every[1:]}.items():
            single = z.astype(np.float32)
            gradient, hessian = loss.gradient_and_hessian(z, t[: len(z)], reduction="none")
            assert cases.same_bits(gradient, rounded(2 * (single - np.float32(0.375)), half)), what
            assert (hessian == 2).all()
            found[f"{name} {what}"] = zlib.crc32(gradient.tobytes())
            scaled = loss.gradient(z, 0 * t[: len(z)], sample_weight=t[: len(z)] / 1024, reduction="sum")
            wanted = rounded(2 * single * np.float32(0.375 / 1024), half)
            assert np.array_equal(scaled, wanted), what
            found[f"{name} {what} small"] = zlib.crc32(scaled.tobytes())
    return found


def test_conversions_on_every_instruction_set(tmp_path):
    wanted = conversions()
    for isa in fl.config()["isas"]:
        done = subprocess.run(
            [sys.executable, "-W", "error", __file__],
            env={**os.environ, "FASTLOSS_ISA": isa},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {"isa": isa, **wanted}


if __name__ == "__main__":
    print(json.dumps({"isa": fl.config()["isa"], **conversions()}))
