/* Losses of a row of several numbers, such as the parameters of a distribution, and one real target. Rows in lanes: a tile holds
 * column k of all its rows side by side, as in rows_tiled.h, whatever the order in memory.
 *
 * A formula gets the columns z[] of a vector of rows and says its value, gradient and Hessian: of the Hessian the upper triangle,
 * row after row, of which `diagonal_at` finds the diagonal. The entries beside it are computed where the full Hessian is wanted
 * and left out by the compiler elsewhere. Under psd they are 0, so that the matrix is no less psd than its diagonal.
 */
#ifndef FASTLOSS_COLUMNS_H
#define FASTLOSS_COLUMNS_H

#include "checks.h"
#include "fastloss.h"
#include "formulas.h"
#include "passes.h"
#include "pointwise.h"
#include "real.h"
#include "rows_full.h"
#include "special.h"
#include "sums.h"
#include "tiles.h"
#include "weights.h"

enum { FORMULA_COLUMNS = 3, FORMULA_TRIANGLE = FORMULA_COLUMNS * (FORMULA_COLUMNS + 1) / 2 };

typedef struct columns {
    vreal value, gradient[FORMULA_COLUMNS], hessian[FORMULA_TRIANGLE];
} columns;

typedef struct column_operands {
    const vreal *z;
    vreal t;
    const double *p; /* the loss's coefficients */
    int curvature, want;
} column_operands;

/* A tile of rows; its arrays lie `pitch` reals apart for each column. */
typedef struct column_tile {
    const real *z, *t, *scaled; /* scaled: what derivatives are multiplied by */
    real *value, *gradient, *hessian;
    const real *vector; /* of a product, else NULL */
    const double *p;
    ptrdiff_t pitch, n, n_columns;
    /* Of few columns whole rows, `count` of them, are read from and written to where they lie in memory; else NULL. */
    const real *rows;
    real *gradient_rows, *hessian_rows;
    ptrdiff_t count;
    int curvature;
    traffic *traffic; /* as in pointwise.h; NULL: everything is in the caches */
} column_tile;

/* Before the vector i: what is read next comes in, and as much as a vector of every column goes out. */
SHARED void use_memory_of_columns(traffic *t, ptrdiff_t i, ptrdiff_t n_columns)
{
    use_memory_meanwhile(t, i);
    for (ptrdiff_t k = 1; k < n_columns; k++) advance_copy(&t->gradient), advance_copy(&t->hessian);
}

typedef void (*column_function)(const column_tile *a);

/* One for each set of outputs, and one for the full Hessian. */
typedef struct column_formula {
    column_function of_want[(FL_VALUE | FL_GRADIENT | FL_HESSIAN) + 1], full;
    int takes_rows; /* as they lie in memory */
} column_formula;

ALWAYS_INLINE ptrdiff_t diagonal_at(ptrdiff_t k, ptrdiff_t n_columns) { return k * n_columns - k * (k - 1) / 2; }

/* What weighs 0 gives 0, whatever it is. */
ALWAYS_INLINE vreal times(vreal x, vreal scaled) { return choose(eq(scaled, ZERO), ZERO, x * scaled); }
ALWAYS_INLINE void store_scaled(real *to, vreal x, vreal scaled) { store(to, times(x, scaled)); }

/* The columns of the vector i of rows, of which `left` and no more lie from there on. */
ALWAYS_INLINE void store_columns(real *tile, real *rows, ptrdiff_t pitch, ptrdiff_t i, ptrdiff_t left, const vreal *x,
                                 const int n_columns)
{
    if (n_columns >= FUSED_CLASSES || !rows)
        for (int k = 0; k < n_columns; k++) store(tile + k * pitch, x[k]);
    else if (left > 0)
        store_few(rows + i * n_columns, x, n_columns, left);
}

