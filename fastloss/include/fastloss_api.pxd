"""Losses of fastloss for Cython: `cimport fastloss_api`, with `fastloss.get_include()` as include path, of C too."""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

cdef extern from "fastloss_api.h" nogil:
    enum: FASTLOSS_API_VERSION
    enum: FASTLOSS_BOOL, FASTLOSS_I8, FASTLOSS_U8, FASTLOSS_I16, FASTLOSS_U16, FASTLOSS_I32, FASTLOSS_U32, FASTLOSS_I64
    enum: FASTLOSS_U64, FASTLOSS_F32, FASTLOSS_F64
    enum: FASTLOSS_EXACT, FASTLOSS_PSD, FASTLOSS_MAJORIZE, FASTLOSS_FISHER
    enum: FASTLOSS_DONE, FASTLOSS_BAD_TARGET, FASTLOSS_BAD_WEIGHT, FASTLOSS_NO_MEMORY, FASTLOSS_BAD_SIZE
    enum: FASTLOSS_BAD_ARRAY, FASTLOSS_NO_CURVATURE, FASTLOSS_NO_LOSS
    enum: FASTLOSS_POINTWISE, FASTLOSS_ROWWISE, FASTLOSS_COLUMNS, FASTLOSS_SETWISE

    ctypedef struct fastloss_array:
        void *data
        ptrdiff_t row_stride, column_stride
        int type

    ctypedef struct fastloss_call:
        size_t size
        ptrdiff_t n_rows, n_columns
        fastloss_array prediction, target, weight, value, gradient, hessian
        int target_is_by_column, mean, curvature, threads
        double value_sum, weight_sum
        ptrdiff_t place

    ctypedef struct fastloss_info:
        size_t size
        const char *name
        int kind
        ptrdiff_t n_columns

    ctypedef struct fastloss_loss:
        pass

    ctypedef struct fastloss_api:
        size_t size
        int version
        const char *isa
        fastloss_loss *(*find)(const char *text, char *message, size_t message_size) noexcept nogil
        fastloss_loss *(*from_object)(void *loss, char *message, size_t message_size) noexcept nogil
        void (*release)(fastloss_loss *loss) noexcept nogil
        int (*info)(const fastloss_loss *loss, fastloss_info *info) noexcept nogil
        int (*evaluate)(const fastloss_loss *loss, fastloss_call *call) noexcept nogil
        const char *(*message)(int status) noexcept nogil

    ctypedef int64_t (*fastloss_flat)(ptrdiff_t n, const void *z, const void *t, const void *w,
                                      void *out) noexcept nogil

    fastloss_array fastloss_vector(const void *data, ptrdiff_t n, int type) noexcept
    fastloss_array fastloss_matrix(const void *data, ptrdiff_t n_columns, int type) noexcept

cdef extern from "fastloss_api.h":
    const fastloss_api *fastloss_import() except NULL
