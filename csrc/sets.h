/* Losses of the overlap of two sets: of the elements that are predicted and of those that are true, by probability.
 *
 * A job of shape (outer, classes, inner) holds one set per class. A first pass measures each set,
 *     TP = sum w p t,   FP = sum w p (1 - t),   FN = sum w (1 - p) t,    p = sigmoid(z),
 * none of them a difference. Of these come its value and what the second pass needs for the derivatives:
 *     D = TP + alpha FP + beta FN + smooth,   value = (alpha FP + beta FN) / D
 *     gradient_j = -w v Q,   v = p (1 - p),   Q = t Q1 - (1 - t) Q0
 *     Hessian_jj = w v Q (2 w v b / D - (1 - 2 p)),   b = t (1 - beta) + (1 - t) alpha
 *     Q1 = (alpha FP + beta FN + beta n) / D^2,   Q0 = alpha n / D^2,   n = TP + smooth
 * psd is |gradient|. majorize bounds the diagonal; the loss is monotone in each logit.
 */
#ifndef FASTLOSS_SETS_H
#define FASTLOSS_SETS_H

#include "checks.h"
#include "formulas.h"
#include "sums.h"
#include "tiles.h"

/* What the passes need of an element. */
typedef struct set_element {
    vreal p, rest, slope, t, other, weight;
} set_element;

/* Numbers for each set: what its elements add up to, and what their derivatives need of that. */
enum { SET_SUMS = 3, SET_TERMS = 3 };

typedef struct set_tiles {
    real *z, *t, *w, *gradient, *hessian, *packed;
    ptrdiff_t rows;
    lane_sums *sums; /* SET_SUMS for each class */
} set_tiles;

static ptrdiff_t set_scratch(const fl_job *job)
{
    const ptrdiff_t tile_size = round_up(rows_in_tile(job) * job->n_classes + LANES, LANES);
    return 6 * tile_size * (ptrdiff_t)sizeof(real) + SET_SUMS * job->n_classes * (ptrdiff_t)sizeof(lane_sums) + 64;
}

ALWAYS_INLINE set_tiles divide_scratch(const fl_job *job)
{
    set_tiles s;
    s.rows = rows_in_tile(job);
    const ptrdiff_t tile_size = round_up(s.rows * job->n_classes + LANES, LANES);
    s.z = (real *)round_up((ptrdiff_t)job->scratch, 64);
    s.t = s.z + tile_size, s.w = s.t + tile_size;
    s.gradient = s.w + tile_size, s.hessian = s.gradient + tile_size, s.packed = s.hessian + tile_size;
    s.sums = (lane_sums *)(void *)(s.packed + tile_size);
    return s;
}

ALWAYS_INLINE void load_set_tiles(const fl_job *job, ptrdiff_t first, ptrdiff_t n, const set_tiles *s)
{
    load_tile(s->z, s->rows, &job->prediction, job, first, n);
    load_tile(s->t, s->rows, &job->target, job, first, n);
    if (job->weight.data) load_tile(s->w, s->rows, &job->weight, job, first, n);
}

ALWAYS_INLINE set_element element_at(const set_tiles *s, ptrdiff_t at, const int weighted)
{
    set_element x;
    vreal z = load(s->z + at), e = exp_nonpositive(-vabs(z));
    vreal large = ONE / (ONE + e), small = e * large;
    vmask right = le(ZERO, z);
    x.p = choose(right, large, small), x.rest = choose(right, small, large);
    x.slope = large * small;
    x.t = load(s->t + at), x.other = ONE - x.t;
    x.weight = weighted ? load(s->w + at) : ONE;
    return x;
}

ALWAYS_INLINE int is_no_weight(real w) { return !(w >= 0 && w <= LARGEST); }

/* The first of n elements that breaks a rule, or -1: a weight that is negative or not finite, a target outside [0, 1] that
 * counts. */
SHARED ptrdiff_t check_set_tile(const real *t, const real *w, ptrdiff_t n)
{
    int hard;
    if (!w) return check_domain(t, n, FL_UNIT_INTERVAL, &hard);
    for (ptrdiff_t i = 0; i < n; i++)
        if (is_no_weight(w[i]) || (w[i] != 0 && !(t[i] >= 0 && t[i] <= 1))) return i;
    return -1;
}

ALWAYS_INLINE void measure_tile(const set_tiles *s, ptrdiff_t from, ptrdiff_t n, lane_sums *sums, const int weighted)
{
    lane_sums local[SET_SUMS];
    memcpy(local, sums, sizeof local);
    for (ptrdiff_t i = 0; i < n; i += LANES)
        for (int g = 0; g < GROUP; g++) {
            set_element x = element_at(s, from + i + g * WIDTH, weighted);
            vreal p = x.p * x.weight, rest = x.rest * x.weight;
            vreal part[SET_SUMS] = {p * x.t, p * x.other, rest * x.t};
            for (int k = 0; k < SET_SUMS; k++) {
                if (weighted) part[k] = choose(eq(x.weight, ZERO), ZERO, part[k]); /* whatever it is */
                if (i + LANES > n) part[k] = first_lanes(part[k], n - i - g * WIDTH);
                add_lanes(local + k, g, part[k]);
            }
        }
    memcpy(sums, local, sizeof local);
}

static ptrdiff_t sums_of_sets(const fl_job *job) { return SET_SUMS * job->n_classes; }
static ptrdiff_t shared_by_sets(const fl_job *job) { return SET_TERMS * job->n_classes * (ptrdiff_t)sizeof(double); }

