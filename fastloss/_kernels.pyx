# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True, embedsignature=True, binding=True
"""The compiled core: loss objects, the plain case of every call, and blocks of work on threads.

A call becomes a `fl_job` (csrc/fastloss.h): pointers, strides, coefficients. Plain NumPy arrays get there from here at
once; everything else is brought into shape by `_call.py` and comes back through `run_pointwise`, `run_rowwise`,
`run_row_function` and `run_unary`. Both ways end in `execute`, which checks, adds up weights, and runs the blocks.

Results do not depend on the number of threads: blocks have a size that follows from the shape alone, and their parts
of the sum are added in their order.
"""

import os

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cython.parallel cimport prange, threadid
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint64_t
from libc.string cimport memset, strcmp

cimport numpy as cnp

cnp.import_array()

cdef extern from "Python.h":
    int PyErr_CheckSignals()  # declared without `except`: what is allocated is freed before the error goes on

cdef extern from "fastloss.h" nogil:
    enum: FL_BOOL, FL_I8, FL_U8, FL_I16, FL_U16, FL_I32, FL_U32, FL_I64, FL_U64, FL_F32, FL_F64
    enum: FL_VALUE, FL_GRADIENT, FL_HESSIAN
    enum: FL_EXACT, FL_PSD, FL_MAJORIZE
    enum: FL_ANY, FL_UNIT_INTERVAL, FL_NONNEGATIVE, FL_POSITIVE
    enum: FL_MAX_COEFFICIENTS
    enum: FL_SET_SUMS, FL_SET_TERMS
    enum: FL_DIAGONAL, FL_PACKED, FL_PRODUCT

    ctypedef struct fl_array:
        char *data
        ptrdiff_t outer, classes, inner
        int type

    ctypedef struct fl_job:
        ptrdiff_t n_outer, n_classes, n_inner
        fl_array prediction, target, weight, pos_weight, value, gradient, hessian
        double coefficients[4]
        double scale
        int want, curvature, stream, check_target, domain, soft
        const double *class_weight
        double label_smoothing
        int has_ignore_index
        long long ignore_index
        int full
        fl_array vector
        const double *set_terms
        char *scratch
        uint64_t float_state

    ctypedef struct fl_checked:
        double weight_sum
        ptrdiff_t bad_target, bad_weight

    ctypedef ptrdiff_t (*fl_block)(const fl_job *, ptrdiff_t, ptrdiff_t, double *) noexcept nogil
    ctypedef void (*fl_check)(const fl_job *, ptrdiff_t, ptrdiff_t, fl_checked *) noexcept nogil

    ctypedef ptrdiff_t (*fl_measure)(const fl_job *, ptrdiff_t, ptrdiff_t, double *, ptrdiff_t *) noexcept nogil
    ctypedef void (*fl_conclude)(const fl_job *, const double *, double *, double *) noexcept nogil

    ctypedef struct fl_loss:
        const char *name
        fl_block block
        int domain
        ptrdiff_t (*scratch)(const fl_job *) noexcept nogil
        fl_measure measure
        fl_conclude conclude

    ctypedef struct fl_kernels:
        const char *isa
        const fl_loss *const *losses
        fl_check check_pointwise, check_rowwise

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
    #else
    #define FL_OPENMP 0
    static int fl_max_threads(void) { return 1; }
    static int fl_in_parallel(void) { return 0; }
    #endif
    #ifdef __clang__
    #define FL_COMPILER "Clang " __clang_version__
    #elif defined(__GNUC__)
    #define FL_COMPILER "GCC " __VERSION__
    #else
    #define FL_COMPILER "unknown"
    #endif
    """
    int FL_OPENMP
    const char *FL_COMPILER
    int fl_max_threads() nogil
    int fl_in_parallel() nogil

# Elements of one block: large enough that starting it costs nothing, small enough that two threads end together.
cdef enum:
    BLOCK = 16384
    LONG_BLOCK_ROWS = 8  # rows longer than half a block: some together, because their reads and writes overlap
    # Threads pay beyond this many elements: a team that has gone to sleep takes up to 80 microseconds to start
    # (benchmarks/core.py), which is what these take.
    PARALLEL_ELEMENTS = 131072
    # Float targets up to this many bytes are checked before anything is written: they stay in the cache. Larger ones
    # are checked on the way, for reading them twice would cost a third of the speed.
    CHECK_FIRST_BYTES = 8388608
    INTERRUPTIBLE = 2097152  # elements of a thread: milliseconds, beside which a new parallel region is nothing
    STACK_SCRATCH = 49152
    STACK_BLOCKS = 64

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
    if forced and forced not in possible:
        raise ImportError(
            f"FASTLOSS_ISA={forced!r} cannot be used: this build on this processor runs {', '.join(possible)}"
        )
    return forced or possible[0]


cdef str isa = _choose_isa()
cdef const fl_kernels *kernels32 = fl_select(isa.encode(), 32)
cdef const fl_kernels *kernels64 = fl_select(isa.encode(), 64)
fl_survive_fork()


cdef const fl_loss *find(const fl_kernels *kernels, bytes name):
    cdef int i = 0
    while kernels.losses[i] != NULL:
        if strcmp(kernels.losses[i].name, name) == 0:
            return kernels.losses[i]
        i += 1
    return NULL


def config():
    """What was built and what is used: instruction sets, OpenMP (its date, or None), compiler, cache size."""
    return {
        "isa": isa,
        "isas": runnable_isas(),
        "openmp": FL_OPENMP or None,
        "compiler": FL_COMPILER.decode(),
        "last_level_cache": last_level_cache,
    }


def openmp_max_threads():
    """Threads that OpenMP would use in this thread; 1 without OpenMP."""
    return fl_max_threads()


def may_start_threads():
    """Not inside an OpenMP parallel region, and not in a forked child that has lost its threads for good."""
    return not (fl_threads_lost() or fl_in_parallel())


# ------------------------------------------------------------------------------------------------- running jobs

class BadElement(ValueError):
    """A target or weight that breaks its rule: `argument`, and `position` in C order over the array that was passed."""

    def __init__(self, argument, position):
        super().__init__(f"{argument}: element {position}")
        self.argument = argument
        self.position = position


cdef bint is_of_weights(object error):
    """Whether a caught BadElement is about the weights; it is a MemoryError if there was no memory to catch it."""
    return isinstance(error, BadElement) and error.argument == "sample_weight"


cdef object general = None  # the module _call
cdef object effective_num_threads = None


def connect(call, count_threads):
    """Set what this module calls of those that import it: once, at import, before threads can see it."""
    global general, effective_num_threads
    general = call
    effective_num_threads = count_threads


cdef int threads_for(ptrdiff_t elements, ptrdiff_t blocks) except -1:
    if elements < PARALLEL_ELEMENTS or blocks < 2:
        return 1
    cdef int threads = effective_num_threads()
    return threads if threads < blocks else <int>blocks


cdef ptrdiff_t run_block(fl_block block, const fl_job *job, char *scratch, ptrdiff_t first, ptrdiff_t count,
                         double *part) noexcept nogil:
    cdef fl_job own = job[0]
    own.scratch = scratch
    return block(&own, first, count, part)


cdef ptrdiff_t run_block_on_thread(fl_block block, const fl_job *job, char *scratch, ptrdiff_t first, ptrdiff_t count,
                                   double *part) noexcept nogil:
    """The same in a team of threads, of which only one is the caller's and in the state that it has chosen."""
    cdef uint64_t float_state = fl_set_float_state(job.float_state)
    cdef ptrdiff_t bad = run_block(block, job, scratch, first, count, part)
    fl_set_float_state(float_state)
    return bad


