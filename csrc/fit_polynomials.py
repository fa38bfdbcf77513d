"""Derive the polynomial coefficients of real.h.

    python csrc/fit_polynomials.py

Needs mpmath. Each row of ``FITS`` is a function, an interval and a degree; the Remez exchange finds the
polynomial of least relative error in 60 digits, then coefficients are rounded to the kernel's type one at a
time, from the constant term upwards, and the free ones fitted again, which loses less than rounding all at
once. Prints C constants and the error of the rounded polynomial in units of the last place.
"""

import mpmath as mp
import numpy as np

mp.mp.dps = 60


def exp_tail(r):
    """q with exp(r) = 1 + r + r^2 q(r)."""
    if abs(r) < mp.mpf("1e-20"):
        return mp.mpf(1) / 2 + r / 6
    return (mp.expm1(r) - r) / r**2


def log1p_tail(e):
    """q with log1p(e) = e + e^2 q(e)."""
    if abs(e) < mp.mpf("1e-20"):
        return -mp.mpf(1) / 2 + e / 3
    return (mp.log1p(e) - e) / e**2


def log1p_cubic_tail(f):
    """q with log1p(f) = f - f^2 / 2 + f^3 q(f)."""
    if abs(f) < mp.mpf("1e-15"):
        return mp.mpf(1) / 3 - f / 4
    return (mp.log1p(f) - f + f**2 / 2) / f**3


def atanh_tail(z):
    """q with 2 atanh(s) = 2 s + s z q(z), z = s^2."""
    if z < mp.mpf("1e-20"):
        return mp.mpf(2) / 3 + 2 * z / 5
    s = mp.sqrt(z)
    return (2 * mp.atanh(s) - 2 * s) / (s * z)


HALF_LN2 = mp.log(2) / 2 * mp.mpf("1.0001")
SQRT2 = mp.sqrt(2)

# name, tail, how much an error of the tail weighs in the result, interval, degree, type
FITS = [
    ("exp", exp_tail, lambda r: r**2 / mp.exp(r), -HALF_LN2, HALF_LN2, 4, np.float32),
    ("exp", exp_tail, lambda r: r**2 / mp.exp(r), -HALF_LN2, HALF_LN2, 9, np.float64),
    ("log1p_unit", log1p_tail, lambda e: e**2 / mp.log1p(e), mp.mpf("1e-9"), mp.mpf(1), 8, np.float32),
    ("log1p_unit", atanh_tail, lambda z: z, mp.mpf("1e-12"), mp.mpf(1) / 9, 9, np.float64),
    ("log", log1p_cubic_tail, lambda f: abs(f**3 / mp.log1p(f)) if f else f, 1 / SQRT2 - 1, SQRT2 - 1, 7, np.float32),
    ("log", atanh_tail, lambda z: z, mp.mpf("1e-12"), ((SQRT2 - 1) / (SQRT2 + 1)) ** 2, 6, np.float64),
]


def remez(function, weight, low, high, degree, fixed):
    """Coefficients of least weighted error; ``fixed`` holds the leading ones that are given already."""
    n_free = degree + 1 - len(fixed)
    known = lambda x: mp.polyval(fixed[::-1], x) if fixed else mp.mpf(0)
    # an even number of points: the weight may vanish in the middle
    grid = [low + (high - low) * (1 - mp.cos(mp.pi * i / 601)) / 2 for i in range(602)]
    target = [function(x) - known(x) for x in grid]
    scale = [weight(x) for x in grid]
    nodes = [round(601 * (i + 0.5) / (n_free + 1)) for i in range(n_free + 1)]
    best = None
    for _ in range(30):
        rows = mp.matrix(n_free + 1, n_free + 1)
        right = mp.matrix(n_free + 1, 1)
        for i, node in enumerate(nodes):
            x = grid[node]
            for j in range(n_free):
                rows[i, j] = scale[node] * x ** (len(fixed) + j)
            rows[i, n_free] = (-1) ** i
            right[i] = scale[node] * target[node]
        solution = mp.lu_solve(rows, right)
        free = [solution[j] for j in range(n_free)]
        error = [
            scale[i] * (target[i] - x ** len(fixed) * mp.polyval(free[::-1], x)) for i, x in enumerate(grid)
        ]
        largest = max(abs(e) for e in error)
        if best is None or largest < best[1]:
            best = fixed + free, largest
        extrema, start = [], 0
        for i in range(1, 603):  # one extremum for each run of equal sign
            if i == 602 or (error[i] > 0) != (error[start] > 0):
                extrema.append(max(range(start, i), key=lambda k: abs(error[k])))
                start = i
        while len(extrema) > n_free + 1:
            extrema.pop(0 if abs(error[extrema[0]]) < abs(error[extrema[-1]]) else -1)
        if len(extrema) < n_free + 1 or extrema == nodes:
            break
        nodes = extrema
    return best


def fit(function, weight, low, high, degree, dtype):
    fixed = []
    while len(fixed) <= degree:
        coefficients, _ = remez(function, weight, low, high, degree, fixed)
        fixed.append(mp.mpf(float(dtype(float(coefficients[len(fixed)])))))
    grid = [low + (high - low) * mp.mpf(i) / 1000 for i in range(1001)]
    worst = max(abs(weight(x) * (function(x) - mp.polyval(fixed[::-1], x))) for x in grid)
    return fixed, worst / mp.mpf(float(np.finfo(dtype).eps) / 2)


if __name__ == "__main__":
    for name, function, weight, low, high, degree, dtype in FITS:
        coefficients, error = fit(function, weight, low, high, degree, dtype)
        print(f"{name} {dtype.__name__} on [{mp.nstr(low, 6)}, {mp.nstr(high, 6)}]: "
              f"relative error {mp.nstr(error, 3)} of half an ulp")
        for power, c in enumerate(coefficients):
            print(f"    {float(c).hex()}  # {power}")