/* A formula of a few columns, which stay in registers. */
ALWAYS_INLINE void evaluate_columns(const column_tile *a, columns (*f)(column_operands), const int n_columns,
                                    const int want)
{
    const column_tile own = *a; /* a copy that no store can be suspected to change */
    const int in_registers = n_columns < FUSED_CLASSES;
    for (ptrdiff_t i = 0; i < own.n; i += WIDTH) {
        if (own.traffic && i % LANES == 0) use_memory_of_columns(own.traffic, i, n_columns);
        const ptrdiff_t left = own.count - i;
        vreal z[FORMULA_COLUMNS], x[FORMULA_COLUMNS], scaled = load(own.scaled + i);
        if (in_registers && own.rows)
            load_few(z, own.rows + i * n_columns, n_columns, left);
        else
            for (int k = 0; k < n_columns; k++) z[k] = load(own.z + k * own.pitch + i);
        columns c = f((column_operands){z, load(own.t + i), own.p, own.curvature, want});
        if (want & FL_VALUE) store(own.value + i, c.value);
        if (want & FL_GRADIENT) {
            for (int k = 0; k < n_columns; k++) x[k] = times(c.gradient[k], scaled);
            store_columns(own.gradient + i, own.gradient_rows, own.pitch, i, left, x, n_columns);
        }
        if (want & FL_HESSIAN) {
            for (int k = 0; k < n_columns; k++) x[k] = times(c.hessian[diagonal_at(k, n_columns)], scaled);
            store_columns(own.hessian + i, own.hessian_rows, own.pitch, i, left, x, n_columns);
        }
    }
}

/* The triangle, or its product with the vector, into `gradient`. */
ALWAYS_INLINE void evaluate_full(const column_tile *a, columns (*f)(column_operands), const int n_columns)
{
    const int want = FL_HESSIAN;
    const column_tile own = *a;
    for (ptrdiff_t i = 0; i < own.n; i += WIDTH) {
        if (own.traffic && i % LANES == 0)
            use_memory_of_columns(own.traffic, i, own.vector ? n_columns : n_columns * (n_columns + 1) / 2);
        vreal z[FORMULA_COLUMNS], product[FORMULA_COLUMNS], scaled = load(own.scaled + i);
        for (int k = 0; k < n_columns; k++) z[k] = load(own.z + k * own.pitch + i), product[k] = ZERO;
        columns c = f((column_operands){z, load(own.t + i), own.p, own.curvature, want});
        int at = 0;
        for (int j = 0; j < n_columns; j++)
            for (int k = j; k < n_columns; k++, at++) {
                if (!own.vector) {
                    store_scaled(own.gradient + at * own.pitch + i, c.hessian[at], scaled);
                    continue;
                }
                product[j] = fmadd(c.hessian[at], load(own.vector + k * own.pitch + i), product[j]);
                if (k > j) product[k] = fmadd(c.hessian[at], load(own.vector + j * own.pitch + i), product[k]);
            }
        for (int k = 0; own.vector && k < n_columns; k++)
            store_scaled(own.gradient + k * own.pitch + i, product[k], scaled);
    }
}

/* A formula of each column by itself, of any number of them: the value is their sum, the Hessian its diagonal. */
ALWAYS_INLINE void evaluate_each(const column_tile *a, point (*f)(column_operands o, ptrdiff_t k), const int want)
{
    const column_tile own = *a;
    for (ptrdiff_t i = 0; i < own.n; i += WIDTH) {
        if (own.traffic && i % LANES == 0) use_memory_of_columns(own.traffic, i, own.n_columns);
        vreal t = load(own.t + i), scaled = load(own.scaled + i), value = ZERO;
        for (ptrdiff_t k = 0; k < own.n_columns; k++) {
            const ptrdiff_t at = k * own.pitch + i;
            vreal z = load(own.z + at);
            point c = f((column_operands){&z, t, own.p, own.curvature, want}, k);
            value += c.value;
            if (want & FL_GRADIENT) store_scaled(own.gradient + at, c.gradient, scaled);
            if (want & FL_HESSIAN) store_scaled(own.hessian + at, c.hessian, scaled);
        }
        if (want & FL_VALUE) store(own.value + i, value);
    }
}

