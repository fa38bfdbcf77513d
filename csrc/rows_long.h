/* Rows one after the other, a vector along the row: for C-ordered rows of many classes.
 *
 * A row is worked on in pieces that stay in L1. Each piece is copied while its largest logit is found, then turned into
 * exponentials relative to that one and summed; when all pieces of a row are done, a factor per piece brings them to the
 * row's largest logit. So the logits are read from memory once, whatever the length, and no piece waits for another.
 * The exponentials wait in scratch until the factors are known. Going out they pass by the caches, and that is done for
 * a piece of the row before while a piece of this row comes in: memory reads and writes at the same time.
 */
#ifndef FASTLOSS_ROWS_LONG_H
#define FASTLOSS_ROWS_LONG_H

#include "row_targets.h"
#include "row_terms.h"
#include "rows_soft.h"
#include "sums.h"
#include "tiles.h"

enum { PART = 32 * LANES }; /* a lane makes that many additions / LANES before its sum is put aside: less rounding */
enum { PACKED_CLASSES = 512 }; /* rows shorter than this go out together: their ends are not aligned */

/* What is known of a piece of a row. */
typedef struct piece_sum {
    double sum_others; /* without the position left out */
    double sum_below_max, ties; /* for the Hessian: without those equal to the largest, and how many those are */
} piece_sum;

/* to[0, n) = from[0, n), padded with -inf to whole lanes; returns the largest, behind which nan may hide. */
SHARED real copy_and_find_largest(real *to, const real *from, ptrdiff_t n)
{
    vreal largest[GROUP], also[GROUP];
    for (int g = 0; g < GROUP; g++) largest[g] = also[g] = UNIFORM(-REAL_INFINITY);
    ptrdiff_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES)
        for (int g = 0; g < GROUP; g++) {
            vreal x = load(from + i + g * WIDTH), y = load(from + i + LANES + g * WIDTH);
            store(to + i + g * WIDTH, x), store(to + i + LANES + g * WIDTH, y);
            largest[g] = vmax(x, largest[g]), also[g] = vmax(y, also[g]);
        }
    for (; i + LANES <= n; i += LANES)
        for (int g = 0; g < GROUP; g++) {
            vreal x = load(from + i + g * WIDTH);
            store(to + i + g * WIDTH, x);
            largest[g] = vmax(x, largest[g]);
        }
    if (i < n)
        for (int g = 0; g < GROUP; g++) {
            const ptrdiff_t count = n - i - g * WIDTH;
            vreal x = UNIFORM(-REAL_INFINITY);
            if (count > 0) x = load_some_or(from + i + g * WIDTH, count < WIDTH ? count : WIDTH, -REAL_INFINITY);
            store(to + i + g * WIDTH, x);
            largest[g] = vmax(x, largest[g]);
        }
    for (int g = 0; g < GROUP; g++) largest[g] = vmax(also[g], largest[g]);
    return largest_lane(largest);
}

/* The first position of x, which is there; 0 if it is not (nan). */
SHARED ptrdiff_t find_first(const real *in, ptrdiff_t n, real x)
{
    for (ptrdiff_t i = 0; i < n; i += WIDTH)
        if (any_true(eq(load(in + i), splat(x))))
            for (; i < n; i++)
                if (in[i] == x) return i;
    return 0;
}

/* e = exp(z - largest), n whole lanes, and their sum. Meanwhile what will be read next, `ahead`, comes in, and `flow` goes out. */
ALWAYS_INLINE piece_sum exp_and_sum(const real *z, real *e, ptrdiff_t n, real largest, const char *ahead,
                                    streaming_copy *flow, const int want_smaller)
{
    streaming_copy leaving = *flow;
    vreal total[GROUP], sum_below_max[GROUP], ties[GROUP];
    for (int g = 0; g < GROUP; g++) total[g] = sum_below_max[g] = ties[g] = ZERO;
    for (ptrdiff_t start = 0; start < n; start += PART) {
        const ptrdiff_t end = start + PART < n ? start + PART : n;
        vreal part[GROUP], smaller_part[GROUP];
        for (int g = 0; g < GROUP; g++) part[g] = smaller_part[g] = ZERO;
        for (ptrdiff_t i = start; i < end; i += LANES) {
            prefetch_far(ahead + i * (ptrdiff_t)sizeof(real));
            advance_copy(&leaving);
            for (int g = 0; g < GROUP; g++) {
                vreal y = exp_nonpositive(load(z + i + g * WIDTH) - splat(largest));
                part[g] += y;
                if (e) store(e + i + g * WIDTH, y);
                if (want_smaller) {
                    vmask top = eq(y, ONE);
                    smaller_part[g] += choose(top, ZERO, y);
                    ties[g] += choose(top, ONE, ZERO);
                }
            }
        }
        for (int g = 0; g < GROUP; g++) total[g] += part[g], sum_below_max[g] += smaller_part[g];
    }
    *flow = leaving;
    return (piece_sum){.sum_others = sum_lanes(total),
                       .sum_below_max = want_smaller ? sum_lanes(sum_below_max) : 0,
                       .ties = want_smaller ? sum_lanes(ties) : 0};
}

