"""Whatever people hand over: the number that a plain array would have given, or an error that names the argument.

The grid is containers x arguments x families of losses; memory layouts and dtypes of every single loss stand in
test_layouts.py, test_options.py and test_sets.py, most of what is refused in test_errors.py. An error leaves outputs
and inputs as they were, even where an output lies on top of an input.
"""

import array
import itertools
import math
import warnings

import cases
import numpy as np
import pytest
from test_layouts import LAYOUTS

import fastloss as fl

SHAPE = (12, 4)
METHODS = ("__call__", "gradient", "value_and_gradient", "gradient_and_hessian", "value_gradient_and_hessian")
ROW_FUNCTIONS = ("log_softmax", "softmax", "logsumexp", "sigmoid", "log_sigmoid")
# One loss of each way through the library, and of each rule for targets.
FAMILIES = {
    "regression": (fl.Huber(delta=0.5), "real"),
    "binary": (fl.BinaryFocal(alpha=0.3), "soft"),
    "log link": (fl.Tweedie(), "count"),
    "index": (fl.CrossEntropy(label_smoothing=0.1), "index"),
    "probability": (fl.Focal(), "probability"),
    "set": (fl.Dice(), "soft"),
}


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


class Problem:
    """A loss with a prediction, a target and weights of whole numbers, which any container can hold."""

    def __init__(self, family, shape=SHAPE, dtype=np.float64):
        self.loss, self.kind = FAMILIES[family]
        self.rowwise = family in ("index", "probability")
        rng = np.random.default_rng([*map(int, shape)])
        row_shape = shape[:-1] if self.rowwise else shape
        self.prediction = rng.integers(-3, 4, shape).astype(dtype)
        if self.kind == "index":
            self.target = rng.integers(0, max(1, shape[-1]), row_shape)
        else:
            self.target = rng.integers(0, 2, shape).astype(dtype)
        self.sample_weight = rng.integers(0, 4, row_shape).astype(dtype)

    def arguments(self, **changed):
        names = ("prediction", "target", "sample_weight")
        return {name: changed.get(name, getattr(self, name)) for name in names}

    def evaluate(self, method="value_gradient_and_hessian", *, out=None, **changed):
        arguments = self.arguments(**changed)
        first = arguments.pop("prediction"), arguments.pop("target")
        return getattr(self.loss, method)(*first, **arguments, **(out or {}))


def assert_same(found, wanted, what, rtol=0.0):
    for name, a, b in zip(("value", "gradient", "hessian"), found, wanted, strict=True):
        assert type(a) is type(b), f"{what}: {name} is a {type(a).__name__}"
        if rtol:
            np.testing.assert_allclose(a, b, rtol=rtol, err_msg=f"{what}: {name}")
        else:
            assert cases.same_bits(a, b), f"{what}: {name}"


# ------------------------------------------------------------------------------------------- containers of numbers


def pandas_object(x, dtype=None):
    pandas = pytest.importorskip("pandas")
    labels = range(100, 100 + len(x))
    if x.ndim == 1:
        return pandas.Series(x, index=labels, dtype=dtype)
    return pandas.DataFrame(x, index=labels, columns=[f"c{i}" for i in range(x.shape[1])], dtype=dtype)


def polars_object(x):
    polars = pytest.importorskip("polars")
    return polars.Series(x) if x.ndim == 1 else polars.DataFrame(x, schema=[f"c{i}" for i in range(x.shape[1])])


def torch_tensor(x):
    return pytest.importorskip("torch").from_numpy(x.copy())


class OnlyDLPack:
    def __init__(self, tensor):
        self.tensor = tensor

    def __dlpack__(self, **options):
        return self.tensor.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.tensor.__dlpack_device__()