ALWAYS_INLINE void evaluate_each_full(const column_tile *a, point (*f)(column_operands o, ptrdiff_t k))
{
    const int want = FL_HESSIAN;
    const column_tile own = *a;
    for (ptrdiff_t i = 0; i < own.n; i += WIDTH) {
        vreal t = load(own.t + i), scaled = load(own.scaled + i);
        real *to = own.gradient + i;
        for (ptrdiff_t j = 0; j < own.n_columns; j++) {
            vreal z = load(own.z + j * own.pitch + i);
            vreal bend = f((column_operands){&z, t, own.p, own.curvature, want}, j).hessian;
            if (own.vector) bend *= load(own.vector + j * own.pitch + i);
            store_scaled(to, bend, scaled), to += own.pitch;
            for (ptrdiff_t k = j + 1; k < own.n_columns && !own.vector; k++) store(to, ZERO), to += own.pitch;
        }
    }
}

/* The same of numbers that rise from column to column: y_0 = z_0, and y_k = y_{k-1} + softplus(z_k). With the slopes g and curvatures h of
 * each y, and G and H their sums from column k on, the gradient of z_k is sigmoid(z_k) G and its curvature sigmoid(z_k)^2 H +
 * sigmoid(z_k) sigmoid(-z_k) G; of psd the first term. majorize is the larger of that and sigmoid(z_k) H: where y may move by d, as
 * softplus(z_k) moves by no more than z_k, a step of z_k never raises a sum whose parabolas are that wide. */
typedef struct rise {
    vreal step, share, rest; /* softplus(z), sigmoid(z), sigmoid(-z) */
} rise;

ALWAYS_INLINE rise rise_of(vreal z, ptrdiff_t k)
{
    if (k == 0) return (rise){z, ONE, ZERO};
    vreal e = exp_nonpositive(-vabs(z)), large = ONE / (ONE + e);
    vmask right = le(ZERO, z);
    return (rise){vmax(ZERO, z) + log1p_unit(e), choose(right, large, e * large), choose(right, e * large, large)};
}

ALWAYS_INLINE vreal curvature_of_rise(rise r, vreal slope, vreal bend, int curvature)
{
    vreal exact = r.share * fmadd(r.share, bend, r.rest * slope);
    if (curvature == FL_EXACT) return exact;
    vreal narrow = r.share * r.share * bend;
    return keep_nan(slope * r.share,
                    vmax(UNIFORM(CURVATURE_FLOOR), curvature == FL_PSD ? narrow : vmax(exact, r.share * bend)));
}

/* One vector of rows: the value, and derivatives through `put`, column by column from the last; `y` is room for a vector a column. */
ALWAYS_INLINE vreal evaluate_rise(const column_tile *own, ptrdiff_t i, real *y,
                                  point (*f)(column_operands o, ptrdiff_t k), const int want)
{
    vreal t = load(own->t + i), scaled = load(own->scaled + i), at = ZERO, value = ZERO, slope = ZERO, bend = ZERO;
    const int is_full = !want;
    for (ptrdiff_t k = 0; k < own->n_columns; k++) {
        at += rise_of(load(own->z + k * own->pitch + i), k).step;
        if (want == FL_VALUE)
            value += f((column_operands){&at, t, own->p, own->curvature, want}, k).value;
        else
            store(y + k * own->pitch + i, at);
    }
    for (ptrdiff_t k = own->n_columns - 1; k >= 0 && want != FL_VALUE; k--) {
        const ptrdiff_t place = k * own->pitch + i;
        at = load(y + place);
        point c = f((column_operands){&at, t, own->p, own->curvature, want}, k);
        value += c.value, slope += c.gradient, bend += c.hessian;
        rise r = rise_of(load(own->z + place), k);
        vreal curved = curvature_of_rise(r, slope, bend, own->curvature);
        if (want & FL_GRADIENT) store_scaled(own->gradient + place, r.share * slope, scaled);
        if (want & FL_HESSIAN || is_full) store_scaled(own->hessian + place, curved, scaled);
    }
    return value;
}

