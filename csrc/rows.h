/* Rowwise losses: functions of the probabilities p = softmax(z) of a row of logits.
 *
 * Every loss here is a weighted sum over the classes of f(p_k): f of the target's probability where the target is a
 * class index, sum of a_k f(p_k) where it is a row of probabilities. So a formula says three things of f (struct
 * terms), and the drivers make value, gradient and Hessian of them for any kind of target:
 *     gradient_j = sum_k a_k c_k (p_j - [j = k])
 *     Hessian_jj = sum_k a_k (c_k p_j (1 - p_j) + E_k q_jk^2),  q_jk = p_j / (1 - p_k) for j != k, 1 for j = k
 *
 * Accuracy comes from never subtracting a probability from 1. With M the largest logit of a row and e_k = exp(z_k - M), one
 * position is left out of the sum of the e_k: the target's, or the largest one's. That sum, `others`, gives
 *     -log p_y = (M - z_y) + log1p(others + (e_y - 1))     1 - p_y = others / (others + e_y)
 * to the last digits however sure the model is: e_y - 1 is exact, and 0 if y is the largest; if it is not, others
 * holds the largest one's 1, and nothing cancels.
 */
#ifndef FASTLOSS_ROWS_H
#define FASTLOSS_ROWS_H

#include "pointwise.h"

enum { MAX_ROWS = 256 };      /* of a tile */
enum { TILE_BYTES = 8192 };   /* of logits in a tile, where a few rows fit that */
enum { FEW_CLASSES = 64 };    /* up to here C-ordered rows go through tiles, too */

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
    CACHE_ALIGNED real others[MAX_ROWS];
    CACHE_ALIGNED real own[MAX_ROWS]; /* e_y */
    CACHE_ALIGNED real smaller[MAX_ROWS]; /* sum of e_k but the largest, for the Hessian */
    CACHE_ALIGNED real value[MAX_ROWS];
    CACHE_ALIGNED real inverse[MAX_ROWS]; /* 1 / sum of all e_k */
    CACHE_ALIGNED real first[MAX_ROWS], second[MAX_ROWS], bound[MAX_ROWS];
    /* of all classes, where the target holds probabilities: sums of a_k c_k, of |a_k c_k| and, without the largest class, of
     * a_k D_k; a_k E_k of the largest */
    CACHE_ALIGNED real total[MAX_ROWS], magnitude[MAX_ROWS], spread[MAX_ROWS], largest_second[MAX_ROWS];
    CACHE_ALIGNED real_int target[MAX_ROWS];
} row_stats;