#define EXP_AND_SUM(name, z, e, want_smaller, ...)                                                         \
    SHARED piece_sum name(__VA_ARGS__, ptrdiff_t n, real largest, const char *ahead, streaming_copy *flow) \
    {                                                                                                      \
        return exp_and_sum(z, e, n, largest, ahead, flow, want_smaller);                                   \
    }
EXP_AND_SUM(sum_only, z, NULL, 0, real *z)
EXP_AND_SUM(sum_and_keep, z, z, 0, real *z)
EXP_AND_SUM(sum_without_largest, z, NULL, 1, real *z)
EXP_AND_SUM(sum_apart, z, e, 0, const real *z, real *e)
EXP_AND_SUM(sum_for_hessian, z, e, 1, const real *z, real *e)

/* What becomes of the exponentials (or, for log_softmax, the logits) of a row on their way out. */
typedef struct outgoing {
    real factor; /* of exponentials */
    real largest, log_sum; /* off logits */
    enum row_kind kind;
} outgoing;

ALWAYS_INLINE vreal outgoing_vector(vreal x, const outgoing *o)
{
    return o->kind == ROW_LOG_SOFTMAX ? (x - splat(o->largest)) - splat(o->log_sum) : x * splat(o->factor);
}

/* to[0, n) = outgoing of from[0, n), which is padded to whole lanes; to, too, unless `exactly`. */
SHARED void put_piece(real *to, const real *from, ptrdiff_t n, const outgoing *o, int exactly, int streamed)
{
    const outgoing own = *o;
    ptrdiff_t i = 0;
    if (!exactly) n = round_up(n, LANES);
    if (exactly && streamed) {
        CACHE_ALIGNED real first[2 * LANES];
        ptrdiff_t head = (ptrdiff_t)((-(uintptr_t)to % 64) / sizeof(real));
        if (head > n) head = n;
        for (ptrdiff_t j = 0; j < head; j += WIDTH) store(first + j, outgoing_vector(load(from + j), &own));
        for (; i < head; i++) to[i] = first[i];
    }
    for (; i + LANES <= n; i += LANES) {
        for (int g = 0; g < GROUP; g++) {
            vreal x = outgoing_vector(load(from + i + g * WIDTH), &own);
            if (exactly && streamed)
                stream(to + i + g * WIDTH, x);
            else
                store(to + i + g * WIDTH, x);
        }
    }
    if (i < n) {
        CACHE_ALIGNED real last[LANES];
        memcpy(last, from + i, (size_t)(n - i) * sizeof(real));
        for (ptrdiff_t j = n - i; j < LANES; j++) last[j] = 0;
        for (int g = 0; g < GROUP; g++) store(last + g * WIDTH, outgoing_vector(load(last + g * WIDTH), &own));
        memcpy(to + i, last, (size_t)(n - i) * sizeof(real));
    }
}

/* A row, or a piece of one, on its way out while something else is computed. */
typedef struct pending {
    const real *from;
    real *to; /* NULL: none */
    ptrdiff_t n;
    outgoing out;
} pending;

/* Exponentials of `from` (n whole lanes), their sum, and in the same loop the pending one's way out: its stores wait for memory
 * while the arithmetic goes on, and what will be read next, `ahead`, comes in.
 * Exponentials, or for log_softmax logits, go to z, where the pending one may still stand. */
