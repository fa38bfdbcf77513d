/* The contract between the C kernels and whoever drives them (fastloss/_kernels.pyx).
 *
 * A loss is computed in passes over its elements (pointwise) or rows, each in blocks that any thread may take: a block leaves
 * its numbers in a partial of its own, and between two passes all partials are combined, in their order, to what the next
 * one needs. Nothing here allocates, and nothing here knows Python.
 */
#ifndef FASTLOSS_H
#define FASTLOSS_H

#include <stddef.h>
#include <stdint.h>

enum fl_type { FL_BOOL, FL_I8, FL_U8, FL_I16, FL_U16, FL_I32, FL_U32, FL_I64, FL_U64, FL_F32, FL_F64, FL_F16, FL_BF16 };
enum fl_want { FL_VALUE = 1, FL_GRADIENT = 2, FL_HESSIAN = 4, FL_FULL_HESSIAN = 8 }; /* the last: what fl_full says */
enum fl_curvature { FL_EXACT, FL_PSD, FL_MAJORIZE, FL_FISHER };

/* What a row-wise loss gives of its Hessian: the diagonal, with value and gradient; or, as the only output and in `gradient`,
 * the packed upper triangle of each row, or its product with `vector`. */
enum fl_full { FL_DIAGONAL, FL_PACKED, FL_PRODUCT };

/* Where the formula's target may lie: of FL_NONNEGATIVE and FL_POSITIVE, finite. FL_CLASSES, the last: a whole number from 0 to the number
 * of the loss's coefficients, which a job adds to it. */
enum fl_domain { FL_ANY, FL_UNIT_INTERVAL, FL_NONNEGATIVE, FL_POSITIVE, FL_OPEN_INTERVAL, FL_CLASSES };

/* What a loss is a function of: one element, one row of logits or of numbers that mean different things, or a set of elements; the
 * two after them have no target. Of segments, it is a function of rows that belong together. */
enum fl_kind { FL_POINTWISE, FL_ROWWISE, FL_COLUMNS, FL_SETWISE, FL_UNARY, FL_ROW_FUNCTION, FL_SEGMENTS };

/* What its target is: a number for each element of a prediction, or of a row one class index or a probability for each class. */
enum fl_target { FL_NO_TARGET, FL_REAL_TARGET, FL_CLASS_TARGET };

/* A loss may read that many coefficients, whether it has them or not. */
enum { FL_COEFFICIENTS = 4, FL_ONE_A_COLUMN = -1 };
enum { FL_PASSES = 4 };

/* Rows that belong together, as they were checked, sorted and cast once (fastloss/_segments.py). A segment is a group of rows, or all
 * rows of one time; a block is of whole segments, and n_outer counts blocks. Weights are > 0. */
typedef struct fl_segments {
    ptrdiff_t n_rows, n_segments, n_blocks;
    const int64_t *order; /* of each place, the row of the prediction; NULL: as they stand */
    const double *weight; /* of each place; NULL: 1 */
    const double *lower, *upper; /* of each place: its target; of an interval, both ends */
    const int64_t *segment; /* n_segments + 1: where each begins */
    const int64_t *block; /* n_blocks + 1: its first segment */
    const int64_t *n_events; /* of each segment: how many of its rows, which come first */
    const uint8_t *begins; /* of each segment: whether it is the first of a stratum */
    double *workspace; /* fl_workspace of them */
} fl_segments;

enum { FL_NUMBERS_OF_A_ROW = 2, FL_NUMBERS_OF_A_SEGMENT = 5, FL_NUMBERS_OF_A_BLOCK = 4 };

static inline ptrdiff_t fl_workspace(ptrdiff_t n_rows, ptrdiff_t n_segments, ptrdiff_t n_blocks)
{
    return FL_NUMBERS_OF_A_ROW * n_rows + FL_NUMBERS_OF_A_SEGMENT * n_segments + FL_NUMBERS_OF_A_BLOCK * (n_blocks + 1);
}

/* An array of shape (outer, classes, inner), or (outer, inner) where there are no classes. Strides in bytes. */
typedef struct fl_array {
    char *data; /* NULL: absent */
    ptrdiff_t outer, classes, inner;
    int type;
} fl_array;