CONTAINERS = {
    "list": lambda x: x.tolist(),
    "tuple": lambda x: tuple(map(tuple, x.tolist())) if x.ndim == 2 else tuple(x.tolist()),
    "list of arrays": list,
    "memoryview": memoryview,
    "array.array": lambda x: array.array(x.dtype.char, x.tolist()) if x.ndim == 1 else [*map(CONTAINERS["list"], x)],
    "pandas": pandas_object,
    "pandas with missing values": lambda x: pandas_object(x, "Float64" if x.dtype.kind == "f" else "Int64"),
    "pandas integers": lambda x: pandas_object(x.astype(np.int32)),
    "polars": polars_object,
    "polars integers": lambda x: polars_object(x.astype(np.int16)),
    "torch": torch_tensor,
    "torch strided": lambda x: torch_tensor(np.repeat(x, 2, axis=0))[::2],
    "torch transposed": lambda x: torch_tensor(x.T).T if x.ndim == 2 else torch_tensor(x),
    "DLPack": OnlyDLPack,
    "DLPack of torch": lambda x: OnlyDLPack(torch_tensor(x)),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers(family, container):
    """Whole numbers, which are the same in every type: so is the result, to the last bit."""
    problem = Problem(family)
    plain = problem.evaluate()
    make = CONTAINERS[container]
    every = {name: make(x) for name, x in problem.arguments().items()}
    # Where columns are in one piece in memory, a set is added up along them.
    rtol = 1e-14 if family == "set" and container.startswith(("pandas", "polars", "torch transposed")) else 0.0
    for changed in (*({name: x} for name, x in every.items()), every):
        assert_same(problem.evaluate(**changed), plain, f"{container} as {', '.join(changed)}", rtol)
    assert problem.evaluate("__call__", **every) == pytest.approx(plain[0], rel=1e-14)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", ROW_FUNCTIONS)
def test_containers_of_row_functions(name, container):
    x = Problem("regression").prediction
    function = getattr(fl, name)
    assert cases.same_bits(function(CONTAINERS[container](x)), function(x))


DTYPES = ["i1", "u1", ">i2", "u4", "i8", "u8", "f2", ">f4", "f4", ">f8", "f8", "?"]


@pytest.mark.parametrize("layout", ["C", "strided", "misaligned"])
@pytest.mark.parametrize("code", DTYPES)
def test_dtypes(family, code, layout):
    """Each argument in each dtype. A prediction of integers is float64; of floats, its own dtype is the result's."""
    dtype, change = np.dtype(code), LAYOUTS[layout]
    problem = Problem(family)
    problem.prediction = np.abs(problem.prediction)  # unsigned types hold no others
    plain = problem.evaluate()
    for argument in ("target", "sample_weight"):
        x = problem.arguments()[argument]
        if dtype.kind == "?" or dtype.kind == "b":
            x = (x > 0).astype(dtype)
            wanted = problem.evaluate(**{argument: x.astype(np.int64)})
        else:
            x, wanted = x.astype(dtype), plain
        assert_same(problem.evaluate(**{argument: change(x)}), wanted, f"{argument} of {dtype}")
    if dtype.kind == "b":
        return
    x = problem.prediction.astype(dtype)
    kernel = np.float64 if dtype.kind in "iu" or dtype.itemsize == 8 else np.float32
    result = np.float64 if dtype.kind in "iu" else dtype.newbyteorder("=")
    value, *derivatives = problem.evaluate(prediction=x.astype(kernel))
    wanted = value, *(each.astype(result) for each in derivatives)
    assert_same(problem.evaluate(prediction=change(x)), wanted, f"prediction of {dtype}")


@pytest.mark.parametrize("offset", [0, 4, 8])
@pytest.mark.parametrize("mode", ["r", "c", "r+"])
def test_memmap(family, mode, offset, tmp_path):
    """joblib hands workers such arrays; those at 4 bytes are not aligned for float64 and int64."""
    problem = Problem(family)
    plain = problem.evaluate()
    mapped = {}
    for name, x in problem.arguments().items():
        (tmp_path / name).write_bytes(bytes(offset) + x.tobytes())
        mapped[name] = np.memmap(tmp_path / name, x.dtype, mode, offset, x.shape)
    out = np.memmap(tmp_path / "out", np.float64, "w+", offset, problem.prediction.shape)
    assert out.flags.aligned == (offset != 4)
    result = problem.evaluate(**mapped, out={"gradient_out": out})
    assert result[1] is out
    assert_same((result[0], np.array(out), result[2]), plain, f"offset {offset}")
    for name, x in problem.arguments().items():
        assert (tmp_path / name).read_bytes()[offset:] == x.tobytes()
    if mode != "r":
        return
    mapped["prediction"].flags.writeable = False
    with pytest.raises(ValueError, match=r"gradient_out.*read-only"):
        problem.evaluate(**mapped, out={"gradient_out": mapped["prediction"]})


def test_missing_values_are_nan(family):
    """Of a prediction they give nan for their row; as targets and weights they are refused with their position."""
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    problem = Problem(family, (6, 2))
    for make in (
        lambda x: pandas.DataFrame(x).astype("Int64").mask(pandas.DataFrame(x != x)),
        lambda x: polars.DataFrame(x).fill_nan(None),
    ):
        x = problem.prediction.copy()
        x[4, 1] = np.nan
        wanted = problem.evaluate(prediction=x, sample_weight=None)
        assert_same(problem.evaluate(prediction=make(x), sample_weight=None), wanted, "prediction")
    rows = [0, 1, 1, None, 0, None]
    for series in (pandas.Series(rows, dtype="Int64"), pandas.Series(rows, dtype="Float64"), polars.Series(rows)):
        if problem.rowwise:
            with pytest.raises(ValueError, match=r"sample_weight\[3\] = nan"):
                problem.evaluate(sample_weight=series)
        if family == "index":
            with pytest.raises(ValueError, match=r"target\[3\] = nan"):
                problem.evaluate(target=series, sample_weight=None)
            # Where the weight is 0, it is of no interest.
            w = np.array([1, 1, 1, 0, 1, 0])
            full = problem.evaluate(target=np.array([0, 1, 1, 0, 0, 0]), sample_weight=w)
            assert_same(problem.evaluate(target=series, sample_weight=w), full, "of weight 0")
        if not problem.rowwise:
            column = problem.prediction[:, 0]
            with pytest.raises(ValueError, match=r"sample_weight\[3\] = nan"):
                problem.evaluate(prediction=column, target=column * 0, sample_weight=series)
            if family == "regression":
                assert math.isnan(problem.loss(column, series))
            else:
                with pytest.raises(ValueError, match=r"target\[3\] = nan"):
                    problem.loss(column, series)


# ------------------------------------------------------------------------------------------------- what is refused


def needs(module, make):
    return lambda x: make(pytest.importorskip(module), x)


def with_none(x):
    x = x.astype(object)
    x[(-1,) * x.ndim] = None
    return x


def like_function(error):
    class Raises:
        def __array__(self, dtype=None, copy=None):
            raise error

    return lambda x: Raises()


REFUSED = {
    "longdouble": lambda x: x.astype(np.longdouble),
    "clongdouble": lambda x: x.astype(np.clongdouble),
    "complex64": lambda x: x.astype(np.complex64),
    "object": lambda x: x.astype(object),
    "object with None": with_none,
    "list with None": lambda x: with_none(x).tolist(),
    "list of numbers as text": lambda x: x.astype(str).tolist(),
    "text": lambda x: "0.5",
    "bytes": lambda x: b"0.5",
    "void": lambda x: np.zeros(x.shape, "V8"),
    "datetime": lambda x: x.astype("datetime64[D]"),
    "timedelta": lambda x: x.astype("timedelta64[s]"),
    "records": lambda x: np.zeros(x.shape, [("x", "f8"), ("y", "f8")]),
    "recarray": lambda x: np.rec.array(np.zeros(x.shape, [("x", "f8")])),
    "masked": lambda x: np.ma.masked_array(x, x > 0),
    "masked nowhere": np.ma.asarray,
    "generator": lambda x: (row for row in x),
    "a class": lambda x: float,
    "integers beyond 64 bits": lambda x: np.full(x.shape, 2**70, object).tolist(),
    "raises RuntimeError": like_function(RuntimeError("no")),
    "raises KeyError": like_function(KeyError("no")),
    "pandas text": needs("pandas", lambda pandas, x: pandas_object(x.astype(str))),
    "pandas categories": needs("pandas", lambda pandas, x: pandas.Series(["a", "b"] * len(x), dtype="category")),
    "pandas missing bool": needs("pandas", lambda pandas, x: pandas.Series([True, None] * len(x), dtype="boolean")),
    "pandas dates": needs("pandas", lambda pandas, x: pandas.Series(pandas.to_datetime(["2020-01-01"] * len(x)))),
    "polars text": needs("polars", lambda polars, x: polars.Series(["a", "b"] * len(x))),
    "polars lists": needs("polars", lambda polars, x: polars.Series([[0.0], [1.0]] * len(x))),
    "polars int128": needs("polars", lambda polars, x: polars.Series([0, 1] * len(x), dtype=polars.Int128)),
    "polars lazy": needs("polars", lambda polars, x: polars.LazyFrame({"x": [0.0]})),
    "torch with gradient": needs("torch", lambda torch, x: torch_tensor(x.astype(float)).requires_grad_()),
    "torch bfloat16 with gradient": needs(
        "torch", lambda torch, x: torch_tensor(x).to(torch.bfloat16).requires_grad_()
    ),
    "torch sparse": needs("torch", lambda torch, x: torch_tensor(x).to_sparse()),
    "torch meta": needs("torch", lambda torch, x: torch_tensor(x).to("meta")),
    "DLPack of torch with gradient": needs(
        "torch", lambda torch, x: OnlyDLPack(torch_tensor(x.astype(float)).requires_grad_())
    ),
    "scipy sparse": needs("scipy.sparse", lambda sparse, x: sparse.csr_matrix(np.atleast_2d(x))),
}


def refuses(problem, argument, errors, **changed):
    """Every method refuses, names the argument, and leaves outputs and inputs as they are."""
    outputs = {"gradient_out": np.full(SHAPE, 7.0), "hessian_out": np.full(SHAPE, 7.0)}
    before = {name: x.copy() for name, x in problem.arguments().items()}
    for method in METHODS:
        out = {name: x for name, x in outputs.items() if name.split("_")[0] in method}
        with pytest.raises(errors, match=argument):
            problem.evaluate(method, out=out, **changed)
        assert all((x == 7).all() for x in outputs.values()), f"{method} has written"
    # The gradient in place of the prediction: that would be the worst place to leave half of it.
    with pytest.raises(errors, match=argument):
        problem.evaluate("gradient", out={"gradient_out": problem.prediction}, **changed)
    for name, x in before.items():
        assert cases.same_bits(getattr(problem, name), x), f"{name} has changed"


@pytest.mark.filterwarnings("ignore:.*Sparse.*:UserWarning")
@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_numbers(family, kind):
    for argument in ("target", "sample_weight"):
        problem = Problem(family)
        refuses(problem, argument, TypeError, **{argument: REFUSED[kind](problem.arguments()[argument])})
    problem = Problem(family)
    with pytest.raises(TypeError, match="prediction"):
        problem.evaluate(prediction=REFUSED[kind](problem.prediction))


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_matrix(family):
    problem = Problem(family)
    for argument, x in problem.arguments().items():
        with pytest.raises(TypeError, match=argument):
            problem.evaluate(**{argument: np.matrix(x)})
    out = np.matrix(np.full(SHAPE, 7.0))
    with pytest.raises(TypeError, match="gradient_out"):
        problem.evaluate(out={"gradient_out": out})
    assert (out == 7).all()


def test_bool_is_no_prediction(family):
    problem = Problem(family)
    with pytest.raises(TypeError, match=r"prediction.*bool"):
        problem.evaluate(prediction=problem.prediction > 0)


def test_none(family):
    problem = Problem(family)
    refuses(problem, "target", TypeError, target=None)
    with pytest.raises(TypeError, match="prediction"):
        problem.evaluate(prediction=None)


@pytest.mark.filterwarnings("ignore:.*Sparse.*:UserWarning")
@pytest.mark.parametrize("kind", REFUSED)
def test_weights_of_classes_and_positives(kind):
    """They are read once, with the same care: a mask is not overlooked."""
    bad = REFUSED[kind](np.array([1.0, 2.0, 1.0, 0.5]))
    with pytest.raises(TypeError, match="class_weight"):
        fl.CrossEntropy(class_weight=bad)
    with pytest.raises(TypeError, match="class_weight"):
        fl.focal(np.zeros(SHAPE), np.zeros(12, int), class_weight=bad)
    with pytest.raises(TypeError, match="pos_weight"):
        fl.BinaryCrossEntropy(pos_weight=bad)


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers_of_weights_of_classes_and_positives(container):
    w = np.array([1.0, 2.0, 0.0, 3.0])
    given = CONTAINERS[container](w)
    assert fl.CrossEntropy(class_weight=given) == fl.CrossEntropy(class_weight=w)
    assert fl.BinaryCrossEntropy(pos_weight=given) == fl.BinaryCrossEntropy(pos_weight=w)


# --------------------------------------------------------------------------------------------------------- outputs


def broadcast_view(shape, dtype):
    return np.lib.stride_tricks.as_strided(np.full(shape[-1], 7.0, dtype), shape, (0, np.dtype(dtype).itemsize))


def locked(shape, dtype):
    x = np.full(shape, 7.0, dtype)
    x.flags.writeable = False
    return x


# name: (array, error)
BAD_OUTPUTS = {
    "list": (lambda shape, dtype: np.full(shape, 7.0).tolist(), TypeError),
    "scalar": (lambda shape, dtype: dtype(7), TypeError),
    "text": (lambda shape, dtype: "out", TypeError),
    "integers": (lambda shape, dtype: np.full(shape, 7), TypeError),
    "complex": (lambda shape, dtype: np.full(shape, 7.0, complex), TypeError),
    "object": (lambda shape, dtype: np.full(shape, 7.0, object), TypeError),
    "float16": (lambda shape, dtype: np.full(shape, 7.0, np.float16), TypeError),
    "longdouble": (lambda shape, dtype: np.full(shape, 7.0, np.longdouble), TypeError),
    "masked": (lambda shape, dtype: np.ma.masked_array(np.full(shape, 7.0, dtype)), TypeError),
    "one element": (lambda shape, dtype: np.full((), 7.0, dtype), ValueError),
    "flat": (lambda shape, dtype: np.full(np.prod(shape), 7.0, dtype), ValueError),
    "transposed": (lambda shape, dtype: np.full(shape[::-1], 7.0, dtype), ValueError),
    "one more axis": (lambda shape, dtype: np.full((*shape, 1), 7.0, dtype), ValueError),
    "one row less": (lambda shape, dtype: np.full((shape[0] - 1, *shape[1:]), 7.0, dtype), ValueError),
    "empty": (lambda shape, dtype: np.empty((0, 4), dtype), ValueError),
    "read-only": (locked, ValueError),
    "broadcast": (broadcast_view, ValueError),
    "pandas": (lambda shape, dtype: pytest.importorskip("pandas").DataFrame(np.full(shape, 7.0, dtype)), TypeError),
    "torch": (lambda shape, dtype: pytest.importorskip("torch").full(shape, 7.0), TypeError),
}


@pytest.mark.parametrize("kind", BAD_OUTPUTS)
def test_bad_outputs(family, dtype, kind):
    """The other output is not touched either, and nothing has gone into the one that is refused."""
    make, errors = BAD_OUTPUTS[kind]
    problem = Problem(family, dtype=dtype)
    for name, other in itertools.permutations(("gradient_out", "hessian_out")):
        bad, good = make(SHAPE, dtype), np.full(SHAPE, 7.0, dtype)
        with pytest.raises(errors, match=name):
            problem.evaluate("gradient_and_hessian", out={name: bad, other: good})
        assert (good == 7).all()
        if isinstance(bad, np.ndarray):
            assert (bad == 7).all()


@pytest.mark.parametrize("kind", BAD_OUTPUTS)
@pytest.mark.parametrize("name", ROW_FUNCTIONS)
def test_bad_outputs_of_row_functions(name, kind, dtype):
    make, errors = BAD_OUTPUTS[kind]
    x = Problem("regression", (*SHAPE, 3) if name == "logsumexp" else SHAPE, dtype).prediction
    out = make(SHAPE, dtype)
    with pytest.raises(errors, match="out"):
        getattr(fl, name)(x, out=out)
    if isinstance(out, np.ndarray):
        assert (out == 7).all()


# ---------------------------------------------------------------------------------------------------------- shapes


@pytest.mark.parametrize("shape", [(), (1,), (5,), (5, 1), (1, 5), (1, 1, 1), (2, 3, 1, 4)], ids=str)
def test_shapes(family, dtype, shape):
    """Any number of dimensions is one and the same problem, reshaped."""
    if not shape and Problem(family, (1,)).rowwise:
        with pytest.raises(ValueError, match="prediction"):
            FAMILIES[family][0](dtype(0.5), 0)
        return
    problem = Problem(family, shape, dtype)
    problem.sample_weight = problem.sample_weight + 1
    flat_shape = (-1, shape[-1]) if problem.rowwise else -1
    flat = {name: x.reshape(flat_shape if x.shape == shape else -1) for name, x in problem.arguments().items()}
    value, *derivatives = problem.evaluate(**flat)
    result = problem.evaluate()
    assert type(result[0]) is float
    assert result[0] == value
    for x, right in zip(result[1:], derivatives, strict=True):
        assert x.shape == shape
        assert x.dtype == dtype
        assert cases.same_bits(x.reshape(right.shape), right)
    each = problem.loss(problem.prediction, problem.target, reduction="none")
    assert np.shape(each) == (shape[:-1] if problem.rowwise else () if family == "set" else shape)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)], ids=str)
