"""Bad input: an exception that names the argument, the rule and the first offending position; outputs untouched."""

import itertools
import re

import cases
import numpy as np
import pytest

import fastloss as fl

SHAPE = (30, 4)
PROBABILITIES = [setup for setup in cases.FEW_SETUPS if setup.kind in ("hard", "soft", "probability")]
METHODS = ("__call__", "gradient", "value_and_gradient", "gradient_and_hessian", "value_gradient_and_hessian")


def message(error):
    return str(error.value)


def assert_names_position(error, *position):
    """The first offending position stands in the message as an index."""
    found = re.findall(r"\[([\d, ]+)\]", message(error))
    indices = [tuple(int(x) for x in text.replace(" ", "").strip(",").split(",")) for text in found]
    assert tuple(position) in indices, f"{position} is not in: {message(error)}"


def refuses(loss, z, t, words, errors=(ValueError,), position=None, **options):
    """Every method refuses with the same kind of message and writes nothing."""
    outs = [np.full(np.shape(z), 3.0, getattr(z, "dtype", np.float64)) for _ in range(2)]
    writable = all(out.dtype.kind == "f" for out in outs)
    for method in METHODS:
        outputs = {}
        if writable and "gradient" in method:
            outputs["gradient_out"] = outs[0]
        if writable and "hessian" in method:
            outputs["hessian_out"] = outs[1]
        with pytest.raises(errors) as error:
            getattr(loss, method)(z, t, **options, **outputs)
        for word in words:
            assert word in message(error), f"{word!r} is not in: {message(error)}"
        if position is not None:
            assert_names_position(error, *position)
        assert all((out == 3).all() for out in outs), f"{method} has written"


def test_shapes(few_setup, dtype):
    z, t = few_setup.draw(SHAPE, dtype)
    loss = few_setup.build(4)
    rowwise = few_setup.case.rowwise
    wrong = [t[:-1], t[..., np.newaxis], np.zeros((*SHAPE, 2), dtype), np.zeros((5, 7), dtype), np.zeros(7, dtype)]
    if rowwise:
        wrong += [np.zeros(4, np.int64), np.zeros(31, np.int64), np.zeros((30, 1), np.int64), np.int64(0)]
    for bad in wrong:
        refuses(loss, z, bad, ["target", "shape"])
    for weight in (np.ones(31), np.ones((30, 4, 1)), np.ones((4, 30)), np.ones(0)):
        refuses(loss, z, t, ["sample_weight", "shape"], sample_weight=weight)
    if rowwise:
        for weight in (np.ones((30, 4)), np.ones((30, 1)), np.ones(4)):
            refuses(loss, z, t, ["sample_weight", "shape"], sample_weight=weight)


def test_column_against_vector(pointwise_case, dtype):
    """NumPy would make (n, n) of it."""
    case = pointwise_case
    loss = case.build(case.parameters[0])
    z, t = cases.draw(case, case.kinds[0], (9,), dtype)
    refuses(loss, z, t[:, np.newaxis], ["target", "(9, 1)", "(9,)"])
    refuses(loss, z[:, np.newaxis], t, ["target", "(9, 1)", "(9,)"])
    refuses(loss, z, t, ["sample_weight"], sample_weight=np.ones((9, 1)))
    # The target broadcasts to the prediction, not the other way round.
    refuses(loss, z[:1], t, ["target"])
    refuses(loss, z[0], t, ["target"])


