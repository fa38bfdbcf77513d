/* Softmax over the rows of a group, and the cross-entropy of what was chosen there: McFadden's conditional logit (1974), ListNet's
 * (2007) loss of relevances. With p = softmax of the group's z, u = w t and U = sum of u over the group:
 *     value sum of u (-log p),   gradient U p - u,   Hessian U p (1 - p)
 * With e = exp(z - largest z) and the sum S of all e but one of the largest, 1 - p is (S + (1 - e)) / (1 + S), a sum of what is >= 0.
 * The gradient is (U - u) p - u (1 - p), the value U log(1 + S) - sum of u (z - largest z). psd is exact. majorize is U / 2: no step
 * of all scores at once raises the value (Böhning 1992).
 */
#if FL_REAL == 64
/* Numbers of all groups: of exponentials but the largest, which is 1; the log of the sum of all; U; sum of u (z - largest z). */
typedef struct group_numbers {
    double *others, *log_sum, *chosen, *far;
} group_numbers;

ALWAYS_INLINE group_numbers numbers_of_groups(const fl_segments *s)
{
    double *first = s->workspace + s->n_rows;
    return (group_numbers){first, first + s->n_segments, first + 2 * s->n_segments, first + 3 * s->n_segments};
}

/* Whether rows lie in order, one double after the other, and count 1 each. */
ALWAYS_INLINE int rows_are_plain(const fl_job *job)
{
    const ptrdiff_t size = sizeof(double);
    return !job->segments->order && !job->segments->weight && job->prediction.type == FL_F64 &&
           job->prediction.outer == size &&
           (!job->gradient.data || (job->gradient.type == FL_F64 && job->gradient.outer == size));
}

ALWAYS_INLINE double score_at(const fl_job *job, ptrdiff_t i, const int is_plain)
{
    return is_plain ? ((const double *)(const void *)job->prediction.data)[i]
                    : get_number(&job->prediction, row_of_place(job->segments, i), 0);
}

ALWAYS_INLINE double chosen_at(const fl_segments *s, ptrdiff_t i, const int is_plain)
{
    return is_plain ? s->lower[i] : weight_at(s, i) * s->lower[i];
}

/* Differences from each group's largest score, and what is summed of them. */
ALWAYS_INLINE void subtract_largest(const fl_job *job, ptrdiff_t k, const int is_plain)
{
    const fl_segments *s = job->segments;
    const group_numbers g = numbers_of_groups(s);
    const ptrdiff_t first = (ptrdiff_t)s->segment[k], end = (ptrdiff_t)s->segment[k + 1];
    double *e = s->workspace, top = -REAL_INFINITY, chosen = 0, far = 0;
    for (ptrdiff_t i = first; i < end; i++) {
        const double z = score_at(job, i, is_plain);
        top = z > top ? z : top; /* a nan stays in its difference */
    }
    for (ptrdiff_t i = first; i < end; i++) {
        /* read anew: what was stored one by one a moment ago would be waited for as a vector */
        const double u = chosen_at(s, i, is_plain), below = score_at(job, i, is_plain) - top;
        e[i] = below;
        chosen += u;
        far += u * only_if(u != 0, below);
    }
    g.chosen[k] = chosen, g.far[k] = far;
}

/* By its bits: a comparison of doubles becomes a branch, and which row is the largest is as hard to predict. */
ALWAYS_INLINE int is_one(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits == 0x3ff0000000000000;
}

/* The sum of a group's exponentials, but for one of the largest. */
ALWAYS_INLINE double sum_of_others(const fl_segments *s, ptrdiff_t k)
{
    const double *e = s->workspace;
    double largest = s->segment[k] < s->segment[k + 1] ? -1 : 0, smaller = 0;
    for (ptrdiff_t i = (ptrdiff_t)s->segment[k]; i < s->segment[k + 1]; i++) {
        const int is_largest = is_one(e[i]);
        largest += is_largest;
        smaller += only_if(!is_largest, e[i]);
    }
    return largest + smaller;
}

ALWAYS_INLINE void write_group(const fl_job *job, ptrdiff_t k, const int is_plain)
{
    const fl_segments *s = job->segments;
    const group_numbers g = numbers_of_groups(s);
    const double *e = s->workspace, others = g.others[k], inverse = 1 / (1 + others), chosen = g.chosen[k];
    for (ptrdiff_t i = (ptrdiff_t)s->segment[k]; i < s->segment[k + 1]; i++) {
        const double u = chosen_at(s, i, is_plain), p = e[i] * inverse;
        const double rest = (others + (1 - e[i])) * inverse;
        const double gradient = (chosen - u) * p - u * rest;
        if (is_plain)
            ((double *)(void *)job->gradient.data)[i] = gradient * job->scale;
        else
            put_number(&job->gradient, row_of_place(s, i), 0, gradient * job->scale);
        if (!job->hessian.data) continue;
        double hessian = job->curvature == FL_MAJORIZE ? 0.5 * chosen : chosen * p * rest;
        if (job->curvature == FL_PSD) hessian = psd_of(hessian, 0, gradient);
        put_number(&job->hessian, row_of_place(s, i), 0, hessian * job->scale);
    }
}

ALWAYS_INLINE double softmax_of_groups(const fl_job *job, ptrdiff_t b, const int is_plain)
{
    const fl_segments *s = job->segments;
    const group_numbers g = numbers_of_groups(s);
    const segment_range range = range_of_block(s, b);
    double value = 0;
    for (ptrdiff_t k = range.first; k < range.end; k++) subtract_largest(job, k, is_plain);
    exp_of_all(s->workspace + range.first_row, range.end_row - range.first_row);
    for (ptrdiff_t k = range.first; k < range.end; k++) g.log_sum[k] = g.others[k] = sum_of_others(s, k);
    if (job->want & FL_VALUE) {
        log1p_of_all(g.log_sum + range.first, range.end - range.first);
        for (ptrdiff_t k = range.first; k < range.end; k++) {
            const double own = g.chosen[k] * g.log_sum[k] - g.far[k]; /* far <= 0 */
            value += own;
            if (job->value.data) put_number(&job->value, k, 0, own);
        }
    }
    if (job->gradient.data)
        for (ptrdiff_t k = range.first; k < range.end; k++) write_group(job, k, is_plain);
    return value;
}

static ptrdiff_t group_softmax_block(const fl_job *job, ptrdiff_t b, ptrdiff_t count, double *partial)
{
    (void)count;
    partial[0] = rows_are_plain(job) ? softmax_of_groups(job, b, 1) : softmax_of_groups(job, b, 0);
    return -1;
}
DEFINE_SEGMENTS(group_softmax, 0, FL_NONNEGATIVE, SEGMENT_PASS(group_softmax_block, add_up_segments, 0))
#else
DEFINE_SEGMENTS(group_softmax, 0, FL_NONNEGATIVE)
#endif
