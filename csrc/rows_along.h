/* Rows one after the other, with every option: probabilities, label smoothing, Hessians. For C-ordered rows of many classes.
 *
 * A row comes in once; its logits and exponentials wait in scratch for what the row adds up to. Then its classes are gone through
 * in pieces that stay in L1: the formula at each class, where each counts, and what goes out. As many rows as fit a piece
 * do so together, so that what is done once a row is done for whole vectors of rows.
 */
#ifndef FASTLOSS_ROWS_ALONG_H
#define FASTLOSS_ROWS_ALONG_H

#include "row_targets.h"
#include "row_terms.h"
#include "rows_long.h"
#include "rows_soft.h"

/* Numbers of each kind that are worked on together: all of them together stay in L1. */
enum { RUN = 8192 / sizeof(real) };

/* Scratch: logits, exponentials (in their place, where the logits are not needed again), a_k E_k of a few rows; what the classes
 * of a piece weigh; what goes out. */
typedef struct along_scratch {
    real *z, *e, *bend, *a, *out;
    ptrdiff_t rows, pitch;
    real_int class_index[MAX_ROWS]; /* of smoothed targets */
} along_scratch;

ALWAYS_INLINE ptrdiff_t rows_along_together(const fl_job *job)
{
    const ptrdiff_t rows = RUN / round_up(job->n_classes, LANES);
    return rows < 1 ? 1 : rows < LANES ? rows : rows / LANES * LANES;
}

ALWAYS_INLINE ptrdiff_t along_scratch_bytes(const fl_job *job)
{
    const ptrdiff_t rows = rows_along_together(job) * round_up(job->n_classes, LANES);
    const ptrdiff_t kinds = !is_soft(job) ? 1 : job->want & FL_HESSIAN ? 3 : 2;
    return (kinds * rows + LANES + 2 * (RUN + 2 * LANES)) * (ptrdiff_t)sizeof(real) + 64;
}

ALWAYS_INLINE void divide_along_scratch(const fl_job *job, along_scratch *b)
{
    b->rows = rows_along_together(job), b->pitch = round_up(job->n_classes, LANES);
    const ptrdiff_t size = b->rows * b->pitch;
    b->a = (real *)round_up((ptrdiff_t)job->scratch, 64), b->out = b->a + RUN + 2 * LANES;
    b->z = b->out + RUN + 2 * LANES, b->e = b->z + (is_soft(job) ? size : 0);
    b->bend = b->e + size;
}

/* What the exponentials of a row add up to, without that of one logit. */
ALWAYS_INLINE void put_sums(row_stats *s, ptrdiff_t r, real largest, real left_out, const piece_sum *sum)
{
    s->largest[r] = largest, s->distance[r] = largest - left_out, s->sum_others[r] = (real)sum->sum_others;
    /* without the target's exponential, which is added where it is none of the largest */
    s->sum_below_max[r] = (real)(sum->sum_below_max + (sum->ties - (left_out != largest)));
}

ALWAYS_INLINE void put_no_sums(row_stats *s, ptrdiff_t r)
{
    s->sum_others[r] = s->sum_below_max[r] = 1, s->distance[r] = s->largest[r] = 0;
}

/* Row r of the group comes in. What is left out of its sum is the target's exponential or, where every class counts, the largest
 * one's. */
SHARED void take_row(const fl_job *job, ptrdiff_t row, ptrdiff_t r, const along_scratch *b, row_stats *s)
{
    real *z = b->z + r * b->pitch, *e = b->e + r * b->pitch;
    if (s->weight[r] == 0) { /* counts nowhere, whatever it holds */
        for (ptrdiff_t k = 0; k < b->pitch; k++) z[k] = e[k] = 0;
        put_no_sums(s, r);
        return;
    }
    const real *from = row_piece(&job->prediction, row, 0, job->n_classes, z);
    real largest = copy_and_find_largest(z, from, job->n_classes);
    if (largest == REAL_INFINITY || largest == -REAL_INFINITY) {
        replace_infinite_logits(z, 1, job->n_classes, largest, ROW_LOSS);
        largest = 0;
    }
    if (is_soft(job)) s->target[r] = (real_int)find_first(z, job->n_classes, largest);
    const ptrdiff_t y = (ptrdiff_t)s->target[r];
    const real target_logit = z[y];
    z[y] = -REAL_INFINITY;
    piece_sum sum = {0, 0, 0};
    const char *next = job->prediction.data + (row + b->rows) * job->prediction.outer;
    for (ptrdiff_t start = 0; start < b->pitch; start += PIECE) {
        const ptrdiff_t n = b->pitch - start < PIECE ? b->pitch - start : PIECE;
        streaming_copy none = {0};
        const piece_sum p = (is_soft(job) ? sum_apart : sum_for_hessian)(z + start, e + start, n, largest,
                                                                         next + start * job->prediction.classes, &none);
        sum.sum_others += p.sum_others, sum.sum_below_max += p.sum_below_max, sum.ties += p.ties;
    }
    if (is_soft(job)) z[y] = target_logit, e[y] = 1;
    put_sums(s, r, largest, target_logit, &sum);
}