def test_outputs(few_setup, dtype):
    z, t = few_setup.draw(SHAPE, dtype)
    loss = few_setup.build(4)
    # float32 outputs of float64 predictions are what boosters want, and no digit is lost the other way round.
    other = np.float16 if dtype == np.float64 else np.float64
    locked = np.zeros(SHAPE, dtype)
    locked.flags.writeable = False
    for name, out, errors in itertools.chain.from_iterable(
        (
            (name, np.zeros(SHAPE[::-1], dtype), ValueError),
            (name, np.zeros(SHAPE[0], dtype), ValueError),
            (name, np.zeros((1, *SHAPE), dtype), ValueError),
            (name, locked, ValueError),
            (name, np.zeros(SHAPE, other), (TypeError, ValueError)),
            (name, np.zeros(SHAPE, np.int64), (TypeError, ValueError)),
            (name, [[0.0] * 4] * 30, TypeError),
            (name, np.ma.zeros(SHAPE, dtype), TypeError),
            (name, np.lib.stride_tricks.as_strided(np.zeros(4, dtype), SHAPE, (0, z.itemsize)), ValueError),
        )
        for name in ("gradient_out", "hessian_out")
    ):
        with pytest.raises(errors, match=name):
            loss.value_gradient_and_hessian(z, t, **{name: out})
    assert not locked.any()


@pytest.mark.parametrize("code", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">i4", ">u8"])
@pytest.mark.parametrize("where", [0, 13, 29])
def test_class_index_out_of_range(rowwise_case, dtype, code, where):
    integer = np.dtype(code)
    info = np.iinfo(integer)
    z, t = cases.draw(rowwise_case, "index", SHAPE, dtype)
    loss = rowwise_case.build({"label_smoothing": 0.1} if rowwise_case.has_options else {})
    for bad in {4, 5, 100, -1, -4, int(info.min), int(info.max)}:
        if not info.min <= bad <= info.max or 0 <= bad < 4:
            continue
        target = t.astype(integer)
        target[where] = bad
        target[29] = bad
        refuses(loss, z, target, ["target", str(bad), "4"], position=(where,))
        weights = np.random.default_rng(0).uniform(0.5, 1, 30)
        refuses(loss, z, target, ["target", str(bad)], position=(where,), sample_weight=weights)


def test_class_index_in_its_own_coordinates(rowwise_case, dtype):
    """The position is the one in the user's array, whatever the axis and the memory order."""
    z, t = cases.draw(rowwise_case, "index", (5, 6, 7, 3), dtype)
    t[3, 1, 2] = 3
    t[4, 0, 0] = -1
    loss = rowwise_case.build({})
    for axis in range(4):
        moved = np.moveaxis(z, -1, axis)
        for prediction in (moved, np.ascontiguousarray(moved), np.asfortranarray(moved)):
            for target in (t, np.asfortranarray(t), t[::-1].copy()[::-1]):
                with pytest.raises(ValueError, match="target") as error:
                    loss(prediction, target, axis=axis)
                assert_names_position(error, 3, 1, 2)


def test_class_index_beside_ignored_ones(softmax_case, dtype):
    z, t = cases.draw(softmax_case, "index", SHAPE, dtype)
    t[:20] = -100
    t[25] = -99
    refuses(softmax_case.build({"ignore_index": -100}), z, t, ["target", "-99"], position=(25,))
    t[25] = 4
    refuses(softmax_case.build({"ignore_index": -100}), z, t, ["target", "4"], position=(25,))


def test_class_index_in_a_large_array(rowwise_case):
    """Where several threads look at it."""
    z = np.zeros((300_000, 3), np.float32)
    t = np.zeros(300_000, np.int64)
    for where in (0, 150_001, 299_999):
        t[where] = 3
        with fl.num_threads(3), pytest.raises(ValueError, match="target") as error:
            rowwise_case.build({}).value_and_gradient(z, t)
        assert_names_position(error, where)
        t[where] = 0


def test_floats_are_no_class_indices(rowwise_case):
    z = np.zeros(SHAPE)
    for bad in (0.5, np.nan, np.inf, 1e300):
        t = np.zeros(30)
        t[7] = bad
        with pytest.raises((TypeError, ValueError), match="target"):
            rowwise_case.build({})(z, t)


