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

ALWAYS_INLINE ranks no_ranks(void)
{
    const vreal lowest = UNIFORM(-REAL_INFINITY);
    return (ranks){lowest, lowest, lowest, splat_int(0), splat_int(0), ZERO};
}

/* The logit x of class `at` takes its place; of equal ones the first stands before. */
ALWAYS_INLINE void insert_logit(ranks *r, vreal x, vint at)
{
    vmask over_largest = lt(r->largest, x), over_second = lt(r->second, x);
    r->third = choose(over_second, r->second, vmax(x, r->third));
    r->second = choose(over_largest, r->largest, choose(over_second, x, r->second));
    r->at_second = choose_int(over_largest, r->at_largest, choose_int(over_second, at, r->at_second));
    r->largest = choose(over_largest, x, r->largest);
    r->at_largest = choose_int(over_largest, at, r->at_largest);
    r->undefined = choose(eq(x, x), r->undefined, x);
}

ALWAYS_INLINE ranks rank_rows(const real *z, ptrdiff_t tile_stride, ptrdiff_t n_classes)
{
    ranks r = no_ranks();
    for (ptrdiff_t k = 0; k < n_classes; k++) insert_logit(&r, load(z + k * tile_stride), splat_int((real_int)k));
    vmask none = either(eq(r.largest, UNIFORM(-REAL_INFINITY)), eq(r.second, UNIFORM(REAL_INFINITY)));
    r.undefined = choose(none, UNIFORM(__builtin_nan("")), r.undefined);
    return r;
}

/* What a class that weighs a adds: to the value, to the slope along the largest other logit, and to the curvature. */
typedef struct hinge_class {
    vreal value, active, curvature;
} hinge_class;

/* max(0, margin + max_{j != k} z_j - z_k) of class k with logit z.
 * It has no curvature of its own: psd is 1. majorize is 1 over the distance to where another piece of the maximum takes over:
 * pieces differ by vectors of length sqrt(2), so that no parabola of less curvature stays above both.
 */
ALWAYS_INLINE hinge_class hinge_of_class(const ranks *r, vmask is_largest, vmask is_second, vreal z, vreal a,
                                         const fl_job *job)
{
    vreal other = choose(is_largest, r->second, r->largest), distance = other - z, back = distance - other;
    vreal lost = (other - (distance - back)) - (z + back); /* what the difference rounds off */
    vreal u = -minus_number(-distance, job->coefficients[0]);
    u += choose(eq(lost, lost), lost, ZERO);
    vmask nothing = eq(a, ZERO);
    hinge_class c = {.value = choose(nothing, ZERO, a * vmax(ZERO, u)),
                     .active = choose(nothing, ZERO, choose(lt(ZERO, u), a, keep_nan(u, ZERO))),
                     .curvature = job->curvature == FL_PSD ? a : ZERO};
    if (job->curvature == FL_MAJORIZE) {
        vreal next = choose(either(is_largest, is_second), r->third, r->second);
        vreal gap = choose(lt(ZERO, u), vmin(other - next, vabs(u)), vabs(u));
        c.curvature = choose(nothing, ZERO, a / vmax(UNIFORM(SMALLEST_NORMAL), gap));
    }
    return c;
}

