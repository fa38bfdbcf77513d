"""nan, infinities, huge and subnormal numbers: conventions, masks, the rows beside them, the processor's state.

The table stands here as people read it, for the losses that it is about; test_hard_inputs.py holds what it means for
every other one.
"""

import ctypes
import functools
import inspect
import itertools
import math
import platform

import cases
import numpy as np
import pytest

import fastloss as fl
from fastloss import reference

INF, NAN = np.inf, np.nan
FEW, MANY = 3, 700
CROSS_ENTROPIES = (fl.CrossEntropy(), fl.KLDivergence())
BINARY = fl.BinaryCrossEntropy()


def rows_of(row, dtype, order, n_classes):
    """Three rows in the table's columns, the middle one as given; further classes are masked."""
    z = np.full((3, n_classes), -INF, dtype)
    z[:, : len(row)] = [[0.5, 0.25, 1.0], row, [1.0, 0.0, 0.5]]
    return np.asarray(z, order=order)


# what, logits, target, value, gradient
TABLE = [
    ("nan beside the target", [NAN, 0, 1], 1, NAN, [NAN, NAN, NAN]),
    ("nan at the target", [0, NAN, 1], 1, NAN, [NAN, NAN, NAN]),
    ("+inf at the target: probability 1", [0, INF, 1], 1, 0, [0, 0, 0]),
    ("+inf beside the target: probability 0", [INF, 0, 1], 1, INF, [1, -1, 0]),
    ("+inf twice", [INF, INF, 1], 1, NAN, [NAN, NAN, NAN]),
    ("-inf beside the target: a masked class", [-INF, 0, 0], 1, math.log(2), [0, -0.5, 0.5]),
    ("-inf at the target", [0, -INF, 0], 1, INF, [0.5, -1, 0.5]),
    ("-inf everywhere else", [-INF, 0, -INF], 1, 0, [0, 0, 0]),
    ("-inf everywhere", [-INF, -INF, -INF], 1, NAN, [NAN, NAN, NAN]),
    ("the ends of the range, sure and right", ["max", 0, "-max"], 0, 0, [0, 0, 0]),
    ("the ends of the range, sure and wrong", ["max", 0, "-max"], 1, "max", [1, -1, 0]),
    ("equal and huge", ["max", "max", "max"], 1, math.log(3), [1 / 3, -2 / 3, 1 / 3]),
    ("equal and hugely negative", ["-max", "-max", "-max"], 1, math.log(3), [1 / 3, -2 / 3, 1 / 3]),
    ("subnormal numbers", ["tiny", 0, "-tiny"], 1, math.log(3), [1 / 3, -2 / 3, 1 / 3]),
]


def numbers(row, dtype):
    info = np.finfo(dtype)
    named = {"max": info.max, "-max": -info.max, "tiny": info.smallest_subnormal, "-tiny": -info.smallest_subnormal}
    return [named.get(x, x) if isinstance(x, str) else x for x in row]


@pytest.mark.parametrize("n_classes", [FEW, MANY])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("loss", CROSS_ENTROPIES, ids=lambda loss: loss.name)
@pytest.mark.parametrize(("what", "row", "k", "value", "gradient"), TABLE, ids=[row[0] for row in TABLE])
def test_cross_entropy(loss, dtype, order, n_classes, what, row, k, value, gradient):
    (value,) = numbers([value], dtype)
    z = rows_of(numbers(row, dtype), dtype, order, n_classes)
    undefined = math.isnan(value)
    for target in (np.array([0, k, 1]), np.eye(n_classes, dtype=dtype)[[0, k, 1]]):
        found = loss.value_gradient_and_hessian(z, target, reduction="none")
        np.testing.assert_allclose(found[0][1], value, rtol=1e-6)
        np.testing.assert_allclose(found[1][1, :FEW], gradient, rtol=1e-6)
        assert np.isnan(found[2][1, :FEW]).all() if undefined else (found[2][1, :FEW] >= 0).all()
        if not undefined:
            assert not np.any(found[1][1, FEW:])
            assert not np.any(found[2][1, FEW:])
        # The rows above and below, and what becomes of the mean.
        assert all(np.isfinite(x[[0, 2]]).all() for x in found)
        mean = loss(z, target)
        assert math.isnan(mean) if undefined else mean == pytest.approx(np.mean(found[0], dtype=float), rel=1e-6)