@pytest.mark.parametrize("bad", [-0.1, 1.0001, np.nan, np.inf, -np.inf, -1e-30])
@pytest.mark.parametrize("where", [(0, 0), (13, 2), (29, 3)])
@pytest.mark.parametrize("few_setup", PROBABILITIES, ids=str)
def test_probability_outside_its_range(few_setup, dtype, bad, where):
    z, t = few_setup.draw(SHAPE, dtype)
    t[where] = bad
    t[29, 3] = bad
    loss = few_setup.build(4)
    refuses(loss, z, t, ["target", "[0, 1]"], position=where)
    refuses(loss, np.asfortranarray(z), t, ["target", "[0, 1]"], position=where)
    refuses(loss, z, t.astype(np.float32 if dtype == np.float64 else np.float64), ["target"], position=where)
    weight = np.full(SHAPE[:1] if few_setup.case.rowwise else SHAPE, 2.0)
    refuses(loss, z, t, ["target"], position=where, sample_weight=weight)


OUTSIDE = {
    "count": ([-1.0, -1e-30, np.nan, np.inf, -np.inf], ">= 0"),
    "positive": ([0.0, -0.0, -1.0, -1e-30, np.nan, np.inf, -np.inf], "> 0"),
}


@pytest.mark.parametrize("where", [(0, 0), (13, 2), (29, 3)])
@pytest.mark.parametrize("few_setup", [each for each in cases.FEW_SETUPS if each.kind in OUTSIDE], ids=str)
def test_target_outside_the_domain(few_setup, dtype, where):
    numbers, rule = OUTSIDE[few_setup.kind]
    z, good = few_setup.draw(SHAPE, dtype)
    loss = few_setup.build(4)
    for bad in numbers:
        t = good.copy()
        t[where] = bad
        t[29, 3] = bad
        refuses(loss, z, t, ["target", rule], position=where)
        refuses(loss, np.asfortranarray(z), t, ["target", rule], position=where)
        refuses(loss, z, t.astype(np.float32 if dtype == np.float64 else np.float64), ["target"], position=where)
        refuses(loss, z, t, ["target"], position=where, sample_weight=np.full(SHAPE, 2.0))
        refuses(loss, z, dtype(bad), ["target"])
    whole = np.ones(SHAPE, np.int8)
    whole[4, 1] = -1
    refuses(loss, z, whole, ["target", rule], position=(4, 1))
    whole[4, 1] = 0
    if few_setup.kind == "positive":
        refuses(loss, z, whole, ["target", rule], position=(4, 1))
        refuses(loss, z, whole.astype(bool), ["target", rule], position=(4, 1))
    else:
        assert np.isfinite(loss(z, whole))


@pytest.mark.parametrize("few_setup", [each for each in cases.FEW_SETUPS if each.kind in OUTSIDE], ids=str)
def test_target_outside_the_domain_in_a_large_array(few_setup):
    z = np.zeros(3_000_000, np.float32)
    t = np.ones(3_000_000, np.float32)
    for where in (0, 1_500_001, 2_999_999):
        t[where] = -1
        with fl.num_threads(3), pytest.raises(ValueError, match="target") as error:
            few_setup.build().value_and_gradient(z, t)
        assert_names_position(error, where)
        t[where] = 1


def test_integers_of_the_shape_of_one_row(softmax_case):
    """Scores of a binary problem and its labels would be one row and its one-hot probabilities."""
    loss = softmax_case.build({})
    for target in (np.array([0, 1, 0]), [0, 1, 0], np.array([True, False, False])):
        for z in (np.zeros(3), np.zeros(3, np.float32), [0.0, 0.0, 0.0]):
            with pytest.raises(ValueError, match=r"^target of shape \(3,\) holds integers .* BinaryCrossEntropy\)$"):
                loss(z, target)
    assert loss(np.zeros(3), [0.0, 1.0, 0.0]) == loss(np.zeros(3), 1) == loss(np.zeros((1, 3)), [[0, 1, 0]])