ALWAYS_INLINE piece_sum exp_sum_and_put(const real *from, real *z, ptrdiff_t n, real largest, const pending *before,
                                        const char *ahead, const enum row_kind kind, const int streamed)
{
    outgoing out = before->out;
    out.kind = kind;
    /* what is not whole lanes from a cache line's start on goes first */
    ptrdiff_t head = streamed ? (ptrdiff_t)((-(uintptr_t)before->to % 64) / sizeof(real)) : 0;
    if (head > before->n) head = before->n;
    const ptrdiff_t body = (before->n - head) / LANES * LANES;
    CACHE_ALIGNED real edge[2 * LANES];
    for (ptrdiff_t j = 0; j < head; j += WIDTH) store(edge + j, outgoing_vector(load(before->from + j), &out));
    for (ptrdiff_t j = 0; j < head; j++) before->to[j] = edge[j];
    const ptrdiff_t done = head + body, rest = before->n - done;
    for (ptrdiff_t j = 0; j < rest; j += WIDTH) store(edge + j, outgoing_vector(load(before->from + done + j), &out));
    for (ptrdiff_t j = 0; j < rest; j++) before->to[done + j] = edge[j];
    const real *put_from = before->from + head;
    real *put_to = before->to + head;

    vreal total[GROUP];
    for (int g = 0; g < GROUP; g++) total[g] = ZERO;
    for (ptrdiff_t start = 0; start < n; start += PART) {
        const ptrdiff_t end = start + PART < n ? start + PART : n;
        vreal part[GROUP];
        for (int g = 0; g < GROUP; g++) part[g] = ZERO;
        for (ptrdiff_t i = start; i < end; i += LANES) {
            prefetch_far(ahead + i * (ptrdiff_t)sizeof(real));
            for (int g = 0; g < GROUP; g++) {
                const ptrdiff_t at = i + g * WIDTH;
                vreal x = load(from + at), e = exp_nonpositive(x - splat(largest));
                part[g] += e;
                if (i < body) {
                    vreal y = outgoing_vector(load(put_from + at), &out);
                    if (streamed)
                        stream(put_to + at, y);
                    else
                        store(put_to + at, y);
                }
                store(z + at, kind == ROW_LOG_SOFTMAX ? x : e);
            }
        }
        for (int g = 0; g < GROUP; g++) total[g] += part[g];
    }
    return (piece_sum){.sum_others = sum_lanes(total)};
}

#define EXP_SUM_AND_PUT(name, kind, streamed)                                                          \
    SHARED piece_sum name(const real *from, real *z, ptrdiff_t n, real largest, const pending *before, \
                          const char *ahead)                                                           \
    {                                                                                                  \
        return exp_sum_and_put(from, z, n, largest, before, ahead, kind, streamed);                    \
    }
EXP_SUM_AND_PUT(scale_and_keep, ROW_LOSS, 0)
EXP_SUM_AND_PUT(stream_and_keep, ROW_LOSS, 1)
EXP_SUM_AND_PUT(shift_and_copy, ROW_LOG_SOFTMAX, 0)
EXP_SUM_AND_PUT(stream_shift_and_copy, ROW_LOG_SOFTMAX, 1)

/* The loop that fits: a row of `kind` comes in as exponentials or, for log_softmax, as logits. */
ALWAYS_INLINE piece_sum take_and_put(const real *from, real *z, ptrdiff_t n, real largest, const pending *before,
                                     const char *ahead, enum row_kind kind, int streamed)
{
    return (kind == ROW_LOG_SOFTMAX
                ? (streamed ? stream_shift_and_copy : shift_and_copy)
                : (streamed ? stream_and_keep : scale_and_keep))(from, z, n, largest, before, ahead);
}

ALWAYS_INLINE real *gradient_row(const fl_job *job, ptrdiff_t row)
{
    return (real *)(void *)(job->gradient.data + row * job->gradient.outer);
}

/* Rows that fit a piece: several at a time, so that what is done once a row is done for whole vectors of rows. */
ALWAYS_INLINE ptrdiff_t rows_in_piece(const fl_job *job)
{
    ptrdiff_t rows = PIECE / round_up(job->n_classes, LANES);
    return rows < 1 ? 1 : rows > MAX_ROWS ? MAX_ROWS : rows;
}

ALWAYS_INLINE ptrdiff_t medium_scratch(const fl_job *job)
{
    return 2 * ((rows_in_piece(job) + 1) * round_up(job->n_classes, LANES) + 2 * LANES) * (ptrdiff_t)sizeof(real) + 64;
}

