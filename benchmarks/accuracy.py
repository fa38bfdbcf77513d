"""How exact the losses are: python benchmarks/accuracy.py [--write] [--filter REGEX] [--points N].

For every loss, in float32 and float64, the largest error of value, gradient and Hessian that is found over its domain:
hard and soft targets, few and many classes, large, small and huge predictions and some next to the least loss, the
parameters of tests/cases.py and others (gamma to 5). The exact results are the twins of `fastloss.reference` in a wider
type; what they say at the worst points is compared with 50 digits of mpmath.

``--write`` puts the errors, rounded up, into the docstring of each class. To read that line: a result is off by at most
so many ulp (the distance of neighbouring numbers of its dtype at the exact result), and by what half an ulp of the
input does to the exact result (of a logit, of a residual, of each difference from the largest logit of a row; for focal
losses whose gamma is not whole also gamma times the margin). Where the terms of a soft target cancel, ulps are of the
magnitude of the terms; with a log link, 1/64 ulp of the larger term counts, too. tests/cases.py has all that in full.
A sample weight and the division of a mean add one ulp each.

Not counted: derivatives where rounding the input moves it over a kink; sets whose sums of probabilities underflow; and
where an exponential is beyond the largest number, but not what it is multiplied by.

Losses of several numbers a row are not among them: tests/test_columns.py measures those.

These are the results of x86_v3 and x86_v4, which are the same bits; the baseline, without fused multiply-add, is a
little less exact.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import inspect
import math
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import mpmath
import numpy as np

import fastloss as fl

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("value", "gradient", "Hessian")
FUSED = ("x86_v3", "x86_v4", "neon")
POINTS, QUICK_POINTS = 40_000, 500
POINTS_OF_A_BLOCK = {"alone": 2048, "together": 8192}  # each alone; in rows and sets, which cost more
MORE_PARAMETERS = 6
NEAR = "near"  # besides the spreads of tests/cases.py: next to the least loss
ROWS = ((64, 1), (64, 2), (48, 3), (32, 5), (32, 10), (16, 16), (16, 17), (12, 33), (8, 64), (8, 65), (4, 130))
LONG_ROWS = ((2, 1000),)
SETS = (((64, 16), None), ((64, 16), 0), ((64, 16), 1), ((256, 4), 1), ((1024, 1), 1), ((5000, 1), None))

LINE = "Measured error: value {}, gradient {} ulp (float32); {}, {} (float64), beyond half an ulp of the input."
LINE_PATTERN = re.compile(re.escape(LINE).replace(re.escape("{}"), r"(\d+\.\d)"))


def load_cases() -> Any:
    """Import tests/cases.py, which says what is exact; a module of that name lies beside this script, too."""
    spec = importlib.util.spec_from_file_location("cases_of_tests", ROOT / "tests" / "cases.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cases = load_cases()
CASES = {case.constructor: case for case in cases.TABLE}


# ------------------------------------------------------------------------------- draws


def draw_parameter(case: Any, name: str, rng: np.random.Generator) -> Any:
    """Draw a parameter from its domain; None leaves the default."""
    power_of_ten = lambda low, high: float(10 ** rng.uniform(low, high))
    uniform = lambda low, high: float(rng.uniform(low, high))
    if name == "class_weight":
        return cases.CLASS_WEIGHT if rng.uniform() < 0.5 else None
    if name == "ignore_index":
        return None
    if name == "gamma":
        return float(rng.integers(0, 6)) if rng.uniform() < 0.5 else uniform(0, 5)
    if name in ("label_smoothing", "q"):
        return uniform(0, 1)
    if name == "power":
        return uniform(1.02, 1.98)
    if name == "epsilon" and case.function == "poly1":
        return uniform(-5, 5)
    if name == "alpha" and case.function == "binary_focal":
        return uniform(0, 1)
    if name in ("alpha", "beta") and case.setwise:
        return power_of_ten(-1, 1)
    return power_of_ten(-2, 2)


def parameter_sets(case: Any) -> list[dict[str, Any]]:
    """Return the parameters of tests/cases.py, and some more of them."""
    names = [name for name in inspect.signature(getattr(fl, case.constructor).__init__).parameters if name != "self"]
    rng = np.random.default_rng(len(case.function))
    drawn = []
    for _ in range(MORE_PARAMETERS if names else 0):
        found = {name: draw_parameter(case, name, rng) for name in names}
        drawn.append({name: value for name, value in found.items() if value is not None})
    return [*case.parameters, *drawn]


def next_to_least(domain: str, t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Predictions at all distances from where the loss of `t` is least, or has a kink."""
    t = t.astype(np.float64)
    way = np.sign(rng.normal(size=t.shape)) * 10 ** rng.uniform(-8, 0, t.shape)
    if domain == "real":
        return t + way * 10 ** rng.uniform(0, 4, t.shape)
    if domain in ("count", "positive"):
        return np.log(np.maximum(t, 1e-3)) + way
    inside = np.clip(t, 1e-6, 1 - 1e-6)
    return np.where(inside == t, np.log(inside / (1 - inside)), rng.choice([-1.0, 1.0], t.shape)) + way


