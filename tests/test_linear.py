"""`linear_cross_entropy` is `CrossEntropy` of ``x @ weight.T + bias``, without those logits."""

import tracemalloc
import warnings

import cases
import numpy as np
import pytest

import fastloss as fl
from fastloss import linear, reference

N_CLASSES, N_FEATURES = 7, 5
OPTIONS = {
    "none": {},
    "class weights": {"class_weight": np.linspace(0, 3, N_CLASSES)},
    "smoothing": {"label_smoothing": 0.2},
    "ignored": {"ignore_index": 3},
    "focal": {"gamma": 2.0},
    "cap": {"softcap": 1.5},
    "all": {"class_weight": np.linspace(0, 3, N_CLASSES), "label_smoothing": 0.2, "ignore_index": -1},
    "all and cap": {"gamma": 1.5, "softcap": 4.0, "class_weight": np.linspace(0, 3, N_CLASSES), "label_smoothing": 0.2},
}

with_options = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
weighted = pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
reductions = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
functions = pytest.mark.parametrize(
    "function", [linear.linear_cross_entropy, linear.linear_cross_entropy_value_and_gradient]
)


@pytest.fixture(params=["one block", "many blocks", "a large first block"])
def blocks(request, monkeypatch):
    """Blocks of 16 or 2 rows, and parts of 3 classes (3 rows come first), make small problems like large ones."""
    if request.param != "one block":
        monkeypatch.setattr(linear, "BLOCK_BYTES", 0)
        monkeypatch.setattr(linear, "BLOCK_ROWS", 16 if request.param == "many blocks" else 2)
        monkeypatch.setattr(linear, "PART_BYTES", 3 * N_FEATURES * 8)
        monkeypatch.setattr(linear, "SUM_BYTES", 2 * N_FEATURES * 8)
        monkeypatch.setattr(linear, "ROW_BYTES", 2 * N_CLASSES * 8)
        monkeypatch.setattr(linear, "FEATURES_PER_THREAD", 1000)
    return request.param


def draw(n_rows=100, dtype=np.float64, n_classes=N_CLASSES, n_features=N_FEATURES, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_rows, n_features)).astype(dtype)
    weight = rng.normal(size=(n_classes, n_features)).astype(dtype)
    bias = rng.normal(size=n_classes).astype(dtype)
    return x, weight, rng.integers(0, n_classes, n_rows), bias


def draw_weight(n_rows=100):
    return np.random.default_rng(1).uniform(0, 2, n_rows) * (np.arange(n_rows) % 7 != 0)


def expected(x, weight, target, bias, *, sample_weight=None, reduction="mean", **options):
    """The reference of each row, which is in float64, reduced."""
    value, g, _ = reference.linear_cross_entropy(x, weight, target, bias, **options)
    w = np.ones(len(value)) if sample_weight is None else np.asarray(sample_weight, float)
    value, g = np.where(w == 0, 0, w * value), np.where(w == 0, 0, (w * g.T)).T
    if reduction != "none":
        value = value.sum()
    if reduction == "mean":
        of_class, ignored = options.get("class_weight"), options.get("ignore_index")
        counts = w * (target != ignored) * (1 if of_class is None else np.asarray(of_class)[target])
        value, g = value / counts.sum(), g / counts.sum()
    x, weight = np.asarray(x, float), np.asarray(weight, float)
    return value, (g @ weight, g.T @ x, None if bias is None else g.sum(axis=0))


def assert_close(found, exact, dtype):
    """Equal up to some ulps of the largest."""
    assert (found is None) == (exact is None)
    if exact is not None:
        size = max(1e-3, float(np.max(np.abs(exact), initial=0.0)))
        np.testing.assert_allclose(np.asarray(found, float), exact, rtol=0, atol=64 * np.finfo(dtype).eps * size)


def assert_results(found, exact, dtype):
    assert_close(found[0], exact[0], dtype)
    for ours, theirs in zip(found[1], exact[1], strict=True):
        assert_close(ours, theirs, dtype)


# ---------------------------------------------------------------------------------------------------- results


