/* Rows in lanes: for few classes, for arrays whose rows lie that way in memory (F order, classes along a leading axis), and for
 * whatever else is not covered by rows_long.h.
 */
#ifndef FASTLOSS_ROWS_TILED_H
#define FASTLOSS_ROWS_TILED_H

#include "row_targets.h"
#include "row_terms.h"
#include "rows_soft.h"
#include "sums.h"
#include "tiles.h"

/* Where a class of neighbouring rows lies in one piece, many rows make a tile: so that the pieces are long. It stays in the second
 * level. A multiple of what are added up together. */
enum { COLUMN_TILE_BYTES = 196608 };

ALWAYS_INLINE ptrdiff_t tiled_rows_together(const fl_job *job)
{
    const ptrdiff_t rows = rows_in_tile(job), n_rows = job->n_outer * job->n_inner;
    if (classes_are_dense(&job->prediction, job)) return rows;
    ptrdiff_t most = COLUMN_TILE_BYTES / (ptrdiff_t)sizeof(real) / job->n_classes;
    most = most > MAX_ROWS ? MAX_ROWS : most;
    most = most > n_rows ? n_rows : most;
    return most < rows ? rows : most / rows * rows;
}

/* Logits, exponentials, Hessian, targets, and rows on their way out. */
ALWAYS_INLINE ptrdiff_t tiled_scratch(const fl_job *job) { return bytes_of_tiles(job, tiled_rows_together(job), 5); }

/* How the exponentials of a row are added up, in every loop that does it for rows in lanes. So that rounding stays near one ulp
 * for any number of classes: all in one up to PARTIAL, in two halves up to FEW_SUMS, beyond that PARTIAL at a time, put
 * aside exactly. */
enum { PARTIAL = 6, FEW_SUMS = 16 };

ALWAYS_INLINE ptrdiff_t end_of_partial_sum(ptrdiff_t k, ptrdiff_t n_classes)
{
    if (n_classes <= PARTIAL) return n_classes;
    if (n_classes <= FEW_SUMS) return k ? n_classes : n_classes / 2;
    return k + PARTIAL < n_classes ? k + PARTIAL : n_classes;
}

/* The largest of each row of a vector of rows, infinite ones settled. *reported: before that. */
ALWAYS_INLINE vreal largest_of_rows(real *z, ptrdiff_t tile_stride, ptrdiff_t n_classes, enum row_kind kind,
                                    vreal *reported)
{
    vreal largest = load(z);
    for (ptrdiff_t k = 1; k < n_classes; k++) largest = vmax(load(z + k * tile_stride), largest);
    *reported = largest;
    if (all_true(lt(vabs(largest), UNIFORM(REAL_INFINITY)))) return largest;
    for (ptrdiff_t j = 0; j < WIDTH; j++) {
        real m = z[j];
        for (ptrdiff_t k = 1; k < n_classes; k++)
            if (z[k * tile_stride + j] > m || m != m) m = z[k * tile_stride + j];
        if (m == REAL_INFINITY || m == -REAL_INFINITY) replace_infinite_logits(z + j, tile_stride, n_classes, m, kind);
    }
    largest = load(z);
    for (ptrdiff_t k = 1; k < n_classes; k++) largest = vmax(load(z + k * tile_stride), largest);
    return largest;
}

/* The class of the largest logit of each row, of equal ones the first. */
ALWAYS_INLINE vint first_of_largest(const real *z, ptrdiff_t tile_stride, ptrdiff_t n_classes, vreal largest)
{
    vreal at = ZERO; /* an integer's bits */
    for (ptrdiff_t k = n_classes - 1; k > 0; k--)
        at = choose(eq(load(z + k * tile_stride), largest), from_bits(splat_int((real_int)k)), at);
    return bits_of(choose(eq(load(z), largest), ZERO, at));
}

/* A tile of n rows: logits, their exponentials, which take their place where e == z; and what happens in memory meanwhile: what
 * is read next comes in, what was computed before goes out. */