/* `packed` rows to the rows of an array. */
SHARED void put_packed(const fl_array *array, ptrdiff_t n_classes, ptrdiff_t first, ptrdiff_t n, const real *packed,
                       int streamed)
{
    const int together = array->outer == n_classes * array->classes;
    for (ptrdiff_t r = 0; r < n; r += together ? n : 1)
        store_packed(array->data + (first + r) * array->outer, array->type, packed + r * n_classes,
                     together ? n * n_classes : n_classes, streamed, NULL);
}

typedef struct medium_rows {
    const fl_job *job;
    enum row_kind kind;
    real *z, *packed;
    ptrdiff_t rows, pitch;
    int is_short, pack, overlap; /* longer rows go out while those at the same place of the next group come in */
    ptrdiff_t n_waiting;
    streaming_copy flow; /* of packed rows */
    CACHE_ALIGNED outgoing out[MAX_ROWS];
    row_stats s;
} medium_rows;

ALWAYS_INLINE void start_medium(medium_rows *m, const fl_job *job, ptrdiff_t count, enum row_kind kind)
{
    m->job = job, m->kind = kind;
    m->rows = rows_in_piece(job), m->pitch = round_up(job->n_classes, LANES);
    m->z = (real *)round_up((ptrdiff_t)job->scratch, 64), m->packed = m->z + m->rows * m->pitch + LANES;
    m->is_short = job->n_classes < PACKED_CLASSES, m->pack = m->is_short || job->gradient.type != REAL_TYPE;
    m->overlap = job->gradient.data && !m->pack;
    m->n_waiting = 0, m->flow = (streaming_copy){0};
    start_weights(job, round_up(count < m->rows ? count : m->rows, LANES), &m->s);
}

/* The sum of all but the largest of a row of which nothing was left out. */
ALWAYS_INLINE double without_largest(real *row, ptrdiff_t n_classes, real largest, double sum)
{
    if (!(sum - 1 < 1)) return sum - 1;
    /* the largest one's 1 was most of the sum: what is left of the others is rounding */
    const ptrdiff_t at = find_first(row, n_classes, largest);
    const real logit = row[at];
    streaming_copy none = {0};
    row[at] = -REAL_INFINITY;
    sum = sum_only(row, round_up(n_classes, LANES), largest, (const char *)row, &none).sum_others;
    row[at] = logit;
    return sum;
}

/* Logits in `row` to exponentials at `z`, their sum without one: the target's, or the largest one's. */
ALWAYS_INLINE void sum_medium_row(medium_rows *m, ptrdiff_t r, real *row, real *z, real largest, const pending *before,
                                  const char *ahead)
{
    const int late = m->kind == ROW_LOG_SOFTMAX || m->kind == ROW_LOGSUMEXP; /* which can be taken off afterwards */
    const int masked = late && m->is_short; /* or, where a second look would cost too much, on the way */
    const int keep = m->kind == ROW_SOFTMAX || (m->kind == ROW_LOSS && m->job->want != FL_VALUE);
    row_stats *s = &m->s;
    if (m->kind == ROW_SOFTMAX) s->target[r] = (real_int)find_first(row, m->job->n_classes, largest);
    const ptrdiff_t y = late ? 0 : s->target[r];
    const real left_out = late ? largest : row[y];
    if (!late) row[y] = -REAL_INFINITY;
    const piece_sum p = before->to ? take_and_put(row, z, m->pitch, largest, before, ahead, m->kind, m->job->stream)
                        : keep     ? sum_and_keep(row, m->pitch, largest, ahead, &m->flow)
                        : masked   ? sum_without_largest(row, m->pitch, largest, ahead, &m->flow)
                                   : sum_only(row, m->pitch, largest, ahead, &m->flow);
    double sum_others = p.sum_others;
    if (masked)
        sum_others = p.sum_below_max + (p.ties - 1);
    else if (late)
        sum_others = without_largest(z, m->job->n_classes, largest, p.sum_others);
    s->sum_others[r] = (real)sum_others;
    s->distance[r] = largest - left_out;
    s->largest[r] = largest;
    if (m->kind == ROW_LOSS) z[y] = -s->sum_others[r];
    if (m->kind == ROW_SOFTMAX) z[y] = 1;
}

