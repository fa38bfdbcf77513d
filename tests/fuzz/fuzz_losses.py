"""Fuzzer of the boundary between Python and C: any bytes make a call, and every call has to come out right.

`check(data)` draws from bytes a loss with its parameters, arrays of any shape, dtype and memory layout, targets of
every kind, within their rules or not, weights, options and outputs, overlapping ones, too; and calls. An answer has the
right shape and dtype, and where nothing odd was drawn, roughly the numbers of the text-book twin (how exactly, is for
other tests to say). Or a TypeError or ValueError has left outputs and inputs as they were. Anything else is a bug; a
read or write beside an array is for AddressSanitizer to find.

    make fuzz SECONDS=600                    with atheris: bytes that reach new code are kept, and changed further
    python tests/fuzz/fuzz_losses.py FILE    a finding again, with or without atheris
    pytest tests/test_fuzz.py                random bytes, without atheris
"""

import math
import sys
import warnings
from pathlib import Path

import numpy as np

try:
    import atheris
except ImportError:
    import fastloss as fl

    atheris = None
else:
    with atheris.instrument_imports(include=["fastloss"]):
        import fastloss as fl

sys.path.insert(0, str(Path(__file__).parents[1]))
import cases
from test_layouts import LAYOUTS, WRITABLE

LENGTHS = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 130, 520, 1030, 5003, 0)
MOST_ELEMENTS = 20_000
WILD = (0.0, -0.0, 1.0, -1.0, 0.5, np.nan, np.inf, -np.inf, 5e-324, 1e-45, 1e-38, 1e-310, 88.7, -104.0, 709.7, -745.2)
WILD += (1e30, -1e30, 3.4e38, 1e300, -1e300, 2.0**31, -(2.0**31), 2.0**63, -(2.0**63), 2.0**64)
INDICES = (-1, 2**31, -(2**31), 2**32, 2**63 - 1, -(2**63))
REALS = ("f8", "f4", "f2", ">f8", ">f4")
NUMBERS = (*REALS, "i8", "i4", "i2", "i1", "u1", "u8", ">i4", "?")
NO_NUMBERS = ("c8", "g", "O", "M8[s]", "S3", "V8", "U2")
NO_ARRAYS = (None, "text", 1, 0.5, [], [[]], [1, [2]], object(), {}, float, [None], 2**70, b"\0", iter(()))
DOMAINS = {"real": (-5, 5), "count": (0, 9), "positive": (1, 9)}  # else [0, 1]
REFUSALS = (TypeError, ValueError)
# What a method returns of value, gradient and Hessian.
METHODS = {
    "__call__": (0,),
    "gradient": (1,),
    "value_and_gradient": (0, 1),
    "gradient_and_hessian": (1, 2),
    "value_gradient_and_hessian": (0, 1, 2),
}
# Roughly: of the largest number of an array, or of the terms that cancel in it.
TOLERANCES = {"e": 4e-3, "f": 1e-4, "d": 1e-8}


class Draw:
    """What bytes choose. When there are no more, everything is as usual."""

    def __init__(self, data):
        self.bytes = iter(data)
        self.odd = False  # something was drawn that may be refused, or that the twin is not to be asked about

    def below(self, n):
        return next(self.bytes, 0) % n

    def choose(self, options):
        return options[self.below(len(options))]

    def maybe(self, n):
        """Once in `n` times."""
        return self.below(n) == n - 1

    def oddly(self, n):
        odd = self.maybe(n)
        self.odd |= odd
        return odd

    def shape(self):
        shape = ()
        for _ in range(self.choose((2, 1, 2, 3, 4, 2, 0))):
            n = self.choose(LENGTHS)
            shape += (n if n * math.prod(max(1, each) for each in shape) <= MOST_ELEMENTS else 1,)
        self.odd |= 0 in shape
        return shape

    def other_shape(self, shape):
        return self.choose((shape[1:], (*shape, 1), shape[::-1], (1, *shape), (*shape, 2), (0,), ()))

    def numbers(self, shape, low, high):
        """Eighths, which every float holds exactly; or with whatever floats there are."""
        rng = np.random.default_rng([self.below(256), *shape])
        x = rng.integers(8 * low, 8 * high, shape, endpoint=True) / 8
        if not self.oddly(6):
            return x
        return np.where(rng.random(shape) < self.choose((1.0, 0.5, 0.1, 0.01)), rng.choice(WILD, shape), x)

    def array(self, x, usual=REALS):
        """These numbers in a type and a memory layout, or something else altogether."""
        if self.oddly(48):
            return self.choose(NO_ARRAYS)
        dtype = np.dtype(self.choose(NUMBERS + NO_NUMBERS if self.oddly(24) else usual))
        with np.errstate(all="ignore"):
            x = x.astype(dtype) if dtype.kind in "fiub" else np.zeros(x.shape, dtype)
        if x.ndim and self.maybe(16):
            axis = self.below(x.ndim)
            return np.broadcast_to(x[(slice(None),) * axis + (slice(1),)], x.shape) if x.shape[axis] else x
        return self.layout(x, tuple(LAYOUTS))

    def layout(self, x, names):
        return LAYOUTS[self.choose(names)](x) if x.ndim and x.size and x.dtype.kind in "fiu" else x

    def out(self, shape, dtype, inputs):
        """An output: an array of its own, an input, or something across one. Or one that does not fit."""
        across = self.choose(inputs)
        if self.maybe(4) and isinstance(across, np.ndarray) and across.dtype == dtype:
            self.odd |= not across.flags.writeable
            room = across if across.base is None else across.base
            if across.shape == shape and self.maybe(2):
                return across[:: self.choose((1, -1))] if shape else across
            size = math.prod(shape)
            if room.dtype == dtype and room.flags.c_contiguous and room.size >= size:
                start = self.below(256) % (room.size - size + 1)
                self.odd |= not room.flags.writeable
                return room.reshape(-1)[start:][:size].reshape(shape, order=self.choose("CF"))
        if self.oddly(24):
            shape = self.other_shape(shape)
        dtype = self.choose(NUMBERS) if self.oddly(24) else dtype
        return self.layout(np.ones(shape, dtype), tuple(LAYOUTS if self.oddly(24) else WRITABLE))


