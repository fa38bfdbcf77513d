/* Rowwise losses and functions of a row: which driver a job goes through. */
#ifndef FASTLOSS_ROWS_H
#define FASTLOSS_ROWS_H

#include "passes.h"
#include "rows_along.h"
#include "rows_few.h"
#include "rows_full.h"
#include "rows_long.h"
#include "rows_pieces.h"
#include "rows_tiled.h"

enum { FEW_CLASSES = 64 };    /* up to here C-ordered rows go through tiles, too */

/* Which driver a job goes through. */
enum regime { TILED, ALONG, MEDIUM, VERY_LONG };

ALWAYS_INLINE enum regime regime_of(const fl_job *job)
{
    const int row_after_row = classes_are_dense(&job->prediction, job) &&
                              (!job->gradient.data || classes_are_dense(&job->gradient, job)) &&
                              (!job->hessian.data || classes_are_dense(&job->hessian, job));
    if (job->n_classes <= FEW_CLASSES || !row_after_row) return TILED;
    if (is_soft(job) || (job->want & FL_HESSIAN)) return ALONG;
    return job->n_classes <= PIECE ? MEDIUM : VERY_LONG;
}

SHARED ptrdiff_t run_rows(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum, const row_formula *f,
                          enum row_kind kind)
{
    if (job->full != FL_DIAGONAL) return rows_full(job, first, count, sum, f);
    switch (regime_of(job)) {
    case TILED:
        if (kind != ROW_LOGSUMEXP && is_few(job)) return rows_few(job, first, count, sum, f, kind);
        return rows_tiled(job, first, count, sum, f, kind);
    case ALONG: return rows_along(job, first, count, sum, f);
    case MEDIUM: return rows_medium(job, first, count, sum, f, kind);
    default: return rows_very_long(job, first, count, sum, f, kind);
    }
}

static ptrdiff_t rowwise_scratch(const fl_job *job)
{
    if (job->full != FL_DIAGONAL) return full_scratch(job);
    switch (regime_of(job)) {
    case TILED: return tiled_scratch(job);
    case ALONG: return along_scratch_bytes(job);
    case MEDIUM: return medium_scratch(job);
    default: return long_scratch(job);
    }
}

/* Where whole rows would leave threads idle, or take too long between two looks at the signals; by_row, where some of them
 * would not stay in the caches. */
enum { FEW_ROWS = 8, INTERRUPTIBLE_ROW = 1048576 };

static const fl_pieces *pieces_of_rows(const fl_job *job)
{
    if (job->full != FL_DIAGONAL || job->n_classes <= (job->by_row ? PIECE : LONG_ROW)) return NULL;
    const enum regime regime = regime_of(job);
    const int enough = job->n_outer >= FEW_ROWS && job->n_classes <= INTERRUPTIBLE_ROW;
    if (regime == TILED || (enough && !job->by_row)) return NULL;
    return regime == ALONG ? &along_pieces : &very_long_pieces;
}

#define DEFINE_ROWWISE(name, n_coefficients_, outputs_, scratch_, ...)                              \
    FL_DEFINE_LOSS(name, .kind = FL_ROWWISE, .target = FL_CLASS_TARGET, .domain = FL_UNIT_INTERVAL, \
                   .n_coefficients = n_coefficients_, .outputs = outputs_, .check = rowwise_check,  \
                   .scratch = scratch_, ONE_PASS(name), __VA_ARGS__)

/* Makes a loss of a formula. */
#define ROWWISE(name, n_coefficients)                                                                          \
    DEFINE_TERMS(name)                                                                                         \
    DEFINE_SOFT(name)                                                                                          \
    static const row_formula name##_formula = {name##_terms, name##_soft, name##_soft_run};                    \
    static ptrdiff_t name##_block(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum)            \
    {                                                                                                          \
        return run_rows(job, first, count, sum, &name##_formula, ROW_LOSS);                                    \
    }                                                                                                          \
    static ptrdiff_t name##_start(fl_job *job) { return start_row(job, &name##_formula, ROW_LOSS); }           \
    DEFINE_ROWWISE(name, n_coefficients, FOR_ALL | FL_FULL_HESSIAN, rowwise_scratch, .pieces = pieces_of_rows, \
                   .start = name##_start)

/* The functions of a row: no target, no formula; the result is the "gradient", or for logsumexp the value. */
#define ROW_FUNCTION(name, kind_, output)                                                           \
    static ptrdiff_t name##_block(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum) \
    {                                                                                               \
        return run_rows(job, first, count, sum, NULL, kind_);                                       \
    }                                                                                               \
    static ptrdiff_t name##_start(fl_job *job) { return start_row(job, NULL, kind_); }              \
    FL_DEFINE_LOSS(name, .kind = FL_ROW_FUNCTION, .outputs = output, .scratch = rowwise_scratch,    \
                   .pieces = pieces_of_rows, .start = name##_start, ONE_PASS(name))

#endif
