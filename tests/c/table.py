"""Write inputs and expected results of the kernels to a file that harness.c reads.

    python tests/c/table.py FILE [--losses huber,focal] [--bits 32] [--coarse]

The expected results come from the same table and twins as those of the Python tests (tests/cases.py and
fastloss.reference), as the interval that each number has to lie in: exact +- tolerance, both ends nan where the result
is nan, the lower one above the upper one where nothing is said. Needs the installed package. Everything is native int64
and float64, so that one file serves both real types and, little-endian, x86-64 and aarch64.
"""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cases

import fastloss as fl
from fastloss import _kernels, reference

MAGIC = 0x5EED1055
POINTWISE, ROWS, ROW_FUNCTION, SETS, PACKED, PRODUCT = range(6)
NO_TARGET, REAL_TARGET, CLASS_TARGET, ROW_TARGET = range(4)  # the last: one real number for a row
VALUE, GRADIENT, HESSIAN = 1, 2, 4
COEFFICIENTS = 20  # at most
ALL_WANTS = (VALUE, GRADIENT, VALUE | GRADIENT, GRADIENT | HESSIAN, VALUE | GRADIENT | HESSIAN)
UNKNOWN = (np.inf, -np.inf)


# -------------------------------------------------------------------------------------- intervals


@np.errstate(all="ignore")
def intervals(exact, tolerance, dtype):
    """Lower and upper ends, in float64, of what a result of `dtype` may be."""
    exact, tolerance = np.broadcast_arrays(exact, tolerance)
    low, high = exact - tolerance, exact + tolerance
    # A result that is halfway between two float64 was rounded, and so were these ends.
    low, high = np.nextafter(low.astype(np.float64), -np.inf), np.nextafter(high.astype(np.float64), np.inf)
    rounded = exact.astype(dtype).astype(np.float64)
    special = ~np.isfinite(rounded)
    low, high = np.where(special, rounded, low), np.where(special, rounded, high)
    return np.stack([low, high], axis=-1)


def unknown(shape):
    return np.broadcast_to(np.array(UNKNOWN), (*shape, 2))


@np.errstate(all="ignore")
def approximately(formula, relative, dtype, keep):
    """Intervals of what is held to a relative error only, where `keep`."""
    largest = np.finfo(dtype).max
    keep = keep & np.isfinite(formula) & (np.abs(formula) < largest / 2)
    return np.where(keep[..., np.newaxis], intervals(formula, np.abs(formula) * relative, dtype), np.array(UNKNOWN))


# ------------------------------------------------------------------------------- psd and majorize


def _mixed_curvatures(z, both):
    """Of cross-entropy, whose labels weigh `both` together."""
    distance = np.maximum(np.abs(z), 1e-300)
    return both * reference.sigmoid(z) * reference.sigmoid(-z), both * np.tanh(distance / 2) / (2 * distance)


def _bce_curvatures(z, t, pos_weight=None, label_smoothing=0.0):
    t, not_t = reference._binary_target(t, z, label_smoothing)
    return _mixed_curvatures(z, (1 if pos_weight is None else pos_weight) * t + not_t)


def _binary_focal_curvatures(z, t, gamma=2.0, alpha=None, label_smoothing=0.0):
    t, not_t = reference._binary_target(t, z, label_smoothing)
    if alpha is not None:
        t, not_t = alpha * t, (1 - alpha) * not_t
    if gamma == 0:
        return _mixed_curvatures(z, t + not_t)
    slope, other = (np.abs(reference._binary_focal_of_margin(m, gamma)[1]) for m in (z, -z))
    psd = t * reference.sigmoid(z) * slope + not_t * reference.sigmoid(-z) * other
    one_label = (t == 0) | (not_t == 0)
    return psd, np.where(one_label, (1 + gamma) * psd, (0.25 + gamma / 6) * (t + not_t))


FURTHER_CURVATURES = {
    "squared_error": lambda z, t: (np.full_like(z, 2),) * 2,
    "absolute_error": lambda z, t: (np.ones_like(z), 1 / np.abs(z - t)),
    "huber": lambda z, t, delta=1.0: (delta / np.maximum(np.abs(z - t), delta),) * 2,
    "binary_cross_entropy": _bce_curvatures,
    "binary_focal": _binary_focal_curvatures,
}


@np.errstate(all="ignore")
def pointwise_curvatures(case, parameters, z, t, dtype):
    curvatures = functools.partial(case.curvatures or FURTHER_CURVATURES[case.function], **parameters)
    formulas = moved = curvatures(z, t)
    if case.domain == "real":  # by half an ulp of the residual
        moved = curvatures(z + (z - t) * (np.finfo(dtype).eps / 2), t)
    away = case.from_kink(z, t, parameters) > 1e-3 * (1 + np.abs(z))
    if case.function == "binary_focal" and parameters.get("alpha") in (0.0, 1.0):
        away &= (t == 0) | (t == 1)  # a label without weight still makes a mixture
    relative = 64 * np.finfo(dtype).eps * (1 + np.minimum(np.abs(z), 1e3))
    if case.function.startswith("binary_"):
        # Three terms of a series are a bound from above, and no more.
        relative += np.where(np.abs(z) < 0.125, 1e-3 * z**6, 0)
    # Below, a floor stands in.
    return [
        approximately(f, relative + np.abs(m / f - 1), dtype, away & (f > 1e-9) & (f < 1e30))
        for f, m in zip(formulas, moved, strict=True)
    ]


