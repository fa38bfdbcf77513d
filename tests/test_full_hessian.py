"""The full Hessian of row-wise losses, packed and times a vector: against differences, the diagonal, and each other."""

import cases
import mpmath
import numpy as np
import pytest

import fastloss as fl

SETUPS = tuple(setup for setup in cases.SETUPS if hasattr(getattr(fl, setup.case.constructor), "packed_hessian"))


@pytest.fixture(params=SETUPS, ids=str)
def softmax_setup(request):
    return request.param


def unpacked(packed, n_classes):
    full = np.zeros((*packed.shape[:-1], n_classes, n_classes), packed.dtype)
    i, j = np.triu_indices(n_classes)
    full[..., i, j] = packed
    full[..., j, i] = packed
    return full


def by_differences(setup, z, t, n_classes):
    """Columns of the Hessian: differences of the reference's gradient in extended precision."""
    step = np.longdouble(2.0) ** -18
    wide = z.astype(np.longdouble)
    columns = []
    for k in range(n_classes):
        move = np.zeros(n_classes, np.longdouble)
        move[k] = step
        parameters = setup.parameters(n_classes)
        up, down = (setup.case.twin(wide + m, t, **parameters)[1] for m in (move, -move))
        columns.append((up - down) / (2 * step))
    return np.stack(columns, axis=-1).astype(np.float64)


@pytest.mark.parametrize("n_classes", [1, 2, 3, 7, 20])
def test_against_differences(softmax_setup, n_classes):
    z, t = softmax_setup.draw((19, n_classes))
    t = np.where(t == 0, 0.0, t) if softmax_setup.kind == "probability" else t
    loss = softmax_setup.build(n_classes)
    full = unpacked(loss.packed_hessian(z, t, reduction="none"), n_classes)
    scale = 1 + np.abs(full).max()
    np.testing.assert_allclose(full, by_differences(softmax_setup, z, t, n_classes), atol=3e-9 * scale)


@pytest.mark.parametrize("curvature", ["exact", "psd"])
@pytest.mark.parametrize("spread", ["normal", "wide", "small"])
def test_diagonal_product_and_packed_agree(softmax_setup, dtype, curvature, spread):
    n_classes = 6
    z, t = softmax_setup.draw((41, n_classes), dtype, spread)
    w = np.random.default_rng(1).uniform(0, 2, 41).astype(dtype)
    v = np.random.default_rng(2).normal(size=z.shape).astype(dtype)
    loss = softmax_setup.build(n_classes)
    eps = np.finfo(dtype).eps
    for reduction in ("none", "mean"):
        options = {"sample_weight": w, "reduction": reduction, "curvature": curvature}
        packed = loss.packed_hessian(z, t, **options)
        assert packed.dtype == dtype
        full = unpacked(packed.astype(np.float64), n_classes)
        # Parts may cancel: the size is that of the larger one. (The diagonal of psd has a floor far below 1e-15.)
        psd = loss.packed_hessian(z, t, **{**options, "curvature": "psd"}).astype(np.float64)
        size = np.maximum(np.abs(psd).max(axis=-1), np.abs(full).max(axis=(1, 2))) + 1e-15
        _, diagonal = loss.gradient_and_hessian(z, t, **options)
        error = np.abs(np.einsum("rkk->rk", full) - diagonal) / size[:, np.newaxis]
        assert error.max() < 60 * eps
        product = loss.hessian_vector_product(z, t, v, **options)
        assert product.dtype == dtype
        assert product.shape == z.shape
        exact = np.einsum("rjk,rk->rj", full, v.astype(np.float64))
        assert (np.abs(product - exact) / size[:, np.newaxis]).max() < 600 * eps


def test_psd_is_positive_semidefinite(softmax_setup):
    z, t = softmax_setup.draw((200, 5), np.float64, "wide")
    full = unpacked(softmax_setup.build(5).packed_hessian(z, t, reduction="none", curvature="psd"), 5)
    values = np.linalg.eigvalsh(full)
    assert values.min() >= -1e-13 * max(1.0, values.max())


def test_majorize_bounds_the_largest_eigenvalue(softmax_setup):
    loss = softmax_setup.build(5)
    for spread in ("normal", "wide", "small"):
        z, t = softmax_setup.draw((500, 5), np.float64, spread)
        largest = np.linalg.eigvalsh(unpacked(loss.packed_hessian(z, t, reduction="none"), 5)).max(axis=-1)
        _, bound = loss.gradient_and_hessian(z, t, reduction="none", curvature="majorize")
        assert np.all(largest <= bound.min(axis=-1) * (1 + 1e-12))