# what, logit, target, value, gradient
BINARY_TABLE = [
    ("sure and right", INF, 1, 0, 0),
    ("sure and right", -INF, 0, 0, 0),
    ("sure and wrong", INF, 0, INF, 1),
    ("sure and wrong", -INF, 1, INF, -1),
    ("sure of a soft target", INF, 0.25, INF, 0.75),
    ("sure of a soft target", -INF, 0.25, INF, -0.25),
    ("huge", "max", 0, "max", 1),
    ("huge", "max", 1, 0, 0),
    ("hugely negative", "-max", 1, "max", -1),
    ("hugely negative", "-max", 0, 0, 0),
    ("subnormal", "tiny", 1, math.log(2), -0.5),
    ("nan", NAN, 0, NAN, NAN),
    ("nan", NAN, 1, NAN, NAN),
    ("nan", NAN, 0.5, NAN, NAN),
]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(("what", "z", "t", "value", "gradient"), BINARY_TABLE)
def test_binary_cross_entropy(dtype, order, what, z, t, value, gradient):
    z, value = numbers([z, value], dtype)
    logits, targets = np.full((3, 9), 0.5, dtype, order), np.ones((3, 9), dtype, order)
    logits[1, 4], targets[1, 4] = z, t
    found = BINARY.value_gradient_and_hessian(logits, targets, reduction="none")
    np.testing.assert_allclose([found[0][1, 4], found[1][1, 4]], [value, gradient], rtol=1e-6)
    assert sum(np.count_nonzero(~np.isfinite(x)) for x in found) == sum(
        map(math.isnan, (value, gradient, gradient))
    ) + (value == INF)


def test_differences_of_infinities(dtype):
    """inf - inf is nothing; +inf against -inf, or against a number, is as far as it goes."""
    z, t = np.array([INF, -INF, INF, INF, NAN], dtype), np.array([INF, -INF, -INF, 0, 0], dtype)
    np.testing.assert_array_equal(fl.mse(z[:1], t[:1]), NAN)
    np.testing.assert_array_equal(fl.squared_error(z, t, reduction="none"), [NAN, NAN, INF, INF, NAN])
    np.testing.assert_array_equal(fl.SquaredError().gradient(z, t, reduction="sum"), [NAN, NAN, INF, INF, NAN])


