"""Write special_tables.h, the polynomials of special.h: python csrc/fit_special.py.

Needs mpmath. A function is cut into 16 cells, each with a polynomial of its own, so that one look-up a coefficient (16
entries fit a register) finds the right one. The polynomial of a cell interpolates at Chebyshev's points, which is as
good as the best but for a fraction of a bit; the error is printed in units of half an ulp, relative to the function,
before coefficients are rounded.
"""

from pathlib import Path

import mpmath as mp
import numpy as np

mp.mp.dps = 50
CELLS = 16
TYPES = {32: np.float32, 64: np.float64}


def octave_cell(i):
    """Return centre and half of the width of cell i of [1/16, 16), in the mantissa, and its power of two."""
    return mp.mpf("1.25") + mp.mpf(i % 2) / 2, mp.mpf("0.25"), mp.mpf(2) ** (i // 2 - 4)


def erf_cell(bits):
    """Return the cells of [0, 4) or, where more digits are wanted, [0, 6)."""
    width = mp.mpf(4 if bits == 32 else 6) / CELLS
    return lambda i: ((i + mp.mpf("0.5")) * width, width / 2, mp.mpf(1))


def erf_over_x(x):
    """Return erf(x) / x."""
    return mp.erf(x) / x if x else 2 / mp.sqrt(mp.pi)


def binet(a):
    """Return log(Gamma(a)) - (a - 1/2) log(a) + a - log(2 pi) / 2: what Stirling's formula leaves out."""
    return mp.loggamma(a) - (a - mp.mpf(1) / 2) * mp.log(a) + a - mp.log(2 * mp.pi) / 2


def digamma_gap(a):
    """Return a (log(a) - psi(a)), between 1 (a = 0) and 1/2 (a = inf)."""
    return a * (mp.log(a) - mp.psi(0, a))


# name, function, cells, degree for each type
TABLES = [
    ("ERF", erf_over_x, erf_cell, {32: 5, 64: 12}),
    ("BINET", binet, lambda bits: octave_cell, {32: 8, 64: 17}),
    ("DIGAMMA_GAP", digamma_gap, lambda bits: octave_cell, {32: 7, 64: 16}),
]


def interpolate(function, centre, half, scale, degree):
    """Return coefficients in powers of the distance from the centre."""
    nodes = [half * mp.cos(mp.pi * (k + mp.mpf("0.5")) / (degree + 1)) for k in range(degree + 1)]
    rows = mp.matrix(degree + 1, degree + 1)
    for i, x in enumerate(nodes):
        for j in range(degree + 1):
            rows[i, j] = x**j
    return list(mp.lu_solve(rows, mp.matrix([function((centre + x) * scale) for x in nodes])))


def table(name, function, cell, degree, bits):
    """Return C for a table, one array a coefficient, the highest first."""
    dtype, worst, columns = TYPES[bits], mp.mpf(0), []
    for i in range(CELLS):
        centre, half, scale = cell(i)
        found = interpolate(function, centre, half, scale, degree)
        columns.append([float(dtype(float(c))) for c in found])
        for k in range(41):
            x = half * (mp.mpf(k) / 20 - 1)
            exact = function((centre + x) * scale)
            worst = max(worst, abs(mp.polyval(found[::-1], x) / exact - 1))
    print(f"{name} {bits}: {mp.nstr(2 * worst / mp.mpf(float(np.finfo(dtype).eps)), 3)} of half an ulp")
    lines = [f"#define {name}_DEGREE {degree}", f"#define {name}_CELLS \\"]
    for power in range(degree, -1, -1):
        lines.append("    {" + ", ".join(column[power].hex() for column in columns) + "}, \\")
    lines[-1] = lines[-1].removesuffix(", \\")
    return "\n".join(lines)


def main():
    """Write the header."""
    parts = ["/* Written by fit_special.py, which says what it is. */", "/* clang-format off */"]
    for bits in TYPES:
        parts.append(("#if" if bits == 32 else "#else /*") + " FL_REAL == " + str(bits) + (" */" if bits == 64 else ""))
        parts += [table(name, f, cells(bits), degrees[bits], bits) for name, f, cells, degrees in TABLES]
    parts.append("#endif")
    text = "\n".join(parts).replace("#else /* FL_REAL == 64 */", "#else")
    Path(__file__).with_name("special_tables.h").write_text(text + "\n")


if __name__ == "__main__":
    main()
