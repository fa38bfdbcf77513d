/* log(1 + exp(-(z_i - z_j))) over all pairs of rows of a group of which i has the larger target: RankNet (Burges et al. 2005). A pair
 * weighs (w_i + w_j) / 2. With q = 1 / (1 + exp(z_i - z_j)) a pair adds -q to the gradient of i and q to that of j, and q (1 - q) to
 * both Hessians. psd is exact, majorize half a pair's weight for each: no step of all scores at once raises the value.
 * A group of m rows takes m^2 steps.
 */
#if FL_REAL == 64
#include "../sums.h"

typedef struct pair_sums {
    double value, gradient, hessian, bound;
} pair_sums;

/* The pairs of row i with rows [first, end), the lanes of vectors; values of those where its own target is the larger. */
ALWAYS_INLINE pair_sums pairs_of(const fl_job *job, ptrdiff_t i, ptrdiff_t first, ptrdiff_t end, const int want_value)
{
    const fl_segments *s = job->segments;
    const vreal z = splat(s->workspace[i]), t = splat(s->lower[i]), w = splat(weight_at(s, i));
    lane_sums value = no_sums(), gradient = no_sums(), hessian = no_sums(), bound = no_sums();
    for (ptrdiff_t start = first; start < end; start += LANES)
        for (int g = 0; g < GROUP; g++) {
            const ptrdiff_t j = start + g * WIDTH, left = end - j, n = left < 0 ? 0 : left < WIDTH ? left : WIDTH;
            const vreal other = load_some_or(s->lower + j, n, s->lower[i]);
            vreal c = s->weight ? UNIFORM(0.5) * (w + load_some_or(s->weight + j, n, 0)) : ONE;
            c = choose(eq(other, t), ZERO, c);
            const vmask above = lt(other, t), nothing = eq(c, ZERO);
            const vreal apart = z - load_some_or(s->workspace + j, n, 0), margin = choose(above, apart, -apart);
            const vreal e = exp_nonpositive(-vabs(margin)), large = ONE / (ONE + e), small = e * large;
            const vreal q = c * choose(le(ZERO, margin), small, large);
            add_lanes(&gradient, g, choose(nothing, ZERO, choose(above, -q, q)));
            add_lanes(&hessian, g, choose(nothing, ZERO, c * (large * small)));
            add_lanes(&bound, g, c);
            if (!want_value) continue;
            const vreal one = log1p_unit(e) + vmax(ZERO, -margin);
            add_lanes(&value, g, choose(both(above, lt(ZERO, c)), c * keep_nan(margin, one), ZERO));
        }
    return (pair_sums){total_of(&value), total_of(&gradient), total_of(&hessian), total_of(&bound)};
}

static ptrdiff_t pairwise_logistic_block(const fl_job *job, ptrdiff_t b, ptrdiff_t count, double *partial)
{
    const fl_segments *s = job->segments;
    const segment_range range = range_of_block(s, b);
    const int want_value = job->want & FL_VALUE;
    double value = 0;
    (void)count;
    for (ptrdiff_t i = range.first_row; i < range.end_row; i++)
        s->workspace[i] = get_number(&job->prediction, row_of_place(s, i), 0);
    for (ptrdiff_t k = range.first; k < range.end; k++) {
        double own = 0;
        for (ptrdiff_t i = (ptrdiff_t)s->segment[k]; i < s->segment[k + 1]; i++) {
            const ptrdiff_t row = row_of_place(s, i);
            const pair_sums sums = pairs_of(job, i, (ptrdiff_t)s->segment[k], (ptrdiff_t)s->segment[k + 1], want_value);
            own += sums.value;
            if (job->gradient.data) put_number(&job->gradient, row, 0, sums.gradient * job->scale);
            if (!job->hessian.data) continue;
            double hessian = job->curvature == FL_MAJORIZE ? 0.5 * sums.bound : sums.hessian;
            if (job->curvature == FL_PSD) hessian = psd_of(hessian, 0, sums.gradient);
            put_number(&job->hessian, row, 0, hessian * job->scale);
        }
        value += own;
        if (job->value.data) put_number(&job->value, k, 0, own);
    }
    partial[0] = value;
    return -1;
}
DEFINE_SEGMENTS(pairwise_logistic, 0, FL_ANY, SEGMENT_PASS(pairwise_logistic_block, add_up_segments, 0))
#else
DEFINE_SEGMENTS(pairwise_logistic, 0, FL_ANY)
#endif