def test_nothing_times_infinity_is_nothing(dtype):
    """A class of probability 0 adds 0 to a soft target's loss, also where its logit is -inf."""
    z = np.array([[-INF, 0, 0], [-INF, 0, 0], [0, INF, 0]], dtype)
    t = np.array([[0, 0.5, 0.5], [0.5, 0.5, 0], [0, 1, 0]], dtype)
    for loss in CROSS_ENTROPIES:
        value, gradient = loss.value_and_gradient(z, t, reduction="none")
        entropy = math.log(2) if loss.name == "kl_divergence" else 0
        np.testing.assert_allclose(value, [math.log(2) - entropy, INF, 0], rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(gradient, [[0, 0, 0], [-0.5, 0, 0.5], [0, 0, 0]], rtol=1e-6)


@pytest.mark.parametrize("shape", [(0, 3), (0,)], ids=str)
def test_nothing(dtype, shape):
    z = np.zeros(shape, dtype)
    loss, t = (fl.CrossEntropy(), np.zeros(0, int)) if len(shape) == 2 else (fl.SquaredError(), z)
    with pytest.warns(RuntimeWarning, match="mean of nothing"):
        assert math.isnan(loss(z, t))
    assert loss(z, t, reduction="sum") == 0.0


# ------------------------------------------------------------------------------------------------------------- masks


# Around every tile, vector and piece of a long row.
WIDTHS = [2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129, 1023, 1025, 4096, 4097]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n_classes", WIDTHS)
def test_masks_everywhere(dtype, order, n_classes):
    """Any classes of -inf: what is left is the loss of the others alone, and a mask has gradient exactly 0."""
    ends = {0, 1, n_classes // 2, n_classes - 2, n_classes - 1}
    borders = {b + d for b in (4, 8, 16, 32, 64, 512, 1024, 2048, 4096) for d in (-1, 0, 1)}
    singles = sorted(x for x in ends | borders if 0 <= x < n_classes)
    rng = np.random.default_rng(n_classes)
    kept = [np.array([k]) for k in singles]  # all masked but one
    kept += [np.delete(np.arange(n_classes), k) for k in singles]  # one masked
    kept += [np.arange(k, n_classes) for k in singles] + [np.arange(k + 1) for k in singles]  # from, and up to
    kept += [np.flatnonzero(rng.random(n_classes) < 0.5)]
    kept = [each for each in kept if len(each)]
    numbers = rng.normal(size=(len(kept), n_classes)).astype(dtype) * 3
    z = np.full(numbers.shape, -INF, dtype)
    target = np.array([rng.choice(each) for each in kept])
    for row, each in enumerate(kept):
        z[row, each] = numbers[row, each]
    z = np.asarray(z, order=order)
    eps = np.finfo(dtype).eps
    for loss in (fl.CrossEntropy(), fl.Focal()):
        value, gradient, hessian = loss.value_gradient_and_hessian(z, target, reduction="none")
        for row, each in enumerate(kept):
            own = np.searchsorted(each, target[row])
            alone = loss.value_gradient_and_hessian(z[row : row + 1, each], [own], reduction="none")
            scale = 200 * eps * max(1, abs(float(alone[0][0])))
            np.testing.assert_allclose(value[row], alone[0][0], rtol=50 * eps, atol=scale * 1e-3)
            for x, right in ((gradient, alone[1]), (hessian, alone[2])):
                np.testing.assert_allclose(x[row, each], right[0], rtol=200 * eps, atol=scale * np.abs(right).max())
                assert not np.any(np.delete(x[row], each))
    for name in ("softmax", "log_softmax"):
        found = getattr(fl, name)(z)
        masked = np.isneginf(z)
        assert np.all(found[masked] == (0 if name == "softmax" else -INF))
        assert np.isfinite(found[~masked]).all()
    exact = [math.log(math.fsum(np.exp(numbers[row, each].astype(float)))) for row, each in enumerate(kept)]
    np.testing.assert_allclose(fl.logsumexp(z), exact, rtol=20 * eps, atol=20 * eps)


@pytest.mark.parametrize("n_classes", WIDTHS)
def test_one_bad_logit_everywhere(dtype, n_classes):
    """Every position of a nan, a +inf, or the only number: nothing is skipped at the border of a vector or a tile."""
    z = np.full((n_classes if n_classes < 200 else 24, n_classes), -1, dtype)
    at = np.linspace(0, n_classes - 1, len(z)).astype(int)
    rows = np.arange(len(z))
    for order in "CF":
        z = np.asarray(z, order=order)
        z[rows, at] = NAN
        assert np.isnan(fl.cross_entropy(z, np.zeros(len(z), int), reduction="none")).all()
        assert np.isnan(fl.CrossEntropy().gradient(z, np.zeros(len(z), int))).all()
        assert np.isnan(fl.logsumexp(z)).all()
        z[rows, at] = INF
        assert not np.any(fl.cross_entropy(z, at, reduction="none"))
        other = (at + 1) % n_classes
        assert np.all(fl.cross_entropy(z, other, reduction="none") == INF)
        assert np.array_equal(fl.CrossEntropy().gradient(z, other, reduction="none")[rows, at], np.ones(len(z)))
        assert np.array_equal(fl.softmax(z), np.eye(n_classes, dtype=dtype)[at])
        z[rows, at] = -1


# ------------------------------------------------------------------------------------------------------ row isolation


BAD = {"nan": NAN, "inf": INF, "-inf": -INF, "max": "max", "subnormal": "tiny"}


def everything(loss, target, order, z):
    return loss.value_gradient_and_hessian(np.asarray(z, order=order), target, reduction="none")


def bits(result, keep):
    return [np.ascontiguousarray(x[keep]).tobytes() for x in result]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(("n", "k"), [(70, 3), (300, 5), (70, 40), (20, 100), (9, 5000)])
def test_rows_are_on_their_own(softmax_case, dtype, order, n, k, bad):
    """A bad row changes no bit of another one, before or behind it, and no other row changes a bit of a bad one."""
    (bad,) = numbers([BAD[bad]], dtype)
    rng = np.random.default_rng(0)
    t = rng.integers(0, k, n)
    soft = np.full((n, k), 1 / k, dtype)
    good, other = (rng.normal(size=(n, k)).astype(dtype) for _ in range(2))
    positions = sorted({0, 1, n // 2, n - 2, n - 1, *(x for x in (15, 16, 255, 256) if x < n)})
    for target in (t, soft):
        loss = softmax_case.build({"label_smoothing": 0.1} if target is t else {}, k)
        evaluate = functools.partial(everything, loss, target, order)
        clean = evaluate(good)
        for position in positions:
            spoilt = good.copy()
            spoilt[position, position % k] = bad
            rest = np.arange(n) != position
            result = evaluate(spoilt)
            assert bits(result, rest) == bits(clean, rest), f"row {position} has changed others"
            surroundings = other.copy()
            surroundings[position] = spoilt[position]
            again = evaluate(surroundings)
            assert bits(result, ~rest) == bits(again, ~rest), f"row {position} depends on others"


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("n", [37, 600])
def test_elements_are_on_their_own(pointwise_case, dtype, n, bad):
    (bad,) = numbers([BAD[bad]], dtype)
    loss = pointwise_case.build(pointwise_case.parameters[-1])
    good, t = cases.draw(pointwise_case, pointwise_case.kinds[-1], (n,), dtype)
    other, _ = cases.draw(pointwise_case, pointwise_case.kinds[-1], (n,), dtype, seed=1)
    clean = loss.value_gradient_and_hessian(good, t, reduction="none")
    for position in (0, 1, 15, 16, 17, 31, n // 2, n - 2, n - 1):
        spoilt, surroundings = good.copy(), other.copy()
        spoilt[position] = surroundings[position] = bad
        rest = np.arange(n) != position
        result = loss.value_gradient_and_hessian(spoilt, t, reduction="none")
        assert bits(result, rest) == bits(clean, rest)
        again = loss.value_gradient_and_hessian(surroundings, t, reduction="none")
        assert bits(result, ~rest) == bits(again, ~rest)


def test_a_target_is_on_its_own(pointwise_case, dtype):
    """One that is neither 0 nor 1, or as large as they come, changes no bit of its neighbours."""
    if pointwise_case.domain == "real":
        targets = [1e30, -0.0, math.nan]
    else:
        targets = [0.3, 1.0] + ([] if pointwise_case.domain == "probability" else [1e30])
    n = 600
    for parameters in pointwise_case.parameters:
        loss = pointwise_case.build(parameters)
        z, t = cases.draw(pointwise_case, pointwise_case.kinds[0], (n,), dtype)
        z[::5] = 0
        clean = loss.value_gradient_and_hessian(z, t, reduction="none")
        of_value, gradient = loss.value_and_gradient(z, t, reduction="none")
        for position, target in itertools.product((0, 17, 511, 512, n - 1), targets):
            other = t.copy()
            other[position] = target
            rest = np.arange(n) != position
            result = loss.value_gradient_and_hessian(z, other, reduction="none")
            assert bits(result, rest) == bits(clean, rest), f"{parameters} {target} at {position}"
            result = loss.value_and_gradient(z, other, reduction="none")
            assert bits(result, rest) == bits((of_value, gradient), rest), f"{parameters} {target} at {position}"


def test_sets_are_on_their_own(set_case, dtype):
    rng = np.random.default_rng(0)
    good = rng.normal(size=(50, 7)).astype(dtype)
    t = rng.integers(0, 2, (50, 7)).astype(dtype)
    loss = set_case.build({})
    clean = loss.value_gradient_and_hessian(good, t, axis=0, reduction="none")
    for bad in (NAN, INF, -INF):
        for column in range(7):
            spoilt = good.copy()
            spoilt[column * 7, column] = bad
            value, *derivatives = loss.value_gradient_and_hessian(spoilt, t, axis=0, reduction="none")
            rest = np.arange(7) != column
            assert cases.same_bits(value[rest], clean[0][rest])
            for x, right in zip(derivatives, clean[1:], strict=True):
                assert cases.same_bits(np.ascontiguousarray(x[:, rest]), np.ascontiguousarray(right[:, rest]))


# ----------------------------------------------------------------------------------------------------- the processor

ROUND_UP, FLUSH, INVALID = {
    "x86_64": (0x4000, 0x8040, 0x01),  # MXCSR: rounding, FTZ and DAZ, IE
    "aarch64": (0x400000, 0x1000000, 0x01),  # FPCR: rounding, FZ; FPSR: IOC
}.get(platform.machine(), (None, None, None))
LIBM = ctypes.CDLL(None) if platform.system() == "Linux" else None
on_known_processors = pytest.mark.skipif(
    LIBM is None or ROUND_UP is None or not hasattr(LIBM, "fegetenv"),
    reason="no way to read the processor's state here",
)


def float_state():
    """(control, flags) of this thread, read from the environment that the C library saves."""
    environment = (ctypes.c_uint32 * 16)()
    LIBM.fegetenv(environment)
    if platform.machine() == "x86_64":
        return environment[7] & ~0x3F, environment[7] & 0x3F
    return environment[0], environment[1]


def set_float_state(control, flags=0):
    environment = (ctypes.c_uint32 * 16)()
    LIBM.fegetenv(environment)
    if platform.machine() == "x86_64":
        environment[7] = control | flags
    else:
        environment[0], environment[1] = control, flags
    LIBM.fesetenv(environment)


@pytest.fixture
def restored_float_state():
    before = float_state()
    yield before
    set_float_state(*before)


def calls(dtype):
    """Calls of every kind, with numbers that raise every exception there is: overflow, underflow, invalid, inexact."""
    z = np.array(np.resize(cases.hard_rows(dtype), (120, 3)))
    z[0] = np.finfo(dtype).tiny * 3
    t, soft = np.zeros(120, int), np.full(z.shape, 0.3, dtype)
    w, w_of_elements = np.full(120, 0.3), np.full(z.shape, 1e-3, dtype)
    outs = {"gradient_out": np.empty_like(z), "hessian_out": np.empty_like(z)}
    out = np.empty_like(z)
    options = {"reduction": "sum", **outs}  # a mean that is nan is looked into with NumPy, which clears the flags
    for loss in (fl.CrossEntropy(label_smoothing=0.1), fl.Focal(gamma=1.5), fl.Poly1()):
        for target in (t, soft):
            yield lambda loss=loss, target=target: loss.value_gradient_and_hessian(
                z, target, sample_weight=w, **options
            )
    for loss in (BINARY, fl.Poisson(), fl.Cauchy(), fl.Brier(), fl.LogCosh(), fl.Dice()):
        yield lambda loss=loss: loss.value_gradient_and_hessian(z, soft, sample_weight=w_of_elements, **options)
    for name in ("softmax", "log_softmax", "sigmoid", "log_sigmoid"):
        yield lambda name=name: getattr(fl, name)(z, out=out)
    yield lambda: fl.logsumexp(z)
    large, zeros = np.resize(z, (200_000, 3)), np.zeros(200_000, int)
    yield lambda: fl.CrossEntropy().value_and_gradient(large, zeros)


@on_known_processors
@pytest.mark.parametrize("threads", [1, 3])
def test_exception_flags_stay_as_they_were(dtype, threads, restored_float_state):
    control, _ = restored_float_state
    with fl.num_threads(threads):
        for number, call in enumerate(calls(dtype)):
            for flags in (0, INVALID):
                call()
                set_float_state(control, flags)
                call()
                assert float_state() == (control, flags), f"call {number}"


@on_known_processors
@pytest.mark.parametrize("threads", [1, 3])
def test_modes_stay_as_they_were(dtype, threads, restored_float_state):
    """Subnormal numbers as zeros, another rounding: what the process has chosen it keeps, and so do errors."""
    control, _ = restored_float_state
    for mode in (FLUSH, ROUND_UP, FLUSH | ROUND_UP):
        set_float_state(control | mode)
        with fl.num_threads(threads):
            for call in calls(dtype):
                call()
                assert float_state()[0] == control | mode
            with pytest.raises(ValueError, match="target"):
                fl.cross_entropy(np.zeros((2, 3), dtype), np.array([0, 3]))
            with pytest.raises(ValueError, match="sample_weight"):
                fl.dice(np.zeros(3, dtype), np.zeros(3, dtype), sample_weight=np.full(3, -1, dtype))
        assert float_state()[0] == control | mode


@on_known_processors
def test_threads_compute_in_the_callers_mode(dtype, restored_float_state):
    """Workers that were started before it was chosen, too: the same bits from any number of threads."""
    control, _ = restored_float_state
    n = 400_000
    z = np.full(n, np.finfo(dtype).tiny / 4, dtype)
    t = np.zeros(n, dtype)
    evaluate = lambda: fl.absolute_error(z, t, reduction="sum")
    with fl.num_threads(3):
        usual = evaluate()  # starts the workers
        assert usual > 0
        set_float_state(control | FLUSH)
        flushed = evaluate()
    with fl.num_threads(1):
        assert evaluate() == flushed
    set_float_state(control)
    with fl.num_threads(3):
        assert evaluate() == usual


@on_known_processors
def test_results_without_subnormal_numbers(few_setup, dtype, restored_float_state):
    """A process that takes them as zeros, as some set it up for speed, gets results as exact as any other."""
    if not cases.has_wide(dtype):
        pytest.skip("no wider type here")
    control, _ = restored_float_state
    for spread in ("wide", "small"):
        z, t = few_setup.draw((200, 4), dtype, spread)
        bounds = cases.expected(few_setup.case, few_setup.parameters(4), z, t, dtype)
        set_float_state(control | FLUSH)
        result = few_setup.build(4).value_gradient_and_hessian(z, t, reduction="none")
        set_float_state(control)
        bounds = cases.Expected(*(cases.Bounded(b.exact, b.tolerance + 2 * np.finfo(dtype).tiny) for b in bounds))
        cases.assert_result(result, bounds, f"{few_setup} {spread}", dtype)


SIZES = [10.0**n for n in (-300, -160, -100, -46, -38, -30, -20, -10, -3, 0, 3, 10, 20, 30, 38, 39, 100, 160, 300)]


def swept(case):
    """Each parameter of a loss that is a number, over all of its domain."""
    for name, default in inspect.signature(getattr(fl, case.constructor)).parameters.items():
        for value in (*SIZES, *(1 + size for size in SIZES[:9]), *(-size for size in SIZES), 0.5):
            try:
                yield name, value, getattr(fl, case.constructor)(**{name: value})
            except (TypeError, ValueError):
                assert default.default is inspect.Parameter.empty or value != default.default


def test_parameters_of_any_size(case, dtype):
    """Where the text-book result is a number of the dtype, ours is that number; nowhere is it undefined."""
    z, t = cases.draw(case, case.kinds[0], (20, 4), dtype)
    wide = (z.astype(np.float64), t if t.dtype.kind in "iu" else t.astype(np.float64))
    largest = float(np.finfo(dtype).max)
    for name, value, loss in swept(case):
        if case.setwise:
            assert np.isfinite(loss.gradient(z, t)).all(), (name, value)
            continue
        try:
            found = loss.value_gradient_and_hessian(z, t, reduction="none")
        except ValueError:
            assert dtype == np.float32, (name, value)
            assert name in ("pos_weight", "class_weight"), (name, value)
            continue
        for what, got in zip(("value", "gradient", "Hessian"), found, strict=True):
            assert not np.isnan(got).any(), (what, name, value)
        with np.errstate(all="ignore"):
            expected = getattr(reference, case.function)(*wide, **{name: value})
        if case.rowwise or not 1e-100 < value < 1e100:  # where the text-book formula has lost the digits itself
            continue
        for what, got, want in zip(("value", "gradient", "Hessian"), found, expected, strict=True):
            usual = np.isfinite(want) & (np.abs(want) < largest / 64)
            floor = 1e-4 * np.max(np.abs(want[usual]), initial=0.0) + 1e8 * float(np.finfo(dtype).tiny)
            off = np.abs(got - want) > 1e-3 * np.abs(want) + floor
            assert not (usual & off).any(), (what, name, value, got[usual & off], want[usual & off])


def test_a_scale_beyond_all_residuals_is_the_squared_loss(dtype):
    """Half the squared error, to the last digits, where squares of the scale, or of r / c, do not exist."""
    r = np.array([3.0, -1e-3, 100.0, 0.0], dtype)
    for scale in (1e18, 1e20, 1e30, 1e38, 1e39, 1e100, 1e154, 1e160, 1e300):
        for loss in (fl.Cauchy(scale), fl.Fair(scale), fl.PseudoHuber(scale), fl.Huber(scale), fl.Tukey(scale)):
            value, gradient = loss.value_and_gradient(r, np.zeros_like(r), reduction="none")
            tolerance = 8 * np.finfo(dtype).eps
            np.testing.assert_allclose(value, r.astype(np.float64) ** 2 / 2, rtol=tolerance)
            np.testing.assert_allclose(gradient, r, rtol=tolerance)
