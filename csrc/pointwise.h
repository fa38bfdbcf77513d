/* Pointwise losses: one prediction, one target, one value.
 *
 * pointwise_block: tiles in, tiles out, in any layout and type      compiled once
 *     <loss>_tile_<wanted outputs>: a tile                           compiled for each loss and set of outputs
 *         run_stage: exp, log1p                                      loops of their own, up to two
 *         evaluate_tile: the formula, weights, scale, sums
 *     put_tile: what goes out, some of it while the next tile is computed
 *
 * A formula is plain arithmetic on one vector of predictions and targets, plus what the stages have computed: loops of their
 * own over a tile that stays in L1 run faster than one loop that does everything, because the processor sees enough
 * independent work at once.
 */
#ifndef FASTLOSS_POINTWISE_H
#define FASTLOSS_POINTWISE_H

#include "checks.h"
#include "formulas.h"
#include "passes.h"
#include "stored.h"
#include "sums.h"

enum { TILE = 512 }; /* elements: a tile of every array that a loss needs fits L1 */

typedef struct point {
    vreal value, gradient, hessian;
} point;

typedef struct operands {
    vreal z, t;          /* prediction, target */
    vreal e, l;          /* results of the first and the second stage, in this order */
    vreal pos_weight;
    const double *p;     /* the loss's first FL_COEFFICIENTS coefficients */
    const double *all;   /* all of them, where their number is any */
    int n_coefficients;
    int curvature;
    int hard;            /* every target of this tile is 0 or 1, and pos_weight, if any, a number */
    int want_hessian;
} operands;

typedef point (*formula)(operands o);
typedef vreal (*stage)(operands o);

/* e = exp(-|z|) and l = log1p(e) give sigmoid and softplus of z and of -z without cancellation. */
ALWAYS_INLINE vreal exp_of_distance(operands o) { return exp_nonpositive(-vabs(o.z)); }
ALWAYS_INLINE vreal log1p_of_e(operands o) { return log1p_unit(o.e); }

/* sigmoid(|z|) = large and sigmoid(-|z|) = small of e = exp(-|z|), a last digit better than quotients as they come: 1 + e
 * is taken as the exact sum of two, and the quotient corrected by its remainder. */
typedef struct sigmoids {
    vreal large, small;
} sigmoids;

ALWAYS_INLINE sigmoids sharp_sigmoids(vreal e)
{
    vreal whole = ONE + e, rest = e - (whole - ONE), quotient = ONE / whole;
    vreal remainder = fmadd(-rest, quotient, -product_error(whole, quotient, ONE));
    vreal product = e * quotient, lost = product_error(e, quotient, product);
    return (sigmoids){fmadd(quotient, remainder, quotient), product + fmadd(product, remainder, lost)};
}

/* t (1 - s) + s / 2: label smoothing of a binary target */
ALWAYS_INLINE vreal smoothed(vreal t, double s) { return fmadd(t, UNIFORM(1 - s), UNIFORM(0.5 * s)); }

/* The tile as consecutive reals: the array itself where it can be used as it is, else a copy padded with 0. */
SHARED const real *tile_of(const fl_array *array, const fl_job *job, ptrdiff_t first, ptrdiff_t count, int dense,
                           real *tile)
{
    if (dense && count % LANES == 0) return (const real *)(const void *)array->data + first;
    if (dense)
        memcpy(tile, (const real *)(const void *)array->data + first, (size_t)count * sizeof(real));
    else if (array == &job->weight)
        load_weights(tile, job, first, count);
    else
        load_elements(tile, array, job->n_inner, first, count);
    for (ptrdiff_t i = count; i % LANES; i++) tile[i] = 0;
    return tile;
}

/* The same of an array that may be broadcast, NULL if there is none. What is one number stays in its tile, once it is there; so does
 * a row that all rows share, and a tile begins anywhere in it. `tile` has room for two. */
