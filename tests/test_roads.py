"""Options and memory orders that have a road of their own through the kernels: the same numbers as on the plain one."""

import re

import cases
import numpy as np
import pytest

import fastloss as fl

SHAPE = (7, 1301)  # several tiles, the last of them not full
LOSSES = {"real": fl.Huber(0.7), "soft": fl.BinaryCrossEntropy(), "positive": fl.Gamma()}


def draw(kind, shape, dtype):
    rng = np.random.default_rng(0)
    z = rng.normal(size=shape).astype(dtype)
    return z, cases.draw_target(rng, kind, shape, np.float32), rng.uniform(0.5, 2, shape).astype(np.float32)


def stretched(x, how):
    """What broadcasts to an array of the shape of x."""
    return {"one": x[0, 0], "a row": x[:, :1], "a column": x[:1], "whole": x}[how]


def assert_same(found, wanted, what):
    for a, b in zip(found, wanted, strict=True):
        assert cases.same_bits(a, b), what


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("how", ["one", "a row", "a column", "whole"])
@pytest.mark.parametrize("code", ["f4", "f8", "f2", "i8"])
def test_broadcast_targets_and_weights(dtype, kind, how, code):
    """One number for all, for a row or for a column, of any type: as if each element had its own, to the last bit."""
    loss = LOSSES[kind]
    z, t, w = draw(kind, SHAPE, dtype)
    if code == "i8":
        t, w = np.ceil(t), np.ceil(w)
    t, w = stretched(t, how).astype(code), stretched(w, how).astype(code)
    whole_t, whole_w = (np.ascontiguousarray(np.broadcast_to(x, SHAPE)) for x in (t, w))
    for reduction in ("mean", "sum", "none"):
        for weight, whole in ((None, None), (w, whole_w)):
            found = loss.value_gradient_and_hessian(z, t, sample_weight=weight, reduction=reduction)
            wanted = loss.value_gradient_and_hessian(z, whole_t, sample_weight=whole, reduction=reduction)
            assert_same(found, wanted, f"{how} {code} {reduction}")


@pytest.mark.parametrize("how", ["one", "a row", "a column", "whole"])
@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
@pytest.mark.parametrize("code", ["f4", "f8"])
def test_bad_weights_are_found(how, bad, code):
    z, t, w = draw("real", SHAPE, np.float32)
    w = stretched(w, how).astype(code)
    at = () if w.ndim == 0 else tuple(size - 1 for size in w.shape)
    w = np.array(w)
    w[at] = bad
    place = f"[{', '.join(map(str, at))}]" if at else ""
    for reduction in ("mean", "sum"):
        with pytest.raises(ValueError, match=re.escape(f"sample_weight{place} = ")):
            fl.huber(z, t, sample_weight=w, reduction=reduction)


@pytest.mark.parametrize("how", ["one", "a row", "a column", "whole"])
@pytest.mark.parametrize("bad", [-1e-300, 1 + 2.0**-40, np.nan])
def test_float64_targets_are_judged_as_passed(how, bad):
    """As float32 the first two would be 0 and 1; what has weight 0 may be anything."""
    z, t, _ = draw("soft", SHAPE, np.float32)
    t = np.array(stretched(t, how), np.float64)
    at = () if t.ndim == 0 else tuple(size - 1 for size in t.shape)
    t[at] = bad
    place = f"[{', '.join(map(str, at))}]" if at else ""
    with pytest.raises(ValueError, match=re.escape(f"target{place} = ")):
        fl.binary_cross_entropy(z, t)
    if how == "whole":
        counts = np.arange(t.size).reshape(SHAPE) != t.size - 1
        assert np.isfinite(fl.binary_cross_entropy(z, t, sample_weight=counts.astype(float)))


@pytest.mark.parametrize("order", ["column of two", "column of three", "transposed"])
def test_scores_of_another_order(dtype, order):
    """Large enough for transpositions in blocks."""
    shape = (700, 1100)
    z, t, w = draw("real", shape, dtype)
    given = {
        "column of two": lambda: np.stack([z, z + 1], -1)[..., 0],
        "column of three": lambda: np.stack([z, z, z + 1], -1)[..., 1],
        "transposed": lambda: np.asfortranarray(z),
    }[order]()
    wanted = fl.Huber().value_gradient_and_hessian(z, t, sample_weight=w, reduction="none")
    found = fl.Huber().value_gradient_and_hessian(given, t, sample_weight=w, reduction="none")
    for a, b in zip(found, wanted, strict=True):
        assert np.array_equal(a, b)
    gradient = np.empty(shape, dtype)
    fl.Huber().gradient(given, t, sample_weight=w, reduction="none", gradient_out=gradient)
    assert np.array_equal(gradient, wanted[1])