@with_options
@weighted
@reductions
@pytest.mark.parametrize("with_bias", [True, False], ids=["bias", "no bias"])
def test_agrees_with_cross_entropy_of_logits(dtype, options, weighted, reduction, with_bias, blocks):
    x, weight, target, bias = draw(dtype=dtype)
    if options.get("ignore_index") == -1:
        target[::5] = -1
    bias = bias if with_bias else None
    arguments = {"sample_weight": draw_weight() if weighted else None, "reduction": reduction, **options}
    exact = expected(x, weight, target, bias, **arguments)
    value, gradients = linear.linear_cross_entropy_value_and_gradient(x, weight, target, bias, **arguments)
    assert_results((value, gradients), exact, dtype)
    for gradient, array in zip(gradients, (x, weight, bias), strict=True):
        if array is not None:
            assert gradient.dtype == array.dtype
            assert gradient.shape == array.shape
    alone = linear.linear_cross_entropy(x, weight, target, bias, **arguments)
    np.testing.assert_allclose(alone, value, rtol=4 * np.finfo(dtype).eps)
    if reduction == "none":
        assert value.dtype == alone.dtype == dtype
    else:
        assert type(value) is type(alone) is float


def test_large_problem_agrees(dtype):
    """Several blocks and several parts as they are, not as tests make them."""
    n_classes, n_features = 5_000, 520
    assert n_classes * n_features * np.dtype(dtype).itemsize > linear.PART_BYTES
    x, weight, target, bias = draw(600, dtype, n_classes, n_features)
    weight *= dtype(0.05)
    assert linear._rows_of_block(n_classes, np.dtype(dtype).itemsize) < len(x)
    found = linear.linear_cross_entropy_value_and_gradient(x, weight, target, bias)
    assert_results(found, expected(x, weight, target, bias), dtype)


@pytest.mark.parametrize("n_rows", [1, 2, 15, 16, 17, 32, 33])
def test_ends_of_blocks(n_rows, blocks):
    x, weight, target, bias = draw(n_rows)
    found = linear.linear_cross_entropy_value_and_gradient(x, weight, target, bias)
    assert_results(found, expected(x, weight, target, bias), np.float64)


@pytest.mark.parametrize("more", [{}, {"softcap": 2.0}, {"gamma": 1.5, "softcap": 3.0}], ids=repr)
def test_derivatives_by_differences(more):
    x, weight, target, bias = draw(40)
    options = {"label_smoothing": 0.1, "sample_weight": draw_weight(40), **more}
    _, gradients = linear.linear_cross_entropy_value_and_gradient(x, weight, target, bias, **options)
    rng = np.random.default_rng(2)
    step = 1e-3
    for position, gradient in enumerate(gradients):
        direction = rng.normal(size=gradient.shape)
        values = []
        for h in (-2, -1, 1, 2):
            arrays = [x, weight, bias]
            arrays[position] = arrays[position] + h * step * direction
            values.append(linear.linear_cross_entropy(*arrays[:2], target, arrays[2], **options))
        slope = np.dot([1, -8, 8, -1], values) / (12 * step)
        assert slope == pytest.approx(np.sum(gradient * direction), rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("order", ["F", "strided", "reversed", "swapped"])
def test_memory_orders(order, blocks):
    arrays = draw()
    x, weight, target, bias = (
        {
            "F": np.asfortranarray,
            "strided": lambda array: np.repeat(np.repeat(array, 2, 0), 2, -1)[::2, ::2] if array.ndim == 2 else array,
            "reversed": lambda array: array[..., ::-1].copy()[..., ::-1],
            "swapped": lambda array: array.astype(array.dtype.newbyteorder("S")),
        }[order](array)
        for array in arrays
    )
    for array, same in zip((x, weight, target, bias), arrays, strict=True):
        np.testing.assert_array_equal(array, same)
    found = linear.linear_cross_entropy_value_and_gradient(x, weight, target, bias)
    assert_results(found, expected(*arrays), np.float64)
    assert all(gradient.dtype == np.float64 for gradient in found[1])
    assert all(gradient.dtype.isnative for gradient in found[1])


def test_arguments_are_not_changed(blocks):
    arrays = (*draw(), draw_weight())
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    linear.linear_cross_entropy_value_and_gradient(*arrays[:4], sample_weight=arrays[4])
    for array, same in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, same)


def test_same_bits_for_any_number_of_threads(blocks):
    x, weight, target, bias = draw(300, np.float32, 400)
    results = []
    for n_threads in (1, 2, 5):
        with fl.num_threads(n_threads):
            value, gradients = linear.linear_cross_entropy_value_and_gradient(x, weight, target, bias)
            results.append((value, *gradients))
    for other in results[1:]:
        for found, first in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(found, first)