def draw_loss(draw, case, shape, n_classes):
    """A loss and its parameters; no loss where they are refused."""
    parameters = cases.resolve(draw.choose(case.parameters), n_classes + draw.oddly(64))
    if case.has_options and draw.maybe(6):
        parameters["ignore_index"] = draw.choose((0, 1, 255, *INDICES))
    if "pos_weight" in parameters and draw.maybe(2):
        parameters["pos_weight"] = draw.array(draw.numbers(shape[-1:], 0, 3))
    if parameters and draw.oddly(16):
        parameters[draw.choose(sorted(parameters))] = draw.choose((*WILD, *NO_ARRAYS, True, np.float32(0.25), -3))
    if case.refused and draw.oddly(32):
        parameters |= draw.choose(case.refused)[0]
    try:
        return getattr(fl, case.constructor)(**parameters), parameters
    except REFUSALS:
        assert draw.odd, f"{case} refuses {parameters}"
        return None, parameters


def draw_target(draw, case, shape, axis):
    if case.rowwise and not draw.maybe(2):
        n_classes = shape[axis]
        rng = np.random.default_rng(draw.below(256))
        t = rng.integers(0, max(1, n_classes), shape[:axis] + shape[axis:][1:])
        if t.size and draw.oddly(8):
            t.flat[draw.below(256) % t.size] = draw.choose((n_classes, *INDICES))
        return draw.array(t, ("i8", "i4", ">i8", "u2"))
    if case.columnwise:
        row_shape = shape[:axis] + shape[axis + 1 :]
        row_shape = draw.other_shape(row_shape) if draw.oddly(24) else row_shape
        domain = case.domain.removesuffix(" row")
        t = draw.numbers(row_shape, *DOMAINS.get(domain, (0, shape[axis] if domain == "ordered" else 1)))
        if not draw.odd and domain in ("share", "ordered"):
            t = np.round(t) if domain == "ordered" else (t + 0.125) / 1.25
        return draw.array(t)
    if draw.oddly(24):
        shape = draw.other_shape(shape)
    elif shape and not case.rowwise and draw.maybe(8):
        shape = draw.choose((shape[1:], (*shape[:-1], 1)))
    return draw.array(draw.numbers(shape, *DOMAINS.get(case.domain, (0, 1))))


def draw_weight(draw, shape, broadcasts):
    if draw.oddly(24):
        shape = draw.other_shape(shape)
    elif shape and broadcasts and draw.maybe(4):
        shape = (*shape[:-1], 1)
    return draw.array(draw.numbers(shape, 0, 2), (*REALS, "i4"))


@np.errstate(all="ignore")
def cancelling(case, parameters, z, t, axis):
    """The magnitudes of the terms of value, gradient and Hessian; 0 where none cancel."""
    if case.terms is None:
        return 0.0, 0.0, 0.0
    if case.columnwise:
        # What the columns' terms have in common is the size of the row's.
        return tuple(np.ones(1) for _ in range(3))
    if not case.rowwise:
        terms = case.terms(z, np.broadcast_to(t, z.shape), **parameters)
    else:
        at_end = np.moveaxis(t, axis, -1) if t.ndim == z.ndim else t
        value, *derivatives = case.terms(np.moveaxis(z, axis, -1), at_end, **parameters)
        terms = (value, *(x if x is None else np.moveaxis(x, -1, axis) for x in derivatives))
    return tuple(0.0 if x is None else np.abs(x) for x in terms)


