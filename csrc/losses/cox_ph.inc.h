/* Negative logarithm of Cox's partial likelihood (1972), with Efron's (1977) or Breslow's (1974) sums at tied times.
 *
 * Rows of a stratum stand by time, descending; a segment is all rows of one time, its d events first. With e = w exp(z), R the sum of
 * e over all rows up to and with the segment, D over its events, W their weights' sum and R_k = R - D k / d:
 *     value         sum over events of w (-z + 1 / d sum over k < d of log R_k)
 *     gradient      -w [event] + e (A - [event] B),   A = sum over this segment and all after it of W / d sum 1 / R_k,
 *                                                     B = W / d sum (k / d) / R_k of this segment
 *     Hessian       e (A - [event] B) - e^2 (A2 - [event] B2), with 1 / R_k^2 and 1 - (1 - k / d)^2 in their place
 * Breslow's has k = 0 throughout. R_k is a sum of what is no event and of D (d - k) / d, never a difference. Exponentials are relative
 * to the largest z up to their segment, so that neither a score of 700 nor one of -700 is lost where it counts; A is relative to its
 * inverse, for the terms of later segments are smaller. psd is the Hessian's diagonal. majorize is half the W of this segment and all
 * after it: no step of all scores at once raises the value (Böhning 1992).
 */
#if FL_REAL == 64
typedef struct cox_term {
    double top, a, b, a2, b2; /* first, a and b: R of no events and D */
} cox_term;

/* What a block gets of those before it, and, from `after` on, of those behind. */
typedef struct cox_carry {
    double top, sum, after, after2;
} cox_carry;

typedef char cox_fits[sizeof(cox_term) == FL_NUMBERS_OF_A_SEGMENT * sizeof(double) &&
                              sizeof(cox_carry) == FL_NUMBERS_OF_A_BLOCK * sizeof(double)
                          ? 1
                          : -1];

ALWAYS_INLINE cox_term *cox_terms(const fl_segments *s) { return (cox_term *)(void *)(s->workspace + s->n_rows); }
ALWAYS_INLINE cox_carry *cox_carries(const fl_segments *s)
{
    return (cox_carry *)(void *)(cox_terms(s) + s->n_segments);
}

/* The first pass: scores in order, and the largest of the last stratum. */
static ptrdiff_t cox_gather(const fl_job *job, ptrdiff_t b, ptrdiff_t count, double *partial)
{
    const fl_segments *s = job->segments;
    const segment_range range = range_of_block(s, b);
    double top = -REAL_INFINITY, starts = 0;
    (void)count;
    for (ptrdiff_t k = range.first; k < range.end; k++) {
        if (s->begins[k]) top = -REAL_INFINITY, starts = 1;
        for (ptrdiff_t i = (ptrdiff_t)s->segment[k]; i < s->segment[k + 1]; i++) {
            const double z = get_number(&job->prediction, row_of_place(s, i), 0);
            s->workspace[i] = z;
            top = larger_of(top, z);
        }
    }
    partial[0] = top, partial[1] = starts;
    return -1;
}

static void cox_carry_tops(fl_job *job, const double *partials, ptrdiff_t n_blocks)
{
    cox_carry *carry = cox_carries(job->segments);
    double top = -REAL_INFINITY;
    for (ptrdiff_t b = 0; b < n_blocks; b++, partials += NUMBERS_OF_A_PARTIAL) {
        carry[b].top = top;
        top = partials[1] != 0 ? partials[0] : larger_of(top, partials[0]);
    }
    carry[n_blocks].top = top;
}