typedef struct fl_job {
    ptrdiff_t n_outer, n_classes, n_inner; /* pointwise: n_classes is 1 */
    fl_array prediction, target, weight, pos_weight;
    fl_array value, gradient, hessian; /* absent unless wanted; value: one per element or row, for reduction="none" */
    const double *coefficients; /* as many as the loss takes, then zeros up to FL_COEFFICIENTS */
    int n_coefficients;
    double scale; /* of gradient and Hessian: 1, or 1 / (sum of weights) */
    double weight_unit; /* a power of two that multiplies the sample weights */
    int mean; /* divide by the sum of the weights */
    int fresh; /* nobody sees the outputs if an element is bad */
    int want, curvature; /* a Hessian is wanted with its gradient, or not at all */
    int stream; /* outputs go around the caches */
    int check_target; /* to the check: look at float targets; to the block: they have not been looked at */
    int domain; /* of the target */

    /* rowwise */
    int soft; /* target holds probabilities; else class indices */
    const double *class_weight; /* NULL, or n_classes of them */
    double label_smoothing;
    int has_ignore_index;
    long long ignore_index;
    int full;
    fl_array vector;
    char *scratch; /* fl_loss.scratch bytes, for this block alone */
    char *shared; /* fl_loss.shared bytes, from one pass to the next */
    ptrdiff_t row; /* in pieces (fl_pieces): the one that is computed */
    int by_row; /* whatever n_inner is, row r of all arrays with classes begins at r times `outer`, as with n_inner 1 */
    const fl_segments *segments;
    uint64_t float_state; /* the caller's, for all threads */

    /* results */
    double total; /* of the values, or their mean, unless they go into an array */
    double weight_sum;
    double *set_values; /* set losses: one for each of n_classes sets */
    ptrdiff_t bad; /* the place of the first element that breaks its rule */
} fl_job;

typedef struct fl_checked {
    double weight_sum; /* over the rows or elements that count */
    ptrdiff_t bad_target; /* position of the first one that breaks the rule, or -1 */
    ptrdiff_t bad_weight;
    double largest_weight;
} fl_checked;

/* What a check leaves in its partial. */
enum { FL_WEIGHT_SUM, FL_LARGEST_WEIGHT, FL_CHECK_NUMBERS };

/* Works on the elements or rows [first, first + count) and leaves the block's numbers, for most losses the sum of its values, in
 * *partial. Returns -1, or the place of the first target outside its domain, or fl_bad_weight of that of a weight. */
typedef ptrdiff_t (*fl_block)(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *partial);

/* A number of bytes, or of partials' numbers, that a job needs. */
typedef ptrdiff_t (*fl_size)(const fl_job *job);

/* Makes what comes next of the partials of all blocks, in their order. */
typedef void (*fl_combine)(fl_job *job, const double *partials, ptrdiff_t n_blocks);

typedef struct fl_pass {
    fl_block block;
    fl_combine combine; /* NULL: nothing is left to do */
    fl_size width; /* numbers in a partial; NULL: one */
    int wants; /* outputs for which it is needed; 0: for all */
} fl_pass;

/* Rows so long that all threads work on each: passes over the classes of job->row, in blocks of `size`. by_row, in blocks of a
 * `piece`, those of a pass with a width in their order; of `whole` classes or fewer, all of them are one part of the sums. */
typedef struct fl_pieces {
    ptrdiff_t size, piece, whole;
    fl_size scratch, shared; /* as those of fl_loss */
    fl_pass passes[FL_PASSES];
} fl_pieces;

typedef struct fl_loss {
    const char *name;
    int kind, target, domain;
    int n_coefficients; /* or FL_ONE_A_COLUMN */
    int n_columns; /* FL_COLUMNS: of a row; 0: as many as coefficients */
    int outputs; /* those that it has */
    fl_block check; /* of targets and weights, before anything is written; NULL: none */
    fl_pass passes[FL_PASSES];
    fl_size scratch; /* bytes that a block needs; NULL: none */
    fl_size shared; /* bytes that all need together; NULL: none */
    const fl_pieces *(*pieces)(const fl_job *job); /* how rows of this job are cut; NULL, or its result: not at all */
    ptrdiff_t (*start)(fl_job *job); /* before the first pass over a row's pieces: -1, or the place of its bad target */
} fl_loss;

