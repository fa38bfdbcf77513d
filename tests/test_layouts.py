"""Any memory order, alignment, byte order and container arrives at the same numbers."""

import itertools

import cases
import numpy as np
import pytest

import fastloss as fl

NAMES = ("value", "gradient", "hessian")


def strided(array):
    room = np.full([2 * n + 1 for n in array.shape], 9, array.dtype)
    view = room[tuple(slice(1, 2 * n + 1, 2) for n in array.shape)]
    view[...] = array
    return view


def negative(array):
    every = (slice(None, None, -1),) * array.ndim
    return array[every].copy()[every]


def misaligned(array):
    room = np.zeros(array.nbytes + 1, np.uint8)
    view = room[1:].view(array.dtype).reshape(array.shape) if array.size else array
    view[...] = array
    assert array.itemsize == 1 or not view.flags.aligned
    return view


def field(array):
    """A column of records: a stride that no number of elements fits in."""
    records = np.zeros(array.shape, np.dtype([("flag", "u1"), ("x", array.dtype)]))
    records["x"] = array
    return records["x"]


def offset(array):
    room = np.zeros(array.size + 3, array.dtype)
    view = room[3:].reshape(array.shape)
    view[...] = array
    return view


def readonly(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def swapped_axes(array):
    return array if array.ndim < 3 else array.swapaxes(0, 1).copy().swapaxes(0, 1)


LAYOUTS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "strided": strided,
    "negative": negative,
    "half negative": lambda array: array[::-1].copy()[::-1],
    "misaligned": misaligned,
    "field": field,
    "byteswapped": lambda array: array.astype(array.dtype.newbyteorder("S")),
    "offset": offset,
    "readonly": readonly,
    "swapped axes": swapped_axes,
    "subclass": lambda array: array.view(type("Subclass", (np.ndarray,), {})),
}
WRITABLE = [name for name in LAYOUTS if name not in ("readonly", "subclass")]


def problems(setup, dtype):
    """(prediction, target, weight, axis) with classes along every axis."""
    shapes = [(37,), (12, 9), (5, 6, 7)] if not setup.case.rowwise else [(19, 5), (4, 5, 6), (2, 3, 4, 5)]
    for shape in shapes:
        z, t = setup.draw(shape, dtype)
        w = np.random.default_rng(1).uniform(0.1, 2, shape[:-1] if setup.case.rowwise else shape)
        if not setup.case.rowwise:
            yield z, t, w, None
            continue
        for axis in range(len(shape)):
            moved = np.ascontiguousarray(np.moveaxis(z, -1, axis))
            t_moved = np.ascontiguousarray(np.moveaxis(t, -1, axis)) if t.ndim == z.ndim else t
            yield moved, t_moved, w, axis
            if axis == len(shape) - 1:
                yield moved, t_moved, w, -1


def check(setup, result, z, t, w, axis, dtype, reduction, what):
    options = {} if axis is None else {"axis": axis}
    n_classes = z.shape[-1 if axis is None else axis]
    bounds = cases.expected(
        setup.case, setup.parameters(n_classes), z, t, dtype, sample_weight=w, reduction=reduction, **options
    )
    cases.assert_result(result, bounds, what, dtype)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_inputs(few_setup, dtype, layout):
    change = LAYOUTS[layout]
    for z, t, w, axis in problems(few_setup, dtype):
        options = {} if axis is None else {"axis": axis}
        loss = few_setup.build(z.shape[-1 if axis is None else axis])
        plain = loss.value_gradient_and_hessian(z, t, reduction="none", sample_weight=w, **options)
        if layout == "C":
            check(few_setup, plain, z, t, w, axis, dtype, "none", f"{z.shape} axis {axis}")
        for z1, t1, w1 in ((change(z), change(t), change(w)), (change(z), t, w), (z, change(t), change(w))):
            result = loss.value_gradient_and_hessian(z1, t1, reduction="none", sample_weight=w1, **options)
            what = f"{few_setup} {z.shape} axis {axis}"
            if axis is None:
                for name, a, b in zip(NAMES, result, plain, strict=True):
                    assert cases.same_bits(a, b), f"{what}: {name}"
            else:
                check(few_setup, result, z, t, w, axis, dtype, "none", what)
        value, gradient = loss.value_and_gradient(change(z), change(t), sample_weight=change(w), **options)
        mean = loss.value_and_gradient(z, t, sample_weight=w, **options)
        assert value == pytest.approx(mean[0], rel=1e-13 if dtype == np.float64 else 1e-6)
        np.testing.assert_allclose(gradient, mean[1], rtol=100 * np.finfo(dtype).eps, atol=np.finfo(dtype).eps)