/* The first pass: SET_SUMS sums of every set, after a check of targets and weights. */
static ptrdiff_t measure_sets(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sums)
{
    const set_tiles s = divide_scratch(job);
    const ptrdiff_t n_classes = job->n_classes;
    memset(s.sums, 0, (size_t)(SET_SUMS * n_classes) * sizeof(lane_sums));
    for (ptrdiff_t end = first + count; first < end; first += s.rows) {
        const ptrdiff_t n = end - first < s.rows ? end - first : s.rows;
        load_set_tiles(job, first, n, &s);
        for (ptrdiff_t k = 0; k < n_classes; k++) {
            const ptrdiff_t from = k * s.rows;
            const ptrdiff_t bad = check_set_tile(s.t + from, job->weight.data ? s.w + from : NULL, n);
            if (bad >= 0) {
                const ptrdiff_t place = place_of(job, first + bad, k);
                return job->weight.data && is_no_weight(s.w[from + bad]) ? fl_bad_weight(place) : place;
            }
            if (job->weight.data)
                measure_tile(&s, from, n, s.sums + SET_SUMS * k, 1);
            else
                measure_tile(&s, from, n, s.sums + SET_SUMS * k, 0);
        }
    }
    for (ptrdiff_t k = 0; k < SET_SUMS * n_classes; k++) sums[k] = total_of(s.sums + k);
    return -1;
}

/* Of each set's sums in all blocks its value and, for the second pass, its terms: Q1, Q0, 1 / D. */
static void conclude_sets(fl_job *job, const double *partials, ptrdiff_t n_blocks)
{
    const double alpha = job->coefficients[0], beta = job->coefficients[1], smooth = job->coefficients[2];
    double *terms = (double *)(void *)job->shared;
    for (ptrdiff_t k = 0; k < job->n_classes; k++, terms += SET_TERMS) {
        double sums[SET_SUMS] = {0};
        for (ptrdiff_t b = 0; b < n_blocks; b++)
            for (int i = 0; i < SET_SUMS; i++) sums[i] += partials[(b * job->n_classes + k) * SET_SUMS + i];
        const double wrong = alpha * sums[1] + beta * sums[2], right = sums[0] + smooth, whole = right + wrong;
        job->set_values[k] = wrong / whole;
        terms[0] = (wrong + beta * right) / whole / whole;
        terms[1] = alpha * right / whole / whole;
        terms[2] = 1 / whole;
    }
}

ALWAYS_INLINE void derive_tile(const fl_job *job, const set_tiles *s, ptrdiff_t from, ptrdiff_t n, const double *terms,
                               const int weighted)
{
    const vreal alpha = UNIFORM(job->coefficients[0]), not_beta = UNIFORM(1 - job->coefficients[1]);
    const vreal if_true = UNIFORM(terms[0]), if_false = UNIFORM(terms[1]), per_whole = UNIFORM(terms[2]);
    const vreal scale = splat((real)job->scale);
    const int want = job->want, curvature = job->curvature;
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        set_element x = element_at(s, from + i, weighted);
        vmask nothing = eq(x.weight, ZERO);
        vreal q = fmadd(x.t, if_true, -(x.other * if_false)), slope = x.weight * x.slope;
        vreal gradient = -(slope * q);
        store(s->gradient + from + i, (weighted ? choose(nothing, ZERO, gradient) : gradient) * scale);
        if (!(want & FL_HESSIAN)) continue;
        vreal b = fmadd(x.t, not_beta, x.other * alpha), bend = (slope + slope) * per_whole, hessian;
        if (curvature == FL_EXACT)
            hessian = slope * q * fmadd(bend, b, x.p - x.rest);
        else if (curvature == FL_PSD)
            hessian = vabs(gradient);
        else
            hessian = vabs(gradient) * fmadd(bend, vabs(b), ONE);
        store(s->hessian + from + i, (weighted ? choose(nothing, ZERO, hessian) : hessian) * scale);
    }
}

/* The second pass. */
static ptrdiff_t derive_sets(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum)
{
    const set_tiles s = divide_scratch(job);
    const double *terms = (const double *)(const void *)job->shared;
    for (ptrdiff_t end = first + count; first < end; first += s.rows) {
        const ptrdiff_t n = end - first < s.rows ? end - first : s.rows;
        load_set_tiles(job, first, n, &s);
        for (ptrdiff_t k = 0; k < job->n_classes; k++)
            if (job->weight.data)
                derive_tile(job, &s, k * s.rows, n, terms + SET_TERMS * k, 1);
            else
                derive_tile(job, &s, k * s.rows, n, terms + SET_TERMS * k, 0);
        if (job->gradient.data) store_tile(s.gradient, s.rows, &job->gradient, job, first, n, s.packed, NULL);
        if (job->hessian.data) store_tile(s.hessian, s.rows, &job->hessian, job, first, n, s.packed, NULL);
    }
    if (job->stream) stream_end();
    *sum = 0;
    return -1;
}

#define SET_LOSS(name)                                                                                        \
    FL_DEFINE_LOSS(name, .kind = FL_SETWISE, .target = FL_REAL_TARGET, .domain = FL_UNIT_INTERVAL,            \
                   .n_coefficients = 3, .outputs = FOR_ALL, .scratch = set_scratch, .shared = shared_by_sets, \
                   .passes = {{.block = measure_sets, .combine = conclude_sets, .width = sums_of_sets},       \
                              {.block = derive_sets, .wants = FL_GRADIENT | FL_HESSIAN}})

#endif