typedef struct tile_run {
    real *z, *e;
    ptrdiff_t stride, n;
    const char *ahead;
    ptrdiff_t ahead_bytes;
    ptrdiff_t ahead_classes; /* from class to class of what lies in columns; else 0 */
    streaming_copy *flow;
} tile_run;

/* The statistics of all rows of a tile, and the exponentials. */
ALWAYS_INLINE void tile_statistics(const tile_run *t, const fl_job *job, row_stats *s, const enum row_kind kind,
                                   const int keep, const int by_target, const int want_smaller)
{
    real *z = t->z, *e = t->e;
    const ptrdiff_t tile_stride = t->stride, n = t->n, ahead_bytes = t->ahead_bytes, ahead_classes = t->ahead_classes;
    const char *ahead = t->ahead;
    const ptrdiff_t n_classes = job->n_classes;
    ptrdiff_t fetched = 0;
    streaming_copy leaving = *t->flow;
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        vreal reported, largest = largest_of_rows(z + i, tile_stride, n_classes, kind, &reported);
        if (!by_target) store_int(s->target + i, first_of_largest(z + i, tile_stride, n_classes, largest));
        const vint target = load_int(s->target + i);
        exact_sum sum_others = {ZERO, ZERO}, sum_below_max = {ZERO, ZERO};
        vreal exp_target = ZERO, distance = ZERO, ties = ZERO, lower = ZERO;
        if (n_classes == 2) lower = exp_nonpositive(-vabs(load(z + i) - load(z + tile_stride + i)));
        for (ptrdiff_t k0 = 0, k1; k0 < n_classes; k0 = k1) {
            k1 = end_of_partial_sum(k0, n_classes);
            vreal part = ZERO, smaller_part = ZERO;
            for (ptrdiff_t k = k0; k < k1; k++) {
                vreal x = load(z + k * tile_stride + i) - largest;
                /* of two classes one exponential is 1; nan != nan keeps a nan */
                vreal y = n_classes == 2 ? choose(eq(x, ZERO), ONE, lower) : exp_nonpositive(x);
                vmask mine = eq_int(target, splat_int((real_int)k));
                part += choose(mine, ZERO, y);
                exp_target = choose(mine, y, exp_target);
                distance = choose(mine, x, distance); /* with the other sign */
                if (want_smaller) {
                    vmask top = eq(y, ONE);
                    smaller_part += choose(top, ZERO, y);
                    ties += choose(top, ONE, ZERO);
                }
                if (keep) store(e + k * tile_stride + i, y);
                if (fetched < ahead_bytes) prefetch_far(ahead + fetched), fetched += 64;
                if (ahead_classes) prefetch_far(ahead + k * ahead_classes + i * (ptrdiff_t)sizeof(real));
                if (k % GROUP == 0) advance_copy(&leaving);
            }
            if (n_classes <= FEW_SUMS)
                sum_others.sum = k0 ? sum_others.sum + part : part;
            else
                add_to(&sum_others, part);
            if (want_smaller) add_to(&sum_below_max, smaller_part);
        }
        store(s->sum_others + i, n_classes <= FEW_SUMS ? sum_others.sum : value_of(sum_others));
        store(s->exp_target + i, exp_target);
        store(s->distance + i, kind == ROW_LOGSUMEXP ? reported : -distance);
        if (want_smaller) store(s->sum_below_max + i, value_of(sum_below_max) + (ties - ONE));
        if (!by_target) store(s->largest + i, largest);
    }
    *t->flow = leaving;
}

/* The sets of options that occur, a copy each: they are shared by all losses. */
#define STATISTICS(name, kind, keep, by_target, want_smaller)            \
    SHARED void name(const tile_run *t, const fl_job *job, row_stats *s) \
    {                                                                    \
        tile_statistics(t, job, s, kind, keep, by_target, want_smaller); \
    }
