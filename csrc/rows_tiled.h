/* Rows in lanes: a tile holds logit k of all its rows side by side, so every reduction over the classes is a plain loop over
 * vectors, and K = 2 fills them as well as K = 1000. For few classes, for arrays whose rows lie that way in memory
 * (F order, classes along a leading axis), and for whatever else is not covered by rows_long.h.
 */
#include "transpose.h"

/* A sum that keeps what its additions round off (Fast2Sum needs |sum| >= |x|, TwoSum does not). */
typedef struct exact_sum {
    vreal sum, rest;
} exact_sum;

ALWAYS_INLINE void add_to(exact_sum *s, vreal x)
{
    vreal total = s->sum + x, back = total - s->sum;
    s->rest += (s->sum - (total - back)) + (x - back);
    s->sum = total;
}

ALWAYS_INLINE vreal value_of(exact_sum s) { return choose(eq(s.rest, s.rest), s.sum + s.rest, s.sum); }

ALWAYS_INLINE ptrdiff_t rows_in_tile(const fl_job *job)
{
    ptrdiff_t rows = TILE_BYTES / (ptrdiff_t)sizeof(real) / job->n_classes / LANES * LANES;
    return rows < LANES ? LANES : rows > MAX_ROWS ? MAX_ROWS : rows;
}

/* Bytes of scratch that rows_tiled takes: logits, exponentials, Hessian, targets, and rows on their way out. */
enum { TILE_ARRAYS = 5 };
ALWAYS_INLINE ptrdiff_t tiled_scratch(const fl_job *job)
{
    return TILE_ARRAYS * ((rows_in_tile(job) * job->n_classes + 2 * LANES) * (ptrdiff_t)sizeof(real) + 64) + 64;
}

/* tile[k * rows + i] = element k of row first + i */
SHARED void load_tile(real *tile, ptrdiff_t rows, const fl_array *array, const fl_job *job, ptrdiff_t first,
                      ptrdiff_t n)
{
    const ptrdiff_t n_classes = job->n_classes, size = sizeof(real);
    FOR_EACH_RUN(array, job->n_inner, first, n, {
        if (array->type == REAL_TYPE && stride == size)
            for (ptrdiff_t k = 0; k < n_classes; k++)
                memcpy(tile + k * rows + done, at + k * array->classes, (size_t)(run * size));
        else if (array->type == REAL_TYPE && array->classes == size && stride % size == 0)
            rows_to_tile(tile + done, rows, (const real *)(const void *)at, stride / size, n_classes, run);
        else
            for (ptrdiff_t k = 0; k < n_classes; k++)
                load_strided(tile + k * rows + done, at + k * array->classes, stride, array->type, run);
    })
    if (n % LANES)
        for (ptrdiff_t k = 0; k < n_classes; k++)
            for (ptrdiff_t i = n; i < round_up(n, LANES); i++) tile[k * rows + i] = 0;
}

/* `flow`: a streaming store may be left to it. */
SHARED void store_tile(const real *tile, ptrdiff_t rows, const fl_array *array, const fl_job *job, ptrdiff_t first,
                       ptrdiff_t n, real *packed, outflow *flow)
{
    const ptrdiff_t n_classes = job->n_classes, size = sizeof(real);
    if (array->type == REAL_TYPE && array->classes == size && job->n_inner == 1 &&
        (array->outer == n_classes * size || n == 1)) {
        real *to = (real *)(void *)(array->data + first * array->outer);
        tile_to_rows(tile, rows, packed, n_classes, n);
        if (job->stream && flow)
            *flow = start_outflow(to, packed, n * n_classes);
        else if (job->stream)
            stream_copy(to, packed, n * n_classes);
        else
            memcpy(to, packed, (size_t)(n * n_classes * size));
        return;
    }
    FOR_EACH_RUN(array, job->n_inner, first, n, {
        for (ptrdiff_t k = 0; k < n_classes; k++) {
            char *to = at + k * array->classes;
            const real *from = tile + k * rows + done;
            if (array->type != REAL_TYPE || stride != size)
                store_strided(to, stride, array->type, from, run);
            else if (job->stream)
                stream_copy((real *)(void *)to, from, run);
            else
                memcpy(to, from, (size_t)(run * size));
        }
    })
}