# ----------------------------------------------------------------------------------------------------- dtypes


@pytest.mark.parametrize("options", [{}, {"gamma": 2.0, "softcap": 3.0}], ids=repr)
def test_half_precision_is_computed_in_float32(half, blocks, options):
    x, weight, target, bias = (array.astype(half) if array.dtype.kind == "f" else array for array in draw())
    value, gradients = linear.linear_cross_entropy_value_and_gradient(x, weight, target, bias, **options)
    wide = [array.astype(np.float32) for array in (x, weight, bias)]
    same_value, same_gradients = linear.linear_cross_entropy_value_and_gradient(*wide[:2], target, wide[2], **options)
    assert value == same_value
    for gradient, same in zip(gradients, same_gradients, strict=True):
        assert gradient.dtype == half
        assert cases.same_bits(gradient, same.astype(half))
    values = linear.linear_cross_entropy(x, weight, target, bias, reduction="none", **options)
    assert values.dtype == half


def test_derivatives_of_a_cap_keep_their_digits(dtype):
    """Where tanh is 1, and where it is its argument."""
    z = np.array([-1e3, -60.0, -8.0, -1e-3, 0.0, 1e-30, 0.5, 20.0, 80.0, np.inf], dtype)
    slope, capped = np.empty_like(z), z.copy()
    linear._cap(capped, 5.0, slope)
    exact = z.astype(np.float64) / 5
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(capped, 5 * np.tanh(exact), rtol=8 * eps)
    e = np.exp(-2 * np.abs(exact))
    # What exp makes of the rounding of its argument.
    np.testing.assert_allclose(slope[1:], (4 * e / (1 + e) ** 2)[1:], rtol=40 * eps)
    assert slope[0] == pytest.approx(0, abs=1e-170)


def test_a_cap_far_away_is_none():
    x, weight, target, bias = draw()
    found = linear.linear_cross_entropy_value_and_gradient(x, weight, target, bias, softcap=1e9)
    assert_results(found, expected(x, weight, target, bias), np.float64)


@pytest.mark.parametrize("wide", [0, 1, 3])
def test_float64_anywhere_is_float64_everywhere(wide, blocks):
    arrays = list(draw(dtype=np.float32))
    arrays[wide] = arrays[wide].astype(np.float64)
    value, gradients = linear.linear_cross_entropy_value_and_gradient(*arrays)
    exact = expected(*arrays)
    assert value == pytest.approx(exact[0], rel=1e-14)
    for position, found, theirs in zip((0, 1, 3), gradients, exact[1], strict=True):
        assert found.dtype == arrays[position].dtype
        assert_close(found, theirs, found.dtype)


def test_integers_and_lists_are_float64():
    value, (grad_x, grad_weight, grad_bias) = linear.linear_cross_entropy_value_and_gradient(
        [[1, 2]], [[0, 0], [0, 0]], [0], [0, 0]
    )
    assert value == pytest.approx(np.log(2))
    assert grad_x.dtype == grad_weight.dtype == grad_bias.dtype == np.float64
    np.testing.assert_array_equal(grad_bias, [-0.5, 0.5])


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int32, np.uint64, np.float32, bool])
def test_dtypes_of_targets(kind):
    x, weight, target, bias = draw(n_classes=2)
    value = linear.linear_cross_entropy(x, weight, target.astype(kind), bias, ignore_index=-100)
    assert value == linear.linear_cross_entropy(x, weight, target, bias)


# ------------------------------------------------------------------------------------------- what does not count


@pytest.mark.parametrize("reason", ["sample weight", "ignored", "class weight"])
def test_rows_that_do_not_count_may_hold_anything(reason, blocks):
    x, weight, target, bias = draw()
    out = np.arange(len(x)) % 3 == 1
    options = {}
    if reason == "sample weight":
        options["sample_weight"] = np.where(out, 0.0, 1.0)
        target[out] = 1_000_000
    elif reason == "ignored":
        options["ignore_index"] = -100
        target[out] = -100
    else:
        options["class_weight"] = [0.0] + [1.0] * (N_CLASSES - 1)
        target[out], target[~out] = 0, np.maximum(target[~out], 1)
    exact = expected(x[~out], weight, target[~out], bias, reduction="none")
    x[out] = np.nan
    value, (grad_x, grad_weight, grad_bias) = linear.linear_cross_entropy_value_and_gradient(
        x, weight, target, bias, reduction="none", **options
    )
    assert_results((value[~out], (grad_x[~out], grad_weight, grad_bias)), exact, np.float64)
    assert not value[out].any()
    assert not grad_x[out].any()
    mean = linear.linear_cross_entropy(x, weight, target, bias, **options)
    assert mean == pytest.approx(np.mean(exact[0]))


