/* Pointwise losses: one prediction, one target, one value.
 *
 * A formula is plain arithmetic on one vector of predictions and targets, plus what its stages have computed for
 * the tile: exp and log1p in loops of their own over a tile that stays in L1 run faster than one loop that does
 * everything, because the processor sees enough independent work at once. The driver owns layouts, weights,
 * scaling, sums and stores, and knows no loss.
 */
#ifndef FASTLOSS_POINTWISE_H
#define FASTLOSS_POINTWISE_H

#include "real.h"
#include "stored.h"

enum { TILE = 512 }; /* elements: a tile of every array that a loss needs fits L1 */

/* Stages. e = exp(-|z|) and l = log1p(e) give sigmoid and softplus of z and of -z without cancellation. */
enum { STAGE_NONE = 0, STAGE_EXP = 1, STAGE_LOG1P = 2 };

typedef struct point {
    vreal value, gradient, hessian;
} point;

typedef struct operands {
    vreal z, t;          /* prediction, target */
    vreal e, l;          /* exp(-|z|), log1p(e): if the loss has asked for them */
    vreal pos_weight;
    const double *p;     /* the loss's coefficients */
    int curvature;
    int hard;            /* every target of this tile is 0 or 1, and pos_weight, if any, a number */
    int want_hessian;
} operands;

typedef point (*formula)(operands o);

/* A curvature that must not vanish with the probability: far below any that matters, and normal after scaling. */
#define CURVATURE_FLOOR (FL_REAL == 32 ? 0x1p-80 : 0x1p-800)

#define UNIFORM(c) splat((real)(c))

/* t (1 - s) + s / 2: label smoothing of a binary target */
ALWAYS_INLINE vreal smoothed(vreal t, double s) { return fmadd(t, UNIFORM(1 - s), UNIFORM(0.5 * s)); }

/* A sum in double precision of LANES lanes of reals. */
typedef struct lane_sums {
#if FL_REAL == 32
    vdouble low[GROUP], high[GROUP]; /* the lower and the upper half of each vector */
#else
    vreal lane[GROUP];
#endif
} lane_sums;

ALWAYS_INLINE lane_sums no_sums(void) { return (lane_sums){0}; }

ALWAYS_INLINE void add_lanes(lane_sums *s, int g, vreal x)
{
#if FL_REAL == 32
    s->low[g] += low_half(x), s->high[g] += high_half(x);
#else
    s->lane[g] += x;
#endif
}

ALWAYS_INLINE double total_of(const lane_sums *s)
{
    double lane[LANES], total = 0;
    for (int j = 0; j < LANES; j++)
#if FL_REAL == 32
        lane[j] = j % WIDTH < WIDTH / 2 ? s->low[j / WIDTH][j % WIDTH] : s->high[j / WIDTH][j % WIDTH - WIDTH / 2];
#else
        lane[j] = s->lane[j / WIDTH][j % WIDTH];
#endif
    for (int n = LANES / 2; n; n /= 2)
        for (int j = 0; j < n; j++) lane[j] += lane[j + n];
    total = lane[0];
    return total;
}

/* The sum of n reals. */
SHARED double sum_reals(const real *x, ptrdiff_t n)
{
    lane_sums sums = no_sums();
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int g = 0; g < GROUP; g++) add_lanes(&sums, g, load(x + i + g * WIDTH));
    double total = total_of(&sums);
    for (; i < n; i++) total += (double)x[i];
    return total;
}

/* The tile as consecutive reals: the array itself where it can be used as it is, else a copy padded with 0. */
SHARED const real *tile_of(const fl_array *array, const fl_job *job, ptrdiff_t first, ptrdiff_t count, int dense,
                           real *tile)
{
    if (dense && count % LANES == 0) return (const real *)(const void *)array->data + first;
    if (dense)
        memcpy(tile, (const real *)(const void *)array->data + first, (size_t)count * sizeof(real));
    else
        load_elements(tile, array, job->n_inner, first, count);
    for (ptrdiff_t i = count; i % LANES; i++) tile[i] = 0;
    return tile;
}

SHARED void put_tile(const fl_array *array, const fl_job *job, ptrdiff_t first, ptrdiff_t count, int dense,
                     const real *tile)
{
    real *to = (real *)(void *)array->data + first;
    if (!dense)
        store_elements(array, job->n_inner, first, count, tile);
    else if (job->stream)
        stream_copy(to, tile, count);
    else if (to != tile)
        memcpy(to, tile, (size_t)count * sizeof(real));
}

/* Position of the first target outside [0, 1] (or nan), or -1; *hard says whether all are 0 or 1. */
SHARED ptrdiff_t check_unit_interval(const real *t, ptrdiff_t count, int *hard)
{
    ptrdiff_t padded = (count + LANES - 1) / LANES * LANES;
    vint soft = splat_int(0);
    for (ptrdiff_t i = 0; i < padded; i += WIDTH) /* t^2 - t is +0 for 0, -0 and 1, and for nothing else */
        soft |= bits(fmadd(load(t + i), load(t + i), -load(t + i)));
    *hard = all_true(eq_int(soft, splat_int(0)));
    if (*hard) return -1;
    vmask ok;
    ok = eq(ZERO, ZERO);
    for (ptrdiff_t i = 0; i < padded; i += WIDTH) ok = both(ok, both(le(ZERO, load(t + i)), le(load(t + i), ONE)));
    if (all_true(ok)) return -1;
    for (ptrdiff_t i = 0; i < count; i++)
        if (!(t[i] >= 0 && t[i] <= 1)) return i;
    return -1;
}

