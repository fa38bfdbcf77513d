/* What a row is, to a loss that is a function of the probabilities p = softmax(z) of a row of logits.
 *
 * Every loss here is a weighted sum over the classes of f(p_k): f of the target's probability where the target is a
 * class index, sum of a_k f(p_k) where it is a row of probabilities. So a formula says three things of f (struct
 * terms), and the drivers make value, gradient and Hessian of them for any kind of target:
 *     gradient_j = sum_k a_k c_k (p_j - [j = k])
 *     Hessian_jj = sum_k a_k (c_k p_j (1 - p_j) + E_k q_jk^2),  q_jk = p_j / (1 - p_k) for j != k, 1 for j = k
 *
 * Accuracy comes from never subtracting a probability from 1. With M the largest logit of a row and e_k = exp(z_k - M), one
 * position is left out of the sum of the e_k: the target's, or the largest one's. That sum, `sum_others`, gives
 *     -log p_y = (M - z_y) + log1p(others + (e_y - 1))     1 - p_y = others / (others + e_y)
 * to the last digits however sure the model is: e_y - 1 is exact, and 0 if y is the largest; if it is not, others
 * holds the largest one's 1, and nothing cancels.
 */
#ifndef FASTLOSS_ROW_TERMS_H
#define FASTLOSS_ROW_TERMS_H

#include "fastloss.h"
#include "formulas.h"
#include "simd.h"
#include "sums.h"
#include "tiles.h"

/* What a formula gets: p, 1 - p and -log p of one class, each right to the last digits; the latter also in its two parts,
 * M - z, the distance from the largest logit, and log_sum; and the a_k that its f will be multiplied by. */
typedef struct probability {
    vreal p, rest, loss, distance, log_sum, amount;
    const double *coefficients;
} probability;

/* What it says: f, c = -p f'(p), E = (1 - p)^2 D, where D weighs (p_j - [j = k])^2 in the Hessian, and a bound that
 * the largest eigenvalue of the Hessian exceeds nowhere. */
typedef struct terms {
    vreal value, first, second, bound;
} terms;

/* What the driver makes of a row. */
enum row_kind { ROW_LOSS, ROW_LOG_SOFTMAX, ROW_SOFTMAX, ROW_LOGSUMEXP };

/* One number for each row of a tile. */
typedef struct row_stats {
    CACHE_ALIGNED real
        weight[MAX_ROWS]; /* of the value: sample weight times class weight; 0 if the row counts nowhere */
    CACHE_ALIGNED real scaled[MAX_ROWS]; /* of the derivatives: weight times job->scale */
    CACHE_ALIGNED real distance[MAX_ROWS]; /* M - z_y, or M for logsumexp */
    CACHE_ALIGNED real largest[MAX_ROWS], log_sum[MAX_ROWS]; /* M, and log of the sum of all e_k */
    CACHE_ALIGNED real sum_others[MAX_ROWS];
    CACHE_ALIGNED real exp_target[MAX_ROWS]; /* e_y */
    CACHE_ALIGNED real sum_below_max[MAX_ROWS]; /* sum of e_k but the largest, for the Hessian */
    CACHE_ALIGNED real value[MAX_ROWS];
    CACHE_ALIGNED real inverse[MAX_ROWS]; /* 1 / sum of all e_k */
    CACHE_ALIGNED real first[MAX_ROWS], second[MAX_ROWS], bound[MAX_ROWS];
    /* of all classes, where the target holds probabilities: sums of a_k c_k, of |a_k c_k| and, without the largest class, of
     * a_k D_k; a_k E_k of the largest */
    CACHE_ALIGNED real total[MAX_ROWS], magnitude[MAX_ROWS], spread[MAX_ROWS], largest_second[MAX_ROWS];
    CACHE_ALIGNED real_int target[MAX_ROWS];
} row_stats;

ALWAYS_INLINE int is_soft(const fl_job *job) { return job->soft || job->label_smoothing > 0; }

/* Classes [start, start + n) of a row, n whole lanes. */
typedef struct class_run {
    const real *e, *a;    /* exponentials, what the classes weigh */
    real *z, *bend;       /* logits, which become a_k c_k; a_k E_k */
    ptrdiff_t start, n;
} class_run;

