/* What targets and weights have to be. */
#ifndef FASTLOSS_CHECKS_H
#define FASTLOSS_CHECKS_H

#include "fastloss.h"
#include "real.h"
#include "weights.h"

ALWAYS_INLINE vmask in_domain(vreal t, int domain)
{
    if (domain == FL_UNIT_INTERVAL) return both(le(ZERO, t), le(t, ONE));
    return both(domain == FL_POSITIVE ? lt(ZERO, t) : le(ZERO, t), le(t, UNIFORM(LARGEST)));
}

/* Position of the first target outside the domain (or nan), or -1; *hard says whether all are 0 or 1. */
SHARED ptrdiff_t check_domain(const real *t, ptrdiff_t count, int domain, int *hard)
{
    ptrdiff_t padded = (count + LANES - 1) / LANES * LANES;
    *hard = 0;
    if (domain == FL_ANY) return -1;
    if (domain == FL_UNIT_INTERVAL) {
        vint soft = splat_int(0);
        for (ptrdiff_t i = 0; i < padded; i += WIDTH) /* t^2 - t is +0 for 0, -0 and 1, and for nothing else */
            soft |= bits_of(fmadd(load(t + i), load(t + i), -load(t + i)));
        *hard = all_true(eq_int(soft, splat_int(0)));
        if (*hard) return -1;
    }
    vmask ok = eq(ZERO, ZERO);
    for (ptrdiff_t i = 0; i < padded; i += WIDTH) ok = both(ok, in_domain(load(t + i), domain));
    if (all_true(ok)) return -1;
    for (ptrdiff_t i = 0; i < count; i++) /* the padding may lie outside */
        if (!all_true(in_domain(splat(t[i]), domain))) return i;
    return -1;
}

#endif