/* The arrays of a tile, all padded to whole lanes. */
typedef struct tile_arrays {
    const real *z, *t, *w, *q, *e, *l; /* w, q: NULL where there are none */
    real *value, *gradient, *hessian;  /* value NULL: into the sums */
    ptrdiff_t n, padded;
    real scale;
} tile_arrays;

/* The formula over a tile. `plain`: no weights, no array of pos_weight, values summed, no padding. */
ALWAYS_INLINE void evaluate_tile(const tile_arrays *a, operands o, lane_sums *sums, formula f, const int stages,
                                 const int want, const int plain)
{
    lane_sums local = *sums;
    for (ptrdiff_t i = 0; i < a->padded; i += LANES)
        for (int g = 0; g < GROUP; g++) {
            const ptrdiff_t at = i + g * WIDTH;
            o.z = load(a->z + at);
            o.t = load(a->t + at);
            if (stages & STAGE_EXP) o.e = load(a->e + at);
            if (stages & STAGE_LOG1P) o.l = load(a->l + at);
            if (!plain && a->q) o.pos_weight = load(a->q + at);
            point result = f(o);
            vreal factor = splat(a->scale);
            if (!plain && a->w) { /* what weighs 0 gives 0, whatever it is */
                vreal weight = load(a->w + at);
                vmask nothing = eq(weight, ZERO);
                factor *= weight;
                if (want & FL_VALUE) result.value = choose(nothing, ZERO, result.value * weight);
                if (want & FL_GRADIENT) result.gradient = choose(nothing, ZERO, result.gradient);
                if (want & FL_HESSIAN) result.hessian = choose(nothing, ZERO, result.hessian);
            }
            if (want & FL_GRADIENT) store(a->gradient + at, result.gradient * factor);
            if (want & FL_HESSIAN) store(a->hessian + at, result.hessian * factor);
            if (!(want & FL_VALUE)) continue;
            if (!plain && a->value)
                store(a->value + at, result.value);
            else if (!plain && i + LANES > a->n) /* the padding does not count */
                add_lanes(&local, g, first_lanes(result.value, a->n - at));
            else
                add_lanes(&local, g, result.value);
        }
    *sums = local;
}

ALWAYS_INLINE ptrdiff_t pointwise_tiles(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum, formula f,
                                        const int stages, const int domain, const int want)
{
    CACHE_ALIGNED real z_tile[TILE], t_tile[TILE], w_tile[TILE], q_tile[TILE], e_tile[TILE], l_tile[TILE];
    CACHE_ALIGNED real value_tile[TILE], gradient_tile[TILE], hessian_tile[TILE];
#define DENSE(array) ((array).data && is_dense(&(array), job->n_outer, job->n_inner))
    const int z_dense = DENSE(job->prediction), t_dense = DENSE(job->target), w_dense = DENSE(job->weight);
    const int q_dense = DENSE(job->pos_weight), value_dense = DENSE(job->value);
    const int gradient_dense = DENSE(job->gradient), hessian_dense = DENSE(job->hessian);
#undef DENSE
    const real scale = (real)job->scale;
    const int curvature = job->curvature;
    double p[FL_MAX_COEFFICIENTS]; /* a copy that no store can be suspected to change */
    memcpy(p, job->coefficients, sizeof p);
    lane_sums sums = no_sums();

    for (ptrdiff_t end = first + count; first < end; first += TILE) {
        const ptrdiff_t n = end - first < TILE ? end - first : TILE;
        const ptrdiff_t padded = (n + LANES - 1) / LANES * LANES;
        const real *z = tile_of(&job->prediction, job, first, n, z_dense, z_tile);
        const real *t = job->target.data ? tile_of(&job->target, job, first, n, t_dense, t_tile) : z;
        const real *w = job->weight.data ? tile_of(&job->weight, job, first, n, w_dense, w_tile) : NULL;
        const real *q = job->pos_weight.data ? tile_of(&job->pos_weight, job, first, n, q_dense, q_tile) : NULL;
        int hard = 0;
        if (domain == FL_UNIT_INTERVAL) {
            ptrdiff_t bad = check_unit_interval(t, n, &hard);
            if (bad >= 0 && job->check_target) return first + bad;
        }
        const int direct = n == padded && !job->stream;
        real *gradient = direct && gradient_dense ? (real *)(void *)job->gradient.data + first : gradient_tile;
        real *hessian = direct && hessian_dense ? (real *)(void *)job->hessian.data + first : hessian_tile;

        if (stages & STAGE_EXP)
            for (ptrdiff_t i = 0; i < padded; i += WIDTH) store(e_tile + i, exp_nonpositive(-vabs(load(z + i))));
        if (stages & STAGE_LOG1P)
            for (ptrdiff_t i = 0; i < padded; i += WIDTH) store(l_tile + i, log1p_unit(load(e_tile + i)));
        tile_arrays a = {.z = z,
                         .t = t,
                         .w = w,
                         .q = q,
                         .e = e_tile,
                         .l = l_tile,
                         .n = n,
                         .padded = padded,
                         .scale = scale,
                         .gradient = gradient,
                         .hessian = hessian,
                         .value = job->value.data ? value_tile : NULL};
        operands o = {.p = p,
                      .curvature = curvature,
                      .hard = hard && !q,
                      .want_hessian = want & FL_HESSIAN,
                      .pos_weight = UNIFORM(p[0])};
        if (!w && !q && !a.value && n == padded)
            evaluate_tile(&a, o, &sums, f, stages, want, 1);
        else
            evaluate_tile(&a, o, &sums, f, stages, want, 0);
        if ((want & FL_GRADIENT) && job->gradient.data)
            put_tile(&job->gradient, job, first, n, gradient_dense, gradient);
        if ((want & FL_HESSIAN) && job->hessian.data) put_tile(&job->hessian, job, first, n, hessian_dense, hessian);
        if ((want & FL_VALUE) && job->value.data) put_tile(&job->value, job, first, n, value_dense, value_tile);
    }
    if (job->stream) stream_end();
    *sum = total_of(&sums);
    return -1;
}

