/* Targets that are probabilities, or smoothed: every class counts. */
#ifndef FASTLOSS_ROWS_SOFT_H
#define FASTLOSS_ROWS_SOFT_H

#include "row_terms.h"
#include "sums.h"

/* A loss's formula of a class. */
typedef struct class_formula {
    terms (*of)(probability);
    const double *coefficients;
} class_formula;

typedef struct soft_class {
    vreal value, amount, bend; /* a_k f, a_k c_k, a_k E_k */
} soft_class;

/* Sums over the classes for the Hessian. */
typedef struct soft_sums {
    vreal magnitude, bound, spread, largest_second;
} soft_sums;

/* 1 - p_k, from the exponential of class k: a sum where k is the largest, which is the row's target here. */
ALWAYS_INLINE vreal rest_of(const row_state *r, vmask largest, vreal e)
{
    return choose(largest, r->sum_others, r->sum - e) * r->inverse;
}

/* The formula at one class, which weighs a; what it adds to the sums of the Hessian is added. */
ALWAYS_INLINE soft_class evaluate_class(const row_state *r, vmask largest, vreal e, vreal z, vreal a, class_formula f,
                                        soft_sums *sums, const int with_hessian)
{
    const vreal distance = r->largest - z;
    const probability at = {.p = e * r->inverse,
                            .rest = rest_of(r, largest, e),
                            .loss = distance + r->log_sum,
                            .distance = distance,
                            .log_sum = r->log_sum,
                            .amount = a,
                            .coefficients = f.coefficients};
    const terms t = f.of(at);
    soft_class c = {.value = choose(eq(a, ZERO), ZERO, a * t.value), .amount = a * t.first, .bend = a * t.second};
    if (!with_hessian) return c;
    sums->magnitude += vabs(c.amount);
    sums->bound += a * t.bound;
    sums->spread += choose(largest, ZERO, c.bend / (at.rest * at.rest));
    sums->largest_second = choose(largest, c.bend, sums->largest_second);
    return c;
}

/* Rows in lanes, whose sums are kept. */
ALWAYS_INLINE void tile_soft(const soft_tiles *t, ptrdiff_t n, const fl_job *job, row_stats *s,
                             terms (*of)(probability))
{
    const class_formula f = {of, job->coefficients};
    const int with_hessian = job->want & FL_HESSIAN;
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        const row_state r = rows_at(s, i);
        exact_sum value = {ZERO, ZERO}, total = {ZERO, ZERO};
        soft_sums sums = {ZERO, ZERO, ZERO, ZERO};
        for (ptrdiff_t k = 0; k < job->n_classes; k++) {
            const ptrdiff_t at = k * t->stride + i;
            const soft_class c = evaluate_class(&r, is_target(&r, k), load(t->e + at), load(t->z + at), load(t->a + at),
                                                f, &sums, with_hessian);
            add_to(&value, c.value);
            add_to(&total, c.amount);
            store(t->a + at, c.amount);
            if (with_hessian) store(t->second + at, c.bend);
        }
        vreal w = load(s->weight + i);
        vreal loss = choose(eq(r.sum, r.sum), value_of(value), r.sum); /* undefined even if no class weighs anything */
        store(s->value + i, choose(eq(w, ZERO), ZERO, loss * w));
        store(s->total + i, value_of(total));
        if (!with_hessian) continue;
        store(s->magnitude + i, sums.magnitude);
        store(s->bound + i, sums.bound);
        store(s->spread + i, sums.spread);
        store(s->largest_second + i, sums.largest_second);
    }
}