SHARED const real *broadcast_tile(const fl_array *array, const fl_job *job, ptrdiff_t first, ptrdiff_t n, int is_first,
                                  real *tile)
{
    if (!array->data) return NULL;
    const int scaled = array == &job->weight && job->weight_unit != 1;
    const int single = is_single(array, job->n_outer, job->n_inner);
    for (ptrdiff_t i = n; single && i % LANES; i++) tile[i] = 0;
    if (single && !is_first) return tile;
    if (single || array->outer || job->n_outer == 1 || job->n_inner > TILE || n % LANES)
        return tile_of(array, job, first, n, !single && !scaled && is_dense(array, job->n_outer, job->n_inner), tile);
    if (is_first) tile_of(array, job, 0, TILE + job->n_inner, 0, tile);
    return tile + first % job->n_inner;
}

/* 1 for each of n elements, 0 for the padding; once written, they stay in their tile. */
SHARED const real *unit_weights(real *tile, ptrdiff_t n, int is_first)
{
    for (ptrdiff_t i = 0; (is_first || n < TILE) && i < n; i++) tile[i] = 1;
    for (ptrdiff_t i = n; i % LANES; i++) tile[i] = 0;
    return tile;
}

/* Stores a tile, or begins to: what is streamed flows on while the next tile is computed. */
SHARED streaming_copy put_tile(const fl_array *array, const fl_job *job, ptrdiff_t first, ptrdiff_t count, int dense,
                               const real *tile)
{
    real *to = (real *)(void *)array->data + first;
    if (dense && job->stream) return start_streaming(to, tile, count);
    if (!dense)
        store_elements(array, job->n_inner, first, count, tile);
    else if (to != tile)
        memcpy(to, tile, (size_t)count * sizeof(real));
    return (streaming_copy){0};
}

/* The arrays of a tile, all padded to whole lanes. */
typedef struct tile_arrays {
    const real *z, *t, *w, *q;        /* w, q: NULL where there are none; w only of plain tiles */
    real *e, *l;                      /* what the stages compute */
    real *value, *gradient, *hessian; /* value NULL: into the sums */
    ptrdiff_t padded;
    real scale;
    int wanted;
    struct traffic *traffic;          /* NULL: everything is in the caches */
} tile_arrays;

/* The arithmetic of a tile leaves memory idle, and waiting for memory the arithmetic. So the first loop over a tile fetches
 * the next one and sends off the one before. */
enum { READ = 3 }; /* prediction, target, weight */
typedef struct traffic {
    const char *ahead[READ];          /* the next tile's; the first is NULL where there is none */
    ptrdiff_t step[READ];             /* from one element to the next */
    streaming_copy gradient, hessian; /* what is left of the tile before */
} traffic;

ALWAYS_INLINE void use_memory_meanwhile(traffic *t, ptrdiff_t i)
{
    for (int k = 0; k < READ && t->ahead[0]; k++) {
        prefetch(t->ahead[k] + i * t->step[k]);
        if (t->step[k] > (ptrdiff_t)sizeof(real)) prefetch(t->ahead[k] + i * t->step[k] + 64);
    }
    advance_copy(&t->gradient);
    advance_copy(&t->hessian);
}

ALWAYS_INLINE void run_stage(const tile_arrays *a, operands o, real *to, stage f, const int has_e)
{
    traffic *const meanwhile = has_e ? NULL : a->traffic;
    for (ptrdiff_t i = 0; i < a->padded; i += LANES) {
        if (meanwhile) use_memory_meanwhile(meanwhile, i);
        for (int g = 0; g < GROUP; g++) {
            const ptrdiff_t at = i + g * WIDTH;
            o.z = load(a->z + at);
            o.t = load(a->t + at);
            if (has_e) o.e = load(a->e + at);
            store(to + at, f(o));
        }
    }
}

enum { GENERAL, PLAIN, EACH_VALUE };