/* One copy of the driver for each set of outputs, so that what is not wanted is not computed. */
ALWAYS_INLINE ptrdiff_t pointwise_block(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum, formula f,
                                        const int stages, const int value_stages, const int domain)
{
    switch (job->want) {
#define CASE(want)                                                                                              \
    case want:                                                                                                  \
        return pointwise_tiles(job, first, count, sum, f, ((want) & FL_VALUE) ? stages | value_stages : stages, \
                               domain, want);
        CASE(FL_VALUE)
        CASE(FL_GRADIENT)
        CASE(FL_VALUE | FL_GRADIENT)
        CASE(FL_GRADIENT | FL_HESSIAN)
    default:
        return pointwise_tiles(job, first, count, sum, f, stages | value_stages, domain,
                               FL_VALUE | FL_GRADIENT | FL_HESSIAN);
#undef CASE
    }
}

/* Makes a loss of a formula: its stages (those that the value alone needs apart) and the domain of its target. */
#define POINTWISE(name, stages, value_stages, domain)                                               \
    static ptrdiff_t name##_block(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum) \
    {                                                                                               \
        return pointwise_block(job, first, count, sum, name, stages, value_stages, domain);         \
    }                                                                                               \
    static const fl_loss name##_loss = {#name, name##_block, domain};

/* The sum of at most TILE weights, and the tile of them; *bad becomes the position of the first that is negative or not
 * finite, if none was found before. */
SHARED double sum_weights(real *tile, const fl_array *weight, ptrdiff_t n_inner, ptrdiff_t first, ptrdiff_t n,
                          ptrdiff_t *bad)
{
    load_elements(tile, weight, n_inner, first, n);
    ptrdiff_t padded = (n + LANES - 1) / LANES * LANES;
    for (ptrdiff_t i = n; i < padded; i++) tile[i] = 0;
    vmask ok = eq(ZERO, ZERO);
    for (ptrdiff_t i = 0; i < padded; i += WIDTH)
        ok = both(ok, both(le(ZERO, load(tile + i)), lt(load(tile + i), C(REAL_INFINITY))));
    if (!all_true(ok) && *bad < 0)
        for (ptrdiff_t i = n - 1; i >= 0; i--)
            if (!(tile[i] >= 0 && tile[i] < REAL_INFINITY)) *bad = first + i;
    return sum_reals(tile, n);
}

/* Targets inside the domain, weights finite and >= 0; adds the weights up. */
SHARED void check_pointwise(const fl_job *job, ptrdiff_t first, ptrdiff_t count, fl_checked *result)
{
    CACHE_ALIGNED real w[TILE], t[TILE];
    const int dense = is_dense(&job->target, job->n_outer, job->n_inner);
    *result = (fl_checked){0, -1, -1};
    for (ptrdiff_t end = first + count; first < end; first += TILE) {
        const ptrdiff_t n = end - first < TILE ? end - first : TILE;
        result->weight_sum +=
            job->weight.data ? sum_weights(w, &job->weight, job->n_inner, first, n, &result->bad_weight) : (double)n;
        if (!job->check_target || result->bad_target >= 0) continue;
        int hard;
        const real *targets = tile_of(&job->target, job, first, n, dense && !job->weight.data, t);
        if (job->weight.data)
            for (ptrdiff_t i = 0; i < n; i++) /* what counts nowhere may hold anything */
                if (w[i] == 0) t[i] = 0;
        ptrdiff_t bad = check_unit_interval(targets, n, &hard);
        if (bad >= 0) result->bad_target = first + bad;
    }
}

#endif
