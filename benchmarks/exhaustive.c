/* The largest error of the vector functions of csrc/real.h over all floats of their domain, for exhaustive.py.
 *
 * The reference is the C library's function in double precision: its error, below 1 ulp of double, adds 2e-9 ulp.
 */
#include <math.h>
#include <stddef.h>

#define FL_REAL 32
#include "real.h"

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

#define EXHAUST(function, reference, first, last, flushes)                                                             \
    worst exhaust_##function(void)                                                                                     \
    {                                                                                                                  \
        worst w = {0, 0, 0, 0};                                                                                        \
        for (uint64_t begin = first; begin <= (last); begin += WIDTH) {                                                \
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