ALWAYS_INLINE ptrdiff_t round_up(ptrdiff_t n, ptrdiff_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/* Class indices of any type as int64; an uint64 beyond its range becomes one that is no class and not ignored either. */
SHARED void load_integers(int64_t *tile, const fl_job *job, const char *from, ptrdiff_t stride, ptrdiff_t count)
{
    switch (job->target.type) {
#define CASE(code, ctype)                                                                                    \
    case code:                                                                                               \
        if (stride == (ptrdiff_t)sizeof(ctype))                                                              \
            for (ptrdiff_t i = 0; i < count; i++) tile[i] = (int64_t)((const ctype *)(const void *)from)[i]; \
        else                                                                                                 \
            for (ptrdiff_t i = 0; i < count; i++)                                                            \
                tile[i] = (int64_t)*(const ctype *)(const void *)(from + i * stride);                        \
        break;
        FOR_EACH_INTEGER_TYPE(CASE)
#undef CASE
    }
    if (job->target.type == FL_U64)
        for (ptrdiff_t i = 0; i < count; i++)
            if (tile[i] < 0) tile[i] = INT64_MAX - (job->ignore_index == INT64_MAX);
}

ALWAYS_INLINE int is_soft(const fl_job *job) { return job->soft || job->label_smoothing > 0; }

ALWAYS_INLINE int is_ignored(const fl_job *job, int64_t target)
{
    return job->has_ignore_index && target == job->ignore_index;
}

ALWAYS_INLINE int is_weighted(const fl_job *job)
{
    return job->weight.data || job->has_ignore_index || (job->class_weight && job->label_smoothing == 0);
}

/* What holds for all tiles of a block whose rows all weigh 1. */
ALWAYS_INLINE void start_weights(const fl_job *job, ptrdiff_t n, row_stats *s)
{
    if (is_weighted(job)) return;
    for (ptrdiff_t i = 0; i < n; i += WIDTH) store(s->weight + i, ONE), store(s->scaled + i, splat((real)job->scale));
}

/* Class indices and weights of rows [first, first + n), n <= MAX_ROWS. The indices have been checked. */
SHARED void load_targets(const fl_job *job, ptrdiff_t first, ptrdiff_t n, row_stats *s)
{
    const ptrdiff_t padded = round_up(n, LANES);
    const int by_class = job->target.data && !job->soft;
    for (ptrdiff_t i = n; i < padded; i++) s->target[i] = 0;
    if (!is_weighted(job)) {
        if (!by_class) return;
        FOR_EACH_RUN(&job->target, job->n_inner, first, n, {
            real_int *to = s->target + done;
            if (job->target.type == FL_I64 && stride == 8)
                for (ptrdiff_t i = 0; i < run; i++) to[i] = (real_int)((const int64_t *)(const void *)at)[i];
            else if (job->target.type == FL_I32 && stride == 4)
                for (ptrdiff_t i = 0; i < run; i++) to[i] = ((const int32_t *)(const void *)at)[i];
            else {
                int64_t target[MAX_ROWS];
                load_integers(target, job, at, stride, run);
                for (ptrdiff_t i = 0; i < run; i++) to[i] = (real_int)target[i];
            }
        })
        return;
    }
    if (job->weight.data)
        load_weights(s->weight, job, first, n);
    else
        for (ptrdiff_t i = 0; i < n; i++) s->weight[i] = 1;
    if (by_class) {
        int64_t target[MAX_ROWS];
        FOR_EACH_RUN(&job->target, job->n_inner, first, n, load_integers(target + done, job, at, stride, run))
        for (ptrdiff_t i = 0; i < n; i++) /* what counts nowhere may hold anything */
            if (s->weight[i] == 0 || is_ignored(job, target[i])) s->weight[i] = 0, target[i] = 0;
        if (job->class_weight && job->label_smoothing == 0) /* smoothed targets carry the class weights themselves */
            for (ptrdiff_t i = 0; i < n; i++) s->weight[i] *= (real)job->class_weight[target[i]];
        for (ptrdiff_t i = 0; i < n; i++) s->target[i] = (real_int)target[i];
    }
    for (ptrdiff_t i = n; i < padded; i++) s->weight[i] = 0;
    for (ptrdiff_t i = 0; i < padded; i++) s->scaled[i] = s->weight[i] * (real)job->scale;
}

/* Whether all lie in [0, n_classes). A loop without comparisons, which every instruction set has vectors for: the sign bit of
 * t | (n_classes - 1 - t) is set just where t lies outside. */
ALWAYS_INLINE int all_classes(const int64_t *target, ptrdiff_t n, ptrdiff_t n_classes)
{
    uint64_t outside = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        outside |= (uint64_t)target[i] | ((uint64_t)(n_classes - 1) - (uint64_t)target[i]);
    return (int64_t)outside >= 0;
}

/* The place of a row's class k among all elements. */
ALWAYS_INLINE ptrdiff_t place_of(const fl_job *job, ptrdiff_t row, ptrdiff_t k)
{
    return (row / job->n_inner * job->n_classes + k) * job->n_inner + row % job->n_inner;
}

/* The place of a target of these n rows that is no probability, or -1. */
SHARED ptrdiff_t check_probabilities(const fl_job *job, ptrdiff_t first, ptrdiff_t n, const real *weight)
{
    CACHE_ALIGNED real t[MAX_ROWS];
    fl_array column = job->target;
    for (ptrdiff_t k = 0; k < job->n_classes; k++, column.data += column.classes) {
        int hard;
        load_elements(t, &column, job->n_inner, first, n);
        for (ptrdiff_t i = 0; job->weight.data && i < n; i++) /* what counts nowhere may hold anything */
            if (weight[i] == 0) t[i] = 1;
        const ptrdiff_t bad = check_domain(t, n, FL_UNIT_INTERVAL, &hard);
        if (bad >= 0) return place_of(job, first + bad, k);
    }
    return -1;
}

/* Targets are classes or (if check_target) probabilities, weights finite and >= 0; adds up the weights of the rows that count. */
SHARED void check_rowwise(const fl_job *job, ptrdiff_t first, ptrdiff_t count, fl_checked *result)
{
    CACHE_ALIGNED real weight[MAX_ROWS];
    int64_t target[MAX_ROWS];
    double weight_sum = 0;
    /* the usual case: consecutive int64, every row weighs 1 */
    const int plain = !is_weighted(job) && !job->class_weight && job->target.type == FL_I64 && job->n_inner == 1 &&
                      job->target.outer == sizeof(int64_t);
    *result = (fl_checked){.bad_target = -1, .bad_weight = -1};
    for (ptrdiff_t end = first + count; first < end; first += MAX_ROWS) {
        const ptrdiff_t n = end - first < MAX_ROWS ? end - first : MAX_ROWS;
        if (job->weight.data) sum_weights(weight, job, first, n, result);
        if (job->soft) {
            if (job->weight.data)
                for (ptrdiff_t i = 0; i < n; i++) weight_sum += (double)weight[i];
            else
                weight_sum += (double)n;
            if (job->check_target && result->bad_target < 0)
                result->bad_target = check_probabilities(job, first, n, weight);
            continue;
        }
        if (plain && all_classes((const int64_t *)(const void *)job->target.data + first, n, job->n_classes)) {
            weight_sum += (double)n;
            continue;
        }
        FOR_EACH_RUN(&job->target, job->n_inner, first, n, load_integers(target + done, job, at, stride, run))
        if (job->weight.data)
            for (ptrdiff_t i = 0; i < n; i++) /* what counts nowhere may hold anything */
                if (weight[i] == 0) target[i] = 0;
        int64_t bad = 0;
        for (ptrdiff_t i = 0; i < n; i++)
            bad |= (int64_t)((uint64_t)target[i] >= (uint64_t)job->n_classes && !is_ignored(job, target[i]));
        for (ptrdiff_t i = 0; bad && result->bad_target < 0; i++)
            if ((uint64_t)target[i] >= (uint64_t)job->n_classes && !is_ignored(job, target[i]))
                result->bad_target = first + i;
        if (bad) return;
        for (ptrdiff_t i = 0; i < n; i++) {
            double w = job->weight.data ? (double)weight[i] : 1;
            if (is_ignored(job, target[i])) continue;
            weight_sum += job->class_weight ? w * job->class_weight[target[i]] : w;
        }
    }
    result->weight_sum = weight_sum;
}

/* The two places where a formula is evaluated, compiled for each loss; everything else is shared by all. */
typedef struct row_formula {
    void (*terms)(row_stats *s, ptrdiff_t n, const fl_job *job);
    void (*soft)(const real *z, const real *e, real *a, real *second, ptrdiff_t rows, ptrdiff_t n, const fl_job *job,
                 row_stats *s);
} row_formula;

/* log of (others + own), where the larger of the two holds the 1 of the largest logit */
ALWAYS_INLINE vreal log_of_row_sum(vreal others, vreal own, ptrdiff_t n_classes)
{
    vreal above_one = others + (own - ONE);
    return n_classes == 2 ? log1p_unit(above_one) : log1p_nonnegative(above_one);
}

/* Row statistics to value and coefficients, a vector of rows at a time. */
#define DEFINE_TERMS(name)                                                                       \
    static void name##_terms(row_stats *s, ptrdiff_t n, const fl_job *job)                       \
    {                                                                                            \
        for (ptrdiff_t i = 0; i < n; i += WIDTH) {                                               \
            vreal others = load(s->others + i), own = load(s->own + i), w = load(s->weight + i); \
            vreal inverse = ONE / (others + own);                                                \
            vreal distance = load(s->distance + i);                                              \
            vreal log_sum = log_of_row_sum(others, own, job->n_classes);                         \
            terms t = name((probability){.p = own * inverse,                                     \
                                         .rest = others * inverse,                               \
                                         .loss = distance + log_sum,                             \
                                         .distance = distance,                                   \
                                         .log_sum = log_sum,                                     \
                                         .amount = ONE,                                          \
                                         .coefficients = job->coefficients});                    \
            store(s->value + i, choose(eq(w, ZERO), ZERO, t.value * w));                         \
            if (job->want == FL_VALUE) continue;                                                 \
            store(s->inverse + i, inverse);                                                      \
            store(s->first + i, t.first);                                                        \
            if (!(job->want & FL_HESSIAN)) continue;                                             \
            store(s->second + i, t.second);                                                      \
            store(s->bound + i, t.bound);                                                        \
        }                                                                                        \
    }

/* For the functions of a row, and as the first step with soft targets: value = log of the sum, plus the largest logit for
 * logsumexp. */
SHARED void sum_terms(row_stats *s, ptrdiff_t n, const fl_job *job, int kind)
{
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        vreal log_sum = log_of_row_sum(load(s->others + i), load(s->own + i), job->n_classes);
        store(s->inverse + i, ONE / (load(s->others + i) + load(s->own + i)));
        store(s->value + i, kind == ROW_LOGSUMEXP ? load(s->distance + i) + log_sum : log_sum);
    }
}