/* Rows whose largest logit is infinite, as rows that the loops can handle: one +inf is probability 1; of two, or of
 * none but -inf, no probabilities can be told. logsumexp is the infinite number itself. */
SHARED void settle_infinite_row(real *tile, ptrdiff_t rows, ptrdiff_t n_classes, real largest, int kind)
{
    ptrdiff_t n_infinite = 0;
    int has_nan = 0;
    for (ptrdiff_t k = 0; k < n_classes; k++) {
        n_infinite += tile[k * rows] == REAL_INFINITY;
        has_nan |= tile[k * rows] != tile[k * rows];
    }
    if (has_nan || (kind != ROW_LOGSUMEXP && n_infinite != 1)) {
        tile[0] = (real)__builtin_nan("");
        return;
    }
    int seen = 0;
    for (ptrdiff_t k = 0; k < n_classes; k++)
        if (tile[k * rows] == largest && !seen)
            tile[k * rows] = 0, seen = 1;
        else
            tile[k * rows] = -REAL_INFINITY;
}

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
ALWAYS_INLINE vreal largest_of_rows(real *z, ptrdiff_t rows, ptrdiff_t n_classes, int kind, vreal *reported)
{
    vreal largest = load(z);
    for (ptrdiff_t k = 1; k < n_classes; k++) largest = vmax(load(z + k * rows), largest);
    *reported = largest;
    if (all_true(lt(vabs(largest), C(REAL_INFINITY)))) return largest;
    for (ptrdiff_t j = 0; j < WIDTH; j++) {
        real m = z[j];
        for (ptrdiff_t k = 1; k < n_classes; k++)
            if (z[k * rows + j] > m || m != m) m = z[k * rows + j];
        if (m == REAL_INFINITY || m == -REAL_INFINITY) settle_infinite_row(z + j, rows, n_classes, m, kind);
    }
    largest = load(z);
    for (ptrdiff_t k = 1; k < n_classes; k++) largest = vmax(load(z + k * rows), largest);
    return largest;
}

