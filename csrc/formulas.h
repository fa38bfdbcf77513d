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

/* x c^2 */
ALWAYS_INLINE vreal times_square(vreal x, double c)
{
    return is_moderate(c * c) ? times_number(x, c * c) : UNIFORM(c) * (UNIFORM(c) * x);
}

#endif
