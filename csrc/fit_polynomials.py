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


def expm1_tail(x):
    """q with expm1(x) = x + x^2 q(x)."""
    return exp_tail(x)


def log_cosh_tail(x):
    """q with log(cosh(r)) = x q(x), x = r^2."""
    if x < mp.mpf("1e-20"):
        return mp.mpf(1) / 2 - x / 12
    return mp.log(mp.cosh(mp.sqrt(x))) / x


def tanh_tail(x):
    """q with tanh(r) = r + r x q(x), x = r^2."""
    if x < mp.mpf("1e-20"):
        return -mp.mpf(1) / 3 + 2 * x / 15
    r = mp.sqrt(x)
    return (mp.tanh(r) / r - 1) / x


REDUCED = mp.log(2) / 32 * mp.mpf("1.0001")  # exp is reduced by a table of 16 powers of 2^(1/16)
SQRT2 = mp.sqrt(2)

# name, tail, how much an error of the tail weighs in the result, interval, degree, type
FITS = [
    ("exp", exp_tail, lambda r: r**2 / mp.exp(r), -REDUCED, REDUCED, 1, np.float32),
    ("exp", exp_tail, lambda r: r**2 / mp.exp(r), -REDUCED, REDUCED, 4, np.float64),
    ("log1p_unit", log1p_tail, lambda e: e**2 / mp.log1p(e), mp.mpf("1e-9"), mp.mpf(1), 8, np.float32),
    ("log1p_unit", atanh_tail, lambda z: z, mp.mpf("1e-12"), mp.mpf(1) / 9, 9, np.float64),
    ("log", log1p_cubic_tail, lambda f: abs(f**3 / mp.log1p(f)) if f else f, 1 / SQRT2 - 1, SQRT2 - 1, 7, np.float32),
    ("log1p_eighth", log1p_tail, lambda e: e**2, mp.mpf("1e-9"), mp.mpf("0.1354"), 3, np.float32),
    ("log1p_eighth", log1p_tail, lambda e: e**2, mp.mpf("1e-9"), mp.mpf("0.1354"), 9, np.float64),
    ("expm1", expm1_tail, lambda x: x**2 / mp.expm1(x), mp.mpf("-0.35"), -mp.mpf("1e-9"), 4, np.float32),
    ("expm1", expm1_tail, lambda x: x**2 / mp.expm1(x), mp.mpf("-0.35"), -mp.mpf("1e-9"), 10, np.float64),
    ("log_cosh", log_cosh_tail, lambda x: 1 / log_cosh_tail(x), mp.mpf(0), mp.mpf(1), 7, np.float32),
    ("log_cosh", log_cosh_tail, lambda x: 1 / log_cosh_tail(x), mp.mpf(0), mp.mpf(1), 15, np.float64),
    ("tanh", tanh_tail, lambda x: x, mp.mpf("1e-12"), mp.mpf("0.125"), 3, np.float32),
    ("tanh", tanh_tail, lambda x: x, mp.mpf("1e-12"), mp.mpf("0.125"), 7, np.float64),
    ("log", atanh_tail, lambda z: z, mp.mpf("1e-12"), ((SQRT2 - 1) / (SQRT2 + 1)) ** 2, 6, np.float64),
]


def remez(function, weight, low, high, degree, fixed, known_good):
    """Coefficients of least weighted error; ``fixed`` holds the leading ones that are given already.

    ``known_good`` are coefficients to start from: where the exchange does not converge, they are not made worse.
    """
    n_free = degree + 1 - len(fixed)
    known = lambda x: mp.polyval(fixed[::-1], x) if fixed else mp.mpf(0)
    # an even number of points: the weight may vanish in the middle
    grid = [low + (high - low) * (1 - mp.cos(mp.pi * i / 601)) / 2 for i in range(602)]
    target = [function(x) - known(x) for x in grid]
    scale = [weight(x) for x in grid]
    nodes = [round(601 * (i + 0.5) / (n_free + 1)) for i in range(n_free + 1)]
    best = None
    if known_good:
        start = fixed + known_good[len(fixed) :]
        best = start, max(abs(scale[i] * (function(x) - mp.polyval(start[::-1], x))) for i, x in enumerate(grid))
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
        error = [scale[i] * (target[i] - x ** len(fixed) * mp.polyval(free[::-1], x)) for i, x in enumerate(grid)]
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
    fixed, coefficients = [], None
    while len(fixed) <= degree:
        coefficients, _ = remez(function, weight, low, high, degree, fixed, coefficients)
        fixed.append(mp.mpf(float(dtype(float(coefficients[len(fixed)])))))
    grid = [low + (high - low) * mp.mpf(i) / 1000 for i in range(1001)]
    worst = max(abs(weight(x) * (function(x) - mp.polyval(fixed[::-1], x))) for x in grid)
    return fixed, worst / mp.mpf(float(np.finfo(dtype).eps) / 2)


def split_ln2(dtype, bits):
    """ln(2) / 16 as a number of few bits, whose products with whole numbers are exact, and what is missing."""
    step = mp.log(2) / 16
    exponent = int(mp.floor(mp.log(step, 2)))
    unit = mp.mpf(2) ** (exponent - bits + 1)
    high = mp.floor(step / unit) * unit
    return high, mp.mpf(float(dtype(float(step - high))))


if __name__ == "__main__":
    for dtype, bits in ((np.float32, 13), (np.float64, 38)):
        print(f"ln(2) / 16 {dtype.__name__}:", *(float(x).hex() for x in split_ln2(dtype, bits)))
        print("powers:", *(float(dtype(float(mp.mpf(2) ** (mp.mpf(i) / 16)))).hex() for i in range(16)))
    for name, function, weight, low, high, degree, dtype in FITS:
        coefficients, error = fit(function, weight, low, high, degree, dtype)
        print(
            f"{name} {dtype.__name__} on [{mp.nstr(low, 6)}, {mp.nstr(high, 6)}]: "
            f"relative error {mp.nstr(error, 3)} of half an ulp"
        )
        for power, c in enumerate(coefficients):
            print(f"    {float(c).hex()}  # {power}")
