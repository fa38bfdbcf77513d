/* What passes have in common, and the macro by which a family makes a loss of its blocks. */
#ifndef FASTLOSS_PASSES_H
#define FASTLOSS_PASSES_H

#include "fastloss.h"

/* The values of all blocks, added up. */
static void add_up(fl_job *job, const double *partials, ptrdiff_t n_blocks)
{
    job->total = 0;
    for (ptrdiff_t b = 0; b < n_blocks; b++) job->total += partials[b];
}

/* name_check, a check as the driver calls it: a bad target comes before a bad weight. */
#define DEFINE_CHECK(name)                                                                                         \
    static ptrdiff_t name##_check(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *partial)            \
    {                                                                                                              \
        fl_checked found;                                                                                          \
        check_##name(job, first, count, &found);                                                                   \
        partial[FL_WEIGHT_SUM] = found.weight_sum;                                                                 \
        partial[FL_LARGEST_WEIGHT] = found.largest_weight;                                                         \
        return found.bad_weight < 0 || found.bad_target >= 0 ? found.bad_target : fl_bad_weight(found.bad_weight); \
    }

/* The table's entry of a loss whose block is <id>_block: one pass, unless others are given. */
#define ONE_PASS(id) .passes = {{.block = id##_block, .combine = add_up}}
#define FL_DEFINE_LOSS(id, ...) static const fl_loss id##_loss = {.name = #id, __VA_ARGS__};

#endif
