/* Sample weights: read, checked and added up.
 *
 * A mean does not depend on their scale. Where that is out of all proportion, the driver sets job->weight_unit, a power of
 * two by which every weight is multiplied as it is read: in double precision, so that a weight need not be a real itself.
 */
#ifndef FASTLOSS_WEIGHTS_H
#define FASTLOSS_WEIGHTS_H

#include <float.h>
#include <string.h>

#include "fastloss.h"
#include "real.h"
#include "stored.h"
#include "sums.h"

SHARED void load_scaled(real *tile, const char *from, ptrdiff_t stride, int type, double unit, ptrdiff_t count)
{
    switch (type) {
#define CASE_BY(code, ctype, CONVERT)                                                                    \
    case code:                                                                                           \
        for (ptrdiff_t i = 0; i < count; i++)                                                            \
            tile[i] = (real)((double)CONVERT(*(const ctype *)(const void *)(from + i * stride)) * unit); \
        break;
#define CASE(code, ctype) CASE_BY(code, ctype, )
        FOR_EACH_TYPE(CASE)
        CASE_BY(FL_F16, uint16_t, from_f16)
        CASE_BY(FL_BF16, uint16_t, from_bf16)
#undef CASE
#undef CASE_BY
    }
}

SHARED void load_weights(real *tile, const fl_job *job, ptrdiff_t first, ptrdiff_t n)
{
    const fl_array *weight = &job->weight;
    const double unit = job->weight_unit;
    if (unit == 1)
        load_elements(tile, weight, job->n_inner, first, n);
    else
        FOR_EACH_RUN(weight, job->n_inner, first, n, load_scaled(tile + done, at, stride, weight->type, unit, run))
}

ALWAYS_INLINE vmask is_weight(vreal w) { return both(le(ZERO, w), lt(w, UNIFORM(REAL_INFINITY))); }

/* The largest of n doubles that are weights; *bad becomes the first that is none. */
SHARED double largest_double(const fl_job *job, ptrdiff_t first, ptrdiff_t n, ptrdiff_t *bad)
{
    const double limit = DBL_MAX;
    double largest;
    uint64_t top = 0, top_of_weights;
    memcpy(&top_of_weights, &limit, sizeof limit);
    FOR_EACH_RUN(&job->weight, job->n_inner, first, n, {
        const ptrdiff_t different = stride == 0 ? 1 : run;
        const uint64_t *bits = (const uint64_t *)(const void *)at;
        if (stride == sizeof *bits) /* numbers >= 0 are ordered like their bits, all others come after them */
            for (ptrdiff_t i = 0; i < run; i++) top = bits[i] > top ? bits[i] : top;
        else
            for (ptrdiff_t i = 0; i < different; i++) {
                const uint64_t of_weight = *(const uint64_t *)(const void *)(at + i * stride);
                top = of_weight > top ? of_weight : top;
            }
    })
    memcpy(&largest, &top, sizeof largest);
    if (top <= top_of_weights) return largest;
    largest = 0;
    FOR_EACH_RUN(&job->weight, job->n_inner, first, n, {
        for (ptrdiff_t i = 0; i < run; i++) {
            const double w = *(const double *)(const void *)(at + i * stride);
            if (!(w >= 0 && w <= DBL_MAX) && *bad < 0) *bad = first + done + i;
            if (w > largest) largest = w;
        }
    })
    return largest;
}

/* The sum of n weights, padded with 0 to whole lanes. found->bad_weight becomes the first that is negative or not finite, if none was
 * found before, and found->largest_weight grows. One look at each, in the order of sum_reals. */
SHARED double sum_of_weights(const real *w, const fl_job *job, ptrdiff_t first, ptrdiff_t n, fl_checked *found)
{
    lane_sums sums = no_sums();
    vmask ok = eq(ZERO, ZERO);
    vreal most[GROUP] = {0};
    for (ptrdiff_t i = 0; i < n; i += LANES)
        for (int g = 0; g < GROUP; g++) {
            vreal x = load(w + i + g * WIDTH);
            ok = both(ok, is_weight(x)), most[g] = vmax(x, most[g]);
            if (i + LANES <= n) add_lanes(&sums, g, x);
        }
    for (int g = 1; g < GROUP; g++) most[0] = vmax(most[g], most[0]);
    double largest = 0, total = total_of(&sums);
    for (ptrdiff_t i = n / LANES * LANES; i < n; i++) total += (double)w[i];
    if (FL_REAL == 32 && job->weight.type == FL_F64 && job->mean) /* may be fine, and no real for all that */
        largest = largest_double(job, first, n, &found->bad_weight);
    else {
        if (!all_true(ok) && found->bad_weight < 0)
            for (ptrdiff_t i = n - 1; i >= 0; i--)
                if (!all_true(is_weight(splat(w[i])))) found->bad_weight = first + i;
        for (int j = 0; j < WIDTH; j++)
            if ((double)most[0][j] > largest) largest = (double)most[0][j];
    }
    if (largest > found->largest_weight) found->largest_weight = largest;
    return total;
}

/* The same of a job's weights, and the tile of them. */
SHARED double sum_weights(real *tile, const fl_job *job, ptrdiff_t first, ptrdiff_t n, fl_checked *found)
{
    load_weights(tile, job, first, n);
    for (ptrdiff_t i = n; i % LANES; i++) tile[i] = 0;
    return sum_of_weights(tile, job, first, n, found);
}

#endif
