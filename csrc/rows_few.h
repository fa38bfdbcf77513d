/* Few classes, C-ordered rows: from memory to registers and back, with one stop on the way for the exponentials. */
#ifndef FASTLOSS_ROWS_FEW_H
#define FASTLOSS_ROWS_FEW_H

#include "row_targets.h"
#include "row_terms.h"
#include "rows_tiled.h"
#include "sums.h"
#include "transpose.h"

ALWAYS_INLINE int is_few(const fl_job *job)
{
    const ptrdiff_t n = job->n_outer;
    return job->n_classes >= 2 && job->n_classes < FUSED_CLASSES && !is_soft(job) && !(job->want & FL_HESSIAN) &&
           classes_are_dense(&job->prediction, job) &&
           (!job->gradient.data || classes_are_dense(&job->gradient, job)) &&
           /* rows_tiled.h gives rows that count nowhere a zero of another sign */
           (!is_weighted(job) || (rows_are_packed(&job->prediction, job, n) &&
                                  (!job->gradient.data || rows_are_packed(&job->gradient, job, n))));
}

enum { FEW_AHEAD = 12288 }; /* bytes: what comes in while this is computed */

/* Rows from memory, where their exponentials go, and what goes out meanwhile. */
typedef struct few_run {
    const real *from;
    real *e;
    ptrdiff_t stride, n;
    const char *ahead; /* what comes in meanwhile, so many bytes for each logit */
    ptrdiff_t step;
    streaming_copy *flow;
} few_run;

ALWAYS_INLINE void few_statistics(const few_run *t, const int n_classes, row_stats *s, const int keep,
                                  const int by_target, enum row_kind kind)
{
    const real *from = t->from;
    real *e = t->e;
    const ptrdiff_t tile_stride = t->stride, n = t->n, step = t->step;
    const char *ahead = t->ahead;
    streaming_copy leaving = *t->flow;
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        vreal z[FUSED_CLASSES];
        load_few(z, from + i * n_classes, n_classes, n - i);
        vreal largest = z[0];
        _Pragma("GCC unroll 16") for (int k = 1; k < n_classes; k++) largest = vmax(z[k], largest);
        if (!all_true(lt(vabs(largest), UNIFORM(REAL_INFINITY)))) {
            CACHE_ALIGNED real aside[FUSED_CLASSES * WIDTH];
            for (int k = 0; k < n_classes; k++) store(aside + k * WIDTH, z[k]);
            largest = largest_of_rows(aside, WIDTH, n_classes, kind, &largest);
            for (int k = 0; k < n_classes; k++) z[k] = load(aside + k * WIDTH);
        }
        vint target = splat_int(0);
        if (by_target)
            target = load_int(s->target + i);
        else
            _Pragma("GCC unroll 16") for (int k = n_classes - 1; k >= 0; k--) /* the first of the largest */
                target = bits_of(choose(eq(z[k], largest), from_bits(splat_int((real_int)k)), from_bits(target)));
        vreal sum_others = ZERO, exp_target = ZERO, distance = ZERO, lower = ZERO;
        vreal also = ZERO; /* the second half */
        if (n_classes == 2) lower = exp_nonpositive(-vabs(z[0] - z[1]));
        _Pragma("GCC unroll 16") for (int k = 0; k < n_classes; k++)
        {
            vreal x = z[k] - largest;
            vreal y = n_classes == 2 ? choose(eq(x, ZERO), ONE, lower) : exp_nonpositive(x);
            vmask mine = eq_int(target, splat_int((real_int)k));
            if (k >= end_of_partial_sum(0, n_classes))
                also += choose(mine, ZERO, y);
            else
                sum_others += choose(mine, ZERO, y);
            exp_target = choose(mine, y, exp_target);
            distance = choose(mine, x, distance); /* with the other sign */
            if (keep)
                store(e + k * tile_stride + i,
                      !by_target && kind == ROW_LOG_SOFTMAX ? from_bits(bits_of(x)) : from_bits(bits_of(y)));
            if (k % GROUP == 0) prefetch(ahead + (i * n_classes + k * WIDTH) * step);
            if (keep && k % GROUP == 0) advance_copy(&leaving);
        }
        store(s->sum_others + i, n_classes > PARTIAL ? sum_others + also : sum_others);
        store(s->exp_target + i, exp_target);
        store(s->distance + i, -distance);
    }
    *t->flow = leaving;
}

/* `to` has room for a vector past the last row's end. */
ALWAYS_INLINE void few_gradient(const real *e, real *to, ptrdiff_t tile_stride, const int n_classes, ptrdiff_t n,
                                const row_stats *s)
{
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        vreal g[FUSED_CLASSES];
        vint target = load_int(s->target + i);
        vreal others_gradient = load(s->first + i) * load(s->inverse + i) * load(s->scaled + i);
        vreal own_gradient = -(load(s->sum_others + i) * others_gradient);
        vmask nothing = eq(load(s->weight + i), ZERO); /* whatever the row holds */
        _Pragma("GCC unroll 16") for (int k = 0; k < n_classes; k++)
        {
            vreal other = load(e + k * tile_stride + i) * others_gradient;
            g[k] = choose(nothing, ZERO, choose(eq_int(target, splat_int((real_int)k)), own_gradient, other));
        }
        store_few(to + i * n_classes, g, n_classes, n - i);
    }
}