@pytest.mark.parametrize("n_classes", [2, 3, 5, 7, 8, 10, 16, 17, 33, 64, 65, 200])
@pytest.mark.parametrize("gap", [1, 6])
def test_rows_with_gaps(dtype, n_classes, gap):
    """Those of a table with other columns beside: the same bits, and nothing is written beside."""
    n = 531
    z, _, w = draw("real", (n, n_classes), dtype)
    t = np.arange(n) % n_classes
    room, out = (np.full((n, n_classes + gap), 7, dtype) for _ in range(2))
    room[:, :n_classes] = z
    for options in ({}, {"sample_weight": w[:, 0]}):
        for reduction in ("mean", "none"):
            wanted = fl.CrossEntropy().value_and_gradient(z, t, reduction=reduction, **options)
            found = fl.CrossEntropy().value_and_gradient(
                room[:, :n_classes], t, reduction=reduction, gradient_out=out[:, :n_classes], **options
            )
            assert_same((found[0], np.ascontiguousarray(found[1])), wanted, f"{reduction} {options.keys()}")
            assert (out[:, n_classes:] == 7).all()
    found = fl.log_softmax(room[:, :n_classes], out=out[:, :n_classes])
    assert cases.same_bits(np.ascontiguousarray(found), fl.log_softmax(z))
    assert (out[:, n_classes:] == 7).all()