def test_empty(family, dtype, shape):
    """Nothing to count: a mean of nan with a warning, a sum of 0, derivatives of the prediction's shape."""
    rowwise = family in ("index", "probability")
    no_classes = rowwise and shape[-1] == 0 and 0 not in shape[:-1]
    if no_classes:
        for target in (np.zeros(shape[:-1], int), np.zeros(shape, dtype)):
            with pytest.raises(ValueError, match="prediction"):
                FAMILIES[family][0](np.zeros(shape, dtype), target)
        return
    if rowwise and len(shape) == 1:
        with pytest.raises(ValueError, match="prediction"):
            FAMILIES[family][0](np.zeros(shape, dtype), 0)
        return
    problem = Problem(family, shape, dtype)
    outputs = {"gradient_out": np.empty(shape, dtype), "hessian_out": np.empty(shape, dtype)}
    with pytest.warns(RuntimeWarning, match="mean"):
        value, gradient, hessian = problem.evaluate(out=outputs)
    assert math.isnan(value)
    assert gradient is outputs["gradient_out"]
    assert hessian is outputs["hessian_out"]
    assert problem.loss.gradient(problem.prediction, problem.target).shape == shape
    assert problem.loss(problem.prediction, problem.target, reduction="sum") == 0.0
    for bad in (np.zeros((3, 3), dtype), np.zeros(7, dtype)):
        with pytest.raises(ValueError, match="target"):
            problem.loss(problem.prediction, bad)
        with pytest.raises(ValueError, match="sample_weight"):
            problem.loss(problem.prediction, problem.target, sample_weight=bad)


