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
    int kind;
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
 * `keep`: 1 puts the exponentials, 2 the logits to z, where the pending one may still stand; 0 nothing. */
ALWAYS_INLINE piece_sum exp_sum_and_put(const real *from, real *z, ptrdiff_t n, real largest, const pending *before,
                                        const char *ahead, const int keep, const int kind, const int streamed)
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
                if (keep) store(z + at, keep == 1 ? e : x);
            }
        }
        for (int g = 0; g < GROUP; g++) total[g] += part[g];
    }
    return (piece_sum){.sum_others = sum_lanes(total)};
}

#define EXP_SUM_AND_PUT(name, keep, kind, streamed)                                                    \
    SHARED piece_sum name(const real *from, real *z, ptrdiff_t n, real largest, const pending *before, \
                          const char *ahead)                                                           \
    {                                                                                                  \
        return exp_sum_and_put(from, z, n, largest, before, ahead, keep, kind, streamed);              \
    }
EXP_SUM_AND_PUT(scale_and_keep, 1, ROW_LOSS, 0)
EXP_SUM_AND_PUT(stream_and_keep, 1, ROW_LOSS, 1)
EXP_SUM_AND_PUT(shift_and_copy, 2, ROW_LOG_SOFTMAX, 0)
EXP_SUM_AND_PUT(stream_shift_and_copy, 2, ROW_LOG_SOFTMAX, 1)

/* The loop that fits: a row of `kind` comes in as exponentials or, for log_softmax, as logits. */
ALWAYS_INLINE piece_sum take_and_put(const real *from, real *z, ptrdiff_t n, real largest, const pending *before,
                                     const char *ahead, int kind, int streamed)
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