/* The second pass: exponentials, and their sums from the block's or the stratum's begin. */
static ptrdiff_t cox_sum(const fl_job *job, ptrdiff_t b, ptrdiff_t count, double *partial)
{
    const fl_segments *s = job->segments;
    const segment_range range = range_of_block(s, b);
    cox_term *term = cox_terms(s);
    double *e = s->workspace, top = cox_carries(s)[b].top, last = top, sum = 0, starts = 0;
    (void)count;
    for (ptrdiff_t k = range.first; k < range.end; k++) {
        if (s->begins[k]) top = -REAL_INFINITY;
        const ptrdiff_t first = (ptrdiff_t)s->segment[k], end = (ptrdiff_t)s->segment[k + 1];
        for (ptrdiff_t i = first; i < end; i++) top = larger_of(top, e[i]);
        for (ptrdiff_t i = first; i < end; i++) e[i] = top == -REAL_INFINITY ? top : e[i] - top;
        term[k].top = top;
    }
    exp_of_all(e + range.first_row, range.end_row - range.first_row);
    if (s->weight)
        for (ptrdiff_t i = range.first_row; i < range.end_row; i++) e[i] *= s->weight[i];
    for (ptrdiff_t k = range.first; k < range.end; k++) {
        const ptrdiff_t first = (ptrdiff_t)s->segment[k], end = (ptrdiff_t)s->segment[k + 1];
        const ptrdiff_t events_end = first + (ptrdiff_t)s->n_events[k];
        double events = 0, others = 0;
        for (ptrdiff_t i = first; i < events_end; i++) events += e[i];
        for (ptrdiff_t i = events_end; i < end; i++) others += e[i];
        sum = s->begins[k] ? others : others + sum * ratio_of_exps(last, term[k].top);
        starts = s->begins[k] ? 1 : starts;
        term[k].a = sum, term[k].b = events;
        sum += events, last = term[k].top;
    }
    partial[0] = sum, partial[1] = starts;
    return -1;
}

static void cox_carry_sums(fl_job *job, const double *partials, ptrdiff_t n_blocks)
{
    cox_carry *carry = cox_carries(job->segments);
    double sum = 0;
    for (ptrdiff_t b = 0; b < n_blocks; b++, partials += NUMBERS_OF_A_PARTIAL) {
        carry[b].sum = sum;
        sum = partials[1] != 0 ? partials[0] : partials[0] + sum * ratio_of_exps(carry[b].top, carry[b + 1].top);
    }
}

/* A time's terms, of what is at risk there and d events of that weight; the mean of log R_k if a value is wanted. */
ALWAYS_INLINE double cox_tie(const fl_job *job, cox_term *term, double others, double weight, ptrdiff_t d)
{
    const double events = term->b, n = job->coefficients[0] != 0 ? 1 : (double)d;
    double a = 0, b = 0, a2 = 0, b2 = 0, logarithms = 0;
    for (double k = 0; k < n; k++) {
        const double part = (n - k) / n, at_risk = others + events * part, inverse = 1 / at_risk;
        a += inverse, b += (1 - part) * inverse;
        a2 += inverse * inverse, b2 += (1 - part * part) * (inverse * inverse);
        if (job->want & FL_VALUE) logarithms += log_of(at_risk);
    }
    const double each = weight / n;
    const int bound = job->curvature == FL_MAJORIZE;
    term->a = each * a, term->b = each * b;
    term->a2 = bound ? 0.5 * weight : each * a2, term->b2 = bound ? 0 : each * b2;
    return logarithms / n + term->top;
}

/* The values of a time's events, given what each adds to -z. */
ALWAYS_INLINE double cox_values(const fl_job *job, ptrdiff_t k, double logarithm)
{
    const fl_segments *s = job->segments;
    double value = 0;
    for (ptrdiff_t i = (ptrdiff_t)s->segment[k], n = s->n_events[k]; n > 0; i++, n--) {
        const ptrdiff_t row = row_of_place(s, i);
        const double one = weight_at(s, i) * (logarithm - get_number(&job->prediction, row, 0));
        value += one;
        if (job->value.data) put_number(&job->value, row, 0, one * job->scale);
    }
    return value;
}

/* From the sums of the times after it to those with its own; `to` is this time's largest score, `from` that of the next. */
ALWAYS_INLINE void cox_add(const fl_job *job, const cox_term *term, double from, double *a, double *a2)
{
    const double ratio = *a == 0 && *a2 == 0 ? 1 : ratio_of_exps(term->top, from); /* of a stratum's last time */
    *a = term->a + *a * ratio;
    *a2 = term->a2 + *a2 * (job->curvature == FL_MAJORIZE ? 1 : ratio * ratio);
}

