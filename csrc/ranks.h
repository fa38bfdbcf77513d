/* Losses of the order of a row's logits: which is the largest, and how far ahead. Rows in lanes, like rows_tiled.h.
 *
 * Each is sum_k a_k f_k over the classes, a_k the target's probability of class k, 1 for a class index. f_k needs only the
 * largest other logit, and its curvature the one after that: the three largest of a row tell them for all k.
 */
#ifndef FASTLOSS_RANKS_H
#define FASTLOSS_RANKS_H

#include "row_targets.h"
#include "sums.h"
#include "tiles.h"

enum ranked_kind { RANKED_HINGE, RANKED_ZERO_ONE };

/* The three largest logits of each row, and where the first two stand. */
typedef struct ranks {
    vreal largest, second, third;
    vint at_largest, at_second;
    vreal undefined; /* nan where the row has a nan, two +inf or nothing but -inf; else 0 */
} ranks;

ALWAYS_INLINE vint choose_int(vmask m, vint a, vint b) { return bits_of(choose(m, from_bits(a), from_bits(b))); }

ALWAYS_INLINE ranks rank_rows(const real *z, ptrdiff_t tile_stride, ptrdiff_t n_classes)
{
    ranks r = {.largest = UNIFORM(-REAL_INFINITY), .second = UNIFORM(-REAL_INFINITY), .third = UNIFORM(-REAL_INFINITY)};
    r.at_largest = r.at_second = splat_int(0);
    r.undefined = ZERO;
    for (ptrdiff_t k = 0; k < n_classes; k++) {
        vreal x = load(z + k * tile_stride);
        vint at = splat_int((real_int)k);
        vmask over_largest = lt(r.largest, x), over_second = lt(r.second, x);
        r.third = choose(over_second, r.second, vmax(x, r.third));
        r.second = choose(over_largest, r.largest, choose(over_second, x, r.second));
        r.at_second = choose_int(over_largest, r.at_largest, choose_int(over_second, at, r.at_second));
        r.largest = choose(over_largest, x, r.largest);
        r.at_largest = choose_int(over_largest, at, r.at_largest);
        r.undefined = choose(eq(x, x), r.undefined, x);
    }
    vmask none = either(eq(r.largest, UNIFORM(-REAL_INFINITY)), eq(r.second, UNIFORM(REAL_INFINITY)));
    r.undefined = choose(none, UNIFORM(__builtin_nan("")), r.undefined);
    return r;
}

/* max(0, margin + max_{j != k} z_j - z_k), mixed with the weights a; a becomes the gradient.
 * It has no curvature of its own: psd is 1. majorize is 1 over the distance to where another piece of the maximum takes over:
 * pieces differ by vectors of length sqrt(2), so that no parabola of less curvature stays above both.
 */
ALWAYS_INLINE void hinge_tile(const real *z, real *a, real *hessian, ptrdiff_t tile_stride, ptrdiff_t n,
                              const fl_job *job, row_stats *s)
{
    const ptrdiff_t n_classes = job->n_classes;
    const double margin = job->coefficients[0];
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        ranks r = rank_rows(z + i, tile_stride, n_classes);
        vreal w = load(s->weight + i), scaled = load(s->scaled + i);
        exact_sum value = {ZERO, ZERO}, to_largest = {ZERO, ZERO};
        vreal to_second = ZERO, curvature = ZERO;
        for (ptrdiff_t k = 0; k < n_classes; k++) {
            vmask is_largest = eq_int(r.at_largest, splat_int((real_int)k));
            vmask is_second = eq_int(r.at_second, splat_int((real_int)k));
            vreal a_k = load(a + k * tile_stride + i);
            vreal other = choose(is_largest, r.second, r.largest);
            vreal mine = load(z + k * tile_stride + i), distance = other - mine, back = distance - other;
            vreal lost = (other - (distance - back)) - (mine + back); /* what the difference rounds off */
            vreal u = -minus_number(-distance, margin);
            u += choose(eq(lost, lost), lost, ZERO);
            vreal active = choose(lt(ZERO, u), a_k, keep_nan(u, ZERO));
            vmask nothing = eq(a_k, ZERO);
            active = choose(nothing, ZERO, active);
            add_to(&value, choose(nothing, ZERO, a_k * vmax(ZERO, u)));
            add_to(&to_largest, choose(is_largest, ZERO, active));
            to_second += choose(is_largest, active, ZERO);
            if (job->curvature == FL_MAJORIZE) {
                vreal next = choose(either(is_largest, is_second), r.third, r.second);
                vreal gap = choose(lt(ZERO, u), vmin(other - next, vabs(u)), vabs(u));
                curvature += choose(nothing, ZERO, a_k / vmax(UNIFORM(SMALLEST_NORMAL), gap));
            } else if (job->curvature == FL_PSD)
                curvature += a_k;
            store(a + k * tile_stride + i, -active);
        }
        store(s->value + i, choose(eq(w, ZERO), ZERO, (value_of(value) + r.undefined) * w));
        if (!(job->want & (FL_GRADIENT | FL_HESSIAN))) continue;
        for (ptrdiff_t k = 0; k < n_classes; k++) {
            vmask is_largest = eq_int(r.at_largest, splat_int((real_int)k));
            vmask is_second = eq_int(r.at_second, splat_int((real_int)k));
            vreal more = choose(is_largest, value_of(to_largest), choose(is_second, to_second, ZERO));
            store(a + k * tile_stride + i, ((load(a + k * tile_stride + i) + more) + r.undefined) * scaled);
            if (job->want & FL_HESSIAN) store(hessian + k * tile_stride + i, (curvature + r.undefined) * scaled);
        }
    }
}