ALWAYS_INLINE void evaluate_rising(const column_tile *a, point (*f)(column_operands o, ptrdiff_t k), const int want)
{
    const column_tile own = *a;
    for (ptrdiff_t i = 0; i < own.n; i += WIDTH) {
        vreal value = evaluate_rise(&own, i, want & FL_GRADIENT ? own.gradient : own.hessian, f, want);
        if (want & FL_VALUE) store(own.value + i, value);
    }
}

/* Where the curvature of a column is that of a sum of kinks, there is none beside the diagonal. */
ALWAYS_INLINE void evaluate_rising_full(const column_tile *a, point (*f)(column_operands o, ptrdiff_t k))
{
    const column_tile own = *a;
    for (ptrdiff_t i = 0; i < own.n; i += WIDTH) {
        evaluate_rise(&own, i, own.hessian, f, 0);
        real *to = own.gradient + i;
        for (ptrdiff_t j = 0; j < own.n_columns; j++) {
            vreal bend = load(own.hessian + j * own.pitch + i);
            if (own.vector) bend *= load(own.vector + j * own.pitch + i);
            store(to, bend), to += own.pitch;
            for (ptrdiff_t k = j + 1; k < own.n_columns && !own.vector; k++) store(to, ZERO), to += own.pitch;
        }
    }
}

/* The columns of the widest output, and how many rows of it make a tile. */
ALWAYS_INLINE fl_job widest_of_columns(const fl_job *job)
{
    fl_job wide = *job;
    if (job->full == FL_PACKED) wide.n_classes = packed_size(job->n_classes);
    return wide;
}

enum { COLUMN_TILES = 5 }; /* predictions (or vector), gradient, Hessian, rows of both on their way out */

static ptrdiff_t columns_scratch(const fl_job *job)
{
    const fl_job wide = widest_of_columns(job);
    const ptrdiff_t rows = rows_in_tile(&wide);
    return (2 * rows * job->n_classes + (COLUMN_TILES - 1) * rows * wide.n_classes + 4 * rows + 10 * LANES) *
               (ptrdiff_t)sizeof(real) +
           64;
}

/* Whether rows of an array are read or written as they lie in memory. */
ALWAYS_INLINE int lie_as_rows(const fl_array *array, const fl_job *job, const column_formula *f)
{
    return f->takes_rows && job->full == FL_DIAGONAL && array->data && array->type == REAL_TYPE &&
           rows_are_packed(array, job, 2);
}

/* A tile's arrays in the scratch, and which arrays of the job are read or written as they lie in memory. */
typedef struct column_run {
    fl_job wide;
    ptrdiff_t rows;
    real *z, *vector, *gradient, *hessian, *packed, *packed_hessian, *t, *weight, *scaled, *value;
    int read_rows, gradient_in_rows, hessian_in_rows;
    traffic meanwhile;
} column_run;

static void divide_columns_scratch(const fl_job *job, const column_formula *f, column_run *r)
{
    r->wide = widest_of_columns(job), r->rows = rows_in_tile(&r->wide);
    const ptrdiff_t size = round_up(r->rows * job->n_classes + LANES, LANES);
    const ptrdiff_t wide_size = round_up(r->rows * r->wide.n_classes + LANES, LANES);
    r->z = (real *)round_up((ptrdiff_t)job->scratch, 64), r->vector = r->z + size, r->gradient = r->vector + size;
    r->hessian = r->gradient + wide_size, r->packed = r->hessian + wide_size, r->packed_hessian = r->packed + wide_size;
    r->t = r->packed_hessian + wide_size, r->weight = r->t + r->rows;
    r->scaled = r->weight + r->rows, r->value = r->scaled + r->rows;
    r->read_rows = !job->weight.data && lie_as_rows(&job->prediction, job, f);
    r->gradient_in_rows = lie_as_rows(&job->gradient, job, f), r->hessian_in_rows = lie_as_rows(&job->hessian, job, f);
    r->meanwhile = (traffic){0};
    for (ptrdiff_t i = 0; i < r->rows; i++) r->scaled[i] = (real)job->scale;
}