/* What the classes of a row add up to. */
typedef struct soft_totals {
    exact_sum value[GROUP], total[GROUP]; /* in LANES lanes */
    double magnitude, bound, spread, largest_second;
} soft_totals;

/* Rows in lanes: their logits, exponentials, what the classes weigh, which becomes a_k c_k, and a_k E_k. */
typedef struct soft_tiles {
    const real *z, *e;
    real *a, *second;
    ptrdiff_t stride;
} soft_tiles;

/* The places where a formula is evaluated, compiled for each loss; everything else is shared by all. */
typedef struct row_formula {
    void (*terms)(row_stats *s, ptrdiff_t n, const fl_job *job);
    void (*soft)(const soft_tiles *t, ptrdiff_t n, const fl_job *job, row_stats *s);
    void (*soft_run)(const class_run *c, const row_stats *s, ptrdiff_t r, const fl_job *job, soft_totals *totals);
} row_formula;

/* log of (sum_others + exp_target), where the larger of the two holds the 1 of the largest logit */
ALWAYS_INLINE vreal log_of_row_sum(vreal sum_others, vreal exp_target, ptrdiff_t n_classes)
{
    vreal above_one = sum_others + (exp_target - ONE);
    return n_classes == 2 ? log1p_unit(above_one) : log1p_nonnegative(above_one);
}

/* Row statistics to value and coefficients, a vector of rows at a time. */
#define DEFINE_TERMS(name)                                                                                             \
    static void name##_terms(row_stats *s, ptrdiff_t n, const fl_job *job)                                             \
    {                                                                                                                  \
        for (ptrdiff_t i = 0; i < n; i += WIDTH) {                                                                     \
            vreal sum_others = load(s->sum_others + i), exp_target = load(s->exp_target + i), w = load(s->weight + i); \
            vreal inverse = ONE / (sum_others + exp_target);                                                           \
            vreal distance = load(s->distance + i);                                                                    \
            vreal log_sum = log_of_row_sum(sum_others, exp_target, job->n_classes);                                    \
            terms t = name((probability){.p = exp_target * inverse,                                                    \
                                         .rest = sum_others * inverse,                                                 \
                                         .loss = distance + log_sum,                                                   \
                                         .distance = distance,                                                         \
                                         .log_sum = log_sum,                                                           \
                                         .amount = ONE,                                                                \
                                         .coefficients = job->coefficients});                                          \
            store(s->value + i, choose(eq(w, ZERO), ZERO, t.value * w));                                               \
            if (job->want == FL_VALUE) continue;                                                                       \
            store(s->inverse + i, inverse);                                                                            \
            store(s->first + i, t.first);                                                                              \
            if (!(job->want & FL_HESSIAN)) continue;                                                                   \
            store(s->second + i, t.second);                                                                            \
            store(s->bound + i, t.bound);                                                                              \
        }                                                                                                              \
    }

/* For the functions of a row, and as the first step with soft targets. */
SHARED void sum_terms(row_stats *s, ptrdiff_t n, const fl_job *job, enum row_kind kind)
{
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        vreal log_sum = log_of_row_sum(load(s->sum_others + i), load(s->exp_target + i), job->n_classes);
        store(s->inverse + i, ONE / (load(s->sum_others + i) + load(s->exp_target + i)));
        store(s->log_sum + i, log_sum);
        if (kind == ROW_LOGSUMEXP) store(s->value + i, load(s->distance + i) + log_sum);
    }
}

/* What is known of a row, in every lane: of as many rows as there are lanes (load), or of one row (splat), whose classes then
 * stand in the lanes. What a loop does not use, the compiler leaves out. */
typedef struct row_state {
    vreal scaled, largest, log_sum, inverse, sum_others, exp_target, sum_below_max;
    vreal first, second, bound, total, magnitude, spread, largest_second;
    vreal sum, rest_of_largest, per_other; /* per_other: 1 / sum_others */
    vint target;
} row_state;

ALWAYS_INLINE row_state complete(row_state r)
{
    r.sum = r.sum_others + r.exp_target;
    r.rest_of_largest = r.sum_below_max * r.inverse;
    r.per_other = choose(eq(r.sum_others, ZERO), ZERO, ONE / r.sum_others);
    return r;
}

