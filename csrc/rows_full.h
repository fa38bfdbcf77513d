/* The full Hessian of a row, K x K: packed (its upper triangle, row after row), or its product with a vector. Rows in lanes.
 *
 * With the amounts a_k of the target, B = sum a_k c_k and S_k = a_k E_k it is
 *     B (diag(p) - p p^T) + sum_k S_k q_k q_k^T,   q_kj = p_j / (1 - p_k) for j != k, -1 for j = k
 * of which psd drops the second part and takes |c_k|. That sum is never formed over k for each entry: the classes but the largest
 * come in through `spread`, the sum of S_k / (1 - p_k)^2, less the two that an entry has of its own; the largest, whose
 * 1 - p may be as small as you like, by itself.
 */
#ifndef FASTLOSS_ROWS_FULL_H
#define FASTLOSS_ROWS_FULL_H

#include "row_targets.h"
#include "rows_soft.h"
#include "rows_tiled.h"
#include "tiles.h"

ALWAYS_INLINE ptrdiff_t packed_size(ptrdiff_t n_classes) { return n_classes * (n_classes + 1) / 2; }

ALWAYS_INLINE fl_job job_of_output(const fl_job *job)
{
    fl_job wide = *job;
    if (job->full == FL_PACKED) wide.n_classes = packed_size(job->n_classes);
    return wide;
}

static ptrdiff_t full_scratch(const fl_job *job)
{
    const fl_job wide = job_of_output(job);
    const ptrdiff_t rows = rows_in_tile(&wide), numbers = 5 * job->n_classes + 2 * wide.n_classes;
    return (rows * numbers + 7 * LANES) * (ptrdiff_t)sizeof(real) + 64;
}

/* What an entry needs of a class. */
typedef struct full_class {
    vreal e, p, rest, bend; /* bend: S_k */
    vmask largest;
} full_class;

ALWAYS_INLINE full_class class_of(const row_state *r, ptrdiff_t k, const real *e, const real *second,
                                  ptrdiff_t tile_stride)
{
    full_class c = {.largest = is_target(r, k), .e = load(e + k * tile_stride), .bend = load(second + k * tile_stride)};
    c.p = c.e * r->inverse, c.rest = rest_of(r, c.largest, c.e);
    return c;
}

ALWAYS_INLINE vreal quotient_or_0(vreal x, vreal y) { return choose(eq(x, ZERO), ZERO, x / y); }

SHARED void packed_tile(const real *e, const real *a, const real *second, real *out, ptrdiff_t tile_stride, ptrdiff_t n,
                        const fl_job *job, const row_stats *s)
{
    const ptrdiff_t n_classes = job->n_classes;
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        const row_state r = rows_at(s, i);
        const vreal total = job->curvature == FL_PSD ? r.magnitude : r.total;
        real *to = out + i;
        for (ptrdiff_t j = 0; j < n_classes; j++) {
            full_class x = class_of(&r, j, e + i, second + i, tile_stride);
            vreal own_spread = choose(x.largest, ZERO, quotient_or_0(x.bend, x.rest * x.rest));
            vreal diagonal = job->curvature == FL_PSD
                                 ? total * x.p * x.rest
                                 : soft_hessian(&r, x.largest, x.e, load(a + j * tile_stride + i), x.bend, FL_EXACT);
            store(to, diagonal * r.scaled);
            to += tile_stride;
            for (ptrdiff_t k = j + 1; k < n_classes; k++, to += tile_stride) {
                full_class y = class_of(&r, k, e + i, second + i, tile_stride);
                vreal product = x.p * y.p, entry = -(total * product);
                if (job->curvature == FL_EXACT) {
                    vreal both_spread = own_spread + choose(y.largest, ZERO, quotient_or_0(y.bend, y.rest * y.rest));
                    entry = fmadd(product, r.spread - both_spread, entry);
                    entry -= quotient_or_0(x.bend, x.rest) * y.p + quotient_or_0(y.bend, y.rest) * x.p;
                    vreal from_largest =
                        r.largest_second * quotient_or_0(x.e, r.sum_others) * quotient_or_0(y.e, r.sum_others);
                    entry += choose(either(x.largest, y.largest), ZERO, from_largest);
                }
                store(to, entry * r.scaled);
            }
        }
    }
}

