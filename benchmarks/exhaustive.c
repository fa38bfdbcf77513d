/* The largest error of the vector functions of csrc/real.h and csrc/special.h over all floats of their domain, for exhaustive.py.
 *
 * The reference is the C library's function in double precision: its error, below 1 ulp of double, adds 2e-9 ulp. What it does
 * not have of the gamma function comes from the asymptotic series at 30 and more, and from there by recurrence.
 */
#include <math.h>
#include <stddef.h>

#define FL_REAL 32
#include "real.h"
#include "special.h"

typedef struct worst {
    double ulps;
    float where;
    int64_t n, n_wrong; /* numbers tried; wrong infinities, nans and zeros */
} worst;

static float from_pattern(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Distance of neighbouring floats at y. */
static double ulp(double y)
{
    int exponent;
    frexp(y, &exponent);
    return ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
}

/* Beyond all numbers, no number, or 0; with `flushes` also below the smallest normal number, where 0 is promised. */
static int is_special(double exact, int flushes)
{
    return !(fabs(exact) <= LARGEST) || exact == 0 || (flushes && fabs(exact) < SMALLEST_NORMAL);
}

static int is_right(float found, double exact)
{
    if (isnan(exact)) return isnan(found);
    if (fabs(exact) > LARGEST) return isinf(found) && (found > 0) == (exact > 0);
    return found == 0 || found == (float)exact;
}

/* Of `every` vectors of neighbouring floats one. */
#define EXHAUST(function, reference, first, last, flushes)                                                             \
    worst exhaust_##function(int64_t every)                                                                            \
    {                                                                                                                  \
        worst w = {0, 0, 0, 0};                                                                                        \
        for (uint64_t begin = first; begin <= (last); begin += WIDTH * (uint64_t)every) {                              \
            float x[WIDTH], y[WIDTH];                                                                                  \
            int n = begin + WIDTH <= (last) ? WIDTH : (int)((last) + UINT64_C(1) - begin);                             \
            for (int i = 0; i < (int)WIDTH; i++) x[i] = from_pattern((uint32_t)(i < n ? begin + (uint64_t)i : begin)); \
            store(y, function(load(x)));                                                                               \
            w.n += n;                                                                                                  \
            for (int i = 0; i < n; i++) {                                                                              \
                double exact = reference(x[i]);                                                                        \
                if (is_special(exact, flushes)) {                                                                      \
                    w.n_wrong += !is_right(y[i], exact);                                                               \
                    continue;                                                                                          \
                }                                                                                                      \
                double error = fabs(y[i] - exact) / ulp(exact);                                                        \
                if (!(error <= w.ulps)) w.ulps = error, w.where = x[i];                                                \
            }                                                                                                          \
        }                                                                                                              \
        return w;                                                                                                      \
    }

/* Sums of c[k] / x^(step k), which fall off fast. */
static double asymptotic(double x, const double *c, int n)
{
    double sum = 0;
    for (int k = n - 1; k >= 0; k--) sum = sum / (x * x) + c[k];
    return sum;
}

static double remainder_by_recurrence(double a)
{
    static const double c[] = {1.0 / 12, -1.0 / 360, 1.0 / 1260, -1.0 / 1680, 1.0 / 1188};
    if (a >= 30) return asymptotic(a, c, 5) / a;
    if (a > 1e-3) return lgamma(a) - (a - 0.5) * log(a) + a - 0.91893853320467274178;
    return lgamma(1 + a) - (a + 0.5) * log(a) + a - 0.91893853320467274178;
}

static double digamma_gap_by_recurrence(double a)
{
    static const double c[] = {1.0 / 12, -1.0 / 120, 1.0 / 252, -1.0 / 240, 1.0 / 132};
    double moved = a, sum = 0;
    for (; moved < 30; moved++) sum += a / moved;
    return a * (0.5 / moved + asymptotic(moved, c, 5) / (moved * moved)) - a * log(moved / a) + sum;
}

static double trigamma_gap_by_recurrence(double a)
{
    static const double c[] = {1.0 / 6, -1.0 / 30, 1.0 / 42, -1.0 / 30, 5.0 / 66};
    double moved = a, sum = 0;
    for (; moved < 30; moved++) sum += (a / moved) * (a / moved);
    return a * (a / moved) + a * a * (0.5 / moved / moved + asymptotic(moved, c, 5) / moved / moved / moved) + sum - a;
}

static vreal remainder_of(vreal a) { return gamma_of(a, log_positive(a), 1).remainder; }
static vreal digamma_gap(vreal a) { return gamma_of(a, log_positive(a), 1).digamma_gap; }
static vreal trigamma_gap(vreal a) { return gamma_of(a, log_positive(a), 1).trigamma_gap; }

#define POSITIVE_INFINITY 0x7f800000u
#define LARGEST_NUMBER 0x7f7fffffu
#define NEGATIVE_ZERO 0x80000000u
#define NEGATIVE_INFINITY 0xff800000u
#define ALL 0xffffffffu

EXHAUST(exp_nonpositive, exp, NEGATIVE_ZERO, NEGATIVE_INFINITY, 1)
EXHAUST(exp_any, exp, 0, ALL, 1)
EXHAUST(expm1_nonpositive, expm1, NEGATIVE_ZERO, NEGATIVE_INFINITY, 0)
EXHAUST(log_normal, log, 0x00800000u, LARGEST_NUMBER, 0)
EXHAUST(log1p_unit, log1p, 0, 0x3f800000u, 0)
EXHAUST(log1p_nonnegative, log1p, 0, LARGEST_NUMBER, 0)
EXHAUST(erf_of, erf, 0, ALL, 0)
EXHAUST(log_positive, log, 1, LARGEST_NUMBER, 0)
EXHAUST(remainder_of, remainder_by_recurrence, 0x00800000u, 0x7d000000u, 0)
EXHAUST(digamma_gap, digamma_gap_by_recurrence, 0x00800000u, 0x5f000000u, 0)
EXHAUST(trigamma_gap, trigamma_gap_by_recurrence, 0x00800000u, 0x45000000u, 0)