@pytest.mark.parametrize("layout", WRITABLE)
def test_layouts_of_outputs(few_setup, dtype, layout):
    for z, t, w, axis in problems(few_setup, dtype):
        options = {"sample_weight": w} if axis is None else {"axis": axis, "sample_weight": w}
        loss = few_setup.build(z.shape[-1 if axis is None else axis])
        plain = loss.value_gradient_and_hessian(z, t, **options)
        for change in (LAYOUTS[layout], np.asarray):
            gradient = LAYOUTS[layout](np.full_like(z, 5))
            hessian = change(np.full_like(z, 6))
            result = loss.value_gradient_and_hessian(z, t, gradient_out=gradient, hessian_out=hessian, **options)
            assert result[1] is gradient
            assert result[2] is hessian
            assert result[0] == pytest.approx(plain[0], rel=1e-12 if dtype == np.float64 else 1e-6)
            for name, a, b in zip(NAMES[1:], (gradient, hessian), plain[1:], strict=True):
                # The weights may be added up in another order.
                rtol = (2 if axis is None else 100) * np.finfo(dtype).eps
                np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol, err_msg=f"{few_setup} {name}")


def test_outputs_leave_the_gaps_alone(few_setup, dtype):
    z, t = few_setup.draw((12, 5), dtype)
    room = np.full((25, 11), 9, dtype)
    few_setup.build(5).gradient(z, t, gradient_out=room[1::2, 1::2])
    room[1::2, 1::2] = 9
    assert (room == 9).all()


def test_fresh_outputs_keep_the_memory_order(few_setup, dtype):
    z, t = few_setup.draw((50, 4), dtype)
    loss = few_setup.build(4)
    assert loss.gradient(z, t).flags.c_contiguous
    assert loss.gradient(np.asfortranarray(z), t).flags.f_contiguous


def test_in_place(few_setup, dtype):
    """The gradient or the Hessian may overwrite the prediction, the target or the weights."""
    z, t = few_setup.draw((70, 6), dtype)
    w = np.random.default_rng(0).uniform(0.1, 2, z.shape[:1] if few_setup.case.rowwise else z.shape).astype(dtype)
    loss = few_setup.build(6)
    plain = loss.value_gradient_and_hessian(z, t, sample_weight=w)
    for outputs in (("gradient_out",), ("hessian_out",), ("gradient_out", "hessian_out")):
        inputs = [z.copy(), t.copy(), w.copy()]
        overwritten = [x for x in inputs if x.shape == z.shape and x.dtype == z.dtype]
        for places in itertools.permutations(overwritten, len(outputs)):
            for x, original in zip(inputs, (z, t, w), strict=True):
                x[...] = original
            arrays = dict(zip(outputs, places, strict=True))
            result = loss.value_gradient_and_hessian(*inputs[:2], sample_weight=inputs[2], **arrays)
            assert result[0] == plain[0]
            for name, a, b in zip(NAMES, result, plain, strict=True):
                assert cases.same_bits(a, b), (few_setup, name)


