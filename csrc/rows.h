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
enum { FEW_CLASSES = 32 };    /* up to here C-ordered rows go through tiles, too */

/* What a formula gets: p, 1 - p and -log p of one class, each right to the last digits. */
typedef struct probability {
    vreal p, rest, loss;
    const double *coefficients;
} probability;

/* What it says: f, c = -p f'(p), E = (1 - p)^2 D, where D weighs (p_j - [j = k])^2 in the Hessian, and a bound that
 * the largest eigenvalue of the Hessian exceeds nowhere. */
typedef struct terms {
    vreal value, first, second, bound;
} terms;

typedef terms (*row_formula)(probability);

/* What the driver makes of a row. */
enum row_kind { ROW_LOSS, ROW_LOG_SOFTMAX, ROW_SOFTMAX, ROW_LOGSUMEXP };

/* One number for each row of a tile. */
typedef struct row_stats {
    CACHE_ALIGNED real weight[MAX_ROWS];  /* of the value: sample weight times class weight; 0 if the row counts nowhere */
    CACHE_ALIGNED real scaled[MAX_ROWS];  /* of the derivatives: weight times job->scale */
    CACHE_ALIGNED real distance[MAX_ROWS]; /* M - z_y, or M for logsumexp */
    CACHE_ALIGNED real others[MAX_ROWS];
    CACHE_ALIGNED real own[MAX_ROWS];     /* e_y */
    CACHE_ALIGNED real smaller[MAX_ROWS]; /* sum of e_k but the largest, for the Hessian */
    CACHE_ALIGNED real value[MAX_ROWS];
    CACHE_ALIGNED real inverse[MAX_ROWS]; /* 1 / sum of all e_k */
    CACHE_ALIGNED real first[MAX_ROWS], second[MAX_ROWS], bound[MAX_ROWS];
    CACHE_ALIGNED real_int target[MAX_ROWS];
} row_stats;

ALWAYS_INLINE ptrdiff_t round_up(ptrdiff_t n, ptrdiff_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/* Address of (row, class 0), rows counted over outer and inner. */
ALWAYS_INLINE char *row_at(const fl_array *array, ptrdiff_t n_inner, ptrdiff_t row)
{
    return array->data + row / n_inner * array->outer + row % n_inner * array->inner;
}

/* Integers of any type as int64; an uint64 beyond its range becomes the largest, which is no class either. */
SHARED void load_integers(int64_t *tile, const char *from, ptrdiff_t stride, int type, ptrdiff_t count)
{
    switch (type) {
#define CASE(code, ctype)                                                                                \
    case code:                                                                                           \
        for (ptrdiff_t i = 0; i < count; i++)                                                            \
            tile[i] = (int64_t) * (const ctype *)(const void *)(from + i * stride);                      \
        break;
        FOR_EACH_INTEGER_TYPE(CASE)
#undef CASE
    }
    if (type == FL_U64)
        for (ptrdiff_t i = 0; i < count; i++)
            if (tile[i] < 0) tile[i] = INT64_MAX;
}

ALWAYS_INLINE int is_ignored(const fl_job *job, int64_t target)
{
    return job->has_ignore_index && target == job->ignore_index;
}

/* Class indices and weights of rows [first, first + n), n <= MAX_ROWS. The indices have been checked. */
SHARED void load_targets(const fl_job *job, ptrdiff_t first, ptrdiff_t n, row_stats *s)
{
    const ptrdiff_t padded = round_up(n, LANES);
    if (job->weight.data)
        load_elements(s->weight, &job->weight, job->n_inner, first, n);
    else
        for (ptrdiff_t i = 0; i < n; i++) s->weight[i] = 1;
    if (job->target.data && !job->soft) {
        int64_t target[MAX_ROWS];
        FOR_EACH_RUN(&job->target, job->n_inner, first, n,
                     load_integers(target + done, at, job->target.inner, job->target.type, run))
        if (job->has_ignore_index)
            for (ptrdiff_t i = 0; i < n; i++)
                if (is_ignored(job, target[i])) s->weight[i] = 0, target[i] = 0;
        if (job->class_weight && job->label_smoothing == 0) /* smoothed targets carry the class weights themselves */
            for (ptrdiff_t i = 0; i < n; i++) s->weight[i] *= (real)job->class_weight[target[i]];
        for (ptrdiff_t i = 0; i < n; i++) s->target[i] = (real_int)target[i];
    }
    for (ptrdiff_t i = n; i < padded; i++) s->weight[i] = 0, s->target[i] = 0;
    for (ptrdiff_t i = 0; i < padded; i++) s->scaled[i] = s->weight[i] * (real)job->scale;
}

/* Targets are classes or probabilities, weights finite and >= 0; adds up the weights of the rows that count. */
SHARED void check_rowwise(const fl_job *job, ptrdiff_t first, ptrdiff_t count, fl_checked *result)
{
    CACHE_ALIGNED real weight[MAX_ROWS];
    int64_t target[MAX_ROWS];
    double weight_sum = 0;
    *result = (fl_checked){0, -1, -1};
    for (ptrdiff_t end = first + count; first < end; first += MAX_ROWS) {
        const ptrdiff_t n = end - first < MAX_ROWS ? end - first : MAX_ROWS;
        if (job->weight.data)
            sum_weights(weight, &job->weight, job->n_inner, first, n, &result->bad_weight);
        if (job->soft) {
            if (job->weight.data)
                for (ptrdiff_t i = 0; i < n; i++) weight_sum += (double)weight[i];
            else
                weight_sum += (double)n;
            continue;
        }
        FOR_EACH_RUN(&job->target, job->n_inner, first, n,
                     load_integers(target + done, at, job->target.inner, job->target.type, run))
        int64_t bad = 0;
        for (ptrdiff_t i = 0; i < n; i++)
            bad |= (int64_t)((uint64_t)target[i] >= (uint64_t)job->n_classes && !is_ignored(job, target[i]));
        for (ptrdiff_t i = 0; bad && result->bad_target < 0; i++)
            if ((uint64_t)target[i] >= (uint64_t)job->n_classes && !is_ignored(job, target[i]))
                result->bad_target = first + i;
        if (bad) return;
        if (!job->weight.data && !job->class_weight && !job->has_ignore_index) {
            weight_sum += (double)n;
            continue;
        }
        for (ptrdiff_t i = 0; i < n; i++) {
            double w = job->weight.data ? (double)weight[i] : 1;
            if (is_ignored(job, target[i])) continue;
            weight_sum += job->class_weight ? w * job->class_weight[target[i]] : w;
        }
    }
    result->weight_sum = weight_sum;
}

/* Row statistics to value and coefficients, a vector of rows at a time. */
ALWAYS_INLINE void row_terms(row_stats *s, ptrdiff_t n, row_formula f, const double *coefficients, const int kind)
{
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        vreal others = load(s->others + i), own = load(s->own + i), distance = load(s->distance + i);
        vreal log_sum = log1p_nonnegative(others + (own - ONE));
        vreal inverse = ONE / (others + own);
        store(s->inverse + i, inverse);
        if (kind == ROW_LOSS) {
            vreal w = load(s->weight + i);
            terms t = f((probability){own * inverse, others * inverse, distance + log_sum, coefficients});
            store(s->value + i, choose(eq(w, ZERO), ZERO, t.value * w));
            store(s->first + i, t.first);
            store(s->second + i, t.second);
            store(s->bound + i, t.bound);
        } else {
            store(s->value + i, kind == ROW_LOGSUMEXP ? distance + log_sum : log_sum);
        }
    }
}

