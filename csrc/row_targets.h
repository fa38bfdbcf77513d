/* Targets and weights of rows: class indices, probabilities, their checks. */
#ifndef FASTLOSS_ROW_TARGETS_H
#define FASTLOSS_ROW_TARGETS_H

#include "checks.h"
#include "fastloss.h"
#include "passes.h"
#include "row_terms.h"
#include "tiles.h"

enum { PIECE = 16384 / sizeof(real) }; /* of a long row, which stays in L1 */
enum { LONG_ROW = 131072 }; /* rows of more classes are blocks of classes, whose sums are added in their order */
enum { CLASSES_OF_BLOCK = 8 * PIECE };

/* Whether the classes of an array's rows follow each other in memory. */
ALWAYS_INLINE int classes_are_dense(const fl_array *array, const fl_job *job)
{
    return (job->n_inner == 1 || job->by_row) && array->classes == size_of_type(array->type);
}

/* Classes [start, start + n) of a row: where they are, or converted or put together in `aside`. */
ALWAYS_INLINE const real *row_piece(const fl_array *array, ptrdiff_t row, ptrdiff_t start, ptrdiff_t n, real *aside)
{
    const char *from = array->data + row * array->outer + start * array->classes;
    if (array->type == REAL_TYPE && array->classes == (ptrdiff_t)sizeof(real)) return (const real *)(const void *)from;
    load_strided(aside, from, array->classes, array->type, n);
    return aside;
}

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

/* The first of n indices that is no class, or -1. A loop without comparisons, which every instruction set has vectors for: the
 * sign bit of t | (n_classes - 1 - t) is set just where t lies outside. */
#define DEFINE_FIRST_OUTSIDE(name, type, bits)                                                         \
    SHARED ptrdiff_t name(const type *target, ptrdiff_t n, ptrdiff_t n_classes)                        \
    {                                                                                                  \
        bits outside = 0;                                                                              \
        const bits last = (bits)(n_classes - 1);                                                       \
        for (ptrdiff_t i = 0; i < n; i++) outside |= (bits)target[i] | (bits)(last - (bits)target[i]); \
        if ((type)outside >= 0) return -1;                                                             \
        for (ptrdiff_t i = 0; i < n; i++)                                                              \
            if ((bits)target[i] > last) return i;                                                      \
        return -1;                                                                                     \
    }
DEFINE_FIRST_OUTSIDE(first_outside, int64_t, uint64_t)
#if FL_REAL == 32
DEFINE_FIRST_OUTSIDE(first_loaded_outside, int32_t, uint32_t)
#else
DEFINE_FIRST_OUTSIDE(first_loaded_outside, int64_t, uint64_t)
#endif

/* Class indices and weights of rows [first, first + n), n <= MAX_ROWS. Returns -1, or the place of the first index that is no
 * class: they have been checked, but may have been written to since, by another thread. Then no index is loaded that is none. */
SHARED ptrdiff_t load_targets(const fl_job *job, ptrdiff_t first, ptrdiff_t n, row_stats *s)
{
    const ptrdiff_t padded = round_up(n, LANES), n_classes = job->n_classes;
    const int by_class = job->target.data && !job->soft;
    for (ptrdiff_t i = n; i < padded; i++) s->target[i] = 0;
    if (!is_weighted(job)) {
        if (!by_class) return -1;
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
        const ptrdiff_t bad = first_loaded_outside(s->target, n, n_classes);
        return bad < 0 ? -1 : first + bad;
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
        const ptrdiff_t bad = first_outside(target, n, n_classes);
        if (bad >= 0) return first + bad;
        if (job->class_weight && job->label_smoothing == 0) /* smoothed targets carry the class weights themselves */
            for (ptrdiff_t i = 0; i < n; i++) s->weight[i] *= (real)job->class_weight[target[i]];
        for (ptrdiff_t i = 0; i < n; i++) s->target[i] = (real_int)target[i];
    }
    for (ptrdiff_t i = n; i < padded; i++) s->weight[i] = 0;
    for (ptrdiff_t i = 0; i < padded; i++) s->scaled[i] = s->weight[i] * (real)job->scale;
    return -1;
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
        const ptrdiff_t bad =
            earlier(check_domain(t, n, FL_UNIT_INTERVAL, &hard),
                    check_wide_domain(&column, job, first, n, FL_UNIT_INTERVAL, job->weight.data ? weight : NULL));
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
        if (plain && first_outside((const int64_t *)(const void *)job->target.data + first, n, job->n_classes) < 0) {
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
        if (job->check_target) {
            fl_array column = job->target;
            for (ptrdiff_t k = 0; k < n_classes; k++, column.data += column.classes) {
                const ptrdiff_t bad = check_wide_domain(&column, job, first, n, FL_UNIT_INTERVAL, s->weight);
                if (bad >= 0) return place_of(job, first + bad, k);
                for (ptrdiff_t i = 0; i < n; i++)
                    if (!(a[k * rows + i] >= 0 && a[k * rows + i] <= 1) && s->weight[i] != 0)
                        return place_of(job, first + i, k);
            }
        }
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

/* The same for classes [start, start + n) of one row, which counts or not; its class index, where targets are no probabilities.
 * Whole lanes: beyond the last class 0. */
SHARED ptrdiff_t load_amounts(real *a, const fl_job *job, ptrdiff_t row, real_int class_index, ptrdiff_t start,
                              ptrdiff_t n, int counts)
{
    const ptrdiff_t padded = round_up(n, LANES);
    const real keep = (real)(1 - job->label_smoothing), each = (real)(job->label_smoothing / (double)job->n_classes);
    for (ptrdiff_t k = job->soft && counts ? n : 0; k < padded; k++) a[k] = 0;
    if (!counts) return -1;
    if (job->soft) {
        const fl_array *t = &job->target; /* `along`: the classes, as check_wide_domain goes through rows */
        const fl_array along = {t->data + row * t->outer, job->n_inner * t->classes, 0, t->classes, t->type};
        int hard;
        load_strided(a, along.data + start * along.inner, along.inner, along.type, n);
        const ptrdiff_t bad = !job->check_target
                                  ? -1
                                  : earlier(check_domain(a, n, FL_UNIT_INTERVAL, &hard),
                                            check_wide_domain(&along, job, start, n, FL_UNIT_INTERVAL, NULL));
        if (bad >= 0) return place_of(job, row, start + bad);
    } else if (class_index >= start && class_index < start + n)
        a[class_index - start] = 1;
    if (job->label_smoothing > 0)
        for (ptrdiff_t k = 0; k < n; k++) a[k] = keep * a[k] + each;
    if (job->class_weight)
        for (ptrdiff_t k = 0; k < n; k++) a[k] *= (real)job->class_weight[start + k];
    return -1;
}

#endif