@np.errstate(all="ignore")
def of_twin(case, parameters, z, t, weight, reduction, axis):
    """Value, gradient and Hessian as the text book has them, and the magnitudes of their terms."""
    z, t = np.asarray(z, float), np.asarray(t)
    t = t.astype(t.dtype.newbyteorder("="))
    if case.setwise:
        value, *derivatives = case.twin(z, t, **parameters, sample_weight=weight, axis=axis)
        scale = 1 / np.size(value) if reduction == "mean" else 1.0
        value = value if reduction == "none" else np.sum(value) * scale
        return (value, *(x * scale for x in derivatives)), (0.0,) * 3
    by_row = case.rowwise or case.columnwise
    options = {"axis": axis} if by_row else {}
    value, *derivatives = case.twin(z, t, **parameters, **options)
    value_terms, *terms = cancelling(case, parameters, z, t, axis)
    w = np.broadcast_to(1.0 if weight is None else np.asarray(weight, float), value.shape)
    counts = w
    if case.rowwise and t.ndim < z.ndim:
        if parameters.get("class_weight") is not None:
            counts = counts * np.asarray(parameters["class_weight"])[np.where(t < z.shape[axis], t, 0)]
        counts = np.where(t == parameters["ignore_index"], 0, counts) if "ignore_index" in parameters else counts
    total = np.sum(counts) if reduction == "mean" else 1.0
    scale = np.where(w == 0, 0, w / total)
    value, value_terms = (x * w if reduction == "none" else np.sum(x * w) / total for x in (value, value_terms))
    scale = np.expand_dims(scale, axis) if by_row else scale
    return (value, *(scale * x for x in derivatives)), (value_terms, *(scale * x for x in terms))


def compare(found, right, dtype, what, terms=0.0, most=1.0):
    found, right = np.asarray(found), np.asarray(right)
    # A row of several columns may overflow where its share of a mean would not.
    finite = np.isfinite(right) & ((np.abs(right) <= most * float(np.finfo(dtype).max)) | np.isfinite(found))
    # What the type cannot hold is infinite in it, on the right side.
    limit = float(np.finfo(dtype).max) * (1 - TOLERANCES[dtype.char])
    finite &= ~((np.abs(right) > limit) & (found.astype(float) == np.copysign(np.inf, right)))
    if finite.any():
        largest = np.maximum(np.abs(right), np.nan_to_num(np.abs(terms), posinf=0))[finite].max()
        tolerance = TOLERANCES[dtype.char] * largest + (dtype.char == "e") * 1e-7
        error = np.abs(found[finite].astype(float) - right[finite]).max()
        assert error <= tolerance, f"{what}: wrong by {error}, more than {tolerance}"


def snapshot(arrays):
    return [x.tobytes() for x in arrays]


def run(draw, function, arguments, options, outputs):
    """The answer; None after a refusal that is in order."""
    arrays = [x for x in (*arguments, *options.values(), *outputs.values()) if isinstance(x, np.ndarray)]
    before = snapshot(arrays)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "mean of nothing|overflow encountered in cast", RuntimeWarning)
        try:
            answer = function(*arguments, **options, **outputs)
        except REFUSALS:
            assert draw.odd, "refused, though all is as it should be"
            assert snapshot(arrays) == before, "an error has changed an array"
            return None
    for x, then in zip(arrays, before, strict=True):
        changed = any(isinstance(out, np.ndarray) and np.may_share_memory(x, out) for out in outputs.values())
        assert changed or x.tobytes() == then, "an input has changed"
    return answer


def check_row_function(draw):
    name = draw.choose(("log_softmax", "softmax", "logsumexp", "sigmoid", "log_sigmoid"))
    shape = draw.shape()
    options, value_shape = {}, shape
    if name in ("log_softmax", "softmax", "logsumexp"):
        draw.odd |= not shape
        axis = options["axis"] = draw.below(max(1, len(shape)))
        value_shape = shape[:axis] + shape[axis + 1 :] if name == "logsumexp" else shape
    x = draw.array(draw.numbers(shape, -5, 5))
    dtype = result_type(x)
    outputs = {"out": draw.out(value_shape, dtype, [x])} if draw.maybe(3) else {}
    right = getattr(fl.reference, name)(np.array(x, float), **options) if not draw.odd else None
    answer = run(draw, getattr(fl, name), (x,), options, outputs)
    if answer is None or not isinstance(x, np.ndarray):
        return
    if outputs:
        assert answer is outputs["out"]
    else:
        assert answer.dtype == dtype
        assert answer.shape == value_shape
    if right is not None:
        compare(answer, right, dtype, name)