def test_in_place_on_long_rows(dtype):
    for shape in ((5, 700), (3, 5000), (2, 40000), (500, 2), (300, 20)):
        for order in "CF":
            case = cases.CASES[0]
            z, t = cases.draw(case, "index", shape, dtype)
            z = np.array(z, order=order)
            gradient = fl.CrossEntropy().gradient(z, t)
            copy = z.copy(order="K")
            assert fl.CrossEntropy().gradient(copy, t, gradient_out=copy) is copy
            assert cases.same_bits(copy, gradient)
            copy = z.copy(order="K")
            assert fl.log_softmax(copy, out=copy) is copy
            assert cases.same_bits(copy, fl.log_softmax(z))


def test_overlapping_output(few_setup, dtype):
    n, k = 40, 6
    z, t = few_setup.draw((n, k), dtype)
    loss = few_setup.build(k)
    plain = loss.gradient(z, t)
    room = np.empty((n + 1) * k, dtype)
    for start_in, start_out in ((0, 1), (1, 0), (0, k), (k, 0)):
        prediction = room[start_in : start_in + n * k].reshape(n, k)
        out = room[start_out : start_out + n * k].reshape(n, k)
        prediction[...] = z
        assert loss.gradient(prediction, t, gradient_out=out) is out
        assert cases.same_bits(out, plain)
    prediction = z.copy()
    backwards = prediction[::-1]
    loss.gradient(prediction, t, gradient_out=backwards)
    np.testing.assert_allclose(backwards, plain, rtol=100 * np.finfo(dtype).eps, atol=np.finfo(dtype).eps)


def test_outputs_may_not_overlap_each_other(few_setup, dtype):
    z, t = few_setup.draw((40, 6), dtype)
    loss = few_setup.build(6)
    room = np.full((41, 6), 3, dtype)
    for gradient, hessian in ((room[:40], room[:40]), (room[:40], room[1:]), (room[:40], room[39::-1])):
        with pytest.raises(ValueError, match="overlap"):
            loss.gradient_and_hessian(z, t, gradient_out=gradient, hessian_out=hessian)
        assert (room == 3).all()
    loss.gradient_and_hessian(z, t, gradient_out=room[1:], hessian_out=np.empty_like(z))


def test_broadcast_inputs(few_setup, dtype):
    """Views with a stride of 0, and targets and weights that broadcast."""
    shape = (9, 6)
    z, t = few_setup.draw(shape, dtype)
    rowwise = few_setup.case.rowwise
    loss = few_setup.build(6)
    same_rows = np.broadcast_to(z[0], shape)
    dense = loss.value_gradient_and_hessian(same_rows.copy(), t, reduction="none")
    check(
        few_setup,
        loss.value_gradient_and_hessian(same_rows, t, reduction="none"),
        same_rows,
        t,
        None,
        -1 if rowwise else None,
        dtype,
        "none",
        "prediction",
    )
    one = np.broadcast_to(t[0], t.shape)
    result = loss.value_gradient_and_hessian(z, one, reduction="none")
    check(few_setup, result, z, one.copy(), None, -1 if rowwise else None, dtype, "none", "target")
    assert dense[1].shape == shape
    weight = np.broadcast_to(np.float64(0.5), shape[:1] if rowwise else shape)
    for w in (weight, 0.5):
        result = loss.value_gradient_and_hessian(z, t, sample_weight=w, reduction="none")
        check(few_setup, result, z, t, weight, -1 if rowwise else None, dtype, "none", "weight")
    if rowwise:
        return
    for part in (t[0], t[:1], t[:, :1], t[0, 0], float(t[0, 0])):
        full = np.broadcast_to(part, shape)
        a = loss.value_gradient_and_hessian(z, part, reduction="none")
        b = loss.value_gradient_and_hessian(z, full.astype(dtype), reduction="none")
        assert all(cases.same_bits(x, y) for x, y in zip(a, b, strict=True))
    for part in (np.arange(6), np.arange(9)[:, np.newaxis]):
        a = loss.value_gradient_and_hessian(z, t, sample_weight=part)
        b = loss.value_gradient_and_hessian(z, t, sample_weight=np.broadcast_to(part, shape).astype(float))
        assert a[0] == pytest.approx(b[0], rel=float(16 * np.finfo(dtype).eps))
        assert all(cases.same_bits(x, y) for x, y in zip(a[1:], b[1:], strict=True))