STATISTICS(statistics_value, ROW_LOSS, 0, 1, 0)
STATISTICS(statistics_gradient, ROW_LOSS, 1, 1, 0)
STATISTICS(statistics_hessian, ROW_LOSS, 1, 1, 1)
STATISTICS(statistics_soft, ROW_LOSS, 1, 0, 0)
STATISTICS(statistics_log_softmax, ROW_LOG_SOFTMAX, 0, 0, 0)
STATISTICS(statistics_softmax, ROW_SOFTMAX, 1, 0, 0)
STATISTICS(statistics_logsumexp, ROW_LOGSUMEXP, 0, 0, 0)

/* Index targets: one class counts. e becomes the gradient. */
ALWAYS_INLINE void tile_hard(real *e, real *hessian, ptrdiff_t tile_stride, ptrdiff_t n, const fl_job *job,
                             row_stats *s, const int with_hessian)
{
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        vint target = load_int(s->target + i);
        vreal others_gradient = load(s->first + i) * load(s->inverse + i) * load(s->scaled + i);
        vreal own_gradient = -(load(s->sum_others + i) * others_gradient);
        const vmask nothing = eq(load(s->weight + i), ZERO); /* +0 and not -0, as in registers (rows_few.h) */
        others_gradient = choose(nothing, ZERO, others_gradient), own_gradient = choose(nothing, ZERO, own_gradient);
        row_state c;
        vreal own_curvature = ZERO;
        if (with_hessian) c = rows_at(s, i), own_curvature = own_hessian(&c, job->curvature);
        for (ptrdiff_t k = 0; k < job->n_classes; k++) {
            vreal y = load(e + k * tile_stride + i);
            vmask mine = eq_int(target, splat_int((real_int)k));
            store(e + k * tile_stride + i, choose(mine, own_gradient, y * others_gradient));
            if (with_hessian)
                store(hessian + k * tile_stride + i, choose(mine, own_curvature, other_hessian(y, &c, job->curvature)));
        }
    }
}

SHARED void tile_hard_gradient(real *e, ptrdiff_t tile_stride, ptrdiff_t n, const fl_job *job, row_stats *s)
{
    tile_hard(e, NULL, tile_stride, n, job, s, 0);
}

SHARED void tile_hard_hessian(real *e, real *hessian, ptrdiff_t tile_stride, ptrdiff_t n, const fl_job *job,
                              row_stats *s)
{
    tile_hard(e, hessian, tile_stride, n, job, s, 1);
}

typedef struct tiled_rows {
    real *z, *e, *hessian, *packed, *a;
    ptrdiff_t rows;
    streaming_copy flow;
    row_stats s;
} tiled_rows;

ALWAYS_INLINE void divide_tiled_scratch(const fl_job *job, tiled_rows *t)
{
    t->rows = tiled_rows_together(job), t->flow = (streaming_copy){0};
    const ptrdiff_t tile_size = round_up(t->rows * job->n_classes + LANES, LANES);
    t->z = (real *)round_up((ptrdiff_t)job->scratch, 64);
    t->hessian = t->z + tile_size, t->packed = t->hessian + tile_size, t->a = t->packed + tile_size;
    t->e = is_soft(job) ? t->a + tile_size : t->z;
}

/* `left`: rows of the block from `first` on. */
SHARED void statistics_of_tile(const fl_job *job, ptrdiff_t first, ptrdiff_t n, ptrdiff_t left, tiled_rows *t,
                               enum row_kind kind)
{
    const fl_array *x = &job->prediction;
    const int want = job->want;
    const ptrdiff_t next = left - n < t->rows ? left - n : t->rows;
    const int in_columns = !classes_are_dense(x, job);
    const ptrdiff_t at = first + n;
    const tile_run run = {t->z,
                          t->e,
                          t->rows,
                          round_up(n, LANES),
                          x->data + at / job->n_inner * x->outer + at % job->n_inner * x->inner,
                          in_columns ? 0 : next * job->n_classes * x->classes,
                          in_columns && next > 0 ? x->classes : 0,
                          &t->flow};
    (kind == ROW_LOG_SOFTMAX ? statistics_log_softmax
     : kind == ROW_SOFTMAX   ? statistics_softmax
     : kind == ROW_LOGSUMEXP ? statistics_logsumexp
     : is_soft(job)          ? statistics_soft
     : want == FL_VALUE      ? statistics_value
     : (want & FL_HESSIAN)   ? statistics_hessian
                             : statistics_gradient)(&run, job, &t->s);
    finish_copy(&t->flow);
}