#define READ_ROWS(READ, READ_INT)                                \
    complete((row_state){.scaled = READ(scaled),                 \
                         .largest = READ(largest),               \
                         .log_sum = READ(log_sum),               \
                         .inverse = READ(inverse),               \
                         .sum_others = READ(sum_others),         \
                         .exp_target = READ(exp_target),         \
                         .sum_below_max = READ(sum_below_max),   \
                         .first = READ(first),                   \
                         .second = READ(second),                 \
                         .bound = READ(bound),                   \
                         .total = READ(total),                   \
                         .magnitude = READ(magnitude),           \
                         .spread = READ(spread),                 \
                         .largest_second = READ(largest_second), \
                         .target = READ_INT(target)})

ALWAYS_INLINE row_state rows_at(const row_stats *s, ptrdiff_t i)
{
#define READ(field) load(s->field + i)
#define READ_INT(field) load_int(s->field + i)
    return READ_ROWS(READ, READ_INT);
#undef READ
#undef READ_INT
}

ALWAYS_INLINE row_state row_at(const row_stats *s, ptrdiff_t i)
{
#define READ(field) splat(s->field[i])
#define READ_INT(field) splat_int(s->field[i])
    return READ_ROWS(READ, READ_INT);
#undef READ
#undef READ_INT
}

/* Where the target is: rows in lanes, all of which hold class k; or the classes from k on of one row. */
ALWAYS_INLINE vmask is_target(const row_state *r, ptrdiff_t k) { return eq_int(r->target, splat_int((real_int)k)); }
ALWAYS_INLINE vmask is_target_from(const row_state *r, ptrdiff_t k)
{
    return eq_int(r->target - splat_int((real_int)k), LANE_NUMBERS);
}

/* The Hessian at a class that is not the target, from its exponential. */
ALWAYS_INLINE vreal other_hessian(vreal e, const row_state *c, int curvature)
{
    vreal p = e * c->inverse, q = e * c->per_other;
    /* 1 - p as a sum: of all but the largest, if this is it */
    vreal rest = choose(eq(e, ONE), c->rest_of_largest, (c->sum - e) * c->inverse);
    if (curvature == FL_MAJORIZE) return choose(eq(p, p), c->bound, p) * c->scaled;
    if (curvature == FL_PSD) return not_flat(vabs(c->first) * p * rest, c->first * p) * c->scaled;
    return fmadd(c->second, q * q, c->first * p * rest) * c->scaled;
}

/* And at the target. */
ALWAYS_INLINE vreal own_hessian(const row_state *c, int curvature)
{
    vreal p = c->exp_target * c->inverse, rest = c->sum_others * c->inverse;
    if (curvature == FL_MAJORIZE) return choose(eq(p, p), c->bound, p) * c->scaled;
    if (curvature == FL_PSD) return not_flat(vabs(c->first) * p * rest, c->first * rest) * c->scaled;
    return fmadd(c->first * p, rest, c->second) * c->scaled;
}

/* Rows whose largest logit is infinite, as rows that the loops can handle: one +inf is probability 1; of two, or of
 * none but -inf, no probabilities can be told. logsumexp is the infinite number itself. */
SHARED void replace_infinite_logits(real *tile, ptrdiff_t tile_stride, ptrdiff_t n_classes, real largest,
                                    enum row_kind kind)
{
    ptrdiff_t n_infinite = 0;
    int has_nan = 0;
    for (ptrdiff_t k = 0; k < n_classes; k++) {
        n_infinite += tile[k * tile_stride] == REAL_INFINITY;
        has_nan |= tile[k * tile_stride] != tile[k * tile_stride];
    }
    if (has_nan || (kind != ROW_LOGSUMEXP && n_infinite != 1)) {
        tile[0] = (real)__builtin_nan("");
        return;
    }
    int seen = 0;
    for (ptrdiff_t k = 0; k < n_classes; k++)
        if (tile[k * tile_stride] == largest && !seen)
            tile[k * tile_stride] = 0, seen = 1;
        else
            tile[k * tile_stride] = -REAL_INFINITY;
}

#endif
