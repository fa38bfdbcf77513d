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

/* Logits, exponentials, Hessian, targets, and rows on their way out. */
ALWAYS_INLINE ptrdiff_t tiled_scratch(const fl_job *job) { return bytes_of_tiles(job, 5); }

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
ALWAYS_INLINE vreal largest_of_rows(real *z, ptrdiff_t tile_stride, ptrdiff_t n_classes, int kind, vreal *reported)
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

/* The statistics of all rows of a tile, and the exponentials, which take the logits' place where e == z. */
ALWAYS_INLINE void tile_statistics(real *z, real *e, ptrdiff_t tile_stride, ptrdiff_t n, const fl_job *job,
                                   row_stats *s, const int kind, const int keep, const int by_target,
                                   const int want_smaller, const char *ahead, ptrdiff_t ahead_bytes,
                                   streaming_copy *flow)
{
    const ptrdiff_t n_classes = job->n_classes;
    ptrdiff_t fetched = 0;
    streaming_copy leaving = *flow;
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        vreal reported, largest = largest_of_rows(z + i, tile_stride, n_classes, kind, &reported);
        vint target;
        if (by_target) {
            target = load_int(s->target + i);
        } else {
            vreal at = ZERO; /* an integer's bits */
            for (ptrdiff_t k = n_classes - 1; k > 0; k--)
                at = choose(eq(load(z + k * tile_stride + i), largest), from_bits(splat_int((real_int)k)), at);
            at = choose(eq(load(z + i), largest), ZERO, at);
            target = bits_of(at);
            *(vint_unaligned *)(s->target + i) = (vint_unaligned)target;
        }
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
    *flow = leaving;
}

/* The sets of options that occur, a copy each: they are shared by all losses. */
#define STATISTICS(name, kind, keep, by_target, want_smaller)                                                         \
    SHARED void name(real *z, real *e, ptrdiff_t tile_stride, ptrdiff_t n, const fl_job *job, row_stats *s,           \
                     const char *ahead, ptrdiff_t ahead_bytes, streaming_copy *flow)                                  \
    {                                                                                                                 \
        tile_statistics(z, e, tile_stride, n, job, s, kind, keep, by_target, want_smaller, ahead, ahead_bytes, flow); \
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

SHARED ptrdiff_t rows_tiled(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum, const row_formula *f,
                            int kind)
{
    const int soft = is_soft(job), want = job->want;
    const ptrdiff_t rows = rows_in_tile(job), tile_size = round_up(rows * job->n_classes + LANES, LANES);
    real *z = (real *)round_up((ptrdiff_t)job->scratch, 64);
    real *hessian = z + tile_size, *packed = hessian + tile_size, *a = packed + tile_size,
         *e = soft ? a + tile_size : z;
    const int weighted = is_weighted(job);
    row_stats s;
    streaming_copy flow = {0};
    double total = 0;
    start_weights(job, round_up(count < rows ? count : rows, LANES), &s);
    for (ptrdiff_t end = first + count; first < end; first += rows) {
        const ptrdiff_t n = end - first < rows ? end - first : rows, padded = round_up(n, LANES);
        load_targets(job, first, n, &s);
        load_tile(z, rows, &job->prediction, job, first, n);
        for (ptrdiff_t i = 0; weighted && i < n; i++) /* rows that count nowhere are computed from zeros */
            if (s.weight[i] == 0)
                for (ptrdiff_t k = 0; k < job->n_classes; k++) z[k * rows + i] = 0;
        if (soft) {
            ptrdiff_t bad = load_soft_targets(a, rows, job, first, n, &s);
            if (bad >= 0) return bad;
        }
        const ptrdiff_t ahead_rows = job->prediction.classes == sizeof(real) && job->n_inner == 1 ? end - first - n : 0;
        const char *ahead = job->prediction.data + (first + n) * job->prediction.outer;
        const ptrdiff_t ahead_bytes =
            (ahead_rows < rows ? ahead_rows : rows) * job->n_classes * (ptrdiff_t)sizeof(real);
        (kind == ROW_LOG_SOFTMAX ? statistics_log_softmax
         : kind == ROW_SOFTMAX   ? statistics_softmax
         : kind == ROW_LOGSUMEXP ? statistics_logsumexp
         : soft                  ? statistics_soft
         : want == FL_VALUE      ? statistics_value
         : (want & FL_HESSIAN)   ? statistics_hessian
                                 : statistics_gradient)(z, e, rows, padded, job, &s, ahead, ahead_bytes, &flow);
        finish_copy(&flow);
        if (kind != ROW_LOSS || soft)
            sum_terms(&s, padded, job, kind);
        else
            f->terms(&s, padded, job);
        if (kind == ROW_LOSS) {
            if (soft) {
                f->soft(z, e, a, hessian, rows, padded, job, &s);
                if (want != FL_VALUE) derive_soft(e, a, hessian, rows, padded, job, &s);
            } else if (want & FL_HESSIAN)
                tile_hard_hessian(e, hessian, rows, padded, job, &s);
            else if (want & FL_GRADIENT)
                tile_hard_gradient(e, rows, padded, job, &s);
            if (job->gradient.data)
                store_tile(e, rows, &job->gradient, job, first, n, packed, job->hessian.data ? NULL : &flow);
            if (job->hessian.data) store_tile(hessian, rows, &job->hessian, job, first, n, packed, NULL);
        } else if (kind != ROW_LOGSUMEXP) {
            for (ptrdiff_t i = 0; i < padded; i += WIDTH) {
                vreal inverse = load(s.inverse + i), largest = load(s.largest + i), log_sum = load(s.log_sum + i);
                for (ptrdiff_t k = 0; k < job->n_classes; k++) {
                    vreal y = load(z + k * rows + i);
                    store(z + k * rows + i, kind == ROW_SOFTMAX ? y * inverse : (y - largest) - log_sum);
                }
            }
            store_tile(z, rows, &job->gradient, job, first, n, packed, &flow);
        }
        if (job->value.data)
            store_elements(&job->value, job->n_inner, first, n, s.value);
        else if (want & FL_VALUE)
            total += sum_reals(s.value, n);
    }
    finish_copy(&flow);
    if (job->stream) stream_end();
    *sum = total;
    return -1;
}

#endif