/* The statistics of all rows of a tile, and the exponentials, which take the logits' place where e == z. */
ALWAYS_INLINE void tile_statistics(real *z, real *e, ptrdiff_t rows, ptrdiff_t n, const fl_job *job, row_stats *s,
                                   const int kind, const int keep, const int by_target, const int want_smaller,
                                   const char *ahead, ptrdiff_t ahead_bytes, outflow *flow)
{
    const ptrdiff_t n_classes = job->n_classes;
    ptrdiff_t fetched = 0;
    outflow leaving = *flow;
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        vreal reported, largest = largest_of_rows(z + i, rows, n_classes, kind, &reported);
        vint target;
        if (by_target) {
            target = load_int(s->target + i);
        } else {
            vreal at = ZERO; /* an integer's bits */
            for (ptrdiff_t k = n_classes - 1; k > 0; k--)
                at = choose(eq(load(z + k * rows + i), largest), from_bits(splat_int((real_int)k)), at);
            at = choose(eq(load(z + i), largest), ZERO, at);
            target = bits(at);
            *(vint_unaligned *)(s->target + i) = (vint_unaligned)target;
        }
        exact_sum others = {ZERO, ZERO}, smaller = {ZERO, ZERO};
        vreal own = ZERO, distance = ZERO, ties = ZERO, lower = ZERO;
        if (n_classes == 2) lower = exp_nonpositive(-vabs(load(z + i) - load(z + rows + i)));
        for (ptrdiff_t k0 = 0, k1; k0 < n_classes; k0 = k1) {
            k1 = end_of_partial_sum(k0, n_classes);
            vreal part = ZERO, smaller_part = ZERO;
            for (ptrdiff_t k = k0; k < k1; k++) {
                vreal x = load(z + k * rows + i) - largest;
                /* of two classes one exponential is 1; nan != nan keeps a nan */
                vreal y = n_classes == 2 ? choose(eq(x, ZERO), ONE, lower) : exp_nonpositive(x);
                vmask mine = eq_int(target, splat_int((real_int)k));
                part += choose(mine, ZERO, y);
                own = choose(mine, y, own);
                distance = choose(mine, x, distance); /* with the other sign */
                if (want_smaller) {
                    vmask top = eq(y, ONE);
                    smaller_part += choose(top, ZERO, y);
                    ties += choose(top, ONE, ZERO);
                }
                if (keep) store(e + k * rows + i, y);
                if (fetched < ahead_bytes) prefetch_far(ahead + fetched), fetched += 64;
                if (k % GROUP == 0) step(&leaving);
            }
            if (n_classes <= FEW_SUMS)
                others.sum = k0 ? others.sum + part : part;
            else
                add_to(&others, part);
            if (want_smaller) add_to(&smaller, smaller_part);
        }
        store(s->others + i, n_classes <= FEW_SUMS ? others.sum : value_of(others));
        store(s->own + i, own);
        store(s->distance + i, kind == ROW_LOGSUMEXP ? reported : -distance);
        if (want_smaller) store(s->smaller + i, value_of(smaller) + (ties - ONE));
        if (kind == ROW_LOG_SOFTMAX) store(s->first + i, largest);
    }
    *flow = leaving;
}

/* The sets of options that occur, a copy each: they are shared by all losses. */
#define STATISTICS(name, kind, keep, by_target, want_smaller)                                                  \
    SHARED void name(real *z, real *e, ptrdiff_t rows, ptrdiff_t n, const fl_job *job, row_stats *s,           \
                     const char *ahead, ptrdiff_t ahead_bytes, outflow *flow)                                  \
    {                                                                                                          \
        tile_statistics(z, e, rows, n, job, s, kind, keep, by_target, want_smaller, ahead, ahead_bytes, flow); \
    }
STATISTICS(statistics_value, ROW_LOSS, 0, 1, 0)
STATISTICS(statistics_gradient, ROW_LOSS, 1, 1, 0)
STATISTICS(statistics_hessian, ROW_LOSS, 1, 1, 1)
STATISTICS(statistics_soft, ROW_LOSS, 1, 0, 0)
STATISTICS(statistics_log_softmax, ROW_LOG_SOFTMAX, 0, 0, 0)
STATISTICS(statistics_softmax, ROW_SOFTMAX, 1, 0, 0)
STATISTICS(statistics_logsumexp, ROW_LOGSUMEXP, 0, 0, 0)

/* Index targets: one class counts. e becomes the gradient. */
ALWAYS_INLINE void tile_hard(real *e, real *hessian, ptrdiff_t rows, ptrdiff_t n, const fl_job *job, row_stats *s,
                             const int with_hessian)
{
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        vint target = load_int(s->target + i);
        vreal others_gradient = load(s->first + i) * load(s->inverse + i) * load(s->scaled + i);
        vreal own_gradient = -(load(s->others + i) * others_gradient);
        row_curve c;
        vreal own_curvature = ZERO;
        if (with_hessian) c = row_curves(s, i), own_curvature = own_hessian(&c, job->curvature);
        for (ptrdiff_t k = 0; k < job->n_classes; k++) {
            vreal y = load(e + k * rows + i);
            vmask mine = eq_int(target, splat_int((real_int)k));
            store(e + k * rows + i, choose(mine, own_gradient, y * others_gradient));
            if (with_hessian)
                store(hessian + k * rows + i, choose(mine, own_curvature, other_hessian(y, &c, job->curvature)));
        }
    }
}