/* What the Hessian of a row with a class index is made of. */
typedef struct row_curve {
    vreal first, second, bound, inverse, scaled;
    vreal others, own, sum, rest_of_largest, per_other; /* per_other: 1 / others */
} row_curve;

ALWAYS_INLINE row_curve complete(row_curve c, vreal smaller)
{
    c.sum = c.others + c.own;
    c.rest_of_largest = smaller * c.inverse;
    c.per_other = choose(eq(c.others, ZERO), ZERO, ONE / c.others);
    return c;
}

ALWAYS_INLINE row_curve row_curves(const row_stats *s, ptrdiff_t i)
{
    row_curve c = {.first = load(s->first + i),
                   .second = load(s->second + i),
                   .bound = load(s->bound + i),
                   .inverse = load(s->inverse + i),
                   .scaled = load(s->scaled + i),
                   .others = load(s->others + i),
                   .own = load(s->own + i)};
    return complete(c, load(s->smaller + i));
}

ALWAYS_INLINE row_curve row_curve_at(const row_stats *s, ptrdiff_t r)
{
    row_curve c = {.first = splat(s->first[r]),
                   .second = splat(s->second[r]),
                   .bound = splat(s->bound[r]),
                   .inverse = splat(s->inverse[r]),
                   .scaled = splat(s->scaled[r]),
                   .others = splat(s->others[r]),
                   .own = splat(s->own[r])};
    return complete(c, splat(s->smaller[r]));
}