@dataclass(frozen=True)
class Problem:
    """What a loss is fed, and the axis of its sets."""

    parameters: dict[str, Any]
    what: str
    z: np.ndarray
    t: np.ndarray
    axis: int | None = None


def problems(case: Any, dtype: type, n_points: int) -> Iterator[Problem]:
    """Yield about `n_points` predictions, in blocks, for all parameters, kinds of target and spreads.

    Fewer points are fewer blocks, or a part of the first one: they are among those of a longer run.
    """
    together = case.rowwise or case.setwise
    size = POINTS_OF_A_BLOCK["together" if together else "alone"]
    # Odd, so that no shape is left out.
    step = size // n_points | 1 if together else 1
    yield from islice(all_problems(case, dtype, math.ceil(n_points / size)), 0, None, step)


def all_problems(case: Any, dtype: type, n_blocks: int) -> Iterator[Problem]:
    """Yield all problems of so many blocks."""
    rows = [(shape, None) for shape in ROWS + LONG_ROWS]
    shapes = rows if case.rowwise else SETS if case.setwise else [((POINTS_OF_A_BLOCK["alone"],), None)]
    for block in range(n_blocks):
        for given in parameter_sets(case):
            for kind in case.kinds:
                for spread in (*cases.SPREADS, NEAR):
                    if spread == NEAR and case.rowwise:
                        continue
                    for shape, axis in shapes:
                        # The digits that mpmath needs grow with the spread, the time with the classes.
                        if shape in LONG_ROWS and spread == "huge":
                            continue
                        z, t = cases.draw(case, kind, shape, dtype, spread, block)
                        if spread == NEAR:
                            z = next_to_least(case.domain, t, np.random.default_rng([block, *shape])).astype(dtype)
                        parameters = cases.resolve(given, shape[-1])
                        what = f"{cases.label(given)}, {kind} target, {spread} predictions, shape {shape}"
                        yield Problem(parameters, what, z, t, axis)


# ------------------------------------------------------------------------------ errors


@dataclass(frozen=True)
class Point:
    """One result and what it should have been, in the row (or set, or alone) and at the place where it stands."""

    error: float
    found: Any
    element: Any
    z: np.ndarray
    t: np.ndarray
    place: int
    problem: Problem


NOWHERE = Point(0.0, 0.0, None, np.zeros(0), np.zeros(0), 0, Problem({}, "", np.zeros(0), np.zeros(0)))


@np.errstate(all="ignore")
def error_in_ulp(found: Any, element: Any) -> np.ndarray:
    """The error that is not the input's; infinite where nan and infinities are not where they have to be."""
    exact = np.asarray(element.exact)
    found = np.asarray(found)
    rounded = exact.astype(found.dtype)
    same = (found == rounded) | (np.isnan(found) & np.isnan(rounded))
    of_input = np.where(np.isnan(element.of_input), 0.0, element.of_input)
    error = np.maximum(0.0, (np.abs(found.astype(exact.dtype) - exact) - of_input) / element.ulp)
    return np.where(same & ~np.isfinite(rounded), 0.0, np.where(np.isnan(error), np.inf, error))