SHARED void tile_hard_gradient(real *e, ptrdiff_t rows, ptrdiff_t n, const fl_job *job, row_stats *s)
{
    tile_hard(e, NULL, rows, n, job, s, 0);
}

SHARED void tile_hard_hessian(real *e, real *hessian, ptrdiff_t rows, ptrdiff_t n, const fl_job *job, row_stats *s)
{
    tile_hard(e, hessian, rows, n, job, s, 1);
}

/* The common case of few classes, C-ordered rows that all count, on its own: from memory to registers and back, with one stop
 * on the way for the exponentials. */
ALWAYS_INLINE int is_few(const fl_job *job)
{
    const ptrdiff_t size = sizeof(real), pitch = job->n_classes * size;
    return job->n_classes >= 2 && job->n_classes < FUSED_CLASSES && job->n_inner == 1 && !is_weighted(job) &&
           !is_soft(job) && !(job->want & FL_HESSIAN) && job->prediction.classes == size &&
           job->prediction.outer == pitch &&
           (!job->gradient.data || (job->gradient.classes == size && job->gradient.outer == pitch));
}

enum { FEW_AHEAD = 12288 / sizeof(real) }; /* what comes in while this is computed */

ALWAYS_INLINE void few_statistics(const real *from, real *e, ptrdiff_t rows, const int n_classes, ptrdiff_t n,
                                  row_stats *s, const int keep, const int by_target, int kind, outflow *flow)
{
    outflow leaving = *flow;
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        vreal z[FUSED_CLASSES];
        load_few(z, from + i * n_classes, n_classes, n - i);
        vreal largest = z[0];
        _Pragma("GCC unroll 16") for (int k = 1; k < n_classes; k++) largest = vmax(z[k], largest);
        if (!all_true(lt(vabs(largest), C(REAL_INFINITY)))) {
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
                target = bits(choose(eq(z[k], largest), from_bits(splat_int((real_int)k)), from_bits(target)));
        vreal others = ZERO, own = ZERO, distance = ZERO, lower = ZERO;
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
                others += choose(mine, ZERO, y);
            own = choose(mine, y, own);
            distance = choose(mine, x, distance); /* with the other sign */
            if (keep)
                store(e + k * rows + i,
                      !by_target && kind == ROW_LOG_SOFTMAX ? from_bits(bits(x)) : from_bits(bits(y)));
            if (k % GROUP == 0) prefetch(from + i * n_classes + k * WIDTH + FEW_AHEAD);
            if (keep && k % GROUP == 0) step(&leaving);
        }
        store(s->others + i, n_classes > PARTIAL ? others + also : others);
        store(s->own + i, own);
        store(s->distance + i, -distance);
    }
    *flow = leaving;
}

/* `to` has room for a vector past the last row's end. */
ALWAYS_INLINE void few_gradient(const real *e, real *to, ptrdiff_t rows, const int n_classes, ptrdiff_t n,
                                const row_stats *s)
{
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        vreal g[FUSED_CLASSES];
        vint target = load_int(s->target + i);
        vreal others_gradient = load(s->first + i) * load(s->inverse + i) * load(s->scaled + i);
        vreal own_gradient = -(load(s->others + i) * others_gradient);
        _Pragma("GCC unroll 16") for (int k = 0; k < n_classes; k++) g[k] =
            choose(eq_int(target, splat_int((real_int)k)), own_gradient, load(e + k * rows + i) * others_gradient);
        store_few(to + i * n_classes, g, n_classes, n - i);
    }
}