/* What the rows from `first` on are computed from. The first bad target, or -1. */
static ptrdiff_t load_columns(const fl_job *job, const column_run *r, ptrdiff_t first, ptrdiff_t n)
{
    const ptrdiff_t padded = round_up(n, LANES);
    if (!r->read_rows) load_tile(r->z, r->rows, &job->prediction, job, first, n);
    load_elements(r->t, &job->target, job->n_inner, first, n);
    for (ptrdiff_t i = n; i < padded; i++) r->t[i] = harmless_target(job->domain);
    if (job->weight.data) {
        load_weights(r->weight, job, first, n);
        for (ptrdiff_t i = n; i < padded; i++) r->weight[i] = 0;
        for (ptrdiff_t i = 0; i < n; i++) /* what counts nowhere may hold anything */
            if (r->weight[i] == 0) {
                r->t[i] = harmless_target(job->domain);
                for (ptrdiff_t k = 0; k < job->n_classes; k++) r->z[k * r->rows + i] = 0;
            }
        for (ptrdiff_t i = 0; i < padded; i++) r->scaled[i] = r->weight[i] * (real)job->scale;
    }
    if (job->full == FL_PRODUCT) load_tile(r->vector, r->rows, &job->vector, job, first, n);
    int hard;
    return job->check_target ? check_domain(r->t, n, job->domain, &hard) : -1;
}

/* Where a derivative is computed that goes out as rows: in memory itself, or aside if it is stored past the caches; NULL: in a tile. */
ALWAYS_INLINE real *rows_of(const fl_array *array, const fl_job *job, ptrdiff_t first, int in_rows, real *aside)
{
    if (!in_rows) return NULL;
    return job->stream ? aside : (real *)(void *)(array->data + first * array->outer);
}

/* A derivative on its way out: rows, or a tile whose columns become rows in `packed`. */
ALWAYS_INLINE void put_columns(const fl_array *array, const fl_job *job, const column_tile *tile, ptrdiff_t first,
                               const real *rows, const real *columns, real *packed, streaming_copy *flow)
{
    finish_copy(flow);
    if (rows && job->stream)
        put_rows(array, job, first, tile->count, rows, flow);
    else if (!rows && array->data)
        store_tile(columns, tile->pitch, array, job, first, tile->count, packed, flow);
}

/* The values of a tile, weighed: what they add up to, where they do not go out themselves. */
ALWAYS_INLINE double put_values(const fl_job *job, const column_run *r, ptrdiff_t first, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; job->weight.data && i < n; i += WIDTH) {
        vreal w = load(r->weight + i);
        store(r->value + i, choose(eq(w, ZERO), ZERO, load(r->value + i) * w));
    }
    if (!job->value.data) return sum_reals(r->value, n);
    store_elements(&job->value, job->n_inner, first, n, r->value);
    return 0;
}

SHARED ptrdiff_t columns_block(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum,
                               const column_formula *f)
{
    column_run r;
    divide_columns_scratch(job, f, &r);
    const int is_full = job->full != FL_DIAGONAL;
    const column_function evaluate = is_full ? f->full : f->of_want[job->want];
    double total = 0;
    for (ptrdiff_t end = first + count, turn = 0; first < end; first += r.rows, turn = !turn) {
        const ptrdiff_t n = end - first < r.rows ? end - first : r.rows;
        if (job->stream) look_ahead(&r.meanwhile, job, first + r.rows, first + 2 * r.rows > end);
        const ptrdiff_t bad = load_columns(job, &r, first, n);
        if (bad >= 0) return first + bad;
        /* What still goes out lies in the one half, what is computed in the other. */
        real *gradient_aside = turn ? r.gradient : r.packed, *hessian_aside = turn ? r.hessian : r.packed_hessian;
        const column_tile tile = {
            .z = r.z,
            .t = r.t,
            .scaled = r.scaled,
            .value = r.value,
            .gradient = r.gradient,
            .hessian = r.hessian,
            .vector = job->full == FL_PRODUCT ? r.vector : NULL,
            .p = job->coefficients,
            .pitch = r.rows,
            .n = round_up(n, LANES),
            .n_columns = job->n_classes,
            .rows =
                r.read_rows ? (const real *)(const void *)(job->prediction.data + first * job->prediction.outer) : NULL,
            .gradient_rows = rows_of(&job->gradient, job, first, r.gradient_in_rows, gradient_aside),
            .hessian_rows = rows_of(&job->hessian, job, first, r.hessian_in_rows, hessian_aside),
            .count = n,
            .curvature = job->curvature,
            .traffic = job->stream ? &r.meanwhile : NULL};
        evaluate(&tile);
        put_columns(&job->gradient, &r.wide, &tile, first, tile.gradient_rows, r.gradient, r.packed,
                    &r.meanwhile.gradient);
        put_columns(&job->hessian, job, &tile, first, tile.hessian_rows, r.hessian, r.packed_hessian,
                    &r.meanwhile.hessian);
        if (job->want & FL_VALUE && !is_full) total += put_values(job, &r, first, n);
    }
    finish_copy(&r.meanwhile.gradient);
    finish_copy(&r.meanwhile.hessian);
    if (job->stream) stream_end();
    *sum = total;
    return -1;
}