def test_nan_of_a_row_that_counts(blocks):
    x, weight, target, bias = draw()
    x[3, 1] = np.nan
    value, (grad_x, grad_weight, grad_bias) = linear.linear_cross_entropy_value_and_gradient(x, weight, target, bias)
    assert np.isnan(value)
    assert np.isnan(grad_x[3]).all()
    assert not np.isnan(np.delete(grad_x, 3, 0)).any()
    assert np.isnan(grad_weight).all()
    assert np.isnan(grad_bias).all()


def test_masked_classes():
    """A bias of -inf is a class of probability 0."""
    x, weight, target, bias = draw()
    target[target == 2] = 1
    bias[2] = -np.inf
    value, (_, grad_weight, grad_bias) = linear.linear_cross_entropy_value_and_gradient(x, weight, target, bias)
    rest = np.arange(N_CLASSES) != 2
    exact = linear.linear_cross_entropy(x, weight[rest], np.where(target > 2, target - 1, target), bias[rest])
    assert value == pytest.approx(exact)
    assert not grad_weight[2].any()
    assert grad_bias[2] == 0


@pytest.mark.parametrize("reason", ["no rows", "sample weight", "ignored", "class weight"])
def test_mean_of_nothing(reason):
    x, weight, target, bias = draw(0 if reason == "no rows" else 5)
    options = {
        "no rows": {},
        "sample weight": {"sample_weight": np.zeros(5)},
        "ignored": {"ignore_index": 3},
        "class weight": {"class_weight": np.zeros(N_CLASSES)},
    }[reason]
    if reason == "ignored":
        target[:] = 3
    with pytest.warns(RuntimeWarning, match="mean of nothing") as record:
        value = linear.linear_cross_entropy(x, weight, target, bias, **options)
    assert np.isnan(value)
    assert record[0].filename == __file__
    with pytest.warns(RuntimeWarning, match="mean of nothing"):
        value, gradients = linear.linear_cross_entropy_value_and_gradient(x, weight, target, bias, **options)
    assert np.isnan(value)
    for gradient, array in zip(gradients, (x, weight, bias), strict=True):
        np.testing.assert_array_equal(gradient, np.zeros_like(array))
    assert linear.linear_cross_entropy(x, weight, target, bias, reduction="sum", **options) == 0.0
    values = linear.linear_cross_entropy(x, weight, target, bias, reduction="none", **options)
    np.testing.assert_array_equal(values, np.zeros(len(x)))


def test_no_features():
    target = np.array([0, 1, 1])
    x, weight, bias = np.empty((3, 0)), np.empty((2, 0)), np.log([0.25, 0.75])
    value, (grad_x, grad_weight, grad_bias) = linear.linear_cross_entropy_value_and_gradient(x, weight, target, bias)
    assert value == pytest.approx(-np.mean(bias[target]))
    assert grad_x.shape == (3, 0)
    assert grad_weight.shape == (2, 0)
    np.testing.assert_allclose(grad_bias, [0.25 - 1 / 3, 0.75 - 2 / 3])
    assert linear.linear_cross_entropy(x, weight, target) == pytest.approx(np.log(2))


def test_one_class():
    x, weight, _, _ = draw(4, n_classes=1)
    value, (grad_x, grad_weight, _) = linear.linear_cross_entropy_value_and_gradient(x, weight, [0] * 4)
    assert value == 0.0
    assert not grad_x.any()
    assert not grad_weight.any()


@pytest.mark.parametrize("scale", [1e-60, 1e60])
def test_scale_of_weights_drops_out_of_means(dtype, scale):
    """Also where float32 could not hold the weights."""
    arrays = draw(dtype=dtype)
    weights = {"sample_weight": draw_weight(), "class_weight": np.linspace(0.5, 3, N_CLASSES)}
    scaled = {name: weight * scale for name, weight in weights.items()}
    exact = expected(*arrays, **weights)
    assert_results(linear.linear_cross_entropy_value_and_gradient(*arrays, **scaled), exact, dtype)