/* Rows in lanes, the classes weigh a, which becomes the gradient. */
ALWAYS_INLINE void hinge_tile(const real *z, real *a, real *hessian, ptrdiff_t tile_stride, ptrdiff_t n,
                              const fl_job *job, row_stats *s)
{
    const ptrdiff_t n_classes = job->n_classes;
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        const ranks r = rank_rows(z + i, tile_stride, n_classes);
        vreal w = load(s->weight + i), scaled = load(s->scaled + i);
        exact_sum value = {ZERO, ZERO}, to_largest = {ZERO, ZERO};
        vreal to_second = ZERO, curvature = ZERO;
        for (ptrdiff_t k = 0; k < n_classes; k++) {
            const ptrdiff_t at = k * tile_stride + i;
            vmask is_largest = eq_int(r.at_largest, splat_int((real_int)k));
            vmask is_second = eq_int(r.at_second, splat_int((real_int)k));
            const hinge_class c = hinge_of_class(&r, is_largest, is_second, load(z + at), load(a + at), job);
            add_to(&value, c.value);
            add_to(&to_largest, choose(is_largest, ZERO, c.active));
            to_second += choose(is_largest, c.active, ZERO);
            curvature += c.curvature;
            store(a + at, -c.active);
        }
        store(s->value + i, choose(eq(w, ZERO), ZERO, (value_of(value) + r.undefined) * w));
        if (!(job->want & (FL_GRADIENT | FL_HESSIAN))) continue;
        for (ptrdiff_t k = 0; k < n_classes; k++) {
            const ptrdiff_t at = k * tile_stride + i;
            vmask is_largest = eq_int(r.at_largest, splat_int((real_int)k));
            vmask is_second = eq_int(r.at_second, splat_int((real_int)k));
            vreal more = choose(is_largest, value_of(to_largest), choose(is_second, to_second, ZERO));
            store(a + at, ((load(a + at) + more) + r.undefined) * scaled);
            if (job->want & FL_HESSIAN) store(hessian + at, (curvature + r.undefined) * scaled);
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

SHARED ptrdiff_t rows_ranked(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum, enum ranked_kind kind)
{
    const ptrdiff_t rows = rows_in_tile(job), tile_size = round_up(rows * job->n_classes + LANES, LANES);
    real *z = (real *)round_up((ptrdiff_t)job->scratch, 64);
    real *a = z + tile_size, *hessian = a + tile_size, *packed = hessian + tile_size;
    row_stats s;
    double total = 0;
    start_weights(job, round_up(count < rows ? count : rows, LANES), &s);
    for (ptrdiff_t end = first + count; first < end; first += rows) {
        const ptrdiff_t n = end - first < rows ? end - first : rows, padded = round_up(n, LANES);
        const ptrdiff_t bad_index = load_targets(job, first, n, &s);
        if (bad_index >= 0) return bad_index;
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

/* Class indices: of a row's ranks and its target's logit follows all. What goes out is one number but for two places. */
typedef struct row_ranks {
    CACHE_ALIGNED real largest[MAX_ROWS], second[MAX_ROWS], third[MAX_ROWS], undefined[MAX_ROWS];
    CACHE_ALIGNED real target_logit[MAX_ROWS], active[MAX_ROWS], curvature[MAX_ROWS];
    CACHE_ALIGNED real_int at_largest[MAX_ROWS], at_second[MAX_ROWS];
} row_ranks;

/* The largest logit of all lanes leaves its lane; *at: the class, of equal ones the first. */
ALWAYS_INLINE real take_largest(ranks *r, real_int *at)
{
    CACHE_ALIGNED real x[LANES];
    CACHE_ALIGNED real_int class_index[LANES];
    vreal lanes[GROUP];
    for (int g = 0; g < GROUP; g++) {
        lanes[g] = r[g].largest;
        store(x + g * WIDTH, r[g].largest), store_int(class_index + g * WIDTH, r[g].at_largest);
    }
    const real largest = largest_lane(lanes);
    ptrdiff_t lane = -1;
    for (ptrdiff_t j = 0; j < LANES; j++)
        if (x[j] == largest && (lane < 0 || class_index[j] < class_index[lane])) lane = j;
    *at = class_index[lane];
    for (int g = 0; g < GROUP; g++) {
        const vmask here = eq_int(splat_int((real_int)(lane - g * WIDTH)), LANE_NUMBERS);
        r[g].largest = choose(here, r[g].second, r[g].largest);
        r[g].at_largest = choose_int(here, r[g].at_second, r[g].at_largest);
        r[g].second = choose(here, r[g].third, r[g].second);
    }
    return largest;
}

/* Classes in lanes: of one row. `piece`: for logits of another type. */
SHARED void rank_row(const fl_job *job, ptrdiff_t row, ptrdiff_t i, const row_stats *s, row_ranks *to, real *piece)
{
    const ptrdiff_t n_classes = job->n_classes;
    ranks r[GROUP];
    for (int g = 0; g < GROUP; g++) r[g] = no_ranks();
    for (ptrdiff_t start = 0; start < n_classes; start += PIECE) {
        const ptrdiff_t n = n_classes - start < PIECE ? n_classes - start : PIECE;
        const real *z = row_piece(&job->prediction, row, start, n, piece);
        for (ptrdiff_t k = 0; k < n; k += LANES) {
            prefetch_far(z + k + n_classes);
            for (int g = 0; g < GROUP && k + g * WIDTH < n; g++) {
                const ptrdiff_t at = k + g * WIDTH, left = n - at;
                const vreal x = load_some_or(z + at, left < WIDTH ? left : WIDTH, -REAL_INFINITY);
                insert_logit(r + g, x, splat_int((real_int)(start + at)) + LANE_NUMBERS);
            }
        }
        if (s->target[i] >= start && s->target[i] < start + n) to->target_logit[i] = z[s->target[i] - start];
    }
    vreal undefined = r[0].undefined;
    for (int g = 1; g < GROUP; g++) undefined += r[g].undefined;
    real_int at_third;
    to->largest[i] = take_largest(r, &to->at_largest[i]);
    to->second[i] = take_largest(r, &to->at_second[i]);
    to->third[i] = take_largest(r, &at_third);
    to->undefined[i] =
        all_true(eq(undefined, undefined)) && to->largest[i] > -REAL_INFINITY && to->second[i] < REAL_INFINITY
            ? 0
            : (real)__builtin_nan("");
    if (s->weight[i] == 0) /* counts nowhere, whatever it holds */
        to->largest[i] = to->second[i] = to->third[i] = to->target_logit[i] = to->undefined[i] = 0;
}

ALWAYS_INLINE ranks ranks_of_rows(const row_ranks *r, ptrdiff_t i)
{
    return (ranks){.largest = load(r->largest + i),
                   .second = load(r->second + i),
                   .third = load(r->third + i),
                   .undefined = load(r->undefined + i),
                   .at_largest = load_int(r->at_largest + i),
                   .at_second = load_int(r->at_second + i)};
}

SHARED void conclude_ranks(const fl_job *job, ptrdiff_t n, row_stats *s, row_ranks *to, enum ranked_kind kind)
{
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        const ranks r = ranks_of_rows(to, i);
        const vint target = load_int(s->target + i);
        const vmask is_largest = eq_int(r.at_largest, target), is_second = eq_int(r.at_second, target);
        const vreal w = load(s->weight + i);
        hinge_class c = {.value = choose(is_largest, ZERO, ONE)};
        if (kind == RANKED_HINGE) c = hinge_of_class(&r, is_largest, is_second, load(to->target_logit + i), ONE, job);
        store(s->value + i, choose(eq(w, ZERO), ZERO, (c.value + r.undefined) * w));
        store(to->active + i, c.active), store(to->curvature + i, c.curvature);
    }
}

/* Where class k of a row stands. */
ALWAYS_INLINE char *class_of_row(const fl_array *array, const fl_job *job, ptrdiff_t row, ptrdiff_t k)
{
    const ptrdiff_t n_inner = job->by_row ? 1 : job->n_inner;
    return array->data + row / n_inner * array->outer + row % n_inner * array->inner + k * array->classes;
}

/* x in all classes of a row, a piece at a time. */
SHARED void fill_row(const fl_array *array, const fl_job *job, ptrdiff_t row, real x, real *piece)
{
    const ptrdiff_t n = job->n_classes < PIECE ? job->n_classes : PIECE;
    for (ptrdiff_t i = 0; i < n; i++) piece[i] = x;
    for (ptrdiff_t k = 0; k < job->n_classes; k += PIECE)
        store_strided(class_of_row(array, job, row, k), array->classes, array->type, piece,
                      job->n_classes - k < PIECE ? job->n_classes - k : PIECE);
}

SHARED void put_hinge_gradients(const fl_job *job, ptrdiff_t first, ptrdiff_t n, const row_stats *s, const row_ranks *r,
                                real *piece)
{
    const fl_array *out = &job->gradient;
    const ptrdiff_t size = size_of_type(out->type), all = n * job->n_classes;
    const int packed = rows_are_packed(out, job, job->n_outer);
    for (ptrdiff_t i = 0; packed && i < PIECE && i < all; i++) piece[i] = 0;
    for (ptrdiff_t i = 0; packed && i < all; i += PIECE)
        store_packed(out->data + first * out->outer + i * size, out->type, piece, all - i < PIECE ? all - i : PIECE,
                     job->stream, NULL);
    for (ptrdiff_t i = 0; i < n; i++) {
        const int undefined = r->undefined[i] != r->undefined[i];
        const real active = r->active[i] * s->scaled[i], back = -active;
        const real_int y = s->target[i], other = y == r->at_largest[i] ? r->at_second[i] : r->at_largest[i];
        if (!packed || undefined) fill_row(out, job, first + i, undefined ? r->undefined[i] * s->scaled[i] : 0, piece);
        if (undefined || active == 0) continue;
        store_strided(class_of_row(out, job, first + i, other), size, out->type, &active, 1);
        store_strided(class_of_row(out, job, first + i, y), size, out->type, &back, 1);
    }
}

/* Rows of few classes stay in tiles to the end, and so do those that do not lie one after the other. */
enum { FEW_RANKED_CLASSES = 16 };

ALWAYS_INLINE int are_ranked_by_target(const fl_job *job)
{
    return !is_soft(job) && job->n_classes > FEW_RANKED_CLASSES && classes_are_dense(&job->prediction, job);
}

SHARED ptrdiff_t rows_ranked_by_target(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum,
                                       enum ranked_kind kind)
{
    real *piece = (real *)round_up((ptrdiff_t)job->scratch, 64);
    row_stats s;
    row_ranks r;
    double total = 0;
    start_weights(job, round_up(count < MAX_ROWS ? count : MAX_ROWS, LANES), &s);
    for (ptrdiff_t end = first + count; first < end; first += MAX_ROWS) {
        const ptrdiff_t n = end - first < MAX_ROWS ? end - first : MAX_ROWS;
        const ptrdiff_t bad_index = load_targets(job, first, n, &s);
        if (bad_index >= 0) return bad_index;
        for (ptrdiff_t i = 0; i < n; i++) rank_row(job, first + i, i, &s, &r, piece);
        conclude_ranks(job, n, &s, &r, kind);
        if (job->gradient.data) put_hinge_gradients(job, first, n, &s, &r, piece);
        for (ptrdiff_t i = 0; job->hessian.data && i < n; i++)
            fill_row(&job->hessian, job, first + i, (r.curvature[i] + r.undefined[i]) * s.scaled[i], piece);
        if (job->value.data)
            store_elements(&job->value, job->n_inner, first, n, s.value);
        else if (job->want & FL_VALUE)
            total += sum_reals(s.value, n);
    }
    if (job->stream) stream_end();
    *sum = total;
    return -1;
}

/* Logits, targets, Hessian, and rows on their way out; or a piece. */
static ptrdiff_t ranked_scratch(const fl_job *job)
{
    return are_ranked_by_target(job) ? PIECE * (ptrdiff_t)sizeof(real) + 64 : bytes_of_tiles(job, rows_in_tile(job), 4);
}

#define RANKED(name, kind_, n_coefficients, outputs)                                                             \
    static ptrdiff_t name##_block(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum)              \
    {                                                                                                            \
        return (are_ranked_by_target(job) ? rows_ranked_by_target : rows_ranked)(job, first, count, sum, kind_); \
    }                                                                                                            \
    DEFINE_ROWWISE(name, n_coefficients, outputs, ranked_scratch, .pieces = NULL)

#endif