ALWAYS_INLINE void few_function(const real *e, real *to, ptrdiff_t rows, const int n_classes, ptrdiff_t n,
                                const row_stats *s, int kind)
{
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        vreal out[FUSED_CLASSES], inverse = load(s->inverse + i), log_sum = load(s->value + i);
        _Pragma("GCC unroll 16") for (int k = 0; k < n_classes; k++)
        {
            vreal y = load(e + k * rows + i);
            if (kind == ROW_LOG_SOFTMAX)
                out[k] = y - log_sum;
            else
                out[k] = y * inverse;
        }
        store_few(to + i * n_classes, out, n_classes, n - i);
    }
}

#define FEW(k)                                                                                                       \
    SHARED void few_statistics_##k(const real *from, real *e, ptrdiff_t rows, ptrdiff_t n, row_stats *s, int keep,   \
                                   outflow *flow)                                                                    \
    {                                                                                                                \
        if (keep)                                                                                                    \
            few_statistics(from, e, rows, k, n, s, 1, 1, ROW_LOSS, flow);                                            \
        else                                                                                                         \
            few_statistics(from, e, rows, k, n, s, 0, 1, ROW_LOSS, flow);                                            \
    }                                                                                                                \
    SHARED void few_function_statistics_##k(const real *from, real *e, ptrdiff_t rows, ptrdiff_t n, row_stats *s,    \
                                            int kind, outflow *flow)                                                 \
    {                                                                                                                \
        few_statistics(from, e, rows, k, n, s, 1, 0, kind, flow);                                                    \
    }                                                                                                                \
    SHARED void few_function_##k(const real *e, real *to, ptrdiff_t rows, ptrdiff_t n, const row_stats *s, int kind) \
    {                                                                                                                \
        few_function(e, to, rows, k, n, s, kind);                                                                    \
    }                                                                                                                \
    SHARED void few_gradient_##k(const real *e, real *to, ptrdiff_t rows, ptrdiff_t n, const row_stats *s)           \
    {                                                                                                                \
        few_gradient(e, to, rows, k, n, s);                                                                          \
    }
FOR_FUSED_CLASSES(FEW)
#undef FEW

SHARED ptrdiff_t rows_few(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum, const row_formula *f,
                          int kind)
{
    const ptrdiff_t n_classes = job->n_classes, rows = rows_in_tile(job);
    real *e = (real *)round_up((ptrdiff_t)job->scratch, 64), *packed = e + rows * n_classes + LANES;
    row_stats s;
    outflow flow = {0};
    double total = 0;
    start_weights(job, round_up(count < rows ? count : rows, LANES), &s);
    for (ptrdiff_t end = first + count; first < end; first += rows) {
        const ptrdiff_t n = end - first < rows ? end - first : rows;
        const real *from = (const real *)(const void *)job->prediction.data + first * n_classes;
        load_targets(job, first, n, &s);
        switch (n_classes) {
#define CASE(k)                                                                     \
    case k:                                                                         \
        if (kind == ROW_LOSS)                                                       \
            few_statistics_##k(from, e, rows, n, &s, job->want != FL_VALUE, &flow); \
        else                                                                        \
            few_function_statistics_##k(from, e, rows, n, &s, kind, &flow);         \
        break;
            FOR_FUSED_CLASSES(CASE)
#undef CASE
        }
        finish(&flow);
        if (kind == ROW_LOSS)
            f->terms(&s, round_up(n, LANES), job);
        else
            sum_terms(&s, round_up(n, LANES), job, kind);
        if (job->gradient.data) {
            real *gradient = (real *)(void *)job->gradient.data + first * n_classes, *to = packed;
            switch (n_classes) {
#define CASE(k)                                         \
    case k:                                             \
        if (kind == ROW_LOSS)                           \
            few_gradient_##k(e, to, rows, n, &s);       \
        else                                            \
            few_function_##k(e, to, rows, n, &s, kind); \
        break;
                FOR_FUSED_CLASSES(CASE)
#undef CASE
            }
            if (job->stream)
                flow = start_outflow(gradient, packed, n * n_classes);
            else
                memcpy(gradient, packed, (size_t)(n * n_classes) * sizeof(real));
        }
        if (job->value.data)
            store_elements(&job->value, job->n_inner, first, n, s.value);
        else if (job->want & FL_VALUE)
            total += sum_reals(s.value, n);
    }
    finish(&flow);
    if (job->stream) stream_end();
    *sum = total;
    return -1;
}