/* Row r of a group comes in, and the one that has waited in its place goes out. */
SHARED void take_medium_row(medium_rows *m, ptrdiff_t first, ptrdiff_t r)
{
    const fl_job *job = m->job;
    real *z = m->z + r * m->pitch, *row = z;
    pending before = {.to = NULL};
    if (r < m->n_waiting) {
        before = (pending){z, gradient_row(job, first - m->rows + r), job->n_classes, m->out[r]};
        row = m->packed; /* the row that comes in stands here until the other has gone */
    }
    if (is_weighted(job) && m->s.weight[r] == 0) { /* counts nowhere, whatever it holds */
        if (before.to) put_piece(before.to, before.from, job->n_classes, &before.out, 1, job->stream);
        for (ptrdiff_t k = 0; k < m->pitch; k++) z[k] = 0;
        m->s.sum_others[r] = m->s.exp_target[r] = 1, m->s.distance[r] = 0;
        return;
    }
    const real *logits = row_piece(&job->prediction, first + r, 0, job->n_classes, row);
    const real reported = copy_and_find_largest(row, logits, job->n_classes);
    const int infinite = reported == REAL_INFINITY || reported == -REAL_INFINITY;
    if (infinite) replace_infinite_logits(row, 1, job->n_classes, reported, m->kind);
    const char *ahead = job->prediction.data + (first + r + m->rows) * job->prediction.outer;
    sum_medium_row(m, r, row, z, infinite ? 0 : reported, &before, ahead);
    if (m->kind == ROW_LOGSUMEXP) m->s.value[r] = reported;
}

/* What is done once a row, of all rows of a group. */
SHARED void conclude_medium(medium_rows *m, ptrdiff_t n, const row_formula *f)
{
    const ptrdiff_t padded = round_up(n, LANES);
    row_stats *s = &m->s;
    for (ptrdiff_t r = n; r < padded; r++) s->sum_others[r] = 1, s->distance[r] = 0;
    for (ptrdiff_t r = 0; r < padded; r += WIDTH) {
        store(s->exp_target + r, exp_nonpositive(-load(s->distance + r)));
        if (m->kind == ROW_LOGSUMEXP) store(s->distance + r, load(s->value + r));
    }
    if (m->kind == ROW_LOSS)
        f->terms(s, padded, m->job);
    else
        sum_terms(s, padded, m->job, m->kind);
}

/* A group goes out, or waits for the next to come in. */
SHARED void put_medium(medium_rows *m, ptrdiff_t first, ptrdiff_t n, int last)
{
    const fl_job *job = m->job;
    const fl_array *to = &job->gradient;
    const row_stats *s = &m->s;
    for (ptrdiff_t r = n; r < m->n_waiting; r++) /* the last group may be smaller */
        put_piece(gradient_row(job, first - m->rows + r), m->z + r * m->pitch, job->n_classes, &m->out[r], 1,
                  job->stream);
    for (ptrdiff_t r = 0; r < n; r++) {
        const real factor = m->kind == ROW_LOSS ? s->first[r] * s->inverse[r] * s->scaled[r] : s->inverse[r];
        m->out[r] = (outgoing){.kind = m->kind, .largest = s->largest[r], .log_sum = s->log_sum[r], .factor = factor};
        if (m->overlap && !last) continue;
        put_piece(m->pack ? m->packed + r * job->n_classes : gradient_row(job, first + r), m->z + r * m->pitch,
                  job->n_classes, &m->out[r], !m->pack, job->stream);
    }
    m->n_waiting = m->overlap && !last ? n : 0;
    if (m->pack && to->outer == job->n_classes * to->classes)
        store_packed(to->data + first * to->outer, to->type, m->packed, n * job->n_classes, job->stream, &m->flow);
    else if (m->pack)
        put_packed(to, job->n_classes, first, n, m->packed, job->stream);
}

SHARED ptrdiff_t rows_medium(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum, const row_formula *f,
                             enum row_kind kind)
{
    medium_rows m;
    double total = 0;
    start_medium(&m, job, count, kind);
    for (ptrdiff_t end = first + count; first < end; first += m.rows) {
        const ptrdiff_t n = end - first < m.rows ? end - first : m.rows;
        const ptrdiff_t bad_index = load_targets(job, first, n, &m.s);
        if (bad_index >= 0) return bad_index;
        for (ptrdiff_t r = 0; r < n; r++) take_medium_row(&m, first, r);
        finish_copy(&m.flow);
        conclude_medium(&m, n, f);
        if (job->gradient.data) put_medium(&m, first, n, first + n == end);
        if (job->value.data)
            store_elements(&job->value, job->n_inner, first, n, m.s.value);
        else if (job->want & FL_VALUE)
            total += sum_reals(m.s.value, n);
    }
    finish_copy(&m.flow);
    if (job->stream) stream_end();
    *sum = total;
    return -1;
}

