"""The function table for C and Cython, addresses for ctypes, Numba: the bits of Python's calls, errors with places."""

import ctypes
import functools
import importlib.util
import itertools
import pathlib
import pickle
import shutil
import subprocess
import sys
import sysconfig
import threading

import cases
import numpy as np
import pytest

import fastloss as fl
from fastloss._resolve import parse_loss

INCLUDE = pathlib.Path(fl.get_include())
needs_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")

# What a C extension does: it finds losses when it is imported, and releases the GIL while it computes.
IN_C = r"""
#include <Python.h>
#include "fastloss_api.h"

static const fastloss_api *fl;

/* -> (status, message, place, sum, weights) */
static PyObject *evaluate(PyObject *self, PyObject *args)
{
    const char *text;
    char message[200] = "";
    Py_ssize_t n, k, z, t, w, v, g, h, row_stride, column_stride;
    int by_column, mean, curvature, threads, type, target_type, status;
    if (!PyArg_ParseTuple(args, "snnnnnnnniiiinnii", &text, &n, &k, &z, &t, &w, &v, &g, &h, &by_column, &mean,
                          &curvature, &threads, &row_stride, &column_stride, &type, &target_type)) return NULL;
    fastloss_loss *loss = fl->find(text, message, sizeof message);
    if (!loss) return PyErr_Format(PyExc_ValueError, "%s", message);
    fastloss_info info = {.size = sizeof info};
    fl->info(loss, &info);
    const int rows = info.kind == FASTLOSS_ROWWISE || info.kind == FASTLOSS_COLUMNS, whole = !rows || by_column;
    fastloss_call call = {.size = sizeof call, .n_rows = n, .n_columns = k, .mean = mean, .curvature = curvature,
                          .threads = threads, .target_is_by_column = by_column};
    call.prediction = (fastloss_array){(void *)z, row_stride, column_stride, type};
    call.target = fastloss_matrix((void *)t, whole ? k : 1, target_type);
    call.weight = fastloss_matrix((void *)w, rows ? 1 : k, FASTLOSS_F64);
    call.value = fastloss_matrix((void *)v, rows ? 1 : k, type);
    call.gradient = fastloss_matrix((void *)g, k, type);
    call.hessian = fastloss_matrix((void *)h, k, type);
    Py_BEGIN_ALLOW_THREADS
    status = fl->evaluate(loss, &call);
    Py_END_ALLOW_THREADS
    fl->release(loss);
    return Py_BuildValue("(isndd)", status, fl->message(status), call.place, call.value_sum, call.weight_sum);
}

static PyMethodDef methods[] = {{"evaluate", evaluate, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "in_c", NULL, -1, methods, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit_in_c(void)
{
    fl = fastloss_import();
    return fl ? PyModule_Create(&module) : NULL;
}
"""

# What a Cython extension does: a row after the other on threads of its own, which never hold the GIL.
IN_CYTHON = """
# cython: language_level=3
from cython.parallel cimport prange
from libc.string cimport memset
cimport fastloss_api as c

cdef const c.fastloss_api *fl = c.fastloss_import()


def gradients(loss, double[:, ::1] z, double[:, ::1] t, double[:, ::1] out, int threads):
    cdef char message[200]
    cdef c.fastloss_loss *found = fl.from_object(<void *>loss, message, sizeof(message))
    if found == NULL:
        raise TypeError(message.decode())
    cdef Py_ssize_t i
    cdef int failed = 0
    with nogil:
        for i in prange(z.shape[0], num_threads=threads):
            failed += one_row(found, &z[i, 0], &t[i, 0], &out[i, 0], z.shape[1])
    fl.release(found)
    return failed


cdef int one_row(c.fastloss_loss *loss, double *z, double *t, double *out, Py_ssize_t n) noexcept nogil:
    cdef c.fastloss_call call
    memset(&call, 0, sizeof(call))
    call.size = sizeof(call)
    call.n_rows, call.n_columns, call.threads = n, 1, 1
    call.prediction = c.fastloss_vector(z, n, c.FASTLOSS_F64)
    call.target = c.fastloss_vector(t, n, c.FASTLOSS_F64)
    call.gradient = c.fastloss_vector(out, n, c.FASTLOSS_F64)
    return fl.evaluate(loss, &call) != c.FASTLOSS_DONE
"""