/* Makes a loss of a formula of a row's few columns, or of each of its columns, whose number then is that of the coefficients. */
#define DEFINE_COLUMNS_TILE(name, want, ...) \
    static void name##_columns_##want(const column_tile *a) { __VA_ARGS__; }
#define FOR_COLUMN_WANTS(CASE, ...) \
    CASE(1, __VA_ARGS__) CASE(2, __VA_ARGS__) CASE(3, __VA_ARGS__) CASE(6, __VA_ARGS__) CASE(7, __VA_ARGS__)
#define DEFINE_COLUMNS(name, n_columns_, domain_, n_coefficients_)                                                    \
    static const column_formula name##_formula = {                                                                    \
        {NULL, name##_columns_1, name##_columns_2, name##_columns_3, NULL, NULL, name##_columns_6, name##_columns_7}, \
        name##_columns_full,                                                                                          \
        (n_columns_) > 0 && (n_columns_) < FUSED_CLASSES};                                                            \
    static ptrdiff_t name##_block(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum)                   \
    {                                                                                                                 \
        return columns_block(job, first, count, sum, &name##_formula);                                                \
    }                                                                                                                 \
    FL_DEFINE_LOSS(name, .kind = FL_COLUMNS, .target = FL_REAL_TARGET, .domain = domain_, .n_columns = n_columns_,    \
                   .n_coefficients = n_coefficients_, .outputs = FOR_ALL | FL_FULL_HESSIAN, .check = pointwise_check, \
                   .scratch = columns_scratch, ONE_PASS(name))
#define COLUMNS_OF(want, name, n_columns) DEFINE_COLUMNS_TILE(name, want, evaluate_columns(a, name, n_columns, want))
#define COLUMNS(name, n_columns, domain, n_coefficients)               \
    FOR_COLUMN_WANTS(COLUMNS_OF, name, n_columns)                      \
    DEFINE_COLUMNS_TILE(name, full, evaluate_full(a, name, n_columns)) \
    DEFINE_COLUMNS(name, n_columns, domain, n_coefficients)
#define EACH_COLUMN_OF(want, name) DEFINE_COLUMNS_TILE(name, want, evaluate_each(a, name, want))
#define EACH_COLUMN(name, domain)                                \
    FOR_COLUMN_WANTS(EACH_COLUMN_OF, name)                       \
    DEFINE_COLUMNS_TILE(name, full, evaluate_each_full(a, name)) \
    DEFINE_COLUMNS(name, 0, domain, FL_ONE_A_COLUMN)
#define RISING_COLUMN_OF(want, name, each) DEFINE_COLUMNS_TILE(name, want, evaluate_rising(a, each, want))
#define RISING_COLUMNS(name, each, domain)                         \
    FOR_COLUMN_WANTS(RISING_COLUMN_OF, name, each)                 \
    DEFINE_COLUMNS_TILE(name, full, evaluate_rising_full(a, each)) \
    DEFINE_COLUMNS(name, 0, domain, FL_ONE_A_COLUMN)

#endif