def solve(case: Any, problem: Problem, dtype: type) -> tuple[list[list[Any]], list[Any], np.ndarray, np.ndarray]:
    """Results of the kernels, exact ones, predictions and targets, all with one row (or set, or number) a row."""
    z, t, axis = problem.z, problem.t, problem.axis
    real = cases.wide(dtype)
    loss = case.build(problem.parameters)
    wide_z, wide_t = z.astype(real), t if t.dtype.kind in "iu" else t.astype(real)
    if case.setwise:
        by_set = {None: lambda x: np.reshape(x, (1, -1)), 0: np.transpose, 1: np.asarray}[axis]
        elements = cases.set_elements(case, problem.parameters, wide_z, wide_t, np.ones_like(wide_z), axis, dtype)
        results = [loss.value_gradient_and_hessian(z, t, axis=axis, reduction="none")]
    else:
        by_set = np.asarray if case.rowwise else lambda x: np.reshape(x, (-1, 1))
        elements = cases.elements(case, problem.parameters, wide_z, wide_t, dtype)
        results = [loss.value_gradient_and_hessian(z, t, reduction="none")]
        if case.rowwise:
            # Another order in memory is another way through the kernels.
            results.append(loss.value_gradient_and_hessian(np.asfortranarray(z), t, reduction="none"))

    def as_rows(arrays: Any) -> list[Any]:
        value, *derivatives = arrays
        return [np.reshape(value, (-1, 1)), *(by_set(np.broadcast_to(x, z.shape)) for x in derivatives)]

    columns = list(zip(*elements, strict=True))
    exact = [type(elements[0])(*each) for each in zip(*map(as_rows, columns), strict=True)]
    return [as_rows(result) for result in results], exact, by_set(z), t if t.ndim < z.ndim else by_set(t)