@pytest.mark.parametrize(("n", "n_classes"), [(5000, 2), (3000, 10), (2100, 100), (700, 1000), (40, 5001)])
@pytest.mark.parametrize("axis", ["F order", "leading", "of images"])
def test_classes_in_columns(dtype, n, n_classes, axis):
    """Tiles of many rows: rows, weights and values in their places, whatever the number of threads."""
    z, _, w = draw("real", (n, n_classes), dtype)
    t, w = np.arange(n) % n_classes, w[:, 0]
    w[::7] = 0
    loss = fl.CrossEntropy()
    wanted = loss.value_and_gradient(z, t, sample_weight=w, reduction="none")
    if axis == "F order":
        given, options = np.asfortranarray(z), {}
    elif axis == "leading":
        given, options = np.ascontiguousarray(z.T), {"axis": 0}
    else:
        given = np.ascontiguousarray(np.moveaxis(z.reshape(n // 20, 4, 5, n_classes), -1, 1))
        t, w, options = t.reshape(n // 20, 4, 5), w.reshape(n // 20, 4, 5), {"axis": 1}
    found = []
    for threads in (1, 2, 3):
        with fl.num_threads(threads):
            found.append(loss.value_and_gradient(given, t, sample_weight=w, reduction="none", **options))
            mean = loss(given, t, sample_weight=w, **options)
        assert mean == pytest.approx(float(np.sum(wanted[0], dtype=float) / np.sum(w, dtype=float)), rel=1e-6)
    for each in found[1:]:
        assert_same(each, found[0], "threads")
    value, gradient = found[0]
    if axis == "leading":
        gradient = gradient.T
    elif axis == "of images":
        value, gradient = value.reshape(n), np.moveaxis(gradient, 1, -1).reshape(n, n_classes)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(value, wanted[0], rtol=20 * eps, atol=eps)
    np.testing.assert_allclose(gradient, wanted[1], rtol=40 * eps, atol=eps * 1e-3)


def in_columns(x, how):
    """Rows of classes, and x in another order: with the axis of classes, and the way back."""
    n, n_classes = x.shape
    if how == "F order":
        return np.asfortranarray(x), -1, lambda a: a
    if how == "negative":
        return np.asfortranarray(x[::-1, ::-1])[::-1, ::-1], -1, lambda a: a
    if how == "gaps":
        room = np.full((n_classes + 1, 2 * n + 3), 7, x.dtype)
        room[1:, 2 : 2 + n] = x.T
        return room[1:, 2 : 2 + n].T, -1, lambda a: a
    images = np.ascontiguousarray(x.reshape(n // 4, 4, n_classes).swapaxes(1, 2))
    return images, 1, lambda a: a.swapaxes(1, 2).reshape(n, n_classes)


@pytest.mark.parametrize("how", ["F order", "negative", "gaps", "of images"])
@pytest.mark.parametrize(("n", "n_classes"), [(36, 129), (20, 4099)])
@pytest.mark.parametrize("loss", ["labels", "smoothed", "probabilities", "hinge"])
def test_classes_in_columns_have_the_bits_of_rows(dtype, how, n, n_classes, loss):
    """Many classes, on the road of rows: in tiles before, whose sums are others; longer rows in pieces."""
    z, p, w = draw("unit", (n, n_classes), dtype)
    z[3, 5], z[4, 6], z[5] = np.inf, np.nan, -np.inf
    p /= p.sum(1, keepdims=True)
    w, t = w[:, 0], np.arange(n) * 37 % n_classes
    w[::7], t[1::7] = 0, n_classes - 1
    given, axis, back = in_columns(z, how)
    shape = given.shape[:-1] if axis == -1 else (n // 4, 4)
    target, given_target = (p, in_columns(p, how)[0]) if loss == "probabilities" else (t, t.reshape(shape))
    f = {
        "labels": fl.Focal(ignore_index=n_classes - 1),
        "smoothed": fl.CrossEntropy(label_smoothing=0.1, ignore_index=n_classes - 1),
        "probabilities": fl.CrossEntropy(class_weight=np.linspace(0.5, 2, n_classes)),
        "hinge": fl.MulticlassHinge(),
    }[loss]
    for method in ("value_and_gradient", "value_gradient_and_hessian"):
        for reduction in ("mean", "none"):
            wanted = getattr(f, method)(z, target, sample_weight=w, reduction=reduction)
            for threads in (1, 3):
                with fl.num_threads(threads):
                    found = getattr(f, method)(
                        given, given_target, axis=axis, sample_weight=w.reshape(shape), reduction=reduction
                    )
                value = found[0] if reduction == "mean" else found[0].reshape(n)
                found = (value, *(np.ascontiguousarray(back(each)) for each in found[1:]))
                assert_same(found, wanted, f"{method} {reduction} {threads}")
    assert cases.same_bits(np.ascontiguousarray(back(fl.log_softmax(given, axis=axis))), fl.log_softmax(z))


@pytest.mark.parametrize("n_classes", [129, 4099])
def test_bad_targets_of_classes_in_columns(dtype, n_classes):
    """Named by their place, and nothing is written."""
    z = np.zeros((20, n_classes), dtype, order="F")
    out, t = np.full_like(z, 5), np.zeros(20, int)
    t[7] = n_classes
    with pytest.raises(ValueError, match=re.escape("target[7] = ")):
        fl.CrossEntropy().gradient(z, t, gradient_out=out)
    p = np.full((20, n_classes), 1 / n_classes, order="F")
    p[7, n_classes - 2], p[9, 3] = -1, 2
    with pytest.raises(ValueError, match=re.escape(f"target[7, {n_classes - 2}] = ")):
        fl.CrossEntropy().gradient(z, p, gradient_out=out)
    assert (out == 5).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_wrong_in_turned_rows(threads):
    rng = np.random.default_rng(5)
    z, q = rng.normal(size=(40, 9000)), rng.random((40, 9000))
    q /= q.sum(axis=1, keepdims=True)
    q[21, 8000], q[33, 5] = -1.0, 2.0
    short = rng.normal(size=(6000, 200))  # too large to be looked at before
    of_short = fl.softmax(short)
    of_short[7, 150] = 3.0
    z, q = np.tile(z, (4, 1)), np.tile(q, (4, 1))
    with fl.num_threads(threads):
        for scores, target, place in ((z, q, r"\[21, 8000\]"), (short, of_short, r"\[7, 150\]")):
            with pytest.raises(ValueError, match=place):
                fl.CrossEntropy()(np.asfortranarray(scores), np.asfortranarray(target))
            with pytest.raises(ValueError, match=place):
                fl.CrossEntropy().value_and_gradient(np.asfortranarray(scores), np.asfortranarray(target))
        labels = rng.integers(0, 9000, len(z))
        labels[37] = 9000
        with pytest.raises(ValueError, match=r"\[37\]"):
            fl.CrossEntropy().gradient(np.asfortranarray(z), labels)


def test_turned_rows_of_other_steps_and_types():
    rng = np.random.default_rng(6)
    wide = np.asfortranarray(rng.normal(size=(80, 300)))
    one_hot = np.eye(300, dtype=bool)[rng.integers(0, 300, 40)]
    loss = fl.CrossEntropy(label_smoothing=0.1)
    right = loss.value_and_gradient(np.ascontiguousarray(wide[::2]), one_hot.astype(float))
    found = loss.value_and_gradient(wide[::2], np.asfortranarray(one_hot))
    assert found[0] == right[0]
    assert np.array_equal(found[1], right[1])
    long, labels = rng.normal(size=(3, 200_000)), rng.integers(0, 200_000, 3)
    hinge = fl.MulticlassHinge()
    value, gradient = hinge.value_and_gradient(np.asfortranarray(long), labels)
    right = hinge.value_and_gradient(long, labels)
    assert value == pytest.approx(right[0], rel=1e-13)
    np.testing.assert_allclose(gradient, right[1], atol=1e-16)