/* 1 - p_k of a vector of rows, from the exponential of class k: a sum where k is the largest. */
ALWAYS_INLINE vreal rest_at(const row_stats *s, ptrdiff_t i, ptrdiff_t k, vreal e)
{
    vreal others = load(s->others + i), sum = others + load(s->own + i);
    vmask largest = eq_int(load_int(s->target + i), splat_int((real_int)k));
    return choose(largest, others, sum - e) * load(s->inverse + i);
}

/* Probabilities: every class counts with weight a_k. The formula's part: a becomes a_k c_k, `second` a_k E_k, and the row's
 * sums of them are kept. */
ALWAYS_INLINE void tile_soft(const real *z, const real *e, real *a, real *second, ptrdiff_t rows, ptrdiff_t n,
                             const fl_job *job, row_stats *s, terms (*f)(probability))
{
    const ptrdiff_t n_classes = job->n_classes;
    const int want = job->want;
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        vreal inverse = load(s->inverse + i), others = load(s->others + i), w = load(s->weight + i);
        vreal sum = others + load(s->own + i), log_sum = log_of_row_sum(others, ONE, n_classes);
        vint target = load_int(s->target + i); /* here the largest logit */
        vreal largest = load(z + i), bound = ZERO;
        for (ptrdiff_t k = 1; k < n_classes; k++) largest = vmax(load(z + k * rows + i), largest);
        exact_sum value = {ZERO, ZERO}, weight = {ZERO, ZERO};
        vreal magnitude = ZERO, spread = ZERO, own_second = ZERO;
        for (ptrdiff_t k = 0; k < n_classes; k++) {
            vmask mine = eq_int(target, splat_int((real_int)k));
            vreal y = load(e + k * rows + i), a_k = load(a + k * rows + i);
            vreal distance = largest - load(z + k * rows + i);
            probability at = {.p = y * inverse,
                              .rest = choose(mine, others, sum - y) * inverse,
                              .loss = distance + log_sum,
                              .distance = distance,
                              .log_sum = log_sum,
                              .amount = a_k,
                              .coefficients = job->coefficients};
            terms t = f(at);
            add_to(&value, choose(eq(a_k, ZERO), ZERO, a_k * t.value));
            vreal b = a_k * t.first;
            add_to(&weight, b);
            store(a + k * rows + i, b);
            if (!(want & FL_HESSIAN)) continue;
            magnitude += vabs(b);
            bound += a_k * t.bound;
            vreal bend = a_k * t.second;
            store(second + k * rows + i, bend);
            spread += choose(mine, ZERO, bend / (at.rest * at.rest));
            own_second = choose(mine, bend, own_second);
        }
        vreal loss = choose(eq(sum, sum), value_of(value), sum); /* undefined even if no class weighs anything */
        store(s->value + i, choose(eq(w, ZERO), ZERO, loss * w));
        store(s->total + i, value_of(weight));
        if (!(want & FL_HESSIAN)) continue;
        store(s->magnitude + i, magnitude);
        store(s->bound + i, bound);
        store(s->spread + i, spread);
        store(s->largest_second + i, own_second);
    }
}

#define DEFINE_SOFT(name)                                                                                     \
    static void name##_soft(const real *z, const real *e, real *a, real *second, ptrdiff_t rows, ptrdiff_t n, \
                            const fl_job *job, row_stats *s)                                                  \
    {                                                                                                         \
        tile_soft(z, e, a, second, rows, n, job, s, name);                                                    \
    }