cdef void run_blocks(fl_block block, const fl_job *job, char *scratch, ptrdiff_t scratch_size, ptrdiff_t total,
                     ptrdiff_t size, ptrdiff_t start, ptrdiff_t stop, int threads, double *parts,
                     ptrdiff_t *bad) noexcept:
    cdef ptrdiff_t b
    # Here, not around the call: where Cython does not know who holds the GIL, it asks Python, and CPython before 3.12
    # gives the wrong answer once there has been a sub-interpreter in the process.
    with nogil:
        if threads == 1:
            for b in range(start, stop):
                bad[b] = run_block(block, job, scratch, b * size, min(size, total - b * size), parts + b)
        else:
            for b in prange(start, stop, num_threads=threads, schedule="static"):
                bad[b] = run_block_on_thread(block, job, scratch + threadid() * scratch_size, b * size,
                                             min(size, total - b * size), parts + b)


cdef void check_block_on_thread(fl_check check, const fl_job *job, ptrdiff_t first, ptrdiff_t count,
                                fl_checked *result) noexcept nogil:
    cdef uint64_t float_state = fl_set_float_state(job.float_state)
    check(job, first, count, result)
    fl_set_float_state(float_state)


cdef void check_blocks(fl_check check, const fl_job *job, ptrdiff_t total, ptrdiff_t size, ptrdiff_t start,
                       ptrdiff_t stop, int threads, fl_checked *results) noexcept:
    cdef ptrdiff_t b
    with nogil:
        if threads == 1:
            for b in range(start, stop):
                check(job, b * size, min(size, total - b * size), results + b)
        else:
            for b in prange(start, stop, num_threads=threads, schedule="static"):
                check_block_on_thread(check, job, b * size, min(size, total - b * size), results + b)


cdef ptrdiff_t elements_of_row(const fl_job *job) noexcept:
    """Numbers to calculate for each row."""
    return job.n_classes * (job.n_classes + 1) // 2 if job.full == FL_PACKED else job.n_classes


cdef ptrdiff_t blocks_at_once(const fl_job *job, ptrdiff_t size, int threads) noexcept:
    """Blocks between two looks at the signals: Ctrl-C must not have to wait for a call that takes seconds."""
    cdef ptrdiff_t blocks = INTERRUPTIBLE // (size * elements_of_row(job))
    return threads * (blocks if blocks > 1 else 1)


cdef int raise_pending() except -1:
    """Let an exception that is set already take its course."""
    return -1


cdef int check_all(fl_check check, const fl_job *job, ptrdiff_t total, ptrdiff_t size, int threads,
                   double *weight_sum) except -1:
    """Raise BadElement, or give the sum of the weights of what counts."""
    cdef fl_checked on_stack[STACK_BLOCKS]
    cdef fl_checked *results = on_stack
    cdef ptrdiff_t blocks = (total + size - 1) // size, b
    cdef ptrdiff_t bad_target = -1, bad_weight = -1
    if blocks > STACK_BLOCKS:
        results = <fl_checked *>PyMem_RawMalloc(blocks * sizeof(fl_checked))
        if results == NULL:
            raise MemoryError
    cdef ptrdiff_t start = 0, at_once = blocks_at_once(job, size, threads)
    while start < blocks:
        if start > 0 and PyErr_CheckSignals() < 0:
            if results != on_stack:
                PyMem_RawFree(results)
            return raise_pending()
        check_blocks(check, job, total, size, start, min(start + at_once, blocks), threads, results)
        start += at_once
    weight_sum[0] = 0
    for b in range(blocks):
        weight_sum[0] += results[b].weight_sum
        if bad_target < 0:
            bad_target = results[b].bad_target
        if bad_weight < 0:
            bad_weight = results[b].bad_weight
    if results != on_stack:
        PyMem_RawFree(results)
    if bad_target >= 0:
        raise BadElement("target", bad_target)
    if bad_weight >= 0:
        raise BadElement("sample_weight", bad_weight)
    return 0


cdef int run_all(fl_block block, const fl_job *job, char *scratch, ptrdiff_t scratch_size, ptrdiff_t total,
                 ptrdiff_t size, ptrdiff_t blocks, int threads, double *parts, ptrdiff_t *bad) noexcept:
    """Run all blocks. 1 if KeyboardInterrupt, or whatever a signal's handler raises, has ended it on the way."""
    cdef ptrdiff_t start = 0, at_once = blocks_at_once(job, size, threads)
    while start < blocks:
        if start > 0 and PyErr_CheckSignals() < 0:
            return 1
        run_blocks(block, job, scratch, scratch_size, total, size, start, min(start + at_once, blocks), threads,
                   parts, bad)
        start += at_once
    return 0


cdef bint goes_around_caches(const fl_job *job, ptrdiff_t elements) noexcept:
    """Whether outputs are too large to be found in the caches by whoever reads them next."""
    cdef ptrdiff_t outputs = 0
    if job.gradient.data != NULL and job.gradient.data != job.prediction.data:
        outputs += elements
    if job.hessian.data != NULL:
        outputs += elements
    cdef ptrdiff_t item = 4 if job.prediction.type == FL_F32 else 8
    return outputs > 0 and (outputs + elements) * item >= last_level_cache // 2


