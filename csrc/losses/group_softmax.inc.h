/* Softmax over the rows of a group, and the cross-entropy of what was chosen there: McFadden's conditional logit (1974), ListNet's
 * (2007) loss of relevances. With p = softmax of the group's z, u = w t and U = sum of u over the group:
 *     value sum of u (-log p),   gradient U p - u,   Hessian U p (1 - p)
 * Of the largest z, 1 - p is the sum of all other exponentials over the sum of all: nothing is subtracted from 1. The gradient is
 * (U - u) p - u (1 - p). psd is exact. majorize is U / 2: no step of all scores at once raises the value (Böhning 1992).
 */
#if FL_REAL == 64
typedef struct group_sums {
    ptrdiff_t first, end, largest; /* places */
    double others, sum, log_sum, chosen; /* of exponentials but the largest, which is 1; of all; log of that; U */
} group_sums;

/* What a group adds up to, of differences from its largest score and their exponentials. */
ALWAYS_INLINE group_sums sums_of_group(const fl_segments *s, ptrdiff_t k)
{
    group_sums g = {(ptrdiff_t)s->segment[k], (ptrdiff_t)s->segment[k + 1], -1, 0, 0, 0, 0};
    const double *e = s->workspace;
    for (ptrdiff_t i = g.first; i < g.end; i++) {
        const int is_largest = g.largest < 0 && e[i] == 1;
        if (is_largest) g.largest = i;
        g.others += is_largest ? 0 : e[i];
        g.chosen += weight_at(s, i) * s->lower[i];
    }
    g.sum = (g.largest < 0 ? 0 : 1) + g.others;
    return g;
}

ALWAYS_INLINE double group_value(const fl_job *job, const group_sums *g, double top)
{
    const fl_segments *s = job->segments;
    const double log_sum = log1p_of(g->others);
    double value = 0;
    for (ptrdiff_t i = g->first; i < g->end; i++) {
        const double u = weight_at(s, i) * s->lower[i];
        if (u != 0) value += u * (log_sum + (top - get_number(&job->prediction, row_of_place(s, i), 0)));
    }
    return value;
}

ALWAYS_INLINE void write_group(const fl_job *job, const group_sums *g)
{
    const fl_segments *s = job->segments;
    const double inverse = 1 / g->sum;
    for (ptrdiff_t i = g->first; i < g->end; i++) {
        const ptrdiff_t row = row_of_place(s, i);
        const double u = weight_at(s, i) * s->lower[i], p = s->workspace[i] * inverse;
        const double rest = (i == g->largest ? g->others : g->sum - s->workspace[i]) * inverse;
        const double gradient = (g->chosen - u) * p - u * rest;
        put_number(&job->gradient, row, 0, gradient * job->scale);
        if (!job->hessian.data) continue;
        double hessian = job->curvature == FL_MAJORIZE ? 0.5 * g->chosen : g->chosen * p * rest;
        if (job->curvature == FL_PSD) hessian = psd_of(hessian, 0, gradient);
        put_number(&job->hessian, row, 0, hessian * job->scale);
    }
}

static ptrdiff_t group_softmax_block(const fl_job *job, ptrdiff_t b, ptrdiff_t count, double *partial)
{
    const fl_segments *s = job->segments;
    const segment_range range = range_of_block(s, b);
    double *e = s->workspace, *tops = e + s->n_rows, value = 0;
    (void)count;
    for (ptrdiff_t k = range.first; k < range.end; k++) {
        double top = -REAL_INFINITY;
        for (ptrdiff_t i = (ptrdiff_t)s->segment[k]; i < s->segment[k + 1]; i++) {
            e[i] = get_number(&job->prediction, row_of_place(s, i), 0);
            top = larger_of(top, e[i]);
        }
        for (ptrdiff_t i = (ptrdiff_t)s->segment[k]; i < s->segment[k + 1]; i++) e[i] -= top;
        tops[k] = top;
    }
    exp_of_all(e + range.first_row, range.end_row - range.first_row);
    for (ptrdiff_t k = range.first; k < range.end; k++) {
        const group_sums g = sums_of_group(s, k);
        if (job->want & FL_VALUE) {
            const double own = group_value(job, &g, tops[k]);
            value += own;
            if (job->value.data) put_number(&job->value, k, 0, own);
        }
        if (job->gradient.data) write_group(job, &g);
    }
    partial[0] = value;
    return -1;
}
DEFINE_SEGMENTS(group_softmax, 0, FL_NONNEGATIVE, SEGMENT_PASS(group_softmax_block, add_up_segments, 0))
#else
DEFINE_SEGMENTS(group_softmax, 0, FL_NONNEGATIVE)
#endif