ALWAYS_INLINE void few_function(const real *e, real *to, ptrdiff_t tile_stride, const int n_classes, ptrdiff_t n,
                                const row_stats *s, enum row_kind kind)
{
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        vreal out[FUSED_CLASSES], inverse = load(s->inverse + i), log_sum = load(s->log_sum + i);
        _Pragma("GCC unroll 16") for (int k = 0; k < n_classes; k++)
        {
            vreal y = load(e + k * tile_stride + i);
            if (kind == ROW_LOG_SOFTMAX)
                out[k] = y - log_sum;
            else
                out[k] = y * inverse;
        }
        store_few(to + i * n_classes, out, n_classes, n - i);
    }
}

#define FEW(k)                                                                                                    \
    SHARED void few_statistics_##k(const few_run *t, row_stats *s, int keep)                                      \
    {                                                                                                             \
        if (keep)                                                                                                 \
            few_statistics(t, k, s, 1, 1, ROW_LOSS);                                                              \
        else                                                                                                      \
            few_statistics(t, k, s, 0, 1, ROW_LOSS);                                                              \
    }                                                                                                             \
    SHARED void few_function_statistics_##k(const few_run *t, row_stats *s, enum row_kind kind)                   \
    {                                                                                                             \
        few_statistics(t, k, s, 1, 0, kind);                                                                      \
    }                                                                                                             \
    SHARED void few_function_##k(const real *e, real *to, ptrdiff_t tile_stride, ptrdiff_t n, const row_stats *s, \
                                 enum row_kind kind)                                                              \
    {                                                                                                             \
        few_function(e, to, tile_stride, k, n, s, kind);                                                          \
    }                                                                                                             \
    SHARED void few_gradient_##k(const real *e, real *to, ptrdiff_t tile_stride, ptrdiff_t n, const row_stats *s) \
    {                                                                                                             \
        few_gradient(e, to, tile_stride, k, n, s);                                                                \
    }
FOR_FUSED_CLASSES(FEW)
#undef FEW

SHARED ptrdiff_t rows_few(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum, const row_formula *f,
                          enum row_kind kind)
{
    const ptrdiff_t n_classes = job->n_classes, rows = rows_in_tile(job);
    real *e = (real *)round_up((ptrdiff_t)job->scratch, 64), *packed = e + rows * n_classes + LANES;
    real *converted = packed + rows * n_classes + LANES; /* logits of another type */
    row_stats s;
    streaming_copy flow = {0};
    double total = 0;
    const int as_they_are = job->prediction.type == REAL_TYPE && rows_are_packed(&job->prediction, job, job->n_outer);
    start_weights(job, round_up(count < rows ? count : rows, LANES), &s);
    for (ptrdiff_t end = first + count; first < end; first += rows) {
        const ptrdiff_t n = end - first < rows ? end - first : rows;
        const char *at = job->prediction.data + first * job->prediction.outer;
        const real *from = as_they_are ? (const real *)(const void *)at : converted;
        if (!as_they_are) gather_rows(converted, &job->prediction, job, first, n);
        const few_run run = {from, e, rows, n, at + FEW_AHEAD, job->prediction.outer / n_classes, &flow};
        const ptrdiff_t bad_index = load_targets(job, first, n, &s);
        if (bad_index >= 0) return bad_index;
        switch (n_classes) {
#define CASE(k)                                                  \
    case k:                                                      \
        if (kind == ROW_LOSS)                                    \
            few_statistics_##k(&run, &s, job->want != FL_VALUE); \
        else                                                     \
            few_function_statistics_##k(&run, &s, kind);         \
        break;
            FOR_FUSED_CLASSES(CASE)
#undef CASE
        }
        finish_copy(&flow);
        if (kind == ROW_LOSS)
            f->terms(&s, round_up(n, LANES), job);
        else
            sum_terms(&s, round_up(n, LANES), job, kind);
        if (job->gradient.data) {
            switch (n_classes) {
#define CASE(k)                                             \
    case k:                                                 \
        if (kind == ROW_LOSS)                               \
            few_gradient_##k(e, packed, rows, n, &s);       \
        else                                                \
            few_function_##k(e, packed, rows, n, &s, kind); \
        break;
                FOR_FUSED_CLASSES(CASE)
#undef CASE
            }
            put_rows(&job->gradient, job, first, n, packed, &flow);
        }
        if (job->value.data)
            store_elements(&job->value, job->n_inner, first, n, s.value);
        else if (job->want & FL_VALUE)
            total += sum_reals(s.value, n);
    }
    finish_copy(&flow);
    if (job->stream) stream_end();
    *sum = total;
    return -1;
}

#endif
