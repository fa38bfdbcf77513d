/* Losses of rows that belong together: groups, and rows at risk at one time (fl_segments in fastloss.h).
 *
 * Work goes in blocks of whole segments, of which a pass gets one at a time; what a block needs of those before it or after it, a
 * combination between two passes makes of all blocks' numbers, in their order. Everything is in double precision, whatever the
 * prediction's type: the kernels of float32 are never called.
 */
#ifndef FASTLOSS_SEGMENTS_H
#define FASTLOSS_SEGMENTS_H

#include "formulas.h"
#include "passes.h"

enum { NUMBERS_OF_A_PARTIAL = 4 };

static ptrdiff_t width_of_segments(const fl_job *job)
{
    (void)job;
    return NUMBERS_OF_A_PARTIAL;
}

#if FL_REAL == 64
#define DEFINE_SEGMENTS(id, n_coefficients_, domain_, ...)                                            \
    FL_DEFINE_LOSS(id, .kind = FL_SEGMENTS, .target = FL_REAL_TARGET, .domain = domain_,              \
                   .n_coefficients = n_coefficients_, .outputs = FL_VALUE | FL_GRADIENT | FL_HESSIAN, \
                   .passes = {__VA_ARGS__})
#define SEGMENT_PASS(block_, combine_, wants_) \
    {.block = block_, .combine = combine_, .width = width_of_segments, .wants = wants_}
#else
#define DEFINE_SEGMENTS(id, n_coefficients_, domain_, ...)                               \
    FL_DEFINE_LOSS(id, .kind = FL_SEGMENTS, .target = FL_REAL_TARGET, .domain = domain_, \
                   .n_coefficients = n_coefficients_, .passes[0].width = width_of_segments)
#endif

/* The rows and segments of a block. */
typedef struct segment_range {
    ptrdiff_t first, end, first_row, end_row;
} segment_range;

ALWAYS_INLINE segment_range range_of_block(const fl_segments *s, ptrdiff_t b)
{
    const ptrdiff_t first = (ptrdiff_t)s->block[b], end = (ptrdiff_t)s->block[b + 1];
    return (segment_range){first, end, (ptrdiff_t)s->segment[first], (ptrdiff_t)s->segment[end]};
}

ALWAYS_INLINE ptrdiff_t row_of_place(const fl_segments *s, ptrdiff_t place)
{
    return s->order ? (ptrdiff_t)s->order[place] : place;
}

ALWAYS_INLINE double weight_at(const fl_segments *s, ptrdiff_t place) { return s->weight ? s->weight[place] : 1; }

/* An element of an array of floats or doubles of shape (rows, columns). */
ALWAYS_INLINE double get_number(const fl_array *array, ptrdiff_t row, ptrdiff_t column)
{
    const char *at = array->data + row * array->outer + column * array->classes;
    return array->type == FL_F32 ? (double)*(const float *)(const void *)at : *(const double *)(const void *)at;
}

ALWAYS_INLINE void put_number(const fl_array *array, ptrdiff_t row, ptrdiff_t column, double x)
{
    char *at = array->data + row * array->outer + column * array->classes;
    if (array->type == FL_F32)
        *(float *)(void *)at = (float)x;
    else
        *(double *)(void *)at = x;
}

/* The larger of two, nan if one is that. */
ALWAYS_INLINE double larger_of(double a, double b) { return b > a || b != b ? b : a; }

#if FL_REAL == 64
/* Of one number, as vectors have them: the same bits everywhere. */
SHARED double exp_of(double x) { return exp_any(splat(x))[0]; }
SHARED double log_of(double x) { return log_normal(splat(x))[0]; }
SHARED double log1p_of(double x) { return log1p_nonnegative(splat(x))[0]; }
SHARED double expm1_of_nonpositive(double x) { return expm1_nonpositive(splat(x))[0]; }

/* x, or 0 where the condition is 0: without a branch, for which rows are chosen is hard to predict. */
ALWAYS_INLINE double only_if(int condition, double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits &= -(uint64_t)condition;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* exp(from - to), from <= to */
ALWAYS_INLINE double ratio_of_exps(double from, double to)
{
    return from == to ? 1 : exp_nonpositive(splat(from - to))[0];
}

/* x[i] = f(x[i]) of n numbers; nothing beyond them is touched. */
ALWAYS_INLINE void apply_to_all(double *x, ptrdiff_t n, vreal (*f)(vreal))
{
    ptrdiff_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH) store(x + i, f(load(x + i)));
    if (i == n) return;
    CACHE_ALIGNED double rest[WIDTH] = {0};
    memcpy(rest, x + i, (size_t)(n - i) * sizeof *x);
    store(rest, f(load(rest)));
    memcpy(x + i, rest, (size_t)(n - i) * sizeof *x);
}

/* Of nonpositive, nonnegative and positive normal numbers. */
SHARED void exp_of_all(double *x, ptrdiff_t n) { apply_to_all(x, n, exp_nonpositive); }
SHARED void log1p_of_all(double *x, ptrdiff_t n) { apply_to_all(x, n, log1p_nonnegative); }
SHARED void log_of_all(double *x, ptrdiff_t n) { apply_to_all(x, n, log_normal); }

/* A psd curvature: of one that is known to be >= 0 but for what rounding leaves of its `terms`. */
ALWAYS_INLINE double psd_of(double exact, double terms, double gradient)
{
    const double least = gradient == 0 ? 0 : CURVATURE_FLOOR, floor = terms * 0x1p-40;
    exact = exact < floor ? floor : exact;
    return exact < least ? least : exact;
}

static void add_up_segments(fl_job *job, const double *partials, ptrdiff_t n_blocks)
{
    job->total = 0;
    for (ptrdiff_t b = 0; b < n_blocks; b++) job->total += partials[b * NUMBERS_OF_A_PARTIAL];
}
#endif

#endif
