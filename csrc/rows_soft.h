/* Targets that are probabilities, or smoothed: every class counts. Rows in lanes. */
#ifndef FASTLOSS_ROWS_SOFT_H
#define FASTLOSS_ROWS_SOFT_H

#include "row_terms.h"

/* 1 - p_k of a vector of rows, from the exponential of class k: a sum where k is the largest. */
ALWAYS_INLINE vreal rest_at(const row_stats *s, ptrdiff_t i, ptrdiff_t k, vreal e)
{
    vreal sum_others = load(s->sum_others + i), sum = sum_others + load(s->exp_target + i);
    vmask largest = eq_int(load_int(s->target + i), splat_int((real_int)k));
    return choose(largest, sum_others, sum - e) * load(s->inverse + i);
}

/* Probabilities: every class counts with weight a_k. The formula's part: a becomes a_k c_k, `second` a_k E_k, and the row's
 * sums of them are kept. */
ALWAYS_INLINE void tile_soft(const real *z, const real *e, real *a, real *second, ptrdiff_t tile_stride, ptrdiff_t n,
                             const fl_job *job, row_stats *s, terms (*f)(probability))
{
    const ptrdiff_t n_classes = job->n_classes;
    const int want = job->want;
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        vreal inverse = load(s->inverse + i), sum_others = load(s->sum_others + i), w = load(s->weight + i);
        vreal sum = sum_others + load(s->exp_target + i), log_sum = log_of_row_sum(sum_others, ONE, n_classes);
        vint target = load_int(s->target + i); /* here the largest logit */
        vreal largest = load(z + i), bound = ZERO;
        for (ptrdiff_t k = 1; k < n_classes; k++) largest = vmax(load(z + k * tile_stride + i), largest);
        exact_sum value = {ZERO, ZERO}, weight = {ZERO, ZERO};
        vreal magnitude = ZERO, spread = ZERO, own_second = ZERO;
        for (ptrdiff_t k = 0; k < n_classes; k++) {
            vmask mine = eq_int(target, splat_int((real_int)k));
            vreal y = load(e + k * tile_stride + i), a_k = load(a + k * tile_stride + i);
            vreal distance = largest - load(z + k * tile_stride + i);
            probability at = {.p = y * inverse,
                              .rest = choose(mine, sum_others, sum - y) * inverse,
                              .loss = distance + log_sum,
                              .distance = distance,
                              .log_sum = log_sum,
                              .amount = a_k,
                              .coefficients = job->coefficients};
            terms t = f(at);
            add_to(&value, choose(eq(a_k, ZERO), ZERO, a_k * t.value));
            vreal b = a_k * t.first;
            add_to(&weight, b);
            store(a + k * tile_stride + i, b);
            if (!(want & FL_HESSIAN)) continue;
            magnitude += vabs(b);
            bound += a_k * t.bound;
            vreal bend = a_k * t.second;
            store(second + k * tile_stride + i, bend);
            spread += choose(mine, ZERO, bend / (at.rest * at.rest));
            own_second = choose(mine, bend, own_second);
        }
        vreal loss = choose(eq(sum, sum), value_of(value), sum); /* undefined even if no class weighs anything */
        store(s->value + i, choose(eq(w, ZERO), ZERO, loss * w));
        store(s->total + i, value_of(weight));
        if (!(want & FL_HESSIAN)) continue;
        store(s->magnitude + i, magnitude);
        store(s->bound + i, bound);
        store(s->spread + i, spread);
        store(s->largest_second + i, own_second);
    }
}

#define DEFINE_SOFT(name)                                                                                            \
    static void name##_soft(const real *z, const real *e, real *a, real *second, ptrdiff_t tile_stride, ptrdiff_t n, \
                            const fl_job *job, row_stats *s)                                                         \
    {                                                                                                                \
        tile_soft(z, e, a, second, tile_stride, n, job, s, name);                                                    \
    }

/* The Hessian's diagonal at class k of a vector of rows: y its exponential, b and bend what tile_soft has made of it. */
ALWAYS_INLINE vreal soft_hessian(const row_stats *s, ptrdiff_t i, ptrdiff_t k, vreal y, vreal b, vreal bend,
                                 int curvature)
{
    vreal sum_others = load(s->sum_others + i), total = load(s->total + i), p = y * load(s->inverse + i);
    vreal rest = rest_at(s, i, k, y);
    if (curvature == FL_MAJORIZE) return choose(eq(y, y), load(s->bound + i), y);
    if (curvature == FL_PSD) return not_flat(load(s->magnitude + i) * p * rest, fmadd(p, total - b, -(b * rest)));
    vmask mine = eq_int(load_int(s->target + i), splat_int((real_int)k));
    vreal spread = load(s->spread + i), q = choose(eq(sum_others, ZERO), ZERO, y / sum_others);
    vreal from_others = choose(mine, spread, spread - bend / (rest * rest)) * (p * p);
    vreal from_largest = choose(mine, ZERO, load(s->largest_second + i) * (q * q));
    return total * p * rest + (bend + choose(eq(spread, ZERO), ZERO, from_others) + from_largest);
}

/* The rest is the same for all: e becomes the gradient, and `hessian`, which holds `second`, the Hessian. */
SHARED void derive_soft(real *e, const real *a, real *hessian, ptrdiff_t tile_stride, ptrdiff_t n, const fl_job *job,
                        const row_stats *s)
{
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        vreal scaled = load(s->scaled + i), total = load(s->total + i), inverse = load(s->inverse + i);
        for (ptrdiff_t k = 0; k < job->n_classes; k++) {
            const ptrdiff_t at = k * tile_stride + i;
            vreal y = load(e + at), b = load(a + at), p = y * inverse;
            if (job->want & FL_HESSIAN)
                store(hessian + at, soft_hessian(s, i, k, y, b, load(hessian + at), job->curvature) * scaled);
            /* total p - b, without the difference of the two where b is all there is */
            store(e + at, fmadd(p, total - b, -(b * rest_at(s, i, k, y))) * scaled);
        }
    }
}

#endif