def eigenvalue_bound(case, parameters):
    """What majorize is of a row whose target weighs 1."""
    if case.function == "focal":
        gamma = parameters.get("gamma", 2.0)
        return 0.5 * (1 + gamma) * (1 + gamma / np.e)
    if case.function == "poly1":
        epsilon = parameters.get("epsilon", 1.0)
        return 0.5 * (1 + epsilon) if epsilon >= 0 else 0.5 - epsilon * 8 / 27
    return 0.5


@np.errstate(all="ignore")
def slopes_and_bends(case, parameters, z, y):
    """c and E of rows.h where the target is class `y`: taken off the twin's gradient and Hessian."""
    own = {name: x for name, x in parameters.items() if name not in ("class_weight", "label_smoothing", "ignore_index")}
    _, p, rest, _ = reference._probabilities(z)
    _, gradient, hessian = case.twin(z, np.broadcast_to(y, z.shape[:-1]), **own)
    gradient, hessian, p, rest = (
        cases._of_class(x, np.broadcast_to(y, z.shape[:-1])) for x in (gradient, hessian, p, rest)
    )
    slope = np.where(rest > 0, -gradient / rest, np.nan)
    return slope, hessian - slope * p * rest


@np.errstate(all="ignore")
def row_curvatures(case, parameters, z, t, dtype):
    n_classes = z.shape[-1]
    if case.function == "multiclass_hinge":
        return hinge_curvatures(parameters, z, t, dtype)
    _, a, counts = reference._amounts(
        z, t, parameters.get("class_weight"), parameters.get("label_smoothing", 0.0), parameters.get("ignore_index"), -1
    )
    if t.ndim == z.ndim or parameters.get("label_smoothing"):
        if n_classes > 70:
            return unknown(z.shape), unknown(z.shape)
        slopes = np.stack([slopes_and_bends(case, parameters, z, k)[0] for k in range(n_classes)], axis=-1)
        magnitude = np.sum(np.where(a == 0, 0.0, np.abs(a * slopes)), axis=-1, keepdims=True)
    else:
        y = np.clip(t, 0, n_classes - 1)
        magnitude = (
            cases._of_class(a, y)[..., np.newaxis]
            * np.abs(slopes_and_bends(case, parameters, z, y)[0])[..., np.newaxis]
        )
    _, p, rest, _ = reference._probabilities(z)
    psd = np.where(counts, magnitude * p * rest, 0.0)
    moved = np.where(z == z.max(axis=-1, keepdims=True), 0.0, np.abs(z - z.max(axis=-1, keepdims=True)))
    # Twice p and once the slope, each with what half an ulp of the logits does to it.
    depth = 1 + np.minimum(np.max(np.where(np.isfinite(moved), moved, 0.0), axis=-1, keepdims=True), 1e3)
    relative = 64 * np.finfo(dtype).eps * depth * (1 + parameters.get("gamma", 1.0)) * max(1, n_classes / 64)
    keep = counts & (psd > 1e-9) & (psd < 1e30)
    bound = np.broadcast_to(
        np.where(counts, eigenvalue_bound(case, parameters) * a.sum(axis=-1, keepdims=True), 0.0), z.shape
    )
    defined = ~np.isnan(p)
    return (
        approximately(psd, relative, dtype, keep & defined),
        approximately(bound, np.asarray(64 * np.finfo(dtype).eps), dtype, defined),
    )


@np.errstate(all="ignore")
def hinge_curvatures(parameters, z, t, dtype):
    n_classes = z.shape[-1]
    if not 1 < n_classes <= 70:
        return unknown(z.shape), unknown(z.shape)
    margin = parameters.get("margin", 1.0)
    a = reference._amounts(z, t, None, 0.0, None, -1)[1]
    psd = a.sum(axis=-1, keepdims=True)
    majorize = np.zeros_like(psd)
    for k in range(n_classes):
        others = -np.sort(-np.delete(z, k, axis=-1), axis=-1)
        largest = others[..., 0]
        following = others[..., 1] if n_classes > 2 else np.full_like(largest, -np.inf)
        u = margin + (largest - z[..., k])
        gap = np.where(u > 0, np.minimum(largest - following, np.abs(u)), np.abs(u))
        majorize[..., 0] += np.where(a[..., k] == 0, 0.0, a[..., k] / gap)
    away = (cases._multiclass_hinge_gap(z, t, margin) > 1e-3 * (1 + np.abs(z).max(axis=-1)))[..., np.newaxis]
    relative = np.asarray(1e5 * np.finfo(dtype).eps)
    keep = np.broadcast_to(away, z.shape)
    return tuple(approximately(np.broadcast_to(x, z.shape), relative, dtype, keep) for x in (psd, majorize))


