"""Rows so long that all threads work on each: the bits of whole rows, on any number of threads."""

import cases
import numpy as np
import pytest

import fastloss as fl

N_ROWS, N_CLASSES = 9, 140_003  # as many rows are taken whole, few of them in pieces; neither fills its last piece
RNG = np.random.default_rng(0)
LOGITS = 3 * RNG.normal(size=(N_ROWS, N_CLASSES))
LOGITS[1, [5, 7, N_CLASSES - 1]] = -np.inf
LOGITS[2, 70_000] = np.inf
LOGITS[3, 100_000] = np.nan
LOGITS[4, [3, 100_000]] = np.inf
LOGITS[5] = -np.inf
LOGITS[6, 131_071] = 60  # nearly sure
CLASSES = np.array([0, N_CLASSES - 1, 70_000, 0, 3, 0, 131_071, 5, 4096])
WEIGHT = np.array([1, 0.5, 2, 1, 0.5, 1, 3, 0, 1])  # the last but one counts nowhere
SOFT = RNG.dirichlet(np.ones(N_CLASSES), N_ROWS)
LOSSES = {
    "plain": (fl.CrossEntropy(), CLASSES),
    "smoothed": (fl.CrossEntropy(label_smoothing=0.1), CLASSES),
    "soft": (fl.Focal(), SOFT),
    "ignored": (fl.Focal(1.5, ignore_index=5), CLASSES),
}


def assert_same_bits(a, b):
    """Of nan no more than that it is one: which of two is kept, compilers decide."""
    a, b = np.asarray(a), np.asarray(b)
    defined = ~np.isnan(a)
    assert np.array_equal(defined, ~np.isnan(b))
    assert cases.same_bits(a[defined], b[defined])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("threads", [1, 3])
def test_pieces_have_the_bits_of_whole_rows(dtype, loss, threads):
    loss, target = LOSSES[loss]
    z = LOGITS.astype(dtype)
    whole = [
        loss.value_and_gradient(z, target, sample_weight=WEIGHT, reduction="none"),
        *(
            loss.value_gradient_and_hessian(z, target, sample_weight=WEIGHT, reduction="none", curvature=curvature)
            for curvature in ("exact", "psd", "majorize")
        ),
    ]
    with fl.num_threads(threads):
        for i in range(0, N_ROWS, 3):
            some = slice(i, i + 3)
            options = {"sample_weight": WEIGHT[some], "reduction": "none"}
            found = loss.value_and_gradient(z[some], target[some], **options)
            in_place = z[some].copy()
            loss.gradient(in_place, target[some], gradient_out=in_place, **options)
            for a, b in zip((*found, in_place), (*whole[0], whole[0][1]), strict=True):
                assert_same_bits(a, b[some])
            for curvature, wanted in zip(("exact", "psd", "majorize"), whole[1:], strict=True):
                found = loss.value_gradient_and_hessian(z[some], target[some], curvature=curvature, **options)
                for a, b in zip(found, wanted, strict=True):
                    assert_same_bits(a, b[some])


@pytest.mark.parametrize("function", [fl.log_softmax, fl.softmax, fl.logsumexp])
def test_functions_of_a_row_in_pieces(dtype, function):
    z = LOGITS.astype(dtype)
    whole = function(z)
    for i, row in enumerate(z):
        for threads in (1, 2):
            with fl.num_threads(threads):
                assert_same_bits(function(row), whole[i])


def test_other_types_of_memory():
    z = LOGITS[[0, 8]].astype(np.float16)
    value, gradient = fl.CrossEntropy().value_and_gradient(z, CLASSES[[0, 8]])
    wanted, wide = fl.CrossEntropy().value_and_gradient(z.astype(np.float32), CLASSES[[0, 8]])
    assert value == wanted
    assert np.array_equal(gradient, wide.astype(np.float16))


def test_bad_targets_of_long_rows_are_found():
    z = LOGITS[[0, 8]]
    with pytest.raises(ValueError, match=r"target\[1\] = 140003"):
        fl.cross_entropy(z, [0, N_CLASSES])
    soft = SOFT[:2].copy()
    soft[1, 140_000] = 1.5
    with pytest.raises(ValueError, match=r"target\[1, 140000\] = 1\.5"):
        fl.cross_entropy(z, soft)


def test_sums_of_a_long_row_are_exact(dtype):
    """Probabilities of 140,003 classes in blocks: within the rounding of the result."""
    z, t = LOGITS[[0]].astype(dtype), SOFT[[0]].astype(dtype)
    wide = z.astype(np.longdouble)
    log_sum = np.log(np.sum(np.exp(wide - wide.max()))) + wide.max()
    wanted = np.sum(t.astype(np.longdouble) * (log_sum - wide))
    assert abs(fl.cross_entropy(z, t) - wanted) <= 4 * np.finfo(dtype).eps * wanted