cdef ptrdiff_t rows_of_block(const fl_job *job) noexcept:
    cdef ptrdiff_t size = BLOCK // job.n_classes
    if size >= 256:
        return size // 256 * 256
    if size < LONG_BLOCK_ROWS:
        return LONG_BLOCK_ROWS if job.n_outer * job.n_inner >= 8 * LONG_BLOCK_ROWS else 1
    return size


cdef double execute(fl_job *job, const fl_kernels *kernels, const fl_loss *loss, bint rowwise, bint mean,
                    bint fresh, bint rescalable=False) except? -1:
    """Check, weigh and run a job. `fresh`: nobody sees the outputs if an error is raised. `rescalable`: weights of a
    mean whose scale is out of all proportion raise BadElement, too; it drops out, so the caller may choose another.

    Returns the mean or the sum of the values (0 if they go into an array).
    """
    job.float_state = fl_float_state()
    try:
        return execute_job(job, kernels, loss, rowwise, mean, fresh, rescalable)
    finally:
        fl_set_float_state(job.float_state)


cdef double execute_job(fl_job *job, const fl_kernels *kernels, const fl_loss *loss, bint rowwise, bint mean,
                        bint fresh, bint rescalable) except? -1:
    cdef fl_check check = kernels.check_rowwise if rowwise else kernels.check_pointwise
    cdef ptrdiff_t rows = job.n_outer * job.n_inner, elements = rows * job.n_classes
    cdef ptrdiff_t size = BLOCK, blocks, scratch_size = 0, b
    cdef ptrdiff_t item = 4 if job.prediction.type == FL_F32 else 8
    cdef int threads
    cdef double parts_on_stack[STACK_BLOCKS]
    cdef ptrdiff_t bad_on_stack[STACK_BLOCKS]
    cdef char scratch_on_stack[STACK_SCRATCH]
    cdef double *parts = parts_on_stack
    cdef ptrdiff_t *bad = bad_on_stack
    cdef char *scratch = scratch_on_stack
    cdef double total = 0, weight_sum = <double>rows
    cdef ptrdiff_t first_bad = -1

    if rowwise:
        size = rows_of_block(job)
    if loss.scratch != NULL:
        scratch_size = loss.scratch(job)
    blocks = (rows + size - 1) // size
    threads = threads_for(rows * elements_of_row(job), blocks)

    # Float targets are checked on the way where nothing can be spoilt, or where reading them twice would cost too much.
    cdef bint float_targets = job.soft if rowwise else loss.domain != FL_ANY
    cdef bint check_first = float_targets and not fresh and elements * item <= CHECK_FIRST_BYTES
    job.domain = loss.domain
    # A pointwise target is looked at with its weight, a row of probabilities is long.
    job.check_target = float_targets and (check_first or not rowwise)
    if job.target.data != NULL and (job.weight.data != NULL or (rowwise and not job.soft) or check_first):
        check_all(check, job, rows, size, threads, &weight_sum)
        if rescalable and mean and job.weight.data != NULL and not (1e-20 < weight_sum < 1e20) and (
            weight_sum != 0 or job.weight.type != job.prediction.type
        ):
            raise BadElement("sample_weight", -1)
        job.check_target = float_targets and not job.check_target
    else:
        job.check_target = float_targets
    job.scale = 1
    if mean:
        job.scale = 1 / weight_sum if weight_sum > 0 else 0

    job.stream = goes_around_caches(job, elements)

    if blocks > STACK_BLOCKS or scratch_size * threads > STACK_SCRATCH:
        parts = <double *>PyMem_RawMalloc(blocks * (sizeof(double) + sizeof(ptrdiff_t)) + scratch_size * threads)
        if parts == NULL:
            raise MemoryError
        bad = <ptrdiff_t *>(parts + blocks)
        scratch = <char *>(bad + blocks)
    cdef bint stopped = run_all(loss.block, job, scratch, scratch_size, rows, size, blocks, threads, parts, bad)
    if not stopped:
        for b in range(blocks):
            if bad[b] >= 0 and first_bad < 0:
                first_bad = bad[b]
            total += parts[b]
    if parts != parts_on_stack:
        PyMem_RawFree(parts)
    if stopped:
        return raise_pending()
    if first_bad >= 0:
        raise BadElement("target", first_bad)
    if mean:
        total = total / weight_sum if weight_sum > 0 else float("nan")
    return total


cdef int element_type(cnp.ndarray array) noexcept:
    """The fl_type of an array's elements, or -1."""
    cdef int type = cnp.PyArray_TYPE(array)
    if type == cnp.NPY_FLOAT32: return FL_F32
    if type == cnp.NPY_FLOAT64: return FL_F64
    if type == cnp.NPY_BOOL: return FL_BOOL
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


cdef int curvature_code(object curvature) except -2:
    if curvature == "exact": return FL_EXACT
    if curvature == "psd": return FL_PSD
    if curvature == "majorize": return FL_MAJORIZE
    return -1


def run_pointwise(Loss loss not None, z, t, w, pos_weight, reduction, curvature, value, gradient, hessian):
    """Evaluate a pointwise loss over prepared arrays of shape (outer, inner); see `_call.general_pointwise`.

    Returns the mean or sum of the values, or None for reduction "none". Raises BadElement.
    """
    cdef fl_job job
    memset(&job, 0, sizeof(job))
    job.n_outer = z.shape[0]
    job.n_classes = 1
    job.n_inner = z.shape[1]
    describe(&job.prediction, z)
    describe(&job.target, t)
    describe(&job.weight, w)
    describe(&job.pos_weight, pos_weight)
    return run_prepared(loss, &job, False, reduction, curvature, value, gradient, hessian)


def run_rowwise(RowwiseLoss loss not None, z, t, w, reduction, curvature, value, gradient, hessian):
    """Evaluate a row-wise loss over prepared arrays of shape (outer, K, inner); see `_call.general_rowwise`.

    Returns the mean or sum of the values, or None for reduction "none". Raises BadElement.
    """
    cdef fl_job job
    memset(&job, 0, sizeof(job))
    job.n_outer = z.shape[0]
    job.n_classes = z.shape[1]
    job.n_inner = z.shape[2]
    describe(&job.prediction, z)
    describe(&job.target, t)
    describe(&job.weight, w)
    job.soft = t.ndim == 3
    loss.fill(&job)
    return run_prepared(loss, &job, True, reduction, curvature, value, gradient, hessian)