/* Of a tile of a loss value and derivatives, which go out. */
SHARED void derive_rows(const fl_job *job, ptrdiff_t first, ptrdiff_t n, tiled_rows *t, const row_formula *f)
{
    const ptrdiff_t padded = round_up(n, LANES);
    if (is_soft(job)) {
        sum_terms(&t->s, padded, job, ROW_LOSS);
        f->soft(&(soft_tiles){t->z, t->e, t->a, t->hessian, t->rows}, padded, job, &t->s);
        if (job->want != FL_VALUE) derive_soft(t->e, t->a, t->hessian, t->rows, padded, job, &t->s);
    } else {
        f->terms(&t->s, padded, job);
        if (job->want & FL_HESSIAN)
            tile_hard_hessian(t->e, t->hessian, t->rows, padded, job, &t->s);
        else if (job->want & FL_GRADIENT)
            tile_hard_gradient(t->e, t->rows, padded, job, &t->s);
    }
    if (job->gradient.data)
        store_tile(t->e, t->rows, &job->gradient, job, first, n, t->packed, job->hessian.data ? NULL : &t->flow);
    if (job->hessian.data) store_tile(t->hessian, t->rows, &job->hessian, job, first, n, t->packed, NULL);
}

/* The same of a function of a row. */
SHARED void put_function(const fl_job *job, ptrdiff_t first, ptrdiff_t n, tiled_rows *t, enum row_kind kind)
{
    const ptrdiff_t padded = round_up(n, LANES);
    sum_terms(&t->s, padded, job, kind);
    if (kind == ROW_LOGSUMEXP) return;
    for (ptrdiff_t i = 0; i < padded; i += WIDTH) {
        const row_state r = rows_at(&t->s, i);
        for (ptrdiff_t k = 0; k < job->n_classes; k++) {
            real *at = t->z + k * t->rows + i;
            store(at, kind == ROW_SOFTMAX ? load(at) * r.inverse : (load(at) - r.largest) - r.log_sum);
        }
    }
    store_tile(t->z, t->rows, &job->gradient, job, first, n, t->packed, &t->flow);
}

SHARED ptrdiff_t rows_tiled(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum, const row_formula *f,
                            enum row_kind kind)
{
    tiled_rows t;
    double total = 0;
    divide_tiled_scratch(job, &t);
    start_weights(job, round_up(count < t.rows ? count : t.rows, LANES), &t.s);
    for (ptrdiff_t end = first + count; first < end; first += t.rows) {
        const ptrdiff_t n = end - first < t.rows ? end - first : t.rows;
        const ptrdiff_t bad_index = load_targets(job, first, n, &t.s);
        if (bad_index >= 0) return bad_index;
        load_tile(t.z, t.rows, &job->prediction, job, first, n);
        for (ptrdiff_t i = 0; is_weighted(job) && i < n; i++) /* rows that count nowhere are computed from zeros */
            if (t.s.weight[i] == 0)
                for (ptrdiff_t k = 0; k < job->n_classes; k++) t.z[k * t.rows + i] = 0;
        const ptrdiff_t bad = is_soft(job) ? load_soft_targets(t.a, t.rows, job, first, n, &t.s) : -1;
        if (bad >= 0) return bad;
        statistics_of_tile(job, first, n, end - first, &t, kind);
        if (kind == ROW_LOSS)
            derive_rows(job, first, n, &t, f);
        else
            put_function(job, first, n, &t, kind);
        if (job->value.data)
            store_elements(&job->value, job->n_inner, first, n, t.s.value);
        else if (job->want & FL_VALUE)
            for (ptrdiff_t i = 0, part = rows_in_tile(job); i < n; i += part)
                total += sum_reals(t.s.value + i, n - i < part ? n - i : part);
    }
    finish_copy(&t.flow);
    if (job->stream) stream_end();
    *sum = total;
    return -1;
}

#endif