def compiled(name, source, folder, *flags):
    """Build a C file against the installed package, and import it."""
    path = folder / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    command = ["cc", "-shared", "-fPIC", "-std=gnu11", *flags, f"-I{sysconfig.get_path('include')}", f"-I{INCLUDE}"]
    subprocess.run([*command, "-o", path, source], check=True)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def in_c(tmp_path_factory):
    if not shutil.which("cc"):
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("c")
    (folder / "in_c.c").write_text(IN_C)
    return compiled("in_c", folder / "in_c.c", folder, "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror")


TYPES = {np.dtype(name): code for code, name in enumerate("bool i1 u1 i2 u2 i4 u4 i8 u8 f4 f8".split())}
CURVATURES = ("exact", "psd", "majorize", "fisher")


def evaluate(in_c, loss, z, t, w=None, v=None, g=None, h=None, *, mean=False, curvature="exact", threads=1):
    """Call the extension; z may have any strides, the others are contiguous."""

    def at(array):
        return 0 if array is None else array.ctypes.data

    n, k = z.shape
    by_column = loss.kind == "rowwise" and t.shape == z.shape
    return in_c.evaluate(
        repr(loss), n, k, at(z), at(t), at(w), at(v), at(g), at(h), by_column, mean, CURVATURES.index(curvature),
        threads, *z.strides, TYPES[z.dtype], TYPES[t.dtype],
    )  # fmt: skip


def data_of(case, n=300):
    rng = np.random.default_rng(0)
    k = 3 if case.rowwise else len(case.loss().columns) if case.columnwise else 2
    z = rng.normal(size=(n, k))
    shape = n if case.rowwise or case.columnwise else (n, k)
    t = {
        "class": lambda: rng.integers(0, k, shape),
        "real": lambda: rng.normal(size=shape),
        "probability": lambda: rng.random(shape),
        "set": lambda: rng.random(shape),
        "count": lambda: rng.poisson(2.0, shape).astype(float),
        "positive": lambda: rng.exponential(size=shape),
        "share": lambda: rng.uniform(0.01, 0.99, shape),
        "ordered": lambda: rng.integers(0, 3, shape).astype(float),
        "residual": lambda: rng.normal(size=shape),
        "above -1": lambda: rng.exponential(size=shape),
    }[case.domain.removesuffix(" row")]()
    w = rng.exponential(size=shape) * (rng.random(shape) < 0.8)
    return z, t, w


class Case:
    """A loss with its defaults, or with the last of its parameters where they can be written down."""

    def __init__(self, case, parameters):
        self.case, self.parameters = case, parameters
        for name in ("rowwise", "columnwise", "setwise", "domain"):
            setattr(self, name, getattr(case, name))

    def loss(self):
        return getattr(fl, self.case.constructor)(**self.parameters)


EACH = [pytest.param(Case(case, {}), id=case.constructor) for case in cases.TABLE if not case.together]
EACH += [
    pytest.param(Case(case, case.parameters[-1]), id=f"{case.constructor} with parameters")
    for case in cases.TABLE
    if case.parameters[-1] and not case.together and not any(isinstance(each, np.ndarray) or each is cases.CLASS_WEIGHT
                                       for each in case.parameters[-1].values())
]  # fmt: skip