/* The curvature at p_j (1 - p_j) = p * rest, with the extras of the kind of curvature that is asked for. */
ALWAYS_INLINE vreal curve(vreal first, vreal p, vreal rest, int curvature)
{
    if (curvature == FL_PSD) rest = vmax(C(CURVATURE_FLOOR), rest);
    return first * p * rest;
}

#include "rows_tiled.h"

ALWAYS_INLINE ptrdiff_t rowwise_block(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum, row_formula f)
{
    const int soft = job->soft || job->label_smoothing > 0;
    switch (job->want) {
#define CASE(want)                                                                             \
    case want:                                                                                 \
        return soft ? rows_tiled(job, first, count, sum, f, ROW_LOSS, 1, want)                 \
                    : rows_tiled(job, first, count, sum, f, ROW_LOSS, 0, want);
        CASE(FL_VALUE)
        CASE(FL_VALUE | FL_GRADIENT)
    default:
        CASE(FL_VALUE | FL_GRADIENT | FL_HESSIAN)
#undef CASE
    }
}

/* Makes a loss of a formula. */
#define ROWWISE(name)                                                                              \
    static ptrdiff_t name##_block(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum) \
    {                                                                                              \
        return rowwise_block(job, first, count, sum, name);                                        \
    }                                                                                              \
    static const fl_loss name##_loss = {#name, name##_block, FL_UNIT_INTERVAL};

/* The functions of a row: no target, the result is the "gradient", or for logsumexp the value. */
ALWAYS_INLINE terms no_loss(probability y) { return (terms){y.loss, y.p, y.p, y.p}; }
#define ROW_FUNCTION(name, kind, want)                                                             \
    static ptrdiff_t name##_block(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum) \
    {                                                                                              \
        return rows_tiled(job, first, count, sum, no_loss, kind, 0, want);                          \
    }                                                                                              \
    static const fl_loss name##_loss = {#name, name##_block, FL_ANY};

static ptrdiff_t rowwise_scratch(const fl_job *job) { return tiled_scratch(job); }

#endif
