/* What formulas of every family share, beside exp and log. */
#ifndef FASTLOSS_FORMULAS_H
#define FASTLOSS_FORMULAS_H

#include "real.h"

/* A curvature that must not vanish with the probability: far below any that matters, and normal after scaling. */
#define CURVATURE_FLOOR (FL_REAL == 32 ? 0x1p-80 : 0x1p-800)

/* A psd curvature, which must not vanish with an underflow where the gradient does not. */
ALWAYS_INLINE vreal not_flat(vreal hessian, vreal gradient)
{
    return choose(eq(gradient, ZERO), hessian, vmax(UNIFORM(CURVATURE_FLOOR), hessian));
}

/* y, or x where that is nan */
ALWAYS_INLINE vreal keep_nan(vreal x, vreal y) { return choose(eq(x, x), y, x); }

/* x c and x - c for a number c that is none of the reals where these are narrow. */
ALWAYS_INLINE vreal times_number(vreal x, double c)
{
    const real high = (real)c, low = (real)(c - (double)high);
    return FL_REAL == 32 ? fmadd(x, splat(high), x * splat(low)) : x * splat(high);
}

ALWAYS_INLINE vreal minus_number(vreal x, double c)
{
    const real high = (real)c;
    return (x - splat(high)) - splat((real)(c - (double)high));
}

ALWAYS_INLINE int is_moderate(double c) { return c > 0x1p-100 && c < 0x1p100; }

ALWAYS_INLINE vreal divided_by(vreal x, double c)
{
    return FL_REAL == 32 && is_moderate(c) ? times_number(x, 1 / c) : x / UNIFORM(c);
}

/* Where a scale c is so large that r / c or its square may leave the range of reals: what a loss is, to the last digit, where
 * x = |r| / c is next to 0, and otherwise. */
ALWAYS_INLINE vreal or_near(vreal at_zero, vreal x, double c, vreal otherwise)
{
    if (c < (FL_REAL == 32 ? 0x1p20 : 0x1p200)) return otherwise;
    return choose(lt(x, UNIFORM(FL_REAL == 32 ? 0x1p-14 : 0x1p-28)), at_zero, otherwise);
}

/* x c^2 */
ALWAYS_INLINE vreal times_square(vreal x, double c)
{
    return is_moderate(c * c) ? times_number(x, c * c) : UNIFORM(c) * (UNIFORM(c) * x);
}

/* tanh(d / 2) / (2 d) of a distance d >= 0, where e = exp(-d) and large = 1 / (1 + e): the curvature of the tightest parabola above
 * softplus that touches it at d or -d (Jaakkola & Jordan 2000, doi:10.1023/A:1008932416310).
 *
 * It is (1 - e) / (1 + e) / (2 d); where the difference loses digits, three terms of its alternating series, which are never
 * below it.
 */
ALWAYS_INLINE vreal logistic_bound(vreal distance, vreal e, vreal large)
{
    vreal square = distance * distance;
    vreal far = (ONE - e) * large / (distance + distance);
    vreal near = fmadd(square, fmadd(square, UNIFORM(1.0 / 480), UNIFORM(-1.0 / 48)), UNIFORM(0.25));
    return choose(lt(distance, UNIFORM(0x1p-3)), near, far);
}

/* Two thirds of the geometric mean and one of the arithmetic, of numbers >= 0: no less than their logarithmic mean
 * (x - y) / (log x - log y), which is how steeply exp climbs between two points (Carlson 1972, doi:10.2307/2317088), and at
 * most 1.1 times that for quotients up to 100. */
ALWAYS_INLINE vreal logarithmic_mean_bound(vreal x, vreal y)
{
    return fmadd(UNIFORM(2.0 / 3), vsqrt(x) * vsqrt(y), UNIFORM(1.0 / 6) * x + UNIFORM(1.0 / 6) * y);
}

#endif