@pytest.mark.parametrize("case", EACH)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_bits_of_python(in_c, case, dtype):
    loss = case.loss()
    z, t, w = data_of(case)
    if case.domain == "class" and t.ndim == 1 and loss.name == "kl_divergence":
        t = fl.softmax(data_of(case)[0])
    z = np.abs(z).astype(dtype) if case.domain == "above -1" else z.astype(dtype)
    t = t if t.dtype.kind == "i" else t.astype(dtype)
    for mean, weights, memory in ((False, None, "C"), (True, w, "C"), (True, None, "F"), (False, w, "F")):
        of_user = np.asarray(z, order=memory)
        g, h = np.empty((2, *z.shape), dtype)
        if loss.kind == "setwise":
            expected = loss.value_gradient_and_hessian(z, t, sample_weight=weights, reduction="sum")
            status = evaluate(in_c, loss, of_user, t, weights, None, g, h, mean=mean)
            assert status[0] == 0
            value = evaluate(in_c, loss, of_user, t, weights, mean=mean)[3]
        else:
            reduction = "mean" if mean else "sum"
            expected = loss.value_gradient_and_hessian(z, t, sample_weight=weights, reduction=reduction)
            values = np.empty(len(z) if loss.kind == "rowwise" else t.shape, dtype)
            status, message, place, _, weight_sum = evaluate(in_c, loss, of_user, t, weights, None, g, h, mean=mean)
            assert (status, message, place) == (0, "done", -1)
            value = evaluate(in_c, loss, of_user, t, weights, mean=mean)[3]
            assert evaluate(in_c, loss, of_user, t, weights, values, threads=2)[0] == 0
            whole = loss(z, t, sample_weight=weights, reduction="sum")
            assert values.sum(dtype=float) == pytest.approx(whole, rel=1e-5)
            assert weight_sum > 0
        assert value == pytest.approx(expected[0], rel=1e-6 if dtype == np.float32 else 1e-14)
        if memory == "C":
            assert np.array_equal(g, expected[1])
            assert np.array_equal(h, expected[2])
        np.testing.assert_allclose(g, expected[1], rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-12)


def test_options(in_c):
    rng = np.random.default_rng(1)
    z, t = rng.normal(size=(40000, 4)), rng.integers(0, 4, 40000).astype(np.uint8)
    loss = fl.Focal(class_weight=[1.0, 2.0, 0.0, 1e-20], ignore_index=1, gamma=1.5)
    for curvature, threads in itertools.product(("exact", "psd", "majorize"), (0, 1, 3)):
        g, h = np.empty((2, *z.shape))
        assert evaluate(in_c, loss, z, t, g=g, h=h, curvature=curvature, mean=True, threads=threads)[0] == 0
        expected = loss.gradient_and_hessian(z, t, curvature=curvature)
        assert np.array_equal(g, expected[0])
        assert np.array_equal(h, expected[1])
    soft = fl.softmax(z)
    g = np.empty_like(z)
    assert evaluate(in_c, fl.CrossEntropy(), z, soft, g=g)[0] == 0
    assert np.array_equal(g, fl.CrossEntropy().gradient(z, soft, reduction="sum"))
    skipping = np.repeat(z, 2, axis=1)[:, ::2]
    assert evaluate(in_c, fl.Huber(), skipping, z + 1, g=g, threads=2)[0] == 0
    assert np.array_equal(g, fl.Huber().gradient(z, z + 1, reduction="sum"))
    alone = evaluate(in_c, fl.GaussianNLL(), np.ones((0, 2)), np.ones(0))
    assert alone[0] == 0
    assert alone[3] == 0.0


def test_errors_are_codes_with_places(in_c):
    z, t = np.zeros((5, 3)), np.array([0, 1, 2, 3, 9])
    assert evaluate(in_c, fl.CrossEntropy(), z, t)[:3] == (
        1, "a target is no class of the prediction, or outside the loss's domain", 3)  # fmt: skip
    probabilities = np.full((5, 3), 0.5)
    probabilities[2, 1] = 1.5
    for memory in "CF":
        logits = np.zeros((5, 3), order=memory)
        assert evaluate(in_c, fl.CrossEntropy(), logits, probabilities)[::2][:2] == (1, 2 * 3 + 1)
    weights = np.array([1.0, 1.0, np.nan, -1.0, 1.0])
    assert evaluate(in_c, fl.CrossEntropy(), z, np.zeros(5, int), weights)[:3] == (
        2,
        "a weight is negative or not finite",
        2,
    )
    assert evaluate(in_c, fl.Poisson(), z, z - 1)[:3:2] == (1, 0)
    assert evaluate(in_c, fl.Huber(), z, z, curvature="fisher", g=z.copy(), h=z.copy())[0] == 6
    assert evaluate(in_c, fl.CrossEntropy(), z, np.zeros(5))[0] == 5
    assert evaluate(in_c, fl.CrossEntropy(class_weight=[1.0, 1.0]), z, np.zeros(5, int))[0] == 4
    assert evaluate(in_c, fl.GaussianNLL(), z, np.zeros(5))[0] == 4
    for text, complaint in [
        ("hubber", "did you mean 'huber'"),
        ("Huber(delta=-1)", "delta must be finite and > 0"),
        ("BinaryCrossEntropy(pos_weight=[1, 2])", "pos_weight must be a single number"),
    ]:
        with pytest.raises(ValueError, match=complaint):
            in_c.evaluate(text, 1, 1, *[0] * 6, 0, 0, 0, 1, 8, 8, 10, 10)