/* The formula over a tile. `kind` PLAIN: no weights, no array of pos_weight, values summed, no padding, and all that `want` computes is
 * wanted. EACH_VALUE: values as they are. Else all of it is computed, and there is a weight for each element, 0 for the padding. */
ALWAYS_INLINE void evaluate_tile(const tile_arrays *a, operands o, lane_sums *sums, formula f, const int has_e,
                                 const int has_l, const int want, const int kind)
{
    lane_sums local = *sums;
    traffic *const meanwhile = has_e ? NULL : a->traffic;
    for (ptrdiff_t i = 0; i < a->padded; i += LANES) {
        if (meanwhile) use_memory_meanwhile(meanwhile, i);
        for (int g = 0; g < GROUP; g++) {
            const ptrdiff_t at = i + g * WIDTH;
            o.z = load(a->z + at);
            o.t = load(a->t + at);
            if (has_e) o.e = load(a->e + at);
            if (has_l) o.l = load(a->l + at);
            if (kind == GENERAL && a->q) o.pos_weight = load(a->q + at);
            point result = f(o);
            vreal factor = splat(a->scale);
            if (kind == GENERAL) { /* what weighs 0 gives 0, whatever it is */
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
            if (kind == EACH_VALUE || (kind == GENERAL && a->value))
                store(a->value + at, result.value);
            else
                add_lanes(&local, g, result.value);
        }
    }
    *sums = local;
}

/* What a loss is to the driver: stages and formula over a tile. Plain ones have a copy for each set of outputs, so that what is not
 * wanted is not computed; of the others a gradient comes with its value, and a Hessian with both. */
typedef struct settings {
    const double *p;
    int curvature, hard, n_coefficients;
} settings;

typedef void (*tile_function)(const tile_arrays *a, const settings *s, lane_sums *sums);
typedef struct pointwise_formula {
    tile_function plain[(FL_VALUE | FL_GRADIENT | FL_HESSIAN) + 1], general[(FL_VALUE | FL_GRADIENT | FL_HESSIAN) + 1];
} pointwise_formula;

/* Up to two, and the outputs that need them. */
typedef struct stages {
    stage first;
    int first_for;
    stage second;
    int second_for;
} stages;

/* A stage, if it is needed; else zeros in its place. */
ALWAYS_INLINE void fill_stage(const tile_arrays *a, operands o, real *to, stage f, const int has_e, int needed)
{
    if (needed)
        run_stage(a, o, to, f, has_e);
    else
        memset(to, 0, (size_t)a->padded * sizeof(real));
}

ALWAYS_INLINE void whole_tile(const tile_arrays *a, operands o, lane_sums *sums, formula f, stages before,
                              const int want, const int kind)
{
    const int has_e = before.first && (before.first_for & want), has_l = before.second && (before.second_for & want);
    if (has_e) fill_stage(a, o, a->e, before.first, 0, kind == PLAIN || before.first_for & a->wanted);
    if (has_l) fill_stage(a, o, a->l, before.second, has_e, kind == PLAIN || before.second_for & a->wanted);
    evaluate_tile(a, o, sums, f, has_e, has_l, want, kind);
}

/* Adds up the values of n elements, which a function of one argument has left in their tile. */
SHARED void add_values(lane_sums *sums, real *x, ptrdiff_t n)
{
    for (ptrdiff_t i = n; i % LANES; i++) x[i] = 0;
    for (ptrdiff_t i = 0; i < n; i += LANES)
        for (int g = 0; g < GROUP; g++) add_lanes(sums, g, load(x + i + g * WIDTH));
}

/* The first of n targets that is outside its domain, or -1. `bad` is the first as a real; what weighs 0 may hold anything. */
SHARED ptrdiff_t bad_target(const fl_job *job, ptrdiff_t first, ptrdiff_t n, const real *t, const real *w,
                            ptrdiff_t bad)
{
    CACHE_ALIGNED real counts[TILE];
    int hard;
    bad = earlier(bad, check_wide_domain(&job->target, job, first, n, job->domain, NULL));
    if (bad < 0 || !w) return bad;
    for (ptrdiff_t i = 0; i < (n + LANES - 1) / LANES * LANES; i++)
        counts[i] = w[i] == 0 ? harmless_target(job->domain) : t[i];
    return earlier(check_domain(counts, n, job->domain, &hard),
                   check_wide_domain(&job->target, job, first, n, job->domain, w));
}

/* Where the tile stands that is read next. What does not lie in one run is left to the processor. */
SHARED void look_ahead(traffic *t, const fl_job *job, ptrdiff_t first, int is_last)
{
    const fl_array *read[READ] = {&job->prediction, &job->target, &job->weight};
    for (int k = 0; k < READ; k++) {
        const fl_array *x = read[k];
        const int one_run = x->data && (job->n_outer == 1 || lies_in_one_run(x, job));
        t->step[k] = job->n_inner == 1 ? x->outer : x->inner;
        t->ahead[k] = one_run || (x->data && job->n_inner == 1) ? x->data + first * t->step[k] : t->ahead[0];
        if (k && t->ahead[k] == t->ahead[0]) t->step[k] = t->step[0];
        if (!k && is_last) t->ahead[0] = NULL;
    }
}

SHARED ptrdiff_t pointwise_block(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum,
                                 const pointwise_formula *f)
{
    CACHE_ALIGNED real z_tile[TILE], t_tile[2 * TILE], w_tile[2 * TILE], q_tile[2 * TILE], e_tile[TILE], l_tile[TILE];
    CACHE_ALIGNED real value_tile[TILE], gradient_tile[2][TILE], hessian_tile[2][TILE];
#define DENSE(array) ((array).data && is_dense(&(array), job->n_outer, job->n_inner))
    const int z_dense = DENSE(job->prediction), value_dense = DENSE(job->value);
    const int gradient_dense = DENSE(job->gradient), hessian_dense = DENSE(job->hessian);
#undef DENSE
    lane_sums sums = no_sums();
    traffic traffic = {0};
    const ptrdiff_t start = first, end = first + count;

    for (ptrdiff_t turn = 0; first < end; first += TILE, turn = !turn) {
        const ptrdiff_t n = end - first < TILE ? end - first : TILE;
        const ptrdiff_t padded = (n + LANES - 1) / LANES * LANES;
        const int direct = n == padded && !job->stream;
        tile_arrays a = {.e = e_tile,
                         .l = l_tile,
                         .padded = padded,
                         .scale = (real)job->scale,
                         .wanted = job->want,
                         .value = job->value.data || !job->target.data ? value_tile : NULL,
                         .traffic = job->stream ? &traffic : NULL};
        a.z = tile_of(&job->prediction, job, first, n, z_dense, z_tile);
        a.t = job->target.data ? broadcast_tile(&job->target, job, first, n, first == start, t_tile) : a.z;
        a.w = broadcast_tile(&job->weight, job, first, n, first == start, w_tile);
        a.q = broadcast_tile(&job->pos_weight, job, first, n, first == start, q_tile);
        a.gradient = direct && gradient_dense ? (real *)(void *)job->gradient.data + first : gradient_tile[turn];
        a.hessian = direct && hessian_dense ? (real *)(void *)job->hessian.data + first : hessian_tile[turn];
        if (job->stream) look_ahead(&traffic, job, first + TILE, first + 2 * TILE > end);
        int hard;
        ptrdiff_t bad = check_domain(a.t, n, job->domain, &hard);
        if (job->check_target) {
            bad = bad_target(job, first, n, a.t, a.w, bad);
            if (bad >= 0) return first + bad;
        }

        const settings settings = {job->coefficients, job->curvature, hard && !a.q, job->n_coefficients};
        const int plain = !a.w && !a.q && !a.value && n == padded;
        if (!plain && !a.w && job->target.data) a.w = unit_weights(w_tile, n, first == start);
        (plain ? f->plain : f->general)[job->want](&a, &settings, &sums);
        if (!job->target.data && !job->value.data) add_values(&sums, value_tile, n);
        finish_copy(&traffic.gradient);
        finish_copy(&traffic.hessian);
        if (job->gradient.data) traffic.gradient = put_tile(&job->gradient, job, first, n, gradient_dense, a.gradient);
        if (job->hessian.data) traffic.hessian = put_tile(&job->hessian, job, first, n, hessian_dense, a.hessian);
        if (job->value.data) {
            streaming_copy value_flow = put_tile(&job->value, job, first, n, value_dense, value_tile);
            finish_copy(&value_flow);
        }
    }
    finish_copy(&traffic.gradient);
    finish_copy(&traffic.hessian);
    if (job->stream) stream_end();
    *sum = job->want & FL_VALUE ? total_of(&sums) : 0; /* tiles with weights may have added what is no value */
    return -1;
}

/* Of weights that are one number, or a short row that all rows share: where in it a tile begins, on which its sum depends; else -1. */
enum { PHASES = 64 };
ALWAYS_INLINE ptrdiff_t phase_of(const fl_array *weight, const fl_job *job, ptrdiff_t first)
{
    if (is_single(weight, job->n_outer, job->n_inner)) return 0;
    return weight->outer || job->n_outer == 1 || job->n_inner > PHASES ? -1 : first % job->n_inner;
}

/* Targets inside the domain, weights finite and >= 0; adds the weights up. */
SHARED void check_pointwise(const fl_job *job, ptrdiff_t first, ptrdiff_t count, fl_checked *result)
{
    CACHE_ALIGNED real w_tile[2 * TILE], t_tile[2 * TILE];
    const int has_weights = job->weight.data != NULL;
    const ptrdiff_t w_size = has_weights ? size_of_type(job->weight.type) : 1;
    const int w_in_one_run = has_weights && lies_in_one_run(&job->weight, job);
    const ptrdiff_t start = first, end = first + count;
    double sums[PHASES]; /* of the tiles that begin there, if it is known */
    uint64_t known = 0;
    *result = (fl_checked){.bad_target = -1, .bad_weight = -1};
    for (; first < end; first += TILE) {
        const ptrdiff_t n = end - first < TILE ? end - first : TILE;
        if (w_in_one_run && first + 2 * TILE <= end)
            for (ptrdiff_t i = TILE; i < 2 * TILE; i += 64 / w_size)
                prefetch_far(job->weight.data + (first + i) * w_size);
        const real *w = broadcast_tile(&job->weight, job, first, n, first == start, w_tile);
        const ptrdiff_t phase = w && n == TILE ? phase_of(&job->weight, job, first) : -1;
        if (!w)
            result->weight_sum += (double)n;
        else if (phase >= 0 && known >> phase & 1)
            result->weight_sum += sums[phase];
        else {
            const double sum = sum_of_weights(w, job, first, n, result);
            result->weight_sum += sum;
            if (phase >= 0) known |= (uint64_t)1 << phase, sums[phase] = sum;
        }
        if (!job->check_target || result->bad_target >= 0) continue;
        int hard;
        const real *t = broadcast_tile(&job->target, job, first, n, first == start, t_tile);
        const ptrdiff_t bad = bad_target(job, first, n, t, w, check_domain(t, n, job->domain, &hard));
        if (bad >= 0) result->bad_target = first + bad;
    }
}

DEFINE_CHECK(pointwise)

/* Makes a loss of a formula, the domain of its target, the number of its coefficients, and two stages: STAGE(function, the outputs
 * that need it). */
#define STAGE(function, outputs) function, outputs
#define FOR_ALL (FL_VALUE | FL_GRADIENT | FL_HESSIAN)
#define NO_STAGES NULL, 0, NULL, 0
#define DEFINE_TILE(name, id, want, kind, ...)                                                 \
    static void name##_##id##_##want(const tile_arrays *a, const settings *s, lane_sums *sums) \
    {                                                                                          \
        const tile_arrays arrays = *a; /* copies that no store can be suspected to change */   \
        double p[FL_COEFFICIENTS];                                                             \
        memcpy(p, s->p, sizeof p);                                                             \
        const operands o = {.p = p,                                                            \
                            .all = s->p,                                                       \
                            .n_coefficients = s->n_coefficients,                               \
                            .curvature = s->curvature,                                         \
                            .hard = s->hard,                                                   \
                            .want_hessian = (want) & FL_HESSIAN,                               \
                            .pos_weight = UNIFORM(p[0])};                                      \
        whole_tile(&arrays, o, sums, name, (stages){__VA_ARGS__}, want, kind);                 \
    }
#define DEFINE_PLAIN(name, want, ...) DEFINE_TILE(name, plain, want, PLAIN, __VA_ARGS__)
#define DEFINE_GENERAL(name, want, ...) DEFINE_TILE(name, general, want, GENERAL, __VA_ARGS__)
#define DEFINE_VALUE(name, ...)          \
    DEFINE_PLAIN(name, 1, __VA_ARGS__)   \
    DEFINE_GENERAL(name, 1, __VA_ARGS__) \
    static const pointwise_formula name##_formula = {{NULL, name##_plain_1}, {NULL, name##_general_1}};
#define DEFINE_BLOCK(name)                                                                          \
    static ptrdiff_t name##_block(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum) \
    {                                                                                               \
        return pointwise_block(job, first, count, sum, &name##_formula);                            \
    }
#define DEFINE_POINTWISE(name, domain_, n_coefficients_, outputs_)                          \
    DEFINE_BLOCK(name)                                                                      \
    FL_DEFINE_LOSS(name, .kind = FL_POINTWISE, .target = FL_REAL_TARGET, .domain = domain_, \
                   .n_coefficients = n_coefficients_, .outputs = outputs_, .check = pointwise_check, ONE_PASS(name))
#define POINTWISE(name, domain, n_coefficients, ...)                                                                  \
    DEFINE_PLAIN(name, 1, __VA_ARGS__)                                                                                \
    DEFINE_PLAIN(name, 2, __VA_ARGS__)                                                                                \
    DEFINE_PLAIN(name, 3, __VA_ARGS__)                                                                                \
    DEFINE_PLAIN(name, 6, __VA_ARGS__)                                                                                \
    DEFINE_PLAIN(name, 7, __VA_ARGS__)                                                                                \
    DEFINE_GENERAL(name, 1, __VA_ARGS__)                                                                              \
    DEFINE_GENERAL(name, 3, __VA_ARGS__)                                                                              \
    DEFINE_GENERAL(name, 7, __VA_ARGS__)                                                                              \
    static const pointwise_formula name##_formula = {                                                                 \
        {NULL, name##_plain_1, name##_plain_2, name##_plain_3, NULL, name##_plain_7, name##_plain_6, name##_plain_7}, \
        {NULL, name##_general_1, name##_general_3, name##_general_3, NULL, name##_general_7, name##_general_7,        \
         name##_general_7}};                                                                                          \
    DEFINE_POINTWISE(name, domain, n_coefficients, FOR_ALL)

/* The same for what has no derivatives. */
#define POINTWISE_VALUE(name, domain, n_coefficients, ...) \
    DEFINE_VALUE(name, __VA_ARGS__)                        \
    DEFINE_POINTWISE(name, domain, n_coefficients, FL_VALUE)

/* A function of one argument: the result is the value of each. */
#define UNARY(name, ...)                                                                            \
    DEFINE_TILE(name, each, 1, EACH_VALUE, __VA_ARGS__)                                             \
    static const pointwise_formula name##_formula = {{NULL, name##_each_1}, {NULL, name##_each_1}}; \
    DEFINE_BLOCK(name)                                                                              \
    FL_DEFINE_LOSS(name, .kind = FL_UNARY, .outputs = FL_VALUE, ONE_PASS(name))

#endif
