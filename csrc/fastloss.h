/* The contract between the C kernels and whoever drives them (fastloss/_kernels.pyx).
 *
 * A kernel computes one block of a job: `count` elements (pointwise) or rows (rowwise) from `first` on. Blocks
 * are independent, so the driver may hand them to any thread; each returns its part of the sum, and the driver
 * adds the parts in block order. Nothing here allocates, and nothing here knows Python.
 */
#ifndef FASTLOSS_H
#define FASTLOSS_H

#include <stddef.h>
#include <stdint.h>

enum fl_type { FL_BOOL, FL_I8, FL_U8, FL_I16, FL_U16, FL_I32, FL_U32, FL_I64, FL_U64, FL_F32, FL_F64, FL_F16, FL_BF16 };
enum fl_want { FL_VALUE = 1, FL_GRADIENT = 2, FL_HESSIAN = 4 };
enum fl_curvature { FL_EXACT, FL_PSD, FL_MAJORIZE };

/* What a row-wise loss gives of its Hessian: the diagonal, with value and gradient; or, as the only output and in `gradient`,
 * the packed upper triangle of each row, or its product with `vector`. */
enum fl_full { FL_DIAGONAL, FL_PACKED, FL_PRODUCT };

/* Where the formula's target may lie. */
enum fl_domain { FL_ANY, FL_UNIT_INTERVAL, FL_NONNEGATIVE, FL_POSITIVE }; /* the last two: finite */

enum { FL_MAX_COEFFICIENTS = 4 };

/* Numbers for each set of a set loss: what its elements add up to, and what their derivatives need of that. */
enum { FL_SET_SUMS = 3, FL_SET_TERMS = 3 };

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
    double coefficients[FL_MAX_COEFFICIENTS];
    double scale; /* of gradient and Hessian: 1, or 1 / (sum of weights) */
    int want, curvature; /* a Hessian is wanted with its gradient, or not at all */
    int stream;        /* outputs go around the caches */
    int check_target;  /* to the check: look at float targets; to the block: they have not been looked at */
    int domain;        /* of the target, for check_pointwise */

    /* rowwise */
    int soft;                   /* target holds probabilities; else class indices */
    const double *class_weight; /* NULL, or n_classes of them */
    double label_smoothing;
    int has_ignore_index;
    long long ignore_index;
    int full;
    fl_array vector;
    const double *set_terms; /* set losses: FL_SET_TERMS for each of n_classes sets */
    char *scratch;           /* fl_loss.scratch bytes, for this block alone */
    uint64_t float_state;    /* the caller's, for all threads */
} fl_job;

typedef struct fl_checked {
    double weight_sum;         /* over the rows or elements that count */
    ptrdiff_t bad_target;      /* position of the first one that breaks the rule, or -1 */
    ptrdiff_t bad_weight;
} fl_checked;

/* Sums the values of a block into *sum; returns -1, or the position of the first target outside its domain. */
typedef ptrdiff_t (*fl_block)(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sum);

/* Checks targets and weights of a block before anything is written, and adds up the weights. */
typedef void (*fl_check)(const fl_job *job, ptrdiff_t first, ptrdiff_t count, fl_checked *result);

/* The first pass of a set loss: FL_SET_SUMS sums of each set, after a check of targets and weights (as fl_block says, and
 * *bad_weight). The sums of all blocks together conclude to a value for each set and FL_SET_TERMS terms. */
typedef ptrdiff_t (*fl_measure)(const fl_job *job, ptrdiff_t first, ptrdiff_t count, double *sums,
                                ptrdiff_t *bad_weight);
typedef void (*fl_conclude)(const fl_job *job, const double *sums, double *values, double *terms);

typedef struct fl_loss {
    const char *name;
    fl_block block;
    int domain;
    ptrdiff_t (*scratch)(const fl_job *job); /* bytes of scratch that a block needs; NULL: none */
    fl_measure measure;                      /* set losses, else NULL */
    fl_conclude conclude;
} fl_loss;

/* The table's entry of a loss whose block is <id>_block. */
#define FL_DEFINE_LOSS(id, ...) static const fl_loss id##_loss = {.name = #id, .block = id##_block, __VA_ARGS__};

/* All kernels of one instruction set and one real type. */
typedef struct fl_kernels {
    const char *isa;
    const fl_loss *const *losses; /* ends with NULL */
    fl_check check_pointwise, check_rowwise;
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
