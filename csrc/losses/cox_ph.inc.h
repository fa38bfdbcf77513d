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
ALWAYS_INLINE double *cox_scores(const fl_segments *s) /* in the order of places */
{
    return (double *)(void *)(cox_carries(s) + s->n_blocks + 1);
}

/* Rows ahead of which one is fetched that stands anywhere, and logarithms that are taken at once. */
enum { COX_AHEAD = 24, COX_LOGS = 256 };

/* The first pass: scores in order, and the largest of the last stratum. */
static ptrdiff_t cox_gather(const fl_job *job, ptrdiff_t b, ptrdiff_t count, double *partial)
{
    const fl_segments *s = job->segments;
    const segment_range range = range_of_block(s, b);
    double top = -REAL_INFINITY, starts = 0, *e = s->workspace, *z = cox_scores(s);
    ptrdiff_t last = range.first_row;
    (void)count;
    for (ptrdiff_t i = range.first_row; i < range.end_row; i++) {
        const ptrdiff_t ahead = i + COX_AHEAD < range.end_row ? i + COX_AHEAD : i;
        __builtin_prefetch(job->prediction.data + row_of_place(s, ahead) * job->prediction.outer);
        z[i] = e[i] = get_number(&job->prediction, row_of_place(s, i), 0);
    }
    for (ptrdiff_t k = range.first; k < range.end; k++)
        if (s->begins[k]) last = (ptrdiff_t)s->segment[k], starts = 1;
    for (ptrdiff_t i = last; i < range.end_row; i++) top = larger_of(top, e[i]);
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
        for (ptrdiff_t i = first; i < end; i++) {
            events += only_if(i < events_end, e[i]);
            others += only_if(i >= events_end, e[i]);
        }
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

/* What is at risk at events whose logarithms are still to be taken. */
typedef struct cox_logs {
    double of[COX_LOGS + 1];
    ptrdiff_t n;
} cox_logs;

/* The softmaxes of a time of d events. */
ALWAYS_INLINE ptrdiff_t cox_sums(const fl_job *job, ptrdiff_t d) { return job->coefficients[0] != 0 ? d > 0 : d; }

/* A time's terms, of what is at risk there and d events of that weight; and what their logarithms are of, or of more than are taken at
 * once the sum of these. Without an event all is calculated for nothing, because whether there is one is hard to predict. */
ALWAYS_INLINE double cox_tie(const fl_job *job, cox_term *term, double others, double weight, ptrdiff_t d,
                             cox_logs *logs)
{
    const ptrdiff_t sums = cox_sums(job, d);
    const double events = term->b, n = sums > 1 ? (double)sums : 1;
    double a = 0, b = 0, a2 = 0, b2 = 0, logarithms = 0;
    for (double k = 0; k < n; k++) {
        const double part = n == 1 ? 1 : (n - k) / n, at_risk = others + events * part, inverse = 1 / at_risk;
        a += inverse, b += (1 - part) * inverse;
        a2 += inverse * inverse, b2 += (1 - part * part) * (inverse * inverse);
        logs->of[logs->n] = at_risk;
        logs->n += sums > 0 && job->want & FL_VALUE;
        if (!(job->want & FL_VALUE) || sums <= COX_LOGS || (logs->n < COX_LOGS && k + 1 < n)) continue;
        log_of_all(logs->of, logs->n);
        for (ptrdiff_t i = 0; i < logs->n; i++) logarithms += logs->of[i];
        logs->n = 0;
    }
    const double each = n == 1 ? weight : weight / n;
    const int bound = job->curvature == FL_MAJORIZE;
    term->a = only_if(d > 0, each * a), term->b = only_if(d > 0, each * b);
    term->a2 = only_if(d > 0, bound ? 0.5 * weight : each * a2), term->b2 = only_if(d > 0, bound ? 0 : each * b2);
    return logarithms;
}

/* The values of a time's events, given what each adds to -z. */
ALWAYS_INLINE double cox_values(const fl_job *job, ptrdiff_t k, ptrdiff_t d, double logarithm)
{
    const fl_segments *s = job->segments;
    const double *z = cox_scores(s);
    const ptrdiff_t first = (ptrdiff_t)s->segment[k];
    double value = 0;
    for (ptrdiff_t i = first; i < first + (d > 1 ? d : 1); i++) { /* of no event, a time's first row for nothing */
        const double one = only_if(d > 0, weight_at(s, i) * (logarithm - z[i]));
        value += one;
        if (job->value.data && d > 0) put_number(&job->value, row_of_place(s, i), 0, one * job->scale);
    }
    return value;
}

/* The values of times that left no more logarithms than are taken at once. */
static double cox_take_logs(const fl_job *job, ptrdiff_t first, ptrdiff_t end, cox_logs *logs, double value)
{
    const fl_segments *s = job->segments;
    const cox_term *term = cox_terms(s);
    log_of_all(logs->of, logs->n);
    for (ptrdiff_t k = first, at = 0; k < end; k++) {
        const ptrdiff_t d = (ptrdiff_t)s->n_events[k], n = cox_sums(job, d);
        double logarithms = logs->of[at]; /* of no event, for nothing */
        for (ptrdiff_t i = 1; i < n; i++) logarithms += logs->of[at + i];
        at += n;
        value += cox_values(job, k, d, (n > 1 ? logarithms / (double)n : logarithms) + term[k].top);
    }
    logs->n = 0;
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
    ptrdiff_t waiting = range.first;
    cox_logs logs = {{0}, 0};
    (void)count;
    for (ptrdiff_t k = range.first; k < range.end; k++) {
        if (s->begins[k]) before = shrunk = 0;
        if (before != 0 && term[k].top != top) top = term[k].top, shrunk = before * ratio_of_exps(carry->top, top);
        const ptrdiff_t d = (ptrdiff_t)s->n_events[k], n = cox_sums(job, d), place = (ptrdiff_t)s->segment[k];
        double weight = only_if(d > 0, weight_at(s, place));
        for (ptrdiff_t i = 1; i < d; i++) weight += weight_at(s, place + i);
        if (logs.n + n >= COX_LOGS && job->want & FL_VALUE)
            value = cox_take_logs(job, waiting, k, &logs, value), waiting = k;
        const double logarithms = cox_tie(job, term + k, term[k].a + shrunk, weight, d, &logs);
        if (n > COX_LOGS && job->want & FL_VALUE)
            value += cox_values(job, k, d, logarithms / (double)n + term[k].top), waiting = k + 1;
    }
    if (job->want & FL_VALUE) value = cox_take_logs(job, waiting, range.end, &logs, value);
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

ALWAYS_INLINE void cox_write(const fl_job *job, const cox_term *term, ptrdiff_t i, int is_event, double a, double a2)
{
    const fl_segments *s = job->segments;
    const ptrdiff_t row = row_of_place(s, i);
    const double e = s->workspace[i], w = weight_at(s, i), unbent = e * (a - only_if(is_event, term->b));
    const double gradient = unbent - only_if(is_event, w);
    if (job->gradient.data) put_number(&job->gradient, row, 0, gradient * job->scale);
    if (!job->hessian.data) return;
    a2 -= only_if(is_event, term->b2);
    double hessian = job->curvature == FL_MAJORIZE ? a2 : unbent - e * e * a2;
    if (job->curvature == FL_PSD) hessian = psd_of(hessian, unbent, gradient);
    put_number(&job->hessian, row, 0, hessian * job->scale);
}

/* Fetches a row that is written to some rows later, in falling order of places. */
ALWAYS_INLINE void cox_fetch(const fl_job *job, ptrdiff_t i)
{
    const ptrdiff_t row = row_of_place(job->segments, i > COX_AHEAD ? i - COX_AHEAD : 0);
    if (job->gradient.data) __builtin_prefetch(job->gradient.data + row * job->gradient.outer, 1);
    if (job->hessian.data) __builtin_prefetch(job->hessian.data + row * job->hessian.outer, 1);
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
        for (ptrdiff_t i = end - 1; i >= first; i--) {
            cox_fetch(job, i);
            cox_write(job, term + k, i, i < events_end, a, a2);
        }
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
