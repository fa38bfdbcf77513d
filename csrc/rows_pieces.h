/* A row so long that all threads work on it: its classes in blocks, and between two passes what the whole row adds up to.
 *
 * Nothing of a row is kept from one pass to the next but a few numbers of each piece: its exponentials are computed again
 * where they are needed, which costs less than a way through memory. The arithmetic is that of rows_long.h and
 * rows_along.h, piece after piece, and so are the bits.
 */
#ifndef FASTLOSS_ROWS_PIECES_H
#define FASTLOSS_ROWS_PIECES_H

#include "passes.h"
#include "rows_along.h"
#include "rows_long.h"

/* A row between two passes, in job->shared; behind it the numbers of its pieces, and room for one of them. */
typedef struct row_in_pieces {
    very_long v; /* with the row's numbers */
    const row_formula *f;
    piece_sum *sums; /* of each piece */
    ptrdiff_t class_index; /* the target's, where it is no probability */
    ptrdiff_t infinite; /* of an infinite row: the class that alone counts, or -1 */
    real largest, left_out; /* left_out: the logit of the target or, where every class counts, of the largest */
    int counts, is_undefined; /* undefined: of an infinite row that has no such class */
    soft_totals totals; /* by_row: of the pieces before */
} row_in_pieces;

ALWAYS_INLINE row_in_pieces *row_of(const fl_job *job) { return (row_in_pieces *)(void *)job->shared; }

static ptrdiff_t shared_by_pieces(const fl_job *job)
{
    return (ptrdiff_t)sizeof(row_in_pieces) + pieces_of(job) * (ptrdiff_t)sizeof(piece_sum) + scratch_with_kept(job, 0);
}

/* Of a block: a piece's logits, exponentials, a_k E_k, what classes weigh, and what goes out. */
static ptrdiff_t scratch_of_pieces(const fl_job *job)
{
    (void)job;
    return 5 * (PIECE + 2 * LANES) * (ptrdiff_t)sizeof(real) + 64;
}

ALWAYS_INLINE along_scratch divide_piece_scratch(const fl_job *job)
{
    along_scratch b = {.rows = 1};
    const ptrdiff_t size = PIECE + 2 * LANES;
    b.z = (real *)round_up((ptrdiff_t)job->scratch, 64), b.e = b.z + size;
    b.bend = b.e + size, b.a = b.bend + size, b.out = b.a + size;
    return b;
}

/* The target and the weight of the row, before its first pass. The place of a bad index, or -1. */
SHARED ptrdiff_t start_row(fl_job *job, const row_formula *f, enum row_kind kind)
{
    row_in_pieces *r = row_of(job);
    fl_job alone = *job;
    r->sums = (piece_sum *)(void *)(r + 1);
    alone.scratch = (char *)(r->sums + pieces_of(job));
    start_very_long(&r->v, &alone, kind, 0);
    r->v.job = job, r->v.keep = 0;
    const ptrdiff_t bad = load_targets(job, job->row, 1, &r->v.s);
    if (bad >= 0) return bad;
    r->f = f, r->counts = r->v.s.weight[0] != 0, r->class_index = kind == ROW_LOSS ? r->v.s.target[0] : -1;
    r->infinite = -1, r->is_undefined = 0, r->left_out = 0;
    return -1;
}

/* The logits of a piece, as they count, padded to whole lanes; their largest. */
SHARED real copy_logits(const fl_job *job, real *z, ptrdiff_t start, ptrdiff_t n)
{
    const row_in_pieces *r = row_of(job);
    if (r->counts && r->infinite < 0) {
        const real top = copy_and_find_largest(z, row_piece(&job->prediction, job->row, start, n, z), n);
        if (r->is_undefined && start == 0) z[0] = (real)__builtin_nan("");
        return top;
    }
    for (ptrdiff_t k = 0; k < round_up(n, LANES); k++) z[k] = r->counts ? -REAL_INFINITY : 0;
    if (r->counts && r->infinite >= start && r->infinite < start + n) z[r->infinite - start] = 0;
    return 0;
}

