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

/* Rows of more classes make their triangles one after the other, classes in lanes: a tile of several would be large. */
enum { TRIANGLES_TOGETHER = 64, CLASS_ARRAYS = 7 };
ALWAYS_INLINE int is_by_row(const fl_job *job) { return job->full == FL_PACKED && job->n_classes > TRIANGLES_TOGETHER; }

ALWAYS_INLINE ptrdiff_t rows_of_full(const fl_job *job)
{
    const fl_job wide = job_of_output(job);
    return rows_in_tile(is_by_row(job) ? job : &wide);
}

static ptrdiff_t full_scratch(const fl_job *job)
{
    const ptrdiff_t rows = rows_of_full(job), n_classes = job->n_classes;
    const ptrdiff_t apart = is_by_row(job) ? 0 : rows * 2 * job_of_output(job).n_classes;
    const ptrdiff_t of_row = is_by_row(job) ? CLASS_ARRAYS * (n_classes + 2 * LANES) : 0;
    return (rows * 5 * n_classes + apart + of_row + 7 * LANES) * (ptrdiff_t)sizeof(real) + 64;
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

/* A row's classes in lanes: exponentials, a_k E_k; of these what entries need; the diagonal, and a line of the triangle. */
typedef struct class_arrays {
    real *p, *spread, *pull, *share, *diagonal, *e, *line;
} class_arrays;

ALWAYS_INLINE class_arrays divide_class_arrays(real *at, ptrdiff_t n_classes)
{
    const ptrdiff_t size = n_classes + 2 * LANES;
    memset(at, 0, (size_t)(CLASS_ARRAYS * size) * sizeof(real));
    return (class_arrays){at, at + size, at + 2 * size, at + 3 * size, at + 4 * size, at + 5 * size, at + 6 * size};
}

/* What entries need of each class of row r of a tile. `spread` comes in as a_k E_k, `diagonal` as a_k c_k. */
SHARED void prepare_classes(const class_arrays *c, const fl_job *job, const row_stats *s, ptrdiff_t r)
{
    const row_state row = row_at(s, r);
    const vreal total = job->curvature == FL_PSD ? row.magnitude : row.total;
    for (ptrdiff_t k = 0; k < job->n_classes; k += WIDTH) {
        const vmask largest = is_target_from(&row, k);
        vreal e = load(c->e + k), bend = load(c->spread + k), rest = rest_of(&row, largest, e), p = e * row.inverse;
        store(c->p + k, p);
        store(c->spread + k, choose(largest, ZERO, quotient_or_0(bend, rest * rest)));
        store(c->pull + k, quotient_or_0(bend, rest));
        store(c->share + k, quotient_or_0(e, row.sum_others));
        vreal exact = soft_hessian(&row, largest, e, load(c->diagonal + k), bend, FL_EXACT);
        store(c->diagonal + k, (job->curvature == FL_PSD ? total * p * rest : exact) * row.scaled);
    }
}

/* Line j of the triangle: the diagonal's entry, and those of the classes after j. */
SHARED void triangle_line(const class_arrays *c, ptrdiff_t j, const fl_job *job, const row_stats *s, ptrdiff_t r)
{
    const row_state row = row_at(s, r);
    const vreal total = job->curvature == FL_PSD ? row.magnitude : row.total, scaled = row.scaled;
    const vreal p = splat(c->p[j]), spread = splat(c->spread[j]), pull = splat(c->pull[j]);
    const vreal share = row.largest_second * splat(c->share[j]);
    const int exact = job->curvature == FL_EXACT, is_largest = (ptrdiff_t)s->target[r] == j;
    c->line[0] = c->diagonal[j];
    for (ptrdiff_t k = j + 1; k < job->n_classes; k += WIDTH) {
        vreal other = load(c->p + k), product = p * other, entry = -(total * product);
        if (exact) {
            entry = fmadd(product, row.spread - (spread + load(c->spread + k)), entry);
            entry -= pull * other + load(c->pull + k) * p;
            vreal from_largest = share * load(c->share + k);
            entry += is_largest ? ZERO : choose(is_target_from(&row, k), ZERO, from_largest);
        }
        store(c->line + k - j, entry * scaled);
    }
}

/* The triangle of row r of a tile, line after line. */
SHARED void put_triangle(const soft_tiles *t, const fl_job *job, ptrdiff_t first, ptrdiff_t r, const row_stats *s,
                         real *scratch)
{
    const fl_array *to = &job->gradient;
    const ptrdiff_t n_classes = job->n_classes, row = first + r;
    const class_arrays c = divide_class_arrays(scratch, n_classes);
    for (ptrdiff_t k = 0; k < n_classes; k++) {
        const ptrdiff_t at = k * t->stride + r;
        c.e[k] = t->e[at], c.spread[k] = t->second[at], c.diagonal[k] = t->a[at];
    }
    prepare_classes(&c, job, s, r);
    char *line = to->data + row / job->n_inner * to->outer + row % job->n_inner * to->inner;
    for (ptrdiff_t j = 0; j < n_classes; line += (n_classes - j++) * to->classes) {
        triangle_line(&c, j, job, s, r);
        if (to->classes == size_of_type(to->type))
            store_packed(line, to->type, c.line, n_classes - j, job->stream, NULL);
        else
            store_strided(line, to->classes, to->type, c.line, n_classes - j);
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
    const ptrdiff_t rows = rows_of_full(job), size = round_up(rows * job->n_classes, LANES);
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
        const soft_tiles tiles = {z, e, a, second, rows};
        f->soft(&tiles, padded, &own, &s);
        if (is_by_row(job)) {
            for (ptrdiff_t r = 0; r < n; r++) put_triangle(&tiles, job, first, r, &s, out);
            continue;
        }
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
