/* Losses of fastloss for other extensions: on buffers of theirs, with strides, weights and threads, without the GIL.
 *
 *     #include <Python.h>
 *     #include "fastloss_api.h"                         include_dirs=[fastloss.get_include()]
 *
 *     const fastloss_api *fl = fastloss_import();       once, with the GIL; NULL: a Python error is set
 *     char message[200];
 *     fastloss_loss *huber = fl->find("Huber(delta=2)", message, sizeof message);      NULL: message says why
 *
 *     fastloss_call call = {.size = sizeof call, .n_rows = n, .n_columns = 1, .mean = 1};
 *     call.prediction = fastloss_vector(z, n, FASTLOSS_F64);
 *     call.target = fastloss_vector(t, n, FASTLOSS_F64);
 *     call.gradient = fastloss_vector(g, n, FASTLOSS_F64);
 *     int status = fl->evaluate(huber, &call);          0, and then call.value_sum; else call.place and fl->message(status)
 *
 *     fl->release(huber);
 *
 * Nothing is linked: the table is found at run time. Structures say their own size first, and grow at the end only; what is
 * set to zero is what was there before. Functions of the table may be called from any thread. `evaluate` and `flat` neither
 * need nor take the GIL; `find`, `from_object` and `release` take it, and may be called with or without it.
 */
#ifndef FASTLOSS_API_H
#define FASTLOSS_API_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised where something is removed or changes its meaning; what is new is found by `size`. */
#define FASTLOSS_API_VERSION 1

enum fastloss_type {
    FASTLOSS_BOOL,
    FASTLOSS_I8,
    FASTLOSS_U8,
    FASTLOSS_I16,
    FASTLOSS_U16,
    FASTLOSS_I32,
    FASTLOSS_U32,
    FASTLOSS_I64,
    FASTLOSS_U64,
    FASTLOSS_F32,
    FASTLOSS_F64
};

enum fastloss_curvature { FASTLOSS_EXACT, FASTLOSS_PSD, FASTLOSS_MAJORIZE, FASTLOSS_FISHER };

enum fastloss_status {
    FASTLOSS_DONE,
    FASTLOSS_BAD_TARGET, /* `place` is that of the first target that is no class, or outside the loss's domain */
    FASTLOSS_BAD_WEIGHT, /* `place` is that of the first weight that is negative or not finite */
    FASTLOSS_NO_MEMORY,
    FASTLOSS_BAD_SIZE, /* of fastloss_call, or numbers of rows and columns that are none of the loss's */
    FASTLOSS_BAD_ARRAY, /* prediction or target is missing, or an array has a type that it cannot have */
    FASTLOSS_NO_CURVATURE, /* the loss has no Hessian of that kind */
    FASTLOSS_NO_LOSS /* NULL, or an address that stands for no loss */
};

/* What a loss is a function of, and what its target is. */
enum fastloss_kind { FASTLOSS_POINTWISE, FASTLOSS_ROWWISE, FASTLOSS_COLUMNS, FASTLOSS_SETWISE };

/* An array of n_rows x n_columns elements, strides in bytes: multiples of the element's size, which `data` is aligned to. */
typedef struct fastloss_array {
    void *data; /* NULL: there is none */
    ptrdiff_t row_stride, column_stride;
    int type; /* enum fastloss_type */
} fastloss_array;

/* One evaluation. Zero everything that is not said. */
typedef struct fastloss_call {
    size_t size; /* sizeof(fastloss_call) */
    ptrdiff_t n_rows, n_columns; /* of the prediction; one column: a vector */
    fastloss_array prediction; /* F32 or F64 */
    fastloss_array
        target; /* like the prediction; class indices (integers) and targets of FASTLOSS_COLUMNS: one a row */
    fastloss_array weight; /* like the prediction (pointwise, sets); else one a row */
    fastloss_array value; /* w l, like the weight; with the prediction's type */
    fastloss_array gradient,
        hessian; /* like the prediction; its type, or F32 for F64. The gradient may be the prediction */
    int target_is_by_column; /* of FASTLOSS_ROWWISE: probabilities, one a column; else class indices */
    int mean; /* value_sum and derivatives are divided by the sum of the weights */
    int curvature; /* enum fastloss_curvature */
    int threads; /* 0: as OpenMP has it, and one for little work */
    /* results */
    double
        value_sum; /* sum of w l, or their mean; of FASTLOSS_SETWISE the loss of the set; if a value or nothing is wanted */
    double weight_sum;
    ptrdiff_t place; /* the row, or row * n_columns + column of what has columns; -1 */
} fastloss_call;

typedef struct fastloss_info {
    size_t size; /* sizeof(fastloss_info) */
    const char *name;
    int kind;
    ptrdiff_t n_columns; /* that a row must have; 0: any number */
} fastloss_info;

typedef struct fastloss_loss fastloss_loss;

typedef struct fastloss_api {
    size_t size;
    int version;
    const char *isa; /* the kernels in use */
    /* A loss by name and parameters: "huber", "Huber(delta=2)", "CrossEntropy(class_weight=[1, 2])". NULL: message says why. */
    fastloss_loss *(*find)(const char *text, char *message, size_t message_size);
    /* The same of a Python object (PyObject *), with the GIL. */
    fastloss_loss *(*from_object)(void *loss, char *message, size_t message_size);
    void (*release)(fastloss_loss *loss);
    int (*info)(const fastloss_loss *loss, fastloss_info *info);
    int (*evaluate)(const fastloss_loss *loss, fastloss_call *call);
    const char *(*message)(int status);
} fastloss_api;

/* What `loss.low_level(outputs, columns, dtype)` is the address of: contiguous arrays of that dtype (class indices: int64), w may
 * be NULL; `out` takes the outputs one after another. Returns 0; i + 1: target i is bad; -(i + 1): weight i; INT64_MIN: the rest. */
typedef int64_t (*fastloss_flat)(ptrdiff_t n, const void *z, const void *t, const void *w, void *out);

/* n consecutive elements. */
static inline fastloss_array fastloss_vector(const void *data, ptrdiff_t n, int type)
{
    const ptrdiff_t size = type <= FASTLOSS_U8                            ? 1
                           : type <= FASTLOSS_U16                         ? 2
                           : type <= FASTLOSS_U32 || type == FASTLOSS_F32 ? 4
                                                                          : 8;
    fastloss_array array = {(void *)data, size, size * n, type};
    return array;
}

/* Rows of n_columns consecutive elements, one row after the other. */
static inline fastloss_array fastloss_matrix(const void *data, ptrdiff_t n_columns, int type)
{
    fastloss_array array = fastloss_vector(data, 1, type);
    array.row_stride = array.column_stride * n_columns;
    return array;
}

#ifdef Py_PYTHON_H
/* The table; NULL with a Python error if fastloss is not there, or speaks another version. With the GIL. */
static inline const fastloss_api *fastloss_import(void)
{
    const fastloss_api *api = (const fastloss_api *)PyCapsule_Import("fastloss._kernels._c_api", 0);
    if (api && (api->version != FASTLOSS_API_VERSION || api->size < sizeof(fastloss_api))) {
        PyErr_Format(PyExc_ImportError,
                     "this extension was built for version %d of fastloss's C API, and version %d is installed",
                     FASTLOSS_API_VERSION, api->version);
        return NULL;
    }
    return api;
}
#endif

#ifdef __cplusplus
}
#endif

#endif