static inline ptrdiff_t fl_bad_weight(ptrdiff_t place) { return place | (ptrdiff_t)1 << (8 * sizeof place - 3); }

/* Columns of a matrix of float64: dense, one after the other, or compressed (CSC). */
typedef struct fl_columns {
    const double *data;
    const int32_t *rows; /* compressed: the row of each number; NULL: dense */
    const int64_t *starts; /* compressed: where each column begins, and where the last one ends */
    const int64_t *which; /* those to go through; NULL: `n` from `first` on */
    ptrdiff_t n_rows, first, n;
} fl_columns;

/* A round of coordinate descent (descent.h): vectors over the columns gone through, in their order, and over rows. */
typedef struct fl_descent {
    fl_columns x;
    double *coef;
    const double *l1, *l2, *limit;
    const double *sum, *curvature; /* of h x_j; of the model, but for l2 */
    double *slope; /* over rows, but for h times the shift */
    const double *h;
    double shift, total; /* total: the sum of h; 0 where there is no constant */
} fl_descent;

/* Rounds of dual coordinate ascent (descent.h): x has the rows of X, `which` of them in an order of its own. */
typedef struct fl_ascent {
    fl_columns x;
    int64_t *order; /* the rows, those that still move first */
    ptrdiff_t n_moving;
    const double *low, *high, *kink, *curvature; /* of each row */
    const double *along; /* products with the centre, or NULL */
    double *dual, *coef;
    double flat; /* half the width between two kinks of a row */
    double l2, of_constant; /* what curves coefficients and the constant */
    double constant, sum, centre; /* the constant at sum 0; the sum of the duals; coef times the centre */
    double of_centre; /* the centre times itself */
    double bound; /* what ends the rounds */
    uint64_t state; /* of random numbers */
} fl_ascent;

/* The same of maxima over classes: vectors over rows, over classes, and of both, those of a row in one piece. */
typedef struct fl_class_ascent {
    fl_columns x;
    int64_t *order;
    ptrdiff_t n_moving, n_classes, stride; /* stride: from the coefficients of a column to those of the next one */
    const int64_t *target;
    const double *weight, *curvature, *along;
    const double *offset; /* of scores, or NULL */
    double *dual, *coef;
    const double *constant;
    double *sum, *centre; /* of each class, as above */
    double *scratch; /* three times the stride */
    double margin, l2, of_constant, of_centre;
    uint64_t state;
} fl_class_ascent;

typedef struct fl_column_kernels {
    void (*products)(const fl_columns *x, const double *v, double *out);
    void (*moments)(const fl_columns *x, const double *h, double *sum, double *square);
    void (*scores)(const fl_columns *x, const double *coef, double *z);
    double (*descend)(fl_descent *descent);
    void (*add_squares)(const fl_columns *x, const double *h, double *out, ptrdiff_t width);
    double (*ascend)(fl_ascent *ascent, int rounds);
    double (*ascend_classes)(fl_class_ascent *ascent, int rounds);
} fl_column_kernels;

/* All kernels of one instruction set and one real type. */
typedef struct fl_kernels {
    const char *isa;
    const fl_loss *const *losses; /* ends with NULL */
    /* to[k, i] = from[i, k], k < count, i < n, of reals; strides of the first index in bytes, the second's are 1 */
    void (*turn)(char *to, ptrdiff_t to_stride, const char *from, ptrdiff_t from_stride, ptrdiff_t count, ptrdiff_t n);
    fl_column_kernels columns; /* float64 only */
} fl_kernels;

/* dispatch.c */
const char *fl_isa(int index); /* those that can run here, best first; NULL at the end */
const fl_kernels *fl_select(const char *isa, int real_bits); /* NULL: unknown, not built, or cannot run here */

/* runtime.c */
ptrdiff_t fl_last_level_cache(void); /* bytes */
void fl_survive_fork(void); /* call once, at import */
int fl_threads_lost(void); /* in a forked child that must stay serial */
uint64_t fl_float_state(void);
uint64_t fl_set_float_state(uint64_t state); /* returns the one before */

#endif