def result_type(prediction):
    native = getattr(prediction, "dtype", np.dtype(float)).newbyteorder("=")
    return native if native.char in "efd" else np.dtype(float)


def check_loss(draw):
    case = draw.choose(
        [case for case in cases.TABLE if case.columnwise or not (case.together or case in cases.OWN)]
    )  # test_segments
    shape = draw.shape()
    by_row = case.rowwise or case.columnwise
    draw.odd |= by_row and not shape
    axis = draw.choose((-1, *range(len(shape)))) if by_row else None
    if case.setwise and shape:
        axis = draw.choose((None, 0, -1, tuple(range(1, len(shape)))))
        draw.odd |= axis == ()
    n_classes = shape[axis] if case.rowwise and shape else 1
    positive = axis % len(shape) if by_row and shape else 0
    row_shape = shape[:positive] + shape[positive + 1 :] if by_row else shape

    loss, parameters = draw_loss(draw, case, shape, n_classes)
    if loss is None:
        return
    if case.columnwise and shape:
        n_columns = len(loss.columns) + draw.oddly(24)
        shape = (*shape[:positive], n_columns, *shape[positive + 1 :])
    z = draw.array(draw.numbers(shape, -5, 5))
    t = draw_target(draw, case, shape, positive) if shape or not by_row else 0
    options = {"reduction": draw.choose(("mean", "sum", "none"))}
    if draw.maybe(2):
        options["sample_weight"] = draw_weight(draw, row_shape, not by_row)
    if by_row or case.setwise:
        options["axis"] = axis
    if draw.oddly(48):
        options[draw.choose(("reduction", "axis", "curvature"))] = draw.choose((*NO_ARRAYS, "average", 9, -9, (0, 0)))
    # With probabilities there is no class to ignore.
    draw.odd |= "ignore_index" in parameters and getattr(t, "shape", None) == shape

    method = draw.choose(tuple(METHODS))
    outputs = {}
    for which, name in ((1, "gradient_out"), (2, "hessian_out")):
        if which in METHODS[method] and draw.maybe(2):
            narrow = result_type(z).char == "d" and draw.maybe(6)
            inputs = [x for x in (z, t, options.get("sample_weight")) if x is not None] or [0]
            outputs[name] = draw.out(shape, np.dtype("f4") if narrow else result_type(z), inputs)
    draw.odd |= len(outputs) == 2 and np.may_share_memory(*outputs.values())
    if 2 in METHODS[method]:
        options.setdefault("curvature", draw.choose(("exact", "psd", "majorize")))
    function, arguments = getattr(loss, method), (z, t)
    if method == "__call__" and draw.maybe(2):
        function, options = getattr(fl, case.function), parameters | options
    elif hasattr(loss, "packed_hessian") and n_classes <= 65 and draw.maybe(6):
        options["curvature"] = draw.choose(("exact", "psd"))
        method, outputs, function = "full", {}, loss.packed_hessian
        if draw.maybe(2):
            function, arguments = loss.hessian_vector_product, (z, t, draw.array(draw.numbers(shape, -5, 5)))

    twin = terms = None
    if not draw.odd and method != "full":
        given = options["reduction"], axis
        twin, terms = of_twin(case, parameters, z.copy(), t.copy(), options.get("sample_weight"), *given)
    answer = run(draw, function, arguments, options, outputs)
    if answer is None or not isinstance(z, np.ndarray) or method == "full":
        return
    wanted = METHODS[method]
    answer = answer if len(wanted) > 1 else (answer,)
    for which, found in zip(wanted, answer, strict=True):
        what = f"{case} {parameters} {('value', 'gradient', 'hessian')[which]}"
        out = outputs.get(("", "gradient_out", "hessian_out")[which])
        if out is not None:
            assert found is out, what
        elif which:
            assert found.dtype == result_type(z), what
            assert found.shape == z.shape, what
        elif options["reduction"] != "none":
            assert type(found) is float, what
        if twin is None:
            continue
        assert np.shape(found) == np.shape(twin[which]), what
        if which < 2 or options["curvature"] == "exact":
            dtype = getattr(found, "dtype", result_type(z))
            compare(found, twin[which], dtype, what, terms[which], 1e-4 if case.columnwise else 1.0)
        elif options["curvature"] == "psd":
            assert (found >= 0).all(), what


def check(data):
    draw = Draw(data)
    if draw.maybe(8):
        check_row_function(draw)
    else:
        check_loss(draw)


if __name__ == "__main__":
    if atheris:
        atheris.Setup(sys.argv, check)
        atheris.Fuzz()
    for name in sys.argv[1:]:
        check(Path(name).read_bytes())