/* Of all rows of a group what is done once a row. */
SHARED void conclude_rows(const fl_job *job, ptrdiff_t n, row_stats *s, const row_formula *f)
{
    const ptrdiff_t padded = round_up(n, LANES);
    for (ptrdiff_t r = n; r < padded; r++) s->sum_others[r] = s->sum_below_max[r] = 1, s->distance[r] = 0;
    for (ptrdiff_t r = 0; r < padded; r += WIDTH) {
        vreal distance = load(s->distance + r), target = exp_nonpositive(-distance);
        store(s->exp_target + r, target);
        store(s->sum_below_max + r, load(s->sum_below_max + r) + choose(eq(distance, ZERO), ZERO, target));
    }
    if (is_soft(job))
        sum_terms(s, padded, job, ROW_LOSS);
    else
        f->terms(s, padded, job);
}

ALWAYS_INLINE class_run run_of(const along_scratch *b, ptrdiff_t r, ptrdiff_t start, ptrdiff_t n)
{
    const ptrdiff_t at = r * b->pitch + start;
    return (class_run){b->e + at, b->a, b->z + at, b->bend + at, start, round_up(n, LANES)};
}

/* What the classes of a block add up to, and blocks in their order. */
enum { SUM_OF_VALUES, SUM_OF_FIRST, SUM_OF_MAGNITUDES, SUM_OF_BOUNDS, SUM_OF_SPREADS, LARGEST_SECOND, SOFT_SUMS };
typedef struct soft_parts {
    ptrdiff_t n;
    double sum[SOFT_SUMS], rest[SOFT_SUMS];
} soft_parts;

SHARED void numbers_of(const soft_totals *totals, double *sums)
{
    sums[SUM_OF_VALUES] = (double)value_of_lanes(totals->value);
    sums[SUM_OF_FIRST] = (double)value_of_lanes(totals->total);
    sums[SUM_OF_MAGNITUDES] = totals->magnitude, sums[SUM_OF_BOUNDS] = totals->bound;
    sums[SUM_OF_SPREADS] = totals->spread, sums[LARGEST_SECOND] = totals->largest_second;
}

SHARED void add_part(soft_parts *parts, const double *sums)
{
    for (int i = 0; i < SOFT_SUMS; i++) {
        const double before = parts->sum[i], total = parts->n ? before + sums[i] : sums[i], back = total - before;
        parts->rest[i] = parts->n ? parts->rest[i] + ((before - (total - back)) + (sums[i] - back)) : 0;
        parts->sum[i] = total;
    }
    parts->n++;
}

SHARED void conclude_parts(const soft_parts *parts, row_stats *s, ptrdiff_t r)
{
    real x[SOFT_SUMS];
    for (int i = 0; i < SOFT_SUMS; i++) {
        const double rest = parts->rest[i], sum = parts->sum[i];
        x[i] = (real)(rest != 0 && rest == rest ? sum + rest : sum);
    }
    const real sum = s->sum_others[r] + s->exp_target[r], loss = sum == sum ? x[SUM_OF_VALUES] : sum;
    s->value[r] = s->weight[r] == 0 ? 0 : loss * s->weight[r];
    s->total[r] = x[SUM_OF_FIRST];
    s->magnitude[r] = x[SUM_OF_MAGNITUDES], s->bound[r] = x[SUM_OF_BOUNDS];
    s->spread[r] = x[SUM_OF_SPREADS], s->largest_second[r] = x[LARGEST_SECOND];
}

/* The formula at all classes of a row; of a long one in blocks. The place of a target that is no probability, or -1. */
SHARED ptrdiff_t evaluate_row(const fl_job *job, ptrdiff_t row, ptrdiff_t r, const along_scratch *b, row_stats *s,
                              const row_formula *f)
{
    const ptrdiff_t size = job->n_classes > LONG_ROW ? CLASSES_OF_BLOCK : b->pitch;
    soft_parts parts = {.n = 0};
    double sums[SOFT_SUMS];
    for (ptrdiff_t first = 0; first < b->pitch; first += size) {
        soft_totals totals = {0};
        for (ptrdiff_t start = first; start < first + size && start < b->pitch; start += RUN) {
            const ptrdiff_t n = job->n_classes - start < RUN ? job->n_classes - start : RUN;
            const class_run run = run_of(b, r, start, n);
            const ptrdiff_t bad = load_amounts(b->a, job, row, b->class_index[r], start, n, s->weight[r] != 0);
            if (bad >= 0) return bad;
            f->soft_run(&run, s, r, job, &totals);
        }
        numbers_of(&totals, sums);
        add_part(&parts, sums);
    }
    conclude_parts(&parts, s, r);
    return -1;
}