/* The Hessian at a class that is not the target, from its exponential. */
ALWAYS_INLINE vreal other_hessian(vreal e, const row_curve *c, int curvature)
{
    vreal p = e * c->inverse, q = e * c->per_other;
    /* 1 - p as a sum: of all but the largest, if this is it */
    vreal rest = choose(eq(e, ONE), c->rest_of_largest, (c->sum - e) * c->inverse);
    if (curvature == FL_MAJORIZE) return choose(eq(p, p), c->bound, p) * c->scaled;
    if (curvature == FL_PSD) return not_flat(vabs(c->first) * p * rest, c->first * p) * c->scaled;
    return fmadd(c->second, q * q, c->first * p * rest) * c->scaled;
}

/* And at the target. */
ALWAYS_INLINE vreal own_hessian(const row_curve *c, int curvature)
{
    vreal p = c->own * c->inverse, rest = c->others * c->inverse;
    if (curvature == FL_MAJORIZE) return choose(eq(p, p), c->bound, p) * c->scaled;
    if (curvature == FL_PSD) return not_flat(vabs(c->first) * p * rest, c->first * rest) * c->scaled;
    return fmadd(c->first * p, rest, c->second) * c->scaled;
}

#include "rows_tiled.h"
#include "rows_full.h"
#include "rows_long.h"