@needs_compiler
def test_cython(tmp_path):
    pytest.importorskip("Cython")
    (tmp_path / "in_cython.pyx").write_text(IN_CYTHON)
    command = [sys.executable, "-m", "cython", "-3", f"-I{INCLUDE}", tmp_path / "in_cython.pyx"]
    subprocess.run(command, check=True)
    module = compiled("in_cython", tmp_path / "in_cython.c", tmp_path, "-fopenmp")
    z, t = np.random.default_rng(2).normal(size=(2, 400, 50))
    out = np.empty_like(z)
    assert module.gradients(fl.Tukey(c=2.0), z, t, out, 3) == 0
    assert np.array_equal(out, fl.Tukey(c=2.0).gradient(z, t, reduction="sum"))
    assert module.gradients(fl.Gamma(), z, t, out, 2) > 0
    with pytest.raises(TypeError, match="a loss of fastloss is needed, not str"):
        module.gradients("huber", z, t, out, 1)


@needs_compiler
@pytest.mark.parametrize("language", ["c", "c++"])
def test_the_header_alone(language):
    """Without Python's, twice, and in C++."""
    text = f'#include "{INCLUDE / "fastloss_api.h"}"\n' * 2 + "int main(void) { return FASTLOSS_DONE; }\n"
    flags = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", f"-x{language}", "-"]
    subprocess.run(["cc", *flags], input=text, text=True, check=True)


# ---------------------------------------------------------------------------------------- addresses


def at(array):
    return None if array is None else array.ctypes.data


class Array(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("row_stride", ctypes.c_ssize_t), ("column_stride", ctypes.c_ssize_t)]
    _fields_ += [("type", ctypes.c_int)]

    @classmethod
    def of(cls, array):
        columns = array.strides[1] if array.ndim == 2 else array.nbytes
        return cls(array.ctypes.data, array.strides[0], columns, TYPES[array.dtype])


class Call(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("n_rows", ctypes.c_ssize_t), ("n_columns", ctypes.c_ssize_t)]
    _fields_ += [(name, Array) for name in ("prediction", "target", "weight", "value", "gradient", "hessian")]
    _fields_ += [(name, ctypes.c_int) for name in ("target_is_by_column", "mean", "curvature", "threads")]
    _fields_ += [("value_sum", ctypes.c_double), ("weight_sum", ctypes.c_double), ("place", ctypes.c_ssize_t)]


class Info(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("name", ctypes.c_char_p), ("kind", ctypes.c_int)]
    _fields_ += [("n_columns", ctypes.c_ssize_t)]


LossPointer = ctypes.c_void_p


class Table(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("version", ctypes.c_int), ("isa", ctypes.c_char_p)]
    _fields_ += [
        (name, ctypes.CFUNCTYPE(result, *arguments))
        for name, result, arguments in (
            ("find", LossPointer, (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t)),
            ("from_object", LossPointer, (ctypes.py_object, ctypes.c_char_p, ctypes.c_size_t)),
            ("release", None, (LossPointer,)),
            ("info", ctypes.c_int, (LossPointer, ctypes.POINTER(Info))),
            ("evaluate", ctypes.c_int, (LossPointer, ctypes.POINTER(Call))),
            ("message", ctypes.c_char_p, (ctypes.c_int,)),
        )
    ]


@pytest.fixture(scope="module")
def table():
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return Table.from_address(pointer(fl._kernels._c_api, b"fastloss._kernels._c_api"))


DONE, BAD_SIZE, BAD_ARRAY, NO_CURVATURE, NO_LOSS = 0, 4, 5, 6, 7


