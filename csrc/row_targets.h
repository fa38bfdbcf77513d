/* Targets and weights of rows: class indices, probabilities, their checks. */
#ifndef FASTLOSS_ROW_TARGETS_H
#define FASTLOSS_ROW_TARGETS_H

#include "checks.h"
#include "fastloss.h"
#include "passes.h"
#include "row_terms.h"
#include "tiles.h"

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

DEFINE_CHECK(rowwise)

/* a_k of every class: what the targets of this tile weigh, with class weights and label smoothing. */
SHARED ptrdiff_t load_soft_targets(real *a, ptrdiff_t rows, const fl_job *job, ptrdiff_t first, ptrdiff_t n,
                                   const row_stats *s)
{
    const ptrdiff_t n_classes = job->n_classes;
    const real keep = (real)(1 - job->label_smoothing), each = (real)(job->label_smoothing / (double)n_classes);
    if (job->soft) {
        load_tile(a, rows, &job->target, job, first, n);
        if (job->check_target)
            for (ptrdiff_t k = 0; k < n_classes; k++)
                for (ptrdiff_t i = 0; i < n; i++)
                    if (!(a[k * rows + i] >= 0 && a[k * rows + i] <= 1) && s->weight[i] != 0)
                        return place_of(job, first + i, k);
    }
    for (ptrdiff_t k = 0; k < n_classes; k++) {
        const real class_weight = job->class_weight ? (real)job->class_weight[k] : 1;
        real *to = a + k * rows;
        for (ptrdiff_t i = 0; i < round_up(n, LANES); i++)
            to[i] = class_weight * (keep * (job->soft ? to[i] : (real)(s->target[i] == (real_int)k)) + each);
        if (job->soft && job->weight.data)
            for (ptrdiff_t i = 0; i < n; i++)
                if (s->weight[i] == 0) to[i] = 0;
    }
    return -1;
}

#endif