def run_full_hessian(RowwiseLoss loss not None, z, t, w, bint mean, curvature, vector, out):
    """The full Hessian of each row of (outer, K, inner) arrays: packed, or its product with `vector` if there is one.

    `out` is (outer, K (K + 1) / 2, inner), or like z. Raises BadElement.
    """
    cdef fl_job job
    memset(&job, 0, sizeof(job))
    job.n_outer = z.shape[0]
    job.n_classes = z.shape[1]
    job.n_inner = z.shape[2]
    describe(&job.prediction, z)
    describe(&job.target, t)
    describe(&job.weight, w)
    describe(&job.vector, vector)
    describe(&job.gradient, out)
    job.soft = t.ndim == 3
    job.want = FL_GRADIENT
    job.full = FL_PACKED if vector is None else FL_PRODUCT
    job.curvature = curvature_code(curvature)
    loss.fill(&job)
    cdef bint single = job.prediction.type == FL_F32
    execute(&job, kernels32 if single else kernels64, loss.loss32 if single else loss.loss64, True, mean, True)


cdef object run_prepared(Loss loss, fl_job *job, bint rowwise, reduction, curvature, value, gradient, hessian):
    cdef bint single = job.prediction.type == FL_F32
    cdef double total
    cdef int i
    for i in range(FL_MAX_COEFFICIENTS):
        job.coefficients[i] = loss.coefficients[i]
    describe(&job.value, value)
    describe(&job.gradient, gradient)
    describe(&job.hessian, hessian)
    job.curvature = curvature_code(curvature)
    if value is not None or reduction != "none":
        job.want |= FL_VALUE
    if gradient is not None:
        job.want |= FL_GRADIENT
    if hessian is not None:
        job.want |= FL_HESSIAN
    total = execute(job, kernels32 if single else kernels64, loss.loss32 if single else loss.loss64, rowwise,
                    reduction == "mean", False)
    return None if reduction == "none" else total


cdef void measure_blocks(fl_measure measure, const fl_job *job, char *scratch, ptrdiff_t scratch_size, ptrdiff_t total,
                         ptrdiff_t size, ptrdiff_t start, ptrdiff_t stop, int threads, double *sums, ptrdiff_t width,
                         ptrdiff_t *bad_target, ptrdiff_t *bad_weight) noexcept:
    cdef ptrdiff_t b
    with nogil:
        if threads == 1:
            for b in range(start, stop):
                bad_target[b] = measure_block(measure, job, scratch, b * size, min(size, total - b * size),
                                              sums + b * width, bad_weight + b)
        else:
            for b in prange(start, stop, num_threads=threads, schedule="static"):
                bad_target[b] = measure_block_on_thread(measure, job, scratch + threadid() * scratch_size, b * size,
                                                        min(size, total - b * size), sums + b * width, bad_weight + b)


cdef ptrdiff_t measure_block(fl_measure measure, const fl_job *job, char *scratch, ptrdiff_t first, ptrdiff_t count,
                             double *sums, ptrdiff_t *bad_weight) noexcept nogil:
    cdef fl_job own = job[0]
    own.scratch = scratch
    return measure(&own, first, count, sums, bad_weight)


cdef ptrdiff_t measure_block_on_thread(fl_measure measure, const fl_job *job, char *scratch, ptrdiff_t first,
                                       ptrdiff_t count, double *sums, ptrdiff_t *bad_weight) noexcept nogil:
    cdef uint64_t float_state = fl_set_float_state(job.float_state)
    cdef ptrdiff_t bad = measure_block(measure, job, scratch, first, count, sums, bad_weight)
    fl_set_float_state(float_state)
    return bad


cdef int execute_sets(fl_job *job, const fl_loss *kernel, double *values) except -1:
    """Measure the sets of a job, conclude their values, and run it. Raises BadElement before anything is written."""
    job.float_state = fl_float_state()
    try:
        return execute_sets_job(job, kernel, values)
    finally:
        fl_set_float_state(job.float_state)


