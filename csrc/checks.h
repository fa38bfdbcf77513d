/* What targets and weights have to be. */
#ifndef FASTLOSS_CHECKS_H
#define FASTLOSS_CHECKS_H

#include "fastloss.h"
#include "real.h"
#include "weights.h"

ALWAYS_INLINE vmask in_domain(vreal t, int domain)
{
    if (domain == FL_OPEN_INTERVAL) return both(lt(ZERO, t), lt(t, ONE));
    if (domain >= FL_CLASSES) { /* whole numbers up to the last class */
        vreal near = vmin(t, UNIFORM(0x1p20)), whole = (near + UNIFORM(ROUND)) - UNIFORM(ROUND);
        return both(both(le(ZERO, t), le(t, UNIFORM(domain - FL_CLASSES))), eq(t, whole));
    }
    if (domain == FL_UNIT_INTERVAL) return both(le(ZERO, t), le(t, ONE));
    return both(domain == FL_POSITIVE ? lt(ZERO, t) : le(ZERO, t), le(t, UNIFORM(LARGEST)));
}

/* A target of any loss of that domain, for what counts nowhere */
ALWAYS_INLINE real harmless_target(int domain) { return domain == FL_OPEN_INTERVAL ? (real)0.5 : 1; }

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

/* The first of n targets that is outside the domain as the number that was passed, where rounding it to a real may hide that; or
 * -1. What weighs 0 may hold anything. */
SHARED ptrdiff_t check_wide_domain(const fl_array *target, const fl_job *job, ptrdiff_t first, ptrdiff_t n, int domain,
                                   const real *weight)
{
    if (FL_REAL != 32 || target->type != FL_F64 || domain == FL_ANY) return -1;
    const int classes = domain >= FL_CLASSES;
    const double low = domain == FL_POSITIVE || domain == FL_OPEN_INTERVAL ? 0x1p-1074 : 0;
    const double high = domain == FL_UNIT_INTERVAL   ? 1
                        : domain == FL_OPEN_INTERVAL ? 0x1.fffffffffffffp-1
                        : classes                    ? domain - FL_CLASSES
                                                     : DBL_MAX;
    FOR_EACH_RUN(target, job->n_inner, first, n, {
        const double *t = (const double *)(const void *)at;
        int64_t outside = stride != sizeof *t || classes; /* of consecutive ones first whether there is any */
        for (ptrdiff_t i = 0; stride == sizeof *t && i < run; i++) outside |= !((t[i] >= low) & (t[i] <= high));
        for (ptrdiff_t i = 0; outside && i < run; i++) {
            const double x = *(const double *)(const void *)(at + i * stride);
            const int inside = x >= low && x <= high && (!classes || x == (double)(int)x);
            if (!inside && (!weight || weight[done + i] != 0)) return done + i;
        }
    })
    return -1;
}

/* The earlier of two places, of which -1 is none. */
ALWAYS_INLINE ptrdiff_t earlier(ptrdiff_t a, ptrdiff_t b) { return a < 0 ? b : b < 0 || a < b ? a : b; }

#endif