def test_confident_rows_keep_their_digits():
    """Entries far below the rounding of a probability near 1, against 50 digits."""
    z, gamma = [40.0, 0.0, -3.0], 2.0
    with mpmath.workdps(50):

        def value(*logits):
            odds = [mpmath.exp(x) for x in logits]
            p = odds[0] / mpmath.fsum(odds)
            return -((1 - p) ** mpmath.mpf(gamma)) * mpmath.log(p)

        exact = []
        for i in range(3):
            for j in range(i, 3):
                order = [0, 0, 0]
                order[i] += 1
                order[j] += 1
                exact.append(
                    float(mpmath.diff(value, tuple(map(mpmath.mpf, z)), tuple(order), h=mpmath.mpf(10) ** -12))
                )
    found = fl.Focal(gamma=gamma).packed_hessian([z], [0], reduction="none")[0]
    np.testing.assert_allclose(found, exact, rtol=1e-9)


def test_axis_and_shapes():
    rng = np.random.default_rng(0)
    z, t = rng.normal(size=(3, 4, 5)), rng.integers(0, 4, (3, 5))
    loss = fl.Focal(gamma=1.5)
    packed = loss.packed_hessian(z, t, axis=1)
    assert packed.shape == (3, 10, 5)
    plain = loss.packed_hessian(np.moveaxis(z, 1, -1).reshape(15, 4), t.reshape(15))
    assert cases.same_bits(np.moveaxis(packed, 1, -1).reshape(15, 10).copy(), plain)
    assert loss.packed_hessian(np.empty((0, 4)), np.empty(0, int)).shape == (0, 10)
    for half in (np.float16,):
        assert loss.packed_hessian(z.astype(half), t, axis=1).dtype == half


def test_rows_of_weight_0_count_nowhere(softmax_setup):
    z, t = softmax_setup.draw((8, 3))
    z[2] = np.nan
    w = np.ones(8)
    w[2] = 0
    packed = softmax_setup.build(3).packed_hessian(z, t, sample_weight=w)
    assert np.all(packed[2] == 0)
    assert np.all(np.isfinite(packed))


def test_any_number_of_threads():
    rng = np.random.default_rng(0)
    z, t = rng.normal(size=(20001, 7)).astype(np.float32), rng.integers(0, 7, 20001)
    found = []
    for threads in (1, 2, 3):
        with fl.num_threads(threads):
            found.append(fl.Focal().packed_hessian(z, t))
    assert cases.same_bits(found[0], found[1])
    assert cases.same_bits(found[0], found[2])


def test_errors():
    loss = fl.CrossEntropy()
    z = np.zeros((4, 3))
    with pytest.raises(ValueError, match=r"target\[1\] = 3 is not a class index"):
        loss.packed_hessian(z, [0, 3, 0, 0])
    with pytest.raises(ValueError, match="vector must have the prediction's shape"):
        loss.hessian_vector_product(z, [0, 1, 0, 0], np.zeros((4, 2)))
    with pytest.raises(ValueError, match="curvature must be 'exact', 'psd' or 'fisher'"):
        loss.packed_hessian(z, [0, 1, 0, 0], curvature="majorize")


@pytest.mark.parametrize("curvature", ["exact", "psd"])
@pytest.mark.parametrize("target", ["class", "soft"])
def test_many_classes_are_as_few_and_masks(dtype, curvature, target):
    """Triangles of many classes, row after row: classes of probability 0 beside few that have some change nothing."""
    n, few, many = 5, 60, 71  # of 64 classes on, a row's triangle is made alone
    rng = np.random.default_rng(0)
    z = rng.normal(size=(n, few)).astype(dtype)
    wide = np.full((n, many), -np.inf, dtype)
    wide[:, :few] = z
    t = rng.integers(0, few, n)
    soft, wide_soft = rng.dirichlet(np.ones(few), n), np.zeros((n, many))
    wide_soft[:, :few] = soft
    options = {"curvature": curvature, "sample_weight": [1, 0, 2, 0.5, 1], "reduction": "sum"}
    loss = fl.Focal(1.5)
    found = loss.packed_hessian(wide, t if target == "class" else wide_soft, **options)
    wanted = loss.packed_hessian(z, t if target == "class" else soft, **options)
    rows, columns = np.triu_indices(many)
    inside = (rows < few) & (columns < few)
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(found[:, inside], wanted, rtol=0, atol=8 * np.finfo(dtype).eps * scale)
    assert not found[:, ~inside].any()


def test_a_row_of_many_classes_needs_no_more_memory_than_its_result(run_python):
    found = run_python(
        """
import resource
import numpy as np
import fastloss as fl

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

fl.CrossEntropy().packed_hessian(np.zeros((1, 100)), [0])
before = peak()
result = fl.CrossEntropy().packed_hessian(np.zeros((1, 3000)), [0])
print((peak() - before) / result.nbytes)
"""
    )
    assert float(found) < 1.5
