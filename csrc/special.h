/* erf and the gamma function's logarithm and its derivatives, of a vector: branch-free but for what no lane needs, our own
 * polynomials (fit_special.py), no libm. benchmarks/exhaustive.py measures errors over all floats.
 *
 * Of the gamma function there is what is left when the leading terms, which cancel elsewhere in a likelihood, are taken off: these
 * parts are smooth, of one sign, and need no recurrence that would lose digits.
 */
#ifndef FASTLOSS_SPECIAL_H
#define FASTLOSS_SPECIAL_H

#include "real.h"
#include "special_tables.h"

enum { CELLS = 16 };

/* log(x) of any x > 0, subnormal ones, too */
ALWAYS_INLINE vreal log_positive(vreal x)
{
    const real_int shift = MANTISSA_BITS + 1;
    vmask tiny = lt(x, UNIFORM(SMALLEST_NORMAL));
    vreal scaled = choose(tiny, x * UNIFORM((real_int)1 << shift), x);
    return log_normal(scaled) - choose(tiny, UNIFORM((double)shift * 0.693147180559945309), ZERO);
}

/* The polynomial of the cell `index` at x; of its derivative, too, where that is wanted. */
ALWAYS_INLINE vreal in_cell(const real (*table)[CELLS], const int degree, vint index, vreal x, vreal *slope)
{
    vreal y = look_up_16(table[0], index), derivative = ZERO;
    _Pragma("GCC unroll 20") for (int i = 1; i <= degree; i++)
    {
        if (slope) derivative = fmadd(derivative, x, y);
        y = fmadd(y, x, look_up_16(table[i], index));
    }
    if (slope) *slope = derivative;
    return y;
}

/* Tables are read out of line, for each function of a loss has its own copy of the rest, and up to three. */
SHARED vreal erf_in_cell(vint index, vreal x)
{
    static const CACHE_ALIGNED real table[ERF_DEGREE + 1][CELLS] = {ERF_CELLS};
    return in_cell(table, ERF_DEGREE, index, x, NULL);
}

/* erf(x). At most 2.1 ulp of a fifth of all floats, 1.7 ulp (float64) of some thousand points. */
ALWAYS_INLINE vreal erf_of(vreal x)
{
    const double width = (FL_REAL == 32 ? 4.0 : 6.0) / CELLS;
    vreal distance = vabs(x), far = UNIFORM(width * CELLS), near = vmin(UNIFORM(width * (CELLS - 0.25)), distance);
    vreal rounded = fmadd(near, UNIFORM(1 / width), UNIFORM(-0.5)) + UNIFORM(ROUND);
    vint index = bits_of(rounded);
    vreal centre = fmadd(rounded - UNIFORM(ROUND), UNIFORM(width), UNIFORM(0.5 * width));
    vreal y = distance * erf_in_cell(index, near - centre);
    return choose(eq(x, x), with_sign_of(choose(lt(distance, far), vmin(ONE, y), ONE), x), x);
}

/* What is left of log Gamma and its derivatives, of a > 0:
 *     remainder      log Gamma(a) - (a - 1/2) log(a) + a - log(2 pi) / 2     between inf and 0
 *     digamma_gap    a (log(a) - psi(a))                                     between 1 and 1/2
 *     trigamma_gap   a (a psi'(a) - 1)                                       between 1 and 1/2
 * the second -a times the derivative of the first but for 1/2, the third the second less a times its derivative. At most 2.4,
 * 1.0 and 3.6 ulp of a fifth of all floats; 2.3 (float64) of some thousand points.
 */
typedef struct gamma_parts {
    vreal remainder, digamma_gap, trigamma_gap;
} gamma_parts;

/* The sum of c[i] x^i */
ALWAYS_INLINE vreal series(vreal x, const double *c, const int n)
{
    vreal y = UNIFORM(c[n - 1]);
    _Pragma("GCC unroll 16") for (int i = n - 2; i >= 0; i--) y = fmadd(y, x, UNIFORM(c[i]));
    return y;
}

/* Between a = 1 / 16 and 16. */
SHARED vreal binet_in_cell(vint index, vreal x)
{
    static const CACHE_ALIGNED real table[BINET_DEGREE + 1][CELLS] = {BINET_CELLS};
    return in_cell(table, BINET_DEGREE, index, x, NULL);
}
static const CACHE_ALIGNED real DIGAMMA_GAP_TABLE[DIGAMMA_GAP_DEGREE + 1][CELLS] = {DIGAMMA_GAP_CELLS};
SHARED vreal gap_in_cell(vint index, vreal x) { return in_cell(DIGAMMA_GAP_TABLE, DIGAMMA_GAP_DEGREE, index, x, NULL); }
SHARED vreal gap_and_slope_in_cell(vint index, vreal x, vreal *slope)
{
    return in_cell(DIGAMMA_GAP_TABLE, DIGAMMA_GAP_DEGREE, index, x, slope);
}

