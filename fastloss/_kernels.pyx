# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True, embedsignature=True, binding=True
"""The compiled core: loss objects, the plain case of every call, and blocks of work on threads.

A call becomes a `fl_job` (csrc/fastloss.h): pointers, strides, coefficients. Plain NumPy arrays get there from here at
once; all others by way of `_call.prepare`. Both end in `run`, which takes a job through the passes of its loss.

Results do not depend on the number of threads: blocks have a size that follows from the shape alone, and their partials
are combined in their order.
"""

import os

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_New
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.float cimport FLT_MAX, FLT_MIN
from libc.math cimport NAN, copysign, fabs, frexp, ldexp
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport INT64_MIN, int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memset, strcmp, strncpy

cimport numpy as cnp
from fastloss_api cimport (
    FASTLOSS_API_VERSION,
    FASTLOSS_BAD_ARRAY,
    FASTLOSS_BAD_SIZE,
    FASTLOSS_BAD_TARGET,
    FASTLOSS_BAD_WEIGHT,
    FASTLOSS_DONE,
    FASTLOSS_NO_CURVATURE,
    FASTLOSS_NO_LOSS,
    FASTLOSS_NO_MEMORY,
    fastloss_api,
    fastloss_array,
    fastloss_call,
    fastloss_info,
    fastloss_loss,
    fastloss_matrix,
)

import numpy as np

from . import _arrays, _call, _complaints, _parameters, _threads, _traits

cnp.import_array()

cdef extern from "Python.h" nogil:
    int PyErr_CheckSignals()  # declared without `except`: what is allocated is freed before the error goes on
    ctypedef struct PyThreadState:
        pass
    PyThreadState *PyEval_SaveThread()
    long PyLong_AsLongAndOverflow(object, int *)
    void PyEval_RestoreThread(PyThreadState *)

cdef extern from "fastloss.h" nogil:
    enum: FL_BOOL, FL_I8, FL_U8, FL_I16, FL_U16, FL_I32, FL_U32, FL_I64, FL_U64, FL_F32, FL_F64, FL_F16, FL_BF16
    enum: FL_VALUE, FL_GRADIENT, FL_HESSIAN, FL_FULL_HESSIAN
    enum: FL_EXACT, FL_PSD, FL_MAJORIZE, FL_FISHER
    enum: FL_ANY, FL_UNIT_INTERVAL, FL_NONNEGATIVE, FL_POSITIVE, FL_OPEN_INTERVAL, FL_CLASSES
    enum: FL_POINTWISE, FL_ROWWISE, FL_COLUMNS, FL_SETWISE, FL_UNARY, FL_ROW_FUNCTION, FL_SEGMENTS
    enum: FL_NO_TARGET, FL_REAL_TARGET, FL_CLASS_TARGET
    enum: FL_DIAGONAL, FL_PACKED, FL_PRODUCT
    enum: FL_COEFFICIENTS, FL_ONE_A_COLUMN, FL_PASSES
    enum: FL_WEIGHT_SUM, FL_LARGEST_WEIGHT, FL_CHECK_NUMBERS

    ctypedef struct fl_array:
        char *data
        ptrdiff_t outer, classes, inner
        int type

    ctypedef struct fl_segments:
        ptrdiff_t n_rows, n_segments, n_blocks
        const int64_t *order
        const double *weight
        const double *lower
        const double *upper
        const int64_t *segment
        const int64_t *block
        const int64_t *n_events
        const uint8_t *begins
        double *workspace

    ctypedef struct fl_job:
        ptrdiff_t n_outer, n_classes, n_inner
        fl_array prediction, target, weight, pos_weight, value, gradient, hessian
        const double *coefficients
        double scale, weight_unit
        int n_coefficients, mean, fresh, want, curvature, stream, check_target, domain, soft
        const double *class_weight
        double label_smoothing
        int has_ignore_index
        long long ignore_index
        int full
        fl_array vector
        char *scratch
        char *shared
        ptrdiff_t row
        int by_row
        const fl_segments *segments
        uint64_t float_state
        double total, weight_sum
        double *set_values
        ptrdiff_t bad

    ctypedef ptrdiff_t (*fl_block)(const fl_job *, ptrdiff_t, ptrdiff_t, double *) noexcept nogil
    ctypedef ptrdiff_t (*fl_size)(const fl_job *) noexcept nogil
    ctypedef void (*fl_combine)(fl_job *, const double *, ptrdiff_t) noexcept nogil

    ctypedef struct fl_pass:
        fl_block block
        fl_combine combine
        fl_size width
        int wants

    ctypedef struct fl_pieces:
        ptrdiff_t size, piece, whole
        fl_size scratch, shared
        fl_pass passes[4]

    ctypedef struct fl_loss:
        const char *name
        int kind, target, domain, n_coefficients, n_columns, outputs
        fl_block check
        fl_pass passes[4]
        fl_size scratch, shared
        const fl_pieces *(*pieces)(const fl_job *) noexcept nogil
        ptrdiff_t (*start)(fl_job *) noexcept nogil

    ctypedef struct fl_columns:
        const double *data
        const int32_t *rows
        const int64_t *starts
        const int64_t *which
        ptrdiff_t n_rows, first, n

    ctypedef struct fl_descent:
        fl_columns x
        double *coef
        const double *l1
        const double *l2
        const double *limit
        const double *sum
        const double *curvature
        double *slope
        const double *h
        double shift, total

    ctypedef struct fl_ascent:
        fl_columns x
        int64_t *order
        ptrdiff_t n_moving
        const double *low
        const double *high
        const double *kink
        const double *curvature
        const double *along
        double *dual
        double *coef
        double flat, l2, of_constant, constant, sum, centre, of_centre, bound
        uint64_t state

    ctypedef struct fl_class_ascent:
        fl_columns x
        int64_t *order
        ptrdiff_t n_moving, n_classes, stride
        const int64_t *target
        const double *weight
        const double *curvature
        const double *along
        const double *offset
        double *dual
        double *coef
        const double *constant
        double *sum
        double *centre
        double *scratch
        double margin, l2, of_constant, of_centre
        uint64_t state

    ctypedef struct fl_column_kernels:
        void (*products)(const fl_columns *, const double *, double *) noexcept nogil
        void (*moments)(const fl_columns *, const double *, double *, double *) noexcept nogil
        void (*scores)(const fl_columns *, const double *, double *) noexcept nogil
        double (*descend)(fl_descent *) noexcept nogil
        void (*add_squares)(const fl_columns *, const double *, double *, ptrdiff_t) noexcept nogil
        double (*ascend)(fl_ascent *, int) noexcept nogil
        double (*ascend_classes)(fl_class_ascent *, int) noexcept nogil

    ctypedef struct fl_kernels:
        const char *isa
        const fl_loss *const *losses
        void (*turn)(char *, ptrdiff_t, const char *, ptrdiff_t, ptrdiff_t, ptrdiff_t) noexcept nogil
        fl_column_kernels columns

    ptrdiff_t fl_bad_weight(ptrdiff_t place)
    ptrdiff_t fl_workspace(ptrdiff_t n_rows, ptrdiff_t n_segments, ptrdiff_t n_blocks)
    const char *fl_isa(int index)
    const fl_kernels *fl_select(const char *isa, int real_bits)
    ptrdiff_t fl_last_level_cache()
    void fl_survive_fork()
    int fl_threads_lost()
    uint64_t fl_float_state()
    uint64_t fl_set_float_state(uint64_t state)

cdef extern from *:
    """
    #ifdef _OPENMP
    #include <omp.h>
    #define FL_OPENMP _OPENMP
    static int fl_max_threads(void) { return omp_get_max_threads(); }
    static int fl_in_parallel(void) { return omp_in_parallel(); }
    static int fl_thread(void) { return omp_get_thread_num(); }
    #else
    #define FL_OPENMP 0
    static int fl_max_threads(void) { return 1; }
    static int fl_in_parallel(void) { return 0; }
    static int fl_thread(void) { return 0; }
    #endif
    #ifdef __clang__
    #define FL_COMPILER "Clang " __clang_version__
    #elif defined(__GNUC__)
    #define FL_COMPILER "GCC " __VERSION__
    #else
    #define FL_COMPILER "unknown"
    #endif
    /* Not Cython's prange: where that does not know whether the GIL is held, it asks Python, and CPython before 3.12
     * gives the wrong answer once there has been a sub-interpreter in the process. */
    static void fl_on_threads(void (*work)(const void *, ptrdiff_t, int), const void *what, ptrdiff_t start,
                              ptrdiff_t stop, int threads)
    {
        (void)threads;
    #ifdef _OPENMP
    #pragma omp parallel for num_threads(threads) schedule(static)
    #endif
        for (ptrdiff_t i = start; i < stop; i++) work(what, i, fl_thread());
    }
    /* So many runs of bytes, a step apart, into the caches: processors do not see where the next one is. */
    static void fl_fetch(const char *at, ptrdiff_t step, ptrdiff_t n, ptrdiff_t bytes)
    {
        for (ptrdiff_t k = 0; k < n; k++, at += step) {
            const char *line = at - (uintptr_t)at % 64;
            for (; line < at + bytes; line += 64) __builtin_prefetch(line);
        }
    }
    """
    int FL_OPENMP
    const char *FL_COMPILER
    void fl_fetch(const char *at, ptrdiff_t step, ptrdiff_t n, ptrdiff_t bytes) nogil
    int fl_max_threads() nogil
    int fl_in_parallel() nogil
    void fl_on_threads(void (*work)(const void *, ptrdiff_t, int) noexcept nogil, const void *what, ptrdiff_t start,
                       ptrdiff_t stop, int threads) noexcept nogil

# Elements of one block: large enough that starting it costs nothing, small enough that two threads end together.
cdef enum:
    BLOCK = 16384
    LONG_BLOCK_ROWS = 8  # rows longer than half a block: some together, because their reads and writes overlap
    # Threads pay beyond this many elements: a team that has gone to sleep takes up to 80 microseconds to start
    # (benchmarks/core.py), which is what these take.
    PARALLEL_ELEMENTS = 131072
    # Below so many the GIL is kept: to let go of it and take it again costs as much as such a call.
    ELEMENTS_WITH_GIL = 1024
    # Float targets up to this many bytes are checked before anything is written: they stay in the cache. Larger ones
    # are checked on the way, for reading them twice would cost a third of the speed.
    CHECK_FIRST_BYTES = 8388608
    INTERRUPTIBLE = 2097152  # elements of a thread: milliseconds, beside which a new parallel region is nothing
    STACK_BYTES = 51200
    # Rows of more classes that do not follow each other are turned: brought one after the other into scratch. They stay
    # in the second level, if a block does; else there are no more of them than this many bytes.
    TURNED_CLASSES = 64
    TURNED_BYTES = 262144
    MOST_TURNED_BYTES = 1048576
    TURNED_ROWS = 16  # at least, so that a cache line is fetched once
    TURNED_TOGETHER = 16  # classes, so that what is read or written stays in the first level
    TURNED_AHEAD = 4096  # bytes that are fetched meanwhile
    TURNED_ARRAYS = 4

cdef ptrdiff_t last_level_cache = fl_last_level_cache()


# ---------------------------------------------------------------------------------------- instruction sets

cdef list runnable_isas():
    cdef list found = []
    while fl_isa(<int>len(found)) != NULL:
        found.append(fl_isa(<int>len(found)).decode())
    return found


def _choose_isa():
    possible = runnable_isas()
    forced = os.environ.get("FASTLOSS_ISA")
    if not possible:
        raise ImportError("this build of fastloss holds no kernels that run on this processor: build it anew here")
    if forced and forced not in possible:
        raise ImportError(
            f"FASTLOSS_ISA={forced!r} cannot be used: this build on this processor runs {', '.join(possible)}"
        )
    return forced or possible[0]


cdef str isa = _choose_isa()
cdef const fl_kernels *kernels32 = fl_select(isa.encode(), 32)
cdef const fl_kernels *kernels64 = fl_select(isa.encode(), 64)
fl_survive_fork()


def config():
    """What was built and what is used: instruction sets, OpenMP (its date, or None), compiler, cache size."""
    return {
        "isa": isa,
        "isas": runnable_isas(),
        "openmp": FL_OPENMP or None,
        "compiler": FL_COMPILER.decode(),
        "last_level_cache": last_level_cache,
    }


cdef int choose_threads() except -1:
    """Threads of a large call: one without OpenMP, inside a parallel region, or in a forked child that has none."""
    return 1 if not FL_OPENMP or fl_threads_lost() or fl_in_parallel() else _threads.choose(fl_max_threads())


def get_num_threads():
    """Return the number of threads that a large call would use now.

    Small calls always use one thread. The results are the same bits for any number.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.get_num_threads() >= 1
    True
    """
    return choose_threads()


# ------------------------------------------------------------------------------------------------- running jobs

# How a run ends.
cdef enum:
    DONE, BAD_TARGET, BAD_WEIGHT, NO_MEMORY, STOPPED

# Rows of classes that are turned.
ctypedef struct Turned:
    ptrdiff_t kernel_scratch  # bytes, behind which the rows begin
    fl_job *job  # with the arrays as they lie
    fl_job *jobs  # of a group of rows that are taken in pieces; NULL: rows are whole
    ptrdiff_t n_rows, first_row  # of the group
    ptrdiff_t n_classes, piece, width
    ptrdiff_t rows_of_item  # 0: an item of a pass is a piece of all rows; else all pieces of so many rows
    ptrdiff_t part, n_parts  # classes whose sums are one partial

# Rows and classes of a job, and numbers in memory: bytes from row to row, and from class to class.
ctypedef struct Part:
    ptrdiff_t first, n, first_class, n_classes

ctypedef struct Grid:
    char *data
    ptrdiff_t row, by_class

# What is done once a block, of one pass.
ctypedef struct Blocks:
    ptrdiff_t items, size, n, width, scratch_size
    ptrdiff_t numbers  # to calculate for each item
    int threads
    bint lets_gil_go  # that the caller holds, while blocks are computed; and signals are looked at
    char *scratch
    double *partials
    ptrdiff_t *bad
    ptrdiff_t together  # blocks that a thread takes at once
    const Turned *turned  # NULL: arrays are taken as they lie


cdef void run_block(fl_block block, const fl_job *job, const Blocks *blocks, ptrdiff_t b,
                    char *scratch) noexcept nogil:
    cdef fl_job own = job[0]
    cdef ptrdiff_t first = b * blocks.size
    own.scratch = scratch
    blocks.bad[b] = block(&own, first, min(blocks.size, blocks.items - first), blocks.partials + b * blocks.width)


# What a team of threads runs.
ctypedef struct Team:
    fl_block block
    const fl_job *job
    const Blocks *blocks
    ptrdiff_t start, stop


cdef bint follow_each_other(const fl_array *array, const fl_job *job) noexcept nogil:
    """Whether the classes of a row do, and rows are numbered along one axis; or there is no such array."""
    return array.data == NULL or (job.n_inner == 1 and array.classes == bytes_of_type(array.type))


cdef bint is_turned(const fl_job *job, const fl_loss *loss) noexcept nogil:
    """Whether rows take the road of those whose classes follow each other, for theirs do not."""
    return (
        job.n_classes > TURNED_CLASSES
        and (loss.kind == FL_ROWWISE or loss.kind == FL_ROW_FUNCTION)
        and job.full == FL_DIAGONAL
        and (loss.pieces != NULL or not (job.soft or job.label_smoothing > 0))
        and not (
            follow_each_other(&job.prediction, job)
            and (not job.soft or follow_each_other(&job.target, job))
            and follow_each_other(&job.gradient, job)
            and follow_each_other(&job.hessian, job)
        )
    )


cdef int arrays_of_classes(fl_job *job, fl_array **arrays) noexcept nogil:
    """Those with a number for each class, which is `TURNED_ARRAYS` at most: inputs, then outputs."""
    arrays[0], arrays[1] = &job.prediction, &job.target
    arrays[2], arrays[3] = &job.gradient, &job.hessian
    if not job.soft:
        arrays[1] = NULL
    return TURNED_ARRAYS