SHARED void product_tile(const real *e, const real *second, const real *vector, real *out, ptrdiff_t tile_stride,
                         ptrdiff_t n, const fl_job *job, const row_stats *s)
{
    const ptrdiff_t n_classes = job->n_classes;
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        const row_state r = rows_at(s, i);
        const vreal total = job->curvature == FL_PSD ? r.magnitude : r.total;
        vreal dot = ZERO, largest_v = ZERO, largest_p = ZERO; /* dot: p . v without the largest */
        for (ptrdiff_t k = 0; k < n_classes; k++) {
            const vmask largest = is_target(&r, k);
            vreal p = load(e + k * tile_stride + i) * r.inverse, v = load(vector + k * tile_stride + i);
            dot += choose(largest, ZERO, p * v);
            largest_v = choose(largest, v, largest_v), largest_p = choose(largest, p, largest_p);
        }
        vreal whole = fmadd(largest_p, largest_v, dot);
        /* S_k (q_k . v) of the largest class, and the sum of S_k (q_k . v) / (1 - p_k) of the others */
        vreal rest_of_largest = r.sum_others * r.inverse;
        vreal pull = r.largest_second * (quotient_or_0(dot, rest_of_largest) - largest_v), sum = ZERO;
        for (ptrdiff_t k = 0; k < n_classes; k++) {
            full_class x = class_of(&r, k, e + i, second + i, tile_stride);
            vreal v = load(vector + k * tile_stride + i);
            vreal along = fmadd(-x.p, v, whole) / x.rest - v;
            vreal t = choose(eq(x.bend, ZERO), ZERO, x.bend * along);
            sum += choose(x.largest, ZERO, quotient_or_0(t, x.rest));
        }
        for (ptrdiff_t k = 0; k < n_classes; k++) {
            full_class x = class_of(&r, k, e + i, second + i, tile_stride);
            vreal v = load(vector + k * tile_stride + i);
            vreal elsewhere = choose(x.largest, dot, fmadd(-x.p, v, whole)); /* p . v without class k */
            vreal result = total * x.p * fmadd(x.rest, v, -elsewhere);
            if (job->curvature == FL_EXACT) {
                vreal along = elsewhere / x.rest - v, t = choose(eq(x.bend, ZERO), ZERO, x.bend * along);
                vreal from_others = x.p * choose(x.largest, sum, sum - quotient_or_0(t, x.rest));
                vreal from_largest = choose(x.largest, ZERO, quotient_or_0(x.e, r.sum_others) * pull);
                result += from_others + from_largest - choose(x.largest, pull, t);
            }
            store(out + k * tile_stride + i, result * r.scaled);
        }
    }
}

SHARED ptrdiff_t rows_full(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum, const row_formula *f)
{
    fl_job own = *job;
    own.want = FL_GRADIENT | FL_HESSIAN;
    const fl_job wide = job_of_output(&own);
    const ptrdiff_t rows = rows_in_tile(&wide), size = round_up(rows * job->n_classes, LANES);
    real *z = (real *)round_up((ptrdiff_t)job->scratch, 64), *e = z + size, *a = e + size, *second = a + size;
    real *vector = second + size, *out = vector + size, *packed = out + round_up(rows * wide.n_classes, LANES);
    row_stats s;
    streaming_copy flow = {0};
    start_weights(job, round_up(count < rows ? count : rows, LANES), &s);
    for (ptrdiff_t end = first + count; first < end; first += rows) {
        const ptrdiff_t n = end - first < rows ? end - first : rows, padded = round_up(n, LANES);
        const ptrdiff_t bad_index = load_targets(job, first, n, &s);
        if (bad_index >= 0) return bad_index;
        load_tile(z, rows, &job->prediction, job, first, n);
        for (ptrdiff_t i = 0; is_weighted(job) && i < n; i++) /* rows that count nowhere are computed from zeros */
            if (s.weight[i] == 0)
                for (ptrdiff_t k = 0; k < job->n_classes; k++) z[k * rows + i] = 0;
        fl_job amounts = *job;
        if (!is_soft(job)) amounts.class_weight = NULL; /* it stands in the row's weight already */
        ptrdiff_t bad = load_soft_targets(a, rows, &amounts, first, n, &s);
        if (bad >= 0) return bad;
        statistics_soft(&(tile_run){z, e, rows, padded, NULL, 0, 0, &flow}, &own, &s);
        sum_terms(&s, padded, &own, ROW_LOSS);
        f->soft(&(soft_tiles){z, e, a, second, rows}, padded, &own, &s);
        if (job->full == FL_PACKED)
            packed_tile(e, a, second, out, rows, padded, job, &s);
        else {
            load_tile(vector, rows, &job->vector, job, first, n);
            product_tile(e, second, vector, out, rows, padded, job, &s);
        }
        store_tile(out, rows, &job->gradient, &wide, first, n, packed, NULL);
    }
    if (job->stream) stream_end();
    *sum = 0;
    return -1;
}

#endif