ALWAYS_INLINE gamma_parts gamma_of(vreal a, vreal log_a, const int with_trigamma)
{
    vmask low = lt(a, UNIFORM(0.0625)), high = le(UNIFORM(16), a);
    vreal near = choose(either(low, high), ONE, a);
    /* halves of octaves by the exponent and the first digit after the point */
    const real_int first = ((real_int)(EXPONENT_BIAS - 4)) << 1;
    typedef real_uint vuint __attribute__((vector_size(VECTOR_BYTES)));
    vint index = (vint)((vuint)bits_of(near) >> (MANTISSA_BITS - 1)) - splat_int(first);
    vreal mantissa = from_bits((bits_of(near) & splat_int(((real_int)1 << MANTISSA_BITS) - 1)) | bits_of(ONE));
    vreal x = mantissa - choose(lt(mantissa, UNIFORM(1.5)), UNIFORM(1.25), UNIFORM(1.75)), slope = ZERO;
    gamma_parts g;
    g.remainder = binet_in_cell(index, x);
    g.digamma_gap = with_trigamma ? gap_and_slope_in_cell(index, x, &slope) : gap_in_cell(index, x);
    g.trigamma_gap = fmadd(-mantissa, slope, g.digamma_gap);
    if (any_true(high)) { /* Stirling's series in 1 / a */
        static const double binet_series[] = {1.0 / 12,   -1.0 / 360,      1.0 / 1260, -1.0 / 1680,
                                              1.0 / 1188, -691.0 / 360360, 1.0 / 156};
        static const double gap_series[] = {1.0 / 12,  -1.0 / 120,     1.0 / 252, -1.0 / 240,
                                            1.0 / 132, -691.0 / 32760, 1.0 / 12};
        static const double trigamma_series[] = {1.0 / 6,  -1.0 / 30,     1.0 / 42, -1.0 / 30,
                                                 5.0 / 66, -691.0 / 2730, 7.0 / 6};
        const int n = FL_REAL == 32 ? 3 : 7;
        vreal w = ONE / a, square = w * w;
        g.remainder = choose(high, w * series(square, binet_series, n), g.remainder);
        g.digamma_gap = choose(high, fmadd(w, series(square, gap_series, n), UNIFORM(0.5)), g.digamma_gap);
        g.trigamma_gap = choose(high, fmadd(w, series(square, trigamma_series, n), UNIFORM(0.5)), g.trigamma_gap);
    }
    if (any_true(low)) { /* Taylor's series of log Gamma(1 + a) and its derivatives: zeta(k), k = 2, 3, ... */
        static const double log_gamma[] = {-0.577215664901532861,  0.822467033424113218,   -0.400685634386531428,
                                           0.270580808427784548,   -0.207385551028673985,  0.16955717699740819,
                                           -0.144049896768846118,  0.125509669524743042,   -0.11133426586956469,
                                           0.100099457512781809,   -0.0909540171458290422, 0.083353840546109004,
                                           -0.0769325164113521915, 0.0714329462953613361};
        static const double digamma[] = {-0.577215664901532861, 1.64493406684822644,  -1.20205690315959429,
                                         1.08232323371113819,   -1.03692775514336993, 1.01734306198444914,
                                         -1.00834927738192283,  1.00407735619794434,  -1.00200839282608221,
                                         1.00099457512781809,   -1.00049418860411946, 1.00024608655330805,
                                         -1.00012271334757849,  1.0000612481350587};
        static const double trigamma[] = {1.64493406684822644,  -2.40411380631918857, 3.24696970113341457,
                                          -4.14771102057347971, 5.0867153099222457,   -6.05009566429153696,
                                          7.02854149338561038,  -8.01606714260865772, 9.00895117615036277,
                                          -10.0049418860411946, 11.0027069520863885,  -12.0014725601709419,
                                          13.0007962257557632};
        const int n = FL_REAL == 32 ? 6 : 14;
        vreal tiny = choose(low, a, ZERO), log_tiny = choose(low, log_a, ZERO);
        vreal left = tiny * (ONE - log_tiny + series(tiny, log_gamma, n));
        left += fmadd(UNIFORM(-0.5), log_tiny, UNIFORM(-0.918938533204672742));
        g.remainder = choose(low, left, g.remainder);
        g.digamma_gap = choose(low, fmadd(tiny, log_tiny - series(tiny, digamma, n), ONE), g.digamma_gap);
        vreal square = tiny * tiny;
        g.trigamma_gap = choose(low, fmadd(square, series(tiny, trigamma, n - 1), ONE - tiny), g.trigamma_gap);
    }
    return g;
}

#endif