@pytest.mark.parametrize("shape", [(5,), (0,), (4, 3), (3, 0), (0, 3)], ids=str)
def test_broadcasting_never_makes_a_square(family, shape):
    """(n,) and (n, 1) are refused in both directions, also where n is 1 or 0 away from being harmless."""
    problem = Problem(family, shape)
    column, row = problem.prediction[..., np.newaxis], problem.prediction[np.newaxis]
    for prediction, target in ((problem.prediction, column), (problem.prediction, row)):
        if not problem.rowwise or target.shape != prediction.shape:
            with pytest.raises(ValueError, match=r"target|prediction"):
                problem.loss(prediction, target)


# -------------------------------------------------------------------------------------------------------- aliasing


def views_of(base, rng, shape, dtype):
    """A random view of a base: any offset, step, direction and order, so that two of them overlap in some way."""
    size = math.prod(shape)
    item = np.dtype(dtype).itemsize
    step = int(rng.choice([1, 1, 1, 2, -1]))
    room = base.size * 8 // item
    first = int(rng.integers(0, room - size * abs(step))) if rng.random() < 0.7 else 0
    flat = base.view(dtype)[first : first + size * abs(step)][::step]
    return flat.reshape(shape, order="F" if rng.random() < 0.3 else "C")


@pytest.mark.parametrize("seed", range(4))
def test_arrays_on_top_of_each_other(family, dtype, seed):
    """Prediction, target, weights and outputs as views of one base: as if each had a memory of its own."""
    rng = np.random.default_rng([seed, len(family)])
    refused = 0
    for _ in range(40):
        shape = [(900, 4), (1500, 2), (400, 7), (120, 33), (5, 7)][rng.integers(5)]  # several tiles, and one
        base = np.zeros(2 * math.prod(shape) + rng.integers(1, 200))
        problem = Problem(family, shape, dtype)
        arguments = problem.arguments()
        views = {name: views_of(base, rng, x.shape, dtype) for name, x in arguments.items() if x.dtype == dtype}
        # Overlapping inputs hold what the last of them has; all numbers suit all of them.
        for view in views.values():
            view[...] = rng.integers(0, 2, view.shape)
        inputs = {**arguments, **views}
        outputs = {
            name: views_of(base, rng, shape, dtype) for name in ("gradient_out", "hessian_out") if rng.random() < 0.7
        }
        copies = {name: x.copy() for name, x in inputs.items()}
        before = base.copy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # all weights may be 0
            wanted = problem.evaluate(**copies)
            if len(outputs) == 2 and np.shares_memory(*outputs.values()):
                refused += 1
                with pytest.raises(ValueError, match="overlap"):
                    problem.evaluate(**inputs, out=outputs)
                assert cases.same_bits(base, before)
                continue
            found = problem.evaluate(**inputs, out=outputs)
        np.testing.assert_allclose(found[0], wanted[0], rtol=1e-6 if dtype == np.float32 else 1e-13)
        for x, right in zip(found[1:], wanted[1:], strict=True):
            np.testing.assert_allclose(x, right, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-30)
        for out in outputs.values():
            assert any(x is out for x in found[1:])
        rest = np.ones(base.size * 8, bool)
        for out in outputs.values():
            touched = np.zeros(base.size * 8, bool)
            start = out.__array_interface__["data"][0] - base.__array_interface__["data"][0]
            at = start + sum(
                np.arange(n).reshape([-1 if i == axis else 1 for i in range(out.ndim)]) * stride
                for axis, (n, stride) in enumerate(zip(out.shape, out.strides, strict=True))
            )
            touched[(at.reshape(-1, 1) + np.arange(out.itemsize)).ravel()] = True
            rest &= ~touched
        assert np.array_equal(base.view(np.uint8)[rest], before.view(np.uint8)[rest]), "written beside the outputs"
    assert refused > 1