ALWAYS_INLINE const char *after_piece(const fl_job *job, ptrdiff_t start, ptrdiff_t n)
{
    return job->prediction.data + job->row * job->prediction.outer + (start + n) * job->prediction.classes;
}

/* Exponentials of a piece's logits less the largest, without the class that is left out; their sums. */
SHARED piece_sum exponentials(const fl_job *job, const along_scratch *b, ptrdiff_t start, ptrdiff_t n)
{
    const row_in_pieces *r = row_of(job);
    const ptrdiff_t y = r->v.s.target[0], padded = round_up(n, LANES);
    streaming_copy none = {0};
    copy_logits(job, b->z, start, n);
    if (!r->counts) {
        for (ptrdiff_t k = 0; k < padded; k++) b->e[k] = 0;
        return (piece_sum){0};
    }
    if (y >= start && y < start + n) b->z[y - start] = -REAL_INFINITY;
    const piece_sum sum =
        (is_soft(job) ? sum_apart : sum_for_hessian)(b->z, b->e, padded, r->largest, after_piece(job, start, n), &none);
    if (is_soft(job) && y >= start && y < start + n) b->z[y - start] = r->left_out, b->e[y - start] = 1;
    return sum;
}

/* PIECE by PIECE through a block; `size` classes from `start` on at a time. */
#define FOR_CLASSES_OF_BLOCK(size, first, count, ...)                                           \
    for (ptrdiff_t start = first, n; start < (first) + (count); start += n) {                   \
        n = (first) + (count) - start < (size) ? (first) + (count) - start : (ptrdiff_t)(size); \
        __VA_ARGS__                                                                             \
    }

/* ---- without Hessian and every class: each piece relative to its own largest */

static ptrdiff_t measure_pieces(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum)
{
    row_in_pieces *r = row_of(job);
    const ptrdiff_t y = r->class_index;
    real *z = divide_piece_scratch(job).z;
    *sum = 0;
    FOR_CLASSES_OF_BLOCK(PIECE, first, count, {
        streaming_copy none = {0};
        const real top = copy_logits(job, z, start, n);
        if (y >= start && y < start + n) r->left_out = z[y - start], z[y - start] = -REAL_INFINITY;
        r->v.largest_of[start / PIECE] = top;
        r->v.part[start / PIECE] =
            !r->counts
                ? 0
                : sum_only(z, round_up(n, LANES), reference_of(top), after_piece(job, start, n), &none).sum_others;
    })
    return -1;
}

ALWAYS_INLINE real largest_of_row(const row_in_pieces *r)
{
    real largest = r->counts ? -REAL_INFINITY : 0;
    for (ptrdiff_t p = 0; p < r->v.n_pieces; p++)
        if (r->v.largest_of[p] > largest) largest = r->v.largest_of[p];
    return largest;
}

/* The row's value goes where it belongs. */
SHARED void put_value(fl_job *job, const row_stats *s)
{
    if (job->value.data)
        store_elements(&job->value, job->n_inner, job->row, 1, s->value);
    else if (job->want & FL_VALUE)
        job->total += (double)s->value[0];
}

/* Which class of an infinite row counts. */
SHARED void note_infinite(fl_job *job, row_in_pieces *r)
{
    const infinite_logits found = find_infinite(job, job->row, r->v.piece);
    r->is_undefined = found.has_nan || found.n != 1, r->infinite = r->is_undefined ? -1 : found.at;
}

static void conclude_pieces(fl_job *job, const double *partials, ptrdiff_t n_blocks)
{
    row_in_pieces *r = row_of(job);
    (void)partials, (void)n_blocks;
    r->largest = largest_of_row(r);
    conclude_very_long(&r->v, job->row, r->largest, r->left_out, r->f);
    if (r->counts && (r->largest == REAL_INFINITY || r->largest == -REAL_INFINITY)) note_infinite(job, r);
    put_value(job, &r->v.s);
}