@pytest.mark.parametrize("bad", [-1, 2, 127])
@pytest.mark.parametrize("few_setup", PROBABILITIES, ids=str)
def test_integer_probability_outside_its_range(few_setup, dtype, bad):
    z, _ = few_setup.draw(SHAPE, dtype)
    t = np.zeros(SHAPE, np.int8)
    t[4, 1] = bad
    refuses(few_setup.build(4), z, t, ["target", "[0, 1]"], position=(4, 1))


def test_probability_outside_its_range_in_a_large_array():
    z = np.zeros(3_000_000, np.float32)
    t = np.zeros(3_000_000, np.float32)
    for where in (0, 1_500_001, 2_999_999):
        t[where] = 1.5
        with fl.num_threads(3), pytest.raises(ValueError, match="target") as error:
            fl.BinaryCrossEntropy().value_and_gradient(z, t)
        assert_names_position(error, where)
        t[where] = 0


@pytest.mark.parametrize(
    "few_setup", [*PROBABILITIES, *(each for each in cases.FEW_SETUPS if each.kind in OUTSIDE)], ids=str
)
def test_nothing_is_written_before_a_bad_target(few_setup, dtype):
    """However many blocks of good ones come first."""
    z, t = few_setup.draw((9000, 4), dtype)
    t[-1, -1] = -1
    refuses(few_setup.build(4), z, t, ["target"], position=(8999, 3))
    weight = np.full(9000 if few_setup.case.rowwise else (9000, 4), 2.0)
    refuses(few_setup.build(4), z, t, ["target"], position=(8999, 3), sample_weight=weight)