/* A row on its way out. */
typedef struct long_row {
    const real *factor; /* of each piece's exponentials; another row's once this one has gone out */
    outgoing out;
    ptrdiff_t row, target; /* row -1: none; target -1: nothing is to be put in its place */
    real at_target;
} long_row;

ALWAYS_INLINE ptrdiff_t pieces_of(const fl_job *job) { return (job->n_classes + PIECE - 1) / PIECE; }
ALWAYS_INLINE ptrdiff_t piece_length(const fl_job *job, ptrdiff_t p)
{
    return job->n_classes - p * PIECE < PIECE ? job->n_classes - p * PIECE : PIECE;
}

/* So many exponentials of a row, two pieces, and a few numbers for each piece. */
ALWAYS_INLINE ptrdiff_t scratch_with_kept(const fl_job *job, ptrdiff_t n_kept)
{
    const ptrdiff_t slots = round_up(pieces_of(job), LANES);
    return (ptrdiff_t)sizeof(real) * (round_up(n_kept, LANES) + 2 * (PIECE + LANES) + 2 * slots) +
           (ptrdiff_t)sizeof(double) * slots + 64;
}

ALWAYS_INLINE ptrdiff_t long_scratch(const fl_job *job) { return scratch_with_kept(job, job->n_classes); }

/* What the exponentials of a piece are relative to: its largest. A piece of nothing but -inf has exponentials all the same;
 * +inf is settled later. */
ALWAYS_INLINE real reference_of(real top) { return top == REAL_INFINITY || top == -REAL_INFINITY ? 0 : top; }

/* Piece p of a row that waits; `aside`, where it is to be converted. */
ALWAYS_INLINE pending pending_piece(const fl_job *job, const long_row *r, ptrdiff_t p, const real *e, real *aside)
{
    real *to = job->gradient.type == REAL_TYPE ? gradient_row(job, r->row) + p * PIECE : aside;
    pending b = {e + p * PIECE, to, piece_length(job, p), r->out};
    b.out.factor *= r->factor[p];
    return b;
}

/* After the piece has gone out: what stands at the target is no product of an exponential. */
ALWAYS_INLINE void finish_piece(const fl_job *job, const long_row *r, ptrdiff_t p, const pending *b)
{
    const fl_array *to = &job->gradient;
    if (r->target >= p * PIECE && r->target < (p + 1) * PIECE) b->to[r->target - p * PIECE] = r->at_target;
    if (to->type != REAL_TYPE)
        store_strided(to->data + r->row * to->outer + p * PIECE * to->classes, to->classes, to->type, b->to, b->n);
}

/* Of a row how many logits are +inf, the last of them, and whether one is nan. */
typedef struct infinite_logits {
    ptrdiff_t n, at;
    int has_nan;
} infinite_logits;

SHARED infinite_logits find_infinite(const fl_job *job, ptrdiff_t row, real *piece)
{
    infinite_logits found = {0, -1, 0};
    for (ptrdiff_t p = 0; p < pieces_of(job); p++) {
        const real *x = row_piece(&job->prediction, row, p * PIECE, piece_length(job, p), piece);
        for (ptrdiff_t k = 0; k < piece_length(job, p); k++) {
            if (x[k] == REAL_INFINITY) found.n++, found.at = p * PIECE + k;
            found.has_nan |= x[k] != x[k];
        }
    }
    return found;
}