static ptrdiff_t put_pieces(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum)
{
    const row_in_pieces *r = row_of(job);
    const row_stats *s = &r->v.s;
    const enum row_kind kind = r->v.kind;
    const along_scratch b = divide_piece_scratch(job);
    const real factor = kind == ROW_LOSS ? s->first[0] * s->inverse[0] * s->scaled[0] : s->inverse[0];
    const long_row row = {r->v.factor,
                          {.kind = kind, .largest = s->largest[0], .log_sum = s->log_sum[0], .factor = factor},
                          job->row,
                          r->class_index,
                          -(s->sum_others[0] * factor)};
    *sum = 0;
    FOR_CLASSES_OF_BLOCK(PIECE, first, count, {
        const ptrdiff_t p = start / PIECE;
        streaming_copy none = {0};
        real top = copy_logits(job, b.z, start, n);
        if (r->class_index >= start && r->class_index < start + n) b.z[r->class_index - start] = -REAL_INFINITY;
        if (!r->counts)
            memset(b.z, 0, (size_t)round_up(n, LANES) * sizeof(real));
        else if (kind != ROW_LOG_SOFTMAX)
            sum_and_keep(b.z, round_up(n, LANES), reference_of(top), after_piece(job, start, n), &none);
        pending out = pending_piece(job, &row, p, b.z - start, b.out);
        put_piece(out.to, out.from, out.n, &out.out, 1, r->v.streamed);
        finish_piece(job, &row, p, &out);
    })
    if (job->stream) stream_end();
    return -1;
}

static const fl_pieces very_long_pieces = {
    .size = CLASSES_OF_BLOCK,
    .piece = PIECE,
    .whole = LONG_ROW,
    .scratch = scratch_of_pieces,
    .shared = shared_by_pieces,
    .passes = {{.block = measure_pieces, .combine = conclude_pieces}, {.block = put_pieces, .wants = FL_GRADIENT}}};

/* ---- with every option: all pieces relative to the row's largest */

static ptrdiff_t find_largest_of_pieces(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum)
{
    row_in_pieces *r = row_of(job);
    real *z = divide_piece_scratch(job).z;
    *sum = 0;
    FOR_CLASSES_OF_BLOCK(PIECE, first, count, { r->v.largest_of[start / PIECE] = copy_logits(job, z, start, n); })
    return -1;
}

/* A class's logit, as it counts. */
ALWAYS_INLINE real logit_at(const fl_job *job, row_in_pieces *r, ptrdiff_t k)
{
    const ptrdiff_t start = k / PIECE * PIECE;
    copy_logits(job, r->v.piece, start, piece_length(job, k / PIECE));
    return r->v.piece[k - start];
}

static void find_left_out(fl_job *job, const double *partials, ptrdiff_t n_blocks)
{
    row_in_pieces *r = row_of(job);
    (void)partials, (void)n_blocks;
    r->largest = largest_of_row(r);
    if (!r->counts) return;
    ptrdiff_t of_largest = 0; /* as where there is nothing but nan */
    if (r->largest == REAL_INFINITY || r->largest == -REAL_INFINITY) {
        note_infinite(job, r);
        r->largest = 0;
        if (r->infinite >= 0) of_largest = r->infinite;
    } else {
        const ptrdiff_t p = find_first(r->v.largest_of, r->v.n_pieces, r->largest);
        copy_logits(job, r->v.piece, p * PIECE, piece_length(job, p));
        of_largest = p * PIECE + find_first(r->v.piece, piece_length(job, p), r->largest);
    }
    if (is_soft(job)) r->v.s.target[0] = (real_int)of_largest;
    r->left_out = logit_at(job, r, r->v.s.target[0]);
}

static ptrdiff_t sum_exponentials(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum)
{
    row_in_pieces *r = row_of(job);
    const along_scratch b = divide_piece_scratch(job);
    *sum = 0;
    FOR_CLASSES_OF_BLOCK(PIECE, first, count, { r->sums[start / PIECE] = exponentials(job, &b, start, n); })
    return -1;
}

static void conclude_exponentials(fl_job *job, const double *partials, ptrdiff_t n_blocks)
{
    row_in_pieces *r = row_of(job);
    row_stats *s = &r->v.s;
    (void)partials, (void)n_blocks;
    piece_sum sum = {0, 0, 0};
    for (ptrdiff_t p = 0; p < r->v.n_pieces; p++) {
        const piece_sum *x = &r->sums[p];
        sum.sum_others += x->sum_others, sum.sum_below_max += x->sum_below_max, sum.ties += x->ties;
    }
    put_sums(s, 0, r->largest, r->left_out, &sum);
    if (!r->counts) put_no_sums(s, 0);
    conclude_rows(job, 1, s, r->f);
    if (!is_soft(job)) put_value(job, s);
}

