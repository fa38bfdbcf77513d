/* The contract between the C kernels and whoever drives them (fastloss/_kernels.pyx).
 *
 * A kernel computes one block of a job: `count` elements (pointwise) or rows (rowwise) from `first` on. Blocks
 * are independent, so the driver may hand them to any thread; each returns its part of the sum, and the driver
 * adds the parts in block order. Nothing here allocates, and nothing here knows Python.
 */
#ifndef FASTLOSS_H
#define FASTLOSS_H

#include <stddef.h>

enum fl_type { FL_BOOL, FL_I8, FL_U8, FL_I16, FL_U16, FL_I32, FL_U32, FL_I64, FL_U64, FL_F32, FL_F64 };
enum fl_want { FL_VALUE = 1, FL_GRADIENT = 2, FL_HESSIAN = 4 };
enum fl_curvature { FL_EXACT, FL_PSD, FL_MAJORIZE };

/* Where the formula's target may lie. */
enum fl_domain { FL_ANY, FL_UNIT_INTERVAL };

enum { FL_MAX_COEFFICIENTS = 4 };

/* An array of shape (outer, classes, inner), or (outer, inner) where there are no classes. Strides in bytes. */
typedef struct fl_array {
    char *data; /* NULL: absent */
    ptrdiff_t outer, classes, inner;
    int type;
} fl_array;

typedef struct fl_job {
    ptrdiff_t n_outer, n_classes, n_inner; /* pointwise: n_classes is 1 */
    fl_array prediction, target, weight, pos_weight;
    fl_array value, gradient, hessian; /* value: one per element or row, for reduction="none" */
    double coefficients[FL_MAX_COEFFICIENTS];
    double scale; /* of gradient and Hessian: 1, or 1 / (sum of weights) */
    int want, curvature;
    int stream;        /* outputs go around the caches */
    int check_target;  /* targets have not been checked yet: do it on the way */

    /* rowwise */
    int soft;                   /* target holds probabilities; else class indices */
    const double *class_weight; /* NULL, or n_classes of them */
    double label_smoothing;
    int has_ignore_index;
    long long ignore_index;
    char *scratch; /* fl_kernels.rowwise_scratch bytes, for this block alone */
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

typedef struct fl_loss {
    const char *name;
    fl_block block;
    int domain;
} fl_loss;

/* All kernels of one instruction set and one real type. */
typedef struct fl_kernels {
    const char *isa;
    const fl_loss *const *losses; /* ends with NULL */
    fl_check check_pointwise, check_rowwise;
    ptrdiff_t (*rowwise_scratch)(const fl_job *job);
} fl_kernels;

/* dispatch.c */
const char *fl_isa(int index); /* those that can run here, best first; NULL at the end */
const fl_kernels *fl_select(const char *isa, int real_bits); /* NULL: unknown, not built, or cannot run here */

/* runtime.c */
ptrdiff_t fl_last_level_cache(void); /* bytes */
void fl_survive_fork(void); /* call once, at import */
int fl_threads_lost(void); /* in a forked child that must stay serial */

#endif