def test_the_table_says_what_is_wrong(table):
    message = ctypes.create_string_buffer(40)
    assert table.size == ctypes.sizeof(Table)
    assert table.find(b"no_such_loss", message, 40) is None
    assert 0 < len(message.value) <= 39
    assert table.find(b"no_such_loss", None, 0) is None
    z, wide, classes = np.zeros((6, 2)), np.zeros((6, 2), np.float64), np.zeros(6, np.int64)
    narrow = z.astype(np.float32)

    def status(text, **fields):
        loss = table.find(text, message, 40)
        arrays = {name: Array.of(x) if isinstance(x, np.ndarray) else x for name, x in fields.items()}
        call = Call(**{"size": ctypes.sizeof(Call), "n_rows": 6, "n_columns": 2, "threads": 1, **arrays})
        found = table.evaluate(loss, ctypes.byref(call))
        table.release(loss)
        assert table.message(found)
        return found

    huber, cross_entropy = b"Huber(delta=2)", b"cross_entropy"
    assert status(huber, prediction=z, target=z) == DONE
    assert status(huber, size=8, prediction=z, target=z) == BAD_SIZE
    assert status(huber, prediction=z, target=z, n_rows=-1) == BAD_SIZE
    assert status(huber, prediction=z, target=z, n_rows=0) == DONE
    assert status(b"gaussian_nll", prediction=z, target=wide[:, 0].copy(), n_columns=1) == BAD_SIZE
    assert status(huber, target=z) == status(huber, prediction=z) == BAD_ARRAY
    assert status(huber, prediction=classes, target=z, n_columns=1) == BAD_ARRAY
    assert status(cross_entropy, prediction=z, target=z[:, 0].copy()) == BAD_ARRAY
    assert status(cross_entropy, prediction=z, target=classes) == DONE
    ignoring = b"CrossEntropy(ignore_index=1)"
    assert status(ignoring, prediction=z, target=z + 0.5, target_is_by_column=1) == BAD_ARRAY
    for output in ("gradient", "value", "hessian"):
        both = {"gradient": narrow.copy()} if output == "hessian" else {}
        assert status(huber, prediction=narrow, target=narrow, **{**both, output: wide.copy()}) == BAD_ARRAY
    assert status(b"dice", prediction=z, target=z, value=wide.copy()) == BAD_ARRAY
    assert status(huber, prediction=z, target=z, hessian=wide.copy()) == BAD_ARRAY
    outputs = {"gradient": wide.copy(), "hessian": wide.copy()}
    assert status(huber, prediction=z, target=z, curvature=9, **outputs) == NO_CURVATURE
    assert status(huber, prediction=z, target=z, curvature=3, **outputs) == NO_CURVATURE
    heavy = b"CrossEntropy(class_weight=[1.0, 1e300])"
    assert status(heavy, prediction=narrow, target=classes) == BAD_ARRAY
    assert status(heavy, prediction=narrow, target=classes, mean=1) == DONE
    large = np.zeros(200_000)
    assert status(huber, prediction=large, target=large, n_rows=200_000, n_columns=1, threads=0) == DONE
    assert [table.message(code).decode() for code in range(9)][-1] == "unknown status"

    call, info = Call(size=ctypes.sizeof(Call)), Info(size=ctypes.sizeof(Info))
    assert table.evaluate(None, ctypes.byref(call)) == table.info(None, ctypes.byref(info)) == NO_LOSS
    table.release(None)
    loss = table.from_object(fl.GaussianNLL(), message, 40)
    assert table.info(loss, ctypes.byref(info)) == DONE
    assert (info.name, info.kind, info.n_columns) == (b"gaussian_nll", 2, 2)
    assert table.info(loss, ctypes.byref(Info(size=1))) == BAD_SIZE
    table.release(loss)