cdef ptrdiff_t turned_pitch(int type, ptrdiff_t n_classes) noexcept nogil:
    """Bytes from row to row: an odd number of cache lines, so that rows do not compete for places in a cache."""
    return ((n_classes * bytes_of_type(type) + 63) // 64 | 1) * 64


cdef bint goes_in_place(const fl_job *job) noexcept nogil:
    """Whether the gradient takes the place of the predictions, which are turned, too."""
    return (
        not follow_each_other(&job.prediction, job)
        and bytes_of_type(job.prediction.type) == bytes_of_type(job.gradient.type)
    )


cdef Part part_of(ptrdiff_t first, ptrdiff_t n, ptrdiff_t first_class, ptrdiff_t n_classes) noexcept nogil:
    cdef Part part
    part.first, part.n, part.first_class, part.n_classes = first, n, first_class, n_classes
    return part


cdef ptrdiff_t lay_turned(fl_job *own, const fl_job *job, Part part, char *room) noexcept nogil:
    """Lay these rows and classes of all arrays that are turned into `room`; return how many bytes they take."""
    cdef fl_array *arrays[TURNED_ARRAYS]
    cdef ptrdiff_t taken = 0, pitch
    cdef int i
    cdef fl_array *array
    for i in range(arrays_of_classes(own, arrays)):
        array = arrays[i]
        if array == NULL or follow_each_other(array, job):
            continue
        if array == &own.gradient and goes_in_place(job):
            own.gradient.data, own.gradient.outer = own.prediction.data, own.prediction.outer
        else:
            pitch = turned_pitch(array.type, part.n_classes)
            array.data = room + taken - part.first * pitch - part.first_class * bytes_of_type(array.type)
            array.outer = pitch
            taken += part.n * pitch
        array.classes = bytes_of_type(array.type)
        array.inner = array.outer
    own.by_row = 1
    return taken


cdef void turn_plain(const Grid *to, const Grid *source, ptrdiff_t n, ptrdiff_t n_classes,
                     ptrdiff_t size) noexcept nogil:
    """Copy rows of any strides, some at a time."""
    cdef ptrdiff_t start = 0, k, _i
    cdef char *at
    cdef const char *element
    while start < n:
        for k in range(n_classes):
            at = to.data + start * to.row + k * to.by_class
            element = source.data + start * source.row + k * source.by_class
            for _i in range(min(TURNED_ROWS, n - start)):
                if size == 2:
                    memcpy(at, element, 2)
                elif size == 1:
                    memcpy(at, element, 1)
                else:
                    memcpy(at, element, size)
                at += to.row
                element += source.row
        start += TURNED_ROWS


cdef void turn_run(const Grid *turned, const Grid *given, ptrdiff_t n, ptrdiff_t n_classes, ptrdiff_t size,
                   bint back) noexcept nogil:
    """Turn rows that lie a stride apart, or back."""
    cdef const fl_kernels *kernels = kernels64 if size == 8 else kernels32
    cdef ptrdiff_t k = 0, step = given.by_class, some, fetched = 0, end
    if size < 4 or given.row != size or given.by_class % size != 0:
        if back:
            turn_plain(given, turned, n, n_classes, size)
        else:
            turn_plain(turned, given, n, n_classes, size)
        return
    while k < n_classes:
        some = min(TURNED_TOGETHER, n_classes - k)
        end = min(n_classes, k + some + max(TURNED_TOGETHER, TURNED_AHEAD // (n * size)))
        fl_fetch(given.data + fetched * step, step, end - fetched, n * size)
        fetched = end
        if back:
            kernels.turn(given.data + k * step, step, turned.data + k * size, turned.row, some, n)
        else:
            kernels.turn(turned.data + k * size, turned.row, given.data + k * step, step, n, some)
        k += some


cdef void turn_rows(const fl_array *turned, const fl_array *array, const fl_job *job, const Part *part,
                    bint back) noexcept nogil:
    """Bring rows from an array to where they follow each other, or back."""
    cdef ptrdiff_t done = 0, row, column, run, size = bytes_of_type(array.type)
    cdef Grid here, there
    here.row, here.by_class, there.by_class = turned.outer, size, array.classes
    there.row = array.outer if job.n_inner == 1 else array.inner
    while done < part.n:
        row, column = (part.first + done) // job.n_inner, (part.first + done) % job.n_inner
        run = part.n - done
        if job.n_inner > 1:
            run = min(run, job.n_inner - column)
        here.data = turned.data + (part.first + done) * turned.outer + part.first_class * size
        there.data = array.data + row * array.outer + column * array.inner + part.first_class * array.classes
        turn_run(&here, &there, run, part.n_classes, size, back)
        done += run


cdef void turn_arrays(fl_job *own, fl_job *job, Part part, bint back) noexcept nogil:
    """Bring the inputs of rows to where `own` has them, or its outputs back."""
    cdef fl_array *arrays[TURNED_ARRAYS]
    cdef fl_array *turned[TURNED_ARRAYS]
    cdef int i
    arrays_of_classes(own, turned)
    for i in range(arrays_of_classes(job, arrays)):
        if arrays[i] != NULL and not follow_each_other(arrays[i], job) and (i >= TURNED_ARRAYS // 2) == back:
            turn_rows(turned[i], arrays[i], job, &part, back)


cdef void run_turned_blocks(fl_block block, const fl_job *job, const Blocks *blocks, ptrdiff_t start, ptrdiff_t stop,
                            char *scratch) noexcept nogil:
    """Blocks of whole rows."""
    cdef fl_job own = job[0], given = job[0]
    cdef ptrdiff_t first = start * blocks.size, n = min(stop * blocks.size, blocks.items) - first, b
    cdef Part part = part_of(first, n, 0, job.n_classes)
    lay_turned(&own, job, part, scratch + blocks.turned.kernel_scratch)
    turn_arrays(&own, &given, part, False)
    for b in range(start, stop):
        run_block(block, &own, blocks, b, scratch)
        if blocks.bad[b] >= 0:
            return
    turn_arrays(&own, &given, part, True)


cdef ptrdiff_t run_turned_piece(fl_block block, const Turned *turned, ptrdiff_t start, ptrdiff_t stop, ptrdiff_t k,
                                double *partials, char *scratch) noexcept nogil:
    """A piece, from class k on, of rows start to stop of the group. The place of the first that is bad, or -1."""
    cdef fl_job together = turned.jobs[start], own
    cdef ptrdiff_t n_classes = min(turned.piece, turned.n_classes - k), bad = -1, found, r
    cdef Part part = part_of(turned.first_row + start, stop - start, k, n_classes)
    together.prediction = turned.job.prediction  # of all rows
    lay_turned(&together, turned.job, part, scratch + turned.kernel_scratch)
    turn_arrays(&together, turned.job, part, False)
    for r in range(start, stop):
        own = turned.jobs[r]
        own.scratch, own.by_row = scratch, 1
        own.prediction, own.gradient, own.hessian = together.prediction, together.gradient, together.hessian
        if own.soft:
            own.target = together.target
        found = block(&own, k, n_classes, partials + (r * turned.n_parts + k // turned.part) * turned.width)
        if found >= 0 and (bad < 0 or found < bad):
            bad = found
    if bad < 0:
        turn_arrays(&together, turned.job, part, True)
    return bad


cdef void run_turned_item(fl_block block, const Blocks *blocks, ptrdiff_t b, char *scratch) noexcept nogil:
    """Of a group of rows in pieces: one of them, or all those of some rows."""
    cdef const Turned *turned = blocks.turned
    cdef ptrdiff_t start = b * turned.rows_of_item, k = 0, found
    if turned.rows_of_item == 0:
        blocks.bad[b] = run_turned_piece(block, turned, 0, turned.n_rows, b * turned.piece, blocks.partials, scratch)
        return
    blocks.bad[b] = -1
    while k < turned.n_classes:
        found = run_turned_piece(block, turned, start, min(start + turned.rows_of_item, turned.n_rows), k,
                                 blocks.partials, scratch)
        if found >= 0 and (blocks.bad[b] < 0 or found < blocks.bad[b]):
            blocks.bad[b] = found
        k += turned.piece


cdef void run_some(fl_block block, const fl_job *job, const Blocks *blocks, ptrdiff_t start, ptrdiff_t stop,
                   char *scratch) noexcept nogil:
    """As many blocks as a thread takes at once."""
    if blocks.turned == NULL:
        run_block(block, job, blocks, start, scratch)
    elif blocks.turned.jobs == NULL:
        run_turned_blocks(block, job, blocks, start, stop, scratch)
    else:
        run_turned_item(block, blocks, start, scratch)


cdef void run_some_on_thread(const void *what, ptrdiff_t i, int thread) noexcept nogil:
    """Those on one of a team of threads, of which only one is the caller's and in the state that it has chosen."""
    cdef const Team *team = <const Team *>what
    cdef ptrdiff_t start = team.start + i * team.blocks.together
    cdef uint64_t float_state = fl_set_float_state(team.job.float_state)
    run_some(team.block, team.job, team.blocks, start, min(start + team.blocks.together, team.stop),
             team.blocks.scratch + thread * team.blocks.scratch_size)
    fl_set_float_state(float_state)


cdef void run_blocks(fl_block block, const fl_job *job, const Blocks *blocks, ptrdiff_t start,
                     ptrdiff_t stop) noexcept nogil:
    cdef PyThreadState *caller = NULL
    cdef Team team
    if blocks.lets_gil_go:  # by hand, for the caller may do without it
        caller = PyEval_SaveThread()
    if blocks.threads == 1:
        while start < stop:
            run_some(block, job, blocks, start, min(start + blocks.together, stop), blocks.scratch)
            start += blocks.together
    else:
        team.block, team.job, team.blocks, team.start, team.stop = block, job, blocks, start, stop
        fl_on_threads(run_some_on_thread, &team, 0, (stop - start - 1) // blocks.together + 1, blocks.threads)
    if blocks.lets_gil_go:
        PyEval_RestoreThread(caller)


cdef int run_pass(fl_block block, fl_job *job, const Blocks *blocks) noexcept nogil:
    """Run all blocks of a pass. STOPPED if KeyboardInterrupt, or whatever a signal's handler raises, has ended it."""
    cdef ptrdiff_t start = 0, at_once = blocks_at_once(blocks), b, first_weight = -1
    while start < blocks.n:
        if start > 0 and blocks.lets_gil_go and PyErr_CheckSignals() < 0:
            return STOPPED
        run_blocks(block, job, blocks, start, min(start + at_once, blocks.n))
        start += at_once
    for b in range(blocks.n):
        if 0 <= blocks.bad[b] < fl_bad_weight(0):
            job.bad = blocks.bad[b]
            return BAD_TARGET
        if blocks.bad[b] >= 0 and first_weight < 0:
            first_weight = blocks.bad[b]
    if first_weight < 0:
        return DONE
    job.bad = first_weight - fl_bad_weight(0)
    return BAD_WEIGHT


cdef ptrdiff_t elements_of_row(const fl_job *job) noexcept nogil:
    """Numbers to calculate for each row."""
    return job.n_classes * (job.n_classes + 1) // 2 if job.full == FL_PACKED else job.n_classes


cdef ptrdiff_t blocks_at_once(const Blocks *blocks) noexcept nogil:
    """Blocks between two looks at the signals: Ctrl-C must not have to wait for a call that takes seconds."""
    cdef ptrdiff_t at_once = INTERRUPTIBLE // (blocks.size * blocks.numbers)
    return blocks.threads * (at_once if at_once > 1 else 1)


cdef ptrdiff_t item_size(int type) noexcept nogil:
    """Bytes of a real number."""
    return 8 if type == FL_F64 else 4 if type == FL_F32 else 2


cdef ptrdiff_t bytes_of_type(int type) noexcept nogil:
    """Bytes of a number of any type."""
    if type == FL_F64 or type == FL_I64 or type == FL_U64:
        return 8
    if type == FL_F32 or type == FL_I32 or type == FL_U32:
        return 4
    return 1 if type == FL_BOOL or type == FL_I8 or type == FL_U8 else 2


cdef bint goes_around_caches(const fl_job *job) noexcept nogil:
    """Whether outputs are too large to be found in the caches by whoever reads them next."""
    cdef ptrdiff_t elements = job.n_outer * job.n_classes * job.n_inner, outputs = 0
    if job.gradient.data != NULL and job.gradient.data != job.prediction.data:
        outputs += item_size(job.gradient.type)
    if job.hessian.data != NULL:
        outputs += item_size(job.hessian.type)
    return outputs > 0 and (outputs + item_size(job.prediction.type)) * elements >= last_level_cache // 2


cdef ptrdiff_t items_of_block(const fl_job *job) noexcept nogil:
    """Elements or rows of a block; of segments, what was made a block of."""
    cdef ptrdiff_t size = BLOCK // job.n_classes, n_rows = job.n_outer * job.n_inner
    if job.segments != NULL:
        return 1
    if 0 < size < 256 and job.prediction.classes > item_size(job.prediction.type):
        # Where a class of neighbouring rows lies in one piece, more of them, if there is enough for all threads.
        size *= max(1, min(n_rows // size // 16, 256 // size))
    return round_block(size, n_rows)


cpdef ptrdiff_t block_items(ptrdiff_t n_classes, ptrdiff_t n_items) noexcept nogil:
    """Elements of a block, or rows whose classes lie side by side."""
    return round_block(BLOCK // n_classes, n_items)


cdef ptrdiff_t round_block(ptrdiff_t size, ptrdiff_t n_items) noexcept nogil:
    if size >= 256:
        return size // 256 * 256
    if size < LONG_BLOCK_ROWS:
        return LONG_BLOCK_ROWS if n_items >= 8 * LONG_BLOCK_ROWS else 1
    return size


cdef int domain_of(const fl_job *job, const fl_loss *loss) noexcept nogil:
    """The domain of targets; of classes, with the number of the last one."""
    return loss.domain + (job.n_coefficients if loss.domain == FL_CLASSES else 0)


cdef bint needs_check(fl_job *job, const fl_loss *loss) noexcept nogil:
    """Whether targets and weights are gone through before the first pass; what of them, the job says."""
    cdef ptrdiff_t bytes_of_all = job.n_outer * job.n_classes * job.n_inner * item_size(job.prediction.type)
    # Float targets are checked on the way where nothing can be spoilt, or where reading them twice would cost too much.
    cdef bint by_class = loss.target == FL_CLASS_TARGET and not job.soft
    cdef bint float_targets = not by_class and loss.domain != FL_ANY
    cdef bint check_first = float_targets and not job.fresh and bytes_of_all <= CHECK_FIRST_BYTES
    job.domain = domain_of(job, loss)
    # A row of probabilities is long, a target of a row of numbers is looked at with its weight.
    job.check_target = float_targets and (check_first or loss.kind == FL_COLUMNS)
    return loss.check != NULL and (job.weight.data != NULL or by_class or check_first)


cdef int run_check(fl_job *job, const fl_loss *loss, Blocks *blocks) noexcept nogil:
    """Check, and add up the weights: in another unit if the scale of those of a mean is out of all proportion."""
    cdef double largest
    cdef ptrdiff_t b
    cdef int status, exponent
    while True:
        blocks.width = FL_CHECK_NUMBERS
        blocks.bad = <ptrdiff_t *>(blocks.partials + blocks.n * blocks.width)
        status = run_pass(loss.check, job, blocks)
        if status != DONE:
            return status
        job.weight_sum = largest = 0
        for b in range(blocks.n):
            job.weight_sum += blocks.partials[b * blocks.width + FL_WEIGHT_SUM]
            largest = max(largest, blocks.partials[b * blocks.width + FL_LARGEST_WEIGHT])
        if not job.mean or job.weight_unit != 1 or largest == 0 or 1e-10 < largest < 1e10:
            return DONE
        frexp(largest, &exponent)
        job.weight_unit = ldexp(1, max(-1000, min(-exponent, 1000)))


cdef int run_each_pass(fl_job *job, const fl_pass *passes, Blocks *blocks) noexcept nogil:
    cdef int status, i
    cdef const fl_pass *each
    for i in range(FL_PASSES):
        each = &passes[i]
        if each.block == NULL or (each.wants and not each.wants & job.want):
            continue
        blocks.width = 1 if each.width == NULL else each.width(job)
        blocks.bad = <ptrdiff_t *>(blocks.partials + blocks.n * blocks.width)
        status = run_pass(each.block, job, blocks)
        if status != DONE:
            return status
        if each.combine != NULL:
            each.combine(job, blocks.partials, blocks.n)
    return DONE


cdef int run_rows_in_pieces(fl_job *job, const fl_loss *loss, const fl_pieces *pieces, Blocks *blocks) noexcept nogil:
    """One row after the other; values are added up as in blocks of whole rows."""
    cdef double total = 0, of_block = 0
    cdef ptrdiff_t rows = blocks.size
    cdef int status
    cut(blocks, job.n_classes, pieces.size, 1)
    for job.row in range(job.n_outer):
        if job.row % rows == 0:
            total += of_block
            of_block = 0
        job.total = 0
        job.bad = loss.start(job)
        if job.bad >= 0:
            return BAD_TARGET
        status = run_each_pass(job, pieces.passes, blocks)
        if status != DONE:
            return status
        of_block += job.total
    job.total = total + of_block
    return DONE


cdef int start_group(const fl_job *job, const fl_loss *loss, Turned *turned, ptrdiff_t first,
                     ptrdiff_t shared) noexcept nogil:
    """Start as many rows from the first one on as are turned together."""
    cdef ptrdiff_t r, row
    cdef fl_job *own
    turned.first_row, turned.n_rows = first, min(TURNED_ROWS, job.n_outer * job.n_inner - first)
    for r in range(turned.n_rows):
        row = first + r
        own = &turned.jobs[r]
        own[0] = job[0]
        own.row, own.shared, own.total = row, job.shared + r * shared, 0
        own.prediction.data += row // job.n_inner * job.prediction.outer + row % job.n_inner * job.prediction.inner
        own.prediction.outer = own.prediction.inner = 0
        own.bad = loss.start(own)
        if own.bad >= 0:
            turned.job.bad = own.bad
            return BAD_TARGET
    return DONE


cdef int run_turned_pass(const fl_pass *each, Turned *turned, const fl_pieces *pieces, Blocks *blocks) noexcept nogil:
    cdef ptrdiff_t b, bad = -1, r
    cdef int status
    turned.part = turned.piece
    turned.rows_of_item = 0
    turned.width = 1
    if each.width == NULL:
        cut(blocks, turned.n_classes, turned.piece, turned.n_rows)
    else:  # a row's sums go on from piece to piece
        turned.width = each.width(turned.job)
        turned.part = turned.n_classes if turned.n_classes <= pieces.whole else pieces.size
        turned.rows_of_item = (turned.n_rows - 1) // blocks.threads + 1
        cut(blocks, turned.n_rows, turned.rows_of_item, turned.n_classes)
    turned.n_parts = (turned.n_classes - 1) // turned.part + 1
    blocks.bad = <ptrdiff_t *>(blocks.partials + turned.n_rows * turned.n_parts * turned.width)
    status = run_pass(each.block, turned.job, blocks)
    if status != DONE:
        for b in range(blocks.n):
            if blocks.bad[b] >= 0 and (bad < 0 or blocks.bad[b] < bad):
                bad = turned.job.bad = blocks.bad[b]
        return status
    if each.combine == NULL:
        return DONE
    for r in range(turned.n_rows):
        each.combine(&turned.jobs[r], blocks.partials + r * turned.n_parts * turned.width, turned.n_parts)
    return DONE


cdef int run_turned_pieces(fl_job *job, const fl_loss *loss, const fl_pieces *pieces, Blocks *blocks,
                           Turned *turned) noexcept nogil:
    """A group of rows after the other; values are added up as in blocks of whole rows."""
    cdef double total = 0, of_block = 0
    cdef ptrdiff_t rows = blocks.size, first = 0, r, shared = bytes_of(pieces.shared, job)
    cdef int status, i
    cdef const fl_pass *each
    turned.piece = pieces.piece
    while first < job.n_outer * job.n_inner:
        if first > 0 and blocks.lets_gil_go and PyErr_CheckSignals() < 0:
            return STOPPED
        status = start_group(job, loss, turned, first, shared)
        for i in range(FL_PASSES):
            each = &pieces.passes[i]
            if status == DONE and each.block != NULL and not (each.wants and not each.wants & job.want):
                status = run_turned_pass(each, turned, pieces, blocks)
        if status != DONE:
            return status
        for r in range(turned.n_rows):
            if (first + r) % rows == 0:
                total += of_block
                of_block = 0
            of_block += turned.jobs[r].total
        first += turned.n_rows
    job.total = total + of_block
    return DONE


cdef int run_turned(fl_job *job, const fl_loss *loss, const fl_pieces *pieces, Blocks *blocks,
                    Turned *turned) noexcept nogil:
    """Rows whose classes do not follow each other, on the road of those whose classes do."""
    turned.job, turned.n_classes = job, job.n_classes
    if not (follow_each_other(&job.gradient, job) and follow_each_other(&job.hessian, job)):
        job.stream = 0
    blocks.turned = turned
    if pieces != NULL:
        return run_turned_pieces(job, loss, pieces, blocks, turned)
    blocks.together = turned.n_rows // blocks.size
    return run_each_pass(job, loss.passes, blocks)


cdef int run_passes(fl_job *job, const fl_loss *loss, const fl_pieces *pieces, Blocks *blocks,
                    Turned *turned) noexcept nogil:
    cdef int status
    job.weight_unit = 1
    job.weight_sum = <double>blocks.items
    if needs_check(job, loss):
        status = run_check(job, loss, blocks)
        if status == BAD_WEIGHT and not job.check_target and loss.target == FL_REAL_TARGET:
            job.check_target = 1  # a bad target comes before a bad weight
            status = run_check(job, loss, blocks)
        if status != DONE:
            return status
        job.check_target = loss.target != FL_NO_TARGET and not job.check_target
    else:
        job.check_target = 1
    if job.mean:
        job.scale = 1 / job.weight_sum if job.weight_sum > 0 else 0
    job.stream = goes_around_caches(job)
    if turned != NULL:
        status = run_turned(job, loss, pieces, blocks, turned)
    elif pieces != NULL:
        status = run_rows_in_pieces(job, loss, pieces, blocks)
    else:
        status = run_each_pass(job, loss.passes, blocks)
    if status != DONE:
        return status
    if job.mean:
        job.total = job.total / job.weight_sum if job.weight_sum > 0 else NAN
    return DONE


# What a stream has added up so far: numbers of the weights, then the partial of the first pass, as of a single block.
cdef enum:
    STREAM_WEIGHT_SUM, STREAM_LARGEST_WEIGHT, STREAM_WEIGHT_UNIT, STREAM_SUMS

# How a piece of a stream is run; `state` NULL: no stream.
ctypedef struct Stream:
    double *state
    ptrdiff_t block  # elements or rows
    bint only_check


cdef int check_piece(fl_job *job, const fl_loss *loss, Blocks *blocks, double *state) noexcept nogil:
    """Look at all targets and weights, and keep the largest weight; sets are looked at on the way."""
    cdef int status
    cdef ptrdiff_t b
    cdef bint on_the_way = loss.check == NULL
    job.check_target = loss.target != FL_NO_TARGET
    blocks.width = loss.passes[0].width(job) if on_the_way else FL_CHECK_NUMBERS
    blocks.bad = <ptrdiff_t *>(blocks.partials + blocks.n * blocks.width)
    status = run_pass(loss.passes[0].block if on_the_way else loss.check, job, blocks)
    if status != DONE or on_the_way:
        return status
    for b in range(blocks.n):
        state[STREAM_LARGEST_WEIGHT] = max(state[STREAM_LARGEST_WEIGHT],
                                           blocks.partials[b * blocks.width + FL_LARGEST_WEIGHT])
    return DONE


cdef int run_piece(fl_job *job, const fl_loss *loss, Blocks *blocks, const Stream *stream) noexcept nogil:
    """Go on with the sums of a stream, in the order in which a run over all of it would add them up."""
    cdef double *state = stream.state
    cdef int status
    cdef ptrdiff_t b, i
    job.weight_unit = state[STREAM_WEIGHT_UNIT]
    job.domain = domain_of(job, loss)
    if stream.only_check:
        return check_piece(job, loss, blocks, state)
    job.check_target = 0
    if loss.check != NULL and (job.weight.data != NULL or (loss.target == FL_CLASS_TARGET and not job.soft)):
        blocks.width = FL_CHECK_NUMBERS
        blocks.bad = <ptrdiff_t *>(blocks.partials + blocks.n * blocks.width)
        status = run_pass(loss.check, job, blocks)
        if status != DONE:
            return status
        for b in range(blocks.n):
            state[STREAM_WEIGHT_SUM] += blocks.partials[b * blocks.width + FL_WEIGHT_SUM]
    else:
        state[STREAM_WEIGHT_SUM] += <double>blocks.items
    blocks.width = 1 if loss.passes[0].width == NULL else loss.passes[0].width(job)
    blocks.bad = <ptrdiff_t *>(blocks.partials + blocks.n * blocks.width)
    job.check_target = 1  # as in a run: a block looks at its targets if nobody has
    status = run_pass(loss.passes[0].block, job, blocks)
    if status == DONE:
        for b in range(blocks.n):
            for i in range(blocks.width):
                state[STREAM_SUMS + i] += blocks.partials[b * blocks.width + i]
    return status


cdef void cut(Blocks *blocks, ptrdiff_t items, ptrdiff_t size, ptrdiff_t numbers) noexcept nogil:
    """Items in blocks of `size`, with so many numbers to calculate for each."""
    blocks.items, blocks.size, blocks.numbers = items, size, numbers
    blocks.n = (items + size - 1) // size


cdef int most_threads(int threads, ptrdiff_t n_blocks) noexcept nogil:
    return threads if threads < n_blocks else <int>n_blocks


cdef ptrdiff_t bytes_of(fl_size size, const fl_job *job) noexcept nogil:
    """In whole cache lines."""
    return 0 if size == NULL else (size(job) + 63) // 64 * 64


cdef ptrdiff_t widest(const fl_pass *passes, const fl_job *job) noexcept nogil:
    cdef ptrdiff_t width = FL_CHECK_NUMBERS
    cdef int i
    for i in range(FL_PASSES):
        if passes[i].width != NULL:
            width = max(width, passes[i].width(job))
    return width


cdef ptrdiff_t numbers_of_blocks(const fl_job *job, const fl_loss *loss, const fl_pieces *pieces,
                                 const Blocks *blocks, ptrdiff_t rows) noexcept nogil:
    """Partials of all blocks of any pass, and a place for each; in pieces, of so many rows at once."""
    if pieces == NULL:
        return blocks.n * (widest(loss.passes, job) + 1)
    return max(blocks.n, job.n_classes // (pieces.size if rows == 1 else pieces.piece) + rows) \
        * (rows * widest(pieces.passes, job) + 1)


cdef ptrdiff_t plan_turned(Turned *turned, const fl_job *job, Blocks *blocks, const fl_pieces *pieces) noexcept nogil:
    """How many rows are turned at once, and the bytes of scratch that they take; -1: too many."""
    cdef fl_job own = job[0]
    cdef ptrdiff_t of_row = lay_turned(&own, job, part_of(0, 1, 0, job.n_classes), NULL), n
    cdef ptrdiff_t of_block = of_row * blocks.size
    turned.jobs = NULL
    if pieces != NULL:
        own = job[0]
        return lay_turned(&own, job, part_of(0, TURNED_ROWS, 0, pieces.piece), NULL)
    if of_block > MOST_TURNED_BYTES:
        return -1
    n = min(TURNED_BYTES // of_block, blocks.n // (4 * blocks.threads))
    n = max(n, min((TURNED_ROWS - 1) // blocks.size + 1, MOST_TURNED_BYTES // of_block))
    turned.n_rows = max(n, 1) * blocks.size
    return turned.n_rows * of_row


cdef int run(fl_job *job, const fl_loss *loss, int threads, const Stream *stream, bint lets_gil_go) noexcept nogil:
    """Take a job through check and passes of its loss. A GIL that is held may be let go of meanwhile."""
    cdef Blocks blocks
    cdef Turned turned
    cdef char on_stack[STACK_BYTES]
    cdef char *memory = on_stack
    cdef ptrdiff_t needed, shared, rows = 1, of_turned = 0
    cdef const fl_pieces *pieces = NULL
    cdef int status
    cdef bint turns = stream == NULL and is_turned(job, loss)
    cdef fl_job as_turned
    cdef fl_job *asked = job  # as its blocks will be
    if turns:
        as_turned = job[0]
        lay_turned(&as_turned, job, part_of(0, 0, 0, job.n_classes), NULL)
        asked = &as_turned
    if stream == NULL and loss.pieces != NULL:
        pieces = loss.pieces(asked)
    blocks.lets_gil_go = lets_gil_go
    blocks.together, blocks.turned = 1, NULL
    cut(&blocks, job.n_outer * job.n_inner, items_of_block(asked) if stream == NULL else stream.block,
        elements_of_row(job))
    blocks.threads = most_threads(threads, blocks.n if pieces == NULL else max(blocks.n, job.n_classes // pieces.size))
    if turns:
        of_turned = plan_turned(&turned, job, &blocks, pieces)
        if of_turned < 0:
            turns, asked, of_turned = False, job, 0
            cut(&blocks, blocks.items, items_of_block(job), blocks.numbers)
        elif pieces != NULL:
            rows = TURNED_ROWS
            blocks.threads = threads
    turned.kernel_scratch = bytes_of(loss.scratch if pieces == NULL else pieces.scratch, asked)
    blocks.scratch_size = turned.kernel_scratch + of_turned
    shared = bytes_of(loss.shared if pieces == NULL else pieces.shared, asked) * rows
    needed = blocks.scratch_size * blocks.threads + shared \
        + 8 * numbers_of_blocks(job, loss, pieces, &blocks, rows) + 64
    if turns:
        needed += rows * <ptrdiff_t>sizeof(fl_job)
    if needed > STACK_BYTES:
        memory = <char *>PyMem_RawMalloc(needed)
        if memory == NULL:
            return NO_MEMORY
    blocks.scratch = <char *>((<ptrdiff_t>memory + 63) // 64 * 64)
    job.shared = blocks.scratch + blocks.scratch_size * blocks.threads
    blocks.partials = <double *>(job.shared + shared)
    if turns and pieces != NULL:
        turned.jobs = <fl_job *>blocks.partials
        blocks.partials = <double *>(turned.jobs + rows)
    job.float_state = fl_float_state()
    if stream == NULL:
        status = run_passes(job, loss, pieces, &blocks, &turned if turns else NULL)
    else:
        status = run_piece(job, loss, &blocks, stream)
    fl_set_float_state(job.float_state)
    if memory != on_stack:
        PyMem_RawFree(memory)
    return status


cdef int execute(fl_job *job, const fl_loss *loss, const Stream *stream=NULL) except -1:
    """Run a job on as many threads as pay. DONE, BAD_TARGET or BAD_WEIGHT; everything else is an exception."""
    cdef int threads = 1, status
    cdef ptrdiff_t elements = job.n_outer * job.n_inner * elements_of_row(job)
    if elements >= PARALLEL_ELEMENTS:
        threads = choose_threads()
    status = run(job, loss, threads, stream, elements >= ELEMENTS_WITH_GIL)
    if status == NO_MEMORY:
        raise MemoryError
    return -1 if status == STOPPED else status


# ------------------------------------------------------------------------------------------------- describing arrays

cdef enum:
    FIRST_OF_USERS = 256  # NPY_USERDEF

cdef int bfloat16_number = -1  # which NumPy has given to a type of this name


cdef bint is_bfloat16(cnp.ndarray array, int type) noexcept:
    """Whether a type that is none of NumPy's own numbers is bfloat16."""
    global bfloat16_number
    if type == bfloat16_number:
        return True
    if cnp.PyArray_ITEMSIZE(array) != 2:
        return False
    dtype = (<object>array).dtype
    if type == cnp.NPY_VOID:
        return dtype == _arrays.BFLOAT16_BITS
    if dtype.name != "bfloat16":
        return False
    bfloat16_number = type
    return True


cdef int element_type(cnp.ndarray array) noexcept:
    """The fl_type of an array's elements, or -1."""
    cdef int type = cnp.PyArray_TYPE(array)
    if type == cnp.NPY_FLOAT32: return FL_F32
    if type == cnp.NPY_FLOAT64: return FL_F64
    if type == cnp.NPY_BOOL: return FL_BOOL
    if type == cnp.NPY_FLOAT16: return FL_F16
    if type >= FIRST_OF_USERS or type == cnp.NPY_VOID:
        return FL_BF16 if is_bfloat16(array, type) else -1
    cdef ptrdiff_t size = cnp.PyArray_ITEMSIZE(array)
    # C has several names for one size
    if type == cnp.NPY_BYTE or type == cnp.NPY_SHORT or type == cnp.NPY_INT or type == cnp.NPY_LONG \
            or type == cnp.NPY_LONGLONG:
        return FL_I8 if size == 1 else FL_I16 if size == 2 else FL_I32 if size == 4 else FL_I64
    if type == cnp.NPY_UBYTE or type == cnp.NPY_USHORT or type == cnp.NPY_UINT or type == cnp.NPY_ULONG \
            or type == cnp.NPY_ULONGLONG:
        return FL_U8 if size == 1 else FL_U16 if size == 2 else FL_U32 if size == 4 else FL_U64
    return -1


cdef int describe(fl_array *out, object array) except -1:
    """An array of shape (outer, inner) or (outer, classes, inner), as C sees it."""
    if array is None:
        return 0
    cdef cnp.ndarray a = array
    cdef cnp.npy_intp *strides = cnp.PyArray_STRIDES(a)
    cdef int ndim = cnp.PyArray_NDIM(a)
    out.data = <char *>cnp.PyArray_DATA(a)
    out.type = element_type(a)
    out.outer = strides[0]
    out.classes = strides[1] if ndim == 3 else 0
    out.inner = strides[ndim - 1]
    return 0


cdef int describe_all(fl_job *job, object prepared) except -1:
    """What `_call` has prepared."""
    shape = prepared.prediction.shape
    job.n_outer = shape[0]
    job.n_classes = shape[1] if len(shape) == 3 else 1
    job.n_inner = shape[len(shape) - 1]
    describe(&job.prediction, prepared.prediction)
    describe(&job.target, prepared.target)
    describe(&job.weight, prepared.weight)
    describe(&job.pos_weight, prepared.pos_weight)
    describe(&job.vector, prepared.vector)
    describe(&job.value, prepared.value)
    describe(&job.gradient, prepared.gradient)
    describe(&job.hessian, prepared.hessian)
    job.soft = prepared.target is not None and prepared.target.ndim == 3
    return 0


cdef inline void skip_classes(fl_array *array, ptrdiff_t n) noexcept:
    if array.data != NULL:
        array.data += n * array.classes


cdef double NO_COEFFICIENTS[4]
NO_COEFFICIENTS[:] = [0.0] * 4


cdef inline void new_job(fl_job *job, int want) noexcept:
    memset(job, 0, sizeof(fl_job))
    job.want = want
    job.scale = 1
    job.coefficients = NO_COEFFICIENTS


cdef int curvature_code(object curvature) except -2:
    if curvature == "exact": return FL_EXACT
    if curvature == "psd": return FL_PSD
    if curvature == "majorize": return FL_MAJORIZE
    if curvature == "fisher": return FL_FISHER
    return -1


cdef enum:
    MEAN, SUM, NONE


cdef int reduction_code(object reduction) noexcept:
    """-1 for what is none of them: then `_call.prepare` raises the error."""
    if not isinstance(reduction, str):
        return -1
    if <str>reduction == "mean": return MEAN
    if <str>reduction == "sum": return SUM
    if <str>reduction == "none": return NONE
    return -1


# ------------------------------------------------------------------------------------------------ the plain case

cdef inline bint is_plain(object x) noexcept:
    """An exact ndarray, C-contiguous, aligned, native: can be handed to C as it is."""
    return cnp.PyArray_CheckExact(x) and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>x)


cdef inline bint is_run(object x, int ndim) noexcept:
    """Plain, or a view of so many dimensions with gaps along its first axis alone, such as a column."""
    if is_plain(x):
        return True
    if not cnp.PyArray_CheckExact(x) or not cnp.PyArray_ISBEHAVED_RO(<cnp.ndarray>x):
        return False
    cdef cnp.ndarray a = x
    cdef ptrdiff_t size = cnp.PyArray_ITEMSIZE(a)
    return (
        cnp.PyArray_NDIM(a) == ndim
        and cnp.PyArray_STRIDE(a, 0) % size == 0
        and (ndim == 1 or (ndim == 2 and cnp.PyArray_STRIDE(a, 0) != 0 and cnp.PyArray_STRIDE(a, 1) == size))
    )


cdef inline bint is_real(object x) noexcept:
    """Whether results can be of this type, too."""
    cdef int type = cnp.PyArray_TYPE(<cnp.ndarray>x)
    if type == cnp.NPY_FLOAT32 or type == cnp.NPY_FLOAT64 or type == cnp.NPY_FLOAT16:
        return True
    return type >= FIRST_OF_USERS and is_bfloat16(<cnp.ndarray>x, type)


cdef inline bint are_arrays(object prediction, object target, object weight) noexcept:
    """Whether there is nothing left to read, and the prediction has a type of results."""
    return (
        cnp.PyArray_CheckExact(prediction)
        and cnp.PyArray_CheckExact(target)
        and (weight is None or cnp.PyArray_CheckExact(weight))
        and is_real(prediction)
    )


cdef enum:
    NO_AXIS = 64


cdef inline bint same_shape(cnp.ndarray a, cnp.ndarray b, int without) noexcept:
    """Whether the lengths of a, but for that of the axis `without`, are those of b."""
    cdef int i
    if cnp.PyArray_NDIM(b) != cnp.PyArray_NDIM(a) - (without != NO_AXIS):
        return False
    for i in range(cnp.PyArray_NDIM(b)):
        if cnp.PyArray_DIM(a, i + (i >= without)) != cnp.PyArray_DIM(b, i):
            return False
    return True


cdef inline int number_of_axis(object axis, int ndim) noexcept:
    """The number of an axis, counted from the first; -1 if it is none, or no int."""
    cdef int overflows = 0
    if type(axis) is not int:
        return -1
    cdef long number = PyLong_AsLongAndOverflow(axis, &overflows)
    if overflows or not -ndim <= number < ndim:
        return -1
    return <int>(number + ndim if number < 0 else number)


cdef inline bint apart(cnp.ndarray a, cnp.ndarray b) noexcept:
    """No byte in common (both contiguous)."""
    cdef char *pa = <char *>cnp.PyArray_DATA(a)
    cdef char *pb = <char *>cnp.PyArray_DATA(b)
    return pa + cnp.PyArray_NBYTES(a) <= pb or pb + cnp.PyArray_NBYTES(b) <= pa


cdef inline void lay(fl_array *out, cnp.ndarray a, int type, ptrdiff_t per_row, ptrdiff_t n_inner=1) noexcept:
    """An array as rows of so many elements, `n_inner` of them side by side; 0: as one run of elements."""
    cdef ptrdiff_t size = cnp.PyArray_ITEMSIZE(a)
    out.data = <char *>cnp.PyArray_DATA(a)
    out.type = type
    out.classes = size * n_inner
    out.outer = out.classes * per_row if per_row else cnp.PyArray_NBYTES(a)
    out.inner = out.outer if per_row and n_inner == 1 else size
    if not cnp.PyArray_IS_C_CONTIGUOUS(a):
        out.outer = out.inner = cnp.PyArray_STRIDE(a, 0)
    elif cnp.PyArray_NDIM(a) == 0 and per_row <= 1:  # one number for all
        out.outer = out.inner = 0


cdef inline void lay_all(fl_job *job, cnp.ndarray z, cnp.ndarray t, object weight, object gradient, object hessian,
                         ptrdiff_t per_row) noexcept:
    """The arrays of a call whose lengths, and the type of whose target, are known."""
    cdef ptrdiff_t n_inner = job.n_inner if per_row else 1, each = per_row > 0
    lay(&job.prediction, z, element_type(z), per_row, n_inner)
    lay(&job.target, t, job.target.type, per_row if job.soft else each, n_inner)
    if weight is not None:
        lay(&job.weight, <cnp.ndarray>weight, element_type(<cnp.ndarray>weight), each, n_inner)
    if gradient is not None:
        lay(&job.gradient, <cnp.ndarray>gradient, job.prediction.type, per_row, n_inner)
    if hessian is not None:
        lay(&job.hessian, <cnp.ndarray>hessian, job.prediction.type, per_row, n_inner)


cdef object new_output(fl_array *out, cnp.ndarray prediction, int without, ptrdiff_t per_row, ptrdiff_t n_inner=1):
    """An array with the prediction's dtype and its lengths but for that of an axis, described."""
    cdef cnp.npy_intp lengths[64]  # of NumPy's arrays, which have no more
    cdef int ndim = 0, axis
    for axis in range(cnp.PyArray_NDIM(prediction)):
        if axis != without:
            lengths[ndim] = cnp.PyArray_DIM(prediction, axis)
            ndim += 1
    cdef cnp.ndarray a = cnp.PyArray_EMPTY(ndim, lengths, cnp.PyArray_TYPE(prediction), 0)
    lay(out, a, element_type(a), per_row, n_inner)
    return a


cdef bint is_plain_output(object out, cnp.ndarray x, int without) noexcept:
    """Writable, with the dtype of x and its lengths but for that of an axis, and on top of it exactly or not at all."""
    if not is_plain(out) or not cnp.PyArray_ISWRITEABLE(<cnp.ndarray>out):
        return False
    cdef cnp.ndarray a = out
    return (
        cnp.PyArray_TYPE(a) == cnp.PyArray_TYPE(x)
        and same_shape(x, a, without)
        and (apart(a, x) or (cnp.PyArray_DATA(a) == cnp.PyArray_DATA(x) and without == NO_AXIS))
    )


cdef bint is_plain_derivative(object out, cnp.ndarray z, cnp.ndarray t, object weight) noexcept:
    return (
        is_plain_output(out, z, NO_AXIS)
        and apart(<cnp.ndarray>out, t)
        and (weight is None or apart(<cnp.ndarray>out, <cnp.ndarray>weight))
    )


cdef bint are_plain_outputs(object gradient, object hessian, cnp.ndarray z, cnp.ndarray t, object weight) noexcept:
    """Each like the prediction, and on top of nothing but, the gradient, of that."""
    return (gradient is None or is_plain_derivative(gradient, z, t, weight)) and (
        hessian is None
        or (
            is_plain_derivative(hessian, z, t, weight)
            and cnp.PyArray_DATA(<cnp.ndarray>hessian) != cnp.PyArray_DATA(z)
            and (gradient is None or apart(<cnp.ndarray>gradient, <cnp.ndarray>hessian))
        )
    )


cdef object result(int want, object value, object gradient, object hessian):
    if want == FL_VALUE: return value
    if want == FL_GRADIENT: return gradient
    if want == FL_VALUE | FL_GRADIENT: return value, gradient
    if want == FL_GRADIENT | FL_HESSIAN: return gradient, hessian
    return value, gradient, hessian


# -------------------------------------------------------------------------------------------------------- losses

cdef const fl_loss *find(const fl_kernels *kernels, bytes name) noexcept:
    cdef int i = 0
    while kernels.losses[i] != NULL:
        if strcmp(kernels.losses[i].name, name) == 0:
            return kernels.losses[i]
        i += 1
    return NULL


_DOMAINS = {FL_ANY: "any", FL_UNIT_INTERVAL: "unit interval", FL_NONNEGATIVE: "nonnegative", FL_POSITIVE: "positive",
            FL_OPEN_INTERVAL: "open interval", FL_CLASSES: "classes"}
_KINDS = {FL_POINTWISE: "pointwise", FL_ROWWISE: "rowwise", FL_COLUMNS: "columns", FL_SETWISE: "setwise",
          FL_SEGMENTS: "segments"}

# Sets of one run: scratch grows with them.
cdef enum:
    MAX_SETS = 4096


# A loss, as the function table knows it.
ctypedef struct Handle:
    PyObject *owner  # of what the pointers point to
    const fl_loss *loss32
    const fl_loss *loss64
    const double *coefficients  # for float64, then for float32
    ptrdiff_t room
    int n_coefficients
    ptrdiff_t n_columns  # that a row must have; 0: any number
    double largest_weight
    int fisher  # the kernels' curvature for it, or -1
    const double *class_weight
    const double *class_weight_near_one
    double label_smoothing
    bint has_ignore_index
    long long ignore_index


cdef double nearest_float32(double c) noexcept:
    """The coefficient for float32 kernels: at least the smallest normal number, at most the largest, unless it is 0."""
    return c if c == 0 else copysign(min(max(fabs(c), <double>FLT_MIN), <double>FLT_MAX), c)


cdef class Loss:
    """Base of all losses: an immutable object that holds parameters and finds its kernels.

    Parameters are attributes, too: ``fl.Huber(delta=2.0).delta``.

    Attributes
    ----------
    name : str
        The loss's name as a function.
    parameters : dict
        What rebuilds the object.
    kind : {"pointwise", "rowwise", "columns", "setwise", "segments"}
        Whether it is a function of one prediction, of a row of logits, of a row of numbers that mean different things,
        of a whole set, or of rows that belong together.
    curvatures : tuple of str
        What `curvature` may be: "fisher", too, for likelihoods.
    target_domain : {"any", "unit interval", "nonnegative", "positive", "open interval", "classes"}
        Where targets may lie.

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.Huber(delta=2.0)
    >>> isinstance(loss, fl.Loss), loss.kind, loss.delta
    (True, 'pointwise', 2.0)
    >>> loss.replace(delta=3.0)
    Huber(delta=3.0)
    """

    traits = _traits.Traits("margin")

    cdef readonly str name
    cdef dict _parameters
    cdef double *coefficients  # for float64, then for float32
    cdef int n_coefficients
    cdef ptrdiff_t room  # for each of them
    cdef double largest_weight  # among the parameters
    cdef bint has_weight_array  # an array of pos_weight
    cdef ptrdiff_t n_columns  # of a prediction's row; 1 where any number will do
    cdef const fl_loss *loss32
    cdef const fl_loss *loss64

    def __cinit__(self):
        self._parameters = {}

    def __dealloc__(self):
        PyMem_RawFree(self.coefficients)

    def __init__(self, kernel, parameters, coefficients=()):
        if self.name is not None:
            raise TypeError(f"{type(self).__name__} objects are immutable")
        cdef int n = <int>len(coefficients), i
        cdef const fl_loss *found = find(kernels64, kernel.encode())
        kind = _KINDS[self.family()]
        if found == NULL or found.kind != self.family():
            raise ValueError(f"there is no {kind} kernel named {kernel!r}")
        if n != found.n_coefficients and not (found.n_coefficients == FL_ONE_A_COLUMN and n):
            raise ValueError(f"the kernel {kernel} takes {found.n_coefficients} coefficients, got {n}")
        self.n_coefficients = n
        self.room = max(n, FL_COEFFICIENTS)
        self.coefficients = <double *>PyMem_RawMalloc(2 * self.room * sizeof(double))
        if self.coefficients == NULL:
            raise MemoryError
        memset(self.coefficients, 0, 2 * self.room * sizeof(double))
        for i in range(n):
            self.coefficients[i] = coefficients[i]
            self.coefficients[self.room + i] = nearest_float32(coefficients[i])
        self._parameters = dict(parameters)
        pos_weight = self._parameters.get("pos_weight")
        self.note_weights(pos_weight)
        self.has_weight_array = isinstance(pos_weight, cnp.ndarray)
        self.loss64 = found
        self.loss32 = find(kernels32, kernel.encode())
        self.n_columns = found.n_columns if found.n_columns else n if found.kind == FL_COLUMNS else 1
        self.name = kernel

    cdef int family(self) except -1:
        raise TypeError(f"{type(self).__name__} is no loss of its own: it derives from none of the three kinds")

    @property
    def parameters(self):
        return dict(self._parameters)

    @property
    def kind(self):
        self.check_ready()
        return _KINDS[self.loss64.kind]

    @property
    def target_domain(self):
        self.check_ready()
        return _DOMAINS[self.loss64.domain]

    def get_params(self, deep=True):
        """Return the parameters, as scikit-learn asks for them: so that ``loss__delta`` can be searched.

        Parameters
        ----------
        deep : bool, default True
            Of no consequence: no parameter has parameters.

        Returns
        -------
        dict
            What `parameters` holds.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.Huber(delta=2.0).get_params()
        {'delta': 2.0}
        """
        return dict(self._parameters)

    def replace(self, **parameters):
        """Return a loss of this class with some parameters changed; this one stays as it is.

        Parameters
        ----------
        **parameters
            Those to change.

        Returns
        -------
        Loss

        Raises
        ------
        TypeError
            If the loss has no parameter of a name.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.Focal(gamma=1.0).replace(label_smoothing=0.1)
        Focal(gamma=1.0, class_weight=None, label_smoothing=0.1, ignore_index=None)
        """
        return _rebuild(type(self), {**self._parameters, **parameters})

    def __sklearn_clone__(self):
        return self

    @property
    def curvatures(self):
        return (*_call.CURVATURES, "fisher") if self.traits.fisher else _call.CURVATURES

    cdef int curvature_of(self, object curvature) except -2:
        """-1 for what is none: then `_call.prepare` raises the error."""
        cdef int code = curvature_code(curvature)
        if code != FL_FISHER:
            return code
        kind = self.traits.fisher
        return FL_EXACT if kind == "exact" else FL_FISHER if kind else -1

    cdef int check_ready(self) except -1:
        """A subclass may have forgotten to call our __init__: then there is no kernel."""
        if self.name is None:
            raise TypeError(f"{type(self).__name__}.__init__ has not been called")
        return 0

    def low_level(self, outputs="value", *, columns=None, dtype="float64"):
        """
        The address of a C function that computes this loss: for ctypes, Numba and every language that calls C.

        Its signature is ``int64 (int64 n, void *z, void *t, void *w, void *out)``: n rows of the prediction,
        contiguous; the targets; one weight a row or element, or NULL. It needs no GIL, may be called from any thread,
        and uses one. It returns 0, or i + 1 if target i is bad, -(i + 1) if weight i is, and -2**63 for anything else.

        Parameters
        ----------
        outputs : {"value", "gradient", "hessian"} or sequence of them
            What is written to `out`, one after another in this order: values w l, one a row or element, and w times the
            derivatives, which have the shape of the prediction.
        columns : int, optional
            Classes of a row of logits. Losses of single predictions have one column unless you say so.
        dtype : {"float64", "float32"}
            Of all arrays, but for class indices, which are int64.

        Returns
        -------
        int
            The address, with the attribute `function`, the same for ctypes. It is valid as long as the process lives.

        Raises
        ------
        ValueError
            If the loss has no such output, or needs to know its columns.
        RuntimeError
            If there have been 1024 different ones in this process.

        Examples
        --------
        >>> import numpy as np
        >>> import fastloss as fl
        >>> huber = fl.Huber().low_level("gradient")
        >>> z, t, out = np.array([0.0, 3.0]), np.array([0.5, 0.0]), np.empty(2)
        >>> huber.function(2, z.ctypes.data, t.ctypes.data, None, out.ctypes.data)
        0
        >>> out
        array([-0.5,  1. ])
        """
        from ._low_level import low_level

        return low_level(self, outputs, columns, dtype)

    cdef int describe_to(self, Handle *handle) except -1:
        """What the function table needs of a loss."""
        self.check_ready()
        if self.has_weight_array:
            raise ValueError("pos_weight must be a single number here")
        if self.loss64.kind == FL_SEGMENTS:
            raise ValueError(f"{self!r} is a loss of rows that belong together, for which there is no place here")
        handle.loss32, handle.loss64 = self.loss32, self.loss64
        handle.coefficients, handle.room, handle.n_coefficients = self.coefficients, self.room, self.n_coefficients
        handle.n_columns = self.n_columns if self.loss64.kind == FL_COLUMNS else 0
        handle.largest_weight = self.largest_weight
        handle.fisher = self.curvature_of("fisher")
        return 0

    cdef const fl_loss *kernel(self, const fl_job *job) noexcept:
        return self.loss64 if job.prediction.type == FL_F64 else self.loss32

    cdef int note_weights(self, object weights) except -1:
        if weights is not None:
            self.largest_weight = max(self.largest_weight, float(np.max(weights, initial=0.0)))
        return 0

    cdef int fill(self, fl_job *job) except -1:
        """What a job needs of the loss's parameters, once its arrays are described."""
        cdef bint single = job.prediction.type != FL_F64
        job.coefficients = self.coefficients + (self.room if single else 0)
        job.n_coefficients = self.n_coefficients
        if single and self.largest_weight > FLT_MAX and not self.scale_drops_out(job):
            _complaints.raise_large_weight(self._parameters)
        return 0

    cdef bint scale_drops_out(self, const fl_job *job) noexcept:
        """Whether the result does not depend on the scale of the weights among the parameters."""
        return False

    cdef object call(self, int want, object prediction, object target, object axis, object sample_weight,
                     object reduction, object curvature, object gradient, object hessian):
        cdef fl_job job
        cdef int reduced = reduction_code(reduction), status, without = NO_AXIS
        cdef ptrdiff_t per_row = 0
        cdef double set_value = 0
        self.check_ready()
        new_job(&job, want)
        job.curvature = self.curvature_of(curvature)
        if reduced < 0 or job.curvature < 0:
            return self.call_general(want, prediction, target, axis, sample_weight, reduction, curvature, gradient,
                                     hessian)
        if not are_arrays(prediction, target, sample_weight):
            prediction, target, sample_weight = _call.as_arrays(prediction, target, sample_weight)
        if not self.lay_plain(&job, prediction, target, axis, sample_weight, reduced, gradient, hessian):
            return self.call_general(want, prediction, target, axis, sample_weight, reduction, curvature, gradient,
                                     hessian)
        value = None
        if self.is_of_rows():
            per_row, without = job.n_classes, number_of_axis(axis, cnp.PyArray_NDIM(<cnp.ndarray>prediction))
        job.fresh = gradient is None and hessian is None
        if reduced == NONE and want & FL_VALUE:
            value = new_output(&job.value, prediction, without, per_row > 0, job.n_inner if per_row else 1)
        if want & FL_GRADIENT and gradient is None:
            gradient = new_output(&job.gradient, prediction, NO_AXIS, per_row, job.n_inner if per_row else 1)
        if want & FL_HESSIAN and hessian is None:
            hessian = new_output(&job.hessian, prediction, NO_AXIS, per_row, job.n_inner if per_row else 1)
        job.mean = reduced == MEAN and self.loss64.kind != FL_SETWISE
        job.set_values = &set_value
        self.fill(&job)
        status = execute(&job, self.kernel(&job))
        if status != DONE:
            _complaints.raise_bad_element(
                self, "target" if status == BAD_TARGET else "sample_weight", prediction.shape, _arrays.widened(target),
                axis if self.loss64.kind == FL_ROWWISE else None,
                None if sample_weight is None else _arrays.widened(sample_weight)
            )
        if job.mean and job.weight_sum == 0 and want & FL_VALUE:
            _complaints.warn_mean_of_nothing()
        if value is None:
            value = set_value if self.loss64.kind == FL_SETWISE else job.total
        return result(want, value, gradient, hessian)

    cdef object call_general(self, int want, object prediction, object target, object axis, object sample_weight,
                             object reduction, object curvature, object gradient, object hessian):
        return self.run_prepared(
            _call.prepare(self, want, prediction, target, axis, sample_weight, reduction, curvature, gradient, hessian),
            want, reduction == "mean", curvature
        )

    cdef object run_prepared(self, object prepared, int want, bint mean, object curvature):
        """Run what `_call` has prepared, and return what it makes of the results."""
        cdef fl_job job
        cdef int status
        if prepared.prediction is None:
            return prepared.deliver_nothing()
        new_job(&job, want)
        describe_all(&job, prepared)
        job.curvature = self.curvature_of(curvature)
        if job.want & FL_FULL_HESSIAN:
            job.full = FL_PACKED if prepared.vector is None else FL_PRODUCT
            job.want, job.fresh = FL_GRADIENT, True
        job.mean = mean and self.loss64.kind != FL_SETWISE
        self.fill(&job)
        if self.loss64.kind == FL_SETWISE:
            status = self.run_sets(&job, prepared.set_values, mean)
        else:
            status = execute(&job, self.kernel(&job))
        if status != DONE:
            weight = prepared.given_weight
            _complaints.raise_bad_element(self, "target" if status == BAD_TARGET else "sample_weight", prepared.shape,
                                          _arrays.widened(prepared.given_target), prepared.axis,
                                          None if weight is None else _arrays.widened(weight))
        if job.mean and job.weight_sum == 0 and job.want & FL_VALUE:
            _complaints.warn_mean_of_nothing()
        return prepared.deliver(job.total)

    cdef object full_hessian(self, object prediction, object target, object vector, object axis, object sample_weight,
                             object reduction, object curvature):
        """The full Hessian of each row, packed; or its product with the row's `vector`, if there is one."""
        self.check_ready()
        if not self.loss64.outputs & FL_FULL_HESSIAN:
            raise NotImplementedError(f"{self.name} has no full Hessian")
        return self.run_prepared(
            _call.prepare_full_hessian(self, prediction, target, vector, axis, sample_weight, reduction, curvature),
            FL_FULL_HESSIAN, reduction == "mean", curvature
        )

    cdef int run_sets(self, const fl_job *whole, double[::1] values, bint mean) except -1:
        """A run for some sets at a time; `values` becomes the value of each."""
        cdef int status
        if whole.n_classes > MAX_SETS:  # nothing is written before all have been looked at
            status = self.run_some_sets(whole, values, mean, FL_VALUE)
            if status != DONE:
                return status
        return self.run_some_sets(whole, values, mean, whole.want)

    cdef int run_some_sets(self, const fl_job *whole, double[::1] values, bint mean, int want) except -1:
        cdef fl_job job
        cdef ptrdiff_t start
        cdef int status
        for start in range(0, whole.n_classes, MAX_SETS):
            job = whole[0]
            job.want = want
            job.n_classes = min(<ptrdiff_t>MAX_SETS, whole.n_classes - start)
            job.scale = 1.0 / whole.n_classes if mean else 1.0
            job.set_values = &values[start]
            skip_classes(&job.prediction, start)
            skip_classes(&job.target, start)
            skip_classes(&job.weight, start)
            skip_classes(&job.gradient, start)
            skip_classes(&job.hessian, start)
            status = execute(&job, self.kernel(&job))
            if status != DONE:
                return status
        return DONE

    def _add_piece(self, piece, double[::1] state not None, ptrdiff_t block, bint mean, bint only_check):
        """Check a piece of a stream, or add it to what the stream holds; see `_streaming.py`."""
        cdef fl_job job
        cdef Stream stream
        cdef int status
        new_job(&job, FL_VALUE)
        describe_all(&job, piece)
        job.fresh = True
        job.mean = mean and self.loss64.kind != FL_SETWISE
        self.fill(&job)
        stream.state = &state[0]
        stream.block = block
        stream.only_check = only_check
        status = execute(&job, self.kernel(&job), &stream)
        if status != DONE:
            _complaints.raise_bad_element(self, "target" if status == BAD_TARGET else "sample_weight", piece.shape,
                                          piece.given_target, piece.axis, piece.given_weight)

    def _values_of_sets(self, double[::1] state not None, bint single):
        """The value of each set of a stream."""
        cdef fl_job job
        cdef ptrdiff_t n = (state.shape[0] - STREAM_SUMS) // 3
        values, terms = np.empty(n), np.empty(3 * n)
        cdef double[::1] of_sets = values, shared = terms
        new_job(&job, FL_VALUE)
        job.prediction.type = FL_F32 if single else FL_F64
        self.fill(&job)
        job.n_classes = n
        job.set_values = &of_sets[0]
        job.shared = <char *>&shared[0]
        self.kernel(&job).passes[0].combine(&job, &state[STREAM_SUMS], 1)
        return values

    cdef bint lay_plain(self, fl_job *job, object prediction, object target, object axis, object sample_weight,
                        int reduced, object gradient, object hessian) noexcept:
        """Describe arrays as rows or as one run of elements; False if that needs more than a look at them."""
        cdef cnp.ndarray z, t
        cdef int ndim, target_type, without = NO_AXIS
        cdef bint by_row = self.is_of_rows()
        cdef ptrdiff_t per_row = 0, n_inner = 1
        if not (
            is_run(prediction, 2 if by_row else 1)
            and is_run(target, 1)
            and is_real(prediction)
            and (sample_weight is None or (is_run(sample_weight, 1) and is_real(sample_weight)))
            and self.is_plain_axis(axis, reduced, cnp.PyArray_NDIM(<cnp.ndarray>prediction))
        ):
            return False
        z = prediction
        t = target
        ndim = cnp.PyArray_NDIM(z)
        if by_row:
            without = number_of_axis(axis, ndim)
        target_type = element_type(t)
        job.soft = by_row and cnp.PyArray_NDIM(t) == ndim
        if not (
            cnp.PyArray_SIZE(z) > 0
            and target_type >= 0
            and (same_shape(z, t, NO_AXIS if job.soft else without) or (not by_row and cnp.PyArray_NDIM(t) == 0))
            and (not job.soft or (is_plain(t) and (ndim > 1 or is_real(t))))
            and (sample_weight is None or cnp.PyArray_NDIM(<cnp.ndarray>sample_weight) == 0
                 or same_shape(z, <cnp.ndarray>sample_weight, without))
            and self.takes(job.soft, target_type, cnp.PyArray_DIM(z, without) if by_row else 1)
        ):
            return False
        if gradient is None and hessian is None:
            pass
        elif not (
            is_plain(z)
            and is_plain(t)
            and (sample_weight is None or is_plain(sample_weight))
            and are_plain_outputs(gradient, hessian, z, t, sample_weight)
        ):
            return False
        job.n_outer = job.n_classes = job.n_inner = 1
        if by_row:
            if without < ndim - 1 and not is_plain(z):  # the classes lie beyond the gaps
                return False
            job.n_classes = per_row = cnp.PyArray_DIM(z, without)
            while without < ndim - 1:
                without += 1
                n_inner *= cnp.PyArray_DIM(z, without)
            job.n_outer, job.n_inner = cnp.PyArray_SIZE(z) // (per_row * n_inner), n_inner
        else:
            job.n_inner = cnp.PyArray_SIZE(z)
        job.target.type = target_type
        lay_all(job, z, t, sample_weight, gradient, hessian, per_row)
        return True

    cdef bint is_of_rows(self) noexcept:
        return self.loss64.kind == FL_ROWWISE or self.loss64.kind == FL_COLUMNS

    cdef bint is_plain_axis(self, object axis, int reduced, int ndim) noexcept:
        return axis is None

    cdef bint takes(self, bint soft, int target_type, ptrdiff_t n_classes) noexcept:
        """Whether the options go with such targets in a plain call."""
        return not self.has_weight_array

    def __repr__(self):
        arguments = ", ".join(
            f"{key}={value.tolist() if isinstance(value, cnp.ndarray) else value!r}"
            for key, value in self._parameters.items()
        )
        return f"{type(self).__name__}({arguments})"

    cdef tuple identity(self):
        return tuple([
            (key, (value.shape, value.tobytes()) if isinstance(value, cnp.ndarray) else value)
            for key, value in self._parameters.items()
        ])

    def __eq__(self, other):
        if type(self) is not type(other):
            return NotImplemented
        return self.identity() == (<Loss>other).identity()

    def __hash__(self):
        return hash((type(self), self.identity()))

    # Sums of losses of one prediction and one target: fastloss/combined.py.
    def __add__(self, other):
        from . import combined
        return combined.add(self, other)

    def __radd__(self, other):
        from . import combined
        return combined.add(other, self)

    def __mul__(self, factor):
        from . import combined
        return combined.multiply(self, factor)

    def __rmul__(self, factor):
        from . import combined
        return combined.multiply(self, factor)

    def __reduce__(self):
        try:
            same = type(self)(**self._parameters) == self
        except TypeError:  # a subclass with parameters of its own
            same = False
        state = getattr(self, "__dict__", None)
        if same and not state:
            return _rebuild, (type(self), dict(self._parameters))
        return _restore, (type(self), self.as_given()), state or None

    cdef tuple as_given(self):
        """The arguments of our constructor."""
        cdef int i
        coefficients = tuple([self.coefficients[i] for i in range(self.n_coefficients)])
        return self.name, dict(self._parameters), coefficients

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


def _rebuild(cls, parameters):
    return cls(**parameters)


def _restore(cls, given):
    """A loss of a subclass whose own constructor is not called: it has other parameters."""
    loss = cls.__new__(cls)
    bases = (PointwiseLoss, SetLoss, RowwiseLoss, ColumnLoss, SegmentLoss)
    base = next(each for each in bases if issubclass(cls, each))
    base.__init__(loss, *given)
    return loss


cdef class PointwiseLoss(Loss):
    """A loss of one prediction and one target; arrays of any shape. See the methods for the arguments they share."""

    cdef int family(self) except -1:
        return FL_POINTWISE

    def _value(self, prediction, target, sample_weight, reduction):
        """A call with arguments by position: what the functions use, because keywords cost as much as the rest."""
        return self.call(FL_VALUE, prediction, target, None, sample_weight, reduction, "exact", None, None)

    def __call__(self, prediction, target, *, sample_weight=None, reduction="mean"):
        """Value of the loss.

        Parameters
        ----------
        prediction : array_like
            Predictions (raw scores) of any shape and real dtype. float32 and float64 are computed as they are, float16
            and bfloat16 in float32, and integers in float64.
        target : array_like
            Targets; they broadcast to the prediction.
        sample_weight : array_like, optional
            Weights, finite and >= 0; they broadcast to the prediction. What has weight 0 counts nowhere.
        reduction : {"mean", "sum", "none"}
            ``sum(w l) / sum(w)``, ``sum(w l)``, or the array of all ``w l``.

        Returns
        -------
        float or ndarray
            The mean or sum as a Python float; for "none" an array like the prediction.
        """
        return self.call(FL_VALUE, prediction, target, None, sample_weight, reduction, "exact", None, None)

    def gradient(self, prediction, target, *, sample_weight=None, reduction="mean", gradient_out=None):
        """Gradient of the reduced value with respect to the prediction.

        Under "mean" it is divided by the sum of the weights; under "sum" and "none" it is the weight times the
        derivative. The other parameters are those of a call.

        Parameters
        ----------
        gradient_out : ndarray, optional
            An array of the prediction's shape and dtype, or of float32, of any strides, to write into; it is
            returned. It may be the prediction itself.
        """
        return self.call(FL_GRADIENT, prediction, target, None, sample_weight, reduction, "exact", gradient_out, None)

    def value_and_gradient(self, prediction, target, *, sample_weight=None, reduction="mean", gradient_out=None):
        """Value and gradient in one pass over memory: ``(value, gradient)``."""
        return self.call(FL_VALUE | FL_GRADIENT, prediction, target, None, sample_weight, reduction, "exact",
                         gradient_out, None)

    def gradient_and_hessian(self, prediction, target, *, sample_weight=None, reduction="mean", curvature="exact",
                             gradient_out=None, hessian_out=None):
        """Gradient and diagonal Hessian in one pass: ``(gradient, hessian)``.

        Parameters
        ----------
        curvature : {"exact", "psd", "majorize"}
            "psd" is never negative, and never 0 where the gradient is not; "majorize" is never below the exact
            second derivative.
        """
        return self.call(FL_GRADIENT | FL_HESSIAN, prediction, target, None, sample_weight, reduction, curvature,
                         gradient_out, hessian_out)

    def value_gradient_and_hessian(self, prediction, target, *, sample_weight=None, reduction="mean",
                                   curvature="exact", gradient_out=None, hessian_out=None):
        """Value, gradient and diagonal Hessian in one pass: ``(value, gradient, hessian)``."""
        return self.call(FL_VALUE | FL_GRADIENT | FL_HESSIAN, prediction, target, None, sample_weight, reduction,
                         curvature, gradient_out, hessian_out)


cdef class SetLoss(Loss):
    """A loss of the overlap of sets, one number for each. See the methods for the arguments they share."""

    cdef int family(self) except -1:
        return FL_SETWISE

    cdef bint is_plain_axis(self, object axis, int reduced, int ndim) noexcept:
        return axis is None and reduced != NONE

    def _value(self, prediction, target, axis, sample_weight, reduction):
        return self.call(FL_VALUE, prediction, target, axis, sample_weight, reduction, "exact", None, None)

    def __call__(self, prediction, target, *, axis=None, sample_weight=None, reduction="mean"):
        """Value of the loss.

        Parameters
        ----------
        prediction : array_like
            Logits of any shape and real dtype.
        target : array_like
            Targets in [0, 1]; they broadcast to the prediction.
        axis : int or tuple of int, optional
            The axes along which a set extends. None: all, one set for the batch. 0, for (n, K): one set per class.
        sample_weight : array_like, optional
            Weights of the elements within their sets, finite and >= 0; they broadcast to the prediction. What has
            weight 0 counts nowhere, whatever it holds.
        reduction : {"mean", "sum", "none"}
            The mean or the sum over the sets, or an array with one number for each set.

        Returns
        -------
        float or ndarray
            The mean or sum as a Python float; for "none" an array of the shape that `axis` leaves.
        """
        return self._value(prediction, target, axis, sample_weight, reduction)

    def gradient(self, prediction, target, *, axis=None, sample_weight=None, reduction="mean", gradient_out=None):
        """Gradient of the reduced value with respect to the logits; for "none", of each set's own value.

        The other parameters are those of a call.

        Parameters
        ----------
        gradient_out : ndarray, optional
            An array of the logits' shape and dtype, or of float32, of any strides, to write into; it is
            returned.
        """
        return self.call(FL_GRADIENT, prediction, target, axis, sample_weight, reduction, "exact", gradient_out, None)

    def value_and_gradient(self, prediction, target, *, axis=None, sample_weight=None, reduction="mean",
                           gradient_out=None):
        """Value and gradient: ``(value, gradient)``."""
        return self.call(FL_VALUE | FL_GRADIENT, prediction, target, axis, sample_weight, reduction, "exact",
                         gradient_out, None)

    def gradient_and_hessian(self, prediction, target, *, axis=None, sample_weight=None, reduction="mean",
                             curvature="exact", gradient_out=None, hessian_out=None):
        """Gradient and diagonal Hessian: ``(gradient, hessian)``.

        Parameters
        ----------
        curvature : {"exact", "psd", "majorize"}
            "psd" is never negative, and never 0 where the gradient is not; "majorize" is never below the exact second
            derivative.
        """
        return self.call(FL_GRADIENT | FL_HESSIAN, prediction, target, axis, sample_weight, reduction, curvature,
                         gradient_out, hessian_out)

    def value_gradient_and_hessian(self, prediction, target, *, axis=None, sample_weight=None, reduction="mean",
                                   curvature="exact", gradient_out=None, hessian_out=None):
        """Value, gradient and diagonal Hessian: ``(value, gradient, hessian)``."""
        return self.call(FL_VALUE | FL_GRADIENT | FL_HESSIAN, prediction, target, axis, sample_weight, reduction,
                         curvature, gradient_out, hessian_out)


cdef class RowwiseLoss(Loss):
    """A loss of a row of logits. See the methods for the arguments they share."""

    cdef object class_weight, class_weight_near_one  # None or float64 ndarrays
    cdef double label_smoothing
    cdef bint has_ignore_index
    cdef long long ignore_index

    def __init__(self, kernel, parameters, coefficients=(), class_weight=None, label_smoothing=0.0, ignore_index=None):
        super().__init__(kernel, parameters, coefficients)
        self.class_weight = _parameters.class_weights(class_weight)
        self.label_smoothing = _parameters.real("label_smoothing", label_smoothing, "in [0, 1]")
        self.has_ignore_index = ignore_index is not None
        self.ignore_index = _parameters.optional_index("ignore_index", ignore_index) or 0
        if self.class_weight is not None:
            self._parameters["class_weight"] = self.class_weight
            self.class_weight_near_one = _arrays.near_one(self.class_weight)
            self.note_weights(self.class_weight)
        if self.has_ignore_index:
            self._parameters["ignore_index"] = self.ignore_index

    cdef int family(self) except -1:
        return FL_ROWWISE

    cdef int describe_to(self, Handle *handle) except -1:
        Loss.describe_to(self, handle)
        if self.class_weight is not None:
            handle.class_weight = <const double *>cnp.PyArray_DATA(<cnp.ndarray>self.class_weight)
            handle.class_weight_near_one = <const double *>cnp.PyArray_DATA(<cnp.ndarray>self.class_weight_near_one)
            handle.n_columns = cnp.PyArray_SIZE(<cnp.ndarray>self.class_weight)
        handle.label_smoothing = self.label_smoothing
        handle.has_ignore_index, handle.ignore_index = self.has_ignore_index, self.ignore_index
        return 0

    cdef bint scale_drops_out(self, const fl_job *job) noexcept:
        return job.mean and not job.soft

    cdef int fill(self, fl_job *job) except -1:
        Loss.fill(self, job)
        if self.class_weight is not None:
            weights = self.class_weight_near_one if self.scale_drops_out(job) else self.class_weight
            job.class_weight = <const double *>cnp.PyArray_DATA(<cnp.ndarray>weights)
        job.label_smoothing = self.label_smoothing
        job.has_ignore_index = self.has_ignore_index
        job.ignore_index = self.ignore_index

    cdef bint is_plain_axis(self, object axis, int reduced, int ndim) noexcept:
        return number_of_axis(axis, ndim) >= 0

    cdef bint takes(self, bint soft, int target_type, ptrdiff_t n_classes) noexcept:
        if self.class_weight is not None and cnp.PyArray_SIZE(<cnp.ndarray>self.class_weight) != n_classes:
            return False
        if soft:
            return not self.has_ignore_index
        return FL_BOOL < target_type < FL_F32

    cdef tuple as_given(self):
        return (*Loss.as_given(self), self.class_weight, self.label_smoothing,
                self.ignore_index if self.has_ignore_index else None)

    def _full_hessian(self, prediction, target, vector, axis, sample_weight, reduction, curvature):
        return self.full_hessian(prediction, target, vector, axis, sample_weight, reduction, curvature)

    def _value(self, prediction, target, axis, sample_weight, reduction):
        """A call with arguments by position: what the functions use, because keywords cost as much as the rest."""
        return self.call(FL_VALUE, prediction, target, axis, sample_weight, reduction, "exact", None, None)

    def __call__(self, prediction, target, *, axis=-1, sample_weight=None, reduction="mean"):
        """Value of the loss.

        Parameters
        ----------
        prediction : array_like
            Logits of any shape and real dtype, with the classes along `axis`.
        target : array_like
            One class index per row (any integer dtype; the shape of the logits without `axis`), or one probability per
            logit (the logits' shape). The shape decides which.
        axis : int
            The axis of the classes.
        sample_weight : array_like, optional
            One weight per row, finite and >= 0. A row of weight 0 counts nowhere, whatever it holds.
        reduction : {"mean", "sum", "none"}
            ``sum(w l) / sum(w)`` over the rows that count (for class indices w is sample weight times class weight),
            ``sum(w l)``, or the array of all ``w l``.

        Returns
        -------
        float or ndarray
            The mean or sum as a Python float; for "none" an array with one value per row.
        """
        return self.call(FL_VALUE, prediction, target, axis, sample_weight, reduction, "exact", None, None)

    def gradient(self, prediction, target, *, axis=-1, sample_weight=None, reduction="mean", gradient_out=None):
        """Gradient of the reduced value with respect to the logits.

        Under "mean" it is divided by the sum of the weights; under "sum" and "none" it is the weight times the
        derivative. The other parameters are those of a call.

        Parameters
        ----------
        gradient_out : ndarray, optional
            An array of the logits' shape and dtype, or of float32, of any strides, to write into; it is
            returned. It may be the logits themselves.
        """
        return self.call(FL_GRADIENT, prediction, target, axis, sample_weight, reduction, "exact", gradient_out, None)

    def value_and_gradient(self, prediction, target, *, axis=-1, sample_weight=None, reduction="mean",
                           gradient_out=None):
        """Value and gradient in one pass over memory: ``(value, gradient)``."""
        return self.call(FL_VALUE | FL_GRADIENT, prediction, target, axis, sample_weight, reduction, "exact",
                         gradient_out, None)

    def gradient_and_hessian(self, prediction, target, *, axis=-1, sample_weight=None, reduction="mean",
                             curvature="exact", gradient_out=None, hessian_out=None):
        """Gradient and diagonal Hessian in one pass: ``(gradient, hessian)``.

        Parameters
        ----------
        curvature : {"exact", "psd", "majorize"}
            "psd" is never negative, and never 0 where the gradient is not; "majorize" is a bound on all eigenvalues of
            the full Hessian, so that a step of all logits at once never raises the loss.
        """
        return self.call(FL_GRADIENT | FL_HESSIAN, prediction, target, axis, sample_weight, reduction, curvature,
                         gradient_out, hessian_out)

    def value_gradient_and_hessian(self, prediction, target, *, axis=-1, sample_weight=None, reduction="mean",
                                   curvature="exact", gradient_out=None, hessian_out=None):
        """Value, gradient and diagonal Hessian in one pass: ``(value, gradient, hessian)``."""
        return self.call(FL_VALUE | FL_GRADIENT | FL_HESSIAN, prediction, target, axis, sample_weight, reduction,
                         curvature, gradient_out, hessian_out)


cdef class ColumnLoss(Loss):
    """A loss of a row of numbers, such as the parameters of a distribution, and one target. See the methods."""

    cdef int family(self) except -1:
        return FL_COLUMNS

    cdef bint is_plain_axis(self, object axis, int reduced, int ndim) noexcept:
        return number_of_axis(axis, ndim) >= 0

    cdef bint takes(self, bint soft, int target_type, ptrdiff_t n_classes) noexcept:
        return not soft and n_classes == self.n_columns

    def _value(self, prediction, target, axis, sample_weight, reduction):
        """A call with arguments by position."""
        return self.call(FL_VALUE, prediction, target, axis, sample_weight, reduction, "exact", None, None)

    def __call__(self, prediction, target, *, axis=-1, sample_weight=None, reduction="mean"):
        """Value of the loss.

        Parameters
        ----------
        prediction : array_like
            Raw scores of any shape and real dtype, with the loss's columns along `axis`.
        target : array_like
            One number per row: the shape of the prediction without `axis`.
        axis : int
            The axis of the columns.
        sample_weight : array_like, optional
            One weight per row, finite and >= 0. A row of weight 0 counts nowhere, whatever it holds.
        reduction : {"mean", "sum", "none"}
            ``sum(w l) / sum(w)``, ``sum(w l)``, or the array of all ``w l``.

        Returns
        -------
        float or ndarray
            The mean or sum as a Python float; for "none" an array with one value per row.
        """
        return self.call(FL_VALUE, prediction, target, axis, sample_weight, reduction, "exact", None, None)

    def gradient(self, prediction, target, *, axis=-1, sample_weight=None, reduction="mean", gradient_out=None):
        """Gradient of the reduced value with respect to the raw scores; of a row under "none".

        The other parameters are those of a call.

        Parameters
        ----------
        gradient_out : ndarray, optional
            An array of the prediction's shape and dtype, or of float32, of any strides, to write into; it is
            returned. It may be the prediction itself.
        """
        return self.call(FL_GRADIENT, prediction, target, axis, sample_weight, reduction, "exact", gradient_out, None)

    def value_and_gradient(self, prediction, target, *, axis=-1, sample_weight=None, reduction="mean",
                           gradient_out=None):
        """Value and gradient in one pass over memory: ``(value, gradient)``."""
        return self.call(FL_VALUE | FL_GRADIENT, prediction, target, axis, sample_weight, reduction, "exact",
                         gradient_out, None)

    def gradient_and_hessian(self, prediction, target, *, axis=-1, sample_weight=None, reduction="mean",
                             curvature="exact", gradient_out=None, hessian_out=None):
        """Gradient and diagonal Hessian in one pass: ``(gradient, hessian)``.

        Parameters
        ----------
        curvature : {"exact", "psd", "majorize", "fisher"}
            "psd" is never negative, and never 0 where the gradient is not; "majorize" is never below the exact second
            derivative, and a Newton step of one column with it never raises the value; "fisher" is the exact one's
            expectation over targets from the distribution itself.
        """
        return self.call(FL_GRADIENT | FL_HESSIAN, prediction, target, axis, sample_weight, reduction, curvature,
                         gradient_out, hessian_out)

    def value_gradient_and_hessian(self, prediction, target, *, axis=-1, sample_weight=None, reduction="mean",
                                   curvature="exact", gradient_out=None, hessian_out=None):
        """Value, gradient and diagonal Hessian in one pass: ``(value, gradient, hessian)``."""
        return self.call(FL_VALUE | FL_GRADIENT | FL_HESSIAN, prediction, target, axis, sample_weight, reduction,
                         curvature, gradient_out, hessian_out)

    def packed_hessian(self, prediction, target, *, axis=-1, sample_weight=None, reduction="mean", curvature="exact"):
        """The whole Hessian of each row: its upper triangle, row after row, along `axis`.

        Parameters
        ----------
        curvature : {"exact", "psd", "fisher"}
            Under "psd" the entries beside the diagonal are 0.
        """
        return self.full_hessian(prediction, target, None, axis, sample_weight, reduction, curvature)

    def hessian_vector_product(self, prediction, target, vector, *, axis=-1, sample_weight=None, reduction="mean",
                               curvature="exact"):
        """The product of each row's Hessian with the row's `vector`, an array of the prediction's shape."""
        return self.full_hessian(prediction, target, vector, axis, sample_weight, reduction, curvature)


cdef void *data_of(object array) noexcept:
    """Where a contiguous array begins; NULL if there is none."""
    return NULL if array is None else cnp.PyArray_DATA(<cnp.ndarray>array)


def size_of_workspace(layout):
    """How many numbers a run over prepared rows writes down on its way."""
    return fl_workspace(layout.n_rows, layout.n_segments, layout.n_blocks)


cdef class SegmentLoss(Loss):
    """A loss of rows that belong together, such as groups, or those at risk at one time; see `fastloss._segments`."""

    cdef int family(self) except -1:
        return FL_SEGMENTS

    def _run(self, layout, cnp.ndarray workspace not None, prediction, int want, outputs, curvature,
             double scale):
        """Run over prepared rows; arrays are of shape (rows, columns, 1), and so are value, gradient and Hessian.

        Returns the sum of the values, which `scale` does not multiply.
        """
        cdef fl_job job
        cdef fl_segments rows
        self.check_ready()
        value, gradient, hessian = outputs
        new_job(&job, want)
        memset(&rows, 0, sizeof(fl_segments))
        rows.n_rows, rows.n_segments, rows.n_blocks = layout.n_rows, layout.n_segments, layout.n_blocks
        rows.order = <const int64_t *>data_of(layout.order)
        rows.weight = <const double *>data_of(layout.weight)
        rows.lower = <const double *>data_of(layout.lower)
        rows.upper = <const double *>data_of(layout.upper)
        rows.segment = <const int64_t *>data_of(layout.segment)
        rows.block = <const int64_t *>data_of(layout.block)
        rows.n_events = <const int64_t *>data_of(layout.n_events)
        rows.begins = <const uint8_t *>data_of(layout.begins)
        rows.workspace = <double *>data_of(workspace)
        job.segments = &rows
        job.n_outer, job.n_classes, job.n_inner = rows.n_blocks, BLOCK, 1
        describe(&job.prediction, prediction)
        describe(&job.value, value)
        describe(&job.gradient, gradient)
        describe(&job.hessian, hessian)
        job.coefficients = self.coefficients
        job.curvature = curvature_code(curvature)
        job.scale = scale
        execute(&job, self.loss64)
        return job.total


def count_pairs(const double[::1] times not None, const int64_t[::1] ranks not None, const double[::1] weights):
    """Weights of concordant pairs, of those of equal rank, and of all, of rows by falling time, the censored first.

    A pair is an event and a row that outlives it. Weights of ranks so far stand in a binary indexed tree.
    """
    cdef ptrdiff_t n = times.shape[0], i, j, first = 0, end, at
    cdef double concordant = 0, tied = 0, pairs = 0, inserted = 0, w, below
    cdef double[::1] tree = np.zeros(n + 1), at_rank = np.zeros(n)
    with nogil:
        for i in range(n):
            if times[i] > 0:
                at = ranks[i]
                below = 0
                while at > 0:
                    below += tree[at]
                    at -= at & -at
                w = weights[i] if weights is not None else 1
                concordant += w * below
                tied += w * at_rank[ranks[i]]
                pairs += w * inserted
            end = i + 1
            if end < n and times[end] == times[i] and times[i] > 0:
                continue  # events of one time do not outlive each other
            for j in range(first, end):
                w = weights[j] if weights is not None else 1
                inserted += w
                at_rank[ranks[j]] += w
                at = ranks[j] + 1
                while at <= n:
                    tree[at] += w
                    at += at & -at
            first = end
    return concordant, tied, pairs


# ------------------------------------------------------------------------------------- functions without a target

cdef const fl_loss *function(str name, int kind, bint single) except NULL:
    """The kernel of log_softmax, softmax, logsumexp, sigmoid or log_sigmoid."""
    cdef const fl_loss *found
    number = _function_numbers.get(name)
    if number is not None:
        found = (kernels32 if single else kernels64).losses[<int>number]
        if found.kind == kind:
            return found
    raise ValueError(f"there is no such function: {name!r}")


cdef dict numbers_of_functions():
    """Name -> place in the tables, which list the same losses."""
    cdef dict found = {}
    cdef int i = 0
    while kernels64.losses[i] != NULL:
        if kernels64.losses[i].target == FL_NO_TARGET:
            found[kernels64.losses[i].name.decode()] = i
        i += 1
    return found


cdef dict _function_numbers = numbers_of_functions()


cdef object run_function(object prepared, str name, int kind, int want, bint bare):
    """Run what `_call` has prepared; `bare`: without dimensions, a NumPy scalar, as ufuncs return it."""
    cdef fl_job job
    if prepared.prediction is not None:
        new_job(&job, want)
        describe_all(&job, prepared)
        execute(&job, function(name, kind, job.prediction.type != FL_F64))
    out = prepared.deliver(0.0)
    return out[()] if bare else out


def row_function(str name not None, x, axis, out):
    """log_softmax, softmax or logsumexp of any array; see `rowwise.py`."""
    cdef fl_job job
    cdef int ndim, ndim_out
    cdef bint reduces = name == "logsumexp", fresh = out is None
    cdef int want = FL_VALUE if reduces else FL_GRADIENT
    if not (is_plain(x) and is_real(x) and type(axis) is int and axis == -1 and cnp.PyArray_NDIM(<cnp.ndarray>x) > 0
            and cnp.PyArray_SIZE(<cnp.ndarray>x) > 0
            and (fresh or is_plain_output(
                out, <cnp.ndarray>x, cnp.PyArray_NDIM(<cnp.ndarray>x) - 1 if reduces else NO_AXIS))):
        return run_function(_call.prepare_row_function(reduces, x, axis, out), name, FL_ROW_FUNCTION, want, fresh)
    ndim = cnp.PyArray_NDIM(<cnp.ndarray>x)
    ndim_out = ndim - reduces
    new_job(&job, want)
    job.n_classes = cnp.PyArray_DIM(<cnp.ndarray>x, ndim - 1)
    job.n_outer = cnp.PyArray_SIZE(<cnp.ndarray>x) // job.n_classes
    job.n_inner = 1
    lay(&job.prediction, x, element_type(<cnp.ndarray>x), job.n_classes)
    if fresh:
        out = new_output(&job.value if reduces else &job.gradient, x, ndim - 1 if reduces else NO_AXIS,
                         1 if reduces else job.n_classes)
    else:
        lay(&job.value if reduces else &job.gradient, out, job.prediction.type, 1 if reduces else job.n_classes)
    execute(&job, function(name, FL_ROW_FUNCTION, job.prediction.type != FL_F64))
    return out[()] if ndim_out == 0 and fresh else out


def unary(str name not None, x, out):
    """sigmoid or log_sigmoid of any array; see `rowwise.py`."""
    cdef fl_job job
    cdef cnp.ndarray a
    if not (is_plain(x) and is_real(x) and cnp.PyArray_SIZE(<cnp.ndarray>x) > 0
            and cnp.PyArray_NDIM(<cnp.ndarray>x) > 0
            and (out is None or is_plain_output(out, <cnp.ndarray>x, NO_AXIS))):
        return run_function(_call.prepare_unary(x, out), name, FL_UNARY, FL_VALUE, out is None)
    a = x
    new_job(&job, FL_VALUE)
    job.n_outer = job.n_classes = 1
    job.n_inner = cnp.PyArray_SIZE(a)
    lay(&job.prediction, a, element_type(a), 0)
    if out is None:
        out = new_output(&job.value, a, NO_AXIS, 0)
    else:
        lay(&job.value, out, job.prediction.type, 0)
    execute(&job, function(name, FL_UNARY, job.prediction.type != FL_F64))
    return out


# ------------------------------------------------------------------------------------------- the function table for C

cdef bint describe_for_c(fl_array *out, const fastloss_array *given, bint only_reals, bint has_rows) noexcept nogil:
    """An array of the caller's, rows first; False if its type may not be."""
    out.data = <char *>given.data
    out.type = given.type
    out.outer = out.inner = given.row_stride
    out.classes = given.column_stride
    if not has_rows:
        out.inner = given.column_stride
    if given.data == NULL:
        return True
    return given.type == FL_F32 or given.type == FL_F64 or (not only_reals and FL_BOOL <= given.type <= FL_F64)


cdef int arrays_of_call(const Handle *handle, const fastloss_call *call, fl_job *job) noexcept nogil:
    """Describe the arrays; FASTLOSS_DONE, or what is wrong with them."""
    cdef int kind = handle.loss64.kind
    cdef bint rows = kind == FL_ROWWISE or kind == FL_COLUMNS
    cdef int type = call.prediction.type
    if call.prediction.data == NULL or call.target.data == NULL:
        return FASTLOSS_BAD_ARRAY
    if not (
        describe_for_c(&job.prediction, &call.prediction, True, rows)
        and describe_for_c(&job.target, &call.target, False, rows)
        and describe_for_c(&job.weight, &call.weight, False, rows)
        and describe_for_c(&job.value, &call.value, True, rows)
        and describe_for_c(&job.gradient, &call.gradient, True, rows)
        and describe_for_c(&job.hessian, &call.hessian, True, rows)
    ):
        return FASTLOSS_BAD_ARRAY
    if kind == FL_ROWWISE and not call.target_is_by_column and not FL_I8 <= call.target.type <= FL_U64:
        return FASTLOSS_BAD_ARRAY
    if job.value.data != NULL and (job.value.type != type or kind == FL_SETWISE):
        return FASTLOSS_BAD_ARRAY
    if job.gradient.data != NULL and job.gradient.type != type and type == FL_F32:
        return FASTLOSS_BAD_ARRAY
    if job.hessian.data != NULL and job.hessian.type != type and type == FL_F32:
        return FASTLOSS_BAD_ARRAY
    return FASTLOSS_DONE


cdef int options_of_call(const Handle *handle, const fastloss_call *call, fl_job *job) noexcept nogil:
    """Shape, outputs, parameters; FASTLOSS_DONE, or what is wrong with them."""
    cdef const fl_loss *loss = handle.loss64
    cdef bint single = call.prediction.type == FL_F32
    cdef ptrdiff_t n = call.n_columns
    if call.n_rows < 0 or n < 1 or (handle.n_columns and n != handle.n_columns):
        return FASTLOSS_BAD_SIZE
    if loss.kind == FL_ROWWISE and call.target_is_by_column and handle.has_ignore_index:
        return FASTLOSS_BAD_ARRAY
    if not FL_EXACT <= call.curvature <= FL_FISHER or (call.curvature == FL_FISHER and handle.fisher < 0):
        return FASTLOSS_NO_CURVATURE
    job.n_outer, job.n_classes, job.n_inner = call.n_rows, 1, 1
    if loss.kind == FL_ROWWISE or loss.kind == FL_COLUMNS:
        job.n_classes = n
        job.soft = loss.kind == FL_ROWWISE and call.target_is_by_column
    elif n == 1:  # one run of elements
        job.n_outer, job.n_inner = 1, call.n_rows
        job.prediction.inner, job.target.inner = call.prediction.row_stride, call.target.row_stride
        job.weight.inner, job.value.inner = call.weight.row_stride, call.value.row_stride
        job.gradient.inner, job.hessian.inner = call.gradient.row_stride, call.hessian.row_stride
    else:
        job.n_inner = n
    job.want = (FL_GRADIENT if job.gradient.data != NULL else 0) | (FL_HESSIAN if job.hessian.data != NULL else 0)
    if job.value.data != NULL or job.want == 0:
        job.want |= FL_VALUE
    job.curvature = handle.fisher if call.curvature == FL_FISHER else call.curvature
    job.mean = call.mean != 0 and loss.kind != FL_SETWISE
    job.coefficients = handle.coefficients + (handle.room if single else 0)
    job.n_coefficients = handle.n_coefficients
    job.class_weight = handle.class_weight_near_one if job.mean and not job.soft else handle.class_weight
    job.label_smoothing = handle.label_smoothing
    job.has_ignore_index, job.ignore_index = handle.has_ignore_index, handle.ignore_index
    if single and handle.largest_weight > FLT_MAX and not (job.mean and not job.soft):
        return FASTLOSS_BAD_ARRAY
    return FASTLOSS_DONE


cdef int evaluate_call(const fastloss_loss *loss, fastloss_call *call) noexcept nogil:
    cdef const Handle *handle = <const Handle *>loss
    cdef fl_job job
    cdef double set_value = 0
    cdef int status, threads = 1
    if handle == NULL:
        return FASTLOSS_NO_LOSS
    if call.size < sizeof(fastloss_call):
        return FASTLOSS_BAD_SIZE
    call.place, call.weight_sum, call.value_sum = -1, 0, NAN if call.mean else 0
    memset(&job, 0, sizeof(fl_job))
    job.scale = 1
    job.set_values = &set_value
    status = arrays_of_call(handle, call, &job)
    if status == FASTLOSS_DONE:
        status = options_of_call(handle, call, &job)
    if status != FASTLOSS_DONE or call.n_rows == 0:
        return status
    # A Hessian comes with its gradient, or not at all.
    if job.want & FL_HESSIAN and not job.want & FL_GRADIENT:
        return FASTLOSS_BAD_ARRAY
    if call.threads > 0:
        threads = call.threads
    elif job.n_outer * job.n_inner * job.n_classes >= PARALLEL_ELEMENTS:
        threads = 1 if fl_threads_lost() or fl_in_parallel() else fl_max_threads()
    status = run(&job, handle.loss32 if job.prediction.type == FL_F32 else handle.loss64, threads, NULL, False)
    if status == BAD_TARGET or status == BAD_WEIGHT:
        call.place = job.bad
        return FASTLOSS_BAD_TARGET if status == BAD_TARGET else FASTLOSS_BAD_WEIGHT
    if status != DONE:
        return FASTLOSS_NO_MEMORY
    call.value_sum = set_value if handle.loss64.kind == FL_SETWISE else job.total
    call.weight_sum = job.weight_sum
    return FASTLOSS_DONE


cdef fastloss_loss *new_handle(Loss loss) except NULL:
    cdef Handle *handle = <Handle *>PyMem_RawMalloc(sizeof(Handle))
    if handle == NULL:
        raise MemoryError
    memset(handle, 0, sizeof(Handle))
    try:
        loss.describe_to(handle)
    except BaseException:
        PyMem_RawFree(handle)
        raise
    handle.owner = <PyObject *>loss
    Py_INCREF(loss)
    return <fastloss_loss *>handle


cdef void tell(object error, char *message, size_t size):
    if message != NULL and size > 0:
        text = str(error).encode()
        strncpy(message, <const char *>text, size)
        message[size - 1] = 0


cdef fastloss_loss *loss_of_object(void *loss, char *message, size_t size) noexcept with gil:
    try:
        if not isinstance(<object>loss, Loss):
            raise TypeError(f"a loss of fastloss is needed, not {type(<object>loss).__name__}")
        return new_handle(<Loss>loss)
    except Exception as error:
        tell(error, message, size)
    return NULL


cdef fastloss_loss *find_loss(const char *text, char *message, size_t size) noexcept with gil:
    try:
        from ._resolve import parse_loss

        return new_handle(parse_loss((<bytes>text).decode()))
    except Exception as error:
        tell(error, message, size)
    return NULL


cdef void release_loss(fastloss_loss *loss) noexcept with gil:
    if loss != NULL:
        Py_DECREF(<object>(<Handle *>loss).owner)
        PyMem_RawFree(loss)


cdef int info_of_loss(const fastloss_loss *loss, fastloss_info *info) noexcept nogil:
    cdef const Handle *handle = <const Handle *>loss
    if handle == NULL:
        return FASTLOSS_NO_LOSS
    if info.size < sizeof(fastloss_info):
        return FASTLOSS_BAD_SIZE
    info.name = handle.loss64.name
    info.kind = handle.loss64.kind
    info.n_columns = handle.n_columns
    return FASTLOSS_DONE


cdef const char *message_of_status(int status) noexcept nogil:
    if status == FASTLOSS_DONE: return "done"
    if status == FASTLOSS_BAD_TARGET: return "a target is no class of the prediction, or outside the loss's domain"
    if status == FASTLOSS_BAD_WEIGHT: return "a weight is negative or not finite"
    if status == FASTLOSS_NO_MEMORY: return "there is not enough memory"
    if status == FASTLOSS_BAD_SIZE: return "the size of the structure, or a number of rows or columns, is wrong"
    if status == FASTLOSS_BAD_ARRAY: return "an array is missing, or has a type that it cannot have"
    if status == FASTLOSS_NO_CURVATURE: return "the loss has no Hessian of that kind"
    if status == FASTLOSS_NO_LOSS: return "there is no such loss"
    return "unknown status"


cdef bytes _isa_in_c = isa.encode()
cdef fastloss_api table
table.size = sizeof(fastloss_api)
table.version = FASTLOSS_API_VERSION
table.isa = _isa_in_c
table.find = find_loss
table.from_object = loss_of_object
table.release = release_loss
table.info = info_of_loss
table.evaluate = evaluate_call
table.message = message_of_status
_c_api = PyCapsule_New(&table, "fastloss._kernels._c_api", NULL)


# Functions of (n, z, t, w, out) alone: each has a number, by which it finds its loss. They are made here, not at run
# time, because memory that can be written and executed is not to be had everywhere.
cdef extern from *:
    """
    typedef int64_t (*fl_flat)(ptrdiff_t, const void *, const void *, const void *, void *);
    static int64_t (*fl_run_flat)(int, ptrdiff_t, const void *, const void *, const void *, void *);
    #define FL_FLAT(i) static int64_t fl_flat_##i(ptrdiff_t n, const void *z, const void *t, const void *w, void *out) \
    { return fl_run_flat(0x##i, n, z, t, w, out); }
    #define FL_NAME(i) fl_flat_##i,
    #define FL_16(X, i) X(i##0) X(i##1) X(i##2) X(i##3) X(i##4) X(i##5) X(i##6) X(i##7) \
                        X(i##8) X(i##9) X(i##a) X(i##b) X(i##c) X(i##d) X(i##e) X(i##f)
    #define FL_256(X, i) FL_16(X, i##0) FL_16(X, i##1) FL_16(X, i##2) FL_16(X, i##3) FL_16(X, i##4) FL_16(X, i##5) \
        FL_16(X, i##6) FL_16(X, i##7) FL_16(X, i##8) FL_16(X, i##9) FL_16(X, i##a) FL_16(X, i##b) FL_16(X, i##c) \
        FL_16(X, i##d) FL_16(X, i##e) FL_16(X, i##f)
    FL_256(FL_FLAT, 0) FL_256(FL_FLAT, 1) FL_256(FL_FLAT, 2) FL_256(FL_FLAT, 3)
    static const fl_flat fl_flats[1024] = {
        FL_256(FL_NAME, 0) FL_256(FL_NAME, 1) FL_256(FL_NAME, 2) FL_256(FL_NAME, 3)};
    """
    int64_t (*fl_run_flat)(int, ptrdiff_t, const void *, const void *, const void *, void *) noexcept nogil
    void *fl_flats[1024]

# What is known to the function of a number.
ctypedef struct Flat:
    const fastloss_loss *loss
    int want, type, kind
    ptrdiff_t n_columns

cdef Flat flats[1024]
cdef int n_flats = 0


cdef int64_t run_flat(int number, ptrdiff_t n, const void *z, const void *t, const void *w,
                      void *out) noexcept nogil:
    cdef const Flat *flat = &flats[number]
    cdef ptrdiff_t size = 4 if flat.type == FL_F32 else 8, k = flat.n_columns
    cdef bint rows = flat.kind == FL_ROWWISE or flat.kind == FL_COLUMNS
    cdef char *to = <char *>out
    cdef int status
    cdef fastloss_call call
    memset(&call, 0, sizeof(fastloss_call))
    call.size = sizeof(fastloss_call)
    call.n_rows, call.n_columns, call.threads = n, k, 1
    call.prediction = fastloss_matrix(z, k, flat.type)
    call.target = fastloss_matrix(t, 1 if rows else k, FL_I64 if flat.kind == FL_ROWWISE else flat.type)
    call.weight = fastloss_matrix(w, 1 if rows else k, flat.type)
    if flat.want & FL_VALUE:
        call.value = fastloss_matrix(to, 1 if rows else k, flat.type)
        to += n * size * (1 if rows else k)
    if flat.want & FL_GRADIENT:
        call.gradient = fastloss_matrix(to, k, flat.type)
        to += n * size * k
    if flat.want & FL_HESSIAN:
        call.hessian = fastloss_matrix(to, k, flat.type)
    status = evaluate_call(flat.loss, &call)
    if status == FASTLOSS_BAD_TARGET:
        return call.place + 1
    if status == FASTLOSS_BAD_WEIGHT:
        return -call.place - 1
    return 0 if status == FASTLOSS_DONE else INT64_MIN


fl_run_flat = run_flat


def _new_flat(Loss loss not None, int want, ptrdiff_t n_columns, bint single):
    """The address of a function of a number that nobody has yet; see `_low_level.py`, which holds a lock."""
    global n_flats
    if n_flats == 1024:
        raise RuntimeError("there are 1024 addresses of losses in this process, and no more can be made")
    cdef Flat *flat = &flats[n_flats]
    flat.loss = new_handle(loss)
    flat.want, flat.n_columns, flat.kind = want, n_columns, loss.loss64.kind
    flat.type = FL_F32 if single else FL_F64
    n_flats += 1
    return <size_t>fl_flats[n_flats - 1]


# ------------------------------------------------------------------------------------------------------- columns

cdef class Columns:
    """Columns of a matrix of float64, of which linear models make products, and on which they descend.

    `data` of shape (columns, n_rows), or with `rows` and `starts` that of a compressed matrix. Nothing is checked; the
    GIL is free meanwhile, and threads may share the object.
    """

    cdef fl_columns x
    cdef object kept

    def __init__(self, const double[::1] data, ptrdiff_t n_rows, const int32_t[::1] rows=None,
                 const int64_t[::1] starts=None):
        self.kept = data, rows, starts
        self.x.data = <const double *>&data[0] if data.shape[0] else NULL
        self.x.n_rows = n_rows
        self.x.rows, self.x.starts, self.x.which = NULL, NULL, NULL
        if starts is not None:  # a matrix of nothing is no dense one
            self.x.starts = &starts[0]
            self.x.rows = &rows[0] if rows.shape[0] else <const int32_t *>&starts[0]

    def __reduce__(self):
        raise TypeError("Columns cannot be copied: make others of the same arrays")

    def products(self, const double[::1] v, double[::1] out, ptrdiff_t first=0, const int64_t[::1] which=None):
        """Set `out` to the products of the columns from `first` on, or of some, with v, of shape (n_rows,)."""
        cdef fl_columns x = self.x
        x.first, x.n = first, out.shape[0]
        if x.n > 0:
            if which is not None:
                x.which = &which[0]
            with nogil:
                kernels64.columns.products(&x, &v[0], &out[0])

    def moments(self, const int64_t[::1] which, const double[::1] h, double[::1] sums, double[::1] squares):
        """Set sums and squares to the sums of h x and h x^2 for some columns x."""
        cdef fl_columns x = self.x
        x.n = which.shape[0]
        if x.n > 0:
            x.which = &which[0]
            with nogil:
                kernels64.columns.moments(&x, &h[0], &sums[0], &squares[0])

    def scores(self, const int64_t[::1] which, const double[::1] coef, double[::1] z):
        """Add some columns times their coefficients to z, of shape (n_rows,)."""
        cdef fl_columns x = self.x
        x.n = which.shape[0]
        if x.n > 0:
            x.which = &which[0]
            with nogil:
                kernels64.columns.scores(&x, &coef[0], &z[0])

    def descend(self, const int64_t[::1] which, double[::1] coef, const double[:, ::1] of_columns,
                double[::1] slope, const double[::1] h, double shift, double total, int rounds=1):
        """Go through some columns: see csrc/descent.h. Return the largest violation of the last round and the shift.

        It ends after so many rounds, or where the violation is at most 1.

        The rows of `of_columns`: l1, l2, limits, sums of h x, and curvatures.
        """
        cdef fl_descent d
        cdef double violation = 0.0
        d.x = self.x
        d.x.n = which.shape[0]
        if d.x.n == 0:
            return 0.0, shift
        d.x.which = &which[0]
        d.coef, d.slope, d.h, d.shift, d.total = &coef[0], &slope[0], &h[0], shift, total
        d.l1, d.l2, d.limit = &of_columns[0, 0], &of_columns[1, 0], &of_columns[2, 0]
        d.sum, d.curvature = &of_columns[3, 0], &of_columns[4, 0]
        with nogil:
            while rounds > 0:
                violation = kernels64.columns.descend(&d)
                rounds = 0 if violation <= 1 else rounds - 1
        return violation, d.shift

    def add_squares(self, const double[::1] h, ptrdiff_t first, double[:, ::1] out):
        """Add h x x' of rows x, which are columns here, to `out`: each pair once, on one side of the diagonal."""
        cdef fl_columns x = self.x
        x.first, x.n = first, h.shape[0]
        if x.n > 0:
            with nogil:
                kernels64.columns.add_squares(&x, &h[0], &out[0, 0], out.shape[1])

    def ascend(self, int64_t[::1] order, ptrdiff_t n_moving, const double[:, ::1] of_rows, double[::1] dual,
               double[::1] coef, double[::1] state, int rounds, uint64_t seed):
        """Go some rounds through the rows of X, which are columns here: see csrc/descent.h.

        The rows of `of_rows`: low, high, kink, curvature and products with the centre. `state` holds flat, l2,
        of_constant, constant, sum, centre, of_centre and bound, and is changed. Return the largest slope that was left
        and how many rows move.
        """
        cdef fl_ascent a
        cdef double left
        if n_moving == 0:
            return 0.0, 0
        a.x = self.x
        a.x.n = n_moving
        a.order, a.n_moving, a.state = &order[0], n_moving, seed
        a.low, a.high, a.kink = &of_rows[0, 0], &of_rows[1, 0], &of_rows[2, 0]
        a.curvature, a.along = &of_rows[3, 0], &of_rows[4, 0]
        a.dual, a.coef = &dual[0], &coef[0]
        a.flat, a.l2, a.of_constant, a.constant = state[0], state[1], state[2], state[3]
        a.sum, a.centre, a.of_centre, a.bound = state[4], state[5], state[6], state[7]
        with nogil:
            left = kernels64.columns.ascend(&a, rounds)
        state[4], state[5] = a.sum, a.centre
        return left, a.n_moving

    def ascend_classes(self, int64_t[::1] order, ptrdiff_t n_moving, const int64_t[::1] target,
                       const double[:, ::1] of_rows, const double[:, ::1] offset, double[:, ::1] dual,
                       double[:, ::1] coef, double[:, ::1] of_classes, const double[::1] state, int rounds,
                       uint64_t seed):
        """The same for maxima over classes.

        The rows of `of_rows`: weights, curvature and products with the centre; those of `of_classes`: constants, sums
        and centre, and three for the kernel. `dual` of shape (rows, classes), `coef` (columns, classes or more).
        `state` holds margin, l2, of_constant and of_centre.
        """
        cdef fl_class_ascent a
        cdef double left
        if n_moving == 0:
            return 0.0, 0
        a.x = self.x
        a.x.n = n_moving
        a.order, a.n_moving, a.state, a.target = &order[0], n_moving, seed, &target[0]
        a.n_classes, a.stride = dual.shape[1], coef.shape[1]
        a.weight, a.curvature, a.along = &of_rows[0, 0], &of_rows[1, 0], &of_rows[2, 0]
        a.offset = NULL
        if offset is not None:
            a.offset = &offset[0, 0]
        a.dual, a.coef = &dual[0, 0], &coef[0, 0]
        a.constant, a.sum, a.centre = &of_classes[0, 0], &of_classes[1, 0], &of_classes[2, 0]
        a.scratch = &of_classes[3, 0]
        a.margin, a.l2, a.of_constant, a.of_centre = state[0], state[1], state[2], state[3]
        with nogil:
            left = kernels64.columns.ascend_classes(&a, rounds)
        return left, a.n_moving