/* Of classes in lanes what goes out. */
SHARED void soft_gradients(const class_run *c, const row_stats *s, ptrdiff_t r, real *out)
{
    const row_state row = row_at(s, r);
    for (ptrdiff_t i = 0; i < c->n; i += WIDTH)
        store(out + i,
              soft_gradient(&row, is_target_from(&row, c->start + i), load(c->e + i), load(c->z + i)) * row.scaled);
}

SHARED void soft_hessians(const class_run *c, const row_stats *s, ptrdiff_t r, real *out, int curvature)
{
    const row_state row = row_at(s, r);
    for (ptrdiff_t i = 0; i < c->n; i += WIDTH)
        store(out + i, soft_hessian(&row, is_target_from(&row, c->start + i), load(c->e + i), load(c->z + i),
                                    load(c->bend + i), curvature) *
                           row.scaled);
}

SHARED void target_gradients(const class_run *c, const row_stats *s, ptrdiff_t r, real *out)
{
    const row_state row = row_at(s, r);
    const vreal factor = row.first * row.inverse * row.scaled, of_target = -(row.sum_others * factor);
    for (ptrdiff_t i = 0; i < c->n; i += WIDTH)
        store(out + i, choose(is_target_from(&row, c->start + i), of_target, load(c->e + i) * factor));
}

SHARED void target_hessians(const class_run *c, const row_stats *s, ptrdiff_t r, real *out, int curvature)
{
    const row_state row = row_at(s, r);
    const vreal of_target = own_hessian(&row, curvature);
    for (ptrdiff_t i = 0; i < c->n; i += WIDTH)
        store(out + i,
              choose(is_target_from(&row, c->start + i), of_target, other_hessian(load(c->e + i), &row, curvature)));
}

/* Classes from `start` on that go out together: up to the start of a cache line first. */
ALWAYS_INLINE ptrdiff_t classes_together(const fl_array *array, ptrdiff_t row, ptrdiff_t start, ptrdiff_t n_classes)
{
    const ptrdiff_t left = n_classes - start, size = size_of_type(array->type);
    const uintptr_t to = (uintptr_t)(array->data + row * array->outer + start * size);
    const ptrdiff_t head = (ptrdiff_t)(-to % 64) / size, n = left > RUN && head ? head : RUN;
    return left < n ? left : n;
}

/* Gradients or Hessians of some classes of row r of a group, by way of `out`. */
SHARED void derive_run(const fl_job *job, int hessian, const class_run *run, const row_stats *s, ptrdiff_t r, real *out)
{
    if (hessian)
        (is_soft(job) ? soft_hessians : target_hessians)(run, s, r, out, job->curvature);
    else
        (is_soft(job) ? soft_gradients : target_gradients)(run, s, r, out);
}

/* Gradients or Hessians of a group of rows; short ones go out as one. */
SHARED void put_group(const fl_job *job, const fl_array *array, ptrdiff_t first, ptrdiff_t n, const along_scratch *b,
                      const row_stats *s)
{
    const int together = job->n_classes <= RUN;
    for (ptrdiff_t r = 0; r < n; r++)
        for (ptrdiff_t start = 0, count; start < job->n_classes; start += count) {
            count = classes_together(array, first + r, start, job->n_classes);
            if (together) count = job->n_classes;
            const class_run run = run_of(b, r, start, count);
            real *out = b->out + (together ? r * job->n_classes : 0);
            derive_run(job, array == &job->hessian, &run, s, r, out);
            if (!together)
                store_packed(array->data + (first + r) * array->outer + start * array->classes, array->type, out, count,
                             job->stream, NULL);
        }
    if (together) put_packed(array, job->n_classes, first, n, b->out, job->stream);
}

SHARED ptrdiff_t rows_along(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum, const row_formula *f)
{
    along_scratch b;
    row_stats s;
    double total = 0;
    divide_along_scratch(job, &b);
    start_weights(job, round_up(count < b.rows ? count : b.rows, LANES), &s);
    for (ptrdiff_t end = first + count; first < end; first += b.rows) {
        const ptrdiff_t n = end - first < b.rows ? end - first : b.rows;
        const ptrdiff_t bad_index = load_targets(job, first, n, &s);
        if (bad_index >= 0) return bad_index;
        memcpy(b.class_index, s.target, sizeof b.class_index);
        for (ptrdiff_t r = 0; r < n; r++) take_row(job, first + r, r, &b, &s);
        conclude_rows(job, n, &s, f);
        for (ptrdiff_t r = 0; is_soft(job) && r < n; r++) {
            const ptrdiff_t bad = evaluate_row(job, first + r, r, &b, &s, f);
            if (bad >= 0) return bad;
        }
        if (job->gradient.data) put_group(job, &job->gradient, first, n, &b, &s);
        if (job->hessian.data) put_group(job, &job->hessian, first, n, &b, &s);
        if (job->value.data)
            store_elements(&job->value, job->n_inner, first, n, s.value);
        else if (job->want & FL_VALUE)
            total += sum_reals(s.value, n);
    }
    if (job->stream) stream_end();
    *sum = total;
    return -1;
}

#endif