/* Which driver a job goes through. */
enum regime { TILED, MEDIUM, VERY_LONG };

ALWAYS_INLINE enum regime regime_of(const fl_job *job)
{
    const ptrdiff_t size = sizeof(real);
    const int row_after_row = job->n_inner == 1 && job->prediction.classes == size &&
                              (!job->gradient.data || job->gradient.classes == size) &&
                              (!job->hessian.data || job->hessian.classes == size);
    if (job->n_classes <= FEW_CLASSES || !row_after_row || is_soft(job)) return TILED;
    if (job->n_classes <= PIECE) return MEDIUM;
    return job->want & FL_HESSIAN ? TILED : VERY_LONG;
}

SHARED ptrdiff_t run_rows(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum, const row_formula *f,
                          int kind)
{
    if (job->full != FL_DIAGONAL) return rows_full(job, first, count, sum, f);
    switch (regime_of(job)) {
    case TILED:
        if (kind != ROW_LOGSUMEXP && is_few(job)) return rows_few(job, first, count, sum, f, kind);
        return rows_tiled(job, first, count, sum, f, kind);
    case MEDIUM: return rows_medium(job, first, count, sum, f, kind);
    default: return rows_very_long(job, first, count, sum, f, kind);
    }
}

static ptrdiff_t rowwise_scratch(const fl_job *job)
{
    if (job->full != FL_DIAGONAL) return full_scratch(job);
    switch (regime_of(job)) {
    case TILED: return tiled_scratch(job);
    case MEDIUM: return medium_scratch(job);
    default: return long_scratch(job);
    }
}

DEFINE_CHECK(rowwise)

#define DEFINE_ROWWISE(name, n_coefficients_, outputs_, scratch_)                                              \
    FL_DEFINE_LOSS(name, .kind = FL_ROWWISE, .target = FL_CLASS_TARGET, .domain = FL_UNIT_INTERVAL,            \
                   .n_coefficients = n_coefficients_, .outputs = outputs_, .check = rowwise_check,             \
                   .scratch = scratch_, ONE_PASS(name))

/* Makes a loss of a formula. */
#define ROWWISE(name, n_coefficients)                                                               \
    DEFINE_TERMS(name)                                                                              \
    DEFINE_SOFT(name)                                                                               \
    static ptrdiff_t name##_block(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum) \
    {                                                                                               \
        static const row_formula f = {name##_terms, name##_soft};                                   \
        return run_rows(job, first, count, sum, &f, ROW_LOSS);                                      \
    }                                                                                               \
    DEFINE_ROWWISE(name, n_coefficients, FOR_ALL | FL_FULL_HESSIAN, rowwise_scratch)

/* The functions of a row: no target, no formula; the result is the "gradient", or for logsumexp the value. */
#define ROW_FUNCTION(name, kind_, output)                                                           \
    static ptrdiff_t name##_block(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum) \
    {                                                                                               \
        return run_rows(job, first, count, sum, NULL, kind_);                                       \
    }                                                                                               \
    FL_DEFINE_LOSS(name, .kind = FL_ROW_FUNCTION, .outputs = output, .scratch = rowwise_scratch, ONE_PASS(name))

#endif