@pytest.mark.parametrize("n_classes", [100, 9000])
@pytest.mark.parametrize("orders", list(itertools.product("CF", repeat=3)), ids="".join)
def test_an_order_for_each_array(table, orders, n_classes):
    """Of rows of many classes: what does not follow each other is turned, and nothing else is."""
    rng = np.random.default_rng(7)
    z = rng.normal(size=(19, n_classes)).astype(np.float32)
    loss, text = fl.CrossEntropy(label_smoothing=0.1), b"CrossEntropy(label_smoothing=0.1)"
    for t in (rng.integers(0, n_classes, 19), fl.softmax(3 * rng.normal(size=z.shape).astype(np.float32))):
        expected = loss.value_gradient_and_hessian(z, t, reduction="none")
        value = np.empty(19, np.float32)
        turned = [np.array(x, order=order) for x, order in zip((z, z, z), orders, strict=True)]
        labels = np.asfortranarray(t) if orders[1] == "F" else t
        fields = {"prediction": turned[0], "target": labels, "gradient": turned[1], "hessian": turned[2]}
        fields["value"] = value
        for threads in (1, 2):
            call = Call(size=ctypes.sizeof(Call), n_rows=19, n_columns=n_classes, threads=threads)
            call.target_is_by_column = int(t.ndim == 2)
            for name, array in fields.items():
                setattr(call, name, Array.of(array))
            found = table.find(text, None, 0)
            assert table.evaluate(found, ctypes.byref(call)) == DONE
            table.release(found)
            for each, right in zip((value, *turned[1:]), expected, strict=True):
                assert np.array_equal(each, right)


def test_ctypes():
    rng = np.random.default_rng(3)
    z, t, w = rng.normal(size=1000), rng.normal(size=1000), rng.exponential(size=1000)
    loss, out = fl.Huber(delta=0.7), np.empty(3000)
    low = loss.low_level(("value", "gradient", "hessian"))
    signature = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_ssize_t, *[ctypes.c_void_p] * 4)
    for weights in (None, w):
        assert signature(low)(1000, at(z), at(t), at(weights), at(out)) == 0
        expected = [loss(z, t, sample_weight=weights, reduction="none")]
        expected += loss.gradient_and_hessian(z, t, sample_weight=weights, reduction="sum")
        assert np.array_equal(out, np.concatenate(expected))
    logits, classes = rng.normal(size=(100, 4)).astype(np.float32), rng.integers(0, 4, 100)
    out = np.empty((100, 4), np.float32)
    low = fl.CrossEntropy().low_level("gradient", columns=4, dtype="float32")
    assert low.function(100, at(logits), at(classes), None, at(out)) == 0
    assert np.array_equal(out, fl.CrossEntropy().gradient(logits, classes, reduction="sum"))
    classes[7] = 4
    assert low.function(100, at(logits), at(classes), None, at(out)) == 8
    classes[7], weights = 0, np.ones(100, np.float32)
    weights[5] = -1
    assert low.function(100, at(logits), at(classes), at(weights), at(out)) == -6
    assert low.function(100, None, at(classes), None, at(out)) == -(2**63)
    assert fl.GaussianNLL().low_level().columns == 2


def test_addresses_are_those_of_equal_losses():
    one, other = fl.Huber(0.123).low_level(), fl.Huber(0.123).low_level(columns=1)
    assert one == other != fl.Huber(0.124).low_level()
    assert pickle.loads(pickle.dumps(one)) == one
    assert repr(one).startswith("<value of Huber(delta=0.123) at 0x")