cdef int execute_sets_job(fl_job *job, const fl_loss *kernel, double *values) except -1:
    cdef ptrdiff_t rows = job.n_outer * job.n_inner, elements = rows * job.n_classes
    cdef ptrdiff_t size = rows_of_block(job), blocks = (rows + size - 1) // size, b, k
    cdef ptrdiff_t width = FL_SET_SUMS * job.n_classes, scratch_size = kernel.scratch(job), numbers
    cdef ptrdiff_t bad_target = -1, bad_weight = -1
    cdef int threads = threads_for(elements, blocks)
    cdef char on_stack[STACK_SCRATCH]
    cdef char *scratch = on_stack
    cdef double *sums
    cdef double *terms
    cdef double *parts
    cdef ptrdiff_t *bad
    job.domain = kernel.domain
    job.stream = goes_around_caches(job, elements)
    numbers = blocks * width + FL_SET_TERMS * job.n_classes + blocks
    cdef ptrdiff_t needed = scratch_size * threads + numbers * sizeof(double) + 2 * blocks * sizeof(ptrdiff_t) + 64
    if needed > STACK_SCRATCH:
        scratch = <char *>PyMem_RawMalloc(needed)
        if scratch == NULL:
            raise MemoryError
    sums = <double *>(scratch + (scratch_size * threads + 63) // 64 * 64)
    terms = sums + blocks * width
    parts = terms + FL_SET_TERMS * job.n_classes
    bad = <ptrdiff_t *>(parts + blocks)
    cdef ptrdiff_t start = 0, at_once = blocks_at_once(job, size, threads)
    cdef bint stopped = False
    while start < blocks and not stopped:
        if start > 0 and PyErr_CheckSignals() < 0:
            stopped = True
            break
        measure_blocks(kernel.measure, job, scratch, scratch_size, rows, size, start, min(start + at_once, blocks),
                       threads, sums, width, bad, bad + blocks)
        start += at_once
    if not stopped:
        for b in range(blocks):
            if bad[b] >= 0 and bad_target < 0:
                bad_target = bad[b]
            if bad[blocks + b] >= 0 and bad_weight < 0:
                bad_weight = bad[blocks + b]
            if b > 0:
                for k in range(width):
                    sums[k] += sums[b * width + k]
    if not stopped and bad_target < 0 and bad_weight < 0:
        kernel.conclude(job, sums, values, terms)
        job.set_terms = terms
        if job.want & (FL_GRADIENT | FL_HESSIAN):
            stopped = run_all(kernel.block, job, scratch, scratch_size, rows, size, blocks, threads, parts, bad)
    if scratch != on_stack:
        PyMem_RawFree(scratch)
    if stopped:
        return raise_pending()
    if bad_target >= 0:
        raise BadElement("target", bad_target)
    if bad_weight >= 0:
        raise BadElement("sample_weight", bad_weight)
    return 0


def run_sets(SetLoss loss not None, z, t, w, double scale, curvature, double[::1] values not None, gradient, hessian):
    """Evaluate a set loss over prepared arrays of shape (outer, sets, inner); see `_call.general_sets`.

    `values` becomes the value of each set; gradient and Hessian are multiplied by `scale`. Raises BadElement.
    """
    cdef fl_job job
    cdef int i
    memset(&job, 0, sizeof(job))
    job.n_outer = z.shape[0]
    job.n_classes = z.shape[1]
    job.n_inner = z.shape[2]
    describe(&job.prediction, z)
    describe(&job.target, t)
    describe(&job.weight, w)
    describe(&job.gradient, gradient)
    describe(&job.hessian, hessian)
    for i in range(FL_MAX_COEFFICIENTS):
        job.coefficients[i] = loss.coefficients[i]
    job.curvature = curvature_code(curvature)
    job.scale = scale
    if gradient is not None:
        job.want |= FL_GRADIENT
    if hessian is not None:
        job.want |= FL_HESSIAN
    execute_sets(&job, loss.loss32 if job.prediction.type == FL_F32 else loss.loss64, &values[0])


def run_row_function(str kind not None, x, out):
    """log_softmax, softmax or logsumexp of prepared (outer, K, inner) arrays; see `_call.general_row_function`."""
    cdef fl_job job
    cdef bint single
    memset(&job, 0, sizeof(job))
    job.n_outer = x.shape[0]
    job.n_classes = x.shape[1]
    job.n_inner = x.shape[2]
    describe(&job.prediction, x)
    describe(&job.value if kind == "logsumexp" else &job.gradient, out)
    job.want = FL_VALUE if kind == "logsumexp" else FL_GRADIENT
    single = job.prediction.type == FL_F32
    execute_named(&job, kind, single, True)


def run_unary(str kind not None, x, out):
    """sigmoid or log_sigmoid of a contiguous array of one dimension."""
    cdef fl_job job
    memset(&job, 0, sizeof(job))
    job.n_outer = job.n_classes = 1
    job.n_inner = x.shape[0]
    describe(&job.prediction, x)
    describe(&job.value, out)
    job.want = FL_VALUE
    execute_named(&job, kind, job.prediction.type == FL_F32, False)


# The kernels that are functions, by name: looked up once.
cdef dict function_numbers = {}
cdef const fl_loss *functions32[8]
cdef const fl_loss *functions64[8]
for _number, _name in enumerate(("log_softmax", "softmax", "logsumexp", "sigmoid", "log_sigmoid")):
    function_numbers[_name] = _number
    functions32[_number] = find(kernels32, _name.encode())
    functions64[_number] = find(kernels64, _name.encode())


cdef int execute_named(fl_job *job, str kind, bint single, bint rowwise) except -1:
    number = function_numbers.get(kind)
    if number is None:
        raise ValueError(f"there is no kernel named {kind!r}")
    cdef int n = number
    execute(job, kernels32 if single else kernels64, functions32[n] if single else functions64[n], rowwise, False, True)
    return 0


# ------------------------------------------------------------------------------------------------ the plain case

cdef inline bint is_plain(object x) noexcept:
    """An exact ndarray, C-contiguous, aligned, native: can be handed to C as it is."""
    return cnp.PyArray_CheckExact(x) and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>x)


cdef inline bint is_real(object x) noexcept:
    cdef int type = cnp.PyArray_TYPE(<cnp.ndarray>x)
    return type == cnp.NPY_FLOAT32 or type == cnp.NPY_FLOAT64


cdef inline bint same_shape(cnp.ndarray a, cnp.ndarray b, int ndim) noexcept:
    """Whether the first ndim lengths agree (and b has no more)."""
    cdef int i
    if cnp.PyArray_NDIM(b) != ndim:
        return False
    for i in range(ndim):
        if cnp.PyArray_DIM(a, i) != cnp.PyArray_DIM(b, i):
            return False
    return True


cdef inline bint apart(cnp.ndarray a, cnp.ndarray b) noexcept:
    """No byte in common (both contiguous)."""
    cdef char *pa = <char *>cnp.PyArray_DATA(a)
    cdef char *pb = <char *>cnp.PyArray_DATA(b)
    return pa + cnp.PyArray_NBYTES(a) <= pb or pb + cnp.PyArray_NBYTES(b) <= pa


cdef inline void flat(fl_array *out, cnp.ndarray a, int type) noexcept:
    out.data = <char *>cnp.PyArray_DATA(a)
    out.type = type
    out.inner = cnp.PyArray_ITEMSIZE(a)
    out.outer = cnp.PyArray_NBYTES(a)


cdef object new_output(fl_array *out, cnp.ndarray prediction):
    """An array like the prediction, described."""
    cdef cnp.ndarray a = cnp.PyArray_EMPTY(
        cnp.PyArray_NDIM(prediction), cnp.PyArray_DIMS(prediction), cnp.PyArray_TYPE(prediction), 0
    )
    flat(out, a, FL_F32 if cnp.PyArray_TYPE(prediction) == cnp.NPY_FLOAT32 else FL_F64)
    return a


cdef bint is_plain_output(object out, cnp.ndarray prediction, cnp.ndarray target, object weight) noexcept:
    """Like the prediction, writable, and on top of no input but, exactly, the prediction."""
    if not is_plain(out) or not cnp.PyArray_ISWRITEABLE(<cnp.ndarray>out):
        return False
    cdef cnp.ndarray a = out
    if cnp.PyArray_TYPE(a) != cnp.PyArray_TYPE(prediction):
        return False
    if not same_shape(prediction, a, cnp.PyArray_NDIM(prediction)):
        return False
    if cnp.PyArray_DATA(a) != cnp.PyArray_DATA(prediction) and not apart(a, prediction):
        return False
    return apart(a, target) and (weight is None or apart(a, <cnp.ndarray>weight))


cdef bint is_plain_row_output(object out, cnp.ndarray x) noexcept:
    """One number per row of x, writable, and apart from it."""
    return (
        is_plain(out)
        and cnp.PyArray_ISWRITEABLE(<cnp.ndarray>out)
        and cnp.PyArray_TYPE(<cnp.ndarray>out) == cnp.PyArray_TYPE(x)
        and cnp.PyArray_NDIM(x) > 0
        and same_shape(x, <cnp.ndarray>out, cnp.PyArray_NDIM(x) - 1)
        and apart(<cnp.ndarray>out, x)
    )