/* A row whose largest logit is infinite: one +inf is probability 1; of two, or of none but -inf, nothing can be told. */
SHARED void conclude_infinite_row(const fl_job *job, ptrdiff_t row, real *e, real *piece, real largest,
                                  enum row_kind kind, row_stats *s)
{
    const real nan = (real)__builtin_nan("");
    const infinite_logits found = find_infinite(job, row, piece);
    const ptrdiff_t at = found.at;
    const int is_target = at == s->target[0];
    s->largest[0] = 0;
    if (found.has_nan || (kind != ROW_LOGSUMEXP && found.n != 1)) {
        s->sum_others[0] = s->exp_target[0] = s->distance[0] = nan;
        return;
    }
    s->sum_others[0] = kind == ROW_LOSS && !is_target ? 1 : 0;
    s->exp_target[0] = kind == ROW_LOSS && !is_target ? 0 : 1;
    s->distance[0] = kind == ROW_LOGSUMEXP ? largest : is_target ? 0 : REAL_INFINITY;
    if (e)
        for (ptrdiff_t k = 0; k < job->n_classes; k++)
            e[k] = kind == ROW_LOG_SOFTMAX ? (k == at ? 0 : -REAL_INFINITY) : (real)(k == at);
}

typedef struct very_long {
    const fl_job *job;
    enum row_kind kind;
    ptrdiff_t n_pieces, slots;
    int keep, streamed;
    real *e, *piece, *aside, *largest_of,
        *factor; /* e: of a row; of each piece its largest and what its exponentials lack */
    double *part; /* of each piece */
    long_row before;
    row_stats s;
} very_long;

ALWAYS_INLINE void start_very_long(very_long *v, const fl_job *job, enum row_kind kind, ptrdiff_t n_kept)
{
    v->job = job, v->kind = kind;
    v->n_pieces = pieces_of(job), v->slots = round_up(v->n_pieces, LANES);
    v->keep = kind == ROW_LOG_SOFTMAX || kind == ROW_SOFTMAX || (kind == ROW_LOSS && job->want != FL_VALUE);
    v->streamed = job->stream && job->gradient.type == REAL_TYPE;
    v->e = (real *)round_up((ptrdiff_t)job->scratch, 64), v->piece = v->e + round_up(n_kept, LANES);
    v->aside = v->piece + PIECE + LANES, v->largest_of = v->aside + PIECE + LANES;
    v->factor = v->largest_of + v->slots, v->part = (double *)(void *)(v->factor + v->slots);
    v->before = (long_row){.row = -1};
    start_weights(job, LANES, &v->s);
}

/* Piece p of the row that waits goes out alone. */
ALWAYS_INLINE void put_waiting(very_long *v, ptrdiff_t p)
{
    if (v->before.row < 0) return;
    const pending b = pending_piece(v->job, &v->before, p, v->e, v->aside);
    put_piece(b.to, b.from, b.n, &b.out, 1, v->streamed);
    finish_piece(v->job, &v->before, p, &b);
}

/* Piece p of a row comes in, and that of the row before goes out. *target_logit: where the piece has it. */
SHARED real take_piece(very_long *v, ptrdiff_t row, ptrdiff_t p, ptrdiff_t y, real *target_logit)
{
    const fl_array *x = &v->job->prediction;
    const ptrdiff_t start = p * PIECE, n = piece_length(v->job, p), padded = round_up(n, LANES);
    const int waits = v->before.row >= 0, keep_exponentials = v->keep && v->kind != ROW_LOG_SOFTMAX;
    /* with a row waiting, this one comes in by way of `piece`; its place is still taken */
    real *z = v->keep && !waits ? v->e + start : v->piece;
    const real top = copy_and_find_largest(z, row_piece(x, row, start, n, z), n);
    const char *ahead = x->data + row * x->outer + (start + n) * x->classes;
    if (y >= start && y < start + n) *target_logit = z[y - start], z[y - start] = -REAL_INFINITY;
    const real reference = reference_of(top);
    if (waits) {
        const pending b = pending_piece(v->job, &v->before, p, v->e, v->aside);
        v->part[p] = take_and_put(z, v->e + start, padded, reference, &b, ahead, v->kind, v->streamed).sum_others;
        finish_piece(v->job, &v->before, p, &b);
    } else {
        streaming_copy none = {0};
        v->part[p] = (keep_exponentials ? sum_and_keep : sum_only)(z, padded, reference, ahead, &none).sum_others;
    }
    v->largest_of[p] = top;
    return top;
}