@pytest.mark.parametrize("name", ROW_FUNCTIONS)
@pytest.mark.parametrize("order", ["C", "F"])
def test_row_functions_on_top_of_their_argument(name, dtype, order):
    function = getattr(fl, name)
    n, k = 40, 6
    x = np.random.default_rng(0).normal(size=(n, k)).astype(dtype)
    wanted = function(x)
    size = wanted.size
    for start in (0, 1, k, n * k - size, 5 * k):
        room = np.zeros(2 * n * k, dtype)
        placed = room[3 : 3 + n * k].reshape((n, k), order=order)
        placed[...] = x
        out = room[start : start + size].reshape(wanted.shape, order=order)
        assert function(placed, out=out) is out
        np.testing.assert_allclose(out, wanted, rtol=8 * np.finfo(dtype).eps)
    placed = x.copy(order=order)
    out = (placed if name != "logsumexp" else placed[:, 0])[::-1]
    function(placed, out=out)
    np.testing.assert_allclose(out, wanted, rtol=8 * np.finfo(dtype).eps)


def test_errors_leave_what_lies_under_an_output(family, dtype):
    """The prediction in whose place the gradient was to go still holds the prediction."""
    problem = Problem(family, dtype=dtype)
    bad_weight = problem.sample_weight.copy()
    bad_weight[(-1,) * bad_weight.ndim] = np.nan
    changes = [{"sample_weight": bad_weight}]
    if family != "regression":
        bad_target = problem.target.copy()
        bad_target[(-1,) * bad_target.ndim] = -1
        changes.append({"target": bad_target, "sample_weight": None})
    for change in changes:
        for order in "CF":
            z = np.array(problem.prediction, order=order)
            before = z.copy()
            with pytest.raises(ValueError, match=next(iter(change))):
                problem.evaluate("value_and_gradient", prediction=z, out={"gradient_out": z}, **change)
            assert cases.same_bits(z, before)