@pytest.mark.parametrize(
    ("loss", "arguments", "complaint"),
    [
        (fl.Huber(), {"outputs": "third"}, "outputs must be"),
        (fl.Huber(), {"outputs": ()}, "outputs must name"),
        (fl.Huber(), {"outputs": "hessian"}, "beside 'hessian'"),
        (fl.Huber(), {"dtype": "float16"}, "dtype must be"),
        (fl.Huber(), {"columns": 0}, "columns must be an integer >= 1"),
        (fl.Dice(), {}, "one value a set"),
        (fl.CrossEntropy(), {}, "columns must be the number of classes"),
        (fl.CrossEntropy(class_weight=[1.0, 2.0]), {"columns": 3}, "columns must be 2"),
        (fl.GaussianNLL(), {"columns": 3}, "columns must be 2"),
        (fl.BinaryCrossEntropy(pos_weight=[1.0, 2.0]), {"columns": 2}, "pos_weight must be a single number"),
    ],
)
def test_addresses_that_are_refused(loss, arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        loss.low_level(**arguments)


def test_threads_of_python_at_once():
    z, t = np.random.default_rng(4).normal(size=(2, 200_000))
    function = fl.LogCosh().low_level("gradient").function
    outs = [np.empty_like(z) for _ in range(4)]
    threads = [threading.Thread(target=function, args=(len(z), at(z), at(t), None, at(out))) for out in outs]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    expected = fl.LogCosh().gradient(z, t, reduction="sum")
    assert all(np.array_equal(out, expected) for out in outs)


def test_numba():
    """Weights or none: Numba has no NULL, but addresses may be integers."""
    numba = pytest.importorskip("numba")
    low = fl.Huber().low_level("gradient")
    weighted, plain = low.function, ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_ssize_t] * 5)(low)

    @numba.njit
    def step(z, t, w, out):
        total = 0.0
        status = weighted(len(z), z.ctypes, t.ctypes, w.ctypes, out.ctypes)
        total += (out * out).sum()
        status += plain(len(z), z.ctypes.data, t.ctypes.data, 0, out.ctypes.data)
        return status, total, (out * out).sum()

    z, t = np.random.default_rng(5).normal(size=(2, 100))
    w = np.linspace(0, 3, 100)
    status, *totals = step(z, t, w, np.empty(100))
    assert status == 0
    for total, weight in zip(totals, (w, None), strict=True):
        expected = (fl.Huber().gradient(z, t, sample_weight=weight, reduction="sum") ** 2).sum()
        assert total == pytest.approx(expected)
    w[3] = -1.0
    assert step(z, t, w, np.empty(100))[0] == -4


@pytest.mark.parametrize("loss", [fl.CoxPH(), fl.GroupSoftmax()], ids=repr)
def test_rows_that_belong_together_are_refused(loss):
    with pytest.raises(ValueError, match="is a loss of rows that belong together"):
        loss.low_level()


# ---------------------------------------------------------------------------------------------------------------- JAX

FOR_JAX = pathlib.Path(__file__).resolve().parent.parent / "examples" / "jax_ffi.c"


@needs_compiler
@pytest.mark.skipif(not FOR_JAX.exists(), reason="the tests stand alone, without the examples")
def test_jax(tmp_path):
    """The example of a function for XLA: the bits of Python's calls, under jit and vmap; errors with places."""
    jax = pytest.importorskip("jax")
    paths = (INCLUDE, sysconfig.get_path("include"), jax.ffi.include_dir())
    flags = ["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    library = tmp_path / "jax_ffi.so"
    subprocess.run(["cc", *flags, FOR_JAX, "-o", library, *(f"-I{path}" for path in paths)], check=True)
    found = ctypes.PyDLL(str(library))
    assert found.set_up() == 0
    name = "fastloss.value_and_gradient"
    jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(found.value_and_gradient), platform="cpu")
    rng = np.random.default_rng(0)
    z = rng.normal(size=(2, 50, 4)).astype(np.float32)
    soft, classes = rng.dirichlet(np.ones(4), (2, 50)).astype(np.float32), rng.integers(0, 4, (2, 50))

    def evaluate(text, z, t):
        shape = z.shape if parse_loss(text).kind == "pointwise" else z.shape[:-1]
        results = [jax.ShapeDtypeStruct(each, z.dtype) for each in (shape, z.shape)]
        return jax.ffi.ffi_call(name, results, vmap_method="broadcast_all")(z, t, loss=text)

    for transform, text, target in (
        (jax.jit, "Huber(delta=0.5)", soft),
        (jax.vmap, "CrossEntropy(label_smoothing=0.1)", classes),
        (jax.vmap, "CrossEntropy()", soft),
    ):
        found = transform(functools.partial(evaluate, text))(z, target)
        for result, same in zip(found, parse_loss(text).value_and_gradient(z, target, reduction="none"), strict=True):
            np.testing.assert_array_equal(result, same)
    classes[0, 1] = 4
    for text, target, message in (("CrossEntropy()", classes, "place 1"), ("Huber()", classes[:1], "shape")):
        with pytest.raises(Exception, match=message):
            jax.block_until_ready(evaluate(text, z, target))