SHARED ptrdiff_t rows_medium(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum, const row_formula *f,
                             int kind)
{
    const int want = job->want;
    const ptrdiff_t n_classes = job->n_classes, pitch = round_up(n_classes, LANES), rows = rows_in_piece(job);
    real *z = (real *)round_up((ptrdiff_t)job->scratch, 64), *packed = z + rows * pitch + LANES;
    const int is_short = n_classes < PACKED_CLASSES, pack = is_short || job->gradient.type != REAL_TYPE;
    /* Longer rows go out while those at the same place of the next group come in. */
    const int overlap = job->gradient.data && !pack;
    const int weighted = is_weighted(job);
    row_stats s;
    CACHE_ALIGNED outgoing out[MAX_ROWS];
    streaming_copy flow = {0}; /* of packed rows */
    ptrdiff_t n_waiting = 0;
    double total = 0;
    start_weights(job, round_up(count < rows ? count : rows, LANES), &s);
    for (ptrdiff_t end = first + count; first < end; first += rows) {
        const ptrdiff_t n = end - first < rows ? end - first : rows, padded = round_up(n, LANES);
        load_targets(job, first, n, &s);
        for (ptrdiff_t r = 0; r < n; r++) {
            real *row = z + r * pitch;
            pending before = {.to = NULL};
            if (overlap && r < n_waiting) {
                before = (pending){row, gradient_row(job, first - rows + r), n_classes, out[r]};
                row = packed; /* the row that comes in stands here until the other has gone */
            }
            if (before.to && weighted && s.weight[r] == 0) {
                put_piece(before.to, before.from, n_classes, &before.out, 1, job->stream);
                row = z + r * pitch;
            }
            if (weighted && s.weight[r] == 0) { /* counts nowhere, whatever it holds */
                for (ptrdiff_t k = 0; k < pitch; k++) row[k] = 0;
                s.sum_others[r] = s.exp_target[r] = 1, s.distance[r] = 0;
                continue;
            }
            const real *logits = row_piece(&job->prediction, first + r, 0, n_classes, row);
            real largest = copy_and_find_largest(row, logits, n_classes), reported = largest;
            if (largest == REAL_INFINITY || largest == -REAL_INFINITY) {
                replace_infinite_logits(row, 1, n_classes, largest, kind);
                largest = 0;
            }
            /* One position is left out of the sum: the target's, or the largest one's. */
            const int late = kind == ROW_LOG_SOFTMAX || kind == ROW_LOGSUMEXP; /* which can be taken off afterwards */
            const int masked = late && is_short; /* or, where a second look would cost too much, on the way */
            if (kind == ROW_SOFTMAX) s.target[r] = (real_int)find_first(row, n_classes, largest);
            const ptrdiff_t y = late ? 0 : s.target[r];
            const real own = late ? largest : row[y];
            if (!late) row[y] = -REAL_INFINITY;
            const char *ahead = job->prediction.data + (first + r + rows) * job->prediction.outer;
            piece_sum p = before.to
                              ? take_and_put(row, z + r * pitch, pitch, largest, &before, ahead, kind, job->stream)
                          : kind == ROW_SOFTMAX || (kind == ROW_LOSS && want != FL_VALUE)
                              ? sum_and_keep(row, pitch, largest, ahead, &flow)
                          : masked ? sum_without_largest(row, pitch, largest, ahead, &flow)
                                   : sum_only(row, pitch, largest, ahead, &flow);
            row = z + r * pitch;
            if (masked) {
                p.sum_others = p.sum_below_max + (p.ties - 1);
            } else if (late) {
                p.sum_others -= 1;
                if (p.sum_others <
                    1) { /* the largest one's 1 was most of the sum: what is left of the others is rounding */
                    const ptrdiff_t at = find_first(row, n_classes, largest);
                    streaming_copy none = {0};
                    const real aside = row[at];
                    row[at] = -REAL_INFINITY;
                    p = sum_only(row, pitch, largest, (const char *)row, &none);
                    row[at] = aside;
                }
            }
            s.sum_others[r] = (real)p.sum_others;
            s.distance[r] = largest - own;
            s.largest[r] = largest;
            if (kind == ROW_LOSS) row[y] = -s.sum_others[r];
            if (kind == ROW_SOFTMAX) row[y] = 1;
            if (kind == ROW_LOGSUMEXP) s.value[r] = reported;
        }
        finish_copy(&flow);
        for (ptrdiff_t r = n; r < padded; r++) s.sum_others[r] = 1, s.distance[r] = 0;
        for (ptrdiff_t r = 0; r < padded; r += WIDTH) {
            vreal distance = load(s.distance + r), own = exp_nonpositive(-distance);
            store(s.exp_target + r, own);
            if (want & FL_HESSIAN)
                store(s.sum_below_max + r, load(s.sum_below_max + r) + choose(eq(distance, ZERO), ZERO, own));
            if (kind == ROW_LOGSUMEXP) store(s.distance + r, load(s.value + r));
        }
        if (kind == ROW_LOSS)
            f->terms(&s, padded, job);
        else
            sum_terms(&s, padded, job, kind);

        if (job->gradient.data) {
            for (ptrdiff_t r = n; r < n_waiting; r++) /* the last group may be smaller */
                put_piece(gradient_row(job, first - rows + r), z + r * pitch, n_classes, &out[r], 1, job->stream);
            const int last = first + n == end;
            for (ptrdiff_t r = 0; r < n; r++) {
                out[r] =
                    (outgoing){.kind = kind, .largest = s.largest[r], .log_sum = s.log_sum[r], .factor = s.inverse[r]};
                if (kind == ROW_LOSS) out[r].factor = s.first[r] * s.inverse[r] * s.scaled[r];
                if (overlap && !last) continue;
                put_piece(pack ? packed + r * n_classes : gradient_row(job, first + r), z + r * pitch, n_classes,
                          &out[r], !pack, job->stream);
            }
            n_waiting = overlap && !last ? n : 0;
            if (pack && job->gradient.outer == n_classes * job->gradient.classes)
                store_packed(job->gradient.data + first * job->gradient.outer, job->gradient.type, packed,
                             n * n_classes, job->stream, &flow);
            else if (pack)
                put_packed(&job->gradient, n_classes, first, n, packed, job->stream);
        }
        if (want & FL_VALUE) {
            if (job->value.data)
                store_elements(&job->value, job->n_inner, first, n, s.value);
            else
                total += sum_reals(s.value, n);
        }
    }
    finish_copy(&flow);
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

/* The exponentials of a row, one piece, and a few numbers for each piece. */
ALWAYS_INLINE ptrdiff_t long_scratch(const fl_job *job)
{
    const ptrdiff_t slots = round_up(pieces_of(job), LANES);
    return (ptrdiff_t)sizeof(real) * (round_up(job->n_classes, LANES) + 2 * (PIECE + LANES) + 2 * slots) +
           (ptrdiff_t)sizeof(double) * slots + 64;
}

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

/* A row whose largest logit is infinite: one +inf is probability 1; of two, or of none but -inf, nothing can be told. */
SHARED void conclude_infinite_row(const fl_job *job, ptrdiff_t row, real *e, real *piece, real largest, int kind,
                                  row_stats *s)
{
    const real nan = (real)__builtin_nan("");
    ptrdiff_t n_infinite = 0, at = -1;
    int has_nan = 0;
    for (ptrdiff_t p = 0; p < pieces_of(job); p++) {
        const real *x = row_piece(&job->prediction, row, p * PIECE, piece_length(job, p), piece);
        for (ptrdiff_t k = 0; k < piece_length(job, p); k++) {
            if (x[k] == REAL_INFINITY) n_infinite++, at = p * PIECE + k;
            has_nan |= x[k] != x[k];
        }
    }
    const int is_target = at == s->target[0];
    s->largest[0] = 0;
    if (has_nan || (kind != ROW_LOGSUMEXP && n_infinite != 1)) {
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

SHARED ptrdiff_t rows_very_long(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum, const row_formula *f,
                                int kind)
{
    const int want = job->want;
    const ptrdiff_t n_pieces = pieces_of(job), slots = round_up(n_pieces, LANES);
    const int keep = kind == ROW_LOG_SOFTMAX || kind == ROW_SOFTMAX || (kind == ROW_LOSS && want != FL_VALUE);
    const int streamed = job->stream && job->gradient.type == REAL_TYPE;
    const int keep_exponentials = keep && kind != ROW_LOG_SOFTMAX;
    real *e = (real *)round_up((ptrdiff_t)job->scratch, 64), *piece = e + round_up(job->n_classes, LANES);
    real *aside = piece + PIECE + LANES, *largest_of = aside + PIECE + LANES, *factor = largest_of + slots;
    double *part = (double *)(void *)(factor + slots);
    long_row before = {.row = -1};
    row_stats s;
    double total = 0;

    start_weights(job, LANES, &s);
    for (ptrdiff_t row = first; row < first + count; row++) {
        real largest = -REAL_INFINITY, own = 0;
        load_targets(job, row, 1, &s);
        const ptrdiff_t y = kind == ROW_LOSS ? (ptrdiff_t)s.target[0] : -1;
        const int counts = s.weight[0] != 0;
        for (ptrdiff_t p = 0; p < n_pieces; p++) {
            const ptrdiff_t start = p * PIECE, n = piece_length(job, p), padded = round_up(n, LANES);
            pending waiting = {.to = NULL};
            if (before.row >= 0) waiting = pending_piece(job, &before, p, e, aside);
            if (!counts) { /* whatever it holds */
                if (waiting.to) put_piece(waiting.to, waiting.from, n, &waiting.out, 1, streamed);
                if (waiting.to) finish_piece(job, &before, p, &waiting);
                for (ptrdiff_t k = 0; keep && k < padded; k++) e[start + k] = 0;
                largest_of[p] = 0, part[p] = 0;
                continue;
            }
            /* with a row waiting, this one comes in by way of `piece`; its place is still taken */
            real *z = keep && !waiting.to ? e + start : piece;
            const real top = copy_and_find_largest(z, row_piece(&job->prediction, row, start, n, z), n);
            const char *ahead =
                job->prediction.data + row * job->prediction.outer + (start + n) * job->prediction.classes;
            if (y >= start && y < start + n) own = z[y - start], z[y - start] = -REAL_INFINITY;
            /* a piece of nothing but -inf has exponentials all the same; +inf is settled below */
            const real reference = top == REAL_INFINITY || top == -REAL_INFINITY ? 0 : top;
            if (waiting.to) {
                part[p] = take_and_put(z, e + start, padded, reference, &waiting, ahead, kind, streamed).sum_others;
                finish_piece(job, &before, p, &waiting);
            } else {
                streaming_copy none = {0};
                part[p] = (keep_exponentials ? sum_and_keep : sum_only)(z, padded, reference, ahead, &none).sum_others;
            }
            largest_of[p] = top;
            largest = top > largest ? top : largest;
        }

        if (!counts) largest = own = 0;
        for (ptrdiff_t p = 0; p < slots; p++) factor[p] = p < n_pieces ? largest_of[p] - largest : 0;
        for (ptrdiff_t p = 0; p < slots; p += WIDTH) store(factor + p, exp_nonpositive(load(factor + p)));
        double sum_others = 0;
        for (ptrdiff_t p = 0; p < n_pieces; p++) sum_others += part[p] * (double)factor[p];
        if (kind != ROW_LOSS) {
            /* The largest one's 1 is in the sum. Where it is most of it, what is left when it is taken off would be what
             * rounding has left: sum its piece again without it. */
            sum_others -= 1;
            if (sum_others < 1) {
                ptrdiff_t p = find_first(largest_of, n_pieces, largest), n = piece_length(job, p);
                copy_and_find_largest(piece, row_piece(&job->prediction, row, p * PIECE, n, piece), n);
                piece[find_first(piece, n, largest)] = -REAL_INFINITY;
                streaming_copy none = {0};
                sum_others = sum_only(piece, round_up(n, LANES), largest, (const char *)piece, &none).sum_others;
                for (ptrdiff_t q = 0; q < n_pieces; q++)
                    if (q != p) sum_others += part[q] * (double)factor[q];
            }
        }
        s.sum_others[0] = counts ? (real)sum_others : 1;
        s.distance[0] = kind == ROW_LOSS ? largest - own : 0;
        for (ptrdiff_t i = 1; i < LANES; i++) s.sum_others[i] = 1, s.distance[i] = 0;
        for (ptrdiff_t i = 0; i < LANES; i += WIDTH) store(s.exp_target + i, exp_nonpositive(-load(s.distance + i)));
        s.largest[0] = largest;
        if (kind == ROW_LOGSUMEXP) s.distance[0] = largest;
        if (counts && (largest == REAL_INFINITY || largest == -REAL_INFINITY)) {
            conclude_infinite_row(job, row, keep ? e : NULL, piece, largest, kind, &s);
            for (ptrdiff_t p = 0; p < slots; p++) factor[p] = 1;
        }
        const real off = s.largest[0];
        if (kind == ROW_LOSS)
            f->terms(&s, LANES, job);
        else
            sum_terms(&s, LANES, job, kind);

        if (keep) {
            before = (long_row){.factor = factor, .row = row, .target = y};
            before.out = (outgoing){.kind = kind, .largest = off, .log_sum = s.log_sum[0], .factor = s.inverse[0]};
            if (kind == ROW_LOSS) before.out.factor = s.first[0] * s.inverse[0] * s.scaled[0];
            before.at_target = -(s.sum_others[0] * before.out.factor);
        }
        if (job->value.data)
            store_elements(&job->value, job->n_inner, row, 1, s.value);
        else if (want & FL_VALUE)
            total += (double)s.value[0];
    }
    if (before.row >= 0)
        for (ptrdiff_t p = 0; p < n_pieces; p++) {
            pending b = pending_piece(job, &before, p, e, aside);
            put_piece(b.to, b.from, b.n, &b.out, 1, streamed);
            finish_piece(job, &before, p, &b);
        }
    if (job->stream) stream_end();
    *sum = total;
    return -1;
}

#endif