# ----------------------------------------------------------------------------------------------------- memory


@pytest.mark.parametrize("n_rows", [1024, 4096])
def test_memory_is_bounded(n_rows):
    n_classes, n_features = 20_000, 16
    x, weight, target, bias = draw(n_rows, np.float32, n_classes, n_features)
    block = linear._rows_of_block(n_classes, 4) * n_classes * 4
    assert block == 512 * n_classes * 4
    linear.linear_cross_entropy_value_and_gradient(x[:10], weight, target[:10], bias)
    tracemalloc.start()
    try:
        linear.linear_cross_entropy_value_and_gradient(x, weight, target, bias)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    results = x.nbytes + weight.nbytes + 3 * 8 * n_classes
    part = min(linear.PART_BYTES, weight.nbytes)
    assert peak < block + part + results + 64 * n_rows + 3 * 512 * n_features * 4 + (1 << 20)


@pytest.mark.parametrize(("kind", "options"), [("float32", {}), ("float16", {"softcap": 30.0})])
def test_a_large_vocabulary_takes_64_mb(kind, options):
    """The first block in the place of the weights' gradient, the others in a buffer."""
    n_rows, n_classes, n_features = 200, 131_072, 128
    assert linear._rows_of_block(n_classes, 4) < n_features
    x, weight, target, _ = draw(n_rows, np.float32, n_classes, n_features)
    x, weight = x.astype(kind), (0.1 * weight).astype(kind)
    tracemalloc.start()
    try:
        _, (_, grad_weight, _) = linear.linear_cross_entropy_value_and_gradient(x, weight, target, **options)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    results = grad_weight.nbytes + (weight.size * 4 if kind == "float16" else 0)
    assert peak < results + (64 << 20)


def test_blocks_are_bounded():
    for n_classes in (1, 2, 1000, 50_000, 10**6, 10**8):
        for itemsize in (4, 8):
            rows = linear._rows_of_block(n_classes, itemsize)
            assert rows >= 1
            assert rows * n_classes * itemsize <= max(linear.MAX_BLOCK_BYTES, n_classes * itemsize)
            assert rows >= 512 or rows == 1 or (rows + 1) * n_classes * itemsize > linear.MAX_BLOCK_BYTES


# ----------------------------------------------------------------------------------------------------- errors

X, WEIGHT, BIAS = np.ones((4, 3)), np.ones((5, 3)), np.ones(5)
TARGET = np.array([0, 1, 2, 3])
BAD = {
    "x of one dimension": (ValueError, r"^x must have shape \(rows, features\)", {"x": np.ones(3)}),
    "x of three": (ValueError, r"^x must have shape", {"x": np.ones((2, 2, 3))}),
    "x of objects": (TypeError, r"^x has dtype", {"x": [["a"]]}),
    "weight transposed": (ValueError, r"^weight must have shape .* got shape \(3, 5\)", {"weight": WEIGHT.T}),
    "weight of one dimension": (ValueError, r"^weight must have shape", {"weight": np.ones(3)}),
    "no class": (ValueError, r"^weight must have at least one class", {"weight": np.ones((0, 3)), "bias": None}),
    "bias too long": (ValueError, r"^bias must hold one number per class, shape \(5,\)", {"bias": np.ones(6)}),
    "bias a number": (ValueError, r"^bias must hold one number per class", {"bias": 1.0}),
    "probabilities": (ValueError, r"^target must hold one class index.*cross_entropy", {"target": np.ones((4, 5))}),
    "targets too short": (ValueError, r"^target must hold one class index per row, shape \(4,\)", {"target": [0, 1]}),
    "class too large": (ValueError, r"^target\[2\] = 5 is not a class index.*\[0, 5\)", {"target": [0, 1, 5, 9]}),
    "class negative": (ValueError, r"^target\[1\] = -1 is not a class index", {"target": [0, -1, 5, 9]}),
    "class fractional": (ValueError, r"^target\[0\] = 0\.5 is not a class index", {"target": [0.5, 1, 2, 3]}),
    "class not ignored": (
        ValueError,
        r"^target\[1\] = -1 .*ignore_index, -100",
        {"target": [-100, -1, 0, 0], "ignore_index": -100},
    ),
    "no targets": (TypeError, r"^target must be an array", {"target": None}),
    "negative weight": (ValueError, r"^sample_weight\[1\] = -1\.0 must be finite", {"sample_weight": [1, -1, 1, 1]}),
    "nan weight": (ValueError, r"^sample_weight\[3\] = nan must be finite", {"sample_weight": [1, 1, 1, np.nan]}),
    "weights too many": (ValueError, r"^sample_weight must hold one number per row", {"sample_weight": np.ones(5)}),
    "class weights too few": (ValueError, r"^class_weight holds 2 numbers, but .* 5", {"class_weight": [1.0, 2.0]}),
    "class weight negative": (ValueError, r"^class_weight\[0\]", {"class_weight": [-1.0, 1, 1, 1, 1]}),
    "smoothing": (ValueError, r"^label_smoothing", {"label_smoothing": 2.0}),
    "ignored": (TypeError, r"^ignore_index", {"ignore_index": 0.5}),
    "gamma": (ValueError, r"^gamma must be finite and >= 0, got -1", {"gamma": -1}),
    "cap": (ValueError, r"^softcap must be finite and > 0, got 0", {"softcap": 0}),
    "cap of words": (TypeError, r"^softcap must be a real number", {"softcap": "30"}),
    "reduction": (ValueError, r"^reduction must be", {"reduction": "average"}),
}