ALWAYS_INLINE void zero_one_tile(const real *z, const real *a, ptrdiff_t tile_stride, ptrdiff_t n, const fl_job *job,
                                 row_stats *s)
{
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        ranks r = rank_rows(z + i, tile_stride, job->n_classes);
        vreal w = load(s->weight + i), value = r.undefined;
        for (ptrdiff_t k = 0; k < job->n_classes; k++)
            value += choose(eq_int(r.at_largest, splat_int((real_int)k)), ZERO, load(a + k * tile_stride + i));
        store(s->value + i, choose(eq(w, ZERO), ZERO, value * w));
    }
}

SHARED ptrdiff_t rows_ranked(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum, int kind)
{
    const ptrdiff_t rows = rows_in_tile(job), tile_size = round_up(rows * job->n_classes + LANES, LANES);
    real *z = (real *)round_up((ptrdiff_t)job->scratch, 64);
    real *a = z + tile_size, *hessian = a + tile_size, *packed = hessian + tile_size;
    row_stats s;
    double total = 0;
    start_weights(job, round_up(count < rows ? count : rows, LANES), &s);
    for (ptrdiff_t end = first + count; first < end; first += rows) {
        const ptrdiff_t n = end - first < rows ? end - first : rows, padded = round_up(n, LANES);
        load_targets(job, first, n, &s);
        load_tile(z, rows, &job->prediction, job, first, n);
        for (ptrdiff_t i = 0; is_weighted(job) && i < n; i++) /* rows that count nowhere are computed from zeros */
            if (s.weight[i] == 0)
                for (ptrdiff_t k = 0; k < job->n_classes; k++) z[k * rows + i] = 0;
        ptrdiff_t bad = load_soft_targets(a, rows, job, first, n, &s);
        if (bad >= 0) return bad;
        if (kind == RANKED_HINGE)
            hinge_tile(z, a, hessian, rows, padded, job, &s);
        else
            zero_one_tile(z, a, rows, padded, job, &s);
        if (job->gradient.data) store_tile(a, rows, &job->gradient, job, first, n, packed, NULL);
        if (job->hessian.data) store_tile(hessian, rows, &job->hessian, job, first, n, packed, NULL);
        if (job->value.data)
            store_elements(&job->value, job->n_inner, first, n, s.value);
        else if (job->want & FL_VALUE)
            total += sum_reals(s.value, n);
    }
    if (job->stream) stream_end();
    *sum = total;
    return -1;
}

/* Logits, targets, Hessian, and rows on their way out. */
static ptrdiff_t ranked_scratch(const fl_job *job) { return bytes_of_tiles(job, 4); }

#define RANKED(name, kind_, n_coefficients, outputs)                                                \
    static ptrdiff_t name##_block(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum) \
    {                                                                                               \
        return rows_ranked(job, first, count, sum, kind_);                                          \
    }                                                                                               \
    DEFINE_ROWWISE(name, n_coefficients, outputs, ranked_scratch)

#endif