/* The sum of all pieces of a row, without the target's or the largest one's. */
SHARED double sum_of_pieces(very_long *v, ptrdiff_t row, real largest)
{
    double sum = 0;
    for (ptrdiff_t p = 0; p < v->slots; p++) v->factor[p] = p < v->n_pieces ? v->largest_of[p] - largest : 0;
    for (ptrdiff_t p = 0; p < v->slots; p += WIDTH) store(v->factor + p, exp_nonpositive(load(v->factor + p)));
    for (ptrdiff_t p = 0; p < v->n_pieces; p++) sum += v->part[p] * (double)v->factor[p];
    if (v->kind == ROW_LOSS) return sum;
    /* The largest one's 1 is in the sum. Where it is most of it, what is left when it is taken off would be what
     * rounding has left: sum its piece again without it. */
    sum -= 1;
    if (!(sum < 1)) return sum;
    const ptrdiff_t p = find_first(v->largest_of, v->n_pieces, largest), n = piece_length(v->job, p);
    copy_and_find_largest(v->piece, row_piece(&v->job->prediction, row, p * PIECE, n, v->piece), n);
    v->piece[find_first(v->piece, n, largest)] = -REAL_INFINITY;
    streaming_copy none = {0};
    sum = sum_only(v->piece, round_up(n, LANES), largest, (const char *)v->piece, &none).sum_others;
    for (ptrdiff_t q = 0; q < v->n_pieces; q++)
        if (q != p) sum += v->part[q] * (double)v->factor[q];
    return sum;
}

SHARED void conclude_very_long(very_long *v, ptrdiff_t row, real largest, real target_logit, const row_formula *f)
{
    row_stats *s = &v->s;
    const int counts = s->weight[0] != 0;
    const double sum = sum_of_pieces(v, row, largest);
    s->sum_others[0] = counts ? (real)sum : 1;
    s->distance[0] = v->kind == ROW_LOSS ? largest - target_logit : 0;
    for (ptrdiff_t i = 1; i < LANES; i++) s->sum_others[i] = 1, s->distance[i] = 0;
    for (ptrdiff_t i = 0; i < LANES; i += WIDTH) store(s->exp_target + i, exp_nonpositive(-load(s->distance + i)));
    s->largest[0] = largest;
    if (v->kind == ROW_LOGSUMEXP) s->distance[0] = largest;
    if (counts && (largest == REAL_INFINITY || largest == -REAL_INFINITY)) {
        conclude_infinite_row(v->job, row, v->keep ? v->e : NULL, v->piece, largest, v->kind, s);
        for (ptrdiff_t p = 0; p < v->slots; p++) v->factor[p] = 1;
    }
    if (v->kind == ROW_LOSS)
        f->terms(s, LANES, v->job);
    else
        sum_terms(s, LANES, v->job, v->kind);
}

SHARED ptrdiff_t rows_very_long(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum, const row_formula *f,
                                enum row_kind kind)
{
    very_long v;
    row_stats *s = &v.s;
    double total = 0;
    start_very_long(&v, job, kind, job->n_classes);
    for (ptrdiff_t row = first; row < first + count; row++) {
        const ptrdiff_t bad_index = load_targets(job, row, 1, s);
        if (bad_index >= 0) return bad_index;
        const ptrdiff_t y = kind == ROW_LOSS ? (ptrdiff_t)s->target[0] : -1;
        const int counts = s->weight[0] != 0; /* else whatever it holds */
        real largest = counts ? -REAL_INFINITY : 0, target_logit = 0;
        for (ptrdiff_t p = 0; p < v.n_pieces; p++) {
            if (counts) {
                const real top = take_piece(&v, row, p, y, &target_logit);
                largest = top > largest ? top : largest;
                continue;
            }
            put_waiting(&v, p);
            for (ptrdiff_t k = 0; v.keep && k < round_up(piece_length(job, p), LANES); k++) v.e[p * PIECE + k] = 0;
            v.largest_of[p] = 0, v.part[p] = 0;
        }
        conclude_very_long(&v, row, largest, target_logit, f);
        if (v.keep) {
            const real factor = kind == ROW_LOSS ? s->first[0] * s->inverse[0] * s->scaled[0] : s->inverse[0];
            const outgoing out = {.kind = kind, .largest = s->largest[0], .log_sum = s->log_sum[0], .factor = factor};
            v.before = (long_row){v.factor, out, row, y, -(s->sum_others[0] * factor)};
        }
        if (job->value.data)
            store_elements(&job->value, job->n_inner, row, 1, s->value);
        else if (job->want & FL_VALUE)
            total += (double)s->value[0];
    }
    for (ptrdiff_t p = 0; p < v.n_pieces; p++) put_waiting(&v, p);
    if (job->stream) stream_end();
    *sum = total;
    return -1;
}

#endif