/* The third pass: every time's terms and values, and the sum of the terms from the end of the block or stratum to the block's begin. */
static ptrdiff_t cox_conclude(const fl_job *job, ptrdiff_t b, ptrdiff_t count, double *partial)
{
    const fl_segments *s = job->segments;
    const segment_range range = range_of_block(s, b);
    const cox_carry *carry = cox_carries(s) + b;
    cox_term *term = cox_terms(s);
    double before = carry->sum, shrunk = before, top = carry->top, value = 0, a = 0, a2 = 0;
    (void)count;
    for (ptrdiff_t k = range.first; k < range.end; k++) {
        if (s->begins[k]) before = shrunk = 0;
        if (before != 0 && term[k].top != top) top = term[k].top, shrunk = before * ratio_of_exps(carry->top, top);
        const ptrdiff_t d = (ptrdiff_t)s->n_events[k];
        if (!d) {
            term[k].a = term[k].b = term[k].a2 = term[k].b2 = 0;
            continue;
        }
        double weight = 0;
        for (ptrdiff_t i = (ptrdiff_t)s->segment[k]; i < s->segment[k] + d; i++) weight += weight_at(s, i);
        const double logarithm = cox_tie(job, term + k, term[k].a + shrunk, weight, d);
        if (job->want & FL_VALUE) value += cox_values(job, k, logarithm);
    }
    partial[3] = 0;
    for (ptrdiff_t k = range.end - 1; k >= range.first; k--) {
        cox_add(job, term + k, k + 1 < range.end ? term[k + 1].top : term[k].top, &a, &a2);
        if (s->begins[k] && k > range.first) a = a2 = 0, partial[3] = 1;
    }
    partial[0] = value, partial[1] = a, partial[2] = a2;
    return -1;
}

static void cox_carry_back(fl_job *job, const double *partials, ptrdiff_t n_blocks)
{
    const fl_segments *s = job->segments;
    cox_carry *carry = cox_carries(s);
    const cox_term *term = cox_terms(s);
    double after = 0, after2 = 0, top = 0;
    add_up_segments(job, partials, n_blocks);
    for (ptrdiff_t b = n_blocks - 1; b >= 0; b--) {
        const double *own = partials + b * NUMBERS_OF_A_PARTIAL;
        const ptrdiff_t first = (ptrdiff_t)s->block[b];
        if (b == n_blocks - 1 || s->begins[s->block[b + 1]]) after = after2 = 0;
        carry[b].after = after, carry[b].after2 = after2;
        /* the block's own sum is relative to its first time, what comes after it to that of the next block */
        cox_term whole = {.top = term[first].top, .a = own[1], .a2 = own[2]};
        if (own[3] != 0 || (after == 0 && after2 == 0))
            after = whole.a, after2 = whole.a2;
        else
            cox_add(job, &whole, top, &after, &after2);
        top = whole.top;
    }
}

ALWAYS_INLINE void cox_write(const fl_job *job, const cox_term *term, ptrdiff_t i, double a, double a2)
{
    const fl_segments *s = job->segments;
    const ptrdiff_t row = row_of_place(s, i);
    const double e = s->workspace[i], w = weight_at(s, i), unbent = e * a;
    const double gradient = term ? unbent - w : unbent;
    if (job->gradient.data) put_number(&job->gradient, row, 0, gradient * job->scale);
    if (!job->hessian.data) return;
    double hessian = job->curvature == FL_MAJORIZE ? a2 : unbent - e * e * a2;
    if (job->curvature == FL_PSD) hessian = psd_of(hessian, unbent, gradient);
    put_number(&job->hessian, row, 0, hessian * job->scale);
}

/* The fourth pass: derivatives. */
static ptrdiff_t cox_derive(const fl_job *job, ptrdiff_t b, ptrdiff_t count, double *partial)
{
    const fl_segments *s = job->segments;
    const segment_range range = range_of_block(s, b);
    const cox_term *term = cox_terms(s);
    double a = cox_carries(s)[b].after, a2 = cox_carries(s)[b].after2;
    (void)count;
    for (ptrdiff_t k = range.end - 1; k >= range.first; k--) {
        cox_add(job, term + k, k + 1 < s->n_segments ? term[k + 1].top : term[k].top, &a, &a2);
        const ptrdiff_t first = (ptrdiff_t)s->segment[k], end = (ptrdiff_t)s->segment[k + 1];
        const ptrdiff_t events_end = first + (ptrdiff_t)s->n_events[k];
        for (ptrdiff_t i = first; i < events_end; i++) cox_write(job, term + k, i, a - term[k].b, a2 - term[k].b2);
        for (ptrdiff_t i = events_end; i < end; i++) cox_write(job, NULL, i, a, a2);
        if (s->begins[k]) a = a2 = 0;
    }
    partial[0] = 0;
    return -1;
}
DEFINE_SEGMENTS(cox_ph, 1, FL_ANY, SEGMENT_PASS(cox_gather, cox_carry_tops, 0),
                SEGMENT_PASS(cox_sum, cox_carry_sums, 0), SEGMENT_PASS(cox_conclude, cox_carry_back, 0),
                SEGMENT_PASS(cox_derive, NULL, FL_GRADIENT | FL_HESSIAN))
#else
DEFINE_SEGMENTS(cox_ph, 1, FL_ANY)
#endif