/* A row's classes in lanes: logits become a_k c_k, `bend` a_k E_k, and what they add up to is added to the totals. */
ALWAYS_INLINE void run_soft(const class_run *c, const row_state *r, class_formula f, soft_totals *totals,
                            const int with_hessian)
{
    soft_totals sum = *totals;
    lane_sums magnitude = no_sums(), bound = no_sums(), spread = no_sums(), largest_second = no_sums();
    for (ptrdiff_t i = 0; i < c->n; i += LANES)
        for (int g = 0; g < GROUP; g++) {
            const ptrdiff_t at = i + g * WIDTH;
            soft_sums sums = {ZERO, ZERO, ZERO, ZERO};
            const soft_class x = evaluate_class(r, is_target_from(r, c->start + at), load(c->e + at), load(c->z + at),
                                                load(c->a + at), f, &sums, with_hessian);
            add_to(&sum.value[g], x.value);
            add_to(&sum.total[g], x.amount);
            store(c->z + at, x.amount);
            if (!with_hessian) continue;
            add_lanes(&magnitude, g, sums.magnitude);
            add_lanes(&bound, g, sums.bound);
            add_lanes(&spread, g, sums.spread);
            add_lanes(&largest_second, g, sums.largest_second);
            store(c->bend + at, x.bend);
        }
    if (with_hessian) {
        sum.magnitude += total_of(&magnitude), sum.bound += total_of(&bound);
        sum.spread += total_of(&spread), sum.largest_second += total_of(&largest_second);
    }
    *totals = sum;
}

#define DEFINE_SOFT(name)                                                                               \
    static void name##_soft(const soft_tiles *t, ptrdiff_t n, const fl_job *job, row_stats *s)          \
    {                                                                                                   \
        const soft_tiles tiles = *t;                                                                    \
        tile_soft(&tiles, n, job, s, name);                                                             \
    }                                                                                                   \
    static void name##_soft_run(const class_run *c, const row_stats *s, ptrdiff_t r, const fl_job *job, \
                                soft_totals *totals)                                                    \
    {                                                                                                   \
        const class_run run = *c;                                                                       \
        const row_state row = row_at(s, r);                                                             \
        if (job->want & FL_HESSIAN)                                                                     \
            run_soft(&run, &row, (class_formula){name, job->coefficients}, totals, 1);                  \
        else                                                                                            \
            run_soft(&run, &row, (class_formula){name, job->coefficients}, totals, 0);                  \
    }

/* sum_k b_k p - b, without the difference of the two where b is all there is */
ALWAYS_INLINE vreal soft_gradient(const row_state *r, vmask largest, vreal e, vreal b)
{
    return fmadd(e * r->inverse, r->total - b, -(b * rest_of(r, largest, e)));
}

/* The Hessian's diagonal at a class, of its exponential, b = a_k c_k and bend = a_k E_k. */
ALWAYS_INLINE vreal soft_hessian(const row_state *r, vmask largest, vreal e, vreal b, vreal bend, int curvature)
{
    vreal p = e * r->inverse, rest = rest_of(r, largest, e);
    if (curvature == FL_MAJORIZE) return choose(eq(e, e), r->bound, e);
    if (curvature == FL_PSD) return not_flat(r->magnitude * p * rest, soft_gradient(r, largest, e, b));
    vreal q = choose(eq(r->sum_others, ZERO), ZERO, e / r->sum_others);
    vreal from_others = choose(largest, r->spread, r->spread - bend / (rest * rest)) * (p * p);
    vreal from_largest = choose(largest, ZERO, r->largest_second * (q * q));
    return r->total * p * rest + (bend + choose(eq(r->spread, ZERO), ZERO, from_others) + from_largest);
}

/* Rows in lanes: e becomes the gradient, and `hessian`, which holds a_k E_k, the Hessian. */
SHARED void derive_soft(real *e, const real *b, real *hessian, ptrdiff_t tile_stride, ptrdiff_t n, const fl_job *job,
                        const row_stats *s)
{
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        const row_state r = rows_at(s, i);
        for (ptrdiff_t k = 0; k < job->n_classes; k++) {
            const ptrdiff_t at = k * tile_stride + i;
            const vmask largest = is_target(&r, k);
            const vreal x = load(e + at), b_k = load(b + at);
            if (job->want & FL_HESSIAN)
                store(hessian + at, soft_hessian(&r, largest, x, b_k, load(hessian + at), job->curvature) * r.scaled);
            store(e + at, soft_gradient(&r, largest, x, b_k) * r.scaled);
        }
    }
}

#endif