@np.errstate(all="ignore")
def that_count(case: Any, problem: Problem, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """Which rows (sets, numbers) count for the value, and which for derivatives."""
    z, t = problem.z.astype(np.float64), problem.t
    if case.setwise:
        alpha, beta, smooth = cases.tversky_parameters(case, problem.parameters)
        p, not_p = fl.sigmoid(z), fl.sigmoid(-z)
        size = np.sum(p * t + alpha * p * (1 - t) + beta * not_p * t, axis=problem.axis)
        counts = np.reshape(size + smooth > 1e20 * float(np.finfo(dtype).tiny), (-1, 1))
        return counts, counts
    counts = np.ones((len(z), 1), bool)
    if case.overflows is not None:
        counts = ~np.reshape(case.overflows(np.finfo(dtype).max, z, t, **problem.parameters), (-1, 1))
    if case.rowwise:
        size = np.abs(z).max(axis=-1) + case.parameter("margin", problem.parameters)
        distance = np.inf if z.shape[-1] == 1 else case.from_kink(z, t, problem.parameters)
    else:
        size = np.abs(z - t if case.domain == "real" else z)
        distance = case.from_kink(z, t, problem.parameters)
    return counts, counts & np.reshape(~(distance < 4 * np.finfo(dtype).eps * size), (-1, 1))


def worst_points(case: Any, dtype: type, n_points: int = QUICK_POINTS) -> list[Point]:
    """Where value, gradient and Hessian of a loss are worst."""
    worst = [NOWHERE] * len(NAMES)
    for problem in problems(case, dtype, n_points):
        results, exact, z, t = solve(case, problem, dtype)
        counts, away_from_kinks = that_count(case, problem, dtype)
        for result in results:
            for i, (found, element) in enumerate(zip(result, exact, strict=True)):
                errors = np.where(away_from_kinks if i else counts, error_in_ulp(found, element), 0.0)
                where = np.unravel_index(np.argmax(errors), errors.shape)
                if not errors[where] > worst[i].error:
                    continue
                row, place = where
                at = type(element)(*(np.asarray(x)[where] for x in element))
                worst[i] = Point(float(errors[where]), found[where], at, z[row], t[row], int(place), problem)
    return worst


def by_mpmath(case: Any, point: Point, order: int) -> Any:
    """The exact result at a point, to at least 50 digits: a derivative by differences with far more of them."""
    z = [mpmath.mpf(float(x)) for x in point.z]
    if not case.rowwise and not case.setwise:
        t = mpmath.mpf(float(np.ravel(point.t)[0]))
    elif np.ndim(point.t) == 0:
        t = [int(k == point.t) for k in range(len(z))]
    else:
        t = [mpmath.mpf(float(x)) for x in point.t]

    def value(x: Any) -> Any:
        moved = [*z[: point.place], x, *z[point.place + 1 :]]
        return case.exact(mpmath, moved if case.rowwise or case.setwise else x, t, **point.problem.parameters)

    # 1 - p loses a digit for every 2.3 that logits are apart; sets do not take its logarithm.
    apart = max(map(abs, z)) + max(z) - min(z)
    with mpmath.workdps(50 + int(min(apart, 800) if case.setwise else apart)):
        x = z[point.place]
        exact = mpmath.diff(value, x, order) if order else value(x)
        return point.element.exact.dtype.type(mpmath.nstr(exact, 40))


def disagreement(case: Any, point: Point, order: int) -> float:
    """By how many ulp mpmath differs from the twin at a point, as errors are counted."""
    if point.element is None or not math.isfinite(point.error):
        return 0.0
    by_digits = type(point.element)(by_mpmath(case, point, order), *point.element[1:])
    return float(error_in_ulp(point.found, by_digits)) - point.error


# -------------------------------------------------------------------- tables, docstrings


def rounded_up(error: float) -> str:
    """One digit after the point."""
    return f"{math.ceil(error * 10) / 10:.1f}" if math.isfinite(error) else str(error)


def documented(loss: type) -> dict[str, tuple[float, float]]:
    """Return the errors of value and gradient that a class's docstring states, by dtype; empty without the line."""
    found = LINE_PATTERN.search(loss.__doc__ or "")
    if not found:
        return {}
    a, b, c, d = map(float, found.groups())
    return {"float32": (a, b), "float64": (c, d)}


def write(constructor: str, line: str) -> None:
    """Put the line into the docstring of a class: in the place of the old one, or at the end of the notes."""
    path = ROOT / "fastloss" / f"{getattr(fl, constructor).__module__.rpartition('.')[2]}.py"
    lines = path.read_text(encoding="utf-8").split("\n")
    node = next(n for n in ast.parse("\n".join(lines)).body if isinstance(n, ast.ClassDef) and n.name == constructor)
    docstring = range(node.body[0].lineno - 1, node.body[0].end_lineno or 0)
    for i in docstring:
        if LINE_PATTERN.fullmatch(lines[i].strip()):
            lines[i] = f"    {line}"
            break
    else:
        sections = [i - 1 for i in docstring if re.fullmatch(r" {4}-{3,}", lines[i])] + [docstring[-1]]
        notes = next(i for i in sections if lines[i].strip() == "Notes")
        end = sections[sections.index(notes) + 1]
        if not lines[end - 1]:
            end -= 1
        lines[end:end] = ["", f"    {line}"]
    path.write_text("\n".join(lines), encoding="utf-8")


def short(x: Any) -> str:
    """A number, or the first numbers of a row."""
    numbers = [f"{float(each)!r}" for each in np.ravel(x)[:6]]
    return ", ".join(numbers) + (", ..." if np.size(x) > len(numbers) else "")


def main() -> None:
    """Measure, print and, if asked, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the errors into the docstrings of the checkout")
    parser.add_argument("--filter", default="", metavar="REGEX", help="only losses whose class matches")
    parser.add_argument("--points", type=int, default=POINTS, help="for each parameter set, kind of target and spread")
    options = parser.parse_args()
    if fl.config()["isa"] not in FUSED or not all(map(cases.has_wide, cases.DTYPES)):
        sys.exit(f"only {', '.join(FUSED)} count, and long double must be longer than double")

    header = " ".join(f"{name:>9}" for name in NAMES)
    print(f"largest error in ulp, {fl.config()['isa']}", f"{'':28}{'float32':^31}{'float64':^31}", sep="\n")
    print(f"{'':28}{header}  {header}")
    details, largest = [], 0.0
    for loss in fl.losses():
        name = loss.__name__
        if not re.search(options.filter, name) or CASES[name].columnwise or CASES[name].together:
            continue
        case, began = CASES[name], time.perf_counter()
        cells, stated = [], []
        for dtype in cases.DTYPES:
            points = worst_points(case, dtype, options.points)
            for order, point in enumerate(points):
                apart = disagreement(case, point, order)
                largest = max(largest, abs(apart))
                cells.append(point.error + apart)
                if point.error:
                    details.append(
                        f"{name} {np.dtype(dtype).name} {NAMES[order]}: {point.error + apart:.2f} ulp "
                        f"({apart:+.1g} by mpmath) at z = {short(point.z)}; t = {short(point.t)}; [{point.place}]; "
                        f"{point.problem.what}"
                    )
            stated += [rounded_up(error) for error in cells[-3:-1]]
        left, right = (" ".join(f"{error:9.2f}" for error in half) for half in (cells[:3], cells[3:]))
        print(f"{name:28}{left}  {right}  {time.perf_counter() - began:4.0f} s", flush=True)
        if options.write:
            write(name, LINE.format(*stated))
    print(f"\nworst points; mpmath and the twins differ by at most {largest:.2g} ulp there", *details, sep="\n")


if __name__ == "__main__":
    main()