/* The Hessian's diagonal at class k of a vector of rows: y its exponential, b and bend what tile_soft has made of it. */
ALWAYS_INLINE vreal soft_hessian(const row_stats *s, ptrdiff_t i, ptrdiff_t k, vreal y, vreal b, vreal bend,
                                 int curvature)
{
    vreal others = load(s->others + i), total = load(s->total + i), p = y * load(s->inverse + i);
    vreal rest = rest_at(s, i, k, y);
    if (curvature == FL_MAJORIZE) return choose(eq(y, y), load(s->bound + i), y);
    if (curvature == FL_PSD) return not_flat(load(s->magnitude + i) * p * rest, fmadd(p, total - b, -(b * rest)));
    vmask mine = eq_int(load_int(s->target + i), splat_int((real_int)k));
    vreal spread = load(s->spread + i), q = choose(eq(others, ZERO), ZERO, y / others);
    vreal from_others = choose(mine, spread, spread - bend / (rest * rest)) * (p * p);
    vreal from_largest = choose(mine, ZERO, load(s->largest_second + i) * (q * q));
    return total * p * rest + (bend + choose(eq(spread, ZERO), ZERO, from_others) + from_largest);
}

/* The rest is the same for all: e becomes the gradient, and `hessian`, which holds `second`, the Hessian. */
SHARED void derive_soft(real *e, const real *a, real *hessian, ptrdiff_t rows, ptrdiff_t n, const fl_job *job,
                        const row_stats *s)
{
    for (ptrdiff_t i = 0; i < n; i += WIDTH) {
        vreal scaled = load(s->scaled + i), total = load(s->total + i), inverse = load(s->inverse + i);
        for (ptrdiff_t k = 0; k < job->n_classes; k++) {
            const ptrdiff_t at = k * rows + i;
            vreal y = load(e + at), b = load(a + at), p = y * inverse;
            if (job->want & FL_HESSIAN)
                store(hessian + at, soft_hessian(s, i, k, y, b, load(hessian + at), job->curvature) * scaled);
            /* total p - b, without the difference of the two where b is all there is */
            store(e + at, fmadd(p, total - b, -(b * rest_at(s, i, k, y))) * scaled);
        }
    }
}

/* a_k of every class: what the targets of this tile weigh, with class weights and label smoothing. */
SHARED ptrdiff_t load_soft_targets(real *a, ptrdiff_t rows, const fl_job *job, ptrdiff_t first, ptrdiff_t n,
                                   const row_stats *s)
{
    const ptrdiff_t n_classes = job->n_classes;
    const real keep = (real)(1 - job->label_smoothing), each = (real)(job->label_smoothing / (double)n_classes);
    if (job->soft) {
        load_tile(a, rows, &job->target, job, first, n);
        if (job->check_target)
            for (ptrdiff_t k = 0; k < n_classes; k++)
                for (ptrdiff_t i = 0; i < n; i++)
                    if (!(a[k * rows + i] >= 0 && a[k * rows + i] <= 1) && s->weight[i] != 0)
                        return place_of(job, first + i, k);
    }
    for (ptrdiff_t k = 0; k < n_classes; k++) {
        const real class_weight = job->class_weight ? (real)job->class_weight[k] : 1;
        real *to = a + k * rows;
        for (ptrdiff_t i = 0; i < round_up(n, LANES); i++)
            to[i] = class_weight * (keep * (job->soft ? to[i] : (real)(s->target[i] == (real_int)k)) + each);
        if (job->soft && job->weight.data)
            for (ptrdiff_t i = 0; i < n; i++)
                if (s->weight[i] == 0) to[i] = 0;
    }
    return -1;
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
    outflow flow = {0};
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
        finish(&flow);
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
                vreal inverse = load(s.inverse + i), largest = load(s.first + i), log_sum = load(s.value + i);
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
    finish(&flow);
    if (job->stream) stream_end();
    *sum = total;
    return -1;
}