# Several tiles and a rest; rows shorter and longer than a vector, a tile and the number of phases; several blocks.
BROADCAST_SHAPES = ((173, 10), (700, 3), (41, 65), (3, 700), (2000, 9))


@pytest.mark.parametrize("shape", BROADCAST_SHAPES, ids=str)
@pytest.mark.parametrize("of_type", [np.float32, np.float64, *cases.half_types()], ids=lambda x: np.dtype(x).name)
def test_a_number_a_row_or_a_column(of_type, shape):
    """Of targets, weights and positive weights: the bits of the arrays in full."""
    rng = np.random.default_rng(3)
    z = (3 * rng.standard_normal(shape)).astype(of_type)
    t = rng.integers(0, 2, shape).astype(of_type)
    full = rng.uniform(0.5, 1.5, shape)
    full[:, shape[1] // 2] = 0
    parts = (np.s_[:, :1], np.s_[:1], np.s_[0], np.s_[:1, :1])

    def everything(t, w, positive=None, reduction="mean"):
        loss = fl.BinaryCrossEntropy(pos_weight=positive)
        return loss.value_gradient_and_hessian(z, t, sample_weight=w, reduction=reduction)

    def full_of(part):
        return np.broadcast_to(part, shape).copy()

    for part in parts:
        for few_t, few_w in ((t[part], None), (t, full.astype(of_type)[part]), (t[part], full[part])):
            wanted = everything(full_of(few_t), None if few_w is None else full_of(few_w))
            found = everything(few_t, few_w)
            assert all(cases.same_bits(a, b) for a, b in zip(found, wanted, strict=True))
        wanted = everything(t, None, full_of(full[part]), "none")
        assert all(cases.same_bits(a, b) for a, b in zip(everything(t, None, full[part], "none"), wanted, strict=True))


def test_a_bad_number_a_row_or_a_column():
    """It is named where it is met first."""
    z, w = np.zeros((700, 3)), np.ones((700, 1))
    w[651] = -1
    with pytest.raises(ValueError, match=r"sample_weight\[651, 0\]"):
        fl.huber(z, z, sample_weight=w)
    with pytest.raises(ValueError, match=r"sample_weight\[2\]"):
        fl.huber(z, z, sample_weight=np.array([1, 1, np.nan]))
    with pytest.raises(ValueError, match=r"target\[651, 0\]"):
        fl.poisson(z, w)


def test_lists(few_setup):
    z, t = few_setup.draw((5, 4))
    loss = few_setup.build(4)
    a = loss.value_gradient_and_hessian(z.tolist(), t.tolist())
    b = loss.value_gradient_and_hessian(z, t)
    assert a[0] == b[0]
    assert all(cases.same_bits(x, y) for x, y in zip(a[1:], b[1:], strict=True))


def small_calls():
    rng = np.random.default_rng(5)
    z, t = rng.normal(size=(10, 2)), rng.random((10, 2))
    huber, softmax = fl.Huber(), fl.CrossEntropy()
    images, classes = rng.normal(size=(4, 3, 5)), rng.integers(0, 3, (4, 5))
    yield "lists", huber, (z[:, 0].tolist(), t[:, 0].tolist()), (z[:, 0].copy(), t[:, 0].copy()), {}
    yield "columns", huber, (z[::-1, 0], t[:, 1]), (z[::-1, 0].copy(), t[:, 1].copy()), {}
    yield "one target", huber, (z, 0.5), (z, np.full_like(z, 0.5)), {}
    yield "integers", huber, (np.arange(5), [0] * 5), (np.arange(5.0), np.zeros(5)), {}
    yield "a set", fl.Dice(), (z[:, 0], t[:, 1].tolist()), (z[:, 0].copy(), t[:, 1].copy()), {}
    yield "one row", softmax, (z[:, 0].tolist(), 3), (z[:, 0].copy()[None], np.array([3])), {}
    yield "leading classes", softmax, (images[0][:, :2], [0, 1, 1]), (images[0, :, :2].copy(), np.array([0, 1, 1])), {}
    yield "middle axis", softmax, (images, classes), (images.swapaxes(1, 2).copy(), classes), {"axis": 1}
    yield "first axis", softmax, (images[0], classes[0]), (images[0].T.copy(), classes[0]), {"axis": 0}
    yield "columns of parameters", fl.GaussianNLL(), (z.T, t[:, 0]), (z.copy(), t[:, 0].copy()), {"axis": 0}


@pytest.mark.parametrize(("what", "loss", "given", "plain", "axis"), list(small_calls()))
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_what_can_be_laid_at_once_is_not_prepared(monkeypatch, what, loss, given, plain, axis, reduction):
    expected = loss.value_gradient_and_hessian(*plain, reduction=reduction)

    def refuse(*arguments):
        raise AssertionError(f"{what} take the long way")

    in_order = what != "columns of parameters"
    if in_order and (loss.kind != "setwise" or reduction == "mean"):
        monkeypatch.setattr(fl._call, "prepare", refuse)
    value, *derivatives = loss.value_gradient_and_hessian(*given, reduction=reduction, **axis)
    assert np.ravel(value).tolist() == np.ravel(expected[0]).tolist()
    shape = np.shape(given[0])
    for found, right in zip(derivatives, expected[1:], strict=True):
        assert found.shape == shape
        found = np.moveaxis(found, axis["axis"], -1) if axis else found
        assert cases.same_bits(found.ravel(), right.ravel())


def views(a):
    """The same numbers in other places: orders, gaps along each axis, the other way round."""
    yield a
    yield a.copy(order="F")
    for axis, step in itertools.product(range(a.ndim), (1, 2)):
        shape, part = list(a.shape), [slice(None)] * a.ndim
        shape[axis], part[axis] = 2 * a.shape[axis] + 1, slice(0, step * a.shape[axis], step)
        wide = np.full(shape, 77, a.dtype)
        wide[tuple(part)] = a
        yield wide[tuple(part)]
    if a.ndim:
        yield a[::-1].copy()[::-1]


@pytest.mark.parametrize(
    "shape", [(4,), (5, 1), (1, 5), (2, 1), (3, 4), (4, 1, 1), (1, 4, 1), (1, 1, 2), (2, 3, 4)], ids=str
)
def test_views_along_any_axis(shape, dtype):
    """Also where a length is 1, whose stride says nothing."""
    rng = np.random.default_rng(6)
    for axis in range(len(shape)):
        n, rows = shape[axis], [size for k, size in enumerate(shape) if k != axis]
        losses = [(fl.CrossEntropy(), rng.integers(0, n, rows)), (fl.CrossEntropy(), rng.random(shape) / n)]
        losses += [(fl.GaussianNLL(), rng.normal(size=rows))] * (n == 2)
        z, weight = rng.normal(size=shape).astype(dtype), np.array(rng.random(rows), dtype)
        for loss, t in losses:
            plain = np.array(np.moveaxis(z, axis, -1)), np.array(np.moveaxis(t, axis, -1) if t.ndim == z.ndim else t)
            expected = loss.value_and_gradient(*plain, sample_weight=weight, reduction="none")
            for one, other, w in zip(views(z), itertools.cycle(views(np.array(t))), itertools.cycle(views(weight))):
                value, gradient = loss.value_and_gradient(one, other, axis=axis, sample_weight=w, reduction="none")
                np.testing.assert_allclose(value, expected[0], rtol=1e-5)
                np.testing.assert_allclose(np.moveaxis(gradient, axis, -1), expected[1], rtol=1e-4, atol=1e-6)


def test_bad_elements_of_views_are_named():
    z = np.zeros((4, 3, 5))
    classes = np.zeros((4, 5), int)
    classes[2, 1] = 3
    with pytest.raises(ValueError, match=r"target\[2, 1\] = 3"):
        fl.cross_entropy(z, classes, axis=1)
    t = np.zeros((6, 2))
    t[4, 1] = 2
    with pytest.raises(ValueError, match=r"target\[4\] = 2.0 must lie in \[0, 1\]"):
        fl.binary_cross_entropy(np.zeros((6, 2))[:, 0], t[:, 1])
    with pytest.raises(ValueError, match=r"target = 2.0 must lie in \[0, 1\]"):
        fl.binary_cross_entropy([1.0, 2.0], 2.0)
    with pytest.raises(ValueError, match=r"sample_weight\[1\] = -1.0 must be finite"):
        fl.dice([1.0, 2.0], [0, 1], sample_weight=[1.0, -1.0])


def test_memmap(few_setup, dtype, tmp_path):
    z, t = few_setup.draw((40, 4), dtype)
    loss = few_setup.build(4)
    with open(tmp_path / "x", "wb") as file:
        file.write(b"odd" + z.tobytes())
    mapped = np.memmap(tmp_path / "x", dtype, mode="r", offset=3, shape=z.shape)
    assert not mapped.flags.aligned
    out = np.memmap(tmp_path / "out", dtype, mode="w+", shape=z.shape)
    assert loss.gradient(mapped, t, gradient_out=out) is out
    assert cases.same_bits(np.asarray(out), loss.gradient(z, t))


def test_pandas(few_setup):
    pandas = pytest.importorskip("pandas")
    z, t = few_setup.draw((12, 4))
    loss = few_setup.build(4)
    frame = pandas.DataFrame(z, columns=list("abcd"))
    target = pandas.DataFrame(t) if t.ndim == 2 else pandas.Series(t, index=range(100, 112))
    value, gradient = loss.value_and_gradient(frame, target)
    plain = loss.value_and_gradient(z, t)
    assert value == pytest.approx(plain[0], rel=1e-13)
    assert type(gradient) is np.ndarray
    np.testing.assert_allclose(gradient, plain[1], rtol=1e-13, atol=1e-15)


def test_array_protocols(few_setup):
    """An object with ``__array__``, one with ``__dlpack__``, and a buffer."""

    class WithArray:
        def __init__(self, array):
            self.array = array

        def __array__(self, dtype=None, copy=None):
            return self.array

    class WithDLPack:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    z, t = few_setup.draw((12, 4))
    loss = few_setup.build(4)
    plain = loss.value_gradient_and_hessian(z, t)
    for wrap in (WithArray, WithDLPack, memoryview):
        result = loss.value_gradient_and_hessian(wrap(z), wrap(t))
        assert result[0] == plain[0]
        assert all(cases.same_bits(x, y) for x, y in zip(result[1:], plain[1:], strict=True))


CLASSES = [*range(1, 41), 63, 64, 65, 100, 127, 128, 129, 255, 257, 1000, 1023, 1025]
MANY_CLASSES = [4095, 4096, 4097, 5000, 16383, 32000, 70000]


@pytest.mark.parametrize("n_classes", [*CLASSES, *MANY_CLASSES])
def test_every_number_of_classes(dtype, n_classes):
    """The loops differ with the number of classes and the memory order; the results may not."""
    if not cases.has_wide(dtype):
        pytest.skip("no wider type here")
    n = max(3, min(70, 400 // n_classes))
    for function, parameters in (
        ("cross_entropy", {}),
        ("cross_entropy", {"class_weight": cases.CLASS_WEIGHT, "label_smoothing": 0.1}),
        ("focal", {}),
        ("kl_divergence", {}),
        ("poly1", {}),
        ("generalized_cross_entropy", {}),
        ("multiclass_hinge", {}),
    ):
        case = next(case for case in cases.CASES if case.function == function)
        for kind in case.kinds:
            setup = cases.Setup(case, parameters, kind)
            z, t = setup.draw((n, n_classes), dtype)
            if kind == "index":
                t[:2] = 0, n_classes - 1
            loss = setup.build(n_classes)
            bounds = cases.expected(case, setup.parameters(n_classes), z, t, dtype)
            for change in (np.ascontiguousarray, np.asfortranarray):
                result = loss.value_gradient_and_hessian(change(z), t, reduction="none")
                cases.assert_result(result, bounds, f"{setup} {z.shape}", dtype)
                value = loss(change(z), t, reduction="none")
                cases.assert_within(value, bounds.value, f"{setup} {z.shape} value alone", dtype)


@pytest.mark.parametrize("n_classes", [2, 3, 10, 33, 100])
@pytest.mark.parametrize("order", ["C", "F"])
def test_many_rows(dtype, n_classes, order):
    """Enough rows for whole tiles and a rest; the first and the last rows are those of a short array."""
    case = cases.CASES[0]
    z, t = cases.draw(case, "index", (5003, n_classes), dtype)
    z = np.array(z, order=order)
    loss = fl.CrossEntropy()
    result = loss.value_gradient_and_hessian(z, t, reduction="none")
    for part in (slice(0, 37), slice(4980, 5003)):
        bounds = cases.expected(case, {}, z[part], t[part], dtype)
        cases.assert_result([x[part] for x in result], bounds, f"{order} {part}", dtype)
    bounds = case.twin(z, t)
    value, gradient = loss.value_and_gradient(z, t)
    assert value == pytest.approx(bounds[0].mean(), rel=1e-12 if dtype == np.float64 else 1e-6)
    np.testing.assert_allclose(gradient * len(z), bounds[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 3, 50, 40), (3, 4, 5)], ids=str)
def test_channels_before_pixels(dtype, shape):
    """Segmentation: classes along axis 1."""
    case = cases.CASES[0]
    last = tuple(np.delete(shape, 1)) + (shape[1],)
    z, t = cases.draw(case, "index", last, dtype)
    z = np.ascontiguousarray(np.moveaxis(z, -1, 1))
    result = fl.CrossEntropy().value_gradient_and_hessian(z, t, axis=1, reduction="none")
    bounds = cases.expected(case, {}, z, t, dtype, axis=1)
    cases.assert_result(result, bounds, str(shape), dtype)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_row_functions(dtype, layout):
    change = LAYOUTS[layout]
    rng = np.random.default_rng(0)
    for shape in ((7,), (9, 5), (4, 5, 6), (2, 3, 4, 5)):
        x = cases.draw_prediction(rng, shape, dtype)
        for axis in range(-1, len(shape)):
            for name in ("log_softmax", "softmax", "logsumexp"):
                function = getattr(fl, name)
                plain = function(x, axis=axis)
                found = function(change(x), axis=axis)
                np.testing.assert_allclose(found, plain, rtol=8 * np.finfo(dtype).eps, err_msg=name)
                if layout in WRITABLE:
                    out = change(np.zeros_like(plain)) if plain.ndim else np.zeros_like(plain)
                    assert function(x, axis=axis, out=out) is out
                    np.testing.assert_allclose(out, plain, rtol=8 * np.finfo(dtype).eps, err_msg=name)
        for name in ("sigmoid", "log_sigmoid"):
            function = getattr(fl, name)
            plain = function(x)
            assert cases.same_bits(function(change(x)), plain)
            if layout in WRITABLE:
                out = change(np.zeros_like(x))
                assert function(x, out=out) is out
                assert cases.same_bits(np.array(out, dtype), plain)