/* The formula at some classes. */
ALWAYS_INLINE ptrdiff_t evaluate_run(const fl_job *job, const along_scratch *b, ptrdiff_t start, ptrdiff_t n,
                                     soft_totals *totals)
{
    const row_in_pieces *r = row_of(job);
    const class_run run = {b->e, b->a, b->z, b->bend, start, round_up(n, LANES)};
    const ptrdiff_t bad = load_amounts(b->a, job, job->row, (real_int)r->class_index, start, n, r->counts);
    if (bad < 0) r->f->soft_run(&run, &r->v.s, 0, job, totals);
    return bad;
}

static ptrdiff_t sums_of_classes(const fl_job *job)
{
    (void)job;
    return SOFT_SUMS;
}

static ptrdiff_t evaluate_classes(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sums)
{
    const along_scratch b = divide_piece_scratch(job);
    row_in_pieces *r = row_of(job);
    const ptrdiff_t part = job->n_classes > LONG_ROW ? CLASSES_OF_BLOCK : job->n_classes;
    soft_totals totals = {0};
    memset(sums, 0, SOFT_SUMS * sizeof(double));
    if (!is_soft(job)) return -1;
    if (job->by_row && first % part != 0) totals = r->totals;
    FOR_CLASSES_OF_BLOCK(RUN, first, count, {
        exponentials(job, &b, start, n);
        const ptrdiff_t bad = evaluate_run(job, &b, start, n, &totals);
        if (bad >= 0) return bad;
    })
    numbers_of(&totals, sums);
    if (job->by_row) r->totals = totals;
    return -1;
}

static void conclude_classes(fl_job *job, const double *partials, ptrdiff_t n_blocks)
{
    row_stats *s = &row_of(job)->v.s;
    soft_parts parts = {.n = 0};
    if (!is_soft(job)) return;
    for (ptrdiff_t b = 0; b < n_blocks; b++) add_part(&parts, partials + b * SOFT_SUMS);
    conclude_parts(&parts, s, 0);
    put_value(job, s);
}

ALWAYS_INLINE void put_run(const fl_job *job, const fl_array *array, const class_run *run, ptrdiff_t n, real *out)
{
    const row_in_pieces *r = row_of(job);
    derive_run(job, array == &job->hessian, run, &r->v.s, 0, out);
    store_packed(array->data + job->row * array->outer + run->start * array->classes, array->type, out, n, job->stream,
                 NULL);
}

static ptrdiff_t put_classes(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum)
{
    const along_scratch b = divide_piece_scratch(job);
    soft_totals totals = {0};
    *sum = 0;
    FOR_CLASSES_OF_BLOCK(RUN, first, count, {
        const class_run run = {b.e, b.a, b.z, b.bend, start, round_up(n, LANES)};
        exponentials(job, &b, start, n);
        const ptrdiff_t bad = is_soft(job) ? evaluate_run(job, &b, start, n, &totals) : -1;
        if (bad >= 0) return bad;
        if (job->gradient.data) put_run(job, &job->gradient, &run, n, b.out);
        if (job->hessian.data) put_run(job, &job->hessian, &run, n, b.out);
    })
    if (job->stream) stream_end();
    return -1;
}

static const fl_pieces along_pieces = {
    .size = CLASSES_OF_BLOCK,
    .piece = PIECE,
    .whole = LONG_ROW,
    .scratch = scratch_of_pieces,
    .shared = shared_by_pieces,
    .passes = {{.block = find_largest_of_pieces, .combine = find_left_out},
               {.block = sum_exponentials, .combine = conclude_exponentials},
               {.block = evaluate_classes, .combine = conclude_classes, .width = sums_of_classes},
               {.block = put_classes, .wants = FL_GRADIENT | FL_HESSIAN}}};

#endif
