/* Rowwise losses and functions of a row: which driver a job goes through. */
#ifndef FASTLOSS_ROWS_H
#define FASTLOSS_ROWS_H

#include "passes.h"

#include "rows_few.h"
#include "rows_full.h"
#include "rows_long.h"
#include "rows_tiled.h"

enum { FEW_CLASSES = 64 };    /* up to here C-ordered rows go through tiles, too */

/* Which driver a job goes through. */
enum regime { TILED, MEDIUM, VERY_LONG };

ALWAYS_INLINE enum regime regime_of(const fl_job *job)
{
    const ptrdiff_t size = sizeof(real);
    const int row_after_row = job->n_inner == 1 && job->prediction.classes == size &&
                              (!job->gradient.data || job->gradient.classes == size) &&
                              (!job->hessian.data || job->hessian.classes == size);
    if (job->n_classes <= FEW_CLASSES || !row_after_row || is_soft(job)) return TILED;
    if (job->n_classes <= PIECE) return MEDIUM;
    return job->want & FL_HESSIAN ? TILED : VERY_LONG;
}

SHARED ptrdiff_t run_rows(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum, const row_formula *f,
                          int kind)
{
    if (job->full != FL_DIAGONAL) return rows_full(job, first, count, sum, f);
    switch (regime_of(job)) {
    case TILED:
        if (kind != ROW_LOGSUMEXP && is_few(job)) return rows_few(job, first, count, sum, f, kind);
        return rows_tiled(job, first, count, sum, f, kind);
    case MEDIUM: return rows_medium(job, first, count, sum, f, kind);
    default: return rows_very_long(job, first, count, sum, f, kind);
    }
}

static ptrdiff_t rowwise_scratch(const fl_job *job)
{
    if (job->full != FL_DIAGONAL) return full_scratch(job);
    switch (regime_of(job)) {
    case TILED: return tiled_scratch(job);
    case MEDIUM: return medium_scratch(job);
    default: return long_scratch(job);
    }
}

#define DEFINE_ROWWISE(name, n_coefficients_, outputs_, scratch_)                                   \
    FL_DEFINE_LOSS(name, .kind = FL_ROWWISE, .target = FL_CLASS_TARGET, .domain = FL_UNIT_INTERVAL, \
                   .n_coefficients = n_coefficients_, .outputs = outputs_, .check = rowwise_check,  \
                   .scratch = scratch_, ONE_PASS(name))

/* Makes a loss of a formula. */
#define ROWWISE(name, n_coefficients)                                                               \
    DEFINE_TERMS(name)                                                                              \
    DEFINE_SOFT(name)                                                                               \
    static ptrdiff_t name##_block(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum) \
    {                                                                                               \
        static const row_formula f = {name##_terms, name##_soft};                                   \
        return run_rows(job, first, count, sum, &f, ROW_LOSS);                                      \
    }                                                                                               \
    DEFINE_ROWWISE(name, n_coefficients, FOR_ALL | FL_FULL_HESSIAN, rowwise_scratch)

/* The functions of a row: no target, no formula; the result is the "gradient", or for logsumexp the value. */
#define ROW_FUNCTION(name, kind_, output)                                                           \
    static ptrdiff_t name##_block(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum) \
    {                                                                                               \
        return run_rows(job, first, count, sum, NULL, kind_);                                       \
    }                                                                                               \
    FL_DEFINE_LOSS(name, .kind = FL_ROW_FUNCTION, .outputs = output, .scratch = rowwise_scratch, ONE_PASS(name))

#endif