# ------------------------------------------------------------------------------------- what a loss passes on


@functools.cache
def recorder(constructor):
    """The class, with what it passes to the kernels kept in `passed`, and the name of its kernel in `kernel_name`."""
    cls = getattr(fl, constructor)
    kinds = (_kernels.PointwiseLoss, _kernels.RowwiseLoss, _kernels.ColumnLoss, _kernels.SetLoss)
    base = next(b for b in kinds if issubclass(cls, b))

    class Recorder(base):
        def __init__(self, kernel, parameters, coefficients=(), **options):
            super().__init__(kernel, parameters, coefficients, **options)
            self.passed, self.kernel_name = coefficients, kernel

    return type(constructor, (cls, Recorder), {})


# --------------------------------------------------------------------------------------------- the file


class Table:
    def __init__(self, path, losses, bits):
        self.path, self.losses, self.bits = path, losses, bits
        self.files = {}
        self.n_records = 0

    def file(self, loss, bits):
        """One for all, or in a folder one for each loss and real type: put together they are a table again."""
        path = self.path / f"{loss}-{bits}.bin" if self.path.is_dir() else self.path
        if path not in self.files:
            self.files[path] = path.open("wb")
        return self.files[path]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for file in self.files.values():
            file.close()

    def wants(self, loss, dtype):
        return (not self.losses or loss in self.losses) and np.dtype(dtype).itemsize * 8 in self.bits

    def add(
        self,
        loss,
        kind,
        dtype,
        z,
        t,
        *,
        wants,
        value=None,
        gradient=None,
        hessians=(None,) * 3,
        coefficients=(),
        parameters=None,
        extra=None,
        fixed=False,
    ):
        """`hessians`: exact, psd, majorize. `extra`: an array of pos_weight, or the vector of a product.
        `fixed`: the inputs are the same on every machine, and so is the digest of what comes out."""
        parameters = parameters or {}
        n, n_classes = z.shape
        class_weight = parameters.get("class_weight")
        ignored = parameters.get("ignore_index")
        of_a_row = CLASS_TARGET if t is not None and t.dtype.kind == "i" else ROW_TARGET
        target = NO_TARGET if t is None else of_a_row if kind != POINTWISE and t.ndim < z.ndim else REAL_TARGET
        blocks = [z, t, class_weight, extra]
        header = [MAGIC, np.dtype(dtype).itemsize * 8, kind, n, n_classes, target, sum(1 << want for want in wants)]
        header += [int(ignored is not None), 0 if ignored is None else ignored]
        header += [int(block is not None) for block in blocks[2:]]
        outputs = [
            x if x is not None and np.any(~(x[..., 0] > x[..., 1])) else None for x in (value, gradient, *hessians)
        ]
        header += [x.size // 2 if x is not None else 0 for x in outputs]
        header += [int(fixed), len(coefficients)]
        file = self.file(loss, header[1])
        file.write(np.array(header, np.int64).tobytes())
        file.write(loss.encode().ljust(32, b"\0"))
        numbers = np.zeros(COEFFICIENTS + 1)
        numbers[: len(coefficients)] = coefficients
        numbers[-1] = parameters.get("label_smoothing", 0.0) if kind in (ROWS, PACKED, PRODUCT) else 0.0
        file.write(numbers.tobytes())
        for block in blocks + outputs:
            if block is not None:
                file.write(np.ascontiguousarray(block, np.float64).tobytes())
        self.n_records += 1


def mixed(draw, n, dtype, hard):
    """Predictions of all spreads, what breaks careless code at the end, and the targets of `draw`."""
    spreads = ("normal", "normal", "wide", "small", "huge")
    parts = [draw(n // len(spreads) + 1, spread, seed) for seed, spread in enumerate(spreads)]
    z, t = (np.concatenate([part[i] for part in parts])[:n] for i in range(2))
    return np.concatenate([z, hard(z, t)[0]]).astype(dtype), np.concatenate([t, hard(z, t)[1]])


@np.errstate(all="ignore")
def add_pointwise(table, setup, dtype, n, target_scale=1):
    case, parameters = setup.case, setup.parameters()
    if not table.wants(case.function, dtype):
        return
    numbers = np.repeat(cases.hard_numbers(dtype), 3)
    kinks = np.repeat([x for x in case.kinks(**parameters) if float(np.float32(x)) == x], 2)  # met exactly
    at_kinks = np.resize([0.0, 0.0] if case.domain == "real" else [0.0, 1.0], kinks.size)
    z, t = mixed(
        lambda size, spread, seed: setup.draw((size,), dtype, spread, seed),
        n,
        dtype,
        lambda z, t: (np.concatenate([kinks, numbers]), np.concatenate([at_kinks, np.resize(t, numbers.size)])),
    )
    t *= dtype(target_scale)
    extra = None
    if parameters.get("pos_weight") == "array":
        extra = np.random.default_rng(5).choice([0.25, 1.0, 3.5], z.shape)
        parameters = {**parameters, "pos_weight": extra}
    coefficients = recorder(case.constructor)(**parameters).passed
    bounds = cases.expected(case, parameters, z, t, dtype)
    for exact, tolerance in bounds:
        # The residual is exact there, and which side it is on no matter of rounding.
        tolerance[n : n + kinks.size] = 8 * cases.ulp(exact[n : n + kinks.size], dtype)
        if target_scale != 1:  # just below the largest number, the larger part of a product may be infinite already
            tolerance[np.abs(exact) > 0.99 * np.finfo(dtype).max] = np.inf
    value, gradient, exact = (intervals(*bound, dtype) for bound in bounds)
    real = cases.wide(dtype)
    psd = majorize = None  # of a large target and an exponential that is lost, they are floors
    if target_scale == 1:
        psd, majorize = pointwise_curvatures(case, parameters, z.astype(real), t.astype(real), dtype)
    table.add(
        case.function,
        POINTWISE,
        dtype,
        z[:, np.newaxis],
        t,
        wants=ALL_WANTS,
        value=value,
        gradient=gradient,
        hessians=(exact, psd, majorize),
        coefficients=coefficients,
        extra=extra,
    )


@np.errstate(all="ignore")
def rows_of(setup, dtype, n, n_classes):
    hard = cases.hard_rows(dtype)

    def hard_of(z, t):
        if n_classes != 3:
            few = np.resize(z, (14, n_classes))
            few[::7, -1], few[1::7, 0], few[2::7, n_classes // 2] = np.inf, -np.inf, np.nan
            few[3::7], few[4::7], few[5::7, [0, -1]] = -np.inf, np.nan, np.inf
            few[6::7, 0], few[6::7, -1] = np.inf, np.nan
            ties = np.minimum(np.resize(z, (3, n_classes)), np.array([[-100], [0], [1]])).astype(dtype)
            few = np.concatenate([few, ties])  # of all logits, and of some
            piece = 16384 // np.dtype(dtype).itemsize  # of rows_long.h; one of nothing but -inf
            if n_classes > piece:
                few = np.concatenate([few, np.resize(z, (2, n_classes))])
                few[-2, :piece] = few[-1, -(n_classes % piece) :] = -np.inf
            return few, np.resize(t, (len(few), *t.shape[1:]))
        return np.repeat(hard, 2, axis=0), np.resize(t, (2 * len(hard), *t.shape[1:]))

    return mixed(lambda size, spread, seed: setup.draw((size, n_classes), dtype, spread, seed), n, dtype, hard_of)


@np.errstate(all="ignore")
def add_rows(table, setup, dtype, n, n_classes):
    case, parameters = setup.case, setup.parameters(n_classes)
    if not table.wants(case.function, dtype):
        return
    z, t = rows_of(setup, dtype, n, n_classes)
    if (ignored := parameters.get("ignore_index")) is not None:
        if setup.kind != "index":
            return
        t = np.where(np.arange(len(t)) % 5 == 2, ignored, t)
    bounds = cases.expected(case, parameters, z, t, dtype)
    value, gradient, exact = (intervals(*bound, dtype) for bound in bounds)
    real = cases.wide(dtype)
    wide_t = t.astype(real) if t.dtype.kind == "f" else t
    psd, majorize = row_curvatures(case, parameters, z.astype(real), wide_t, dtype)
    table.add(
        case.function,
        ROWS,
        dtype,
        z,
        t,
        wants=ALL_WANTS,
        value=value,
        gradient=gradient,
        hessians=(exact, psd, majorize),
        coefficients=recorder(case.constructor)(**parameters).passed,
        parameters=parameters,
    )


@np.errstate(all="ignore")
def add_full(table, setup, dtype, n, n_classes):
    """The packed Hessian, and its product with a vector, from c and E of each class."""
    case, parameters = setup.case, setup.parameters(n_classes)
    if not table.wants(case.function, dtype) or case.function == "multiclass_hinge":
        return
    real = cases.wide(dtype)
    z, t = (
        np.concatenate(x) for x in zip(*(setup.draw((n, n_classes), dtype, s) for s in ("normal", "wide")), strict=True)
    )
    wide_z = z.astype(real)
    _, a, _ = reference._amounts(
        wide_z,
        t.astype(real) if t.dtype.kind == "f" else t,
        parameters.get("class_weight"),
        parameters.get("label_smoothing", 0.0),
        None,
        -1,
    )
    _, p, rest, _ = reference._probabilities(wide_z)
    flat = np.eye(n_classes) * p[..., np.newaxis, :] - p[..., np.newaxis, :] * p[..., np.newaxis]
    exact, psd = np.zeros_like(flat), np.zeros_like(flat)
    for k in range(n_classes):
        c, bend = (a[..., k] * x for x in slopes_and_bends(case, parameters, wide_z, k))
        q = p / rest[..., k : k + 1]
        q[..., k] = -1
        c, bend = np.where(a[..., k] == 0, 0.0, c), np.where(a[..., k] == 0, 0.0, bend)
        exact += c[..., None, None] * flat + bend[..., None, None] * (q[..., None, :] * q[..., None])
        psd += np.abs(c)[..., None, None] * flat
    usable = np.isfinite(exact).all(axis=(1, 2)) & (rest.min(axis=-1) > 1e-6)
    size = np.maximum(np.abs(exact).max(axis=(1, 2)), np.abs(psd).max(axis=(1, 2)))
    i, j = np.triu_indices(n_classes)
    vector = np.random.default_rng(9).normal(size=z.shape).astype(dtype)
    eps = np.finfo(dtype).eps
    depth = 1 + np.ptp(wide_z, axis=-1) * (1 + parameters.get("gamma", 1.0)) / 8
    coefficients = recorder(case.constructor)(**parameters).passed
    for kind in (PACKED, PRODUCT):
        found = []
        for full in (exact, psd):
            if kind == PACKED:
                out = full[:, i, j]
                tolerance = 60 * eps * depth * size + 64 * np.finfo(dtype).tiny
            else:
                out = np.einsum("rjk,rk->rj", full, vector.astype(real))
                tolerance = (
                    60 * eps * depth * size * np.abs(vector).sum(axis=-1).astype(real) + 64 * np.finfo(dtype).tiny
                )
            bounds = intervals(out, np.broadcast_to(tolerance[:, None], out.shape), dtype)
            found.append(np.where(usable[:, None, None], bounds, np.array(UNKNOWN)))
        table.add(
            case.function,
            kind,
            dtype,
            z,
            t,
            wants=(GRADIENT,),
            hessians=(*found, None),
            coefficients=coefficients,
            parameters=parameters,
            extra=vector if kind == PRODUCT else None,
        )


@np.errstate(all="ignore")
def add_functions(table, dtype, n, n_classes):
    setup = cases.SETUPS[0]
    z, _ = rows_of(setup, dtype, n, n_classes)
    wide = z.astype(cases.wide(dtype))
    info = np.finfo(dtype)
    half = info.eps / wide.dtype.type(2)
    largest = wide.max(axis=-1, keepdims=True)
    below = np.where(wide == largest, 0.0, largest - wide)
    below = np.where(np.isfinite(below), below, 0.0)
    _, p, _, _ = reference._probabilities(wide)
    mean = np.sum(np.where(np.isnan(p), 0.0, p * below), axis=-1, keepdims=True)
    moved = half * (below + mean)
    log_p, lse = reference.log_softmax(wide), reference.logsumexp(wide)
    results = {
        "log_softmax": (log_p, 4 * cases.ulp(log_p, dtype) + moved + n_classes * info.tiny, GRADIENT),
        "softmax": (p, 4 * cases.ulp(p, dtype) + p * moved + (4 + n_classes) * info.tiny, GRADIENT),
        "logsumexp": (
            lse,
            2
            * cases.ulp(np.maximum(np.abs(lse), np.where(np.isfinite(largest[:, 0]), np.abs(largest[:, 0]), 0)), dtype)
            + 4 * cases.ulp(lse - largest[:, 0], dtype)
            + half * mean[:, 0]
            + n_classes * info.tiny,
            VALUE,
        ),
    }
    for name, (exact, tolerance, want) in results.items():
        if table.wants(name, dtype):
            bounds = intervals(exact, np.where(np.isnan(tolerance), 0.0, tolerance), dtype)
            table.add(
                name,
                ROW_FUNCTION,
                dtype,
                z,
                None,
                wants=(want,),
                value=bounds if want == VALUE else None,
                gradient=bounds if want == GRADIENT else None,
            )


@np.errstate(all="ignore")
def add_unary(table, dtype, n):
    draw = lambda size, spread, seed: (cases.draw_prediction(np.random.default_rng(seed), size, dtype, spread),) * 2
    numbers = cases.hard_numbers(dtype)
    z, _ = mixed(draw, n, dtype, lambda z, t: (numbers, numbers))
    wide = z.astype(cases.wide(dtype))
    info = np.finfo(dtype)
    moved = info.eps / 2 * np.where(np.isfinite(wide), np.abs(wide), 0.0)
    for name, slope in (
        ("sigmoid", reference.sigmoid(wide) * reference.sigmoid(-wide)),
        ("log_sigmoid", reference.sigmoid(-wide)),
    ):
        if table.wants(name, dtype):
            exact = getattr(reference, name)(wide)
            tolerance = 4 * cases.ulp(exact, dtype) + np.where(np.isnan(slope), 0.0, moved * slope) + 4 * info.tiny
            table.add(
                name,
                POINTWISE,
                dtype,
                z[:, np.newaxis],
                None,
                wants=(VALUE,),
                value=intervals(exact, tolerance, dtype),
            )


@np.errstate(all="ignore")
def add_zero_one(table, dtype, n):
    """What no twin is needed for: whether the predicted class is the target's."""
    zero = np.zeros(())
    for kind in ("hard", "soft"):
        setup = next(s for s in cases.SETUPS if s.case.function == "hinge" and s.kind == kind)
        z, t = setup.draw((n,), dtype)
        z[::7] = 0
        z[5::50], z[6::50], z[7::50] = np.nan, np.inf, -np.inf
        value = np.where(np.isnan(z), z, np.where(z > 0, 1 - t, t))
        if table.wants("zero_one", dtype):
            table.add(
                "zero_one",
                POINTWISE,
                dtype,
                z[:, np.newaxis],
                t,
                wants=(VALUE,),
                value=intervals(value, zero, dtype),
            )
    for n_classes in (1, 2, 3, 9, 70):
        for kind in ("index", "probability"):
            setup = next(s for s in cases.SETUPS if s.case.function == "multiclass_hinge" and s.kind == kind)
            z, t = rows_of(setup, dtype, 40, n_classes)
            z[4] = 0  # of equal logits the first
            wrong = np.arange(n_classes) != np.argmax(np.where(np.isnan(z), -np.inf, z), axis=-1)[:, np.newaxis]
            a = t if kind == "probability" else t[:, np.newaxis] == np.arange(n_classes)
            value = np.sum(np.where(wrong, a, 0.0), axis=-1, dtype=cases.wide(dtype))
            value = np.where(np.isnan(reference.softmax(z.astype(float))).any(axis=-1), np.nan, value)
            if table.wants("multiclass_zero_one", dtype):
                table.add(
                    "multiclass_zero_one",
                    ROWS,
                    dtype,
                    z,
                    t,
                    wants=(VALUE,),
                    value=intervals(value, (4 + n_classes) * cases.ulp(value, dtype), dtype),
                )


@np.errstate(all="ignore")
def add_sets(table, case, given, kind, dtype, n, n_sets, weighted):
    if not table.wants(case.function, dtype):
        return
    z, t = cases.draw(case, kind, (n, n_sets), dtype)
    z[: n // 3] *= 10
    if n > 4:
        z[3, 0], z[1, n_sets - 1], z[4, 0] = np.inf, -np.inf, 0
    real = cases.wide(dtype)
    parameters = cases.resolve(given)
    weight = np.resize([1.0, 2, 0, 3, 5], n) if weighted else np.ones(n)
    w = np.broadcast_to(weight[:, np.newaxis], z.shape).astype(real)
    parts = cases.set_elements(case, parameters, z.astype(real), t.astype(real), w, 0, dtype)
    bounds = [
        intervals(
            part.exact,
            np.where(np.isfinite(part.exact), np.nan_to_num(part.ulp * (4, 8, 16)[i] + part.of_input), 0),
            dtype,
        )
        for i, part in enumerate(parts)
    ]
    # Both as sets.h documents them: of |gradient|, and a bound of the exact one.
    gradient = np.abs(parts[1].exact)
    slope = reference.sigmoid(z.astype(real)) * reference.sigmoid(-z.astype(real))
    alpha, beta, smooth = cases.tversky_parameters(case, parameters)
    p, t_ = reference.sigmoid(z.astype(real)), t.astype(real)
    d = np.sum(w * (p * t_ + alpha * p * (1 - t_) + beta * (1 - p) * t_), axis=0) + smooth
    bend = 1 + 2 * w * slope * np.abs((1 - t_) * alpha + t_ * (1 - beta)) / d
    allowed = np.nan_to_num(8 * parts[1].ulp + parts[1].of_input)
    psd, majorize = (
        intervals(gradient * x, (allowed + 8 * cases.ulp(gradient, dtype)) * 4 * x, dtype) for x in (1, bend)
    )
    table.add(
        case.function,
        SETS,
        dtype,
        z,
        t,
        wants=(GRADIENT, GRADIENT | HESSIAN),
        value=bounds[0],
        gradient=bounds[1],
        hessians=(bounds[2], psd, majorize),
        coefficients=recorder(case.constructor)(**parameters).passed,
        extra=weight if weighted else None,
    )


@np.errstate(all="ignore")
def add_columns(table, case, parameters, dtype, n):
    """Several numbers a row. Of the packed Hessian the diagonal is known."""
    loss = recorder(case.constructor)(**parameters)
    kernel = loss.kernel_name
    if not table.wants(kernel, dtype):
        return
    parts = [cases.draw_columns(case, loss, (n,), dtype, spread) for spread in ("normal", "small", "wide")]
    z, t = (np.concatenate(x) for x in zip(*parts, strict=True))
    value, gradient, exact = (
        intervals(*bound, dtype) for bound in cases.expected_of_columns(case, loss, parameters, z, t)
    )
    passed = {"coefficients": loss.passed}
    known = {"value": value, "gradient": gradient, "hessians": (exact, None, None)}
    table.add(kernel, ROWS, dtype, z, t, wants=ALL_WANTS, **known, **passed)
    i, j = np.triu_indices(z.shape[1])
    packed = np.where((i == j)[:, np.newaxis], exact[:, i], np.array(UNKNOWN))
    vector = np.random.default_rng(9).normal(size=z.shape).astype(dtype)
    table.add(kernel, PACKED, dtype, z, t, wants=(GRADIENT,), hessians=(packed, None, None), **passed)
    table.add(kernel, PRODUCT, dtype, z, t, wants=(GRADIENT,), extra=vector, **passed)


def fixed_rows(kind, n, n_classes, dtype):
    """The inputs of tests/test_digests.py, and smaller and larger ones."""
    z, t = cases.fixed_inputs(kind, (n, n_classes), dtype)
    scale = 2.0 ** np.array([0, 0, -3, 1, 0, -14, 0, 6, -40, 0, -3])  # powers of 2: exact
    return z * np.resize(scale, n).astype(dtype)[:, np.newaxis], t


def add_fixed(table, dtype):
    """Problems without expected numbers, whose inputs are the same everywhere: the harness makes digests of them."""
    width = 512 // (np.dtype(dtype).itemsize * 8)
    row_shapes = [(2 * width + 3, k) for k in (1, 2, 3, 4, 6, 7, 9, 12, 16, 17, 33)] + [(9, 64), (7, 65), (5, 150)]

    def add(loss, kind, z, t, **others):
        if table.wants(loss, dtype):
            table.add(loss, kind, dtype, z, t, fixed=True, **others)

    for setup in cases.SETUPS:
        case, n_classes = setup.case, 1
        if not case.rowwise:
            z, t = fixed_rows(setup.kind, 600, 1, dtype)
            coefficients = recorder(case.constructor)(**setup.parameters()).passed
            add(case.function, POINTWISE, z, t[:, 0], wants=ALL_WANTS, coefficients=coefficients)
            continue
        long_too = [(3, 5003)] if case.function == "cross_entropy" and not setup.given and setup.kind == "index" else []
        for n, n_classes in row_shapes + long_too:
            parameters = dict(setup.given)
            if "class_weight" in parameters:
                parameters["class_weight"] = cases.fixed_numbers(n_classes, 4) + 0.25
            z, t = fixed_rows(setup.kind, n, n_classes, dtype)
            passed = {
                "coefficients": recorder(case.constructor)(**parameters).passed,
                "parameters": parameters,
            }
            add(case.function, ROWS, z, t, wants=ALL_WANTS, **passed)
            if n_classes in (2, 6, 17) and case.function != "multiclass_hinge":
                vector = fixed_rows("real", n, n_classes, dtype)[1]
                add(case.function, PACKED, z, t, wants=(GRADIENT,), **passed)
                add(case.function, PRODUCT, z, t, wants=(GRADIENT,), extra=vector, **passed)
    for n, n_classes in [*row_shapes, (3, 5003)]:
        z, t = fixed_rows("index", n, n_classes, dtype)
        for name, want in (("softmax", GRADIENT), ("log_softmax", GRADIENT), ("logsumexp", VALUE)):
            add(name, ROW_FUNCTION, z, None, wants=(want,))
        add("multiclass_zero_one", ROWS, z, t, wants=(VALUE,))
    z, t = fixed_rows("hard", 9000, 1, dtype)  # every entry of every table, many times
    for name in ("sigmoid", "log_sigmoid"):
        add(name, POINTWISE, z, None, wants=(VALUE,))
    add("zero_one", POINTWISE, z, t[:, 0], wants=(VALUE,))
    for case in cases.OWN:
        for given in case.parameters:
            passed = recorder(case.constructor)(**given).passed
            z, t = fixed_rows("real", 600, 1, dtype)
            if case.domain == "above -1":
                z, t = np.abs(z), np.abs(t)
            elif case.domain == "ordered":
                t = np.floor(t / 8 * len(passed)) + (len(passed) + 1) // 2
            add(case.function, POINTWISE, z, t[:, 0], wants=ALL_WANTS, coefficients=passed)
    for case in cases.COLUMNS:
        for given in case.parameters:
            loss = recorder(case.constructor)(**given)
            z, t = fixed_rows(case.domain.removesuffix(" row"), 300, len(loss.columns), dtype)
            for kind, wants in ((ROWS, ALL_WANTS), (PACKED, (GRADIENT,))):
                add(loss.kernel_name, kind, z, t[:, 0], wants=wants, coefficients=loss.passed)
    for case in cases.SETS:
        for given in case.parameters:
            coefficients = recorder(case.constructor)(**cases.resolve(given)).passed
            for n, n_sets in ((600, 1), (2 * width + 3, 5)):
                z, t = fixed_rows("soft", n, n_sets, dtype)
                add(case.function, SETS, z, t, wants=(GRADIENT, GRADIENT | HESSIAN), coefficients=coefficients)


def shapes(setup, bits, thorough, coarse):
    """Rows and classes: a few for each loss, and for one all numbers of classes up to four vectors and every border."""
    width = 512 // bits
    piece = 16384 * 8 // bits
    if thorough:
        some = {*range(1, 11), width - 1, width, width + 1, 2 * width - 1, 33, 63, 64, 65, 67}
        yield from ((2 * width + 3, k) for k in range(1, max(68, 4 * width + 4)) if not coarse or k in some)
        yield from ((n, k) for n, k in ((600, 2), (530, 3), (300, 10), (90, 64), (60, 65)))
        yield from ((5, k) for k in (127, 128, 129, 511, 512, 513, piece // 2 + 1))
        yield from ((n, k) for n, k in ((19, 1000), (4, piece - 1), (4, piece), (3, piece + 1), (3, 2 * piece + 77)))
    else:
        yield from ((3 * width + 5, k) for k in (1, 2, 3, 7, 17))
        yield 7, 67
        if setup.kind == "index" and setup.given == setup.case.parameters[-1]:
            yield 3, piece + 3


def write(path, losses, bits, coarse):
    with Table(path, losses, bits) as table:
        for dtype in cases.DTYPES:
            width = 512 // (np.dtype(dtype).itemsize * 8)
            for setup in cases.SETUPS:
                if not setup.case.rowwise:
                    first = setup.given == setup.case.parameters[0]
                    add_pointwise(table, setup, dtype, 2 * 512 + 3 * width + 5 if first else 600)
                    continue
                thorough = setup.case.function == "cross_entropy" and not setup.given and setup.kind == "index"
                for n, n_classes in (
                    shapes(setup, 512 // width, thorough, coarse) if table.wants(setup.case.function, dtype) else ()
                ):
                    add_rows(table, setup, dtype, n, n_classes)
                for n_classes in (1, 2, 3, 7, 20):
                    add_full(table, setup, dtype, width + 1, n_classes)
            by_name = {case.function: case for case in cases.TABLE}
            # parameters whose squares and inverses are none of the reals
            for name, given in (("fair", "c"), ("pseudo_huber", "delta")):
                for x in (1e31, 1e-31):
                    add_pointwise(table, cases.Setup(by_name[name], {given: x}, "real"), dtype, 300)
            add_pointwise(table, cases.Setup(by_name["smooth_l1"], {"beta": 1e-39}, "real"), dtype, 300)
            for kind in ("hard", "soft"):
                setup = cases.Setup(by_name["binary_cross_entropy"], {"pos_weight": "array"}, kind)
                add_pointwise(table, setup, dtype, 600)
                setup = cases.Setup(by_name["binary_focal"], {"gamma": 0.0, "alpha": 0.2}, kind)
                add_pointwise(table, setup, dtype, 600)
            for name, kind in (("poisson", "count"), ("gamma", "positive"), ("tweedie", "count")):
                # exponentials that overflow with their target, and not without it
                add_pointwise(table, cases.Setup(by_name[name], {}, kind), dtype, 300, 2.0**100)
            # more rows than a tile of probabilities has
            for name in ("cross_entropy", "multiclass_hinge"):
                add_rows(table, cases.Setup(by_name[name], {}, "probability"), dtype, 600, 3)
            for given in (
                {"ignore_index": 1},
                {"ignore_index": -100, "class_weight": cases.CLASS_WEIGHT},
                {"ignore_index": 0, "class_weight": cases.CLASS_WEIGHT, "label_smoothing": 0.25},
            ):
                for n_classes in (3, 70):
                    setup = cases.Setup(by_name["cross_entropy"], given, "index")
                    add_rows(table, setup, dtype, 2 * width + 3, n_classes)
            for n, n_classes in shapes(cases.SETUPS[0], 512 // width, True, coarse):
                add_functions(table, dtype, n, n_classes)
            add_unary(table, dtype, 600)
            add_zero_one(table, dtype, 300)
            for case in cases.COLUMNS:
                for given in case.parameters:
                    add_columns(table, case, given, dtype, 2 * width + 3)
            for case in cases.SETS:
                for given in case.parameters:
                    for kind in ("hard", "soft"):
                        for n, n_sets in ((1, 1), (700, 1), (5 * width + 3, 2), (77, 5), (2 * width + 3, 70)):
                            for weighted in (False, True) if n > 1 else (False,):
                                add_sets(table, case, given, kind, dtype, n, n_sets, weighted)
            add_fixed(table, dtype)
        return table.n_records


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="or a folder: a file for each loss and real type")
    parser.add_argument("--losses", default="", help="only these, separated by commas")
    parser.add_argument("--bits", default="32,64")
    parser.add_argument("--coarse", action="store_true", help="fewer numbers of classes: where time matters")
    options = parser.parse_args()
    bits = tuple(map(int, options.bits.split(",")))
    n = write(options.file, tuple(filter(None, options.losses.split(","))), bits, options.coarse)
    print(f"{options.file}: {n} problems")


if __name__ == "__main__":
    main()