@functions
@pytest.mark.parametrize(("kind", "message", "changed"), BAD.values(), ids=BAD.keys())
def test_bad_arguments(function, kind, message, changed):
    arguments = {"x": X, "weight": WEIGHT, "target": TARGET, "bias": BIAS, **changed}
    positional = [arguments.pop(name) for name in ("x", "weight", "target", "bias")]
    with pytest.raises(kind, match=message):
        function(*positional, **arguments)


def test_errors_come_before_work_starts(monkeypatch):
    """A bad target in the last block is found while no block has been looked at."""

    def refuse(*arguments):
        raise AssertionError("work has started")

    monkeypatch.setattr(linear, "_Blocks", refuse)
    monkeypatch.setattr(linear, "BLOCK_BYTES", 0)
    monkeypatch.setattr(linear, "BLOCK_ROWS", 1)
    with pytest.raises(ValueError, match=r"^target\[3\] = 5"):
        linear.linear_cross_entropy(X, WEIGHT, [0, 1, 2, 5])


def test_no_warnings_for_extreme_logits():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = np.array([[1e30, 1e30], [3e38, -3e38]], np.float32)
        value = linear.linear_cross_entropy(x, x, [0, 1], reduction="none")
    assert value.shape == (2,)


# ------------------------------------------------------------------------------------------------------ torch


@with_options
@reductions
def test_agrees_with_torch(dtype, options, reduction):
    torch = pytest.importorskip("torch")
    x, weight, target, bias = draw(dtype=dtype)
    if options.get("ignore_index") == -1:
        target[::5] = -1
    leaves = [torch.tensor(array, requires_grad=True) for array in (x, weight, bias)]
    theirs = dict(options)
    if "class_weight" in theirs:
        theirs["weight"] = torch.tensor(theirs.pop("class_weight").astype(dtype))
    logits = torch.nn.functional.linear(*leaves)
    gamma, cap = theirs.pop("gamma", None), theirs.pop("softcap", None)
    if cap is not None:
        logits = cap * torch.tanh(logits / cap)
    if gamma is None:
        value = torch.nn.functional.cross_entropy(logits, torch.tensor(target), reduction=reduction, **theirs)
    else:
        hard = torch.nn.functional.one_hot(torch.tensor(target), N_CLASSES).to(logits)
        of_class, smoothing = theirs.get("weight", torch.ones_like(hard[0])), theirs.get("label_smoothing", 0.0)
        log_p = torch.log_softmax(logits, dim=1)
        terms = of_class * ((1 - smoothing) * hard + smoothing / N_CLASSES) * (1 - log_p.exp()) ** gamma * -log_p
        value = terms.sum() / of_class[target].sum() if reduction == "mean" else terms.sum(dim=1)
        value = value.sum() if reduction == "sum" else value
    value.sum().backward()
    exact = value.detach().numpy(), tuple(leaf.grad.numpy() for leaf in leaves)
    found = linear.linear_cross_entropy_value_and_gradient(x, weight, target, bias, reduction=reduction, **options)
    assert_results(found, exact, dtype)