@pytest.mark.parametrize("bad", [-0.5, np.nan, np.inf, -np.inf])
def test_weights(few_setup, dtype, bad):
    z, t = few_setup.draw(SHAPE, dtype)
    loss = few_setup.build(4)
    shape = SHAPE[:1] if few_setup.case.rowwise else SHAPE
    for where in ((0,) * len(shape), tuple(n - 1 for n in shape), tuple(n // 2 for n in shape)):
        for weight_type in (np.float64, np.float32):
            weight = np.ones(shape, weight_type)
            weight[where] = bad
            weight[(-1,) * len(shape)] = bad
            refuses(loss, z, t, ["sample_weight"], position=where, sample_weight=weight)
    refuses(loss, z, t, ["sample_weight"], sample_weight=bad)
    if bad == -0.5:
        refuses(loss, z, t, ["sample_weight"], sample_weight=np.full(shape, -1, np.int32))
    if not few_setup.case.rowwise:
        column = np.ones((30, 1))
        column[3] = bad
        refuses(loss, z, t, ["sample_weight"], position=(3, 0), sample_weight=column)


def test_parameters(case):
    for parameters, word in case.refused:
        function = getattr(fl, case.function)
        with pytest.raises((TypeError, ValueError), match=word):
            getattr(fl, case.constructor)(**parameters)
        z, t = cases.draw(case, case.kinds[0], (6, 2))
        with pytest.raises((TypeError, ValueError), match=word):
            function(z, t, **parameters)


def test_unknown_options(few_setup):
    z, t = few_setup.draw(SHAPE)
    loss = few_setup.build(4)
    for reduction in ("average", None, "MEAN", 3, b"mean"):
        refuses(loss, z, t, ["reduction"], (TypeError, ValueError), reduction=reduction)
    for curvature in ("newton", None, 1):
        with pytest.raises((TypeError, ValueError), match="curvature"):
            loss.gradient_and_hessian(z, t, curvature=curvature)
    for method in METHODS:
        with pytest.raises(TypeError):
            getattr(loss, method)(z, t, None)
        with pytest.raises(TypeError):
            getattr(loss, method)(z, t, weights=None)
        with pytest.raises(TypeError):
            getattr(loss, method)(z)
    with pytest.raises(TypeError):
        loss.gradient(z, t, hessian_out=np.empty(SHAPE))
    with pytest.raises(TypeError):
        getattr(fl, few_setup.case.constructor)(strength=1.0)


def test_axis(rowwise_case, dtype):
    z, t = cases.draw(rowwise_case, "index", SHAPE, dtype)
    loss = rowwise_case.build({})
    for axis in (2, -3, 100):
        refuses(loss, z, t, ["axis"], axis=axis)
    for axis in (1.0, None, "last", (1,)):
        refuses(loss, z, t, ["axis"], (TypeError,), axis=axis)
    refuses(loss, z, t, ["target"], axis=0)
    refuses(loss, dtype(1.0), np.int64(0), ["prediction"], (ValueError, TypeError))


def test_no_classes(rowwise_case, dtype):
    refuses(rowwise_case.build({}), np.zeros((3, 0), dtype), np.zeros(3, np.int64), ["prediction", "class"])


def test_class_weight_of_the_wrong_length(softmax_case, dtype):
    z, t = cases.draw(softmax_case, "index", SHAPE, dtype)
    for length in (1, 3, 5):
        refuses(softmax_case.build({"class_weight": np.ones(length)}), z, t, ["class_weight", str(length), "4"])


def test_ignore_index_needs_class_indices(softmax_case, dtype):
    z, t = cases.draw(softmax_case, "probability", SHAPE, dtype)
    refuses(softmax_case.build({"ignore_index": 0}), z, t, ["ignore_index"])


class Unreadable:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("no")


BAD_ARRAYS = {
    "None": None,
    "complex": np.zeros(SHAPE, complex),
    "object": np.zeros(SHAPE, object),
    "str": np.full(SHAPE, "1.0"),
    "bytes": np.full(SHAPE, b"1.0"),
    "datetime": np.zeros(SHAPE, "datetime64[s]"),
    "timedelta": np.zeros(SHAPE, "timedelta64[s]"),
    "record": np.zeros(SHAPE, [("x", "f8")]),
    "masked": np.ma.masked_array(np.zeros(SHAPE), np.zeros(SHAPE, bool)),
    "dict": {"x": 1.0},
    "set": {1.0, 2.0},
    "text": "prediction",
    "function": len,
    "ragged": [[1.0], [1.0, 2.0]],
    "unreadable": Unreadable(),
}


@pytest.mark.parametrize("kind", BAD_ARRAYS)
def test_what_is_not_an_array_of_numbers(few_setup, kind):
    bad = BAD_ARRAYS[kind]
    z, t = few_setup.draw(SHAPE)
    loss = few_setup.build(4)
    errors = (TypeError, ValueError) if kind == "ragged" else (TypeError,)
    row_like = bad
    if few_setup.kind == "index" and isinstance(bad, np.ndarray):
        row_like = bad[:, 0]
    weight = bad[:, 0] if few_setup.case.rowwise and isinstance(bad, np.ndarray) else bad
    for method in METHODS:
        with pytest.raises(errors, match="prediction"):
            getattr(loss, method)(bad, t)
        with pytest.raises(errors, match="target"):
            getattr(loss, method)(z, row_like)
        if bad is not None:
            with pytest.raises(errors, match="sample_weight"):
                getattr(loss, method)(z, t, sample_weight=weight)
    function = getattr(fl, few_setup.case.function)
    with pytest.raises(errors, match="prediction"):
        function(bad, t)
    with pytest.raises(errors, match="target"):
        function(z, row_like)


@pytest.mark.parametrize("kind", BAD_ARRAYS)
@pytest.mark.parametrize("name", ["log_softmax", "softmax", "logsumexp", "sigmoid", "log_sigmoid"])
def test_row_functions_refuse_what_is_not_an_array_of_numbers(name, kind):
    with pytest.raises((TypeError, ValueError) if kind == "ragged" else TypeError):
        getattr(fl, name)(BAD_ARRAYS[kind])


@pytest.mark.parametrize("name", ["log_softmax", "softmax", "logsumexp"])
def test_row_functions_refuse(name, dtype):
    function = getattr(fl, name)
    x = np.zeros((3, 4), dtype)
    shape = (3,) if name == "logsumexp" else (3, 4)
    for axis in (2, -3):
        with pytest.raises(ValueError, match="axis"):
            function(x, axis=axis)
    with pytest.raises(TypeError, match="axis"):
        function(x, axis=0.0)
    for out in (np.zeros((5, 5), dtype), np.zeros((*shape, 1), dtype)):
        with pytest.raises(ValueError, match="out"):
            function(x, out=out)
    with pytest.raises((TypeError, ValueError), match="out"):
        function(x, out=np.zeros(shape, np.int32))
    locked = np.zeros(shape, dtype)
    locked.flags.writeable = False
    with pytest.raises(ValueError, match="out"):
        function(x, out=locked)
    with pytest.raises((TypeError, ValueError)):
        function(dtype(0))


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_matrix(few_setup):
    z, t = few_setup.draw(SHAPE)
    with pytest.raises(TypeError, match="prediction"):
        few_setup.build(4)(np.matrix(z), t)


@pytest.mark.parametrize("scale", [0.0, 1e-9, 1e-50])
def test_targets_are_judged_as_they_were_passed(few_setup, scale):
    """And not as rounding to the prediction's dtype leaves them."""
    if few_setup.kind not in ("hard", "soft", "probability", "count", "positive"):
        return
    z, t = few_setup.draw(SHAPE, np.float32)
    loss = few_setup.build(4)
    good = t.astype(np.float64)
    smallest = few_setup.kind == "positive"
    for edge, direction in ((0.0, -1.0), (1.0, 1.0)):
        if edge == 1.0 and few_setup.kind in ("count", "positive"):
            continue
        wide = good.copy()
        wide[13, 2] = wide[29, 3] = edge + direction * scale
        weight = np.full(SHAPE[:1] if few_setup.case.rowwise else SHAPE, 2.0)
        for options in ({}, {"sample_weight": weight}):
            if wide[13, 2] == edge and not smallest:
                assert np.isfinite(loss(z, wide, **options))
            else:
                refuses(loss, z, wide, ["target"], position=(13, 2), **options)
                refuses(loss, np.asfortranarray(z), wide, ["target"], position=(13, 2), **options)
        # what weighs nothing may hold anything
        weight[13] = weight[29] = 0
        assert np.isfinite(loss(z, wide, sample_weight=weight))


def test_targets_that_float32_cannot_hold():
    for loss, tiny in ((fl.Gamma(), 1e-50), (fl.Gamma(), 1e39), (fl.Poisson(), 1e39)):
        t = np.array([1.0, tiny])
        assert np.isfinite(loss(np.array([0.5, 0.5]), t))
        for options in ({}, {"sample_weight": [1.0, 2.0]}):
            with pytest.raises(ValueError, match="float32") as error:
                loss(np.float32([0.5, 0.5]), t, **options)
            assert_names_position(error, 1)


RACE = """
import threading
import time
import numpy as np
import fastloss as fl

def race(loss, n_classes, n):
    z, t = np.zeros((n, n_classes), np.float32), np.zeros(n, np.int64)
    call = loss.value_gradient_and_hessian if {hessian} else loss.value_and_gradient
    running = True

    def write():
        while running:
            t[len(t) // 2 :] = 10**8
            t[len(t) // 2 :] = -(10**8)
            t[len(t) // 2 :] = 0

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    end, refused = time.monotonic() + 0.1, 0
    while time.monotonic() < end or not refused:
        try:
            call(z, t)
        except ValueError as error:
            assert "is not a class index" in str(error)
            refused += 1
    running = False
    thread.join()

for n_classes, n in ((3, 200_000), (40, 40_000), (1000, 4000), (20_000, 64)):
    for loss in (fl.CrossEntropy(), fl.Focal(class_weight=np.ones(n_classes)), fl.MulticlassHinge(),
                 fl.CrossEntropy(label_smoothing=0.1), fl.CrossEntropy(ignore_index=1)):
        race(loss, n_classes, n)
"""


@pytest.mark.parametrize("hessian", [False, True])
def test_targets_written_during_a_call(run_python, hessian):
    """By another thread: an error or a result, and never a crash."""
    run_python(RACE.format(hessian=hessian))


def test_nothing_is_written_before_a_bad_target_of_the_last_set(dtype):
    """However many sets there are, which are computed some at a time."""
    z, t = np.zeros((4, 5000), dtype), np.zeros((4, 5000), dtype)
    t[-1, -1] = -1
    out = np.full((4, 5000), 3.0, dtype)
    with pytest.raises(ValueError, match="target") as error:
        fl.Dice().gradient(z, t, axis=0, gradient_out=out)
    assert_names_position(error, 3, 4999)
    assert (out == 3).all()


# -------------------------------------------------------------------------------- what was meant

Z, CODES = np.array([[0.5, -1.0, 2.0], [0.0, 1.0, 0.5]]), np.array([2, 1])
SCORES, LABELS = np.array([0.5, -1.5, 2.0]), np.array([0, 1, 1])
MEANT = {
    "a dictionary of class weights": (
        lambda: fl.CrossEntropy(class_weight={0: 1.0, 1: 2.0, 2: 1.0}),
        r"^class_weight .*in the order of the classes, not dict",
    ),
    "balanced": (lambda: fl.focal(Z, CODES, class_weight="balanced"), r"^class_weight .*numpy.bincount.*estimators"),
    "balanced positives": (lambda: fl.BinaryCrossEntropy(pos_weight="balanced"), r"^pos_weight .*estimators"),
    "names": (lambda: fl.cross_entropy(Z, ["cat", "dog"]), r"^target has dtype.*numpy.unique"),
    "names as objects": (lambda: fl.hinge(SCORES, np.array(["a", "b", "b"], object)), r"^target .*numpy.unique"),
    "classes from 1": (lambda: fl.cross_entropy(Z, CODES + 1 - (CODES == 1)), r"^target\[0\] = 3 .*counted from 0"),
    "signs": (lambda: fl.hinge(SCORES, 2 * LABELS - 1), r"^target\[0\] = -1 .*pass target == 1"),
    "1 and 2": (lambda: fl.binary_cross_entropy(SCORES, LABELS + 1), r"^target\[1\] = 2 .*pass target == 2"),
    "two scores a label": (
        lambda: fl.brier(np.zeros((3, 2)), LABELS),
        r"2 scores for each target.*CrossEntropy.*\[\.\.\., 1\]",
    ),
    "swapped": (lambda: fl.binary_cross_entropy(LABELS, SCORES), r"the prediction comes first, then the target$"),
    "swapped rows": (lambda: fl.cross_entropy(CODES, Z), r"the prediction comes first, then the target$"),
}


@pytest.mark.parametrize("call", MEANT.values(), ids=MEANT)
def test_says_what_to_write(call):
    with pytest.raises((TypeError, ValueError), match=call[1]):
        call[0]()


@pytest.mark.parametrize("others", [(Z, CODES), (SCORES.tolist(), LABELS.tolist())], ids=["arrays", "lists"])
@pytest.mark.parametrize("loss_class", fl.losses(), ids=lambda each: each.__name__)
def test_a_constructor_is_no_call(loss_class, others):
    with pytest.raises(TypeError, match=rf"{loss_class.__name__}\(\)\(prediction, target\)$"):
        loss_class(*others)


def test_other_labels_get_no_hint():
    """What is 0 or 1 in most rows was no mistake of the whole."""
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]$"):
        fl.binary_cross_entropy(SCORES, [0, 1, 2])
    with pytest.raises(ValueError, match=r"must lie in \[0, 3\)$"):
        fl.cross_entropy(Z, [0, 3])