cdef int reduction_code(object reduction) noexcept:
    """0 mean, 1 sum, 2 none, -1 anything else: then the general path raises the error."""
    if not isinstance(reduction, str):
        return -1
    if <str>reduction == "mean": return 0
    if <str>reduction == "sum": return 1
    if <str>reduction == "none": return 2
    return -1


cdef object result(int want, object value, object gradient, object hessian):
    if want == FL_VALUE: return value
    if want == FL_GRADIENT: return gradient
    if want == FL_VALUE | FL_GRADIENT: return value, gradient
    if want == FL_GRADIENT | FL_HESSIAN: return gradient, hessian
    return value, gradient, hessian


_DOMAINS = {FL_ANY: "any", FL_UNIT_INTERVAL: "unit interval", FL_NONNEGATIVE: "nonnegative", FL_POSITIVE: "positive"}


cdef class Loss:
    """Base of all losses: an immutable object that holds parameters and finds its kernels.

    Attributes
    ----------
    name : str
        The loss's name as a function.
    parameters : dict
        What rebuilds the object.
    """

    cdef readonly str name
    cdef dict _parameters
    cdef double coefficients[4]
    cdef const fl_loss *loss32
    cdef const fl_loss *loss64

    def __cinit__(self):
        self._parameters = {}

    def __init__(self, kernel, parameters, coefficients=()):
        if self.name is not None:
            raise TypeError(f"{type(self).__name__} objects are immutable")
        cdef int i
        if len(coefficients) > FL_MAX_COEFFICIENTS:
            raise ValueError(f"a kernel takes at most {FL_MAX_COEFFICIENTS} coefficients, got {len(coefficients)}")
        for i in range(<int>len(coefficients)):
            self.coefficients[i] = coefficients[i]
        self._parameters = dict(parameters)
        self.loss32 = find(kernels32, kernel.encode())
        self.loss64 = find(kernels64, kernel.encode())
        if self.loss32 == NULL or self.loss64 == NULL:
            raise ValueError(f"there is no kernel named {kernel!r}")
        self.name = kernel

    @property
    def parameters(self):
        return dict(self._parameters)

    @property
    def target_domain(self):
        """Where targets may lie: "any", "unit interval", "nonnegative" or "positive"."""
        self.check_ready()
        return _DOMAINS[self.loss64.domain]

    cdef int check_ready(self) except -1:
        """A subclass may have forgotten to call our __init__: then there is no kernel."""
        if self.name is None:
            raise TypeError(f"{type(self).__name__}.__init__ has not been called")
        return 0

    cdef bint fill_plain(self, fl_job *job, int want, object prediction, object target, object sample_weight,
                         object curvature, object gradient, object hessian) except -1:
        """Describe plain arrays of one shape as one row of elements; False if they are not."""
        cdef cnp.ndarray z, t
        cdef int ndim, number, i, target_type
        if not (
            is_plain(prediction)
            and is_plain(target)
            and is_real(prediction)
            and (sample_weight is None or (is_plain(sample_weight) and is_real(sample_weight)))
        ):
            return False
        z = prediction
        t = target
        ndim = cnp.PyArray_NDIM(z)
        target_type = element_type(t)
        job.curvature = curvature_code(curvature)
        if not (
            cnp.PyArray_SIZE(z) > 0
            and target_type >= 0
            and job.curvature >= 0
            and same_shape(z, t, ndim)
            and (sample_weight is None or same_shape(z, <cnp.ndarray>sample_weight, ndim))
            and (gradient is None or is_plain_output(gradient, z, t, sample_weight))
            and (hessian is None or is_plain_output(hessian, z, t, sample_weight))
            and (gradient is None or hessian is None or apart(<cnp.ndarray>gradient, <cnp.ndarray>hessian))
            and (hessian is None or cnp.PyArray_DATA(<cnp.ndarray>hessian) != cnp.PyArray_DATA(z))
        ):
            return False
        number = cnp.PyArray_TYPE(z)
        job.n_outer = job.n_classes = 1
        job.n_inner = cnp.PyArray_SIZE(z)
        job.want = want
        for i in range(FL_MAX_COEFFICIENTS):
            job.coefficients[i] = self.coefficients[i]
        flat(&job.prediction, z, FL_F32 if number == cnp.NPY_FLOAT32 else FL_F64)
        flat(&job.target, t, target_type)
        if sample_weight is not None:
            flat(&job.weight, <cnp.ndarray>sample_weight, element_type(<cnp.ndarray>sample_weight))
        if gradient is not None:
            flat(&job.gradient, <cnp.ndarray>gradient, job.prediction.type)
        if hessian is not None:
            flat(&job.hessian, <cnp.ndarray>hessian, job.prediction.type)
        return True

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

    def __reduce__(self):
        return _rebuild, (type(self), dict(self._parameters))

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


def _rebuild(cls, parameters):
    return cls(**parameters)


cdef class PointwiseLoss(Loss):
    """A loss of one prediction and one target; arrays of any shape. See the methods for the arguments they share."""

    cdef object call(self, int want, object prediction, object target, object sample_weight, object reduction,
                     object curvature, object gradient, object hessian):
        cdef fl_job job
        cdef int reduced = reduction_code(reduction)
        cdef bint fresh = gradient is None and hessian is None, single
        cdef double total
        self.check_ready()
        memset(&job, 0, sizeof(job))
        if not (
            reduced >= 0
            and not isinstance(self._parameters.get("pos_weight"), cnp.ndarray)
            and self.fill_plain(&job, want, prediction, target, sample_weight, curvature, gradient, hessian)
        ):
            return self.call_general(want, prediction, target, sample_weight, reduction, curvature, gradient, hessian)
        value = None
        if reduced == 2 and want & FL_VALUE:
            value = new_output(&job.value, prediction)
        if want & FL_GRADIENT and gradient is None:
            gradient = new_output(&job.gradient, prediction)
        if want & FL_HESSIAN and hessian is None:
            hessian = new_output(&job.hessian, prediction)
        single = job.prediction.type == FL_F32
        try:
            total = execute(&job, kernels32 if single else kernels64, self.loss32 if single else self.loss64, False,
                            reduced == 0, fresh, True)
        except BadElement as error:
            if reduced == 0 and is_of_weights(error):
                return self.call_general(want, prediction, target, sample_weight, reduction, curvature, gradient,
                                         hessian)
            general.raise_bad_element(self, error, prediction, target, None, sample_weight)
            raise
        if total != total and reduced == 0 and sample_weight is not None:
            general.warn_if_nothing_counts(sample_weight)
        return result(want, total if reduced < 2 else value, gradient, hessian)

    cdef object call_general(self, int want, object prediction, object target, object sample_weight, object reduction,
                             object curvature, object gradient, object hessian):
        return general.general_pointwise(
            self, want, prediction, target, sample_weight, reduction, curvature, gradient, hessian
        )

    def _value(self, prediction, target, sample_weight, reduction):
        """A call with arguments by position: what the functions use, because keywords cost as much as the rest."""
        return self.call(FL_VALUE, prediction, target, sample_weight, reduction, "exact", None, None)

    def __call__(self, prediction, target, *, sample_weight=None, reduction="mean"):
        """Value of the loss.

        Parameters
        ----------
        prediction : array_like
            Predictions (raw scores) of any shape and real dtype. float32 and float64 are computed as they are.
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
        return self.call(FL_VALUE, prediction, target, sample_weight, reduction, "exact", None, None)

    def gradient(self, prediction, target, *, sample_weight=None, reduction="mean", gradient_out=None):
        """Gradient of the reduced value with respect to the prediction.

        Under "mean" it is divided by the sum of the weights; under "sum" and "none" it is the weight times the
        derivative. The other parameters are those of a call.

        Parameters
        ----------
        gradient_out : ndarray, optional
            An array of the prediction's shape and dtype, of any strides, to write into; it is returned. It may be the
            prediction itself.
        """
        return self.call(FL_GRADIENT, prediction, target, sample_weight, reduction, "exact", gradient_out, None)

    def value_and_gradient(self, prediction, target, *, sample_weight=None, reduction="mean", gradient_out=None):
        """Value and gradient in one pass over memory: ``(value, gradient)``."""
        return self.call(FL_VALUE | FL_GRADIENT, prediction, target, sample_weight, reduction, "exact",
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
        return self.call(FL_GRADIENT | FL_HESSIAN, prediction, target, sample_weight, reduction, curvature,
                         gradient_out, hessian_out)

    def value_gradient_and_hessian(self, prediction, target, *, sample_weight=None, reduction="mean",
                                   curvature="exact", gradient_out=None, hessian_out=None):
        """Value, gradient and diagonal Hessian in one pass: ``(value, gradient, hessian)``."""
        return self.call(FL_VALUE | FL_GRADIENT | FL_HESSIAN, prediction, target, sample_weight, reduction, curvature,
                         gradient_out, hessian_out)


cdef class SetLoss(Loss):
    """A loss of the overlap of sets, one number for each. See the methods for the arguments they share."""

    cdef object call(self, int want, object prediction, object target, object axis, object sample_weight,
                     object reduction, object curvature, object gradient, object hessian):
        cdef fl_job job
        cdef double value = 0
        self.check_ready()
        memset(&job, 0, sizeof(job))
        # One set of plain arrays goes straight to the kernels.
        if not (axis is None and 0 <= reduction_code(reduction) < 2
                and self.fill_plain(&job, want, prediction, target, sample_weight, curvature, gradient, hessian)):
            return general.general_sets(self, want, prediction, target, axis, sample_weight, reduction, curvature,
                                        gradient, hessian)
        if want & FL_GRADIENT and gradient is None:
            gradient = new_output(&job.gradient, prediction)
        if want & FL_HESSIAN and hessian is None:
            hessian = new_output(&job.hessian, prediction)
        job.scale = 1
        try:
            execute_sets(&job, self.loss32 if job.prediction.type == FL_F32 else self.loss64, &value)
        except BadElement as error:
            general.raise_bad_element(self, error, prediction, target, None, sample_weight)
            raise
        return result(want, value, gradient, hessian)

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
            An array of the logits' shape and dtype, of any strides, to write into; it is returned.
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
    """A loss of the probabilities of a row of logits. See the methods for the arguments they share."""

    cdef object class_weight  # None or float64 ndarray
    cdef double label_smoothing
    cdef bint has_ignore_index
    cdef long long ignore_index

    def __init__(self, kernel, parameters, coefficients=(), class_weight=None, label_smoothing=0.0, ignore_index=None):
        super().__init__(kernel, parameters, coefficients)
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.has_ignore_index = ignore_index is not None
        self.ignore_index = ignore_index or 0

    cdef int fill(self, fl_job *job) except -1:
        cdef int i
        self.check_ready()
        for i in range(FL_MAX_COEFFICIENTS):
            job.coefficients[i] = self.coefficients[i]
        if self.class_weight is not None:
            job.class_weight = <const double *>cnp.PyArray_DATA(<cnp.ndarray>self.class_weight)
        job.label_smoothing = self.label_smoothing
        job.has_ignore_index = self.has_ignore_index
        job.ignore_index = self.ignore_index
        return 0

    cdef object call(self, int want, object prediction, object target, object axis, object sample_weight,
                     object reduction, object curvature, object gradient, object hessian):
        cdef fl_job job
        cdef int reduced = reduction_code(reduction), number, ndim, target_type
        cdef bint fresh = gradient is None and hessian is None, single, soft
        cdef double total
        cdef cnp.ndarray z, t
        self.check_ready()
        if not (
            is_plain(prediction)
            and is_plain(target)
            and reduced >= 0
            and is_real(prediction)
            and (type(axis) is int and <object>axis == -1)
            and (sample_weight is None or (is_plain(sample_weight) and is_real(sample_weight)))
        ):
            return self.call_general(want, prediction, target, axis, sample_weight, reduction, curvature, gradient,
                                     hessian)
        z = prediction
        t = target
        ndim = cnp.PyArray_NDIM(z)
        target_type = element_type(t)
        soft = cnp.PyArray_NDIM(t) == ndim
        memset(&job, 0, sizeof(job))
        job.curvature = curvature_code(curvature)
        if not (
            cnp.PyArray_SIZE(z) > 0
            and ndim > 0
            and target_type >= 0
            and (soft or (target_type != FL_F32 and target_type != FL_F64 and target_type != FL_BOOL))
            and job.curvature >= 0
            and same_shape(z, t, ndim if soft else ndim - 1)
            and not (soft and self.has_ignore_index)
            and (self.class_weight is None
                 or cnp.PyArray_SIZE(<cnp.ndarray>self.class_weight) == cnp.PyArray_DIM(z, ndim - 1))
            and (sample_weight is None or same_shape(z, <cnp.ndarray>sample_weight, ndim - 1))
            and (gradient is None or is_plain_output(gradient, z, t, sample_weight))
            and (hessian is None or is_plain_output(hessian, z, t, sample_weight))
            and (gradient is None or hessian is None or apart(<cnp.ndarray>gradient, <cnp.ndarray>hessian))
            and (hessian is None or cnp.PyArray_DATA(<cnp.ndarray>hessian) != cnp.PyArray_DATA(z))
        ):
            return self.call_general(want, prediction, target, axis, sample_weight, reduction, curvature, gradient,
                                     hessian)

        number = cnp.PyArray_TYPE(z)
        single = number == cnp.NPY_FLOAT32
        value = None
        if reduced == 2 and want & FL_VALUE:
            value = cnp.PyArray_EMPTY(ndim - 1, cnp.PyArray_DIMS(z), number, 0)
        if want & FL_GRADIENT and gradient is None:
            gradient = cnp.PyArray_EMPTY(ndim, cnp.PyArray_DIMS(z), number, 0)
        if want & FL_HESSIAN and hessian is None:
            hessian = cnp.PyArray_EMPTY(ndim, cnp.PyArray_DIMS(z), number, 0)
        self.fill(&job)
        job.soft = soft
        job.want = want
        job.n_classes = cnp.PyArray_DIM(z, ndim - 1)
        job.n_outer = cnp.PyArray_SIZE(z) // job.n_classes
        job.n_inner = 1
        rows_of(&job.prediction, z, job.n_classes, FL_F32 if single else FL_F64)
        if soft:
            rows_of(&job.target, t, job.n_classes, target_type)
        else:
            rows_of(&job.target, t, 1, target_type)
        if sample_weight is not None:
            rows_of(&job.weight, <cnp.ndarray>sample_weight, 1, element_type(<cnp.ndarray>sample_weight))
        if value is not None:
            rows_of(&job.value, <cnp.ndarray>value, 1, job.prediction.type)
        if gradient is not None:
            rows_of(&job.gradient, <cnp.ndarray>gradient, job.n_classes, job.prediction.type)
        if hessian is not None:
            rows_of(&job.hessian, <cnp.ndarray>hessian, job.n_classes, job.prediction.type)
        try:
            total = execute(&job, kernels32 if single else kernels64, self.loss32 if single else self.loss64, True,
                            reduced == 0, fresh, True)
        except BadElement as error:
            if reduced == 0 and is_of_weights(error):
                return self.call_general(want, prediction, target, axis, sample_weight, reduction, curvature, gradient,
                                         hessian)
            general.raise_bad_element(self, error, prediction, target, axis, sample_weight)
            raise
        if total != total and reduced == 0 and (sample_weight is not None or self.has_ignore_index
                                                or self.class_weight is not None):
            general.warn_if_no_row_counts(self, target, sample_weight)
        return result(want, total if reduced < 2 else value, gradient, hessian)

    cdef object call_general(self, int want, object prediction, object target, object axis, object sample_weight,
                             object reduction, object curvature, object gradient, object hessian):
        return general.general_rowwise(
            self, want, prediction, target, axis, sample_weight, reduction, curvature, gradient, hessian
        )

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
            An array of the logits' shape and dtype, of any strides, to write into; it is returned. It may be the logits
            themselves.
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


cdef inline void rows_of(fl_array *out, cnp.ndarray a, ptrdiff_t per_row, int type) noexcept:
    out.data = <char *>cnp.PyArray_DATA(a)
    out.type = type
    out.classes = cnp.PyArray_ITEMSIZE(a)
    out.outer = out.classes * per_row
    out.inner = out.outer


def row_function(str kind not None, x, axis, out):
    """log_softmax, softmax or logsumexp of any array; see `rowwise.py`."""
    cdef fl_job job
    cdef cnp.ndarray a
    cdef int ndim, number
    cdef bint reduces = kind == "logsumexp"
    if not (is_plain(x) and is_real(x) and type(axis) is int and axis == -1):
        return general.general_row_function(kind, x, axis, out)
    if out is not None and not (is_plain_row_output(out, <cnp.ndarray>x) if reduces
                                else is_plain_output(out, <cnp.ndarray>x, <cnp.ndarray>_nothing, None)):
        return general.general_row_function(kind, x, axis, out)
    a = x
    ndim = cnp.PyArray_NDIM(a)
    if ndim == 0 or cnp.PyArray_SIZE(a) == 0:
        return general.general_row_function(kind, x, axis, out)
    number = cnp.PyArray_TYPE(a)
    memset(&job, 0, sizeof(job))
    job.n_classes = cnp.PyArray_DIM(a, ndim - 1)
    job.n_outer = cnp.PyArray_SIZE(a) // job.n_classes
    job.n_inner = 1
    rows_of(&job.prediction, a, job.n_classes, FL_F32 if number == cnp.NPY_FLOAT32 else FL_F64)
    cdef bint fresh = out is None
    if fresh:
        out = cnp.PyArray_EMPTY(ndim - 1 if reduces else ndim, cnp.PyArray_DIMS(a), number, 0)
    if reduces:
        rows_of(&job.value, <cnp.ndarray>out, 1, job.prediction.type)
        job.want = FL_VALUE
    else:
        rows_of(&job.gradient, <cnp.ndarray>out, job.n_classes, job.prediction.type)
        job.want = FL_GRADIENT
    execute_named(&job, kind, number == cnp.NPY_FLOAT32, True)
    return out[()] if reduces and ndim == 1 and fresh else out


cdef object _nothing = cnp.PyArray_EMPTY(0, NULL, cnp.NPY_FLOAT64, 0)


def unary(str kind not None, x, out):
    """sigmoid or log_sigmoid of any array; see `rowwise.py`."""
    cdef fl_job job
    cdef cnp.ndarray a
    if not (is_plain(x) and is_real(x)
            and (out is None or is_plain_output(out, <cnp.ndarray>x, <cnp.ndarray>_nothing, None))
            and cnp.PyArray_SIZE(<cnp.ndarray>x) > 0 and cnp.PyArray_NDIM(<cnp.ndarray>x) > 0):
        return general.general_unary(kind, x, out)
    a = x
    if out is None:
        out = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(a), cnp.PyArray_DIMS(a), cnp.PyArray_TYPE(a), 0)
    memset(&job, 0, sizeof(job))
    job.n_outer = job.n_classes = 1
    job.n_inner = cnp.PyArray_SIZE(a)
    flat(&job.prediction, a, FL_F32 if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT32 else FL_F64)
    flat(&job.value, <cnp.ndarray>out, job.prediction.type)
    job.want = FL_VALUE
    execute_named(&job, kind, job.prediction.type == FL_F32, False)
    return out
